#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_capture.py PROA - `proa capture` on one of two nodes over udp: what tshark finds in the file,
what filters leave out, and that whatever ends a capture, the file is whole."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pcapng  # noqa: E402

PATIENCE = 30  # s, until a line or an end has come: no measure of anything


class World:
    """Two nodes: `a` has the actors and is listened to, `b` asks them."""

    def __init__(self, proa, folder):
        self.proa, self.folder, self.running = proa, folder, []
        for name in ("tmp", "state", "run"):
            os.mkdir(os.path.join(folder, name))
        os.environ.update(TMPDIR=os.path.join(folder, "tmp"), HOME=folder,
                          XDG_STATE_HOME=os.path.join(folder, "state"),
                          RUNTIME_DIRECTORY=os.path.join(folder, "run"))
        os.environ.pop("XDG_CONFIG_HOME", None)

    def up(self):
        self.a, self.port_a = self.node("a", None)
        self.b, self.port_b = self.node("b", self.port_a)
        self.ports = f"{self.port_a},{self.port_b}"

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, name, *command, out=None):
        with open(self.path(name), "wb") as log:
            process = subprocess.Popen(command, stdout=out or log, stderr=log)
        self.running.append(process)
        return process

    def said(self, name):
        with open(self.path(name), encoding="utf-8") as log:
            return log.read()

    def await_line(self, name, pattern):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = re.search(pattern, self.said(name), re.M)
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{name}: no {pattern}:\n{self.said(name)}")

    def node(self, name, seed):
        with open(self.path(name + ".yaml"), "w", encoding="utf-8") as config:
            config.write('ports: [{spec: "udp:127.0.0.1:0"}]\npages: none\nlanes: 1\n')
            config.write(f"socket: {self.path(name + '.sock')}\n")
            if seed:
                config.write(f'seeds: ["127.0.0.1:{seed}"]\n')
            else:
                config.write("actors:\n  - {behaviour: counter, name: c}\n"
                             "  - {behaviour: echo, name: e}\n")
        process = self.start(name + ".log", self.proa, "node", "--config",
                             self.path(name + ".yaml"))
        return process, int(self.await_line(name + ".log",
                                            r"^ready: .* at 127\.0\.0\.1:(\d+)").group(1))

    def ask(self, times, name="c", hexa="0100000000000000", lost=0):
        """Asks until so many were answered; no more than `lost` others."""
        while times > 0:
            ran = subprocess.run([self.proa, "ask", "--socket", self.path("b.sock"), name, "1",
                                  hexa], capture_output=True, timeout=PATIENCE, check=False)
            times -= ran.returncode == 0
            lost -= ran.returncode != 0
            assert lost >= 0, ran.stderr.decode()

    def capture(self, file, *options):
        """A capture that has begun."""
        process = self.start(file + ".log", self.proa, "capture", "--socket",
                             self.path("a.sock"), *options, self.path(file))
        self.await_line(file + ".log", "^proa: capturing to")
        return process

    def await_tap(self, file):
        """Until packets come into the file: a busy lane joins a capture late.  Lookups of `b` make some,
        and no link."""
        until, size, tried, process = time.monotonic() + PATIENCE, None, 0, None
        while size is None or os.path.getsize(self.path(file)) <= size:
            assert time.monotonic() < until, "no packets come"
            if process is None or process.poll() is not None:
                size = size or os.path.getsize(self.path(file))
                tried += 1
                process = self.start("lookup.log", self.proa, "lookup", "--socket", self.path("b.sock"),
                                     f"nobody{tried}")
            time.sleep(0.02)

    def ended(self, process, file, status=0):
        """Its end and its file."""
        assert process.wait(PATIENCE) == status, self.said(file + ".log")
        return pcapng.read(self.path(file))

    def stop(self, process, file, status=0):
        process.send_signal(signal.SIGINT)
        return self.ended(process, file, status)

    def refused(self, status, sentence, *options):
        ran = subprocess.run([self.proa, "capture", *options], capture_output=True,
                             timeout=PATIENCE, check=False)
        said = ran.stderr.decode()
        assert (ran.returncode, said) == (status, sentence + "\n"), (ran.returncode, said)

    def finish(self):
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def counts(world, path):
    """Packets by kind, as tshark has them."""
    said = pcapng.tshark(path, "-T", "fields", "-e", "_ws.col.Protocol", "-e", "proa.kind",
                         ports=world.ports)
    found = {}
    for line in said.splitlines():
        protocol, _, kind = line.partition("\t")
        found[kind or protocol] = found.get(kind or protocol, 0) + 1
    return found


