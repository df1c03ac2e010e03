/* SPDX-License-Identifier: Apache-2.0 */
#include "pool_plain.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct plain_pool;

/* One packet: this, headroom, payload. */
struct plain_pkt {
    alignas(PROA_CACHE_LINE) struct pkt pkt; /* first: a pkt is its plain_pkt */
    struct plain_pool *pool;
    struct plain_pkt *next;
    _Atomic uint32_t refs; /* 0: free */
};

struct plain_pool {
    struct pkt_pool base;
    struct plain_pkt *free;
    uint32_t control; /* the last so many are for control packets */
    uint32_t payload_max;
    size_t stride;
    uint8_t *packets;
    /* Which thread allocates, as the address of a variable of its own. */
    _Atomic(const char *) owner;
    alignas(PROA_CACHE_LINE) _Atomic(struct plain_pkt *) returned;
};

static _Thread_local char thread_mark;

static struct plain_pkt *plain_of(struct pkt *p)
{
    return (struct plain_pkt *)(void *)p;
}

static uint8_t *payload_of(struct plain_pkt *plain)
{
    return (uint8_t *)plain + sizeof(*plain) + PKT_HEADROOM;
}

static void collect(struct plain_pool *pool)
{
    /* A1 acquire, pairs with F1: who gave these back has finished with them. */
    struct plain_pkt *back =
        atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);

    while (back != NULL) {
        struct plain_pkt *next = back->next;

        back->next = pool->free;
        pool->free = back;
        pool->base.in_use--;
        back = next;
    }
}

static struct pkt *pool_plain_alloc(struct pkt_pool *base, int control)
{
    struct plain_pool *pool = (struct plain_pool *)base;
    uint32_t kept = control == PKT_CONTROL  ? 0
                    : control == PKT_ANSWER ? pool->control / 2
                                            : pool->control;
    uint32_t limit = base->size - kept;
    struct plain_pkt *plain;

    /* relaxed: compared only by threads with their own mark; a stale one takes the slow way. */
    atomic_store_explicit(&pool->owner, &thread_mark, memory_order_relaxed);
    if (pool->free == NULL || base->in_use >= limit)
        collect(pool);
    if (pool->free == NULL || base->in_use >= limit) {
        base->dry++;
        return NULL;
    }
    plain = pool->free;
    pool->free = plain->next;
    base->in_use++;
    memset(&plain->pkt, 0, sizeof(plain->pkt));
    plain->pkt.data = payload_of(plain);
    plain->pkt.room = (uint16_t)pool->payload_max;
    /* relaxed: the packet is this thread's alone. */
    atomic_store_explicit(&plain->refs, 1, memory_order_relaxed);
    return &plain->pkt;
}

static void pool_plain_hold(struct pkt *p)
{
    /* relaxed: the caller has a reference already. */
    uint32_t before =
        atomic_fetch_add_explicit(&plain_of(p)->refs, 1, memory_order_relaxed);

    PROA_ASSERT(before > 0);
}

static void pool_plain_free(struct pkt *p)
{
    struct plain_pkt *plain = plain_of(p);
    struct plain_pool *pool = plain->pool;
    /* acq_rel: the last owner sees what the others did with the packet. */
    uint32_t before = atomic_fetch_sub_explicit(&plain->refs, 1, memory_order_acq_rel);

    PROA_ASSERT(before > 0);
    if (before > 1)
        return;
    if (atomic_load_explicit(&pool->owner, memory_order_relaxed) == &thread_mark) {
        plain->next = pool->free;
        pool->free = plain;
        pool->base.in_use--;
        return;
    }
    plain->next = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    /* F1 release, pairs with A1. */
    while (!atomic_compare_exchange_weak_explicit(
        &pool->returned, &plain->next, plain, memory_order_release, memory_order_relaxed))
        ;
}

struct pkt_pool *pool_plain_create(uint32_t count, uint32_t control, uint32_t payload_max)
{
    static const struct pkt_pool_ops ops = {
        .alloc = pool_plain_alloc,
        .hold = pool_plain_hold,
        .free = pool_plain_free,
    };
    size_t line = PROA_CACHE_LINE;
    size_t stride = sizeof(struct plain_pkt) + PKT_HEADROOM + payload_max;
    uint32_t total = count + control;
    struct plain_pool *pool;

    stride = (stride + line - 1) / line * line;
    if (total < count || payload_max > UINT16_MAX)
        return NULL;
    pool = aligned_alloc(line, sizeof(*pool) + stride * total);
    if (pool == NULL)
        return NULL;
    memset(pool, 0, sizeof(*pool));
    pool->base.ops = &ops;
    pool->base.size = total;
    pool->control = control;
    pool->payload_max = payload_max;
    pool->stride = stride;
    pool->packets = (uint8_t *)pool + sizeof(*pool);
    for (uint32_t i = total; i-- > 0;) {
        struct plain_pkt *plain = (void *)(pool->packets + i * stride);

        memset(plain, 0, sizeof(*plain));
        plain->pool = pool;
        plain->next = pool->free;
        pool->free = plain;
    }
    return &pool->base;
}

void pool_plain_destroy(struct pkt_pool *base)
{
    free(base);
}

uint32_t pool_plain_in_use(struct pkt_pool *base)
{
    collect((struct plain_pool *)base);
    return base->in_use;
}
