/* SPDX-License-Identifier: Apache-2.0 */
#include "xsk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_xdp.h>
#include <rte_mempool.h>

#include "dpdk_mbuf.h"
#include "dpdk_store.h"
#include "pool_dpdk.h"

#define REFILL 64u /* buffers given to the kernel at once */
#define REAP 64u
#define CHUNK_MIN 2048u /* XDP_UMEM_MIN_CHUNK_SIZE */

/* ---- Addresses ---- */

static uint64_t chunk_of(const struct xsk_area *area, const struct rte_mbuf *m)
{
    return (uint64_t)((const uint8_t *)m - area->base) - area->header;
}

static struct rte_mbuf *mbuf_at(const struct xsk_area *area, uint64_t chunk)
{
    return (struct rte_mbuf *)(void *)(area->base + chunk + area->header);
}

/* ---- The memory ---- */

struct extent {
    uint8_t *start;
    uint64_t size;
};

static void take_chunk(struct rte_mempool *mp, void *ctx, struct rte_mempool_memhdr *hdr,
                       unsigned index)
{
    struct extent *extent = ctx;

    (void)mp;
    if (index == 0)
        *extent = (struct extent){hdr->addr, hdr->len};
}

static void explain_memory(int error, uint64_t size, char *err, size_t err_len)
{
    unsigned mib = (unsigned)(size >> 20);

    switch (error) {
    case EPERM:
    case EACCES:
        snprintf(err, err_len,
                 "may not open AF_XDP sockets; run as root, or with CAP_NET_RAW");
        return;
    case ENOBUFS:
        snprintf(
            err, err_len,
            "may lock less memory than its %u MiB of packets; run with CAP_IPC_LOCK, "
            "or: ulimit -l unlimited",
            mib);
        return;
    default:
        snprintf(err, err_len, "registering %u MiB of packets with AF_XDP: %s", mib,
                 strerror(error));
    }
}

bool xsk_area_open(struct xsk_area *area, struct pkt_pool *pool, char *err,
                   size_t err_len)
{
    struct rte_mempool *mp = pool_dpdk_mempool(pool);
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct xsk_umem_config config = {.fill_size = XSK_FILL,
                                     .comp_size = XSK_SEND,
                                     .flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG};
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct extent extent = {NULL, 0};

    memset(area, 0, sizeof(*area));
    rte_mempool_mem_iter(mp, take_chunk, &extent);
    area->mempool = mp;
    area->header = mp->header_size;
    area->chunk = mp->header_size + mp->elt_size + mp->trailer_size;
    if (area->chunk < CHUNK_MIN || area->chunk > XSK_CHUNK_MAX) {
        snprintf(err, err_len,
                 "packet buffers of %u bytes, AF_XDP takes %u to %u; set another `mtu`",
                 area->chunk, CHUNK_MIN, XSK_CHUNK_MAX);
        return false;
    }
    if (mp->nb_mem_chunks != 1) {
        snprintf(err, err_len,
                 "a lane's packets lie in %u pieces of memory, AF_XDP takes one; raise "
                 "`memory_mb`, or give it huge pages",
                 mp->nb_mem_chunks);
        return false;
    }
    area->base = (uint8_t *)((uintptr_t)extent.start & ~(uintptr_t)(page - 1));
    area->size = (uint64_t)(extent.start - area->base) + extent.size;
    config.frame_size = area->chunk;
    config.frame_headroom = mp->header_size + (uint32_t)sizeof(struct rte_mbuf) +
                            rte_pktmbuf_priv_size(mp) + RTE_PKTMBUF_HEADROOM;
    area->front = config.frame_headroom - mp->header_size + XSK_FRONT;
    (void)setrlimit(RLIMIT_MEMLOCK,
                    &all); /* where it is not allowed, the next may fail */
    int status = xsk_umem__create(&area->umem, area->base, area->size, &area->first_fill,
                                  &area->first_comp, &config);
    if (status != 0) {
        explain_memory(-status, area->size, err, err_len);
        area->umem = NULL;
        return false;
    }
    return true;
}

void xsk_area_close(struct xsk_area *area)
{
    while (area->spare_count > 0)
        dpdk_store_put(dpdk_store_of(area->mempool), area->spare[--area->spare_count]);
    if (area->umem != NULL)
        (void)xsk_umem__delete(area->umem);
    area->umem = NULL;
}

/* ---- A socket ---- */

static void explain(int error, const char *interface, unsigned queue, char *err,
                    size_t err_len)
{
    switch (error) {
    case EBUSY:
        snprintf(err, err_len,
                 "af_xdp:%s: queue %u belongs to another AF_XDP socket; end its program",
                 interface, queue);
        return;
    case EINVAL:
        snprintf(err, err_len,
                 "af_xdp:%s: no queue %u, or an MTU too large for its buffers; set "
                 "`mtu`, or: ethtool -L %s combined %u",
                 interface, queue, interface, queue + 1);
        return;
    case ENETDOWN:
        snprintf(err, err_len, "af_xdp:%s: is down; ip link set %s up", interface,
                 interface);
        return;
    default:
        snprintf(err, err_len, "af_xdp:%s: AF_XDP socket on queue %u: %s", interface,
                 queue, strerror(error));
    }
}

