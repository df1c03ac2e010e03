#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_pressure.sh PROGRAM - under each kind of pressure every message is accounted for, and memory bounded.
# Of the speed it says nothing.
set -uo pipefail

status=0
for kind in actor lane node dead datagrams; do
    if said=$("$1" --only "$kind" --seconds 1 2>&1); then
        echo "ok - $kind"
    else
        printf '%s\n' "$said"
        echo "not ok - $kind"
        status=1
    fi
done
exit $status
