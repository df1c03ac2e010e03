/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include "scheduler_internal.h"

static struct child *child_of(struct sched *s, const struct slot *slot)
{
    return &s->children[slot_index(&s->slots, slot)];
}

static struct slot *slot_at(struct sched *s, uint32_t index)
{
    return &s->slots.slots[index];
}

/* ---- Families ---- */

static struct family *family_new(struct sched *s, const struct proa_supervision *rule)
{
    uint32_t intensity = rule->intensity != 0 ? rule->intensity : FAMILY_INTENSITY;
    struct family *f;

    if (intensity > FAMILY_INTENSITY_MAX)
        intensity = FAMILY_INTENSITY_MAX;
    f = arena_zalloc(s->arena, sizeof(*f) + intensity * sizeof(f->times[0]), 16);
    if (f == NULL)
        return NULL;
    f->first = f->last = SLOT_NONE;
    f->intensity = intensity;
    f->window = rule->window != 0 ? rule->window : FAMILY_WINDOW;
    return f;
}

static void join(struct sched *s, struct slot *supervisor, struct slot *slot)
{
    struct family *f = supervisor->family;
    uint32_t index = slot_index(&s->slots, slot);
    struct child *c = child_of(s, slot);

    c->supervisor = slot_index(&s->slots, supervisor);
    c->state = CHILD_UP;
    c->next = SLOT_NONE;
    c->prev = f->last;
    if (f->last != SLOT_NONE)
        s->children[f->last].next = index;
    else
        f->first = index;
    f->last = index;
    f->count++;
    slot->flags |= SLOT_CHILD;
}

static void leave(struct sched *s, struct slot *slot)
{
    struct child *c = child_of(s, slot);
    struct family *f = slot_at(s, c->supervisor)->family;

    if (c->next != SLOT_NONE)
        s->children[c->next].prev = c->prev;
    else
        f->last = c->prev;
    if (c->prev != SLOT_NONE)
        s->children[c->prev].next = c->next;
    else
        f->first = c->next;
    if (f->from == slot_index(&s->slots, slot))
        f->from = c->next;
    f->count--;
    arena_free(s->arena, c->arg);
    *c = (struct child){0};
    slot->flags &= (uint8_t)~SLOT_CHILD;
}

/* ---- Restarting ---- */

/* Notes one restart; false when there were as many as allowed within the window. */
static bool allowed(struct sched *s, struct family *f)
{
    proa_ns *oldest = &f->times[f->at % f->intensity];

    if (f->at >= f->intensity && s->now - *oldest < f->window)
        return false;
    *oldest = s->now;
    f->at++;
    return true;
}

/* The names go on with the next life; false: the ring to the control thread is full. */
static bool names_move(struct sched *s, const struct slot *slot)
{
    struct punt_restart body = {slot_id(&s->slots, slot), slot->generation,
                                slot->next_generation, 0};

    if ((slot->flags & SLOT_NAMED) == 0 || s->up == NULL)
        return true;
    if (up_push(s, PUNT_ACTOR_RESTARTED, &body, sizeof(body), NULL, 0))
        return true;
    STAT_ADD(s, up_full, 1);
    return false;
}

/* A new life in the same slot.  If its start fails, it ends like any other failure, in its next
   turn. */
static void restart(struct sched *s, struct slot *slot)
{
    const struct proa_behaviour *def = slot->behaviour->def;
    struct child *c = child_of(s, slot);
    int32_t code = slot->code;

    if (!names_move(s, slot)) {
        c->state = CHILD_AGAIN;
        ready_push(s, slot);
        return;
    }
    watched_end(s, slot, PROA_REASON_RESTARTED, code, slot->next_generation);
    slot_renew(&s->slots, slot);
    if ((slot->flags & SLOT_MEMBER) != 0)
        load_settle(s, slot);
    if (def->state_size > 0)
        memset(slot->mem, 0, def->state_size);
    c->state = CHILD_UP;
    STAT_ADD(s, restarts, 1);
    metrics_restarted(slot);
    if (!actor_start(s, slot, c->arg, c->arg_len)) {
        ready_push(s, slot); /* no recursion, however often it fails */
        actor_end(s, slot);
    } else if ((slot->flags & SLOT_STOP) != 0) {
        ready_push(s, slot);
        actor_end(s, slot);
    } else if ((slot->marks & SLOT_MARK_JOIN) != 0) {
        joins_start(s, slot); /* the life before had not come to it */
    }
}

