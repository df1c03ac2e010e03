# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# clusters treated badly: --minutes N [--seed S] [--only udp|vhost|ring] (default 60 minutes)
# Processes over udp and vhost and nodes over ring, with faults, kills, stops, restarts and partitions,
# held against what proa promises (tests/soak/soak_books.h).  A line a minute, counters and a verdict at
# the end; a failure says how to run it again.
need_packages "$packages_build"
huge_pages
configure_release
compile release tests/soak/soak
[ $# -gt 0 ] || set -- --minutes 60
exec "$BUILD/release/tests/soak/soak" "$@"
