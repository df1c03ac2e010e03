#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cluster_bad.py CLUSTER_NODE PROA - what is wrong with a cluster's configuration gets one clear
error or event, and no storm: the packets of five seconds are counted.
"""
import re
import time

from cluster_peers import failed, main, verdict, within
from peer_lines import Gone

# Sent by one node, in a second: pings, digests, and looking for one neighbour.
QUIET = 40
FOR = 5


def refusal(node):
    """Why a node that was started does not become ready."""
    try:
        node.ready()
    except Gone as gone:
        return str(gone)
    return "it started"


def wrong_at_once(cluster, one):
    """Errors that are told at the call."""
    done = one.cli("link", "add", one.address)
    verdict("own address as neighbour: " + done.stderr.strip(),
            None if done.returncode == 1 and "own" in done.stderr else done)
    done = one.cli("link", "add", "127.0.0.1")
    verdict("an address without a port", None if done.returncode == 2 else done)
    done = one.cli("link", "add", "[fd00::9]:7400")
    verdict("an address that no port reaches: " + done.stderr.strip(),
            None if done.returncode == 1 and done.stderr.count("\n") == 1 else done)
    done = one.cli("link", "remove", "1234567812345678")
    verdict("removal of an unknown node: " + done.stderr.strip(),
            None if done.returncode == 1 and done.stderr.count("\n") == 1 else done)
    for command in ("link add nonsense", "link add 127.0.0.1:99999"):
        said = one.do(command)
        verdict(f"{command}: {said}", None if said.startswith("invalid argument: ") else "that is no refusal")
    said = one.do("join long")
    verdict("a group's name of 256 bytes: " + said, None if said.startswith("invalid") else "that is no refusal")
    said = one.do("name long")
    verdict("a name of 256 bytes: " + said, None if said.startswith("invalid") else "that is no refusal")
    done = one.cli("ls", "--group", "n" * 256)
    verdict("and on the command line", None if done.returncode == 2 else done)
    why = refusal(cluster.node("same", spec="udp:" + one.address).start())
    verdict("a second node on the same address: " + why,
            None if one.address.rsplit(":", 1)[1] in why and "in use" in why else "that is not clear")


def too_many(cluster, one):
    node = cluster.node("four", seed=one.address, published_max=4).begin()
    node.do("spawn 9 too.many")
    verdict("9 memberships where 4 are allowed: 4 are seen elsewhere", one.sees("too.many", 4))
    said = node.do("join one.more")
    verdict("and one more: " + said, None if said.startswith("limit reached") else "that is no refusal")
    verdict("an event tells it", None if node.has_said("event publish-limit .* (too.many|one.more)") else repr(node.said))
    return node


def quiet(nodes, title):
    before = [node.packets() for node in nodes]
    time.sleep(FOR)
    sent = [node.packets() - was for node, was in zip(nodes, before)]
    verdict(f"{title}: {sent} packets sent in {FOR} s by each",
            None if sent[0] > 0 and max(sent) <= QUIET * FOR * len(nodes) else "nothing, or a storm")


def bad(cluster):
    one = cluster.node("one").begin()
    two = cluster.node("two", seed=one.address).begin()
    two.do("spawn 2 group")
    own = cluster.node("own", spec="udp:127.0.0.1:7498", seed="127.0.0.1:7498").start()
    stranger = cluster.node("stranger", key=1, seed=one.address).start()  # gives up after a while
    # An unknown neighbour, twice; a known one, again; one with another key.
    other = cluster.node("other", key=1).begin()
    for address in ("127.0.0.1:9", "127.0.0.1:9", two.address, other.address):
        verdict("link add " + address, failed(one.cli("link", "add", address)))
    four = too_many(cluster, one)
    wrong_at_once(cluster, one)
    own.ready()
    quiet([one, two, four, own], "all of it at once")
    verdict("a known neighbour added again is one node",
            None if sum(address == two.address for address in one.cluster()) == 1 and
            one.cluster()[two.address][1] == "linked" else repr(one.cluster()))
    for address in ("127.0.0.1:9", other.address):
        verdict(f"the neighbour {address} does not answer: an event says so",
                None if one.has_said(f"event neighbour-silent .* {address}", 15) else repr(one.said))
    one.said += one.pending()
    silent = [line for line in one.said if "neighbour-silent" in line]
    verdict("once for each", None if len(silent) == 2 else repr(silent))
    verdict("own address as seed: an event says so, and nothing else is wrong",
            None if re.search(f" registry-refused {own.id} .*own address", own.cli("events").stdout) and
            not own.cluster() else (own.cli("events").stdout, own.cluster()))
    why = refusal(stranger)
    verdict("a seed of another key: " + why, None if "no answer from any seed" in why else "that is not clear")
    verdict("nobody of another key was linked",
            None if within(1, lambda: one.cluster().get(other.address, ["", "calling"])[1] == "calling")
            and not other.cluster() else (one.cluster(), other.cluster()))
    verdict("and the good ones serve", one.sees("group", 2))


main([bad])