def everything(world):
    capture = world.capture("all.pcapng")
    world.await_tap("all.pcapng")
    third, _ = world.node("c", world.port_a)  # a and b are linked already
    world.ask(10)
    third.terminate()
    assert third.wait(PATIENCE) == 0
    file = world.stop(capture, "all.pcapng")
    path = world.path("all.pcapng")
    total = len(file["packets"])
    assert file["statistics"] == [{"received": total, "dropped": 0, "written": total}]
    assert f"proa: {total} packets captured, 0 dropped" in world.said("all.pcapng.log")
    assert len(file["interfaces"]) == 1
    assert file["interfaces"][0][2] == b"udp:127.0.0.1:0"
    assert file["interfaces"][0][9] == b"\x09"
    assert abs(file["packets"][0][0] - time.time()) < 3600  # the wall clock
    assert os.stat(path).st_mode & 0o777 == 0o600

    found = counts(world, path)
    assert found.get("2", 0) >= 1 and found.get("3", 0) >= 1 and found.get("4", 0) >= 1, found
    assert found["0"] >= 20 and "KRPC" in found, found
    assert sum(found.values()) == total
    to_a, from_a = f"udp.dstport == {world.port_a}", f"udp.srcport == {world.port_a}"
    wrong = ["proa.malformed || proa.body || proa.cut || _ws.malformed",
             f"{to_a} && !(frame.packet_flags_direction == 1)",
             f"{from_a} && !(frame.packet_flags_direction == 2)"]
    assert pcapng.matching(path, wrong, ports=world.ports) == []
    for condition in (f"proa.msg.flags.ask == 1 && {to_a}",
                      f"proa.msg.flags.reply == 1 && {from_a}"):
        said = pcapng.tshark(path, "-Y", condition + " && proa.msg.type == 1", "-T", "fields",
                             "-e", "proa.msg.correlation", ports=world.ports)
        # A packet may have been sent again: each ask counts once.
        assert len(set(said.split())) == 10, f"{condition}:\n{said}"
    checks = pcapng.tshark(path, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                           "-T", "fields", "-e", "udp.checksum.status", "-e",
                           "ip.checksum.status", ports=world.ports)
    assert set(checks.split("\n")) == {"1\t1", ""}, set(checks.split("\n"))
    print(f"ok - every packet: {total}, by kind {found}")


def filters(world):
    capture = world.capture("data.pcapng", "--kind", "data", "--packets", "6", "--snap", "40")
    world.ask(5)
    file = world.ended(capture, "data.pcapng")
    assert len(file["packets"]) == 6
    assert all(len(data) == 34 + 40 and length > 34 + 40 for _, data, length, _ in file["packets"])
    assert counts(world, world.path("data.pcapng")) == {"0": 6}
    assert pcapng.count(world.path("data.pcapng"), "proa.cut && !proa.malformed",
                        ports=world.ports) == 6

    capture = world.capture("peer.pcapng", "--peer", f"127.0.0.1:{world.port_b}", "--kind",
                            "ping,pong,data")
    world.ask(3)
    found = counts(world, world.path("peer.pcapng")) if world.stop(capture, "peer.pcapng") else {}
    assert found.get("0", 0) >= 6 and set(found) <= {"0", "5", "6"}, found

    capture = world.capture("none.pcapng", "--peer", "127.0.0.2", "--seconds", "1")
    world.ask(3)
    file = world.ended(capture, "none.pcapng")
    assert file["packets"] == []
    assert file["statistics"] == [{"received": 0, "dropped": 0, "written": 0}]
    print("ok - kinds, peers, bytes, packets, seconds")