/* The supervisor is told of the end of a child that is not restarted. */
static void give_up(struct sched *s, struct slot *slot)
{
    struct slot *supervisor = slot_at(s, child_of(s, slot)->supervisor);
    struct proa_ref ref = ref_of(s, slot);

    leave(s, slot);
    if (supervisor->state == SLOT_LIVE)
        down_push(s, supervisor, ref, (enum proa_reason)slot->reason, slot->code);
}

static bool wants_restart(const struct child *c, enum proa_reason reason)
{
    switch ((enum proa_restart)c->restart) {
    case PROA_RESTART_PERMANENT:
        return true;
    case PROA_RESTART_TRANSIENT:
        return reason != PROA_REASON_NORMAL;
    default:
        return false;
    }
}

/* ---- Groups ---- */

/* All of the group are down: those that may are restarted, in order. */
static void group_restart(struct sched *s, struct family *f)
{
    uint32_t next;

    f->group = false;
    for (uint32_t i = f->from; i != SLOT_NONE; i = next) {
        struct slot *slot = slot_at(s, i);

        next = s->children[i].next;
        if (s->children[i].state != CHILD_DOWN)
            continue;
        if (s->children[i].restart == PROA_RESTART_TEMPORARY) {
            give_up(s, slot);
            actor_finish(s, slot);
        } else {
            restart(s, slot);
        }
    }
}

/* Ends, from the last to the first, the others of the group that slot's failure begins. */
static void group_end(struct sched *s, struct family *f, struct slot *slot,
                      enum proa_strategy strategy)
{
    uint32_t own = slot_index(&s->slots, slot), prev;

    f->group = true;
    f->from = strategy == PROA_ONE_FOR_ALL ? f->first : own;
    f->waiting = 1; /* this function: nothing is restarted before it is through */
    s->children[own].state = CHILD_DOWN;
    for (uint32_t i = f->last; i != SLOT_NONE; i = prev) {
        struct slot *other = slot_at(s, i);

        prev = i != f->from ? s->children[i].prev : SLOT_NONE;
        if (i == own)
            continue;
        f->waiting++;
        if (other->state != SLOT_LIVE)
            continue; /* it is ending by itself and will report */
        other->reason = PROA_REASON_KILLED;
        actor_end(s, other);
    }
    if (--f->waiting == 0)
        group_restart(s, f);
}

static bool in_group(struct sched *s, const struct family *f, const struct slot *slot)
{
    uint32_t own = slot_index(&s->slots, slot);

    for (uint32_t i = f->from; i != SLOT_NONE; i = s->children[i].next)
        if (i == own)
            return true;
    return false;
}

/* ---- The end of a child ---- */

/* Its children have failed too often: the supervisor fails. */
static void limit(struct sched *s, struct slot *supervisor)
{
    STAT_ADD(s, restart_limits, 1);
    if ((supervisor->flags & SLOT_STOP) == 0) {
        supervisor->reason = PROA_REASON_FAILED;
        supervisor->code = PROA_CODE_LIMIT;
    }
    if ((supervisor->flags & SLOT_RUNNING) != 0)
        supervisor->flags |= SLOT_STOP; /* at the end of its callback */
    else if (supervisor->state == SLOT_LIVE)
        actor_end(s, supervisor);
}

