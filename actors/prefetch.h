/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.h - fetching a cache line before it is written.

   __builtin_prefetch(p, 1) only reads it on x86-64, unless built for a processor with PREFETCHW;
   elsewhere that instruction does nothing.

   Threads: any.  Any address will do, also one that is not mapped. */
#ifndef PREFETCH_H
#define PREFETCH_H

static inline void prefetch_write(const void *line)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
    __builtin_prefetch(line, 1);
#endif
}

#endif
