#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# erlang_local.sh [--seconds N] - Erlang's processes of one node; one JSON object a line.  Needs Debian's
# erlang-base.
set -euo pipefail
# shellcheck source=peers.sh
. "$(dirname "$0")/peers.sh"
peers_seconds "$@"
peers_erlang_there peer_erlang_local

status=0
one()
{
    local placement=$1 cores=$2 flags=$3
    # shellcheck disable=SC2086
    PEER_FLAGS=$flags setpriv --pdeathsig KILL taskset -c "$cores" erl $flags -noinput -pa "$PROA_PEERS" \
        -run peer_erlang_local main "$seconds" "$placement" || status=1
}
one "two cores" 0,1 "+S 2:2 +SDcpu 1:1 +sbt ts +sbwt very_long +swt very_low +P 1000000"
one "same core" 0 "+S 1:1 +SDcpu 1:1 +sbwt none +P 1000000"
exit "$status"
