/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_net.h - linked registries in one process, in virtual time.

   Node i is reached at 169.254.x.y:7400.  Messages take a random delay and may be lost, doubled or
   reordered; nodes of different groups do not reach each other; nodes are killed without a word and
   started as new lives.  The network plays the caller: it pings whom a mesh wants resolved, and says
   that a node is down a second after it was killed or cut off.

   Beside the meshes stand books: what each node has published, and what each node was told of each
   other by events, as a count and an XOR of hashes.  All follows from one seed; a hash over all that
   was sent tells whether two runs were the same.

   Threads: one.  Errors: the test fails. */
#ifndef PROA_TEST_MESH_NET_H
#define PROA_TEST_MESH_NET_H

#include "mesh.h"

#define NET_START (1000 * PROA_S)
#define NET_NODES_MAX 80
#define NET_FAILURE PROA_S /* until a silent node is found to be dead */

/* A set of entries, to be compared. */
struct net_book {
    uint64_t hash;
    uint32_t count;
};

/* What a node was told of another that does not live any more, or that the test plays. */
struct net_other {
    uint64_t node;
    struct net_book book;
};

struct net_counts {
    unsigned linked, unlinked, synced, refused, unreachable, resolved;
    unsigned added, changed, removed;
};

struct net_node {
    struct mesh *mesh; /* NULL: not running */
    void *memory;
    struct kad_id id;
    uint64_t node;
    struct proa_addr addr;
    unsigned group, lives;
    proa_ns next;
    struct net_book own;                 /* published, by those who call net_publish */
    struct net_book seen[NET_NODES_MAX]; /* of each, as told by events */
    struct net_other *others;
    unsigned other_count;
    bool reaches[NET_NODES_MAX]; /* it has not been told that the node is down */
    struct net_counts counts;
    struct mesh_event
        last; /* of REFUSED, UNREACHABLE, LOADS_WANTED, ASKED, ...: its pointers are stale */
    struct mesh_load loads[256];
    struct mesh_ref refs[MESH_REFS_MAX];
    char group_name[PROA_NAME_MAX + 1];
    unsigned taken; /* events, the last time it was settled */
    uint64_t received_bytes, sent, received;
    size_t allocated, allocations_left; /* left: 0 means without end */
};

struct net_faults {
    unsigned loss, dup, reorder; /* of 1,000 messages */
    proa_ns delay, jitter;       /* one way: delay + [0, jitter) */
};

struct net_flight;

struct net {
    proa_ns now;
    uint64_t seed, random, trace;
    struct net_faults faults;
    struct net_node nodes[NET_NODES_MAX];
    unsigned count, last_found;
    uint32_t nodes_max, published_max, entries_max; /* of nodes started from now on */
    struct net_flight *flights;
    uint32_t flight_count, flight_cap;
    uint64_t flight_serial;
    /* Called for each entry that is told, may be NULL. */
    void (*told)(struct net *net, unsigned i, const struct mesh_event *event);
    void *ctx;
};

struct net *net_create(unsigned nodes, uint64_t seed);
void net_destroy(struct net *net);
uint64_t net_random(struct net *net);
void net_start(struct net *net, unsigned i); /* also after net_kill: a new life */
void net_kill(struct net *net, unsigned i);
void net_group(struct net *net, unsigned i, unsigned group); /* cuts off, and heals */
enum mesh_result net_add(struct net *net, unsigned i, unsigned neighbour);
void net_settle(struct net *net,
                unsigned i); /* after each call to its mesh by the test */
void net_run(struct net *net, proa_ns span);
bool net_inject(struct net *net, unsigned i, uint64_t from, const uint8_t *bytes,
                size_t len);

void net_entry(struct mesh_entry *ret, enum mesh_kind kind, const char *name,
               uint32_t slot);
uint32_t net_publish(struct net *net, unsigned i, const struct mesh_entry *entry);
void net_republish(struct net *net, unsigned i, uint32_t index, struct mesh_entry *entry,
                   uint32_t generation);
void net_withdraw(struct net *net, unsigned i, uint32_t index, struct mesh_entry *entry);

/* net_publish_many publishes so many names, under the indices from 0 on. */
void net_publish_many(struct net *net, unsigned i, unsigned count);

/* net_play links node i with one that the test plays itself, the n-th, and that says it has so many
   leaves; returns its number.  What it is sent is lost. */
uint64_t net_play(struct net *net, unsigned i, unsigned n, uint16_t leaves);

/* Does every living node of each group have exactly what every other of it has published, and is it
   linked with all of it and synced, and were all entries of former lives told as removed? */
bool net_agrees(const struct net *net);
/* net_verify: what the calls of each living node's mesh find is what all others have published. */
void net_verify(const struct net *net);
/* net_until runs until that is so, or `span` is over; returns how long it took, PROA_NS_NEVER. */
proa_ns net_until(struct net *net, proa_ns span);

/* net_cluster starts nodes that publish one name each and waits until all know all. */
struct net *net_cluster(uint64_t seed, unsigned count);
/* net_state is the state of node n as i knows it, -1: not known. */
int net_state(const struct net *net, unsigned i, unsigned n);

/* For the network's own files. */
uint64_t net_hash(uint64_t hash, const void *bytes, size_t len);
bool net_reachable(const struct net *net, unsigned a, unsigned b);
void net_book_entry(struct net_book *book, const struct mesh_entry *entry, int sign);
struct net_book *net_other_book(struct net *net, unsigned i, uint64_t node);
void net_forget_others(struct net *net, unsigned i);
struct mesh_stats net_stats(const struct net *net, unsigned i);

#endif
