#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_af_xdp.py PEER - two nodes on AF_XDP, in network namespaces of their own joined by veth.

They talk over IPv4, IPv6 and, by the kernel's generic path, over a bridge; one is killed and comes
back; two lanes keep their packets; the interface's MTU is followed; the kernel's own traffic on the
same interface goes on; nothing is left afterwards, neither on the interface nor in the kernel.  Needs
root.
"""
import os
import shutil
import signal
import sys
import tempfile

from lab_net import (PORT, Pair, exists, kernel_tcp, left, maps_of, pings, programs, settles, status,
                     telemetry, verdict, within)
from peer_lines import Gone, Peer, no_lab

LOST_NS = 10


class Talk:
    """A node on each side of a pair."""

    def __init__(self, lab, folder, program, title, addresses, specs, *options):
        self.lab, self.title, self.addresses = lab, title, addresses
        self.sides, self.folders = [], []
        for i, role in enumerate("ab"):
            own = f"{folder}/{title.replace(' ', '-')}-{role}"
            self.folders.append(f"{own}-run")
            os.makedirs(f"{own}-run")
            seed = addresses[1 - i]
            seed = f"[{seed}]:{PORT}" if ":" in seed else f"{seed}:{PORT}"
            prefix = "/64" if ":" in addresses[i] else "/24"
            self.sides.append(Peer(["env", f"RUNTIME_DIRECTORY={own}-run"] + lab.inside(
                i, program, role, specs[i], addresses[i] + prefix, seed, own, *options)))

    def say(self, what, why=None):
        return verdict(f"{self.title}: {what}", why)

    def start(self):
        for peer in self.sides:
            peer.start()
        for peer in self.sides:
            peer.wait_line("talks", 60)
        self.say("two nodes talk")

    def kernels(self):
        lost = pings(self.lab, 1, self.addresses[0], 20)
        self.say("the kernel answers pings", f"{lost} unanswered" if lost else None)
        tcp = kernel_tcp(self.lab, 6 if ":" in self.addresses[0] else 4)
        self.say("the kernels' own TCP goes on", None if tcp == [b"hello"] else "it does not")

    def objects(self, side):
        """The program of a node, and its maps: what may not outlive it."""
        (program,) = programs(self.lab.spaces[side])
        return [("prog", program["id"])] + [("map", i) for i in maps_of(program["id"])]

    def gone(self, side, objects, after):
        self.say(f"{after} leaves nothing on its interface", left(self.lab.spaces[side]))
        within(20, lambda: not any(exists(*o) for o in objects))  # the kernel frees them later
        self.say(f"{after} leaves nothing in the kernel",
                 ", ".join(f"{kind} {number}" for kind, number in objects if exists(kind, number)))

    def kill(self):
        objects = self.objects(1)
        self.sides[1].end(signal.SIGKILL)
        self.sides[0].wait_line("lost", LOST_NS)
        within(10, lambda: not left(self.lab.spaces[1]))  # its link ends a moment after it
        self.gone(1, objects, "a killed node")
        self.sides[1].start()
        for peer in self.sides:
            peer.wait_line("talks", 60)
        self.say("killed and back, they talk again")

    def end(self):
        for i, peer in enumerate(self.sides):
            objects = self.objects(i)
            code = peer.end(signal.SIGTERM)
            self.say(f"node {'ab'[i]} ends", f"exit status {code}" if code else None)
            self.gone(i, objects, f"node {'ab'[i]}")

    def close(self):
        for peer in self.sides:
            if peer.process:
                peer.end(signal.SIGKILL)


def over_veth(lab, folder, program, title, addresses):
    talk = Talk(lab, folder, program, title, addresses, ["af_xdp:lab0"] * 2)
    try:
        talk.start()
        modes = [lab.ip(side, "-details", "link", "show", "lab0") for side in range(2)]
        talk.say("a program in the driver of each",
                 None if all("prog/xdp" in m and "xdpgeneric" not in m for m in modes) else modes)
        talk.kernels()
        talk.kill()
        talk.end()
    except Gone as gone:
        talk.say("the conversation goes on", gone)
    finally:
        talk.close()


def two_lanes(lab, folder, program):
    """Packets stay on their lanes; and a smaller MTU is followed while the node runs."""
    talk = Talk(lab, folder, program, "two lanes", [lab.v4(0), lab.v4(1)], ["af_xdp:lab0"] * 2, "lanes=2")
    try:
        talk.start()
        settles(talk.title, talk.folders)

        def largest():
            return [telemetry(f, "/proa/ports")["port_0"]["payload_max"] for f in talk.folders]

        before = largest()
        for mtu, cut in ((1400, 100), (1500, 0)):
            for side in range(2):
                lab.ip(side, "link", "set", "lab0", "mtu", str(mtu))
            talk.say(f"an MTU of {mtu} is followed", None if within(
                10, lambda: largest() == [most - cut for most in before]) else largest())
        talk.kernels()
        talk.end()
    except Gone as gone:
        talk.say("the conversation goes on", gone)
    finally:
        talk.close()


def over_bridge(lab, folder, program):
    """Side a has its addresses on a bridge, whose driver knows no XDP."""
    lab.ip(0, "address", "flush", "dev", "lab0")
    lab.ip(0, "link", "add", "bridge0", "type", "bridge")
    lab.ip(0, "link", "set", "lab0", "master", "bridge0")
    lab.ip(0, "link", "set", "bridge0", "up")
    lab.address(0, "bridge0")
    talk = Talk(lab, folder, program, "generic on a bridge", [lab.v4(0), lab.v4(1)],
                ["af_xdp:bridge0,generic", "af_xdp:lab0"])
    try:
        talk.start()
        mode = lab.ip(0, "-details", "link", "show", "bridge0")
        talk.say("a program on the kernel's generic path", None if "xdpgeneric" in mode else mode)
        talk.kernels()
        talk.end()
    except Gone as gone:
        talk.say("the conversation goes on", gone)
    finally:
        talk.close()


def main():
    why = no_lab()
    if why:
        print("ok - af_xdp # SKIP", why)
        return
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    os.environ["RUNTIME_DIRECTORY"] = folder
    lab = None
    try:
        lab = Pair()
        over_veth(lab, folder, sys.argv[1], "ipv4", [lab.v4(0), lab.v4(1)])
        over_veth(lab, folder, sys.argv[1], "ipv6", [lab.v6(0), lab.v6(1)])
        two_lanes(lab, folder, sys.argv[1])
        over_bridge(lab, folder, sys.argv[1])
    except Gone as gone:
        verdict("the lab", gone)
    finally:
        if lab:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status())


main()
