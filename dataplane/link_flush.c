/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

struct pkt *link_new_packet(struct link *link, int control)
{
    struct pkt *p = pkt_alloc(link->env.pool, control);

    if (p == NULL)
        return NULL;
    PROA_ASSERT(p->room >= PACKET_HEADER_LEN + link->body_max);
    p->peer = link->params.peer;
    p->port = link->params.port;
    p->source = link->source;
    p->attempt = 0;
    p->flags = 0;
    return p;
}

/* Packets that may be sent besides those in flight: the least of what congestion, the peer's
   window, our own window ring and the lane's budget leave. */
uint32_t link_room(const struct link *link)
{
    const struct link_budget *budget = link->env.budget;
    uint32_t inflight = link_inflight(link);
    uint32_t used = link->nxt - link->una;
    uint32_t free = budget->retained < budget->retained_max
                        ? budget->retained_max - budget->retained
                        : 0;
    uint32_t room = LINK_WINDOW_MAX - used;

    if (link->dead || link->hold)
        return 0;
    if (used < LINK_GUARANTEED && free < LINK_GUARANTEED - used)
        free = LINK_GUARANTEED - used;
    if (free < room)
        room = free;
    if (link_diff(link->right, link->nxt) < (int32_t)room)
        room = link_diff(link->right, link->nxt) > 0 ? link->right - link->nxt : 0;
    uint32_t left = inflight < link->cc.cwnd ? link->cc.cwnd - inflight : 0;
    return left < room ? left : room;
}

bool link_may_leave(const struct link *link, uint32_t packets)
{
    return !link_port_full(link) && link_room(link) > packets;
}

void link_transmit_new(struct link *link, struct pkt *p, uint32_t flags, proa_ns now)
{
    uint32_t seq = link->nxt;

    if (seq == link->una) {
        link->rto_base = now; /* nothing was in flight: the timers start with this one */
        link->probed = false;
        link->cc.round_at = now;
        link->cc.round_mark = link->cc.delivered;
    }
    p->source = link->source; /* it may have been built before the peer named a port */
    p->seq = seq;
    p->attempt = 0;
    p->sent_at = now;
    p->first_sent = (uint32_t)(now >> 10);
    p->delivered = link->cc.delivered;
    p->order = ++link->order;
    link_put_header(link, p, PACKET_DATA, flags, now);
    link->tx[seq & LINK_MASK] = p;
    link->nxt = seq + 1;
    link->tx_at = link->active_at = now;
    link->env.budget->retained++;
    link->stats.tx_packets++;
    pkt_hold(link->env.pool, p);
    link->env.transmit(link->env.ctx, link, p);
    link->port_mark = link->params.backlog->taken + link->params.backlog->count;
}

/* A retained packet is never written: what goes out again is a copy with a fresh ack block. */
bool link_resend(struct link *link, uint32_t seq, bool probe, proa_ns now)
{
    struct pkt *old = link_tx(link, seq);
    struct pkt *p = link_new_packet(link, 0);

    PROA_ASSERT(old->attempt < PACKET_ATTEMPT_MAX);
    if (p == NULL) {
        link_look_again(link, now);
        return false;
    }
    memcpy(p->data + PACKET_HEADER_LEN, old->data + PACKET_HEADER_LEN,
           old->len - (size_t)PACKET_HEADER_LEN);
    p->len = old->len;
    p->seq = seq;
    p->flags = old->flags;
    p->first_sent = old->first_sent;
    p->attempt = old->attempt + 1;
    if (p->attempt >= LINK_SOURCE_ATTEMPTS)
        p->source = link->source = 0; /* does that port get through at all? */
    p->sent_at = now;
    p->delivered = link->cc.delivered;
    p->order = ++link->order;
    link_put_header(link, p, PACKET_DATA, probe ? PACKET_PROBE : 0, now);
    if (link_bit(&link->lost, seq)) {
        link_bit_clear(&link->lost, seq);
        link->lost_count--;
    }
    link_bit_clear(&link->suspect, seq);
    link->tx[seq & LINK_MASK] = p;
    pkt_free(link->env.pool, old);
    link->tx_at = now;
    link->stats.resends++;
    pkt_hold(link->env.pool, p);
    link->env.transmit(link->env.ctx, link, p);
    return true;
}

/* Sends again what is known lost.  The first unacked packet is the only one that a receiver
   without room for packets out of order must take, so the last attempts are kept until a packet
   is the first.  When those fail while the peer is alive, the link ends. */
