#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# caf.sh [--seconds N] - runs peer_caf: one JSON object a line.
set -euo pipefail
# shellcheck source=peers.sh
. "$(dirname "$0")/peers.sh"
peers_exec peer_caf "libcaf-dev" "$@"
