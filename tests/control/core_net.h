/* SPDX-License-Identifier: Apache-2.0 */
/* core_net.h - cores joined by a network of plain memory, in virtual time.

   Each node is a core with its directory, its rings and lanes that do the little control needs
   of them: they carry datagrams, remember the links they were given, say LINK_UP when one was
   heard and LINK_ENDED when told to end it.  Everything else a core says to a lane is written
   down, for the test to look at.

   Threads: one.  Units: proa_ns.  Errors: asserted (cmocka). */
#ifndef CORE_NET_H
#define CORE_NET_H

#include "core.h"
#include "packet.h"

#define NET_NODES_MAX 12
#define NET_LANES_MAX 4
#define NET_FLIGHT_MAX 8192
#define NET_LOG_MAX 4096
#define NET_LINKS_MAX 512
#define NET_DELAY (50 * PROA_US)
#define NET_RING_BYTES (1u << 20)

struct net_link {
    struct punt_link_open open;
    bool heard, ended;
    proa_ns opened_at;
};

struct net_record {
    unsigned lane;
    enum punt_kind kind;
    proa_ns at;
    union {
        struct punt_link_open open;
        struct punt_link link;
        struct punt_node node;
        struct punt_answer answer;
        struct punt_actor actor;
        struct punt_changed changed;
    };
    char name[PROA_NAME_MAX + 1]; /* behind an answer, a change or NAME_LOST */
};

struct net_node {
    struct core *core; /* NULL: dead */
    struct directory *directory;
    struct core_config config;
    struct proa_addr addr;
    struct port port, *ports[1];
    struct doorbell bells[NET_LANES_MAX];
    bool answers_links; /* its lanes say LINK_UP and LINK_ENDED by themselves */
    bool frozen;        /* its lanes do not read their down rings */
    uint64_t sent[16];  /* link packets by kind; [15]: KRPC */
    uint64_t mesh_sent; /* registry messages */
    struct net_link links[NET_LINKS_MAX];
    unsigned link_count;
    struct net_record log[NET_LOG_MAX];
    unsigned log_count;
};

struct net_flight {
    proa_ns at;
    unsigned to, lane;
    struct proa_addr from;
    uint64_t mesh_from; /* a registry message of this node, else 0 */
    uint32_t len;
    uint8_t *bytes;
};

struct net {
    proa_ns now;
    uint64_t random;
    uint32_t loss, duplicate, reorder; /* ppm */
    unsigned lanes;
    bool mesh; /* registry messages are carried, as if links were there; else lost */
    uint32_t mesh_nodes_max, mesh_published_max; /* of nodes to be started */
    bool cut[NET_NODES_MAX][NET_NODES_MAX];      /* [from][to] */
    /* Called for each datagram sent; false drops it.  May change it. */
    bool (*filter)(struct net *net, unsigned from, uint8_t *bytes, uint32_t len);
    void *ctx;
    struct net_node nodes[NET_NODES_MAX];
    unsigned count;
    struct net_flight flight[NET_FLIGHT_MAX];
    unsigned flight_count;
};

struct net *net_create(unsigned lanes, uint64_t seed);
void net_destroy(struct net *net);

/* net_add starts a node at 10.0.0.(index + 1); seed_node: index of its seed, or -1.  A node that
   was stopped can be started again at its place: another life at the same address. */
unsigned net_add(struct net *net, int seed_node);
void net_start(struct net *net, unsigned node, int seed_node);
void net_stop(struct net *net, unsigned node); /* dies without a word */

void net_run(struct net *net, proa_ns span);
/* Runs until cond or for at most span; returns whether it holds. */
bool net_until(struct net *net, bool (*cond)(struct net *net), proa_ns span);

uint64_t net_id(const struct net *net, unsigned node);
struct core_stats net_stats(const struct net *net, unsigned node);
uint64_t net_random(struct net *net);
uint64_t net_wall(const struct net *net);

/* What a lane says. */
void net_push(struct net *net, unsigned node, unsigned lane, enum punt_kind kind,
              const void *head, size_t head_len, const void *tail, size_t tail_len);
void net_need_link(struct net *net, unsigned node, unsigned lane, uint64_t to);
void net_link_report(struct net *net, unsigned node, const struct net_link *link,
                     enum punt_kind kind, uint32_t flags);
void net_name(struct net *net, unsigned node, enum punt_name_op op, const char *name,
              uint32_t slot, uint32_t correlation, uint32_t type, proa_ns span);
void net_datagram(struct net *net, unsigned node, unsigned lane,
                  const struct proa_addr *from, const void *bytes, size_t len);

/* What the core said: the last record of that kind (of that correlation, node or serial, 0: any), and
   how many there were. */
const struct net_record *net_said(const struct net *net, unsigned node,
                                  enum punt_kind kind, uint64_t what);
unsigned net_said_count(const struct net *net, unsigned node, enum punt_kind kind,
                        uint64_t what);
/* The open link of node to the id `to` on lane (PROA_LANES_MAX: any), NULL. */
struct net_link *net_link(struct net *net, unsigned node, unsigned lane, uint64_t to);
unsigned net_links(const struct net *net, unsigned node, uint64_t to);

/* net_two is two nodes of two lanes, joined for a second; net_both_linked: each has a link to the other. */
struct net *net_two(uint64_t seed);
bool net_both_linked(struct net *net);

#endif
