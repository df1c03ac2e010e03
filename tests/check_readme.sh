#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_readme.sh - README.md shows examples/hello.c verbatim, and it is at most 40 lines.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 - <<'P'
import sys
hello = open("examples/hello.c", encoding="utf-8").read()
readme = open("README.md", encoding="utf-8").read()
bad = 0
if hello.count("\n") > 40:
    bad = print("not ok - examples/hello.c has more than 40 lines") or 1
else:
    print("ok - examples/hello.c has at most 40 lines")
if "```c\n" + hello + "```" not in readme:
    bad = print("not ok - README.md does not show examples/hello.c verbatim") or 1
else:
    print("ok - README.md shows examples/hello.c verbatim")
sys.exit(bad)
P
