/* SPDX-License-Identifier: Apache-2.0 */
#include "port_faults.h"

#include <stdlib.h>
#include <string.h>

#define REORDER_WAIT (200 * PROA_US) /* a few round trips of any port here */
#define REORDER_PASS 4               /* packets that overtake at the most */
#define FLIPS_MAX 8

/* One packet on its delayed way. */
struct pending {
    proa_ns at;
    uint64_t order; /* equal times leave in the order they came */
    struct pkt *pkt;
};

struct held {
    struct pkt *pkt;
    unsigned passes; /* packets still to overtake it */
    proa_ns until;
};

struct faults_queue {
    struct pkt_pool *pool;
    uint64_t random;
    uint64_t order;
    struct pending
        *heap; /* binary heap by (at, order); PORT_FAULTS_PENDING_MAX of them */
    unsigned pending;
    struct held held[PORT_FAULTS_HELD_MAX];
    unsigned held_count;
    struct port_faults_stats stats;
};

struct faults_port {
    struct port base;
    struct port *inner;
    struct proa_faults faults;
    port_faults_drop *drop;
    void *drop_ctx;
    struct faults_queue queues[];
};

/* Source: splitmix64, Steele et al., 2014. */
static uint64_t draw(struct faults_queue *q)
{
    uint64_t z = q->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Evenly in 0..below - 1; the bias of the multiplication is below 2^-32. */
static uint32_t draw_below(struct faults_queue *q, uint32_t below)
{
    return (uint32_t)((draw(q) >> 32) * below >> 32);
}

static bool happens(struct faults_queue *q, uint32_t ppm)
{
    return ppm > 0 && draw_below(q, 1000000) < ppm;
}

/* ---- the heap ---- */

static bool earlier(const struct pending *a, const struct pending *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct faults_queue *q, struct pending entry)
{
    unsigned at = q->pending++;

    while (at > 0 && earlier(&entry, &q->heap[(at - 1) / 2])) {
        q->heap[at] = q->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    q->heap[at] = entry;
}

static struct pkt *heap_pop(struct faults_queue *q)
{
    struct pkt *first = q->heap[0].pkt;
    struct pending last = q->heap[--q->pending];
    unsigned at = 0;

    for (;;) {
        unsigned child = 2 * at + 1;

        if (child >= q->pending)
            break;
        if (child + 1 < q->pending && earlier(&q->heap[child + 1], &q->heap[child]))
            child++;
        if (!earlier(&q->heap[child], &last))
            break;
        q->heap[at] = q->heap[child];
        at = child;
    }
    q->heap[at] = last;
    return first;
}

/* ---- sending ---- */

/* Puts p on its way at a time; takes it. */
static void launch_at(struct faults_queue *q, struct pkt *p, proa_ns at)
{
    if (q->pending == PORT_FAULTS_PENDING_MAX) {
        q->stats.overflow++;
        pkt_free(q->pool, p);
        return;
    }
    heap_push(q, (struct pending){.at = at, .order = q->order++, .pkt = p});
}

/* Puts p on its way with the configured delay; takes it. */
static void launch(struct faults_port *port, struct faults_queue *q, struct pkt *p,
                   proa_ns now)
{
    proa_ns delay = port->faults.delay_us * PROA_US;

    if (port->faults.jitter_us > 0)
        delay += draw(q) % (port->faults.jitter_us * PROA_US + 1);
    if (delay > 0)
        q->stats.delayed++;
    launch_at(q, p, now + delay);
}

static void release_held(struct faults_port *port, struct faults_queue *q, unsigned i,
                         proa_ns now)
{
    struct pkt *p = q->held[i].pkt;

    q->held_count--;
    memmove(&q->held[i], &q->held[i + 1], (q->held_count - i) * sizeof(q->held[0]));
    launch(port, q, p, now);
}

static void release_late(struct faults_port *port, struct faults_queue *q, proa_ns now)
{
    for (unsigned i = 0; i < q->held_count;) {
        if (q->held[i].until <= now)
            release_held(port, q, i, now);
        else
            i++;
    }
}

/* A packet has just passed those that are held. */
static void pass_held(struct faults_port *port, struct faults_queue *q, unsigned count,
                      proa_ns now)
{
    unsigned i = 0;

    while (count-- > 0) { /* those held before the packet; releasing shifts the rest */
        if (--q->held[i].passes == 0)
            release_held(port, q, i, now);
        else
            i++;
    }
}

static struct pkt *copy_of(struct faults_queue *q, const struct pkt *p)
{
    struct pkt *copy = pkt_alloc(q->pool, 1);

    if (copy == NULL || copy->room < p->len) {
        if (copy != NULL)
            pkt_free(q->pool, copy);
        q->stats.overflow++;
        return NULL;
    }
    memcpy(copy->data, p->data, p->len);
    copy->len = p->len;
    copy->port = p->port;
    copy->peer = p->peer;
    copy->source = p->source;
    return copy;
}

/* A packet that may be held elsewhere is never written: a copy is damaged. */
static struct pkt *corrupt(struct faults_queue *q, struct pkt *p)
{
    struct pkt *copy = p->len > 0 ? copy_of(q, p) : NULL;
    unsigned flips;

    if (copy == NULL)
        return p;
    pkt_free(q->pool, p);
    flips = 1 + draw_below(q, FLIPS_MAX);
    for (unsigned i = 0; i < flips; i++) {
        uint32_t bit = draw_below(q, copy->len * 8u);

        copy->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    q->stats.corrupted++;
    return copy;
}

/* Takes p. */
static void mistreat(struct faults_port *port, struct faults_queue *q, struct pkt *p,
                     proa_ns now)
{
    const struct proa_faults *f = &port->faults;
    unsigned held = q->held_count;
    struct pkt *copy;

    if (port->drop != NULL &&
        port->drop(port->drop_ctx, &port->base.address, &p->peer, p)) {
        q->stats.filtered++;
        pkt_free(q->pool, p);
        return;
    }
    if (happens(q, f->loss)) {
        q->stats.lost++;
        pkt_free(q->pool, p);
        return;
    }
    if (happens(q, f->corrupt))
        p = corrupt(q, p);
    if (happens(q, f->duplicate) && (copy = copy_of(q, p)) != NULL) {
        q->stats.duplicated++;
        launch(port, q, copy, now);
    }
    if (happens(q, f->reorder) && held < PORT_FAULTS_HELD_MAX) {
        q->stats.reordered++;
        q->held[q->held_count++] =
            (struct held){.pkt = p,
                          .passes = 1 + draw_below(q, REORDER_PASS),
                          .until = now + REORDER_WAIT};
        return;
    }
    launch(port, q, p, now);
    pass_held(port, q, held, now);
}

/* Sends what is due.  What the port below does not take stays due. */
static void send_due(struct faults_port *port, unsigned queue, proa_ns now)
{
    struct faults_queue *q = &port->queues[queue];
    struct pkt *burst[PORT_BURST];

    release_late(port, q, now);
    for (;;) {
        unsigned n = 0, took;

        while (n < PORT_BURST && q->pending > 0 && q->heap[0].at <= now)
            burst[n++] = heap_pop(q);
        if (n == 0)
            return;
        took = port_tx(port->inner, queue, burst, n, now);
        if (took == n)
            continue;
        /* Back with times and orders that keep them first and in their order. */
        for (unsigned i = took; i < n; i++)
            heap_push(q, (struct pending){.at = 0, .order = i - took, .pkt = burst[i]});
        return;
    }
}

static bool blocked(const struct faults_queue *q, proa_ns now)
{
    return q->pending > 0 && q->heap[0].at <= now;
}

static unsigned faults_rx(struct port *base, unsigned queue, struct pkt **pkts,
                          unsigned max, proa_ns now)
{
    struct faults_port *port = (struct faults_port *)base;

    send_due(port, queue, now);
    return port_rx(port->inner, queue, pkts, max, now);
}

static unsigned faults_tx(struct port *base, unsigned queue, struct pkt **pkts,
                          unsigned n, proa_ns now)
{
    struct faults_port *port = (struct faults_port *)base;
    struct faults_queue *q = &port->queues[queue];

    send_due(port, queue, now);
    if (blocked(q, now))
        return 0; /* the port below is full: so are we */
    for (unsigned i = 0; i < n; i++)
        mistreat(port, q, pkts[i], now);
    send_due(port, queue, now);
    return n;
}

static int faults_fd(struct port *base, unsigned queue)
{
    return port_fd(((struct faults_port *)base)->inner, queue);
}

static void faults_arm(struct port *base, unsigned queue)
{
    port_arm(((struct faults_port *)base)->inner, queue);
}

static void faults_disarm(struct port *base, unsigned queue)
{
    port_disarm(((struct faults_port *)base)->inner, queue);
}

static proa_ns faults_deadline(struct port *base, unsigned queue)
{
    struct faults_port *port = (struct faults_port *)base;
    struct faults_queue *q = &port->queues[queue];
    proa_ns at = port_deadline(port->inner, queue);

    if (q->pending > 0 && q->heap[0].at < at)
        at = q->heap[0].at;
    for (unsigned i = 0; i < q->held_count; i++) {
        if (q->held[i].until < at)
            at = q->held[i].until;
    }
    return at;
}

static bool faults_up(struct port *base)
{
    return port_up(((struct faults_port *)base)->inner);
}

static void faults_state(struct port *base, char *buf, size_t len)
{
    struct port *inner = ((struct faults_port *)base)->inner;

    inner->ops->state(inner, buf, len);
}

static void faults_close(struct port *base)
{
    struct faults_port *port = (struct faults_port *)base;

    for (unsigned i = 0; i < base->queues; i++) {
        struct faults_queue *q = &port->queues[i];

        while (q->pending > 0)
            pkt_free(q->pool, heap_pop(q));
        while (q->held_count > 0)
            pkt_free(q->pool, q->held[--q->held_count].pkt);
        free(q->heap);
    }
    port_close(port->inner);
    free(port);
}

static uint16_t faults_source_port(struct port *base, unsigned queue,
                                   const struct proa_addr *from, unsigned tried)
{
    struct port *inner = ((struct faults_port *)base)->inner;

    return inner->ops->source_port(inner, queue, from, tried);
}

static const struct port_ops faults_ops = {
    .source_port = faults_source_port,
    .rx = faults_rx,
    .tx = faults_tx,
    .fd = faults_fd,
    .arm = faults_arm,
    .disarm = faults_disarm,
    .deadline = faults_deadline,
    .up = faults_up,
    .state = faults_state,
    .close = faults_close,
};

struct port *port_faults_wrap(struct port *inner, const struct proa_faults *faults,
                              struct pkt_pool **pools)
{
    size_t size =
        sizeof(struct faults_port) + inner->queues * sizeof(struct faults_queue);
    struct faults_port *port = calloc(1, size);

    if (port == NULL)
        return NULL;
    port->base = *inner; /* addresses, sizes and counters are those of the port below */
    port->base.ops = &faults_ops;
    port->inner = inner;
    for (unsigned i = 0; i < inner->queues; i++) {
        struct faults_queue *q = &port->queues[i];

        q->pool = pools[i];
        q->heap = malloc(PORT_FAULTS_PENDING_MAX * sizeof(*q->heap));
        if (q->heap == NULL) {
            while (i-- > 0)
                free(port->queues[i].heap);
            free(port);
            return NULL;
        }
    }
    port_faults_set(&port->base, faults);
    return &port->base;
}

static struct faults_port *faults_of(struct port *base)
{
    PROA_ASSERT(base->ops == &faults_ops);
    return (struct faults_port *)base;
}

void port_faults_set(struct port *base, const struct proa_faults *faults)
{
    struct faults_port *port = faults_of(base);

    port->faults = *faults;
    for (unsigned i = 0; i < base->queues; i++)
        port->queues[i].random = faults->seed + i * 0xd1342543de82ef95u;
}

void port_faults_filter(struct port *base, port_faults_drop *drop, void *ctx)
{
    struct faults_port *port = faults_of(base);

    port->drop = drop;
    port->drop_ctx = ctx;
}

void port_faults_stats(const struct port *base, unsigned queue,
                       struct port_faults_stats *ret)
{
    PROA_ASSERT(base->ops == &faults_ops);
    *ret = ((const struct faults_port *)base)->queues[queue].stats;
}

bool port_faults_any(const struct proa_faults *f)
{
    return (f->loss | f->duplicate | f->reorder | f->corrupt | f->delay_us |
            f->jitter_us) != 0;
}
