/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_ops.h"

#include "kad_internal.h"

#include <string.h>

/* ---- Places ---- */

void kad_ops_init(struct kad_ops *self)
{
    self->ops_free = KAD_NONE;
    self->searches_free = KAD_NONE;
    for (uint32_t i = self->cap; i > 0; i--) {
        self->ops[i - 1].state = KAD_OP_FREE;
        self->ops[i - 1].number = 0;
        self->ops[i - 1].next = self->ops_free;
        self->ops_free = i - 1;
    }
    for (uint32_t i = self->walks_cap; i > 0; i--) {
        self->searches[i - 1].op = KAD_NONE;
        self->searches[i - 1].next = self->searches_free;
        self->searches_free = i - 1;
    }
    self->queue = self->queue_end = KAD_NONE;
    self->done = self->done_end = KAD_NONE;
}

uint32_t kad_op_index(const struct kad *kad, const struct kad_op *op)
{
    return (uint32_t)(op - kad->ops.ops);
}

struct kad_op *kad_op_of(struct kad *kad, const struct kad_tag *tag)
{
    struct kad_op *op = &kad->ops.ops[tag->index];

    return op->state != KAD_OP_FREE && op->number == tag->serial ? op : NULL;
}

struct kad_op *kad_op_new(struct kad *kad, enum kad_op_kind kind,
                          const struct kad_id *target, proa_ns deadline, bool own)
{
    struct kad_ops *ops = &kad->ops;
    uint32_t users = ops->used - ops->used_own;

    if (ops->ops_free == KAD_NONE || (own && ops->used_own >= ops->own_cap) ||
        (!own && users >= ops->cap - ops->own_cap))
        return NULL;
    struct kad_op *op = &ops->ops[ops->ops_free];
    ops->ops_free = op->next;
    ops->used++;
    ops->used_own += own;
    memset(op, 0, sizeof(*op));
    if (++ops->last_number == 0)
        ops->last_number = 1;
    op->number = ops->last_number;
    op->kind = (uint8_t)kind;
    op->own = own;
    op->target = *target;
    op->deadline = deadline;
    op->search = KAD_NONE;
    op->index = KAD_NONE;
    return op;
}

static void append(struct kad *kad, uint32_t *first, uint32_t *last, struct kad_op *op)
{
    uint32_t index = kad_op_index(kad, op);

    op->next = KAD_NONE;
    if (*first == KAD_NONE)
        *first = index;
    else
        kad->ops.ops[*last].next = index;
    *last = index;
}

static void take_out(struct kad *kad, uint32_t *first, uint32_t *last, uint32_t index)
{
    uint32_t before = KAD_NONE, at = *first;

    while (at != index) {
        PROA_ASSERT(at != KAD_NONE);
        before = at;
        at = kad->ops.ops[at].next;
    }
    uint32_t next = kad->ops.ops[at].next;
    if (before == KAD_NONE)
        *first = next;
    else
        kad->ops.ops[before].next = next;
    if (*last == index)
        *last = before;
}

void kad_op_release(struct kad *kad, struct kad_op *op)
{
    struct kad_ops *ops = &kad->ops;

    if (op->search == KAD_NONE)
        return;
    struct kad_search *search = &ops->searches[op->search];
    search->op = KAD_NONE;
    search->next = ops->searches_free;
    ops->searches_free = op->search;
    ops->searching--;
    op->search = KAD_NONE;
    /* What waits for a search starts from a timer: this is called from deep inside others. */
    if (ops->queue != KAD_NONE)
        kad_op_timer(kad, &ops->ops[ops->queue], kad->now);
}

/* Gives the place back: at once for the node's own, else when the event was fetched. */
static void give_back(struct kad *kad, struct kad_op *op)
{
    struct kad_ops *ops = &kad->ops;

    op->state = KAD_OP_FREE;
    op->next = ops->ops_free;
    ops->ops_free = kad_op_index(kad, op);
    ops->used--;
    ops->used_own -= op->own;
}

