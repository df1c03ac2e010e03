#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_af_xdp.py PEER - two nodes on AF_XDP, in network namespaces of their own joined by veth.

They talk over IPv4 and IPv6; one is killed and comes back; the kernel's own traffic on the same
interface goes on; nothing is left on it afterwards; what cannot work says why.  Needs root.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from peer_lines import Gone, Peer, no_lab

LOST_NS = 10
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


class Lab:
    """Two namespaces with an interface each."""

    def __init__(self, queues=2):
        self.names = [f"proa-{os.getpid()}-{side}" for side in "ab"]
        a, b = self.names
        for name in self.names:
            run("ip", "netns", "add", name)
        many = ["numrxqueues", str(queues), "numtxqueues", str(queues)]
        run("ip", "link", "add", "lab0", "netns", a, *many, "type", "veth", "peer", "name", "lab0",
            "netns", b, *many)
        for i, name in enumerate(self.names):
            self.ip(i, "link", "set", "lo", "up")
            self.ip(i, "link", "set", "lab0", "up")
            self.ip(i, "address", "add", f"10.78.0.{i + 1}/24", "dev", "lab0")
            self.ip(i, "address", "add", f"fd78::{i + 1}/64", "dev", "lab0", "nodad")

    def ip(self, side, *argv):
        return run("ip", "-n", self.names[side], *argv)

    def inside(self, side, *argv):
        return ["ip", "netns", "exec", self.names[side], *argv]

    def program(self, side):
        """The XDP program on the interface, or nothing."""
        return [line for line in self.ip(side, "-details", "link", "show", "lab0").splitlines()
                if "prog/xdp" in line]

    def close(self):
        for name in self.names:
            run("ip", "netns", "del", name, check=False)


def enter(name):
    """This thread's sockets are of that namespace from now on."""
    import ctypes
    with open(f"/run/netns/{name}", encoding="ascii") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def kernel_tcp(lab):
    """Bytes over TCP between the two kernels; returns what came back."""
    ready, result = threading.Event(), []

    def serve():
        enter(lab.names[0])
        with socket.create_server(("10.78.0.1", 7999)) as server:
            ready.set()
            with server.accept()[0] as peer:
                peer.sendall(peer.recv(100))

    def ask():
        enter(lab.names[1])
        ready.wait(10)
        with socket.create_connection(("10.78.0.1", 7999), timeout=10) as s:
            s.sendall(b"hello")
            result.append(s.recv(100))

    threads = [threading.Thread(target=serve, daemon=True), threading.Thread(target=ask)]
    for thread in threads:
        thread.start()
    threads[1].join(20)
    return result


def talk(lab, folder, program, title, addresses):
    sides = []
    for i, role in enumerate("ab"):
        seed = addresses[1 - i]
        seed = f"[{seed}]:7400" if ":" in seed else f"{seed}:7400"
        prefix = "/64" if ":" in addresses[i] else "/24"
        sides.append(Peer(lab.inside(i, program, role, "af_xdp:lab0", addresses[i] + prefix, seed,
                                     f"{folder}/{title}-{role}")))
    try:
        for peer in sides:
            peer.start()
        for peer in sides:
            peer.wait_line("talks", 60)
        verdict(f"{title}: two nodes talk")
        programs = lab.program(0) + lab.program(1)
        verdict(f"{title}: a program in the driver of each",
                None if len(programs) == 2 and "xdpgeneric" not in str(programs) else programs)
        verdict(f"{title}: the kernels' own TCP goes on",
                None if kernel_tcp(lab) == [b"hello"] else "it does not")
        sides[1].end(signal.SIGKILL)
        sides[0].wait_line("lost", LOST_NS)
        verdict(f"{title}: a killed node leaves no program behind",
                "\n".join(lab.program(1)) or None)
        sides[1].start()
        for peer in sides:
            peer.wait_line("talks", 60)
        verdict(f"{title}: killed and back, they talk again")
        for i, peer in enumerate(sides):
            status = peer.end(signal.SIGTERM)
            left = lab.program(i)
            verdict(f"{title}: node {'ab'[i]} ends and leaves nothing",
                    f"exit status {status}" if status else "\n".join(left) or None)
    except Gone as gone:
        verdict(f"{title}: the conversation goes on", gone)
    finally:
        for peer in sides:
            if peer.process and peer.process.poll() is None:
                peer.end(signal.SIGTERM)


def refused(lab, folder, program, title, spec, address, wanted):
    """It does not start, and says what is wanted in one line."""
    argv = lab.inside(0, program, "a", spec, address, "-", f"{folder}/refused")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    good = done.returncode != 0 and wanted in done.stdout and len(done.stdout.splitlines()) == 1
    verdict(f"refused: {title}", None if good else done.stdout + done.stderr)


def bad_input(lab, folder, program):
    refused(lab, folder, program, "no interface", "af_xdp:nic9", "", "there is no such interface")
    refused(lab, folder, program, "not an interface's address", "af_xdp:lab0", "10.9.9.9/24",
            "10.9.9.9:7400 is not its address")
    refused(lab, folder, program, "no Ethernet", "af_xdp:lo", "", "no Ethernet interface")
    refused(lab, folder, program, "empty name", "af_xdp:", "", "write af_xdp:INTERFACE")
    lab.ip(0, "link", "set", "lab0", "down")
    refused(lab, folder, program, "interface down", "af_xdp:lab0", "", "ip link set lab0 up")
    lab.ip(0, "link", "set", "lab0", "up")
    first = Peer(lab.inside(0, program, "a", "af_xdp:lab0", "10.78.0.1/24", "-", f"{folder}/first"))
    try:
        first.start()
        first.wait_line("ready", 60)
        refused(lab, folder, program, "a second node", "af_xdp:lab0", "",
                "another proa node uses this interface")
    except Gone as gone:
        verdict("refused: a second node", gone)
    finally:
        first.end(signal.SIGTERM)


def main():
    program = sys.argv[1]
    why = no_lab()
    if why:
        print("ok - af_xdp # SKIP", why)
        return
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    os.environ["RUNTIME_DIRECTORY"] = folder
    lab = None
    try:
        lab = Lab()
        talk(lab, folder, program, "ipv4", ["10.78.0.1", "10.78.0.2"])
        talk(lab, folder, program, "ipv6", ["fd78::1", "fd78::2"])
        bad_input(lab, folder, program)
    except Gone as gone:
        verdict("the lab", gone)
    finally:
        if lab:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bad)


main()
