/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

/* A packet is looked at whole before anything of it is believed: header, ack block, and every
   message.  What is malformed leaves no trace but a counter, and, as it was not acked, its true
   copy is sent again. */

enum verdict { OUTSIDE, MALFORMED, DUPLICATE, FRESH, BARE };

static enum verdict judge(const struct link *link, const struct pkt *p,
                          const struct packet_header *h)
{
    const uint8_t *body = p->data + PACKET_HEADER_LEN;
    size_t len = p->len - (size_t)PACKET_HEADER_LEN;
    int32_t at = link_diff(h->seq, link->rx_next);
    bool ack = h->kind == PACKET_ACK;

    if ((h->flags & PACKET_SEALED) || (len & 7) != 0)
        return MALFORMED;
    if (at < -LINK_WINDOW_MAX ||
        at > (ack ? LINK_WINDOW_MAX : link_diff(link->rx_right, link->rx_next) - 1))
        return OUTSIDE;
    if (ack && len > PACKET_BITMAP_MAX)
        return MALFORMED;
    if ((h->flags & PACKET_ACK_VALID) &&
        !link_ack_block_sound(link, h, body, ack ? len : 0))
        return MALFORMED;
    if (ack)
        return BARE;
    if (at < 0 || link_bit(&link->received, h->seq))
        return DUPLICATE;
    return packet_messages_check(body, body + len) > 0 ? FRESH : MALFORMED;
}

/* ---- Messages ---- */

static void refuse_ask(struct link *link, const struct proa_msg *msg, proa_ns now)
{
    struct refusal r = {.to = msg->to,
                        .slot = msg->from.slot,
                        .generation = msg->from.generation,
                        .type = msg->type,
                        .correlation = msg->correlation,
                        .count = 1,
                        .reason = PROA_REFUSED_BUSY};

    if (msg->from.node == link->node)
        link_refuse(link, &r, now);
    else if (link->env.refuse != NULL)
        link->env.refuse(link->env.ctx, msg->from.node, &r);
}

/* What is neither a plain tell nor an ask or reply of an actor of the peer's. */
static __attribute__((noinline)) void deliver_odd(struct link *link,
                                                  const struct packet_message *m,
                                                  struct proa_msg *msg, proa_ns at,
                                                  proa_ns now)
{
    struct sysmsg system;

    msg->from.node = m->src_node != 0 ? m->src_node : link->node;
    msg->deadline = m->flags & PACKET_MSG_ASK ? at + m->us_left * PROA_US : 0;
    msg->correlation = m->correlation;
    if (m->flags & PACKET_MSG_FRAG) {
        link_bulk_input(link, m, msg, now);
    } else if (m->type == (uint32_t)SYSMSG_ABORT) {
        if (sysmsg_decode(m->type, m->payload, m->len, &system))
            link_bulk_aborted(link, &system, now);
        else
            link->stats.rx_malformed++;
    } else if ((m->flags & PACKET_MSG_ASK) && link_answers_full(link)) {
        refuse_ask(link, msg, now);
    } else {
        link->stats.rx_messages++;
        link->env.deliver(link->env.ctx, link, msg, true);
    }
    msg->from.node = link->node;
    msg->deadline = 0;
    msg->correlation = 0;
}

static inline void set_pair(struct proa_msg *msg, uint64_t dst, uint64_t src)
{
    msg->to.slot = (uint32_t)dst;
    msg->to.generation = (uint32_t)(dst >> 32);
    msg->from.slot = (uint32_t)src;
    msg->from.generation = (uint32_t)(src >> 32);
}

/* An ask or a reply of an actor of the peer's.  False: it is not what judge saw. */
static inline bool deliver_call(struct link *link, struct proa_msg *msg,
                                const uint8_t *extension, proa_ns at, proa_ns now)
{
    uint32_t us_left = proa_get_le32(extension + 4);

    if (us_left > PACKET_US_LEFT_MAX)
        return false;
    msg->correlation = proa_get_le32(extension);
    msg->data = extension + PACKET_EXT_ASK;
    msg->deadline = msg->flags & PROA_MSG_ASK ? at + us_left * PROA_US : 0;
    if ((msg->flags & PROA_MSG_ASK) && link_out_count(link) >= LINK_GUARANTEED &&
        link_answers_full(link)) {
        refuse_ask(link, msg, now);
    } else {
        link->stats.rx_messages++;
        link->env.deliver(link->env.ctx, link, msg, true);
    }
    msg->deadline = 0;
    msg->correlation = 0;
    return true;
}

