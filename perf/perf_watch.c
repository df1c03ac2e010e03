/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_watch.h"

#include <string.h>

#include "perf_clock.h"

#define STARTED 1000u /* messages: the load runs, and not only what prepares it */

/* ---- Counters ---- */

static void sample(struct perf_watch *watch, struct perf_watch_phase *ret)
{
    if (watch->thread == 0)
        watch->thread = perf_node_lane_thread(0);
    ret->span = perf_clock_ns();
    ret->cpu = perf_node_thread_ran(watch->thread);
    ret->sent = atomic_load_explicit(&watch->shared->sent, memory_order_relaxed);
    perf_node_counts(watch->node, 0, &ret->counts);
}

static void add_difference(struct perf_watch_phase *sum,
                           const struct perf_watch_phase *from,
                           const struct perf_watch_phase *to)
{
    sum->span += to->span - from->span;
    sum->cpu += to->cpu - from->cpu;
    sum->sent += to->sent - from->sent;
    perf_node_counts_add(&sum->counts, &from->counts, &to->counts);
}

uint64_t perf_watch_foreign(const struct perf_node_counts *counts)
{
    return counts->unknown_link + counts->wrong_source + counts->short_packets +
           counts->punted + counts->punt_full + counts->port_drops;
}

/* ---- Phases ---- */

static void enter(struct perf_watch *watch, enum perf_flood_phase phase, proa_ns now)
{
    atomic_store(&watch->shared->phase, (int)phase);
    watch->began = now;
    watch->settled = false;
}

/* The load runs, and has for long enough. */
static bool begun(struct perf_watch *watch, proa_ns now)
{
    struct perf_node_counts counts;

    if (watch->warm_at == 0) {
        perf_node_counts(watch->node, 0, &counts);
        if (counts.messages >= STARTED)
            watch->warm_at = now + watch->warmup;
        return false;
    }
    return now >= watch->warm_at;
}

void perf_watch_step(struct perf_watch *watch)
{
    proa_ns now = perf_clock_ns();
    struct perf_watch_phase at_end;

    if (watch->shared == NULL)
        return;
    if (watch->began == 0) {
        if (begun(watch, now))
            enter(watch, PERF_FLOOD_QUIET, now);
        return;
    }
    if (!watch->settled && now - watch->began >= PERF_WATCH_SETTLE) {
        sample(watch, &watch->at_start);
        watch->settled = true;
    }
    if (!watch->settled || now - watch->began < PERF_WATCH_PHASE)
        return;

    int phase = atomic_load(&watch->shared->phase);

    sample(watch, &at_end);
    add_difference(&watch->sum.phases[phase], &watch->at_start, &at_end);
    watch->sum.rounds += phase == PERF_FLOOD_OURS;
    enter(watch, (enum perf_flood_phase)((phase + 1) % PERF_FLOOD_PHASES), now);
}

void perf_watch_end(struct perf_watch *watch)
{
    if (watch->shared == NULL)
        return;
    atomic_store(&watch->shared->phase, PERF_FLOOD_QUIET);
    perf_node_port_state(watch->node, watch->sum.port, sizeof(watch->sum.port));
}
