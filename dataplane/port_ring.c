/* SPDX-License-Identifier: Apache-2.0 */
#include "port_ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "addr.h"
#include "mix.h"

#define TABLE_SLOTS                                                                      \
    (2 * PORT_RING_PORTS_MAX) /* half full at the most: probes stay short */

struct slot {
    _Atomic uint64_t turn; /* position it is free for, or position + 1: filled */
    uint32_t len;
    uint32_t zero;
    struct proa_addr from;
    uint8_t data[]; /* ring_end.room bytes */
};

/* One queue's ring. */
struct lane_ring {
    uint8_t *slots; /* constant after init, as the next three */
    size_t stride;
    uint64_t mask;
    _Atomic int fd; /* eventfd, -1 until the lane first asks for it */

    alignas(PROA_CACHE_LINE) _Atomic uint64_t tail; /* positions handed to writers */
    alignas(PROA_CACHE_LINE) uint64_t head; /* the lane's: next position to read */
    _Atomic uint32_t armed;                 /* the lane sleeps on fd */
};

/* What an address of the hub leads to. */
struct ring_end {
    struct proa_addr address;
    uint32_t queues, slots;
    uint32_t room; /* bytes a slot takes */
    bool rss;
    _Atomic bool open; /* a port reads here */
    struct lane_ring rings[];
};

struct hub {
    char name[PROA_TEXT_MAX];
    struct hub *next;
    uint32_t ports; /* open ones: the hub ends with the last */
    uint32_t ends;
    uint32_t derived; /* addresses given out */
    _Atomic(struct ring_end *) table[TABLE_SLOTS];
};

struct ring_port {
    struct port base;
    struct hub *hub;
    struct ring_end *end;
    struct pkt_pool *pools[PROA_LANES_MAX];
};

/* The hubs of this process, under the lock. */
static pthread_mutex_t hubs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hub *hubs;

/* ---- the hub's table ---- */

static struct ring_end *hub_find(struct hub *hub, const struct proa_addr *addr)
{
    size_t at = addr_hash(addr) % TABLE_SLOTS;

    for (;;) {
        /* acquire, pairs with the release in hub_add: the end is complete. */
        struct ring_end *end =
            atomic_load_explicit(&hub->table[at], memory_order_acquire);

        if (end == NULL || addr_equal(&end->address, addr))
            return end;
        at = (at + 1) % TABLE_SLOTS;
    }
}

static bool hub_add(struct hub *hub, struct ring_end *end)
{
    size_t at = addr_hash(&end->address) % TABLE_SLOTS;

    if (hub->ends == PORT_RING_PORTS_MAX)
        return false;
    hub->ends++;
    while (atomic_load_explicit(&hub->table[at], memory_order_relaxed) != NULL)
        at = (at + 1) % TABLE_SLOTS;
    /* release, pairs with the acquire in hub_find. */
    atomic_store_explicit(&hub->table[at], end, memory_order_release);
    return true;
}

/* Under hubs_lock. */
static struct hub *hub_get(const char *name)
{
    struct hub *hub;

    for (hub = hubs; hub != NULL; hub = hub->next) {
        if (strcmp(hub->name, name) == 0)
            return hub;
    }
    hub = calloc(1, sizeof(*hub));
    if (hub == NULL)
        return NULL;
    snprintf(hub->name, sizeof(hub->name), "%s", name);
    hub->next = hubs;
    hubs = hub;
    return hub;
}

static void end_free(struct ring_end *end)
{
    if (end == NULL)
        return;
    for (uint32_t q = 0; q < end->queues; q++) {
        int fd = atomic_load(&end->rings[q].fd);

        if (fd >= 0)
            close(fd);
        free(end->rings[q].slots);
    }
    free(end);
}

/* Under hubs_lock: frees the hub when its last port is gone. */
static void hub_put(struct hub *hub)
{
    struct hub **at = &hubs;

    if (hub->ports > 0)
        return;
    while (*at != hub)
        at = &(*at)->next;
    *at = hub->next;
    for (size_t i = 0; i < TABLE_SLOTS; i++)
        end_free(atomic_load_explicit(&hub->table[i], memory_order_relaxed));
    free(hub);
}

/* ---- one end ---- */

static struct slot *slot_at(struct lane_ring *ring, uint64_t at)
{
    return (struct slot *)(void *)(ring->slots + (at & ring->mask) * ring->stride);
}

