#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_cli.sh PROA - the program's verbs against a running node, and what it refuses.
. "$(dirname "$0")/lib.sh"
proa=$1
socket=$TMP/node.sock

# ---- Command line ------------------------------------------------------------------
try "help" bash -c '"$1" help | grep -q "proa node"' - "$proa"
try "version" bash -c '"$1" version | grep -qE "^proa [0-9]+\.[0-9]+\.[0-9]+$"' - "$proa"
refused "no verb" 2 "proa: a verb is missing: see \`help\`" "$proa"
refused "unknown verb" 2 "proa: no verb 'nod': see \`help\`" "$proa" nod
refused "unknown option" 2 "proa: ls: no option '--sock': see \`help\`" "$proa" ls --sock x

# ---- Keys --------------------------------------------------------------------------
key_is_private()
{
    "$proa" keygen "$TMP/key" && [ "$(stat -c %a "$TMP/key")" = 600 ] &&
        grep -qE '^[0-9a-f]{64}$' "$TMP/key"
}
try "keygen: 64 digits, mode 0600" key_is_private
refused "keygen: an existing key stays" 1 "proa: keygen: cluster key $TMP/key: File exists" \
    "$proa" keygen "$TMP/key"
try "keygen: by itself in the state directory" bash -c \
    '[ "$("$1" keygen)" = "$2/proa/cluster.key" ] && [ -f "$2/proa/cluster.key" ]' \
    - "$proa" "$XDG_STATE_HOME"

# ---- Configuration -----------------------------------------------------------------
config() # LINE...
{
    printf '%s\n' "$@" >"$TMP/node.yaml"
}
port='ports: [{spec: "udp:127.0.0.1:0"}]'

refused "no such file" 1 "proa: $TMP/none.yaml: No such file or directory" \
    "$proa" node --config "$TMP/none.yaml"
config "$port" "" "lans: 2"
refused "unknown key" 1 "proa: $TMP/node.yaml:3: unknown key 'lans'" \
    "$proa" node --config "$TMP/node.yaml"
config "$port" "lanes: many"
refused "bad value" 1 "proa: $TMP/node.yaml:2: lanes: 'many' is not a whole number in range" \
    "$proa" node --config "$TMP/node.yaml"
config "$port" "actors:" "  - behaviour: nonsense"
refused "unknown behaviour" 1 \
    "proa: $TMP/node.yaml:3: unknown behaviour 'nonsense'; there are: echo counter" \
    "$proa" node --config "$TMP/node.yaml"
config "$port" "cluster_key_file: none"
refused "missing key" 1 \
    "proa: $TMP/node.yaml:2: cluster key $TMP/none: No such file or directory" \
    "$proa" node --config "$TMP/node.yaml"
config "$port" "socket: $TMP/none/node.sock"
refused "missing folder of the socket" 1 \
    "proa: socket $TMP/none/node.sock: its folder does not exist; make it, or name another" \
    "$proa" node --config "$TMP/node.yaml"
echo "$RANDOM" >"$TMP/file"
config "$port" "socket: $TMP/file"
refused "a file where the socket should be" 1 \
    "proa: socket $TMP/file: is another kind of file; name another path" \
    "$proa" node --config "$TMP/node.yaml"
try "and the file is still there" test -s "$TMP/file"
config 'ports: [{spec: "udp:192.0.2.1:7400"}]'
port_is_named()
{
    ! timeout 30 "$proa" node --config "$TMP/node.yaml" >"$TMP/port.log" 2>&1 &&
        [ "$(wc -l <"$TMP/port.log")" = 1 ] && grep -q '192\.0\.2\.1' "$TMP/port.log"
}
try "a port that cannot start is named" port_is_named

# ---- A running node ----------------------------------------------------------------
config "$port" "socket: $socket" "cluster_key_file: key" "actors:" \
    "  - {behaviour: counter, name: my_actor}" \
    "  - {behaviour: echo, name: \"an echo\\e[2J\"}" \
    "  - {behaviour: echo}"
start "$TMP/node.log" "$proa" node --config "$TMP/node.yaml"
node=$last
if await "$TMP/node.log" '^ready: node [0-9a-f]{16} at 127\.0\.0\.1:[0-9]+, 1 lane, socket' 30; then
    ok "the node says that it is ready"
else
    not_ok "the node says that it is ready" "$TMP/node.log"
