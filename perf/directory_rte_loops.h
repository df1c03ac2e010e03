/* SPDX-License-Identifier: Apache-2.0 */
/* directory_rte_loops.h - the same lookups in DPDK's rte_hash, beside ours.

   In its lock-free mode (RW_CONCURRENCY_LF), one key at a time, keys of 32 bytes hashed by CRC, the
   data a word: what a user would take who has DPDK already.

   Threads: one caller.  Units: lookups.  Errors: NULL without memory. */
#ifndef DIRECTORY_RTE_LOOPS_H
#define DIRECTORY_RTE_LOOPS_H

#include "directory_loops.h"

#ifdef __cplusplus
extern "C" {
#endif

struct directory_rte;

/* The names and their sequence are borrowed; one at a time. */
struct directory_rte *directory_rte_create(const struct directory_loops *names);
void directory_rte_destroy(struct directory_rte *rte);
void directory_rte_independent(struct directory_rte *rte, uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
