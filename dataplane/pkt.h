/* SPDX-License-Identifier: Apache-2.0 */
/* pkt.h - one packet buffer, whatever it is made of.

   A struct pkt describes a buffer: on a DPDK node it lies in the private area of an mbuf, in
   the test kit in front of plain memory.  Links and lanes see only this; ports and pools know
   what is behind it.

   data points at the link packet's header, 8-byte aligned, or at a KRPC datagram's 'd'.  What
   goes between UDP and it (the lead, wire.md) and below is the port's.  In a buffer from
   pkt_alloc there is room for all of that in front of data: PKT_HEADROOM bytes.  A port tells
   the two apart by the first byte: 'd' is KRPC and gets no lead, all else is a link packet.

   Ownership: whoever has a pkt from pkt_alloc or port_rx gives it back by pkt_free, or gives it
   to port_tx, which takes those it accepts.  pkt_hold adds a second owner: the link, which
   retains a packet after it was sent; both then free it once.  A held packet is never written
   again.

   Threads: a pool and its packets belong to one lane.  Units: bytes, proa_ns. */
#ifndef PKT_H
#define PKT_H

#include <proa/types.h>

/* Bytes in front of data that belong to the port: virtio's header (12), Ethernet, IPv6, UDP and
   lead are 78 at the most; 128 is what DPDK leaves in front of received frames. */
#define PKT_HEADROOM 128

struct pkt_pool;

struct pkt {
    uint8_t *data;
    uint16_t len; /* of what data points at */
    union {
        uint16_t room; /* of an empty packet: bytes that fit from data on */
        uint16_t
            source; /* of one that is sent: the UDP port it comes from; 0: the port's own */
    };
    uint8_t port;          /* rx: the port it came by; tx: the port to leave by */
    uint8_t attempt;       /* link's: times sent before */
    uint16_t flags;        /* link's; rx: PKT_CE, PKT_ASTRAY or 0 */
    struct proa_addr peer; /* rx: source; tx: destination */
    proa_ns sent_at;       /* link's; rx: time of receipt */
    uint32_t seq;          /* link's */
    uint32_t first_sent;   /* link's: when it was first sent, in 1,024 ns, modulo 2^32 */
    uint32_t delivered;    /* link's: packets known delivered when it was sent */
    uint32_t order;        /* link's: counts sendings, so that resends have their place */
};

#define PKT_CE 0x8000u     /* flags, set by a port on rx: congestion was marked (IP CE) */
#define PKT_ASTRAY 0x4000u /* flags, rx: it came in on another lane than its link's */

_Static_assert(sizeof(struct pkt) <= 72, "fits the private area of an mbuf");

/* When the ordinary pool is dry there is a small reserve: for ACK, PING and control datagrams, and answers
   may take half of it, so that acks leave however many answers wait. */
enum pkt_use { PKT_ORDINARY, PKT_CONTROL, PKT_ANSWER };

/* A pool's operations; the first member of each kind of pool.  control: an enum pkt_use. */
struct pkt_pool_ops {
    struct pkt *(*alloc)(struct pkt_pool *pool, int control); /* NULL: dry, counted */
    void (*hold)(struct pkt *p);
    void (*free)(struct pkt *p);
};

struct pkt_pool {
    const struct pkt_pool_ops *ops;
    uint64_t dry; /* allocations refused */
    uint32_t size, in_use;
};

static inline bool pkt_is_krpc(const struct pkt *p)
{
    return p->len > 0 && p->data[0] == 'd';
}

static inline struct pkt *pkt_alloc(struct pkt_pool *pool, int control)
{
    return pool->ops->alloc(pool, control);
}

static inline void pkt_hold(struct pkt_pool *pool, struct pkt *p)
{
    pool->ops->hold(p);
}

/* pool may be any pool of the same kind: a packet knows its own. */
static inline void pkt_free(struct pkt_pool *pool, struct pkt *p)
{
    pool->ops->free(p);
}

#endif
