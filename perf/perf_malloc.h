/* SPDX-License-Identifier: Apache-2.0 */
/* perf_malloc.h - counts what a thread allocates: the proof of "0 malloc per message".

   perf_malloc.c defines malloc, calloc, realloc, free's relatives and mmap for the whole
   program, shared libraries included (DPDK, its drivers, libc), and counts each call in its
   thread before it passes it on; rte_malloc and its relatives, DPDK's own heap, likewise.  What
   the lanes' arenas hand out is counted too: programs link with -Wl,--wrap=proa_je_mallocx
   (perf/meson.build), so that each allocation from the private jemalloc passes here; with
   -Dallocator=system arenas use malloc and need nothing.

   Counters are thread-local: what the control thread or EAL's threads do while messages flow
   is not a lane's.

   Threads: any.  Units: calls.  Errors: none. */
#ifndef PERF_MALLOC_H
#define PERF_MALLOC_H

#include <stdint.h>

enum perf_malloc_kind {
    PERF_MALLOC_HEAP, /* malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign */
    PERF_MALLOC_FREE,  /* free */
    PERF_MALLOC_ARENA, /* mallocx of the lanes' arenas */
    PERF_MALLOC_DPDK,  /* rte_malloc and relatives */
    PERF_MALLOC_PAGES, /* mmap */
    PERF_MALLOC_KINDS
};

struct perf_malloc {
    uint64_t calls[PERF_MALLOC_KINDS];
};

/* perf_malloc_mine reads the calling thread's counters. */
struct perf_malloc perf_malloc_mine(void);

/* perf_malloc_since is how many allocations (frees aside) the calling thread made since. */
uint64_t perf_malloc_since(const struct perf_malloc *before);

/* The kind in lower case for people: "heap". */
const char *perf_malloc_name(enum perf_malloc_kind kind);

#endif
