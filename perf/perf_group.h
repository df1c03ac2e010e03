/* SPDX-License-Identifier: Apache-2.0 */
/* perf_group.h - one load and its receivers; a run has one of them, or several side by side.

   The first group is what is measured.  Beside it there are, with `bulk`, a load of bulk messages
   that works until the first is over, and, with `lanes`, one group like the first on each further
   lane.  Both sides plan the same groups from the same options.

   Threads: ordinary threads, one for each side.
   Units:   proa_ns; counts are messages.
   Errors:  false, with one sentence in err. */
#ifndef PERF_GROUP_H
#define PERF_GROUP_H

#include "perf_clock.h"
#include "perf_load.h"
#include "perf_node.h"
#include "perf_process.h"
#include "perf_sink.h"

#define PERF_GROUPS_MAX PERF_LANES_MAX

/* What the sending side knows of a group. */
struct perf_sent {
    uint64_t messages, sum; /* tells or asks accepted, and all their words */
    uint64_t measured;      /* of these, in the measured time */
    uint64_t answered;      /* replies or PONGs in the measured time */
    uint64_t unsent;        /* due in the measured time, not sent by its end */
    proa_ns span;           /* the measured time */
    uint64_t again, full, mallocs;
    struct perf_trips trips;
    struct perf_node_stats stats;
};

/* What the receiving side knows. */
struct perf_received {
    uint64_t messages, sum;
    uint64_t gaps, repeats, wrong, misdelivered, unequal;
    uint32_t unfinished; /* receivers whose LAST never came */
    uint64_t measured;   /* messages from MARK to LAST */
    proa_ns span;        /* and the time between */
    uint64_t mallocs;
    struct perf_node_stats stats;
};

struct perf_group {
    struct perf_options options;
    uint32_t send_lane, receive_lane;
    struct perf_sink *sink; /* receiving side */
    struct proa_ref maker;  /* of the receivers; none: it was not made */
    struct proa_ref *refs;  /* of options.receivers */
    struct perf_load *load; /* sending side */
};

struct perf_groups {
    uint32_t count;
    struct perf_group group[PERF_GROUPS_MAX];
};

/* perf_groups_plan fills in options and lanes.  perf_groups_fini frees what the groups own: after
   their nodes were closed, since actors use it. */
void perf_groups_plan(struct perf_groups *groups, const struct perf_options *options);
void perf_groups_fini(struct perf_groups *groups);

/* All references of all groups, as they go from one side to the other. */
bool perf_groups_refs(struct perf_groups *groups, char *err, size_t err_len); /* room */
bool perf_groups_write_refs(const struct perf_groups *groups,
                            const struct perf_pipe *pipe);
bool perf_groups_read_refs(struct perf_groups *groups, const struct perf_pipe *pipe,
                           proa_ns patience);

/* ---- The receiving side ---- */

/* perf_groups_receive makes all receivers on node. */
bool perf_groups_receive(struct perf_groups *groups, struct perf_node *node, char *err,
                         size_t err_len);
bool perf_groups_received_all(const struct perf_groups *groups);
void perf_group_received(const struct perf_group *group, const struct perf_node *node,
                         struct perf_received *ret);

/* ---- The sending side ---- */

/* perf_groups_send starts all loads on node. */
bool perf_groups_send(struct perf_groups *groups, struct perf_node *node,
                      double ns_per_tick, char *err, size_t err_len);
/* perf_groups_sent_all is true when all loads are over; err is set when one has failed. */
bool perf_groups_sent_all(const struct perf_groups *groups, char *err, size_t err_len);
void perf_groups_say_where(const struct perf_groups *groups, char *buf, size_t len);
void perf_group_sent(const struct perf_group *group, const struct perf_node *node,
                     struct perf_sent *ret);

/* ---- Both ---- */

/* Every message arrived once, in order and whole, and both sides count the same. */
bool perf_group_checked(const struct perf_sent *sent,
                        const struct perf_received *received);

/* Messages per second: tells as the receiver saw them, replies as the asker did, both
   directions of a pingpong. */
double perf_group_rate(const struct perf_options *options, const struct perf_sent *sent,
                       const struct perf_received *received);

#endif
