#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# zeromq.sh [--seconds N] - runs peer_zeromq: one JSON object a line.
set -euo pipefail
# shellcheck source=peers.sh
. "$(dirname "$0")/peers.sh"
peers_exec peer_zeromq "libzmq3-dev" "$@"
