#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_perf_af_xdp.py PROA_PERF - over af_xdp proa-perf has a limit beside it, and a flood: what it
prints is there and adds up.  No figure is judged.  Needs root and network namespaces."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from peer_lines import no_lab  # noqa: E402

HOW = {"busy_budget=0", "busy_budget=64"}


def perf(*arguments):
    done = subprocess.run([sys.argv[1], "--port", "af_xdp", "--quiet", "--seconds", "1",
                           *arguments], capture_output=True, text=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def check(what, right, why=""):
    if not right:
        sys.exit(f"FAILED: {what}\n{why}")
    print(f"ok: {what}", flush=True)


def limits():
    status, out, err = perf("--mode", "ask", "--window", "1", "--with-raw")
    check("asks with the bare loop beside them", status == 0, out + err)
    run = json.loads(out)
    raw = run["raw"]
    check("every answer was checked", run["checked"]["all"])
    check("nothing else is said", err == "", err)
    check("which way the limit was measured",
          raw["packets"]["how"] in HOW and raw["rtt_how"] in HOW)
    check("the better way is the limit",
          raw["packets"]["packets_per_s"] >= raw["packets"]["otherwise"] > 0 and
          0 < raw["rtt_ns"]["p50"] <= raw["rtt_p50_otherwise"])
    check("the frame's size is the ask's", raw["rtt_frame_bytes"] == 138)
    ratio = run["rtt_ns"]["p50"] / raw["rtt_ns"]["p50"]
    check("the ratio is theirs", abs(run["ratio"]["rtt_p50_to_raw"] - ratio) < 0.01)


def flood(kind, counter):
    status, out, err = perf("--mode", "local-count", "--seconds", "2", "--flood", kind)
    check(f"a flood of {kind}", status == 0, out + err)
    run = json.loads(out)
    flooded = run["flood"]
    check("the messages meanwhile were checked", run["checked"]["all"])
    check("quiet, elsewhere and ours had their turn", flooded["rounds"] > 0)
    check("it was quiet", flooded["quiet"]["flood_per_s"] == 0)
    check("it was sent elsewhere", flooded["elsewhere"]["flood_per_s"] > 0)
    check(f"the lane dropped it as {counter}", flooded["ours"][counter] > 0, out)
    others = {"unknown_link", "to_control", "port_drops"} - {counter}
    check("and as nothing else", not any(flooded["ours"][other] for other in others), out)


def main():
    reason = no_lab()
    if reason:
        print(f"skipped: {reason}")
        return 77
    limits()
    flood("links", "unknown_link")
    flood("krpc", "to_control")
    status, _, err = perf("--mode", "ask", "--flood", "links")
    check("a flood beside asks is refused", status == 2 and "--flood goes with" in err, err)
    return 0


sys.exit(main())
