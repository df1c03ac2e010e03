/* SPDX-License-Identifier: Apache-2.0 */
/* proa_lookup_or_spawn: an actor of our own, the finder, asks, spawns and claims for the caller,
   whose wait is settled at the end.  So the work has a life of its own: it ends in order though
   the caller has stopped.

   What it spawns is held back until the name is won and has settled: until then no message is
   run, and nobody needs to know that it was there.  A name is not settled while a claim made at
   the same moment may yet take it over (kad_claim.h: of two claims of one term the earlier wins,
   also where the later one is stored already).  So whatever the finder hears, won, lost, or
   found, it looks again until what it finds has settled; and a claim is given up soon, so that it
   cannot win after another has settled. */
#include <proa/registry.h>

#include "scheduler_internal.h"

#define REST_FIRST (10 * PROA_MS) /* before the first new look; doubled each time */
#define REST_MAX (200 * PROA_MS)
#define ATTEMPT (100 * PROA_MS) /* of the first claim; doubled when it had no quorum */

/* What a finder is made from, and its state. */
struct finder {
    const struct proa_behaviour *behaviour;
    proa_ns until, rest, attempt;
    enum proa_outcome last; /* what to say when the time is over */
    struct proa_ref caller, child;
    uint32_t correlation; /* of the caller's wait */
    uint32_t arg_len;
    uint32_t name_len;
    char name[PROA_NAME_MAX + 1];
    alignas(16) uint8_t arg[PROA_OR_SPAWN_ARG_MAX];
};

static void look(struct proa_actor *self);

/* ---- Ends ---- */

static void give(struct proa_actor *self, const struct proa_name_answer *answer)
{
    const struct finder *f = self->state;

    name_settle(self->sched, f->correlation, answer);
    proa_stop(self);
}

static void give_outcome(struct proa_actor *self, enum proa_outcome outcome)
{
    struct proa_name_answer answer = {.outcome = outcome};

    give(self, &answer);
}

static bool caller_waits(const struct sched *s, const struct finder *f)
{
    return slot_find(&s->slots, f->caller.slot, f->caller.generation) != NULL &&
           ask_find(&s->asks, f->correlation) != NULL;
}

static void on_rested(struct proa_actor *self, uint64_t cookie)
{
    (void)cookie;
    look(self);
}

static void rest(struct proa_actor *self)
{
    struct finder *f = self->state;
    proa_ns now = self->sched->now, left = f->until > now ? f->until - now : 0;

    if (left == 0)
        give_outcome(self, f->last);
    else if (proa_timer_start(self, f->rest < left ? f->rest : left, on_rested, 0,
                              NULL) != PROA_OK)
        give_outcome(self, PROA_LIMIT);
    f->rest = 2 * f->rest < REST_MAX ? 2 * f->rest : REST_MAX;
}

/* A registry call about an actor; the finder waits for the answer. */
static enum proa_outcome call(struct proa_actor *self, enum punt_name_op op,
                              struct proa_ref about, proa_named then)
{
    struct sched *s = self->sched;
    const struct finder *f = self->state;
    struct punt_name name = {
        .op = op,
        .slot = about.slot,
        .generation = about.generation,
        .type = behaviour_get(&s->behaviours, f->behaviour)->type_id,
        .len = f->name_len,
        .deadline = f->until,
    };
    struct ask *ask;

    if (op == PUNT_REGISTER && s->now + f->attempt < f->until)
        name.deadline = s->now + f->attempt;
    enum proa_outcome outcome = name_call(s, self->slot, ASK_NAME, &name, f->name, &ask);
    if (outcome == PROA_OK)
        ask->fn.named = then;
    return outcome;
}

/* ---- Spawning and claiming ---- */

static struct slot *child_of(const struct sched *s, const struct finder *f)
{
    struct slot *child = slot_find(&s->slots, f->child.slot, f->child.generation);

    return child != NULL && child->state == SLOT_STARTING ? child : NULL;
}

/* Ends what was spawned, unless it is the one. */
static void drop_child(struct proa_actor *self)
{
    struct finder *f = self->state;
    struct slot *child = child_of(self->sched, f);

    f->child = proa_ref_none();
    if (child == NULL)
        return;
    hold_end(self->sched, child);
    child->reason = PROA_REASON_KILLED;
    actor_end(self->sched, child);
}

static void on_claimed(struct proa_actor *self, const struct proa_name_answer *answer,
                       const void *ctx)
{
    struct finder *f = self->state;

    (void)ctx;
    if (answer->outcome != PROA_OK)
        drop_child(self);
    switch (answer->outcome) {
    case PROA_NO_QUORUM:
        f->attempt *= 2;
        f->last = PROA_NO_QUORUM;
        rest(self);
        break;
    case PROA_OK:
    case PROA_ALREADY_REGISTERED:
    case PROA_AGAIN:
        f->last = PROA_UNKNOWN;
        rest(self); /* and look who has it then */
        break;
    default:
        give(self, answer);
        break;
    }
}

