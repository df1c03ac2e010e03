#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_register.py PROA_REGISTER - it measures what it says, and says what it cannot.

How long anything took is not judged here: that is `./dev bench`.
"""
import json
import os
import subprocess
import sys
import tempfile

bad = 0


def verdict(name, why=None):
    global bad
    bad |= bool(why)
    if why:
        print("   ", why)
    print("not ok -" if why else "ok -", name, flush=True)


def run(*words):
    return subprocess.run([sys.argv[1], *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=100, check=False)


def script(folder, text):
    path = os.path.join(folder, "pg")
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


with tempfile.TemporaryDirectory() as folder:
    # A peer so slow that no lane is slower, then one that nothing can beat.
    done = run("--samples", "50", "--pg", script(folder, "echo $1 99000000000 99000000000\n"))
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    verdict("50 joins are seen", None if said.get("samples") == 50 and said["sets"] == 1 and
            0 < said["p50_ns"] <= said["p99_ns"] <= said["max_ns"] else done)
    verdict("beside the peer's", None if said.get("erlang_pg", {}).get("samples") == 50 and
            said["p50_no_worse_than_pg"] else done)
    done = run("--samples", "20", "--check", "--pg", script(folder, "echo $1 1 1\n"))
    verdict("--check: a peer that is quicker fails it", None if done.returncode == 1 and
            json.loads(done.stdout)["p50_no_worse_than_pg"] is False else done)
    done = run("--samples", "20", "--pg", script(folder, "exit 1\n"))
    verdict("a peer that fails is told", None if done.returncode == 1 and
            "pg: it did not run" in done.stderr else done)
    done = run("--samples", "20", "--pg", script(folder, "exit 77\n"))
    verdict("a peer that is not there is no fault", None if done.returncode == 77 and
            "install erlang-base" in done.stderr else done)
done = run("--samples", "0")
verdict("bad options", None if done.returncode == 2 else done)
sys.exit(bad)
