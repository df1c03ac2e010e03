/* SPDX-License-Identifier: Apache-2.0 */
#include "port_af_xdp.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "dpdk_frame.h"
#include "dpdk_store.h"
#include "interface.h"
#include "neighbours.h"
#include "pool_dpdk.h"
#include "rss.h"
#include "tx_backlog.h"
#include "xdp_steer.h"
#include "xsk.h"

#define GENERIC ",generic"
#define KICK_AGAIN (20 * PROA_US) /* while the kernel has frames of ours */
#define DOWN_AGAIN (10 * PROA_MS) /* while the interface is down */

_Static_assert(PORT_AF_XDP_FRONT == XSK_FRONT, "one number");
_Static_assert(STEER_DENY_MAX == 256, "af_xdp_deny says it");
_Static_assert((unsigned)STEER_COUNTS <= PORT_COUNTS_MAX, "all of them");

/* One lane's part.  Its lane alone uses it. */
struct xdp_lane {
    alignas(PROA_CACHE_LINE) struct pkt_pool *pool;
    struct xsk_area area;
    struct xsk_queue *queues; /* those with number index, index + lanes, ... */
    unsigned count, next_rx;
    int epoll;
    bool busy; /* the kernel has frames to send */
    proa_ns now;
    struct hop_cache hop;
    struct tx_backlog backlog;
};

struct xdp_port {
    struct port base; /* first */
    struct interface interface;
    struct steer *steer;
    struct next_hops *hops;
    struct neighbours *neighbours;
    struct net_template template;
    int holder; /* a kernel socket on our port, which keeps others off it */
    bool generic;
    struct rss rss;
    struct xdp_lane *lanes;
};

static struct xdp_port *xdp_of(struct port *base)
{
    return (struct xdp_port *)base;
}

/* ---- receiving ---- */

static void flush_backlog(struct xdp_lane *lane);

static unsigned af_xdp_rx(struct port *base, unsigned queue, struct pkt **pkts,
                          unsigned max, proa_ns now)
{
    struct xdp_lane *lane = &xdp_of(base)->lanes[queue];
    struct port_stats *stats = &base->stats[queue];
    struct rte_mbuf *mbufs[PORT_BURST];
    uint64_t bytes = 0;
    unsigned got, n = 0;

    lane->now = now;
    if (lane->busy)
        lane->busy = xsk_queue_kick(&lane->queues[0]);
    if (unlikely(lane->backlog.count > 0))
        flush_backlog(lane);
    got = xsk_queue_rx(&lane->queues[lane->next_rx], mbufs, max);
    if (++lane->next_rx == lane->count)
        lane->next_rx = 0;
    for (unsigned i = 0; i < got; i++)
        frame_prefetch(mbufs[i]);
    for (unsigned i = 0; i < got; i++) {
        if (frame_receive(base, stats, NET_ACCEPT_ZERO | NET_ACCEPT_PARTIAL, mbufs[i],
                          now)) {
            pkts[n] = pkt_of_mbuf(mbufs[i]);
            bytes += pkts[n++]->len;
        }
    }
    if (got > 0) {
        port_stat_add(&stats->rx, n);
        port_stat_add(&stats->rx_bytes, bytes);
    }
    return n;
}

/* ---- sending ---- */

static void drop(struct xdp_port *port, unsigned queue, struct pkt *p, enum port_drop why)
{
    port_stat_add(&port->base.stats[queue].drops[why], 1);
    pkt_free(port->lanes[queue].pool, p);
}

static void flush_backlog(struct xdp_lane *lane)
{
    struct tx_backlog *backlog = &lane->backlog;
    struct pkt *pkts[PORT_BURST];
    struct rte_mbuf *mbufs[PORT_BURST];

    while (backlog->count > 0) {
        unsigned n = tx_backlog_peek(backlog, pkts, PORT_BURST), done;

        for (unsigned i = 0; i < n; i++)
            mbufs[i] = mbuf_of_pkt(pkts[i]);
        done = xsk_queue_tx(&lane->queues[0], mbufs, n);
        lane->busy = true;
        tx_backlog_drop(backlog, done);
        if (done < n)
            return;
    }
}

