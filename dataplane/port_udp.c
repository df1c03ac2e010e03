/* SPDX-License-Identifier: Apache-2.0 */
#include "port_udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "net.h"
#include "tx_backlog.h"
#include "udp_socket.h"

#define RX_MSGS 32     /* datagrams, or runs of them, a system call fetches */
#define RX_BYTES 65536 /* a run is at most an IP packet's length */
#define SEGMENTS_MAX                                                                     \
    64 /* of one UDP_SEGMENT send.  Source: UDP_MAX_SEGMENTS, Linux 4.18 */
#define RUN_BYTES_MAX 65000         /* below what IP can say, headers included */
#define RETRY_AFTER (100 * PROA_US) /* when the socket's send buffer was full */

struct segment_control {
    alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

/* One queue.  What rx fetched and did not hand out yet lies in msgs[next..fetched). */
struct udp_queue {
    int fd;
    struct pkt_pool *pool;
    bool segment; /* UDP_SEGMENT works on this socket */
    proa_ns now;  /* of the last call */
    unsigned fetched, next;
    unsigned want; /* how many the next system call is to fetch */
    uint32_t cut;  /* bytes of msgs[next] already handed out */
    uint8_t *buffers;
    struct mmsghdr msgs[RX_MSGS];
    struct iovec iov[RX_MSGS];
    struct sockaddr_storage names[RX_MSGS];
    struct segment_control controls[RX_MSGS];
    struct tx_backlog backlog;
};

struct udp_port {
    struct port base;
    char text[ADDR_TEXT_MAX]; /* the bound address, for people */
    struct udp_queue *queues[PROA_LANES_MAX];
};

static struct udp_queue *queue_of(struct port *base, unsigned queue)
{
    return ((struct udp_port *)base)->queues[queue];
}

/* ---- receiving ---- */

/* Makes the first n messages ready to be received into. */
static void renew(struct udp_queue *q, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        q->iov[i] = (struct iovec){q->buffers + (size_t)i * RX_BYTES, RX_BYTES};
        q->msgs[i].msg_hdr = (struct msghdr){
            .msg_name = &q->names[i],
            .msg_namelen = sizeof(q->names[i]),
            .msg_iov = &q->iov[i],
            .msg_iovlen = 1,
            .msg_control = &q->controls[i],
            .msg_controllen = sizeof(q->controls[i]),
        };
    }
}

/* The kernel changes only those it fills: a look that finds nothing costs 900 instructions less than
   if all were made ready for it.  And it is asked for one more only if all were filled the last
   time: to find that there is no second message takes it as long as to find that there is none. */
static void fetch(struct udp_queue *q)
{
    unsigned want = q->want;
    int n;

    renew(q, q->fetched);
    n = recvmmsg(q->fd, q->msgs, want, MSG_DONTWAIT, NULL);
    q->fetched = n > 0 ? (unsigned)n : 0;
    if (q->fetched == want)
        q->want = 2 * want < RX_MSGS ? 2 * want : RX_MSGS;
    else
        q->want = q->fetched > 0 ? q->fetched : 1;
    q->next = 0;
    q->cut = 0;
}

/* Length of the segments of a run; a single datagram is one. */
static uint32_t segment_length(struct msghdr *msg, uint32_t len)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int segment;

            memcpy(&segment, CMSG_DATA(c), sizeof(segment));
            if (segment > 0 && (uint32_t)segment < len)
                return (uint32_t)segment;
        }
    }
    return len;
}

/* Copies one datagram into a packet.  NULL: dropped and counted. */
static struct pkt *deliver(struct port *base, struct udp_queue *q,
                           struct port_stats *stats, const struct sockaddr_storage *name,
                           const uint8_t *bytes, uint32_t len)
{
    uint32_t lead;
    enum port_drop drop = net_check_payload(bytes, len, base->address.family, &lead);
    struct pkt *p = NULL;

    if (drop == PORT_OK) {
        p = pkt_alloc(q->pool, 0);
        if (p == NULL)
            drop = PORT_DROP_POOL;
        else if (len - lead > p->room || !addr_from_sockaddr(name, &p->peer))
            drop = PORT_DROP_LENGTH;
    }
    if (drop != PORT_OK) {
        port_stat_add(&stats->drops[drop], 1);
        if (p != NULL)
            pkt_free(q->pool, p);
        return NULL;
    }
    p->len = (uint16_t)(len - lead);
    p->source = 0;
    p->port = base->index;
    p->flags = 0;
    p->sent_at = q->now;
    memcpy(p->data, bytes + lead, p->len);
    return p;
}

