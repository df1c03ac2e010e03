#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_layers.sh - plants one violation of each kind into a copy of the tree and expects
# check_layers.sh or check_sizes.sh to name it.  Ends with `N passed, N failed`.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
layers=$root/tests/check_layers.sh
sizes=$root/tests/check_sizes.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0
failed=0

# The tree, and in each folder one harmless header to include.
fresh_copy()
{
    local folder
    rm -rf "$tmp/tree"
    mkdir "$tmp/tree"
    for folder in include dht actors dataplane control tests perf examples; do
        [ ! -d "$root/$folder" ] || cp -r "$root/$folder" "$tmp/tree/"
        mkdir -p "$tmp/tree/$folder"
    done
    for folder in dht actors dataplane control; do
        echo "extern int zz_$folder;" >"$tmp/tree/$folder/zz_$folder.h"
    done
}

verdict() # STATUS NAME
{
    if [ "$1" = 0 ]; then
        echo "ok - $2"
        passed=$((passed + 1))
    else
        echo "not ok - $2"
        sed 's/^/    /' "$tmp/out"
        failed=$((failed + 1))
    fi
}

# Plants stdin at PATH, to be found with WORDS by the next `found`.
planted=()
plant() # PATH WORDS
{
    cat >"$tmp/tree/$1"
    planted+=("$1|$2")
}

# CHECK must fail, and have for each planted file a line that holds both its path and its words.
found() # CHECK...
{
    local status=0 missing one path words

    "$@" "$tmp/tree" >"$tmp/out" 2>&1 || status=$?
    echo "(status $status; expected 1)" >>"$tmp/out"
    for one in "${planted[@]}"; do
        path=${one%%|*} words=${one#*|} missing=1
        [ "$status" = 1 ] && grep -F -e "$path" "$tmp/out" | grep -qF -e "$words" && missing=0
        verdict "$missing" "$path: $words"
    done
    planted=()
    fresh_copy
}

fresh_copy
status=0
"$layers" "$tmp/tree" >"$tmp/out" 2>&1 || status=$?
verdict "$status" "the tree as it is passes"
"$layers" --sources-only "$tmp/tree" >"$tmp/out" 2>&1 && status=0 || status=$?
verdict "$status" "so do its sources alone"

plant dht/zz_a.c 'dht/ must not include from actors/' <<<'#include "zz_actors.h"'
plant dht/zz_b.h 'dht/ must not include from control/' <<<'#include <zz_control.h>'
plant actors/zz_c.h 'actors/ must not include from dataplane/' <<<'# include "zz_dataplane.h"'
plant actors/zz_d.c 'actors/ must not include from dht/' <<<'#include "zz_dht.h"'
plant dataplane/zz_e.c 'dataplane/ must not include from dht/' <<<'#include "zz_dht.h"'
plant dataplane/zz_f.c 'bare name' <<<'#include "../control/zz_control.h"'
plant examples/zz_g.c 'examples/ must not include from actors/' <<<'#include "zz_actors.h"'
plant include/proa/zz_h.h 'include/ must not include from actors/' <<<'#include "zz_actors.h"'
plant control/zz_i.c 'DPDK' <<<'#include <rte_mbuf.h>'
plant dataplane/link_zz_j.c 'DPDK' <<<'#include <rte_mbuf.h>'
plant actors/zz_k.c '// comment' <<<'int zz_k; // later'
{
    echo 'static void lane_step(void)'
    echo '{'
    for i in $(seq 68); do echo "    /* $i */"; done
    echo '}'
} >"$tmp/lane.c"
plant dataplane/lane.c 'lane_step has 70 lines' <"$tmp/lane.c"
found "$layers" --sources-only

plant dht/zz_l.c 'calls time' <<'C'
#include <time.h>
long zz_l(void);
long zz_l(void)
{
    return (long)time(0);
}
C
plant dht/zz_m.c 'calls malloc' <<'C'
#include <stdlib.h>
void *zz_m(void);
void *zz_m(void)
{
    return malloc(8);
}
C
plant dataplane/link_zz_n.c 'calls crypto_box_keypair' <<'C'
int crypto_box_keypair(unsigned char *pk, unsigned char *sk);
int zz_n(unsigned char *pk, unsigned char *sk);
int zz_n(unsigned char *pk, unsigned char *sk)
{
    return crypto_box_keypair(pk, sk);
}
C
found "$layers"

{
    echo 'int zz_o(void)'
    echo '{'
    for i in $(seq 69); do echo "    /* $i */"; done
    echo '}'
} >"$tmp/long.c"
plant control/zz_o.c 'function of 71 lines' <"$tmp/long.c"
seq 601 | sed 's,.*,/* & */,' >"$tmp/long.c"
plant tests/zz_p.c '601 lines' <"$tmp/long.c"
found "$sizes"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
