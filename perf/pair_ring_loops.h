/* SPDX-License-Identifier: Apache-2.0 */
/* pair_ring_loops.h - the loops bench_pair_ring.cc times, in C for C's atomics.

   Two threads: the caller on core 0 and one of our own on core 1, which receives (counting) or
   answers (round trips).  Beside the pair ring, two raw limits in the same run: a bare SPSC
   index ring of 8-byte words, and one cache line that goes back and forth.

   Threads: one caller.  Units: messages.  Errors: NULL without memory or thread. */
#ifndef PAIR_RING_LOOPS_H
#define PAIR_RING_LOOPS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pair_loop {
    PAIR_LOOP_COUNT, /* one way, payload_len bytes each, published by the batch */
    PAIR_LOOP_TRIP,  /* round trips, one message in flight */
    PAIR_LOOP_NODES, /* one way, payload in nodes that come home */
    PAIR_LOOP_WORDS_COUNT,
    PAIR_LOOP_WORDS_TRIP,
    PAIR_LOOP_LINE_TRIP,
};

struct pair_loops;

struct pair_loops *pair_loops_create(enum pair_loop loop, uint32_t capacity,
                                     uint32_t payload_len);
void pair_loops_destroy(struct pair_loops *loops);

/* Runs n messages or round trips; returns when all have arrived and were checked. */
void pair_loops_run(struct pair_loops *loops, uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
