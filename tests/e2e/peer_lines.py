# SPDX-License-Identifier: Apache-2.0
"""A process that talks in lines, for the tests that start and kill some; and what a lab needs."""

import os
import selectors
import shutil
import subprocess
import sys
import time


class Gone(Exception):
    pass


class Peer:
    def __init__(self, argv):
        self.argv, self.process = argv, None

    def start(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=sys.stderr)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.rest = b""

    def wait_line(self, wanted, seconds):
        """The next line that begins with wanted; other lines before it are passed over."""
        until = time.monotonic() + seconds
        while True:
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                line = line.decode()
                if line.startswith(wanted):
                    return line
                if line.startswith("end"):
                    raise Gone(f"{self.argv[1]}: {line}")
            left = until - time.monotonic()
            if left <= 0:
                raise Gone(f"{self.argv[1]}: no '{wanted}' within {seconds} s")
            if self.selector.select(left):
                got = os.read(self.process.stdout.fileno(), 65536)
                if not got:
                    raise Gone(f"{self.argv[1]}: ended with {self.process.wait()}")
                self.rest += got

    def pending(self):
        """The lines that are there already."""
        while self.selector.select(0):
            got = os.read(self.process.stdout.fileno(), 65536)
            if not got:
                raise Gone(f"{self.argv[1]}: ended with {self.process.wait()}")
            self.rest += got
        *lines, self.rest = self.rest.split(b"\n")
        return [line.decode() for line in lines]

    def end(self, sig):
        self.process.send_signal(sig)
        status = self.process.wait(timeout=10)
        self.selector.close()
        self.process.stdout.close()
        self.process.stdin.close()
        self.process = None
        return status


def no_lab():
    """Why there can be no network namespaces with XDP programs here, or None."""
    needed = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}  # which includes CAP_BPF
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ip") is None:
        return "needs iproute2"
    with open("/proc/self/status", encoding="ascii") as file:
        caps = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff"))
    for name, bit in needed.items():
        if not caps >> bit & 1:
            return f"needs {name}"
    name = f"proa-try-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "no network namespaces: " + done.stderr.strip().replace("\n", " ")
    subprocess.run(["ip", "netns", "del", name], check=False)
    return None
