/* SPDX-License-Identifier: Apache-2.0 */
#include "port_ethdev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include "addr.h"
#include "dpdk_frame.h"
#include "eal.h"
#include "ethdev.h"
#include "ethdev_steer.h"
#include "pool_dpdk.h"
#include "resolver_thread.h"

#define MTU_DEFAULT 1500
#define TAG_LEN 4u
#define ANSWERS_MAX 8u   /* frames of the resolver's that leave in one loop */
#define ANSWER_FRONT 64u /* bytes before a packet's data where such a frame begins */
#define VLAN_ID 0x0fffu

_Static_assert(ANSWER_FRONT + TAG_LEN <= PKT_HEADROOM, "a tag fits in front");

struct nic_lane {
    alignas(PROA_CACHE_LINE) struct hop_cache hop;
};

struct nic_port {
    struct ethdev_port eth; /* first */
    char device[64];
    bool plugged; /* a virtual device that we made */
    bool found;   /* eth.dev is valid */
    struct resolver_thread *resolver;
    struct nic_lane *nic_lanes;
    struct ethdev_steer steer;
    uint64_t tx_flags; /* of each packet that leaves */
    uint16_t vlan;     /* 0: none */
    bool tags;         /* the device inserts it */
    bool was_up;       /* the resolver thread's */
    _Atomic bool open; /* all of it: devices want one thread at a time */
};

static struct nic_port *nic_of(struct port *base)
{
    return (struct nic_port *)base;
}

/* ---- Sending ---- */

static void tag(const struct nic_port *port, struct rte_mbuf *m)
{
    uint8_t *eth = rte_pktmbuf_mtod(m, uint8_t *);

    if (port->tags) {
        m->ol_flags |= RTE_MBUF_F_TX_VLAN;
        m->vlan_tci = port->vlan;
        return;
    }
    memmove(eth - TAG_LEN, eth, 12);
    eth[8] = 0x81;
    eth[9] = 0;
    eth[10] = (uint8_t)(port->vlan >> 8);
    eth[11] = (uint8_t)port->vlan;
    m->data_off = (uint16_t)(m->data_off - TAG_LEN);
    m->data_len = (uint16_t)(m->data_len + TAG_LEN);
    m->pkt_len += TAG_LEN;
    m->l2_len += TAG_LEN;
}

static struct rte_mbuf *build(struct nic_port *port, struct pkt *p, const uint8_t mac[6])
{
    struct rte_mbuf *m = frame_build(&port->eth.template, p, port->eth.checksum);

    memcpy(rte_pktmbuf_mtod(m, uint8_t *), mac, 6);
    m->ol_flags = port->tx_flags;
    m->l2_len = NET_ETH;
    m->l3_len = port->eth.template.family == 6 ? NET_IPV6 : NET_IPV4;
    if (unlikely(port->vlan != 0))
        tag(port, m);
    return m;
}

static unsigned nic_tx(struct port *base, unsigned queue, struct pkt **pkts, unsigned n,
                       proa_ns now)
{
    struct nic_port *port = nic_of(base);
    struct ethdev_port *eth = &port->eth;
    struct tx_backlog *backlog = &eth->lanes[queue].backlog;
    struct port_stats *stats = &base->stats[queue];
    struct next_hops *hops = resolver_thread_hops(port->resolver);
    bool up = ethdev_up(base);
    unsigned taken = 0;

    eth->lanes[queue].now = now;
    if (unlikely(backlog->count > 0))
        ethdev_flush_backlog(eth, queue);
    while (taken < n) {
        struct rte_mbuf *mbufs[PORT_BURST];
        uint64_t bytes = 0;
        unsigned count = 0;

        while (taken < n && count < PORT_BURST && tx_backlog_room(backlog) > count) {
            struct pkt *p = pkts[taken++];
            enum port_drop why = up ? frame_unsendable(base, p) : PORT_DROP_DOWN;
            const uint8_t *mac = NULL;

            if (likely(why == PORT_OK))
                mac = hop_cache_find(&port->nic_lanes[queue].hop, hops, queue, p->peer.ip,
                                     now);
            if (unlikely(mac == NULL)) {
                ethdev_drop(eth, queue, p, why == PORT_OK ? PORT_DROP_DOWN : why);
                continue;
            }
            bytes += p->len;
            mbufs[count++] = build(port, p, mac);
        }
        port_stat_add(&stats->tx, count);
        port_stat_add(&stats->tx_bytes, bytes);
        ethdev_burst_out(eth, queue, mbufs, count);
        if (tx_backlog_room(backlog) == 0)
            break;
    }
    return taken;
}

