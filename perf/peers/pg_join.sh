#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pg_join.sh SAMPLES - runs pg_join.erl with an epmd of its own on the loopback; nothing of it stays.
# Needs Debian's erlang-base.
set -euo pipefail
command -v erlc >/dev/null || { echo "pg_join.sh: there is no erlc: install erlang-base" >&2 && exit 77; }

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
epmd_pid=
finish()
{
    [ -z "$epmd_pid" ] || kill "$epmd_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

export HOME=$work # for the cookie, which is made there
export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$((20000 + $$ % 20000)) ERL_CRASH_DUMP_BYTES=0
cd "$work"
erlc "$here/pg_join.erl"
epmd >/dev/null 2>&1 &
epmd_pid=$!
erl -noinput -start_epmd false -name "proa_pg_joiner@127.0.0.1" -kernel inet_dist_use_interface '{127,0,0,1}' \
    -run pg_join main "${1:-2000}"
