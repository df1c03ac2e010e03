/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

static struct link_record *record_at(struct link *link, uint32_t i)
{
    return &link->records[(link->record_head + i) % LINK_REFUSALS_MAX];
}

/* A tell refused for the same reason, from the same sender to the same receiver, as the record
   before continues its run. */
static bool continues(const struct link_record *a, const struct link_record *b)
{
    const struct refusal *r = &a->refusal, *s = &b->refusal;

    return a->type == SYSMSG_REFUSE && b->type == SYSMSG_REFUSE && r->correlation == 0 &&
           s->correlation == 0 && r->reason == s->reason && r->slot == s->slot &&
           r->generation == s->generation && proa_ref_equal(r->to, s->to) &&
           r->count <= UINT32_MAX - s->count;
}

static bool is_tell_refused(const struct link_record *record)
{
    return record->type == SYSMSG_REFUSE && record->refusal.correlation == 0;
}

static void count_nameless(struct link *link, const struct refusal *refusal)
{
    uint32_t count = refusal->count > 0 ? refusal->count : 1;

    link->nameless += count;
    link->nameless_reason = refusal->reason;
    link->stats.refusals_merged += count;
}

/* Makes room for what nothing else would replace, an ask's refusal, WRITABLE, STOP or ABORT: the last
   refused tells lose their sender's name.  False: all that waits is of that kind. */
static bool give_up_name(struct link *link)
{
    for (uint32_t i = link->record_count; i-- > 0;) {
        struct link_record *record = record_at(link, i);

        if (!is_tell_refused(record))
            continue;
        count_nameless(link, &record->refusal);
        for (; i + 1 < link->record_count; i++)
            *record_at(link, i) = *record_at(link, i + 1);
        link->record_count--;
        return true;
    }
    return false;
}

void link_record_add(struct link *link, const struct link_record *record)
{
    if (link->record_count > 0) {
        struct link_record *last = record_at(link, link->record_count - 1);
        if (continues(last, record)) {
            last->refusal.count += record->refusal.count;
            return;
        }
    }
    if (link->record_count == LINK_REFUSALS_MAX && record->type == SYSMSG_FORWARDED) {
        link->stats.forwards_dropped++; /* the ask's deadline covers it (forward.h) */
        return;
    }
    if (link->record_count == LINK_REFUSALS_MAX &&
        (is_tell_refused(record) || !give_up_name(link))) {
        count_nameless(link, &record->refusal);
        return;
    }
    link->record_count++;
    *record_at(link, link->record_count - 1) = *record;
}

/* Behind the refusals: what it says of the actor's mailbox came after them, and a sender that hears it
   first would then wait for a second one, which nobody owes it. */
void link_writable(struct link *link, uint32_t slot, uint32_t generation, proa_ns now)
{
    struct link_record record = {
        .type = SYSMSG_WRITABLE,
        .refusal = {.slot = slot, .generation = generation},
    };

    if (link->dead)
        return;
    link_record_add(link, &record);
    link_records_flush(link, now);
}

void link_refuse(struct link *link, const struct refusal *refusal, proa_ns now)
{
    struct link_record record = {.type = SYSMSG_REFUSE, .refusal = *refusal};

    (void)now;
    if (link->dead || refusal->count == 0)
        return;
    link->stats.refusals += refusal->count;
    link_record_add(link, &record);
}

void link_record_forwarded(struct link_record *record, const struct forwarded *f)
{
    record->stream = f->hops;
    record->refusal = (struct refusal){.to = f->to,
                                       .slot = f->slot,
                                       .generation = f->generation,
                                       .correlation = f->correlation};
}

static size_t encode_forwarded(void *body, const struct link_record *record)
{
    const struct refusal *r = &record->refusal;
    struct forwarded f = {r->to, r->slot, r->generation, r->correlation, record->stream};

    return sysmsg_encode_forwarded(body, &f);
}

static bool send_record(struct link *link, const struct link_record *record, proa_ns now)
{
    const struct refusal *r = &record->refusal;
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg msg = {.data = body,
                           .type = (uint32_t)record->type,
                           .from = {link->self, 0, 0},
                           .to = {link->node, 0, 0},
                           .flags = PROA_MSG_SYSTEM,
                           .cls = PROA_CLASS_SYSTEM};

    switch (record->type) {
    case SYSMSG_ABORT:
        msg.len = (uint32_t)sysmsg_encode_abort(body, record->stream, r);
        break;
    case SYSMSG_WRITABLE:
        msg.len = (uint32_t)sysmsg_encode_writable(body, r->slot, r->generation);
        break;
    case SYSMSG_STOP:
        msg.len = (uint32_t)sysmsg_encode_stop(body, r->slot, r->generation);
        break;
    case SYSMSG_FORWARDED:
        msg.len = (uint32_t)encode_forwarded(body, record);
        break;
    default:
        msg.len = (uint32_t)sysmsg_encode_refuse(body, r);
        break;
    }
    return link_append(link, &msg, false, now);
}

/* Records use the ordinary outbox, not the reserve: while it is full they wait and merge. */
void link_records_flush(struct link *link, proa_ns now)
{
    while (link->record_count > 0) {
        if (!send_record(link, record_at(link, 0), now))
            return;
        link->record_head = (link->record_head + 1) % LINK_REFUSALS_MAX;
        link->record_count--;
    }
    if (link->nameless > 0) {
        struct link_record rest = {.type = SYSMSG_REFUSE};

        rest.refusal.reason = link->nameless_reason;
        rest.refusal.count =
            link->nameless < UINT32_MAX ? (uint32_t)link->nameless : UINT32_MAX;
        if (send_record(link, &rest, now))
            link->nameless = 0;
    }
}

void link_refuse_here(struct link *link, const struct refusal *refusal)
{
    _Alignas(8) uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg msg = {.data = body,
                           .len = (uint32_t)sysmsg_encode_refuse(body, refusal),
                           .type = (uint32_t)SYSMSG_REFUSE,
                           .from = {link->node, 0, 0},
                           .to = {link->self, 0, 0},
                           .flags = PROA_MSG_SYSTEM,
                           .cls = PROA_CLASS_SYSTEM};

    link->env.deliver(link->env.ctx, link, &msg, true);
}
