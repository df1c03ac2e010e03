#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# private_jemalloc.sh LIBJEMALLOC_PIC.A OUTPUT.A - a copy of jemalloc that serves only us.
#
# Linking -ljemalloc would replace malloc in the program that uses libproa, which a library
# must not do unasked; and dlopen() fails, since jemalloc wants static TLS.  So every public
# name in the copy gets the prefix proa_je_, and C++'s new and delete are left out.
set -eu

in=$1
out=$2
names=$out.names

cp "$in" "$out"
chmod u+w "$out"
ar t "$out" | grep '^jemalloc_cpp' | xargs -r ar d "$out"
nm -g --defined-only --format=just-symbols "$out" 2>/dev/null |
    grep -v -e '^je_' -e ':$' | sort -u | sed -n 's/^..*$/& proa_je_&/p' >"$names"
grep -q '^mallocx proa_je_mallocx$' "$names" || {
    echo "private_jemalloc.sh: $in defines no mallocx" >&2
    exit 1
}
objcopy --redefine-syms="$names" "$out"
rm -f "$names"
