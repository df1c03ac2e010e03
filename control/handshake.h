/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.h - opening a link: SYN, SYNACK, OPEN.

   The asking side (handshake.c) makes an attempt for a lane and a node:

     RESOLVE  the node's address is unknown: Kademlia looks for it
     SYN      SYNs go out; a SYNACK that echoes ours and is signed by that node opens the link
     OPEN     the lane has the link; OPENs go out until something was heard on it

   The answering side (handshake_answer.c) keeps a bounded half-open entry, and nothing else,
   until a signed OPEN echoes its SYNACK.  docs/handshake.md tells timers and failures.

   Threads: the control thread's.
   Units:   proa_ns, bytes.
   Errors:  a failed attempt tells its lane PUNT_NODE_FAILED; what arrives wrong is counted. */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <proa/types.h>

#include "packet.h"
#include "peers.h"

#define HANDSHAKE_ATTEMPTS_MAX 1024 /* of ours under way */
#define HANDSHAKE_HALF_MAX 256      /* of others under way.  Source: wire.md, "Opening" */
#define HANDSHAKE_HALF_ADDR_MAX 64  /* of them from one IP address */
#define HANDSHAKE_HALF_FOR (3 * PROA_S)
#define HANDSHAKE_SYN_RATE 1000            /* new SYNs a second */
#define HANDSHAKE_SYN_BURST 256            /* of them at once */
#define HANDSHAKE_SYN_TRIES 6              /* at 0, 20, 60, 140, 300, 620 ms */
#define HANDSHAKE_SYN_FIRST (20 * PROA_MS) /* doubles: the wait after each try */
#define HANDSHAKE_SMALL_FROM 2 /* tries before the offered size falls to the least */
#define HANDSHAKE_OPEN_FIRST (5 * PROA_MS) /* doubles: between two OPENs */
#define HANDSHAKE_OPEN_FOR PROA_S
#define HANDSHAKE_RESOLVE_FOR (2 * PROA_S)     /* Kademlia may look for an address */
#define HANDSHAKE_RESOLVE_AGAIN (20 * PROA_MS) /* when it has not found one before that */

struct core;
struct core_datagram;

enum attempt_state { ATTEMPT_FREE, ATTEMPT_RESOLVE, ATTEMPT_SYN, ATTEMPT_OPEN };

struct attempt {
    uint8_t state; /* enum attempt_state */
    uint8_t port;
    uint8_t tries;
    uint16_t mtu; /* largest that was offered */
    unsigned lane;
    uint64_t node;
    uint32_t op; /* of Kademlia, while RESOLVE */
    uint32_t start;
    struct peer *peer;      /* held; NULL while RESOLVE */
    struct peer_link *link; /* reserved in SYN, open in OPEN */
    struct proa_addr addr;
    uint64_t nonce; /* of the SYN; of the OPEN */
    proa_ns next_at, wait, end_at;
    uint8_t open[PACKET_OPEN_LEN + PACKET_TAG_LEN]; /* repeated as it is */
};

struct half_open {
    bool used;
    uint8_t port;
    uint16_t mtu; /* largest that was answered */
    uint64_t node, peer_link;
    uint64_t their_nonce, our_nonce;
    uint32_t start, peer_start;
    struct peer_link *link; /* reserved */
    struct proa_addr addr;
    proa_ns end_at;
    uint8_t public_key[PROA_PUBLIC_KEY_LEN];
};

struct handshake {
    struct attempt *attempts; /* HANDSHAKE_ATTEMPTS_MAX */
    uint32_t attempt_count, attempts_high;
    proa_ns next_at; /* no attempt or half-open entry wants a tick before */
    struct half_open halves[HANDSHAKE_HALF_MAX];
    uint32_t half_count;
    proa_ns credit; /* token bucket of SYNs: one costs PROA_S / HANDSHAKE_SYN_RATE */
    proa_ns credit_at;
};

bool handshake_init(struct handshake *self, proa_ns now);
void handshake_fini(struct handshake *self);

/* ---- The asking side ---- */

/* handshake_need begins an attempt for lane, unless one is under way or lane has a link. */
void handshake_need(struct core *core, unsigned lane, uint64_t node);

/* handshake_resolved brings the outcome of Kademlia's search `op`; id and addr only when ok. */
void handshake_resolved(struct core *core, uint32_t op, bool ok, const struct kad_id *id,
                        const struct proa_addr *addr);

/* handshake_up: the lane, or a PONG, says that the link was heard: OPEN need not be repeated. */
void handshake_up(struct core *core, struct peer_link *link);

/* handshake_ended: the link is about to be freed. */
void handshake_ended(struct core *core, struct peer_link *link);

/* handshake_answers: echo is the nonce of the OPEN being repeated on link. */
bool handshake_answers(struct core *core, const struct peer_link *link, uint64_t echo);

/* handshake_cancel fails all attempts to reach node. */
void handshake_cancel(struct core *core, uint64_t node);

/* handshake_crosses: lane's first SYN to node is under way, so that one from there has crossed it. */
bool handshake_crosses(struct handshake *self, unsigned lane, uint64_t node);

/* handshake_moot ends lane's attempt to reach node: it has a link that node has opened. */
void handshake_moot(struct core *core, unsigned lane, uint64_t node);

void handshake_synack(struct core *core, const struct core_datagram *dgram,
                      const struct packet_open *open);

/* handshake_reset: an RST came.  True when it answered one of our SYNs or OPENs. */
bool handshake_reset(struct core *core, const struct core_datagram *dgram,
                     const struct packet_ping *rst);

/* ---- The answering side ---- */

void handshake_syn(struct core *core, const struct core_datagram *dgram,
                   const struct packet_open *open);
void handshake_open(struct core *core, const struct core_datagram *dgram,
                    const struct packet_open *open);

/* ---- Time ---- */

void handshake_tick(struct core *core);
void handshake_tick_halves(struct core *core); /* by handshake_tick */
proa_ns handshake_deadline(const struct handshake *self);

/* handshake_want moves next_at to `at` if that is sooner. */
static inline void handshake_want(struct handshake *self, proa_ns at)
{
    if (at < self->next_at)
        self->next_at = at;
}

/* handshake_answer sends PONG or RST for a packet that came: echo is its nonce, peer_link the
   sender's id of the link, link ours or 0. */
void handshake_answer(struct core *core, const struct core_datagram *dgram,
                      enum packet_kind kind, uint64_t to_node, uint64_t echo,
                      uint64_t peer_link, uint64_t link, uint32_t flags);

/* handshake_payload is the largest link packet the port takes. */
uint16_t handshake_payload(const struct core *core, uint8_t port,
                           const struct proa_addr *addr);

#endif
