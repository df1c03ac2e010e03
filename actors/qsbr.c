/* SPDX-License-Identifier: Apache-2.0 */
#include "qsbr.h"

void qsbr_init(struct qsbr *q)
{
    atomic_init(&q->epoch, 1);
    for (uint32_t i = 0; i < QSBR_READERS_MAX; i++) {
        atomic_init(&q->readers[i].seen, 0);
        atomic_init(&q->readers[i].taken, 0);
    }
}

int qsbr_add(struct qsbr *q)
{
    for (uint32_t i = 0; i < QSBR_READERS_MAX; i++) {
        uint32_t no = 0;

        /* acquire, pairs with the release in remove: one owner after the other. */
        if (atomic_compare_exchange_strong_explicit(
                &q->readers[i].taken, &no, 1, memory_order_acquire, memory_order_relaxed))
            return (int)i;
    }
    return -1;
}

void qsbr_remove(struct qsbr *q, int reader)
{
    qsbr_offline(q, reader);
    /* release, pairs with the acquire in add. */
    atomic_store_explicit(&q->readers[reader].taken, 0, memory_order_release);
}

uint64_t qsbr_advance(struct qsbr *q)
{
    /* relaxed: the writer is epoch's only writer. */
    uint64_t epoch = atomic_load_explicit(&q->epoch, memory_order_relaxed) + 1;

    /* W2 release, pairs with R2: all that was unlinked before is gone for who sees it. */
    atomic_store_explicit(&q->epoch, epoch, memory_order_release);
    return epoch;
}

uint64_t qsbr_oldest(struct qsbr *q)
{
    uint64_t oldest = UINT64_MAX;

    /* W3, pairs with R3: what was unlinked is so before we look who is online. */
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < QSBR_READERS_MAX; i++) {
        /* W1 acquire, pairs with R1. */
        uint64_t seen = atomic_load_explicit(&q->readers[i].seen, memory_order_acquire);

        if (seen != 0 && seen < oldest)
            oldest = seen;
    }
    return oldest;
}
