/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

/* ---- What we say ---- */

/* The window we grant: what may be held out of order, as far as the lane's budget goes, and
   as far as what waits to be delivered leaves places.  Its right edge never moves back. */
static uint32_t grant(struct link *link)
{
    const struct link_budget *budget = link->env.budget;
    uint32_t free = budget->held < budget->held_max ? budget->held_max - budget->held : 0;
    uint32_t places = LINK_WINDOW_MAX - (link->rx_next - link->rx_done);
    uint32_t window = link->rx_held + free;

    if (window < LINK_GUARANTEED)
        window = LINK_GUARANTEED;
    if (window > places)
        window = places;
    link->shut = places < LINK_WINDOW_MAX / 2;
    if (link_diff(link->rx_next + window, link->rx_right) > 0)
        link->rx_right = link->rx_next + window;
    return link->rx_right - link->rx_next;
}

static uint16_t host_delay(const struct link *link, proa_ns now)
{
    proa_ns units = (now - link->trigger_at) / PACKET_HOST_DELAY_UNIT;

    return units < PACKET_HOST_DELAY_NONE ? (uint16_t)units : PACKET_HOST_DELAY_NONE;
}

/* Writes the header, with the ack block of this moment; whatever waits to be acked is acked. */
void link_put_header(struct link *link, struct pkt *p, unsigned kind, uint32_t flags,
                     proa_ns now)
{
    uint8_t *data = p->data;
    uint32_t trigger = 0, delay = PACKET_HOST_DELAY_NONE;
    int32_t offset = link_diff(link->trigger, link->rx_next);

    if (link->trigger_valid && offset >= -2048 && offset < 2048) {
        trigger =
            ((uint32_t)offset & 0xfff) | (uint32_t)link->trigger_attempt << 12 | 0x8000;
        delay = host_delay(link, now);
    }
    flags |=
        PACKET_ACK_VALID | (uint32_t)p->attempt << 5 | (link->ce ? PACKET_CE_ECHO : 0);
    proa_put_le64(data, PACKET_VERSION | kind << 4 | flags << 8 |
                            (uint64_t)grant(link) << 16 | (uint64_t)p->seq << 32);
    proa_put_le64(data + PACKET_AT_DST_LINK, link->params.peer_link_id);
    proa_put_le64(data + PACKET_AT_SACK,
                  link->rx_held > 0 ? link_bits64(&link->received, link->rx_next + 1)
                                    : 0);
    proa_put_le64(data + PACKET_AT_ACK,
                  link->rx_next | (uint64_t)trigger << 32 | (uint64_t)delay << 48);
    link->trigger_valid = false;
    link->ce = false;
    link->ack_pending = 0;
    /* A gap wants all that came past it told, and for more than 64 only an ACK has room. */
    if (!link->ack_full || link->rx_highest - link->rx_next <= 64)
        link->ack_now = link->ack_full = false;
}

bool link_ack_wanted(const struct link *link, proa_ns now)
{
    return link->ack_now || link->ack_pending >= LINK_ACK_EVERY ||
           (link->ack_pending > 0 && now >= link->ack_at);
}

/* A bare ACK; while there is a gap, with the bitmap of all that was received past it.  It stays wanted as
   long as the port would only have it thrown away. */
void link_send_ack(struct link *link, proa_ns now)
{
    uint32_t span = link->rx_held > 0 ? link->rx_highest - link->rx_next : 0;
    size_t words = (span + 63) / 64;
    struct pkt *p;

    if (link_port_full(link)) {
        link->blocked = true;
        return;
    }
    p = link_new_packet(link, 1);
    if (p == NULL) {
        link_look_again(link, now);
        return;
    }
    for (size_t i = 0; i < words; i++)
        proa_put_le64(p->data + PACKET_HEADER_LEN + 8 * i,
                      link_bits64(&link->received, link->rx_next + 1 + 64 * (uint32_t)i));
    p->seq = link->nxt;
    p->len = (uint16_t)(PACKET_HEADER_LEN + 8 * words);
    link->ack_full = false;
    link->full_at = now;
    link_put_header(link, p, PACKET_ACK, link->asks ? PACKET_PROBE : 0, now);
    link->asks = false;
    link->stats.acks_tx++;
    link->env.budget->acks++;
    link->env.transmit(link->env.ctx, link, p);
}

