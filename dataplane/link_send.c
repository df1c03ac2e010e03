/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

#include "prefetch.h"

/* The most common message, a tell or ask or reply between actors of these two nodes, takes one
   straight way through link_send: no call but the copy, one store for each word of the header.
   All else (forwarded, bulk, a pair with bulk under way) goes through link_append. */

#define COPY_WORDS_MAX 256 /* bytes; from here on memcpy wins.  Source: perf/bench_link */

#define WRITE_AHEAD 384 /* bytes; +14 % of tells over vhost, with the pool's share */

/* Copies a payload as 8-byte words and zeroes the padding.  Word by word on purpose: a wide load
   right after the handler's 8-byte stores fails store forwarding.  The empty asm keeps the compiler
   from making vectors of the words. */
static inline void copy_padded(uint8_t *to, const uint8_t *from, size_t len)
{
    size_t whole = len & ~(size_t)7;
    size_t rest = len & 7;
    uint64_t w = 0;

    if (len > COPY_WORDS_MAX) {
        memcpy(to, from, whole);
    } else {
        for (size_t i = 0; i < whole; i += 8) {
            uint64_t v;
            memcpy(&v, from + i, sizeof(v));
            __asm__("" : "+r"(v));
            memcpy(to + i, &v, sizeof(v));
        }
    }
    if (rest == 0)
        return;
    for (size_t i = 0; i < rest; i++)
        w |= (uint64_t)from[whole + i] << 8 * i;
    proa_put_le64(to + whole, w);
}

void link_copy_payload(uint8_t *to, const void *from, size_t len)
{
    copy_padded(to, from, len);
}

void link_close_open(struct link *link)
{
    struct pkt *p = link->open;

    p->len = (uint16_t)(link->at - p->data);
    link->out[link->out_tail++ & LINK_OUT_MASK] = p;
    link->open = NULL;
    link->at = link->end = NULL;
}

static bool is_registry(const struct proa_msg *msg)
{
    return (msg->flags & PROA_MSG_SYSTEM) && msg->type == (uint32_t)SYSMSG_REGISTRY;
}

static __attribute__((noinline)) void note_reserved(struct link *link, struct pkt *p,
                                                    bool registry)
{
    p->flags |= LINK_PKT_RESERVED | (registry ? LINK_PKT_REGISTRY : 0);
    link->reserved_out++;
    link->registry_out += registry;
    link->env.budget->reserved++;
}

void link_unreserve(struct link *link, struct pkt *p)
{
    link->env.budget->reserved--;
    link->reserved_out--;
    link->registry_out -= (p->flags & LINK_PKT_REGISTRY) != 0;
    p->flags &= (uint16_t) ~(LINK_PKT_RESERVED | LINK_PKT_REGISTRY);
}

/* Begins the next packet, for msg.  What registries say has packets of its own, so that it takes none
   from tells, nor they from it. */
static bool roll(struct link *link, const struct proa_msg *msg, bool reserve)
{
    bool registry = is_registry(msg), reserved = registry || !link_may_queue(link);

    if (__builtin_expect(reserved, 0) && !(reserve && link_may_reserve(link)))
        return false;

    struct pkt *p = link_new_packet(link, 0);
    if (p == NULL && reserve)
        p = link_new_packet(link, PKT_ANSWER);
    if (p == NULL)
        return false;
    if (link->open != NULL)
        link_close_open(link);
    link->open = p;
    link->last_dst = link->last_src = LINK_NO_ACTOR; /* its first message names its own */
    link->at = p->data + PACKET_HEADER_LEN;
    link->end = link->at + link->body_max;
    if (__builtin_expect(reserved, 0))
        note_reserved(link, p, registry);
    else
        link->env.budget->queued++;
    return true;
}

enum proa_outcome link_say_again(struct link *link, bool bulk, proa_ns now)
{
    link->again = true;
    link->again_small |= !bulk;
    link->stats.again++;
    link_look_again(link, now);
    return PROA_AGAIN;
}

static uint32_t us_left(const struct proa_msg *msg, proa_ns now)
{
    if (!(msg->flags & PROA_MSG_ASK) || msg->deadline <= now)
        return 0;

    uint64_t us = (msg->deadline - now) / PROA_US;
    return us < PACKET_US_LEFT_MAX ? (uint32_t)us : PACKET_US_LEFT_MAX;
}