static void flush_backlog(struct port *base, unsigned queue);

static unsigned udp_rx(struct port *base, unsigned queue, struct pkt **pkts, unsigned max,
                       proa_ns now)
{
    struct udp_queue *q = queue_of(base, queue);
    struct port_stats *stats = &base->stats[queue];
    uint64_t bytes = 0;
    unsigned n = 0;

    q->now = now;
    if (q->backlog.count > 0)
        flush_backlog(base, queue);
    if (q->next == q->fetched)
        fetch(q);
    while (n < max && q->next < q->fetched) {
        struct mmsghdr *msg = &q->msgs[q->next];
        uint32_t left = msg->msg_len - q->cut;
        uint32_t len = segment_length(&msg->msg_hdr, msg->msg_len);
        const uint8_t *at = q->buffers + (size_t)q->next * RX_BYTES + q->cut;
        struct pkt *p;

        if (len > left)
            len = left; /* the last of a run may be shorter */
        if ((msg->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
            port_stat_add(&stats->drops[PORT_DROP_LENGTH], 1);
            len = left;
            p = NULL;
        } else {
            p = deliver(base, q, stats, &q->names[q->next], at, len);
        }
        q->cut += len;
        if (q->cut >= msg->msg_len) {
            q->next++;
            q->cut = 0;
        }
        if (p != NULL) {
            bytes += p->len;
            pkts[n++] = p;
        }
    }
    if (n > 0) {
        port_stat_add(&stats->rx, n);
        port_stat_add(&stats->rx_bytes, bytes);
    }
    return n;
}

/* ---- sending ---- */

/* Up to PORT_BURST packets as the datagrams of one sendmmsg. */
struct burst {
    unsigned msgs;
    struct mmsghdr hdrs[PORT_BURST];
    struct iovec iov[PORT_BURST];
    struct sockaddr_storage names[PORT_BURST];
    struct segment_control controls[PORT_BURST];
};

/* How many packets from the first on can leave as one run: same peer, same length, the last
   perhaps shorter. */
static unsigned run_length(struct pkt *const *pkts, unsigned n, uint32_t lead)
{
    bool krpc = pkt_is_krpc(pkts[0]);
    uint32_t len = pkts[0]->len + (krpc ? 0 : lead), total = len;
    unsigned run = 1;

    while (run < n && run < SEGMENTS_MAX) {
        const struct pkt *p = pkts[run];
        uint32_t next = p->len + (pkt_is_krpc(p) ? 0 : lead);

        if (next > len || total + next > RUN_BYTES_MAX ||
            !addr_equal(&p->peer, &pkts[0]->peer))
            break;
        run++;
        total += next;
        if (next < len)
            break;
    }
    return run;
}

static void add_segment_size(struct msghdr *hdr, struct segment_control *control,
                             uint16_t segment)
{
    struct cmsghdr *c;

    memset(control, 0, sizeof(*control));
    hdr->msg_control = control;
    hdr->msg_controllen = CMSG_SPACE(sizeof(segment));
    c = CMSG_FIRSTHDR(hdr);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(c), &segment, sizeof(segment));
}

/* The lead is written into the headroom in front of data. */
static void burst_build(struct burst *b, struct pkt *const *pkts, unsigned n,
                        uint32_t lead, bool segment)
{
    b->msgs = 0;
    for (unsigned i = 0; i < n;) {
        struct mmsghdr *m = &b->hdrs[b->msgs];
        unsigned run = segment ? run_length(pkts + i, n - i, lead) : 1;

        for (unsigned j = i; j < i + run; j++) {
            uint32_t front = pkt_is_krpc(pkts[j]) ? 0 : lead;

            memset(pkts[j]->data - front, 0, front);
            b->iov[j] = (struct iovec){pkts[j]->data - front, pkts[j]->len + front};
        }
        m->msg_hdr = (struct msghdr){
            .msg_name = &b->names[b->msgs],
            .msg_namelen = addr_to_sockaddr(&pkts[i]->peer, &b->names[b->msgs]),
            .msg_iov = &b->iov[i],
            .msg_iovlen = run,
        };
        if (run > 1)
            add_segment_size(&m->msg_hdr, &b->controls[b->msgs],
                             (uint16_t)b->iov[i].iov_len);
        b->msgs++;
        i += run;
    }
}

