/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - a reliable, ordered channel of messages between two lanes, as a state machine.

   A link is handed packets and the time; it hands back packets to send, messages to deliver and
   the next moment it wants to be called.  It reads no clock, opens no socket and allocates
   nothing but what its environment gives.  Rules and formats: docs/wire.md.

   Threads: a link belongs to one lane.
   Units:   proa_ns; bytes; sequence numbers count packets, modulo 2^32.
   Errors:  enum proa_outcome for sends; bytes from the peer are checked, counted, dropped. */
#ifndef LINK_H
#define LINK_H

#include <proa/actor.h>
#include <proa/outcomes.h>
#include <proa/types.h>

#include "pkt.h"
#include "refusal.h"

#define LINK_WINDOW_MAX 1024    /* packets past ack, each way */
#define LINK_WINDOW_INITIAL 64  /* what both ends grant before the first ack */
#define LINK_OUTBOX_MAX 64      /* packets built and not yet sent; then AGAIN */
#define LINK_OUTBOX_RESERVE 960 /* more of them, for replies and system messages only */
#define LINK_OUTBOX_REGISTRY                                                             \
    128 /* packets of the registries', besides actors'; then AGAIN */
#define LINK_REFUSALS_MAX 1024 /* refusal records waiting; then one without sender */
#define LINK_BULK_MAX 4        /* bulk messages at once, each way */
#define LINK_BULK_WAITING 28   /* bulk replies waiting for one of those, besides */
#define LINK_BEHIND_MAX 32     /* messages waiting behind a bulk one of their pair, */
#define LINK_BEHIND_BYTES (256u << 10) /* while there are not so many bytes of them */
#define LINK_BACKLOG_MAX 256 /* packets waiting for a port; then links keep theirs */
#define LINK_OUTBOX_BUSY 544 /* packets waiting from which on further asks are refused */

struct link;

/* Limits shared by all links of a lane (wire.md, "Memory").  The lane owns it. */
struct link_budget {
    uint32_t retained, retained_max; /* packets sent and held: R */
    uint32_t held, held_max;         /* packets received out of order and held: O */
    uint32_t queued, queued_max;     /* packets built and not yet sent: Q */
    uint32_t queued_waiting_max;     /* of Q, for links whose packets cannot leave */
    uint32_t reserved, reserved_max; /* besides, for answers and system messages */
    uint64_t bulk, bulk_max;         /* bytes of bulk messages */
    /* How long a bare ack may wait (wire.md, "Acknowledging").  The links keep these. */
    uint32_t ack_packets, acks; /* received, and bare acks sent, since ack_round */
    proa_ns ack_round, ack_delay;
};

/* What a link needs of its lane.  Every function is called on the lane's thread, may not call
   back into this link except where said, and gets the env's ctx.  What every packet uses comes first, in
   one cache line: a link has a copy of its own. */
struct link_env {
    void *ctx;
    struct pkt_pool *pool;
    struct link_budget *budget;
    /* Hands one packet to the port: peer, port, data, len are set.  Takes it (a retained packet
       was held before).  Called from link_flush, link_input and link_tick only. */
    void (*transmit)(void *ctx, struct link *link, struct pkt *p);
    /* A message has arrived, in order. data is borrowed.  May call link_send and link_refuse
       on this link.  in_place_ok: nothing of that pair is pending in a fragment.  System
       messages (PROA_MSG_SYSTEM in flags) come here too: sysmsg.h reads them.  Some REFUSE
       among them are the link's own: a bulk message that the peer had no memory for, a bulk
       reply that this node had none for. */
    void (*deliver)(void *ctx, struct link *link, const struct proa_msg *msg,
                    bool in_place_ok);
    /* Messages for these slots (as references have them) come next.  A hint, from bytes that may yet
       change: they are in no order, and any number.  May be NULL. */
    void (*expect)(void *ctx, const uint32_t *slots, uint32_t count);
    /* True: deliver no more packets before link_deliver_more.  May be NULL: never. */
    bool (*pause)(void *ctx);
    void *(*bulk_alloc)(void *ctx, size_t len); /* 16-aligned, NULL: none */
    void (*bulk_free)(void *ctx, void *buf);
    /* A bulk message is complete: takes buf (from bulk_alloc). */
    void (*deliver_bulk)(void *ctx, struct link *link, const struct proa_msg *msg,
                         void *buf);
    /* The keyed PING of this link is wanted (LINK_PING_PROBE or 0).  While the link is OPENING
       this also means: the peer was not heard yet, repeat the OPEN first.  May call link_pinged. */
    void (*ping)(void *ctx, struct link *link, uint32_t flags);
    void (*up)(void *ctx, struct link *link); /* first valid packet heard */
    /* A refusal that must reach `node` by another way: the link itself refused a message of an
       actor of a third node (FOREIGN), or ends before it could tell its peer.  May be NULL: it is
       dropped then. */
    void (*refuse)(void *ctx, uint64_t node, const struct refusal *refusal);
    /* An ask that an actor of a third node asked (FOREIGN) has arrived at the peer.  data is NULL.
       May call link_send on this link.  May be NULL. */
    void (*passed)(void *ctx, struct link *link, const struct proa_msg *msg);
    /* Below half of the outbox again, after a send got AGAIN. */
    void (*writable)(void *ctx, struct link *link);
    /* Messages of the dead link whose fate is unknown (acked: no; sent: yes), or that were never
       sent: one call per message. sent false: certainly not executed.  Answers and system
       messages are among them (flags); what only concerned the link (ABORT, STEER) is not.  data is borrowed, and NULL for a bulk message that was sent to its end. */
    void (*lost)(void *ctx, struct link *link, const struct proa_msg *msg, bool sent);
};

