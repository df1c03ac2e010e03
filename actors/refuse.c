/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_internal.h"

/* ---- To senders of this lane ---- */

static void ask_refused(struct sched *s, const struct refusal *r)
{
    struct slot *slot = slot_find(&s->slots, r->slot, r->generation);
    struct ask *ask = ask_find(&s->asks, r->correlation);

    if (slot == NULL || ask == NULL || ask->state != ASK_IN_FLIGHT ||
        ask->slot != slot_index(&s->slots, slot) || ask->kind > ASK_QUESTION_LAST) {
        STAT_ADD(s, late_replies, 1);
        return;
    }
    timer_wheel_cancel(&s->wheel, &ask->timer);
    ask_settle(&s->asks, ask, r->reason, false);
}

/* Adds a run to the last signal of the actor when it continues it. */
static bool continues(struct slot *slot, const struct refusal *r)
{
    struct node *last = slot->mailbox.last[PROA_CLASS_SYSTEM];

    if (last == NULL || last->msg.type != NODE_UNDELIVERED ||
        last->msg.deadline >> 32 != (uint64_t)r->reason ||
        !proa_ref_equal(last->msg.from, r->to))
        return false;
    last->msg.correlation += r->count;
    return true;
}

static void tells_refused(struct sched *s, const struct refusal *r)
{
    struct slot *slot = slot_find(&s->slots, r->slot, r->generation);

    STAT_ADD(s, undelivered, r->count);
    note_dead_letter(s, r);
    if (slot == NULL || slot->state == SLOT_ENDING || (slot->flags & SLOT_CLIENT) != 0) {
        STAT_ADD(s, undelivered_nobody, r->count);
        return;
    }
    if (!continues(slot, r))
        signal_push(s, slot, NODE_UNDELIVERED, r->to, r->count,
                    (uint64_t)r->reason << 32 | r->type, NULL, 0);
}

void refuse_here(struct sched *s, const struct refusal *r)
{
    if (r->reason == PROA_REFUSED_FULL && !ref_here(s, r->to) && !proa_ref_is_none(r->to))
        ref_set_add(&s->blocked, r->to);
    if (r->correlation != 0)
        ask_refused(s, r);
    else
        tells_refused(s, r);
}

/* To a sender of any lane of this node. */
static void refuse_node_here(struct sched *s, const struct refusal *r)
{
    uint32_t lane = r->slot >> 24;

    if (r->generation == 0 || lane == s->lane || lane >= s->lanes)
        refuse_here(s, r);
    else
        cross_refusal(s, lane, r);
}

void sched_refused(struct sched *s, const struct refusal *refusal)
{
    refuse_node_here(s, refusal);
}

/* ---- To anybody ---- */

static void refuse_out(struct sched *s, uint64_t node, const struct refusal *r)
{
    if (node == s->node)
        refuse_node_here(s, r);
    else if (s->below.refuse != NULL)
        s->below.refuse(s->below.ctx, node, r);
}

void refuse_flush(struct sched *s)
{
    struct refusal run = s->run;

    if (run.count == 0)
        return;
    s->run.count = 0;
    refuse_out(s, s->run_node, &run);
}

/* Refused tells are held until something else is refused, or the loop ends, and told as one. */
static void refuse_tell(struct sched *s, uint64_t node, const struct refusal *r)
{
    if (s->run.count > 0 && s->run_node == node && s->run.reason == r->reason &&
        s->run.slot == r->slot && s->run.generation == r->generation &&
        proa_ref_equal(s->run.to, r->to)) {
        s->run.count++;
        return;
    }
    refuse_flush(s);
    s->run = *r;
    s->run_node = node;
}

/* What found a full mailbox was counted there, and BUSY is what may follow. */
static void count_refused(struct sched *s, const struct proa_msg *msg,
                          enum proa_outcome reason)
{
    const struct slot *slot = ref_here(s, msg->to)
                                  ? slot_find(&s->slots, msg->to.slot, msg->to.generation)
                                  : NULL;

