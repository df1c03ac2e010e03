#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_savina.py PROA_SAVINA - each benchmark in a small size, on one lane and on two: it ends, all
its results are right, and what it says of itself adds up.  And it can say that it is not so."""
import json
import subprocess
import sys

# benchmark, --actors, --count, messages by these
SIZES = [
    ("ping-pong", None, 3000, lambda k, n: 2 * n),
    ("ping-pong", None, 1, lambda k, n: 2 * n),
    ("counting", None, 10001, lambda k, n: n),
    ("counting", None, 1, lambda k, n: n),
    ("thread-ring", 100, 10007, lambda k, n: n),
    ("thread-ring", 2, 1, lambda k, n: n),
    ("fork-join-throughput", 60, 700, lambda k, n: k * n),
    ("fork-join-throughput", 1, 1, lambda k, n: k * n),
    ("fork-join-create", None, 10001, lambda k, n: 2 * n),
    ("big", 120, 50, lambda k, n: 2 * k * n),
    ("big", 2, 1, lambda k, n: 2 * k * n),
    ("chameneos", 100, 5000, lambda k, n: 4 * n),
    ("chameneos", 3, 1, lambda k, n: 4 * n),
]


def run(*arguments):
    done = subprocess.run([sys.argv[1], *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def check(what, right):
    if not right:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def small_size(name, actors, count, messages, lanes):
    what = f"{name} actors={actors} count={count} lanes={lanes}"
    arguments = [name, "--lanes", lanes, "--count", count, "--timeout", 60]
    if actors is not None:
        arguments += ["--actors", actors]
    status, out, err = run(*arguments)
    check(f"{what}: status {status} {err}", status == 0 and err == "")
    said = json.loads(out)
    check(f"{what}: says so", said["benchmark"] == name and
          said["parameters"]["lanes"] == lanes and said["parameters"]["count"] == count)
    check(f"{what}: {said['messages']} messages", said["messages"] == messages(actors, count))
    check(f"{what}: checked", said["checked"] is True and len(said["checks"]) > 0 and
          all(c["counted"] == c["expected"] for c in said["checks"].values()))
    check(f"{what}: nothing lost", said["undelivered"] == 0 and said["wrong"] == 0)


for size in SIZES:
    for lane_count in (1, 2):
        small_size(*size, lane_count)

# What does not come to its end is not checked.
status, out, err = run("thread-ring", "--count", 1000000000, "--timeout", 1)
check("a run that is given up has status 1", status == 1 and json.loads(out)["checked"] is False)
check("and says why", "maybe executed" in err and "maybe executed" in json.loads(out)["error"])

for arguments, words in ([["sieve"], "sieve"], [["big", "--lanes", 3], "--lanes"],
                         [["ping-pong", "--actors", 5], "--actors"],
                         [["big", "--count", "x"], "--count"], [["big", "more"], "more"],
                         [["big", "--actors", 1], "--actors"]):
    status, out, err = run(*arguments)
    check(f"{arguments} is refused", status == 2 and words in err and out == "")
