/* SPDX-License-Identifier: Apache-2.0 */
/* kad_net.h - a network of Kademlia nodes in one process, in virtual time.

   Nodes have addresses 169.254.x.y:7400.  Datagrams take a random delay and may be lost,
   doubled or reordered; groups of nodes may be cut off from each other; nodes are killed
   without a word and started again as new lives at the same address; each has its own wall
   clock.  All of it follows from one seed, and a hash over everything that was sent tells
   whether two runs were the same.

   Threads: one.  Errors: the test fails. */
#ifndef PROA_TEST_KAD_NET_H
#define PROA_TEST_KAD_NET_H

#include "kad.h"

#define NET_OPS_MAX 64   /* finished operations remembered per node */
#define NET_NAMES_MAX 64 /* names whose changes are remembered per node */
#define NET_START (1000 * PROA_S)
#define NET_WALL_START UINT64_C(1700000000000)

struct net_change {
    char name[PROA_NAME_MAX + 1];
    struct kad_event last;
    unsigned changes;
    proa_ns at;
};

struct net_node {
    struct kad *kad; /* NULL: not running */
    void *memory;
    struct proa_addr addr;
    struct identity identity;
    int64_t skew_ms; /* of its wall clock */
    unsigned group;  /* only nodes of one group reach each other */
    unsigned lives;
    uint64_t unreachable; /* bit i: its datagrams do not reach node i (i < 64) */
    bool deaf;            /* takes nothing in: silent, but its sends go out */
    proa_ns next;         /* its deadline */
    struct kad_event results[NET_OPS_MAX];
    unsigned result_count;
    struct proa_addr peers[KAD_PEERS_MAX]; /* of the last KAD_PEERS */
    struct net_change changes[NET_NAMES_MAX];
    unsigned change_count;
    unsigned lost, heard, silent, joined;
    struct kad_event last_lost, last_heard;
    uint64_t sent, received;
};

struct net_faults {
    unsigned loss, dup, reorder; /* of 1,000 datagrams */
    proa_ns delay, jitter;       /* one way: delay + [0, jitter) */
};

struct net_flight;

struct net {
    proa_ns now;
    uint64_t seed, random;
    uint64_t trace; /* over all datagrams sent */
    struct net_faults faults;
    struct cluster_keys keys;
    struct net_node *nodes;
    unsigned count;
    struct net_flight *flights; /* a heap by arrival */
    uint32_t flight_count, flight_cap;
    uint64_t flight_serial;
    uint64_t delivered;
    uint32_t store_max, names_max, peers_max; /* of nodes started from now on */
};

struct net *net_create(unsigned nodes, uint64_t seed);
void net_destroy(struct net *net);

/* net_start boots node i; `through` is the node it knows, or i itself: it is the first.
   net_start_seeds gives several. */
void net_start(struct net *net, unsigned i, unsigned through);
void net_start_seeds(struct net *net, unsigned i, const unsigned *through,
                     unsigned count);
void net_start_keys(struct net *net, unsigned i, unsigned through,
                    const struct cluster_keys *keys);
void net_kill(struct net *net, unsigned i);

void net_run(struct net *net, proa_ns span);
/* Runs until node i has the result of op, or `span` passed; NULL then. */
const struct kad_event *net_wait(struct net *net, unsigned i, uint32_t op, proa_ns span);

/* Register and look up, run to the end; the event's outcome. */
enum proa_outcome net_register(struct net *net, unsigned i, const char *name,
                               proa_ns span);
enum proa_outcome net_lookup(struct net *net, unsigned i, const char *name, bool fast,
                             proa_ns span, struct kad_event *ret);
struct net_change *net_changes(struct net *net, unsigned i, const char *name);

/* After a call to a node from outside: sends what it wants sent, takes its events. */
void net_settle(struct net *net, unsigned i);

/* Hands a datagram to a node as if it came from addr. */
bool net_inject(struct net *net, unsigned i, const struct proa_addr *from,
                const uint8_t *pkt, size_t len);
uint64_t net_wall(const struct net *net, unsigned i);
uint64_t net_random(struct net *net);

/* Runs until every running node has joined and knows at least `contacts` nodes; fails the
   test after span. */
void net_run_joined(struct net *net, unsigned contacts, proa_ns span);

#endif
