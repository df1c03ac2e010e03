/* SPDX-License-Identifier: Apache-2.0 */
/* port.h - where packets come and go: one small interface over every kind of port.

   A port has one queue per lane.  Received packets are UDP payloads addressed to this node's
   port, parsed, checked and aligned: everything below UDP, and the lead, is the port's work, and
   what does not belong to us is counted in port_stats and gone.  The kinds: ethdev, af_xdp, vhost,
   udp, ring; faults (port_faults.h) wrap any of them.

   Threads: create, start, stop: one ordinary thread (the control thread may be it); rx, tx: the
            queue's lane only; stats are relaxed counters for anybody.
   Units:   bytes, proa_ns.
   Errors:  port_open fills err with one sentence: device, cause, remedy. */
#ifndef PORT_H
#define PORT_H

#include <stdalign.h>
#include <stdatomic.h>

#include <proa/node.h>
#include <proa/types.h>

#include "pkt.h"

#define PORT_BURST                                                                       \
    32 /* packets a call moves at the most.  Source: smaller bursts cost 7-9 % */

enum port_drop {
    PORT_DROP_SHORT,     /* truncated header */
    PORT_DROP_ETHERTYPE, /* neither IPv4 nor IPv6 */
    PORT_DROP_FRAGMENT,
    PORT_DROP_OPTIONS,  /* IP options or extension headers */
    PORT_DROP_PROTOCOL, /* not UDP */
    PORT_DROP_ADDRESS,  /* not to us */
    PORT_DROP_UDP_PORT, /* not to our UDP port */
    PORT_DROP_LENGTH,   /* lengths contradict each other */
    PORT_DROP_CHECKSUM,
    PORT_DROP_LEAD,     /* lead not zero, or first byte neither 0 nor 'd' */
    PORT_DROP_POOL,     /* no buffer for it */
    PORT_DROP_OVERSIZE, /* tx: larger than the MTU */
    PORT_DROP_TX,       /* tx: the device did not take it and the backlog was full */
    PORT_DROP_DOWN,     /* tx: no neighbour attached */
    PORT_DROP_DENIED,   /* from an address that the configuration denies */
    PORT_DROP_RATE,     /* from a source that sends more than the configuration allows */
    PORT_DROP_RING,     /* the queue in front of the lane was full */
    PORT_DROP_COUNT,
    PORT_OK = PORT_DROP_COUNT /* of functions that return a reason: none */
};

/* port_drop_name returns the reason in lower case for people: "short", "udp port"; "?" outside. */
const char *port_drop_name(enum port_drop drop);

/* Counters of one queue; bytes are link packets and KRPC datagrams, without what is below. */
struct port_stats {
    alignas(PROA_CACHE_LINE) _Atomic uint64_t rx;
    _Atomic uint64_t tx, rx_bytes, tx_bytes;
    _Atomic uint64_t drops[PORT_DROP_COUNT];
};

_Static_assert(sizeof(struct port_stats) % PROA_CACHE_LINE == 0,
               "queues must not share a line: each has a lane that writes it");

/* port_stat_add adds to a counter of one's own queue.  relaxed: only its lane writes it. */
static inline void port_stat_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

struct port;

/* What a port counts besides port_stats. */
struct port_count {
    const char *name; /* for people, static: "not ip" */
    uint64_t value;
};

#define PORT_COUNTS_MAX 16

struct port_ops {
    /* Receives up to max (<= PORT_BURST) packets of `queue`; the lane owns them. now stamps. */
    unsigned (*rx)(struct port *port, unsigned queue, struct pkt **pkts, unsigned max,
                   proa_ns now);
    /* Sends n packets; takes the first returned many; the rest stay the caller's. peer and data
       are set in each.  A packet whose pool entry is held is not freed by this. */
    unsigned (*tx)(struct port *port, unsigned queue, struct pkt **pkts, unsigned n,
                   proa_ns now);
    /* Sleeping: an fd that becomes readable when packets come, or -1 (timed sleep then); it is
       the port's and stays the same while the port is open.  arm asks for the wake-up; after
       it the caller polls once more. disarm ends it and makes the fd unreadable again. */
    int (*fd)(struct port *port, unsigned queue);
    void (*arm)(struct port *port, unsigned queue);
    void (*disarm)(struct port *port, unsigned queue);
    /* The next moment it wants rx called though nothing arrived (delayed packets of the fault
       layer); PROA_NS_NEVER otherwise. */
    proa_ns (*deadline)(struct port *port, unsigned queue);
    bool (*up)(struct port *port); /* a neighbour is attached */
    /* Of ports that steer: the UDP port that packets of `from` should come from, so that they
       arrive on this queue.  tried: earlier answers of which it turned out that they do not.  0:
       there is none.  NULL otherwise. */
    uint16_t (*source_port)(struct port *port, unsigned queue,
                            const struct proa_addr *from, unsigned tried);
    /* One sentence for people on how the port is: "waits for its neighbour at PATH". */
    void (*state)(struct port *port, char *buf, size_t len);
    /* NULL: nothing.  Returns how many there are; any thread. */
    unsigned (*counts)(struct port *port, struct port_count ret[PORT_COUNTS_MAX]);
    /* Adds what the kernel dropped in front of the queues; NULL: nothing.  Any thread. */
    void (*dropped)(const struct port *port, uint64_t drops[PORT_DROP_COUNT]);
    /* Drops from now on what comes from the first `prefix` bits (of 128) of `from`; not deny: no
       longer.  NULL: only other kinds can.  NULL, or why it cannot; control thread only. */
    const char *(*deny)(struct port *port, const struct proa_addr *from, uint8_t prefix,
                        bool deny);
    void (*close)(struct port *port); /* the lanes no longer call rx and tx */
};