/* Reads a message whose head is plain or a call's; the pair of one with SAME stays. */
static inline void open_message(struct proa_msg *msg, uint64_t head, const uint8_t *at,
                                size_t fixed)
{
    if (fixed == PACKET_MSG_HEAD)
        set_pair(msg, proa_get_le64(at + 8), proa_get_le64(at + 16));
    msg->len = head & 0xffff;
    msg->type = (uint32_t)(head >> 32);
    msg->flags = 0;
    msg->cls = head >> 24 & 3;
    msg->hops = head >> 26 & 0x3f;
    msg->data = at + fixed;
}

/* What is neither: all of its fields have been read. */
static void deliver_read(struct link *link, const struct packet_message *m,
                         struct proa_msg *msg, proa_ns at, proa_ns now)
{
    PROA_ASSERT(((uintptr_t)m->payload & 7) == 0);
    set_pair(msg, m->dst, m->src);
    msg->data = m->payload;
    msg->len = m->len;
    msg->type = m->type;
    msg->flags = m->flags & (PROA_MSG_ASK | PROA_MSG_REPLY | PROA_MSG_SYSTEM);
    msg->cls = m->cls;
    msg->hops = m->hops;
    deliver_odd(link, m, msg, at, now);
}

/* ---- What comes is announced ---- */

#define EXPECT_MAX 64u /* messages at a time: two lines of each fit the first cache */

/* Whom the next messages are for, from `at` on.  Returns where the last of them ends; nothing of
   this is believed. */
static __attribute__((noinline)) const uint8_t *
expect(struct link *link, const uint8_t *at, const uint8_t *end)
{
    uint32_t slots[EXPECT_MAX], count = 0;
    size_t last = 0;

    while (count < EXPECT_MAX && (size_t)(end - at) >= PACKET_MSG_HEAD) {
        uint64_t head = proa_get_le64(at);
        bool same = (head >> 16 & PACKET_MSG_SAME) != 0;
        size_t whole = (same ? PACKET_MSG_HEAD_SAME : PACKET_MSG_HEAD) +
                       packet_padded(head & 0xffff);

        if (packet_head_is_call(head))
            whole += PACKET_EXT_ASK;
        else if (!packet_head_is_plain(head))
            break;
        if (!same)
            slots[count++] = proa_get_le32(at + 8);
        if ((size_t)(end - at) < whole)
            break;
        at = packet_step(at, whole, &last);
    }
    link->env.expect(link->env.ctx, slots, count);
    return at;
}

/* Are the first two messages plain, and for two actors?  Then it is worth a second pass, which
   costs 2 ns a message where all is in the cache. */
static inline bool is_mixed(const uint8_t *at, const uint8_t *end)
{
    uint64_t head = proa_get_le64(at), next;
    size_t whole = PACKET_MSG_HEAD + packet_padded(head & 0xffff);

    if (!packet_head_is_plain(head) || (size_t)(end - at) < whole + PACKET_MSG_HEAD)
        return false;
    next = proa_get_le64(at + whole);
    return packet_head_is_plain(next) && (next >> 16 & PACKET_MSG_SAME) == 0 &&
           proa_get_le64(at + 8) != proa_get_le64(at + whole + 8);
}

/* Hands the messages of one packet up.  Its bytes have been checked by judge.  Each field is
   read once: the neighbour may still be able to write them. */
