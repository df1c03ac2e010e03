#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_af_xdp_sources.py PROA - `deny` and `source_rate` of an af_xdp port, on a running node.

What is denied or too much is dropped by the XDP program and counted, no lane sees it, the kernel's own
traffic with the same sources goes on, and so do asks of another node.  Needs root.
"""
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

from frames import Wire, ZEROS, ether, ipv4, udp, v4
from lab_net import Pair, enter, left, pings, run, status, telemetry, verdict, within
from peer_lines import Gone, Peer, no_lab

PROA = os.path.abspath(sys.argv[1])
DENIED, NETWORK, LOUD = "10.78.0.66", "10.66.1.2", "10.78.0.67"
RATE, BURST = 2000, 200  # of a rate: 100 ms
SENT = 1000
ADD = "0100000000000000"  # to a counter, 1


class Node:
    def __init__(self, lab, folder, side, more, name=None):
        self.lab, self.side, self.home = lab, side, f"{folder}/{name or 'ab'[side]}"
        os.mkdir(self.home)
        with open(f"{self.home}/node.yaml", "w", encoding="utf-8") as file:
            file.write(f"ports:\n  - spec: af_xdp:lab0\n    address: {lab.v4(side)}/24\n{more}"
                       f"cluster_key_file: {folder}/key\n"
                       f"state_dir: {self.home}/state\nsocket: {self.home}/socket\n"
                       f"actors:\n  - {{behaviour: counter, name: counter_{side}}}\n")
        self.peer = Peer(["env", f"RUNTIME_DIRECTORY={self.home}"] + lab.inside(
            side, PROA, "node", "--config", f"{self.home}/node.yaml"))

    def start(self):
        self.peer.start()
        self.peer.wait_line("ready", 60)

    def asks(self, side):
        """True: the other's counter answered."""
        done = run(PROA, "ask", f"counter_{side}", "1", ADD, "--socket", f"{self.home}/socket",
                   check=False)
        return done.returncode == 0 and re.fullmatch(r"[0-9a-f]{16}\s*", done.stdout)

    def port(self):
        return telemetry(self.home, "/proa/ports")["port_0"]

    def drops(self):
        return telemetry(self.home, "/proa/drops")

    def close(self):
        if self.peer.process:
            self.peer.end(signal.SIGKILL)


def datagram(lab, source):
    """Good as far as a port can see; nothing that any node would have sent."""
    me, other = v4(lab.v4(0)), v4(source)
    return ether(lab.mac(0), "02:00:00:00:00:66", 0x0800,
                 ipv4(other, me, udp(other, me, ZEROS + bytes(range(1, 101)))))


def denied(lab, wire, a, b):
    before = a.port()
    for source in (DENIED, NETWORK):
        wire.send(datagram(lab, source), SENT)
    within(10, lambda: a.port()["denied"] >= 2 * SENT)
    after = a.port()
    verdict("denied datagrams are counted, each", None if after["denied"] == 2 * SENT else after)
    verdict("and in /proa/drops", None if a.drops()["port_denied"] == 2 * SENT else a.drops())
    verdict("and in the port's state", None if f"denied {2 * SENT}," in after["state"] else after["state"])
    heard = after["rx"] - before["rx"]
    verdict("no lane has seen them", f"{heard} packets" if heard >= SENT else None)
    lab.ip(1, "address", "add", f"{DENIED}/24", "dev", "lab0")
    lost = pings(lab, 1, lab.v4(0), 20, DENIED)
    verdict("the kernel answers pings of a denied address", f"{lost} unanswered" if lost else None)
    verdict("the other node's asks go on", None if b.asks(0) and a.asks(1) else "no answer")


