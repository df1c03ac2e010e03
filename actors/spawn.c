/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_internal.h"

/* ---- State ---- */

void *state_alloc(struct sched *s, size_t size)
{
    void *mem;

    if (size == 0)
        return s; /* never looked at, and not NULL */
    if (size > SLAB_BLOCK_MAX)
        return arena_zalloc(s->arena, size, 16);
    mem = slab_alloc(&s->states, slab_class(size), false);
    if (mem != NULL)
        memset(mem, 0, size);
    return mem;
}

void state_free(struct sched *s, void *mem, size_t size)
{
    if (size == 0)
        return;
    if (size > SLAB_BLOCK_MAX)
        arena_free(s->arena, mem);
    else
        slab_free(&s->states, mem, slab_class(size));
}

/* ---- On this lane ---- */

static enum proa_outcome make(struct sched *s, const struct proa_behaviour *def,
                              struct slot **ret)
{
    struct behaviour *behaviour = behaviour_get(&s->behaviours, def);
    struct slot *slot;
    void *mem;

    if (behaviour == NULL)
        return PROA_INVALID;
    mem = state_alloc(s, def->state_size);
    if (mem == NULL)
        return PROA_LIMIT;
    slot = slot_alloc(&s->slots);
    if (slot == NULL) {
        state_free(s, mem, def->state_size);
        return PROA_LIMIT;
    }
    slot->behaviour = behaviour;
    slot->mem = mem;
    slot->mailbox.capacity = behaviour->capacity;
    slot->state = SLOT_STARTING;
    *ret = slot;
    return PROA_OK;
}

bool actor_start(struct sched *s, struct slot *slot, const void *arg, size_t arg_len)
{
    const struct proa_behaviour *def = slot->behaviour->def;
    struct proa_actor self;
    int failed = 0;

    if (def->start != NULL) {
        /* relaxed: the lane's own; the watchdog blames who spawns for what follows. */
        uint64_t outer = atomic_load_explicit(&s->running, memory_order_relaxed);
        uint32_t type = atomic_load_explicit(&s->running_type, memory_order_relaxed);

        frame_begin(&self, s, slot);
        failed = def->start(&self, arg, arg_len);
        frame_end(&self);
        atomic_store_explicit(&s->running, outer, memory_order_relaxed);
        atomic_store_explicit(&s->running_type, type, memory_order_relaxed);
    }
    if (failed != 0) {
        slot->reason = PROA_REASON_FAILED;
        slot->code = failed;
        return false;
    }
    slot->state = SLOT_LIVE;
    slot->marks |= SLOT_MARK_STARTED;
    return true;
}

/* flags: of the slot, from before start on. */
static enum proa_outcome spawn_with(struct sched *s,
                                    const struct proa_behaviour *behaviour,
                                    const void *arg, size_t arg_len, uint8_t flags,
                                    struct slot **ret)
{
    struct slot *slot;
    enum proa_outcome outcome;

    if (s->draining)
        return PROA_STOPPED;
    if (s->depth >= SCHED_SPAWN_DEPTH)
        return PROA_LIMIT;
    outcome = make(s, behaviour, &slot);
    if (outcome != PROA_OK)
        return outcome;
    slot->flags |= flags;
    if (!actor_start(s, slot, arg, arg_len)) {
        STAT_ADD(s, spawn_failed, 1);
        slot->flags &= (uint8_t) ~(flags & SLOT_READY);
        actor_end(s, slot);
        return PROA_STOPPED;
    }
    STAT_ADD(s, spawned, 1);
    *ret = slot;
    return PROA_OK;
}

enum proa_outcome spawn_slot(struct sched *s, const struct proa_behaviour *behaviour,
                             const void *arg, size_t arg_len, bool named,
                             struct slot **ret)
{
    enum proa_outcome outcome =
        spawn_with(s, behaviour, arg, arg_len, named ? SLOT_NAMED : 0, ret);

    if (outcome == PROA_OK && behaviour->published)
        joins_start(s, *ret);
    return outcome;
}

/* Called "ready" without being in the queue, it is put there by nobody. */
enum proa_outcome spawn_held(struct sched *s, const struct proa_behaviour *behaviour,
                             const void *arg, size_t arg_len, struct slot **ret)
{
    enum proa_outcome outcome =
        spawn_with(s, behaviour, arg, arg_len, SLOT_NAMED | SLOT_READY, ret);

    if (outcome == PROA_OK)
        (*ret)->state = SLOT_STARTING;
    return outcome;
}

void hold_end(struct sched *s, struct slot *slot)
{
    PROA_ASSERT(slot->state == SLOT_STARTING && (slot->flags & SLOT_READY) != 0);
    slot->state = SLOT_LIVE;
    slot->flags &= (uint8_t)~SLOT_READY;
    if (!mailbox_empty(&slot->mailbox))
        ready_push(s, slot);
}

enum proa_outcome spawn_here(struct sched *s, const struct proa_behaviour *behaviour,
                             const void *arg, size_t arg_len, bool named,
                             struct proa_ref *ret_ref)
{
    struct slot *slot;
    enum proa_outcome outcome = spawn_slot(s, behaviour, arg, arg_len, named, &slot);

    if (outcome != PROA_OK)
        return outcome;
    if (ret_ref != NULL)
        *ret_ref = ref_of(s, slot);
    if ((slot->flags & SLOT_STOP) != 0)
        actor_end(s, slot);
    return PROA_OK;
}

