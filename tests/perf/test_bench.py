#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_bench.py PERF_BENCH OPTIONS_TAKEN - the report says what was measured, and of the rest why not.

Recorded outputs of proa-perf, Google Benchmark and a peer go through the whole driver: programs
that print them stand in the place of the real ones.  bench/runs.json has what each run of the table
printed in one real measurement: every expression is computed from it.  Made by

    test_bench.py --record REPORT.json >bench/runs.json
"""
import contextlib
import functools
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
BENCH = os.path.realpath(sys.argv[1] if len(sys.argv) == 3 and sys.argv[1] != "--record" else
                         os.path.join(HERE, "../../perf/bench"))
sys.path.insert(0, BENCH)
sys.dont_write_bytecode = True

import bench  # noqa: E402
import micro  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import runs  # noqa: E402
import values  # noqa: E402

bad = 0


def verdict(name, good, why=""):
    global bad
    bad |= not good
    if not good:
        print("   ", why)
    print("ok -" if good else "not ok -", name, flush=True)


def refused(kind, call, *words):
    try:
        call(*words)
    except kind as why:
        return str(why) or "."
    return ""


def recorded(name):
    with open(os.path.join(HERE, "bench", name), encoding="utf-8") as file:
        return file.read()


# ---- figures and verdicts ----------------------------------------------------------


def record(value, number=0, status="ok", reason=""):
    return {"status": status, "reason": reason, "command": "c", "round": number, "seconds": 1,
            "json": value}


def test_values():
    look_up = {"a": {"x": 6, "y": {"p99.9": 3}}, "b": {"x": 2, "none": None}}.__getitem__

    def value(text):
        return values.evaluate(text, look_up)

    verdict("evaluate: fields and arithmetic", value('a.x / b.x * a.y["p99.9"] + 1') == 10)
    verdict("evaluate: units", value("a.x / M") == 6e-6)
    verdict("evaluate: a field that is not there is a fault, and named",
            "a.z" in refused(values.Failed, value, "a.z"))
    verdict("evaluate: null is no figure", "b.none" in refused(values.Missing, value, "b.none"))
    verdict("evaluate: nothing is divided by nought",
            refused(values.Missing, value, "a.x / (b.x - 2)") != "")
    verdict("evaluate: a best of all", value("max(b.x, a.x)") == 6 and
            "b.none" in refused(values.Missing, value, "max(b.none, b.x, a.x)"))
    verdict("evaluate: either is the first that is there", value("either(a.z, b.none, b.x, a.x)") == 2
            and "b.w" in refused(values.Failed, value, "either(a.z, b.w)"))
    verdict("evaluate: nothing but figures",
            refused(ValueError, value, "__import__('os').getpid()") != "")
    verdict("names: of runs alone", values.names('either(max(a.x, b["y"].z)) / US') == {"a", "b"})
    verdict("short: three digits", [values.short(x) for x in (0, 0.2841, 20.13, 1035.4, -2.5)] ==
            ["0", "0.284", "20.1", "1,035", "-2.50"])
    verdict("reaches: more, less and none", values.reaches(2.0, ">= 2.0") and
            not values.reaches(1.99, ">= 2.0") and values.reaches(1000, "<= 1,000") and
            not values.reaches(1, "== 0"))
    verdict("verdict: must and aim", [values.verdict(x, ">= 2", ">= 3") for x in (1, 2, 3)] ==
            ["missed", "met", "aim met"])
    verdict("verdict: no must", [values.verdict(x, None, None) for x in (1,)] == ["printed"])


def test_rounds():
    all_of = values.Runs({"a": [record({"x": 6}), record({"x": 8}, 1), record({"x": 100}, 2)],
                          "b": [record({"x": 2}), record({"x": 4}, 1)],
                          "one": [record({"x": 10})],
                          "no": [record(None, 0, "refused", "needs root")],
                          "lost": [record({"x": 1}), record({"x": 1}, 1, "failed", "a gap")],
                          "cut": [record({"x": 10})]}, once={"one"})
    verdict("figure: rounds are paired", all_of.figure("a.x / b.x") == (2.5, 2.0, 3.0),
            all_of.figure("a.x / b.x"))
    verdict("figure: a run with one round goes with all",
            all_of.figure("a.x / one.x") == (0.8, 0.6, 10.0))
    verdict("figure: a run that was to have more rounds goes with its own alone",
            all_of.figure("a.x / cut.x") == (0.6, 0.6, 0.6), all_of.figure("a.x / cut.x"))
    verdict("figure: refused has a reason",
            refused(values.Missing, all_of.figure, "no.x") == "no: needs root")
    why = refused(values.Missing, all_of.figure, "max(a.x, no.x, none.x)")
    verdict("figure: who is missing among the best is told", "no: needs root" in why and
            "none was not run" in why, why)
    verdict("figure: one failed round is enough",
            "a gap" in refused(values.Failed, all_of.figure, "lost.x"))
    row = rows.Row("9", "f", "x", "a.x", "b {b.x}", ">= 5", ">= 7")
    said = values.judge(row, all_of)
    verdict("judge: value, spread, verdict and what is beside",
            (said["value"], said["low"], said["high"], said["verdict"], said["beside"]) ==
            (8, 6, 100, "aim met", "b 3.00"), said)
    said = values.judge(row._replace(given="b.x >= 3"), all_of)
    verdict("judge: what had to go on beside did", said["verdict"] == "aim met", said)
    said = values.judge(row._replace(given="b.x / one.x >= 0.8"), all_of)
    verdict("judge: missed where it did not", said["verdict"] == "missed" and
            "0.300, not >= 0.8" in said["beside"] and said["value"] == 8, said)
    said = values.judge(row._replace(value="a.q"), all_of)
    verdict("judge: a field that was renamed is a fault", said["verdict"] == "failed" and
            "a.q" in said["reason"], said)
    said = values.judge(row._replace(value="lost.x"), all_of)
    verdict("judge: failed is no figure", said["verdict"] == "failed" and "value" not in said, said)
    said = values.judge(row._replace(value="", beside="takes a day"), all_of)
    verdict("judge: what is not measured here says why",
            (said["verdict"], said["reason"]) == ("not measured", "takes a day"), said)


def test_table():
    known = bench.all_runs()
    unknown = {name for row in rows.ROWS for name in bench.runs_of_row(row)} - known.keys()
    verdict("rows: every run they need is there", not unknown, unknown)
    unused = known.keys() - set(bench.wanted_runs([], known))
    verdict("rows: every run is needed", not unused, unused)
    for row in rows.ROWS:
        for wish in (row.must, row.aim):
            if wish:
                values.reaches(1, wish)
    verdict("rows: every wish can be read", True)
    ours = {name for row in rows.ROWS if row.number == "12" for name in bench.runs_of_row(row)
            if known[name].command.startswith("proa-perf")}
    size = json.loads(recorded("zeromq.txt").splitlines()[0])["one_way"]["size"]
    verdict("row 12: proa sends as many bytes as the peers", len(ours) == 4 and
            all(f"--size {size}" in known[name].command for name in ours), ours)
    for name in ("zeromq", "nng", "nats", "erlang", "caf"):
        without = {run: [record({"messages_per_s": 1, "rtt_p50_ns": 1, "latency_ns": {"p50": 1}})]
                   for run in ours | {"zeromq", "nng", "nats", "erlang", "caf"}}
        without[name] = [record(None, 0, "refused", "is not installed")]
        best = [values.judge(row, values.Runs(without)) for row in rows.ROWS
                if row.number == "12" and "best peer" in row.figure]
        verdict(f"row 12: without {name} there is no best peer", len(best) == 2 and all(
            said["verdict"] == "not measured" and name in said["reason"] for said in best), best)


def of_table(kept):
    """Every expression of the table: where it stands, and the expression."""
    for row in rows.ROWS:
        told = [row.value] if row.value else []
        told += values.expressions(row.beside) if row.value else []
        told += [row.given.rsplit(" ", 2)[0]] if row.given else []
        yield from ((f"row {row.number}, {row.figure}", text) for text in told)
    for port in rows.PORTS:
        for title, value in rows.PORT_COLUMNS:
            value = value.replace("{port}", port)
            ring = port == "ring" and title == "raw p99"  # the bare ring has a median alone
            if not ring and not values.names(value) - kept.keys():
                yield f"port {port}, {title}", value


def test_expressions():
    kept = json.loads(recorded("runs.json"))
    missing = bench.all_runs().keys() - kept.keys()
    verdict("runs.json: every run is there", not missing, missing)
    for where, text in of_table(kept):
        try:
            verdict(f"{where}: {text}", values.evaluate(text, kept.__getitem__) >= 0)
        except (values.Missing, values.Failed, KeyError) as why:
            verdict(f"{where}: {text}", False, repr(why))
    plots.distributions(values.Runs({name: [record(value)] for name, value in kept.items()}),
                        rows.PORTS, rows.PEERS)


def slim(value):
    """What a run printed, without what is long and no row reads."""
    if isinstance(value, dict):
        return {key: slim(each) for key, each in value.items()
                if key not in ("whole", "text", "versions", "cpu", "cores")}
    if isinstance(value, list) and len(value) > 12:
        return value[:3] + value[-3:]
    return value


def print_recorded(path):
    with open(path, encoding="utf-8") as file:
        ran = json.load(file)["runs"]
    lines = [f"{json.dumps(name)}: {json.dumps(slim(next(record['json'] for record in records if record['json'])))}"
             for name, records in sorted(ran.items())]
    print("{" + ",\n".join(lines) + "}")


def test_commands():
    """Options that are no more, or mean nothing together."""
    lines = [run.command for run in rows.RUNS]
    for sweep in rows.SWEEPS:
        lines += [sweep.command.replace("{{x} * asks_{port}.replies_per_s}", "1000")
                  .replace("{x}", str(x)).replace("{port}", port)
                  for port in sweep.ports for x in sweep.points]
    lines = [line for line in lines if line.startswith("proa-perf")]
    if len(sys.argv) == 3:
        done = subprocess.run([sys.argv[2]], input="\n".join(lines) + "\n", capture_output=True,
                              text=True, check=False)
        verdict(f"commands: proa-perf takes all {len(lines)}", done.returncode == 0 and
                len(lines) > 60, done.stdout + done.stderr)
        done = subprocess.run([sys.argv[2]], input="proa-perf --mode tel\n", capture_output=True,
                              text=True, check=False)
        verdict("commands: and not any", done.returncode == 1, done)


# ---- what programs print -----------------------------------------------------------


def test_read():
    tell = recorded("tell.json")
    lost = tell.replace('"all": true', '"all": false')
    said = runs.read("proa-perf", 0, tell, "")
    verdict("read: a good run", said["status"] == "ok" and said["json"]["port"] == "vhost", said)
    said = runs.read("proa-perf", 1, lost, "proa-perf: a message was lost\n")
    verdict("read: a lost message", (said["status"], said["reason"]) ==
            ("failed", "proa-perf: a message was lost"), said)
    verdict("read: unchecked, whatever the status",
            runs.read("proa-perf", 0, lost, "")["status"] == "failed")
    why = "proa-perf: af_xdp: a network namespace: Operation not permitted; run as root"
    said = runs.read("proa-perf", 77, "", why + "\n")
    verdict("read: cannot run here", (said["status"], said["reason"]) == ("refused", why), said)
    verdict("read: what measured could run here",
            runs.read("proa-perf", 77, lost, why + "\n")["status"] == "failed")
    why = "proa-perf: no packet left: a bug, or give it more huge pages"
    verdict("read: no words excuse a fault",
            runs.read("proa-perf", 1, "", why + "\n")["status"] == "failed")
    for program in ("proa-perf", "peer", "proa-savina"):
        said = runs.read(program, 2, "", "no option --crowd\nsee --help\n")
        verdict(f"read: bad options of {program} are a fault",
                (said["status"], said["reason"]) == ("failed", "no option --crowd"), said)
    said = runs.read("proa-perf", 1, "", "proa-perf: a message was not delivered: in doubt\n")
    verdict("read: a message in doubt", said["status"] == "failed", said)
    verdict("read: half an object", runs.read("proa-perf", 0, tell[:700], "")["status"] == "failed")
    verdict("read: nothing", runs.read("proa-perf", 0, "", "")["status"] == "failed")
    verdict("read: a crash", "signal 11" in runs.read("proa-perf", -11, tell, "")["reason"])
    verdict("read: too slow", runs.read("proa-perf", None, "", "")["status"] == "failed")
    ordinary = dict(json.loads(tell), pages="ordinary")
    verdict("huge pages: wanted", runs.need_huge_pages(ordinary)["status"] == "refused")
    verdict("huge pages: not over ring", not runs.need_huge_pages(dict(ordinary, port="ring")))
    verdict("huge pages: there", not runs.need_huge_pages(json.loads(tell)))
    for side in ("raw", "base"):
        beside = dict(json.loads(tell), **{side: {"pages": "ordinary"}})
        verdict(f"huge pages: of the {side} too",
                runs.need_huge_pages(beside)["status"] == "refused")
    demo = recorded("demo.txt")
    verdict("huge pages: the demo's", not runs.need_huge_pages(runs.read_demo(demo)) and
            runs.need_huge_pages(runs.read_demo(demo.replace("huge pages", "ordinary pages", 1))))
    said = runs.read("bench_tell", 0, recorded("bench_tell.json"), "")["json"]
    verdict("read: Google Benchmark", said["spawn"]["bytes_per_actor"] > 64 and
            said["timers"]["items_per_second"] > 0, said)
    said = runs.read("peer", 0, recorded("zeromq.txt"), "")["json"]
    verdict("read: a peer's best ways", said["messages_per_s"] ==
            max(way["one_way"]["messages_per_s"] for way in said["ways"]) and
            said["rtt_p50_ns"] == min(way["rtt_ns"]["p50"] for way in said["ways"]) and
            len(said["ways"]) > 1, said)
    said = runs.read("peer", 0, recorded("caf_local.txt"), "")["json"]
    two, same = (json.loads(line) for line in recorded("caf_local.txt").splitlines())
    verdict("read: a local peer, by placement", said["two cores"] == two and
            said["same core"] == same and two["counting"] != same["counting"] and
            "counting" not in said, said)
    said = runs.read("peer", 0, recorded("zeromq.txt").replace("true", "false", 1), "")
    verdict("read: a peer that lost something", said["status"] == "failed", said)
    said = runs.read("proa", 0, recorded("demo.txt"), "")["json"]
    verdict("read: the demo's table", said["messages_per_s"] > 1e5 and
            said["rtt_p50_ns"] < said["rtt_p99_ns"] and said["pages"] == "huge", said)


# ---- the whole driver --------------------------------------------------------------

PROA_PERF = """case " $* " in
*" af_xdp "*) echo 'proa-perf: af_xdp: may not; run as root' >&2; exit 77 ;;
*" --mailbox "*) sed 's/"all": true/"all": false/' {here}/tell.json; echo 'proa-perf: lost one' >&2; exit 1 ;;
*" --crowd "*) echo "proa-perf: unrecognized option '--crowd'" >&2; exit 2 ;;
*" --flush "*) kill -SEGV $$ ;;
*" tell "*) cat {here}/tell.json ;;
*) cat {here}/ask.json ;;
esac
"""


def stand_ins(folder):
    os.makedirs(os.path.join(folder, "perf", "peers"))
    here = os.path.join(HERE, "bench")
    for name, text in (("proa-perf", PROA_PERF.format(here=here)),
                       ("bench_tell", f"cat {here}/bench_tell.json\n"),
                       *((f"peers/{peer}.sh", "echo install it >&2; exit 77\n") for peer in rows.PEERS)):
        path = os.path.join(folder, "perf", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


def driven(folder, *words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = bench.main(["--root", folder, "--build", folder, "--report",
                             os.path.join(folder, "report"), *words])
    return status, out.getvalue(), err.getvalue()


def line_of(text, figure):
    return next((line for line in text.splitlines() if figure in line), "no such line")


def test_report(folder):
    status, text, _ = driven(folder, "--only", "1", "1b", "2", "3", "5", "11b", "14", "15", "12",
                             "loss", "--quick")
    verdict("report: a lost message is status 1", status == 1)
    tell = json.loads(recorded("tell.json"))
    line = line_of(text, "to raw(64) packets")
    verdict("report: a figure beside must and aim",
            values.short(tell["ratio"]["messages_to_raw_packets"]) + " x" in line and
            ">= 2.0" in line and ">= 3" in line and "aim met" in line, line)
    line = line_of(text, "tells of 32 B, vhost")
    verdict("report: a must that was missed", "missed" in line and "raw(64): " in line, line)
    line = line_of(text, "through the mailbox")
    verdict("report: failed, and why", "failed" in line and "lost one" in line and " x " not in line, line)
    line = line_of(text, "one message a packet, to raw(130)")
    verdict("report: a crash is told", "failed" in line and "signal 11" in line, line)
    line = line_of(text, "af_xdp, tells of 32 B")
    verdict("report: refused, and why", "not measured" in line and "run as root" in line, line)
    line = line_of(text, "1,000 links")
    verdict("report: an option that is not there", "failed" in line and "--crowd" in line, line)
    verdict("report: not built yet", "sealed links are not built" in line_of(text, "sealed links"))
    line = line_of(text, "vhost, to the best peer's")
    verdict("report: a peer that is not there", "not measured" in line and "zeromq: install it" in line and
            "nng: install it" in line, line)
    verdict("report: an exact command", "proa-perf --port vhost --mode tell --size 32 --with-raw --seconds 1"
            in text)
    for key in ("cpu", "kernel", "governor", "huge pages", "DPDK", "compiler", "commit"):
        verdict(f"report: the machine's {key}", f"\n  {key} " in text)
    kept = json.load(open(os.path.join(folder, "report", "report.json"), encoding="utf-8"))
    verdict("report.json: the same rows", len(kept["rows"]) ==
            sum(row.number in ("1", "1b", "2", "3", "5", "11b", "14", "15", "12") for row in rows.ROWS))
    verdict("report.json: points of a sweep", [point["x"] for point in kept["sweeps"]["loss"]["vhost"]]
            == [20000])
    with open(os.path.join(folder, "report", "index.html"), encoding="utf-8") as file:
        page = file.read()
    with open(os.path.join(folder, "report", "loss.dat"), encoding="utf-8") as file:
        points = [line.split()[0] for line in file.read().split("\n\n")[0].splitlines()[1:]]
    verdict("loss.dat: the points of the runs too", points == ["0", "1", "2", "5"], points)
    verdict("index.html: rows and verdicts", "tells of 32 B, vhost" in page and
            'class="missed"' in page and "&gt;= 60" in page)
    if shutil.which("gnuplot"):
        for name in ("latency", "loss"):
            with open(os.path.join(folder, "report", name + ".svg"), encoding="utf-8") as file:
                verdict(f"{name}.svg is drawn and shown", "</svg>" in file.read() and
                        f'src="{name}.svg"' in page, line_of(text, f"{name}: not drawn"))
    else:
        verdict("without gnuplot the page says so", "gnuplot-nox" in page)


def test_missing_programs(folder):
    os.remove(os.path.join(folder, "perf", "proa-perf"))
    status, text, _ = driven(folder, "--only", "1", "--quick")
    line = line_of(text, "tells of 32 B, vhost")
    verdict("a program that is not there is a fault", status == 1 and "failed" in line and
            "No such file" in line, line)
    verdict("and nothing of an earlier report stays",
            not os.path.exists(os.path.join(folder, "report", "loss.svg")))
    status, text, _ = driven(folder, "--only", "1", "--minutes", "0")
    verdict("no time is no figure", "the time was over" in line_of(text, "tells of 32 B"))
    driver = runs.Programs(folder, folder, 1, "", False)
    with open(os.path.join(folder, "perf", "proa-perf"), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexec sleep 1000\n")
    os.chmod(file.name, 0o700)
    said = driver.run("proa-perf --mode tell", 0, 0.1)
    verdict("what does not end in time is ended", (said["status"], said["reason"]) ==
            ("skipped", runs.OVER), said)


def test_options(folder):
    with contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            bench.main(["--only", "99"])
            said = ""
        except SystemExit as end:
            said = end.code
    verdict("options: no such row", said == 2 and "no row 99" in err.getvalue(), err.getvalue())
    for words, said in ((("--quick", "--compare", "x"), "too few"), (("--quick", "--keep", "x"), "too few"),
                        (("--keep", "x", "--only", "14"), "whole suite")):
        with contextlib.redirect_stderr(io.StringIO()) as err:
            ended = refused(SystemExit, bench.main, list(words))
        verdict(f"options: {' '.join(words)}", ended == "2" and said in err.getvalue(), err.getvalue())
    verdict("options: nothing to compare with", "No such file" in
            refused(OSError, driven, folder, "--compare", folder + "/none"))


# ---- pictures ----------------------------------------------------------------------


def test_plots():
    points = plots.hdr_points([[1000, 50], [2000, 90], [9000, 100]])
    verdict("hdr: a percentile's place", [round(x, 3) for x, _ in points] == [2, 10, 200] and
            points[1][1] == 2.0, points)
    text = plots.script(plots.Plot("n", 'a "b"', "", [plots.Line("one", [(1, 2)]),
                                                     plots.Line("none", [])]))
    verdict("script: what has no points is not drawn", text.count("index") == 1 and
            '"a \'b\'"' in text, text)
    verdict("draw: nothing", plots.draw(plots.Plot("n", "t", "", []), ".") ==
            "nothing to draw was measured")


# ---- kept runs ---------------------------------------------------------------------


def kept(**times):
    return {"context": {}, "benchmarks": [
        {"name": name, "run_name": name, "run_type": "iteration", "real_time": time,
         "cpu_time": time, "time_unit": "ns", "items_per_second": 1e9 / time}
        for name, samples in times.items() for time in samples]}


def verdicts(old, new):
    changes, machine = micro.compare(old, new, 10)
    return {change.name: change.verdict for change in changes}, machine


def test_compare(folder):
    verdict("u test: as tabulated", abs(micro.u_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) - 2 / 252)
            < 1e-9 and micro.u_test([1, 3, 5], [2, 4, 6]) == 0.7, micro.u_test([1, 3, 5], [2, 4, 6]))
    steady = [10, 10.1, 10.2, 9.9, 10, 9.8]
    old = kept(a=steady, b=steady, c=steady, d=steady, e=steady[:2])
    new = kept(a=[x * 1.3 for x in steady], b=[x * 0.8 for x in steady], c=[x * 1.05 for x in steady],
               f=steady, e=[x * 3 for x in steady[:2]])
    said, machine = verdicts(old, new)
    verdict("compare: slower, faster, within noise", (said["a"], said["b"], said["c"]) ==
            ("slower", "faster", "within noise"), said)
    verdict("compare: gone and new", (said["d"], said["f"]) == ("gone", "new"), said)
    verdict("compare: two repetitions tell nothing", "too few" in said["e"], said)
    verdict("compare: the machine's own change is unknown", machine is None)
    slow = {micro.MACHINE: steady, "a": steady, "b": steady}
    slower = {micro.MACHINE: [x * 1.3 for x in steady], "a": [x * 1.3 for x in steady],
              "b": [x * 1.8 for x in steady]}
    said, machine = verdicts(kept(**slow), kept(**slower))
    verdict("compare: a slower machine is no slower program",
            (said["a"], said["b"]) == ("within noise", "slower") and 29 < machine < 31, said)
    noisy = kept(a=[10, 20, 9, 30, 11, 12])
    said, _ = verdicts(noisy, kept(a=[13, 21, 12, 31, 14, 10]))
    verdict("compare: noise is noise", said["a"] == "within noise", said)
    driven(folder, "--only", "14", "--seconds", "1")
    path = os.path.join(folder, "old.json")
    shutil.copy(os.path.join(folder, "report", "micro.json"), path)
    entries = micro.load(path)["benchmarks"]
    verdict("micro.json: every repetition, by program", len(entries) == 3 *
            len([e for e in json.loads(recorded("bench_tell.json"))["benchmarks"]
                 if e["run_type"] == "iteration"]) and
            any(e["name"] == "bench_tell:spawn" for e in entries), len(entries))
    status, text, _ = driven(folder, "--only", "14", "--compare", path)
    verdict("--compare FILE: with itself nothing changed", status == 0 and
            "within noise" in text and "slower" not in text.split("== Compared")[1].split("==")[0],
            text)
    quicker = os.path.join(folder, "quicker.json")
    entries = [dict(entry, real_time=entry["real_time"] / 3,
                    **({"items_per_second": entry["items_per_second"] * 3}
                       if "items_per_second" in entry else {}))
               for entry in entries if entry["name"] != micro.MACHINE]
    entries += [dict(entry, name="bench_gone:x", run_name="bench_gone:x") for entry in entries[:6]]
    micro.write({"context": {}, "benchmarks": entries}, quicker)
    status, text, _ = driven(folder, "--only", "14", "--compare", quicker)
    verdict("--compare FILE: slower is told", status == 0 and " slower" in text, text)
    verdict("--compare FILE: of what ran alone", "gone" not in text, text)
    status, text, _ = driven(folder, "--only", "14", "--check", "--compare", quicker)
    verdict("--check: slower is status 1", status == 1)
    status, text, _ = driven(folder, "--check", "--compare", quicker, path)
    verdict("--check: of two kept ones too", status == 1 and "gone" in text)
    status, text, _ = driven(folder, "--check", "--compare", path, path)
    verdict("--check: nothing slower is status 0", status == 0, text)
    status, _, err = driven(folder, "--keep", quicker + ".new")
    verdict("--keep: half a suite is not kept", status == 1 and "bench_link" in err and
            not os.path.exists(quicker + ".new"), err)
    status, text, _ = driven(folder, "--compare", path, os.path.join(folder, "report"))
    verdict("--compare OLD NEW measures nothing", status == 0 and "within noise" in text and
            "== The machine" not in text, text)
    with open(path, "w", encoding="utf-8") as file:
        file.write("{}")
    verdict("--compare: something else", "is not Google Benchmark's" in
            refused(ValueError, driven, folder, "--compare", path))


def test_baseline():
    """Each benchmark of the kept run could be told to be slower, with the rounds that there are."""
    kept_run = micro.load(os.path.join(BENCH, "..", "baseline", "micro.json"))
    before = micro.costs(kept_run)
    repetitions = {run.name: run.rounds * int(re.search(r"repetitions=(\d+)", run.command).group(1))
                   for run in rows.RUNS if run.name.startswith("bench_")}
    verdict("baseline: the whole suite", {name.split(":")[0] for name in before} == repetitions.keys(),
            repetitions.keys() - {name.split(":")[0] for name in before})
    mute = [name for name, costs in before.items() if name != micro.MACHINE and micro.judge(
        name, costs, [max(costs) * 1.2] * repetitions[name.split(":")[0]], 0, micro.NOISE).verdict != "slower"]
    verdict(f"baseline: each of {len(before)} can be slower", not mute and len(before) > 50, mute)


# ---- what is ended -----------------------------------------------------------------


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_ended(folder):
    """However the driver ends, what it ran ends too, and by TERM, so that it can tidy up."""
    noted = os.path.join(folder, "noted")
    with open(os.path.join(folder, "perf", "proa-perf"), "w", encoding="utf-8") as file:
        file.write(f"#!/bin/bash\ntrap 'echo tidy >>{noted}; exit 1' TERM\necho $$ >>{noted}\n"
                   "while :; do sleep 0.05; done\n")
    os.chmod(file.name, 0o700)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        open(noted, "w", encoding="ascii").close()
        with subprocess.Popen([sys.executable, os.path.join(BENCH, "bench.py"), "--root", folder,
                               "--build", folder, "--report", os.path.join(folder, "ended"),
                               "--only", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1")) as driver:
            while not (pid := text_of(noted)):
                time.sleep(0.01)
            driver.send_signal(number)
            if number != signal.SIGKILL:
                driver.send_signal(number)  # the impatient
            status = driver.wait()
        while alive(int(pid.split()[0])):
            time.sleep(0.01)
        verdict(f"ended by signal {int(number)}: what ran tidies up and ends", "tidy" in text_of(noted) and
                status == (-9 if number == signal.SIGKILL else 130), (status, text_of(noted)))


def text_of(path):
    with open(path, encoding="ascii") as file:
        return file.read()


if sys.argv[1:2] == ["--record"]:
    print_recorded(sys.argv[2])
    sys.exit(0)
# Asking meson, dpkg and git once is enough.
bench.machine.describe = functools.lru_cache(bench.machine.describe)
test_values()
test_rounds()
test_table()
test_expressions()
test_commands()
test_baseline()
test_read()
test_plots()
with tempfile.TemporaryDirectory() as work:
    stand_ins(work)
    test_compare(work)
    test_report(work)
    test_missing_programs(work)
    test_options(work)
    test_ended(work)
sys.exit(bad)
