/* SPDX-License-Identifier: Apache-2.0 */
/* Pools: a keeper on the owner's lane, and a crew on each lane it uses, which supervises that lane's
   workers.

   Owner, keeper and crews are linked, so that the end of one is the end of all: keeper and crews
   trap, since each has its own way to end.  The keeper orders the crews (proa_spawn_on carries the
   behaviour, a message the rest), they spawn and join their workers, some in each turn, and
   answer.  When one cannot, the keeper ends all, and answers the owner when they have ended.

   The order says what memory the workers get to see, and a message's sender can be made up by other
   nodes: so a crew obeys only who knows the number that it was spawned with. */
#include <proa/pool.h>

#include <sodium.h>

#include "scheduler_internal.h"

_Static_assert(PROA_LANES_MAX <= 64, "a bit per crew");

enum { KEEPER_BEGIN = 1, KEEPER_STOP };
enum { CREW_GO = 1 };

#define BATCH 64                    /* workers begun in one turn of a crew */
#define RETRY PROA_MS               /* after a ring was full */
#define ANSWER_BY PROA_DEADLINE_MAX /* of answers that come from this node, or its ends */

/* What a crew is told, first by its spawn, then by its order. */
struct crew_arg {
    const struct proa_behaviour *behaviour;
    struct proa_ref keeper;
    uint64_t number; /* of the order it obeys */
    uint32_t count;
    uint32_t restart; /* enum proa_restart */
};

_Static_assert(sizeof(struct crew_arg) <= 64, "proa_spawn_on takes it");

struct order {
    uint64_t number;
    uint32_t arg_len;
    char group[PROA_NAME_MAX + 1]; /* "": none */
    alignas(8) uint8_t arg[PROA_POOL_ARG_MAX];
};

/* The answers of crews and keepers. */
struct started {
    uint32_t outcome; /* enum proa_outcome */
    uint32_t count;
};

static bool answer_open(const struct proa_answer *answer, struct started *ret)
{
    if (answer->outcome != PROA_OK || answer->len != sizeof(*ret))
        return false;
    memcpy(ret, answer->data, sizeof(*ret));
    return true;
}

/* ---- Crews ---- */

struct crew {
    struct crew_arg plan;
    struct order order;
    struct proa_token token;
    uint32_t made;
    uint32_t joining; /* index of the worker that is yet to join, or SLOT_NONE */
    bool begun;
};

static int crew_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct crew *c = proa_state(self);

    PROA_ASSERT(arg_len == sizeof(c->plan));
    memcpy(&c->plan, arg, arg_len);
    c->joining = SLOT_NONE;
    return proa_link(self, c->plan.keeper) == PROA_OK ? 0 : 1;
}

static void crew_answer(struct proa_actor *self, enum proa_outcome outcome)
{
    struct crew *c = proa_state(self);
    struct started answer = {(uint32_t)outcome, c->made};

    proa_reply_token(self, c->token, &answer, sizeof(answer));
}

static enum proa_outcome join_as(struct sched *s, struct slot *slot, const char *group)
{
    /* relaxed: as in actor_start. */
    uint64_t outer = atomic_load_explicit(&s->running, memory_order_relaxed);
    uint32_t type = atomic_load_explicit(&s->running_type, memory_order_relaxed);
    enum proa_outcome outcome;
    struct proa_actor worker;

    frame_begin(&worker, s, slot);
    outcome = proa_join(&worker, group, NULL, NULL, 0);
    frame_end(&worker);
    atomic_store_explicit(&s->running, outer, memory_order_relaxed);
    atomic_store_explicit(&s->running_type, type, memory_order_relaxed);
    return outcome;
}

/* Has the last worker join, in whatever life it is now.  False: try again later. */
static bool worker_join(struct proa_actor *self)
{
    struct crew *c = proa_state(self);
    struct sched *s = self->sched;
    struct slot *slot;

    if (c->joining == SLOT_NONE || c->order.group[0] == '\0')
        return true;
    slot = &s->slots.slots[c->joining];
    if ((slot->flags & SLOT_CHILD) != 0 &&
        s->children[c->joining].supervisor == slot_index(&s->slots, self->slot) &&
        (slot->state != SLOT_LIVE || join_as(s, slot, c->order.group) == PROA_AGAIN))
        return false;
    c->joining = SLOT_NONE; /* it is in, or gone for good */
    return true;
}

