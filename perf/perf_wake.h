/* SPDX-License-Identifier: Apache-2.0 */
/* perf_wake.h - the sending actor of mode idle: silence, and then messages each after a silence.

   The waker says MARK when the warm-up is over, is silent for the measured time (perf_quiet.h looks
   at the cores meanwhile), and then asks PERF_WAKES times, PERF_WAKE_LEAST to PERF_WAKE_MOST apart,
   so that every lane has gone to sleep.  Both ends read the same clock: both processes are on one
   machine.

   Threads: as perf_load.h.  Units: proa_ns.
   Errors:  as perf_load.h. */
#ifndef PERF_WAKE_H
#define PERF_WAKE_H

#include "perf_load.h"

#define PERF_WAKES 100u
#define PERF_WAKE_LEAST (10 * PROA_MS)
#define PERF_WAKE_MOST (30 * PROA_MS)

/* Spawned with the address of a struct perf_load *, as perf_loader. */
extern const struct proa_behaviour perf_waker;

#endif