static struct ring_end *end_new(const struct proa_addr *addr, uint32_t queues,
                                uint32_t slots, uint32_t room)
{
    size_t size = sizeof(struct ring_end) + queues * sizeof(struct lane_ring);
    struct ring_end *end;

    size = (size + PROA_CACHE_LINE - 1) / PROA_CACHE_LINE * PROA_CACHE_LINE;
    end = aligned_alloc(PROA_CACHE_LINE, size);
    if (end == NULL)
        return NULL;
    memset(end, 0, size);
    end->address = *addr;
    end->slots = slots;
    end->room = room;
    for (end->queues = 0; end->queues < queues; end->queues++) {
        struct lane_ring *ring = &end->rings[end->queues];

        ring->stride = (sizeof(struct slot) + room + 7) / 8 * 8;
        ring->mask = slots - 1;
        atomic_init(&ring->fd, -1);
        ring->slots = calloc(slots, ring->stride);
        if (ring->slots == NULL) {
            end_free(end);
            return NULL;
        }
        for (uint64_t i = 0; i < slots; i++)
            atomic_init(&slot_at(ring, i)->turn, i);
    }
    return end;
}

/* Copies one packet in.  False: the ring is full. */
static bool ring_push(struct lane_ring *ring, const struct proa_addr *from,
                      const struct pkt *p)
{
    uint64_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    struct slot *slot;

    for (;;) {
        slot = slot_at(ring, at);
        /* W2 acquire, pairs with R2: the slot's last packet has been read. */
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);

        if (turn == at) {
            /* relaxed: the claim orders nothing, the turns do. */
            if (atomic_compare_exchange_weak_explicit(
                    &ring->tail, &at, at + 1, memory_order_relaxed, memory_order_relaxed))
                break;
        } else if (turn < at) {
            return false;
        } else {
            at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        }
    }
    slot->from = *from;
    slot->len = p->len;
    memcpy(slot->data, p->data, p->len);
    /* W1 release, pairs with R1: the packet is complete. */
    atomic_store_explicit(&slot->turn, at + 1, memory_order_release);
    return true;
}

/* After pushes: wakes the lane if it sleeps.  The fence pairs with the one in ring_arm: either
   this sees `armed`, or the lane's last look sees the packet. */
static void ring_wake(struct lane_ring *ring)
{
    const uint64_t one = 1;

    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->armed, memory_order_relaxed) != 0) {
        ssize_t n = write(atomic_load(&ring->fd), &one, sizeof(one));

        (void)n; /* full: readable already */
    }
}

/* ---- the port ---- */

static unsigned ring_rx(struct port *base, unsigned queue, struct pkt **pkts,
                        unsigned max, proa_ns now)
{
    struct ring_port *port = (struct ring_port *)base;
    struct lane_ring *ring = &port->end->rings[queue];
    struct pkt_pool *pool = port->pools[queue];
    struct port_stats *stats = &base->stats[queue];
    uint64_t bytes = 0;
    unsigned n = 0;

    while (n < max) {
        struct slot *slot = slot_at(ring, ring->head);
        struct pkt *p;

        /* R1 acquire, pairs with W1. */
        if (atomic_load_explicit(&slot->turn, memory_order_acquire) != ring->head + 1)
            break;
        p = pkt_alloc(pool, 0);
        if (p != NULL && slot->len <= p->room) {
            p->len = (uint16_t)slot->len;
            p->source = 0;
            p->port = base->index;
            p->flags = 0;
            p->peer = slot->from;
            p->sent_at = now;
            memcpy(p->data, slot->data, slot->len);
            bytes += slot->len;
            pkts[n++] = p;
        } else {
            port_stat_add(&stats->drops[p == NULL ? PORT_DROP_POOL : PORT_DROP_LENGTH],
                          1);
            if (p != NULL)
                pkt_free(pool, p);
        }
        /* R2 release, pairs with W2. */
        atomic_store_explicit(&slot->turn, ring->head + ring->mask + 1,
                              memory_order_release);
        ring->head++;
    }
    if (n > 0) {
        port_stat_add(&stats->rx, n);
        port_stat_add(&stats->rx_bytes, bytes);
    }
    return n;
}

/* As a NIC's RSS, which nobody can foretell either. */
static unsigned hash_queue(const struct ring_end *end, const struct proa_addr *from)
{
    return (unsigned)(mix64(addr_hash(from) ^ addr_hash(&end->address)) % end->queues);
}

