/* SPDX-License-Identifier: Apache-2.0 */
/* lane.h - one dataplane core's poll loop and everything it owns.

   A lane joins the actor scheduler above (actors/sched.h), the links, and the ports below.  The
   loop is lane_step: packets in, rings and inbox, ready actors, timers, packets out.  It takes
   the time as an argument and knows nothing of DPDK, so the test kit runs the very same loop in
   virtual time; a real node calls it from a pinned thread (lane_run).

   Threads: create and destroy: before and after the lane's thread; all else: that thread.
   Units:   proa_ns, bytes.
   Errors:  NULL from create without memory.
   Bounds:  LANE_LINKS_MAX links, LANE_PENDING_MAX messages for a node whose link is opening. */
#ifndef LANE_H
#define LANE_H

#include "arena.h"
#include "byte_ring.h"
#include "directory.h"
#include "doorbell.h"
#include "link.h"
#include "port.h"
#include "scheduler.h"
#include "tap.h"

#define LANE_LINKS_MAX 4096      /* links of a lane; slots of link ids */
#define LANE_PEERS_MAX 16384     /* nodes a lane talks to */
#define LANE_QUEUED_MAX 2048     /* packets of all links that wait to be sent: Q */
#define LANE_QUEUED_WAITING 1536 /* of these, for links whose packets cannot leave */
#define LANE_RESERVED_MAX 1024   /* besides, for answers and system messages */
#define LANE_PENDING_MAX 64 /* messages waiting for a link to a node.  Source: wire.md */
#define LANE_REPLIES_MAX 4096 /* answers and refusals waiting for one, besides */
#define LANE_REGISTRY_MAX 64 /* of these when one of the registries still may join them */
#define LANE_TXQ LINK_BACKLOG_MAX /* packets waiting for a port.  Source: wire.md */
#define LANE_SURPLUS_IDLE                                                                \
    (10 * PROA_S) /* an idle surplus link closes.  Source: wire.md */

struct lane;

struct lane_config {
    uint64_t node; /* this node */
    uint32_t lane, lanes;
    struct port *const *ports; /* borrowed, like all below */
    unsigned port_count;
    struct pkt_pool *pool;
    struct byte_ring *up, *down; /* punt.h: to and from control */
    struct byte_ring *notes;     /* the same, upwards; may be NULL */
    struct doorbell *bell;       /* this lane's */
    struct doorbell *control;    /* the control thread's */
    struct directory *directory;
    int reader;
    struct arena *arena;
    uint32_t message_max;
    uint32_t retained_max, held_max; /* R and O; 0 = 8,192 */
    struct sched_config sched; /* below, foreign_item are filled in by lane_create */
};

struct lane *lane_create(const struct lane_config *config);
void lane_destroy(struct lane *lane);

/* lane_poll fetches packets from the ports whose last ones have all been taken.  Call it before
   each lane_step, and read the clock in between: then no packet came after the `now` it is
   taken at, whatever interrupted the thread, and measured round trips are never too short.
   now: may be the last loop's.  True: there are packets for lane_step. */
bool lane_poll(struct lane *lane, proa_ns now);

/* lane_step runs one loop.  Returns true when there was any work. */
bool lane_step(struct lane *lane, proa_ns now);

/* lane_deadline is the next moment the lane wants lane_step though nothing arrives: 0 for now. */
proa_ns lane_deadline(const struct lane *lane);

/* lane_settle sends every ack that is due; call before sleeping. */
void lane_settle(struct lane *lane, proa_ns now);

struct sched *lane_sched(struct lane *lane);

/* lane_run is the thread's body: steps until *stop is set, sleeping by the idle policy. */
void lane_run(struct lane *lane, const _Atomic bool *stop, enum proa_idle idle);

/* Counters, one writer, read relaxed. */
struct lane_stats {
    _Atomic uint64_t loops, busy_loops, sleeps, gap_max_ns, recent_gap_ns;
    _Atomic uint64_t busy_ns, idle_ns; /* loop to loop, by whether there was work */
    _Atomic uint64_t rx, tx, tx_short, tx_full, punted, punt_full, unknown_link,
        wrong_source;
    _Atomic uint64_t misdirected, misdirected_full, short_packets, no_route, pending,
        pending_full;
    _Atomic uint64_t links, links_opened, links_dead, links_reset, lost_sent, lost_unsent;
    _Atomic uint64_t sysmsg_bad, refusals_dropped, replies_dropped, forwards_dropped,
        downs_dropped;
    /* Messages of the linked registries: up, into links, and neither for want of room or way. */
    _Atomic uint64_t registry_rx, registry_tx, registry_dropped;
};
const struct lane_stats *lane_stats(const struct lane *lane);

/* lane_links has the lane copy what telemetry shows of up to max links, and returns how many; 0 when
   the lane did not come to it within LANE_LINKS_WAIT.  Any thread but a lane's; one at a time. */
#define LANE_LINKS_WAIT (200 * PROA_MS)
struct lane_link_info {
    uint64_t node;
    bool sending;
    struct link_stats stats;
};
unsigned lane_links(struct lane *lane, struct lane_link_info *ret, unsigned max);

/* lane_held has the lane say what it keeps just now, and so what must be back when nothing is under
   way.  False, *ret as it was, and who may call: as lane_links. */
struct lane_held {
    uint32_t links, peers;   /* nodes it has talked to; those without a link too */
    uint32_t retained;       /* packets sent and not acknowledged */
    uint32_t queued;         /* packets of links, built and not sent */
    uint32_t out_of_order;   /* packets received before their turn */
    uint32_t pending;        /* messages and refusals that wait for a link */
    uint32_t tx_queued;      /* packets that wait for a port */
    uint64_t bulk, bulk_out; /* bytes of bulk messages: being received; of the buffers */
};
bool lane_held(struct lane *lane, struct lane_held *ret);

/* lane_tap asks the lane to copy packets into tap from its next loop on, NULL to stop that, and
   wakes it.  Received ones are seen before anything else looks at them, those sent when they are
   given to their port.  lane_tapped is the tap it uses now: once that is NULL, the one before is
   its maker's again.  Any thread but a lane's; one at a time. */
void lane_tap(struct lane *lane, struct tap *tap);
const struct tap *lane_tapped(const struct lane *lane);

#endif
