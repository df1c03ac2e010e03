/* SPDX-License-Identifier: Apache-2.0 */
#include "registrar_internal.h"

/* ---- An actor's names ---- */

static uint32_t *actor_bucket(struct registrar *self, uint32_t slot)
{
    uint32_t hash = slot * 0x9e3779b1u; /* 2^32 over the golden ratio */

    return &self->by_actor[(hash >> 12) & self->actor_mask];
}

static void actor_link(struct registrar *self, struct owned *owned)
{
    uint32_t *bucket = actor_bucket(self, owned->slot);

    owned->next_actor = *bucket;
    *bucket = name_table_place(&self->owned, &owned->entry) + 1;
}

static struct owned *owned_at(struct registrar *self, uint32_t place)
{
    return (struct owned *)(void *)name_table_at(&self->owned, place);
}

static void actor_unlink(struct registrar *self, struct owned *owned)
{
    uint32_t place = name_table_place(&self->owned, &owned->entry);
    uint32_t *at = actor_bucket(self, owned->slot);

    while (*at != place + 1)
        at = &owned_at(self, *at - 1)->next_actor;
    *at = owned->next_actor;
}

static void remove_entry(struct registrar *self, struct owned *owned)
{
    if (owned->op != 0)
        registrar_op_drop(self, owned->op);
    actor_unlink(self, owned);
    name_table_remove(&self->owned, &owned->entry);
}

static struct owned *find(const struct core *core, const char *name, size_t len)
{
    return (struct owned *)(void *)name_table_find(&core->registrar->owned, name, len);
}

const struct owned *owned_visible(const struct core *core, const char *name, size_t len)
{
    const struct owned *owned = find(core, name, len);

    return owned != NULL && (owned->state == OWNED_HELD || owned->state == OWNED_LOCAL)
               ? owned
               : NULL;
}

struct proa_ref owned_ref(const struct core *core, const struct owned *owned)
{
    return (struct proa_ref){core->node, owned->slot, owned->generation};
}

/* ---- Registering ---- */

bool owned_settled(const struct core *core, const struct owned *owned)
{
    return owned->state == OWNED_LOCAL ||
           (owned->state == OWNED_HELD &&
            core->now - owned->won_at >= REGISTRAR_SETTLES &&
            !kad_is_contended(core->kad, owned->entry.name, owned->entry.len));
}

static void answer(struct core *core, const struct owned *owned,
                   enum proa_outcome outcome, struct proa_ref ref)
{
    struct registrar_reply to = {owned->lane, owned->correlation, owned->slot,
                                 owned->generation, owned_settled(core, owned)};

    if (outcome != PROA_OK)
        core->stats.names_refused++;
    registrar_answer(core, &to, owned->entry.name, owned->entry.len, outcome, ref,
                     owned->term);
}

/* The name is won: visible from here on. */
static void publish(struct core *core, struct owned *owned, enum owned_state state)
{
    struct proa_ref ref = owned_ref(core, owned);

    owned->state = (uint8_t)state;
    owned->won_at = core->now;
    if (!directory_put(core->config.directory, owned->entry.name, owned->entry.len, ref,
                       owned->type, core->now))
        core->stats.names_refused++;
    answer(core, owned, PROA_OK, ref);
    wanted_own(core, owned);
}

static void claim(struct core *core, struct owned *owned, proa_ns deadline)
{
    struct registrar *self = core->registrar;

    owned->state = OWNED_CLAIMING;
    owned->op = kad_register(core->kad, owned->entry.name, owned->entry.len, owned->slot,
                             owned->generation, owned->type, deadline, core->now);
    if (owned->op == 0) {
        answer(core, owned, PROA_LIMIT, proa_ref_none());
        remove_entry(self, owned);
        return;
    }
    registrar_op_add(self, owned->op, true,
                     name_table_place(&self->owned, &owned->entry));
}

static void take_call(struct owned *owned, const struct registrar_call *call)
{
    owned->lane = (uint8_t)call->lane;
    owned->correlation = call->head.correlation;
    owned->slot = call->head.slot;
    owned->generation = call->head.generation;
    owned->type = call->head.type;
}

/* The name is in the table: of the same actor, of its life before, or of another. */
static void register_again(struct core *core, struct owned *owned,
                           const struct registrar_call *call)
{
    bool same_slot = owned->slot == call->head.slot;
    bool cluster = call->head.op == PUNT_REGISTER;
    enum proa_outcome outcome = PROA_ALREADY_REGISTERED;

    if (same_slot && owned->generation != call->head.generation &&
        owned->state == (cluster ? OWNED_HELD : OWNED_LOCAL)) {
        /* A supervised restart: the name goes on with the new life. */
        directory_remove_ref(core->config.directory, owned->entry.name, owned->entry.len,
                             owned_ref(core, owned));
        take_call(owned, call);
        /* Kademlia claims a name once; the next claim gets a higher term. */
        if (cluster &&
            kad_unregister(core->kad, owned->entry.name, owned->entry.len, core->now))
            wanted_released(core, owned);
        if (cluster)
            claim(core, owned, call->head.deadline);
        else
            publish(core, owned, OWNED_LOCAL);
        return;
    }
    if (same_slot && owned->generation == call->head.generation &&
        owned->state == (cluster ? OWNED_HELD : OWNED_LOCAL))
        outcome = PROA_OK;
    else if (owned->state == OWNED_GIVEN_UP)
        outcome = PROA_AGAIN; /* free as soon as that claim has ended */
    if (outcome != PROA_OK)
        core->stats.names_refused++;
    registrar_answer_call(core, call, outcome, owned_ref(core, owned), owned->term);
}

