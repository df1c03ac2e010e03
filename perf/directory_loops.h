/* SPDX-License-Identifier: Apache-2.0 */
/* directory_loops.h - the loops bench_directory.cc times, in C for C's atomics.

   A directory of `names` 32-byte names, all on one live node.  The names to look up lie one
   after the other in memory in the (random) order in which they are looked up, so that what is
   measured is hash and table, not the fetching of names; of few names the sequence too stays in
   the second cache, else reading it from memory is half of a hot lookup.

   Threads: one caller; the writer is a thread of our own on core 1.  Units: lookups; ns.
   Errors:  NULL without memory. */
#ifndef DIRECTORY_LOOPS_H
#define DIRECTORY_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIRECTORY_LOOPS_NAME 32u /* bytes of each name */

struct directory_loops;

struct directory_loops *directory_loops_create(uint32_t names);
void directory_loops_destroy(struct directory_loops *loops);

uint32_t directory_loops_names(const struct directory_loops *loops);
const uint8_t *directory_loops_name(const struct directory_loops *loops, uint32_t number);
/* The names to look up, `*ret_count` (a power of two) before the sequence begins again. */
const uint8_t *directory_loops_sequence(const struct directory_loops *loops,
                                        uint64_t *ret_count);

/* n lookups, each free to begin before the last has ended. */
void directory_loops_independent(struct directory_loops *loops, uint64_t n);

/* n lookups, each of whose names depends on the result of the one before. */
void directory_loops_dependent(struct directory_loops *loops, uint64_t n);

/* The raw limit: n steps of a pointer chase over as many bytes as the table has. */
void directory_loops_chase(struct directory_loops *loops, uint64_t n);

/* n hashes of names, without a table. */
void directory_loops_hash(struct directory_loops *loops, uint64_t n);

/* n updates by the writer's functions, on the caller's thread. */
void directory_loops_update(struct directory_loops *loops, uint64_t n);

/* Times `batches` batches of 64 independent lookups, while a writer on core 1 makes
   updates_per_s updates (0: none) of written's directory: of the same one, or of another, which
   tells what lines that two cores share cost from what a second busy core does.  ns per batch:
   median and 99th percentile; *ret_updates is what the writer reached. */
void directory_loops_with_writer(struct directory_loops *loops,
                                 struct directory_loops *written, uint32_t batches,
                                 uint64_t updates_per_s, double *ret_p50, double *ret_p99,
                                 double *ret_updates);

#ifdef __cplusplus
}
#endif

#endif
