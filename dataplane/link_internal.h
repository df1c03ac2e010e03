/* SPDX-License-Identifier: Apache-2.0 */
/* link_internal.h - the state of a link, shared by the files that make one.

   link.c           life, timers of silence, what is asked about a link
   link_send.c      messages into packets: the open packet, the outbox
   link_flush.c     packets out: new ones, resends, bare acks
   link_recv.c      packets in: admission, order, messages to the lane
   link_ack.c       the ack block of what goes out; what an arriving one says
   link_loss.c      which packets are lost; retransmission timer, tail probe
   link_cc.c        how much may be in flight
   link_bulk.c      messages larger than a packet, going out
   link_bulk_in.c   and coming in
   link_record.c    refusals and other system messages that wait for room
   link_kill.c      what is reported when a link ends

   Sequence numbers, orders and delivery counts are 32-bit and wrap: they are compared by the
   sign of their difference only. */
#ifndef LINK_INTERNAL_H
/* Sent so often, or seen coming again so often, and the packets leave from the port's own UDP port
   again: what the peer named may not get through (a firewall, a translator of addresses). */
#define LINK_SOURCE_ATTEMPTS 3u
#define LINK_SOURCE_REPEATS 4u

#define LINK_INTERNAL_H

#include <stdalign.h>

#include "link.h"
#include "link_bits.h"
#include "packet.h"
#include "punt.h" /* LINK_PING_PROBE */
#include "sysmsg.h"

/* Numbers of docs/wire.md. */
#define LINK_ACK_EVERY 16             /* packets */
#define LINK_ACK_DELAY (20 * PROA_US) /* and no later than this */
#define LINK_ACK_DELAY_MOST                                                              \
    PROA_MS                 /* when a lane would send more of them than it should: */
#define LINK_ACK_ROUND 1024 /* of so many packets, if they came within 1 ms, */
#define LINK_ACK_SHARE 4    /* one in so many got a bare ack */
#define LINK_REORDER 3      /* later ones delivered make a packet lost */
#define LINK_REORDER_LEAST (2 * PROA_US)
#define LINK_PROBE_LEAST (200 * PROA_US)
#define LINK_ATTEMPTS_BEHIND 3 /* that a packet behind the first unacked one may use up */
#define LINK_RTO_LEAST PROA_MS
#define LINK_RTO_MOST (200 * PROA_MS)
#define LINK_RTO_RESENDS 2 /* RTOs in a row that resend; then only pings */
#define LINK_GAP_MOST (50 * PROA_MS)
#define LINK_RTT_UNKNOWN PROA_MS /* assumed until the first sample */
#define LINK_SILENCE PROA_S
#define LINK_SILENT_PINGS 3
#define LINK_PING_IDLE                                                                   \
    (400 * PROA_MS) /* so that a node has 600 ms for one answer before LINK_SILENCE */
#define LINK_PING_EXPECT (100 * PROA_MS)
#define LINK_PING_AGAIN (100 * PROA_MS)
#define LINK_PING_APART (50 * PROA_MS) /* PINGs that leave closer together count as one */
#define LINK_PING_OPENING (2 * PROA_MS) /* doubled each time up to LINK_RTO_MOST */
#define LINK_LAST_CALL (20 * PROA_MS)   /* a last ping's time before silence kills */
#define LINK_PAUSED (100 * PROA_MS)     /* no tick for so long: we slept, not the peer */
#define LINK_RETRY (100 * PROA_US)      /* after a pool or budget was dry */
#define LINK_CWND_START 64
#define LINK_CWND_LEAST 32
#define LINK_CWND_LOOP (32 * PROA_US) /* a burst of packets takes two lanes so long */
#define LINK_BULK_LEAVES 16           /* packets of the window kept for small messages */
#define LINK_BULK_SHARE 8 /* one bulk packet goes out for so many small ones */
#define LINK_BULK_BURST                                                                  \
    16 /* bulk packets between two looks at what else there is to do */
#define LINK_BESIDE_FOR (10 * PROA_MS) /* small messages went so lately: then */
#define LINK_BESIDE_BURST 4            /* so many, acked at once, */
#define LINK_BESIDE_QUEUE 8            /* and so many past what the path holds */
#define LINK_LATE_MOST                                                                   \
    2 /* packets in flight, so that what they are acked by may be read later */
