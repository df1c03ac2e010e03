/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - what a behaviour's actors do on one lane, at next to no cost a message.

   Of about every METRICS_EVERY-th message that waits, and of
   every METRICS_EVERY-th that runs in place, the clock is read: how long it waited, how long its
   handler ran, how deep its mailbox was.  No other message is stamped.  The next message that is
   queued after METRICS_EVERY handlers have run is the sample; one is under way at a time.

   The lane also says which actor it runs just now, for the watchdog: two stores a turn and one a
   message.

   Threads: written by the lane; read by any (relaxed: recent values, no order between them).
   Units:   proa_ns, counts.  Errors: none. */
#ifndef METRICS_H
#define METRICS_H

#include <stdalign.h>
#include <stdatomic.h>

#include <proa/types.h>

#define METRICS_EVERY 1024u /* messages to a sample */

struct metrics {
    alignas(PROA_CACHE_LINE) uint64_t handled; /* messages, the lane's own count */
    _Atomic uint64_t messages;                 /* the same, for all; by the turn */
    _Atomic uint32_t depth_max; /* messages in one mailbox: waiting, or run in one turn */
    _Atomic uint64_t refused; /* refused for any reason, full mailboxes on the spot too */
    _Atomic uint64_t restarts;
    /* Of the samples. */
    _Atomic uint64_t waited; /* samples that had waited in a mailbox */
    _Atomic uint64_t depth, wait_ns, wait_max_ns; /* sums and the largest, of these */
    _Atomic uint64_t ran;                         /* all samples */
    _Atomic uint64_t run_ns, run_max_ns;
};

/* relaxed: as above. */
static inline void metrics_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static inline void metrics_max(_Atomic uint64_t *counter, uint64_t value)
{
    if (__builtin_expect(value > atomic_load_explicit(counter, memory_order_relaxed), 0))
        atomic_store_explicit(counter, value, memory_order_relaxed);
}

/* relaxed: one writer. */
static inline void metrics_publish(struct metrics *m)
{
    atomic_store_explicit(&m->messages, m->handled, memory_order_relaxed);
}

/* relaxed: as above. */
static inline void metrics_depth(struct metrics *m, uint32_t depth)
{
    if (__builtin_expect(
            depth > atomic_load_explicit(&m->depth_max, memory_order_relaxed), 0))
        atomic_store_explicit(&m->depth_max, depth, memory_order_relaxed);
}

/* A turn in which done messages were run has ended. */
static inline void metrics_turn(struct metrics *m, uint32_t done)
{
    metrics_publish(m);
    metrics_depth(m, done);
}

void metrics_waited(struct metrics *m, proa_ns span, uint32_t depth);
void metrics_ran(struct metrics *m, proa_ns span);

#endif