static void spawn_and_claim(struct proa_actor *self)
{
    struct sched *s = self->sched;
    struct finder *f = self->state;
    struct slot *child;
    enum proa_outcome outcome;

    drop_child(self); /* its name was lost */
    outcome = spawn_held(s, f->behaviour, f->arg, f->arg_len, &child);
    if (outcome != PROA_OK) {
        give_outcome(self, outcome);
        return;
    }
    f->child = ref_of(s, child);
    outcome = call(self, PUNT_REGISTER, f->child, on_claimed);
    if (outcome == PROA_AGAIN)
        rest(self);
    else if (outcome != PROA_OK)
        give_outcome(self, outcome);
}

/* ---- Looking up ---- */

static void on_looked(struct proa_actor *self, const struct proa_name_answer *answer,
                      const void *ctx)
{
    struct finder *f = self->state;
    struct slot *child = child_of(self->sched, f);
    bool found = answer->outcome == PROA_OK || answer->outcome == PROA_WRONG_TYPE;

    (void)ctx;
    if (!caller_waits(self->sched, f)) {
        proa_stop(self);
    } else if (answer->outcome == PROA_NOT_FOUND) {
        spawn_and_claim(self);
    } else if (found && !answer->settled) {
        rest(self);
    } else {
        if (found && child != NULL && proa_ref_equal(answer->ref, f->child)) {
            hold_end(self->sched, child);
            if (f->behaviour->published)
                joins_start(self->sched, child); /* as it would have after its start */
            f->child = proa_ref_none();
        }
        give(self, answer);
    }
}

static void look(struct proa_actor *self)
{
    const struct finder *f = self->state;
    enum proa_outcome outcome;

    if (!caller_waits(self->sched, f)) {
        proa_stop(self);
        return;
    }
    if (f->until <= self->sched->now) {
        give_outcome(self, f->last);
        return;
    }
    outcome = call(self, PUNT_LOOKUP_NOW, self->ref, on_looked);
    if (outcome == PROA_AGAIN)
        rest(self);
    else if (outcome != PROA_OK)
        give_outcome(self, outcome);
}

static int finder_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    memcpy(self->state, arg, arg_len);
    look(self);
    return 0;
}

static void finder_stop(struct proa_actor *self, enum proa_reason reason)
{
    (void)reason;
    drop_child(self);
}

static const struct proa_behaviour finder = {.type_name = "proa-finder",
                                             .state_size = sizeof(struct finder),
                                             .start = finder_start,
                                             .stop = finder_stop};

/* ---- The call ---- */

enum proa_outcome proa_lookup_or_spawn(struct proa_actor *self, const char *name,
                                       const struct proa_behaviour *behaviour,
                                       const void *arg, size_t arg_len, proa_ns deadline,
                                       proa_named then, const void *ctx, size_t ctx_len)
{
    struct sched *s = self->sched;
    size_t name_len = name != NULL ? strnlen(name, PROA_NAME_MAX + 1) : 0;
    struct finder f = {.behaviour = behaviour,
                       .until = s->now + deadline,
                       .rest = REST_FIRST,
                       .attempt = ATTEMPT,
                       .last = PROA_UNKNOWN,
                       .caller = self->ref,
                       .arg_len = (uint32_t)arg_len,
                       .name_len = (uint32_t)name_len};
    struct punt_name wait = {
        .op = PUNT_LOOKUP_NOW, .len = (uint32_t)name_len, .deadline = f.until};
    enum proa_outcome outcome;
    struct ask *ask;

    if (name_len == 0 || name_len > PROA_NAME_MAX || arg_len > PROA_OR_SPAWN_ARG_MAX ||
        (arg == NULL && arg_len > 0) || deadline == 0 || deadline > PROA_DEADLINE_MAX ||
        then == NULL || ctx_len > PROA_CONTEXT_MAX || (ctx == NULL && ctx_len > 0) ||
        behaviour == NULL || behaviour_get(&s->behaviours, behaviour) == NULL)
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, NULL, PROA_STOPPED);
    outcome = name_wait(s, self->slot, ASK_NAME, &wait, name, &ask);
    if (outcome != PROA_OK)
        return send_failed(s, self->slot, outcome);
    ask->fn.named = then;
    payload_copy(ask->ctx, ctx, (uint32_t)ctx_len);
    f.correlation = ask->correlation;
    memcpy(f.name, name, name_len);
    if (arg_len > 0)
        memcpy(f.arg, arg, arg_len);
    outcome = spawn_here(s, &finder, &f, sizeof(f), false, NULL);
    if (outcome == PROA_OK)
        return PROA_OK;
    name_unwait(s, self->slot, ask);
    return send_failed(s, NULL, outcome);
}
