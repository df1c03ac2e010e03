#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_counter.sh COUNTER - examples/counter.c in two processes: found, not found, waited for.
. "$(dirname "$0")/lib.sh"
counter=$1

says() # WHAT COMMAND...: exactly this line, whatever the status
{
    [ "$(timeout 60 "${@:2}")" = "$1" ]
}

# Who waits comes first: the answer comes by push.
start "$TMP/wait.log" "$counter" wait
wait=$last
start "$TMP/serve.log" "$counter" serve
serve=$last
if ends "$wait" 60 && [ "$(cat "$TMP/wait.log")" = "Incremented count: 10" ]; then
    ok "counter wait before counter serve"
else
    not_ok "counter wait before counter serve" "$TMP/wait.log"
fi
try "counter ask" says "Incremented count: 20" "$counter" ask
try "nobody has registered it" says "Actor not found" "$counter" ask nobody
try "another process, the same actor" says "Incremented count: 30" "$counter" ask
kill -INT "$serve"
if ends "$serve" 8 && [ "$status" = 0 ]; then
    ok "Ctrl-C ends counter serve: exit 0"
else
    not_ok "Ctrl-C ends counter serve: exit 0 (status ${status:-none})" "$TMP/serve.log"
fi
refused "counter ask, and nobody there" 1 \
    "counter: no answer from any seed (wrong cluster key or address?)" "$counter" ask
refused "a word that is none" 2 "usage: counter serve|ask|wait [NAME]" "$counter" count
