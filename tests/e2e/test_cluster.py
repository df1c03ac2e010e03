#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cluster.py CLUSTER_NODE PROA - linked registries of several processes, in good order.

The article's test: workers on two nodes that know one address, a balancer, and a third node that
knows only the second.  Then what is spread at start and in life, what goes at an actor's stop and at
a node's leave, and the command line's view of it all.
"""
import re
import time

from cluster_peers import failed, main, verdict, within

TYPE = "type:cluster.worker"


def balance(node, count):
    """Answered, distinct workers, answers of the node's own, milliseconds."""
    answered, workers, local, ns = map(int, node.do(f"balance {count}").split())
    return answered, workers, local, ns / 1e6


def article(cluster):
    one = cluster.node("one").begin()
    one.do("spawn 3")
    two = cluster.node("two", seed=one.address).begin()
    two.do("spawn 3")
    verdict("a node with one neighbour sees the workers of both", two.sees(TYPE, 6))
    answered, workers, local, ms = balance(two, 30)
    verdict(f"30 messages: {workers} workers answer, {local} answers are local, {answered - local} "
            f"remote; {ms:.2f} ms (the article: 6031 ms)",
            None if answered == 30 and workers > 3 and 0 < local < 30 else "that is not all")
    three = cluster.node("three", seed=two.address).begin()
    three.do("spawn 3")
    verdict("a third node, which knows only the second, sees all workers", three.sees(TYPE, 9))
    answered, workers, local, ms = balance(three, 30)
    verdict(f"and uses {workers} of them; {ms:.2f} ms",
            None if answered == 30 and workers == 9 else f"{answered} answers")
    for node in (one, two):
        verdict(f"node {node.name} sees the third one's, too", node.sees(TYPE, 9))
    command_line(cluster.nodes)
    life(cluster.nodes)
    links(cluster.nodes)
    leave(cluster.nodes)


def command_line(nodes):
    one, _, three = nodes
    # A digest of each neighbour's must have come, which the third one's may not have yet.
    within(10, lambda: ": complete," in one.cli("cluster").stdout)
    said = one.cli("cluster").stdout
    head = rf"node {one.id} at {one.address}: complete, 2 of 2 other nodes linked; publishes 0 names, 3 memberships"
    row = rf"{three.id} linked +0 +3 +[1-9][0-9]* +[0-9.]+[um]s +{three.address}"
    verdict("cluster: the node and the others",
            None if re.match(head + "\n", said) and re.search(f"^{row}$", said, re.M) else repr(said))
    said = one.cli("ls", "--groups").stdout
    verdict("ls --groups", None if re.search(rf"^ +9 +[0-9]+  {TYPE}$", said, re.M) else repr(said))
    said = one.cli("ls", "--group", TYPE).stdout
    own = re.findall(rf"^{one.id}/0\.\d+/[0-9a-f]{{8}} +found +\d+  ", said, re.M)
    remote = re.findall(rf"^{three.id}/0\.\d+/[0-9a-f]{{8}} +found +\d+  ", said, re.M)
    verdict("ls --group: members of this node and of others",
            None if len(own) == len(remote) == 3 and len(said.splitlines()) == 10 else repr(said))
    done = one.cli("ls", "--group", "nobody")
    verdict("ls --group of none", None if done.returncode == 1 and done.stderr == "proa: ls: no members\n"
            else (done.returncode, done.stderr))


def life(nodes):
    one, two, three = nodes
    two.do("spawn 2 late")
    verdict("who joins later is seen everywhere",
            one.sees("late", 2) or three.sees("late", 2))
    hostile = "%41\x1b[2J"  # a name that would move the cursor
    two.do(f"join {hostile}")
    verdict("a hostile group's name", one.sees(hostile, 1))
    said = one.cli("ls", "--groups").stdout
    verdict("and how it is printed", None if "  %2541%1b[2J\n" in said and "\x1b" not in said else repr(said))
    said = one.cli("ls", "--group", hostile).stdout
    verdict("and asked for", None if two.id in said else repr(said))
    three.do("spawn 2 late")
    three.do("stop 3")  # its published ones
    verdict("an actor's stop ends its membership everywhere",
            one.sees(TYPE, 6) or two.sees(TYPE, 6) or three.sees(TYPE, 6))
    three.do("part 2 late")
    verdict("so does leaving a group", one.sees("late", 2) or two.sees("late", 2))
    done = one.do("name cluster.name")
    verdict("a name is won", None if done.startswith("ok, ") else done)
    verdict("and known elsewhere",
            None if within(5, lambda: three.do("who cluster.name") == f"ok, {one.id}")
            else repr(three.do("who cluster.name")))


def links(nodes):
    one, two, three = nodes
    verdict("link remove, by its address", failed(one.cli("link", "remove", two.address)))
    verdict("and its workers are gone here, and ours there",
            one.sees(TYPE, 3) or two.sees(TYPE, 3))
    verdict("and the others go on", three.sees(TYPE, 6))
    verdict("both say so", None if within(5, lambda: one.cluster()[two.address][1] == "cut" and
                                          two.cluster()[one.address][1] == "cut") else repr(one.cluster()))
    time.sleep(1.5)  # a digest of each side, at the least
    verdict("and it stays so", one.sees(TYPE, 3, 0) or two.sees(TYPE, 3, 0))
    verdict("link add", failed(one.cli("link", "add", two.address)))
    verdict("and all is as before", one.sees(TYPE, 6) or two.sees(TYPE, 6))
    verdict("link remove, by its id", failed(one.cli("link", "remove", two.id)) or one.sees(TYPE, 3))
    verdict("link add on the other side", failed(two.cli("link", "add", one.address)))
    time.sleep(1.5)
    verdict("does not take it back", one.sees(TYPE, 3, 0) or two.sees(TYPE, 3, 0))
    verdict("on this side it does",
            failed(one.cli("link", "add", two.address)) or one.sees(TYPE, 6) or two.sees(TYPE, 6))


def leave(nodes):
    one, two, three = nodes
    two.do("leave")
    verdict("a node leaves in order", f"status {two.process.returncode}" if two.process.wait(10) else None)
    verdict("and its workers with it", one.sees(TYPE, 3, 3) or three.sees(TYPE, 3, 3))
    answered, workers, local, _ = balance(three, 30)
    verdict("the rest goes on", None if answered == 30 and workers == 3 and local == 0
            else (answered, workers, local))


main([article])
