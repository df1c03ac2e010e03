#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_perf_modes.py PROA_PERF - each mode and option does what it says, checks every message, and
prints fields that add up.  No figure is judged.  Needs neither root nor huge pages."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

RATE = 20000


def perf(*arguments):
    done = subprocess.run([sys.argv[1], "--quiet", "--no-huge", "--seconds", "1", "--warmup",
                           "100", *arguments],
                          capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def check(what, right, why=""):
    if not right:
        sys.exit(f"FAILED: {what}\n{why}")
    print(f"ok: {what}", flush=True)


def same(what, told, reckoned):
    """As far as three digits go."""
    check(what, abs(told - reckoned) <= 0.005 * reckoned + 0.001, f"{told}, {reckoned}")


def right(what, *arguments):
    status, out, err = perf(*arguments)
    check(what, status == 0, out + err)
    run = json.loads(out)
    check(f"{what}: every message was checked", run["checked"]["all"], out)
    return run


def distribution(latency):
    points = latency["distribution"]
    check("its points rise", points == sorted(points) and
          all(a[0] < b[0] and a[1] < b[1] for a, b in zip(points, points[1:])), str(points))
    check("and end with the last of all", points[-1] == [latency["max"], latency["count"]])
    check("percentiles rise", latency["min"] <= latency["p50"] <= latency["p90"] <=
          latency["p99"] <= latency["p99.9"] <= latency["p99.99"] <= latency["max"])


def tells():
    run = right("through the mailbox", "--port", "ring", "--mailbox")
    check("nothing ran in place but what came before", run["receiving_lane"]["ran_in_place"] < 10)
    run = right("a packet for each message", "--port", "ring", "--flush", "each")
    lane = run["sending_lane"]
    check("there are as many packets as messages", lane["tx_packets"] >= 0.99 * lane["tx_messages"],
          str(lane))
    run = right("bulk buffers", "--port", "ring", "--size", "65536", "--take")
    check("they took fragments", run["sending_lane"]["tx_packets"] > 40 * run["messages"])


def open_loop():
    run = right("asks by schedule", "--port", "ring", "--mode", "ask", "--rate", str(RATE))
    check("the loop is open", run["loop"] == "open" and run["offered_per_s"] == RATE)
    check("each that was due is in the distribution",
          abs(run["latency_ns"]["count"] - RATE * run["seconds"]) <= RATE / 100, str(run["latency_ns"]))
    distribution(run["latency_ns"])
    run = right("more asks than there can be", "--port", "ring", "--mode", "ask", "--rate",
                "50000000")
    check("those due and not sent count too",
          abs(run["latency_ns"]["count"] - 50000000 * run["seconds"]) <= 200000 and
          run["unsent"] > 0.5 * 50000000, str(run["latency_ns"]))
    check("with the time they waited", run["latency_ns"]["p50"] > 100000000)


def pages():
    run = right("asks beside the bare loop", "--port", "udp", "--mode", "ask", "--window", "1",
                "--with-raw", "--rounds", "1", "--versus", "--size", "64")
    check("each says what pages it had", run["pages"] == run["base"]["pages"] ==
          run["raw"]["pages"] == "ordinary", str(run.keys()))


def beside():
    run = right("asks beside bulk, against asks alone", "--port", "ring", "--mode", "ask",
                "--window", "1", "--rounds", "1", "--versus", "--bulk", "65536")
    check("bulk went its way", run["bulk"]["messages"] > 0 and run["bulk"]["size"] == 65536)
    check("the base had none", "bulk" not in run["base"] and run["base"]["checked"]["all"])
    same("the ratio is of the two", run["ratio_to_base"]["p99"],
         run["latency_ns"]["p99"] / run["base"]["latency_ns"]["p99"])
    distribution(run["latency_ns"])
    run = right("two lanes against one", "--mode", "local-count", "--rounds", "1", "--versus",
                "--lanes", "2")
    check("so many lanes", run["lanes"] == 2 and run["base"]["lanes"] == 1)
    same("throughput is of all lanes", run["ratio_to_base"]["throughput"],
         run["messages_per_s"] / run["base"]["messages_per_s"])


def crowd():
    run = right("a crowd of ten", "--mode", "tell", "--flush", "each", "--crowd", "10")
    check("each has a link of its own", run["crowd"] == 10 and run["receivers"] == 10)
    check("and a packet for each message",
          run["sending_lane"]["tx_packets"] >= 0.05 * run["checked"]["sent"], str(run["sending_lane"]))


def stopped():
    """A stop is told as that, whatever it interrupts, and nothing stays."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        for what, words in (("the bare loop", ("--port", "udp", "--mode", "ask", "--with-raw")),
                            ("the bare rings", ("--mode", "cross-count", "--with-raw")),
                            ("the run", ("--port", "udp", "--mode", "ask"))):
            for number in (signal.SIGTERM, signal.SIGHUP):
                with subprocess.Popen([sys.argv[1], "--quiet", "--no-huge", "--seconds", "100", *words],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                      env=dict(os.environ, TMPDIR=folder)) as process:
                    while not os.listdir(folder) or not children(process.pid):
                        time.sleep(0.01)
                    process.send_signal(number)
                    err = process.communicate()[1]
                check(f"{what}, signal {int(number)}: it says that it was stopped",
                      process.returncode == 1 and err == "proa-perf: stopped\n", err)
                check("and nothing stays", not os.listdir(folder), os.listdir(folder))


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def not_here():
    """Without root there are no network namespaces: that is not a fault of proa's."""
    if os.geteuid() == 0:
        nobody = ["setpriv", "--reuid", "65534", "--clear-groups"]
        done = subprocess.run([*nobody, "true"], check=False, stderr=subprocess.DEVNULL)
        words = nobody if done.returncode == 0 else None
    else:
        words = []
    if words is None:
        return
    for more in ([], ["--with-raw"], ["--rounds", "1", "--versus", "--mailbox"]):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            os.chmod(folder, 0o777)
            done = subprocess.run([*words, sys.argv[1], "--quiet", "--no-huge", "--port", "af_xdp", *more],
                                  capture_output=True, text=True, check=False,
                                  env=dict(os.environ, TMPDIR=folder))
            check(f"af_xdp without root: status 77 {more}", done.returncode == 77 and
                  done.stdout == "" and "run as root" in done.stderr, f"{done}")


def idle():
    run = right("silence", "--mode", "idle", "--port", "udp")
    check("what it cost", 0 <= run["idle"]["lane_percent_of_core"] <= 100 and
          run["idle"]["seconds"] > 0.5, str(run["idle"]))
    check("the first messages are one way of the round trips",
          run["first_message_ns"]["count"] == run["latency_ns"]["count"] == 100 and
          run["first_message_ns"]["p50"] < run["latency_ns"]["p50"])


def main():
    tells()
    open_loop()
    beside()
    pages()
    crowd()
    idle()
    stopped()
    not_here()
    status, _, err = perf("--port", "ring", "--mode", "ask", "--take")
    check("what means nothing together is refused", status == 2 and "go with" in err, err)


main()