static void keep_spares(struct xsk_area *area)
{
    struct dpdk_store *store = dpdk_store_of(area->mempool);
    struct rte_mbuf *m;

    while (area->spare_count < XSK_SPARE && (m = dpdk_store_pop(store)) != NULL)
        area->spare[area->spare_count++] = m;
}

/* Gives the kernel what it is owed, or as much as there is. */
static void refill(struct xsk_queue *q)
{
    struct dpdk_store *store = dpdk_store_of(q->area->mempool);
    uint32_t at, n = REFILL;

    keep_spares(q->area);
    while (q->owed >= REFILL && n == REFILL) {
        struct rte_mbuf *mbufs[REFILL];

        for (n = 0; n < REFILL; n++) {
            mbufs[n] = dpdk_store_pop(store);
            if (mbufs[n] == NULL)
                break;
        }
        if (n == 0 || xsk_ring_prod__reserve(&q->fill, n, &at) != n) {
            while (n > 0)
                dpdk_store_put(store, mbufs[--n]);
            return;
        }
        for (uint32_t i = 0; i < n; i++)
            *xsk_ring_prod__fill_addr(&q->fill, at + i) = chunk_of(q->area, mbufs[i]);
        xsk_ring_prod__submit(&q->fill, n);
        q->owed -= n;
    }
}

bool xsk_queue_open(struct xsk_queue *q, struct xsk_area *area,
                    const struct xsk_queue_args *args, char *err, size_t err_len)
{
    const struct xsk_socket_config config = {
        .rx_size = XSK_FILL,
        .tx_size = XSK_SEND,
        .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
        .bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP | (args->copies ? XDP_COPY : 0)),
    };
    const char *interface = args->interface;
    unsigned queue = args->queue;
    struct xdp_options options = {0};
    socklen_t len = sizeof(options);
    int status;

    memset(q, 0, sizeof(*q));
    q->area = area;
    q->fd = -1;
    if (area->sockets == 0) {
        status = xsk_socket__create_shared(&q->xsk, interface, queue, area->umem, &q->rx,
                                           &q->tx, &area->first_fill, &area->first_comp,
                                           &config);
        q->fill = area->first_fill;
        q->comp = area->first_comp;
    } else {
        status = xsk_socket__create_shared(&q->xsk, interface, queue, area->umem, &q->rx,
                                           &q->tx, &q->fill, &q->comp, &config);
    }
    if (status == 0) {
        area->sockets++;
        q->fd = xsk_socket__fd(q->xsk);
        status = xsk_socket__update_xskmap(q->xsk, args->sockets);
    }
    if (status != 0) {
        explain(-status, interface, queue, err, err_len);
        xsk_queue_close(q);
        return false;
    }
    if (getsockopt(q->fd, SOL_XDP, XDP_OPTIONS, &options, &len) == 0)
        q->zero_copy = (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
    /* All queues of the lane together get what one would: the rest is for links and sending. */
    q->owed = XSK_FILL / args->share > 2 * REFILL ? XSK_FILL / args->share : 2 * REFILL;
    return true;
}

void xsk_queue_close(struct xsk_queue *q)
{
    if (q->xsk != NULL)
        xsk_socket__delete(q->xsk);
    q->xsk = NULL;
    q->fd = -1;
}

/* ---- Receiving ---- */

/* The kernel fills buffers in the order in which it got them, so the next one is known before a frame
   is in it; where it takes another one, this was for nothing.  What only we write is fetched while
   nothing comes, and the frame's lines, which the sender's core has, together with the descriptor
   instead of after it: a look that finds an ask 1,100 -> 720 ticks of the time stamp counter, and up to
   its answer's sending 2,640 -> 1,770 (medians of 8 runs in turns; docs/performance.md). */
static void look_ahead(struct xsk_queue *q)
{
    uint32_t next = q->rx.cached_cons;

    if (next == q->fill.cached_prod)
        return;
    q->ahead = mbuf_at(q->area, *xsk_ring_prod__fill_addr(&q->fill, next));
    rte_prefetch0(q->ahead);
    rte_prefetch0(q->ahead->cacheline1);
    rte_prefetch0(pkt_of_mbuf(q->ahead));
}

static void fetch_ahead(struct xsk_queue *q)
{
    const uint8_t *frame = (const uint8_t *)q->ahead + q->area->front;

    rte_prefetch0(frame);
    rte_prefetch0(frame + RTE_CACHE_LINE_SIZE);
    rte_prefetch0(frame + 2 * RTE_CACHE_LINE_SIZE);
    q->ahead = NULL;
}

