# SPDX-License-Identifier: Apache-2.0
"""report.py - the report as a dict, and that as text and JSON."""
import json

from rows import PEERS, PORT_COLUMNS, PORTS, ROWS, RUNS
from values import Absent, Failed, Missing, judge, names, short

KNOWN = {run.name for run in RUNS}

GAP = 1000000  # ns: a lane that stood still for longer did not have its core


def build(measured, chosen):
    """Everything the report says.  measured: began, took_s, settings, machine, runs (values.Runs),
    tables (ports, peers), sweeps, plots (bench.draw), comparison (lines) and doctor."""
    runs = measured["runs"]
    rows = [row for row in ROWS if row.number in chosen]
    return {
        "began": measured["began"],
        "took_s": measured["took_s"],
        "settings": measured["settings"],
        "machine": measured["machine"],
        "disturbed": disturbed(runs, measured.get("stolen_percent")),
        "rows": [judge(row, runs) for row in rows],
        "ports": ports(runs) if "ports" in measured["tables"] else {},
        "peers": peers(runs) if "peers" in measured["tables"] else [],
        "plots": measured["plots"],
        "comparison": measured.get("comparison"),
        "doctor": measured.get("doctor"),
        "runs": {name: [trimmed(record) for record in records]
                 for name, records in runs.records.items()},
        "sweeps": measured["sweeps"],
    }


def trimmed(record):
    """Without Google Benchmark's whole output, which is in micro.json."""
    if not isinstance(record["json"], dict) or "whole" not in record["json"]:
        return record
    return dict(record, json={key: value for key, value in record["json"].items()
                              if key != "whole"})


def disturbed(runs, stolen):
    """What says that the machine was not all ours."""
    told, worst, where, many, all_of = [], 0, "", 0, 0
    for name, records in runs.records.items():
        for record in records:
            value = record["json"] if record["status"] == "ok" else None
            gaps = [value[side].get("loop_gap_max_ns", 0)
                    for side in ("sending_lane", "receiving_lane") if side in value] if value else []
            if not gaps:
                continue
            all_of += 1
            many += max(gaps) > GAP
            if max(gaps) > worst:
                worst, where = max(gaps), name
    if many:
        told.append(f"in {many} of {all_of} runs a lane did not have its core for 1 ms or more "
                    f"(at worst {worst / 1e6:.1f} ms, {where})")
    if stolen is not None and stolen >= 1:
        told.append(f"the hypervisor gave {stolen:.1f} % of this machine's time to others")
    return told


def ports(runs):
    """{port: [figure or None]}, in the order of PORT_COLUMNS; a reason in place of all."""
    table = {}
    for port in PORTS:
        cells, why = [], None
        for _, value in PORT_COLUMNS:
            value = value.replace("{port}", port)
            if names(value) - KNOWN:
                cells.append(None)  # there is no such run on this port
                continue
            try:
                cells.append(runs.figure(value)[0])
            except Absent:
                cells.append(None)  # a bare ring tells less than a bare port
            except (Missing, Failed) as reason:
                cells.append(None)
                why = why or str(reason)
        table[port] = {"figures": cells, "reason": why}
    return table


def peers(runs):
    table = []
    for peer in PEERS:
        name = "plain_udp" if peer == "udp" else peer
        try:
            table += [way_of(way) for way in runs.look_up(name, 0)["ways"]]
        except (Missing, Failed) as why:
            table.append({"peer": peer, "reason": str(why)})
    return table


def way_of(way):
    trips, one = way["rtt_ns"], way["one_way"]
    return {"peer": way["peer"], "version": way["version"], "transport": way["transport"],
            "placement": way["placement"], "settings": way.get("settings", {}),
            "p50_us": trips["p50"] / 1e3, "p99_us": trips["p99"] / 1e3,
            "messages_per_s": one["messages_per_s"], "size": one["size"]}


# ---- as text -----------------------------------------------------------------------


def columns(table, right=()):
    """Lines of a table whose columns are as wide as they must be."""
    wide = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [" ".join(cell.rjust(wide[i]) if i in right else cell.ljust(wide[i])
                     for i, cell in enumerate(row)).rstrip() for row in table]


