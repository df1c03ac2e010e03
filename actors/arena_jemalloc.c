/* SPDX-License-Identifier: Apache-2.0 */
/* The arena over jemalloc's explicit API (-Dallocator=jemalloc).

   The build leads mallocx and friends to a private copy of jemalloc (meson.build), so the
   program's malloc stays its own.  Two things keep the lanes apart:

   - an arena per lane, whose pages no other lane allocates from;
   - an explicit cache (MALLOCX_TCACHE) that only the owner's thread uses; everybody else
     goes without one (MALLOCX_TCACHE_NONE), by the arena's own lock.

   What is larger than jemalloc's caches take (32 KiB) the owner keeps himself, a few blocks, and hands
   out again the last one first: bulk messages come and go one after the other, and to have a block of
   64 KiB to 1 MiB from the arena and give it back took 6,500 instructions, 270 now, and gave one
   that was in no near cache.

   The arena never gives pages back before it is destroyed: jemalloc would do it inside an
   allocation, and an madvise in the middle of a message costs microseconds. */
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <jemalloc/jemalloc.h>

#include <proa/types.h>

#include "arena.h"

#define KEPT_MAX 4
#define KEPT_LEAST ((32u << 10) + 1) /* bytes a block; jemalloc caches smaller ones */
#define KEPT_MOST (2u << 20)

/* A free block. */
struct kept {
    void *ptr;
    size_t size; /* as sallocx says */
};

struct arena {
    unsigned int index;  /* jemalloc's number of the arena */
    unsigned int tcache; /* and of the owner's cache */
    int foreign_flags;
    int owner_flags;
    const void *owner; /* &thread_mark of the owner, NULL before arena_own */

    /* The owner's, oldest first. */
    alignas(PROA_CACHE_LINE) struct kept kept[KEPT_MAX];
    uint32_t kept_count;

    /* Bytes out, in two halves so that the owner's path has no locked instruction; either may
       be negative, their sum is not.  relaxed throughout: numbers for telemetry. */
    _Atomic int64_t owner_used;
    alignas(PROA_CACHE_LINE) _Atomic int64_t foreign_used;
};

/* Its address names the thread. */
static _Thread_local char thread_mark;

static bool set_decay(unsigned int index, const char *which, ssize_t ms)
{
    char name[64];

    snprintf(name, sizeof(name), "arena.%u.%s_decay_ms", index, which);
    return mallctl(name, NULL, NULL, &ms, sizeof(ms)) == 0;
}

static void destroy_index(unsigned int index)
{
    char name[64];

    snprintf(name, sizeof(name), "arena.%u.destroy", index);
    if (mallctl(name, NULL, NULL, NULL, 0) != 0)
        PROA_ASSERT(!"jemalloc refuses to destroy an arena");
}

static bool open_tcache(unsigned int *ret_tcache)
{
    size_t size = sizeof(*ret_tcache);

    return mallctl("tcache.create", ret_tcache, &size, NULL, 0) == 0;
}

static void close_tcache(unsigned int tcache)
{
    mallctl("tcache.destroy", NULL, NULL, &tcache, sizeof(tcache));
}

struct arena *arena_create(void)
{
    unsigned int index, tcache;
    size_t size = sizeof(index);
    struct arena *arena = NULL;

    if (mallctl("arenas.create", &index, &size, NULL, 0) != 0)
        return NULL;
    if (!set_decay(index, "dirty", -1) || !set_decay(index, "muzzy", -1))
        goto no_arena;
    if (!open_tcache(&tcache))
        goto no_arena;

    /* The header lives in the arena it describes. */
    int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
    arena =
        mallocx(sizeof(*arena), flags | MALLOCX_ALIGN(PROA_CACHE_LINE) | MALLOCX_ZERO);
    if (arena == NULL)
        goto no_tcache;
    arena->index = index;
    arena->tcache = tcache;
    arena->foreign_flags = flags;
    arena->owner_flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE(tcache);
    atomic_init(&arena->owner_used, 0);
    atomic_init(&arena->foreign_used, 0);
    return arena;

no_tcache:
    close_tcache(tcache);
no_arena:
    destroy_index(index);
    return NULL;
}

