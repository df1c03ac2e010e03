/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_turn.h"

#define LOOK_LEAST 2 /* handlers in place between looks at the clock */
#define LOOK_MOST 64
#define QUEUED_MAX 512 /* delivered into mailboxes in one loop: half of a usual mailbox */

/* Looks at the clock, a look being as dear as a handler that does little: twice as seldom as
   long as little time has passed, so that handlers that take long are found after a few. */
static __attribute__((noinline)) bool time_left(struct sched *s)
{
    proa_ns now;

    s->in_place_next = UINT32_MAX;
    s->sample.in_place = s->hot.in_place >= s->sample.next_in_place;
    if (s->clock == NULL)
        return true;
    if (s->in_place_until == 0) { /* the loop has just read it */
        s->in_place_until = s->now + SCHED_IN_PLACE_NS;
        s->in_place_step = s->in_place_next = LOOK_LEAST;
        s->in_place_seen = s->now;
        return true;
    }
    now = s->clock();
    if (now >= s->in_place_until) {
        s->in_place_left = 0;
        return false;
    } else if (now - s->in_place_seen > SCHED_IN_PLACE_NS / 8) {
        s->in_place_step = LOOK_LEAST;
    } else if (s->in_place_step < LOOK_MOST) {
        s->in_place_step *= 2;
    }
    s->in_place_seen = now;
    s->in_place_next = s->in_place_step;
    return true;
}

/* Spends one handler of the budget; false when it is gone. */
static inline bool budget_take(struct sched *s)
{
    if (s->in_place_left == 0 || (s->in_place_next-- == 0 && !time_left(s)))
        return false;
    s->in_place_left--;
    return true;
}

static inline bool is_idle(const struct sched *s, const struct slot *slot)
{
    const uint8_t busy = SLOT_READY | SLOT_RUNNING | SLOT_STOP | SLOT_CLIENT;

    return slot->state == SLOT_LIVE && (slot->flags & busy) == 0 && s->depth == 0;
}

static inline bool may(struct sched *s, const struct slot *slot)
{
    return is_idle(s, slot) && mailbox_empty(&slot->mailbox) && budget_take(s);
}

bool in_place_may(struct sched *s, const struct slot *slot)
{
    return may(s, slot);
}

static __attribute__((noinline)) void dispatch_timed(struct proa_actor *self,
                                                     const struct proa_msg *msg)
{
    struct sched *s = self->sched;
    struct metrics *metrics = &self->slot->behaviour->metrics;
    proa_ns at = s->clock != NULL ? s->clock() : s->now;

    s->sample.in_place = false;
    s->sample.next_in_place = s->hot.in_place + METRICS_EVERY;
    dispatch(self, msg);
    sample_end(s, metrics, at);
}

static inline void run_in_place(struct sched *s, struct slot *slot,
                                const struct proa_msg *msg, void *bulk)
{
    struct proa_actor *self = turn_begin(s, slot);

    self->bulk = bulk; /* NULL again after dispatch */
    s->hot.in_place++;
    if (__builtin_expect(s->sample.in_place, 0))
        dispatch_timed(self, msg);
    else
        dispatch(self, msg);
    metrics_publish(&slot->behaviour->metrics);
    frame_end(self);
}

static void refuse_and_free(struct sched *s, const struct proa_msg *msg, void *bulk,
                            enum proa_outcome reason)
{
    refuse_msg(s, msg, reason);
    if (bulk != NULL)
        bulk_free(&s->bulk, bulk);
}

void deliver_here(struct sched *s, const struct proa_msg *msg, void *bulk,
                  bool in_place_ok)
{
    struct slot *slot = slot_find(&s->slots, msg->to.slot, msg->to.generation);
    enum proa_outcome outcome;

    if (__builtin_expect(slot == NULL, 0)) {
        if (msg->to.generation == 0)
            service_here(s, msg, bulk);
        else
            refuse_and_free(s, msg, bulk, PROA_REFUSED_NO_ACTOR);
        return;
    }
    if (__builtin_expect(slot->state == SLOT_ENDING, 0)) {
        refuse_and_free(s, msg, bulk, PROA_REFUSED_STOPPED);
        return;
    }
    if (in_place_ok && may(s, slot)) {
        run_in_place(s, slot, msg, bulk);
        return;
    }
    outcome = enqueue(s, slot, msg, bulk);
    s->queued_now++;
    if (__builtin_expect(outcome == PROA_OK, 1))
        return;
    if (outcome == PROA_FULL && full_remember(s, slot, msg->from))
        refuse_and_free(s, msg, bulk, PROA_REFUSED_FULL);
    else
        refuse_and_free(s, msg, bulk, PROA_REFUSED_BUSY);
}

/* Begins a turn of the actor that is `to` (slot | generation << 32); NULL when it may not run in place. */
static inline struct slot *tells_begin(struct sched *s, uint64_t to)
{
    uint32_t at = (uint32_t)to - s->first_slot;
    struct slot *slot = &s->slots.slots[at];

    if (__builtin_expect(at >= s->slots.max, 0))
        return NULL;
    if (__builtin_expect(slot->generation != to >> 32 || !is_idle(s, slot), 0))
        return NULL;
    turn_begin_as(s, slot, to);
    return slot;
}

static inline void tells_end(struct sched *s, struct slot *slot)
{
    metrics_publish(&slot->behaviour->metrics);
    frame_end(&s->turn.self);
}

