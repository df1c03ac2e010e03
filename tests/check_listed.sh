#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_listed.sh BUILD [FUZZ_BUILD] - no source lies in the tree that nothing compiles: a
# test that meson does not know never fails.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 - "$@" <<'P'
import json
import os
import sys

variants = {"actors/arena_system.c"}  # the other choice of -Dallocator
known = set()
for build in sys.argv[1:]:
    with open(f"{build}/compile_commands.json", encoding="utf-8") as table:
        for entry in json.load(table):
            known.add(os.path.realpath(os.path.join(entry["directory"], entry["file"])))
with open("perf/peers/meson.build", encoding="utf-8") as listed:
    peers = listed.read()
bad = 0
for folder in ("dht", "actors", "dataplane", "control", "tests", "perf", "examples"):
    for here, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(here, name)
            if len(sys.argv) < 3 and here.startswith("tests/fuzz"):
                continue
            if here == "perf/peers" and f"'{name}'" in peers:  # built where its package is
                continue
            if name.endswith(".bpf.c"):  # custom targets compile them
                continue
            if name.endswith((".c", ".cc")) and path not in variants \
                    and os.path.realpath(path) not in known:
                print(f"{path}: no meson.build lists it")
                bad = 1
sys.exit(bad)
P