    if (slot != NULL && proa_outcome_ran(reason) == PROA_RAN_NO &&
        reason != PROA_REFUSED_FULL && reason != PROA_REFUSED_BUSY)
        metrics_refused(slot, reason);
}

void refuse_msg(struct sched *s, const struct proa_msg *msg, enum proa_outcome reason)
{
    bool is_ask = (msg->flags & PROA_MSG_ASK) != 0;
    struct refusal r = {.to = msg->to,
                        .slot = msg->from.slot,
                        .generation = msg->from.generation,
                        .type = msg->type,
                        .correlation = is_ask ? msg->correlation : 0,
                        .count = 1,
                        .reason = reason};

    STAT_ADD(s, refused[reason], 1);
    count_refused(s, msg, reason);
    if (proa_ref_is_none(msg->from))
        return;
    if (is_ask)
        refuse_out(s, msg->from.node, &r);
    else
        refuse_tell(s, msg->from.node, &r);
}

void refuse_many(struct sched *s, const struct proa_msg *msg, enum proa_outcome reason,
                 uint32_t count)
{
    struct refusal r = {.to = msg->to,
                        .slot = msg->from.slot,
                        .generation = msg->from.generation,
                        .type = msg->type,
                        .count = count,
                        .reason = reason};

    STAT_ADD(s, refused[reason], count);
    if (proa_ref_is_none(msg->from))
        return;
    refuse_flush(s);
    refuse_out(s, msg->from.node, &r);
}

/* ---- Mailboxes that were full ---- */

bool full_remember(struct sched *s, struct slot *slot, struct proa_ref origin)
{
    struct slot_full *full = slot->full;

    _Static_assert(sizeof(struct slot_full) <= 128, "slab class 1");
    if (proa_ref_is_none(origin))
        return true;
    if (full == NULL) {
        full = slab_alloc(&s->slab, 1, false);
        if (full == NULL)
            return false;
        memset(full, 0, sizeof(*full));
        slot->full = full;
        slot->flags |= SLOT_TELL;
    }
    if (origin.node == s->node) {
        full->lanes |= UINT64_C(1) << (proa_ref_lane(origin) % PROA_LANES_MAX);
        return true;
    }
    for (uint32_t i = 0; i < full->count; i++)
        if (full->nodes[i] == origin.node)
            return true;
    if (full->count == SLOT_FULL_MAX)
        return false;
    full->nodes[full->count++] = origin.node;
    return true;
}

void full_tell(struct sched *s, struct slot *slot)
{
    struct slot_full *full = slot->full;
    struct proa_ref ref = ref_of(s, slot);

    if (full == NULL)
        return;
    slot->full = NULL;
    slot->flags &= (uint8_t)~SLOT_TELL;
    refuse_flush(s); /* the refusals first */
    for (uint32_t lane = 0; lane < s->lanes; lane++)
        if ((full->lanes >> lane & 1) != 0 && lane != s->lane)
            cross_body(s, lane, PAIR_WRITABLE, &ref, sizeof(ref), true);
    for (uint32_t i = 0; i < full->count; i++)
        if (s->below.writable != NULL)
            s->below.writable(s->below.ctx, full->nodes[i], ref);
    slab_free(&s->slab, full, 1);
}

void full_check(struct sched *s, struct slot *slot)
{
    const struct mailbox *m = &slot->mailbox;
    uint32_t half = slot_capacity(slot) / 2;

    if (m->count[PROA_CLASS_NORMAL] <= half && m->count[PROA_CLASS_URGENT] <= half)
        full_tell(s, slot);
}

/* ---- Signals ---- */

void signal_push(struct sched *s, struct slot *slot, uint32_t type, struct proa_ref about,
                 uint32_t count, uint64_t word, const void *data, uint32_t len)
{
    struct proa_msg msg = {.data = data,
                           .len = len,
                           .type = type,
                           .from = about,
                           .deadline = word,
                           .correlation = count,
                           .flags = PROA_MSG_SYSTEM};

    if (slot->state == SLOT_ENDING ||
        !enqueue_reserved(s, slot, &msg, NULL, PROA_CLASS_SYSTEM))
        STAT_ADD(s, signals_dropped, 1);
}
