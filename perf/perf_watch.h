/* SPDX-License-Identifier: Apache-2.0 */
/* perf_watch.h - what a flood costs a lane: its counters, phase by phase.

   While the load runs, phases of PERF_WATCH_PHASE follow each other: quiet, flooded at a port
   nobody has, flooded at ours, and again; so whatever else the machine does meets all three.
   Messages are those the lane ran, counted by its scheduler.  They are divided by the time, and by
   the time the lane's thread had its core: the second figure does not suffer from others on it.

   Threads: the ordinary thread that waits for the load.  Units: proa_ns, packets, messages.
   Errors:  none; rounds 0 says that the load ended too soon. */
#ifndef PERF_WATCH_H
#define PERF_WATCH_H

#include "perf_flood.h"
#include "perf_node.h"

#define PERF_WATCH_PHASE (250 * PROA_MS)
#define PERF_WATCH_SETTLE (50 * PROA_MS) /* of it, not counted */

struct perf_watch_phase {
    proa_ns span, cpu; /* counted, and of this the lane's thread had its core */
    uint64_t sent;     /* by the flood */
    struct perf_node_counts counts;
};

struct perf_watched {
    uint32_t rounds; /* whole ones */
    struct perf_watch_phase phases[PERF_FLOOD_PHASES];
    char port[160]; /* its state in words, at the end */
};

struct perf_watch {
    struct perf_flood_shared
        *shared; /* NULL: there is no flood, and nothing is watched */
    const struct perf_node *node;
    proa_ns warmup;  /* from the first messages on */
    proa_ns warm_at; /* when it is over; 0: no messages yet */
    proa_ns began;   /* the phase; 0: warming up */
    bool settled;
    int thread;                       /* the lane's, in /proc; 0: not found yet */
    struct perf_watch_phase at_start; /* counters when it had settled */
    struct perf_watched sum;
};

/* perf_watch_step takes a sample, or goes to the next phase, when it is time; call each few
   milliseconds. */
void perf_watch_step(struct perf_watch *watch);

/* perf_watch_end ends the flood; results are in sum. */
void perf_watch_end(struct perf_watch *watch);

/* perf_watch_foreign: packets that reached the lane and belonged to nobody. */
uint64_t perf_watch_foreign(const struct perf_node_counts *counts);

#endif
