/* SPDX-License-Identifier: Apache-2.0 */
/* perf_load.h - the sending actor: a closed loop of tells, asks or round trips.

   The loader warms up, tells the first receiver MARK, works for the measured time, waits for
   what is in flight, tells every receiver LAST and is done.  Tells go as fast as they are
   accepted: a handler sends a burst and then tells itself to go on, so that others run in
   between; AGAIN waits for WRITABLE.  Asks keep `window` in flight.

   A closed loop measures what the system does at the pace it sets itself: the percentiles say
   nothing about arrivals that do not wait (no correction for coordinated omission).

   Threads: fields up to results are set before the loader is spawned; then they are the
            loader's, until perf_load_state says it is over.
   Units:   proa_ns; counts are messages.
   Errors:  state FAILED: why holds a sentence. */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <stdatomic.h>

#include <proa/actor.h>

#include "histogram.h"
#include "perf_malloc.h"
#include "perf_options.h"

#define PERF_ASK_DEADLINE (5 * PROA_S)
#define PERF_ROUTE_FOR                                                                   \
    (5 * PROA_S) /* so long the receiver's node may be unknown at first */
#define PERF_ROUTE_RETRY (10 * PROA_MS)

enum perf_load_state { PERF_LOAD_RUNNING, PERF_LOAD_DONE, PERF_LOAD_FAILED };
enum perf_phase { PERF_WARM, PERF_MARK, PERF_RUN, PERF_DRAIN, PERF_LAST, PERF_OVER };

struct perf_flight; /* one ask on its way */

struct perf_load {
    struct perf_options options;
    const struct proa_ref *to; /* options.receivers of them; borrowed */
    double ns_per_tick;

    /* The loader's own. */
    uint64_t *next;              /* by receiver: the number of its next message */
    uint64_t *sums;              /* by receiver: of all words sent */
    uint64_t *words;             /* the payload under construction */
    struct perf_flight *flights; /* window of them */
    uint32_t *idle;              /* flights that have nothing under way */
    uint32_t idle_count, last_told, word_count;
    uint64_t random;
    enum perf_phase phase;
    bool waiting; /* for WRITABLE */
    bool going;   /* a GO is under way */
    proa_ns started_at;
    struct perf_malloc malloc_at_mark;

    /* Results. */
    uint64_t sent, sent_at_mark; /* tells or asks accepted */
    uint64_t answered;           /* replies, or PONGs, within the measured time */
    uint64_t again, full;        /* refused at once, and tried again */
    uint64_t mallocs;            /* of this lane, measured time */
    proa_ns marked_at, ended_at; /* measured time, by the loader's lane */
    struct histogram rtt;
    char why[160];

    _Atomic int state; /* enum perf_load_state */
};

/* perf_load_create makes a load in memory of its own, NULL without; *options and to are as
   above.  perf_load_destroy: after the loader's node was closed. */
struct perf_load *perf_load_create(const struct perf_options *options,
                                   const struct proa_ref *to, double ns_per_tick);
void perf_load_destroy(struct perf_load *load);

enum perf_load_state perf_load_state(const struct perf_load *load);

/* Spawned with the address of a struct perf_load *: it starts by itself. */
extern const struct proa_behaviour perf_loader;

#endif
