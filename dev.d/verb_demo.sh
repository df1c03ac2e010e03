# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# two nodes as two processes, talking over DPDK; or `demo balancer` (arguments go to `proa demo`)
need_packages "$packages_build"
huge_pages
configure_release
compile release control/proa
# exec, so that Ctrl-C and kill reach the program and its exit status is ours.
cd "$CALLED_FROM"
exec "$BUILD/release/control/proa" demo "$@"