static void crew_more(struct proa_actor *self, uint64_t cookie)
{
    struct crew *c = proa_state(self);
    enum proa_outcome outcome = PROA_OK;
    struct proa_timer timer;
    bool joined = true;
    struct proa_ref ref;

    (void)cookie;
    for (uint32_t n = 0; n < BATCH && (joined = worker_join(self)); n++) {
        if (c->made == c->plan.count) {
            crew_answer(self, PROA_OK);
            return;
        }
        outcome = proa_spawn_child(self, c->plan.behaviour, c->order.arg,
                                   c->order.arg_len, c->plan.restart, &ref);
        if (outcome != PROA_OK)
            break;
        c->made++;
        c->joining = ref.slot & SLOT_INDEX_MAX;
    }
    if (outcome == PROA_OK)
        outcome = proa_timer_start(self, joined ? 0 : RETRY, crew_more, 0, &timer);
    if (outcome != PROA_OK) /* INVALID: the lane knows too many behaviours */
        crew_answer(self, outcome == PROA_STOPPED ? PROA_STOPPED : PROA_LIMIT);
}

static void crew_on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    struct crew *c = proa_state(self);
    const struct order *order = msg->data;

    if (c->begun || msg->len != sizeof(*order) || order->number != c->plan.number ||
        proa_reply_later(self, msg, &c->token) != PROA_OK)
        return;
    c->begun = true;
    c->order = *order;
    crew_more(self, 0);
}

static void crew_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    const struct crew *c = proa_state(self);

    if (signal->kind == PROA_SIGNAL_DOWN && proa_ref_equal(signal->to, c->plan.keeper))
        proa_stop(self); /* else a worker that is not restarted */
}

static const struct proa_on crew_on[] = {{CREW_GO, sizeof(struct order), crew_on_go}};
static const struct proa_supervision crew_rule = {.strategy = PROA_ONE_FOR_ONE};
static const struct proa_behaviour crew = {.type_name = "proa.pool.crew",
                                           .state_size = sizeof(struct crew),
                                           .on = crew_on,
                                           .on_count = 1,
                                           .start = crew_start,
                                           .signal = crew_signal,
                                           .supervision = &crew_rule,
                                           .traps = true};

/* ---- Keepers ---- */

struct keeper {
    struct proa_ref owner;
    const struct proa_behaviour *behaviour;
    uint32_t restart, count, first_lane, lanes;
    struct order order;
    struct proa_token token; /* of the owner's question, if it asked */
    bool begun;
    bool retrying;             /* a timer will try again to end the crews */
    uint64_t ended;            /* bit per crew: it was told to end */
    uint32_t alive;            /* crews, being spawned ones too */
    uint32_t waiting;          /* crews that have not answered */
    uint32_t started;          /* workers */
    enum proa_outcome outcome; /* OK, or why all are being ended */
    struct proa_ref crews[PROA_LANES_MAX];
};

/* What proa_pool_start hands to the keeper's start. */
struct keeper_arg {
    const struct proa_pool_config *config;
    struct proa_ref owner;
    uint32_t lanes;
};

static int keeper_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct keeper *k = proa_state(self);
    struct keeper_arg a;

    PROA_ASSERT(arg_len == sizeof(a));
    memcpy(&a, arg, arg_len);
    k->owner = a.owner;
    k->behaviour = a.config->behaviour;
    k->restart = a.config->restart;
    k->count = a.config->count;
    k->first_lane = a.config->first_lane;
    k->lanes = a.lanes;
    randombytes_buf(&k->order.number, sizeof(k->order.number));
    k->order.arg_len = (uint32_t)a.config->arg_len;
    payload_copy(k->order.arg, a.config->arg, k->order.arg_len);
    if (a.config->group != NULL)
        memcpy(k->order.group, a.config->group, strlen(a.config->group) + 1);
    return 0;
}

static void keeper_answer(struct proa_actor *self)
{
    struct keeper *k = proa_state(self);
    struct started answer = {(uint32_t)k->outcome,
                             k->outcome == PROA_OK ? k->started : 0};

    proa_reply_token(self, k->token, &answer, sizeof(answer));
}

