/* SPDX-License-Identifier: Apache-2.0 */
/* bench_life.cc - failing and being restarted, watching and being told, on one lane.

   1,000 supervisors of 1,000 children where it says a million. */
#include <benchmark/benchmark.h>

#include "life_loops.h"

namespace
{

void restart(benchmark::State &state)
{
    struct life_loops *t = life_loops_create(1, (uint32_t)state.range(0));
    const uint64_t n = 100000;
    uint64_t ns = 0;

    for (auto _ : state)
        ns += life_loops_restart(t, n);
    state.counters["ns_per_restart"] =
        (double)ns / ((double)n * (double)state.iterations());
    life_loops_destroy(t);
}

/* A million supervised actors under traffic, without failures and with one in 2,000 messages:
   at 20 M messages a second that is 1 % of the actors each second. */
void traffic(benchmark::State &state)
{
    struct life_loops *t = life_loops_create(1000, 1000);
    const uint64_t n = 2000000;
    uint64_t quiet = 0, failing = 0;

    life_loops_traffic(t, n, 0);
    for (auto _ : state) {
        quiet += life_loops_traffic(t, n, 0);
        failing += life_loops_traffic(t, n, 2000);
    }
    double each = (double)n * (double)state.iterations();
    state.counters["quiet_ns"] = (double)quiet / each;
    state.counters["failing_ns"] = (double)failing / each;
    state.counters["slower_percent"] = 100.0 * ((double)failing / (double)quiet - 1);
    life_loops_destroy(t);
}

void monitors(benchmark::State &state)
{
    struct life_loops *t = life_loops_create(100, 1000);
    uint32_t n = (uint32_t)state.range(0);
    struct life_monitors m = {0, 0, 0};
    double make = 0, lost = 0;

    for (auto _ : state) {
        m = life_loops_monitors(t, n);
        make += (double)m.make_ns;
        lost += (double)m.lost_ns;
    }
    state.counters["bytes"] = (double)m.bytes;
    state.counters["make_ns"] = make / ((double)n * (double)state.iterations());
    state.counters["node_lost_ms"] = lost / 1e6 / (double)state.iterations();
    life_loops_destroy(t);
}

BENCHMARK(restart)->ArgName("children")->Arg(1)->Arg(1000);
BENCHMARK(traffic)->Iterations(5);
BENCHMARK(monitors)->ArgName("monitors")->Arg(100000)->Arg(1000000);

} // namespace

BENCHMARK_MAIN();
