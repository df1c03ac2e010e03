#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cluster_partition.py CLUSTER_NODE PROA - five nodes are cut into three and two, and joined again.

Each has a network namespace, on one of two bridges that a veth pair joins; the cut is that pair.  Needs
root.
"""
import os
import subprocess
import sys
import time

from cluster_peers import failed, main, status, verdict, within
from peer_lines import no_lab

GROUP = "workers"
NAME = "the.one"
LAB = f"proa-{os.getpid()}"


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Lab:
    """Namespaces LAB-0..4 with 10.79.0.1..5, and LAB-hub with the bridges."""

    def __enter__(self):
        self.spaces = [f"{LAB}-hub"]
        self.hub("netns", "add", f"{LAB}-hub", inside=False)
        for bridge in ("three", "two"):
            self.hub("link", "add", bridge, "type", "bridge")
            self.hub("link", "set", bridge, "up")
        self.hub("link", "add", "cut", "type", "veth", "peer", "name", "tuc")
        for side, bridge in (("cut", "three"), ("tuc", "two")):
            self.hub("link", "set", side, "master", bridge, "up")
        for index in range(5):
            self.add(index)
        return self

    def add(self, index):
        space = f"{LAB}-{index}"
        ip("netns", "add", space)
        self.spaces.append(space)
        self.hub("link", "add", f"to{index}", "type", "veth", "peer", "name", "lab0", "netns", space)
        self.hub("link", "set", f"to{index}", "master", "three" if index < 3 else "two", "up")
        ip("-n", space, "link", "set", "lo", "up")
        ip("-n", space, "link", "set", "lab0", "up")
        ip("-n", space, "address", "add", f"10.79.0.{index + 1}/24", "dev", "lab0")

    @staticmethod
    def hub(*words, inside=True):
        ip(*(("-n", f"{LAB}-hub") if inside else ()), *words)

    def join(self, whole):
        self.hub("link", "set", "cut", "up" if whole else "down")

    def __exit__(self, *_):
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], check=False)


def start(cluster):
    """Three nodes on one side, two on the other, which know nothing of them."""
    nodes = []
    for index in range(5):
        seed = {} if index in (0, 3) else {"seed": f"10.79.0.{index}:7400"}
        node = cluster.node(f"node{index}", spec=f"udp:10.79.0.{index + 1}:7400",
                            space=("ip", "netns", "exec", f"{LAB}-{index}"), **seed)
        nodes.append(node.begin())
        node.do(f"spawn 2 {GROUP}")
    return nodes


def see(nodes, total, title):
    since = time.monotonic()
    for node in nodes:
        why = node.sees(GROUP, total)
        verdict(f"{title}: {node.name} sees {total} workers, after {time.monotonic() - since:.1f} s", why)


def serve(nodes, title):
    """Every node asks the members it sees, and has all answers."""
    for node in nodes:
        node.do("load " + GROUP)
    time.sleep(0.5)
    for node in nodes:
        sent, good, other, _ = map(int, node.do("rest").split())
        verdict(f"{title}: {node.name} asks {sent}", None if good == sent > 0 else f"{other} not answered")


def agree(nodes):
    """All have the same holder of the name, one of the two that claimed it, and the other was told."""
    since, said = time.monotonic(), []

    def same():
        said[:] = [node.do("who " + NAME) for node in nodes]
        return len(set(said)) == 1 and said[0].startswith("ok, ")

    good = within(10, same, 0.1)
    verdict(f"all five agree who has the name, after {time.monotonic() - since:.1f} s",
            None if good else "\n".join(said))
    holder = said[0][len("ok, "):]
    verdict("it is one of the two", None if holder in (nodes[0].id, nodes[3].id) else repr(holder))
    loser = nodes[3] if holder == nodes[0].id else nodes[0]
    loser.has_said("^lost", 5)
    time.sleep(1)
    for node in nodes:
        node.said += node.pending()
        lost = [line for line in node.said if line.startswith("lost")]
        verdict(f"{node.name} was told {'once' if node is loser else 'of no'} name lost",
                None if len(lost) == (node is loser) else repr(lost))


def partition(cluster):
    with Lab() as lab:
        lab.join(False)
        nodes = start(cluster)
        three, two = nodes[:3], nodes[3:]
        see(three, 6, "two clusters")
        see(two, 4, "two clusters")
        for node in (three[0], two[0]):
            said = node.do("name " + NAME)
            verdict(f"{node.name} claims a name: {said}", None if said.startswith("ok, ") else "not won")
        lab.join(True)
        verdict("they are joined by one link", failed(two[0].cli("link", "add", three[0].address)))
        see(nodes, 10, "joined")
        agree(nodes)
        lab.join(False)
        see(three, 6, "cut")
        see(two, 4, "cut")
        serve(nodes, "both sides")
        claimed = two[0].do("name never.won").split(",")[0]
        print("# a claim without most of the storers:", claimed)
        lab.join(True)
        see(nodes, 10, "joined again")
        serve(nodes, "all")
        node = two[0]
        node.said += node.pending()
        lost = [line for line in node.said if line == "lost never.won"]
        verdict("a name that was not won is not lost either", lost if claimed != "ok" else None)


if __name__ == "__main__":
    why = no_lab()
    if why:
        print("ok - partition # SKIP", why)
        sys.exit(status())
    main([partition])
