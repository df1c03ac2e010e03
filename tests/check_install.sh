#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_install.sh BUILD - installs the build tree into a scratch folder and builds the
# examples there, outside the tree, with what pkg-config says and nothing else; the headers
# also as C++.  Prints `ok` and `not ok` lines.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

try() # NAME COMMAND...
{
    local name=$1
    shift
    if "$@" >"$tmp/out" 2>&1; then
        echo "ok - $name"
    else
        cat "$tmp/out"
        echo "not ok - $name"
        status=1
        return 1
    fi
}

try "meson install" meson install -C "$build" --no-rebuild --destdir "$tmp/root" || exit 1
pc=$(find "$tmp/root" -name proa.pc)
[ -n "$pc" ] || { echo "not ok - no proa.pc was installed"; exit 1; }
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$tmp/root
PKG_CONFIG_PATH=$(dirname "$pc")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export LD_LIBRARY_PATH

mkdir "$tmp/outside"
cd "$tmp/outside"
cp "$root"/examples/*.c .
{
    echo '#include <cstdio>'
    for header in "$root"/include/proa/*.h; do
        echo "#include <proa/$(basename "$header")>"
    done
    echo 'int main() { return std::puts(proa_outcome_name(PROA_OK)) < 0; }'
} >headers.cc
for header in "$root"/include/proa/*.h; do
    name=$(basename "$header")
    # Alone in its file: no header leans on another having been included before.
    echo "#include <proa/$name>" >one.c
    echo 'typedef int not_empty;' >>one.c
    try "<proa/$name> alone, C" bash -c 'cc -std=c11 -Wall -Wextra -Wpedantic -Werror $(pkg-config --cflags proa) -c one.c' || true
    cp one.c one.cc
    try "<proa/$name> alone, C++" bash -c 'c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror $(pkg-config --cflags proa) -c one.cc' || true
done
for source in *.c; do
    [ "$source" != one.c ] || continue
    export example=${source%.c}
    try "examples/$source, C" bash -c 'cc -std=c17 -Wall -Wextra -Werror "$example.c" -o "$example" $(pkg-config --cflags --libs proa)' || true
done
if try "all headers, C++, links" bash -c 'c++ -std=c++17 -Wall -Wextra -Werror headers.cc -o headers $(pkg-config --cflags --libs proa)'; then
    try "the C++ program runs" ./headers || true
fi
for source in "$root"/examples/*.cc; do
    [ -f "$source" ] || continue
    export source
    try "examples/$(basename "$source"), C++" bash -c 'c++ -std=c++17 -Wall -Wextra -Werror "$source" -o cxx $(pkg-config --cflags --libs proa)' || true
done
try "the proa program is there" test -x "$(find "$tmp/root" -type f -name proa -path '*/bin/*')" || true
exit $status