def standard_output(world):
    capture = world.start("out.log", world.proa, "capture", "--socket", world.path("a.sock"),
                          "--kind", "data", "--packets", "2", "-", out=subprocess.PIPE)
    reader = subprocess.Popen(["tshark", "-r", "-", "-n"], stdin=capture.stdout,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    world.running.append(reader)
    world.await_line("out.log", "capturing to -")
    world.ask(2)
    lines = reader.communicate(timeout=PATIENCE)[0].decode().splitlines()
    assert len(lines) == 2 and capture.wait(PATIENCE) == 0, lines
    capture.stdout.close()
    print("ok - into a pipe")


def one_at_a_time(world):
    with open(world.path("mine"), "w", encoding="utf-8") as mine:
        mine.write("precious")
    capture = world.capture("first.pcapng")
    socket = ("--socket", world.path("a.sock"))
    world.refused(1, "proa: capture: somebody captures on this node already; end that one first",
                  *socket, world.path("mine"))
    with open(world.path("mine"), encoding="utf-8") as mine:
        assert mine.read() == "precious"
    capture.kill()  # the node finds out, and the next one may
    capture.wait()
    pcapng.read(world.path("first.pcapng"))
    until = time.monotonic() + PATIENCE
    while True:
        try:
            world.refused(1, f"proa: capture: {world.folder}: Is a directory", *socket,
                          world.folder)
            break
        except AssertionError:
            if time.monotonic() > until:
                raise
    world.refused(3, f"proa: {world.path('none')}: no node listens there; start one, or name "
                     "its --socket", "--socket", world.path("none"), "x")
    print("ok - one at a time, and refusals")


def slow_reader(world):
    """A stopped reader: the rings fill, the node goes on."""
    capture = world.capture("slow.pcapng")
    capture.send_signal(signal.SIGSTOP)
    world.ask(70, "e", "ab" * 60000, 30)  # 120 kB each: an answer may be late
    capture.send_signal(signal.SIGCONT)
    file = world.stop(capture, "slow.pcapng")
    statistics, total = file["statistics"][0], len(file["packets"])
    assert statistics["dropped"] > 100, statistics
    assert statistics["written"] == total and statistics["received"] == \
        total + statistics["dropped"], statistics
    assert f"{total} packets captured, {statistics['dropped']} dropped" in \
        world.said("slow.pcapng.log")
    bulk = pcapng.count(world.path("slow.pcapng"), "proa.msg.flags.frag == 1", ports=world.ports)
    assert bulk > 100, bulk
    print(f"ok - a slow reader: {total} written, {statistics['dropped']} dropped")


def ends(world):
    """The file is whole when the node ends in order, and when it is killed."""
    capture = world.capture("leave.pcapng")
    world.ask(2)
    world.a.send_signal(signal.SIGTERM)
    file = world.ended(capture, "leave.pcapng")
    assert world.a.wait(PATIENCE) == 0
    assert file["statistics"][0]["written"] == len(file["packets"]) >= 4
    world.a, port = world.node("a", None)
    capture = world.capture("killed.pcapng")
    world.a.kill()
    file = world.ended(capture, "killed.pcapng", 3)
    assert file["statistics"] == [] and len(file["interfaces"]) == 1
    assert "proa: capture: the node ended; the file has no statistics" in \
        world.said("killed.pcapng.log")
    print(f"ok - the node's end, in order and by a kill (port {port})")


def main():
    if shutil.which("tshark") is None:
        print("skipped: there is no tshark; apt-get install tshark")
        return 77
    with tempfile.TemporaryDirectory(prefix="proa-capture-") as folder:
        world = World(os.path.abspath(sys.argv[1]), folder)
        try:
            world.up()
            for test in (everything, filters, standard_output, one_at_a_time, slow_reader, ends):
                test(world)
        finally:
            world.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
