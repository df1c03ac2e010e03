#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_lab.py PROA LOSS_OBJECT [NODES] - nodes on AF_XDP in network namespaces, joined by a bridge.

Each has a counter that all others find by its name and ask.  One node is killed and comes back, one
is cut off and joined again, one loses a fifth of its packets; then all end, and nothing is left.
Needs root.
"""
import os
import re
import shutil
import signal
import sys
import tempfile

from lab_net import inside, left, run, status, verdict, within
from peer_lines import Gone, Peer, no_lab

PROA, LOSS = sys.argv[1], sys.argv[2]
NODES = int(sys.argv[3]) if len(sys.argv) > 3 else 3
ADD = "0100000000000000"  # to a counter, 1


class Node:
    """A namespace with an interface to the bridge, and a proa node in it."""

    def __init__(self, lab, index):
        self.lab, self.index = lab, index
        self.name = f"{lab.name}-{index}"
        self.port = f"to{index}"  # the bridge's side
        self.folder = f"{lab.folder}/{index}"
        self.socket = f"{self.folder}/socket"
        os.mkdir(self.folder)
        run("ip", "netns", "add", self.name)
        lab.ip("link", "add", self.port, "type", "veth", "peer", "name", "lab0", "netns", self.name)
        lab.ip("link", "set", self.port, "master", "hub", "up")
        for words in ("link set lo up", "link set lab0 up",
                      f"address add 10.79.0.{index + 1}/24 dev lab0"):
            run("ip", "-n", self.name, *words.split())
        seed = f"seeds: [10.79.0.{index}:7400]\n" if index > 0 else ""
        with open(f"{self.folder}/node.yaml", "w", encoding="utf-8") as file:
            file.write(f"ports:\n  - spec: af_xdp:lab0\n{seed}"
                       f"cluster_key_file: {lab.folder}/key\n"
                       f"state_dir: {self.folder}/state\nsocket: {self.socket}\n"
                       f"actors:\n  - behaviour: counter\n    name: counter_{index}\n")
        self.peer = Peer(inside(self.name, PROA, "node", "--config", f"{self.folder}/node.yaml"))

    def start(self):
        self.peer.start()

    def ask(self, other, deadline=3000):
        """True: the counter of node `other` answered this one."""
        done = run(PROA, "ask", f"counter_{other}", "1", ADD, "--deadline", str(deadline), "--socket",
                   self.socket, check=False)
        return done.returncode == 0 and re.fullmatch(r"[0-9a-f]{16}\s*", done.stdout)


class Lab:
    def __init__(self, folder):
        self.folder, self.name, self.nodes = folder, f"proa-{os.getpid()}", []
        run("ip", "netns", "add", f"{self.name}-hub")
        self.ip("link", "add", "hub", "type", "bridge")
        self.ip("link", "set", "hub", "up")
        run(PROA, "keygen", f"{folder}/key")
        for index in range(NODES):
            self.nodes.append(Node(self, index))

    def ip(self, *argv):
        return run("ip", "-n", f"{self.name}-hub", *argv)

    def close(self):
        for node in self.nodes:
            if node.peer.process and node.peer.process.poll() is None:
                node.peer.end(signal.SIGKILL)
            run("ip", "netns", "del", node.name, check=False)
        run("ip", "netns", "del", f"{self.name}-hub", check=False)


def all_ask_all(lab, title):
    failed = [f"{a.index} asks {b.index}" for a in lab.nodes for b in lab.nodes
              if not within(20, lambda a=a, b=b: a.ask(b.index))]
    return verdict(title, ", ".join(failed) or None)


def kill(lab):
    killed = lab.nodes[-1]
    killed.peer.end(signal.SIGKILL)
    gone = within(10, lambda: not lab.nodes[0].ask(killed.index, 500))
    verdict("a killed node answers no more", None if gone else "it does")
    killed.start()
    killed.peer.wait_line("ready", 60)
    all_ask_all(lab, "killed and back, all ask all")


def cut(lab):
    node = lab.nodes[1]
    lab.ip("link", "set", node.port, "down")
    gone = within(10, lambda: not lab.nodes[0].ask(node.index, 500))
    verdict("a node whose link is down answers no more", None if gone else "it does")
    lab.ip("link", "set", node.port, "up")
    all_ask_all(lab, "the link is up again, all ask all")


def lose(lab):
    node = lab.nodes[-1]
    lab.ip("link", "set", "dev", node.port, "xdpgeneric", "obj", LOSS, "sec", "xdp")
    failed = sum(not lab.nodes[0].ask(node.index) for _ in range(50))
    verdict("50 asks of a node that loses a fifth of its packets",
            f"{failed} had no answer" if failed else None)
    lab.ip("link", "set", "dev", node.port, "xdpgeneric", "off")


def end(lab):
    for node in lab.nodes:
        code = node.peer.end(signal.SIGTERM)
        verdict(f"node {node.index} ends and leaves nothing",
                f"exit status {code}" if code else left(node.name))


def main():
    why = no_lab()
    if why:
        print("ok - lab # SKIP", why)
        return
    folder = tempfile.mkdtemp(prefix="proa-lab-")
    os.environ["RUNTIME_DIRECTORY"] = folder
    lab = None
    try:
        lab = Lab(folder)
        for node in lab.nodes:
            node.start()
            print("#", node.peer.wait_line("ready", 60), flush=True)
        all_ask_all(lab, f"{NODES} nodes: all find and ask all")
        kill(lab)
        cut(lab)
        lose(lab)
        end(lab)
    except Gone as gone:
        verdict("the lab", gone)
    finally:
        if lab:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status())


main()
