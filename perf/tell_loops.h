/* SPDX-License-Identifier: Apache-2.0 */
/* tell_loops.h - the loops that bench_tell times: one lane's scheduler by itself.

   In C, since the schedulers' headers are; the benchmark is C++.

   Threads: one.  Units: messages, nanoseconds.  Errors: NULL without memory. */
#ifndef TELL_LOOPS_H
#define TELL_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tell_loops;

/* tell_loops_create makes a scheduler with `actors` counters (and what the loops need). */
struct tell_loops *tell_loops_create(uint32_t actors);
void tell_loops_destroy(struct tell_loops *t);

/* Each returns how many it did, at least n.
   count: a sender tells one counter (actors 1) or each of them in a scrambled order.
   ping_pong: two actors tell each other.  ask: one asks, one replies, one in flight.
   spawn: actors of 64 bytes of state begin and end.  timers: started and cancelled. */
uint64_t tell_loops_count(struct tell_loops *t, uint64_t n, uint32_t payload);
uint64_t tell_loops_ping_pong(struct tell_loops *t, uint64_t n);
uint64_t tell_loops_ask(struct tell_loops *t, uint64_t n);
uint64_t tell_loops_spawn(struct tell_loops *t, uint64_t n);
uint64_t tell_loops_timers(struct tell_loops *t, uint64_t n);
/* The same while so many others run. */
uint64_t tell_loops_timers_beside(struct tell_loops *t, uint64_t n, uint32_t running);

/* What timers that end cost a lane, by call of sched_timers. */
struct tell_loops_expiry {
    double mean_ns;           /* of a timer, its cascades included */
    double p999_ns, worst_ns; /* of a call */
    uint32_t most;            /* expiries and cascades of a call */
};

/* Starts so many timers, within two seconds, one in 16 at one moment, and runs them out.  False: they did
   not all end. */
bool tell_loops_timers_expire(struct tell_loops *t, uint32_t timers,
                              struct tell_loops_expiry *ret);

uint64_t tell_loops_deliver(struct tell_loops *t, uint64_t n);

/* The machine's own speed: n multiplications, each waiting for the one before.  A core that is
   ours alone does one in 3 or 4 cycles, 1 G/s at 3 GHz; where it does fewer, other figures shrink
   with it. */
uint64_t tell_loops_multiplications(uint64_t n);

/* Bytes of slot and state of one idle actor with 64 bytes of state. */
uint64_t tell_loops_actor_bytes(struct tell_loops *t);

#ifdef __cplusplus
}
#endif

#endif