uint32_t link_message_flags(const struct link *link, const struct proa_msg *msg)
{
    uint32_t flags = msg->flags & (PROA_MSG_ASK | PROA_MSG_REPLY | PROA_MSG_SYSTEM);

    if (msg->from.node != link->self && msg->from.node != 0 && !(flags & PROA_MSG_SYSTEM))
        flags |= PACKET_MSG_FOREIGN;
    return flags;
}

void link_fill_message(const struct link *link, const struct proa_msg *msg, proa_ns now,
                       struct packet_message *ret)
{
    *ret = (struct packet_message){
        .len = (uint16_t)msg->len,
        .flags = (uint8_t)link_message_flags(link, msg),
        .cls = msg->cls,
        .hops = msg->hops,
        .type = msg->type,
        .dst = link_actor(msg->to),
        .src = link_actor(msg->from),
        .src_node = msg->from.node,
        .correlation = msg->correlation,
        .us_left = us_left(msg, now),
    };
}

void link_mark_passed(const struct link *link, struct pkt *p,
                      const struct packet_message *m)
{
    if ((m->flags & PACKET_MSG_FOREIGN) && (m->flags & PROA_MSG_ASK) &&
        link->env.passed != NULL)
        p->flags |= LINK_PKT_PASSED;
}

static inline bool is_same(const struct link *link, uint64_t dst, uint64_t src)
{
    return (dst == link->last_dst) & (src == link->last_src);
}

/* Appends any message that fits one packet.  False: no room. */
bool link_append(struct link *link, const struct proa_msg *msg, bool reserve, proa_ns now)
{
    struct packet_message m;
    size_t padded = packet_padded(msg->len);

    link_fill_message(link, msg, now, &m);
    if (is_same(link, m.dst, m.src))
        m.flags |= PACKET_MSG_SAME;
    if ((size_t)(link->end - link->at) < packet_overhead(m.flags) + padded) {
        if (!roll(link, msg, reserve)) {
            /* The pool is dry, and nobody will say when it no longer is. */
            if (link_may_queue(link))
                link_look_again(link, now);
            return false;
        }
        m.flags &= (uint8_t)~PACKET_MSG_SAME;
    }
    link->at += packet_message_put(link->at, &m);
    link_mark_passed(link, link->open, &m);
    copy_padded(link->at, msg->data, msg->len);
    link->at += padded;
    link->last_dst = m.dst;
    link->last_src = m.src;
    link->sent_messages++;
    return true;
}

void link_refuse_reply(struct link *link, const struct proa_msg *msg, proa_ns now)
{
    struct refusal r = {.to = msg->from,
                        .slot = msg->to.slot,
                        .generation = msg->to.generation,
                        .type = msg->type,
                        .correlation = msg->correlation,
                        .count = 1,
                        .reason = PROA_NO_REPLY};

    link_refuse(link, &r, now);
}

/* No room for this one: what may get AGAIN gets it; the others become records. */
static enum proa_outcome no_room(struct link *link, const struct proa_msg *msg,
                                 proa_ns now)
{
    struct sysmsg m;

    if (msg->flags & PROA_MSG_REPLY) {
        link_refuse_reply(link, msg, now);
        return PROA_OK;
    }
    if (is_registry(msg))
        return PROA_AGAIN; /* it is dropped: nobody waits */
    if ((msg->flags & PROA_MSG_SYSTEM) && !sysmsg_is_watch(msg->type) &&
        sysmsg_decode(msg->type, msg->data, msg->len, &m)) {
        struct link_record record = {
            .type = m.type, .stream = m.stream, .refusal = m.refusal};
        if (m.type == SYSMSG_STEER)
            return PROA_OK; /* the lane proposes again when nothing comes of it */
        if (m.type == SYSMSG_WRITABLE || m.type == SYSMSG_STOP) {
            record.refusal.slot = m.slot;
            record.refusal.generation = m.generation;
        } else if (m.type == SYSMSG_FORWARDED) {
            link_record_forwarded(&record, &m.forwarded);
        }
        if (link_record_add(link, &record))
            return PROA_OK;
    }
    return link_say_again(link, false, now);
}

/* Monitors come in masses, when an actor with many watchers ends, and can wait.  What registries
   say comes in masses too, and may be lost, but neither waits for actors that keep the outbox full nor
   keeps it full for them. */
static bool may_use_reserve(const struct link *link, const struct proa_msg *msg)
{
    const struct link_budget *budget = link->env.budget;

    if (!(msg->flags & PROA_MSG_SYSTEM))
        return (msg->flags & PROA_MSG_REPLY) != 0;
    if (is_registry(msg))
        return link->registry_out < LINK_OUTBOX_REGISTRY &&
               link_out_count(link) < LINK_OUTBOX_MAX + LINK_OUTBOX_REGISTRY &&
               budget->reserved < budget->reserved_max / 2;
    return !sysmsg_is_watch(msg->type);
}

