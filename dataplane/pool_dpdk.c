/* SPDX-License-Identifier: Apache-2.0 */
#include "pool_dpdk.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dpdk_mbuf.h"
#include "dpdk_store.h"
#include "prefetch.h"

#define FRAME_OVER_IP                                                                    \
    30 /* Ethernet 14; virtio reckons with 4 of VLAN and 12 of its own */

#define WRITTEN_FIRST                                                                    \
    448 /* bytes of a packet.  +14 % of tells over vhost, with link_send's share */

_Static_assert(RTE_PKTMBUF_HEADROOM == PKT_HEADROOM,
               "frames are received where we reckon");
_Static_assert(sizeof(struct pkt) % RTE_MBUF_PRIV_ALIGN == 0, "mbuf's rule");
_Static_assert((sizeof(struct rte_mbuf) + sizeof(struct pkt)) % 64 == 0,
               "buffers begin on a cache line");

struct dpdk_pool {
    struct pkt_pool base;
    struct dpdk_store *store;
    struct rte_mempool *main, *reserve; /* reserve may be NULL */
    uint32_t mtu;
    uint16_t room; /* payload bytes from data on */
};

static uint32_t data_bytes(uint16_t mtu)
{
    return RTE_ALIGN_CEIL((uint32_t)mtu + FRAME_OVER_IP, RTE_CACHE_LINE_SIZE);
}

/* The packet that is taken next: its head and the lines that are written first. */
static void prefetch_next(const struct dpdk_store *store)
{
    const struct rte_mbuf *m;
    const uint8_t *data;

    if (store->count == 0)
        return;
    m = store->stack[store->count - 1];
    data = (const uint8_t *)(m + 1) + sizeof(struct pkt) + PKT_HEADROOM;
    prefetch_write(m);
    prefetch_write(m->cacheline1);
    prefetch_write(m + 1);
    for (int at = -RTE_CACHE_LINE_SIZE; at < WRITTEN_FIRST; at += RTE_CACHE_LINE_SIZE)
        prefetch_write(data + at);
}

/* One of the reserve's. */
static __attribute__((noinline)) struct rte_mbuf *of_reserve(const struct dpdk_pool *pool,
                                                             int control)
{
    const struct rte_mempool *mp = pool->reserve;

    if (control == PKT_ORDINARY || mp == NULL ||
        (control == PKT_ANSWER && rte_mempool_avail_count(mp) <= mp->size / 2))
        return NULL;
    return dpdk_store_pop(dpdk_store_of(mp));
}

static struct pkt *dpdk_alloc(struct pkt_pool *base, int control)
{
    struct dpdk_pool *pool = (struct dpdk_pool *)base;
    struct rte_mbuf *m = dpdk_store_pop(pool->store);
    struct pkt *p;

    if (unlikely(m == NULL)) {
        m = of_reserve(pool, control);
        if (m == NULL) {
            base->dry++;
            return NULL;
        }
    }
    prefetch_next(pool->store);
    p = pkt_of_mbuf(m);
    *p = (struct pkt){.data = (uint8_t *)m->buf_addr + PKT_HEADROOM, .room = pool->room};
    return p;
}

static void dpdk_hold(struct pkt *p)
{
    uint16_t *owners = dpdk_store_owners(mbuf_of_pkt(p));

    PROA_ASSERT(*owners > 0 && *owners < UINT16_MAX);
    *owners += 1;
}

static void dpdk_free(struct pkt *p)
{
    struct rte_mbuf *m = mbuf_of_pkt(p);

    dpdk_store_put(dpdk_store_of(m->pool), m);
}

static const struct pkt_pool_ops dpdk_ops = {
    .alloc = dpdk_alloc,
    .hold = dpdk_hold,
    .free = dpdk_free,
};