/* Packets that a lane keeps for one port (wire.md, "Memory"): `left` of them the port did not take
   when it was last offered them, the others are of this loop. */
struct link_backlog {
    uint32_t count; /* at LINK_BACKLOG_MAX links send nothing */
    uint32_t left;
    uint64_t taken; /* by the port so far, in the order they came in */
};

struct link_params {
    uint64_t link_id, peer_link_id;
    struct proa_addr peer;
    const struct link_backlog *backlog; /* of the port, borrowed; NULL: none ever */
    uint8_t port;
    uint8_t lead;      /* of the port (alignment of what pkt_alloc gives is the pool's) */
    uint8_t initiator; /* hold data until the peer was heard */
    /* The lane calls link_settle at the end of a loop: what an answer acknowledges may wait until the
       next packet has left. */
    bool settles;
    uint32_t mtu;  /* largest link packet */
    uint64_t node; /* the peer */
    uint64_t self; /* this node */
    uint32_t seq_tx, seq_rx;
    uint32_t message_max;
    void *records; /* link_records_size() bytes, 8-aligned; NULL: they follow the link */
};

/* link_size is the memory a link needs (window rings included), a multiple of 64, 64-aligned; link_init
   makes one in it, zeroed by the caller or not.  Records of refusals need link_records_size more, which
   are touched only while refusals wait.  link_fini frees held packets; link_kill before it reports what
   is in doubt. */
size_t link_size(void);
size_t link_records_size(void);
struct link *link_init(void *memory, const struct link_params *params,
                       const struct link_env *env, proa_ns now);
void link_fini(struct link *link);

/* link_prefetch asks for the lines of a link that packets in and out touch. */
#define LINK_HOT_LINES 11
static inline void link_prefetch(const struct link *link)
{
    for (unsigned i = 0; i < LINK_HOT_LINES; i++)
        __builtin_prefetch((const uint8_t *)link + i * PROA_CACHE_LINE, 1);
}

/* And then, once those are there: the places of the rings that its next packets take or leave; then the
   first packet to be sent and the first to be acked. */
void link_prefetch_ring(const struct link *link);
void link_prefetch_packet(const struct link *link);

/* link_send appends a message to the open packet; data is copied.  Payloads that do not fit one
   packet become a bulk stream.  OK; AGAIN (env.writable follows); TOO_LARGE.  Replies and
   system messages never get AGAIN, but for those about monitors, of the registries (REGISTRY, whose
   sender drops it; no env.writable follows) and a STOP for which not even a record has room: they take
   from the reserve.  So that it suffices, asks that
   come in while LINK_OUTBOX_BUSY packets wait are refused REFUSED_BUSY; an answer for which
   there is no room even so becomes a refusal record, NO_REPLY. msg->from.node other than self
   is sent as FOREIGN.  The ASK extension carries what is left until msg->deadline at now. */
enum proa_outcome link_send(struct link *link, const struct proa_msg *msg, proa_ns now);

/* link_send_bulk sends buf without a copy, however small: takes buf when OK; it is freed by
   env.bulk_free once all was sent. */
