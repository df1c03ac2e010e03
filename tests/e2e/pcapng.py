# SPDX-License-Identifier: Apache-2.0
"""pcapng.py - capture files for tests: makes some, reads those of `proa capture` strictly, and asks
tshark about them with proa's dissector."""

import os
import struct
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SCRIPT = os.path.join(ROOT, "tools", "proa.lua")


def udp(payload, v6=False, src=7401, dst=7400):
    """payload in UDP in IP, without checksums."""
    head = struct.pack(">HHHH", src, dst, 8 + len(payload), 0)
    if v6:
        ip = struct.pack(">IHBB", 0x60000000, 8 + len(payload), 17, 64)
        ip += bytes(15) + b"\x02" + bytes(15) + b"\x01"
    else:
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, 17, 0)
        ip += bytes([10, 0, 0, 2, 10, 0, 0, 1])
    return ip + head + payload


def link(packet, v6=False):
    """A link packet with its lead, in UDP in IP."""
    return udp(bytes(2 if v6 else 6) + packet, v6)


def block(kind, body):
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def write(path, packets):
    """packets: frames, or (kept bytes, length of all)."""
    with open(path, "wb") as out:
        out.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        out.write(block(1, struct.pack("<HHI", 101, 0, 65535)))
        for at, packet in enumerate(packets):
            kept, size = packet if isinstance(packet, tuple) else (packet, len(packet))
            out.write(block(6, struct.pack("<IIIII", 0, 0, at, len(kept), size) + kept))


def options(body):
    found, at = {}, 0
    while at < len(body):
        code, size = struct.unpack_from("<HH", body, at)
        if code == 0:
            assert size == 0 and at + 4 == len(body), "an end that is none"
            return found
        found[code] = body[at + 4:at + 4 + size]
        at += 4 + (size + 3) // 4 * 4
    raise AssertionError("options without an end")


def read(path):
    """{"interfaces": [options], "packets": [(time, data, length, out)], "statistics": [...]}"""
    with open(path, "rb") as source:
        raw = source.read()
    result = {"interfaces": [], "packets": [], "statistics": []}
    at = 0
    while at < len(raw):
        kind, size = struct.unpack_from("<II", raw, at)
        assert size >= 12 and size % 4 == 0 and at + size <= len(raw), "a block cut off"
        assert struct.unpack_from("<I", raw, at + size - 4)[0] == size
        body = raw[at + 8:at + size - 4]
        assert (kind == 0x0A0D0D0A) == (at == 0)
        if kind == 1:
            assert struct.unpack_from("<H", body)[0] == 101
            result["interfaces"].append(options(body[8:]))
        elif kind == 6:
            _, high, low, kept, length = struct.unpack_from("<IIIII", body)
            flags = options(body[20 + (kept + 3) // 4 * 4:])[2]
            result["packets"].append(((high << 32 | low) / 1e9, body[20:20 + kept], length,
                                      struct.unpack("<I", flags)[0] == 2))
        elif kind == 5:
            stats = options(body[12:])
            result["statistics"].append(
                {name: struct.unpack("<Q", stats[code])[0]
                 for name, code in (("received", 4), ("dropped", 5), ("written", 8))})
        at += size
    return result


def tshark(path, *args, ports="7400", script=SCRIPT, env=None):
    """What tshark says, on stdout; it must succeed, and Lua must never fail."""
    command = ["tshark", "-r", path, "-n", "-o", f"proa.ports:{ports}"]
    if script:
        command += ["-X", f"lua_script:{script}"]
    ran = subprocess.run(command + list(args), capture_output=True, timeout=120, check=False,
                         env=env)
    said = ran.stdout.decode("utf-8", "replace")
    errors = ran.stderr.decode("utf-8", "replace")
    assert ran.returncode == 0, f"tshark: status {ran.returncode}: {errors}"
    for text in (said, errors):
        assert "Lua Error" not in text and "Lua: " not in text and "Dissector bug" not in text, \
            [line for line in text.splitlines() if "Lua" in line or "bug" in line][:3]
    return said


def matching(path, conditions, **more):
    """The numbers of the packets that fulfil one of some display filters."""
    said = tshark(path, "-Y", " || ".join(f"({c})" for c in conditions), "-T", "fields",
                  "-e", "frame.number", **more)
    return [int(number) for number in said.split()]


def count(path, condition, **more):
    """How many packets fulfil a display filter."""
    return len(matching(path, [condition], **more))
