# SPDX-License-Identifier: Apache-2.0
"""plots.py - SVG by gnuplot.  Beside NAME.svg lie NAME.gp and NAME.dat, to draw it again."""
import os
import subprocess
from collections import namedtuple

from values import Failed, Missing

Line = namedtuple("Line", "title points style", defaults=("",))  # points: [(x, y, ...)]
Plot = namedtuple("Plot", "name title settings lines")

HEAD = """set terminal svg size 1000,640 font "sans-serif,13" background "white"
set output "{name}.svg"
set title "{title}"
set key below maxrows 5 samplen 3 spacing 1.1
set grid lc rgb "#dddddd" lw 1
set style data linespoints
set pointsize 0.4
"""

# A colour for each port and peer, in all plots; what is beside a port has its colour and dashes.
COLOURS = {"vhost": "#1f77b4", "udp": "#d62728", "ring": "#2ca02c", "af_xdp": "#9467bd",
           "ethdev": "#8c564b", "peer zeromq": "#ff7f0e", "peer nng": "#bcbd22",
           "peer nats": "#17becf", "peer erlang": "#e377c2", "peer caf": "#7f7f7f",
           "peer udp": "#000000"}
SOLID, DASHED, DOTTED = 1, 2, 3

# The percentile p lies at 1 / (1 - p), on a logarithmic axis, as HdrHistogram draws it.
HDR = """set logscale xy
set xrange [1:{most}]
set xtics ("50 %%" 2, "90 %%" 10, "99 %%" 100, "99.9 %%" 1000, "99.99 %%" 10000, "99.999 %%" 100000)
set xlabel "percentile"
set ylabel "round trip, us"
"""
LATENCY = "One ask in flight: latency by percentile"
LOAD = """set logscale y
set xlabel "asks a second that were answered, millions"
set ylabel "round trip, us"
set xrange [0:]
"""
SIZE = """set logscale xy
set xlabel "bytes of a message"
set ylabel "payload, Gbit/s"
"""
LOSS = """set xlabel "packets lost each way, %"
set ylabel "tells of 32 B, millions a second"
set yrange [0:]
set xrange [0:]
"""


def hdr_points(distribution):
    """[[value_ns, how many up to it], ...] as (1 / (1 - p), us).  The last value has no p below
    1: it is drawn where one more would have been."""
    if not distribution:
        return []
    whole = distribution[-1][1]
    return [(whole / max(whole - upto, 0.5), value / 1e3) for value, upto in distribution]


def few_points(trips):
    """The percentiles that a peer and the bare loop print, in the same place."""
    named = (("p50", 2), ("p90", 10), ("p99", 100), ("p99.9" if "p99.9" in trips else "p999", 1000))
    return [(x, trips[key] / 1e3) for key, x in named]


def style(what, dashes=SOLID):
    return f'lc rgb "{COLOURS[what]}" dt {dashes} lw 1.8'


def distributions(runs, ports, peers):
    lines = []
    for port in ports:
        try:
            asked = runs.look_up(f"ask_{port}", 0)
        except (Missing, Failed):
            continue
        lines.append(Line(f"proa, {port}", hdr_points(asked["latency_ns"]["distribution"]),
                          style(port)))
        if "raw" in asked:  # a ring has a bare one
            lines.append(Line(f"raw, {port}", few_points(asked["raw"]["rtt_ns"]),
                              style(port, DASHED)))
    for peer in peers:
        try:
            quickest = runs.look_up("plain_udp" if peer == "udp" else peer, 0)["quickest"]
        except (Missing, Failed):
            continue
        lines.append(Line(f"{quickest['peer']}, {quickest['transport']}",
                          few_points(quickest["rtt_ns"]), style("peer " + peer, DOTTED)))
    most = max((point[0] for line in lines for point in line.points), default=1000)
    return Plot("latency", LATENCY, HDR.format(most=round(most * 1.1)),
                lines)


def swept(name, title, points):
    """A sweep's plot; points: {port: [(x, json)]}."""
    lines = []
    for port, got in points.items():
        if name == "load":
            for key, dashes in (("p50", SOLID), ("p99", DASHED), ("p99.9", DOTTED)):
                lines.append(Line(f"{port} {key}", [
                    (value["achieved_per_s"] / 1e6, value["latency_ns"][key] / 1e3)
                    for _, value in got], style(port, dashes)))
        elif name == "size":
            lines.append(Line(port, [(x, value["payload_mbit_per_s"] / 1e3) for x, value in got],
                              style(port)))
        else:
            lines.append(Line(port, [(x / 1e4, value["messages_per_s"] / 1e6) for x, value in got],
                              style(port)))
    settings = {"load": LOAD, "size": SIZE, "loss": LOSS}[name]
    return Plot(name, title, settings, lines)


def quoted(text):
    return text.replace("\\", "").replace('"', "'")


def script(plot):
    drawn = [line for line in plot.lines if line.points]
    parts = [f'"{plot.name}.dat" index {number} using 1:2 title "{quoted(line.title)}" noenhanced {line.style}'
             for number, line in enumerate(drawn)]
    return (HEAD.format(name=plot.name, title=quoted(plot.title)) + plot.settings +
            "plot " + ", \\\n     ".join(parts) + "\n")


def draw(plot, folder):
    """None, or why there is no picture."""
    drawn = [line for line in plot.lines if line.points]
    if not drawn:
        return "nothing to draw was measured"
    with open(os.path.join(folder, plot.name + ".dat"), "w", encoding="utf-8") as file:
        for line in drawn:
            file.write(f"# {line.title}\n")
            for point in line.points:
                file.write(" ".join(f"{value:.6g}" for value in point) + "\n")
            file.write("\n\n")
    with open(os.path.join(folder, plot.name + ".gp"), "w", encoding="utf-8") as file:
        file.write(script(plot))
    try:
        done = subprocess.run(["gnuplot", plot.name + ".gp"], cwd=folder, capture_output=True,
                              text=True, timeout=60, check=False)
    except OSError:
        return "gnuplot is not there: apt-get install gnuplot-nox"
    if done.returncode != 0 or not os.path.exists(os.path.join(folder, plot.name + ".svg")):
        return "gnuplot: " + (done.stderr.strip().splitlines() or ["it drew nothing"])[-1]
    return None
