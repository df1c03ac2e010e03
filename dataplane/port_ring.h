/* SPDX-License-Identifier: Apache-2.0 */
/* port_ring.h - ports of nodes in one process: a hub with a name, packets copied in and out.

   All ports opened with the same hub name reach each other by address, as on one Ethernet.
   Each queue of each port has a ring of packet slots that anybody may write to and its lane
   reads: a bounded queue of Vyukov's kind, whose slots carry their own turn:

     W1 store-release turn = at + 1      ->  R1 load-acquire turn   slot written before read
     R2 store-release turn = at + slots  ->  W2 load-acquire turn   slot read before rewritten

   A packet for a full ring, or for nobody, is lost and counted by its sender, as on a wire.
   Queue q sends to queue q of the other port, modulo its queues; or, where that port wants it,
   to one that follows from the packet's addresses and UDP ports, as by a NIC's RSS.

   The hub's table of addresses is read without a lock; entries are added under one, and stay
   until the last port has left the hub, so that a sender may meet a port that closes: it then
   writes into a ring that nobody reads.  A port opened again at an address takes its ring over.

   With one thread everything is deterministic; time is only what rx is given.

   Threads: open, close: any thread; rx, tx as port.h says.
   Units:   bytes, proa_ns.  Errors: port_ring_open fills err with cause and remedy. */
#ifndef PORT_RING_H
#define PORT_RING_H

#include "port.h"

#define PORT_RING_SLOTS 2048     /* per queue: two windows of a link */
#define PORT_RING_PORTS_MAX 8192 /* addresses of one hub, ever */
#define PORT_RING_MTU 1500       /* unless configured */

struct port_ring_args {
    const char *hub;          /* its name, up to PROA_TEXT_MAX - 1 bytes */
    struct proa_addr address; /* family 0: 10.84.x.y:7400, the next free one of the hub */
    uint8_t prefix;           /* of 128 bits; used with a given address only */
    uint16_t mtu;             /* 0: PORT_RING_MTU */
    uint32_t slots;           /* power of two; 0: PORT_RING_SLOTS */
    unsigned queues;
    struct pkt_pool **pools; /* one per queue; the array is copied */
    uint8_t index;
    bool rss;          /* packets arrive by a hash, and are steered */
    uint16_t udp_port; /* of a derived address; 0: PROA_PORT */
};

struct port *port_ring_open(const struct port_ring_args *args, char *err, size_t err_len);

/* port_ring_spec opens what "ring:NAME" in args->config says. */
struct port *port_ring_spec(const struct port_open_args *args, char *err, size_t err_len);

#endif
