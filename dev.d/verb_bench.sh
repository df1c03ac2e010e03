# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# short benchmarks: the micro-benchmarks, then proa-perf with the raw limit beside it
# Arguments go to proa-perf instead of the standard set: ./dev bench --port udp --mode ask
need_packages "$packages_build"
huge_pages
configure_release
compile release
perf=$BUILD/release/perf/proa-perf

if [ $# -gt 0 ]; then
    cd "$CALLED_FROM"
    exec "$perf" "$@"
fi
for program in "$BUILD"/release/perf/bench_*; do
    [ -x "$program" ] && [ -f "$program" ] || continue
    echo "== $(basename "$program")"
    "$program" --benchmark_min_time=0.3
done
for port in vhost udp ring; do
    for mode in tell ask; do
        echo "== proa-perf --port $port --mode $mode"
        "$perf" --port "$port" --mode "$mode" --size 32 --seconds 3 --with-raw
    done
done
