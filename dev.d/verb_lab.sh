# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# [NODES]: nodes in network namespaces on AF_XDP: asked, killed, cut off, losing packets (default 3)
# Needs root.  Prints `ok` and `not ok` lines, and leaves nothing behind.
need_packages "$packages_build iproute2"
[ "$(id -u)" = 0 ] || die "lab: network namespaces and XDP programs need root"
nodes=${1:-3}
[[ $nodes =~ ^[0-9]+$ ]] && [ "$nodes" -ge 2 ] && [ "$nodes" -le 64 ] ||
    die "lab: '$nodes' is no number of nodes from 2 to 64"
huge_pages
configure_release
compile release
exec "$ROOT/tests/e2e/test_lab.py" "$BUILD/release/control/proa" \
    "$BUILD/release/tests/e2e/loss.bpf.o" "$nodes"
