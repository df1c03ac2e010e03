# SPDX-License-Identifier: Apache-2.0
"""Frames built by hand, right or wrong, and a socket that puts them on an interface."""

import socket
import struct

PORT = 7400
UDP, TCP, ICMP6 = 17, 6, 58
ZEROS = bytes(6)  # what a link packet begins with over IPv4


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def v4(text):
    return socket.inet_pton(socket.AF_INET, text)


def v6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def total(data):
    """The sum of 16-bit words, folded."""
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xffff) + (value >> 16)
    return value


def ether(to, source, kind, rest):
    return mac(to) + mac(source) + struct.pack("!H", kind) + rest


def udp(source, to, payload, sport=PORT, dport=PORT, length=None, checksum="good"):
    """checksum: good, bad, partial (that of the pseudo header), zero, or a number."""
    size = 8 + len(payload)
    length = size if length is None else length
    pseudo = source + to + struct.pack("!HH", UDP, size)
    head = struct.pack("!HHH", sport, dport, length)
    right = 0xffff - total(pseudo + head + b"\0\0" + payload) or 0xffff
    check = {"good": right, "bad": right ^ 0x5555, "partial": total(pseudo), "zero": 0}[checksum]
    return head + struct.pack("!H", check) + payload


def ipv4(source, to, rest, protocol=UDP, options=b"", fragment=0x4000, length=None, first=None,
         bad_sum=False):
    words = 5 + len(options) // 4
    length = 4 * words + len(rest) if length is None else length
    first = 0x40 | words if first is None else first
    head = struct.pack("!BBHHHBBH", first, 0, length, 1, fragment, 64, protocol, 0) + source + to + options
    check = 0xffff - total(head) ^ (0x5555 if bad_sum else 0)
    return head[:10] + struct.pack("!H", check) + head[12:] + rest


def ipv6(source, to, rest, following=UDP, length=None, first=0x60):
    length = len(rest) if length is None else length
    return struct.pack("!BBHHBB", first, 0, 0, length, following, 64) + source + to + rest


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac(sender_mac) + sender + \
        mac(target_mac) + target


def neighbour_advertisement(source, to, target, target_mac):
    """Unasked, and to override what is known."""
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + target + b"\2\1" + mac(target_mac)
    pseudo = source + to + struct.pack("!I3xB", len(body), ICMP6)
    check = 0xffff - total(pseudo + body)
    packet = ipv6(source, to, body[:2] + struct.pack("!H", check) + body[4:], ICMP6)
    return packet[:7] + b"\xff" + packet[8:]  # only neighbours send it


class Wire:
    """Sends frames as they are.  To be made in the namespace of the interface."""

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((interface, 0))

    def send(self, frame, times=1):
        for _ in range(times):
            while True:
                try:
                    self.socket.send(frame)
                    break
                except OSError as error:  # the queue is full for a moment
                    if error.errno != 105:
                        raise

    def close(self):
        self.socket.close()
