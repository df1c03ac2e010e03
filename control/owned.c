/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

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

static void remove_entry(struct core *core, struct owned *owned)
{
    struct registrar *self = core->registrar;

    if (owned->op != 0)
        registrar_op_drop(self, owned->op);
    if (owned->counted)
        mesh_port_release(core, MESH_NAME);
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

/* ---- What linked nodes are told ---- */

/* False: Kademlia does not hold it any more. */
static bool entry_of(const struct core *core, const struct owned *owned,
                     struct mesh_entry *ret)
{
    struct kad_claim_info info;

    if (!kad_held(core->kad, owned->entry.name, owned->entry.len, &info))
        return false;
    *ret = (struct mesh_entry){
        .kind = MESH_NAME,
        .node = core->node,
        .slot = owned->slot,
        .generation = owned->generation,
        .type = owned->type,
        .term = info.term,
        .issued = info.issued,
        .claim = info.claim,
        .len = owned->entry.len,
    };
    memcpy(ret->name, owned->entry.name, owned->entry.len);
    return true;
}

/* The mesh has what Kademlia's record says. */
static void publish_entry(struct core *core, struct owned *owned)
{
    struct mesh_entry entry;

    if (!entry_of(core, owned, &entry))
        return;
    if (owned->index == MESH_NONE)
        owned->index = mesh_port_publish(core, &entry);
    else
        mesh_republish(core->mesh_port.mesh, owned->index, &entry, core->now);
}

static void withdraw_entry(struct core *core, struct owned *owned)
{
    if (owned->index != MESH_NONE)
        mesh_withdraw(core->mesh_port.mesh, owned->index, core->now);
    owned->index = MESH_NONE;
}

/* ---- Winning ---- */

static void decide(struct core *core, const struct owned *owned)
{
    holders_decide(core, owned->entry.name, owned->entry.len);
}

/* It is ours no longer: the entry goes, and then whoever else has the name is its holder. */
static void forget(struct core *core, struct owned *owned)
{
    char name[PROA_NAME_MAX];
    size_t len = owned->entry.len;

    memcpy(name, owned->entry.name, len);
    withdraw_entry(core, owned);
    remove_entry(core, owned);
    holders_decide(core, name, len);
}

/* The name is won: visible from here on. */
static void publish(struct core *core, struct owned *owned, enum owned_state state)
{
    owned->state = (uint8_t)state;
    owned->won_at = core->now;
    if (state == OWNED_HELD)
        publish_entry(core, owned);
    decide(core, owned);
    answer(core, owned, PROA_OK, owned_ref(core, owned));
}

/* ---- Losing ---- */

static void reissue(struct core *core, struct owned *owned)
{
    if (!kad_reissue(core->kad, owned->entry.name, owned->entry.len, owned->slot,
                     owned->generation, core->now))
        core->stats.names_refused++;
    publish_entry(core, owned);
}

static const struct mesh_entry *rival_of(const struct core *core,
                                         const struct owned *owned)
{
    return mesh_name(core->mesh_port.mesh, owned->entry.name, owned->entry.len);
}

/* Its actor and the node's events are told that node's claim was better. */
static void lose(struct core *core, struct owned *owned, uint64_t node)
{
    struct punt_actor actor = {owned->slot, owned->generation};
    struct proa_ref ref = owned_ref(core, owned);

    core_tell(core, proa_ref_lane(ref) % core->config.lanes, PUNT_NAME_LOST, &actor,
              sizeof(actor), owned->entry.name, owned->entry.len);
    events_name_lost(core, ref, node, owned->entry.name, owned->entry.len);
    forget(core, owned);
}

void owned_lost(struct core *core, const struct kad_event *event)
{
    const struct record *record = &event->record;
    struct owned *owned = find(core, record->name, record->name_len);

    if (owned == NULL || owned->state != OWNED_HELD)
        return;
    lose(core, owned, kad_id_node64(&record->owner));
    wanted_adopt(core, event);
}

void owned_contend(struct core *core, const struct mesh_entry *entry)
{
    struct owned *owned = find(core, entry->name, entry->len);
    struct mesh_entry ours;

    if (owned == NULL || owned->state != OWNED_HELD || !entry_of(core, owned, &ours))
        return;
    if (!mesh_beats(entry, &ours)) {
        kad_renew(core->kad, entry->name, entry->len, core->now);
        return;
    }
    kad_yield(core->kad, entry->name, entry->len, core->now);
    wanted_released(core, owned);
    lose(core, owned, entry->node);
}

/* Kademlia gave it to us, and a linked node has a better claim: both sides of a partition found a
   quorum. */
static void yield_to_known(struct core *core, const struct owned *owned)
{
    const struct mesh_entry *rival = rival_of(core, owned);
    struct mesh_entry theirs, ours;

    if (rival == NULL || !entry_of(core, owned, &ours) || !mesh_beats(rival, &ours))
        return;
    theirs = *rival;
    owned_contend(core, &theirs);
}

/* ---- Claiming ---- */

static void claim(struct core *core, struct owned *owned, proa_ns deadline)
{
    struct registrar *self = core->registrar;

    owned->state = OWNED_CLAIMING;
    owned->op = kad_register(core->kad, owned->entry.name, owned->entry.len, owned->slot,
                             owned->generation, owned->type, deadline, core->now);
    if (owned->op == 0) {
        answer(core, owned, PROA_LIMIT, proa_ref_none());
        remove_entry(core, owned);
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
        take_call(owned, call);
        if (!cluster) {
            publish(core, owned, OWNED_LOCAL);
            return;
        }
        /* Kademlia claims a name once; the next claim gets a higher term. */
        if (kad_unregister(core->kad, owned->entry.name, owned->entry.len, core->now))
            wanted_released(core, owned);
        withdraw_entry(core, owned);
        owned->state = OWNED_CLAIMING;
        decide(core, owned);
        claim(core, owned, call->head.deadline);
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
    owned->index = MESH_NONE;
    actor_link(self, owned);
    if (call->head.op == PUNT_REGISTER_LOCAL) {
        publish(core, owned, OWNED_LOCAL);
        return;
    }
    owned->counted = mesh_port_reserve(core, MESH_NAME, owned_ref(core, owned),
                                       call->name, call->head.len);
    if (owned->counted) {
        claim(core, owned, call->head.deadline);
        return;
    }
    answer(core, owned, PROA_LIMIT, proa_ref_none());
    remove_entry(core, owned);
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
        remove_entry(core, owned);
        return;
    }
    if (event->outcome == PROA_OK) {
        owned->term = event->term;
        publish(core, owned, OWNED_HELD);
        yield_to_known(core, owned);
        return;
    }
    struct proa_ref holder = proa_ref_none();
    if (event->outcome == PROA_ALREADY_REGISTERED) {
        holder = registrar_ref_of(&event->record);
        owned->term = event->record.term;
    }
    answer(core, owned, event->outcome, holder);
    remove_entry(core, owned);
}

/* ---- Giving up ---- */

static void release(struct core *core, struct owned *owned)
{
    if (owned->state == OWNED_CLAIMING || owned->state == OWNED_GIVEN_UP) {
        owned->state = OWNED_GIVEN_UP;
        return;
    }
    if (owned->state == OWNED_HELD)
        kad_unregister(core->kad, owned->entry.name, owned->entry.len, core->now);
    wanted_released(core, owned);
    forget(core, owned);
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

void owned_stopped(struct core *core, const struct punt_actor *actor)
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
    decide(core, owned);
    if (owned->state == OWNED_HELD)
        reissue(core, owned);
}

void owned_restarted(struct core *core, const struct punt_restart *restart)
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

/* ---- Leaving ---- */

void owned_leave(struct core *core)
{
    struct registrar *self = core->registrar;

    for (uint32_t i = 0; i < self->owned.high; i++) {
        struct owned *owned = owned_at(self, i);
        if (owned == NULL)
            continue;
        if (owned->state == OWNED_CLAIMING)
            answer(core, owned, PROA_STOPPED, proa_ref_none());
        /* Kademlia makes the tombstones (kad_leave), the mesh its good-bye (mesh_leave). */
        forget(core, owned);
    }
}
