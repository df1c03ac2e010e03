/* SPDX-License-Identifier: Apache-2.0 */
/* cross_loops.h - the loops that bench_cross times: two lanes' schedulers and the rings between them.

   In C, since the schedulers' headers are; the benchmark is C++.

   Threads: the caller's is lane 0, on core 0; lane 1 has a thread of its own on core 1, or takes turns
            with lane 0, so that no cache line has to move; then no handler's time is limited, that a
            slow run (callgrind's) takes the same path.
   Units:   messages.  Errors: NULL without memory or thread. */
#ifndef CROSS_LOOPS_H
#define CROSS_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cross_loops;

/* cross_loops_create: payload of 8 to 56 bytes, a multiple of 8; in_turns: on one core. */
struct cross_loops *cross_loops_create(uint32_t payload, bool in_turns);
void cross_loops_destroy(struct cross_loops *l);

/* count: an actor of lane 0 tells one of lane 1, which adds up what it reads.  round_trips: they tell
   each other.  Each does n, and returns once lane 1 has done its part. */
void cross_loops_count(struct cross_loops *l, uint64_t n);
void cross_loops_round_trips(struct cross_loops *l, uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