#define LINK_LATE_ROOM                                                                   \
    16 /* and packets that the peer's window and R must have room for */
#define LINK_GUARANTEED 2 /* of R and of O, whatever other links hold */

#define LINK_NOTICES_MAX 64 /* WRITABLE, STOP and ABORT waiting besides refusals */

#define LINK_NO_ACTOR UINT64_MAX /* no such slot: a lane has 24 bits of them */
#define LINK_MASK (LINK_WINDOW_MAX - 1)
#define LINK_OUT_SIZE (LINK_OUTBOX_MAX + LINK_OUTBOX_RESERVE)
#define LINK_OUT_MASK (LINK_OUT_SIZE - 1)
#define LINK_STREAMS_MAX (LINK_BULK_MAX + LINK_BULK_WAITING)

_Static_assert((LINK_OUT_SIZE & LINK_OUT_MASK) == 0, "the outbox is a ring");
_Static_assert((LINK_REFUSALS_MAX & (LINK_REFUSALS_MAX - 1)) == 0, "records are a ring");
_Static_assert(LINK_STREAMS_MAX == 32, "one bit a stream");
_Static_assert(LINK_WINDOW_MAX == PACKET_BITMAP_MAX * 8, "one bit a packet");

/* Bits of a retained packet's flags. */
#define LINK_PKT_REPORTED                                                                \
    0x1u /* last fragment of a bulk message whose end is known already */
#define LINK_PKT_PASSED 0x2u   /* has an ask of a third node's: its arrival is told */
#define LINK_PKT_REGISTRY 0x4u /* counts in registry_out until it is sent */
#define LINK_PKT_RESERVED                                                                \
    0x8u /* counts in reserved, instead of in queued, until it is sent */

/* A message behind a bulk one of its pair, or a bulk one whose turn has not come. */
struct link_behind {
    struct link_behind *next;
    struct proa_msg msg;
    void *buf;      /* taken from link_send_bulk, or NULL: the bytes follow this struct */
    size_t charged; /* to the bulk budget */
};

/* One pair's bulk messages, going out one after the other. */
struct link_stream {
    bool used, started;
    bool again; /* its pair got AGAIN: it was full */
    uint32_t id;
    uint32_t after; /* launches only when this many outbox packets have gone */
    uint32_t sent;  /* bytes of now */
    struct link_behind *now;
    struct link_behind *first, *last; /* behind it */
    uint32_t behind;
    size_t behind_bytes;
};

/* A bulk message coming in. */
struct link_incoming {
    uint8_t *buf; /* NULL: free */
    uint32_t id, have;
    struct proa_msg msg; /* len is the total */
};

/* A system message that waits for room in the outbox. */
struct link_record {
    enum sysmsg_type type;
    union {
        uint32_t stream; /* ABORT */
        uint32_t hops;   /* FORWARDED */
        uint32_t before; /* REFUSE of a tell: the last one in front of it */
    };
    struct refusal
        refusal; /* WRITABLE and STOP use slot and generation; FORWARDED these, to
                               and correlation */
};

/* WRITABLE, STOP or ABORT: goes when record `after` is the next, or there is none. */
struct link_notice {
    struct link_record record;
    uint32_t after;
};

struct link_cc {
    uint32_t cwnd;
    uint32_t delivered; /* packets known delivered */
    /* The running round trip. */
    uint32_t round_mark; /* delivered when it began: it ends with a packet sent since */
    uint32_t round_lost;
    proa_ns round_at;
    bool round_over, limited, pushed, marked;
    /* What is known of the path. */
    bool startup;
    uint8_t flat; /* rounds of startup without growth */
    uint8_t rate_at;
    uint64_t rates[8]; /* packets a second, of the last rounds that filled the window */
    uint64_t best_before;
    uint32_t
        holds; /* packets on the path when nothing waits: best rate x least round trip */
    uint32_t factor, factor_before; /* of 1,024: what loss has taken off */
    proa_ns rtt_now, rtt_before; /* least of this half of 10 s, and of the half before */
    proa_ns rtt_half_at;
    proa_ns host; /* time packets spend at the peer's host, smoothed */
};

/* In the order in which they are used: a lane with many links finds each one's lines cold, so what a
   packet out touches lies in lines 0 to 3 and 7, one in in 1 to 4 and 6 to 8 (lane_prefetch_link), and
   what is rare behind them. */