/* What the resolver wants sent, by the first queue. */
static void send_answers(struct nic_port *port)
{
    struct tx_backlog *backlog = &port->eth.lanes[0].backlog;
    struct pkt_pool *pool = port->eth.lanes[0].pool;
    struct rte_mbuf *mbufs[ANSWERS_MAX];
    const struct byte_record *record;
    unsigned n = 0;

    while (n < ANSWERS_MAX && tx_backlog_room(backlog) > n &&
           (record = resolver_thread_peek(port->resolver)) != NULL) {
        enum port_drop why = ethdev_up(&port->eth.base) ? PORT_OK : PORT_DROP_DOWN;
        struct pkt *p = pkt_alloc(pool, 1);
        struct rte_mbuf *m;

        if (p == NULL)
            break; /* nic_deadline brings the lane back */
        if (record->len > ANSWER_FRONT + p->room)
            why = PORT_DROP_OVERSIZE;
        if (why != PORT_OK) {
            ethdev_drop(&port->eth, 0, p, why);
            resolver_thread_pop(port->resolver);
            continue;
        }
        m = mbuf_of_pkt(p);
        m->data_off = (uint16_t)(p->data - ANSWER_FRONT - (uint8_t *)m->buf_addr);
        m->data_len = (uint16_t)record->len;
        m->pkt_len = record->len;
        m->ol_flags = 0;
        memcpy(rte_pktmbuf_mtod(m, void *), record->body, record->len);
        resolver_thread_pop(port->resolver);
        if (port->vlan != 0)
            tag(port, m);
        mbufs[n++] = m;
    }
    if (n > 0)
        ethdev_burst_out(&port->eth, 0, mbufs, n);
}

/* ---- Receiving ---- */

