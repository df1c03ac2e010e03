/* SPDX-License-Identifier: Apache-2.0 */
/* Spawning on other nodes: an ask to a service of theirs, so that its deadline, refusals, dead
   links and late answers are those of every ask.  And where messages to services arrive. */
#include "scheduler_internal.h"
#include "spawn_request.h"

#define SERVICE_INDEX(slot) ((slot)&SLOT_INDEX_MAX)

/* ---- The question ---- */

static bool arguments_good(uint64_t node, uint32_t lane, const char *type_name,
                           const void *arg, size_t arg_len)
{
    size_t name_len = type_name != NULL ? strnlen(type_name, PROA_TYPE_MAX + 1) : 0;

    return node != 0 && (lane < PROA_LANES_MAX || lane == PROA_LANE_ANY) &&
           name_len > 0 && name_len <= PROA_TYPE_MAX && arg_len <= PROA_SPAWN_ARG_MAX &&
           (arg != NULL || arg_len == 0);
}

/* To this very node: without a link, but as if it came by one. */
static void ask_here(struct sched *s, struct proa_msg *msg, struct ask *ask)
{
    ask->to = msg->to;
    msg->correlation = ask->correlation;
    timer_wheel_start(&s->wheel, &ask->timer, TIMER_ASK, msg->deadline);
    s->hot.asks++;
    service_in(s, msg, NULL);
}

enum proa_outcome proa_spawn_at(struct proa_actor *self, uint64_t node, uint32_t lane,
                                const char *type_name, const void *arg, size_t arg_len,
                                proa_ns deadline, proa_spawned then, const void *ctx,
                                size_t ctx_len)
{
    struct sched *s = self->sched;
    struct slot *slot = self->slot;
    struct spawn_request request = {.arg = arg, .arg_len = (uint32_t)arg_len};
    alignas(8) uint8_t body[SPAWN_REQUEST_MAX];
    struct proa_msg msg = {.data = body,
                           .type = SERVICE_SPAWN,
                           .from = self->ref,
                           .to = {node, lane << 24 | SERVICE_SPAWN, 0},
                           .deadline = s->now + deadline,
                           .flags = PROA_MSG_ASK};
    enum proa_outcome outcome = PROA_OK;
    struct ask *ask;

    if (!arguments_good(node, lane, type_name, arg, arg_len) || then == NULL ||
        deadline == 0 || deadline > PROA_DEADLINE_MAX || ctx_len > PROA_CONTEXT_MAX ||
        (ctx == NULL && ctx_len > 0))
        return send_failed(s, slot, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, slot, PROA_STOPPED);
    ask = ask_alloc(&s->asks, slot, slot_index(&s->slots, slot), ASK_SPAWN_AT);
    if (ask == NULL)
        return send_failed(s, slot, PROA_LIMIT);
    ask->fn.spawned = then;
    payload_copy(ask->ctx, ctx, (uint32_t)ctx_len);
    memcpy(request.type_name, type_name, strlen(type_name) + 1);
    msg.len = (uint32_t)spawn_request_put(body, &request);
    if (node == s->node)
        ask_here(s, &msg, ask);
    else
        outcome = ask_send(s, slot, &msg, ask);
    return outcome == PROA_OK ? PROA_OK : send_failed(s, slot, outcome);
}

/* ---- The answer ---- */

static enum proa_outcome outcome_of(enum spawn_result result)
{
    static const enum proa_outcome outcomes[SPAWN_RESULTS] = {
        PROA_OK, PROA_REFUSED_NOT_ALLOWED, PROA_INVALID, PROA_LIMIT, PROA_STOPPED};

    return outcomes[result];
}

void spawn_answered(struct proa_actor *self, struct ask *ask, enum proa_outcome outcome,
                    const struct proa_msg *reply)
{
    struct sched *s = self->sched;
    alignas(16) uint8_t ctx[PROA_CONTEXT_MAX];
    proa_spawned then = ask->fn.spawned;
    struct proa_ref ref = {0, 0, 0};
    struct spawn_answer answer;

    if (reply != NULL && !spawn_answer_get(reply->data, reply->len, &answer)) {
        STAT_ADD(s, malformed, 1);
        outcome = PROA_MAYBE_EXECUTED;
    } else if (reply != NULL) {
        outcome = outcome_of(answer.result);
        if (outcome == PROA_OK)
            ref = (struct proa_ref){reply->from.node, answer.slot, answer.generation};
    }
    memcpy(ctx, ask->ctx, sizeof(ctx));
    ask_release(&s->asks, self->slot, ask);
    then(self, outcome, ref, ctx);
}