struct link {
    /* What link_send touches. */
    alignas(PROA_CACHE_LINE) uint8_t *at; /* room in the open packet, up to end: */
    uint8_t *end;                         /* both NULL without one */
    uint64_t last_dst, last_src;          /* of the message before, in the open packet */
    struct pkt *open;
    uint64_t self, node;
    uint32_t body_max;     /* bytes of messages in one packet, a multiple of 8 */
    uint32_t streams_used; /* link_send takes the slow way while there are any */

    /* Sent and not acked: [una, nxt). */
    alignas(PROA_CACHE_LINE) uint32_t una;
    uint32_t nxt;
    uint32_t right; /* first seq the peer has no room for */
    uint32_t order, newest;
    uint32_t sacked_count, lost_count;
    /* Outbox: packets [out_head, out_tail), counted since the link began. */
    uint32_t out_head, out_tail;
    uint32_t registry_out; /* of these and the open one, begun for registry messages */
    uint32_t reserved_out; /* of the same, begun beyond actors' room */
    bool dead, hold;
    bool again, again_small; /* somebody got AGAIN; for want of room in the outbox */
    bool probed;
    bool
        blocked; /* the last flush left work, or an ack: the port was behind, or bulk takes turns */
    bool records_wait; /* any of all records */
    uint8_t state;
    uint8_t dead_reason;
    uint8_t backoff, rto_silent;
    uint8_t repeats; /* packets of the peer's in a row that had come before */
    bool rtt_known;
    uint16_t source; /* UDP port of what is sent; 0: the port's own */

    /* Times of what is sent. */
    alignas(PROA_CACHE_LINE) proa_ns loss_at; /* next look at suspects */
    proa_ns tx_at;                            /* last DATA sent */
    proa_ns rto_base;
    proa_ns retry_at;
    proa_ns srtt, rttvar;
    uint64_t port_mark; /* backlog.taken when the port has taken the last new packet */
    proa_ns gap;

    /* Receiving. */
    alignas(PROA_CACHE_LINE) uint32_t rx_done; /* the first not delivered yet */
    uint32_t rx_next;                          /* the first not received: what is acked */
    uint32_t rx_right, rx_held, rx_highest;    /* rx_held: past rx_next */
    uint32_t ack_pending;
    bool shut; /* the last window told left less than half of it */
    bool ack_now, ack_full;
    bool asks; /* a bare ack is to go that asks for one */
    bool ce;
    bool trigger_valid;
    uint8_t trigger_attempt;
    uint32_t trigger;
    uint32_t bulk_debt; /* small packets sent since the last bulk one */
    proa_ns small_at;   /* the last small packet was sent */
    proa_ns trigger_at;
    proa_ns ack_at; /* when the ack of the oldest pending packet is due */

    /* Silence. */
    alignas(PROA_CACHE_LINE) proa_ns heard_at;
    proa_ns active_at, pinged_at; /* a PING was wanted, or left, last */
    proa_ns last_call; /* 0: none; NEVER: its PING has not left; else its end */
    proa_ns late_at;   /* of the ack block below; 0: none */
    proa_ns peer_gap;
    uint64_t sent_messages;
    uint16_t wanted, pings; /* PINGs since the peer was heard: wanted; left, apart */
    bool expect, peer_busy;
    uint8_t persist_backoff;

    struct link_env env;       /* lines 5 and 6 */
    struct link_params params; /* 7 */
    struct link_cc cc;
    struct link_stats stats;

    /* The ack block of a packet whose messages were more urgent: words of its header. */
    uint64_t late_head, late_acks;
    proa_ns full_at; /* last ACK with a bitmap */
    proa_ns tick_at, persist_at;
    proa_ns left_at; /* the last PING that was counted */

    /* Records: [record_head, record_head + record_count), counted since the link began. */
    struct link_record *records; /* LINK_REFUSALS_MAX */
    uint32_t record_head, record_count;
    uint32_t tell_last, tell_count; /* refused tells among them: where the last one is */
    uint32_t notice_head, notice_count;
    uint64_t nameless; /* refusals past the bound */
    enum proa_outcome nameless_reason;

