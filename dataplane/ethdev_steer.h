/* SPDX-License-Identifier: Apache-2.0 */
/* ethdev_steer.h - from which UDP port a neighbour should send, so that its packets arrive on one
   queue of a device.

   Three ways, the first that the device allows: rules of ours (rte_flow) that bind a UDP source
   port to each queue; the device's own RSS, whose key and table it lets us read; trying, where it
   lets nothing be known.  docs/wire.md, "Steering", has what the answer is for.

   Threads: init, fini: one ordinary thread; the rest: lanes, read only.
   Units:   UDP ports in host order.
   Errors:  a device that refuses a way gets the next one.
   Source:  RSS as Microsoft published it; rte_softrss computes it. */
#ifndef ETHDEV_STEER_H
#define ETHDEV_STEER_H

#include <proa/types.h>

#define ETHDEV_STEER_FIRST 49152u /* the dynamic ports.  Source: RFC 6335 */
#define ETHDEV_STEER_COUNT 16384u
#define ETHDEV_STEER_LOOKS 1024u /* ports looked at for one answer: 64 queues need 64 */
#define ETHDEV_STEER_KEY_MAX 64u
#define ETHDEV_STEER_TABLE_MAX 512u

struct rte_flow;

struct ethdev_steer {
    uint16_t dev, queues;
    unsigned lanes;
    struct proa_addr self;
    bool rules, known; /* known: key and table are the device's */
    bool by_port;      /* known: it looks at UDP ports */
    uint32_t key[ETHDEV_STEER_KEY_MAX / 4];
    uint16_t table[ETHDEV_STEER_TABLE_MAX];
    uint16_t table_size;
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

/* ethdev_steer_hash is what the device computes for a packet; for tests. */
uint32_t ethdev_steer_hash(const struct ethdev_steer *s, const struct proa_addr *from,
                           uint16_t port);

#endif
