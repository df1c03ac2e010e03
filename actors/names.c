/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's calls: a record to the control thread, a wait, an answer. */
#include <proa/registry.h>

#include "client_ring.h"
#include "scheduler_internal.h"

/* The control thread answers at the deadline; only if it does not, the lane does. */
#define NAME_SLACK (200 * PROA_MS)
#define NAME_LOCAL_DEADLINE (5 * PROA_S) /* of calls that need no answer from afar */

bool up_push(struct sched *s, uint16_t kind, const void *body, uint32_t body_len,
             const void *tail, uint32_t tail_len)
{
    if (s->up == NULL || !byte_ring_push(s->up, kind, body, body_len, tail, tail_len))
        return false;
    s->up_dirty = true;
    return true;
}

enum proa_outcome name_timeout(uint32_t op)
{
    switch (op) {
    case PUNT_REGISTER:
        return PROA_NO_QUORUM;
    case PUNT_LOOKUP_WAIT:
        return PROA_NOT_FOUND;
    default:
        return PROA_UNKNOWN;
    }
}

enum proa_outcome name_wait(struct sched *s, struct slot *slot, enum ask_kind kind,
                            const struct punt_name *call, const char *name,
                            struct ask **ret_ask)
{
    const uint32_t block = node_block(PROA_NAME_MAX + 1);
    struct ask *ask = ask_alloc(&s->asks, slot, slot_index(&s->slots, slot), kind);
    struct node *node;

    if (ask == NULL)
        return PROA_LIMIT;
    node = slab_alloc(&s->slab, block, false);
    if (node == NULL) {
        s->again_kind = WAIT_SLAB;
        s->again_key = 0;
        ask->state = ASK_ANSWERED; /* nothing was asked */
        ask_release(&s->asks, slot, ask);
        return PROA_AGAIN;
    }
    node->msg.len = 0; /* it is not brief */
    node->msg.zero = (uint8_t)block;
    node->msg.from = proa_ref_none(); /* name_settle */
    node->msg.deadline = 0;
    memcpy(node->payload, name, call->len);
    node->payload[call->len] = '\0';
    ask->name = node;
    ask->name_op = call->op;
    timer_wheel_start(&s->wheel, &ask->timer, TIMER_ASK, call->deadline + NAME_SLACK);
    *ret_ask = ask;
    return PROA_OK;
}

void name_unwait(struct sched *s, struct slot *slot, struct ask *ask)
{
    timer_wheel_cancel(&s->wheel, &ask->timer);
    node_free(s, ask->name);
    ask->state = ASK_ANSWERED; /* nothing was asked */
    ask_release(&s->asks, slot, ask);
}

enum proa_outcome name_call(struct sched *s, struct slot *slot, enum ask_kind kind,
                            const struct punt_name *call, const char *name,
                            struct ask **ret_ask)
{
    struct punt_name body = *call;
    enum proa_outcome outcome = name_wait(s, slot, kind, call, name, ret_ask);

    if (outcome != PROA_OK)
        return outcome;
    body.correlation = (*ret_ask)->correlation;
    if (up_push(s, PUNT_NAME, &body, sizeof(body), name, call->len))
        return PROA_OK;
    name_unwait(s, slot, *ret_ask);
    s->again_kind = WAIT_UP;
    s->again_key = 0;
    return PROA_AGAIN;
}

/* ---- An actor's calls ---- */

bool name_valid(const char *name, uint32_t *ret_len)
{
    size_t len = name != NULL ? strnlen(name, PROA_NAME_MAX + 1) : 0;

    *ret_len = (uint32_t)len;
    return len > 0 && len <= PROA_NAME_MAX;
}

static enum proa_outcome actor_call(struct proa_actor *self, enum punt_name_op op,
                                    const char *name, proa_ns deadline, proa_named then,
                                    const void *ctx, size_t ctx_len)
{
    struct sched *s = self->sched;
    bool registers = op == PUNT_REGISTER || op == PUNT_REGISTER_LOCAL;
    struct punt_name call = {.op = op,
                             .slot = self->ref.slot,
                             .generation = self->ref.generation,
                             .type = registers ? self->slot->behaviour->type_id : 0,
                             .deadline = s->now + deadline};
    enum proa_outcome outcome;
    struct ask *ask;

    if (!name_valid(name, &call.len) || ctx_len > PROA_CONTEXT_MAX ||
        (ctx == NULL && ctx_len > 0) || deadline == 0 || deadline > PROA_DEADLINE_MAX ||
        (then == NULL && !registers && op != PUNT_UNREGISTER))
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, NULL, PROA_LIMIT);
    outcome = name_call(s, self->slot, ASK_NAME, &call, name, &ask);
    if (outcome != PROA_OK)
        return send_failed(s, self->slot, outcome);
    ask->fn.named = then;
    payload_copy(ask->ctx, ctx, (uint32_t)ctx_len);
    if (registers)
        self->slot->flags |= SLOT_NAMED;
    return PROA_OK;
}

enum proa_outcome proa_register(struct proa_actor *self, const char *name,
                                proa_ns deadline, proa_named then, const void *ctx,
                                size_t ctx_len)
{
    return actor_call(self, PUNT_REGISTER, name, deadline, then, ctx, ctx_len);
}

