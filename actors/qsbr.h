/* SPDX-License-Identifier: Apache-2.0 */
/* qsbr.h - when may the writer reuse what readers may still hold?

   Quiescent-state based reclamation.  The writer unlinks a thing, so that no reader finds it
   any more, and asks for an epoch.  Each reader says from time to time "I hold nothing", by
   copying the epoch it sees; one that has copied that epoch or a later one, or is offline, has
   dropped the thing.  (Source of the idea: McKenney, Slingwine, "Read-copy update", 1998; the
   scheme with epochs as in liburcu's QSBR flavour.)

   Three pairs carry the design:

     R1 store-release seen   ->  W1 load-acquire seen    all reads before a quiescent point
                                                         come before the reuse
     W2 store-release epoch  ->  R2 load-acquire epoch   who copied an epoch finds nothing that
                                                         was unlinked before it
     R3 store seen, fence seq_cst, read  <->  W3 unlink, fence seq_cst, load seen
                                                         coming online: either the writer sees
                                                         the reader or the reader does not see
                                                         the thing

   Threads: each reader's functions belong to its thread; add and remove: any; advance and
            oldest: the writer.
   Units:   epochs, from 1; 0 is "offline".  64 bits do not wrap.
   Errors:  -1 when all readers are taken.
   Progress: wait-free for readers.  The writer never waits: it asks again later. */
#ifndef QSBR_H
#define QSBR_H

#include <stdalign.h>
#include <stdatomic.h>

#include <proa/types.h>

#define QSBR_READERS_MAX 328u

struct qsbr_reader {
    alignas(PROA_CACHE_LINE) _Atomic uint64_t seen; /* epoch copied last; 0: offline */
    _Atomic uint32_t taken;                         /* 0 or 1: has an owner */
};

struct qsbr {
    /* The writer's line. */
    alignas(PROA_CACHE_LINE) _Atomic uint64_t epoch;

    /* One line per reader. */
    struct qsbr_reader readers[QSBR_READERS_MAX];
};

void qsbr_init(struct qsbr *q);

/* ---- Readers ---- */

int qsbr_add(struct qsbr *q); /* a free reader, offline; -1 when there is none */
void qsbr_remove(struct qsbr *q, int reader);

static inline void qsbr_online(struct qsbr *q, int reader)
{
    /* R2 acquire, pairs with W2. */
    uint64_t epoch = atomic_load_explicit(&q->epoch, memory_order_acquire);

    /* R3, pairs with W3: the fence orders it before the reads that follow.  And R1 release: a
       writer that sees this store, and not the one that went offline, needs the same. */
    atomic_store_explicit(&q->readers[reader].seen, epoch, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
}

static inline void qsbr_offline(struct qsbr *q, int reader)
{
    /* R1 release, pairs with W1. */
    atomic_store_explicit(&q->readers[reader].seen, 0, memory_order_release);
}

static inline void qsbr_quiescent(struct qsbr *q, int reader)
{
    /* R2 acquire, pairs with W2. */
    uint64_t epoch = atomic_load_explicit(&q->epoch, memory_order_acquire);

    /* relaxed: seen is written by this thread only.  Most loops find nothing new. */
    if (atomic_load_explicit(&q->readers[reader].seen, memory_order_relaxed) == epoch)
        return;
    /* R1 release, pairs with W1. */
    atomic_store_explicit(&q->readers[reader].seen, epoch, memory_order_release);
}

/* ---- Writer ---- */

/* qsbr_advance begins a new epoch and returns it: what was unlinked before this call may be
   reused once qsbr_oldest() has reached it. */
uint64_t qsbr_advance(struct qsbr *q);

/* qsbr_oldest is the oldest epoch any online reader is still in; UINT64_MAX when all are
   offline.  Cost: one load per reader. */
uint64_t qsbr_oldest(struct qsbr *q);

#endif
