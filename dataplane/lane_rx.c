/* SPDX-License-Identifier: Apache-2.0 */
#include "lane_internal.h"

#include <string.h>

#include "packet.h"

static void free_packet(struct lane *lane, struct pkt *p)
{
    lane->config.pool->ops->free(p);
}

/* Shows p to whoever captures; nobody, as a rule. */
static inline void tap(struct lane *lane, const struct pkt *p, proa_ns at, bool out)
{
    if (__builtin_expect(lane->tap.now != NULL, 0))
        tap_packet(lane->tap.now, p, at, out);
}

/* Hands a datagram to the control thread as bytes: its buffer never leaves the lane. */
static void punt_up(struct lane *lane, struct pkt *p)
{
    struct punt_datagram head = {.peer = p->peer, .port = p->port};

    if (lane_push_up(lane, PUNT_DATAGRAM, &head, sizeof(head), p->data, p->len))
        lane_count(&lane->stats.punted, 1);
    else
        lane_count(&lane->stats.punt_full, 1);
    free_packet(lane, p);
}

/* A packet of another lane's link goes there over the pair ring, whole. */
static void hand_over(struct lane *lane, struct pkt *p, uint32_t to)
{
    struct pair_ring *ring = lane->config.sched.out[to];
    struct pair_item *item = ring != NULL ? pair_ring_reserve(ring, false) : NULL;

    if (item == NULL) {
        lane_count(&lane->stats.misdirected_full, 1);
        free_packet(lane, p);
        return;
    }
    p->flags |= PKT_ASTRAY;
    item->kind = PAIR_PKT;
    item->ptr = p;
    pair_ring_commit(ring);
    lane_count(&lane->stats.misdirected, 1);
}

static void heard(struct lane *lane, struct lane_link *ll)
{
    if (lane->now - ll->heard_marked < LANE_HEARD_EVERY)
        return;
    ll->heard_marked = lane->now;
    if (ll->node != NULL)
        directory_heard(ll->node, lane->now + LANE_HEARD_FOR);
}

static void link_packet(struct lane *lane, struct pkt *p)
{
    uint64_t id = packet_dst_link(p->data);
    uint32_t to = link_id_lane(id);
    uint32_t slot = link_id_slot(id);

    if (to != lane->config.lane && to < lane->config.lanes) {
        hand_over(lane, p, to);
        return;
    }
    struct lane_link *ll = &lane->links[slot % LANE_LINKS_MAX];
    if (ll->link == NULL || ll->id != id) {
        lane_count(&lane->stats.unknown_link, 1);
        free_packet(lane, p);
        return;
    }
    bool steered = memcmp(&p->peer, link_peer(ll->link), sizeof(p->peer)) != 0;
    if (steered && !lane_steered(ll, &p->peer)) {
        lane_count(&lane->stats.wrong_source, 1);
        free_packet(lane, p);
        return;
    }
    heard(lane, ll);
    struct lane_arrival arrival = {p->peer.port, p->port, (p->flags & PKT_ASTRAY) != 0};
    if (link_input(ll->link, p, lane->now) &&
        __builtin_expect(arrival.astray || steered, 0))
        lane_steer(lane, ll, &arrival);
    lane_dirty(lane, ll);
    if (__builtin_expect(link_waits(ll->link), 0) && !ll->waits) {
        ll->waits = true;
        lane->waiting[lane->waiting_count++] = (uint32_t)(ll - lane->links);
    }
}

/* Goes on with links whose closed gap gave more than one loop may deliver; a packet of each at
   the least. */
static void deliver_waiting(struct lane *lane)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < lane->waiting_count; i++) {
        struct lane_link *ll = &lane->links[lane->waiting[i]];

        if (ll->link != NULL && ll->waits) {
            link_deliver_more(ll->link, lane->now);
            lane_dirty(lane, ll);
            ll->waits = link_waits(ll->link);
        }
        if (ll->link != NULL && ll->waits)
            lane->waiting[kept++] = lane->waiting[i];
    }
    lane->waiting_count = kept;
}

