/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_turn.h"

#include "client_ring.h"

#define RUN_CHUNK 64u /* messages between looks at the clock */

static const uint64_t nothing;

/* ---- One message ---- */

/* What is to be told when the handler of an ask returned without an answer. */
static void unanswered(struct proa_actor *self, const struct proa_msg *msg)
{
    bool stopping = (self->slot->flags & SLOT_STOP) != 0;

    refuse_msg(self->sched, msg, stopping ? PROA_MAYBE_EXECUTED : PROA_NO_REPLY);
}

static inline void handle(struct proa_actor *self, const struct proa_msg *msg)
{
    struct behaviour *b = self->slot->behaviour;
    const struct behaviour_row *row = behaviour_row(b, msg->type);
    proa_handler fn = row != NULL ? row->fn : b->def->any;

    if (__builtin_expect(fn == NULL, 0)) {
        refuse_msg(self->sched, msg, PROA_REFUSED_UNKNOWN_TYPE);
        return;
    }
    if (__builtin_expect(row != NULL && msg->len < row->min_len, 0)) {
        refuse_msg(self->sched, msg, PROA_REFUSED_BAD_LENGTH);
        return;
    }
    self->msg = msg;
    self->answered = true;
    if ((msg->flags & PROA_MSG_ASK) != 0) {
        if (msg->deadline <= self->sched->now) {
            refuse_msg(self->sched, msg, PROA_REFUSED_EXPIRED);
            return;
        }
        self->answered = false;
    }
    b->metrics.handled++;
    /* relaxed: as in frame_begin. */
    atomic_store_explicit(&self->sched->running_type, msg->type, memory_order_relaxed);
    fn(self, msg);
    self->msg = NULL;
    if (__builtin_expect(!self->answered, 0)) {
        unanswered(self, msg);
        self->answered = true; /* outside of an ask it is */
    }
}

static inline void drop_bulk(struct proa_actor *self)
{
    if (__builtin_expect(self->bulk != NULL, 0)) {
        bulk_free(&self->sched->bulk, self->bulk);
        self->bulk = NULL;
    }
}

void dispatch(struct proa_actor *self, const struct proa_msg *msg)
{
    handle(self, msg);
    drop_bulk(self);
}

/* ---- Answers ---- */

void answer_run(struct proa_actor *self, struct ask *ask, enum proa_outcome outcome,
                const struct proa_msg *reply)
{
    struct sched *s = self->sched;
    struct slot *slot = self->slot;
    alignas(16) uint8_t ctx[PROA_CONTEXT_MAX];
    struct proa_answer answer = {.outcome = outcome, .data = &nothing, .from = ask->to};
    proa_then then = ask->fn.then;
    uint32_t id = ask->fn.client_id;
    enum ask_kind kind = ask->kind;

    if (reply != NULL) {
        answer.data = reply->data;
        answer.len = reply->len;
        answer.from = reply->from;
        s->hot.answered++;
    }
    if (kind == ASK_NAME || kind == ASK_CLIENT_NAME) {
        name_settled(self, ask, outcome);
        return;
    }
    if (kind == ASK_OFFLOAD) {
        offload_answer(self, ask);
        return;
    }
    if (kind == ASK_SPAWN_AT) {
        spawn_answered(self, ask, outcome, reply);
        drop_bulk(self);
        return;
    }
    memcpy(ctx, ask->ctx, sizeof(ctx));
    if (kind == ASK_SPAWN) {
        proa_spawned spawned = ask->fn.spawned;

        ask_release(&s->asks, slot, ask);
        spawned(self, outcome, answer.from, ctx);
        return;
    }
    ask_release(&s->asks, slot, ask);
    if (kind == ASK_CLIENT)
        client_answer(s, slot, id, CLIENT_ANSWER, outcome, reply);
    else
        then(self, &answer, ctx);
    drop_bulk(self);
}

uint32_t settled_run(struct sched *s, uint32_t max)
{
    uint32_t done = 0;

    for (; done < max; done++) {
        struct ask *ask = ask_settled_take(&s->asks);
        struct proa_actor self;

        if (ask == NULL)
            break;
        frame_begin(&self, s, &s->slots.slots[ask->slot]);
        answer_run(&self, ask, ask->outcome, NULL);
        frame_end(&self);
    }
    return done;
}

/* ---- One node of a mailbox ---- */