static __attribute__((noinline)) enum proa_outcome
send_slow(struct link *link, const struct proa_msg *msg, proa_ns now)
{
    bool reserve = may_use_reserve(link, msg);
    size_t need =
        packet_overhead(link_message_flags(link, msg)) + packet_padded(msg->len);

    if (link->dead)
        return reserve ? PROA_OK : PROA_NO_ROUTE;
    if (msg->len > link->params.message_max && need > link->body_max)
        return PROA_TOO_LARGE;
    if (need > link->body_max ||
        (link->streams_used > 0 && link_bulk_find(link, msg) != NULL)) {
        if (need > link->body_max && (msg->flags & PROA_MSG_SYSTEM))
            return PROA_TOO_LARGE;
        return link_bulk_send(link, msg, NULL, now);
    }
    if (link_append(link, msg, reserve, now))
        return PROA_OK;
    return no_room(link, msg, now);
}

/* Is there room in the open packet for msg, exactly? */
static bool fits(const struct link *link, const struct proa_msg *msg, uint32_t flags)
{
    bool same = is_same(link, link_actor(msg->to), link_actor(msg->from));

    return (size_t)(link->end - link->at) >=
           packet_overhead(flags | (same ? PACKET_MSG_SAME : 0)) +
               packet_padded(msg->len);
}

/* The straight way needs all of: own sender, no bulk under way, room for header, extension and
   payload in a packet. */
enum proa_outcome link_send(struct link *link, const struct proa_msg *msg, proa_ns now)
{
    uint64_t dst = link_actor(msg->to), src = link_actor(msg->from);
    uint32_t flags = msg->flags & (PROA_MSG_ASK | PROA_MSG_REPLY | PROA_MSG_SYSTEM);
    size_t padded = packet_padded(msg->len);
    size_t most = PACKET_MSG_HEAD + PACKET_EXT_ASK + padded;

    if (__builtin_expect((msg->from.node != link->self) | (link->streams_used != 0), 0))
        return send_slow(link, msg, now);
    if (__builtin_expect((size_t)(link->end - link->at) < most, 0)) {
        if (link->dead || packet_overhead(flags) + padded > link->body_max)
            return send_slow(link, msg, now);
        if (!fits(link, msg, flags) && !roll(link, msg, may_use_reserve(link, msg)))
            return no_room(link, msg, now);
    }

    uint8_t *at = link->at;
    bool same = is_same(link, dst, src);

    uint64_t head = msg->len | (uint64_t)(flags | (same ? PACKET_MSG_SAME : 0)) << 16 |
                    (uint64_t)(msg->cls | msg->hops << 2) << 24 |
                    (uint64_t)msg->type << 32;
    proa_put_le64(at, head);
    at += PACKET_MSG_HEAD_SAME;
    if (!same) {
        proa_put_le64(at, dst);
        proa_put_le64(at + 8, src);
        link->last_dst = dst;
        link->last_src = src;
        at += PACKET_MSG_HEAD - PACKET_MSG_HEAD_SAME;
    }
    if (flags & (PROA_MSG_ASK | PROA_MSG_REPLY)) {
        proa_put_le32(at, msg->correlation);
        proa_put_le32(at + 4, us_left(msg, now));
        at += PACKET_EXT_ASK;
    }
    copy_padded(at, msg->data, msg->len);
    /* The neighbour read the packet's last life from its cache, and may still hold the lines. */
    prefetch_write(at + WRITE_AHEAD);
    link->at = at + padded;
    link->sent_messages++;
    return PROA_OK;
}

enum proa_outcome link_send_bulk(struct link *link, const struct proa_msg *msg, void *buf,
                                 proa_ns now)
{
    enum proa_outcome outcome;

    if (link->dead)
        return PROA_NO_ROUTE;
    if (msg->len > link->params.message_max || (msg->flags & PROA_MSG_SYSTEM))
        return PROA_TOO_LARGE;
    if (msg->len > 0)
        return link_bulk_send(link, msg, buf, now);
    /* A fragment has a byte at least: nothing goes as an ordinary message. */
    outcome = link_send(link, msg, now);
    if (outcome == PROA_OK)
        link->env.bulk_free(link->env.ctx, buf);
    return outcome;
}
