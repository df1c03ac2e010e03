#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_demo_balancer.sh PROA - `demo balancer`: what it prints, and that nothing stays behind.
. "$(dirname "$0")/lib.sh"
proa=$1
pages_before=$(huge_pages_free)

says_all()
{
    local pattern
    for pattern in '^  1  node [0-9a-f]{16} at 127\.0\.0\.1:[0-9]+, 3 workers$' \
        "^  2  node .*, 3 workers; knows one address: node 1's$" \
        '^  2  sees 6 workers, [0-9.]+ ms after its process was started$' \
        '^30 messages to the balancer of node 2$' \
        '^  [4-6] workers answered 30 messages, [0-9]+ of them local; [0-9.]+ ms from .* \(the article: 6,031 ms\)$' \
        "^  3  node .*, 3 workers; knows one address: node 2's$" \
        '^  3  sees 9 workers' '^  9 workers answered 30 messages' \
        '^kill -9 of node 1$' '^  2  sees 6 workers, [0-9.]+ ms after the kill$' \
        '^  3  sees 6 workers, [0-9.]+ ms after the kill$' \
        '^  6 workers answered 30 messages' '^all promises were kept$'; do
        grep -qE "$pattern" "$1" || { echo "it does not say: $pattern"; cat "$1"; return 1; }
    done
}

whole() # NAME COMMAND...
{
    local name=$1
    shift
    start "$TMP/demo.log" setsid "$@"
    if ends "$last" 90 && [ "$status" = 0 ]; then
        ok "$name: exit 0"
    else
        not_ok "$name: exit 0 (status ${status:-none})" "$TMP/demo.log"
    fi
    try "$name: says what happened" says_all "$TMP/demo.log"
    try "$name: leaves nothing behind" left_clean "$last"
}

whole "demo balancer" "$proa" demo balancer
open_copy "$proa"
chmod 777 "$TMPDIR"
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
whole "ordinary user, ordinary pages" "${as[@]}" env -u XDG_STATE_HOME \
    HOME=/nonexistent "$TMP/open/proa" demo balancer --pages none

interrupted INT 130 '^proa demo' "$proa" demo balancer
interrupted TERM 143 '^  2  node' "$proa" demo balancer
interrupted INT 130 '^kill -9' "$proa" demo balancer

start "$TMP/demo.log" setsid "$proa" demo balancer
await "$TMP/demo.log" '^  2  node' 40
kill -KILL "$(child_of "$last" 2)"
if ends "$last" 60 && [ "$status" = 1 ] &&
    grep -q 'node 2: died unexpectedly (signal 9)' "$TMP/demo.log"; then
    ok "kill -9 of node 2: says so, exit 1"
else
    not_ok "kill -9 of node 2: says so, exit 1 (status ${status:-none})" "$TMP/demo.log"
fi
try "kill -9 of node 2: leaves nothing behind" left_clean "$last"

start "$TMP/demo.log" setsid "$proa" demo balancer
await "$TMP/demo.log" '^  2  node' 40
kill -KILL "$last"
try "kill -9 of the parent: the nodes end and leave nothing behind" left_clean "$last"

refused "an unknown demo" 2 "proa: demo: no demo 'x': see \`help\`" "$proa" demo x
