# SPDX-License-Identifier: Apache-2.0
"""values.py - from what runs printed to figures and verdicts.

A figure is an expression over runs: `tell_vhost.ratio.messages_to_raw_packets`, or
`ask["latency_ns"]["p99.9"] / US`.  Only numbers, + - * /, the names of runs, min and max, which want
all that they choose from, and either, the first that is there; the same text stands in the report, as
what was computed.

What is not there is never a figure: a Missing says why it could not be measured here, a Failed says
what went wrong.  A good run that printed no such field is a Failed: program and table differ.
"""
import ast
import math
import operator
import re
import statistics

UNITS = {"K": 1e3, "M": 1e6, "G": 1e9, "US": 1e3, "MS": 1e6}  # US, MS: nanoseconds in one

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
             ast.Div: operator.truediv}


class Missing(Exception):
    """There is no such figure; the text says why."""


class Failed(Exception):
    """A run that the figure needs went wrong; the text says how."""


class Absent(Failed):
    """A good run printed no such field."""


def evaluate(text, lookup):
    """The number that text stands for; lookup(name) gives a run's JSON or raises."""
    value = _value(ast.parse(text, mode="eval").body, text, lookup)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Missing(f"{text}: not a number: {value!r}")
    if not math.isfinite(value):
        raise Missing(f"{text}: not a finite number")
    return float(value)


def _value(node, text, lookup):
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return UNITS[node.id] if node.id in UNITS else lookup(node.id)
    if isinstance(node, ast.Attribute):
        return _field(_value(node.value, text, lookup), node.attr, node)
    if isinstance(node, ast.Subscript):
        return _field(_value(node.value, text, lookup), _value(node.slice, text, lookup), node)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        try:
            return OPERATORS[type(node.op)](_value(node.left, text, lookup),
                                            _value(node.right, text, lookup))
        except (ZeroDivisionError, TypeError) as why:
            raise Missing(f"{ast.unparse(node)}: {why}") from None
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("min", "max"):
        return _best(node, text, lookup)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "either":
        return _either(node, text, lookup)
    raise ValueError(f"{text}: {ast.unparse(node)} is no part of a figure")


def _best(node, text, lookup):
    """min or max of all: the best of those that happen to be there would flatter us."""
    there, why = [], []
    for arg in node.args:
        try:
            there.append(_value(arg, text, lookup))
        except Missing as missing:
            why.append(str(missing))
    if why:
        raise Missing("; ".join(why))
    return (min if node.func.id == "min" else max)(there)


def _either(node, text, lookup):
    """The first that is there: the same thing under two names."""
    why = Missing("nothing to choose from")
    for arg in node.args:
        try:
            return _value(arg, text, lookup)
        except (Absent, Missing) as missing:
            why = missing
    raise why


def _field(value, key, node):
    if not isinstance(value, dict) or key not in value:
        raise Absent(f"the run printed no {ast.unparse(node)}")
    if value[key] is None:
        raise Missing(f"{ast.unparse(node)}: the run could not tell")
    return value[key]


def names(text):
    """The runs that an expression needs."""
    return {node.id for node in ast.walk(ast.parse(text, mode="eval"))
            if isinstance(node, ast.Name)} - set(UNITS) - {"min", "max", "either"}


def expressions(text):
    """Those in braces in a text."""
    return re.findall(r"\{([^{}]*)\}", text)


def short(value):
    """Three digits, and as they are spoken: 20.1, 1,035, 0.284."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 6)}f}"


def reaches(value, wish):
    """Whether a value satisfies a wish: `>= 2.0`, `<= 1.4`, `== 0`."""
    sign, bound = wish.split()
    return {">=": operator.ge, "<=": operator.le, "==": operator.eq}[sign](
        value, float(bound.replace(",", "")))


class Runs:
    """What every run gave, round by round: {name: [record]}.

    A record has "status" (ok, failed, refused, skipped), "reason", "command", "seconds" and
    "json".  Refused: there is no figure here (no root); failed: something is wrong.

    once: the runs that are made once, whatever the rounds of others.
    """

    def __init__(self, records, once=()):
        self.records, self.once = records, once

    def look_up(self, name, number):
        """The JSON of one round.  A run that was to have that round and has it not is Missing: its
        other rounds were minutes apart."""
        rounds = self.records.get(name)
        if not rounds:
            raise Missing(f"{name} was not run")
        for record in rounds:
            if record["status"] == "failed":
                raise Failed(f"{name}: {record['reason']}")
        good = [record for record in rounds if record["status"] == "ok"]
        if not good:
            raise Missing(f"{name}: {rounds[0]['reason']}")
        for record in good:
            if record["round"] == number:
                return record["json"]
        if name in self.once:
            return good[0]["json"]
        raise Missing(f"{name} has no round {number + 1}")

    def rounds(self, text):
        return sorted({record["round"] for name in names(text)
                       for record in self.records.get(name, []) if record["status"] == "ok"})

    def figure(self, text):
        """The value of an expression in each round in which all its runs ran; their median is
        the figure."""
        values, why = [], None
        for number in self.rounds(text) or [0]:
            try:
                values.append(evaluate(text, lambda name, n=number: self.look_up(name, n)))
            except Missing as missing:
                why = why or missing
        if not values:
            raise why
        return statistics.median(values), min(values), max(values)

    def text(self, template):
        """A text with {EXPRESSION}s in it, each replaced by its figure."""
        return re.sub(r"\{([^{}]*)\}",
                      lambda found: short(self.figure(found.group(1))[0]), template)


def hollow(row, runs):
    """Why a figure says nothing: what has to go on beside it did not.  "" when it did."""
    if not row.given:
        return ""
    text, wish = re.fullmatch(r"(.*) ([<>=]= \S+)", row.given).groups()
    value = runs.figure(text)[0]
    return "" if reaches(value, wish) else f"what ran beside it reached {short(value)}, not {wish}"


def judge(row, runs):
    """One row of the table beside what was measured: a dict for the report."""
    said = {"row": row.number, "figure": row.figure, "unit": row.unit, "computed": row.value,
            "must": row.must, "aim": row.aim, "verdict": "not measured"}
    try:
        if row.value == "":
            raise Missing(row.beside)
        value, low, high = runs.figure(row.value)
        why_not = hollow(row, runs)
    except Missing as why:
        said["reason"] = str(why)
        return said
    except Failed as why:
        said["verdict"] = "failed"
        said["reason"] = str(why)
        return said
    said.update(value=value, low=low, high=high, verdict=verdict(value, row.must, row.aim))
    said["beside"] = beside(row, runs)
    if why_not:
        said.update(verdict="missed", beside=why_not + "; " + said["beside"])
    return said


def beside(row, runs):
    try:
        return runs.text(row.beside)
    except (Missing, Failed) as why:
        return f"not measured: {why}"


def verdict(value, must, aim):
    if aim and reaches(value, aim) and (not must or reaches(value, must)):
        return "aim met"
    if must:
        return "met" if reaches(value, must) else "missed"
    return "below aim" if aim else "printed"
