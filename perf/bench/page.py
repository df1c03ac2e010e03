# SPDX-License-Identifier: Apache-2.0
"""page.py - index.html: the report with its plots, without scripts or anything from elsewhere."""
from html import escape

from report import (figure_of, machine_lines, peer_lines, port_lines, run_lines, summary)

STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: 3px 8px; border-bottom: 1px solid #ddd; vertical-align: top }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto; font-size: 13px }
img { max-width: 100% }
.missed, .failed { color: #a40000; font-weight: bold }
.met { color: #2e7d00 }
.aim { color: #1b5e00; font-weight: bold }
.not, .printed, .below { color: #777 }
"""


def row_cells(row):
    cells = [row["row"], row["figure"], figure_of(row), row["must"] or "", row["aim"] or "",
             row["verdict"], row.get("reason", row.get("beside", ""))]
    told = [f"<td>{escape(cell)}</td>" for cell in cells]
    told[5] = f'<td class="{row["verdict"].split()[0]}">{escape(row["verdict"])}</td>'
    return f'<tr title="{escape(row["computed"])}">' + "".join(told) + "</tr>"


def rows_table(rows):
    head = "".join(f"<th>{word}</th>" for word in
                   ("row", "figure", "proa", "must", "aim", "verdict", "beside it, or why not"))
    return f"<table><tr>{head}</tr>\n" + "\n".join(row_cells(row) for row in rows) + "\n</table>"


def block(lines):
    return "<pre>" + escape("\n".join(lines)) + "</pre>"


def page(report):
    parts = [f"<h1>proa bench</h1><p>{escape(report['began'])}, {report['took_s']:.0f} s. "
             "Also as <a href=report.txt>text</a> and <a href=report.json>JSON</a>.</p>"]
    if report["disturbed"]:
        parts.append("<p><b>Disturbed:</b> " + escape("; ".join(report["disturbed"])) + ".</p>")
    if report["rows"]:
        parts.append(f"<h2>The rows: {escape(summary(report['rows']))}</h2>" +
                     rows_table(report["rows"]) + "<p>Median of the rounds (least to most).</p>")
    for plot in report["plots"]:
        parts.append(f"<h2>{escape(plot['title'])}</h2>")
        if plot["missing"]:
            parts.append(f"<p>Not drawn: {escape(plot['missing'])}.</p>")
        else:
            parts.append(f'<p><img src="{plot["name"]}.svg" alt="{escape(plot["title"])}"></p>')
    for title, lines in (("Port by port, raw beside", port_lines(report["ports"])
                          if report["ports"] else []),
                         ("Peers, same machine", peer_lines(report["peers"])),
                         ("Compared", report["comparison"] or []),
                         ("The machine", machine_lines(report["machine"])),
                         ("What proa doctor says of this machine", report["doctor"] or []),
                         ("Runs: rounds that were good, and the command",
                          run_lines(report["runs"]))):
        if lines:
            parts.append(f"<h2>{escape(title)}</h2>" + block(lines))
    return ("<!doctype html><html lang=en><meta charset=utf-8><title>proa bench</title>"
            f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n")


def write(report, path):
    with open(path, "w", encoding="utf-8") as file:
        file.write(page(report))
