#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_syscalls.sh - docs/security.md names the system calls of control/syscall_filter.c, and no other.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 - <<'P'
import re
import sys

code = open("control/syscall_filter.c", encoding="utf-8").read()
text = open("docs/security.md", encoding="utf-8").read()


def table(name):
    body = code[code.index(f" {name}[] = {{"):]
    return set(re.findall(r'^    \{?"([a-z0-9_]+)"', body[:body.index("\n};")], re.M))


allowed_text, rest = text.split("Allowed (`control", 1)[1].split("\nKilled: ", 1)
killed_text = rest.split("\n\n", 1)[0]
rows = "".join(line for line in allowed_text.splitlines(True) if line.startswith("| "))
bad = 0
for title, in_code, in_text in (
        ("allowed", table("allowed") | table("narrow") | {"tgkill"}, rows),
        ("killed", table("deadly"), killed_text)):
    named = set(re.findall(r"`([a-z0-9_]+)`", in_text))
    for name in sorted(in_code ^ named):
        print(f"{title}: {name} is only in {'the code' if name in in_code else 'the document'}")
    if in_code != named or len(in_code) < 10:
        bad = print(f"not ok - {title}: list and document differ") or 1
    else:
        print(f"ok - {title}: {len(named)} calls, list and document agree")
sys.exit(bad)
P
