/* SPDX-License-Identifier: Apache-2.0 */
/* core.h - the control thread's work without the thread: no epoll, no DPDK, no clock.

   The core owns the Kademlia node, the handshakes, the peers and the writing side of the
   directory.  Its shell (thread.c on a real node, the test kit in tests) calls core_step when
   something arrived in the up rings or core_deadline has come.

   Threads: one at a time.  Units: proa_ns monotonic; wall_ms since 1970.
   Errors:  enum proa_outcome towards actors; NULL from create without memory. */
#ifndef CORE_H
#define CORE_H

#include <proa/event.h>
#include <proa/log.h>
#include <proa/node.h>
#include <proa/types.h>

#include "byte_ring.h"
#include "directory.h"
#include "doorbell.h"
#include "identity.h"
#include "kad.h"
#include "mesh.h"
#include "port.h"
#include "punt.h"

#define CORE_HEARD_FOR                                                                   \
    (10 * PROA_S) /* liveness after an authentic packet. Source: registry.md */

struct core;

struct core_config {
    struct identity identity;
    struct cluster_keys keys;
    struct port *const *ports; /* for addresses, neighbours, routes and MTU only */
    unsigned port_count;
    struct proa_addr seeds[PROA_SEEDS_MAX];
    unsigned seed_count;
    struct proa_addr address; /* the cluster address */
    unsigned lanes;
    struct byte_ring *up[PROA_LANES_MAX];    /* read here */
    struct byte_ring *notes[PROA_LANES_MAX]; /* the same; NULL: none */
    struct byte_ring *down[PROA_LANES_MAX];  /* written here */
    struct doorbell *bells[PROA_LANES_MAX];  /* rung after writing down */
    struct directory *directory;             /* this is its writer */
    uint64_t seed;
    uint32_t names_max, store_max,
        watches_max; /* of the Kademlia node; 0 = its defaults */
    uint32_t mesh_nodes_max, mesh_published_max; /* mesh.h; 0 = its defaults */
};

struct core *core_create(const struct core_config *config, proa_ns now, uint64_t wall_ms);
void core_destroy(struct core *core);

void core_step(struct core *core, proa_ns now, uint64_t wall_ms);
proa_ns core_deadline(const struct core *core);

uint64_t core_node(const struct core *core);
bool core_joined(const struct core *core);
void core_leave(struct core *core, proa_ns now); /* tombstones, CLOSE on all links */
bool core_left(const struct core *core, proa_ns now);

/* What `proa cluster`, telemetry and tests read (control thread only). */
struct core_peer_info {
    uint64_t node;
    struct proa_addr addr;
    unsigned links;
    proa_ns heard_at;
    bool dead;
};
unsigned core_peers(const struct core *core, struct core_peer_info *ret, unsigned max);

/* ---- Linked registries ---- */

/* One node that the mesh knows, this one not among them. */
struct core_mesh_info {
    uint64_t node;
    struct proa_addr addr;
    enum mesh_state state;
    proa_ns rtt_ns;          /* smoothed; 0: not measured */
    uint32_t names, members; /* that it has published, as known here */
    unsigned links;          /* of all lanes to it */
};
unsigned core_mesh_nodes(const struct core *core, struct core_mesh_info *ret,
                         unsigned max);

/* This node's own end of it. */
struct core_mesh_own {
    uint32_t names, members;           /* published now */
    uint32_t nodes_max, published_max; /* as configured */
    uint32_t known, linked;            /* other nodes, former lives not among them */
    bool complete; /* what is not in the directory is not in the cluster */
};
void core_mesh_own(const struct core *core, struct core_mesh_own *ret);

/* core_mesh_add links with the node at addr, core_mesh_remove unlinks (proa_node_link_add, _remove in
   node.h).  OK; INVALID, NO_ROUTE, LIMIT, STOPPED; NOT_FOUND.  err gets a sentence unless OK. */
enum proa_outcome core_mesh_add(struct core *core, const struct proa_addr *addr,
                                proa_ns now, char *err, size_t err_len);
enum proa_outcome core_mesh_remove(struct core *core, uint64_t node, proa_ns now,
                                   char *err, size_t err_len);
/* core_mesh_forget stops looking for a neighbour at addr that was never met.  OK, NOT_FOUND. */
enum proa_outcome core_mesh_forget(struct core *core, const struct proa_addr *addr,
                                   proa_ns now, char *err, size_t err_len);
/* The mesh's node of this address, of several lives the present one; 0 when it knows none. */
uint64_t core_mesh_find(const struct core *core, const struct proa_addr *addr);
void core_mesh_stats(const struct core *core, struct mesh_stats *ret);

struct core_stats {
    uint64_t datagrams, unroutable, keyed_bad_mac, keyed_malformed, keyed_unexpected;
    uint64_t syn_tx, syn_rx, synack_rx, open_rx, ping_tx, ping_rx, pong_rx, rst_tx,
        rst_rx;
    uint64_t close_rx, opened, failed, admission_refused, down_full;
    uint64_t syn_crossed; /* not answered: ours was, or will be (handshake_answer.c) */
    uint64_t dead_nodes;  /* taken for dead, by silence */
    uint64_t gone_nodes;  /* left, or restarted as another */
    uint64_t names, names_refused;
    uint64_t log_unprinted;   /* lines that stderr had no room for */
    uint64_t publish_refused; /* names and memberships: mesh.published_max */
    uint64_t mesh_stale;      /* registry messages of a node that is dead by now */
    uint64_t mesh_unsent;     /* registry messages that lane 0 had no room for */
    uint64_t changes_merged;  /* told to a watcher by a SET, for it did not keep up */
    uint64_t asks_refused;    /* of other nodes, for this one's members of a group */
    uint64_t watches_refused; /* no room for a watch's name: it ends without a SET */
};
void core_stats(const struct core *core, struct core_stats *ret);

/* ---- Events (events.h) ---- */

/* core_watch_lane has a lane's counters looked at for drops; they outlive the core's last step. */
struct lane_stats;
struct sched_stats;
void core_watch_lane(struct core *core, unsigned lane,
                     const struct lane_stats *lane_stats,
                     const struct sched_stats *sched_stats);
/* core_lane_loads says which scheduler knows the loads of a lane's actors; it outlives the core's last
   step. */
struct sched;
void core_lane_loads(struct core *core, unsigned lane, const struct sched *sched);
void core_on_event(struct core *core, proa_on_event fn, void *ctx);
void core_on_dead_letter(struct core *core, proa_on_dead_letter fn, void *ctx);
void core_on_log(struct core *core, proa_on_log fn, void *ctx);
void core_log_unprinted(struct core *core); /* counts one */
void core_event(struct core *core, const struct proa_event *event);
/* All that was dropped, of every reason, a second ago at the most. */
uint64_t core_drops(const struct core *core);
/* As events_read. */
unsigned core_events(const struct core *core, uint64_t *next, struct proa_event *ret,
                     unsigned max);
const struct kad *core_kad(const struct core *core);

#endif
