#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# erlang.sh [--seconds N] - two Erlang nodes, with an epmd of their own on the loopback; one JSON object a
# line.  Needs Debian's erlang-base.
set -euo pipefail
# shellcheck source=peers.sh
. "$(dirname "$0")/peers.sh"
peers_seconds "$@"
peers_erlang peer_erlang

# +S: a scheduler a core.  +sbwt: how long it spins before it sleeps.
spinning="+S 1:1 +SDcpu 1:1 +sbwt very_long +swt very_low"
blocking="+S 1:1 +SDcpu 1:1 +sbwt none"
status=0
one()
{
    local placement=$1 wait=$2 flags=$3
    # shellcheck disable=SC2086
    PEER_FLAGS=$flags peers_erl $flags -name proa_peer_a@127.0.0.1 -kernel inet_dist_use_interface '{127,0,0,1}' \
        -run peer_erlang main "$seconds" "$placement" "$wait" || status=1
}
one "two cores" spinning "$spinning"
one "two cores" blocking "$blocking"
one "same core" blocking "$blocking"
exit "$status"
