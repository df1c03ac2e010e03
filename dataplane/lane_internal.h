/* SPDX-License-Identifier: Apache-2.0 */
/* lane_internal.h - a lane from inside; shared by the files named lane*.c only.

   Threads: the lane's.  Units: proa_ns, bytes.  Errors: as each function says. */
#ifndef LANE_INTERNAL_H
#define LANE_INTERNAL_H

#include <stdalign.h>
#include <stddef.h>

#include "bulk.h"
#include "lane.h"
#include "sysmsg.h"
#include "tap.h"

#define LANE_PEER_BUCKETS 4096         /* chains of the node table */
#define LANE_ASK_AGAIN (200 * PROA_MS) /* between two requests for one link */
#define LANE_REFUSAL_TRIES 4 /* requests for a link, for the sake of refusals and such */
#define LANE_RETRY_DEAD PROA_S /* between two attempts to reach a node known dead */
#define LANE_HEARD_EVERY (100 * PROA_MS) /* between two stores to a node's heard_until */
#define LANE_GAP_WINDOW (100 * PROA_MS)
#define LANE_GAP_MAX (50 * PROA_MS) /* a loop gap counts up to this.  Source: wire.md */
#define LANE_DOWN_BUDGET 64         /* records from control a loop */
#define LANE_REPORTS_MAX (2 * LANE_LINKS_MAX)
#define LANE_COPIED                                                                      \
    1024u /* bytes: no more are copied into a packet, and share it with others */
#define LANE_BURSTS                                                                      \
    32 /* of PORT_BURST packets, the most that one loop takes from a port */
/* Links that one loop's messages are for; then they are sent first.  A loop that told 900 of 1,000 links had
   lost the first one's lines, and its packet's, when it came to send them. */
#define LANE_DIRTY_MAX 128
#define LANE_MANY_LINKS                                                                  \
    32 /* from here on links are fetched before their packet is read */
#define LANE_CHUNK_LINKS 64 /* links that share memory: two huge pages at most */
#define LANE_MARK_BACK PAIR_LANE_FREE /* kind of an order mark on its way home */
#define LANE_HEARD_FOR (10 * PROA_S)  /* liveness after a packet.  Source: registry.md */

struct lane_peer;

/* From which UDP port the peer is to send, so that its packets arrive on this lane. */
struct lane_steering {
    proa_ns at; /* told then */
    uint16_t port,
        before; /* the proposal, and the one before, that packets came from; 0: none */
    uint16_t tried;
    uint16_t told;   /* times the proposal was told without a packet that came from it */
    uint16_t astray; /* packets, until the first */
};

/* How a packet came. */
struct lane_arrival {
    uint16_t from; /* UDP port */
    uint8_t port;  /* of this node */
    bool astray;   /* on another lane */
};

/* A link in its slot. */
struct lane_link {
    alignas(PROA_CACHE_LINE) struct link *link; /* NULL: the slot is free */
    uint64_t id;
    struct lane_peer *peer;
    struct directory_node *node;
    proa_ns heard_marked; /* heard_until was last moved then */
    uint32_t active;      /* its place in lane->active */
    bool dirty;           /* is in lane->dirty */
    bool waits;           /* is in lane->waiting */
    bool keeps;           /* a monitor came by it: it is no surplus */
    bool ending;          /* below */
    void *records;        /* of link */

    alignas(PROA_CACHE_LINE) struct lane_steering steering;

    /* The link has ended, and its slot waits for the marks that follow its last messages to the
       other lanes: only then may control open a successor. */
    uint64_t marks_to_send; /* lanes, as bits */
    uint64_t marks_out;     /* sent, not yet come back */
    uint64_t lost_node;     /* whom this lane cannot reach any more; 0: it still can */
    struct punt_link report;
};

enum pending_kind { PENDING_MSG, PENDING_REFUSAL, PENDING_WRITABLE };

/* Something that waits for a link.  From the lane's arena. */
struct pending {
    struct pending *next;
    enum pending_kind kind;
    bool privileged; /* answers and system messages: in another bound */
    uint8_t tries;   /* links that were not to be had, of what is kept for another */
    union {
        struct proa_msg msg; /* its data follows */
        struct refusal refusal;
        struct proa_ref writable; /* slot and generation */
    };
    alignas(16) uint8_t data[];
};