static void deliver_packet(struct link *link, const struct pkt *p, proa_ns now)
{
    const uint8_t *at = p->data + PACKET_HEADER_LEN;
    const uint8_t *end = p->data + p->len;
    struct packet_message m; /* each field but seen is set before it is read */
    struct proa_msg msg = {.from = {link->node, 0, 0}, .to = {link->self, 0, 0}};
    void (*deliver)(void *, struct link *, const struct proa_msg *, bool) =
        link->env.deliver;
    void *ctx = link->env.ctx;
    const uint8_t *expected = NULL; /* announced up to here */
    uint64_t plain = 0;
    size_t last = 0;

    m.seen = true; /* judge has seen to it */
    if (is_mixed(at, end) && link->env.expect != NULL)
        expected = at;
    while (at < end) {
        if (__builtin_expect(at == expected, 0))
            expected = expect(link, at, end);

        uint64_t head = proa_get_le64(at);
        size_t fixed =
            head >> 16 & PACKET_MSG_SAME ? PACKET_MSG_HEAD_SAME : PACKET_MSG_HEAD;
        size_t whole = fixed + packet_padded(head & 0xffff);

        if (__builtin_expect(packet_head_is_plain(head), 1)) {
            if ((size_t)(end - at) < whole)
                break;
            open_message(&msg, head, at, fixed);
            at = packet_step(at, whole, &last);
            plain++;
            deliver(ctx, link, &msg, true);
        } else if (packet_head_is_call(head)) {
            whole += PACKET_EXT_ASK;
            if ((size_t)(end - at) < whole)
                break;
            open_message(&msg, head, at, fixed);
            msg.flags = head >> 16 & (PROA_MSG_ASK | PROA_MSG_REPLY);
            at = packet_step(at, whole, &last);
            if (!deliver_call(link, &msg, msg.data, p->sent_at, now))
                break;
        } else {
            m.dst = packet_actor(msg.to.slot, msg.to.generation); /* for SAME */
            m.src = packet_actor(msg.from.slot, msg.from.generation);
            at = packet_message_get(at, end, &m);
            if (at == NULL)
                break;
            deliver_read(link, &m, &msg, p->sent_at, now);
        }
    }
    link->stats.rx_messages += plain;
}

/* ---- One ask or answer, alone in its packet ---- */

/* first: the first word of a packet's messages, 0 when there is none. */
static inline bool is_one_call(const uint8_t *at, size_t len, uint64_t first)
{
    return packet_head_is_call(first) && (first >> 16 & PACKET_MSG_SAME) == 0 &&
           len == PACKET_MSG_HEAD + PACKET_EXT_ASK + packet_padded(first & 0xffff) &&
           proa_get_le32(at + PACKET_MSG_HEAD + 4) <= PACKET_US_LEFT_MAX;
}

static inline void deliver_one_call(struct link *link, const struct pkt *p,
                                    uint64_t first, proa_ns now)
{
    const uint8_t *at = p->data + PACKET_HEADER_LEN;
    struct proa_msg msg = {.from.node = link->node, .to.node = link->self};

    open_message(&msg, first, at, PACKET_MSG_HEAD);
    msg.flags = first >> 16 & (PROA_MSG_ASK | PROA_MSG_REPLY);
    deliver_call(link, &msg, msg.data, p->sent_at, now);
}

/* ---- Packets ---- */

/* Many links of which each brings a packet now and then would get an ack for each packet: as many
   packets again, for both lanes.  So a busy lane waits longer for a second packet to ack
   with the first (docs/performance.md, "1,000 links"). */
static void pace_acks(struct link_budget *b, proa_ns now)
{
    bool busy = now - b->ack_round < PROA_MS;

    if (busy && b->acks > b->ack_packets / LINK_ACK_SHARE) {
        b->ack_delay = b->ack_delay > LINK_ACK_DELAY_MOST / 2 ? LINK_ACK_DELAY_MOST
                                                              : 2 * b->ack_delay;
    } else if (!busy || b->acks < b->ack_packets / (2 * LINK_ACK_SHARE)) {
        b->ack_delay /= 2;
    }
    if (b->ack_delay < LINK_ACK_DELAY)
        b->ack_delay = LINK_ACK_DELAY;
    b->ack_packets = b->acks = 0;
    b->ack_round = now;
}

static void want_ack(struct link *link, proa_ns now)
{
    struct link_budget *budget = link->env.budget;

    if (++budget->ack_packets >= LINK_ACK_ROUND)
        pace_acks(budget, now);
    if (link->ack_pending++ == 0) {
        bool late = budget->ack_delay > LINK_ACK_DELAY &&
                    now - budget->ack_round < 2 * LINK_ACK_DELAY_MOST;
        link->ack_at = now + (late ? budget->ack_delay : LINK_ACK_DELAY);
    }
    if (link->rx_held > 0 &&
        (link->ack_pending >= LINK_ACK_EVERY || now - link->full_at >= LINK_ACK_DELAY))
        link->ack_now = link->ack_full = true;
}

