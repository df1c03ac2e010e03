#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_ethdev.py PEER - a node on DPDK devices of its own, against the kernel's network stack.

In one network namespace a node has an interface by net_af_packet or net_tap and answers ARP,
neighbour discovery and ping by itself; in another a node uses the kernel's UDP sockets.  They talk
over IPv4 and IPv6, through a VLAN, through a router, over two lanes with steering; one is killed and comes
back; what is forged on the wire changes nothing; what cannot work says why.  Needs root.
"""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from frames import TCP, Wire, arp, ether, ipv4, v4
from lab_net import (in_space, inside, pings, run, settles, status, telemetry, verdict, within)
from peer_lines import Gone, Peer, no_lab

LOST_S = 10


class Net:
    """Namespaces: nic (the node's own device), kernel, which is a router too, and far."""

    def __init__(self):
        self.spaces = [f"proa-{os.getpid()}-{n}" for n in ("nic", "kernel", "far")]

    def make(self):
        for name in self.spaces:
            run("ip", "netns", "add", name)
        nic, kernel, far = self.spaces
        many = ["numrxqueues", "2", "numtxqueues", "2"]
        run("ip", "link", "add", "eth0", "netns", nic, *many, "type", "veth", "peer", "name",
            "eth0", "netns", kernel, *many)
        run("ip", "link", "add", "eth1", "netns", kernel, "type", "veth", "peer", "name", "eth1",
            "netns", far)
        for name, devices in ((nic, ["lo", "eth0"]), (kernel, ["lo", "eth0", "eth1"]),
                              (far, ["lo", "eth1"])):
            for device in devices:
                run("ip", "-n", name, "link", "set", device, "up")
        self.kernel("address", "add", "10.79.0.2/24", "dev", "eth0")
        self.kernel("address", "add", "fd79::2/64", "dev", "eth0", "nodad")
        self.kernel("address", "add", "10.80.0.254/24", "dev", "eth1")
        run("ip", "-n", far, "address", "add", "10.80.0.3/24", "dev", "eth1")
        run("ip", "-n", far, "route", "add", "default", "via", "10.80.0.254")
        run("ip", "netns", "exec", kernel, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def kernel(self, *argv):
        return run("ip", "-n", self.spaces[1], *argv).stdout

    def inside(self, name, *argv):
        return inside(f"proa-{os.getpid()}-{name}", *argv)

    def close(self):
        for name in self.spaces:
            run("ip", "netns", "del", name, check=False)


class Talk:
    """A node on a device of its own (a) and one on the kernel's sockets, or like it (b)."""

    def __init__(self, net, folder, program, title, a, b):
        self.title, self.sides = title, []
        for i, (role, where, spec, address, seed, *options) in enumerate((("a", *a), ("b", *b))):
            own = f"{folder}/{title.replace(' ', '-')}-{role}"
            os.makedirs(f"{own}/run")
            argv = net.inside(where, "env", f"RUNTIME_DIRECTORY={own}/run", program, role, spec,
                              address, seed, own, *options)
            self.sides.append(Peer(argv))
            self.sides[i].folder = f"{own}/run"

    def __enter__(self):
        for peer in self.sides:
            peer.start()
        for peer in self.sides:
            peer.wait_line("talks", 60)
        verdict(f"{self.title}: they talk")
        return self.sides

    def __exit__(self, kind, value, trace):
        if kind is Gone:
            verdict(f"{self.title}: the conversation goes on", value)
        for peer in self.sides:
            if peer.process and peer.process.poll() is None:
                code = peer.end(signal.SIGTERM)
                if code:
                    verdict(f"{self.title}: a node ends in order", f"exit status {code}")
        return kind is Gone


def killed_and_back(title, side, other):
    side.end(signal.SIGKILL)
    other.wait_line("lost", LOST_S)
    side.start()
    side.wait_line("talks", 60)
    other.wait_line("talks", 60)
    verdict(f"{title}: killed and back, they talk again")


def forge(net, frames):
    """Puts frames on the wire from the kernel's side."""
    def fn():
        wire = Wire("eth0")
        for frame in frames:
            wire.send(frame)
        wire.close()
        return True

    in_space(net.spaces[1], fn)


def sees_tags(net):
    """Whether the next frame to the node's UDP port has the tag of VLAN 7 on the wire."""
    SOL_PACKET, PACKET_AUXDATA = 263, 8  # Source: linux/if_packet.h

    def fn():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:
            s.bind(("eth0", 3))
            s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            s.settimeout(5)
            for _ in range(100):
                frame, extra, _, _ = s.recvmsg(2048, 256)
                if frame[12:14] == b"\x81\x00":
                    return frame[14:16] == b"\x00\x07"
                for level, kind, data in extra:
                    if level == SOL_PACKET and kind == PACKET_AUXDATA:
                        flags, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
                        if flags & 0x10:  # TP_STATUS_VLAN_VALID
                            return tci & 0xfff == 7
        return False

    return in_space(net.spaces[1], fn)


def forged(net, sides):
    """Somebody claims both addresses, and sends what is no frame at all."""
    link = json.loads(run("ip", "-n", net.spaces[0], "-j", "link", "show", "eth0").stdout)
    ours, evil, everybody = link[0]["address"], "02:66:66:66:66:66", "ff:ff:ff:ff:ff:ff"
    us, peer = v4("10.79.0.1"), v4("10.79.0.2")
    before = telemetry(sides[0].folder, "/proa/lanes")["rx"]
    frames = [ether(ours, evil, 0x806, arp(2, evil, peer, ours, us)),
              ether(everybody, evil, 0x806, arp(1, evil, peer, "00:00:00:00:00:00", peer)),
              ether(everybody, evil, 0x806, arp(2, evil, us, ours, us)),
              ether(ours, evil, 0x806, bytes(50)),
              ether(ours, evil, 0x800, b"\x45" + b"\xff" * 40),
              ether(ours, evil, 0x86dd, b"\x60" + bytes(60)),
              ether(ours, evil, 0x800, ipv4(v4("10.79.0.9"), us, bytes(20), protocol=TCP)),
              ether(ours, evil, 0x8100, b"\0\x09\x08\0\x45" + bytes(40))]
    forge(net, frames * 20)
    verdict("forged: the conversation goes on", None if within(
        20, lambda: telemetry(sides[0].folder, "/proa/lanes")["rx"] > before + 2000) else "it stops")
    port = telemetry(sides[0].folder, "/proa/ports")["port_0"]
    drops = telemetry(sides[0].folder, "/proa/drops")
    counted = [port[word] for word in ("unsolicited", "conflicts", "malformed")]
    counted += [drops[word] for word in ("port_ethertype", "port_fragment", "port_protocol")]
    verdict("forged: counted as what it is", None if all(counted) else f"{port} {drops}")


def pinged(net, title, address, *sizes):
    lost = sum(pings(net, 1, address, 3, size=size) for size in sizes or (56,))
    verdict(f"{title}: ping is answered under load", f"{lost} are not" if lost else None)


def plain(net, folder, program):
    four = Talk(net, folder, program, "ipv4",
                ("nic", "ethdev:net_af_packet0,iface=eth0", "10.79.0.1/24", "10.79.0.2:7400"),
                ("kernel", "udp:10.79.0.2:7400", "", "10.79.0.1:7400"))
    with four as sides:
        pinged(net, "ipv4", "10.79.0.1", 56, 1400)
        forged(net, sides)
        killed_and_back("ipv4: the device's", sides[0], sides[1])
        killed_and_back("ipv4: the kernel's", sides[1], sides[0])
        net.kernel("link", "set", "eth0", "down")
        sides[0].wait_line("lost", LOST_S)
        net.kernel("link", "set", "eth0", "up")
        for peer in sides:
            peer.wait_line("talks", 60)
        verdict("ipv4: cut and healed, they talk again")
    net.kernel("address", "replace", "fd79::2/64", "dev", "eth0", "nodad")  # gone with the link
    six = Talk(net, folder, program, "ipv6",
               ("nic", "ethdev:net_af_packet0,iface=eth0", "fd79::1/64", "[fd79::2]:7400"),
               ("kernel", "udp:[fd79::2]:7400", "", "[fd79::1]:7400"))
    with six as sides:
        pinged(net, "ipv6", "fd79::1", 56, 1400)
        killed_and_back("ipv6: the device's", sides[0], sides[1])


def other_ways(net, folder, program):
    tagged = Talk(net, folder, program, "vlan",
                  ("nic", "ethdev:net_af_packet0,iface=eth0", "10.97.0.1/24", "10.97.0.2:7400",
                   "vlan=7"),
                  ("kernel", "ethdev:net_af_packet0,iface=eth0", "10.97.0.2/24", "10.97.0.1:7400",
                   "vlan=7"))
    with tagged:
        verdict("vlan: frames carry the tag", None if sees_tags(net) else "they do not")
    routed = Talk(net, folder, program, "gateway",
                  ("nic", "ethdev:net_af_packet0,iface=eth0", "10.79.0.1/24", "10.80.0.3:7400",
                   "gateway=10.79.0.2"),
                  ("far", "udp:10.80.0.3:7400", "", "10.79.0.1:7400"))
    with routed:
        pass
    run(*net.inside("kernel", "ip", "tuntap", "add", "tap0", "mode", "tap", "multi_queue"))
    net.kernel("link", "set", "tap0", "up")
    net.kernel("address", "add", "10.81.0.2/24", "dev", "tap0")
    tap = Talk(net, folder, program, "tap",
               ("kernel", "ethdev:net_tap0,iface=tap0", "10.81.0.1/24", "10.81.0.2:7400"),
               ("kernel", "udp:10.81.0.2:7400", "", "10.81.0.1:7400"))
    with tap as sides:
        pinged(net, "tap", "10.81.0.1")
        killed_and_back("tap: the device's", sides[0], sides[1])


def steered(net, folder, program):
    """Two lanes and two queues a side: each link's packets come to its lane, after a while."""
    spec = "ethdev:net_af_packet0,iface=eth0,qpairs=2"
    with Talk(net, folder, program, "two lanes",
              ("nic", spec, "10.79.0.1/24", "10.79.0.2:7400", "lanes=2"),
              ("kernel", spec, "10.79.0.2/24", "10.79.0.1:7400", "lanes=2")) as sides:
        settles("two lanes", [peer.folder for peer in sides])


def refused(net, folder, program, title, wanted, spec, address, *options):
    argv = net.inside("nic", program, "a", spec, address, "-", f"{folder}/refused", *options)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    good = done.returncode != 0 and wanted in done.stdout and len(done.stdout.splitlines()) == 1
    verdict(f"refused: {title}", None if good else done.stdout + done.stderr)


def bad_input(net, folder, program):
    device = "ethdev:net_af_packet0,iface=eth0"
    for title, wanted, *rest in (
            ("no devargs", "write ethdev:0000:03:00.0", "ethdev:", "10.79.0.1/24"),
            ("no address", "set `address`", device, ""),
            ("no such interface", "DPDK could not make the device",
             "ethdev:net_af_packet0,iface=nic9", "10.79.0.1/24"),
            ("no such driver", "DPDK could not make the device", "ethdev:net_none0",
             "10.79.0.1/24"),
            ("no such PCI device", "no driver of DPDK's has it", "ethdev:0000:ff:1f.7",
             "10.79.0.1/24"),
            ("more lanes than queues", "set lanes: 1", device, "10.79.0.1/24", "lanes=2"),
            ("an MTU the device does not take", "mtu 9000 is more than it takes", device,
             "10.79.0.1/24", "mtu=9000"),
            ("net_ring", "net_ring hands buffers on", "ethdev:net_ring0", "10.79.0.1/24"),
            ("no stripping of tags", "strips no VLAN tags", "ethdev:net_tap0", "10.79.0.1/24",
             "vlan=7"),
            ("a gateway of the other family", "no address of the same family", device,
             "10.79.0.1/24", "gateway=fd79::2")):
        refused(net, folder, program, title, wanted, *rest)


def main():
    program = os.path.abspath(sys.argv[1])
    why = no_lab()
    if why:
        print("ok - ethdev # SKIP", why)
        return
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    os.environ["RUNTIME_DIRECTORY"] = folder
    net = None
    try:
        net = Net()
        net.make()
        plain(net, folder, program)
        other_ways(net, folder, program)
        steered(net, folder, program)
        bad_input(net, folder, program)
    except Gone as gone:
        verdict("the network", gone)
    finally:
        if net:
            net.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status())


main()
