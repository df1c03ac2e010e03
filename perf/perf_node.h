/* SPDX-License-Identifier: Apache-2.0 */
/* perf_node.h - the nodes of a benchmark: started by options, looked into afterwards.

   Threads: one ordinary thread.  Units: proa_ns, bytes.
   Errors:  false, with one sentence in err. */
#ifndef PERF_NODE_H
#define PERF_NODE_H

#include <proa/client.h>
#include <proa/node.h>

#include "perf_options.h"

#define PERF_JOIN_FOR (10 * PROA_S)
#define PERF_SPAWN_FOR (10 * PROA_S)

/* What one node is started with. */
struct perf_node_args {
    const struct perf_options *options;
    const char *dir;  /* of this run: sockets, state; borrowed */
    const char *seed; /* another node's address, or NULL */
    bool second; /* the second node of the run: connects, has another state directory */
    unsigned lanes;
    int core; /* of the first lane; the next ones follow */
    uint8_t cluster_key[PROA_KEY_LEN];
};

struct perf_node {
    struct proa_node *node;
    struct proa_client *client;
};

/* perf_node_start also joins.  perf_node_stop accepts what a failed start left. */
bool perf_node_start(struct perf_node *n, const struct perf_node_args *args, char *err,
                     size_t err_len);
void perf_node_stop(struct perf_node *n);

bool perf_node_spawn(struct perf_node *n, uint32_t lane,
                     const struct proa_behaviour *behaviour, const void *arg,
                     size_t arg_len, struct proa_ref *ret, char *err, size_t err_len);

/* What a lane tells of its links (the one that sent most), and of the node's port. */
struct perf_node_stats {
    uint64_t links, tx_packets, tx_messages, rx_packets, rx_messages, acks_tx, acks_rx;
    uint64_t resends, spurious, rto, again, cwnd, window, srtt_ns, min_rtt_ns;
    uint64_t port_drops, loops, busy_loops, busy_ns, idle_ns, loop_gap_max_ns;
    uint64_t in_place, mailbox; /* messages run without a queue, and with one */
    bool huge;
};

/* Counters that only grow, cheap enough to be read while it runs. */
struct perf_node_counts {
    uint64_t messages; /* run on the lane */
    uint64_t rx;       /* packets the lane took */
    uint64_t punted, punt_full, unknown_link, wrong_source, short_packets, port_drops;
};

void perf_node_counts(const struct perf_node *n, uint32_t lane,
                      struct perf_node_counts *ret);
/* sum += to - from */
void perf_node_counts_add(struct perf_node_counts *sum,
                          const struct perf_node_counts *from,
                          const struct perf_node_counts *to);

/* What its port says of itself. */
void perf_node_port_state(const struct perf_node *n, char *buf, size_t len);

void perf_node_stats(const struct perf_node *n, uint32_t lane,
                     struct perf_node_stats *ret);

/* The thread of this process' lane, in /proc; 0: not found.  How long a thread had a core so far;
   0: the kernel does not say. */
int perf_node_lane_thread(uint32_t lane);
proa_ns perf_node_thread_ran(int thread);

#endif
