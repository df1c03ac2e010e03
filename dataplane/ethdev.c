/* SPDX-License-Identifier: Apache-2.0 */
#include "ethdev.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_ethdev.h>

#include "clock.h"
#include "dpdk_frame.h"
#include "pool_dpdk.h"

#define RETRY_AFTER                                                                      \
    (50 * PROA_US)          /* when the device was full: a ring's worth of packets */
#define QUIET (3 * PROA_MS) /* virtio-user's handlers follow a change by 1 us */
#define PREFETCH 3          /* packets ahead.  Source: perf, 9.8 to 6.7 ns a message */

/* ---- receiving ---- */

bool ethdev_usable(const struct ethdev_port *port)
{
    /* acquire, pairs with the release in ethdev_start: dev and dev_queues are set. */
    return atomic_load_explicit(&port->ready, memory_order_acquire);
}

uint16_t ethdev_burst_in(struct ethdev_port *port, unsigned queue,
                         struct rte_mbuf **mbufs, unsigned max)
{
    struct ethdev_lane *lane = &port->lanes[queue];
    unsigned lanes = port->base.queues;
    uint16_t got;

    if (unlikely(queue >= port->dev_queues))
        return 0;
    got = rte_eth_rx_burst(port->dev, (uint16_t)lane->next_rx, mbufs, (uint16_t)max);
    if (port->dev_queues > lanes) { /* the next of this lane's queues */
        lane->next_rx += lanes;
        if (lane->next_rx >= port->dev_queues)
            lane->next_rx = queue;
    }
    return got;
}

unsigned ethdev_rx(struct port *base, unsigned queue, struct pkt **pkts, unsigned max,
                   proa_ns now)
{
    struct ethdev_port *port = ethdev_of(base);
    struct ethdev_lane *lane = &port->lanes[queue];
    struct port_stats *stats = &base->stats[queue];
    struct rte_mbuf *mbufs[PORT_BURST];
    uint64_t bytes = 0;
    unsigned n = 0;
    uint16_t got;

    lane->now = now;
    if (unlikely(!ethdev_usable(port)))
        return 0;
    if (unlikely(lane->backlog.count > 0))
        ethdev_flush_backlog(port, queue);
    got = ethdev_burst_in(port, queue, mbufs, max);
    if (got == 0)
        return 0;
    for (uint16_t i = 0; i < got && i < PREFETCH; i++)
        frame_prefetch(mbufs[i]);
    for (uint16_t i = 0; i < got; i++) {
        if (i + PREFETCH < got)
            frame_prefetch(mbufs[i + PREFETCH]);
        if (frame_receive(base, stats, port->accept, mbufs[i], now)) {
            pkts[n] = pkt_of_mbuf(mbufs[i]);
            bytes += pkts[n++]->len;
        }
    }
    port_stat_add(&stats->rx, n);
    port_stat_add(&stats->rx_bytes, bytes);
    return n;
}

/* ---- sending ---- */

void ethdev_drop(struct ethdev_port *port, unsigned queue, struct pkt *p,
                 enum port_drop why)
{
    port_stat_add(&port->base.stats[queue].drops[why], 1);
    pkt_free(port->lanes[queue].pool, p);
}

void ethdev_flush_backlog(struct ethdev_port *port, unsigned queue)
{
    struct tx_backlog *backlog = &port->lanes[queue].backlog;
    struct pkt *pkts[PORT_BURST];

    while (backlog->count > 0) {
        unsigned n = tx_backlog_peek(backlog, pkts, PORT_BURST);
        unsigned done = n;

        if (ethdev_up(&port->base)) {
            struct rte_mbuf *mbufs[PORT_BURST];

            for (unsigned i = 0; i < n; i++)
                mbufs[i] = mbuf_of_pkt(pkts[i]);
            done = rte_eth_tx_burst(port->dev, (uint16_t)queue, mbufs, (uint16_t)n);
        } else {
            for (unsigned i = 0; i < n; i++)
                ethdev_drop(port, queue, pkts[i], PORT_DROP_DOWN);
        }
        tx_backlog_drop(backlog, done);
        if (done < n)
            return;
    }
}

