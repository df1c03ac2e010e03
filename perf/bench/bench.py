#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py - measures all rows of rows.py within ten minutes and writes the report.

`./dev bench` runs this; perf/README.md says what the report means.  Exit status: 0; 1 when a run
went wrong (a message lost, a crash), with --check also when a must was missed or a benchmark is slower
than the kept one; 2 for bad options; 130 when it was interrupted: what was measured until then is
reported.
"""
import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import time

import machine
import micro
import page
import plots
import report as reports
from rows import PEERS, PORT_COLUMNS, PORTS, ROWS, RUNS, SWEEPS
from runs import HANDLED, OVER, Interrupted, Programs
from values import Failed, Missing, Runs, evaluate, expressions, names

RESERVE = 0.03  # of the time, for plots and the report
GUESS = 9     # seconds that a run takes of which nothing is known yet


def options(words):
    parser = argparse.ArgumentParser(
        prog="./dev bench", description="Measures every row of the table and writes a report.",
        epilog="Other options go to proa-perf: ./dev bench --port udp --mode ask")
    extra = sorted({sweep.name for sweep in SWEEPS} | {"ports", "peers", "micro"})
    parser.add_argument("--only", nargs="+", metavar="ROW", default=[],
                        help="these rows (1, 1b, dir, ...), or " + ", ".join(extra))
    parser.add_argument("--quick", action="store_true",
                        help="one round, fewer points: for a look, not for a comparison")
    parser.add_argument("--minutes", type=float, default=10, help="at the most (10)")
    parser.add_argument("--seconds", type=int, default=1, help="of each measurement (1)")
    parser.add_argument("--compare", nargs="+", metavar="FILE|DIR",
                        help="with a kept run of the Google Benchmark suite: measure that and "
                             "compare; with two, compare those and measure nothing")
    parser.add_argument("--noise", type=float, default=micro.NOISE,
                        help="percent that two medians may differ by (%(default)s)")
    parser.add_argument("--keep", metavar="FILE",
                        help="measure the Google Benchmark suite and keep it there, for --compare")
    parser.add_argument("--check", action="store_true",
                        help="status 1 when a must was missed, or --compare finds one slower")
    parser.add_argument("--ordinary-pages", action="store_true",
                        help="figures on ordinary pages too, where no huge ones are free")
    parser.add_argument("--under", default="", metavar="COMMAND",
                        help="run each measurement under it: 'numactl -N 0'")
    parser.add_argument("--list", action="store_true", help="print the rows and end")
    parser.add_argument("--root", default=".", help=argparse.SUPPRESS)
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)
    parser.add_argument("--report", default="build/report", help=argparse.SUPPRESS)
    said = parser.parse_args(words)
    known = {row.number for row in ROWS} | set(extra)
    for word in said.only:
        if word not in known:
            parser.error(f"--only: no row {word}; there are: {' '.join(sorted(known))}")
    if said.compare and len(said.compare) > 2:
        parser.error("--compare takes one kept run, or two")
    if said.quick and (said.compare or said.keep):
        parser.error("--quick has too few repetitions to compare or keep: leave it out")
    if said.keep and (said.compare or said.only):
        parser.error("--keep keeps the whole suite: leave out --compare and --only")
    return said


# ---- which runs --------------------------------------------------------------------


def all_runs():
    return {run.name: run for run in RUNS}


def runs_of_row(row):
    needed = names(row.value) if row.value else set()
    if row.given:
        needed |= names(row.given.rsplit(" ", 2)[0])
    if row.value:
        for text in expressions(row.beside):
            needed |= names(text)
    return needed


def wanted_runs(only, runs):
    """The names of the runs that the chosen rows and tables need."""
    needed = set()
    for row in ROWS:
        if not only or row.number in only:
            needed |= runs_of_row(row)
    if not only or "ports" in only:
        for port in PORTS:
            for _, value in PORT_COLUMNS:
                needed |= names(value.replace("{port}", port))
    if not only or "peers" in only:
        needed |= {"plain_udp" if peer == "udp" else peer for peer in PEERS}
    if not only or "micro" in only:
        needed |= {name for name in runs if name.startswith("bench_")}
    for sweep in SWEEPS:
        if not only or sweep.name in only:
            for port in sweep.ports:
                needed |= {name.replace("{port}", port) for name in sweep.known.values()}
                for text in expressions(sweep.command.replace("{x}", "1").replace("{port}", port)):
                    needed |= names(text)
    return [name for name in runs if name in needed]


# ---- measuring ---------------------------------------------------------------------


class Bench:
    def __init__(self, programs, until):
        self.programs, self.until = programs, until
        self.records, self.took = {}, {}
        self.runs = Runs(self.records, {run.name for run in RUNS if run.rounds <= 1})

    def left_for(self, kind):
        return self.until - time.monotonic() > self.took.get(kind, GUESS)

    def run(self, kind, command, number):
        """One record.  A command that needs a figure which is not there is not run."""
        record = {"status": "skipped", "round": number, "command": command, "seconds": 0,
                  "json": None, "reason": OVER}
        if not self.left_for(kind):
            return record
        try:
            for text in expressions(command):
                value = evaluate(text, lambda name: self.runs.look_up(name, 0))
                command = command.replace("{" + text + "}", str(int(value)))
        except (Missing, Failed) as why:
            record["reason"] = str(why)
            return record
        tell(f"{kind}: {command}")
        record = self.programs.run(command, number, self.until - time.monotonic())
        self.took[kind] = record["seconds"]
        if record["status"] != "ok":
            tell(f"  {record['status']}: {record['reason']}")
        return record

    def round(self, runs, number):
        for run in runs:
            records = self.records.get(run.name, [])
            if any(record["status"] != "ok" for record in records):
                continue
            record = self.run(run.name, run.command, number)
            if record["status"] != "skipped" or not records:
                self.records[run.name] = records + [record]

    def sweep(self, sweep, quick):
        """{port: [{"x": point, and a record}]}"""
        got = {}
        for port in sweep.ports:
            for x in sweep.quick if quick else sweep.points:
                command = sweep.command.replace("{x}", str(x)).replace("{port}", port)
                record = self.run(f"{sweep.name} {port}", command, 0)
                got.setdefault(port, []).append(dict(record, x=x))
                if record["status"] == "refused":
                    break
        return got


def tell(text, to=None):
    try:
        print(text, file=to or sys.stderr, flush=True)
    except OSError:
        pass  # the terminal is gone; the report is in files


def measure(bench, said, sweeps):
    """All of it.  Whatever interrupts it, what was measured stays in bench and sweeps."""
    runs = all_runs()
    chosen = [runs[name] for name in wanted_runs(said.only, runs)]
    bench.round([run for run in chosen if run.rounds > 0], 0)
    for sweep in SWEEPS:
        if not said.only or sweep.name in said.only:
            sweeps[sweep.name] = bench.sweep(sweep, said.quick)
    bench.round([run for run in chosen if run.rounds == 0], 0)
    for number in range(1, 1 if said.quick else max((run.rounds for run in chosen), default=1)):
        bench.round([run for run in chosen if run.rounds > number], number)


# ---- all ---------------------------------------------------------------------------


def points_of(runs, sweep, port, records):
    """[(x, JSON)] of one line, in order."""
    points = [(record["x"], record["json"]) for record in records if record["status"] == "ok"]
    for x, name in sweep.known.items():
        try:
            points.append((x, runs.look_up(name.replace("{port}", port), 0)))
        except (Missing, Failed):
            continue
    return sorted(points, key=lambda point: point[0])


def draw(runs, sweeps, folder):
    """[{"name", "title", "missing": why there is none, "failed": a field that there is no more}]"""
    wanted = [("latency", plots.LATENCY, lambda: plots.distributions(runs, PORTS, PEERS))]
    for sweep in SWEEPS:
        if sweep.name in sweeps:
            wanted.append((sweep.name, sweep.title, lambda sweep=sweep: plots.swept(sweep.name, sweep.title, {
                port: points_of(runs, sweep, port, records)
                for port, records in sweeps[sweep.name].items()})))
    return [dict(drawn(make, folder), name=name, title=title) for name, title, make in wanted]


def drawn(make, folder):
    try:
        return {"missing": plots.draw(make(), folder), "failed": False}
    except KeyError as key:
        return {"missing": f"a run printed no {key}", "failed": True}


def doctor(build):
    """What it finds that costs something, a line each."""
    try:
        done = subprocess.run([os.path.join(build, "control", "proa"), "doctor", "--json"],
                              capture_output=True, text=True, timeout=20, check=False)
        found = json.loads(done.stdout)["findings"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return []
    return [f"  {one['severity']:8} {one['check']}" +
            (f", {one['subject']}" if one["subject"] else "") + f": {one['cause']}"
            for one in found if one["severity"] in ("error", "warning")]


def compare_kept(said):
    old, new = micro.load(said.compare[0]), micro.load(said.compare[1])
    changes, own = micro.compare(old, new, said.noise)
    print("\n".join(micro.lines(changes, own, said.noise)))
    return 1 if said.check and micro.bad(changes) else 0


def compared(said, merged):
    """The comparison's lines, and whether --check fails on it.  Only what was to run is compared."""
    if not said.compare:
        return None, False
    if not merged["benchmarks"]:
        return ["no benchmark of the suite ran: nothing to compare"], True
    ran = set(wanted_runs(said.only, all_runs()))
    changes, own = micro.compare(micro.only(micro.load(said.compare[0]), ran), merged, said.noise)
    return ([f"now, with {said.compare[0]}"] + micro.lines(changes, own, said.noise),
            bool(micro.bad(changes)))


