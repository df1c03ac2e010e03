# SPDX-License-Identifier: Apache-2.0
"""runs.py - runs one measuring command and says what became of it.

Every program prints JSON, or text that a reader here turns into the like.  A record:

    {"status": "ok" | "failed" | "refused" | "skipped", "reason": one sentence,
     "command": as a user would type it, "round": 0.., "seconds": it took, "json": {...}}

failed: something was wrong: a message lost, a crash, an option or field that is not there.  refused:
it cannot run here, and the program said so by its exit status, or not as its figures are meant (no
root, no huge pages, no such package).
"""
import ctypes
import functools
import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import time

LIMIT = 100  # seconds that a command may take; the longest takes half of that
OVER = "the time was over: --minutes"
GRACE = 5    # from TERM to KILL: proa-perf removes its network namespaces in that time

NOT_HERE = 77  # exit status: it is the machine or the user that lacks something; as in a test
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
HANDLED = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}


class Interrupted(Exception):
    """Ctrl-C, TERM, or the terminal is gone."""


class Programs:
    """Where the programs are, and how the words of rows.py become a command."""

    def __init__(self, build, root, seconds, under, ordinary_pages):
        self.build, self.root, self.seconds = build, root, seconds
        self.under, self.ordinary_pages = shlex.split(under), ordinary_pages

    def command(self, text):
        """The words to run, and the same as one would type it."""
        words = text.split()
        perf = os.path.join(self.build, "perf")
        if words[0] == "proa-perf":
            more = [] if "--seconds" in words else ["--seconds", str(self.seconds)]
            words = words + more + ["--quiet"]
            typed = shlex.join(words[:-1])
        elif words[0] == "peer":
            # There are up to eight ways of each, with two measurements.
            words = [f"perf/peers/{words[1]}.sh", "--seconds", f"{self.seconds / 2:g}"]
            typed = shlex.join(words)
            return self.under + [os.path.join(self.root, words[0])] + words[1:], typed
        elif words[0] == "proa":
            typed = shlex.join(words)
            return self.under + [os.path.join(self.build, "control", "proa")] + words[1:], typed
        else:
            typed = shlex.join(words)
            if words[0].startswith("bench_"):
                words = words + ["--benchmark_format=json"]
            if words[0] == "proa-savina":
                perf = os.path.join(perf, "savina")
            words = [os.path.join(self.root, "perf/peers", word) if word.endswith(".sh") else word
                     for word in words]
        return self.under + [os.path.join(perf, words[0])] + words[1:], typed

    def run(self, text, number, left=LIMIT):
        """A record.  left: seconds until the time is over."""
        words, typed = self.command(text)
        limit = None if self.under else min(LIMIT, left)
        record = {"status": "ok", "reason": "", "command": typed, "round": number, "json": None}
        began = time.monotonic()
        environment = dict(os.environ, PROA_PEERS=os.path.join(self.build, "perf", "peers"))
        try:
            code, out, err = execute(words, environment, limit)
        except OSError as why:
            record.update(status="failed", reason=f"{words[0]}: {why.strerror}")
        else:
            record.update(read(text.split()[0], code, out, err))
            if code is None and limit < LIMIT:
                record.update(status="skipped", reason=OVER)
        record["seconds"] = round(time.monotonic() - began, 2)
        if record["status"] == "ok" and not self.ordinary_pages:
            record.update(need_huge_pages(record["json"]))
        return record


def with_parent(parent):
    """In the child: TERM when this process ends in whatever way, so that it tidies up behind it."""
    LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:  # gone before prctl
        os._exit(1)


def execute(words, environment, limit):
    """Exit status, stdout, stderr; None for a status when it took too long.  Its whole process
    group ends with it."""
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment, start_new_session=True,
                          preexec_fn=functools.partial(with_parent, os.getpid()),
                          text=True, errors="replace") as process:
        try:
            out, err = process.communicate(timeout=limit)
            return process.returncode, out, err
        except subprocess.TimeoutExpired:
            out, err = end(process)
            return None, out, err
        except BaseException:
            end(process)
            raise