/* Out of order: kept until what is missing has come, if there is room for it. */
static void hold(struct link *link, struct pkt *p, uint32_t seq, proa_ns now)
{
    struct link_budget *budget = link->env.budget;

    uint32_t waiting = link->rx_next - link->rx_done + link->rx_held;

    if (waiting >= LINK_GUARANTEED && budget->held >= budget->held_max) {
        link->stats.rx_dropped_held++;
        pkt_free(link->env.pool, p);
        return;
    }
    p->sent_at = now;
    p->seq = seq;
    link->rx[seq & LINK_MASK] = p;
    link_bit_set(&link->received, seq);
    budget->held++;
    link->stats.rx_held++;
    if (link->rx_held++ == 0) {
        link->rx_highest = seq;
        link->ack_now = link->ack_full = true; /* a gap has opened */
    } else if (link_diff(seq, link->rx_highest) > 0) {
        link->rx_highest = seq;
    }
    want_ack(link, now);
}

bool link_waits(const struct link *link)
{
    return link->rx_done != link->rx_next;
}

void link_deliver_more(struct link *link, proa_ns now)
{
    struct link_env *env = &link->env;

    while (link_waits(link)) {
        struct pkt *p = link->rx[link->rx_done++ & LINK_MASK];

        env->budget->held--;
        deliver_packet(link, p, now);
        pkt_free(env->pool, p);
        if (env->pause != NULL && env->pause(env->ctx))
            break;
    }
    /* The peer was told that there is little room. */
    if (link->shut && link->rx_next - link->rx_done < LINK_WINDOW_MAX / 2)
        link->ack_now = true;
}

/* In order, but others wait to be delivered before it. */
static bool queue(struct link *link, struct pkt *p)
{
    struct link_budget *budget = link->env.budget;
    uint32_t waiting = link->rx_next - link->rx_done + link->rx_held;

    if (waiting >= LINK_GUARANTEED && budget->held >= budget->held_max) {
        link->stats.rx_dropped_held++;
        pkt_free(link->env.pool, p);
        return false;
    }
    link->rx[link->rx_next & LINK_MASK] = p;
    budget->held++;
    return true;
}

/* In order: this one, then those that waited for it. */
static void accept(struct link *link, struct pkt *p, proa_ns now)
{
    bool at_once = !link_waits(link);

    p->sent_at = now;
    if (!at_once && !queue(link, p))
        return;
    link->rx_next++;
    if (link->rx_held > 0)
        link->ack_now = true; /* a gap is closed, or moves on */
    want_ack(link, now);
    if (link->ack_pending >= LINK_ACK_EVERY && link->rx_held == 0)
        link_send_ack(link, now); /* it does not wait for handlers */
    if (at_once) {
        link->rx_done++;
        deliver_packet(link, p, now);
        pkt_free(link->env.pool, p);
    }
    if (link->rx_held == 0)
        return;
    while (link->rx_held > 0 && link_bit(&link->received, link->rx_next)) {
        link_bit_clear(&link->received, link->rx_next);
        link->rx_held--;
        link->rx_next++;
    }
    if (at_once)
        link_deliver_more(link, now);
}

static inline void note_trigger(struct link *link, uint32_t seq, uint8_t attempt,
                                proa_ns now)
{
    link->trigger = seq;
    link->trigger_attempt = attempt;
    link->trigger_at = now;
    link->trigger_valid = true;
    link->active_at = now;
}

static void take_data(struct link *link, struct pkt *p, const struct packet_header *h,
                      bool fresh, proa_ns now)
{
    note_trigger(link, h->seq, h->attempt, now);
    link->ce |= (p->flags & PKT_CE) != 0;
    if (h->flags & PACKET_PROBE)
        link->ack_now = true;
    if (!fresh) {
        /* Our ack was lost, or the resend crossed it. */
        link->stats.rx_duplicate++;
        link->ack_now = true;
        if (++link->repeats >= LINK_SOURCE_REPEATS) {
            link->repeats = 0;
            link->source = 0;
        }
        pkt_free(link->env.pool, p);
    } else if (h->seq == link->rx_next) {
        link->repeats = 0;
        accept(link, p, now);
    } else {
        hold(link, p, h->seq, now);
    }
    if (link->ack_full && link->ack_now)
        link_send_ack(link, now);
}

static void drop(struct link *link, struct pkt *p, uint64_t *counter)
{
    (*counter)++;
    pkt_free(link->env.pool, p);
}

