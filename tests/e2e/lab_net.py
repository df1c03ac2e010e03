# SPDX-License-Identifier: Apache-2.0
"""Network namespaces joined by veth, what is attached in them, and verdicts, for the tests that have
nodes on interfaces.  Everything made here carries this process' id in its name."""

import ctypes
import glob
import json
import os
import socket
import struct
import subprocess
import threading
import time

from frames import total
from peer_lines import Gone

PORT = 7400
_bad = 0


def verdict(name, why=None):
    """One line of the test's outcome; why: what is wrong.  True: nothing is."""
    global _bad
    if why:
        _bad = 1
        print(f"    {why}")
    print("not ok -" if why else "ok -", name, flush=True)
    return not why


def status():
    """The test's exit status."""
    return _bad


def run(*argv, check=True, seconds=60):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    if check and done.returncode != 0:
        raise Gone(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done


def within(seconds, good):
    """good() becomes true within that time."""
    until = time.monotonic() + seconds
    while not good():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def inside(space, *argv):
    return ["ip", "netns", "exec", space, *argv]


def enter(space):
    """This thread's sockets are of that namespace from now on."""
    with open(f"/run/netns/{space}", encoding="ascii") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def in_space(space, fn):
    """What fn gives in that namespace."""
    result = []

    def work():
        enter(space)
        result.append(fn())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if not result:
        raise Gone("a step in a namespace failed")
    return result[0]


def programs(space):
    """The XDP programs in a namespace: dictionaries with id and interface."""
    text = run(*inside(space, "bpftool", "-j", "net", "list")).stdout
    return [entry for part in json.loads(text) for entry in part.get("xdp", [])]


def left(space):
    """What a node left in a namespace, or nothing: programs, and the name that owns an interface."""
    names = [line.split()[-1] for line in run(*inside(space, "cat", "/proc/net/unix")).stdout.splitlines()
             if "@proa-xdp-" in line]
    return " ".join([f"program {p['id']} on {p['devname']}" for p in programs(space)] + names)


def maps_of(program):
    """The maps of a program, by id."""
    done = run("bpftool", "-j", "prog", "show", "id", str(program))
    return json.loads(done.stdout).get("map_ids", [])


def exists(kind, number):
    """There is a BPF object (prog, map) of that id."""
    return run("bpftool", kind, "show", "id", str(number), check=False).returncode == 0


def telemetry(folder, command):
    """What the node with that RUNTIME_DIRECTORY answers to a command of DPDK's telemetry."""
    (path,) = glob.glob(f"{folder}/dpdk/*/dpdk_telemetry.v2")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(20)
        s.connect(path)
        s.recv(4096)
        s.send(command.encode())
        return json.loads(s.recv(65536))[command.split(",")[0]]


def balance(folders):
    """Of half a second: packets that came in at each node, and those of them on the wrong lane."""
    before = [telemetry(f, "/proa/lanes") for f in folders]
    time.sleep(0.5)
    after = [telemetry(f, "/proa/lanes") for f in folders]
    return [[n[key] - o[key] for n, o in zip(after, before)] for key in ("rx", "misdirected")]


def settles(title, folders):
    """Under 1 % of the packets go astray, sooner or later, and each lane has its share."""
    def good():
        nonlocal packets, astray
        packets, astray = balance(folders)
        return min(packets) > 500 and all(a * 100 < p for a, p in zip(astray, packets))

    packets = astray = []
    why = None if within(30, good) else "it does not settle"
    verdict(f"{title}: {astray} of {packets} packets astray after settling", why)
    lanes = [[telemetry(f, f"/proa/lanes,{i}")["rx"] for i in (0, 1)] for f in folders]
    verdict(f"{title}: each lane has its share",
            None if all(min(l) * 10 > max(l) for l in lanes) else lanes)


class Pair:
    """Two namespaces with an interface lab0 each, joined, with an IPv4 and an IPv6 address."""

    def __init__(self, queues=2):
        self.spaces = [f"proa-{os.getpid()}-{side}" for side in "ab"]
        a, b = self.spaces
        for space in self.spaces:
            run("ip", "netns", "add", space)
        many = ["numrxqueues", str(queues), "numtxqueues", str(queues)]
        run("ip", "link", "add", "lab0", "netns", a, *many, "type", "veth", "peer", "name", "lab0",
            "netns", b, *many)
        for side, space in enumerate(self.spaces):
            for interface in ("lo", "lab0"):
                self.ip(side, "link", "set", interface, "up")
            self.address(side, "lab0")

    def address(self, side, interface):
        self.ip(side, "address", "add", f"{self.v4(side)}/24", "dev", interface)
        self.ip(side, "address", "add", f"{self.v6(side)}/64", "dev", interface, "nodad")

    @staticmethod
    def v4(side):
        return f"10.78.0.{side + 1}"

    @staticmethod
    def v6(side):
        return f"fd78::{side + 1}"

    def ip(self, side, *argv):
        return run("ip", "-n", self.spaces[side], *argv).stdout

    def inside(self, side, *argv):
        return inside(self.spaces[side], *argv)

    def mac(self, side, interface="lab0"):
        return json.loads(self.ip(side, "-j", "link", "show", interface))[0]["address"]

    def close(self):
        for space in self.spaces:
            run("ip", "netns", "del", space, check=False)


def kernel_tcp(lab, family=4):
    """Bytes over TCP between the two kernels of a pair; returns what came back."""
    ready, result = threading.Event(), []
    at = (lab.v4(0) if family == 4 else lab.v6(0), 7999)
    kind = socket.AF_INET if family == 4 else socket.AF_INET6

    def serve():
        enter(lab.spaces[0])
        with socket.create_server(at, family=kind) as server:
            ready.set()
            with server.accept()[0] as peer:
                peer.sendall(peer.recv(100))

    def ask():
        enter(lab.spaces[1])
        ready.wait(10)
        with socket.create_connection(at, timeout=10) as s:
            s.sendall(b"hello")
            result.append(s.recv(100))

    threads = [threading.Thread(target=serve, daemon=True), threading.Thread(target=ask)]
    for thread in threads:
        thread.start()
    threads[1].join(20)
    return result


def pings(lab, side, address, count, source=None, size=56):
    """Pings an address from a side; returns how many had no answer with their bytes."""
    four = ":" not in address
    lost = []

    def work():
        enter(lab.spaces[side])
        kind = (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) if four else \
            (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        with socket.socket(*kind) as s:
            s.settimeout(5)
            if source:
                s.bind((source, 0))
            for number in range(count):
                rest = struct.pack("!HH", os.getpid() & 0xffff, number) + bytes(i & 0xff for i in range(size))
                head = bytes((8 if four else 128, 0))
                check = 0xffff - total(head + b"\0\0" + rest)  # of ICMPv6 the kernel computes it
                s.sendto(head + struct.pack("!H", check) + rest, (address, 0))
                try:
                    while not answers(s.recv(65536), four, rest):
                        pass
                except TimeoutError:
                    lost.append(number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return len(lost)


def answers(packet, four, rest):
    """The packet is the answer to the ping with that rest."""
    if four:
        packet = packet[4 * (packet[0] & 15):]
    return packet[:1] == bytes((0 if four else 129,)) and packet[4:] == rest
