/* SPDX-License-Identifier: Apache-2.0 */
/* bench_directory - lookups, the hashing of the 32-byte name included.

   ns is per lookup.  hot: 1,000 names, in the caches; random: 1 M names.  `chase` is the raw
   limit of a dependent lookup: one pointer after the other over as many bytes as the table
   has. */
#include <benchmark/benchmark.h>

#include "directory_loops.h"
#include "directory_rte_loops.h"

namespace
{

constexpr uint64_t kLookups = 1 << 16;

using loop = void (*)(directory_loops *, uint64_t);

/* Made once per size: a million names take a second. */
directory_loops *loops_of(uint32_t names)
{
    static directory_loops *hot, *large;
    directory_loops *&loops = names <= 1000 ? hot : large;

    if (loops == nullptr)
        loops = directory_loops_create(names);
    return loops;
}

void count_lookups(benchmark::State &state)
{
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kLookups));
    state.counters["ns"] = benchmark::Counter(
        static_cast<double>(kLookups) * 1e-9,
        benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void run(benchmark::State &state, loop fn)
{
    directory_loops *loops = loops_of(static_cast<uint32_t>(state.range(0)));

    if (loops == nullptr) {
        state.SkipWithError("no memory");
        return;
    }
    fn(loops, kLookups);
    for (auto _ : state)
        fn(loops, kLookups);
    count_lookups(state);
}

void independent(benchmark::State &state)
{
    run(state, directory_loops_independent);
}

void dependent(benchmark::State &state)
{
    run(state, directory_loops_dependent);
}

void chase(benchmark::State &state)
{
    run(state, directory_loops_chase);
}

void hash(benchmark::State &state)
{
    run(state, directory_loops_hash);
}

void update(benchmark::State &state)
{
    run(state, directory_loops_update);
}

/* DPDK's rte_hash with the same names. */
void rte_hash_independent(benchmark::State &state)
{
    directory_loops *loops = loops_of(static_cast<uint32_t>(state.range(0)));
    directory_rte *rte = loops != nullptr ? directory_rte_create(loops) : nullptr;

    if (rte == nullptr) {
        state.SkipWithError("no memory for rte_hash");
        return;
    }
    directory_rte_independent(rte, kLookups);
    for (auto _ : state)
        directory_rte_independent(rte, kLookups);
    count_lookups(state);
    directory_rte_destroy(rte);
}

void read_and_write(benchmark::State &state, directory_loops *written)
{
    directory_loops *loops = loops_of(1000000);
    double p50 = 0, p99 = 0, updates = 0;

    if (loops == nullptr || written == nullptr) {
        state.SkipWithError("no memory");
        return;
    }
    for (auto _ : state)
        directory_loops_with_writer(loops, written, 200000,
                                    static_cast<uint64_t>(state.range(0)), &p50, &p99,
                                    &updates);
    state.counters["batch_p50_ns"] = p50;
    state.counters["batch_p99_ns"] = p99;
    state.counters["updates/s"] = updates;
}

void with_writer(benchmark::State &state)
{
    read_and_write(state, loops_of(1000000));
}

/* What a second busy core costs that writes nothing of ours. */
void writer_elsewhere(benchmark::State &state)
{
    static directory_loops *elsewhere = directory_loops_create(1000000);

    read_and_write(state, elsewhere);
}

} /* namespace */

BENCHMARK(hash)->ArgName("names")->Arg(1000);
BENCHMARK(independent)->ArgName("names")->Arg(1000)->Arg(1000000);
BENCHMARK(dependent)->ArgName("names")->Arg(1000)->Arg(1000000);
BENCHMARK(chase)->ArgName("names")->Arg(1000)->Arg(1000000);
BENCHMARK(rte_hash_independent)->ArgName("names")->Arg(1000)->Arg(1000000);
BENCHMARK(with_writer)->ArgName("updates")->Arg(0)->Arg(1000000)->Iterations(1);
BENCHMARK(writer_elsewhere)->ArgName("updates")->Arg(1000000)->Iterations(1);
BENCHMARK(update)->ArgName("names")->Arg(1000)->Arg(1000000);

BENCHMARK_MAIN();
