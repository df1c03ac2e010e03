# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# short benchmarks: the micro-benchmarks, proa-perf with the raw limit beside it, proa-savina, Erlang's pg
# Arguments go to proa-perf instead of the standard set: ./dev bench --port udp --mode ask
need_packages "$packages_build" "$([ $# -gt 0 ] || echo "$packages_bench")"
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
# One JSON object each.  A failed check does not end the rest, but is this verb's status.
status=0
bench()
{
    echo "== proa-perf $*"
    "$perf" --quiet --seconds 3 --with-raw "$@" || status=1
}
for mode in local-count local-pingpong cross-count cross-pingpong; do
    bench --mode "$mode"
done
for port in vhost udp ring; do
    bench --port "$port" --mode tell
    bench --port "$port" --mode ask --window 1
    bench --port "$port" --mode ask --window 64
done
for name in ping-pong counting thread-ring fork-join-throughput fork-join-create big chameneos; do
    for lanes in 1 2; do
        echo "== proa-savina $name --lanes $lanes"
        "$BUILD/release/perf/savina/proa-savina" "$name" --lanes "$lanes" || status=1
    done
done
echo "== proa-register"
"$BUILD/release/perf/proa-register" --pg "$ROOT/perf/peers/pg_join.sh" --check || status=1
exit "$status"
