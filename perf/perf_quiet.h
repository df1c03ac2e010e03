/* SPDX-License-Identifier: Apache-2.0 */
/* perf_quiet.h - what a node's threads take of a core while nothing is sent.

   Counted is the time between SETTLE after the silence began and SPARE before it ends.  The
   caller's own thread, which looks at the clock, does not count.

   Threads: the ordinary thread that waits.  Units: proa_ns.
   Errors:  span 0: the silence was too short, or the kernel keeps no such account. */
#ifndef PERF_QUIET_H
#define PERF_QUIET_H

#include "perf_node.h"

#define PERF_QUIET_SETTLE (200 * PROA_MS)
#define PERF_QUIET_SPARE (100 * PROA_MS)

struct perf_quiet {
    proa_ns span;     /* counted */
    proa_ns lane;     /* of this, lane 0's thread ran */
    proa_ns process;  /* and all of the node's threads */
    uint64_t wakeups; /* of the lane */
    bool begun, ended;
};

/* perf_quiet_step takes a sample when it is time; call each few milliseconds.  began: when the
   silence did, 0: not yet. */
void perf_quiet_step(struct perf_quiet *quiet, const struct perf_node *node,
                     proa_ns began, proa_ns silence);

#endif