/* A node this lane talks to. */
struct lane_peer {
    alignas(PROA_CACHE_LINE) uint64_t node;
    struct lane_peer *next;    /* in its bucket, or in the free list */
    struct lane_link *sending; /* the one link new messages take; NULL: none yet */
    struct pending *first, *last;
    proa_ns asked_at; /* for a link; 0: not asked */
    uint32_t links;   /* of this lane to the node */
    uint32_t pending_count;
    uint32_t privileged_count;
    bool again;    /* somebody got AGAIN because the pending list was full */
    bool writable; /* a WRITABLE found no place in it: one for all goes behind the list */
};

struct lane_txq {
    struct link_backlog backlog;
    struct pkt *pkts[LANE_TXQ];
};

/* What a port gave and no link has seen yet. */
struct lane_rxq {
    uint32_t at, count;
    struct pkt *pkts[PORT_BURST];
};

/* An order mark on its way through a pair ring, there and back.  In a pair_item's body. */
struct lane_mark {
    uint64_t link_id;
};

/* A mark that found no room on its way back. */
struct lane_back {
    uint32_t lane;
    uint64_t link_id;
};

/* A report to control that must not be lost. */
struct lane_report {
    uint16_t kind;
    struct punt_link link;
};

struct lane {
    struct lane_config config;

    /* Written by the lane, read by others: lines of their own, so that reading takes no other from the
       lane. */
    alignas(PROA_CACHE_LINE) struct lane_stats stats;

    /* The lane's. */
    alignas(PROA_CACHE_LINE) struct sched *sched;
    struct link_env env;
    struct link_budget budget;
    struct bulk_budget bulk; /* buffers that links fill or send */
    proa_ns now;
    proa_ns next_tick;  /* no link's deadline is before this */
    proa_ns gap_window; /* start of the present window */
    proa_ns gap_now, gap_before, last_now;
    bool slept;      /* since the last loop */
    bool worked;     /* the last loop */
    bool put_up;     /* something for the control thread, in this loop */
    bool dear_looks; /* a port is asked by a system call, which costs more than a loop */

    /* Written by others: whoever captures, or asks what links do (lane_snapshot.c). */
    alignas(
        PROA_CACHE_LINE) struct tap_point tap; /* tap.now: looked at for each packet */
    _Atomic uint32_t snapshot_state;
    uint32_t snapshot_count;
    struct lane_link_info *snapshot;
    struct lane_held snapshot_held;

    /* The lane's again. */
    alignas(PROA_CACHE_LINE) struct lane_link *links; /* by slot, LANE_LINKS_MAX */
    uint32_t active_count, dirty_count;
    uint32_t *active;   /* slots in use */
    proa_ns *deadlines; /* of their links: dense, since all of them are scanned */
    uint8_t
        *chunks[LANE_LINKS_MAX / LANE_CHUNK_LINKS]; /* memory of links; NULL: none yet */
    uint32_t *dirty;                                /* slots to flush */
    uint32_t waiting_count;
    uint32_t *waiting; /* slots of links with packets to deliver */

    struct lane_peer *peers; /* LANE_PEERS_MAX */
    struct lane_peer *peers_free;
    struct lane_peer *buckets[LANE_PEER_BUCKETS];
    struct lane_peer *last_peer; /* the last one found */
    uint32_t peer_count;
    uint32_t pending_count; /* messages and refusals that wait for links */
    proa_ns pending_at;     /* when their links are asked for again */

    uint32_t ending_count;
    uint32_t *ending;        /* slots */
    struct lane_back *backs; /* LANE_LINKS_MAX for each other lane */
    uint32_t back_count, back_max;

    struct lane_report *reports; /* LANE_REPORTS_MAX */
    uint32_t report_count;

    struct lane_rxq rxq[PROA_PORTS_MAX];
    uint32_t rx_first; /* the port whose turn it is */
    struct lane_txq txq[PROA_PORTS_MAX];
};

_Static_assert(offsetof(struct lane, sched) - offsetof(struct lane, stats) >=
                       sizeof(struct lane_stats) &&
                   offsetof(struct lane, sched) % PROA_CACHE_LINE == 0,
               "what others read must not share a line with what the lane uses");
_Static_assert(offsetof(struct lane, tap) % PROA_CACHE_LINE == 0 &&
                   offsetof(struct lane, links) % PROA_CACHE_LINE == 0,
               "what others write must not share a line with what the lane uses");

