/* SPDX-License-Identifier: Apache-2.0 */
/* tx_backlog.h - packets a device did not take yet, in order, for one queue of a port.

   A short burst is no reason to lose packets: the rest waits here and goes first the next time.
   When it is full the port takes no more and its caller keeps them.

   Threads: the queue's lane.  Units: packets.  Errors: none. */
#ifndef TX_BACKLOG_H
#define TX_BACKLOG_H

#include "pkt.h"

#define TX_BACKLOG_MAX 256u /* power of two.  Source: wire.md, "Memory" */

struct tx_backlog {
    struct pkt *pkts[TX_BACKLOG_MAX];
    uint32_t head, count;
};

static inline uint32_t tx_backlog_room(const struct tx_backlog *b)
{
    return TX_BACKLOG_MAX - b->count;
}

/* There must be room. */
static inline void tx_backlog_push(struct tx_backlog *b, struct pkt *p)
{
    b->pkts[(b->head + b->count++) & (TX_BACKLOG_MAX - 1)] = p;
}

/* Copies up to max packets from the front, without taking them. */
static inline unsigned tx_backlog_peek(const struct tx_backlog *b, struct pkt **pkts,
                                       unsigned max)
{
    unsigned n = b->count < max ? b->count : max;

    for (unsigned i = 0; i < n; i++)
        pkts[i] = b->pkts[(b->head + i) & (TX_BACKLOG_MAX - 1)];
    return n;
}

static inline void tx_backlog_drop(struct tx_backlog *b, unsigned n)
{
    b->head = (b->head + n) & (TX_BACKLOG_MAX - 1);
    b->count -= n;
}

#endif