void ethdev_burst_out(struct ethdev_port *port, unsigned queue, struct rte_mbuf **mbufs,
                      unsigned n)
{
    struct tx_backlog *backlog = &port->lanes[queue].backlog;
    unsigned sent = 0;

    if (likely(backlog->count == 0))
        sent = rte_eth_tx_burst(port->dev, (uint16_t)queue, mbufs, (uint16_t)n);
    for (unsigned i = sent; i < n; i++)
        tx_backlog_push(backlog, pkt_of_mbuf(mbufs[i]));
}

static void drop_all(struct ethdev_port *port, unsigned queue, struct pkt **pkts,
                     unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ethdev_drop(port, queue, pkts[i], PORT_DROP_DOWN);
}

unsigned ethdev_tx(struct port *base, unsigned queue, struct pkt **pkts, unsigned n,
                   proa_ns now)
{
    struct ethdev_port *port = ethdev_of(base);
    struct ethdev_lane *lane = &port->lanes[queue];
    struct port_stats *stats = &base->stats[queue];
    struct tx_backlog *backlog = &lane->backlog;
    unsigned taken = 0;

    lane->now = now;
    if (unlikely(backlog->count > 0))
        ethdev_flush_backlog(port, queue);
    if (unlikely(!ethdev_up(base))) {
        drop_all(port, queue, pkts, n);
        return n;
    }
    while (taken < n) {
        struct rte_mbuf *mbufs[PORT_BURST];
        unsigned count = 0;
        uint64_t bytes = 0;

        while (taken < n && count < PORT_BURST && tx_backlog_room(backlog) > count) {
            struct pkt *p = pkts[taken++];
            enum port_drop why = frame_unsendable(base, p);

            if (likely(why == PORT_OK)) {
                bytes += p->len;
                mbufs[count++] = frame_build(&port->template, p, port->checksum);
            } else {
                ethdev_drop(port, queue, p, why);
            }
        }
        ethdev_burst_out(port, queue, mbufs, count);
        /* Counted as they are handed over; the backlog leaves by the device or with its link. */
        port_stat_add(&stats->tx, count);
        port_stat_add(&stats->tx_bytes, bytes);
        if (tx_backlog_room(backlog) == 0)
            break;
    }
    return taken;
}

/* ---- sleeping ---- */

int ethdev_fd(struct port *base, unsigned queue)
{
    const struct ethdev_port *port = ethdev_of(base);

    /* Before the device is there, its coming rings the lanes' bells. */
    return !ethdev_usable(port) || port->interrupts ? port->lanes[queue].epoll : -1;
}

void ethdev_arm(struct port *base, unsigned queue)
{
    struct ethdev_port *port = ethdev_of(base);

    if (!ethdev_usable(port) || !port->interrupts)
        return; /* port->wake ends the sleep when the device is there */
    for (unsigned q = queue; q < port->dev_queues; q += base->queues) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};
        int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->dev, (uint16_t)q);

        /* EEXIST: the same as before; else a new one, and a closed one has left by itself. */
        if (fd >= 0)
            (void)epoll_ctl(port->lanes[queue].epoll, EPOLL_CTL_ADD, fd, &event);
        (void)rte_eth_dev_rx_intr_enable(port->dev, (uint16_t)q);
    }
}

void ethdev_disarm(struct port *base, unsigned queue)
{
    struct ethdev_port *port = ethdev_of(base);
    struct epoll_event events[8];

    if (!ethdev_usable(port) || !port->interrupts)
        return;
    for (unsigned q = queue; q < port->dev_queues; q += base->queues)
        (void)rte_eth_dev_rx_intr_disable(port->dev, (uint16_t)q);
    (void)epoll_wait(port->lanes[queue].epoll, events, 8, 0);
}

