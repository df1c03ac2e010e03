#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_kill.py PEER - kills either node of a busy pair, by KILL and by TERM, over udp and vhost.

The other one lives, reports the loss within 1 s and its longest loop gap, and talks again when
the killed one is back.  PROA_KILLS rounds of each (default 2; 20 for the whole test).
"""
import os
import shutil
import signal
import sys
import tempfile
import time

from peer_lines import Gone, Peer

KILLS = int(os.environ.get("PROA_KILLS", "2"))
NOTICE_MS = 1000
SLACK_MS = 150  # the ping that found nobody, and this script


def huge_pages():
    with open("/proc/meminfo", encoding="ascii") as info:
        return [line for line in info if line.startswith("HugePages_Free")]


def one_round(killed, other, sig):
    """Kills one and brings it back.  Returns why it was wrong, or None."""
    status = killed.end(sig)
    if sig == signal.SIGTERM and status != 0:
        return f"exit status {status} after TERM"
    took, gap = map(int, other.wait_line("lost", 10).rsplit(", ", 1)[1].split())
    if took > NOTICE_MS + gap + SLACK_MS:
        return f"noticed after {took} ms, longest loop gap {gap} ms"
    killed.start()
    killed.wait_line("ready", 60)
    other.wait_line("talks", 30)
    killed.wait_line("talks", 30)
    if other.process.poll() is not None:
        return "the other one ended"
    return None


def pair(name, specs, folder, program):
    a = Peer([program, "a", specs[0], specs[1], specs[5], folder + "/a"])
    b = Peer([program, "b", specs[2], specs[3], specs[4], folder + "/b"])
    bad = 0
    try:
        for peer in (a, b):
            peer.start()
        for peer in (a, b):
            peer.wait_line("talks", 60)
        for sig in (signal.SIGKILL, signal.SIGTERM):
            for killed, other in ((b, a), (a, b)):
                title = f"{name}: {sig.name} of {killed.argv[1]}, {KILLS} times"
                why = None
                for count in range(KILLS):
                    why = one_round(killed, other, sig)
                    if why:
                        print(f"    round {count + 1}: {why}")
                        break
                print("not ok -" if why else "ok -", title, flush=True)
                bad |= bool(why)
    except Gone as gone:
        print(f"    {gone}")
        print(f"not ok - {name}: the conversation goes on")
        bad = 1
    finally:
        for peer in (a, b):
            if peer.process and peer.process.poll() is None:
                peer.end(signal.SIGTERM)
    return bad


def main():
    program = sys.argv[1]
    folder = tempfile.mkdtemp(prefix="proa-e2e-")
    os.environ["RUNTIME_DIRECTORY"] = folder
    before, bad = huge_pages(), 0
    try:
        # Each seeds the other, so that whoever comes back finds the one that stayed.
        udp = ["udp:127.0.0.1:7421", "", "udp:127.0.0.1:7422", "", "127.0.0.1:7421",
               "127.0.0.1:7422"]
        vhost = [f"vhost:listen={folder}/v", "10.74.1.1/24", f"vhost:connect={folder}/v",
                 "10.74.1.2/24", "10.74.1.1:7400", "10.74.1.2:7400"]
        bad |= pair("udp", udp, folder, program)
        bad |= pair("vhost", vhost, folder, program)
        for _ in range(100):  # the kernel takes a moment, and others use some for a while
            good = huge_pages() == before
            if good:
                break
            time.sleep(0.1)
        print("ok -" if good else "not ok -", "no huge page is lost")
        bad |= not good
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bad)


main()