static struct rte_mempool *mempool_new(unsigned lane, const char *what, uint32_t count,
                                       uint16_t mtu)
{
    static _Atomic uint32_t number;
    char name[RTE_MEMPOOL_NAMESIZE];
    struct rte_mempool *mp;

    snprintf(name, sizeof(name), "lane%u_%s_%u", lane, what,
             atomic_fetch_add(&number, 1));
    mp = rte_pktmbuf_pool_create_by_ops(
        name, count, 0, sizeof(struct pkt), (uint16_t)(PKT_HEADROOM + data_bytes(mtu)),
        (int)rte_lcore_to_socket_id(lane + 1), DPDK_STORE);
    if (mp != NULL)
        dpdk_store_open(mp, lane + 1); /* lane i is lcore i + 1: eal.h */
    return mp;
}

struct pkt_pool *pool_dpdk_create(unsigned lane, uint32_t count, uint32_t control,
                                  uint16_t mtu, char *err, size_t err_len)
{
    struct dpdk_pool *pool = calloc(1, sizeof(*pool));

    if (pool != NULL && dpdk_store_register()) {
        pool->main = mempool_new(lane, "packets", count, mtu);
        if (pool->main != NULL && control > 0)
            pool->reserve = mempool_new(lane, "control", control, mtu);
    }
    if (pool == NULL || pool->main == NULL || (control > 0 && pool->reserve == NULL)) {
        snprintf(err, err_len,
                 "no memory for lane %u's %u packets of %u bytes (%u MiB): %s; raise "
                 "`memory_mb` or "
                 "lower `mtu`",
                 lane, count + control, mtu,
                 (unsigned)(pool_dpdk_memory(count, control, mtu) >> 20),
                 rte_strerror(rte_errno));
        if (pool != NULL)
            pool_dpdk_destroy(&pool->base);
        return NULL;
    }
    pool->base.ops = &dpdk_ops;
    pool->store = dpdk_store_of(pool->main);
    pool->base.size = count + control;
    pool->mtu = data_bytes(mtu) - FRAME_OVER_IP;
    pool->room = (uint16_t)data_bytes(mtu);
    return &pool->base;
}

void pool_dpdk_destroy(struct pkt_pool *base)
{
    struct dpdk_pool *pool = (struct dpdk_pool *)base;

    rte_mempool_free(pool->main);
    rte_mempool_free(pool->reserve);
    free(pool);
}

static uint64_t bytes_each(uint16_t mtu)
{
    return RTE_CACHE_LINE_SIZE + sizeof(struct rte_mbuf) + sizeof(struct pkt) +
           PKT_HEADROOM + data_bytes(mtu);
}

/* Besides: 8 bytes in the mempool's ring, which has a power of two of places, and 2 MiB for what
   DPDK puts around. */
static uint64_t bytes_all(uint64_t packets, uint64_t each)
{
    return packets * (each + 16) + (2u << 20);
}

uint64_t pool_dpdk_memory(uint32_t count, uint32_t control, uint16_t mtu)
{
    return bytes_all((uint64_t)count + control, bytes_each(mtu));
}

uint64_t pool_dpdk_memory_plain(uint32_t count, uint32_t control, uint16_t mtu)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), each = bytes_each(mtu);

    each = each <= page ? page / (page / each) : (each + page - 1) / page * page;
    return bytes_all((uint64_t)count + control, each);
}

uint32_t pool_dpdk_in_use(const struct pkt_pool *base)
{
    const struct dpdk_pool *pool = (const struct dpdk_pool *)base;
    uint32_t n = rte_mempool_in_use_count(pool->main);

    return pool->reserve != NULL ? n + rte_mempool_in_use_count(pool->reserve) : n;
}

struct rte_mempool *pool_dpdk_mempool(const struct pkt_pool *base)
{
    return base->ops == &dpdk_ops ? ((const struct dpdk_pool *)base)->main : NULL;
}

uint32_t pool_dpdk_mtu(const struct pkt_pool *base)
{
    return ((const struct dpdk_pool *)base)->mtu;
}