/* Ends what is left of a start that failed; when nothing is, answers and ends too. */
static void crews_stop(struct proa_actor *self, uint64_t cookie)
{
    struct keeper *k = proa_state(self);
    struct proa_timer timer;
    bool again = false;

    k->retrying = k->retrying && cookie == 0;
    for (uint32_t i = 0; i < k->lanes; i++) {
        if (proa_ref_is_none(k->crews[i]) || (k->ended >> i & 1) != 0)
            continue;
        if (proa_stop_other(self, k->crews[i]) == PROA_AGAIN)
            again = true;
        else
            k->ended |= UINT64_C(1) << i;
    }
    if (again && !k->retrying)
        k->retrying = proa_timer_start(self, RETRY, crews_stop, 1, &timer) == PROA_OK;
    if (k->alive > 0 && (!again || k->retrying))
        return;
    keeper_answer(self);
    proa_unlink(self, k->owner);
    proa_stop(self); /* crews that could not be told end by their links */
}

static void keeper_fail(struct proa_actor *self, enum proa_outcome outcome)
{
    struct keeper *k = proa_state(self);

    if (k->outcome == PROA_OK)
        k->outcome =
            outcome == PROA_AGAIN || outcome == PROA_LIMIT ? outcome : PROA_STOPPED;
    crews_stop(self, 0);
}

static void crew_started(struct proa_actor *self, const struct proa_answer *answer,
                         const void *ctx)
{
    struct keeper *k = proa_state(self);
    struct started said = {PROA_STOPPED, 0};

    (void)ctx;
    if (k->outcome != PROA_OK)
        return;
    if (!answer_open(answer, &said) || said.outcome != PROA_OK) {
        keeper_fail(self, (enum proa_outcome)said.outcome);
        return;
    }
    k->started += said.count;
    if (--k->waiting == 0)
        keeper_answer(self);
}

static void crew_spawned(struct proa_actor *self, enum proa_outcome outcome,
                         struct proa_ref ref, const void *ctx)
{
    struct keeper *k = proa_state(self);
    uint32_t i;

    memcpy(&i, ctx, sizeof(i));
    if (outcome != PROA_OK)
        k->alive--;
    else
        k->crews[i] = ref;
    /* A crew's start fails only when its lane has no monitor left for the link. */
    if (outcome == PROA_STOPPED && !self->sched->draining)
        outcome = PROA_LIMIT;
    if (outcome == PROA_OK) /* it has linked itself, but may have ended since */
        outcome = proa_link(self, ref);
    if (outcome == PROA_OK && k->outcome == PROA_OK)
        outcome = proa_ask(self, ref, CREW_GO, &k->order, sizeof(k->order), ANSWER_BY,
                           crew_started, NULL, 0);
    if (outcome != PROA_OK || k->outcome != PROA_OK)
        keeper_fail(self, outcome);
}

static enum proa_outcome crew_spawn(struct proa_actor *self, uint32_t i)
{
    struct keeper *k = proa_state(self);
    struct crew_arg arg = {.behaviour = k->behaviour,
                           .keeper = self->ref,
                           .number = k->order.number,
                           .count = k->count / k->lanes + (i < k->count % k->lanes),
                           .restart = k->restart};
    enum proa_outcome outcome = proa_spawn_on(self, k->first_lane + i, &crew, &arg,
                                              sizeof(arg), crew_spawned, &i, sizeof(i));

    k->alive += outcome == PROA_OK;
    return outcome;
}

static void keeper_on_begin(struct proa_actor *self, const struct proa_msg *msg)
{
    struct keeper *k = proa_state(self);
    enum proa_outcome outcome = PROA_OK;

    if (k->begun || !proa_ref_equal(msg->from, k->owner))
        return;
    k->begun = true;
    if ((msg->flags & PROA_MSG_ASK) != 0)
        outcome = proa_reply_later(self, msg, &k->token);
    if (outcome == PROA_OK)
        outcome = proa_link(self, k->owner);
    k->waiting = k->lanes;
    for (uint32_t i = 0; i < k->lanes && outcome == PROA_OK; i++)
        outcome = crew_spawn(self, i);
    if (outcome != PROA_OK)
        keeper_fail(self, outcome);
}

static void keeper_on_stop(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_stop(self);
}

static void keeper_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct keeper *k = proa_state(self);
    bool failed_often =
        signal->down == PROA_REASON_FAILED && signal->code == PROA_CODE_LIMIT;
    uint32_t i = 0;

    if (signal->kind != PROA_SIGNAL_DOWN)
        return;
    if (proa_ref_equal(signal->to, k->owner)) {
        proa_stop(self);
        return;
    }
    while (i < k->lanes && !proa_ref_equal(signal->to, k->crews[i]))
        i++;
    if (i == k->lanes)
        return; /* crew_spawned is yet to hear of it, and will be told again */
    k->crews[i] = proa_ref_none();
    k->alive--;
    if (k->outcome != PROA_OK || k->waiting > 0)
        keeper_fail(self, PROA_STOPPED);
    else
        proa_fail(self, failed_often ? PROA_CODE_LIMIT : PROA_CODE_LINKED);
}

