#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_balancer.sh BALANCER - examples/balancer.c: three processes of three workers each, each of which
# knows one neighbour at the most; requests are answered by workers of all.
. "$(dirname "$0")/lib.sh"
balancer=$1

# Waits until the log has the line of the sum, and checks it.
answered() # NAME LOG SUM
{
    local i
    for ((i = 0; i < 600; i++)); do
        grep -q ' answers from ' "$2" && break
        sleep 0.1
    done
    if grep -q "^$3" "$2"; then
        ok "$1: $(grep ' answers from ' "$2")"
    else
        not_ok "$1" "$2"
    fi
}

start "$TMP/one.log" "$balancer" 127.0.0.1:7431 --balance 30
answered "one node" "$TMP/one.log" "30 answers from 3 workers (3 local, 0 remote) of 3 in "
start "$TMP/two.log" "$balancer" 127.0.0.1:7432 127.0.0.1:7431 --balance 30
answered "a second one, which knows the first" "$TMP/two.log" \
    "30 answers from 6 workers (3 local, 3 remote) of 6 in "
start "$TMP/three.log" "$balancer" 127.0.0.1:7433 127.0.0.1:7432 --balance 30
answered "a third one, which knows the second" "$TMP/three.log" \
    "30 answers from 9 workers (3 local, 6 remote) of 9 in "
start "$TMP/four.log" "$balancer" 127.0.0.1:7434 127.0.0.1:7433 --workers 0 --balance 90
answered "one without workers" "$TMP/four.log" \
    "90 answers from 9 workers (0 local, 9 remote) of 9 in "
for pid in "${started[@]}"; do
    kill -INT "$pid"
done
for pid in "${started[@]}"; do
    if ends "$pid" 8 && [ "$status" = 0 ]; then
        ok "Ctrl-C ends it: exit 0"
    else
        not_ok "Ctrl-C ends it: exit 0 (status ${status:-none})"
    fi
done
refused "a word that is none" 2 \
    "usage: balancer ADDRESS:PORT [NEIGHBOUR:PORT] [--workers N] [--balance N, at most 1000]" \
    "$balancer" --frobnicate
