/* SPDX-License-Identifier: Apache-2.0 */
#include "raw_wire.h"

#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "addr.h"
#include "pool_dpdk.h"
#include "ethdev.h"
#include "port_udp.h"

/* ---- devices ---- */

#define NUMBER_AT 48 /* behind Ethernet, IPv4, UDP and lead */

static bool device_make(struct raw_wire *wire, raw_buf **bufs, unsigned n, unsigned size,
                        uint64_t number)
{
    struct rte_mbuf **mbufs = (struct rte_mbuf **)bufs;

    if (rte_pktmbuf_alloc_bulk(pool_dpdk_mempool(wire->pool), mbufs, n) != 0)
        return false;
    for (unsigned i = 0; i < n; i++) {
        mbufs[i]->data_len = (uint16_t)size;
        mbufs[i]->pkt_len = size;
        *rte_pktmbuf_mtod_offset(mbufs[i], uint64_t *, NUMBER_AT) = number + i;
    }
    return true;
}

static void device_hold(struct raw_wire *wire, raw_buf **bufs, unsigned n)
{
    (void)wire;
    for (unsigned i = 0; i < n; i++)
        rte_mbuf_refcnt_update(bufs[i], 1);
}

static void device_free(struct raw_wire *wire, raw_buf **bufs, unsigned n)
{
    (void)wire;
    rte_pktmbuf_free_bulk((struct rte_mbuf **)bufs, n);
}

static unsigned device_tx(struct raw_wire *wire, raw_buf **bufs, unsigned n)
{
    return rte_eth_tx_burst(wire->device, wire->queue, (struct rte_mbuf **)bufs,
                            (uint16_t)n);
}

static unsigned device_rx(struct raw_wire *wire, raw_buf **bufs, unsigned max)
{
    return rte_eth_rx_burst(wire->device, wire->queue, (struct rte_mbuf **)bufs,
                            (uint16_t)max);
}

static uint8_t *device_body(struct raw_wire *wire, raw_buf *buf, uint32_t *ret_len)
{
    struct rte_mbuf *m = buf;

    (void)wire;
    *ret_len = m->data_len > NUMBER_AT ? m->data_len - NUMBER_AT : 0;
    return rte_pktmbuf_mtod_offset(m, uint8_t *, NUMBER_AT);
}

/* ---- sockets ---- */

#define HEADERS 42 /* Ethernet, IPv4, UDP: counted, though the loopback has no wire */

static bool socket_make(struct raw_wire *wire, raw_buf **bufs, unsigned n, unsigned size,
                        uint64_t number)
{
    for (unsigned i = 0; i < n; i++, number++) {
        struct pkt *p = pkt_alloc(wire->pool, 0);

        if (p == NULL) {
            while (i > 0)
                pkt_free(wire->pool, bufs[--i]);
            return false;
        }
        p->len = (uint16_t)(size - HEADERS);
        memcpy(p->data, &number, sizeof(number));
        bufs[i] = p;
    }
    return true;
}

static void socket_hold(struct raw_wire *wire, raw_buf **bufs, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pkt_hold(wire->pool, bufs[i]);
}

static void socket_free(struct raw_wire *wire, raw_buf **bufs, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        pkt_free(wire->pool, bufs[i]);
}

/* One datagram of n segments. */
static int send_segments(int fd, struct msghdr *hdr, unsigned n, uint16_t segment)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(segment))] = {0};
    struct cmsghdr *c = (struct cmsghdr *)(void *)control;

    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(c), &segment, sizeof(segment));
    hdr->msg_control = control;
    hdr->msg_controllen = sizeof(control);
    hdr->msg_iovlen = n;
    return sendmsg(fd, hdr, MSG_DONTWAIT) > 0 ? (int)n : 0;
}

static unsigned socket_tx(struct raw_wire *wire, raw_buf **bufs, unsigned n)
{
    int fd = port_udp_socket(wire->port, wire->queue), sent;
    struct mmsghdr msgs[PORT_BURST] = {0};
    struct iovec iov[PORT_BURST];
    struct sockaddr_storage name;
    socklen_t len = addr_to_sockaddr(&wire->port->neighbour, &name);

    if (n == 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        struct pkt *p = bufs[i];

        iov[i] = (struct iovec){p->data, p->len};
        msgs[i].msg_hdr = (struct msghdr){
            .msg_name = &name, .msg_namelen = len, .msg_iov = &iov[i], .msg_iovlen = 1};
    }
    if (wire->segment && n > 1)
        sent = send_segments(fd, &msgs[0].msg_hdr, n, (uint16_t)iov[0].iov_len);
    else
        sent = sendmmsg(fd, msgs, n, MSG_DONTWAIT);
    for (int i = 0; i < sent; i++)
        pkt_free(wire->pool, bufs[i]);
    return sent > 0 ? (unsigned)sent : 0;
}

/* Without UDP_GRO, whose runs would need buffers of 64 KiB: raw_wire_init turns it off. */
static unsigned socket_rx(struct raw_wire *wire, raw_buf **bufs, unsigned max)
{
    struct mmsghdr msgs[PORT_BURST] = {0};
    struct iovec iov[PORT_BURST];
    int got;

    if (!socket_make(wire, bufs, max, HEADERS, 0))
        return 0;
    for (unsigned i = 0; i < max; i++) {
        struct pkt *p = bufs[i];

        iov[i] = (struct iovec){p->data, p->room};
        msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    got =
        recvmmsg(port_udp_socket(wire->port, wire->queue), msgs, max, MSG_DONTWAIT, NULL);
    got = got > 0 ? got : 0;
    for (int i = 0; i < got; i++)
        ((struct pkt *)bufs[i])->len = (uint16_t)msgs[i].msg_len;
    socket_free(wire, bufs + got, max - (unsigned)got);
    return (unsigned)got;
}

static uint8_t *socket_body(struct raw_wire *wire, raw_buf *buf, uint32_t *ret_len)
{
    const struct pkt *p = buf;

    (void)wire;
    *ret_len = p->len;
    return p->data;
}

static unsigned device_size_max(uint16_t device)
{
    uint16_t mtu = RTE_ETHER_MTU;

    (void)rte_eth_dev_get_mtu(device, &mtu);
    return mtu + RTE_ETHER_HDR_LEN;
}

static void use_socket(struct raw_wire *wire)
{
    const int off = 0;

    (void)setsockopt(port_udp_socket(wire->port, wire->queue), SOL_UDP, UDP_GRO, &off,
                     sizeof(off));
    wire->make = socket_make;
    wire->hold = socket_hold;
    wire->free = socket_free;
    wire->tx = socket_tx;
    wire->rx = socket_rx;
    wire->body = socket_body;
}

static void use_device(struct raw_wire *wire)
{
    wire->make = device_make;
    wire->hold = device_hold;
    wire->free = device_free;
    wire->tx = device_tx;
    wire->rx = device_rx;
    wire->body = device_body;
}

void raw_wire_init(struct raw_wire *wire, const struct raw_on *on, bool segment)
{
    *wire = (struct raw_wire){.port = on->port,
                              .device = on->device,
                              .queue = on->queue,
                              .pool = on->pool,
                              .segment = segment};
    if (on->port == NULL) {
        wire->size_max = device_size_max(on->device);
        use_device(wire);
        return;
    }
    wire->size_max = on->port->mtu + RTE_ETHER_HDR_LEN;
    if (strcmp(on->port->kind, "udp") == 0) {
        use_socket(wire);
    } else {
        PROA_ASSERT(strcmp(on->port->kind, "vhost") == 0);
        wire->device = ethdev_of(on->port)->dev;
        use_device(wire);
    }
}
