#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_perf_af_xdp.py PROA_PERF - over veth proa-perf has a limit beside it, and a flood: what it prints
is there and adds up.  No figure is judged.  Needs root and network namespaces."""
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


def flood():
    status, out, err = perf("--mode", "local-count", "--seconds", "2", "--flood", "mixed")
    check("a flood of all kinds", status == 0, out + err)
    run = json.loads(out)
    flooded = run["flood"]
    check("the messages meanwhile were checked", run["checked"]["all"])
    check("quiet, elsewhere and ours had their turn", flooded["rounds"] > 0)
    check("it was quiet", flooded["quiet"]["flood_per_s"] == 0)
    check("it was sent elsewhere", flooded["elsewhere"]["flood_per_s"] > 0)
    for counter in "unknown_link", "to_control":
        check(f"the lane counted what came under {counter}", flooded["ours"][counter] > 0, out)
    for counter in "wrong_source", "short":
        check(f"and nothing under {counter}", flooded["ours"][counter] == 0, out)


def device():
    status, out, err = perf("--port", "ethdev:net_af_packet0,iface=perf0", "--mode", "tell",
                            "--with-raw")
    check("a device of DPDK's, and the bare loop on it", status == 0, out + err)
    run = json.loads(out)
    check("every tell was checked", run["checked"]["all"])
    check("frames of one message have a limit of their own",
          run["raw"]["one_message_packets"]["frame_bytes"] == 130 and
          run["ratio"]["packets_to_raw_packets"] > 0)


def main():
    reason = no_lab()
    if reason:
        print(f"skipped: {reason}")
        return 77
    limits()
    flood()
    device()
    status, _, err = perf("--mode", "ask", "--flood", "links")
    check("a flood beside asks is refused", status == 2 and "--flood goes with" in err, err)
    status, _, err = perf("--port", "ethdev:net_tap0,iface=tap0")
    check("a device elsewhere is refused", status == 2 and "on perf0" in err, err)
    return 0


sys.exit(main())