bool link_ack_due(const struct link *link)
{
    return !link->dead && (link->ack_now || link->ack_pending > 0);
}

void link_ack(struct link *link, proa_ns now)
{
    if (link_ack_due(link))
        link_send_ack(link, now);
}

/* ---- What we are told ---- */

/* Only what could be true is believed: nothing acked or received that was never sent. */
bool link_ack_block_sound(const struct link *link, const struct packet_header *h,
                          const uint8_t *bitmap, size_t len)
{
    int32_t past = link_diff(h->ack, link->una);
    uint32_t unknown = link->nxt - h->ack; /* packets from ack on */

    if (past < -LINK_WINDOW_MAX || link_diff(h->ack, link->nxt) > 0)
        return false;
    if (h->window > LINK_WINDOW_MAX)
        return false;
    if (past < 0)
        return true; /* old: it is not read further */
    /* bit i stands for ack + 1 + i, which must lie below nxt */
    uint32_t bits = unknown > 0 ? unknown - 1 : 0;
    if (bits < 64 && h->sack >> bits != 0)
        return false;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w = proa_get_le64(bitmap + i);
        uint32_t left = bits > 8 * i ? bits - 8 * (uint32_t)i : 0;
        if (left < 64 && w >> left != 0)
            return false;
    }
    return true;
}

/* This sending of a packet has arrived, so what was sent before it and has not is late. */
static void arrived(struct link *link, const struct pkt *p)
{
    if (link_diff(p->order, link->newest) > 0)
        link->newest = p->order;
}

/* Of a packet that was sent again nobody knows here which sending arrived, and after a needless
   resend all that is under way was sent before it: only a trigger says (take_trigger). */
static void delivered(struct link *link, uint32_t seq, const struct pkt *p)
{
    if (__builtin_expect(p->attempt == 0, 1))
        arrived(link, p);
    link_loss_forget(link, seq);
    link_cc_delivered(link, p);
}

/* Everything below ack has arrived and is ours no longer. */
/* Tells of the asks in p that others asked: the peer has them now. */
static void tell_passed(struct link *link, const struct pkt *p)
{
    const uint8_t *at = p->data + PACKET_HEADER_LEN;
    const uint8_t *end = p->data + p->len;
    struct packet_message m = {0};

    while (at < end) {
        at = packet_message_get(at, end, &m);
        PROA_ASSERT(at != NULL); /* these are our own packets */
        struct proa_msg msg = {
            .type = m.type,
            .from = {m.src_node, (uint32_t)m.src, (uint32_t)(m.src >> 32)},
            .to = {link->node, (uint32_t)m.dst, (uint32_t)(m.dst >> 32)},
            .correlation = m.correlation,
            .flags = PROA_MSG_ASK,
            .cls = m.cls,
            .hops = m.hops,
        };
        if ((m.flags & PACKET_MSG_FOREIGN) && (m.flags & PROA_MSG_ASK))
            link->env.passed(link->env.ctx, link, &msg);
    }
}

static void free_acked(struct link *link, uint32_t ack, proa_ns now)
{
    uint32_t count = ack - link->una;

    for (uint32_t seq = link->una; seq != ack; seq++) {
        struct pkt *p = link_tx(link, seq);

        if (link->sacked_count > 0 && link_bit(&link->sacked, seq)) {
            link_bit_clear(&link->sacked, seq);
            link->sacked_count--;
        } else {
            delivered(link, seq, p);
        }
        if (__builtin_expect((p->flags & LINK_PKT_PASSED) != 0, 0))
            tell_passed(link, p);
        pkt_free(link->env.pool, p);
    }
    link->una = ack;
    link->env.budget->retained -= count;
    link->rto_base = now;
    link->backoff = 0;
    link->probed = false;
}

/* Takes 64 bits of what was received past a gap; base is bit 0's seq.  Returns how many of them
   are news. */
