# SPDX-License-Identifier: Apache-2.0
"""micro.py - results of the Google Benchmark suite: kept, and compared with kept ones.

A kept run is Google Benchmark's own JSON, all programs and all repetitions in one file, a line
each, named PROGRAM:BENCHMARK.

A benchmark has changed when two things hold:
  * the repetitions of the two runs differ by the Mann-Whitney U test, p below P_MOST.  It asks only
    which values are larger, so one hiccup does not decide.  Source: Mann and Whitney, On a test of
    whether one of two random variables is stochastically larger than the other, 1947; the exact
    distribution, counted.
  * the medians differ by more than `noise` percent, and still do when the difference of the machine
    itself is taken off: MACHINE is a chain of multiplications that no change of ours touches.
"""
import functools
import json
import math
import os
import statistics
from collections import namedtuple

P_MOST = 0.01
NOISE = 10  # percent: what this suite's medians differ by between runs on a quiet machine
MACHINE = "bench_tell:multiplications"
FEW = "too few repetitions to tell"

Change = namedtuple("Change", "name old new percent p verdict")


def merge(records):
    """One run's JSON of all programs: {name of the run: [record]} of runs.py."""
    merged = {"context": None, "benchmarks": []}
    for name, rounds in records.items():
        for record in rounds:
            if not name.startswith("bench_") or record["status"] != "ok":
                continue
            whole = record["json"]["whole"]
            # Whose machine it was, and where the tree lay there, is nobody's business.
            merged["context"] = merged["context"] or {
                key: value for key, value in whole["context"].items()
                if key not in ("executable", "host_name")}
            for entry in whole["benchmarks"]:
                if entry.get("run_type") == "iteration" and not entry.get("error_occurred"):
                    merged["benchmarks"].append(slim(name, record["round"], entry))
    return merged


def slim(program, number, entry):
    kept = {key: entry[key] for key in ("run_name", "real_time", "cpu_time", "time_unit",
                                        "items_per_second", "iterations") if key in entry}
    kept["name"] = kept["run_name"] = f"{program}:{entry['run_name']}"
    for key in ("real_time", "cpu_time", "items_per_second"):
        if key in kept:
            kept[key] = float(f"{kept[key]:.5g}")
    kept.update(run_type="iteration", repetition_index=entry.get("repetition_index", 0), round=number)
    return kept


def write(merged, path):
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"context": %s,\n"benchmarks": [\n' % json.dumps(merged["context"]))
        file.write(",\n".join(json.dumps(entry) for entry in merged["benchmarks"]))
        file.write("\n]}\n")


def load(path):
    """A kept run: a file, or a folder with micro.json or any number of such files in it."""
    paths = [path]
    if os.path.isdir(path):
        paths = [os.path.join(path, "micro.json")]
        if not os.path.exists(paths[0]):
            paths = sorted(os.path.join(path, name) for name in os.listdir(path)
                           if name.endswith(".json"))
    merged = {"context": None, "benchmarks": []}
    for one in paths:
        with open(one, encoding="utf-8") as file:
            said = json.load(file)
        if not isinstance(said, dict) or "benchmarks" not in said:
            raise ValueError(f"{one} is not Google Benchmark's JSON: it has no \"benchmarks\"")
        merged["context"] = merged["context"] or said.get("context")
        merged["benchmarks"] += said["benchmarks"]
    if not merged["benchmarks"]:
        raise ValueError(f"{path} holds no results")
    return merged


def costs(merged):
    """{benchmark: what each repetition cost}: time an item where items are counted, since a
    program may choose the number of its iterations, else time an iteration."""
    by_name = {}
    for entry in merged["benchmarks"]:
        if entry.get("run_type", "iteration") != "iteration" or entry.get("error_occurred"):
            continue
        cost = entry["real_time"]
        if entry.get("items_per_second"):
            cost = 1e9 / entry["items_per_second"]
        by_name.setdefault(entry.get("run_name", entry["name"]), []).append(cost)
    return by_name


@functools.lru_cache(maxsize=None)
def _ways(u, first, second):
    """In how many orders of `first` and `second` values U is u."""
    if u < 0:
        return 0
    if first == 0 or second == 0:
        return 1 if u == 0 else 0
    return _ways(u - second, first - 1, second) + _ways(u, first, second - 1)


def u_test(first, second):
    """The probability that two samples of one thing lie as far apart as these, either way."""
    u = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    u = min(u, len(first) * len(second) - u)
    below = sum(_ways(k, len(first), len(second)) for k in range(math.floor(u) + 1))
    return min(1.0, 2 * below / math.comb(len(first) + len(second), len(first)))


def compare(old, new, noise=NOISE):
    """Every benchmark of either run, and the machine's own change in percent (None: unknown)."""
    before, after = costs(old), costs(new)
    machine = None
    if MACHINE in before and MACHINE in after:
        machine = percent(before[MACHINE], after[MACHINE])
    changes = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            changes.append(Change(name, *(statistics.median(side[name]) if name in side else None
                                          for side in (before, after)), None, None,
                                  "new" if name in after else "gone"))
            continue
        changes.append(judge(name, before[name], after[name], machine, noise))
    return changes, machine


def percent(before, after):
    return 100 * (statistics.median(after) / statistics.median(before) - 1)


def judge(name, before, after, machine, noise):
    by, p = percent(before, after), u_test(before, after)
    apart = 100 * ((1 + by / 100) / (1 + (machine or 0) / 100) - 1)
    verdict = "within noise"
    if 2 / math.comb(len(before) + len(after), len(before)) >= P_MOST:
        verdict = FEW
    elif name == MACHINE:
        verdict = "the machine itself"
    elif p < P_MOST and min(abs(by), abs(apart)) > noise and by * apart > 0:
        verdict = "slower" if by > 0 else "faster"
    return Change(name, statistics.median(before), statistics.median(after), by, p, verdict)


def only(merged, programs):
    """What these programs measured."""
    return dict(merged, benchmarks=[entry for entry in merged["benchmarks"]
                                    if entry["name"].split(":")[0] in programs])


def bad(changes):
    """Those that --check fails on: worse, or such that nobody can tell."""
    return [change for change in changes if change.verdict in ("slower", "gone", FEW)]


def lines(changes, machine, noise=NOISE):
    """The comparison as text: what changed first, then how much there was."""
    told = [f"beyond noise: Mann-Whitney p < {P_MOST} and more than {noise} %, the machine's own "
            "change taken off or not"]
    if machine is None:
        told.append(f"the machine's own change is not known: {MACHINE} is not in both")
    else:
        told.append(f"the machine itself ({MACHINE}): {machine:+.1f} %")
    marked = [change for change in changes
              if change.verdict in ("slower", "faster", "new", "gone", FEW)]
    for change in sorted(marked, key=lambda change: -(change.percent or 0)):
        if change.percent is None:
            told.append(f"  {change.verdict:12} {change.name}")
        else:
            told.append(f"  {change.verdict:12} {change.name}: {change.old:.4g} -> {change.new:.4g}"
                        f" ({change.percent:+.1f} %, p {change.p:.4f})")
    count = {}
    for change in changes:
        count[change.verdict] = count.get(change.verdict, 0) + 1
    told.append("; ".join(f"{number} {verdict}" for verdict, number in sorted(count.items())))
    return told
