#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nng.sh [--seconds N] - runs peer_nng: one JSON object a line.
set -euo pipefail
# shellcheck source=peers.sh
. "$(dirname "$0")/peers.sh"
peers_exec peer_nng "libnng-dev" "$@"
