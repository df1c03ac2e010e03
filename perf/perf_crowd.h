/* SPDX-License-Identifier: Apache-2.0 */
/* perf_crowd.h - many nodes in one process, as far as one lane of another node can tell: a link to
   each, by the wire's own handshake, over vhost.

   Every member has an identity, a UDP port and a link of its own (dataplane/link.h), and no lane, actor
   or control thread: what the crowd costs is links alone, so that the node it is told by is what is
   measured.  Members open their links to that node, a few at a time, since it admits no more; its
   actors then tell them by references of their nodes.  A member's messages are checked as an actor's
   are (perf_sink.h).

   Threads: perf_crowd_run: the crowd's lane.  The rest: an ordinary thread.
   Units:   proa_ns, bytes.
   Errors:  false, with one sentence in err.
   Bounds:  PERF_CROWD_MAX members, PERF_CROWD_MEETING handshakes at once. */
#ifndef PERF_CROWD_H
#define PERF_CROWD_H

#include "identity.h"
#include "link.h"
#include "packet.h"
#include "perf_sink.h"
#include "port.h"

#define PERF_CROWD_MEETING 24u           /* well below HANDSHAKE_HALF_ADDR_MAX */
#define PERF_CROWD_PACE (1250 * PROA_US) /* below HANDSHAKE_SYN_RATE */
#define PERF_CROWD_PORT 10000u           /* of the first member */
#define PERF_CROWD_TRIES 400u            /* of a handshake, RETRY apart: 20 s */
#define PERF_CROWD_RETRY (50 * PROA_MS)
#define PERF_CROWD_TXQ 1024u

enum perf_member_state { MEMBER_NEW, MEMBER_SYN, MEMBER_OPEN, MEMBER_UP };

struct perf_member {
    enum perf_member_state state;
    uint32_t tries;
    proa_ns next_at; /* handshake: the next try */
    struct identity identity;
    uint64_t link_id, peer_link, nonce;
    uint32_t start, peer_start;
    uint16_t mtu;
    bool dirty;
    struct link *link;      /* NULL before OPEN */
    void *memory, *records; /* its link's */
    struct perf_reader reader;
};

struct perf_crowd {
    uint32_t count, up, meeting, begun; /* members; of these with a link, and so on */
    struct perf_member *members;
    uint8_t *memory;    /* of their links, as a lane has it */
    proa_ns *deadlines; /* of their links: dense, since all are scanned */
    proa_ns next_tick, next_syn;
    uint32_t *dirty, dirty_count;
    struct link_env env;
    struct link_budget budget;
    struct pkt_pool *pool;
    struct port *port;
    struct cluster_keys keys;
    uint64_t node; /* that is met */
    proa_ns now;
    struct pkt *txq[PERF_CROWD_TXQ];
    uint32_t tx_count;
    const char *failed; /* why, once something did */

    _Atomic uint32_t all_up; /* for the ordinary thread */
    _Atomic bool gave_up, stop;
};

/* perf_crowd_init makes count members for the node `node`; the port is open.  perf_crowd_fini frees
   what it made. */
bool perf_crowd_init(struct perf_crowd *crowd, uint32_t count, struct perf_sink *sink,
                     struct port *port, struct pkt_pool *pool, uint64_t node,
                     const uint8_t key[PROA_KEY_LEN]);
void perf_crowd_fini(struct perf_crowd *crowd);

struct proa_ref perf_crowd_ref(const struct perf_crowd *crowd, uint32_t member);

/* perf_crowd_run polls until stop is set.  arg: the crowd. */
void perf_crowd_run(void *arg);

/* perf_crowd_meet.c */
void perf_crowd_meet(struct perf_crowd *crowd); /* SYNs, and tries again */
/* A keyed packet for a member has come; it stays the caller's. */
void perf_crowd_keyed(struct perf_crowd *crowd, const struct pkt *p);
void perf_crowd_ping(struct perf_crowd *crowd, struct perf_member *member,
                     uint32_t flags);

/* perf_crowd.c */
void perf_crowd_transmit(struct perf_crowd *crowd, struct pkt *p); /* takes p */
void perf_crowd_linked(struct perf_crowd *crowd, struct perf_member *member);
uint16_t perf_crowd_port_of(const struct perf_crowd *crowd,
                            const struct perf_member *member);
void perf_crowd_touch(struct perf_crowd *crowd, struct perf_member *member);

#endif