void kad_op_finish(struct kad *kad, struct kad_op *op, enum proa_outcome outcome)
{
    struct kad_ops *ops = &kad->ops;

    if (op->state == KAD_OP_QUEUED)
        take_out(kad, &ops->queue, &ops->queue_end, kad_op_index(kad, op));
    kad_op_release(kad, op);
    kad_clear_timer(kad, KAD_TIMED_OP, kad_op_index(kad, op));
    op->outcome = outcome;
    if (op->own) {
        give_back(kad, op);
        return;
    }
    op->state = KAD_OP_FINISHED;
    append(kad, &ops->done, &ops->done_end, op);
}

bool kad_op_event(struct kad *kad, struct kad_event *ret)
{
    static const enum kad_event_kind event_of[] = {[KAD_OP_LOOKUP] = KAD_LOOKED_UP,
                                                   [KAD_OP_FIND] = KAD_NODE,
                                                   [KAD_OP_REGISTER] = KAD_REGISTERED,
                                                   [KAD_OP_ANNOUNCE] = KAD_ANNOUNCED,
                                                   [KAD_OP_PEERS] = KAD_PEERS};
    struct kad_ops *ops = &kad->ops;

    if (ops->done == KAD_NONE)
        return false;
    struct kad_op *op = &ops->ops[ops->done];
    take_out(kad, &ops->done, &ops->done_end, ops->done);
    memset(ret, 0, sizeof(*ret));
    ret->kind = event_of[op->kind];
    ret->op = op->number;
    ret->outcome = op->outcome;
    ret->alive = op->alive;
    ret->id = op->holder;
    ret->addr = op->addr;
    if (op->peer_count > 0) { /* the place keeps them until its next life */
        ret->peers = op->peers;
        ret->peer_count = op->peer_count;
    }
    if (op->raw_len > 0 && record_decode(&ret->record, op->raw, op->raw_len) == 0) {
        ret->term = ret->record.term;
        ret->id = ret->record.owner;
        ret->addr = kad_owner_addr(kad, &ret->record);
    }
    give_back(kad, op);
    return true;
}

/* ---- Waiting, starting, ending ---- */

void kad_op_timer(struct kad *kad, struct kad_op *op, proa_ns due)
{
    kad_set_timer(kad, KAD_TIMED_OP, kad_op_index(kad, op),
                  due < op->deadline ? due : op->deadline);
}

void kad_op_start(struct kad *kad, struct kad_op *op)
{
    struct kad_ops *ops = &kad->ops;

    op->state = KAD_OP_QUEUED;
    append(kad, &ops->queue, &ops->queue_end, op);
    kad_op_timer(kad, op, op->deadline);
    kad_ops_schedule(kad);
}

void kad_op_rest(struct kad *kad, struct kad_op *op, proa_ns wait)
{
    kad_op_release(kad, op);
    op->state = KAD_OP_RESTING;
    op->judged = KAD_JUDGED_NOT;
    op->asking = false;
    kad_op_timer(kad, op, kad->now + wait);
}

/* The first operation that may start now, KAD_NONE: none. */
static uint32_t startable(struct kad *kad)
{
    struct kad_ops *ops = &kad->ops;
    uint32_t at = ops->queue;

    if (ops->searches_free == KAD_NONE)
        return KAD_NONE;
    if (kad->join.joined && ops->walks_cap - ops->searching > KAD_WALKS_OWN)
        return at;
    while (at != KAD_NONE && ops->ops[at].kind != KAD_OP_REFRESH)
        at = ops->ops[at].next;
    return at;
}

void kad_ops_schedule(struct kad *kad)
{
    struct kad_ops *ops = &kad->ops;
    uint32_t at;

    while ((at = startable(kad)) != KAD_NONE) {
        take_out(kad, &ops->queue, &ops->queue_end, at);
        kad_op_begin(kad, &ops->ops[at]);
    }
}

bool kad_is_alive(struct kad *kad, const struct kad_id *id)
{
    const struct kad_contact *contact = kad_table_find(&kad->table, id);
    const struct kad_owner *owner = kad_store_owner(&kad->store, id);

    if (kad_id_equal(id, &kad->self.id))
        return true;
    if (contact != NULL)
        return contact->fails == 0 && kad->now - contact->heard_at <= KAD_FRESH;
    return owner != NULL && owner->fails == 0 && owner->heard_at != 0 &&
           kad->now - owner->heard_at <= KAD_FRESH;
}