static void signal_run(struct proa_actor *self, const struct node *node)
{
    const struct proa_msg *msg = &node->msg;
    struct proa_signal signal = {.to = msg->from};
    const struct behaviour *b = self->slot->behaviour;

    switch (msg->type) {
    case NODE_STOP:
        self->slot->flags |= SLOT_STOP;
        self->slot->reason = PROA_REASON_KILLED;
        return;
    case NODE_DOWN:
        if (!down_run(self, node, &signal))
            return;
        break;
    case NODE_CHANGED:
        changed_run(self, node);
        return;
    case NODE_WRITABLE:
        signal.kind = PROA_SIGNAL_WRITABLE;
        break;
    case NODE_UNDELIVERED:
        signal.kind = PROA_SIGNAL_UNDELIVERED;
        signal.reason = (enum proa_outcome)(msg->deadline >> 32);
        signal.type = (uint32_t)msg->deadline;
        signal.count = msg->correlation;
        break;
    case NODE_EVENT:
        signal.kind = PROA_SIGNAL_EVENT;
        signal.event = (const struct proa_event *)(const void *)node->payload;
        break;
    default:
        signal.kind = PROA_SIGNAL_NAME_LOST;
        signal.name = (const char *)node->payload;
        break;
    }
    if (b->def->signal != NULL)
        b->def->signal(self, &signal);
}

static void dispatch_sampled(struct proa_actor *self, const struct node *node,
                             uint8_t bits)
{
    proa_ns at;
    struct metrics *m = (bits & NODE_SAMPLED) != 0 ? sample_begin(self, node, &at) : NULL;

    dispatch(self, &node->msg);
    if (m != NULL)
        sample_end(self->sched, m, at);
}

/* A node that is no ordinary message: one that is measured, a signal, a reply, or one with a bulk buffer. */
static __attribute__((noinline)) void node_run_other(struct proa_actor *self,
                                                     struct node *node)
{
    struct sched *s = self->sched;
    uint8_t bits = node->msg.zero;
    struct proa_msg *msg;

    self->msg = NULL;
    atomic_store_explicit(&s->running_type, PROA_EVENT_NO_TYPE, memory_order_relaxed);
    if ((node->msg.flags & PROA_MSG_SYSTEM) != 0) {
        signal_run(self, node);
        node_free(s, node);
        return;
    }
    msg = node_open(node);
    if ((bits & NODE_BULK) != 0)
        self->bulk = node_bulk(node);
    msg->zero = 0;
    if ((msg->flags & PROA_MSG_REPLY) == 0) {
        dispatch_sampled(self, node, bits);
    } else {
        struct ask *ask = ask_find(&s->asks, msg->correlation);

        PROA_ASSERT(ask != NULL && ask->state == ASK_ANSWERED);
        answer_run(self, ask, PROA_OK, msg);
    }
    slab_free(&s->slab, node, bits & NODE_BLOCK);
}

static inline __attribute__((always_inline)) void
brief_run(struct sched *s, struct behaviour *b, struct node *node)
{
    uint32_t type = node->brief.type, len = brief_len(node->brief.head);

    brief_open(node, &s->turn.msg);
    small_tell_run(s, b, type, len);
    slab_free(&s->slab, node, 0);
}

static inline void node_run_msg(struct proa_actor *self, struct node *node)
{
    uint8_t bits = node->msg.zero;

    if (__builtin_expect(((node->msg.flags & (PROA_MSG_REPLY | PROA_MSG_SYSTEM)) |
                          (bits & (NODE_BULK | NODE_SAMPLED))) != 0,
                         0)) {
        node_run_other(self, node);
        return;
    }
    node->msg.data = node->payload;
    node->msg.zero = 0;
    handle(self, &node->msg);
    slab_free(&self->sched->slab, node, bits & NODE_BLOCK);
}

static inline void node_run(struct proa_actor *self, struct node *node)
{
    if (node_is_brief(node))
        brief_run(self->sched, self->slot->behaviour, node);
    else
        node_run_msg(self, node);
}

/* ---- One actor's turn ---- */

static struct node *take_urgent(struct mailbox *mailbox)
{
    struct node *node = mailbox_take(mailbox, PROA_CLASS_SYSTEM);

    return node != NULL ? node : mailbox_take(mailbox, PROA_CLASS_URGENT);
}

/* Runs what waits now, at most max; what comes meanwhile waits for the next turn, so that an
   actor that tells itself to go on lets others run.  The list of normal messages is taken as a
   whole: popping them one by one costs twice as much (perf/bench_tell).  member is known to the
   compiler, so that who is none pays nothing. */
