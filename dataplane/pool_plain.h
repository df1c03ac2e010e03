/* SPDX-License-Identifier: Apache-2.0 */
/* pool_plain.h - packet buffers in ordinary memory, for nodes and tests without DPDK.

   One block holds all packets; a free list hands out the last one given back.  Packets that
   another thread frees (a misdirected one that went to another lane) come back over a list
   that only grows at its head, and are collected when the own list is empty:

     F1 compare-exchange release returned  ->  A1 exchange acquire returned
        a packet is no longer used before its next owner writes it

   Threads: alloc: the pool's lane only; hold: whoever has the packet; free: anybody.
   Units:   bytes.
   Errors:  create returns NULL when there is no memory; alloc NULL when dry, counted. */
#ifndef POOL_PLAIN_H
#define POOL_PLAIN_H

#include "pkt.h"

/* pool_plain_create makes a pool of count packets and `control` more in reserve, each with
   payload_max bytes from data on.  Returned owned: pool_plain_destroy. */
struct pkt_pool *pool_plain_create(uint32_t count, uint32_t control,
                                   uint32_t payload_max);

/* pool_plain_destroy frees the pool with all its packets, also those in use. */
void pool_plain_destroy(struct pkt_pool *pool);

/* pool_plain_in_use collects what other threads gave back and returns how many packets are out.
   The pool's lane only. */
uint32_t pool_plain_in_use(struct pkt_pool *pool);

#endif
