#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_ethdev.py PEER - a node on DPDK devices of its own, against the kernel's network stack.

In one network namespace a node has an interface by net_af_packet or net_tap and answers ARP,
neighbour discovery and ping by itself; in another a node uses the kernel's UDP sockets.  They talk
over IPv4 and IPv6, through a VLAN, through a router, over two lanes with steering; one is killed and comes
back; what is forged on the wire changes nothing; what cannot work says why.  Needs root.
"""
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from peer_lines import Gone, Peer, no_lab

LOST_S = 10
bad = 0


def verdict(name, why=None):
    global bad
    if why:
        bad = 1
        print(f"    {why}")
    print("not ok -" if why else "ok -", name, flush=True)


def run(*argv, check=True):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise Gone(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


class Net:
    """Namespaces: nic (the node's own device), kernel, and a router between kernel and far."""

    def __init__(self):
        self.tag = f"proa-{os.getpid()}-"
        self.names = [self.tag + n for n in ("nic", "kernel", "far")]

    def make(self):
        for name in self.names:
            run("ip", "netns", "add", name)
        nic, kernel, far = self.names
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
        return run("ip", "-n", self.names[1], *argv)

    def nic(self, *argv):
        return run("ip", "-n", self.names[0], *argv)

    def inside(self, name, *argv):
        return ["ip", "netns", "exec", self.tag + name, *argv]

    def close(self):
        for name in self.names:
            run("ip", "netns", "del", name, check=False)


def enter(name):
    """This thread's sockets are of that namespace from now on."""
    import ctypes
    with open(f"/run/netns/{name}", encoding="ascii") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def within(name, fn):
    """What fn gives in that namespace."""
    result = []

    def body():
        enter(name)
        result.append(fn())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if not result:
        raise Gone("a step in a namespace failed")
    return result[0]


def ping(net, address, size=56, count=3):
    """How many of count echo requests come back with their bytes."""
    six = ":" in address

    def fn():
        good, data = 0, bytes(range(256)) * (size // 256 + 1)
        s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW,
                          socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
        with s:
            s.settimeout(2)
            for n in range(count):
                head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0x7074, n)
                packet = head + data[:size]
                if not six:
                    words = struct.unpack(f"!{len(packet) // 2}H", packet)
                    total = sum(words)
                    while total >> 16:
                        total = (total & 0xffff) + (total >> 16)
                    packet = packet[:2] + struct.pack("!H", ~total & 0xffff) + packet[4:]
                s.sendto(packet, (address, 0))
                until = time.monotonic() + 2
                while time.monotonic() < until:
                    try:
                        got = s.recv(65536)
                    except socket.timeout:
                        break
                    body = got if six else got[20:]
                    if body[0] == (129 if six else 0) and body[4:] == packet[4:]:
                        good += 1
                        break
        return good

    return within(net.names[1], fn)


def telemetry(folder, command):
    """Of the one node that is there."""
    (path,) = glob.glob(f"{folder}/dpdk/*/dpdk_telemetry.v2")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(20)
        s.connect(path)
        s.recv(4096)
        s.send(command.encode())
        return json.loads(s.recv(65536))[command.split(",")[0]]


class Pair:
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
                status = peer.end(signal.SIGTERM)
                if status:
                    verdict(f"{self.title}: a node ends in order", f"exit status {status}")
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
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind(("eth0", 0))
            for frame in frames:
                s.send(frame)
        return True

    within(net.names[1], fn)


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
                        status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
                        if status & 0x10:  # TP_STATUS_VLAN_VALID
                            return tci & 0xfff == 7
        return False

    return within(net.names[1], fn)


def mac_of(net, name, device):
    text = run("ip", "-n", net.tag + name, "-j", "link", "show", device)
    return bytes.fromhex(json.loads(text)[0]["address"].replace(":", ""))


def arp(op, mac_from, ip_from, mac_to, ip_to, eth_to=b"\xff" * 6):
    return (eth_to + mac_from + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + mac_from +
            socket.inet_aton(ip_from) + mac_to + socket.inet_aton(ip_to))


def ipv4(protocol):
    """A right header to the node, and nothing of that protocol behind it."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, protocol, 0,
                       socket.inet_aton("10.79.0.9"), socket.inet_aton("10.79.0.1"))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xffff) + head[12:] + b"\0" * 20


def forged(net, sides):
    """Somebody claims both addresses, and sends what is no frame at all."""
    ours, evil = mac_of(net, "nic", "eth0"), b"\x02\x66\x66\x66\x66\x66"
    before = telemetry(sides[0].folder, "/proa/lanes")["rx"]
    frames = [arp(2, evil, "10.79.0.2", ours, "10.79.0.1", ours),
              arp(1, evil, "10.79.0.2", b"\0" * 6, "10.79.0.2"),
              arp(2, evil, "10.79.0.1", ours, "10.79.0.1"),
              ours + evil + b"\x08\x06" + b"\0" * 50,
              ours + evil + b"\x08\x00" + b"\x45" + b"\xff" * 40,
              ours + evil + b"\x86\xdd" + b"\x60" + b"\0" * 60,
              ours + evil + b"\x08\x00" + ipv4(6),
              ours + evil + b"\x81\x00\x00\x09\x08\x00" + b"\x45" + b"\0" * 40]
    forge(net, frames * 20)
    until = time.monotonic() + 20
    while telemetry(sides[0].folder, "/proa/lanes")["rx"] < before + 2000:
        if time.monotonic() > until:
            verdict("forged: the conversation goes on", "it does not")
            return
        time.sleep(0.05)
    verdict("forged: the conversation goes on")
    port = telemetry(sides[0].folder, "/proa/ports")["port_0"]
    drops = telemetry(sides[0].folder, "/proa/drops")
    counted = [port[word] for word in ("unsolicited", "conflicts", "malformed")]
    counted += [drops[word] for word in ("port_ethertype", "port_fragment", "port_protocol")]
    verdict("forged: counted as what it is", None if all(counted) else f"{port} {drops}")


def plain(net, folder, program):
    four = Pair(net, folder, program, "ipv4",
                ("nic", "ethdev:net_af_packet0,iface=eth0", "10.79.0.1/24", "10.79.0.2:7400"),
                ("kernel", "udp:10.79.0.2:7400", "", "10.79.0.1:7400"))
    with four as sides:
        verdict("ipv4: ping is answered under load",
                None if ping(net, "10.79.0.1") == 3 and ping(net, "10.79.0.1", 1400) == 3
                else "it is not")
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
    six = Pair(net, folder, program, "ipv6",
               ("nic", "ethdev:net_af_packet0,iface=eth0", "fd79::1/64", "[fd79::2]:7400"),
               ("kernel", "udp:[fd79::2]:7400", "", "[fd79::1]:7400"))
    with six as sides:
        verdict("ipv6: ping is answered under load",
                None if ping(net, "fd79::1") == 3 and ping(net, "fd79::1", 1400) == 3
                else "it is not")
        killed_and_back("ipv6: the device's", sides[0], sides[1])


def other_ways(net, folder, program):
    tagged = Pair(net, folder, program, "vlan",
                  ("nic", "ethdev:net_af_packet0,iface=eth0", "10.97.0.1/24", "10.97.0.2:7400",
                   "vlan=7"),
                  ("kernel", "ethdev:net_af_packet0,iface=eth0", "10.97.0.2/24", "10.97.0.1:7400",
                   "vlan=7"))
    with tagged:
        verdict("vlan: frames carry the tag", None if sees_tags(net) else "they do not")
    routed = Pair(net, folder, program, "gateway",
                  ("nic", "ethdev:net_af_packet0,iface=eth0", "10.79.0.1/24", "10.80.0.3:7400",
                   "gateway=10.79.0.2"),
                  ("far", "udp:10.80.0.3:7400", "", "10.79.0.1:7400"))
    with routed:
        pass
    run(*net.inside("kernel", "ip", "tuntap", "add", "tap0", "mode", "tap", "multi_queue"))
    net.kernel("link", "set", "tap0", "up")
    net.kernel("address", "add", "10.81.0.2/24", "dev", "tap0")
    tap = Pair(net, folder, program, "tap",
               ("kernel", "ethdev:net_tap0,iface=tap0", "10.81.0.1/24", "10.81.0.2:7400"),
               ("kernel", "udp:10.81.0.2:7400", "", "10.81.0.1:7400"))
    with tap as sides:
        verdict("tap: ping is answered", None if ping(net, "10.81.0.1") == 3 else "it is not")
        killed_and_back("tap: the device's", sides[0], sides[1])


def steered(net, folder, program, title, specs):
    """Two lanes and two queues a side: each link's packets come to its lane, after a while."""
    pair = Pair(net, folder, program, title,
                ("nic", specs[0], "10.79.0.1/24", "10.79.0.2:7400", "lanes=2"),
                ("kernel", specs[1], "10.79.0.2/24", "10.79.0.1:7400", "lanes=2"))
    with pair as sides:
        for _ in range(20):
            before = [telemetry(p.folder, "/proa/lanes") for p in sides]
            time.sleep(0.5)
            after = [telemetry(p.folder, "/proa/lanes") for p in sides]
            packets = [n["rx"] - o["rx"] for n, o in zip(after, before)]
            astray = [n["misdirected"] - o["misdirected"] for n, o in zip(after, before)]
            good = all(a * 100 < p for a, p in zip(astray, packets)) and min(packets) > 500
            if good:
                break
        lanes = [[telemetry(p.folder, f"/proa/lanes,{i}")["rx"] for i in (0, 1)] for p in sides]
        verdict(f"{title}: {astray} of {packets} packets astray after settling",
                None if good else f"lanes' packets: {lanes}")
        verdict(f"{title}: each lane has its share",
                None if all(min(l) * 10 > max(l) for l in lanes) else lanes)


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
        fanout = "ethdev:net_af_packet0,iface=eth0,qpairs=2"
        steered(net, folder, program, "two lanes", [fanout, fanout])
        net.nic("address", "add", "10.79.0.1/24", "dev", "eth0")
        steered(net, folder, program, "two lanes of af_xdp", ["af_xdp:eth0", "af_xdp:eth0"])
        net.nic("address", "flush", "dev", "eth0")
        bad_input(net, folder, program)
    except Gone as gone:
        verdict("the network", gone)
    finally:
        if net:
            net.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bad)


main()
