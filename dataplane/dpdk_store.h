/* SPDX-License-Identifier: Apache-2.0 */
/* dpdk_store.h - where the mbufs of a lane's pool lie while nobody has them, and who has them.

   A link retains a packet that a device may still be reading.  Were that a second reference in
   the mbuf, virtio would spend two descriptors on each packet instead of one and count with
   locked instructions (one message per packet: 9 % slower, asks 75 to 120 ns).  So the mbuf's
   own count stays 1, and owners are counted here, in a field of our own: a device that frees a
   packet gives up one owner's share, and the packet is free when the last one did.

   It is a mempool operations table named DPDK_STORE: mempools made with it must have no cache
   of DPDK's in front.  In its place each store has a stack of the lane's own, behind which a
   ring takes what is too much and serves every other thread: those that start and stop devices,
   and lanes that got a packet of ours.

   Threads: owners of a packet are counted without atomics: its lane, and the device queue that
            this lane polls.  A packet that changes lanes has one owner.
   Units:   packets.  Errors: as rte_mempool. */
#ifndef DPDK_STORE_H
#define DPDK_STORE_H

#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#define DPDK_STORE "proa"
#define DPDK_STORE_STACK                                                                 \
    512 /* at hand: two bursts each way and what acks bring back at once */
#define DPDK_STORE_MOVE 256 /* from and to the ring at once */

struct dpdk_store {
    struct rte_ring *ring;
    unsigned owner; /* the lane's lcore; LCORE_ID_ANY until dpdk_store_open */
    unsigned count; /* on the stack */
    struct rte_mbuf *stack[DPDK_STORE_STACK];
};

/* dpdk_store_register claims the mbuf field that counts owners; false: there is none left.
   Before the first mempool is made. */
bool dpdk_store_register(void);

/* dpdk_store_open gives a new, filled mempool to the lane on that lcore. */
void dpdk_store_open(struct rte_mempool *mp, unsigned lcore);

static inline struct dpdk_store *dpdk_store_of(const struct rte_mempool *mp)
{
    return mp->pool_data;
}

/* Where in an mbuf the owners are counted: set once by dpdk_store_register. */
extern int dpdk_store_field;

static inline uint16_t *dpdk_store_owners(struct rte_mbuf *m)
{
    return RTE_MBUF_DYNFIELD(m, dpdk_store_field, uint16_t *);
}

/* Slow ways, between stack and ring. */
bool dpdk_store_refill(struct dpdk_store *store);
void dpdk_store_spill(struct dpdk_store *store);

/* dpdk_store_pop: one mbuf with one owner, or NULL.  The lane only. */
static inline struct rte_mbuf *dpdk_store_pop(struct dpdk_store *store)
{
    struct rte_mbuf *m;

    if (unlikely(store->count == 0) && !dpdk_store_refill(store))
        return NULL;
    m = store->stack[--store->count];
    *dpdk_store_owners(m) = 1;
    return m;
}

/* dpdk_store_put gives up one owner's share of an unsegmented mbuf with reference count 1. */
static inline void dpdk_store_put(struct dpdk_store *store, struct rte_mbuf *m)
{
    uint16_t *owners = dpdk_store_owners(m);

    if (*owners > 1) {
        *owners -= 1;
        return;
    }
    if (unlikely(rte_lcore_id() != store->owner)) {
        rte_ring_mp_enqueue(store->ring, m); /* it has a place for every mbuf */
        return;
    }
    if (unlikely(store->count == DPDK_STORE_STACK))
        dpdk_store_spill(store);
    store->stack[store->count++] = m;
}

#endif
