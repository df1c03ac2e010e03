/* SPDX-License-Identifier: Apache-2.0 */
#include "link_pool.h"

#include <stdlib.h>
#include <string.h>

#include <proa/le.h>

struct link_pool_pkt {
    struct pkt pkt;
    struct link_pool *pool;
    struct link_pool_pkt *next;
    uint32_t owners;
    uint64_t sum; /* of its bytes when it was transmitted; 0: never */
    uint8_t *bytes;
};

static uint64_t checksum(const struct pkt *p)
{
    uint64_t sum = 14695981039346656037ull;

    for (uint32_t i = 0; i + 8 <= p->len; i += 8)
        sum = (sum ^ proa_get_le64(p->data + i)) * 1099511628211ull;
    return sum | 1;
}

static struct pkt *pool_alloc(struct pkt_pool *base, int control)
{
    struct link_pool *pool = (struct link_pool *)base;
    struct link_pool_pkt *p = pool->free;

    if (p == NULL || (!control && pool->fail > 0)) {
        pool->fail -= pool->fail > 0;
        base->dry++;
        return NULL;
    }
    pool->free = p->next;
    base->in_use++;
    PROA_ASSERT(p->owners == 0);
    p->owners = 1;
    p->sum = 0;
    memset(&p->pkt, 0xa5, sizeof(p->pkt));
    if (p->bytes == NULL) /* most are never needed */
        p->bytes = aligned_alloc(64, (pool->room + 63) / 64 * 64);
    PROA_ASSERT(p->bytes != NULL);
    p->pkt.data = p->bytes;
    p->pkt.room = (uint16_t)pool->room;
    return &p->pkt;
}

static void pool_hold(struct pkt *pkt)
{
    struct link_pool_pkt *p = (struct link_pool_pkt *)pkt;

    PROA_ASSERT(p->owners == 1);
    p->owners++;
}

static void pool_free(struct pkt *pkt)
{
    struct link_pool_pkt *p = (struct link_pool_pkt *)pkt;

    PROA_ASSERT(p->owners > 0);
    PROA_ASSERT(p->sum == 0 || p->sum == checksum(pkt)); /* written after transmit */
    if (--p->owners > 0)
        return;
    p->next = p->pool->free;
    p->pool->free = p;
    p->pool->pool.in_use--;
}

static const struct pkt_pool_ops pool_ops = {pool_alloc, pool_hold, pool_free};

void link_pool_seal(struct pkt *p)
{
    ((struct link_pool_pkt *)p)->sum = checksum(p);
}

void link_pool_init(struct link_pool *pool, uint32_t size, uint32_t room)
{
    *pool = (struct link_pool){.pool = {.ops = &pool_ops, .size = size}};
    pool->size = size;
    pool->room = room;
    pool->all = calloc(size, sizeof(*pool->all));
    PROA_ASSERT(pool->all != NULL);
    for (uint32_t i = 0; i < size; i++) {
        struct link_pool_pkt *p = &pool->all[i];
        p->pool = pool;
        p->next = pool->free;
        pool->free = p;
    }
}

void link_pool_fini(struct link_pool *pool)
{
    PROA_ASSERT(pool->pool.in_use == 0);
    for (uint32_t i = 0; i < pool->size; i++)
        free(pool->all[i].bytes);
    free(pool->all);
}