unsigned xsk_queue_rx(struct xsk_queue *q, struct rte_mbuf **mbufs, unsigned max)
{
    uint32_t at, n = xsk_ring_cons__peek(&q->rx, max, &at);

    if (n == 0 && q->ahead == NULL)
        look_ahead(q);
    else if (n > 0 && q->ahead != NULL)
        fetch_ahead(q);
    for (uint32_t i = 0; i < n; i++) {
        const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&q->rx, at + i);
        uint64_t chunk = xsk_umem__extract_addr(desc->addr);
        uint64_t offset = xsk_umem__extract_offset(desc->addr);
        struct rte_mbuf *m = mbuf_at(q->area, chunk);

        m->data_off = (uint16_t)(q->area->base + chunk + offset - (uint8_t *)m->buf_addr);
        m->data_len = (uint16_t)desc->len;
        m->pkt_len = desc->len;
        m->nb_segs = 1;
        m->next = NULL;
        m->ol_flags = 0;
        mbufs[i] = m;
    }
    if (n > 0) {
        xsk_ring_cons__release(&q->rx, n);
        q->owed += n;
    }
    if (q->owed >= REFILL)
        refill(q);
    if (n == 0 && xsk_ring_prod__needs_wakeup(&q->fill))
        (void)recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    return n;
}

void xsk_queue_missed(const struct xsk_queue *q, struct xsk_missed *ret)
{
    struct xdp_statistics stats = {0};
    socklen_t len = sizeof(stats);

    if (getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &stats, &len) != 0)
        memset(&stats, 0, sizeof(stats));
    ret->pool = stats.rx_fill_ring_empty_descs;
    ret->ring = stats.rx_ring_full;
}

/* ---- Sending ---- */

static void reap(struct xsk_queue *q)
{
    struct dpdk_store *store = dpdk_store_of(q->area->mempool);
    uint32_t at, n;

    while ((n = xsk_ring_cons__peek(&q->comp, REAP, &at)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            uint64_t addr = *xsk_ring_cons__comp_addr(&q->comp, at + i);

            dpdk_store_put(store, mbuf_at(q->area, xsk_umem__extract_addr(addr)));
        }
        xsk_ring_cons__release(&q->comp, n);
        q->sending -= n;
    }
}

bool xsk_queue_kick(struct xsk_queue *q)
{
    if (q->sending == 0)
        return false;
    /* It fails when the device has enough for now, and then the next loop tries again, or when the
       interface is down or gone, and then the neighbours' thread tells the port. */
    if (xsk_ring_prod__needs_wakeup(&q->tx))
        (void)sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
    reap(q);
    return q->sending > 0;
}

/* One of our own memory with the same bytes; NULL: the pool is dry. */
static struct rte_mbuf *copy_of(struct xsk_queue *q, const struct rte_mbuf *m)
{
    struct rte_mbuf *own = dpdk_store_pop(dpdk_store_of(q->area->mempool));

    if (own == NULL && q->area->spare_count > 0)
        own = q->area->spare[--q->area->spare_count];
    if (own == NULL)
        return NULL;
    own->data_off = RTE_PKTMBUF_HEADROOM;
    own->data_len = m->data_len;
    own->pkt_len = m->data_len;
    memcpy(rte_pktmbuf_mtod(own, void *), rte_pktmbuf_mtod(m, const void *), m->data_len);
    return own;
}

/* Makes mbufs[i], to be sent, one of this memory.  False: the pool is dry. */
static bool make_own(struct xsk_queue *q, struct rte_mbuf **m)
{
    struct rte_mbuf *own;

    if ((*m)->pool == q->area->mempool)
        return true;
    own = copy_of(q, *m);
    if (own == NULL)
        return false;
    dpdk_store_put(dpdk_store_of((*m)->pool), *m);
    *m = own;
    return true;
}

unsigned xsk_queue_tx(struct xsk_queue *q, struct rte_mbuf **mbufs, unsigned n)
{
    uint32_t at, room, done = 0;

    if (q->sending >= XSK_SEND / 2)
        reap(q);
    room = xsk_prod_nb_free(&q->tx, n);
    if (room > XSK_SEND - q->sending) /* completions have room for no more */
        room = XSK_SEND - q->sending;
    if (n > room)
        n = room;
    while (done < n && make_own(q, &mbufs[done]))
        done++;
    if (done == 0 || xsk_ring_prod__reserve(&q->tx, done, &at) != done)
        return 0;
    for (uint32_t i = 0; i < done; i++) {
        struct rte_mbuf *m = mbufs[i];
        struct xdp_desc *desc = xsk_ring_prod__tx_desc(&q->tx, at + i);
        uint64_t chunk = chunk_of(q->area, m);
        uint64_t offset =
            (uint64_t)(rte_pktmbuf_mtod(m, uint8_t *) - q->area->base) - chunk;

        desc->addr = chunk | offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT;
        desc->len = m->data_len;
        desc->options = 0;
    }
    xsk_ring_prod__submit(&q->tx, done);
    q->sending += done;
    return done;
}
