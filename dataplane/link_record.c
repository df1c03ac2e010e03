/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

/* Two rings.  Refusals, and news of forwarded asks, in one: past its bound refused tells are only counted.
   WRITABLE, STOP and ABORT, which nothing would replace, in a small one of their own, each to go
   once the refusals have gone that were there before it. */

static struct link_record *record_at(struct link *link, uint32_t at)
{
    return &link->records[at & (LINK_REFUSALS_MAX - 1)];
}

static struct link_notice *notice_at(struct link *link, uint32_t i)
{
    return &link->notices[(link->notice_head + i) % LINK_NOTICES_MAX];
}

/* ---- Refusals ---- */

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

/* An ask's refusal takes the place of the last refused tell, which loses its sender's name: a step, however
   many wait (walking to it was 3 to 5 us an ask, of 1,024 that wait). */
static void take_place(struct link *link, const struct link_record *record)
{
    struct link_record *place = record_at(link, link->tell_last);

    PROA_ASSERT(is_tell_refused(place));
    count_nameless(link, &place->refusal);
    link->tell_last = place->before;
    link->tell_count--;
    *place = *record;
}

static void refusal_add(struct link *link, const struct link_record *record)
{
    uint32_t at = link->record_head + link->record_count;

    if (link->record_count > 0 && continues(record_at(link, at - 1), record)) {
        record_at(link, at - 1)->refusal.count += record->refusal.count;
        return;
    }
    if (link->record_count == LINK_REFUSALS_MAX) {
        if (record->type == SYSMSG_FORWARDED)
            link->stats.forwards_dropped++; /* the ask's deadline covers it (forward.h) */
        else if (is_tell_refused(record) || link->tell_count == 0)
            count_nameless(link, &record->refusal);
        else
            take_place(link, record);
        return;
    }
    *record_at(link, at) = *record;
    link->record_count++;
    if (is_tell_refused(record)) {
        record_at(link, at)->before = link->tell_last;
        link->tell_last = at;
        link->tell_count++;
    }
}

/* ---- WRITABLE, STOP, ABORT ---- */

static bool is_writable(const struct link_record *record)
{
    return record->type == SYSMSG_WRITABLE;
}

/* A second STOP says nothing new; nor does a second WRITABLE when nothing was refused in between. */
static bool says_it(const struct link_notice *n, const struct link_record *record,
                    uint32_t after)
{
    return n->record.type == record->type && record->type != SYSMSG_ABORT &&
           n->record.refusal.slot == record->refusal.slot &&
           n->record.refusal.generation == record->refusal.generation &&
           (!is_writable(record) || n->after == after);
}

/* Makes room: all WRITABLEs become one for all actors.  An earlier one of that kind keeps its place, so that
   it goes however many follow. */
static void gather_writables(struct link *link, uint32_t after)
{
    bool had = false;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < link->notice_count; i++) {
        struct link_notice n = *notice_at(link, i);

        if (is_writable(&n.record)) {
            if (had || n.record.refusal.generation != 0)
                continue;
            had = true;
        }
        *notice_at(link, kept++) = n;
    }
    *notice_at(link, kept++) =
        (struct link_notice){.record = {.type = SYSMSG_WRITABLE}, .after = after};
    link->notice_count = kept;
}

/* STOP and ABORT leave room for two WRITABLEs for all. */
static bool notice_add(struct link *link, const struct link_record *record)
{
    uint32_t after = link->record_head + link->record_count, others = 0;

    for (uint32_t i = 0; i < link->notice_count; i++) {
        if (says_it(notice_at(link, i), record, after))
            return true;
        others += !is_writable(&notice_at(link, i)->record);
    }
    if (!is_writable(record) && others >= LINK_NOTICES_MAX - 2)
        return false;
    if (link->notice_count == LINK_NOTICES_MAX) {
        gather_writables(link, after);
        if (is_writable(record))
            return true;
    }
    *notice_at(link, link->notice_count++) = (struct link_notice){*record, after};
    return true;
}

bool link_record_add(struct link *link, const struct link_record *record)
{
    struct link_record refused = {.type = SYSMSG_REFUSE, .refusal = record->refusal};

    link->records_wait = true;
    switch (record->type) {
    case SYSMSG_WRITABLE:
    case SYSMSG_STOP:
        return notice_add(link, record);
    case SYSMSG_ABORT:
        /* Without it the rest of the message travels in vain, but its sender is told. */
        if (!notice_add(link, record) && record->refusal.count > 0)
            refusal_add(link, &refused);
        return true;
    default:
        refusal_add(link, record);
        return true;
    }
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
    record->hops = f->hops;
    record->refusal = (struct refusal){.to = f->to,
                                       .slot = f->slot,
                                       .generation = f->generation,
                                       .correlation = f->correlation};
}

static size_t encode_forwarded(void *body, const struct link_record *record)
{
    const struct refusal *r = &record->refusal;
    struct forwarded f = {r->to, r->slot, r->generation, r->correlation, record->hops};

    return sysmsg_encode_forwarded(body, &f);
}

struct proa_msg link_record_message(const struct link *link,
                                    const struct link_record *record, void *body)
{
    const struct refusal *r = &record->refusal;
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
    return msg;
}

static bool send_record(struct link *link, const struct link_record *record, proa_ns now)
{
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg msg = link_record_message(link, record, body);

    return link_append(link, &msg, false, now);
}

static bool notice_is_next(struct link *link)
{
    return link->notice_count > 0 &&
           (link->record_count == 0 ||
            link_diff(link->record_head, notice_at(link, 0)->after) >= 0);
}

static bool send_nameless(struct link *link, proa_ns now)
{
    struct link_record rest = {.type = SYSMSG_REFUSE};

    rest.refusal.reason = link->nameless_reason;
    rest.refusal.count =
        link->nameless < UINT32_MAX ? (uint32_t)link->nameless : UINT32_MAX;
    return send_record(link, &rest, now);
}

/* Records use the ordinary outbox, not the reserve: while it is full they wait and merge. */
void link_records_flush(struct link *link, proa_ns now)
{
    while (link->notice_count > 0 || link->record_count > 0) {
        struct link_record *first = record_at(link, link->record_head);

        if (notice_is_next(link)) {
            if (!send_record(link, &notice_at(link, 0)->record, now))
                return;
            link->notice_head = (link->notice_head + 1) % LINK_NOTICES_MAX;
            link->notice_count--;
        } else {
            if (!send_record(link, first, now))
                return;
            link->tell_count -= is_tell_refused(first);
            link->record_head++;
            link->record_count--;
        }
    }
    if (link->nameless > 0) {
        if (!send_nameless(link, now))
            return;
        link->nameless = 0;
    }
    link->records_wait = false;
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