/* Turns packets into frames until there are max, or no more room for those that might stay. */
static unsigned build(struct xdp_port *port, unsigned queue, struct pkt **pkts,
                      unsigned n, unsigned *ret_taken, struct rte_mbuf **mbufs)
{
    struct port_stats *stats = &port->base.stats[queue];
    struct xdp_lane *lane = &port->lanes[queue];
    const struct tx_backlog *backlog = &lane->backlog;
    bool up = neighbours_up(port->neighbours);
    unsigned count = 0;
    uint64_t bytes = 0;

    while (*ret_taken < n && count < PORT_BURST && tx_backlog_room(backlog) > count) {
        struct pkt *p = pkts[(*ret_taken)++];
        enum port_drop why = frame_unsendable(&port->base, p);
        const uint8_t *mac = NULL;

        if (unlikely(!up))
            why = PORT_DROP_DOWN;
        if (likely(why == PORT_OK)) {
            mac = hop_cache_find(&lane->hop, port->hops, queue, p->peer.ip, lane->now);
            if (mac == NULL)
                why = PORT_DROP_DOWN;
        }
        if (unlikely(why != PORT_OK)) {
            drop(port, queue, p, why);
            continue;
        }
        bytes += p->len;
        mbufs[count] = frame_build(&port->template, p, NET_CHECKSUM_FULL);
        memcpy(rte_pktmbuf_mtod(mbufs[count], uint8_t *), mac, 6);
        count++;
    }
    port_stat_add(&stats->tx, count);
    port_stat_add(&stats->tx_bytes, bytes);
    return count;
}

static unsigned af_xdp_tx(struct port *base, unsigned queue, struct pkt **pkts,
                          unsigned n, proa_ns now)
{
    struct xdp_port *port = xdp_of(base);
    struct xdp_lane *lane = &port->lanes[queue];
    struct tx_backlog *backlog = &lane->backlog;
    unsigned taken = 0;

    lane->now = now;
    if (unlikely(backlog->count > 0))
        flush_backlog(lane);
    while (taken < n) {
        struct rte_mbuf *mbufs[PORT_BURST];
        unsigned count = build(port, queue, pkts, n, &taken, mbufs), sent = 0;

        if (likely(backlog->count == 0))
            sent = xsk_queue_tx(&lane->queues[0], mbufs, count);
        for (unsigned i = sent; i < count; i++)
            tx_backlog_push(backlog, pkt_of_mbuf(mbufs[i]));
        if (tx_backlog_room(backlog) == 0)
            break;
    }
    lane->busy = xsk_queue_kick(&lane->queues[0]);
    return taken;
}

/* ---- sleeping ---- */

static bool af_xdp_up(struct port *base)
{
    return neighbours_up(xdp_of(base)->neighbours);
}

static int af_xdp_fd(struct port *base, unsigned queue)
{
    return xdp_of(base)->lanes[queue].epoll;
}

/* The sockets are readable while they hold frames.  They are watched only while the lane sleeps:
   else the kernel takes two locks for each frame sent or received to tell an epoll that nobody
   waits for (on veth 15 % of an ask's round trip). */
static bool watch(const struct xdp_lane *lane, int operation)
{
    bool ok = true;

    for (unsigned i = 0; i < lane->count; i++) {
        struct epoll_event event = {.events = EPOLLIN};

        ok &= epoll_ctl(lane->epoll, operation, lane->queues[i].fd, &event) == 0;
    }
    return ok;
}

static void af_xdp_arm(struct port *base, unsigned queue)
{
    (void)watch(&xdp_of(base)->lanes[queue], EPOLL_CTL_ADD);
}

static void af_xdp_disarm(struct port *base, unsigned queue)
{
    (void)watch(&xdp_of(base)->lanes[queue], EPOLL_CTL_DEL);
}

static proa_ns af_xdp_deadline(struct port *base, unsigned queue)
{
    const struct xdp_lane *lane = &xdp_of(base)->lanes[queue];

    if (!lane->busy && lane->backlog.count == 0)
        return PROA_NS_NEVER;
    return lane->now + (af_xdp_up(base) ? KICK_AGAIN : DOWN_AGAIN);
}

/* ---- the port ---- */

