#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_death.py PEER - what those who wait learn when an actor dies, or its process.

Asks that an actor holds when it fails have their outcomes at once; a monitor's DOWN comes after a
process was killed, and at once when it was killed and is back before its silence was noticed.
The figures are printed; what is asserted of them is only what tells one way from another.
"""
import os
import shutil
import signal
import sys
import tempfile
import time

from peer_lines import Gone, Peer

NOTICE_NS = 1_000_000_000
EARLY_NS = 400_000_000  # silence takes more than twice as long
SLACK_NS = 150_000_000  # the ping that found nobody, and this script
RESTARTS = int(os.environ.get("PROA_RESTARTS", "3"))


def verdict(name, why):
    if why:
        print(f"    {why}")
    print("not ok -" if why else "ok -", name, flush=True)
    return bool(why)


def asks(watch):
    _, count, trip, half, most = watch.wait_line("asks", 120).split()
    print(f"# {count} asks held by actors that failed: round trip p50 {int(trip) / 1e3:.1f} us; "
          f"all outcomes and DOWN after {int(half) / 1e3:.1f} us (p99 {int(most) / 1e3:.1f} us)")


def down(watch, since):
    """Why, how long after since, and the longest loop gap meanwhile."""
    _, reason, at, gap = watch.wait_line("down", 10).split()
    return reason, int(at) - since, int(gap)


def killed(serve, watch):
    """Kills serve, which stays away until it was missed."""
    watch.wait_line("watching", 60)
    time.sleep(0.3)  # the link is idle now
    since = time.monotonic_ns()
    serve.end(signal.SIGKILL)
    reason, took, gap = down(watch, since)
    print(f"# DOWN({reason}) {took / 1e6:.1f} ms after KILL, longest loop gap {gap / 1e6:.1f} ms")
    serve.start()
    if reason != "node-lost":
        return f"DOWN says {reason}"
    if took > NOTICE_NS + gap + SLACK_NS:
        return f"noticed after {took} ns, longest loop gap {gap} ns"
    return None


def restarted(serve, watch, at_once):
    """Kills serve, whose successor is there before silence could tell.  at_once: the port is open
    as soon as the process runs, so that its first packet ends its predecessor."""
    watch.wait_line("watching", 60)
    since = time.monotonic_ns()
    serve.end(signal.SIGKILL)
    serve.start()
    started = int(serve.wait_line("started", 60).split()[1])
    reason, took, gap = down(watch, started)
    joined = int(serve.wait_line("ready", 60).split()[1]) - started
    print(f"# DOWN({reason}) {took / 1e6:.2f} ms after the new process ran, which was "
          f"{(started - since) / 1e6:.0f} ms after KILL, longest loop gap {gap / 1e6:.1f} ms; "
          f"it had joined after {joined / 1e6:.2f} ms")
    if reason != "node-lost":
        return f"DOWN says {reason}"
    if at_once and started - since < EARLY_NS and took > EARLY_NS + gap:
        return f"it was told by silence, {took} ns after the restart"
    return None


def pair(name, specs, folder, program):
    serve = Peer([program, "serve", specs[0], specs[1], specs[5], folder + "/serve"])
    watch = Peer([program, "watch", specs[2], specs[3], specs[4], folder + "/watch"])
    bad = 0
    try:
        for peer in (serve, watch):
            peer.start()
        asks(watch)
        bad |= verdict(f"{name}: asks in flight when their actor fails", None)
        bad |= verdict(f"{name}: KILL is told by DOWN", killed(serve, watch))
        for count in range(RESTARTS):
            why = restarted(serve, watch, name == "udp")
            if why or count == RESTARTS - 1:
                bad |= verdict(f"{name}: KILL and a restart are told by DOWN", why)
                break
    except Gone as gone:
        bad |= verdict(f"{name}: the conversation goes on", gone)
    finally:
        for peer in (serve, watch):
            if peer.process and peer.process.poll() is None:
                peer.end(signal.SIGTERM)
    return bad


def main():
    program = sys.argv[1]
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    os.environ["RUNTIME_DIRECTORY"] = folder
    bad = 0
    try:
        # Each seeds the other, so that whoever comes back finds the one that stayed.
        udp = ["udp:127.0.0.1:7431", "", "udp:127.0.0.1:7432", "", "127.0.0.1:7431",
               "127.0.0.1:7432"]
        vhost = [f"vhost:listen={folder}/v", "10.75.1.1/24", f"vhost:connect={folder}/v",
                 "10.75.1.2/24", "10.75.1.1:7400", "10.75.1.2:7400"]
        bad |= pair("udp", udp, folder, program)
        bad |= pair("vhost", vhost, folder, program)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bad)


main()