    /* Bulk. */
    uint32_t stream_bits; /* streams in use: 375 -> 104 instructions a fragment */
    uint32_t stream_next_id, stream_turn, streams_started;
    size_t bulk_bytes; /* of the budget */
    size_t
        again_need; /* the least that got AGAIN would take of it, with a stream; 0: none did */

    struct link_bits sacked, lost, suspect, received;
    struct link_incoming incoming[LINK_BULK_MAX];
    struct link_stream streams[LINK_STREAMS_MAX];

    /* Read only where they were written: link_init leaves them, so that an idle link does not
       cost their pages. */
    struct pkt *tx[LINK_WINDOW_MAX];
    struct pkt *rx[LINK_WINDOW_MAX];
    struct pkt *out[LINK_OUT_SIZE];
    struct link_notice notices[LINK_NOTICES_MAX];
};

static inline int32_t link_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

static inline uint32_t link_inflight(const struct link *link)
{
    return link->nxt - link->una - link->sacked_count - link->lost_count;
}

static inline uint32_t link_out_count(const struct link *link)
{
    return link->out_tail - link->out_head;
}

bool link_may_leave(const struct link *link, uint32_t packets); /* with the next flush */

/* Packets that take of actors' room, LINK_OUTBOX_MAX. */
static inline uint32_t link_out_actors(const struct link *link)
{
    return link_out_count(link) + (link->open != NULL) - link->registry_out;
}

/* May actors have one packet more?  The last part of Q is for links whose packets leave with the
   next flush, and each link has LINK_GUARANTEED, whatever others hold: else links to slow or dead
   nodes, which fill what they may, would silence all others. */
static inline bool link_may_queue(const struct link *link)
{
    const struct link_budget *budget = link->env.budget;
    uint32_t own = link_out_actors(link);

    if (own >= LINK_OUTBOX_MAX)
        return false;
    return __builtin_expect(budget->queued < budget->queued_waiting_max, 1) ||
           own < LINK_GUARANTEED ||
           (budget->queued < budget->queued_max && link_may_leave(link, own));
}

/* May an answer or a system message have one? */
static inline bool link_may_reserve(const struct link *link)
{
    const struct link_budget *budget = link->env.budget;

    return link_out_count(link) + (link->open != NULL) < LINK_OUT_SIZE &&
           (budget->reserved < budget->reserved_max ||
            link->reserved_out < LINK_GUARANTEED);
}

/* Asks are refused before the room for their answers is gone: this link's, or that of all links when
   this one's answers would take of it. */
static inline bool link_answers_full(const struct link *link)
{
    const struct link_budget *budget = link->env.budget;

    return link_out_count(link) >= LINK_OUTBOX_BUSY ||
           (budget->reserved >= budget->reserved_max / 2 && !link_may_queue(link));
}

/* The port has all that may wait for it: what is sent now would only be thrown away. */
static inline bool link_port_full(const struct link *link)
{
    return link->params.backlog->count >= LINK_BACKLOG_MAX;
}

/* The port has refused packets, and one of this link's is among those that wait for it. */
static inline bool link_port_behind(const struct link *link)
{
    const struct link_backlog *b = link->params.backlog;

    return b->left > 0 && link->port_mark > b->taken;
}

void link_unreserve(struct link *link, struct pkt *p);

/* A packet leaves the outbox, or its link ends. */
static inline void link_unqueue(struct link *link, struct pkt *p)
{
    if (__builtin_expect((p->flags & LINK_PKT_RESERVED) == 0, 1))
        link->env.budget->queued--;
    else
        link_unreserve(link, p);
}

/* Not before long, though nothing may happen meanwhile.  A look that is due now is the one that asks
   for another. */
static inline void link_look_again(struct link *link, proa_ns now)
{
    if (link->retry_at <= now || link->retry_at == PROA_NS_NEVER)
        link->retry_at = now + LINK_RETRY;
}

static inline struct pkt *link_tx(const struct link *link, uint32_t seq)
{
    return link->tx[seq & LINK_MASK];
}

static inline uint64_t link_actor(struct proa_ref r)
{
    return packet_actor(r.slot, r.generation);
}

/* link.c */
void link_mark_heard(struct link *link, proa_ns now);
void link_die(struct link *link, enum link_end_reason reason);
void link_ping(struct link *link, uint32_t flags, proa_ns now);