static void af_xdp_state(struct port *base, char *buf, size_t len)
{
    const struct xdp_port *port = xdp_of(base);
    uint64_t counts[STEER_COUNTS];
    bool zero_copy = port->lanes[0].queues[0].zero_copy;

    steer_counts(port->steer, counts);
    snprintf(buf, len,
             "%s: %s, %s, %u queues; no socket %llu, denied %llu, over rate "
             "%llu",
             port->interface.name, neighbours_up(port->neighbours) ? "up" : "no carrier",
             port->generic ? "generic XDP"
             : zero_copy   ? "zero copy"
                           : "XDP in the driver, with copies",
             port->interface.queues, (unsigned long long)counts[STEER_NO_SOCKET],
             (unsigned long long)counts[STEER_DENIED],
             (unsigned long long)counts[STEER_RATE]);
}

static unsigned af_xdp_counts(struct port *base, struct port_count ret[PORT_COUNTS_MAX])
{
    uint64_t counts[STEER_COUNTS];

    steer_counts(xdp_of(base)->steer, counts);
    for (unsigned i = 0; i < STEER_COUNTS; i++)
        ret[i] = (struct port_count){steer_count_name((enum steer_count)i), counts[i]};
    return STEER_COUNTS;
}

/* What the program drops, and what the kernel has no room for. */
static void af_xdp_dropped(const struct port *base, uint64_t drops[PORT_DROP_COUNT])
{
    const struct xdp_port *port = (const struct xdp_port *)base;
    uint64_t counts[STEER_COUNTS];

    steer_counts(port->steer, counts);
    drops[PORT_DROP_DENIED] += counts[STEER_DENIED];
    drops[PORT_DROP_RATE] += counts[STEER_RATE];
    for (unsigned i = 0; i < base->queues; i++) {
        const struct xdp_lane *lane = &port->lanes[i];

        for (unsigned j = 0; j < lane->count; j++) {
            struct xsk_missed missed;

            xsk_queue_missed(&lane->queues[j], &missed);
            drops[PORT_DROP_POOL] += missed.pool;
            drops[PORT_DROP_RING] += missed.ring;
        }
    }
}

static const char *af_xdp_deny(struct port *base, const struct proa_addr *from,
                               uint8_t prefix, bool deny)
{
    const struct steer_deny who = {.addr = *from, .prefix = prefix};
    struct steer *steer = xdp_of(base)->steer;
    int status = deny ? steer_deny(steer, &who) : steer_allow(steer, &who);

    switch (-status) {
    case 0:
        return NULL;
    case ENOSPC:
        return "256 are denied already; allow one of them";
    case ENOENT:
        return "it is not denied";
    case EPERM:
        return "the kernel lets only CAP_BPF do it";
    default:
        return "the kernel refuses it";
    }
}

static uint16_t af_xdp_source_port(struct port *base, unsigned queue,
                                   const struct proa_addr *from, unsigned tried)
{
    return rss_port(&xdp_of(base)->rss, queue, from, tried);
}

/* A NIC that says how it spreads packets can be told from where they should come.  Of others
   (veth) most bring each queue's packets to the queue of the same number; what goes astray even so
   is tried to be steered. */
static void learn_rss(struct xdp_port *port)
{
    struct port *base = &port->base;
    struct interface_rss found;

    rss_init(&port->rss, port->interface.queues, base->queues, &base->address);
    base->steers = base->queues > 1;
    base->spreads = base->steers &&
                    interface_rss(port->interface.name, base->address.family, &found) &&
                    rss_know(&port->rss, found.key, found.key_len, found.table,
                             found.table_size, found.by_port) &&
                    found.by_port;
}

static void close_lane(struct xdp_lane *lane)
{
    struct pkt *p;

    for (unsigned i = 0; i < lane->count; i++)
        xsk_queue_close(&lane->queues[i]);
    xsk_area_close(&lane->area);
    while (tx_backlog_peek(&lane->backlog, &p, 1) > 0) {
        tx_backlog_drop(&lane->backlog, 1);
        pkt_free(lane->pool, p);
    }
    if (lane->epoll >= 0)
        close(lane->epoll);
    free(lane->queues);
}

static void af_xdp_close(struct port *base)
{
    struct xdp_port *port = xdp_of(base);

    steer_close(port->steer); /* nothing is steered to sockets that are gone */
    for (unsigned i = 0; port->lanes != NULL && i < base->queues; i++)
        close_lane(&port->lanes[i]);
    neighbours_close(port->neighbours);
    next_hops_destroy(port->hops);
    if (port->holder >= 0)
        close(port->holder);
    free(port->lanes);
    port_fini(base);
    free(port);
}

