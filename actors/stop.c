/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/event.h>

#include "scheduler_internal.h"

#define DRAIN_AT_ONCE                                                                    \
    64u /* queued messages refused when an actor ends, before its next turn */
#define DRAIN_SLOTS 256u /* actors stopped in one loop when the node leaves */

void proa_stop(struct proa_actor *self)
{
    self->slot->flags |= SLOT_STOP;
}

void proa_fail(struct proa_actor *self, int32_t code)
{
    if ((self->slot->flags & SLOT_STOP) != 0)
        return; /* it has said how it ends */
    self->slot->flags |= SLOT_STOP;
    self->slot->reason = PROA_REASON_FAILED;
    self->slot->code = code;
}

/* ---- Requests ---- */

static enum proa_outcome stop_here(struct sched *s, struct proa_ref to)
{
    struct slot *slot = slot_find(&s->slots, to.slot, to.generation);

    if (slot == NULL || (slot->flags & SLOT_CLIENT) != 0) {
        STAT_ADD(s, stops_stale, 1);
        return PROA_NO_SUCH_ACTOR;
    }
    if (slot->state != SLOT_ENDING)
        signal_push(s, slot, NODE_STOP, proa_ref_none(), 0, 0, NULL, 0);
    return PROA_OK;
}

enum proa_outcome stop_request(struct sched *s, struct proa_ref to, bool privileged)
{
    uint32_t lane = proa_ref_lane(to);
    enum proa_outcome outcome;

    if (to.node != s->node) {
        outcome = s->below.stop != NULL ? s->below.stop(s->below.ctx, to) : PROA_NO_ROUTE;
        if (outcome == PROA_AGAIN) {
            s->again_kind = WAIT_NODE;
            s->again_key = again_key(to.node);
        }
        return outcome;
    }
    if (lane == s->lane)
        return stop_here(s, to);
    if (lane >= s->lanes)
        return PROA_NO_SUCH_ACTOR;
    return cross_body(s, lane, PAIR_STOP, &to, sizeof(to), privileged) ? PROA_OK
                                                                       : PROA_AGAIN;
}

enum proa_outcome proa_stop_other(struct proa_actor *self, struct proa_ref to)
{
    enum proa_outcome outcome = PROA_NO_SUCH_ACTOR;

    if (!proa_ref_is_none(to))
        outcome = stop_request(self->sched, to, false);
    return outcome == PROA_OK ? PROA_OK : send_failed(self->sched, self->slot, outcome);
}

void sched_stop_actor(struct sched *s, struct proa_ref to)
{
    if (to.node == s->node)
        stop_request(s, to, true);
    else
        STAT_ADD(s, stops_stale, 1);
}

/* ---- The end of an actor ---- */

static void timers_end(struct sched *s, struct slot *slot)
{
    while (slot->timers != ACTOR_TIMER_NONE) {
        struct actor_timer *timer = &s->timers.timers[slot->timers];

        timer_wheel_cancel(&s->wheel, &timer->timer);
        actor_timer_release(&s->timers, slot, timer);
    }
}

void waits_end(struct sched *s, struct slot *slot)
{
    while (slot->asks != ASK_NONE) {
        struct ask *ask = &s->asks.asks[slot->asks];

        timer_wheel_cancel(&s->wheel, &ask->timer);
        if (ask->kind == ASK_NAME || ask->kind == ASK_CLIENT_NAME)
            node_free(s, ask->name);
        if (ask->kind == ASK_OFFLOAD)
            offload_abandon(s, ask->job);
        ask_release(&s->asks, slot, ask);
        STAT_ADD(s, abandoned, 1);
    }
}

/* The node hears of every failure (proa/event.h). */
static void failure_event(struct sched *s, const struct slot *slot)
{
    struct punt_event event = {.kind = slot->code == PROA_CODE_LIMIT
                                           ? PROA_EVENT_RESTART_LIMIT
                                           : PROA_EVENT_ACTOR_FAILED,
                               .slot = slot_id(&s->slots, slot),
                               .generation = slot->generation,
                               .code = slot->code};

    strncpy(event.text, slot->behaviour->def->type_name, sizeof(event.text) - 1);
    sched_event(s, &event);
}