fi
says() # NAME PATTERN COMMAND...
{
    local name=$1 pattern=$2
    shift 2
    if timeout 30 "$@" >"$TMP/try.out" 2>&1 && grep -qE -- "$pattern" "$TMP/try.out"; then
        ok "$name"
    else
        not_ok "$name" "$TMP/try.out"
    fi
}
at=(--socket "$socket")
try "the socket is its owner's" test "$(stat -c %a "$socket")" = 600
says "ls: the node" '^node [0-9a-f]{16} at 127\.0\.0\.1:' "$proa" ls "${at[@]}"
says "ls: a name" '^[0-9a-f]{16}/0\.[0-9]+/[0-9a-f]{8} +found +counter +my_actor$' \
    "$proa" ls "${at[@]}"
says "ls: a name that would move the cursor" ' an%20echo%1b%5b2J$| an%20echo%1b\[2J$' \
    "$proa" ls "${at[@]}"
says "lookup" '^[0-9a-f]{16}/0\.[0-9]+/[0-9a-f]{8}$' "$proa" lookup my_actor "${at[@]}"
refused "lookup of nobody" 1 "proa: lookup: not found" "$proa" lookup nobody "${at[@]}"
says "ask" '^0a00000000000000$' "$proa" ask my_actor 1 0a00000000000000 "${at[@]}"
says "ask again" '^0f00000000000000$' "$proa" ask my_actor 1 0500000000000000 "${at[@]}"
says "ask with nothing" '^$' "$proa" ask $'an echo\e[2J' 7 - "${at[@]}"
refused "deny: no port that can" 1 "proa: deny: only an af_xdp port can" \
    "$proa" deny 10.0.0.9 "${at[@]}"
refused "deny: no address" 2 \
    "proa: deny: ADDRESS[/PREFIX] is like 10.0.0.9 or fd00:9::/32, not 'x'" \
    "$proa" deny x "${at[@]}"
says "cluster: alone" \
    '^node [0-9a-f]{16} at 127\.0\.0\.1:[0-9]+: complete, 0 of 0 other nodes linked; publishes 2 names, 0 memberships$' \
    "$proa" cluster "${at[@]}"
says "ls --groups: none" '^ MEMBERS    VERSION  GROUP$' "$proa" ls --groups "${at[@]}"
refused "ls --group: nobody" 1 "proa: ls: no members" "$proa" ls --group nobody "${at[@]}"
refused "link add: no port" 2 \
    "proa: link add: ADDRESS is like 10.0.0.9:7400 or [fd00::9]:7400, not '10.0.0.9'" \
    "$proa" link add 10.0.0.9 "${at[@]}"
refused "ask: too short" 1 "proa: ask: refused: bad length" "$proa" ask my_actor 1 0a "${at[@]}"
refused "ask: unknown type" 1 "proa: ask: refused: unknown type" \
    "$proa" ask my_actor 99 - "${at[@]}"
refused "ask: nobody" 1 "proa: lookup: not found" "$proa" ask nobody 1 - "${at[@]}"
refused "ask: no digits" 2 \
    "proa: ask: HEX is pairs of hexadecimal digits, at most 65536, or -" \
    "$proa" ask my_actor 1 xyz "${at[@]}"

largest_payload()
{
    local hex
    hex=$(head -c 32768 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
    [ "$("$proa" ask $'an echo\e[2J' 7 "$hex" "${at[@]}")" = "$hex" ]
}
try "ask: 32 KiB there and back" largest_payload

many_at_once()
{
    local pids=() pid
    for _ in $(seq 20); do
        timeout 30 "$proa" ask my_actor 1 0100000000000000 "${at[@]}" >/dev/null &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || return 1
    done
    # 15 before, and 20.
    [ "$("$proa" ask my_actor 2 - "${at[@]}")" = 2300000000000000 ]
}
try "twenty asks at once" many_at_once

# Bytes that are no requests, long ones, silence, and callers that vanish.
hostile()
{
    python3 - "$socket" <<'P'
import os, random, socket, sys
random.seed(7)
def call():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])  # waits while the queue is full
    s.settimeout(20)
    return s
for size in (0, 1, 10, 1000, 100000, 300000):
    s = call()
    try:
        s.sendall(os.urandom(size).replace(b"\n", b"x") + b"\n")
        answer = s.recv(4096)
        assert answer.startswith(b"error "), answer
    except (BrokenPipeError, ConnectionResetError):
        pass  # it stopped reading: good
    s.close()
for line in (b"ls ls\n", b"ask 1 a 1 zz\n", b"lookup %00\n", b"\n", b"ask 1 a 4294967296 -\n"):
    s = call()
    s.sendall(line)
    assert s.recv(4096).startswith(b"error "), line
    s.close()
