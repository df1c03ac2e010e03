#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_demo.sh PROA - the demo: what it prints, and that nothing stays behind however it ends.
. "$(dirname "$0")/lib.sh"
proa=$1

pages_before=$(huge_pages_free)

# ---- To its end --------------------------------------------------------------------
says_all() # FILE
{
    local file=$1 pattern
    for pattern in '^  A  node [0-9a-f]{16} at 10\.74\.0\.1:7400' \
        '^  B  node .*knows one address: 10\.74\.0\.1:7400' \
        '^  A  spawned a counter, registered as my_actor' \
        '^  B  found my_actor through Kademlia' \
        '^Incremented count: 10$' '^Actor not found$' \
        '^  B  has late_actor by push, [0-9]+ us' \
        '^    1 s +[0-9.]+ M messages/s +RTT p50' '^    2 s' \
        '^  messages of 32 B .* M/s .* M/s .* x$' '^  round trip, p50 .* us .* us .* x$' \
        'each checked: once, in order, undamaged'; do
        grep -qE "$pattern" "$file" || { echo "it does not say: $pattern"; return 1; }
    done
    ! grep -q '^    3 s' "$file" || { echo "it went on after 2 s"; return 1; }
}

whole_demo() # NAME COMMAND...
{
    local name=$1
    shift
    start "$TMP/demo.log" setsid "$@" --seconds 2
    if ends "$last" 90 && [ "$status" = 0 ]; then
        ok "$name: exit 0"
    else
        not_ok "$name: exit 0 (status ${status:-none})" "$TMP/demo.log"
    fi
    try "$name: says what happened" says_all "$TMP/demo.log"
    try "$name: leaves nothing behind" left_clean "$last"
}

whole_demo "demo" "$proa" demo

open_copy "$proa"
chmod 777 "$TMPDIR"
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
whole_demo "ordinary user, ordinary pages" "${as[@]}" env -u XDG_STATE_HOME \
    HOME=/nonexistent "$TMP/open/proa" demo --pages none

# ---- Ended early -------------------------------------------------------------------
interrupted INT 130 '^proa demo' "$proa" demo --seconds 30
interrupted INT 130 'node .* at' "$proa" demo --seconds 30
interrupted TERM 143 'B  waits for' "$proa" demo --seconds 30
interrupted INT 130 '^    1 s' "$proa" demo --seconds 30
interrupted TERM 143 '^    2 s' "$proa" demo --seconds 30

# ---- A node dies -------------------------------------------------------------------
node_dies() # a|b PATTERN
{
    local name="kill -9 of node $1 at '$2'" child

    start "$TMP/demo.log" setsid "$proa" demo --seconds 30
    await "$TMP/demo.log" "$2" 40 || not_ok "$name: the moment comes" "$TMP/demo.log"
    child=$(child_of "$last" "$1")
    kill -KILL "$child"
    if ends "$last" 60 && [ "$status" = 1 ] &&
        grep -q "node ${1^^}: died unexpectedly (signal 9)" "$TMP/demo.log"; then
        ok "$name: says so, exit 1"
    else
        not_ok "$name: says so, exit 1 (status ${status:-none})" "$TMP/demo.log"
    fi
    try "$name: leaves nothing behind" left_clean "$last"
}

node_dies a '^    1 s'
node_dies b '^    1 s'
node_dies b 'node .* at'

# ---- The parent dies ---------------------------------------------------------------
start "$TMP/demo.log" setsid "$proa" demo --seconds 30
await "$TMP/demo.log" '^    1 s' 40
kill -KILL "$last"
try "kill -9 of the parent: the nodes end and leave nothing behind" left_clean "$last"

# ---- It cannot start ---------------------------------------------------------------
refused "no temporary folder" 1 \
    "proa demo: no folder in $TMP/none: No such file or directory; set TMPDIR to one this user can write" \
    env TMPDIR="$TMP/none" "$proa" demo
refused "bad option" 2 "proa: demo: --seconds is 1..3600 seconds, not 'x'" \
    "$proa" demo --seconds x
