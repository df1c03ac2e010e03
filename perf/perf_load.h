/* SPDX-License-Identifier: Apache-2.0 */
/* perf_load.h - the sending actor: a loop of tells, asks or round trips.

   The loader warms up, tells the first receiver MARK, works for the measured time, waits for
   what is in flight, tells every receiver LAST and is done.  Tells go as fast as they are
   accepted: a handler sends a burst and then tells itself to go on, so that others run in
   between; AGAIN waits for WRITABLE.  Asks keep `window` in flight.

   That is a closed loop: it measures what the system does at the pace it sets itself, and its
   percentiles say nothing about arrivals that do not wait.  With `rate` the asks come by schedule
   instead, one each 1/rate seconds, and each is timed from when it was due, however late it could
   be sent: waiting is never omitted.  What was due and could not be sent before the end counts
   with the time it had waited by then.

   Threads: fields up to results are set before the loader is spawned; then they are the
            loader's, until perf_load_state says it is over.
   Units:   proa_ns; ticks are perf_clock.h's; counts are messages.
   Errors:  state FAILED: why holds a sentence. */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <stdatomic.h>

#include <proa/actor.h>

#include "perf_latency.h"
#include "perf_malloc.h"
#include "perf_options.h"

#define PERF_ASK_DEADLINE (5 * PROA_S)
#define PERF_ROUTE_FOR                                                                   \
    (5 * PROA_S) /* so long the receiver's node may be unknown at first */
#define PERF_ROUTE_RETRY (10 * PROA_MS)

#define PERF_AHEAD 16u

enum perf_load_state { PERF_LOAD_RUNNING, PERF_LOAD_DONE, PERF_LOAD_FAILED };
enum perf_phase { PERF_WARM, PERF_MARK, PERF_RUN, PERF_DRAIN, PERF_LAST, PERF_OVER };

struct perf_flight; /* one ask on its way */
struct inbox;
struct lane;

struct perf_load {
    struct perf_options options;
    const struct proa_ref *to; /* options.receivers of them; borrowed */
    double ns_per_tick;
    struct inbox *inbox;    /* of its lane: the way to be called once in each loop, */
    struct proa_ref client; /* as if by this client of that lane */
    struct lane *lane;      /* its own; flush_each */
    const struct perf_load *until; /* NULL, or: works until that one is over */

    /* The loader's own. */
    uint64_t *next;              /* by receiver: the number of its next message */
    uint64_t *sums;              /* by receiver: of all words sent */
    uint64_t *words;             /* the payload under construction */
    uint64_t *made;              /* the buffer of a message that was not accepted yet, */
    uint64_t made_sum;           /* the sum of its words, */
    uint32_t made_for;           /* and its receiver */
    struct perf_flight *flights; /* window of them */
    uint32_t *idle;              /* flights that have nothing under way */
    uint32_t idle_count, last_told, word_count;
    uint64_t random;
    uint32_t ahead[PERF_AHEAD],
        ahead_at; /* receivers drawn, and fetched, before their turn */
    enum perf_phase phase;
    bool waiting; /* for WRITABLE */
    bool going;   /* a GO is under way */
    proa_ns started_at;
    uint64_t first_due, mark_ticks,
        end_ticks;      /* of the schedule; measured are those between */
    uint64_t due_count; /* sent by schedule */
    double ticks_each;  /* between two of them */
    struct perf_malloc malloc_at_mark;

    /* Results. */
    uint64_t sent, sent_at_mark; /* tells or asks accepted */
    uint64_t answered;           /* replies, or PONGs, within the measured time */
    uint64_t again, full;        /* refused at once, and tried again */
    uint64_t unsent;             /* due in the measured time and not sent by its end */
    uint64_t mallocs;            /* of this lane, measured time */
    proa_ns marked_at, ended_at; /* measured time, by the loader's lane */
    struct perf_latency *rtt;
    struct perf_latency *first; /* mode idle: one way, after silence; else NULL */
    char why[160];

    _Atomic int state; /* enum perf_load_state */
};

/* perf_load_create makes a load in memory of its own, NULL without; *options and to are as
   above.  perf_load_destroy: after the loader's node was closed. */
struct perf_load *perf_load_create(const struct perf_options *options,
                                   const struct proa_ref *to, double ns_per_tick);
void perf_load_destroy(struct perf_load *load);

enum perf_load_state perf_load_state(const struct perf_load *load);

/* perf_load_count_unsent adds the asks that were due and could not be sent before the end, once the load
   is over: they had waited until then at least. */
void perf_load_count_unsent(struct perf_load *load);

/* For what else drives a load: it has ended, or failed, which sets why. */
void perf_load_over(struct perf_load *load, enum perf_load_state state);
void perf_load_fail(struct perf_load *load, const char *what, enum proa_outcome outcome);

/* Spawned with the address of a struct perf_load *: it starts by itself. */
extern const struct proa_behaviour perf_loader;

#endif
