# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# peers.sh - sourced by the others here.  The programs come from $PROA_PEERS, by default where
# `./dev build` puts them.

PROA_PEERS=${PROA_PEERS:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/release/perf/peers}

# It cannot run here: something is not installed.
peers_give_up()
{
    echo "$(basename "$0"): $*" >&2
    exit 77
}

# Sets seconds.
peers_seconds()
{
    seconds=1
    if [ $# = 2 ] && [ "$1" = --seconds ] && [[ $2 =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
        seconds=$2
    elif [ $# != 0 ]; then
        echo "usage: $(basename "$0") [--seconds N]" >&2
        exit 2
    fi
}

# Becomes the program.
peers_exec() # PROGRAM PACKAGES ARGUMENT...
{
    local program=$PROA_PEERS/$1 packages=$2
    shift 2
    [ -x "$program" ] || peers_give_up "$program is not there: install $packages and run ./dev build"
    exec "$program" "$@"
}

# ---- Erlang ----

peers_erlang_there() # MODULE
{
    command -v erl >/dev/null || peers_give_up "there is no erl: install erlang-base"
    [ -f "$PROA_PEERS/$1.beam" ] ||
        peers_give_up "$PROA_PEERS/$1.beam is not there: install erlang-base and run ./dev build"
}

# A folder for the cookie, which another process removes when this one has ended in whatever way; an
# epmd on a free port, which ends with this process.
peers_erlang() # MODULE
{
    local port tries
    peers_erlang_there "$1"
    HOME=$(mktemp -d)
    exec 9> >(exec >/dev/null 2>&1 && cd / && exec setsid bash -c 'cat; rm -rf "$1"' - "$HOME")
    export HOME ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP_BYTES=0
    cd "$HOME"
    for tries in {1..20}; do
        port=$((20000 + RANDOM % 12000))
        export ERL_EPMD_PORT=$port
        setpriv --pdeathsig KILL epmd >/dev/null 2>&1 9>&- &
        peers_epmd=$!
        peers_epmd_is_up && break
        [ "$tries" != 20 ] || peers_give_up "epmd finds no free port between 20000 and 32000"
    done
    trap 'kill "$peers_epmd" $(jobs -p) 2>/dev/null || true' EXIT
}

# Ours, not one that was there.
peers_epmd_is_up()
{
    while kill -0 "$peers_epmd" 2>/dev/null; do
        ! epmd -names >/dev/null 2>&1 || return 0
        sleep 0.02
    done
    return 1
}

# Runs erl on core 0; it ends with this process.
peers_erl()
{
    setpriv --pdeathsig KILL taskset -c 0 erl -noinput -start_epmd false -pa "$PROA_PEERS" "$@" 9>&- &
    wait $!
}
