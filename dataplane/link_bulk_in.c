/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

/* Bulk coming in.  Packets are processed in order, so the fragments of a stream are too: each
   must begin where the one before ended.  A stream that cannot be taken is refused at its first
   fragment; the rest of it, already on the way, is passed over. */

static struct link_incoming *find(struct link *link, uint32_t id)
{
    for (uint32_t i = 0; i < LINK_BULK_MAX; i++) {
        if (link->incoming[i].buf != NULL && link->incoming[i].id == id)
            return &link->incoming[i];
    }
    return NULL;
}

static struct link_incoming *find_free(struct link *link)
{
    for (uint32_t i = 0; i < LINK_BULK_MAX; i++) {
        if (link->incoming[i].buf == NULL)
            return &link->incoming[i];
    }
    return NULL;
}

/* Stops the stream, and tells whose message it was what became of it. */
static void refuse(struct link *link, uint32_t stream, const struct proa_msg *msg,
                   enum proa_outcome reason)
{
    struct link_record record = {.type = SYSMSG_ABORT, .stream = stream};
    struct refusal r = {.to = msg->to,
                        .slot = msg->from.slot,
                        .generation = msg->from.generation,
                        .type = msg->type,
                        .correlation = msg->flags & PROA_MSG_ASK ? msg->correlation : 0,
                        .count = 1,
                        .reason = reason};

    link->stats.bulk_aborted++;
    if (msg->flags & PROA_MSG_REPLY) {
        /* It ran, and its answer has no place here: our own actor is told. */
        r.to = msg->from;
        r.slot = msg->to.slot;
        r.generation = msg->to.generation;
        r.correlation = msg->correlation;
        r.reason = PROA_NO_REPLY;
        record.refusal.reason = PROA_REFUSED_BUSY;
        link_record_add(link, &record);
        link_refuse_here(link, &r);
    } else if (msg->from.node != link->node) {
        record.refusal.reason = reason;
        link_record_add(link, &record);
        if (link->env.refuse != NULL)
            link->env.refuse(link->env.ctx, msg->from.node, &r);
    } else {
        link->stats.refusals++;
        record.refusal = r;
        link_record_add(link, &record);
    }
}

static void forget(struct link *link, struct link_incoming *in)
{
    link_bulk_uncharge(link, in->msg.len);
    in->buf = NULL;
}

static struct link_incoming *begin(struct link *link, const struct packet_message *m,
                                   const struct proa_msg *msg)
{
    struct link_incoming *in = find_free(link);
    enum proa_outcome reason = PROA_REFUSED_BUSY;

    if (m->total > link->params.message_max) {
        reason = PROA_REFUSED_BAD_LENGTH;
    } else if (in != NULL && link_bulk_charge(link, m->total)) {
        in->buf = link->env.bulk_alloc(link->env.ctx, m->total);
        if (in->buf != NULL) {
            in->id = m->stream;
            in->have = 0;
            in->msg = *msg;
            in->msg.len = m->total;
            in->msg.data = in->buf;
            return in;
        }
        link_bulk_uncharge(link, m->total);
    }
    refuse(link, m->stream, msg, reason);
    return NULL;
}

void link_bulk_input(struct link *link, const struct packet_message *m,
                     const struct proa_msg *msg, proa_ns now)
{
    struct link_incoming *in = find(link, m->stream);

    (void)now;
    if (m->offset == 0 && in == NULL) {
        in = begin(link, m, msg);
        if (in == NULL)
            return;
    } else if (in == NULL) {
        return; /* of a stream that was refused */
    }
    if (m->offset != in->have || m->total != in->msg.len) {
        struct proa_msg whole = in->msg;
        void *buf = in->buf;

        link->stats.rx_malformed++;
        forget(link, in);
        link->env.bulk_free(link->env.ctx, buf);
        refuse(link, m->stream, &whole, PROA_REFUSED_BAD_LENGTH);
        return;
    }
    memcpy(in->buf + in->have, m->payload, m->len);
    in->have += m->len;
    if (in->have < m->total)
        return;

    struct proa_msg whole = in->msg;
    void *buf = in->buf;
    forget(link, in);
    link->stats.bulk_rx++;
    link->stats.rx_messages++;
    link->env.deliver_bulk(link->env.ctx, link, &whole, buf);
}

void link_bulk_in_fini(struct link *link)
{
    for (uint32_t i = 0; i < LINK_BULK_MAX; i++) {
        struct link_incoming *in = &link->incoming[i];
        if (in->buf == NULL)
            continue;
        void *buf = in->buf;
        forget(link, in);
        link->env.bulk_free(link->env.ctx, buf);
    }
}
