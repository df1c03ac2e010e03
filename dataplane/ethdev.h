/* SPDX-License-Identifier: Apache-2.0 */
/* ethdev.h - what ports over a DPDK device share: bursts, headers, checks, sleeping.

   The device has at least as many queue pairs as the node has lanes.  Lane i sends on queue i
   and receives from the queues i, i + lanes, i + 2 lanes, ...: a neighbour with more lanes than
   we have sends on queues of its own.

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

struct rte_mempool;

/* One lane's part.  Its lane alone uses it. */
struct ethdev_lane {
    alignas(PROA_CACHE_LINE) struct pkt_pool *pool;
    unsigned next_rx; /* of the receive queues, when it has several */
    int epoll;
    proa_ns now; /* of the last call */
    struct tx_backlog backlog;
};

struct ethdev_port {
    struct port base; /* first */

    /* Set before ethdev_start and constant. */
    struct net_template template;
    unsigned accept; /* NET_ACCEPT_ */
    bool checksum;   /* compute UDP's on sending */
    void (*wake)(void *ctx);
    void *wake_ctx;

    /* Written by ethdev_start, before ready. */
    uint16_t dev;
    uint16_t dev_queues;
    _Atomic bool ready; /* the device runs: lanes may use it */
    _Atomic bool link;  /* a neighbour is there */
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

/* ethdev_start configures device dev with so many queue pairs of `descriptors` each and starts
   it.  Lanes use it as soon as its link is up. */
bool ethdev_start(struct ethdev_port *port, uint16_t dev, uint16_t queues,
                  uint16_t descriptors, char *err, size_t err_len);

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
