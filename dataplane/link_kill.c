/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

/* What becomes of messages when their link ends.  Those in packets that were not acked are read
   back from the retained packets: sent, fate unknown.  Those never sent are said to be so.
   Refusals go on by another link: the messages they are about may have been acked, and then
   nobody else would ever report them.  So does WRITABLE: the peer may send by another link than
   this one, and would wait for it as long as that one lives. */

static bool is_own_business(uint32_t type)
{
    return type == (uint32_t)SYSMSG_ABORT || type == (uint32_t)SYSMSG_STEER;
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

static void report_forwarded(struct link *link, const struct link_record *record)
{
    const struct refusal *r = &record->refusal;
    struct proa_msg msg = {.from = {link->node, r->slot, r->generation},
                           .to = r->to,
                           .correlation = r->correlation,
                           .flags = PROA_MSG_ASK,
                           .hops = (uint8_t)record->hops};

    link->env.passed(link->env.ctx, link, &msg);
}

/* Refusals, news of forwarded asks and, behind them, WRITABLEs and STOPs that were not sent yet. */
static void report_records(struct link *link)
{
    struct refusal rest = {.count = (uint32_t)link->nameless,
                           .reason = link->nameless_reason};

    for (uint32_t i = 0; i < link->record_count; i++) {
        const struct link_record *record =
            &link->records[(link->record_head + i) & (LINK_REFUSALS_MAX - 1)];

        if (record->type == SYSMSG_REFUSE && link->env.refuse != NULL)
            link->env.refuse(link->env.ctx, link->node, &record->refusal);
        if (record->type == SYSMSG_FORWARDED && link->env.passed != NULL)
            report_forwarded(link, record);
    }
    if (link->nameless > 0 && link->env.refuse != NULL)
        link->env.refuse(link->env.ctx, link->node, &rest);
    for (uint32_t i = 0; i < link->notice_count; i++) {
        const struct link_notice *n =
            &link->notices[(link->notice_head + i) % LINK_NOTICES_MAX];
        uint8_t body[SYSMSG_BODY_MAX];
        struct proa_msg msg = link_record_message(link, &n->record, body);

        report(link, &msg, false);
    }
}

void link_kill(struct link *link)
{
    link_settle(link);
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
    report_records(link);
    link_fini(link); /* a second kill finds nothing */
}