static const struct proa_on keeper_on[] = {{KEEPER_BEGIN, 0, keeper_on_begin},
                                           {KEEPER_STOP, 0, keeper_on_stop}};
static const struct proa_behaviour keeper = {.type_name = "proa.pool",
                                             .state_size = sizeof(struct keeper),
                                             .on = keeper_on,
                                             .on_count = 2,
                                             .start = keeper_start,
                                             .signal = keeper_signal,
                                             .traps = true};

/* ---- The calls ---- */

/* What the owner's question carries to its answer. */
struct pooled {
    proa_pooled then;
    uint8_t ctx[PROA_POOL_CONTEXT_MAX];
};

_Static_assert(sizeof(struct pooled) <= PROA_CONTEXT_MAX, "proa_ask takes it");

static void pooled(struct proa_actor *self, const struct proa_answer *answer,
                   const void *ctx)
{
    struct proa_pool pool = {proa_ref_none()};
    struct started said = {PROA_STOPPED, 0};
    struct pooled p;

    memcpy(&p, ctx, sizeof(p));
    if (answer_open(answer, &said) && said.outcome == PROA_OK)
        pool.keeper = answer->from;
    p.then(self, (enum proa_outcome)said.outcome, pool, said.count, p.ctx);
}

/* How many lanes the pool uses; 0: the configuration is not good. */
static uint32_t lanes_of(struct sched *s, const struct proa_pool_config *config)
{
    uint32_t lanes, len;

    if (config == NULL || config->count == 0 || config->count > PROA_POOL_MAX ||
        config->arg_len > PROA_POOL_ARG_MAX ||
        (config->arg == NULL && config->arg_len > 0) ||
        (uint32_t)config->restart > PROA_RESTART_TEMPORARY ||
        (config->group != NULL && !group_ok(config->group, &len)) ||
        config->first_lane >= s->lanes || config->lanes > s->lanes - config->first_lane ||
        behaviour_get(&s->behaviours, config->behaviour) == NULL)
        return 0;
    lanes = config->lanes != 0 ? config->lanes : s->lanes - config->first_lane;
    return lanes < config->count ? lanes : config->count;
}

enum proa_outcome proa_pool_start(struct proa_actor *self,
                                  const struct proa_pool_config *config, proa_pooled then,
                                  const void *ctx, size_t ctx_len)
{
    struct sched *s = self->sched;
    struct keeper_arg arg = {config, self->ref, lanes_of(s, config)};
    struct pooled p = {.then = then};
    enum proa_outcome outcome;
    struct proa_ref ref;

    if (arg.lanes == 0 || ctx_len > sizeof(p.ctx) || (ctx == NULL && ctx_len > 0))
        return send_failed(s, NULL, PROA_INVALID);
    outcome = proa_spawn(self, &keeper, &arg, sizeof(arg), &ref);
    if (outcome != PROA_OK)
        return outcome == PROA_STOPPED ? PROA_STOPPED : PROA_LIMIT;
    memcpy(p.ctx, ctx_len > 0 ? ctx : &p, ctx_len);
    if (then != NULL)
        outcome =
            proa_ask(self, ref, KEEPER_BEGIN, NULL, 0, ANSWER_BY, pooled, &p, sizeof(p));
    else
        outcome = proa_tell(self, ref, KEEPER_BEGIN, NULL, 0);
    if (outcome != PROA_OK)
        stop_request(s, ref, true);
    return outcome;
}

enum proa_outcome proa_pool_stop(struct proa_actor *self, struct proa_pool pool)
{
    enum proa_outcome outcome = PROA_NO_SUCH_ACTOR;

    if (!proa_ref_is_none(pool.keeper))
        outcome = proa_tell(self, pool.keeper, KEEPER_STOP, NULL, 0);
    if (outcome == PROA_OK)
        proa_unlink(self, pool.keeper); /* its end is no news */
    if (outcome == PROA_OK || outcome == PROA_NO_SUCH_ACTOR)
        return outcome;
    return outcome == PROA_AGAIN || outcome == PROA_FULL ? PROA_AGAIN
                                                         : PROA_NO_SUCH_ACTOR;
}
