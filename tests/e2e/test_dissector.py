#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_dissector.py - tshark with tools/proa.lua says of every vector of docs/wire.md what the
vector says, and bears whatever damage is done to packets.

The vectors are those that tests/dataplane/test_packet.c runs, so both readers of the wire agree.
PROA_FUZZ_SEED and PROA_FUZZ_PACKETS change the damage."""

import os
import random
import re
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pcapng  # noqa: E402

KINDS = ["data", "ack", "syn", "synack", "open", "ping", "pong", "rst", "close"]


# ---- Vectors ----

def vectors(name):
    """[(name, {"hex": ...}, lines)] of a document."""
    with open(os.path.join(pcapng.ROOT, "docs", name), encoding="utf-8") as source:
        text = source.read()
    found = []
    for part in re.findall(r"^```\nvector (.*?)^```$", text, re.M | re.S):
        lines = []
        for line in part.splitlines():
            if line.startswith(" "):
                before = lines[-1]
                lines[-1] = before + ("" if " " in before else " ") + line.strip()
            else:
                lines.append(line)
        found.append((lines[0], lines[1:]))
    return found


def split(vector):
    name, lines = vector
    assert lines[0].startswith("hex "), name
    return name, bytes.fromhex(lines[0][4:].replace(" ", "")), lines[1:]


# ---- What tshark says, in the vectors' words ----

class Fields:
    """The fields of one layer, by name, in their order."""

    def __init__(self, tree):
        self.all = [f for f in tree.iter("field")]

    def of(self, name):
        return [f for f in self.all if f.get("name") == "proa." + name]

    def number(self, name):
        return int(self.of(name)[0].get("show"), 0)

    def hex(self, name, digits):
        return f"{self.number(name):0{digits}x}"

    def bytes(self, name):
        found = self.of(name)
        return found[0].get("value") if found else ""


def line(key, value):
    return f"{key} {value}".rstrip()


def message_lines(tree):
    f = Fields(tree)
    flags = f.number("msg.flags")
    yield (f"message flags {flags:02x} class {f.number('msg.class')} hops {f.number('msg.hops')} "
           f"type {f.hex('msg.type', 8)} len {f.number('msg.len')}")
    if not flags & 0x20:
        yield f"dst {f.hex('msg.dst_slot', 8)} {f.hex('msg.dst_generation', 8)}"
        yield f"src {f.hex('msg.src_slot', 8)} {f.hex('msg.src_generation', 8)}"
    if flags & 0x08:
        yield (f"fragment stream {f.number('msg.stream')} offset {f.number('msg.offset')} "
               f"total {f.number('msg.total')}")
    if flags & 0x10:
        yield f"foreign {f.hex('msg.foreign_node', 16)}"
    if flags & 0x03:
        yield f"correlation {f.number('msg.correlation')} us_left {f.number('msg.us_left')}"
    yield line("payload", f.bytes("msg.payload"))


def header_lines(f):
    yield f"flags {f.hex('flags', 2)}"
    for name in ("attempt", "window"):
        yield f"{name} {f.number(name)}"
    for name, digits in (("seq", 8), ("ack", 8), ("sack", 16)):
        yield f"{name} {f.hex(name, digits)}"
    valid = f.of("trigger.valid")[0].get("show") in ("1", "True")
    yield (f"trigger {f.number('trigger')} attempt {f.number('trigger.attempt')}" if valid
           else "trigger none")
    delay = f.number("host_delay")
    yield f"host_delay {'none' if delay == 0xffff else delay}"


def keyed_lines(f, kind):
    for name in ("src_node", "dst_node", "nonce", "echo", "link"):
        yield f"{name} {f.hex(name, 16)}"
    if kind in ("syn", "synack", "open"):
        for name in ("start", "peer_start"):
            yield f"{name} {f.hex(name, 8)}"
        for name in ("mtu", "lane", "lanes"):
            yield f"{name} {f.number(name)}"
        for name in ("public_key", "signature", "kx"):
            yield line(name, f.bytes(name))
        yield f"padding {len(f.bytes('padding')) // 2}"
    else:
        yield f"flags {f.number('said')}"
        yield f"loop_gap {f.number('loop_gap')}"


def packet_lines(layer):
    f = Fields(layer)
    if f.of("malformed"):
        return ["malformed"]
    kind = KINDS[f.number("kind")]
    lines = [f"kind {kind}", f"dst_link {f.hex('dst_link', 16)}"]
    if kind not in ("data", "ack"):
        return lines + list(keyed_lines(f, kind))
    lines += header_lines(f)
    if kind == "ack":
        return lines + [line("bitmap", f.bytes("bitmap"))]
    for message in f.of("message"):
        lines += message_lines(message)
    return lines


def layers(path):
    pdml = ET.fromstring(pcapng.tshark(path, "-T", "pdml"))
    for packet in pdml.iter("packet"):
        yield [proto for proto in packet.iter("proto") if proto.get("name") == "proa"][0]


def vectors_say_what_they_say(folder):
    known = [split(v) for v in vectors("wire.md")]
    assert len(known) >= 24, len(known)
    path = os.path.join(folder, "vectors.pcapng")
    for v6 in (False, True):
        pcapng.write(path, [pcapng.link(packet, v6) for _, packet, _ in known])
        shown = list(layers(path))
        assert len(shown) == len(known)
        for (name, _, lines), layer in zip(known, shown):
            said = packet_lines(layer)
            assert said == lines, f"{name}:\n" + "\n".join(said) + "\nwanted:\n" + "\n".join(lines)
    # And what the vectors' words do not tell: bodies of system messages, SPAWN, the tag.
    for condition in ('proa.sys.count == 12 && proa.sys.reason == 1 && proa.sys.stream == 4',
                      'proa.sys.correlation == 77 && proa.sys.hops == 2',
                      'proa.spawn.name == "counter" && proa.spawn.arg == 01:02:03:04 && '
                      'proa.spawn.result == 0 && proa.spawn.slot == 0x01000005',
                      'proa.said.busy == 1 && proa.tag'):
        assert pcapng.count(path, condition) == 1, condition
    print(f"ok - {len(known)} vectors, on IPv4 and IPv6")


# ---- What is no vector ----

def data(body, flags=0x01):
    return bytes([0x01, flags]) + bytes(30) + body


def sealed_and_odd_ones(folder):
    path = os.path.join(folder, "odd.pcapng")
    whole = data(bytes.fromhex("0500000001000000") + bytes(16) + b"hello\0\0\0")
    watch = bytes.fromhex("2800040207000080") + bytes(16) + bytes(range(1, 41))
    cases = [
        ("proa.is_sealed && proa.sealed == 11:22 && proa.tag",
         pcapng.link(data(b"\x11\x22" + b"\xee" * 16, 0x02))),
        ("proa.is_sealed && proa.malformed", pcapng.link(data(b"\x11" * 15, 0x02))),
        ("proa.body", pcapng.link(data(bytes.fromhex("0700040202000080") + bytes(24)))),
        ("proa.sys.serial == 0x18171615 && proa.sys.end == 0x19 && proa.sys.code == 0x201f1e1d",
         pcapng.link(data(watch))),
        ("proa.malformed && !proa.kind", pcapng.udp(bytes(5) + b"\1" + whole)),
        ("proa.malformed && !proa.kind", pcapng.udp(bytes(3))),
        ("proa.malformed && !proa.kind", pcapng.udp(bytes(6))),
        ("proa.malformed && !proa.kind", pcapng.udp(bytes(6) + whole[:31])),
        ("proa.malformed && !proa.bitmap", pcapng.link(b"\x11\x01" + bytes(30 + 136))),
        ("proa.malformed && !proa.bitmap", pcapng.link(b"\x11\x01" + bytes(30 + 4))),
        ("proa.cut && proa.msg.len == 5 && !proa.malformed && !proa.msg.payload",
         (pcapng.link(whole)[:34 + 32 + 24], len(pcapng.link(whole)))),
        ("proa.cut && !proa.malformed && !proa.kind",
         (pcapng.link(whole)[:34 + 31], len(pcapng.link(whole)))),
    ]
    pcapng.write(path, [packet for _, packet in cases])
    fulfilled = pcapng.matching(path, [f"frame.number == {at + 1} && ({condition})"
                                       for at, (condition, _) in enumerate(cases)])
    for at, (condition, _) in enumerate(cases):
        assert at + 1 in fulfilled, condition
    print(f"ok - {len(cases)} sealed, cut and odd ones")


def krpc(folder):
    path = os.path.join(folder, "krpc.pcapng")
    query = b"d2:an28:" + bytes(28) + b"1:ad2:id20:" + bytes(range(20)) + b"e1:q4:ping1:t2:aa1:y1:qe"
    pcapng.write(path, [pcapng.udp(query), pcapng.udp(query[:-1]),
                        pcapng.udp(b"d" * 5000), pcapng.udp(b"d1:a" + b"l" * 300)])
    said = pcapng.tshark(path, "-T", "fields", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info")
    assert said.splitlines()[0] == "KRPC\tquery ping", said
    assert pcapng.count(path, "proa.malformed") == 3
    assert pcapng.count(path, "proa.krpc.value == " + ":".join(f"{i:02x}" for i in range(20))) == 2
    print("ok - KRPC, whole and not")


# ---- Damage ----

def damage(rng, packet):
    packet = bytearray(packet)
    how = rng.randrange(6)
    if how == 0:
        del packet[rng.randrange(len(packet) + 1):]
    elif how == 1:
        packet += rng.randbytes(rng.randrange(1, 64))
    elif how == 2:
        at = rng.randrange(len(packet))
        packet[at:at + 8] = rng.choice([b"\xff", b"\0"]) * 8
    if how >= 2:
        for _ in range(rng.randrange(1, 6)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
    if how == 5 and len(packet) > 1:
        packet[0] = packet[0] & 0xf0 | 1
        packet[1] &= ~2
    return bytes(packet)


def bears_damage(folder):
    seed = int(os.environ.get("PROA_FUZZ_SEED", random.SystemRandom().randrange(1 << 32)))
    packets = int(os.environ.get("PROA_FUZZ_PACKETS", 2000))
    rng = random.Random(seed)
    known = [split(v)[1] for v in vectors("wire.md")]
    datagrams = [bytes.fromhex(h) for h in
                 (re.sub(r"\s", "", "".join(lines)) for lines in
                  re.findall(r"^hex\n((?:  [0-9a-f]+\n)+)", open(os.path.join(
                      pcapng.ROOT, "docs", "wire_dht.md"), encoding="utf-8").read(), re.M))
                 if h.startswith("64")]
    frames = []
    for _ in range(packets):
        v6 = rng.randrange(2) == 1
        if datagrams and rng.randrange(5) == 0:
            frame = pcapng.udp(damage(rng, rng.choice(datagrams)), v6)
        else:
            frame = pcapng.link(damage(rng, rng.choice(known)), v6)
        if rng.randrange(8) == 0:  # as --snap does
            frame = (frame[:rng.randrange(28, len(frame) + 1)], len(frame))
        frames.append(frame)
    path = os.path.join(folder, "damage.pcapng")
    pcapng.write(path, frames)
    try:
        said = pcapng.tshark(path, "-V")
        assert said.count("\nFrame ") + said.startswith("Frame ") == packets
        bad = pcapng.count(path, "proa.malformed")
    except AssertionError as why:
        raise AssertionError(f"PROA_FUZZ_SEED={seed}: {why}") from None
    assert packets // 10 < bad < packets, f"PROA_FUZZ_SEED={seed}: {bad} malformed"
    print(f"ok - {packets} damaged packets, {bad} of them malformed, seed {seed}")


# ---- As a plugin ----

def plugin(folder):
    """The three files in Wireshark's own folder, where it loads each of them by itself."""
    home = os.path.join(folder, "home")
    plugins = os.path.join(home, ".local", "lib", "wireshark", "plugins")
    os.makedirs(plugins)
    for name in os.listdir(os.path.join(pcapng.ROOT, "tools")):
        if name.endswith(".lua"):
            shutil.copy(os.path.join(pcapng.ROOT, "tools", name), plugins)
    path = os.path.join(folder, "vectors.pcapng")
    env = dict(os.environ, HOME=home)
    for unset in ("XDG_CONFIG_HOME", "WIRESHARK_PLUGIN_DIR"):
        env.pop(unset, None)
    assert pcapng.count(path, "proa.kind == 0", script=None, env=env) > 10
    assert pcapng.count(path, "proa", script=None, env=env, ports="7402") == 0
    print("ok - as a plugin")


def main():
    if shutil.which("tshark") is None:
        print("skipped: there is no tshark; apt-get install tshark")
        return 77
    with tempfile.TemporaryDirectory(prefix="proa-dissector-") as folder:
        os.environ["HOME"] = folder  # nobody's own preferences and plugins
        os.environ.pop("XDG_CONFIG_HOME", None)
        for test in (vectors_say_what_they_say, sealed_and_odd_ones, krpc, bears_damage, plugin):
            test(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
