/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_internal.h"

static const uint64_t nothing;

/* ---- Answers coming in ---- */

/* The ask that a reply for an actor of this lane answers, or NULL: over, or never asked. */
static struct ask *find(struct sched *s, const struct proa_msg *reply,
                        struct slot **ret_slot)
{
    struct slot *slot = slot_find(&s->slots, reply->to.slot, reply->to.generation);
    struct ask *ask = ask_find(&s->asks, reply->correlation);

    if (slot == NULL || ask == NULL || ask->state != ASK_IN_FLIGHT ||
        ask->slot != slot_index(&s->slots, slot) || ask->kind > ASK_QUESTION_LAST)
        return NULL;
    *ret_slot = slot;
    return ask;
}

/* The reply is here: neither its deadline nor a dead link matters any more. */
static void arrived(struct sched *s, struct ask *ask)
{
    timer_wheel_cancel(&s->wheel, &ask->timer);
    ask_unlink(&s->asks, ask);
    ask->state = ASK_ANSWERED;
}

static void queue_reply(struct sched *s, struct slot *slot, struct ask *ask,
                        const struct proa_msg *reply, void *bulk)
{
    if (enqueue_reserved(s, slot, reply, bulk, reply->cls))
        return;
    /* No memory at all: the asker is told what is true without the reply. */
    STAT_ADD(s, replies_lost, 1);
    if (bulk != NULL)
        bulk_free(&s->bulk, bulk);
    ask->state = ASK_IN_FLIGHT;
    ask_settle(&s->asks, ask, PROA_NO_REPLY, false);
}

void answer_in(struct sched *s, const struct proa_msg *reply, void *bulk,
               bool in_place_ok)
{
    struct slot *slot;
    struct ask *ask = find(s, reply, &slot);

    if (ask == NULL) {
        STAT_ADD(s, late_replies, 1);
        if (bulk != NULL)
            bulk_free(&s->bulk, bulk);
        return;
    }
    arrived(s, ask);
    if (ask->kind == ASK_CLIENT || (in_place_ok && in_place_may(s, slot))) {
        struct proa_actor self;

        frame_begin(&self, s, slot);
        self.bulk = bulk;
        s->hot.in_place++;
        answer_run(&self, ask, PROA_OK, reply);
        frame_end(&self);
        return;
    }
    queue_reply(s, slot, ask, reply, bulk);
}

/* ---- Replies going out ---- */

enum proa_outcome reply_send(struct sched *s, const struct proa_msg *reply)
{
    enum proa_outcome outcome;

    if (reply->len > s->message_max)
        return send_failed(s, NULL, PROA_TOO_LARGE);
    if (ref_here(s, reply->to)) {
        answer_in(s, reply, NULL, false);
        outcome = PROA_OK;
    } else if (reply->to.node == s->node) {
        outcome = cross_send(s, proa_ref_lane(reply->to), reply, NULL, true);
    } else {
        outcome =
            s->below.send != NULL ? s->below.send(s->below.ctx, reply) : PROA_NO_ROUTE;
        if (outcome == PROA_TOO_LARGE)
            return send_failed(s, NULL, outcome);
    }
    if (outcome == PROA_OK)
        s->hot.replies++;
    else
        STAT_ADD(s, replies_lost, 1);
    return PROA_OK;
}

/* Filled where it stays: a copy of what was just stored in pieces waits for the stores. */
static inline void reply_fill(struct proa_msg *reply, const struct proa_actor *self,
                              const struct proa_ref *origin, const void *data, size_t len)
{
    reply->data = len > 0 ? data : &nothing;
    reply->len = (uint32_t)len;
    ref_copy(&reply->from, &self->ref);
    ref_copy(&reply->to, origin);
    reply->deadline = 0;
    reply->flags = PROA_MSG_REPLY;
    reply->hops = 0;
    reply->zero = 0;
}

static bool may_answer(const struct proa_actor *self, const struct proa_msg *msg)
{
    return msg == self->msg && !self->answered;
}

enum proa_outcome proa_reply(struct proa_actor *self, const struct proa_msg *msg,
                             const void *data, size_t len)
{
    struct proa_msg reply;
    enum proa_outcome outcome;

    if (!may_answer(self, msg))
        return PROA_NOT_AN_ASK;
    if (len > UINT32_MAX)
        return send_failed(self->sched, NULL, PROA_TOO_LARGE);
    reply_fill(&reply, self, &msg->from, data, len);
    reply.type = msg->type;
    reply.correlation = msg->correlation;
    reply.cls = msg->cls;
    outcome = reply_send(self->sched, &reply);
    if (outcome == PROA_OK)
        self->answered = true;
    return outcome;
}

/* ---- Tokens ---- */

enum proa_outcome proa_reply_later(struct proa_actor *self, const struct proa_msg *msg,
                                   struct proa_token *ret_token)
{
    struct sched *s = self->sched;
    struct reply_token *token;

    if (!may_answer(self, msg))
        return PROA_NOT_AN_ASK;
    if (self->slot->tokens >= PROA_LATER_MAX)
        return send_failed(s, NULL, PROA_LIMIT);
    token = reply_token_alloc(&s->tokens, self->slot, slot_index(&s->slots, self->slot));
    if (token == NULL)
        return send_failed(s, NULL, PROA_LIMIT);
    token->origin = msg->from;
    token->correlation = msg->correlation;
    token->type = msg->type;
    token->cls = msg->cls;
    timer_wheel_start(&s->wheel, &token->timer, TIMER_TOKEN, msg->deadline);
    self->answered = true;
    *ret_token = (struct proa_token){(uint32_t)(token - s->tokens.tokens), token->serial};
    return PROA_OK;
}

enum proa_outcome proa_reply_token(struct proa_actor *self, struct proa_token token,
                                   const void *data, size_t len)
{
    struct sched *s = self->sched;
    struct reply_token *held =
        reply_token_find(&s->tokens, token, slot_index(&s->slots, self->slot));
    struct proa_msg reply;
    enum proa_outcome outcome;

    if (held == NULL)
        return PROA_NOT_AN_ASK;
    if (len > UINT32_MAX)
        return send_failed(s, NULL, PROA_TOO_LARGE);
    reply_fill(&reply, self, &held->origin, data, len);
    reply.type = held->type;
    reply.correlation = held->correlation;
    reply.cls = held->cls;
    outcome = reply_send(s, &reply);
    if (outcome == PROA_OK) {
        timer_wheel_cancel(&s->wheel, &held->timer);
        reply_token_release(&s->tokens, self->slot, held);
    }
    return outcome;
}

void tokens_end(struct sched *s, struct slot *slot)
{
    while (slot->token_list != REPLY_TOKEN_NONE) {
        struct reply_token *token = &s->tokens.tokens[slot->token_list];
        struct proa_msg ask = {.data = &nothing,
                               .type = token->type,
                               .from = token->origin,
                               .to = ref_of(s, slot),
                               .correlation = token->correlation,
                               .flags = PROA_MSG_ASK,
                               .cls = token->cls};

        timer_wheel_cancel(&s->wheel, &token->timer);
        reply_token_release(&s->tokens, slot, token);
        refuse_msg(s, &ask, PROA_MAYBE_EXECUTED);
    }
}
