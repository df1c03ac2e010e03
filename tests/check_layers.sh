#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh [--sources-only] [ROOT] - the structure of the tree, held by a machine.
#
#   1. Includes go downwards only:   include <- dht                     <- control
#                                    include <- actors <- dataplane     <- control
#   2. DPDK's headers appear only in the files listed below.
#   3. C sources have block comments only: a `//` means "not to be committed".
#   4. dht and the link, packet and resolver files of dataplane are pure: their objects ask the
#      outside for memory and string functions and for libsodium's arithmetic, nothing else.
#   5. The lane loop is one function that fits on a screen.
#
# --sources-only leaves out 4, which compiles.  Prints every violation; status 1 if any.
set -euo pipefail

objects=yes
[ "${1:-}" = --sources-only ] && { objects=no; shift; }
root=${1:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$root"

# Which folders a folder may include from, itself and the system aside.
declare -A may_include=(
    [include]=""
    [dht]="include"
    [actors]="include"
    [dataplane]="include actors"
    [control]="include dht actors dataplane"
    [examples]="include"
)

# The only files that may name DPDK: the ports that are DPDK devices, the bare loop on them, EAL,
# telemetry.
dpdk_owners='^(dataplane/(ethdev|port_ethdev|port_vhost|rss|xsk|pool_dpdk|raw_wire|dpdk_|eal)[a-z0-9_]*|control/(telemetry|eal)[a-z0-9_]*)\.[ch]$'

# What a pure object may ask of the outside.  Not here on purpose: qsort, which allocates;
# and of libsodium what draws randomness by itself (keygen, keypair, seal) or allocates.  __cpu_model is
# libgcc's constant that says what the processor has.
pure_symbols='^(mem(cpy|move|set|cmp|chr)|str(len|nlen|cmp|ncmp|chr)|__stack_chk_(fail|guard)'
pure_symbols+='|proa_assert_fail|sodium_(memcmp|memzero|is_zero|compare|increment|add)'
pure_symbols+='|addr_(in_prefix|is_mapped)|__cpu_model'
pure_symbols+='|crypto_[a-z0-9_]+|_GLOBAL_OFFSET_TABLE_|__(popcount|clz|ctz)[sdt]i2)$'
impure_symbols='^crypto_(.*_keygen|.*_keypair|box_.*seal|pwhash.*)$'
seeded_symbols='_seed_keypair$'

lane_loop_max=69 # lines, from { to }

bad=0
complain()
{
    echo "$1"
    bad=1
}

# ---- where each header lives -------------------------------------------------------
declare -A home=()
for folder in "${!may_include[@]}"; do
    [ -d "$folder" ] || continue
    while IFS= read -r file; do
        name=${file##*/}
        [ "$folder" = include ] && name=${file#include/}
        [ "$folder" = examples ] && continue
        [ -n "${home[$name]:-}" ] && [ "${home[$name]}" != "$folder" ] &&
            complain "$file: a header of that name is in ${home[$name]}/ too"
        home[$name]=$folder
    done < <(find "$folder" -name '*.[ch]' | sort)
done
[ "${#home[@]}" -gt 0 ] || { echo "check_layers.sh: no sources under $root" >&2; exit 2; }

sources()
{
    local there=() folder
    for folder in "$@"; do
        [ -d "$folder" ] && there+=("$folder")
    done
    [ "${#there[@]}" -eq 0 ] || find "${there[@]}" -type f -name '*.[ch]' | sort
}

# ---- 1 and 2: includes -------------------------------------------------------------
includes() # prints file:line:name
{
    awk '/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
        name = $0; sub(/^[^<"]*[<"]/, "", name); sub(/[>"].*$/, "", name)
        print FILENAME ":" FNR ":" name }' "$@"
}

check_include()
{
    local file=$1 line=$2 name=$3 folder=${1%%/*} from

    if [[ $name == rte_* && ! $file =~ $dpdk_owners ]]; then
        complain "$file:$line: <$name>: only DPDK's owners may use DPDK (dpdk_owners in $0)"
    fi
    if [[ $name == *../* || $name =~ ^(dht|actors|dataplane|control|tests|include)/ ]]; then
        complain "$file:$line: \"$name\": headers are included by their bare name"
        name=${name##*/}
        [ -n "${home[$name]:-}" ] || name=proa/$name
    fi
    from=${home[$name]:-}
    if [ -n "$from" ] && [ "$from" != "$folder" ] && [[ " ${may_include[$folder]} " != *" $from "* ]]; then
        complain "$file:$line: \"$name\": $folder/ must not include from $from/"
    fi
    if [[ -z $from && $name == proa/* ]]; then
        complain "$file:$line: <$name>: no such public header"
    fi
}

mapfile -t all < <(sources "${!may_include[@]}")
while IFS=: read -r file line name; do
    check_include "$file" "$line" "$name"
done < <(includes "${all[@]}")

# ---- 3: comments -------------------------------------------------------------------
line_comments() # prints file:line of each // outside strings and block comments
{
    awk 'FNR == 1 { block = 0 }
    block && !index($0, "*/") { next }
    !block && !index($0, "//") && !index($0, "/*") { next }
    {
        quote = ""
        for (i = 1; i <= length($0); i++) {
            c = substr($0, i, 1); two = substr($0, i, 2)
            if (block) { if (two == "*/") { block = 0; i++ } }
            else if (quote != "") { if (c == "\\") i++; else if (c == quote) quote = "" }
            else if (two == "/*") { block = 1; i++ }
            else if (two == "//") { print FILENAME ":" FNR; break }
            else if (c == "\"" || c == "\x27") quote = c
        }
    }' "$@"
}

mapfile -t every < <(sources "${!may_include[@]}" tests perf)
while IFS= read -r at; do
    complain "$at: a // comment: not to be committed"
done < <(line_comments "${every[@]}")

# ---- 4: purity ---------------------------------------------------------------------
# Compiled apart from the build, since objects of an LTO build hide their symbols from nm.
check_purity() # NAME INCLUDES FILE...
{
    local name=$1 flags=$2 file object symbol
    local -A defined=()
    shift 2

    [ $# -gt 0 ] || return 0
    mkdir -p "$tmp/$name"
    # shellcheck disable=SC2086 # flags are words
    printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c \
        'o=$(echo "$1" | tr / _); ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O1 -fno-lto -c $2 "$1" -o "$3/$o.o"' \
        sh {} "$flags" "$tmp/$name" || { complain "$name: does not compile by itself"; return 0; }
    while IFS= read -r symbol; do
        defined[$symbol]=1
    done < <(nm -g --defined-only --format=just-symbols "$tmp/$name"/*.o | grep -v -e ':$' -e '^$')
    for file in "$@"; do
        object=$tmp/$name/${file//\//_}.o
        while IFS= read -r symbol; do
            [ -n "${defined[$symbol]:-}" ] && continue
            [[ $symbol =~ $pure_symbols && ! $symbol =~ $impure_symbols ]] && continue
            [[ $symbol =~ $pure_symbols && $symbol =~ $seeded_symbols ]] && continue
            complain "$file: calls $symbol, but $name is pure"
        done < <(nm -u --format=just-symbols "$object")
    done
}

if [ "$objects" = yes ]; then
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    mapfile -t pure < <(sources dht | grep '\.c$' || true)
    check_purity dht "-Iinclude -Idht" "${pure[@]}"
    mapfile -t pure < <(sources dataplane | grep -E '/(link|packet|pkt|sysmsg)[a-z0-9_]*\.c$' || true)
    check_purity links "-Iinclude -Iactors -Idataplane" "${pure[@]}"
    mapfile -t pure < <(sources dataplane | grep -E '/(resolver(_arp|_icmp|_nd)?|net)\.c$' || true)
    check_purity frames "-Iinclude -Iactors -Idataplane" "${pure[@]}"
fi

# ---- 5: the lane loop --------------------------------------------------------------
if [ -f dataplane/lane.c ]; then
    length=$(awk '/^[a-z].*[ *]lane_step\(/ { seen = 1 }
        seen && /^\{$/ { open = FNR }
        open && /^\}/ { print FNR - open + 1; exit }' dataplane/lane.c)
    if [ -z "$length" ]; then
        complain "dataplane/lane.c: no function lane_step"
    elif [ "$length" -gt "$lane_loop_max" ]; then
        complain "dataplane/lane.c: lane_step has $length lines, at most $lane_loop_max"
    fi
fi

[ "$bad" = 0 ] && echo "check_layers.sh: ${#all[@]} files in order"
exit "$bad"
