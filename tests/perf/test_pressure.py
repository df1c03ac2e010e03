#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_pressure.py PROA_PRESSURE - under each kind of pressure every message is accounted for, and memory
bounded; however it ends, nothing of it stays.  Of the speed it says nothing.  Needs neither root nor huge
pages."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time


def check(what, right, why=""):
    if not right:
        sys.exit(f"FAILED: {what}\n{why}")
    print(f"ok: {what}", flush=True)


def run(*words):
    """No time limit: the slowest machine may take as long as it takes."""
    done = subprocess.run([sys.argv[1], *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def accounted(kind):
    status, out, err = run("--only", kind, "--seconds", "1")
    check(f"{kind}: status 0", status == 0, out + err)
    said = json.loads(out)
    check(f"{kind}: it was this kind, exact and bounded", said["pressure"] == kind and
          said["exact"] is True and said["bounded"] is True, out)
    for key in ("to_the_slow_one", "to_a_healthy_one"):
        told = said[key]
        check(f"{kind}, {key}: tried = accepted + again + not at all", told["tried"] ==
              told["accepted"] + told["again"] + told["not_at_all"], out)
        had = told["entered"] + told["refused"] + told["in_doubt"]
        check(f"{kind}, {key}: each had its outcome", had == told["accepted"] or
              (kind == "dead" and had >= told["accepted"] >= told["entered"]), out)
    check(f"{kind}: both had messages", said["to_a_healthy_one"]["entered"] > 0 and
          (kind == "datagrams" or said["to_the_slow_one"]["tried"] > 0), out)
    check(f"{kind}: the others were answered", said["others_answers_per_s_without"] > 0 and
          abs(said["others_keep"] - said["others_answers_per_s_with"] /
              said["others_answers_per_s_without"]) < 0.01, out)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def ended(number):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        with subprocess.Popen([sys.argv[1], "--only", "node", "--seconds", "1000"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, TMPDIR=folder)) as process:
            while len(nodes := children(process.pid)) < 3:
                time.sleep(0.01)
            process.send_signal(number)
            _, err = process.communicate()
        while any(alive(pid) for pid in nodes):
            time.sleep(0.01)
        if number == signal.SIGKILL:
            check("killed: its nodes end with it", process.returncode == -9)
        else:
            check(f"signal {int(number)}: it says so", process.returncode == 1 and "stopped" in err, err)
            check(f"signal {int(number)}: nothing of it stays", not os.listdir(folder), os.listdir(folder))


def main():
    for kind in ("actor", "lane", "node", "dead", "datagrams"):
        accounted(kind)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
        ended(number)
    for words in (("--only", "nodd"), ("--sconds", "3"), ("--seconds", "3x"), ("--seconds", "0"), ("node",)):
        status, out, err = run(*words)
        check(f"bad options: {' '.join(words)}", status == 2 and out == "" and "usage" in err, err)


main()
