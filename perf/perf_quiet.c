/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_quiet.h"

#include <time.h>

#include "node_internal.h"
#include "perf_clock.h"

static proa_ns cpu(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (proa_ns)t.tv_sec * PROA_S + (proa_ns)t.tv_nsec;
}

/* Where all accounts stand. */
static struct perf_quiet sample(const struct perf_node *node)
{
    const struct lane_stats *stats = lane_stats(node->node->lanes[0].lane);

    return (struct perf_quiet){
        .span = perf_clock_ns(),
        .lane = perf_node_thread_ran(perf_node_lane_thread(0)),
        .process = cpu(CLOCK_PROCESS_CPUTIME_ID) - cpu(CLOCK_THREAD_CPUTIME_ID),
        .wakeups = atomic_load_explicit(&stats->sleeps, memory_order_relaxed),
    };
}

void perf_quiet_step(struct perf_quiet *quiet, const struct perf_node *node,
                     proa_ns began, proa_ns silence)
{
    proa_ns now = perf_clock_ns();
    struct perf_quiet end;

    if (began == 0 || quiet->ended)
        return;
    if (!quiet->begun && now >= began + PERF_QUIET_SETTLE) {
        *quiet = sample(node);
        quiet->begun = true;
    }
    if (!quiet->begun || now < began + silence - PERF_QUIET_SPARE)
        return;
    end = sample(node);
    *quiet = (struct perf_quiet){.span = end.span - quiet->span,
                                 .lane = end.lane - quiet->lane,
                                 .process = end.process - quiet->process,
                                 .wakeups = end.wakeups - quiet->wakeups,
                                 .begun = true,
                                 .ended = true};
    if (end.lane == 0)
        quiet->span = 0;
}
