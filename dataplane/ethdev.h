/* SPDX-License-Identifier: Apache-2.0 */
/* ethdev.h - what ports over a DPDK device share: bursts, headers, checks, sleeping.

   Lane i sends on queue i and receives from the queues i, i + lanes, i + 2 lanes, ...: a vhost
   neighbour with more lanes than we have sends on queues of its own.  Where the device has fewer
   receive queues than we have lanes, some lanes receive nothing by themselves.

   A port may be open long before its device is: until ethdev_start, and while the link is down,
   rx gives nothing and tx drops and counts PORT_DROP_DOWN.

   Sleeping: each lane has an epoll descriptor of the port's own.  It watches the device's event
   descriptors, which may change when a neighbour reconnects, edge-triggered: the vhost driver
   never empties its own.

   Threads: as port.h; ethdev_start: one ordinary thread, once.
   Units:   bytes.  Errors: ethdev_start fills err. */
#ifndef ETHDEV_H
#define ETHDEV_H

#include <pthread.h>

#include "net.h"
#include "port.h"
#include "tx_backlog.h"

struct rte_mbuf;

/* One lane's part.  Its lane alone uses it. */
struct ethdev_lane {
    alignas(PROA_CACHE_LINE) struct pkt_pool *pool;
    unsigned next_rx; /* of the receive queues, when it has several */
    int epoll;
    proa_ns now; /* of the last call */
    struct tx_backlog backlog;
};

_Static_assert(sizeof(struct ethdev_lane) % PROA_CACHE_LINE == 0,
               "lanes must not share a line");

struct ethdev_port {
    struct port base; /* first */

    /* Set before ethdev_start and constant. */
    struct net_template template;
    unsigned accept; /* NET_ACCEPT_ */
    enum net_checksum checksum;
    void (*wake)(void *ctx);
    void *wake_ctx;

    /* Written by ethdev_start, before ready. */
    uint16_t dev;
    uint16_t dev_queues; /* that receive */
    bool interrupts;     /* a lane can sleep on them */
    _Atomic bool ready;  /* the device runs: lanes may use it */
    _Atomic bool link;   /* a neighbour is there */
    pthread_mutex_t
        link_lock; /* looking at the device's link and writing `link` are one step */
    _Atomic proa_ns changed; /* when DPDK last said that the link changed */
    struct ethdev_lane *lanes;
};

/* ethdev_init makes base and lanes; base.address, mtu, template and the rest are the caller's to
   set afterwards.  False: no memory or descriptors, nothing is left. */
bool ethdev_init(struct ethdev_port *port, const struct port_ops *ops, const char *kind,
                 const struct port_open_args *args);
void ethdev_fini(struct ethdev_port *port); /* after the device is closed */

struct ethdev_setup {
    uint16_t dev;
    uint16_t rx_queues, tx_queues;
    uint16_t
        descriptors; /* of each; a device that has another minimum or maximum gets that */
    uint64_t rx_offloads, tx_offloads, rss; /* RTE_ETH_... bits that the device has */
    bool link_events;                       /* it tells when its link changes */
    bool interrupts; /* its queues have them, or will; false: they are looked for */
};

/* ethdev_start configures the device and starts it.  Lanes use it as soon as its link is up. */
bool ethdev_start(struct ethdev_port *port, const struct ethdev_setup *setup, char *err,
                  size_t err_len);

/* ethdev_look asks the device for its link; for those that do not tell.  True: it came up. */
bool ethdev_look(struct ethdev_port *port);

/* ethdev_stop stops the device; lanes no longer call.  It does so on DPDK's interrupt thread,
   once the link has been quiet for some milliseconds: virtio-user moves its interrupt handler
   to another descriptor a moment after each change, and a device that is stopped meanwhile
   keeps a handler on a closed one, at which DPDK panics. */
void ethdev_stop(struct ethdev_port *port);

/* For the raw loops that measure devices. */
static inline struct ethdev_port *ethdev_of(struct port *port)
{
    return (struct ethdev_port *)port;
}

/* For ports that receive and send frames in a way of their own. */
bool ethdev_usable(const struct ethdev_port *port); /* the device runs */
uint16_t ethdev_burst_in(struct ethdev_port *port, unsigned queue,
                         struct rte_mbuf **mbufs, unsigned max);
/* Sends what waits, then mbufs; keeps what the device does not take: there must be room. */
void ethdev_burst_out(struct ethdev_port *port, unsigned queue, struct rte_mbuf **mbufs,
                      unsigned n);
void ethdev_flush_backlog(struct ethdev_port *port, unsigned queue);
void ethdev_drop(struct ethdev_port *port, unsigned queue, struct pkt *p,
                 enum port_drop why);

/* Operations of port.h, but close and state. */
unsigned ethdev_rx(struct port *port, unsigned queue, struct pkt **pkts, unsigned max,
                   proa_ns now);
unsigned ethdev_tx(struct port *port, unsigned queue, struct pkt **pkts, unsigned n,
                   proa_ns now);
int ethdev_fd(struct port *port, unsigned queue);
void ethdev_arm(struct port *port, unsigned queue);
void ethdev_disarm(struct port *port, unsigned queue);
proa_ns ethdev_deadline(struct port *port, unsigned queue);
bool ethdev_up(struct port *port);

#endif
