#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""coverage.py DECODERS FUZZER BINARY PROFDATA ROOT - line coverage of a fuzzer's decoders.

Reads the fuzzer's line of DECODERS, asks llvm-cov about those functions, prints the
percentage and the lines not reached, and ends with status 1 under MINIMUM.
"""
import json
import os
import re
import subprocess
import sys

MINIMUM = 90.0  # percent of lines


def export(binary, profdata, form):
    return subprocess.run(
        ["llvm-cov", "export", f"-format={form}", f"-instr-profile={profdata}", binary],
        check=True, capture_output=True, text=True).stdout


def line_counts(binary, profdata):
    """{real path: {line: times run}} of every source in the binary."""
    counts, lines = {}, None
    for row in export(binary, profdata, "lcov").splitlines():
        key, _, rest = row.partition(":")
        if key == "SF":
            lines = counts.setdefault(os.path.realpath(rest), {})
        elif key == "DA":
            line, times = rest.split(",")[:2]
            lines[int(line)] = int(times)
    return counts


def functions(binary, profdata):
    """{real path: [(name, first line, last line)]}."""
    table = {}
    for one in json.loads(export(binary, profdata, "text"))["data"][0]["functions"]:
        region = one["regions"][0]
        path = os.path.realpath(one["filenames"][0])
        table.setdefault(path, []).append((one["name"].split(":")[-1], region[0], region[2]))
    return table


def main():
    decoders, fuzzer, binary, profdata, root = sys.argv[1:6]
    wanted = []
    with open(decoders, encoding="utf-8") as table:
        for line in table:
            part = line.split("#")[0].split()
            if part and part[0] == fuzzer:
                wanted += part[1:]
    if not wanted:
        sys.exit(f"{fuzzer}: no line in {decoders}")
    counts, table = line_counts(binary, profdata), functions(binary, profdata)
    total = missed = 0
    for entry in wanted:
        source, _, pattern = entry.partition(":")
        path = os.path.realpath(f"{root}/{source}")
        chosen = [f for f in table.get(path, []) if re.search(pattern, f[0])]
        if not chosen:
            sys.exit(f"{fuzzer}: nothing in the binary matches {entry}")
        for name, first, last in sorted(set(chosen), key=lambda f: f[1]):
            lines = {n: c for n, c in counts[path].items() if first <= n <= last}
            unreached = sorted(n for n, c in lines.items() if c == 0)
            total += len(lines)
            missed += len(unreached)
            if unreached:
                print(f"    {source}: {name}: not reached:", *unreached)
    percent = 100.0 * (total - missed) / total
    print(f"{fuzzer}: {percent:.1f} % of {total} decoder lines (at least {MINIMUM:.0f} %)")
    sys.exit(0 if percent >= MINIMUM else 1)


main()
