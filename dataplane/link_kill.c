/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

/* What becomes of messages when their link ends.  Those in packets that were not acked are read
   back from the retained packets: sent, fate unknown.  Those never sent are said to be so.
   Refusals that wait here are dropped: whether the other end has seen the ack of what they are
   about cannot be known, and if not it reports the same messages itself. */

static bool is_own_business(uint32_t type)
{
    return type == (uint32_t)SYSMSG_REFUSE || type == (uint32_t)SYSMSG_ABORT ||
           type == (uint32_t)SYSMSG_WRITABLE;
}

static void report(struct link *link, const struct proa_msg *msg, bool sent)
{
    if ((msg->flags & PROA_MSG_SYSTEM) && is_own_business(msg->type))
        return;
    link->env.lost(link->env.ctx, link, msg, sent);
}

/* A bulk message is reported once, at its last fragment: if that was sent, all were. */
static void report_packet(struct link *link, const struct pkt *p, bool sent)
{
    const uint8_t *at = p->data + PACKET_HEADER_LEN;
    const uint8_t *end = p->data + p->len;
    struct packet_message m = {0};

    while (at < end) {
        at = packet_message_get(at, end, &m);
        PROA_ASSERT(at != NULL); /* these are our own packets */
        struct proa_msg msg = {
            .data = m.payload,
            .len = m.len,
            .type = m.type,
            .from = {m.src_node != 0 ? m.src_node : link->self, (uint32_t)m.src,
                     (uint32_t)(m.src >> 32)},
            .to = {link->node, (uint32_t)m.dst, (uint32_t)(m.dst >> 32)},
            .correlation = m.correlation,
            .flags = m.flags & (PROA_MSG_ASK | PROA_MSG_REPLY | PROA_MSG_SYSTEM),
            .cls = m.cls,
            .hops = m.hops,
        };
        if (m.flags & PACKET_MSG_FRAG) {
            if (m.offset + m.len != m.total || (p->flags & LINK_PKT_REPORTED))
                continue;
            msg.data = NULL;
            msg.len = m.total;
        }
        report(link, &msg, sent);
    }
}

static void report_stream(struct link *link, struct link_stream *s)
{
    if (s->now != NULL)
        report(link, &s->now->msg, s->sent > 0);
    for (struct link_behind *b = s->first; b != NULL; b = b->next)
        report(link, &b->msg, false);
}

void link_kill(struct link *link)
{
    while (link_waits(link))
        link_deliver_more(link, link->active_at);
    link->dead = true; /* what is sent from inside env.lost is refused */
    link->state = LINK_DEAD;
    if (link->open != NULL)
        link_close_open(link);
    for (uint32_t seq = link->una; seq != link->nxt; seq++)
        report_packet(link, link_tx(link, seq), true);
    for (uint32_t i = link->out_head; i != link->out_tail; i++)
        report_packet(link, link->out[i & LINK_OUT_MASK], false);
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++) {
        if (link->streams[i].used)
            report_stream(link, &link->streams[i]);
    }
    link_fini(link); /* a second kill finds nothing */
}
