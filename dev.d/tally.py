#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tally.py TESTLOG.JSON - counts the test cases of one `meson test` run.

Prints `PASSED FAILED SKIPPED` and then one line per failure or skip.  A test that prints
TAP (cmocka does, with CMOCKA_MESSAGE_OUTPUT=TAP) counts by its `ok` and `not ok` lines,
any other as one.  A test that meson calls failed has at least one failure, whatever it
printed: it may have died half way.
"""
import json
import re
import sys

CASE = re.compile(r"^(ok|not ok)\b[ \d]*-?\s*(.*)$", re.M)
SKIP = re.compile(r"#\s*skip\b\s*(.*)$", re.I)


def tally(test):
    passed, bad, skipped = 0, [], []
    name = test["name"].split(" / ")[-1]
    result = test["result"]
    if result == "SKIP":
        reason = (test.get("stdout", "").strip().splitlines() or ["no reason given"])[-1]
        return 0, [], [f"{name}: {reason}"]
    for verdict, title in CASE.findall(test.get("stdout", "")):
        skip = SKIP.search(title)
        if skip:
            skipped.append(f"{name}: {skip.group(1) or title}")
        elif verdict == "ok":
            passed += 1
        else:
            bad.append(f"{name}: {title}")
    if result in ("OK", "EXPECTEDFAIL"):
        if passed + len(bad) + len(skipped) == 0:
            passed = 1
    elif not bad:
        bad.append(f"{name}: {result.lower()} (exit status {test.get('returncode')})")
    return passed, bad, skipped


def main():
    passed, bad, skipped = 0, [], []
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        for line in log:
            if line.strip():
                one = tally(json.loads(line))
                passed += one[0]
                bad += one[1]
                skipped += one[2]
    print(passed, len(bad), len(skipped))
    for line in bad:
        print("  failed:", line)
    for line in skipped:
        print("  skipped:", line)


main()
