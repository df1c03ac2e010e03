/* SPDX-License-Identifier: Apache-2.0 */
/* The arena over the process's own malloc, for sanitizer builds (-Dallocator=system). */
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <proa/types.h>

#include "arena.h"

struct arena {
    _Atomic size_t used; /* any thread may free, so it counts with relaxed additions */
};

struct arena *arena_create(void)
{
    return calloc(1, sizeof(struct arena));
}

void arena_destroy(struct arena *arena)
{
    free(arena);
}

void arena_own(struct arena *arena)
{
    (void)arena; /* malloc has a cache per thread of its own */
}

void *arena_alloc(struct arena *arena, size_t len, size_t align)
{
    size_t least = align < sizeof(void *) ? sizeof(void *) : align;
    void *ptr;

    PROA_ASSERT((least & (least - 1)) == 0);
    if (len == 0)
        len = 1; /* a pointer of its own, as from jemalloc */
    if (least <= _Alignof(max_align_t))
        ptr = malloc(len);
    else if (posix_memalign(&ptr, least, len) != 0)
        ptr = NULL;
    if (ptr != NULL) /* relaxed: a number for telemetry */
        atomic_fetch_add_explicit(&arena->used, malloc_usable_size(ptr),
                                  memory_order_relaxed);
    return ptr;
}

void *arena_zalloc(struct arena *arena, size_t len, size_t align)
{
    void *ptr = arena_alloc(arena, len, align);

    if (ptr != NULL)
        memset(ptr, 0, len);
    return ptr;
}

void arena_free(struct arena *arena, void *ptr)
{
    if (ptr == NULL)
        return;
    atomic_fetch_sub_explicit(&arena->used, malloc_usable_size(ptr),
                              memory_order_relaxed);
    free(ptr);
}

size_t arena_used(const struct arena *arena)
{
    return atomic_load_explicit(&arena->used, memory_order_relaxed);
}
