/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

/* Bulk going out.  Each pair of sender, receiver and class that has a bulk message under way
   owns a stream; what the pair sends next waits behind it, so that the receiver never sees it
   before the bulk message is complete.  Every fragment fills a packet of its own, built and sent
   in link_bulk_flush when the window has room: bulk never stands in the outbox. */

static bool budget_allows(const struct link *link, size_t len)
{
    const struct link_budget *budget = link->env.budget;
    size_t share = budget->bulk_max / 4;

    /* The largest message there may be finds room on an idle link. */
    if (share < link->params.message_max + sizeof(struct link_behind))
        share = link->params.message_max + sizeof(struct link_behind);
    return budget->bulk + len <= budget->bulk_max && link->bulk_bytes + len <= share;
}

/* What waits is written before it is sent: more than a cache holds is read from memory again. */
static bool is_full(const struct link_stream *s)
{
    return s->behind >= LINK_BEHIND_MAX || s->behind_bytes >= LINK_BEHIND_BYTES;
}

/* Room for any one that was refused will do: whoever is told in vain gets AGAIN once more, and the others do
   not wait for the one who needs most. */
bool link_bulk_may(const struct link *link)
{
    if (link->again_need != 0 && link->streams_used < LINK_BULK_MAX &&
        budget_allows(link, link->again_need))
        return true;
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++) {
        if (link->streams[i].again && !is_full(&link->streams[i]))
            return true;
    }
    return false;
}

void link_bulk_told(struct link *link)
{
    link->again_need = 0;
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
        link->streams[i].again = false;
}

bool link_bulk_charge(struct link *link, size_t len)
{
    struct link_budget *budget = link->env.budget;

    if (!budget_allows(link, len))
        return false;
    budget->bulk += len;
    link->bulk_bytes += len;
    return true;
}

void link_bulk_uncharge(struct link *link, size_t len)
{
    link->env.budget->bulk -= len;
    link->bulk_bytes -= len;
}

static uint64_t actor_node(const struct link *link, struct proa_ref r)
{
    return r.node != 0 ? r.node : link->self;
}

/* System messages keep their place behind whatever their actor sent. */
static bool same_pair(const struct link *link, const struct proa_msg *a,
                      const struct proa_msg *b)
{
    bool system = ((a->flags | b->flags) & PROA_MSG_SYSTEM) != 0;

    return link_actor(a->from) == link_actor(b->from) &&
           link_actor(a->to) == link_actor(b->to) &&
           actor_node(link, a->from) == actor_node(link, b->from) &&
           (system || a->cls == b->cls);
}

struct link_stream *link_bulk_find(struct link *link, const struct proa_msg *msg)
{
    for (uint32_t bits = link->stream_bits; bits != 0; bits &= bits - 1) {
        struct link_stream *s = &link->streams[__builtin_ctz(bits)];
        const struct link_behind *any = s->now != NULL ? s->now : s->first;
        if (any != NULL && same_pair(link, &any->msg, msg))
            return s;
    }
    return NULL;
}

/* Keeps msg: with the buffer it came in, or copied. */
static struct link_behind *keep(struct link *link, const struct proa_msg *msg, void *buf)
{
    size_t charged = sizeof(struct link_behind) + msg->len;
    struct link_behind *b;

    if (!link_bulk_charge(link, charged))
        return NULL;
    b = link->env.bulk_alloc(link->env.ctx,
                             buf == NULL ? charged : sizeof(struct link_behind));
    if (b == NULL) {
        link_bulk_uncharge(link, charged);
        return NULL;
    }
    *b = (struct link_behind){.msg = *msg, .buf = buf, .charged = charged};
    if (buf == NULL) {
        memcpy(b + 1, msg->data, msg->len);
        b->msg.data = b + 1;
    } else {
        b->msg.data = buf;
    }
    return b;
}

static void drop(struct link *link, struct link_behind *b)
{
    if (b->buf != NULL)
        link->env.bulk_free(link->env.ctx, b->buf);
    link_bulk_uncharge(link, b->charged);
    link->env.bulk_free(link->env.ctx, b);
}

