# SPDX-License-Identifier: Apache-2.0
"""Nodes of a cluster as processes (cluster_node.c), told what to do by lines, for the tests of linked
registries; and verdicts."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from peer_lines import Gone, Peer

_bad = 0


def verdict(name, why=None):
    """One line of the test's outcome; why: what is wrong.  True: nothing is."""
    global _bad
    if why:
        _bad = 1
        print("   ", str(why).strip().replace("\n", "\n    "))
    print("not ok -" if why else "ok -", name, flush=True)
    return not why


def status():
    return _bad


def within(seconds, good, every=0.01):
    """good() becomes true within that time."""
    until = time.monotonic() + seconds
    while not good():
        if time.monotonic() > until:
            return False
        time.sleep(every)
    return True


def failed(done):
    """Why a command did not succeed, or None."""
    return None if done.returncode == 0 else f"status {done.returncode}: {done.stderr}"


class Node(Peer):
    """One node; what it says by itself is kept."""

    def __init__(self, cluster, name, spec="udp:127.0.0.1:0", seed=None, space=(), **options):
        folder = f"{cluster.folder}/{name}"
        os.mkdir(folder)
        self.name, self.socket = name, f"{folder}/socket"
        self.proa, self.said = cluster.proa, []
        words = [f"{key}={value}" for key, value in options.items()]
        if seed:
            words.append(f"seed={seed}")
        super().__init__([*space, cluster.program, spec, f"{folder}/state", f"socket={self.socket}", *words])
        cluster.nodes.append(self)

    def start(self):
        super().start()
        return self

    def begin(self):
        """Starts it and waits until it runs."""
        self.start()
        return self.ready()

    def ready(self):
        _, self.id, self.address = self.wait_line("ready", 20).split()
        return self

    def wait_line(self, wanted, seconds):
        until = time.monotonic() + seconds
        while True:
            line = super().wait_line("", max(0, until - time.monotonic()))
            if line.startswith(wanted):
                return line
            if line.startswith("end"):
                raise Gone(f"{self.name}, waiting for '{wanted}': {line}")
            self.said.append(line)

    def do(self, command, seconds=20):
        """What the node answers."""
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        word = command.split()[0]
        line = self.wait_line(word + " " if word not in ("load", "mark", "leave") else word, seconds)
        return line[len(word):].strip()

    def count(self, group):
        """Living members of a group that the node knows, and how many of them are its own."""
        total, own, _ = self.do("count " + group).split(maxsplit=2)
        return int(total), int(own)

    def sees(self, group, total, seconds=10):
        """None, or what is wrong."""
        if within(seconds, lambda: self.count(group)[0] == total):
            return None
        return f"{self.name} sees {self.count(group)} of {group}, not {total}"

    def has_said(self, pattern, seconds=10):
        def look():
            self.said += self.pending()
            return any(re.search(pattern, line) for line in self.said)

        return within(seconds, look)

    def cli(self, *words):
        """A verb of the proa program against this node."""
        return subprocess.run([self.proa, *words, "--socket", self.socket], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=20, check=False)

    def cluster(self):
        """The rows of `proa cluster`, by address: node, state, names, members, links, rtt."""
        lines = self.cli("cluster").stdout.splitlines()
        return {line.split()[-1]: line.split()[:-1] for line in lines[2:]}

    def packets(self):
        """Sent so far, of all lanes."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            s.sendall(b"top\n")
            text = s.makefile().read()
        return sum(int(line.split()[9]) for line in text.splitlines() if line.startswith(" lane "))

    def alive(self):
        return self.process is not None and self.process.poll() is None


class Cluster:
    """All nodes of a test, and the folder of all they write.  For `with`."""

    def __init__(self, program, proa):
        self.program, self.proa, self.nodes = program, proa, []
        self.folder = tempfile.mkdtemp(prefix="proa-e2e-")
        os.environ["RUNTIME_DIRECTORY"] = self.folder

    def node(self, name, **options):
        return Node(self, name, **options)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if isinstance(error, Gone):
            verdict("the cluster", error)
        for node in self.nodes:
            if node.alive():
                node.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        return isinstance(error, Gone)


def main(tests):
    """Runs test functions, each with a cluster of its own; argv: CLUSTER_NODE PROA."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all is cleaned up then, too
    for test in tests:
        with Cluster(sys.argv[1], sys.argv[2]) as cluster:
            test(cluster)
    sys.exit(status())
