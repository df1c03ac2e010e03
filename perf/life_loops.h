/* SPDX-License-Identifier: Apache-2.0 */
/* life_loops.h - the loops that bench_life times: failing, restarting, watching, on one lane.

   In C, since the schedulers' headers are; the benchmark is C++.

   Threads: one.  Units: counts, nanoseconds.  Errors: NULL without memory. */
#ifndef LIFE_LOOPS_H
#define LIFE_LOOPS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct life_loops;

/* life_loops_create makes a lane with `supervisors` supervisors of `children` children each,
   64 bytes of state, restarted one by one without a limit that matters. */
struct life_loops *life_loops_create(uint32_t supervisors, uint32_t children);
void life_loops_destroy(struct life_loops *t);

/* Fails n children, one after the other, each restarted: ns of all from the failing handler's
   message to the new life's start, delivery of that message included. */
uint64_t life_loops_restart(struct life_loops *t, uint64_t n);

/* Delivers n messages to the children in a scrambled order; each `fail_every`-th makes its
   receiver fail (0: none).  Returns the ns it took. */
uint64_t life_loops_traffic(struct life_loops *t, uint64_t n, uint64_t fail_every);

/* n monitors of actors on another node: ns to make them, bytes of one, ns until all n watchers
   have had NODE_LOST. */
struct life_monitors {
    uint64_t make_ns, bytes, lost_ns;
};
struct life_monitors life_loops_monitors(struct life_loops *t, uint32_t n);

#ifdef __cplusplus
}
#endif

#endif
