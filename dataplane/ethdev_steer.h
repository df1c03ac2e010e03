/* SPDX-License-Identifier: Apache-2.0 */
/* ethdev_steer.h - what a DPDK device does to bring packets to queues, and what it can be told.

   Three ways, the first that the device allows: rules of ours (rte_flow) that bind a UDP source
   port to each queue; the device's own RSS, whose key and table it lets us read; trying, where it
   lets nothing be known (rss.h).

   Threads: init, fini: one ordinary thread; the rest: lanes, read only.
   Units:   as rss.h.
   Errors:  a device that refuses a way gets the next one. */
#ifndef ETHDEV_STEER_H
#define ETHDEV_STEER_H

#include "rss.h"

struct rte_flow;

struct ethdev_steer {
    uint16_t dev;
    bool rules;
    struct rss rss;
    struct rte_flow *flows[PROA_LANES_MAX];
};

/* ethdev_steer_init looks at a started device with so many receive queues for so many lanes. */
void ethdev_steer_init(struct ethdev_steer *s, uint16_t dev, uint16_t queues,
                       unsigned lanes, const struct proa_addr *self);
void ethdev_steer_fini(struct ethdev_steer *s); /* takes the rules away */

/* ethdev_steer_port: the `tried`th port (from 0) for packets of `from` to lane; 0: none. */
uint16_t ethdev_steer_port(const struct ethdev_steer *s, unsigned lane,
                           const struct proa_addr *from, unsigned tried);

const char *ethdev_steer_way(const struct ethdev_steer *s); /* for people */

#endif
