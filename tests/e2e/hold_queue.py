#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hold_queue.py INTERFACE QUEUE - an AF_XDP socket of somebody else: says `holds`, and waits."""
import ctypes
import mmap
import os
import signal
import socket
import struct
import sys

AF_XDP, SOL_XDP = 44, 283
XDP_RX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 2, 4, 5, 6
XDP_COPY = 2
CHUNK, CHUNKS = 4096, 64

memory = mmap.mmap(-1, CHUNK * CHUNKS)
base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
s = socket.socket(AF_XDP, socket.SOCK_RAW)
s.setsockopt(SOL_XDP, XDP_UMEM_REG, struct.pack("QQIII4x", base, CHUNK * CHUNKS, CHUNK, 0, 0))
for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING):
    s.setsockopt(SOL_XDP, ring, struct.pack("I", CHUNKS))
address = struct.pack("HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(sys.argv[1]), int(sys.argv[2]), 0)
if ctypes.CDLL(None, use_errno=True).bind(s.fileno(), address, len(address)) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("holds", flush=True)
signal.pause()
