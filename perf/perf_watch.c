/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_watch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf_clock.h"

#define STARTED 1000u /* messages: the load runs, and not only what prepares it */
#define LANE_THREAD "rte-worker-1" /* lane 0 is lcore 1, and DPDK names its thread */

/* ---- Counters ---- */

static int lane_thread(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    int found = 0;

    if (dir == NULL)
        return 0;
    while (found == 0 && (entry = readdir(dir)) != NULL) {
        char path[320], name[32] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof(name), file) != NULL &&
            strcmp(name, LANE_THREAD "\n") == 0)
            found = atoi(entry->d_name);
        fclose(file);
    }
    closedir(dir);
    return found;
}

/* How long the thread had a core so far; 0: the kernel does not say. */
static proa_ns thread_ran(int thread)
{
    unsigned long long ran = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", thread);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &ran) != 1)
        ran = 0;
    fclose(file);
    return ran;
}

static void sample(struct perf_watch *watch, struct perf_watch_phase *ret)
{
    if (watch->thread == 0)
        watch->thread = lane_thread();
    ret->span = perf_clock_ns();
    ret->cpu = thread_ran(watch->thread);
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