/* What an errno of sendmmsg means for the datagram it stopped at. */
enum send_trouble { TROUBLE_FULL, TROUBLE_SEGMENT, TROUBLE_SIZE, TROUBLE_LOST };

static enum send_trouble trouble_of(int error, bool run)
{
    switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return TROUBLE_FULL;
    case EIO: /* the device cannot compute checksums of segments */
    case EINVAL:
    case EOPNOTSUPP:
        return run ? TROUBLE_SEGMENT : TROUBLE_LOST;
    case EMSGSIZE:
        return TROUBLE_SIZE;
    default:
        return TROUBLE_LOST; /* unreachable, forbidden: links notice the silence */
    }
}

static void finish(struct port_stats *stats, struct udp_queue *q, struct pkt *const *pkts,
                   size_t n, enum port_drop drop)
{
    for (size_t i = 0; i < n; i++) {
        if (drop == PORT_OK) {
            port_stat_add(&stats->tx, 1);
            port_stat_add(&stats->tx_bytes, pkts[i]->len);
        } else {
            port_stat_add(&stats->drops[drop], 1);
        }
        pkt_free(q->pool, pkts[i]);
    }
}

/* Sends n <= PORT_BURST packets of the right family and size; returns how many are done with:
   sent, or lost and counted.  Fewer than n: the socket is full. */
static unsigned send_burst(struct port *base, unsigned queue, struct pkt *const *pkts,
                           unsigned n)
{
    struct udp_queue *q = queue_of(base, queue);
    struct port_stats *stats = &base->stats[queue];
    struct burst burst;
    unsigned done = 0, msg = 0;

    burst_build(&burst, pkts, n, base->lead, q->segment);
    while (msg < burst.msgs) {
        int sent = sendmmsg(q->fd, &burst.hdrs[msg], burst.msgs - msg, MSG_DONTWAIT);
        int error = errno;

        for (int i = 0; i < sent; i++) {
            size_t run = burst.hdrs[msg++].msg_hdr.msg_iovlen;

            finish(stats, q, pkts + done, run, PORT_OK);
            done += (unsigned)run;
        }
        if (sent >= 0 || error == EINTR)
            continue;
        size_t run = burst.hdrs[msg].msg_hdr.msg_iovlen;
        enum send_trouble trouble = trouble_of(error, run > 1);

        if (trouble == TROUBLE_FULL)
            break;
        if (trouble == TROUBLE_SEGMENT) {
            q->segment = false;
            return done + send_burst(base, queue, pkts + done, n - done);
        }
        finish(stats, q, pkts + done, run,
               trouble == TROUBLE_SIZE ? PORT_DROP_OVERSIZE : PORT_DROP_DOWN);
        done += (unsigned)run;
        msg++;
    }
    return done;
}

static void flush_backlog(struct port *base, unsigned queue)
{
    struct tx_backlog *backlog = &queue_of(base, queue)->backlog;
    struct pkt *pkts[PORT_BURST];

    while (backlog->count > 0) {
        unsigned n = tx_backlog_peek(backlog, pkts, PORT_BURST);
        unsigned done = send_burst(base, queue, pkts, n);

        tx_backlog_drop(backlog, done);
        if (done < n)
            return;
    }
}

/* Packets that can never leave by this port. */
static enum port_drop unsendable(const struct port *base, const struct pkt *p)
{
    uint32_t limit = base->payload_max + (pkt_is_krpc(p) ? base->lead : 0);

    if (p->len > limit)
        return PORT_DROP_OVERSIZE;
    return p->peer.family == base->address.family ? PORT_OK : PORT_DROP_DOWN;
}

