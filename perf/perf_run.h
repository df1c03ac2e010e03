/* SPDX-License-Identifier: Apache-2.0 */
/* perf_run.h - one measurement: nodes, actors, and what came of them.

   Over vhost and udp two processes with a node each; over ring two nodes in one process; local
   and cross modes are actors of one node.  All run in children of the caller, whose process
   never starts a node.

   Threads: one ordinary thread.  Units: proa_ns; counts are messages.
   Errors:  false: result->error says what. */
#ifndef PERF_RUN_H
#define PERF_RUN_H

#include "perf_group.h"
#include "perf_quiet.h"
#include "perf_watch.h"

struct perf_result {
    bool ok;       /* it ran to its end; perf_result_checked says whether it was right */
    bool not_here; /* it cannot run for want of root or a package */
    char error[320];
    uint32_t groups; /* of the following, as perf_groups_plan has them */
    struct perf_sent sent[PERF_GROUPS_MAX];
    struct perf_received received[PERF_GROUPS_MAX];
    struct perf_watched watched;                  /* with a flood beside it */
    struct perf_quiet sent_quiet, received_quiet; /* mode idle */
    struct perf_trips first;                      /* likewise: one way, after silence */
};

/* perf_run measures; dir is an empty directory for sockets and state. */
bool perf_run(const struct perf_options *options, const char *dir,
              struct perf_result *result);

/* Every message of all groups arrived once, in order and whole, and both sides count the same. */
bool perf_result_checked(const struct perf_result *result);

/* Messages per second of the first group, and of those like it on other lanes. */
double perf_result_rate(const struct perf_options *options,
                        const struct perf_result *result);

#endif