proa_ns ethdev_deadline(struct port *base, unsigned queue)
{
    const struct ethdev_lane *lane = &ethdev_of(base)->lanes[queue];

    return lane->backlog.count > 0 ? lane->now + RETRY_AFTER : PROA_NS_NEVER;
}

bool ethdev_up(struct port *base)
{
    /* acquire: link is set only after ready and what ethdev_start wrote before. */
    return atomic_load_explicit(&ethdev_of(base)->link, memory_order_acquire);
}

/* ---- starting and stopping ---- */

bool ethdev_init(struct ethdev_port *port, const struct port_ops *ops, const char *kind,
                 const struct port_open_args *args)
{
    size_t size = args->queues * sizeof(*port->lanes);
    unsigned made = 0;

    memset(port, 0, sizeof(*port));
    if (!port_init(&port->base, ops, kind, args))
        return false;
    pthread_mutex_init(&port->link_lock, NULL);
    port->wake = args->wake;
    port->wake_ctx = args->wake_ctx;
    port->lanes = aligned_alloc(PROA_CACHE_LINE, size);
    if (port->lanes == NULL)
        goto failed;
    memset(port->lanes, 0, size);
    for (; made < args->queues; made++) {
        port->lanes[made].pool = args->pools[made];
        port->lanes[made].next_rx = made;
        port->lanes[made].epoll = epoll_create1(EPOLL_CLOEXEC);
        if (port->lanes[made].epoll < 0)
            goto failed;
    }
    return true;
failed:
    while (made > 0)
        close(port->lanes[--made].epoll);
    free(port->lanes);
    pthread_mutex_destroy(&port->link_lock);
    port_fini(&port->base);
    return false;
}

void ethdev_fini(struct ethdev_port *port)
{
    for (unsigned i = 0; i < port->base.queues; i++) {
        struct ethdev_lane *lane = &port->lanes[i];
        struct pkt *p;

        while (tx_backlog_peek(&lane->backlog, &p, 1) > 0) {
            tx_backlog_drop(&lane->backlog, 1);
            pkt_free(lane->pool, p);
        }
        close(lane->epoll);
    }
    free(port->lanes);
    pthread_mutex_destroy(&port->link_lock);
    port_fini(&port->base);
}

bool ethdev_look(struct ethdev_port *port)
{
    struct rte_eth_link link;
    bool before, now = false;

    if (!ethdev_usable(port))
        return false;
    pthread_mutex_lock(&port->link_lock);
    before = now = atomic_load_explicit(&port->link, memory_order_relaxed);
    if (rte_eth_link_get_nowait(port->dev, &link) == 0)
        now = link.link_status == RTE_ETH_LINK_UP;
    atomic_store_explicit(&port->link, now, memory_order_release);
    pthread_mutex_unlock(&port->link_lock);
    if (now != before && port->wake != NULL)
        port->wake(port->wake_ctx);
    return now && !before;
}

/* On a thread of DPDK's. */
static int link_changed(uint16_t dev, enum rte_eth_event_type type, void *arg, void *ret)
{
    struct ethdev_port *port = arg;

    (void)dev;
    (void)type;
    (void)ret;
    atomic_store(&port->changed, clock_ns());
    (void)ethdev_look(port);
    return 0;
}

static int setup_queues(struct ethdev_port *port, const struct ethdev_setup *setup)
{
    uint16_t rx = setup->descriptors, tx = setup->descriptors;
    int socket = rte_eth_dev_socket_id(port->dev);
    int status = rte_eth_dev_adjust_nb_rx_tx_desc(port->dev, &rx, &tx);

    for (uint16_t q = 0; q < setup->rx_queues && status == 0; q++) {
        struct pkt_pool *pool = port->lanes[q % port->base.queues].pool;

        status = rte_eth_rx_queue_setup(port->dev, q, rx, (unsigned)socket, NULL,
                                        pool_dpdk_mempool(pool));
    }
    for (uint16_t q = 0; q < setup->tx_queues && status == 0; q++)
        status = rte_eth_tx_queue_setup(port->dev, q, tx, (unsigned)socket, NULL);
    return status;
}

