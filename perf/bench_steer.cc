/* SPDX-License-Identifier: Apache-2.0 */
/* bench_steer - what our XDP program costs a packet, by sort of packet; beside it `nothing`, a run
   of a program that passes everything.  Needs root. */
#include <benchmark/benchmark.h>

#include "steer_loops.h"

namespace
{

constexpr uint32_t kBatch = 100000;

void run(benchmark::State &state, steer_loop loop)
{
    steer_loops *loops = steer_loops_create(loop);

    if (loops == nullptr) {
        state.SkipWithError("no XDP here: needs root and BPF");
        return;
    }
    /* The first burst of a source is within its rate. */
    steer_loops_run(loops, kBatch);
    for (auto _ : state) {
        if (!steer_loops_run(loops, kBatch)) {
            state.SkipWithError("a run ended otherwise than it should");
            break;
        }
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBatch));
    state.counters["ns_per"] =
        benchmark::Counter(static_cast<double>(state.iterations() * kBatch) * 1e-9,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    steer_loops_destroy(loops);
}

} // namespace

BENCHMARK_CAPTURE(run, nothing, STEER_LOOP_NOTHING);
BENCHMARK_CAPTURE(run, arp, STEER_LOOP_ARP);
BENCHMARK_CAPTURE(run, tcp, STEER_LOOP_TCP);
BENCHMARK_CAPTURE(run, foreign_udp, STEER_LOOP_FOREIGN);
BENCHMARK_CAPTURE(run, ours_ipv4, STEER_LOOP_OURS_V4);
BENCHMARK_CAPTURE(run, ours_ipv6, STEER_LOOP_OURS_V6);
BENCHMARK_CAPTURE(run, ours_64_denied, STEER_LOOP_OURS_DENYING);
BENCHMARK_CAPTURE(run, ours_with_rate, STEER_LOOP_OURS_RATE);
BENCHMARK_CAPTURE(run, denied, STEER_LOOP_DENIED);
BENCHMARK_CAPTURE(run, over_rate, STEER_LOOP_OVER_RATE);

BENCHMARK_MAIN();
