#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_sizes.sh [ROOT] - no file over 600 lines, no C or C++ function over 70.
#
# A function is what lies between a `{` and a `}` that stand alone in column one; with our
# braces (.clang-format) only function bodies look like that.  Both lines are counted.
set -euo pipefail

root=${1:-$(cd "$(dirname "$0")/.." && pwd)}
max_file=600
max_function=70

cd "$root"
folders=()
for folder in include dht actors dataplane control tests perf examples dev.d .ci dev meson.build; do
    [ -e "$folder" ] && folders+=("$folder")
done
mapfile -t files < <(find "${folders[@]}" -type f \( -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp' \
    -o -name '*.sh' -o -name '*.py' -o -name meson.build -o -path dev \) | sort)
[ "${#files[@]}" -gt 0 ] || { echo "check_sizes.sh: no sources under $root" >&2; exit 2; }

awk -v max_file="$max_file" -v max_function="$max_function" '
    FNR == 1 { end_file(); name = FILENAME; open = 0; last = "" }
    { lines = FNR }
    name !~ /\.([ch]|cc|cpp)$/ { next }
    /^\{$/ { open = FNR; head = last; next }
    /^\}/ {
        if (open && FNR - open + 1 > max_function) {
            printf "%s:%d: function of %d lines, at most %d: %s\n", name, open,
                FNR - open + 1, max_function, head
            bad = 1
        }
        open = 0
    }
    /^[A-Za-z_]/ { last = $0 }
    function end_file() {
        if (name != "" && lines > max_file) {
            printf "%s: %d lines, at most %d\n", name, lines, max_file
            bad = 1
        }
    }
    END { end_file(); exit bad }
' "${files[@]}"
echo "check_sizes.sh: ${#files[@]} files within bounds"