/* Has each lane that receives something to sleep on? */
static bool has_interrupts(const struct ethdev_port *port)
{
    for (uint16_t q = 0; q < port->dev_queues; q++) {
        if (rte_eth_dev_rx_intr_ctl_q_get_fd(port->dev, q) < 0)
            return false;
    }
    return true;
}

/* DPDK says EAGAIN while the callback runs. */
static void stop_listening(struct ethdev_port *port)
{
    while (rte_eth_dev_callback_unregister(port->dev, RTE_ETH_EVENT_INTR_LSC,
                                           link_changed, port) == -EAGAIN)
        sched_yield();
}

/* 0 or -errno; *ret_step: what failed. */
static int bring_up(struct ethdev_port *port, const struct ethdev_setup *setup,
                    bool interrupts, const char **ret_step)
{
    struct rte_eth_conf conf = {
        .rxmode = {.mtu = port->base.mtu,
                   .mq_mode = setup->rss != 0 ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE,
                   .offloads = setup->rx_offloads},
        .txmode.offloads = setup->tx_offloads,
        .rx_adv_conf.rss_conf.rss_hf = setup->rss,
        .intr_conf = {.rxq = interrupts, .lsc = setup->link_events},
    };
    int status =
        rte_eth_dev_configure(setup->dev, setup->rx_queues, setup->tx_queues, &conf);

    *ret_step = "configuring its queues";
    if (status == 0) {
        *ret_step = "setting its queues up";
        status = setup_queues(port, setup);
    }
    if (status != 0)
        return status;
    *ret_step = "starting it";
    if (setup->link_events)
        rte_eth_dev_callback_register(setup->dev, RTE_ETH_EVENT_INTR_LSC, link_changed,
                                      port);
    status = rte_eth_dev_start(setup->dev);
    if (status != 0 && setup->link_events)
        stop_listening(port);
    return status;
}

bool ethdev_start(struct ethdev_port *port, const struct ethdev_setup *setup, char *err,
                  size_t err_len)
{
    const char *step;
    int status;

    PROA_ASSERT(setup->tx_queues >= port->base.queues);
    port->dev = setup->dev;
    port->dev_queues = setup->rx_queues;
    status = bring_up(port, setup, true, &step);
    if (status != 0 && !setup->interrupts) /* some have none, and say so in many ways */
        status = bring_up(port, setup, false, &step);
    if (status != 0) {
        snprintf(err, err_len, "%s failed: %s", step, strerror(-status));
        return false;
    }
    port->interrupts = setup->interrupts || has_interrupts(port);
    /* release, pairs with the acquire in ethdev_usable. */
    atomic_store_explicit(&port->ready, true, memory_order_release);
    link_changed(setup->dev, RTE_ETH_EVENT_INTR_LSC, port, NULL);
    return true;
}

struct stopping {
    struct ethdev_port *port;
    sem_t done;
};

/* On DPDK's interrupt thread: no handler of the device runs meanwhile. */
static void stop_when_quiet(void *arg)
{
    struct stopping *stopping = arg;
    struct ethdev_port *port = stopping->port;

    if (clock_ns() - atomic_load(&port->changed) < QUIET &&
        rte_eal_alarm_set(QUIET / PROA_US, stop_when_quiet, stopping) == 0)
        return;
    (void)rte_eth_dev_stop(port->dev);
    sem_post(&stopping->done);
}

void ethdev_stop(struct ethdev_port *port)
{
    struct stopping stopping = {.port = port};

    if (!ethdev_usable(port))
        return;
    sem_init(&stopping.done, 0, 0);
    if (rte_eal_alarm_set(1, stop_when_quiet, &stopping) != 0)
        stop_when_quiet(&stopping); /* no memory for an alarm: then here */
    while (sem_wait(&stopping.done) != 0)
        ; /* EINTR */
    sem_destroy(&stopping.done);
    stop_listening(port);
    atomic_store_explicit(&port->link, false, memory_order_release);
    atomic_store_explicit(&port->ready, false, memory_order_release);
}