/* The lane is each counter's only writer. */
static inline void lane_count(_Atomic uint64_t *counter, uint64_t n)
{
    /* relaxed: one writer; readers want a recent value, nothing else. */
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static inline void lane_dirty(struct lane *lane, struct lane_link *ll)
{
    if (ll->dirty)
        return;
    ll->dirty = true;
    lane->dirty[lane->dirty_count++] = (uint32_t)(ll - lane->links);
}

static inline struct lane_link *lane_link_of(struct lane *lane, const struct link *link)
{
    return &lane->links[link_id_slot(link_id(link))];
}

/* lane_rx.c */
uint32_t lane_receive(struct lane *lane);             /* what lane_poll got; packets */
void lane_input(struct lane *lane, struct pkt *p);    /* takes p */
void lane_transmit(struct lane *lane, struct pkt *p); /* takes p */
void lane_send_queued(struct lane *lane);
void lane_steer(struct lane *lane, struct lane_link *ll,
                const struct lane_arrival *arrival);
bool lane_steered(const struct lane_link *ll, const struct proa_addr *from);
void lane_foreign_item(void *ctx, uint32_t from_lane, const struct pair_item *item);

/* lane_peer.c */
bool lane_peers_init(struct lane *lane);
void lane_peers_fini(struct lane *lane);
struct lane_peer *lane_peer_find(struct lane *lane, uint64_t node);
struct lane_peer *lane_peer_get(struct lane *lane, uint64_t node); /* NULL: table full */
void lane_peer_flush(struct lane *lane, struct lane_peer *peer);
void lane_pending_tick(struct lane *lane);
void lane_peer_failed(struct lane *lane, uint64_t node, enum proa_outcome outcome);
enum proa_outcome lane_below_send(void *ctx, const struct proa_msg *msg);
enum proa_outcome lane_below_send_bulk(void *ctx, const struct proa_msg *msg, void *buf);
void lane_below_refuse(void *ctx, uint64_t node, const struct refusal *refusal);
void lane_below_writable(void *ctx, uint64_t node, struct proa_ref to);
enum proa_outcome lane_below_stop(void *ctx, struct proa_ref to);
enum proa_outcome lane_below_monitor(void *ctx, uint64_t node, const struct watch *watch);
void lane_forwarded(struct lane *lane, uint64_t node, const struct forwarded *f);
bool lane_below_follow(void *ctx, uint64_t node);
void lane_lost(struct lane *lane, const struct proa_msg *msg, bool sent);
enum proa_outcome lane_send_system(struct lane *lane, struct proa_ref to,
                                   enum sysmsg_type type, const void *body, size_t len);

/* lane_mesh.c */
void lane_mesh_input(struct lane *lane, uint64_t node, const struct proa_msg *msg);
void lane_mesh_send(struct lane *lane, const uint8_t *body, size_t len);

/* lane_memory.c */
void *lane_link_memory(struct lane *lane, uint32_t slot); /* link_size() bytes, or NULL */
void lane_link_memory_free(struct lane *lane, uint32_t slot, void *memory);
void lane_chunks_free(struct lane *lane); /* after all links */

/* lane_link.c */
void lane_env_init(struct lane *lane);
void lane_link_open(struct lane *lane, const struct punt_link_open *open);
void lane_link_end(struct lane *lane, struct lane_link *ll, enum link_end why);
void lane_links_tick(struct lane *lane);
void lane_links_flush(struct lane *lane);   /* what links have to send, to the ports */
void lane_links_flushed(struct lane *lane); /* and they are no longer dirty */

/* lane_mark.c */
void lane_marks_begin(struct lane *lane, struct lane_link *ll,
                      const struct punt_link *report, uint64_t lost_node);
bool lane_marks_wait(const struct lane *lane, uint64_t node); /* NODE_LOST comes then */
void lane_marks_push(struct lane *lane);                      /* once a loop */
void lane_mark_item(struct lane *lane, uint32_t from_lane, const struct pair_item *item);
void lane_report(struct lane *lane, uint16_t kind, const struct punt_link *report);
void lane_reports_flush(struct lane *lane);

/* lane_snapshot.c */
void lane_snapshot(struct lane *lane);

/* lane_punt.c */
bool lane_push_up(struct lane *lane, uint16_t kind, const void *head, uint32_t head_len,
                  const void *tail, uint32_t tail_len);
uint32_t lane_punt(struct lane *lane);

#endif
