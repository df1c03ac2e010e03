/* SPDX-License-Identifier: Apache-2.0 */
/* node_internal.h - a running node from inside: what node.c builds and the shell's parts share.

   Threads: built and torn down by one ordinary thread; each field says who else touches it.
   Units:   proa_ns, bytes.  Errors: enum proa_outcome with a sentence in err. */
#ifndef NODE_INTERNAL_H
#define NODE_INTERNAL_H

#include <proa/client.h>
#include <proa/node.h>
#include <pthread.h>

#include "client_home.h"
#include "core.h"
#include "lane.h"
#include "offload_pool.h"
#include "cores.h"
#include "privileges.h"
#include "state.h"
#include "watchdog.h"

#define NODE_UP_BYTES (1u << 20) /* of a lane's ring to the control thread */
#define NODE_DOWN_BYTES (1u << 20)
#define NODE_NOTES_BYTES (1u << 18) /* of events, dead letters and log lines */
#define NODE_PAIR_ITEMS 2048u       /* of a pair ring */
#define NODE_INBOX_ITEMS 1024u
#define NODE_NAMES_MAX (1u << 20) /* names in the directory */

/* Longest wait for offloaded jobs at the end.  Source: node.h */
#define NODE_OFFLOAD_FOR (2 * PROA_S)

struct cli;

struct node_lane {
    struct lane *lane;
    struct arena *arena;
    struct pkt_pool *pool;
    struct byte_ring *up, *down, *notes;
    struct doorbell bell;
    struct inbox *inbox;
    int reader;
    int core;
    bool running;
    pthread_t thread; /* of a node without DPDK (ring ports only) */
    struct proa_node *node;
};

/* Work for the control thread, by node_call. */
struct node_call {
    void (*fn)(struct proa_node *node, void *ctx);
    void *ctx;
    bool done;
};

struct proa_node {
    struct proa_config config;
    struct state state; /* directory, lock and key */
    struct privileges privileges;
    struct port *ports[PROA_PORTS_MAX];
    unsigned port_count;
    struct proa_addr address;
    const struct proa_behaviour *allowed[PROA_ALLOW_MAX]; /* config.allow_spawn, found */
    struct cores cores;
    struct directory *directory;
    struct node_lane lanes[PROA_LANES_MAX];
    unsigned lane_count;
    struct pair_ring *pairs[PROA_LANES_MAX][PROA_LANES_MAX]; /* [from][to] */
    struct core *core;                                       /* the control thread's */
    struct watchdog watchdog;                                /* too */
    struct doorbell control_bell;
    struct client_home home;
    struct offload *offload;   /* NULL: no pool */
    struct offload_pool *pool; /* which owns it */
    bool on_dpdk, eal_started;

    _Atomic bool lanes_stop, control_stop, stopping;
    bool control_running;
    pthread_t control_thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    bool joined, left, leave_wanted;
    struct node_call *call; /* one at a time */
    struct cli *cli;
};

/* thread.c */
bool thread_start(struct proa_node *node);
void thread_leave(struct proa_node *node, proa_ns longest); /* core_leave, and waits */
void thread_stop(struct proa_node *node);
/* Runs fn on the control thread and waits.  Ordinary threads only. */
void node_call(struct proa_node *node, void (*fn)(struct proa_node *node, void *ctx),
               void *ctx);

#endif
