/* SPDX-License-Identifier: Apache-2.0 */
/* perf_crowd_side.h - the crowd as the receiving side of a run: its DPDK, its port and its lane.

   Threads: one ordinary thread, the process' first.  Units: none.
   Errors:  false, with one sentence in err. */
#ifndef PERF_CROWD_SIDE_H
#define PERF_CROWD_SIDE_H

#include "perf_crowd.h"
#include "perf_group.h"

struct perf_crowd_side {
    struct perf_crowd crowd;
    struct pkt_pool *pool;
    struct port *port;
    bool running;
};

/* perf_crowd_open meets the node `node` and returns once all members of group have their link; its
   sink and references are made. */
bool perf_crowd_open(struct perf_crowd_side *side, struct perf_group *group,
                     const char *dir, uint64_t node, const uint8_t key[PROA_KEY_LEN],
                     char *err, size_t err_len);
void perf_crowd_close(struct perf_crowd_side *side); /* accepts what open left */

#endif
