#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_observe.py OBSERVE_NODE - events, log lines and `top` of running nodes, as people see them.

`top` is driven through a pseudo-terminal: what it draws, how it follows the window's size, and
that it leaves the terminal as it found it.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

PROGRAM = sys.argv[1]
bad = 0
started = []


def verdict(name, good, said=""):
    global bad
    if not good:
        bad = 1
        for line in str(said).splitlines()[-30:]:
            print("   ", line)
    print("ok -" if good else "not ok -", name, flush=True)


class Process:
    """A process whose output is kept in a file; ended for certain."""

    def __init__(self, folder, name, *args):
        self.path = os.path.join(folder, name + ".log")
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen([PROGRAM, *args], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL)
        started.append(self.process)

    def text(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def says(self, pattern, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            match = re.search(pattern, self.text(), re.M)
            if match:
                return match
            time.sleep(0.02)
        return None


def run(*args, seconds=30):
    return subprocess.run([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=seconds, text=True, check=False)


def start_node(folder, name, seed=None):
    socket = os.path.join(folder, name + ".sock")
    path = os.path.join(folder, name + ".yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write('ports: [{spec: "udp:127.0.0.1:0"}]\n'
                   f"socket: {socket}\n"
                   "cluster_key_file: key\n"
                   "actors: [{behaviour: holder, name: " + name + "}]\n")
        if seed:
            file.write(f'seeds: ["{seed}"]\n')
    node = Process(folder, name, "node", "--config", path)
    ready = node.says(r"^ready: node (\w+) at ([\d.:]+)", 30)
    verdict(f"node {name} is ready", ready, node.text())
    if not ready:
        sys.exit(1)
    node.id, node.address, node.socket = ready[1], ready[2], socket
    return node


# ---- A terminal ----------------------------------------------------------------------


class Terminal:
    """A pseudo-terminal with a program in it; understands what `top` writes."""

    def __init__(self, rows, columns, *args):
        self.raw = b""
        self.rows = rows
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execv(PROGRAM, [PROGRAM, *args])
        self.pid = pid
        self.status = None
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows = rows
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def mode(self):
        return termios.tcgetattr(self.fd)[3] & (termios.ICANON | termios.ECHO)

    def key(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        """Reads for so long, or to the end; what has come since the last read."""
        before = len(self.raw)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
                break
            try:
                got = os.read(self.fd, 65536)
            except OSError:
                got = b""
            if not got:
                break
            self.raw += got
        return self.raw[before:].decode()

    def screen(self):
        """The last complete drawing, as lines."""
        drawings = self.raw.decode().split("\x1b[H")[1:]
        whole = [d for d in drawings if "\x1b[J" in d]
        if not whole:
            return []
        lines = whole[-1].split("\x1b[J")[0].replace("\x1b[K", "").split("\r\n")
        return lines[:-1]

    def ends(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read(0.2)
                self.status = os.waitstatus_to_exitcode(status)
                return True
        return False

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def check_top(node):
    term = Terminal(24, 100, "top", "--socket", node.socket)
    mode = term.mode()
    term.read(2.5)
    lines = term.screen()
    text = "\n".join(lines)
    verdict("top: takes the other screen and hides the cursor",
            term.raw.startswith(b"\x1b[?1049h\x1b[?25l"), term.raw[:40])
    verdict("top: shows the node", re.search(rf"^proa node {node.id} at {node.address}: "
                                             r"\d+ names, \d+ nodes$", text, re.M), text)
    verdict("top: shows the lane", re.search(r"^0 +\d+% ", text, re.M), text)
    verdict("top: shows the link", re.search(r"^[0-9a-f]{16} +0 ", text, re.M), text)
    verdict("top: shows the behaviour", re.search(r"^holder +", text, re.M), text)
    verdict("top: draws every second", 2 <= term.raw.count(b"\x1b[H") <= 4,
            term.raw.count(b"\x1b[H"))
    verdict("top: one drawing has no more lines than the window", len(lines) <= 23, text)
    term.resize(8, 40)
    term.read(0.5)
    lines = term.screen()
    verdict("top: follows the window's size",
            0 < len(lines) <= 7 and max(map(len, lines)) <= 40, "\n".join(lines))
    term.resize(1, 1)
    term.resize(50, 200)
    term.read(0.5)
    lines = term.screen()
    verdict("top: and back", max(map(len, lines)) > 80 and "BEHAVIOUR" in "\n".join(lines),
            "\n".join(lines))
    term.key("x")
    verdict("top: other keys do nothing", not term.ends(0.3))
    term.key("q")
    verdict("top: q ends it with status 0", term.ends(3) and term.status == 0, term.status)
    verdict("top: the terminal is as before",
            term.raw.endswith(b"\x1b[?25h\x1b[?1049l") and term.mode() == mode,
            term.raw[-60:])
    term.close()

    term = Terminal(24, 80, "top", "--socket", node.socket)
    term.read(1.2)
    term.key("\x03")
    verdict("top: Ctrl-C ends it, and the terminal is as before",
            term.ends(3) and term.status == 0 and term.raw.endswith(b"\x1b[?1049l"),
            (term.status, term.raw[-60:]))
    term.close()

    once = run("top", "--socket", node.socket)
    verdict("top: without a terminal it prints once",
            once.returncode == 0 and "\x1b" not in once.stdout
            and once.stdout.startswith(f"proa node {node.id}") and "holder" in once.stdout,
            once.stdout + once.stderr)
    nobody = run("top", "--socket", node.socket + ".no")
    verdict("top: nobody there is status 3", nobody.returncode == 3, nobody.stderr)


def check_top_of_ending_node(folder, seed):
    node = start_node(folder, "short", seed)
    term = Terminal(24, 80, "top", "--socket", node.socket)
    term.read(1.2)
    node.process.terminate()
    verdict("top: the node's end is said on the first screen",
            term.ends(15) and term.status == 3
            and b"\x1b[?1049l" in term.raw and b"proa: " in term.raw.split(b"\x1b[?1049l")[1],
            (term.status, term.raw[-200:]))
    term.close()
    node.process.wait(10)


# ---- Events and log lines ----------------------------------------------------------------


def check_events(folder, node):
    follow = Process(folder, "follow", "events", "--follow", "--socket", node.socket)
    other = start_node(folder, "other", node.address)
    verdict("events: another node has joined",
            follow.says(rf"Z node-joined {other.id} {other.address}$", 5), follow.text())
    asked = run("ask", "first", "3", "-", "--socket", other.socket)
    verdict("events: a link is up",
            asked.returncode == 0 and follow.says(rf"Z link-up {other.id} lane 0 ", 5),
            follow.text() + asked.stderr)
    verdict("events: dead letters are summed up",
            follow.says(r"Z dead-letters 1: refused: unknown type$", 5), follow.text())

    other.process.kill()
    other.process.wait(10)
    killed = time.monotonic()
    probe = run("ask", "other", "2", "-", "--deadline", "3000", "--socket", node.socket)
    verdict("events: a killed node is dead, and its link",
            follow.says(rf"Z node-dead {other.id} ", 15)
            and follow.says(rf"Z link-dead {other.id} lane 0 ", 5),
            follow.text() + probe.stderr)
    print(f"    {time.monotonic() - killed:.1f} s after it was killed")
    third = start_node(folder, "third", node.address)
    run("ask", "first", "2", "-", "--socket", third.socket)
    third.process.terminate()
    third.process.wait(10)
    verdict("events: a node that leaves has left",
            follow.says(rf"Z node-left {third.id} said good-bye$", 5), follow.text())
    return follow


def check_stuck(node, follow):
    hold = run("ask", "first", "1", (400).to_bytes(8, "little").hex(), "--socket",
               node.socket)
    stuck = follow.says(r"Z lane-stuck lane 0 actor (\S+) type (\d+) (\d+) ms$", 5)
    free = follow.says(r"Z lane-free lane 0 (\d+) ms$", 5)
    verdict("events: a lane that is held up is said to be stuck, by whom and in what",
            hold.returncode == 0 and stuck and stuck[1].startswith(node.id + "/0.")
            and stuck[2] == "1" and 100 <= int(stuck[3]) < 400, follow.text())
    verdict("events: and that it is free again",
            free and 300 <= int(free[1]) < 600, follow.text())
    verdict("events: each once", len(re.findall("lane-stuck", follow.text())) == 1
            and len(re.findall("lane-free", follow.text())) == 1, follow.text())


def check_log(node):
    asked = run("ask", "first", "2", "00ff", "--socket", node.socket)
    line = node.says(r"^\S+Z warning lane 0 (\S+) holder: 2 bytes came$", 5)
    verdict("log: a line on stderr, with time, lane, actor and type",
            asked.returncode == 0 and line and line[1].startswith(node.id), node.text())
    verdict("log: what is below the level is not written",
            "not to be seen" not in node.text(), node.text())


def main():
    os.environ["PATH"] = "/usr/bin:/bin"
    with tempfile.TemporaryDirectory(prefix="proa-e2e-") as folder:
        os.environ["XDG_STATE_HOME"] = os.path.join(folder, "state")
        os.environ["RUNTIME_DIRECTORY"] = os.path.join(folder, "run")
        os.mkdir(os.environ["XDG_STATE_HOME"])
        os.mkdir(os.environ["RUNTIME_DIRECTORY"])
        run("keygen", os.path.join(folder, "key"))
        first = start_node(folder, "first")
        second = start_node(folder, "second", first.address)
        run("ask", "second", "2", "-", "--socket", first.socket)
        check_log(first)
        check_top(first)
        check_top_of_ending_node(folder, first.address)
        follow = check_events(folder, first)
        check_stuck(first, follow)
        kept = run("events", "--socket", first.socket)
        verdict("events: all that were kept are printed",
                kept.returncode == 0
                and len(kept.stdout.splitlines()) >= len(follow.text().splitlines()),
                kept.stdout)
        more = [Process(folder, f"more{i}", "events", "--follow", "--socket", first.socket)
                for i in range(2)]
        time.sleep(0.3)
        verdict("events: at most two follow them",
                sum(p.process.poll() == 1 for p in more) == 1,
                "".join(p.text() for p in more))
        first.process.terminate()
        verdict("a node that is followed ends in time",
                first.process.wait(15) == 0 and follow.process.wait(5) == 0, first.text())
        second.process.terminate()
        second.process.wait(10)


try:
    main()
finally:
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
sys.exit(bad)