void actor_end(struct sched *s, struct slot *slot)
{
    const struct proa_behaviour *def = slot->behaviour->def;
    struct proa_actor self;

    PROA_ASSERT((slot->flags & SLOT_RUNNING) == 0 && slot->state != SLOT_ENDING);
    slot_ending(slot);
    if ((slot->flags & SLOT_MEMBER) != 0)
        load_ending(s, slot);
    if (slot->reason == PROA_REASON_FAILED)
        failure_event(s, slot);
    children_end(s, slot);
    if ((slot->marks & SLOT_MARK_STARTED) != 0) {
        STAT_ADD(s, stopped, 1);
        if (def->stop != NULL) {
            frame_begin(&self, s, slot);
            self.ending = true;
            def->stop(&self, (enum proa_reason)slot->reason);
            frame_end(&self);
        }
    }
    watches_end(s, slot);
    if ((slot->marks & SLOT_MARK_WATCHES) != 0)
        watching_end(s, slot);
    if ((slot->flags & SLOT_CHILD) == 0) /* else it may be restarted */
        watched_end(s, slot, (enum proa_reason)slot->reason, slot->code, 0);
    tokens_end(s, slot);
    timers_end(s, slot);
    waits_end(s, slot);
    again_forget(s, slot);
    full_tell(s, slot);
    if ((slot->flags & SLOT_READY) == 0)
        actor_drain(s, slot, DRAIN_AT_ONCE);
}

/* Refuses, or drops, one message that an ending actor has not read. */
static void refuse_queued(struct sched *s, const struct slot *slot, struct node *node)
{
    const struct proa_msg msg = node_msg(s, slot, node);
    bool is_system = (msg.flags & PROA_MSG_SYSTEM) != 0;

    if (is_system && msg.type == NODE_CHANGED)
        watching_out(s, node);
    if (is_system)
        STAT_ADD(s, signals_dropped, msg.type != NODE_STOP);
    else if ((msg.flags & PROA_MSG_REPLY) != 0)
        STAT_ADD(s, late_replies, 1);
    else
        refuse_msg(s, &msg, PROA_REFUSED_STOPPED);
    node_drop(s, node);
}

static struct node *take_any(struct mailbox *m)
{
    struct node *node = mailbox_take(m, PROA_CLASS_SYSTEM);

    if (node == NULL)
        node = mailbox_take(m, PROA_CLASS_URGENT);
    return node != NULL ? node : mailbox_take(m, PROA_CLASS_NORMAL);
}

/* Tells the control thread to give the actor's names up; false: its ring is full. */
static bool names_end(struct sched *s, struct slot *slot)
{
    struct punt_actor body = {slot_id(&s->slots, slot), slot->generation};

    if ((slot->flags & SLOT_NAMED) == 0 || s->up == NULL)
        return true;
    if (!up_push(s, PUNT_ACTOR_STOPPED, &body, sizeof(body), NULL, 0)) {
        STAT_ADD(s, up_full, 1);
        return false;
    }
    slot->flags &= (uint8_t)~SLOT_NAMED;
    return true;
}

void actor_free(struct sched *s, struct slot *slot)
{
    if (slot->behaviour != NULL)
        state_free(s, slot->mem, slot->behaviour->def->state_size);
    slot_release(&s->slots, slot);
}

void actor_finish(struct sched *s, struct slot *slot)
{
    if (!names_end(s, slot)) {
        ready_push(s, slot);
        return;
    }
    watched_end(s, slot, (enum proa_reason)slot->reason, slot->code, 0);
    actor_free(s, slot);
}

uint32_t actor_drain(struct sched *s, struct slot *slot, uint32_t max)
{
    struct node *node = NULL;
    uint32_t done = 0;

    while (done < max && (node = take_any(&slot->mailbox)) != NULL) {
        refuse_queued(s, slot, node);
        done++;
    }
    if (!mailbox_empty(&slot->mailbox))
        ready_push(s, slot);
    else if ((slot->flags & SLOT_CHILD) == 0 || !family_child_down(s, slot))
        actor_finish(s, slot);
    return done > 0 ? done : 1;
}

/* ---- The end of the node ---- */

void sched_drain(struct sched *s)
{
    if (s->draining)
        return;
    s->draining = true;
    s->drain_at = 0;
}

void drain_some(struct sched *s)
{
    uint32_t end = s->drain_at + DRAIN_SLOTS;

    for (; s->drain_at < end && s->drain_at < s->slots.fresh; s->drain_at++) {
        struct slot *slot = &s->slots.slots[s->drain_at];

        if (slot->state != SLOT_LIVE || (slot->flags & SLOT_CLIENT) != 0)
            continue;
        slot->reason = PROA_REASON_KILLED;
        actor_end(s, slot);
    }
}