def at_run_time(lab, wire, a, b):
    """proa deny and allow."""
    def order(verb, network, node=a):
        done = run(PROA, verb, network, "--socket", f"{node.home}/socket", check=False)
        return done.returncode, done.stderr.strip()

    before = a.port()["denied"]
    said = order("deny", "10.78.0.64/26")
    verdict("proa deny", None if said == (0, "") else said)
    wire.send(datagram(lab, LOUD), SENT)
    within(10, lambda: a.port()["denied"] >= before + SENT)
    moved = a.port()["denied"] - before
    verdict("... drops them all", None if moved == SENT else f"{moved} dropped")
    said = [order("allow", "10.78.0.65"), order("allow", "10.78.0.64/26"), order("allow", DENIED)]
    wanted = [(1, "proa: allow: it is not denied"), (0, ""), (0, "")]
    verdict("proa allow", None if said == wanted else said)
    wire.send(datagram(lab, DENIED), BURST // 2)
    verdict("... lets them through", None if stays(a, "denied") and a.port()["denied"] == before + SENT
            else a.port())
    order("deny", lab.v4(1))
    gone = within(20, lambda: not a.asks(1))
    verdict("a denied node is out of reach", None if gone else "it still answers")
    order("allow", lab.v4(1))
    verdict("and back when it is allowed", None if within(60, lambda: a.asks(1) and b.asks(0))
            else "it is not")


def two_ports(lab, folder, nodes):
    """One port takes no more: that is said, though the other has done it."""
    lab.ip(0, "link", "add", "two0", "type", "veth", "peer", "name", "two1")
    for interface in ("two0", "two1"):
        lab.ip(0, "link", "set", interface, "up")
    lab.ip(0, "address", "add", "10.79.0.1/24", "dev", "two0")
    full = ", ".join(f"10.66.{i}.0/24" for i in range(64))
    node = Node(lab, folder, 0, f"  - spec: af_xdp:two0\n    address: 10.79.0.1/24\n    deny: [{full}]\n", "two")
    nodes.append(node)
    node.start()
    said = []
    for verb, network in [("deny", f"10.68.{i}.0/24") for i in range(192)] + \
            [("deny", "10.67.0.0/16"), ("allow", "10.67.0.0/16"), ("allow", "10.66.1.0/24"), ("deny", "10.67.0.0/16")]:
        done = run(PROA, verb, network, "--socket", f"{node.home}/socket", check=False)
        said.append((done.returncode, done.stderr.strip()))
    said = [line for line in said[:192] if line != (0, "")] + said[192:]
    wanted = [(1, "proa: deny: port 1: 256 are denied already; allow one of them"), (0, ""), (0, ""), (0, "")]
    verdict("two ports: the one that refuses is named", None if said == wanted else said)
    verdict("two ports: it ends", node.peer.end(signal.SIGTERM) or None)


def stays(node, counter):
    """All that was sent has arrived: the counter moves no more."""
    before = node.port()[counter]
    time.sleep(0.2)
    return node.port()[counter] == before


def limited(lab, wire, a, b):
    began = time.monotonic()
    wire.send(datagram(lab, LOUD), 20 * SENT)
    within(10, lambda: stays(a, "over_rate"))
    after, seconds = a.port(), time.monotonic() - began
    over, passed = after["over_rate"], 20 * SENT - after["over_rate"]
    verdict("what one source sends over its rate is dropped", None if over > 0 else after)
    most = BURST + RATE * (seconds + 0.01)  # the program's clock is a tick behind
    verdict("as much as its rate is not", f"{passed} passed in {seconds} s"
            if not BURST <= passed <= most else None)
    verdict("and in /proa/drops", None if a.drops()["port_over_rate"] == over else a.drops())
    verdict("another source is not limited by it", None if b.asks(0) and a.asks(1) else "no answer")


def main():
    why = no_lab()
    if why:
        print("ok - af_xdp sources # SKIP", why)
        return
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    lab, nodes, wires = None, [], []
    try:
        lab = Pair()
        run(PROA, "keygen", f"{folder}/key")
        a = Node(lab, folder, 0, f"    deny: [{DENIED}, 10.66.0.0/16, 'fd66::/16']\n"
                                 f"    source_rate: {RATE}\n")
        b = Node(lab, folder, 1, f"seeds: ['{lab.v4(0)}:7400']\n")
        nodes = [a, b]
        for node in nodes:
            node.start()
        verdict("two nodes find each other", None if within(20, lambda: b.asks(0) and a.asks(1))
                else "they do not")
        thread = threading.Thread(target=lambda: (enter(lab.spaces[1]), wires.append(Wire("lab0"))))
        thread.start()
        thread.join()
        denied(lab, wires[0], a, b)
        limited(lab, wires[0], a, b)
        at_run_time(lab, wires[0], a, b)
        for node in nodes:
            code = node.peer.end(signal.SIGTERM)
            verdict(f"node {node.side} ends and leaves nothing",
                    f"exit status {code}" if code else left(lab.spaces[node.side]))
        two_ports(lab, folder, nodes)
    except Gone as gone:
        verdict("the conversation", gone)
    finally:
        for wire in wires:
            wire.close()
        for node in nodes:
            node.close()
        if lab:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status())


main()