/* Tells that follow one another to one actor are one turn of it (docs/performance_lanes.md). */
uint32_t deliver_tells(struct sched *s, struct pair_ring *ring, uint32_t max)
{
    struct slot *slot = NULL; /* whose turn it is */
    uint64_t who = 0;
    uint32_t n = 0;

    for (; n < max; n++) {
        const struct pair_item *item = pair_ring_peek(ring);

        if (item == NULL || item->kind != PAIR_TELL)
            break;
        if (slot == NULL || item->tell.to != who) {
            if (slot != NULL)
                tells_end(s, slot);
            who = item->tell.to;
            slot = tells_begin(s, who);
            if (slot == NULL)
                break;
        }
        /* What it told itself meanwhile goes first. */
        if (!mailbox_empty(&slot->mailbox) || !budget_take(s) || s->sample.in_place)
            break;
        pair_tell_open(&item->tell, s->node, &s->turn.msg);
        small_tell_run(s, slot->behaviour, item->tell.type, pair_tell_len(&item->tell));
        pair_ring_step_tell(ring);
        if (__builtin_expect((slot->flags & SLOT_STOP) != 0, 0)) {
            tells_end(s, slot);
            slot = NULL;
        }
    }
    if (slot != NULL)
        tells_end(s, slot);
    s->hot.in_place += n;
    return n;
}

/* To an actor of another lane of this node. */
static void deliver_cross(struct sched *s, const struct proa_msg *msg, void *bulk)
{
    bool reply = (msg->flags & PROA_MSG_REPLY) != 0;
    uint32_t lane = proa_ref_lane(msg->to);
    enum proa_outcome outcome = cross_send(s, lane, msg, bulk, reply);

    s->cross_pressed |= cross_is_half_full(s, lane);
    if (outcome == PROA_OK)
        return;
    if (!reply) {
        enum proa_outcome reason = PROA_REFUSED_NO_ACTOR;

        /* A full ring holds the sender back as a full mailbox does. */
        if (outcome == PROA_AGAIN)
            reason = again_owe(s, msg->to, msg->from.node) ? PROA_REFUSED_FULL
                                                           : PROA_REFUSED_BUSY;
        refuse_and_free(s, msg, bulk, reason);
        return;
    }
    STAT_ADD(s, replies_lost, 1);
    if (bulk != NULL)
        bulk_free(&s->bulk, bulk);
}

/* What a link brings is another node's word: only what a scheduler could have sent is taken. */
static bool well_formed(const struct sched *s, const struct proa_msg *msg)
{
    bool reply = (msg->flags & PROA_MSG_REPLY) != 0;
    bool ask = (msg->flags & PROA_MSG_ASK) != 0;

    return msg->to.node == s->node && msg->cls < MAILBOX_COUNTED &&
           (msg->flags & ~(PROA_MSG_ASK | PROA_MSG_REPLY)) == 0 && !(reply && ask) &&
           (!(reply || ask) || msg->correlation != 0) && msg->type < PROA_TYPE_SYSTEM;
}

static void deliver(struct sched *s, const struct proa_msg *msg, void *bulk,
                    bool in_place_ok)
{
    s->hot.delivered++;
    if (__builtin_expect(!well_formed(s, msg), 0)) {
        STAT_ADD(s, malformed, 1);
        if (bulk != NULL)
            bulk_free(&s->bulk, bulk);
    } else if (msg->to.generation == 0) {
        service_in(s, msg, bulk);
    } else if (proa_ref_lane(msg->to) != s->lane) {
        deliver_cross(s, msg, bulk);
    } else if ((msg->flags & PROA_MSG_REPLY) != 0) {
        answer_in(s, msg, bulk, in_place_ok);
    } else {
        deliver_here(s, msg, bulk, in_place_ok);
    }
}

void sched_deliver(struct sched *s, const struct proa_msg *msg, bool in_place_ok)
{
    struct slot *slot = slot_open(s, msg->to);

    /* What most messages are, tells and asks; deliver says the rest. */
    if (__builtin_expect(slot != NULL && in_place_ok &&
                             (msg->flags == 0 ||
                              (msg->flags == PROA_MSG_ASK && msg->correlation != 0)) &&
                             msg->cls < MAILBOX_COUNTED && msg->type < PROA_TYPE_SYSTEM &&
                             may(s, slot),
                         1)) {
        s->hot.delivered++;
        run_in_place(s, slot, msg, NULL);
        return;
    }
    deliver(s, msg, NULL, in_place_ok);
}

void sched_expect(struct sched *s, const uint32_t *slots, uint32_t count)
{
    const struct slot *first = s->slots.slots;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = slots[i] - s->first_slot;

        if (at < s->slots.max)
            __builtin_prefetch(&first[at], 1);
    }
    /* The states, once the slots that name them are here. */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = slots[i] - s->first_slot;

        if (at < s->slots.max)
            __builtin_prefetch(first[at].mem, 1);
    }
}

void sched_deliver_bulk(struct sched *s, const struct proa_msg *msg, void *buf)
{
    bulk_enter(&s->bulk, buf);
    deliver(s, msg, buf, true);
}

bool sched_pressed(const struct sched *s)
{
    return s->in_place_left == 0 || s->queued_now >= QUEUED_MAX || s->cross_pressed;
}
