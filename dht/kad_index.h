/* SPDX-License-Identifier: Apache-2.0 */
/* kad_index.h - chained hashing of ids into an array of elements.

   The index holds the heads of the chains; each element carries the number of the next one
   of its chain.  The hash is keyed per node, so that nobody can choose names that all fall
   into one chain.

   Threads: one owner.  Errors: none. */
#ifndef PROA_DHT_KAD_INDEX_H
#define PROA_DHT_KAD_INDEX_H

#include "kad_id.h"

#include <proa/types.h>
#include <sodium.h>
#include <string.h>

#define KAD_NONE UINT32_MAX /* the number of no element */

struct kad_index {
    uint32_t *heads;
    uint32_t mask; /* heads - 1 */
    uint8_t key[16];
};

/* How many heads serve `elements` elements: a power of two, at least as many. */
static inline uint32_t kad_index_heads(uint32_t elements)
{
    uint32_t heads = 16;

    while (heads < elements)
        heads *= 2;
    return heads;
}

/* kad_index_init borrows `count` (a power of two) heads for its life. */
static inline void kad_index_init(struct kad_index *self, uint32_t *heads, uint32_t count,
                                  const uint8_t key[16])
{
    self->heads = heads;
    self->mask = count - 1;
    memcpy(self->key, key, sizeof(self->key));
    for (uint32_t i = 0; i < count; i++)
        heads[i] = KAD_NONE;
}

/* kad_index_head returns where the chain of this id begins. */
static inline uint32_t *kad_index_head(const struct kad_index *self,
                                       const struct kad_id *id)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint32_t at;

    crypto_shorthash(hash, id->b, sizeof(id->b), self->key);
    memcpy(&at, hash, sizeof(at));
    return &self->heads[at & self->mask];
}

#endif
