/* SPDX-License-Identifier: Apache-2.0 */
/* bench_route - picking a member of a group, the hashing of its 32-byte name included.

   ns is per pick.  To be held against: `lookup`, a name of a thousand, and `hash`, its name alone.
   join is one member leaving and joining again, publish a new view of all after one change. */
#include <benchmark/benchmark.h>

#include "route_loops.h"

namespace
{

constexpr uint64_t kPicks = 1 << 14;

enum { kRandom, kRoundRobin, kLeastLoaded, kHash, kPreferLocal, kIdleFirst };

/* Made once per size. */
route_loops *loops_of(int64_t members)
{
    static route_loops *small, *middle, *large;
    route_loops *&loops = members <= 10 ? small : members <= 1000 ? middle : large;

    if (loops == nullptr)
        loops = route_loops_create(static_cast<uint32_t>(members));
    return loops;
}

template <typename Loop> void run(benchmark::State &state, uint64_t n, Loop loop)
{
    route_loops *loops = loops_of(state.range(0));

    if (loops == nullptr) {
        state.SkipWithError("no memory");
        return;
    }
    loop(loops, n);
    for (auto _ : state)
        loop(loops, n);
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(n));
    state.counters["ns"] = benchmark::Counter(
        static_cast<double>(n) * 1e-9,
        benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void pick(benchmark::State &state, int policy, bool dependent)
{
    run(state, kPicks, [=](route_loops *loops, uint64_t n) {
        route_loops_pick(loops, policy, dependent, n);
    });
}

void lookup(benchmark::State &state)
{
    run(state, kPicks, route_loops_lookup);
}

void hash(benchmark::State &state)
{
    run(state, kPicks, route_loops_hash);
}

void join(benchmark::State &state)
{
    run(state, 1024, route_loops_join);
}

void publish(benchmark::State &state)
{
    run(state, 2, route_loops_publish);
}

} /* namespace */

#define SIZES ArgName("members")->Arg(10)->Arg(1000)->Arg(64000)

BENCHMARK(hash)->ArgName("members")->Arg(1000);
BENCHMARK(lookup)->ArgName("members")->Arg(1000);
BENCHMARK_CAPTURE(pick, least_loaded, kLeastLoaded, false)->SIZES;
BENCHMARK_CAPTURE(pick, least_loaded_dependent, kLeastLoaded, true)->SIZES;
BENCHMARK_CAPTURE(pick, random, kRandom, false)->SIZES;
BENCHMARK_CAPTURE(pick, round_robin, kRoundRobin, false)->SIZES;
BENCHMARK_CAPTURE(pick, prefer_local, kPreferLocal, false)->SIZES;
BENCHMARK_CAPTURE(pick, idle_first, kIdleFirst, false)->SIZES;
BENCHMARK_CAPTURE(pick, by_hash, kHash, false)->SIZES;
BENCHMARK(join)->SIZES;
BENCHMARK(publish)->SIZES;

BENCHMARK_MAIN();