static inline __attribute__((always_inline)) uint32_t
run_list(struct sched *s, struct slot *slot, uint32_t max, bool member)
{
    struct proa_actor *self = &s->turn.self;
    struct behaviour *b = slot->behaviour;
    struct mailbox *mailbox = &slot->mailbox;
    struct node *last = NULL;
    struct node *node = mailbox_take_all(mailbox, PROA_CLASS_NORMAL, &last);
    uint32_t done = 0;

    for (; done < max && (slot->flags & SLOT_STOP) == 0; done++) {
        if (__builtin_expect(mailbox_overtaken(mailbox), 0)) {
            node_run(self, take_urgent(mailbox));
        } else if (node != NULL) {
            struct node *next = node->next;

            __builtin_prefetch(next);
            if (__builtin_expect(node_is_brief(node), 1)) {
                mailbox->count[PROA_CLASS_NORMAL]--;
                brief_run(s, b, node);
            } else {
                mailbox->count[PROA_CLASS_NORMAL] -=
                    (node->msg.zero & NODE_UNCOUNTED) == 0;
                node_run_msg(self, node);
            }
            node = next;
        } else {
            break;
        }
        if (member)
            load_settle(s, slot);
    }
    if (node != NULL)
        mailbox_put_back(mailbox, PROA_CLASS_NORMAL, node, last);
    return done;
}

/* The same for who drops its oldest, which must be found in the mailbox. */
static inline __attribute__((always_inline)) uint32_t
run_one_by_one(struct proa_actor *self, uint32_t max, bool member)
{
    struct slot *slot = self->slot;
    struct mailbox *mailbox = &slot->mailbox;
    uint32_t done = 0, normal = mailbox->count[PROA_CLASS_NORMAL] + 1;

    for (; done < max && (slot->flags & SLOT_STOP) == 0; done++) {
        struct node *node = take_urgent(mailbox);

        if (node == NULL && normal-- > 0)
            node = mailbox_take(mailbox, PROA_CLASS_NORMAL);
        if (node == NULL)
            break;
        node_run(self, node);
        if (member)
            load_settle(self->sched, slot);
    }
    return done;
}

/* What few actors need at the end of a turn. */
static __attribute__((noinline)) void turn_ended(struct sched *s, struct slot *slot)
{
    if ((slot->flags & SLOT_TELL) != 0)
        full_check(s, slot);
    if ((slot->flags & SLOT_MEMBER) != 0)
        load_settle(s, slot);
}

static inline __attribute__((always_inline)) uint32_t
turn_as(struct sched *s, struct slot *slot, uint32_t max, bool member)
{
    struct proa_actor *self = turn_begin(s, slot);
    uint32_t done;

    if (__builtin_expect(slot->behaviour->drops_oldest, 0))
        done = run_one_by_one(self, max, member);
    else
        done = run_list(s, slot, max, member); /* not from self: just written */
    s->hot.mailbox += done;
    metrics_turn(&slot->behaviour->metrics, done);
    if (!mailbox_empty(&slot->mailbox)) {
        metrics_depth(&slot->behaviour->metrics, mailbox_depth(&slot->mailbox));
        ready_push(s, slot);
    }
    if (__builtin_expect((slot->flags & (SLOT_TELL | SLOT_MEMBER)) != 0, 0))
        turn_ended(s, slot);
    frame_end(self);
    return done;
}

/* The turn of who is no ordinary actor. */
static __attribute__((noinline)) uint32_t turn_other(struct sched *s, struct slot *slot,
                                                     uint32_t max)
{
    if (slot->state == SLOT_LIVE && (slot->flags & SLOT_CLIENT) == 0)
        return turn_as(s, slot, max, true);
    slot->flags &= (uint8_t)~SLOT_READY;
    return slot->state != SLOT_LIVE ? actor_drain(s, slot, max)
                                    : client_turn(s, slot, max);
}

static inline uint32_t turn(struct sched *s, struct slot *slot, uint32_t max)
{
    if (__builtin_expect(slot->state != SLOT_LIVE ||
                             (slot->flags & (SLOT_CLIENT | SLOT_MEMBER)) != 0,
                         0))
        return turn_other(s, slot, max);
    return turn_as(s, slot, max, false);
}

static void sample_when_due(struct sched *s)
{
    if (s->hot.mailbox >= s->sample.next)
        sample_arm(s);
}

void sched_rest(struct sched *s)
{
    s->rests = true;
}