static bool fits_packet(const struct link *link, const struct link_behind *b)
{
    return b->buf == NULL && packet_overhead(link_message_flags(link, &b->msg)) +
                                     packet_padded(b->msg.len) <=
                                 link->body_max;
}

/* The pair's next: bulk becomes the stream's own, small ones go into the open packet. */
static void advance(struct link *link, struct link_stream *s, proa_ns now)
{
    while (s->now == NULL && s->first != NULL) {
        struct link_behind *b = s->first;

        if (fits_packet(link, b) && !link_append(link, &b->msg, false, now))
            return; /* the outbox is full: link_bulk_flush comes back here */
        s->first = b->next;
        if (s->first == NULL)
            s->last = NULL;
        s->behind--;
        s->behind_bytes -= b->charged;
        if (fits_packet(link, b)) {
            drop(link, b);
            continue;
        }
        s->now = b;
        s->sent = 0;
        s->id = link->stream_next_id++;
        s->after = link->out_tail + (link->open != NULL);
    }
    if (s->now == NULL) {
        s->used = false;
        link->stream_bits &= ~(1u << (s - link->streams));
        link->streams_used--;
    }
}

static enum proa_outcome none_to_be_had(struct link *link, const struct proa_msg *msg,
                                        void *buf, proa_ns now)
{
    size_t need = sizeof(struct link_behind) + msg->len;

    if (msg->flags & PROA_MSG_REPLY) {
        link_refuse_reply(link, msg, now);
        if (buf != NULL)
            link->env.bulk_free(link->env.ctx, buf);
        return PROA_OK;
    }
    if (link->again_need == 0 || need < link->again_need)
        link->again_need = need;
    return link_say_again(link, true, now);
}

static struct link_stream *new_stream(struct link *link, bool reserve)
{
    if (link->streams_used >= (reserve ? LINK_STREAMS_MAX : LINK_BULK_MAX))
        return NULL;
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++) {
        if (!link->streams[i].used)
            return &link->streams[i];
    }
    return NULL;
}

enum proa_outcome link_bulk_send(struct link *link, const struct proa_msg *msg, void *buf,
                                 proa_ns now)
{
    bool reserve = (msg->flags & (PROA_MSG_REPLY | PROA_MSG_SYSTEM)) != 0;
    struct link_stream *s = link_bulk_find(link, msg);
    struct link_behind *b = NULL;

    if (s == NULL)
        s = new_stream(link, reserve);
    else if (reserve ? s->behind >= 2 * LINK_BEHIND_MAX : is_full(s)) {
        if (!reserve) {
            s->again = true;
            return link_say_again(link, true, now);
        }
        s = NULL;
    }
    if (s != NULL)
        b = keep(link, msg, buf);
    if (b == NULL)
        return none_to_be_had(link, msg, buf, now);
    if (!s->used) {
        *s = (struct link_stream){.used = true, .again = s->again};
        link->stream_bits |= 1u << (s - link->streams);
        link->streams_used++;
    }
    if (s->last != NULL)
        s->last->next = b;
    else
        s->first = b;
    s->last = b;
    s->behind++;
    s->behind_bytes += b->charged;
    link->sent_messages += buf != NULL || !fits_packet(link, b);
    if (s->now == NULL && s->first == b)
        advance(link, s, now);
    return PROA_OK;
}

/* ---- Fragments ---- */

static bool is_ready(const struct link *link, const struct link_stream *s)
{
    return s->used && s->now != NULL && link_diff(link->out_head, s->after) >= 0;
}

/* The next stream in turn that may send; at most LINK_BULK_MAX are begun at once. */
static struct link_stream *next_stream(struct link *link)
{
    bool may_start = link->streams_started < LINK_BULK_MAX;
    uint64_t twice = (uint64_t)link->stream_bits << 32 | link->stream_bits;

    /* Bit i is the stream i places behind the one whose turn it is. */
    for (uint32_t bits = (uint32_t)(twice >> link->stream_turn); bits != 0;
         bits &= bits - 1) {
        uint32_t i = link->stream_turn + (uint32_t)__builtin_ctz(bits);
        struct link_stream *s = &link->streams[i % LINK_STREAMS_MAX];
        if (is_ready(link, s) && (s->started || may_start))
            return s;
    }
    return NULL;
}