enum proa_outcome proa_register_local(struct proa_actor *self, const char *name,
                                      proa_named then, const void *ctx, size_t ctx_len)
{
    return actor_call(self, PUNT_REGISTER_LOCAL, name, NAME_LOCAL_DEADLINE, then, ctx,
                      ctx_len);
}

enum proa_outcome proa_unregister(struct proa_actor *self, const char *name)
{
    return actor_call(self, PUNT_UNREGISTER, name, NAME_LOCAL_DEADLINE, NULL, NULL, 0);
}

enum proa_outcome proa_lookup_now(struct proa_actor *self, const char *name,
                                  proa_ns deadline, proa_named then, const void *ctx,
                                  size_t ctx_len)
{
    return actor_call(self, PUNT_LOOKUP_NOW, name, deadline, then, ctx, ctx_len);
}

enum proa_outcome proa_lookup_wait(struct proa_actor *self, const char *name,
                                   proa_ns deadline, proa_named then, const void *ctx,
                                   size_t ctx_len)
{
    return actor_call(self, PUNT_LOOKUP_WAIT, name, deadline, then, ctx, ctx_len);
}

enum proa_outcome proa_lookup(struct proa_actor *self, const char *name,
                              const struct proa_behaviour *behaviour,
                              struct proa_ref *ret_ref)
{
    struct sched *s = self->sched;
    uint32_t type, len;

    if (!name_valid(name, &len) || !behaviour_wanted(&s->behaviours, behaviour, &type))
        return PROA_INVALID;
    if (s->directory == NULL)
        return PROA_UNKNOWN;
    return directory_lookup(s->directory, name, len, type, s->now, ret_ref);
}

/* ---- Answers ---- */

static void name_answered(struct proa_actor *self, struct ask *ask,
                          const struct proa_name_answer *answer)
{
    struct sched *s = self->sched;
    struct proa_name_answer named = *answer;
    struct node *node = ask->name;
    alignas(16) uint8_t ctx[PROA_CONTEXT_MAX];
    proa_named then = ask->fn.named;
    uint32_t id = ask->fn.client_id;
    enum ask_kind kind = ask->kind;

    named.name = (const char *)node->payload;
    memcpy(ctx, ask->ctx, sizeof(ctx));
    ask_release(&s->asks, self->slot, ask);
    if (kind == ASK_CLIENT_NAME)
        client_named(s, self->slot, id, named.outcome, named.ref);
    else if (then != NULL)
        then(self, &named, ctx);
    node_free(s, node);
}

void name_settled(struct proa_actor *self, struct ask *ask, enum proa_outcome outcome)
{
    const struct proa_msg *found = &ask->name->msg;
    struct proa_name_answer answer = {
        .outcome = outcome, .ref = found->from, .term = found->deadline, .settled = true};

    name_answered(self, ask, &answer);
}

void name_settle(struct sched *s, uint32_t correlation,
                 const struct proa_name_answer *answer)
{
    struct ask *ask = ask_find(&s->asks, correlation);

    if (ask == NULL || ask->state != ASK_IN_FLIGHT || ask->kind != ASK_NAME) {
        STAT_ADD(s, names_late, 1);
        return;
    }
    timer_wheel_cancel(&s->wheel, &ask->timer);
    ask->name->msg.from = answer->ref;
    ask->name->msg.deadline = answer->term;
    ask_settle(&s->asks, ask, answer->outcome, false);
}

void sched_name_answer(struct sched *s, const struct punt_answer *answer,
                       const char *name, size_t len)
{
    struct ask *ask = ask_find(&s->asks, answer->correlation);
    struct proa_name_answer named = {.outcome = answer->outcome,
                                     .ref = answer->ref,
                                     .term = answer->term,
                                     .settled = answer->settled};
    struct proa_actor self;

    (void)name; /* the caller kept it itself */
    (void)len;
    if (ask == NULL || ask->state != ASK_IN_FLIGHT ||
        (ask->kind != ASK_NAME && ask->kind != ASK_CLIENT_NAME)) {
        STAT_ADD(s, names_late, 1);
        return;
    }
    timer_wheel_cancel(&s->wheel, &ask->timer);
    ask->state = ASK_ANSWERED;
    frame_begin(&self, s, &s->slots.slots[ask->slot]);
    name_answered(&self, ask, &named);
    frame_end(&self);
}

void sched_name_lost(struct sched *s, const struct punt_actor *actor, const char *name,
                     size_t len)
{
    struct slot *slot = actor->slot >> 24 == s->lane
                            ? slot_find(&s->slots, actor->slot, actor->generation)
                            : NULL;
    char text[PROA_NAME_MAX + 1];

    if (slot == NULL || len > PROA_NAME_MAX) {
        STAT_ADD(s, signals_dropped, 1);
        return;
    }
    memcpy(text, name, len);
    text[len] = '\0';
    signal_push(s, slot, NODE_NAME_LOST, proa_ref_none(), 0, 0, text, (uint32_t)len + 1);
}