bool family_child_down(struct sched *s, struct slot *slot)
{
    struct child *c = child_of(s, slot);
    struct slot *supervisor = slot_at(s, c->supervisor);
    struct family *f = supervisor->family;
    enum proa_strategy strategy;

    if (c->state == CHILD_AGAIN) {
        restart(s, slot);
        return true;
    }
    if (f->group && in_group(s, f, slot)) {
        c->state = CHILD_DOWN;
        if (--f->waiting == 0)
            group_restart(s, f);
        return true;
    }
    if (s->draining || !wants_restart(c, (enum proa_reason)slot->reason)) {
        give_up(s, slot);
        return false;
    }
    if (!allowed(s, f)) {
        c->state = CHILD_DOWN;
        limit(s, supervisor); /* ends this child with the others, now or soon */
        return true;
    }
    strategy = supervisor->behaviour->def->supervision->strategy;
    if (strategy == PROA_ONE_FOR_ONE || f->group)
        restart(s, slot);
    else
        group_end(s, f, slot, strategy);
    return true;
}

void children_end(struct sched *s, struct slot *supervisor)
{
    struct family *f = supervisor->family;

    if (f == NULL)
        return;
    while (f->last != SLOT_NONE) {
        struct slot *slot = slot_at(s, f->last);
        bool down = child_of(s, slot)->state != CHILD_UP;

        leave(s, slot);
        if (slot->state == SLOT_LIVE) {
            slot->reason = PROA_REASON_KILLED;
            actor_end(s, slot);
        } else if (down && (slot->flags & SLOT_READY) == 0) {
            actor_finish(s, slot);
        }
    }
    supervisor->family = NULL;
    arena_free(s->arena, f);
}

/* ---- The calls ---- */

enum proa_outcome proa_spawn_child(struct proa_actor *self,
                                   const struct proa_behaviour *behaviour,
                                   const void *arg, size_t arg_len,
                                   enum proa_restart restart_when,
                                   struct proa_ref *ret_ref)
{
    struct sched *s = self->sched;
    const struct proa_supervision *rule = self->slot->behaviour->def->supervision;
    enum proa_outcome outcome;
    void *kept = NULL;
    struct slot *slot;

    if (rule == NULL || restart_when > PROA_RESTART_TEMPORARY ||
        (arg == NULL && arg_len > 0))
        return send_failed(s, NULL, PROA_INVALID);
    if (arg_len > PROA_CHILD_ARG_MAX)
        return send_failed(s, NULL, PROA_TOO_LARGE);
    if (self->ending)
        return send_failed(s, NULL, PROA_STOPPED);
    if (self->slot->family == NULL)
        self->slot->family = family_new(s, rule);
    if (arg_len > 0)
        kept = arena_alloc(s->arena, arg_len, 16);
    if (self->slot->family == NULL || (arg_len > 0 && kept == NULL)) {
        arena_free(s->arena, kept);
        return send_failed(s, NULL, PROA_LIMIT);
    }
    if (arg_len > 0)
        memcpy(kept, arg, arg_len);
    outcome = spawn_slot(s, behaviour, arg, arg_len, false, &slot);
    if (outcome != PROA_OK) {
        arena_free(s->arena, kept);
        return send_failed(s, NULL, outcome);
    }
    join(s, self->slot, slot);
    child_of(s, slot)->arg = kept;
    child_of(s, slot)->arg_len = (uint32_t)arg_len;
    child_of(s, slot)->restart = (uint8_t)restart_when;
    if (ret_ref != NULL)
        *ret_ref = ref_of(s, slot);
    if ((slot->flags & SLOT_STOP) != 0)
        actor_end(s, slot);
    return PROA_OK;
}

bool proa_stop_child(struct proa_actor *self, struct proa_ref ref)
{
    struct sched *s = self->sched;
    struct slot *slot =
        ref_here(s, ref) ? slot_find(&s->slots, ref.slot, ref.generation) : NULL;

    if (slot == NULL || slot->state != SLOT_LIVE || (slot->flags & SLOT_CHILD) == 0 ||
        child_of(s, slot)->supervisor != slot_index(&s->slots, self->slot) ||
        (slot->flags & SLOT_RUNNING) != 0)
        return false;
    leave(s, slot);
    slot->reason = PROA_REASON_KILLED;
    actor_end(s, slot);
    return true;
}
