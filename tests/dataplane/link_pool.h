/* SPDX-License-Identifier: Apache-2.0 */
/* link_pool.h - packets of plain memory that notice misuse.

   A packet given back twice, held twice, or written to after it was sealed (handed to transmit)
   fails an assertion; so does a pool that ends with packets out.

   Threads: one.  Units: bytes.  Errors: assertions. */
#ifndef LINK_POOL_H
#define LINK_POOL_H

#include "pkt.h"

struct link_pool_pkt;

struct link_pool {
    struct pkt_pool pool; /* first */
    struct link_pool_pkt *all, *free;
    uint32_t size, room;
    uint32_t fail; /* so many allocations fail, those from the reserve excepted */
};

void link_pool_init(struct link_pool *pool, uint32_t size, uint32_t room);
void link_pool_fini(struct link_pool *pool);
void link_pool_seal(struct pkt *p);

#endif