def end(process):
    """Ctrl-C waits until it has ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        for which in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, which)
                return process.communicate(timeout=GRACE)
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break
        return process.communicate()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


# ---- what programs print -----------------------------------------------------------


def read(program, code, out, err):
    """What a program's exit status and output say: status, reason, json."""
    said = sentence(err, 0 if code == 2 else -1)  # what comes after bad options is advice
    if code is None:
        return {"status": "failed", "reason": f"did not end within {LIMIT} s; {said}"}
    if code < 0:
        return {"status": "failed", "reason": f"died of signal {-code}; {said}"}
    try:
        value = READERS.get(program, read_micro if program.startswith("bench_") else read_one)(out)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as why:
        value = None
        if code == 0:
            return {"status": "failed", "reason": f"printed what cannot be read: {why}"}
    if code == NOT_HERE and value is None:
        return {"status": "refused", "reason": said}
    if code != 0:
        return {"status": "failed", "reason": said, "json": value}
    if value is None:
        return {"status": "failed", "reason": "ended well and printed nothing"}
    if unchecked(value):
        return {"status": "failed", "reason": "not every message was checked and right",
                "json": value}
    return {"status": "ok", "reason": "", "json": value}


def sentence(err, which):
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[which] if lines else "it said nothing"


def unchecked(value):
    checked = value.get("checked", True)
    return checked is False or (isinstance(checked, dict) and checked.get("all") is not True)


def read_one(out):
    return json.loads(out) if out.strip() else None


def read_micro(out):
    """Google Benchmark's JSON: {name: the medians of its repetitions}, and all of it."""
    if not out.strip():
        return None
    said = json.loads(out)
    by_name = {}
    for entry in said["benchmarks"]:
        if entry.get("run_type") == "iteration" and not entry.get("error_occurred"):
            by_name.setdefault(entry["run_name"], []).append(entry)
    value = {name: {key: statistics.median(entry[key] for entry in entries)
                    for key in entries[0]
                    if isinstance(entries[0][key], (int, float)) and all(key in e for e in entries)}
             for name, entries in by_name.items()}
    value["whole"] = said
    return value


def read_peer(out):
    """One object a line, for each way that the peer can be used.  The best one counts."""
    ways = [json.loads(line) for line in out.splitlines() if line.strip()]
    if not ways:
        return None
    good = [way for way in ways if way.get("checked") is True]
    if len(good) != len(ways):
        return {"ways": ways, "checked": False}
    value = {"ways": ways}
    if all(way["transport"] == "local" for way in ways):
        value.update({way["placement"]: way for way in ways})
    else:
        quick = min(ways, key=lambda way: way["rtt_ns"]["p50"])
        fast = max(ways, key=lambda way: way["one_way"]["messages_per_s"])
        value.update(rtt_p50_ns=quick["rtt_ns"]["p50"], quickest=quick,
                     messages_per_s=fast["one_way"]["messages_per_s"], fastest=fast)
    return value


DEMO_TELLS = re.compile(r"messages of 32 B \| packets +([0-9.]+) M/s +([0-9.]+) M/s")
DEMO_TRIP = re.compile(r"round trip, (p[0-9.]+) +([0-9.]+) us +([0-9.]+) us")


def read_demo(out):
    if not out.strip():
        return None
    tells = DEMO_TELLS.search(out)
    trips = {name: float(proa) * 1e3 for name, proa, _ in DEMO_TRIP.findall(out)}
    return {"messages_per_s": float(tells.group(1)) * 1e6, "rtt_p50_ns": trips["p50"],
            "rtt_p99_ns": trips["p99"], "port": "vhost",
            "pages": "huge" if out.count(", huge pages") == 2 else "ordinary", "text": out}


READERS = {"peer": read_peer, "proa": read_demo}


def need_huge_pages(value):
    """Figures are of huge pages, and so is what stands beside them: the base, the bare loop.  Only
    over `ring` a node has none."""
    sides = [value, value.get("base"), value.get("raw")]
    if all(side.get("pages") != "ordinary" or value.get("port") in (None, "ring")
           for side in sides if isinstance(side, dict)):
        return {}
    return {"status": "refused",
            "reason": "it, its base or its bare loop ran on ordinary pages, as no huge ones were free: as root, "
                      "echo 512 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; "
                      "or --ordinary-pages"}
