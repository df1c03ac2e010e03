/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h - large tables: zeroed memory straight from the kernel, in huge pages if it has some.

   A table read at random misses the TLB at each read when it lies in 4 KiB pages; over 64 MB
   that is a third of the cost of a read (perf/bench_directory).  So tables of 2 MiB and more
   are aligned to 2 MiB and marked for transparent huge pages; where the kernel has none, they
   are ordinary pages.

   Threads: any.  Units: bytes.  Errors: NULL. */
#ifndef PAGES_H
#define PAGES_H

#include <stddef.h>

void *pages_map(size_t len);
void pages_unmap(void *ptr, size_t len); /* the same len; NULL is fine */

#endif