silent = [call() for _ in range(4)]  # all four threads, for two seconds
for _ in range(50):
    s = call()
    s.sendall(b"lookup my_actor\n"[:random.randrange(1, 16)])
    s.close()
s = call()
s.sendall(b"ls\n")
answer = b""
while not answer.endswith(b"\nok\n"):
    got = s.recv(65536)
    assert got, answer
    answer += got
P
}
try "hostile callers get errors, and the next one its answer" hostile
try "and the node lives" alive "$node"

config "$port" "socket: $socket" "cluster_key_file: key"
refused "a second node on the same socket" 1 \
    "proa: socket $socket: another node listens there; name another path" \
    "$proa" node --config "$TMP/node.yaml"
says "and the first one still answers" 'my_actor$' "$proa" ls "${at[@]}"

# ---- Joining it --------------------------------------------------------------------
address=$(sed -n 's/.* at \([0-9.:]*\),.*/\1/p' "$TMP/node.log")
"$proa" keygen "$TMP/other.key" >"$TMP/try.out"
config "$port" "socket: none" "cluster_key_file: other.key" "seeds: [\"$address\"]"
refused "the wrong key: the join ends" 1 \
    "proa: no answer from any seed (wrong cluster key or address?)" \
    "$proa" node --config "$TMP/node.yaml" --deadline 1500
config "$port" "socket: none" "cluster_key_file: key" "seeds: [\"127.0.0.1:9\"]"
refused "the wrong address: the join ends" 1 \
    "proa: no answer from any seed (wrong cluster key or address?)" \
    "$proa" node --config "$TMP/node.yaml" --deadline 1500
config "$port" "socket: none" "cluster_key_file: key" "seeds: [\"$address\"]" \
    "actors: [{behaviour: echo, name: my_actor}]"
refused "a name that is taken" 1 "proa: line 5: actor echo my_actor: already registered" \
    "$proa" node --config "$TMP/node.yaml"
config "$port" "socket: $TMP/second.sock" "cluster_key_file: key" "seeds: [\"$address\"]" \
    "state_dir: $TMP/second"
start "$TMP/second.log" "$proa" node --config "$TMP/node.yaml"
second=$last
await "$TMP/second.log" '^ready' 30 || not_ok "a second node joins" "$TMP/second.log"
says "ask from another node" '^2300000000000000$' \
    "$proa" ask my_actor 2 - --socket "$TMP/second.sock"
config "$port" "socket: none" "state_dir: $TMP/second"
refused "a state directory that a node has" 1 \
    "proa: state directory $TMP/second belongs to a running node; stop it, or give this one another state_dir" \
    "$proa" node --config "$TMP/node.yaml"
kill -TERM "$second"
if ends "$second" 8 && [ "$status" = 0 ]; then
    ok "the second node leaves: exit 0"
else
    not_ok "the second node leaves: exit 0 (status ${status:-none})" "$TMP/second.log"
fi
config "$port" "socket: $socket" "cluster_key_file: key"

says "lanes: load and packets of each" '^ *0 +[0-9]+ +[0-9.]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9]+ +0$' \
    "$proa" lanes "${at[@]}"
says "lanes: the state of each port" '^port 0, udp: ' "$proa" lanes "${at[@]}"

# ---- Its end -----------------------------------------------------------------------
kill -TERM "$node"
if ends "$node" 8 && [ "$status" = 0 ]; then
    ok "TERM: exit 0"
else
    not_ok "TERM: exit 0 (status ${status:-none})" "$TMP/node.log"
fi
try "its socket is gone" test ! -e "$socket"
refused "nobody answers" 3 \
    "proa: $socket: no node listens there; start one, or name its --socket" \
    "$proa" ls "${at[@]}"
refused "nobody answers to link either" 3 \
    "proa: $socket: no node listens there; start one, or name its --socket" \
    "$proa" link add 127.0.0.1:7400 "${at[@]}"

start "$TMP/node.log" "$proa" node --config "$TMP/node.yaml"
await "$TMP/node.log" '^ready' 30
kill -KILL "$last"
ends "$last" 8
start "$TMP/again.log" "$proa" node --config "$TMP/node.yaml"
if await "$TMP/again.log" '^ready' 30; then
    ok "the socket that a killed node left is replaced"
else
    not_ok "the socket that a killed node left is replaced" "$TMP/again.log"
fi
kill -INT "$last"
if ends "$last" 60 && [ "$status" = 0 ]; then
    ok "INT: exit 0"
else
    not_ok "INT: exit 0 (status ${status:-none})" "$TMP/again.log"
fi