static unsigned udp_tx(struct port *base, unsigned queue, struct pkt **pkts, unsigned n,
                       proa_ns now)
{
    struct udp_queue *q = queue_of(base, queue);
    struct pkt *burst[PORT_BURST];
    unsigned taken = 0;

    q->now = now;
    if (q->backlog.count > 0)
        flush_backlog(base, queue);
    while (taken < n) {
        unsigned count = 0, done = 0;

        while (taken < n && count < PORT_BURST && tx_backlog_room(&q->backlog) > count) {
            enum port_drop drop = unsendable(base, pkts[taken]);

            if (drop == PORT_OK)
                burst[count++] = pkts[taken];
            else
                finish(&base->stats[queue], q, &pkts[taken], 1, drop);
            taken++;
        }
        if (q->backlog.count == 0 && count > 0)
            done = send_burst(base, queue, burst, count);
        for (unsigned i = done; i < count; i++)
            tx_backlog_push(&q->backlog, burst[i]);
        if (tx_backlog_room(&q->backlog) == 0)
            break;
    }
    return taken;
}

/* ---- the rest of the port ---- */

static int udp_fd(struct port *base, unsigned queue)
{
    return queue_of(base, queue)->fd;
}

/* A socket is readable while something waits: there is nothing to ask for. */
static void udp_arm(struct port *base, unsigned queue)
{
    (void)base;
    (void)queue;
}

static proa_ns udp_deadline(struct port *base, unsigned queue)
{
    struct udp_queue *q = queue_of(base, queue);

    if (q->next < q->fetched)
        return q->now;
    return q->backlog.count > 0 ? q->now + RETRY_AFTER : PROA_NS_NEVER;
}

static bool udp_up(struct port *base)
{
    (void)base;
    return true;
}

static void udp_state(struct port *base, char *buf, size_t len)
{
    snprintf(buf, len, "bound to %s", ((struct udp_port *)base)->text);
}

static void queue_free(struct udp_queue *q)
{
    struct pkt *p;

    if (q == NULL)
        return;
    while (tx_backlog_peek(&q->backlog, &p, 1) > 0) {
        tx_backlog_drop(&q->backlog, 1);
        pkt_free(q->pool, p);
    }
    if (q->fd >= 0)
        close(q->fd);
    free(q->buffers);
    free(q);
}

static void udp_close(struct port *base)
{
    struct udp_port *port = (struct udp_port *)base;

    for (unsigned i = 0; i < base->queues; i++)
        queue_free(port->queues[i]);
    port_fini(base);
    free(port);
}

static const struct port_ops udp_ops = {
    .rx = udp_rx,
    .tx = udp_tx,
    .fd = udp_fd,
    .arm = udp_arm,
    .disarm = udp_arm,
    .deadline = udp_deadline,
    .up = udp_up,
    .state = udp_state,
    .close = udp_close,
};

static struct udp_queue *queue_new(int fd, struct pkt_pool *pool)
{
    struct udp_queue *q = calloc(1, sizeof(*q));

    if (q == NULL)
        return NULL;
    q->fd = -1;
    q->pool = pool;
    q->segment = true;
    /* 2 MiB of address space; only pages that large runs reach become memory. */
    q->buffers = malloc((size_t)RX_MSGS * RX_BYTES);
    if (q->buffers == NULL) {
        queue_free(q);
        return NULL;
    }
    renew(q, RX_MSGS);
    q->want = 1;
    q->fd = fd;
    return q;
}

struct port *port_udp_open(const struct port_open_args *args, char *err, size_t err_len)
{
    struct udp_port *port = calloc(1, sizeof(*port));
    struct udp_sockets sockets;

    if (port == NULL || !port_init(&port->base, &udp_ops, "udp", args)) {
        snprintf(err, err_len, "%s: out of memory", args->config->spec);
        free(port);
        return NULL;
    }
    port->base.one_source = true;
    port->base.dear_look = true;
    port->base.queues = 0; /* counts those that are there, for udp_close */
    if (!udp_sockets_open(&sockets, args, &port->base, err, err_len)) {
        udp_close(&port->base);
        return NULL;
    }
    addr_print(&sockets.bound, port->text, sizeof(port->text));
    for (unsigned i = 0; i < args->queues; i++) {
        port->queues[i] = queue_new(sockets.fds[i], args->pools[i]);
        if (port->queues[i] == NULL) {
            snprintf(err, err_len, "%s: out of memory", args->config->spec);
            for (; i < args->queues; i++)
                close(sockets.fds[i]);
            udp_close(&port->base);
            return NULL;
        }
        port->base.queues++;
    }
    return &port->base;
}

int port_udp_socket(const struct port *base, unsigned queue)
{
    return ((const struct udp_port *)base)->queues[queue]->fd;
}