/* link_send.c */
void link_close_open(struct link *link); /* into the outbox */
bool link_append(struct link *link, const struct proa_msg *msg, bool reserve,
                 proa_ns now);
void link_fill_message(const struct link *link, const struct proa_msg *msg, proa_ns now,
                       struct packet_message *ret);
uint32_t link_message_flags(const struct link *link, const struct proa_msg *msg);
/* Marks a packet that gets a third node's ask, or the last of it. */
void link_mark_passed(const struct link *link, struct pkt *p,
                      const struct packet_message *m);
void link_copy_payload(uint8_t *to, const void *from, size_t len);
enum proa_outcome link_say_again(struct link *link, bool bulk, proa_ns now);
void link_refuse_reply(struct link *link, const struct proa_msg *msg, proa_ns now);

/* link_flush.c */
uint32_t link_room(const struct link *link); /* new packets that may be sent now */
void link_transmit_new(struct link *link, struct pkt *p, uint32_t flags, proa_ns now);
bool link_resend(struct link *link, uint32_t seq, bool probe, proa_ns now);
bool link_has_work(const struct link *link);
struct pkt *link_new_packet(struct link *link, int control);

/* link_ack.c */
bool link_ack_may_wait(const struct link *link);
void link_put_header(struct link *link, struct pkt *p, unsigned kind, uint32_t flags,
                     proa_ns now);
bool link_ack_block_sound(const struct link *link, const struct packet_header *h,
                          const uint8_t *bitmap, size_t len);
void link_ack_input(struct link *link, const struct packet_header *h,
                    const uint8_t *bitmap, size_t len, proa_ns now);
void link_send_ack(struct link *link, proa_ns now);
bool link_ack_wanted(const struct link *link, proa_ns now);

/* link_loss.c */
void link_loss_after_ack(struct link *link, uint32_t ack, uint32_t words, proa_ns now);
void link_loss_tick(struct link *link, proa_ns now);
void link_loss_forget(struct link *link, uint32_t seq); /* it was delivered after all */
proa_ns link_probe_at(const struct link *link);
proa_ns link_rto_at(const struct link *link);
void link_rtt_sample(struct link *link, proa_ns rtt, proa_ns host, proa_ns now);

/* link_cc.c */
void link_cc_init(struct link *link, proa_ns now);
void link_cc_delivered(struct link *link, const struct pkt *p);
void link_cc_round(struct link *link, proa_ns now); /* after each ack */
void link_cc_rtt(struct link *link, proa_ns rtt, proa_ns host, proa_ns now);
void link_cc_spurious(struct link *link);
proa_ns link_cc_min_rtt(const struct link *link);

/* link_bulk.c */
enum proa_outcome link_bulk_send(struct link *link, const struct proa_msg *msg, void *buf,
                                 proa_ns now);
struct link_stream *link_bulk_find(struct link *link, const struct proa_msg *msg);
/* Sends up to `room` fragments; with `ack` the last of them asks for an ack at once. */
uint32_t link_bulk_flush(struct link *link, uint32_t room, bool ack, proa_ns now);
void link_bulk_aborted(struct link *link, const struct sysmsg *abort, proa_ns now);
void link_bulk_fini(struct link *link);
bool link_bulk_may(const struct link *link); /* some that got AGAIN would find room now */
void link_bulk_told(struct link *link);      /* all of them are told to try again */
bool link_bulk_charge(struct link *link, size_t len);
void link_bulk_uncharge(struct link *link, size_t len);

/* link_bulk_in.c */
void link_bulk_input(struct link *link, const struct packet_message *m,
                     const struct proa_msg *msg, proa_ns now);
void link_bulk_in_fini(struct link *link);

/* link_record.c */
/* False: STOP only, there is no room. */
bool link_record_add(struct link *link, const struct link_record *record);
void link_record_forwarded(struct link_record *record, const struct forwarded *f);
void link_records_flush(struct link *link, proa_ns now);
/* As a message of this node's runtime; body: SYSMSG_BODY_MAX bytes, borrowed by it. */
struct proa_msg link_record_message(const struct link *link,
                                    const struct link_record *record, void *body);
/* Tells this node's own actor, by a REFUSE as if from the peer. */
void link_refuse_here(struct link *link, const struct refusal *refusal);

#endif
