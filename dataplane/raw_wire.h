/* SPDX-License-Identifier: Apache-2.0 */
/* raw_wire.h - sending and receiving without a port's work: a device's bursts, or a socket's.

   Threads: one lane.  Units: bytes.  Errors: a burst may be short. */
#ifndef RAW_WIRE_H
#define RAW_WIRE_H

#include "raw.h"

/* What the loops move: an mbuf, or a pkt of the pool. */
typedef void raw_buf;

struct raw_wire {
    const struct port *port; /* a socket's */
    uint16_t device, queue;
    struct pkt_pool *pool;
    unsigned size_max; /* of a frame */
    bool segment;
    /* Makes n frames of size bytes, each with its number from `number` on; all or none. */
    bool (*make)(struct raw_wire *wire, raw_buf **bufs, unsigned n, unsigned size,
                 uint64_t number);
    void (*hold)(struct raw_wire *wire, raw_buf **bufs, unsigned n);
    void (*free)(struct raw_wire *wire, raw_buf **bufs, unsigned n);
    unsigned (*tx)(struct raw_wire *wire, raw_buf **bufs, unsigned n);
    unsigned (*rx)(struct raw_wire *wire, raw_buf **bufs, unsigned max);
    /* What a frame carries behind its headers. */
    uint8_t *(*body)(struct raw_wire *wire, raw_buf *buf, uint32_t *ret_len);
};

/* raw_wire_init chooses by the port's kind: "udp" is a socket; "vhost", or no port, a device. */
void raw_wire_init(struct raw_wire *wire, const struct raw_on *on, bool segment);

#endif
