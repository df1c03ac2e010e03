/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - memory of one lane: actor state, large messages, tables.

   One jemalloc arena per lane through its explicit API (-Dallocator=jemalloc), so that lanes
   never contend and usage is known per lane; or the system's malloc (-Dallocator=system, which
   sanitizers need).  The user's own malloc is never replaced.

   Threads: any thread may call anything.  The one that said arena_own is served from a cache
            without a lock (in about half the time), all others from the arena under its lock; what
            belongs together is allocated and freed by the owner.
   Units:   bytes.  Errors: NULL.
   Memory:  pages stay with the arena until it is destroyed, for its next allocation. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena;

/* arena_create makes an empty arena; arena_destroy ends it (NULL is fine).  What is still
   allocated in it by then is gone (jemalloc) or leaks (system): free it first. */
struct arena *arena_create(void);
void arena_destroy(struct arena *arena);

/* arena_own makes the calling thread the owner.  Optional; a lane calls it when its thread
   starts, while no other thread uses the arena.  A later owner may take over the same way. */
void arena_own(struct arena *arena);

/* arena_alloc gives len bytes aligned to align, a power of two from 8; zeroed by _zalloc.
   Never NULL for want of a length: 0 counts as 1.  arena_free takes back what the same arena
   gave; NULL is fine. */
void *arena_alloc(struct arena *arena, size_t len, size_t align);
void *arena_zalloc(struct arena *arena, size_t len, size_t align);
void arena_free(struct arena *arena, void *ptr);

/* arena_used is the bytes handed out and not yet freed, as the allocator rounds them up. */
size_t arena_used(const struct arena *arena);

#endif
