#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_format.sh - every C and C++ file is as clang-format leaves it.
# With --fix, makes it so.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(--dry-run -Werror)
[ "${1:-}" = --fix ] && mode=(-i)
folders=()
for folder in include dht actors dataplane control tests perf examples; do
    [ ! -d "$folder" ] || folders+=("$folder")
done
find "${folders[@]}" -type f \( -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp' \) -print0 |
    xargs -0 -r -n 20 -P "$(nproc)" clang-format --style=file "${mode[@]}"
