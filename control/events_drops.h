/* SPDX-License-Identifier: Apache-2.0 */
/* events_drops.h - looks once a second which drop counters have grown.

   Each counter that has grown since the last look becomes one event: DROPS with the counter's
   name as telemetry's /proa/drops has it, or DEAD_LETTERS with an outcome.

   Threads: the control thread's.  Units: proa_ns, counts.  Errors: none. */
#ifndef EVENTS_DROPS_H
#define EVENTS_DROPS_H

#include <proa/outcomes.h>
#include <proa/types.h>

#define EVENTS_DROPS_EVERY PROA_S
#define EVENTS_DROPS_MAX 128 /* counters looked at */

struct core;
struct lane_stats;
struct sched_stats;

struct events_drops {
    const struct lane_stats *lanes[PROA_LANES_MAX]; /* borrowed; NULL: not looked at */
    const struct sched_stats *scheds[PROA_LANES_MAX];
    proa_ns look_at;
    uint64_t seen[EVENTS_DROPS_MAX]; /* each counter at the last look */
    uint64_t letters[PROA_OUTCOME_COUNT];
};

void events_drops_init(struct events_drops *self, proa_ns now);

/* The sum of all drop counters at the last look. */
uint64_t events_drops_sum(const struct events_drops *self);

/* events_drops_look does its work when look_at has come. */
void events_drops_look(struct core *core);

#endif