static void flush_lost(struct link *link, proa_ns now)
{
    uint32_t seq = link->una;

    while (link->lost_count > 0 && link_bits_next(&link->lost, &seq, link->nxt)) {
        const struct pkt *p = link_tx(link, seq);

        if (link_inflight(link) >= link->cc.cwnd || link_port_full(link))
            return;
        if (p->attempt < (seq == link->una ? PACKET_ATTEMPT_MAX : LINK_ATTEMPTS_BEHIND)) {
            if (!link_resend(link, seq, false, now))
                return;
        } else if (seq == link->una && link->heard_at > p->sent_at) {
            link_die(link, LINK_DEAD_STUCK);
            return;
        }
        seq++;
    }
}

bool link_has_work(const struct link *link)
{
    return link->open != NULL || link_out_count(link) > 0 || link->streams_used > 0 ||
           link->records_wait;
}

/* The outbox, then the open packet; a bulk packet now and then even when they never end. */
static void flush_small(struct link *link, proa_ns now)
{
    struct pkt *p;

    for (uint32_t room = link_room(link); room > 0 && !link_port_full(link); room--) {
        if (link_out_count(link) == 0 && link->open != NULL && !link_port_behind(link))
            link_close_open(link); /* behind its own refused one it goes on filling up */
        if (link_out_count(link) == 0)
            return;
        if (link->streams_used > 0 && link->bulk_debt >= LINK_BULK_SHARE && room > 1) {
            link->bulk_debt = 0;
            room -= link_bulk_flush(link, 1, false, now);
        }
        p = link->out[link->out_head++ & LINK_OUT_MASK];
        link_unqueue(link, p);
        link_transmit_new(link, p, 0, now);
        link->bulk_debt++;
        link->small_at = now;
    }
}

/* What bulk may take of the room: small messages that come next find a part of the window
   free, but one bulk packet is always under way.  Where small ones go too it does not queue either: they
   would wait for all of it, at the port and with the peer. */
static uint32_t bulk_room(const struct link *link, uint32_t room, bool beside)
{
    uint32_t inflight = link_inflight(link);
    uint32_t all = inflight + room;
    uint32_t leaves = all < 2 * LINK_BULK_LEAVES ? all / 2 : LINK_BULK_LEAVES;
    uint32_t most = all - leaves;

    if (beside && most > link->cc.holds + LINK_BESIDE_QUEUE)
        most = link->cc.holds + LINK_BESIDE_QUEUE;
    if (most > inflight)
        return most - inflight;
    return inflight == 0 && room > 0 ? 1 : 0;
}

/* True: there is room for more bulk. */
static bool flush_new(struct link *link, proa_ns now)
{
    bool more = false, held = false;

    flush_small(link, now);
    if (link->streams_used > 0 && link_out_count(link) == 0 && link->open == NULL) {
        bool beside = now - link->small_at < LINK_BESIDE_FOR;
        uint32_t room = link_room(link), alone = bulk_room(link, room, false);

        room = bulk_room(link, room, beside && !link->cc.startup);
        held = room < alone;
        uint32_t burst = beside ? LINK_BESIDE_BURST : LINK_BULK_BURST;
        uint32_t most = room < burst ? room : burst;

        more = link_bulk_flush(link, most, beside, now) == most && most < room;
        flush_small(link, now); /* what waited behind bulk that is now gone */
    }
    /* A round in which bulk was held back for others says nothing against the path. */
    if (link_has_work(link) && (!held || link_out_count(link) > 0)) {
        link->cc.pushed = true;
        link->cc.limited |= link_inflight(link) + LINK_BULK_LEAVES >= link->cc.cwnd;
    }
    return more && link->streams_used > 0;
}

/* Not before there is room for what was refused: who is told too early tries again each loop.
   Other links of the lane may have to give it first, so it is looked at again soon. */
static void tell_writable(struct link *link, proa_ns now)
{
    if (link_out_actors(link) > LINK_OUTBOX_MAX / 2)
        return;
    if (!link_may_queue(link)) {
        link_look_again(link, now);
        return;
    }
    if (!link->again_small && !link_bulk_may(link)) {
        link_look_again(link, now);
        return;
    }
    link->again = link->again_small = false;
    link_bulk_told(link);
    link->env.writable(link->env.ctx, link);
}

bool link_blocked(const struct link *link)
{
    return link->blocked && !link->dead;
}

void link_flush(struct link *link, proa_ns now)
{
    if (link->dead)
        return;
    if (link->retry_at <= now)
        link->retry_at = PROA_NS_NEVER;
    if (link->records_wait)
        link_records_flush(link, now);
    if (link->lost_count > 0)
        flush_lost(link, now);
    bool more = link_has_work(link) && flush_new(link, now);
    link->blocked = more || ((link_port_behind(link) || link_port_full(link)) &&
                             (link->lost_count > 0 || link_has_work(link)));
    if (link->asks || link_ack_wanted(link, now))
        link_send_ack(link, now);
    if (link->again)
        tell_writable(link, now);
}
