#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_peers.py SOURCE PROGRAMS - each script of perf/peers runs for a fraction of a second, and what it
prints is what perf/README.md says; killed in the middle, it leaves no process behind.  A peer whose package
is not installed is skipped."""
import glob
import json
import os
import signal
import subprocess
import sys
import time

SCRIPTS = os.path.join(sys.argv[1], "perf", "peers")
PROGRAMS = sys.argv[2]
SECONDS = "0.1"
# transports, and what has to be there
PEERS = {
    "zeromq": ({"tcp", "ipc"}, "peer_zeromq"),
    "nng": ({"tcp", "ipc"}, "peer_nng"),
    "nats": ({"tcp"}, "peer_nats"),
    "erlang": ({"tcp"}, "peer_erlang.beam"),
    "caf": ({"tcp"}, "peer_caf"),
    "udp": ({"udp", "udp_segment"}, "peer_udp"),
}
LOCAL = {"erlang": "peer_erlang_local.beam", "caf": "peer_caf_local"}
PERCENTILES = ["min", "p50", "p90", "p99", "p99.9", "max"]

environment = dict(os.environ, PROA_PEERS=PROGRAMS)
ran = 0


def check(what, right):
    if not right:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}", flush=True)


def there(name, program):
    path = os.path.join(PROGRAMS, program)
    server = name != "nats" or os.path.exists("/usr/sbin/nats-server")
    if os.path.exists(path) and server:
        return True
    print(f"skipped: {name}: {path} was not built, its package is not installed", flush=True)
    return False


def run(script, *arguments):
    done = subprocess.run([os.path.join(SCRIPTS, script), *arguments], capture_output=True, text=True,
                          timeout=200, check=False, env=environment)
    return done.returncode, done.stdout, done.stderr


def positive(number):
    return isinstance(number, (int, float)) and not isinstance(number, bool) and number > 0


def objects(script):
    status, out, err = run(script, "--seconds", SECONDS)
    check(f"{script}: status {status} {err}", status == 0 and err == "")
    said = [json.loads(line) for line in out.splitlines()]
    check(f"{script}: {len(said)} objects, one a line", len(said) >= 2)
    check(f"{script}: both placements", {o["placement"] for o in said} == {"two cores", "same core"})
    for o in said:
        check(f"{script}: {o['transport']}, {o['placement']}, {o['settings']}: checked",
              o["checked"] is True and o["peer"] == script.split(".")[0].split("_")[0] and
              any(c.isdigit() for c in o["version"]) and len(o["settings"]) > 2)
    return said


def remote(name, transports):
    said = objects(f"{name}.sh")
    check(f"{name}: transports", {o["transport"] for o in said} == transports)
    cases = [(o["transport"], o["placement"], o["settings"]["wait"]) for o in said]
    check(f"{name}: each case once", len(set(cases)) == len(cases))
    for o in said:
        rtt = [o["rtt_ns"][p] for p in PERCENTILES]
        check(f"{name}: {rtt} rises", rtt == sorted(rtt) and positive(rtt[0]) and
              rtt[-1] < 30e9 and positive(o["rtt_ns"]["count"]))
        one_way = o["one_way"]
        check(f"{name}: one way {one_way}", one_way["size"] == 64 and
              one_way["messages"] >= 10000 and positive(one_way["messages_per_s"]))


def local(name):
    for o in objects(f"{name}_local.sh"):
        check(f"{name}: local", o["transport"] == "local" and positive(o["memory_per_actor_bytes"]))
        for what, count, rate in (("ping_pong", "messages", "messages_per_s"),
                                  ("counting", "messages", "messages_per_s"),
                                  ("spawn", "actors", "actors_per_s")):
            check(f"{name}: {what} {o[what]}", positive(o[what][count]) and positive(o[what][rate]))


def with_mark(mark):
    """Processes whose environment has the mark."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                if mark.encode() in file.read().split(b"\0"):
                    found.append(int(path.split("/")[2]))
        except OSError:
            pass  # ended, or another user's
    return found


def killed(name, signal_number):
    """Ends the script while it measures: everything of it ends."""
    mark = f"PROA_TEST_PEERS={os.getpid()}.{name}.{signal_number}"
    homes = os.path.join("/tmp", f"proa-peers-test-{os.getpid()}")
    os.makedirs(homes, exist_ok=True)
    key, value = mark.split("=")
    process = subprocess.Popen([os.path.join(SCRIPTS, f"{name}.sh"), "--seconds", "100"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(environment, TMPDIR=homes, **{key: value}))
    # Its own process, the two ends, and what else it has: it measures.
    while process.poll() is None and len(with_mark(mark)) < 3:
        time.sleep(0.02)
    check(f"{name}: runs until it is killed", process.poll() is None)
    process.send_signal(signal_number)
    process.wait()
    while with_mark(mark) or os.listdir(homes):
        time.sleep(0.02)
    os.rmdir(homes)
    check(f"{name}: after signal {signal_number} nothing is left", True)


if len(os.sched_getaffinity(0)) < 2:
    print("skipped: the two ends want two cores")
    sys.exit(77)
for peer, (carried_by, needs) in PEERS.items():
    if there(peer, needs):
        ran += 1
        remote(peer, carried_by)
        status, out, err = run(f"{peer}.sh", "--minutes", "1")
        check(f"{peer}: a bad option is refused", status == 2 and out == "" and "usage" in err)
        for number in (signal.SIGTERM, signal.SIGKILL):
            killed(peer, number)
for peer, needs in LOCAL.items():
    if there(peer, needs):
        ran += 1
        local(peer)
environment["PROA_PEERS"] = "/nonexistent"
for peer in PEERS:
    status, out, err = run(f"{peer}.sh")
    check(f"{peer}: not built: one sentence",
          status == 77 and out == "" and err.count("\n") == 1 and "install" in err)
sys.exit(0 if ran > 0 else 77)
