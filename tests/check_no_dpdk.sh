#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_no_dpdk.sh LIBRARY - the test kit must load where there is no DPDK.
set -eu
lib=$1
status=0
if readelf -d "$lib" | grep -E 'NEEDED.*librte_'; then
    echo "not ok - $lib links DPDK"
    status=1
else
    echo "ok - $lib links no DPDK library"
fi
if nm -D --undefined-only "$lib" | grep -E ' (rte_|__rte_|per_lcore_)'; then
    echo "not ok - $lib wants DPDK symbols"
    status=1
else
    echo "ok - $lib wants no DPDK symbol"
fi
exit $status