void owned_register(struct core *core, const struct registrar_call *call)
{
    struct registrar *self = core->registrar;
    struct owned *owned = find(core, call->name, call->head.len);

    if (owned != NULL) {
        register_again(core, owned, call);
        return;
    }
    owned =
        (struct owned *)(void *)name_table_add(&self->owned, call->name, call->head.len);
    if (owned == NULL) {
        registrar_answer_call(core, call, PROA_LIMIT, proa_ref_none(), 0);
        return;
    }
    take_call(owned, call);
    actor_link(self, owned);
    if (call->head.op == PUNT_REGISTER_LOCAL)
        publish(core, owned, OWNED_LOCAL);
    else
        claim(core, owned, call->head.deadline);
}

void owned_registered(struct core *core, uint32_t place, const struct kad_event *event)
{
    struct registrar *self = core->registrar;
    struct owned *owned = owned_at(self, place);

    PROA_ASSERT(owned != NULL && owned->op == event->op);
    owned->op = 0;
    if (owned->state == OWNED_GIVEN_UP) {
        if (event->outcome == PROA_OK)
            kad_unregister(core->kad, owned->entry.name, owned->entry.len, core->now);
        remove_entry(self, owned);
        return;
    }
    if (event->outcome == PROA_OK) {
        owned->term = event->term;
        publish(core, owned, OWNED_HELD);
        return;
    }
    struct proa_ref holder = proa_ref_none();
    if (event->outcome == PROA_ALREADY_REGISTERED) {
        holder = registrar_ref_of(&event->record);
        owned->term = event->record.term;
    }
    answer(core, owned, event->outcome, holder);
    remove_entry(self, owned);
}

/* ---- Giving up ---- */

static void release(struct core *core, struct owned *owned)
{
    struct proa_ref ref = owned_ref(core, owned);

    if (owned->state == OWNED_CLAIMING || owned->state == OWNED_GIVEN_UP) {
        owned->state = OWNED_GIVEN_UP;
        return;
    }
    directory_remove_ref(core->config.directory, owned->entry.name, owned->entry.len,
                         ref);
    if (owned->state == OWNED_HELD)
        kad_unregister(core->kad, owned->entry.name, owned->entry.len, core->now);
    wanted_released(core, owned);
    remove_entry(core->registrar, owned);
}

void owned_unregister(struct core *core, const struct registrar_call *call)
{
    struct owned *owned = find(core, call->name, call->head.len);
    bool ours = owned != NULL && owned->slot == call->head.slot &&
                owned->generation == call->head.generation;

    if (ours)
        release(core, owned);
    if (call->head.correlation != 0)
        registrar_answer_call(core, call, ours ? PROA_OK : PROA_NOT_FOUND,
                              proa_ref_none(), 0);
}

void registrar_stopped(struct core *core, const struct punt_actor *actor)
{
    struct registrar *self = core->registrar;
    uint32_t at = *actor_bucket(self, actor->slot);

    while (at != 0) {
        struct owned *owned = owned_at(self, at - 1);
        at = owned->next_actor;
        if (owned->slot == actor->slot && owned->generation == actor->generation)
            release(core, owned);
    }
}

/* The same name, owner and term: no tombstone, and nobody can take it in between. */
static void move(struct core *core, struct owned *owned, uint32_t generation)
{
    owned->generation = generation;
    if (!directory_put(core->config.directory, owned->entry.name, owned->entry.len,
                       owned_ref(core, owned), owned->type, core->now))
        core->stats.names_refused++;
    if (owned->state == OWNED_HELD &&
        !kad_reissue(core->kad, owned->entry.name, owned->entry.len, owned->slot,
                     generation, core->now))
        core->stats.names_refused++;
}

void registrar_restarted(struct core *core, const struct punt_restart *restart)
{
    struct registrar *self = core->registrar;
    uint32_t at = *actor_bucket(self, restart->slot);

    while (at != 0) {
        struct owned *owned = owned_at(self, at - 1);
        at = owned->next_actor;
        if (owned->slot != restart->slot || owned->generation != restart->generation)
            continue;
        if (owned->state == OWNED_HELD || owned->state == OWNED_LOCAL)
            move(core, owned, restart->now);
        else
            release(core, owned); /* who asked for it is no more */
    }
}

void owned_lost(struct core *core, const struct kad_event *event)
{
    const struct record *record = &event->record;
    struct owned *owned = find(core, record->name, record->name_len);
    struct punt_actor actor;

    if (owned == NULL || owned->state != OWNED_HELD)
        return;
    actor = (struct punt_actor){owned->slot, owned->generation};
    core_tell(core, proa_ref_lane(owned_ref(core, owned)) % core->config.lanes,
              PUNT_NAME_LOST, &actor, sizeof(actor), owned->entry.name, owned->entry.len);
    directory_remove_ref(core->config.directory, owned->entry.name, owned->entry.len,
                         owned_ref(core, owned));
    events_name_lost(core, owned_ref(core, owned), event);
    remove_entry(core->registrar, owned);
    wanted_adopt(core, event);
}

void owned_leave(struct core *core)
{
    struct registrar *self = core->registrar;

    for (uint32_t i = 0; i < self->owned.high; i++) {
        struct owned *owned = owned_at(self, i);
        if (owned == NULL)
            continue;
        if (owned->state == OWNED_CLAIMING)
            answer(core, owned, PROA_STOPPED, proa_ref_none());
        /* Kademlia makes the tombstones (kad_leave). */
        directory_remove_ref(core->config.directory, owned->entry.name, owned->entry.len,
                             owned_ref(core, owned));
        remove_entry(self, owned);
    }
}
