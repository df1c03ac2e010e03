#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cluster_kill.py CLUSTER_NODE PROA - kill -9 of a node with 1,000 workers that two others ask.

Its workers go everywhere, every ask in flight has an outcome, none is sent to it afterwards, and the
rest goes on.  How long it took is printed, not judged: that depends on what else the machine does.
"""
import signal
import time

from cluster_peers import main, verdict, within

WORKERS = 1000
GROUP = "workers"


def gone_after(node, since, total):
    """Milliseconds until the node sees so many members; None: never."""
    if not within(10, lambda: node.count(GROUP)[0] == total, 0.005):
        return None
    return (time.monotonic() - since) * 1000


def kill(cluster):
    one = cluster.node("one").begin()
    others = [cluster.node(name, seed=one.address).begin() for name in ("two", "three")]
    one.do(f"spawn {WORKERS} {GROUP}")
    for node in others:
        node.do(f"spawn 3 {GROUP}")
    for node in cluster.nodes:
        verdict(f"{node.name} sees all {WORKERS + 6} workers", node.sees(GROUP, WORKERS + 6))
    for node in others:
        node.do("load " + GROUP)
    time.sleep(1)
    since = time.monotonic()
    one.end(signal.SIGKILL)
    for node in others:
        took = gone_after(node, since, 6)
        verdict(f"killed: {node.name} sees its workers gone after {took or 0:.0f} ms",
                None if took else "never")
        node.do("mark " + one.id)
    time.sleep(1)
    for node in others:
        sent, good, other, marked = map(int, node.do("rest").split())
        verdict(f"{node.name}: {sent} asks, each with an outcome: {good} answered, {other} not",
                None if sent == good + other and good > WORKERS else "that is not all")
        verdict(f"{node.name}: none went to the dead node afterwards", f"{marked} did" if marked else None)
        done = node.cli("ls", "--group", GROUP).stdout
        verdict(f"{node.name}: ls --group has none of it", done if one.id in done else None)
        verdict(f"{node.name}: an event tells it",
                None if node.has_said(f"event registry-unlinked {one.id}") else "none")
    others[0].do("load " + GROUP)
    time.sleep(0.3)
    sent, good, other, _ = map(int, others[0].do("rest").split())
    verdict(f"the rest goes on: {good} of {sent} asks answered", None if good == sent > 0 else f"{other} not")
    back = cluster.node("back", seed=others[1].address).begin()
    back.do(f"spawn {WORKERS} {GROUP}")
    for node in cluster.nodes[1:]:
        verdict(f"with another node as large, {node.name} sees all", node.sees(GROUP, WORKERS + 6))


main([kill])