/* Builds and sends the next fragment. False: no packet to be had. */
static bool send_fragment(struct link *link, struct link_stream *s, uint32_t flags,
                          proa_ns now)
{
    const struct proa_msg *msg = &s->now->msg;
    struct pkt *p = link_new_packet(link, 0);
    struct packet_message m;

    if (p == NULL) {
        link_look_again(link, now);
        return false;
    }
    link_fill_message(link, msg, now, &m);
    m.flags |= PACKET_MSG_FRAG;
    size_t room = link->body_max - packet_overhead(m.flags);
    size_t left = msg->len - s->sent;
    m.len = (uint16_t)(left < room ? left : room);
    m.stream = s->id;
    m.offset = s->sent;
    m.total = msg->len;

    uint8_t *at = p->data + PACKET_HEADER_LEN;
    at += packet_message_put(at, &m);
    link_copy_payload(at, (const uint8_t *)msg->data + s->sent, m.len);
    p->len = (uint16_t)(at + packet_padded(m.len) - p->data);
    s->sent += m.len;
    if (s->sent == msg->len)
        link_mark_passed(link, p, &m);
    if (!s->started) {
        s->started = true;
        link->streams_started++;
    }
    link_transmit_new(link, p, flags, now);
    return true;
}

static void finish(struct link *link, struct link_stream *s, proa_ns now)
{
    drop(link, s->now);
    s->now = NULL;
    s->started = false;
    link->streams_started--;
    advance(link, s, now);
}

uint32_t link_bulk_flush(struct link *link, uint32_t room, bool ack, proa_ns now)
{
    uint32_t sent = 0;

    for (uint32_t bits = link->stream_bits; bits != 0; bits &= bits - 1) {
        struct link_stream *s = &link->streams[__builtin_ctz(bits)];
        if (s->now == NULL)
            advance(link, s, now);
    }
    while (sent < room && !link_port_full(link)) {
        struct link_stream *s = next_stream(link);
        bool last = ack && sent + 1 == room;
        if (s == NULL || !send_fragment(link, s, last ? PACKET_PROBE : 0, now))
            break;
        sent++;
        link->stream_turn = (uint32_t)(s - link->streams + 1) % LINK_STREAMS_MAX;
        if (s->sent == s->now->msg.len) {
            link->stats.bulk_tx++;
            finish(link, s, now);
        }
    }
    return sent;
}

/* ---- Ends before the end ---- */

/* The last fragment of the stream lies in a retained packet: link_kill must not report it. */
static void mark_reported(struct link *link, uint32_t stream)
{
    for (uint32_t seq = link->una; seq != link->nxt; seq++) {
        struct pkt *p = link_tx(link, seq);
        struct packet_message m = {0};

        if (packet_message_get(p->data + PACKET_HEADER_LEN, p->data + p->len, &m) !=
                NULL &&
            (m.flags & PACKET_MSG_FRAG) && m.stream == stream)
            p->flags |= LINK_PKT_REPORTED;
    }
}

void link_bulk_aborted(struct link *link, const struct sysmsg *abort, proa_ns now)
{
    struct link_stream *s = NULL;

    link->stats.bulk_aborted++;
    for (uint32_t i = 0; i < LINK_STREAMS_MAX && s == NULL; i++) {
        struct link_stream *t = &link->streams[i];
        if (t->used && t->now != NULL && t->id == abort->stream && t->sent > 0)
            s = t;
    }
    if (s != NULL)
        finish(link, s, now);
    else
        mark_reported(link, abort->stream);
    if (abort->refusal.count > 0)
        link_refuse_here(link, &abort->refusal);
}

void link_bulk_fini(struct link *link)
{
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++) {
        struct link_stream *s = &link->streams[i];

        if (s->now != NULL)
            drop(link, s->now);
        while (s->first != NULL) {
            struct link_behind *b = s->first;
            s->first = b->next;
            drop(link, b);
        }
        *s = (struct link_stream){0};
    }
    link->stream_bits = link->streams_used = link->streams_started = 0;
}