static const struct port_ops af_xdp_ops = {
    .rx = af_xdp_rx,
    .tx = af_xdp_tx,
    .fd = af_xdp_fd,
    .arm = af_xdp_arm,
    .disarm = af_xdp_disarm,
    .deadline = af_xdp_deadline,
    .up = af_xdp_up,
    .state = af_xdp_state,
    .counts = af_xdp_counts,
    .source_port = af_xdp_source_port,
    .dropped = af_xdp_dropped,
    .deny = af_xdp_deny,
    .close = af_xdp_close,
};

/* ---- opening ---- */

static bool parse_spec(struct xdp_port *port, const char *spec, char name[IFNAMSIZ],
                       char *err, size_t err_len)
{
    const char *at = spec + sizeof(PORT_AF_XDP) - 1;
    size_t len = strlen(at), tail = sizeof(GENERIC) - 1;

    port->generic = len > tail && strcmp(at + len - tail, GENERIC) == 0;
    if (port->generic)
        len -= tail;
    if (len == 0 || len >= IFNAMSIZ || memchr(at, ',', len) != NULL) {
        snprintf(err, err_len, "%s: write af_xdp:INTERFACE or af_xdp:INTERFACE,generic",
                 spec);
        return false;
    }
    memcpy(name, at, len);
    name[len] = '\0';
    return true;
}

static bool set_address(struct xdp_port *port, const struct port_open_args *args,
                        char *err, size_t err_len)
{
    const char *name = port->interface.name;
    struct port *base = &port->base;
    char text[ADDR_TEXT_MAX];

    if (!port_address_config(base, args, err, err_len))
        return false;
    base->address.port = args->udp_port != 0 ? args->udp_port : PROA_PORT;
    if (!interface_address(name, &base->address, &base->prefix)) {
        addr_print(&base->address, text, sizeof(text));
        if (base->address.family == 0)
            snprintf(err, err_len, "af_xdp:%s: has no address; ip address add ... dev %s",
                     name, name);
        else
            snprintf(err, err_len, "af_xdp:%s: %s is not its address; see: ip address",
                     name, text);
        return false;
    }
    return true;
}

static bool set_mtu(struct xdp_port *port, const struct port_open_args *args, char *err,
                    size_t err_len)
{
    struct port *base = &port->base;
    uint32_t most = pool_dpdk_mtu(args->pools[0]) - PORT_AF_XDP_FRONT;

    if (!port_mtu_config(
            base, args,
            (uint16_t)(port->interface.mtu < most ? port->interface.mtu : most), err,
            err_len))
        return false;
    if (base->mtu > port->interface.mtu) {
        snprintf(err, err_len, "af_xdp:%s: mtu %u is more than the interface's %u",
                 port->interface.name, base->mtu, port->interface.mtu);
        return false;
    }
    if (base->mtu > most) {
        snprintf(err, err_len,
                 "af_xdp:%s: mtu %u is more than AF_XDP's buffers hold (%u); set `mtu`",
                 port->interface.name, base->mtu, most);
        return false;
    }
    return true;
}

/* The kernel answers datagrams to a port without a socket by ICMP; and no other program is to
   have it. */
