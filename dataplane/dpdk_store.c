/* SPDX-License-Identifier: Apache-2.0 */
#include "dpdk_store.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>

#include <proa/types.h>

int dpdk_store_field = -1;

bool dpdk_store_register(void)
{
    static const struct rte_mbuf_dynfield field = {
        .name = "proa_owners",
        .size = sizeof(uint16_t),
        .align = alignof(uint16_t),
    };

    /* Registering again finds the same field. */
    dpdk_store_field = rte_mbuf_dynfield_register(&field);
    return dpdk_store_field >= 0;
}

bool dpdk_store_refill(struct dpdk_store *store)
{
    store->count = rte_ring_mc_dequeue_burst(store->ring, (void **)store->stack,
                                             DPDK_STORE_MOVE, NULL);
    return store->count > 0;
}

void dpdk_store_spill(struct dpdk_store *store)
{
    unsigned n;

    store->count -= DPDK_STORE_MOVE;
    n = rte_ring_mp_enqueue_burst(store->ring, (void **)&store->stack[store->count],
                                  DPDK_STORE_MOVE, NULL);
    PROA_ASSERT(n == DPDK_STORE_MOVE);
}

/* ---- the operations a mempool asks for ---- */

static int store_alloc(struct rte_mempool *mp)
{
    static _Atomic unsigned number;
    struct dpdk_store *store = calloc(1, sizeof(*store));
    char name[RTE_RING_NAMESIZE];

    if (store == NULL)
        return -ENOMEM;
    snprintf(name, sizeof(name), "proa_store_%u", atomic_fetch_add(&number, 1));
    store->ring = rte_ring_create(name, rte_align32pow2(mp->size + 1), mp->socket_id, 0);
    if (store->ring == NULL) {
        free(store);
        return -rte_errno;
    }
    store->owner = LCORE_ID_ANY;
    mp->pool_data = store;
    return 0;
}

static void store_free(struct rte_mempool *mp)
{
    struct dpdk_store *store = dpdk_store_of(mp);

    rte_ring_free(store->ring);
    free(store);
}

/* Devices and DPDK's allocation functions give back here. */
static int store_enqueue(struct rte_mempool *mp, void *const *objects, unsigned n)
{
    struct dpdk_store *store = dpdk_store_of(mp);

    if (unlikely(store->owner == LCORE_ID_ANY)) { /* the mempool is being filled */
        return rte_ring_mp_enqueue_bulk(store->ring, objects, n, NULL) == n ? 0
                                                                            : -ENOBUFS;
    }
    for (unsigned i = 0; i < n; i++)
        dpdk_store_put(store, objects[i]);
    return 0;
}

/* Devices take here what they receive into. */
static int store_dequeue(struct rte_mempool *mp, void **objects, unsigned n)
{
    struct dpdk_store *store = dpdk_store_of(mp);
    unsigned got = 0;

    if (likely(rte_lcore_id() == store->owner)) {
        while (got < n && store->count > 0)
            objects[got++] = store->stack[--store->count];
    }
    if (got < n &&
        rte_ring_mc_dequeue_bulk(store->ring, objects + got, n - got, NULL) == 0) {
        while (got > 0) /* all or none */
            store->stack[store->count++] = objects[--got];
        return -ENOBUFS;
    }
    for (unsigned i = 0; i < n; i++)
        *dpdk_store_owners(objects[i]) = 1;
    return 0;
}

static unsigned store_count(const struct rte_mempool *mp)
{
    const struct dpdk_store *store = dpdk_store_of(mp);

    return rte_ring_count(store->ring) + store->count;
}

static const struct rte_mempool_ops store_ops = {
    .name = DPDK_STORE,
    .alloc = store_alloc,
    .free = store_free,
    .enqueue = store_enqueue,
    .dequeue = store_dequeue,
    .get_count = store_count,
};

RTE_MEMPOOL_REGISTER_OPS(store_ops)

void dpdk_store_open(struct rte_mempool *mp, unsigned lcore)
{
    dpdk_store_of(mp)->owner = lcore;
}
