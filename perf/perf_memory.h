/* SPDX-License-Identifier: Apache-2.0 */
/* perf_memory.h - what a process holds of memory, as the kernel counts it.

   Threads: any.  Units: bytes.  Errors: 0: there is no such process. */
#ifndef PERF_MEMORY_H
#define PERF_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/* Anonymous pages in memory (RssAnon): neither files nor huge pages. */
uint64_t perf_memory_anonymous(pid_t pid);

#endif