/* What is not straight. */
static __attribute__((noinline)) bool input_any(struct link *link, struct pkt *p,
                                                proa_ns now)
{
    uint32_t una = link->una;
    struct packet_header h;

    if (link->dead) {
        drop(link, p, &link->stats.rx_outside);
        return false;
    }
    if (packet_header_get(p->data, p->len, &h) != 0 || h.kind > PACKET_ACK) {
        drop(link, p, &link->stats.rx_malformed);
        return false;
    }
    enum verdict verdict = judge(link, p, &h);
    if (verdict == OUTSIDE || verdict == MALFORMED) {
        drop(link, p,
             verdict == OUTSIDE ? &link->stats.rx_outside : &link->stats.rx_malformed);
        return false;
    }
    link_mark_heard(link, now);
    if (h.flags & PACKET_ACK_VALID)
        link_ack_input(link, &h, p->data + PACKET_HEADER_LEN,
                       verdict == BARE ? p->len - (size_t)PACKET_HEADER_LEN : 0, now);
    if (verdict == BARE) {
        link->stats.acks_rx++;
        if (h.flags & PACKET_PROBE)
            link->ack_now = true;
        pkt_free(link->env.pool, p);
        return link->una != una;
    }
    take_data(link, p, &h, verdict == FRESH, now);
    return verdict == FRESH;
}

/* ---- The straight way ---- */

/* DATA that was sent once and marked by nobody. */
#define STRAIGHT                                                                         \
    (PACKET_VERSION | (uint32_t)PACKET_DATA << 4 | (uint32_t)PACKET_ACK_VALID << 8)

/* Nearly every packet is the next in order, finds no gap here and tells of none: three words of its header
   say so, each read once, and none is taken apart before its messages are handed up. */
static inline bool is_straight(const struct link *link, const struct pkt *p,
                               uint64_t head, uint64_t acks)
{
    return (head & 0xffff) == STRAIGHT && head >> 32 == link->rx_next &&
           link->rx_next != link->rx_right && (head >> 16 & 0xffff) <= LINK_WINDOW_MAX &&
           proa_get_le64(p->data + PACKET_AT_SACK) == 0 &&
           (uint32_t)acks - link->una <= link->nxt - link->una && link->rx_held == 0 &&
           !link_waits(link) && !link->dead;
}

/* The ack block of a straight packet. */
static inline void straight_ack(struct link *link, uint64_t head, uint64_t acks,
                                proa_ns now)
{
    struct packet_header h;

    if (link->una == link->nxt && (acks & PACKET_ACKS_TRIGGER) == 0) {
        uint32_t right = (uint32_t)acks + (uint32_t)(head >> 16 & 0xffff);

        if (link_diff(right, link->right) > 0)
            link->right = right;
    } else if (link_ack_may_wait(link)) {
        link->late_head = head;
        link->late_acks = acks;
        link->late_at = now;
    } else {
        packet_header_of(head, acks, &h);
        link_ack_input(link, &h, NULL, 0, now);
    }
}

static bool straight(struct link *link, struct pkt *p, uint64_t head, uint64_t acks,
                     proa_ns now)
{
    const uint8_t *body = p->data + PACKET_HEADER_LEN;
    size_t len = p->len - (size_t)PACKET_HEADER_LEN;
    uint64_t first = len >= 8 ? proa_get_le64(body) : 0;
    bool alone = is_one_call(body, len, first);

    if (!alone && packet_messages_check(body, body + len) <= 0) {
        drop(link, p, &link->stats.rx_malformed);
        return false;
    }
    link_mark_heard(link, now);
    straight_ack(link, head, acks, now);
    note_trigger(link, link->rx_next, 0, now);
    link->ce |= (p->flags & PKT_CE) != 0;
    link->repeats = 0;
    p->sent_at = now;
    link->rx_next++;
    want_ack(link, now);
    if (link->ack_pending >= LINK_ACK_EVERY)
        link_send_ack(link, now); /* it does not wait for handlers */
    link->rx_done++;
    if (alone)
        deliver_one_call(link, p, first, now);
    else
        deliver_packet(link, p, now);
    pkt_free(link->env.pool, p);
    return true;
}

bool link_input(struct link *link, struct pkt *p, proa_ns now)
{
    link_settle(link);
    link->stats.rx_packets++;
    if (__builtin_expect(p->len >= PACKET_HEADER_LEN, 1)) {
        uint64_t head = proa_get_le64(p->data);
        uint64_t acks = proa_get_le64(p->data + PACKET_AT_ACK);

        if (__builtin_expect(is_straight(link, p, head, acks), 1))
            return straight(link, p, head, acks, now);
    }
    return input_any(link, p, now);
}