static bool in_our_vlan(const struct nic_port *port, const struct rte_mbuf *m)
{
    return (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 &&
           (m->vlan_tci & VLAN_ID) == port->vlan;
}

/* A packet, or gone: what is the resolver's goes there. */
static bool take(struct nic_port *port, unsigned queue, struct rte_mbuf *m, proa_ns now)
{
    struct port *base = &port->eth.base;
    struct port_stats *stats = &base->stats[queue];
    enum port_drop drop = PORT_DROP_ETHERTYPE;
    uint64_t checked = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    unsigned accept = port->eth.accept;

    if (checked == RTE_MBUF_F_RX_L4_CKSUM_GOOD || checked == RTE_MBUF_F_RX_L4_CKSUM_NONE)
        accept |=
            NET_ACCEPT_CHECKED; /* NONE: not in the packet, and it is whole all the same */
    if (likely(port->vlan == 0) || in_our_vlan(port, m)) {
        const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

        drop = frame_parse(base, accept, m, now);
        if (likely(drop == PORT_OK))
            return true;
        if (m->nb_segs == 1 && resolver_wants(frame, m->data_len))
            drop = resolver_thread_give(port->resolver, queue, frame, m->data_len)
                       ? PORT_OK
                       : PORT_DROP_POOL;
    }
    if (drop != PORT_OK)
        port_stat_add(&stats->drops[drop], 1);
    rte_pktmbuf_free(m);
    return false;
}

static unsigned nic_rx(struct port *base, unsigned queue, struct pkt **pkts, unsigned max,
                       proa_ns now)
{
    struct nic_port *port = nic_of(base);
    struct port_stats *stats = &base->stats[queue];
    struct rte_mbuf *mbufs[PORT_BURST];
    uint64_t bytes = 0;
    unsigned n = 0;
    uint16_t got;

    port->eth.lanes[queue].now = now;
    if (unlikely(port->eth.lanes[queue].backlog.count > 0))
        ethdev_flush_backlog(&port->eth, queue);
    if (queue == 0)
        send_answers(port);
    got = ethdev_burst_in(&port->eth, queue, mbufs, max);
    for (uint16_t i = 0; i < got; i++)
        frame_prefetch(mbufs[i]);
    for (uint16_t i = 0; i < got; i++) {
        if (take(port, queue, mbufs[i], now)) {
            pkts[n] = pkt_of_mbuf(mbufs[i]);
            bytes += pkts[n++]->len;
        }
    }
    if (n > 0) {
        port_stat_add(&stats->rx, n);
        port_stat_add(&stats->rx_bytes, bytes);
    }
    return n;
}

/* ---- The port ---- */

/* Frames of the resolver's wait for the first lane. */
static proa_ns nic_deadline(struct port *base, unsigned queue)
{
    struct nic_port *port = nic_of(base);

    if (queue == 0 && resolver_thread_peek(port->resolver) != NULL)
        return port->eth.lanes[0].now;
    return ethdev_deadline(base, queue);
}

static void nic_state(struct port *base, char *buf, size_t len)
{
    struct nic_port *port = nic_of(base);
    struct resolver_stats stats;
    uint64_t not_sent;
    unsigned known = resolver_thread_stats(port->resolver, &stats, &not_sent);

    snprintf(buf, len, "%s: %s, receives by %u queues, %s%s%s; next hops %u%s",
             port->device, ethdev_up(base) ? "up" : "no link", port->eth.dev_queues,
             ethdev_steer_way(&port->steer),
             port->eth.interrupts ? "" : ", no interrupts",
             port->tx_flags != 0 ? ", checksums by the device" : "", known,
             stats.conflicts > 0 ? ", another host claims our address" : "");
}

static unsigned nic_counts(struct port *base, struct port_count ret[PORT_COUNTS_MAX])
{
    struct resolver_thread *resolver = nic_of(base)->resolver;
    struct resolver_stats s;
    uint64_t not_sent;
    unsigned known = resolver_thread_stats(resolver, &s, &not_sent);
    const struct port_count rows[] = {
        {"next hops", known},
        {"asked", s.asked},
        {"answered", s.answered},
        {"pings", s.echoes},
        {"malformed", s.malformed},
        {"foreign", s.foreign},
        {"conflicts", s.conflicts},
        {"unsolicited", s.unsolicited},
        {"limited", s.limited},
        {"not sent", not_sent},
        {"table full", s.full + next_hops_full(resolver_thread_hops(resolver))}};

    _Static_assert(sizeof(rows) / sizeof(rows[0]) <= PORT_COUNTS_MAX, "they fit");
    memcpy(ret, rows, sizeof(rows));
    return sizeof(rows) / sizeof(rows[0]);
}

static uint16_t nic_source_port(struct port *base, unsigned queue,
                                const struct proa_addr *from, unsigned tried)
{
    return ethdev_steer_port(&nic_of(base)->steer, queue, from, tried);
}

static void nic_close(struct port *base)
{
    struct nic_port *port = nic_of(base);

    resolver_thread_close(port->resolver);
    ethdev_steer_fini(&port->steer);
    ethdev_stop(&port->eth);
    if (port->plugged)
        (void)rte_eal_hotplug_remove("vdev", port->device);
    else if (port->found)
        (void)rte_eth_dev_close(port->eth.dev);
    ethdev_fini(&port->eth);
    free(port->nic_lanes);
    free(port);
}

static const struct port_ops nic_ops = {
    .rx = nic_rx,
    .tx = nic_tx,
    .fd = ethdev_fd,
    .arm = ethdev_arm,
    .disarm = ethdev_disarm,
    .deadline = nic_deadline,
    .up = ethdev_up,
    .source_port = nic_source_port,
    .state = nic_state,
    .counts = nic_counts,
    .close = nic_close,
};

/* ---- Opening ---- */

bool port_ethdev_pci(const char *spec, char ret[16])
{
    const char *at = spec + strlen(PORT_ETHDEV);
    unsigned domain = 0, bus, slot, function;
    int used = 0;

    if (strncmp(spec, PORT_ETHDEV, strlen(PORT_ETHDEV)) != 0)
        return false;
    if (sscanf(at, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) != 4) {
        domain = 0;
        if (sscanf(at, "%2x:%2x.%1x%n", &bus, &slot, &function, &used) != 3)
            return false;
    }
    if (at[used] != '\0' && at[used] != ',')
        return false;
    snprintf(ret, 16, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, slot & 0xff,
             function & 7);
    return true;
}

/* Makes a virtual device, or finds the one that DPDK took at its start. */
static bool attach(struct nic_port *port, const char *spec, char *err, size_t err_len)
{
    const char *devargs = spec + strlen(PORT_ETHDEV), *comma = strchr(devargs, ',');
    size_t name_len = comma != NULL ? (size_t)(comma - devargs) : strlen(devargs);
    char said[160], pci[16];

    if (name_len == 0 || name_len >= sizeof(port->device)) {
        snprintf(err, err_len,
                 "%s: write ethdev:0000:03:00.0 or ethdev:net_tap0,iface=tap0", spec);
        return false;
    }
    memcpy(port->device, devargs, name_len);
    port->device[name_len] = '\0';
    if (port_ethdev_pci(spec, pci)) {
        memcpy(port->device, pci, sizeof(pci));
        port->found = rte_eth_dev_get_port_by_name(pci, &port->eth.dev) == 0;
        if (!port->found)
            snprintf(
                err, err_len,
                "%s: no driver of DPDK's has it; is it there, and bound to vfio-pci? "
                "`proa doctor` tells",
                spec);
        return port->found;
    }
    if (strncmp(port->device, "net_ring", 8) == 0) {
        snprintf(err, err_len,
                 "%s: net_ring hands buffers on that links still hold; take ring:NAME in "
                 "one process, vhost: between two",
                 spec);
        return false;
    }
    if (rte_eal_hotplug_add("vdev", port->device, comma != NULL ? comma + 1 : "") != 0) {
        eal_log_error(said, sizeof(said));
        snprintf(err, err_len, "%s: DPDK could not make the device (%s)", spec, said);
        return false;
    }
    port->plugged = true;
    port->found = rte_eth_dev_get_port_by_name(port->device, &port->eth.dev) == 0;
    if (!port->found)
        snprintf(err, err_len, "%s: is no network device", spec);
    return port->found;
}

static bool set_addresses(struct nic_port *port, const struct port_open_args *args,
                          struct resolver_config *resolver, char *err, size_t err_len)
{
    const struct proa_port_config *config = args->config;
    struct port *base = &port->eth.base;

    if (!port_address_config(base, args, err, err_len) ||
        !port_mtu_config(base, args, MTU_DEFAULT, err, err_len))
        return false;
    if (base->address.family == 0) {
        snprintf(err, err_len, "%s: no kernel gives it an address; set `address`",
                 config->spec);
        return false;
    }
    if (config->gateway[0] != '\0' &&
        (!addr_parse(config->gateway, 0, &resolver->gateway) ||
         resolver->gateway.port != 0 ||
         resolver->gateway.family != base->address.family)) {
        snprintf(err, err_len, "%s: gateway \"%s\" is no address of the same family",
                 config->spec, config->gateway);
        return false;
    }
    for (unsigned i = 0; i < args->queues; i++) {
        if (pool_dpdk_mtu(args->pools[i]) < base->mtu) {
            snprintf(err, err_len, "%s: buffers are for mtu %u, this port has %u",
                     config->spec, pool_dpdk_mtu(args->pools[i]), base->mtu);
            return false;
        }
    }
    resolver->address = base->address;
    resolver->prefix = base->prefix;
    base->far = resolver->gateway.family != 0;
    port_set_address(base);
    port->vlan = config->vlan;
    return true;
}

/* Some say how long an IP packet may be, some how long a frame, which then has a header and a
   checksum besides. */
static unsigned most_mtu(const struct rte_eth_dev_info *info)
{
    unsigned around = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN, most = UINT16_MAX;

    if (info->max_mtu != UINT16_MAX && info->max_mtu != 0)
        most = info->max_mtu;
    else if (info->max_rx_pktlen > around)
        most = info->max_rx_pktlen - around;
    return most;
}

/* What of the device's abilities is used. */
static bool choose(struct nic_port *port, const char *spec, struct ethdev_setup *setup,
                   char *err, size_t err_len)
{
    bool v4 = port->eth.base.address.family == 4;
    const uint64_t by_port =
        v4 ? RTE_ETH_RSS_NONFRAG_IPV4_UDP : RTE_ETH_RSS_NONFRAG_IPV6_UDP;
    unsigned lanes = port->eth.base.queues;
    struct rte_eth_dev_info info;

    if (rte_eth_dev_info_get(port->eth.dev, &info) != 0) {
        snprintf(err, err_len, "%s: does not say what it can do", spec);
        return false;
    }
    if (info.max_tx_queues < lanes || info.max_rx_queues == 0) {
        snprintf(err, err_len,
                 "%s: sends by %u queues, the node has %u lanes; set lanes: %u, or give "
                 "it more queues",
                 spec, info.max_tx_queues, lanes, info.max_tx_queues);
        return false;
    }
    if (port->eth.base.mtu > most_mtu(&info)) {
        snprintf(err, err_len, "%s: mtu %u is more than it takes (%u)", spec,
                 port->eth.base.mtu, most_mtu(&info));
        return false;
    }
    setup->dev = port->eth.dev;
    setup->tx_queues = (uint16_t)lanes;
    setup->rx_queues = info.max_rx_queues < lanes ? info.max_rx_queues : (uint16_t)lanes;
    setup->descriptors = PORT_ETHDEV_DESCRIPTORS;
    setup->link_events =
        info.dev_flags != NULL && (*info.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
    setup->rx_offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
    setup->tx_offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
    if (setup->rx_queues > 1)
        setup->rss = (info.flow_type_rss_offloads & by_port) != 0
                         ? info.flow_type_rss_offloads & by_port
                         : info.flow_type_rss_offloads & RTE_ETH_RSS_IP;
    if (setup->tx_offloads != 0)
        port->tx_flags =
            RTE_MBUF_F_TX_UDP_CKSUM | (v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
    port->eth.checksum =
        setup->tx_offloads != 0 ? NET_CHECKSUM_PSEUDO : NET_CHECKSUM_FULL;
    if (port->vlan == 0)
        return true;
    if ((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) == 0) {
        snprintf(err, err_len,
                 "%s: strips no VLAN tags, which misaligns packets; leave `vlan` out and "
                 "have the switch send untagged frames",
                 spec);
        return false;
    }
    setup->rx_offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
    port->tags = (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0;
    if (port->tags)
        setup->tx_offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
    return true;
}

/* Neighbour discovery comes by these; devices without such filters take all. */
static void join_groups(struct nic_port *port)
{
    const struct proa_addr *self = &port->eth.base.address;
    struct rte_ether_addr groups[2] = {
        {{0x33, 0x33, 0, 0, 0, 1}},
        {{0x33, 0x33, 0xff, self->ip[13], self->ip[14], self->ip[15]}}};

    if (self->family == 6 && rte_eth_dev_set_mc_addr_list(port->eth.dev, groups, 2) != 0)
        (void)rte_eth_allmulticast_enable(port->eth.dev);
}

/* About once a second, on the resolver's thread. */
static void on_look(void *ctx)
{
    struct nic_port *port = ctx;
    bool up;

    if (!atomic_load(&port->open))
        return;
    (void)ethdev_look(&port->eth);
    up = ethdev_up(&port->eth.base);
    if (up && !port->was_up)
        resolver_thread_announce(port->resolver);
    port->was_up = up;
}

static bool open_all(struct nic_port *port, const struct port_open_args *args, char *err,
                     size_t err_len)
{
    const char *spec = args->config->spec;
    struct resolver_thread_args resolver = {.lanes = args->queues,
                                            .wake = args->wake,
                                            .wake_ctx = args->wake_ctx,
                                            .look = on_look,
                                            .ctx = port};
    struct rte_ether_addr mac;
    struct ethdev_setup setup = {.dev = 0};
    size_t size = args->queues * sizeof(*port->nic_lanes);
    char why[160];

    if (!set_addresses(port, args, &resolver.resolver, err, err_len) ||
        !attach(port, spec, err, err_len) || !choose(port, spec, &setup, err, err_len))
        return false;
    port->nic_lanes = aligned_alloc(PROA_CACHE_LINE, size);
    if (port->nic_lanes == NULL || rte_eth_macaddr_get(port->eth.dev, &mac) != 0) {
        snprintf(err, err_len, "%s: no memory, or no MAC address", spec);
        return false;
    }
    memset(port->nic_lanes, 0, size);
    memcpy(resolver.resolver.mac, mac.addr_bytes, 6);
    net_template_init(&port->eth.template, &port->eth.base.address, mac.addr_bytes,
                      mac.addr_bytes);
    /* Behind a virtual device may be a kernel, whose sums are not complete. */
    port->eth.accept = port->plugged ? NET_ACCEPT_ZERO | NET_ACCEPT_PARTIAL : 0;
    port->resolver = resolver_thread_open(&resolver, why, sizeof(why));
    if (port->resolver == NULL || !ethdev_start(&port->eth, &setup, why, sizeof(why))) {
        snprintf(err, err_len, "%s: %s", spec, why);
        return false;
    }
    join_groups(port);
    ethdev_steer_init(&port->steer, port->eth.dev, setup.rx_queues, args->queues,
                      &port->eth.base.address);
    port->eth.base.steers = port->eth.base.spreads = setup.rx_queues > 1;
    atomic_store(&port->open, true);
    return true;
}

struct port *port_ethdev_open(const struct port_open_args *args, char *err,
                              size_t err_len)
{
    struct nic_port *port = calloc(1, sizeof(*port));

    if (port == NULL || !ethdev_init(&port->eth, &nic_ops, "ethdev", args)) {
        snprintf(err, err_len, "%s: no memory", args->config->spec);
        free(port);
        return NULL;
    }
    if (open_all(port, args, err, err_len))
        return &port->eth.base;
    nic_close(&port->eth.base);
    return NULL;
}