def keep(path, bench, merged):
    """The suite as a run to compare with; only a whole one."""
    lacking = [name for name in wanted_runs(["micro"], all_runs())
               if sum(record["status"] == "ok" for record in bench.records.get(name, []))
               < all_runs()[name].rounds]
    if lacking:
        tell(f"{path} was not written: {', '.join(lacking)} did not run in every round")
        return 1
    micro.write(merged, path)
    tell(f"kept: {path}")
    return 0


def interrupt(number, frame):
    """Once: what runs is ended in peace."""
    for one in HANDLED:
        signal.signal(one, signal.SIG_IGN)
    raise Interrupted


def write(said, bench, sweeps, began, stolen):
    folder = said.report
    merged = micro.merge(bench.records)
    if merged["benchmarks"]:
        micro.write(merged, os.path.join(folder, "micro.json"))
    before, now = stolen, machine.stolen()
    comparison, worse = compared(said, merged)
    report = reports.build({
        "began": began.isoformat(timespec="seconds"),
        "took_s": (datetime.datetime.now(datetime.timezone.utc) - began).total_seconds(),
        "settings": {"each measurement": f"{said.seconds} s", "at the most": f"{said.minutes:g} min",
                     "rows": " ".join(said.only) or "all", "quick": "yes" if said.quick else "no",
                     "under": said.under or "nothing"},
        "machine": said.machine, "runs": bench.runs, "sweeps": sweeps,
        "tables": {"ports", "peers"} & (set(said.only) or {"ports", "peers"}),
        "stolen_percent": 100 * (now[0] - before[0]) / max(1, now[1] - before[1]),
        "plots": draw(bench.runs, sweeps, folder), "comparison": comparison,
        "doctor": doctor(said.build),
    }, {row.number for row in ROWS if not said.only or row.number in said.only})
    told = reports.text(report)
    with open(os.path.join(folder, "report.txt"), "w", encoding="utf-8") as file:
        file.write(told)
    reports.write_json(report, os.path.join(folder, "report.json"))
    page.write(report, os.path.join(folder, "index.html"))
    tell(told, sys.stdout)
    tell(f"the report: {folder}/index.html, report.txt, report.json")
    status = status_of(report, said.check, worse)
    return (keep(said.keep, bench, merged) or status) if said.keep else status


