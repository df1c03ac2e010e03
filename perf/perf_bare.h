/* SPDX-License-Identifier: Apache-2.0 */
/* perf_bare.h - the bare limit beside the modes on two lanes: a single-producer ring of words
   between two threads, and nothing else (pair_ring_loops.h).

   Threads: one; it is pinned to core 0 afterwards, so call it in a process of its own.
   Units:   messages per second, proa_ns.  Errors: false without memory or thread. */
#ifndef PERF_BARE_H
#define PERF_BARE_H

#include <proa/types.h>

struct perf_bare {
    double words_per_s; /* 8 bytes each, one index store for each */
    proa_ns word_trip;  /* median of the round trips, a thousand at a time */
    double items_per_s; /* through a bare pair ring, 32 bytes of payload */
    proa_ns item_trip;
};

bool perf_bare_rings(struct perf_bare *ret);

#endif
