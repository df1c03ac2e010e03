/* SPDX-License-Identifier: Apache-2.0 */
#include "slab.h"

/* The chunk's own link takes the first block's place, whatever its size. */
_Static_assert(sizeof(struct slab_chunk) <= SLAB_BLOCK_MIN, "the link fits a block");

void slab_init(struct slab *slab, struct arena *arena, uint64_t limit)
{
    *slab = (struct slab){.arena = arena, .limit = limit};
}

void slab_fini(struct slab *slab)
{
    while (slab->chunks != NULL) {
        struct slab_chunk *chunk = slab->chunks;

        slab->chunks = chunk->next;
        arena_free(slab->arena, chunk);
    }
}

static bool refill(struct slab *slab, uint32_t class)
{
    struct slab_chunk *chunk = arena_alloc(slab->arena, SLAB_CHUNK, PROA_CACHE_LINE);

    if (chunk == NULL)
        return false;
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    slab->held += SLAB_CHUNK;
    slab->fresh[class].at = (uint8_t *)chunk + slab_class_size(class);
    slab->fresh[class].end = (uint8_t *)chunk + SLAB_CHUNK;
    return true;
}

void *slab_alloc_slow(struct slab *slab, uint32_t class, bool privileged)
{
    struct slab_block *block = slab->free[class];
    uint64_t used = slab->used + slab_class_size(class);

    if (used > slab->limit && !privileged) {
        slab->refused++;
        return NULL;
    }
    if (block != NULL) {
        slab->free[class] = block->next;
    } else {
        if (slab->fresh[class].at == slab->fresh[class].end && !refill(slab, class)) {
            slab->refused++;
            return NULL;
        }
        block = (struct slab_block *)slab->fresh[class].at;
        slab->fresh[class].at += slab_class_size(class);
    }
    slab->used = used;
    return block;
}