def status_of(report, check, worse):
    states = [record["status"] for records in report["runs"].values() for record in records]
    states += [record["status"] for ports in report["sweeps"].values()
               for records in ports.values() for record in records]
    states += ["failed" for plot in report["plots"] if plot["failed"]]
    verdicts = [row["verdict"] for row in report["rows"]]
    if "failed" in states + verdicts:
        return 1
    return 1 if check and (worse or "missed" in verdicts) else 0


def main(words):
    said = options(words)
    if said.list:
        for row in ROWS:
            print(f"{row.number:5} {row.figure:55} {row.must or '-':10} {row.aim or '-':10} {row.value}")
        return 0
    if said.compare and len(said.compare) == 2:
        return compare_kept(said)
    if said.compare:
        micro.load(said.compare[0])  # before ten minutes are spent
        said.only = said.only or ["micro"]
    if said.keep:
        said.only = ["micro"]
    os.makedirs(said.report, exist_ok=True)
    for name in os.listdir(said.report):
        if name.endswith((".svg", ".gp", ".dat", ".json", ".txt", ".html")):
            os.remove(os.path.join(said.report, name))
    for number in HANDLED:
        signal.signal(number, interrupt)
    began = datetime.datetime.now(datetime.timezone.utc)
    said.machine, stolen = machine.describe(said.root, said.build), machine.stolen()
    bench = Bench(Programs(said.build, said.root, said.seconds, said.under, said.ordinary_pages),
                  time.monotonic() + said.minutes * 60 * (1 - RESERVE))
    sweeps, status = {}, 0
    try:
        measure(bench, said, sweeps)
    except Interrupted:
        status = 130
        tell("interrupted: what was measured is reported")
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL)
    good = write(said, bench, sweeps, began, stolen)
    return status or good


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, ValueError) as error:
        sys.exit(f"bench: {error}")