/* ---- The service ---- */

static const struct proa_behaviour *allowed(const struct sched *s, const char *type_name)
{
    for (uint32_t i = 0; i < s->allowed_count; i++)
        if (strcmp(s->allowed[i]->type_name, type_name) == 0)
            return s->allowed[i];
    return NULL;
}

static void tell_result(struct sched *s, const struct proa_msg *ask,
                        enum spawn_result result, struct proa_ref ref)
{
    struct spawn_answer answer = {result, ref.slot, ref.generation};
    alignas(8) uint8_t body[SPAWN_RESULT_LEN];
    struct proa_msg reply = {.data = body,
                             .len = sizeof(body),
                             .type = ask->type,
                             .from = {s->node, s->first_slot | SERVICE_SPAWN, 0},
                             .to = ask->from,
                             .correlation = ask->correlation,
                             .flags = PROA_MSG_REPLY,
                             .cls = ask->cls};

    spawn_answer_put(body, &answer);
    reply_send(s, &reply);
}

static enum spawn_result make(struct sched *s, const struct spawn_request *request,
                              struct proa_ref *ret_ref)
{
    const struct proa_behaviour *behaviour = allowed(s, request->type_name);

    if (behaviour == NULL) {
        STAT_ADD(s, refused[PROA_REFUSED_NOT_ALLOWED], 1);
        return SPAWN_NOT_ALLOWED;
    }
    s->queued_now++; /* many of them wait for the next loop, as messages do */
    switch (spawn_here(s, behaviour, request->arg, request->arg_len, false, ret_ref)) {
    case PROA_OK:
        return SPAWN_MADE;
    case PROA_STOPPED:
        return SPAWN_STOPPED;
    default:
        return SPAWN_LIMIT;
    }
}

static bool is_multicast(const struct proa_msg *msg)
{
    return SERVICE_INDEX(msg->to.slot) == SERVICE_MULTICAST && msg->flags == 0;
}

void service_here(struct sched *s, const struct proa_msg *msg, void *bulk)
{
    struct spawn_request request;
    struct proa_ref ref = {0, 0, 0};

    if (is_multicast(msg)) {
        multicast_here(s, msg);
    } else if (!spawn_request_get(msg->data, msg->len, &request)) {
        STAT_ADD(s, malformed, 1);
    } else if (msg->deadline <= s->now) {
        refuse_msg(s, msg, PROA_REFUSED_EXPIRED);
    } else {
        enum spawn_result result = make(s, &request, &ref);

        tell_result(s, msg, result, ref);
    }
    if (bulk != NULL)
        bulk_free(&s->bulk, bulk);
}

/* The lane that is to do it: the one asked for, or one after the other. */
static uint32_t choose_lane(struct sched *s, uint32_t slot)
{
    uint32_t lane = slot >> 24;

    return lane == SERVICE_LANE_ANY ? (s->lane + s->service_turn++) % s->lanes : lane;
}

void service_in(struct sched *s, const struct proa_msg *msg, void *bulk)
{
    struct proa_msg routed = *msg;
    uint32_t lane = choose_lane(s, msg->to.slot); /* of a spawn */

    routed.to.slot = lane << 24 | SERVICE_SPAWN;
    if ((msg->flags & PROA_MSG_REPLY) != 0) {
        STAT_ADD(s, late_replies, 1); /* services ask nobody */
    } else if (is_multicast(msg)) {
        multicast_in(s, msg);
    } else if ((msg->flags & PROA_MSG_ASK) == 0 || msg->type != SERVICE_SPAWN ||
               SERVICE_INDEX(msg->to.slot) != SERVICE_SPAWN) {
        refuse_msg(s, msg, PROA_REFUSED_NO_ACTOR);
    } else if (lane == s->lane) {
        service_here(s, &routed, bulk);
        return;
    } else if (lane >= s->lanes) {
        tell_result(s, msg, SPAWN_NO_LANE, proa_ref_none());
    } else if (cross_send(s, lane, &routed, bulk, false) == PROA_OK) {
        return;
    } else {
        refuse_msg(s, msg, PROA_REFUSED_BUSY);
    }
    if (bulk != NULL)
        bulk_free(&s->bulk, bulk);
}
