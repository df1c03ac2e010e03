/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pair_ring - messages from core 0 to core 1: counting, round trips, raw limits.

   ns_per is per message (counting) or per round trip.  Needs two cores of its own. */
#include <benchmark/benchmark.h>

#include "pair_ring_loops.h"

namespace
{

constexpr uint64_t kBatch = 1 << 18;

void run(benchmark::State &state, pair_loop loop, uint32_t capacity, uint32_t payload)
{
    pair_loops *loops = pair_loops_create(loop, capacity, payload);

    if (loops == nullptr) {
        state.SkipWithError("no memory or thread");
        return;
    }
    pair_loops_run(loops, kBatch / 16);
    for (auto _ : state)
        pair_loops_run(loops, kBatch);
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBatch));
    state.counters["ns_per"] = benchmark::Counter(
        static_cast<double>(kBatch) * 1e-9,
        benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    pair_loops_destroy(loops);
}

void count(benchmark::State &state)
{
    run(state, PAIR_LOOP_COUNT, static_cast<uint32_t>(state.range(0)),
        static_cast<uint32_t>(state.range(1)));
}

void count_nodes(benchmark::State &state)
{
    run(state, PAIR_LOOP_NODES, 1024, 0);
}

void round_trip(benchmark::State &state)
{
    run(state, PAIR_LOOP_TRIP, 1024, static_cast<uint32_t>(state.range(0)));
}

void raw_words_count(benchmark::State &state)
{
    run(state, PAIR_LOOP_WORDS_COUNT, 1024, 0);
}

void raw_words_round_trip(benchmark::State &state)
{
    run(state, PAIR_LOOP_WORDS_TRIP, 1024, 0);
}

void raw_line_round_trip(benchmark::State &state)
{
    run(state, PAIR_LOOP_LINE_TRIP, 1024, 0);
}

} /* namespace */

BENCHMARK(count)
    ->ArgNames({"capacity", "bytes"})
    ->Args({256, 32})
    ->Args({1024, 32})
    ->UseRealTime();
BENCHMARK(count)
    ->ArgNames({"capacity", "bytes"})
    ->Args({4096, 32})
    ->Args({4096, 56})
    ->UseRealTime();
BENCHMARK(count_nodes)->UseRealTime();
BENCHMARK(round_trip)->ArgName("bytes")->Arg(32)->UseRealTime();
BENCHMARK(raw_words_count)->UseRealTime();
BENCHMARK(raw_words_round_trip)->UseRealTime();
BENCHMARK(raw_line_round_trip)->UseRealTime();

BENCHMARK_MAIN();
