/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h - a copy of the packets that a lane receives and sends, for `proa capture`.

   Somebody outside the lane makes a tap, a filter and a bounded ring, and hands it to the lane
   through a tap_point.  The lane copies what the filter wants into the ring; when the ring is
   full it counts and goes on.  Without a tap a packet costs one comparison with NULL, and a loop
   one load: 0.04 % more instructions in sim_tells (callgrind, 100,000 tells).

   Two pairs of operations carry the handing over and back:

     W1 store-release wanted  ->  L1 load-acquire wanted   filter and ring are set before the
                                                           lane uses them
     L2 store-release used    ->  W2 load-acquire used     the lane's last use of a tap comes
                                                           before its memory is given back

   The ring has its own pairs (byte_ring.h); the counters are relaxed: one writer each.

   Threads: tap_want, tap_in_use and the ring's consuming end: one ordinary thread; tap_look and
            tap_packet: the lane's.  tap_kind, tap_wants: pure.
   Units:   bytes, proa_ns of the lane's clock.
   Errors:  none: what finds no room is counted in dropped.
   Bounds:  the ring's, and snap bytes of each packet. */
#ifndef TAP_H
#define TAP_H

#include <proa/node.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "byte_ring.h"
#include "packet.h"
#include "pkt.h"

#define TAP_PORTS PROA_PORTS_MAX /* counters, by port */

/* What a packet is, to a filter: the kinds of packet.h, and two more. */
#define TAP_KRPC PACKET_KIND_COUNT        /* a KRPC datagram */
#define TAP_OTHER (PACKET_KIND_COUNT + 1) /* shorter than a header, or of no known kind */
#define TAP_KINDS (PACKET_KIND_COUNT + 2)
#define TAP_KINDS_ALL ((1u << TAP_KINDS) - 1)

struct tap_filter {
    struct proa_addr peer; /* family 0: anybody; port 0: any port of that address */
    uint32_t kinds;        /* bit k: packets of kind k are wanted */
    uint32_t snap;         /* bytes of a packet that are kept */
};

/* A record of the ring, of kind TAP_PACKET; then the kept bytes. */
#define TAP_PACKET 1
struct tap_record {
    proa_ns at;            /* receipt, or when it was given to the port */
    struct proa_addr peer; /* source, or destination */
    uint32_t len;          /* of the whole packet */
    uint8_t port;
    uint8_t out;     /* 1: sent */
    uint16_t source; /* sent: the UDP port it leaves by; 0: the port's own */
};

/* One lane's.  The maker sets filter and ring, zeroes the rest, and keeps all of it until the
   lane has let go. */
struct tap {
    alignas(PROA_CACHE_LINE) struct tap_filter filter;
    struct byte_ring *ring; /* borrowed */
    _Atomic uint64_t taken[TAP_PORTS], dropped[TAP_PORTS];
};

/* Where the two sides meet; zeroed: no tap. */
struct tap_point {
    _Atomic(struct tap *) wanted; /* the other thread's */
    _Atomic(struct tap *) used;   /* the lane's */
    struct tap *now;              /* the lane's own copy of used */
};

/* tap_kind says which bit of a filter's kinds stands for p. */
unsigned tap_kind(const struct pkt *p);

bool tap_wants(const struct tap_filter *filter, const struct pkt *p);

/* tap_packet copies p into the tap's ring when the filter wants it. */
void tap_packet(struct tap *tap, const struct pkt *p, proa_ns at, bool out);

/* tap_look takes over what is wanted; once a loop, between packets. */
static inline void tap_look(struct tap_point *point)
{
    /* L1 acquire, pairs with W1. */
    struct tap *wanted = atomic_load_explicit(&point->wanted, memory_order_acquire);

    if (__builtin_expect(wanted == point->now, 1))
        return;
    point->now = wanted;
    /* L2 release, pairs with W2: all uses of the one before are over. */
    atomic_store_explicit(&point->used, wanted, memory_order_release);
}

/* tap_want asks the lane to use tap from now on; NULL: none.  Wake the lane after it. */
static inline void tap_want(struct tap_point *point, struct tap *tap)
{
    /* W1 release, pairs with L1. */
    atomic_store_explicit(&point->wanted, tap, memory_order_release);
}

/* tap_in_use is what the lane uses: after tap_want(NULL) the tap's memory is the maker's again
   once this is NULL. */
static inline struct tap *tap_in_use(const struct tap_point *point)
{
    /* W2 acquire, pairs with L2. */
    return atomic_load_explicit(&point->used, memory_order_acquire);
}

#endif