uint32_t sched_run(struct sched *s)
{
    proa_ns until = 0, now;
    uint32_t done, look = RUN_CHUNK;
    struct slot *slot;

    if (__builtin_expect(s->draining, 0))
        drain_some(s);
    done = settled_run(s, SCHED_RUN_MAX / 2);
    while (done < SCHED_RUN_MAX && !s->rests && (slot = ready_next(s)) != NULL) {
        if (s->ready_first != SLOT_NONE)
            __builtin_prefetch(&s->slots.slots[s->ready_first], 1);
        done += turn(s, slot, SCHED_TURN_MAX);
        if (s->clock == NULL || done < look)
            continue;
        look = done + RUN_CHUNK;
        sample_when_due(s);
        now = s->clock();
        if (until == 0)
            until = now + SCHED_RUN_NS;
        else if (now >= until)
            break;
    }
    sample_when_due(s);
    return done;
}

/* ---- Timers ---- */

static void actor_timer_fired(struct sched *s, struct actor_timer *timer)
{
    struct slot *slot = &s->slots.slots[timer->slot & SLOT_INDEX_MAX];
    proa_timeout fn = timer->fn;
    uint64_t cookie = timer->cookie;
    struct proa_actor self;

    actor_timer_release(&s->timers, slot, timer);
    STAT_ADD(s, timers, 1);
    frame_begin(&self, s, slot);
    fn(&self, cookie);
    frame_end(&self);
}

void timer_fired(void *ctx, struct timer_entry *e)
{
    struct sched *s = ctx;

    if (e->kind == TIMER_ACTOR) {
        actor_timer_fired(s, (struct actor_timer *)(void *)e);
    } else if (e->kind == TIMER_TOKEN) {
        struct reply_token *token = (struct reply_token *)(void *)e;

        STAT_ADD(s, tokens_expired, 1);
        reply_token_release(&s->tokens, &s->slots.slots[token->slot], token);
    } else {
        struct ask *ask = (struct ask *)(void *)e;
        bool name = ask->kind == ASK_NAME || ask->kind == ASK_CLIENT_NAME;

        STAT_ADD(s, expired, 1);
        ask_settle(&s->asks, ask, name ? name_timeout(ask->name_op) : PROA_MAYBE_EXECUTED,
                   true);
    }
}

/* No entry is free: one never used before, and again.  As proa_timer_start calls nothing but as the
   last thing it does, it saves no registers. */
static __attribute__((noinline)) enum proa_outcome
timer_start_fresh(struct proa_actor *self, proa_ns after, proa_timeout fn,
                  uint64_t cookie, struct proa_timer *ret_timer)
{
    if (!actor_timer_more(&self->sched->timers))
        return send_failed(self->sched, NULL, PROA_LIMIT);
    return proa_timer_start(self, after, fn, cookie, ret_timer);
}

enum proa_outcome proa_timer_start(struct proa_actor *self, proa_ns after,
                                   proa_timeout fn, uint64_t cookie,
                                   struct proa_timer *ret_timer)
{
    struct sched *s = self->sched;
    struct actor_timer *timer;

    if (fn == NULL || after > PROA_TIMER_MAX)
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending)
        return send_failed(s, NULL, PROA_LIMIT);
    if (__builtin_expect(s->timers.free == ACTOR_TIMER_NONE, 0))
        return timer_start_fresh(self, after, fn, cookie, ret_timer);
    timer = actor_timer_alloc(&s->timers, self->slot, self->ref.slot);
    timer->fn = fn;
    timer->cookie = cookie;
    if (ret_timer != NULL)
        *ret_timer =
            (struct proa_timer){(uint32_t)(timer - s->timers.timers), timer->serial};
    timer_wheel_start(&s->wheel, &timer->timer, TIMER_ACTOR, s->now + after);
    return PROA_OK;
}

bool proa_timer_cancel(struct proa_actor *self, struct proa_timer timer)
{
    struct sched *s = self->sched;
    struct actor_timer *entry = actor_timer_find(&s->timers, timer, self->ref.slot);

    if (entry == NULL)
        return false;
    timer_wheel_cancel(&s->wheel, &entry->timer);
    actor_timer_release(&s->timers, self->slot, entry);
    return true;
}

/* ---- Oneself ---- */

void *proa_state(struct proa_actor *self)
{
    return self->state;
}

struct proa_ref proa_self(struct proa_actor *self)
{
    return self->ref;
}

proa_ns proa_now(struct proa_actor *self)
{
    return self->sched->now;
}
