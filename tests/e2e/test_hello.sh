#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_hello.sh HELLO - the README's program in two terminals, with no file to write first.
. "$(dirname "$0")/lib.sh"
hello=$1

start "$TMP/serve.log" "$hello" serve
serve=$last
asks()
{
    [ "$(timeout 60 "$hello" ask)" = "hello, world" ]
}
try "hello ask" asks
try "hello ask, again" asks
try "the key was made, and is its owner's" \
    test "$(stat -c %a "$XDG_STATE_HOME/proa/cluster.key")" = 600
kill -INT "$serve"
if ends "$serve" 8 && [ "$status" = 0 ]; then
    ok "Ctrl-C ends hello serve: exit 0"
else
    not_ok "Ctrl-C ends hello serve: exit 0 (status ${status:-none})" "$TMP/serve.log"
fi

# The asker comes first and waits: the answer comes by push.
start "$TMP/ask.log" "$hello" ask
sleep 1
start "$TMP/serve.log" "$hello" serve
serve=$last
ask=${started[-2]}
if ends "$ask" 60 && [ "$(cat "$TMP/ask.log")" = "hello, world" ]; then
    ok "hello ask before hello serve"
else
    not_ok "hello ask before hello serve" "$TMP/ask.log"
fi
kill -TERM "$serve"
ends "$serve" 8