enum proa_outcome sched_spawn(struct sched *s, const struct proa_behaviour *behaviour,
                              const void *arg, size_t arg_len, struct proa_ref *ret_ref)
{
    return spawn_here(s, behaviour, arg, arg_len, false, ret_ref);
}

enum proa_outcome proa_spawn(struct proa_actor *self,
                             const struct proa_behaviour *behaviour, const void *arg,
                             size_t arg_len, struct proa_ref *ret_ref)
{
    enum proa_outcome outcome = PROA_STOPPED;

    if (!self->ending)
        outcome = spawn_here(self->sched, behaviour, arg, arg_len, false, ret_ref);
    return outcome == PROA_OK ? PROA_OK : send_failed(self->sched, NULL, outcome);
}

/* ---- On another lane ---- */

/* The wait for the reference; 0 in *ret_correlation when nobody waits. */
static enum proa_outcome wait_for_ref(struct proa_actor *self, proa_spawned then,
                                      const void *ctx, size_t ctx_len,
                                      struct ask **ret_ask, uint32_t *ret_correlation)
{
    struct sched *s = self->sched;
    struct ask *ask;

    *ret_ask = NULL;
    *ret_correlation = 0;
    if (then == NULL)
        return PROA_OK;
    ask = ask_alloc(&s->asks, self->slot, slot_index(&s->slots, self->slot), ASK_SPAWN);
    if (ask == NULL)
        return PROA_LIMIT;
    ask->fn.spawned = then;
    ask->to = proa_ref_none();
    payload_copy(ask->ctx, ctx, (uint32_t)ctx_len);
    *ret_ask = ask;
    *ret_correlation = ask->correlation;
    return PROA_OK;
}

static enum proa_outcome request_spawn(struct proa_actor *self, uint32_t lane,
                                       const struct spawn_item *item)
{
    struct sched *s = self->sched;
    struct spawned_item done = {
        item->slot, item->generation, item->correlation, PROA_OK, {0, 0, 0}};

    if (lane != s->lane)
        return cross_body(s, lane, PAIR_SPAWN, item, sizeof(*item), false) ? PROA_OK
                                                                           : PROA_AGAIN;
    done.outcome =
        spawn_here(s, item->behaviour, item->arg, item->arg_len, false, &done.ref);
    spawned_item(s, &done);
    return PROA_OK;
}

enum proa_outcome proa_spawn_on(struct proa_actor *self, uint32_t lane,
                                const struct proa_behaviour *behaviour, const void *arg,
                                size_t arg_len, proa_spawned then, const void *ctx,
                                size_t ctx_len)
{
    struct sched *s = self->sched;
    struct spawn_item item = {.behaviour = behaviour,
                              .slot = self->ref.slot,
                              .generation = self->ref.generation,
                              .arg_len = (uint32_t)arg_len};
    enum proa_outcome outcome;
    struct ask *ask;

    if (lane >= s->lanes || arg_len > sizeof(item.arg) || ctx_len > PROA_CONTEXT_MAX ||
        (arg == NULL && arg_len > 0) || (ctx == NULL && ctx_len > 0) ||
        behaviour_get(&s->behaviours, behaviour) == NULL)
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, NULL, PROA_STOPPED);
    outcome = wait_for_ref(self, then, ctx, ctx_len, &ask, &item.correlation);
    if (outcome != PROA_OK)
        return send_failed(s, NULL, outcome);
    payload_copy(item.arg, arg, (uint32_t)arg_len);
    outcome = request_spawn(self, lane, &item);
    if (outcome == PROA_OK)
        return PROA_OK;
    if (ask != NULL) {
        ask->state = ASK_ANSWERED; /* nothing was asked */
        ask_release(&s->asks, self->slot, ask);
    }
    return send_failed(s, self->slot, outcome);
}

void spawn_item(struct sched *s, uint32_t from_lane, const struct spawn_item *item)
{
    struct spawned_item done = {
        item->slot, item->generation, item->correlation, PROA_OK, {0, 0, 0}};

    done.outcome =
        spawn_here(s, item->behaviour, item->arg, item->arg_len, false, &done.ref);
    if (item->correlation != 0)
        cross_body(s, from_lane, PAIR_SPAWNED, &done, sizeof(done), true);
}

void spawned_item(struct sched *s, const struct spawned_item *item)
{
    struct slot *slot = slot_find(&s->slots, item->slot, item->generation);
    struct ask *ask = ask_find(&s->asks, item->correlation);

    if (item->correlation == 0)
        return;
    if (slot != NULL && (slot->flags & SLOT_CLIENT) != 0) {
        client_spawned(s, slot, item->correlation, item->outcome, item->ref);
        return;
    }
    if (slot == NULL || ask == NULL || ask->kind != ASK_SPAWN ||
        ask->state != ASK_IN_FLIGHT || ask->slot != slot_index(&s->slots, slot)) {
        STAT_ADD(s, late_replies, 1);
        return;
    }
    ask->to = item->ref;
    ask_settle(&s->asks, ask, item->outcome, false);
}

bool sched_call(struct sched *s, struct proa_ref ref,
                void (*fn)(struct proa_actor *self, void *ctx), void *ctx)
{
    struct slot *slot =
        ref_here(s, ref) ? slot_find(&s->slots, ref.slot, ref.generation) : NULL;
    struct proa_actor self;

    if (slot == NULL || slot->state != SLOT_LIVE ||
        (slot->flags & (SLOT_RUNNING | SLOT_CLIENT)) != 0)
        return false;
    frame_begin(&self, s, slot);
    fn(&self, ctx);
    frame_end(&self);
    return true;
}