static enum port_drop ring_send(struct ring_port *port, unsigned queue,
                                const struct pkt *p)
{
    uint32_t limit = port->base.payload_max + (pkt_is_krpc(p) ? port->base.lead : 0);
    struct proa_addr from;
    struct ring_end *end;
    struct lane_ring *ring;

    if (p->len > limit)
        return PORT_DROP_OVERSIZE;
    end = hub_find(port->hub, &p->peer);
    if (end == NULL || !atomic_load_explicit(&end->open, memory_order_relaxed))
        return PORT_DROP_DOWN;
    if (p->len > end->room)
        return PORT_DROP_OVERSIZE;
    from = port->base.address;
    if (p->source != 0)
        from.port = p->source;
    ring = &end->rings[end->rss ? hash_queue(end, &from) : queue % end->queues];
    if (!ring_push(ring, &from, p))
        return PORT_DROP_TX;
    ring_wake(ring);
    return PORT_OK;
}

static unsigned ring_tx(struct port *base, unsigned queue, struct pkt **pkts, unsigned n,
                        proa_ns now)
{
    struct ring_port *port = (struct ring_port *)base;
    struct pkt_pool *pool = port->pools[queue];
    struct port_stats *stats = &base->stats[queue];

    (void)now;
    for (unsigned i = 0; i < n; i++) {
        enum port_drop drop = ring_send(port, queue, pkts[i]);

        if (drop == PORT_OK) {
            port_stat_add(&stats->tx, 1);
            port_stat_add(&stats->tx_bytes, pkts[i]->len);
        } else {
            port_stat_add(&stats->drops[drop], 1);
        }
        pkt_free(pool, pkts[i]);
    }
    return n;
}

static int ring_fd(struct port *base, unsigned queue)
{
    struct lane_ring *ring = &((struct ring_port *)base)->end->rings[queue];
    int fd = atomic_load(&ring->fd);

    if (fd < 0) { /* only the queue's lane comes here */
        fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        atomic_store(&ring->fd, fd);
    }
    return fd;
}

static void ring_arm(struct port *base, unsigned queue)
{
    struct lane_ring *ring = &((struct ring_port *)base)->end->rings[queue];

    if (ring_fd(base, queue) < 0)
        return;
    atomic_store_explicit(&ring->armed, 1, memory_order_relaxed);
    /* Pairs with the fence in ring_wake. */
    atomic_thread_fence(memory_order_seq_cst);
}

static void ring_disarm(struct port *base, unsigned queue)
{
    struct lane_ring *ring = &((struct ring_port *)base)->end->rings[queue];
    uint64_t count;

    /* relaxed: a writer that still sees 1 makes one wake-up too many. */
    atomic_store_explicit(&ring->armed, 0, memory_order_relaxed);
    if (atomic_load(&ring->fd) >= 0) {
        ssize_t n = read(atomic_load(&ring->fd), &count, sizeof(count));

        (void)n; /* nothing to read: fine */
    }
}

static proa_ns ring_deadline(struct port *base, unsigned queue)
{
    (void)base;
    (void)queue;
    return PROA_NS_NEVER;
}

static bool ring_up(struct port *base)
{
    (void)base;
    return true;
}

static void ring_state(struct port *base, char *buf, size_t len)
{
    snprintf(buf, len, "on hub %s", ((struct ring_port *)base)->hub->name);
}

/* One after the other from the dynamic ports of RFC 6335. */
static uint16_t ring_source_port(struct port *base, unsigned queue,
                                 const struct proa_addr *from, unsigned tried)
{
    (void)base;
    (void)from;
    return (uint16_t)(49152 + (queue * 97 + tried) % 16384);
}

static void ring_close(struct port *base)
{
    struct ring_port *port = (struct ring_port *)base;

    pthread_mutex_lock(&hubs_lock);
    atomic_store_explicit(&port->end->open, false, memory_order_relaxed);
    port->hub->ports--;
    hub_put(port->hub);
    pthread_mutex_unlock(&hubs_lock);
    port_fini(base);
    free(port);
}

static const struct port_ops ring_ops = {
    .rx = ring_rx,
    .tx = ring_tx,
    .fd = ring_fd,
    .arm = ring_arm,
    .disarm = ring_disarm,
    .deadline = ring_deadline,
    .up = ring_up,
    .source_port = ring_source_port,
    .state = ring_state,
    .close = ring_close,
};

/* ---- opening ---- */

/* The next address of the hub that nobody has: 10.84.0.1 and up. */
static bool derive_address(struct hub *hub, uint16_t udp_port, struct proa_addr *ret)
{
    while (hub->derived < 65534) {
        struct proa_addr addr = addr_v4(10u << 24 | 84u << 16 | ++hub->derived, udp_port);

        if (hub_find(hub, &addr) == NULL) {
            *ret = addr;
            return true;
        }
    }
    return false;
}