static bool hold_port(struct xdp_port *port, char *err, size_t err_len)
{
    struct sockaddr_storage to;
    socklen_t len = addr_to_sockaddr(&port->base.address, &to);
    const int least = 1;

    port->holder = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (port->holder >= 0)
        (void)setsockopt(port->holder, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
    if (port->holder >= 0 && bind(port->holder, (struct sockaddr *)&to, len) == 0)
        return true;
    snprintf(err, err_len,
             "af_xdp:%s: UDP port %u: %s; end the program that has it: ss -ulpn",
             port->interface.name, port->base.address.port, strerror(errno));
    return false;
}

static bool open_lane(struct xdp_port *port, unsigned index, char *err, size_t err_len)
{
    struct xdp_lane *lane = &port->lanes[index];
    unsigned lanes = port->base.queues;
    unsigned count = (port->interface.queues - index + lanes - 1) / lanes;
    char why[160];

    lane->queues = calloc(count, sizeof(*lane->queues));
    lane->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (lane->queues == NULL || lane->epoll < 0) {
        snprintf(err, err_len, "af_xdp:%s: out of memory or descriptors",
                 port->interface.name);
        return false;
    }
    if (!xsk_area_open(&lane->area, lane->pool, why, sizeof(why))) {
        snprintf(err, err_len, "af_xdp:%s: %s", port->interface.name, why);
        return false;
    }
    for (; lane->count < count; lane->count++) {
        struct xsk_queue *q = &lane->queues[lane->count];
        struct xsk_queue_args args = {.interface = port->interface.name,
                                      .queue = index + lane->count * lanes,
                                      .share = count,
                                      .copies = port->generic,
                                      .sockets = steer_sockets(port->steer)};

        if (!xsk_queue_open(q, &lane->area, &args, err, err_len))
            return false;
    }
    if (watch(lane, EPOLL_CTL_ADD) && watch(lane, EPOLL_CTL_DEL))
        return true; /* so a lane that falls asleep can be woken */
    snprintf(err, err_len, "af_xdp:%s: %s", port->interface.name, strerror(errno));
    return false;
}

static bool open_all(struct xdp_port *port, const struct port_open_args *args, char *err,
                     size_t err_len)
{
    struct interface *interface = &port->interface;
    size_t size = args->queues * sizeof(*port->lanes);
    struct steer_deny deny[PROA_DENY_MAX];
    struct steer_args steer = {.listen = &port->base.address, .listen_count = 1};
    char name[IFNAMSIZ], why[160];

    if (!parse_spec(port, args->config->spec, name, err, err_len) ||
        !steer_sources(&steer, deny, args->config, err, err_len) ||
        !interface_look(name, interface, err, err_len) ||
        !set_address(port, args, err, err_len) || !set_mtu(port, args, err, err_len))
        return false;
    if (interface->queues > STEER_QUEUES_MAX) {
        snprintf(err, err_len,
                 "af_xdp:%s: has %u queues, more than %d; ethtool -L %s combined %d",
                 name, interface->queues, STEER_QUEUES_MAX, name, STEER_QUEUES_MAX);
        return false;
    }
    if (interface->queues < args->queues) {
        snprintf(err, err_len,
                 "af_xdp:%s: has %u queues, the node %u lanes; ethtool -L %s combined "
                 "%u, or lanes: %u",
                 name, interface->queues, args->queues, name, args->queues,
                 interface->queues);
        return false;
    }
    port->base.far = true;
    port_set_address(&port->base);
    learn_rss(port);
    net_template_init(&port->template, &port->base.address, interface->mac,
                      interface->mac);
    port->lanes = aligned_alloc(PROA_CACHE_LINE, size);
    if (port->lanes == NULL) {
        snprintf(err, err_len, "af_xdp:%s: no memory", name);
        return false;
    }
    memset(port->lanes, 0, size);
    for (unsigned i = 0; i < args->queues; i++) {
        port->lanes[i].pool = args->pools[i];
        port->lanes[i].epoll = -1;
    }
    port->hops = next_hops_create(args->queues);
    if (port->hops == NULL) {
        snprintf(err, err_len, "af_xdp:%s: no memory", name);
        return false;
    }
    port->neighbours =
        neighbours_open(interface->index, port->hops, &port->base, why, sizeof(why));
    if (port->neighbours == NULL) {
        snprintf(err, err_len, "af_xdp:%s: %s", name, why);
        return false;
    }
    steer.name = name;
    steer.index = interface->index;
    steer.generic = port->generic;
    port->steer = steer_open(&steer, err, err_len);
    if (port->steer == NULL || !hold_port(port, err, err_len))
        return false;
    for (unsigned i = 0; i < args->queues; i++) {
        if (!open_lane(port, i, err, err_len))
            return false;
    }
    return true;
}

struct port *port_af_xdp_open(const struct port_open_args *args, char *err,
                              size_t err_len)
{
    struct xdp_port *port = calloc(1, sizeof(*port));

    if (port == NULL || !port_init(&port->base, &af_xdp_ops, "af_xdp", args)) {
        snprintf(err, err_len, "%s: no memory", args->config->spec);
        free(port);
        return NULL;
    }
    port->holder = -1;
    if (open_all(port, args, err, err_len))
        return &port->base;
    af_xdp_close(&port->base);
    return NULL;
}