static uint32_t take_bits(struct link *link, uint32_t base, uint64_t bits)
{
    uint64_t news = bits & ~link_bits64(&link->sacked, base);
    uint32_t count = 0;

    while (news != 0) {
        uint32_t seq = base + (uint32_t)__builtin_ctzll(news);

        news &= news - 1;
        delivered(link, seq, link_tx(link, seq));
        link_bit_set(&link->sacked, seq);
        link->sacked_count++;
        count++;
    }
    return count;
}

/* The ack names the packet that made it due, and which sending of it: the sample is exact even
   for a packet that was sent again.  An earlier sending than our last one has arrived: the
   resend was not needed. */
static void take_trigger(struct link *link, const struct packet_header *h, proa_ns now)
{
    uint32_t seq = h->ack + (uint32_t)(int32_t)h->trigger;

    if (!h->trigger_valid || link_diff(seq, link->una) < 0 ||
        link_diff(seq, link->nxt) >= 0)
        return;

    const struct pkt *p = link_tx(link, seq);
    proa_ns host = (proa_ns)h->host_delay * PACKET_HOST_DELAY_UNIT;
    proa_ns rtt;

    if (h->trigger_attempt == p->attempt) {
        rtt = now - p->sent_at;
        arrived(link, p);
    } else if (h->trigger_attempt < p->attempt) {
        link_cc_spurious(link);
        link->stats.spurious++;
        link->backoff = 0;
        if (h->trigger_attempt != 0)
            return;
        rtt = (proa_ns)((uint32_t)(now >> 10) - p->first_sent) << 10;
    } else {
        return;
    }
    if (h->host_delay != PACKET_HOST_DELAY_NONE)
        link_rtt_sample(link, rtt, host, now);
}

/* One ask or answer to and fro.  The books of an ack cost as much as a fifth of a message's way in and out
   (docs/performance.md), and what the handler sends does not depend on them: as if nothing had been acked it
   still finds room in cwnd, in the peer's window and in R.  Else it would stay behind in a link that has nothing
   in flight once the books are done, and that nobody looks at.  What is to be sent again, or told to third nodes, is
   due in the flush that comes before them.  For packets that tell of no gap and no mark. */
bool link_ack_may_wait(const struct link *link)
{
    const struct link_budget *budget = link->env.budget;
    uint32_t inflight = link->nxt - link->una;

    if (!link->params.settles || inflight - 1 >= LINK_LATE_MOST ||
        link_diff(link->right, link->nxt) < LINK_LATE_ROOM ||
        budget->retained + LINK_LATE_ROOM > budget->retained_max)
        return false;
    for (uint32_t seq = link->una; seq != link->nxt; seq++) {
        const struct pkt *p = link_tx(link, seq);

        if (p->attempt != 0 || p->flags != 0)
            return false;
    }
    return true;
}

void link_settle(struct link *link)
{
    proa_ns at = link->late_at;
    struct packet_header h;

    if (__builtin_expect(at == 0, 1))
        return;
    link->late_at = 0;
    packet_header_of(link->late_head, link->late_acks, &h);
    link_ack_input(link, &h, NULL, 0, at);
}

void link_ack_input(struct link *link, const struct packet_header *h,
                    const uint8_t *bitmap, size_t len, proa_ns now)
{
    uint32_t before = link->cc.delivered;
    uint32_t words = 1;

    if (link_diff(h->ack, link->una) < 0)
        return;
    if (h->flags & PACKET_CE_ECHO)
        link->cc.marked = true;
    take_trigger(link, h, now);
    if (link_diff(h->ack + h->window, link->right) > 0)
        link->right = h->ack + h->window;
    if (h->ack != link->una)
        free_acked(link, h->ack, now);
    if (h->sack != 0)
        take_bits(link, h->ack + 1, h->sack);
    for (size_t i = 0; i < len; i += 8)
        take_bits(link, h->ack + 1 + 8 * (uint32_t)i, proa_get_le64(bitmap + i));
    if (len > 8)
        words = (uint32_t)(len / 8);
    if (link->una == link->nxt) {
        link->loss_at = PROA_NS_NEVER;
    } else if (link->sacked_count > 0 ||
               link_diff(link->newest, link_tx(link, link->una)->order) > 0) {
        link_loss_after_ack(link, h->ack, words, now);
    }
    if (link->cc.delivered != before)
        link_cc_round(link, now);
}