def figure_of(row):
    if "value" not in row:
        return "-"
    told = short(row["value"]) + (" " + row["unit"] if row["unit"] else "")
    if row["high"] > row["low"]:
        told += f" ({short(row['low'])} to {short(row['high'])})"
    return told


def settings_text(settings):
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def row_lines(rows):
    head = ("row", "figure", "proa", "must", "aim", "verdict", "beside it, or why not")
    table = [head]
    for row in rows:
        table.append((row["row"], row["figure"], figure_of(row), row["must"] or "-",
                      row["aim"] or "-", row["verdict"], row.get("reason", row.get("beside", ""))))
    return columns(table)


def port_lines(table):
    head = ("port",) + tuple(title for title, _ in PORT_COLUMNS)
    lines = [head]
    for port, said in table.items():
        lines.append((port,) + tuple("-" if cell is None else short(cell)
                                     for cell in said["figures"]))
    told = columns(lines, range(1, len(head)))
    return told + [f"  - {port}: {said['reason']}" for port, said in table.items()
                   if said["reason"]]


def peer_lines(table):
    head = ("peer", "version", "transport", "placement", "RTT p50, us", "p99", "M/s", "bytes",
            "settings")
    lines = [head] + [
        (way["peer"], way["version"], way["transport"], way["placement"], short(way["p50_us"]),
         short(way["p99_us"]), short(way["messages_per_s"] / 1e6), str(way["size"]),
         settings_text(way["settings"])) for way in table if "reason" not in way]
    told = columns(lines, (4, 5, 6, 7)) if len(lines) > 1 else []
    return told + [f"  - {way['peer']}: {way['reason']}" for way in table if "reason" in way]


def machine_lines(machine):
    told = []
    for key, value in machine.items():
        if isinstance(value, dict):
            value = settings_text(value)
        if isinstance(value, list):
            value = ", ".join(value)
        told.append(f"  {key:24} {value}")
    return told


def run_lines(runs):
    told = []
    for name, records in runs.items():
        states = [record["status"] for record in records]
        told.append(f"  {name:18} {states.count('ok')} of {len(states)}  {records[0]['command']}")
        told += [f"  {'':18} {record['status']}: {record['reason']}" for record in records
                 if record["status"] != "ok"][:1]
    return told


def summary(rows):
    count = {}
    for row in rows:
        count[row["verdict"]] = count.get(row["verdict"], 0) + 1
    return ", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items()))


def text(report):
    parts = [("", [f"proa bench, {report['began']}: {report['took_s']:.0f} s"]
              + [f"  {key:24} {value}" for key, value in report["settings"].items()]),
             ("The machine", machine_lines(report["machine"])
              + [f"  disturbed: {line}" for line in report["disturbed"]])]
    if report["rows"]:
        parts.append((f"The rows: {summary(report['rows'])}", row_lines(report["rows"])
                      + ["", "Median of the rounds (least to most).  met: the must; aim met: the "
                         "aim too; printed: has no must.", "A row that was missed: "
                         "docs/performance.md has the counted path of a message."]))
    if report["ports"]:
        parts.append(("Port by port, raw beside", port_lines(report["ports"])))
    if report["peers"]:
        parts.append(("Peers, same machine", peer_lines(report["peers"])))
    if report["comparison"]:
        parts.append(("Compared", report["comparison"]))
    if report["plots"]:
        parts.append(("Plots", [f"  {plot['name']}.svg  {plot['title']}" if not plot["missing"] else
                                f"  {plot['name']}: not drawn: {plot['missing']}"
                                for plot in report["plots"]]))
    if report["doctor"]:
        parts.append(("What `proa doctor` says of this machine", report["doctor"]))
    parts.append(("Runs: rounds that were good, and the command", run_lines(report["runs"])))
    return "\n".join(("" if not title else f"\n== {title}\n\n") + "\n".join(lines)
                     for title, lines in parts) + "\n"


def write_json(report, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
