/* SPDX-License-Identifier: Apache-2.0 */
/* bench_tell - one lane's actors among themselves, on one core.

   items_per_second is messages, asks, spawns (each with its end) or timers (each started and
   cancelled).  Peers and targets: docs/performance.md. */
#include <benchmark/benchmark.h>

#include "tell_loops.h"

namespace
{

constexpr uint64_t kBatch = 1 << 20;

template <typename Loop> void run(benchmark::State &state, uint32_t actors, Loop loop)
{
    tell_loops *t = tell_loops_create(actors);
    uint64_t done = 0;

    if (t == nullptr) {
        state.SkipWithError("no memory");
        return;
    }
    loop(t, kBatch / 4);
    for (auto _ : state)
        done += loop(t, kBatch);
    state.SetItemsProcessed(static_cast<int64_t>(done));
    tell_loops_destroy(t);
}

void count(benchmark::State &state)
{
    auto payload = static_cast<uint32_t>(state.range(1));

    run(state, static_cast<uint32_t>(state.range(0)),
        [payload](tell_loops *t, uint64_t n) { return tell_loops_count(t, n, payload); });
}

void deliver_in_place(benchmark::State &state)
{
    run(state, static_cast<uint32_t>(state.range(0)), tell_loops_deliver);
}

void ping_pong(benchmark::State &state)
{
    run(state, 1, tell_loops_ping_pong);
}

void ask(benchmark::State &state)
{
    run(state, 1, tell_loops_ask);
}

void spawn(benchmark::State &state)
{
    run(state, 1, tell_loops_spawn);
    state.counters["bytes_per_actor"] =
        static_cast<double>(tell_loops_actor_bytes(nullptr));
}

void timers(benchmark::State &state)
{
    run(state, 1, tell_loops_timers);
}

void timers_beside(benchmark::State &state)
{
    auto running = static_cast<uint32_t>(state.range(0));

    run(state, 1, [running](tell_loops *t, uint64_t n) {
        return tell_loops_timers_beside(t, n, running);
    });
}

void timers_expire(benchmark::State &state)
{
    auto timers = static_cast<uint32_t>(state.range(0));
    tell_loops_expiry expiry = {};

    for (auto _ : state) {
        tell_loops *t = tell_loops_create(1);

        if (t == nullptr || !tell_loops_timers_expire(t, timers, &expiry)) {
            state.SkipWithError("not all timers ended");
            return;
        }
        tell_loops_destroy(t);
    }
    state.counters["ns_per_timer"] = expiry.mean_ns;
    state.counters["call_p99.9_ns"] = expiry.p999_ns;
    state.counters["call_worst_ns"] = expiry.worst_ns;
    state.counters["call_most"] = expiry.most;
}

void multiplications(benchmark::State &state)
{
    for (auto _ : state)
        benchmark::DoNotOptimize(tell_loops_multiplications(kBatch));
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBatch));
}

BENCHMARK(multiplications);
BENCHMARK(count)
    ->ArgNames({"actors", "bytes"})
    ->Args({1, 8})
    ->Args({1, 32})
    ->Args({1, 64});
BENCHMARK(count)->ArgNames({"actors", "bytes"})->Args({1024, 32})->Args({131072, 32});
BENCHMARK(deliver_in_place)->ArgName("actors")->Arg(1)->Arg(1024)->Arg(131072);
BENCHMARK(ping_pong);
BENCHMARK(ask);
BENCHMARK(spawn);
BENCHMARK(timers);
BENCHMARK(timers_beside)->ArgName("running")->Arg(1000000);
BENCHMARK(timers_expire)->ArgName("timers")->Arg(1000000)->Iterations(1);

} // namespace

BENCHMARK_MAIN();
