/* SPDX-License-Identifier: Apache-2.0 */
/* bench_cross - actors of two lanes: counting and round trips, with all that two schedulers do.

   ns_per is per message (count) or per round trip.  in_turns: both lanes on one core, one loop after the
   other, so that no cache line moves between cores: what is more without it is what the lines cost.
   Needs two cores of its own. */
#include <benchmark/benchmark.h>

#include "cross_loops.h"

namespace
{

constexpr uint64_t kBatch = 1 << 18;

void run(benchmark::State &state, uint32_t payload, bool in_turns,
         void (*loop)(cross_loops *, uint64_t))
{
    cross_loops *loops = cross_loops_create(payload, in_turns);

    if (loops == nullptr) {
        state.SkipWithError("no memory or thread");
        return;
    }
    loop(loops, kBatch / 16);
    for (auto _ : state)
        loop(loops, kBatch);
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBatch));
    state.counters["ns_per"] = benchmark::Counter(
        static_cast<double>(kBatch) * 1e-9,
        benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    cross_loops_destroy(loops);
}

void count(benchmark::State &state)
{
    run(state, static_cast<uint32_t>(state.range(0)), false, cross_loops_count);
}

void count_in_turns(benchmark::State &state)
{
    run(state, static_cast<uint32_t>(state.range(0)), true, cross_loops_count);
}

void round_trip(benchmark::State &state)
{
    run(state, 8, false, cross_loops_round_trips);
}

BENCHMARK(count)->ArgName("bytes")->Arg(32)->Arg(56)->UseRealTime();
BENCHMARK(count_in_turns)->ArgName("bytes")->Arg(32)->Arg(56)->UseRealTime();
BENCHMARK(round_trip)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
