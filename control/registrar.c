/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "registrar_internal.h"
#include "seeking.h"

struct registrar *registrar_create(uint32_t owned_max, uint32_t wanted_max, uint64_t salt)
{
    struct registrar *self = calloc(1, sizeof(*self));
    uint32_t buckets = 64;

    if (self == NULL)
        return NULL;
    if (owned_max == 0)
        owned_max = REGISTRAR_OWNED;
    if (wanted_max == 0)
        wanted_max = REGISTRAR_WANTED;
    while (buckets < owned_max)
        buckets *= 2;
    self->next_at = PROA_NS_NEVER;
    self->actor_mask = buckets - 1;
    self->by_actor = calloc(buckets, sizeof(*self->by_actor));
    self->waiters = calloc(REGISTRAR_WAITERS_MAX, sizeof(*self->waiters));
    if (!name_table_init(&self->owned, sizeof(struct owned), owned_max, salt) ||
        !name_table_init(&self->wanted, sizeof(struct wanted), wanted_max, salt) ||
        self->by_actor == NULL || self->waiters == NULL) {
        registrar_destroy(self);
        return NULL;
    }
    return self;
}

void registrar_destroy(struct registrar *self)
{
    if (self == NULL)
        return;
    name_table_fini(&self->owned);
    name_table_fini(&self->wanted);
    free(self->by_actor);
    free(self->waiters);
    free(self);
}

/* ---- What both tables use ---- */

void registrar_answer(struct core *core, const struct registrar_reply *to,
                      const char *name, size_t len, enum proa_outcome outcome,
                      struct proa_ref ref, uint64_t term)
{
    struct punt_answer answer = {
        .correlation = to->correlation,
        .slot = to->slot,
        .generation = to->generation,
        .outcome = outcome,
        .ref = ref,
        .term = term,
        .settled = to->settled,
    };

    core_tell(core, to->lane, PUNT_NAME_ANSWER, &answer, sizeof(answer), name, len);
}

void registrar_answer_call(struct core *core, const struct registrar_call *call,
                           enum proa_outcome outcome, struct proa_ref ref, uint64_t term)
{
    struct registrar_reply to = {call->lane, call->head.correlation, call->head.slot,
                                 call->head.generation, false};

    if (outcome == PROA_LIMIT || outcome == PROA_INVALID || outcome == PROA_STOPPED)
        core->stats.names_refused++;
    registrar_answer(core, &to, call->name, call->head.len, outcome, ref, term);
}

void registrar_op_add(struct registrar *self, uint32_t op, bool is_claim, uint32_t place)
{
    /* Kademlia has no more than KAD_OPS_MAX under way, and each ends with an event. */
    PROA_ASSERT(self->op_count < KAD_OPS_MAX);
    self->ops[self->op_count++] = (struct registrar_op){op, place, is_claim};
}

static struct registrar_op *op_find(struct registrar *self, uint32_t op)
{
    for (uint32_t i = 0; i < self->op_count; i++) {
        if (self->ops[i].op == op)
            return &self->ops[i];
    }
    return NULL;
}

void registrar_op_drop(struct registrar *self, uint32_t op)
{
    struct registrar_op *at = op_find(self, op);

    if (at != NULL)
        *at = self->ops[--self->op_count];
}

struct proa_ref registrar_ref_of(const struct record *record)
{
    return (struct proa_ref){kad_id_node64(&record->owner), record->slot,
                             record->generation};
}

/* ---- What comes in ---- */

static void refuse(struct core *core, const struct registrar_call *call,
                   enum proa_outcome outcome)
{
    struct registrar_call cut = *call;

    if (cut.head.len > PROA_NAME_MAX)
        cut.head.len = PROA_NAME_MAX;
    registrar_answer_call(core, &cut, outcome, proa_ref_none(), 0);
}

void registrar_call(struct core *core, const struct registrar_call *call)
{
    if (call->head.len == 0 || call->head.len > PROA_NAME_MAX ||
        memchr(call->name, 0, call->head.len) != NULL) {
        refuse(core, call, PROA_INVALID);
        return;
    }
    if (core->leaving) {
        refuse(core, call, PROA_STOPPED);
        return;
    }
    switch (call->head.op) {
    case PUNT_REGISTER:
    case PUNT_REGISTER_LOCAL:
        owned_register(core, call);
        return;
    case PUNT_UNREGISTER:
        owned_unregister(core, call);
        return;
    case PUNT_LOOKUP_NOW:
    case PUNT_LOOKUP_WAIT:
        wanted_lookup(core, call);
        return;
    case PUNT_JOIN:
    case PUNT_LEAVE:
        groups_call(core, call);
        return;
    case PUNT_FIND_GROUP:
        seeking_call(core, call);
        return;
    }
    refuse(core, call, PROA_INVALID);
}

void registrar_event(struct core *core, const struct kad_event *event)
{
    struct registrar *self = core->registrar;
    struct registrar_op *at, op;

    switch (event->kind) {
    case KAD_REGISTERED:
    case KAD_LOOKED_UP:
        at = op_find(self, event->op);
        if (at == NULL)
            return; /* dropped meanwhile */
        op = *at;
        registrar_op_drop(self, op.op);
        if (op.is_claim)
            owned_registered(core, op.place, event);
        else
            wanted_looked_up(core, op.place, event);
        return;
    case KAD_CHANGED:
        wanted_changed(core, event);
        return;
    case KAD_NAME_LOST:
        owned_lost(core, event);
        return;
    case KAD_JOINED:
        wanted_joined(core);
        return;
    default:
        return;
    }
}

void registrar_stopped(struct core *core, const struct punt_actor *actor)
{
    owned_stopped(core, actor);
    groups_stopped(core, actor);
}

void registrar_restarted(struct core *core, const struct punt_restart *restart)
{
    owned_restarted(core, restart);
    groups_restarted(core, restart);
}

void registrar_node_gone(struct core *core, uint64_t node)
{
    wanted_node_gone(core, node);
}

void registrar_node(struct core *core, uint64_t node, bool alive)
{
    wanted_node(core, node, alive);
}

void registrar_leave(struct core *core)
{
    owned_leave(core);
    wanted_leave(core);
    groups_leave(core);
    seeking_leave(core);
}

uint32_t registrar_names(const struct registrar *self)
{
    return self->owned.used;
}

void registrar_tick(struct core *core)
{
    if (core->now >= core->registrar->next_at)
        wanted_tick(core);
}

proa_ns registrar_deadline(const struct registrar *self)
{
    return self->next_at;
}