void lane_input(struct lane *lane, struct pkt *p)
{
    if (p->len > 0 && p->data[0] == 'd') {
        punt_up(lane, p);
        return;
    }
    if (p->len < PACKET_HEADER_LEN) {
        lane_count(&lane->stats.short_packets, 1);
        free_packet(lane, p);
        return;
    }
    if (packet_kind_is_keyed(packet_kind(p->data)))
        punt_up(lane, p);
    else
        link_packet(lane, p);
}

bool lane_poll(struct lane *lane, proa_ns now)
{
    bool some = false;

    for (unsigned i = 0; i < lane->config.port_count; i++) {
        struct lane_rxq *q = &lane->rxq[i];

        if (q->at == q->count) {
            q->at = 0;
            q->count = port_rx(lane->config.ports[i], lane->config.lane, q->pkts,
                               PORT_BURST, now);
        }
        some |= q->count > 0;
    }
    return some;
}

/* Takes packets until there are none or the time for handlers in place is spent.  The rest
   stays for the next loop: in mailboxes its messages would cost half as much again, and the
   handlers that wait there get their turn first either way. */
uint32_t lane_receive(struct lane *lane)
{
    uint32_t ports = lane->config.port_count, total = 0;
    bool waited = lane->waiting_count > 0;

    if (waited)
        deliver_waiting(lane);

    for (uint32_t i = 0, port = lane->rx_first; i < ports; i++, port++) {
        if (port >= ports)
            port = 0;

        struct lane_rxq *q = &lane->rxq[port];

        while (q->at < q->count) {
            if (total > 0 && sched_pressed(lane->sched)) {
                lane->rx_first = port;
                i = ports;
                break;
            }
            if (q->at + 1 < q->count)
                __builtin_prefetch(q->pkts[q->at + 1]->data);
            tap(lane, q->pkts[q->at], q->pkts[q->at]->sent_at, false);
            lane_input(lane, q->pkts[q->at++]);
            total++;
        }
    }
    if (total > 0)
        lane_count(&lane->stats.rx, total);
    return total + waited;
}

/* Sends what waits for one port; keeps, in order, what the port did not take. */
static void send_queue(struct lane *lane, unsigned port)
{
    struct lane_txq *q = &lane->txq[port];
    uint32_t count = q->backlog.count, done = 0;

    while (done < count) {
        uint32_t n = count - done < PORT_BURST ? count - done : PORT_BURST;
        unsigned took = port_tx(lane->config.ports[port], lane->config.lane,
                                &q->pkts[done], n, lane->now);
        done += took;
        if (took < n) {
            lane_count(&lane->stats.tx_short, 1);
            break;
        }
    }
    lane_count(&lane->stats.tx, done);
    count -= done;
    q->backlog = (struct link_backlog){count, count, q->backlog.taken + done};
    if (done > 0 && count > 0)
        memmove(q->pkts, &q->pkts[done], count * sizeof(q->pkts[0]));
}

void lane_send_queued(struct lane *lane)
{
    for (unsigned i = 0; i < lane->config.port_count; i++) {
        if (lane->txq[i].backlog.count > 0)
            send_queue(lane, i);
    }
}

void lane_transmit(struct lane *lane, struct pkt *p)
{
    if (p->port >= lane->config.port_count) {
        lane_count(&lane->stats.no_route, 1);
        free_packet(lane, p);
        return;
    }
    struct lane_txq *q = &lane->txq[p->port];
    if (q->backlog.count == LANE_TXQ)
        send_queue(lane, p->port);
    /* Of the control thread's datagrams: links send nothing then.  Who sent it tries again. */
    if (q->backlog.count == LANE_TXQ) {
        lane_count(&lane->stats.tx_full, 1);
        free_packet(lane, p);
        return;
    }
    tap(lane, p, lane->now, true);
    q->pkts[q->backlog.count++] = p;
    if (q->backlog.count % PORT_BURST == 0)
        send_queue(lane, p->port);
}

void lane_foreign_item(void *ctx, uint32_t from_lane, const struct pair_item *item)
{
    struct lane *lane = ctx;

    if (item->kind == PAIR_PKT)
        lane_input(lane, item->ptr);
    else
        lane_mark_item(lane, from_lane, item);
}
