#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count_path.py - how many instructions a message costs, function by function.

    count_path.py build/count/perf/proa-perf --port vhost --mode tell [--functions REGEX]

Runs proa-perf under callgrind and prints a table for each of its two nodes: how often a function was
called, instructions a call with and without what it calls itself, and instructions a message.  Wants a
build without LTO, which would leave few functions to tell apart:

    meson setup build/count -Doptimization=3 -Db_lto=false

The lanes sleep when idle (--idle adaptive) and memory is in ordinary pages, since valgrind runs one
thread at a time and knows no huge pages; the count of a function that runs once a message or packet is
the same.  The kernel's instructions are not counted.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

FUNCTIONS = (r"^(proa_|tell_any|send_|lane_|link_|sched_|packet_|deliver|env_|dispatch|run_in_place|"
             r"answer|on_|ethdev_|udp_rx|udp_tx|af_xdp|net_|dpdk_|rte_vhost_(de|en)queue_burst|"
             r"virtio_(recv|xmit)|clock_ns|inbox_p|byte_ring_peek|directory_q)")
LEAST_CALLS = 200


class Profile:
    """The costs in one file of callgrind's."""

    def __init__(self, path):
        self.names = {}
        self.own, self.all, self.calls = {}, {}, {}
        with open(path, errors="replace") as lines:
            self.read(lines)

    def name(self, text):
        number, name = re.match(r"(\(\d+\))(?: (.*))?$", text).groups()
        if name:
            self.names[number] = name
        return self.names[number]

    def read(self, lines):
        here = callee = None
        called = False
        for line in lines:
            if line.startswith("fn="):
                here = self.name(line[3:].rstrip())
            elif line.startswith("cfn="):
                callee = self.name(line[4:].rstrip())
            elif line.startswith("calls="):
                self.add(self.calls, callee, int(line[6:].split()[0]))
                called = True
            elif line[:1] in "0123456789+-*" and len(line.split()) >= 2:
                cost = int(line.split()[1])
                if not called:
                    self.add(self.own, here, cost)
                elif callee != here:
                    self.add(self.all, callee, cost)
                called = False

    @staticmethod
    def add(table, key, cost):
        table[key] = table.get(key, 0) + cost

    def total(self):
        return sum(self.own.values())


def show(profile, pattern, messages):
    print("%-34s %10s %10s %10s %12s" % ("function", "calls", "a call", "own", "a message"))
    for name in sorted(profile.calls, key=lambda n: -profile.all.get(n, 0)):
        calls = profile.calls[name]
        if calls < LEAST_CALLS or not pattern.search(name):
            continue
        print("%-34s %10d %10.1f %10.1f %12.1f" %
              (name[:34], calls, profile.all.get(name, 0) / calls, profile.own.get(name, 0) / calls,
               profile.all.get(name, 0) / messages))


def main():
    parser = argparse.ArgumentParser(description="instructions a message costs, by function",
                                     usage="count_path.py PROA-PERF [OPTION OF ITS...] [--functions REGEX]")
    parser.add_argument("program")
    parser.add_argument("--functions", default=FUNCTIONS)
    known, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "cost")
        run = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--fair-sched=yes",
                              "--callgrind-out-file=" + out + ".%p", known.program, "--no-huge",
                              "--idle", "adaptive", "--quiet", "--seconds", "2", *options],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        try:
            result = json.loads(run.stdout)
        except json.JSONDecodeError:
            sys.exit("count_path.py: proa-perf gave no result; it said: " + run.stderr[-400:])
        sides = sorted((Profile(path) for path in glob.glob(out + ".*")), key=lambda p: -p.total())[:2]
    messages = result["checked"]["sent"]
    for side in sides:
        print("\n%s, %d messages" % ("sends" if side.calls.get("lane_below_send", 0) and
                                     side.calls.get("proa_tell", 0) + side.calls.get("proa_ask", 0) > messages / 2
                                     else "receives", messages))
        show(side, re.compile(known.functions), messages)
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
