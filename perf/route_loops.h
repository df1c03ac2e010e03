/* SPDX-License-Identifier: Apache-2.0 */
/* route_loops.h - the loops bench_route.cc times, in C for C's atomics.

   A directory with one group of `members` actors on 64 nodes, one of them this one, its name 32
   bytes long; and a thousand names, to look one up beside it.  Each loop asserts that its thread
   allocated nothing, but for join and publish.

   Threads: one.  Units: picks, lookups, joins; members.
   Errors:  NULL without memory. */
#ifndef ROUTE_LOOPS_H
#define ROUTE_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct route_loops;

struct route_loops *route_loops_create(uint32_t members);
void route_loops_destroy(struct route_loops *loops);

/* n picks by a policy (enum proa_policy), with what they cost: hash of the name, finding the group,
   picking.  dependent: each begins when the one before has ended. */
void route_loops_pick(struct route_loops *loops, int policy, bool dependent, uint64_t n);

/* n hashes of the group's name; n lookups of one name of a thousand. */
void route_loops_hash(struct route_loops *loops, uint64_t n);
void route_loops_lookup(struct route_loops *loops, uint64_t n);

/* n times: one member leaves, and joins.  Nothing is published. */
void route_loops_join(struct route_loops *loops, uint64_t n);

/* n times: one member leaves or joins, and a view is made. */
void route_loops_publish(struct route_loops *loops, uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
