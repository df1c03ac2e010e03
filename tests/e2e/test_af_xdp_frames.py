#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_af_xdp_frames.py PEER - bad frames from the neighbour's wire, while two nodes talk.

Each kind is sent many times into a running node.  One counter moves by as many, and no other reason
for drops does; no ask of the two nodes fails; the kernel goes on answering pings, ARP and TCP.
Needs root.
"""
import json
import os
import shutil
import signal
import sys
import tempfile
import threading

from frames import (ICMP6, TCP, UDP, Wire, ZEROS, arp, ether, ipv4, ipv6, neighbour_advertisement, udp,
                    v4, v6)
from lab_net import PORT, Pair, enter, kernel_tcp, pings, status, telemetry, verdict, within
from peer_lines import Gone, Peer, no_lab

TIMES = 50
FORGED = "02:00:00:00:00:77"
STRANGER = {4: "10.78.0.99", 6: "fd78::99"}  # nobody has asked for it
GARBAGE = bytes(range(1, 101))


class Talk:
    """Node a on side 0 and node b on side 1, which ask each other all the time."""

    def __init__(self, lab, folder, program, family):
        self.lab, self.family, self.peers = lab, family, []
        self.self_text, self.other_text = (lab.v4(0), lab.v4(1)) if family == 4 else (lab.v6(0), lab.v6(1))
        for side, role in enumerate("ab"):
            text = (self.self_text, self.other_text)
            seed = text[1 - side] if family == 4 else f"[{text[1 - side]}]"
            home = f"{folder}/{family}{role}"
            os.mkdir(home)
            self.peers.append(Peer(["env", f"RUNTIME_DIRECTORY={home}"] + lab.inside(
                side, program, role, "af_xdp:lab0", text[side] + ("/24" if family == 4 else "/64"),
                f"{seed}:{PORT}", f"{home}/state")))
        self.home = f"{folder}/{family}a"

    def start(self):
        for peer in self.peers:
            peer.start()
        for peer in self.peers:
            peer.wait_line("talks", 60)

    def counters(self):
        """All that node a counts of what came in: how its program took it, and what was dropped."""
        port = telemetry(self.home, "/proa/ports")["port_0"]
        drops = telemetry(self.home, "/proa/drops")
        return {**{f"xdp_{k}": v for k, v in port.items() if isinstance(v, int)}, **drops}

    def asks(self):
        return telemetry(self.home, "/proa/actors")["asks"]

    def goes_on(self, title):
        """It does, and nothing of it was lost so far."""
        before = self.asks()
        moves = within(30, lambda: self.asks() > before + 100)
        said = [line for peer in self.peers for line in peer.pending()]
        verdict(f"ipv{self.family}: {title}: no ask was lost",
                ", ".join(said) or (None if moves else "no more asks"))

    def end(self):
        for peer in self.peers:
            if peer.process:
                peer.end(signal.SIGTERM)


def frames_v4(to, source, self_text, other_text):
    """Name, counter, frame.  From a third host, unless the name says otherwise."""
    me, third, peer = v4(self_text), v4("10.78.0.77"), v4(other_text)
    link = ZEROS + GARBAGE
    good = udp(third, me, link)

    def ip(rest=good, sender=third, target=me, **how):
        return ether(to, source, 0x0800, ipv4(sender, target, rest, **how))

    def datagram(payload=link, sender=third, **how):
        return ip(udp(sender, me, payload, **how), sender)

    return [
        ("first fragment", "xdp_fragment", ip(fragment=0x2000)),
        ("later fragment", "xdp_fragment", ip(fragment=0x0010)),
        ("options", "xdp_options", ip(options=b"\1\1\1\0")),
        ("all the options there can be", "xdp_options", ip(options=b"\1" * 39 + b"\0")),
        ("header shorter than a header", "xdp_options", ip(first=0x44)),
        ("another version", "xdp_options", ip(first=0x65)),
        ("VLAN tag", "xdp_not_ip", ether(to, source, 0x8100, b"\0\5\x08\0" + ip()[14:])),
        ("two VLAN tags", "xdp_not_ip", ether(to, source, 0x88a8, b"\0\6\x81\0\0\5\x08\0" + ip()[14:])),
        ("unknown ethertype", "xdp_not_ip", ether(to, source, 0x88b5, GARBAGE)),
        ("cut in the IP header", "xdp_not_ip", ip()[:14 + 19]),
        ("cut in the UDP header", "xdp_not_udp", ip()[:14 + 20 + 7]),
        ("cut in the payload", "port_length", ip()[:-1]),
        ("IP length beyond the frame", "port_length", ip(length=20 + len(good) + 1)),
        ("IP length within its header", "port_length", ip(length=19)),
        ("no room for UDP", "port_short", ip(length=27)),
        ("UDP length too long", "port_length", datagram(length=8 + len(link) + 1)),
        ("UDP length too short", "port_length", datagram(length=8 + len(link) - 1)),
        ("bad IP checksum", "port_checksum", ip(bad_sum=True)),
        ("bad UDP checksum", "port_checksum", datagram(checksum="bad")),
        ("no payload", "port_short", datagram(b"")),
        ("a lead and nothing", "port_short", datagram(ZEROS)),
        ("wrong lead", "port_lead", datagram(b"\0\0\0\0\0\1" + GARBAGE)),
        ("no lead", "port_lead", datagram(GARBAGE)),
        ("from port 0", "port_udp_port", datagram(sport=0)),
        ("from nobody", "port_address", datagram(sender=v4("0.0.0.0"))),
        ("from a multicast address", "port_address", datagram(sender=v4("224.0.0.1"))),
        ("from everybody", "port_address", datagram(sender=v4("255.255.255.255"))),
        ("for another port", "xdp_elsewhere", datagram(dport=PORT + 1)),
        ("for another address", "xdp_elsewhere", ip(target=v4("10.78.0.9"))),
        ("for all", "xdp_elsewhere", ip(target=v4("10.78.0.255"))),
        ("TCP to the node's port", "xdp_not_udp", ip(protocol=TCP)),
        ("garbage where a packet should be", "lanes", datagram()),
        ("garbage in the peer's name", "lanes", datagram(sender=peer)),
        ("garbage that begins as KRPC", "control", datagram(b"d" + GARBAGE)),
        ("with a partial UDP checksum", "lanes", datagram(checksum="partial")),
        ("without UDP checksum", "lanes", datagram(checksum="zero")),
    ]


def frames_v6(to, source, self_text, other_text):
    me, third, peer = v6(self_text), v6("fd78::77"), v6(other_text)
    link = ZEROS[:2] + GARBAGE
    good = udp(third, me, link)

    def ip(rest=good, sender=third, target=me, **how):
        return ether(to, source, 0x86dd, ipv6(sender, target, rest, **how))

    def datagram(payload=link, sender=third, **how):
        return ip(udp(sender, me, payload, **how), sender)

    def extended(kind):
        return ip(bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + good, following=kind)

    return [
        ("fragment", "xdp_fragment", ip(bytes([UDP, 0, 0, 1, 0, 0, 0, 1]) + good, following=44)),
        ("hop-by-hop options", "xdp_not_udp", extended(0)),
        ("routing header", "xdp_not_udp", extended(43)),
        ("destination options", "xdp_not_udp", extended(60)),
        ("authentication header", "xdp_not_udp", extended(51)),
        ("VLAN tag", "xdp_not_ip", ether(to, source, 0x8100, b"\0\5\x86\xdd" + ip()[14:])),
        ("cut in the IP header", "xdp_not_ip", ip()[:14 + 39]),
        ("cut in the UDP header", "xdp_not_udp", ip()[:14 + 40 + 7]),
        ("another version", "port_ethertype", ip(first=0x40)),
        ("IP length beyond the frame", "port_length", ip(length=len(good) + 1)),
        ("no room for UDP", "port_short", ip(length=7)),
        ("UDP length too long", "port_length", datagram(length=8 + len(link) + 1)),
        ("bad UDP checksum", "port_checksum", datagram(checksum="bad")),
        ("no payload", "port_short", datagram(b"")),
        ("wrong lead", "port_lead", datagram(b"\0\1" + GARBAGE)),
        ("from port 0", "port_udp_port", datagram(sport=0)),
        ("from nobody", "port_address", datagram(sender=bytes(16))),
        ("from a multicast address", "port_address", datagram(sender=v6("ff02::1"))),
        ("from an IPv4 address", "port_address", datagram(sender=v6("::ffff:10.78.0.77"))),
        ("for another port", "xdp_elsewhere", datagram(dport=PORT + 1)),
        ("for this node's IPv4 address", "xdp_elsewhere", ip(target=v6("::ffff:10.78.0.1"))),
        ("an ICMP message of nonsense", "xdp_not_udp", ip(GARBAGE, following=ICMP6)),
        ("garbage where a packet should be", "lanes", datagram()),
        ("garbage in the peer's name", "lanes", datagram(sender=peer)),
        ("with a partial UDP checksum", "lanes", datagram(checksum="partial")),
    ]


def grown(before, after):
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def reached(before, after, counter):
    """By how much what the frames are about has grown."""
    if counter in ("lanes", "control"):  # inside: which one depends on what the garbage looks like
        return sum(n for name, n in grown(before, after).items()
                   if name.startswith(("lane_", "control_", "dht_")))
    return after[counter] - before[counter]


def surprises(before, after, counter):
    """Reasons for drops that have moved and should not."""
    mine = ("lane_", "control_", "dht_") if counter in ("lanes", "control") else ()
    return [f"{name} +{n}" for name, n in grown(before, after).items()
            if name != counter and not name.startswith("xdp_") and not name.startswith(mine)
            and name != "port_ring_full"]


def send_each(talk, wire, frames):
    for name, counter, frame in frames:
        before = talk.counters()
        wire.send(frame, TIMES)
        arrived = within(10, lambda b=before, c=counter: reached(b, talk.counters(), c) >= TIMES)
        after = talk.counters()
        why = None if arrived else f"{counter} has grown by {reached(before, after, counter)}: " \
                                   f"{grown(before, after)}"
        verdict(f"ipv{talk.family}: {name}: {counter}", why or ", ".join(surprises(before, after, counter)))


def spoof(talk, wire, lab):
    """Forged answers of ARP and neighbour discovery: for an unknown host, for the node itself, and for
    its peer where the administrator has fixed the entry."""
    to, peer_mac = lab.mac(0), lab.mac(1)
    if talk.family == 4:
        me, peer, third = v4(lab.v4(0)), v4(lab.v4(1)), v4(STRANGER[4])
        forged = [ether(to, FORGED, 0x0806, arp(op, FORGED, who, to, me))
                  for who in (third, peer) for op in (1, 2)]
        forged.append(ether("ff:ff:ff:ff:ff:ff", FORGED, 0x0806,
                            arp(2, FORGED, peer, "ff:ff:ff:ff:ff:ff", peer)))
        forged = forged[1:]  # a question of the third host is one that may be asked
        counter, text = "xdp_not_ip", lab.v4(1)
    else:
        me, peer, third = v6(lab.v6(0)), v6(lab.v6(1)), v6(STRANGER[6])
        forged = [ether(to, FORGED, 0x86dd, neighbour_advertisement(who, me, who, FORGED))
                  for who in (third, peer)]
        counter, text = "xdp_not_udp", lab.v6(1)
    lab.ip(0, "neigh", "replace", text, "lladdr", peer_mac, "dev", "lab0", "nud", "permanent")
    before = talk.counters()
    for frame in forged:
        wire.send(frame, TIMES)
    wanted = TIMES * len(forged)
    within(10, lambda: reached(before, talk.counters(), counter) >= wanted)
    after = talk.counters()
    known = {entry["dst"]: entry.get("lladdr") for entry in json.loads(lab.ip(0, "-j", "neigh", "show"))}
    lab.ip(0, "neigh", "change", text, "lladdr", peer_mac, "dev", "lab0", "nud", "reachable")
    verdict(f"ipv{talk.family}: forged neighbours are counted, and nothing else",
            ", ".join(surprises(before, after, counter)) if reached(before, after, counter) >= wanted
            else f"{grown(before, after)}")
    verdict(f"ipv{talk.family}: forged neighbours are not believed",
            None if known.get(text) == peer_mac and not known.get(STRANGER[talk.family]) else known)


def kernels(talk, lab, title):
    """What is the kernel's: ping, its own address resolution, TCP."""
    lab.ip(1, "neigh", "flush", "dev", "lab0")
    lost = pings(lab, 1, talk.self_text, 100)
    verdict(f"ipv{talk.family}: {title}: ARP or ND, and 100 pings", f"{lost} unanswered" if lost else None)
    verdict(f"ipv{talk.family}: {title}: TCP of the kernels",
            None if kernel_tcp(lab, talk.family) == [b"hello"] else "it does not go through")


def one_family(lab, folder, program, family):
    talk = Talk(lab, folder, program, family)
    wires = []
    try:
        talk.start()
        kernels(talk, lab, "under load")
        thread = threading.Thread(target=lambda: (enter(lab.spaces[1]), wires.append(Wire("lab0"))))
        thread.start()
        thread.join()
        make = frames_v4 if family == 4 else frames_v6
        send_each(talk, wires[0], make(lab.mac(0), FORGED, talk.self_text, talk.other_text))
        talk.goes_on("after bad frames")
        spoof(talk, wires[0], lab)
        talk.goes_on("after forged neighbours")
        kernels(talk, lab, "after all that")
    finally:
        for wire in wires:
            wire.close()
        talk.end()


def main():
    why = no_lab()
    if why:
        print("ok - af_xdp frames # SKIP", why)
        return
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    lab = None
    try:
        lab = Pair()
        for family in (4, 6):
            one_family(lab, folder, sys.argv[1], family)
    except Gone as gone:
        verdict("the conversation", gone)
    finally:
        if lab:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status())


main()