void arena_destroy(struct arena *arena)
{
    unsigned int index;

    if (arena == NULL)
        return;
    index = arena->index;
    close_tcache(arena->tcache);
    destroy_index(index);
}

void arena_own(struct arena *arena)
{
    arena->owner = &thread_mark;
}

static void count(struct arena *arena, bool owner, int64_t bytes)
{
    if (owner)
        atomic_store_explicit(
            &arena->owner_used,
            atomic_load_explicit(&arena->owner_used, memory_order_relaxed) + bytes,
            memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&arena->foreign_used, bytes, memory_order_relaxed);
}

/* The kept block that jemalloc would give for this, or NULL. */
static __attribute__((noinline)) void *take_kept(struct arena *arena, size_t len,
                                                 int flags)
{
    size_t size = nallocx(len, flags);

    for (uint32_t i = arena->kept_count; i-- > 0;) {
        void *ptr = arena->kept[i].ptr;

        if (arena->kept[i].size != size)
            continue;
        arena->kept_count--;
        memmove(&arena->kept[i], &arena->kept[i + 1],
                (arena->kept_count - i) * sizeof(arena->kept[0]));
        return ptr;
    }
    return NULL;
}

/* Keeps ptr, and gives the oldest back when there are too many. */
static __attribute__((noinline)) void keep(struct arena *arena, void *ptr, size_t size)
{
    if (arena->kept_count == KEPT_MAX) {
        sdallocx(arena->kept[0].ptr, arena->kept[0].size, arena->owner_flags);
        memmove(&arena->kept[0], &arena->kept[1],
                --arena->kept_count * sizeof(arena->kept[0]));
    }
    arena->kept[arena->kept_count++] = (struct kept){ptr, size};
}

static void *alloc(struct arena *arena, size_t len, size_t align, int flags)
{
    bool owner = arena->owner == &thread_mark;
    void *ptr = NULL;

    PROA_ASSERT(align != 0 && (align & (align - 1)) == 0);
    if (len == 0)
        len = 1; /* mallocx wants something */
    flags |= (owner ? arena->owner_flags : arena->foreign_flags) | MALLOCX_ALIGN(align);
    if (owner && len >= KEPT_LEAST && align <= PROA_CACHE_LINE &&
        (flags & MALLOCX_ZERO) == 0)
        ptr = take_kept(arena, len, flags);
    if (ptr == NULL)
        ptr = mallocx(len, flags);
    if (ptr != NULL)
        count(arena, owner, (int64_t)nallocx(len, flags));
    return ptr;
}

void *arena_alloc(struct arena *arena, size_t len, size_t align)
{
    return alloc(arena, len, align, 0);
}

void *arena_zalloc(struct arena *arena, size_t len, size_t align)
{
    return alloc(arena, len, align, MALLOCX_ZERO);
}

void arena_free(struct arena *arena, void *ptr)
{
    bool owner = arena->owner == &thread_mark;
    size_t size;

    if (ptr == NULL)
        return;
    size = sallocx(ptr, 0);
    count(arena, owner, -(int64_t)size);
    if (owner && size >= KEPT_LEAST && size <= KEPT_MOST)
        keep(arena, ptr, size);
    else
        sdallocx(ptr, size, owner ? arena->owner_flags : arena->foreign_flags);
}

size_t arena_used(const struct arena *arena)
{
    int64_t used = atomic_load_explicit(&arena->owner_used, memory_order_relaxed) +
                   atomic_load_explicit(&arena->foreign_used, memory_order_relaxed);

    return used < 0 ? 0 : (size_t)used; /* the halves are not read at one moment */
}
