/* SPDX-License-Identifier: Apache-2.0 */
/* perf_run.h - one measurement: nodes, actors, and what came of them.

   Over vhost and udp two processes with a node each; over ring two nodes in one process; local
   and cross modes are two actors of one node.  All run in children of the caller, whose process
   never starts a node.

   Threads: one ordinary thread.  Units: proa_ns; counts are messages.
   Errors:  false: result->error says what. */
#ifndef PERF_RUN_H
#define PERF_RUN_H

#include "perf_node.h"
#include "perf_watch.h"

/* Of the round trips timed. */
struct perf_trips {
    uint64_t count;
    proa_ns least, p50, p90, p99, p999, most;
};

/* What the sending side knows. */
struct perf_sent {
    uint64_t messages, sum; /* tells or asks accepted, and all their words */
    uint64_t measured;      /* of these, in the measured time */
    uint64_t answered;      /* replies or PONGs in the measured time */
    proa_ns span;           /* the measured time */
    uint64_t again, full, mallocs;
    struct perf_trips trips;
    struct perf_node_stats stats;
};

/* What the receiving side knows. */
struct perf_received {
    uint64_t messages, sum;
    uint64_t gaps, repeats, wrong, unequal;
    uint32_t unfinished; /* receivers whose LAST never came */
    uint64_t measured;   /* messages from MARK to LAST */
    proa_ns span;        /* and the time between */
    uint64_t mallocs;
    struct perf_node_stats stats;
    struct perf_watched watched; /* with a flood beside it */
};

struct perf_result {
    bool ok; /* it ran to its end; perf_result_checked says whether it was right */
    char error[320];
    struct perf_sent sent;
    struct perf_received received;
};

/* perf_run measures; dir is an empty directory for sockets and state. */
bool perf_run(const struct perf_options *options, const char *dir,
              struct perf_result *result);

/* Every message arrived once, in order and whole, and both sides count the same. */
bool perf_result_checked(const struct perf_result *result);

/* Messages per second: tells as the receiver saw them, replies as the asker did, both
   directions of a pingpong. */
double perf_result_rate(const struct perf_options *options,
                        const struct perf_result *result);

#endif
