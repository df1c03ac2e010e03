/* SPDX-License-Identifier: Apache-2.0 */
/* bench_link - two links in one thread over plain memory: what a message costs each side.

   ns_per is for both sides together, with the copy from packet to packet that stands for the
   port; send, flush and input say where it goes.  copy_bare is the limit: the same bytes copied
   and read without any protocol. */
#include <benchmark/benchmark.h>

#include "link_loops.h"

namespace
{

void run(benchmark::State &state, link_loop loop, uint64_t batch)
{
    link_loops *loops = link_loops_create(loop);
    link_loops_times times, total = {0, 0, 0};
    uint64_t messages = 0;

    if (loops == nullptr) {
        state.SkipWithError("no memory");
        return;
    }
    link_loops_run(loops, batch / 4, &times);
    for (auto _ : state) {
        messages += link_loops_run(loops, batch, &times);
        total.send += times.send;
        total.flush += times.flush;
        total.input += times.input;
    }
    state.SetItemsProcessed(static_cast<int64_t>(messages));
    const double n = messages > 0 ? static_cast<double>(messages) : 1;
    state.counters["send"] = static_cast<double>(total.send) / n;
    state.counters["flush"] = static_cast<double>(total.flush) / n;
    state.counters["input"] = static_cast<double>(total.input) / n;
    state.counters["ns_per"] =
        static_cast<double>(total.send + total.flush + total.input) / n;
    link_loops_destroy(loops);
}

void tell(benchmark::State &state)
{
    run(state, LINK_LOOP_TELL, 800 * 100);
}

void tell_same(benchmark::State &state)
{
    run(state, LINK_LOOP_SAME, 800 * 100);
}

void ask(benchmark::State &state)
{
    run(state, LINK_LOOP_ASK, 800 * 100);
}

void one_per_packet(benchmark::State &state)
{
    run(state, LINK_LOOP_ONE, 32 * 1000);
}

void bulk_64k(benchmark::State &state)
{
    run(state, LINK_LOOP_BULK, 400);
}

void copy_bare(benchmark::State &state)
{
    run(state, LINK_LOOP_COPY, 800 * 100);
}

void clock(benchmark::State &state)
{
    for (auto _ : state)
        benchmark::DoNotOptimize(link_loops_clock(1000));
    state.SetItemsProcessed(state.iterations() * 1000);
}

void clock_gettime(benchmark::State &state)
{
    for (auto _ : state)
        benchmark::DoNotOptimize(link_loops_clock_gettime(1000));
    state.SetItemsProcessed(state.iterations() * 1000);
}

BENCHMARK(copy_bare);
BENCHMARK(tell);
BENCHMARK(tell_same);
BENCHMARK(ask);
BENCHMARK(one_per_packet);
BENCHMARK(bulk_64k);
BENCHMARK(clock);
BENCHMARK(clock_gettime);

} /* namespace */

BENCHMARK_MAIN();
