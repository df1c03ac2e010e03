/* SPDX-License-Identifier: Apache-2.0 */
/* dpdk_frame.h - between frames in mbufs and packets: what ports that move frames share.

   Threads: the queue's lane.  Units: bytes.  Errors: enum port_drop. */
#ifndef DPDK_FRAME_H
#define DPDK_FRAME_H

#include <rte_prefetch.h>

#include "dpdk_mbuf.h"
#include "net.h"
#include "port.h"

static inline void frame_prefetch(struct rte_mbuf *m)
{
    const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

    rte_prefetch0(frame);
    rte_prefetch0(frame + RTE_CACHE_LINE_SIZE);
    rte_prefetch0(frame + 2 * RTE_CACHE_LINE_SIZE); /* of an ask of 32 bytes: 50 ns */
    rte_prefetch0(m->cacheline1);                   /* for who frees it */
    rte_prefetch0(pkt_of_mbuf(m));
}

/* frame_parse turns a received frame into a packet.  PORT_OK, or why it is none: it is the
   caller's to drop then. */
static inline enum port_drop frame_parse(const struct port *port, unsigned accept,
                                         struct rte_mbuf *m, proa_ns now)
{
    const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
    struct pkt *p = pkt_of_mbuf(m);
    struct net_datagram datagram;
    enum port_drop drop;

    if (unlikely(m->nb_segs != 1)) /* in several buffers: no frame of ours */
        return PORT_DROP_LENGTH;
    drop = net_parse(frame, m->data_len, &port->address, accept, &datagram);
    if (unlikely(drop != PORT_OK))
        return drop;
    *p = (struct pkt){
        .data = rte_pktmbuf_mtod(m, uint8_t *) + datagram.offset,
        .len = (uint16_t)datagram.len,
        .port = port->index,
        .peer = datagram.from,
        .sent_at = now,
    };
    return PORT_OK;
}

/* frame_receive does the same.  False: dropped and counted. */
static inline bool frame_receive(const struct port *port, struct port_stats *stats,
                                 unsigned accept, struct rte_mbuf *m, proa_ns now)
{
    enum port_drop drop = frame_parse(port, accept, m, now);

    if (likely(drop == PORT_OK))
        return true;
    port_stat_add(&stats->drops[drop], 1);
    rte_pktmbuf_free(m);
    return false;
}

/* frame_unsendable: can the packet leave by this port at all?  PORT_OK: yes. */
static inline enum port_drop frame_unsendable(const struct port *port,
                                              const struct pkt *p)
{
    /* relaxed: a number alone. */
    uint32_t limit = atomic_load_explicit(&port->payload_max, memory_order_relaxed) +
                     (pkt_is_krpc(p) ? port->lead : 0);

    if (unlikely(p->len > limit))
        return PORT_DROP_OVERSIZE;
    return p->peer.family == port->address.family ? PORT_OK : PORT_DROP_DOWN;
}

/* frame_build writes the headers in front of data, and tells the mbuf.  A packet built before
   comes out the same. */
static inline struct rte_mbuf *frame_build(const struct net_template *template,
                                           struct pkt *p, enum net_checksum checksum)
{
    struct rte_mbuf *m = mbuf_of_pkt(p);
    uint32_t front = net_build(template, p->data, p->len, &p->peer, p->source, checksum);

    m->data_off = (uint16_t)(p->data - front - (uint8_t *)m->buf_addr);
    m->data_len = (uint16_t)(front + p->len);
    m->pkt_len = m->data_len;
    m->ol_flags = 0;
    m->vlan_tci = 0;
    return m;
}

#endif