/* Under hubs_lock: the end for this port, an old one of the same address or a new one. */
static struct ring_end *end_take(struct ring_port *port, uint32_t slots, char *err,
                                 size_t err_len)
{
    struct proa_addr *addr = &port->base.address;
    uint32_t room = port->base.payload_max + port->base.lead;
    struct ring_end *end = hub_find(port->hub, addr);
    char text[ADDR_TEXT_MAX];

    addr_print(addr, text, sizeof(text));
    if (end != NULL && atomic_load(&end->open)) {
        snprintf(err, err_len, "ring:%s: %s is taken by another port; choose another",
                 port->hub->name, text);
        return NULL;
    }
    if (end != NULL) {
        if (end->queues == port->base.queues && end->slots >= slots && end->room >= room)
            return end;
        snprintf(
            err, err_len,
            "ring:%s: %s was opened before with fewer lanes, slots or mtu; use another",
            port->hub->name, text);
        return NULL;
    }
    end = end_new(addr, port->base.queues, slots, room);
    if (end == NULL || !hub_add(port->hub, end)) {
        snprintf(err, err_len, "ring:%s: %s", port->hub->name,
                 end == NULL ? "no memory for its slots"
                             : "too many addresses on the hub");
        end_free(end);
        return NULL;
    }
    return end;
}

/* Under hubs_lock. */
static bool join(struct ring_port *port, const struct port_ring_args *args, char *err,
                 size_t err_len)
{
    uint16_t udp_port = args->udp_port != 0 ? args->udp_port : PROA_PORT;

    port->base.address = args->address;
    port->base.prefix = args->prefix;
    if (args->address.family == 0) {
        port->base.prefix = 96 + 16;
        if (!derive_address(port->hub, udp_port, &port->base.address)) {
            snprintf(err, err_len, "ring:%s: no address left on the hub", args->hub);
            return false;
        }
    }
    port->base.steers = port->base.spreads = args->rss && args->queues > 1;
    port->base.mtu = args->mtu != 0 ? args->mtu : PORT_RING_MTU;
    port_set_address(&port->base);
    port->end =
        end_take(port, args->slots != 0 ? args->slots : PORT_RING_SLOTS, err, err_len);
    if (port->end == NULL)
        return false;
    port->end->rss = args->rss;
    atomic_store_explicit(&port->end->open, true, memory_order_relaxed);
    port->hub->ports++;
    return true;
}

struct port *port_ring_open(const struct port_ring_args *args, char *err, size_t err_len)
{
    const struct port_open_args common = {.index = args->index, .queues = args->queues};
    struct ring_port *port = calloc(1, sizeof(*port));
    bool joined = false;

    PROA_ASSERT(args->queues >= 1 && args->queues <= PROA_LANES_MAX);
    PROA_ASSERT((args->slots & (args->slots - 1)) == 0);
    if (port == NULL || !port_init(&port->base, &ring_ops, "ring", &common)) {
        snprintf(err, err_len, "ring:%s: %s", args->hub, strerror(ENOMEM));
        free(port);
        return NULL;
    }
    memcpy(port->pools, args->pools, args->queues * sizeof(port->pools[0]));
    pthread_mutex_lock(&hubs_lock);
    port->hub = hub_get(args->hub);
    if (port->hub == NULL) {
        snprintf(err, err_len, "ring:%s: %s", args->hub, strerror(ENOMEM));
    } else {
        joined = join(port, args, err, err_len);
        if (!joined)
            hub_put(port->hub);
    }
    pthread_mutex_unlock(&hubs_lock);
    if (!joined) {
        port_fini(&port->base);
        free(port);
        return NULL;
    }
    return &port->base;
}

struct port *port_ring_spec(const struct port_open_args *args, char *err, size_t err_len)
{
    struct port read = {0};
    struct port_ring_args ring = {
        .hub = args->config->spec + strlen("ring:"),
        .queues = args->queues,
        .pools = args->pools,
        .index = args->index,
        .udp_port = args->udp_port,
    };

    if (ring.hub[0] == '\0') {
        snprintf(err, err_len, "ring: has no name; write ring:NAME");
        return NULL;
    }
    if (!port_address_config(&read, args, err, err_len) ||
        !port_mtu_config(&read, args, PORT_RING_MTU, err, err_len))
        return NULL;
    ring.address = read.address;
    ring.prefix = read.prefix;
    ring.mtu = read.mtu;
    return port_ring_open(&ring, err, err_len);
}