struct port {
    const struct port_ops *ops;
    struct proa_addr address; /* ours as others reach it by this port */
    struct proa_addr
        neighbour;  /* the only one there is (point to point); family 0: many */
    uint8_t prefix; /* bits of address.ip (of 128) that are on this port's network */
    uint8_t index;  /* in the node's list; stamped into pkt.port */
    uint16_t mtu;   /* of an IP packet */
    bool far; /* it knows ways to other networks: a gateway, or the kernel's routes */
    bool one_source; /* sends from its own UDP port only */
    bool dear_look;  /* rx is a system call even when nothing arrived */
    bool steers;     /* which queue a packet arrives on may follow from its UDP ports */
    bool
        spreads; /* so it does: lanes of a peer are spread over ours (else as they arrive) */
    uint32_t lead;                /* zero bytes between UDP and a link packet: 6 or 2 */
    _Atomic uint32_t payload_max; /* largest link packet: mtu - IP - UDP - lead */
    unsigned queues;
    const char *kind;         /* "vhost", ... */
    struct port_stats *stats; /* one per queue: one writer each */
};

static inline unsigned port_rx(struct port *port, unsigned queue, struct pkt **pkts,
                               unsigned max, proa_ns now)
{
    return port->ops->rx(port, queue, pkts, max, now);
}

static inline unsigned port_tx(struct port *port, unsigned queue, struct pkt **pkts,
                               unsigned n, proa_ns now)
{
    return port->ops->tx(port, queue, pkts, n, now);
}

static inline int port_fd(struct port *port, unsigned queue)
{
    return port->ops->fd(port, queue);
}

static inline void port_arm(struct port *port, unsigned queue)
{
    port->ops->arm(port, queue);
}

static inline void port_disarm(struct port *port, unsigned queue)
{
    port->ops->disarm(port, queue);
}

static inline proa_ns port_deadline(struct port *port, unsigned queue)
{
    return port->ops->deadline(port, queue);
}

static inline bool port_up(struct port *port)
{
    return port->ops->up(port);
}

static inline void port_close(struct port *port)
{
    if (port != NULL)
        port->ops->close(port);
}

struct port_open_args {
    const struct proa_port_config *config;
    uint8_t index;
    unsigned queues; /* lanes */
    struct pkt_pool *
        *pools;        /* one per lane; the array is copied, the pools are borrowed */
    uint16_t udp_port; /* PROA_PORT unless the spec says another; 0 means PROA_PORT */
    /* Called from any thread when sleeping lanes should look at the port: a neighbour came or
       went.  May be NULL. */
    void (*wake)(void *ctx);
    void *wake_ctx;
};

/* What a kind of port shares with the others.  port_init sets address-independent fields and
   makes the counters; port_set_address derives lead and payload_max from address.family and
   mtu, so both are set before it.  port_fini frees what port_init made. */
bool port_init(struct port *port, const struct port_ops *ops, const char *kind,
               const struct port_open_args *args);
void port_set_address(struct port *port);

/* port_follow_mtu: the interface's MTU is another now.  The port's own is the most it sends; below
   that it sends no larger packets from now on, links that do end as stuck, and new ones are
   opened for what fits.  Any thread. */
void port_follow_mtu(struct port *port, uint32_t mtu);
void port_fini(struct port *port);

/* port_stats_sum adds up all queues, and what was dropped in front of them. */
void port_stats_sum(const struct port *port, struct port_stats *ret);

/* port_address_config reads config->address into port->address and port->prefix.  False: err
   says what is wrong; nothing is set when config->address is empty. */
bool port_address_config(struct port *port, const struct port_open_args *args, char *err,
                         size_t err_len);

/* port_mtu_config sets port->mtu from config->mtu, or fallback when that is 0. */
bool port_mtu_config(struct port *port, const struct port_open_args *args,
                     uint16_t fallback, char *err, size_t err_len);

/* port_open starts the port that config->spec names ("ethdev:...", "af_xdp:...", "udp:...", ...).
   NULL: err says device, cause and remedy. */
struct port *port_open(const struct port_open_args *args, char *err, size_t err_len);

/* port_route picks the port for dst: longest matching prefix, else a point-to-point port whose
   neighbour it is, else the first that reaches other networks, else -1. Pure. */
int port_route(struct port *const *ports, unsigned count, const struct proa_addr *dst);

#endif