enum proa_outcome link_send_bulk(struct link *link, const struct proa_msg *msg, void *buf,
                                 proa_ns now);

/* link_refuse queues one refusal record for the peer (REFUSE on the wire), merged with the run it
   continues.  Never fails: past LINK_REFUSALS_MAX waiting records it only counts into one
   without sender. */
void link_refuse(struct link *link, const struct refusal *refusal, proa_ns now);

/* link_writable tells the peer that the mailbox of an actor here, once full for it, has drained by
   half: after the refusals that wait.  slot 0, generation 0: all that were full for it may have.  Never
   fails: where too many wait they become one for all. */
void link_writable(struct link *link, uint32_t slot, uint32_t generation, proa_ns now);

/* Input: one DATA or ACK packet whose dst_link matched and whose source was checked by the
   caller.  Takes p.  True: it brought something new, so it is no packet that came before. */
bool link_input(struct link *link, struct pkt *p, proa_ns now);

/* link_settle does what link_input has put off: the books of packets that were acknowledged.  After
   link_flush; without params.settles there is never anything. */
void link_settle(struct link *link);

/* When many packets become deliverable at once, because a gap has closed, they are delivered
   until env.pause says otherwise; they are acked all the same.  link_waits tells whether there
   are any left; link_deliver_more goes on, with one packet at least.  As long as it is not
   called the window closes. */
bool link_waits(const struct link *link);
void link_deliver_more(struct link *link, proa_ns now);

/* An authentic PONG or PING for this link (keyed packets are the control thread's).  The next
   link_flush sends an ACK, which tells the current window. */
void link_heard(struct link *link, bool busy, proa_ns now);

/* A PING of this link has left.  Only then does it count as unanswered: that one is wanted says nothing
   about the peer, for the control thread may not have been scheduled. */
void link_pinged(struct link *link, proa_ns now);

void link_flush(struct link *link,
                proa_ns now); /* sends what is open and allowed; acks due */
/* True: something waits in the link until its port takes packets again; call link_flush in the
   next loop. */
bool link_blocked(const struct link *link);
void link_tick(struct link *link, proa_ns now); /* timers; early calls are harmless */
proa_ns link_deadline(const struct link *link);
bool link_ack_due(
    const struct link *link); /* before a lane sleeps it sends this ack: link_ack */
void link_ack(struct link *link, proa_ns now);

/* link_state: OPENING until the peer was heard, then UP; DEAD: silent too long, or a packet
   failed too often: the lane then calls link_kill and link_fini. */
enum link_state { LINK_OPENING, LINK_UP, LINK_DEAD };
enum link_state link_state(const struct link *link);
enum link_end_reason { LINK_DEAD_SILENT = 0, LINK_DEAD_STUCK = 1 };
uint32_t link_dead_reason(const struct link *link);

/* link_kill delivers what waits, since it was acked, and reports, by env.lost, every message not known delivered, in order. */
void link_kill(struct link *link);

bool link_idle_since(const struct link *link,
                     proa_ns *ret_since); /* nothing in flight either way */
uint64_t link_node(const struct link *link);
uint64_t link_id(const struct link *link);
uint64_t link_peer_id(const struct link *link);
const struct proa_addr *link_peer(const struct link *link);
uint8_t link_port(const struct link *link); /* index of the node's */
/* link_set_source: packets leave from this UDP port from now on, 0: the port's own. */
void link_set_source(struct link *link, uint16_t source);
void link_expect(struct link *link,
                 bool pending); /* asks or monitors wait: ping after 100 ms */
void link_loop_gap(struct link *link,
                   proa_ns gap); /* this lane's recent longest loop gap */
void link_peer_loop_gap(struct link *link,
                        proa_ns gap); /* the peer's, from PING or PONG */

struct link_stats {
    uint64_t tx_packets, tx_messages, rx_packets, rx_messages, acks_tx, acks_rx;
    uint64_t resends, spurious, rto, probes, pings;
    uint64_t rx_duplicate, rx_outside, rx_malformed, rx_held, rx_dropped_held;
    uint64_t refusals, again, bulk_tx, bulk_rx, bulk_aborted;
    uint64_t forwards_dropped; /* FORWARDED for which too many records waited */
    uint64_t
        refusals_merged; /* messages whose sender was not named, for the same reason */
    uint64_t srtt_ns, rttvar_ns, min_rtt_ns, cwnd, inflight, window;
};
void link_stats(const struct link *link, struct link_stats *ret);

#endif