/* ---- The holder ---- */

void kad_op_ask_holder(struct kad *kad, struct kad_op *op, const struct record *fields)
{
    struct proa_addr addr = kad_owner_addr(kad, fields);
    struct kad_ask ask = {.id = &fields->owner,
                          .addr = &addr,
                          .query = KRPC_PING,
                          .target = &op->target,
                          .tag = {.kind = KAD_TAG_HOLDER,
                                  .index = kad_op_index(kad, op),
                                  .serial = op->number}};

    op->holder = fields->owner;
    op->judged = KAD_JUDGED_NOT;
    op->asking = kad_rpc_ask(kad, &ask);
    if (!op->asking)
        kad_op_timer(kad, op, kad->now + KAD_RETRY);
}

void kad_op_holder_result(struct kad *kad, const struct kad_request *request,
                          enum kad_result result, const struct krpc_message *message)
{
    struct kad_op *op = kad_op_of(kad, &request->tag);

    if (op == NULL || result == KAD_LATE || !op->asking ||
        !kad_id_equal(&op->holder, &request->id))
        return;
    op->asking = false;
    op->judged = KAD_JUDGED_SILENT;
    if (result == KAD_ANSWERED)
        op->judged = (message->has & KRPC_HAS_OK) != 0 && !message->ok
                         ? KAD_JUDGED_NOT_MINE
                         : KAD_JUDGED_MINE;
    if (op->kind == KAD_OP_LOOKUP && op->search != KAD_NONE)
        kad_op_decide(kad, op);
    else if (op->kind == KAD_OP_REGISTER || op->kind == KAD_OP_RENEW)
        kad_claim_judged(kad, op);
}

/* ---- Time ---- */

static void expired(struct kad *kad, struct kad_op *op)
{
    struct record fields;

    if (op->kind == KAD_OP_REGISTER || op->kind == KAD_OP_RENEW ||
        op->kind == KAD_OP_TOMB) {
        kad_claim_expired(kad, op);
        return;
    }
    if (op->kind == KAD_OP_ANNOUNCE || op->kind == KAD_OP_PEERS) {
        kad_announce_expired(kad, op);
        return;
    }
    if (op->kind == KAD_OP_LOOKUP && op->search != KAD_NONE) {
        uint32_t at = kad_op_pick(kad, op, &fields);

        if (at != KAD_NONE && fields.kind == RECORD_NAME)
            kad_op_keep(kad, op, at);
    }
    if (op->kind == KAD_OP_FIND)
        kad_op_finish(kad, op, PROA_NO_ROUTE);
    else
        kad_op_finish(kad, op, kad->join.joined ? PROA_UNKNOWN : PROA_NOT_JOINED);
}

/* A holder that could not be asked for want of room is asked again. */
static void ask_again(struct kad *kad, struct kad_op *op)
{
    if (op->asking || op->judged != KAD_JUDGED_NOT)
        return;
    if (op->kind == KAD_OP_LOOKUP)
        kad_op_decide(kad, op);
    else if (op->kind == KAD_OP_REGISTER || op->kind == KAD_OP_RENEW)
        kad_claim_walked(kad, op);
}

void kad_op_due(struct kad *kad, uint32_t number)
{
    struct kad_op *op = &kad->ops.ops[number];

    if (op->state == KAD_OP_FREE || op->state == KAD_OP_FINISHED)
        return;
    if (kad->now >= op->deadline) {
        expired(kad, op);
        return;
    }
    kad_op_timer(kad, op, op->deadline);
    switch (op->state) {
    case KAD_OP_QUEUED:
        kad_ops_schedule(kad);
        break;
    case KAD_OP_WALKING:
        kad_op_pump(kad, op);
        break;
    case KAD_OP_WALKED:
        ask_again(kad, op);
        break;
    case KAD_OP_PUTTING:
        if (op->kind == KAD_OP_ANNOUNCE)
            kad_announce_due(kad, op);
        else
            kad_claim_due(kad, op);
        break;
    default:
        kad_op_start(kad, op);
    }
}
