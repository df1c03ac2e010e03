/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h - blocks of a few sizes, for messages and actor states of one lane.

   Blocks of 64, 128, ... 2,048 bytes come from chunks that are taken from the lane's arena when
   first needed and kept until the end; so a warm slab allocates nothing.  A freed block is the
   next one given out: it is the one most likely still in the cache.

   Threads: one lane.  Units: bytes.
   Errors:  NULL when the limit is reached or the arena has no memory.
   Bound:   limit bytes of blocks handed out; privileged blocks (answers, signals: what must
            not be lost) may go beyond it, and are bounded by what they answer.  Chunks never
            change their class, so memory held is at most the sum of each class's peak. */
#ifndef SLAB_H
#define SLAB_H

#include <proa/types.h>

#include "arena.h"

#define SLAB_CLASSES 6u
#define SLAB_BLOCK_MIN 64u
#define SLAB_BLOCK_MAX (SLAB_BLOCK_MIN << (SLAB_CLASSES - 1)) /* 2,048 */
#define SLAB_CHUNK 65536u /* taken from the arena at a time */

struct slab_block {
    struct slab_block *next;
};

struct slab_chunk {
    struct slab_chunk *next;
};

struct slab {
    struct slab_block *free[SLAB_CLASSES];
    struct {
        uint8_t *at, *end; /* the part of the newest chunk never handed out */
    } fresh[SLAB_CLASSES];
    uint64_t used;  /* bytes of blocks handed out */
    uint64_t limit; /* for those that are not privileged */
    uint64_t held;  /* bytes of chunks */
    uint64_t refused;
    struct arena *arena; /* borrowed */
    struct slab_chunk *chunks;
};

void slab_init(struct slab *slab, struct arena *arena, uint64_t limit);
void slab_fini(struct slab *slab); /* frees the chunks, blocks handed out too */

/* slab_class is the smallest class whose blocks hold size bytes; size <= SLAB_BLOCK_MAX. */
static inline uint32_t slab_class(size_t size)
{
    if (size <= SLAB_BLOCK_MIN)
        return 0;
    return 26u - (uint32_t)__builtin_clz((uint32_t)size - 1);
}

static inline uint32_t slab_class_size(uint32_t class)
{
    return SLAB_BLOCK_MIN << class;
}

/* The slow half of slab_alloc: nothing free in this class, or the limit is reached. */
void *slab_alloc_slow(struct slab *slab, uint32_t class, bool privileged);

/* Is there a block in the free list of a class, and room for it? */
static inline bool slab_has(const struct slab *slab, uint32_t class)
{
    return slab->free[class] != NULL &&
           slab->used + slab_class_size(class) <= slab->limit;
}

/* slab_alloc gives a block of a class, 64-aligned, contents undefined. */
static inline void *slab_alloc(struct slab *slab, uint32_t class, bool privileged)
{
    struct slab_block *block = slab->free[class];
    uint64_t used = slab->used + slab_class_size(class);

    if (__builtin_expect(block == NULL || used > slab->limit, 0))
        return slab_alloc_slow(slab, class, privileged);
    slab->free[class] = block->next;
    __builtin_prefetch(block->next, 1);
    slab->used = used;
    return block;
}

static inline void slab_free(struct slab *slab, void *mem, uint32_t class)
{
    struct slab_block *block = mem;

    block->next = slab->free[class];
    slab->free[class] = block;
    slab->used -= slab_class_size(class);
}

/* The moment to say WRITABLE after a refusal. */
static inline bool slab_drained_half(const struct slab *slab)
{
    return slab->used <= slab->limit / 2;
}

#endif
