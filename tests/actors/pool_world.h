/* SPDX-License-Identifier: Apache-2.0 */
/* pool_world.h - an owner on one of three lanes, workers that are counted, and what the owner is
   told of its pools. */
#ifndef POOL_WORLD_H
#define POOL_WORLD_H

#include "sched_world.h"

#include <proa/pool.h>

#include "scheduler_internal.h"

static struct world *w;

/* ---- Workers: counted by lane ---- */

static struct {
    uint32_t alive[WORLD_LANES], started[WORLD_LANES];
    uint32_t killed;
    uint64_t arg;         /* what the last start got */
    uint32_t fail_lane;   /* a start there fails, */
    uint32_t fail_at;     /* when so many have begun there; 0: none does */
    struct proa_ref last; /* the last worker that began */
} seen;

enum { FAIL = 1, QUIT };

static int worker_start(struct proa_actor *self, const void *arg, size_t len)
{
    uint32_t lane = proa_ref_lane(proa_self(self));

    seen.started[lane]++;
    if (lane == seen.fail_lane && seen.started[lane] == seen.fail_at)
        return 5;
    seen.alive[lane]++;
    seen.last = proa_self(self);
    seen.arg = 0;
    if (len > 0)
        memcpy(&seen.arg, arg, len < sizeof(seen.arg) ? len : sizeof(seen.arg));
    return 0;
}

static void worker_stop(struct proa_actor *self, enum proa_reason reason)
{
    seen.alive[proa_ref_lane(proa_self(self))]--;
    seen.killed += reason == PROA_REASON_KILLED;
}

static void on_fail(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_fail(self, 9);
}

static void on_quit_worker(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_stop(self);
}

static const struct proa_on worker_on[] = {{FAIL, 0, on_fail}, {QUIT, 0, on_quit_worker}};
static const struct proa_behaviour worker = {.type_name = "worker",
                                             .on = worker_on,
                                             .on_count = 2,
                                             .start = worker_start,
                                             .stop = worker_stop};

static inline uint32_t alive(void)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < WORLD_LANES; i++)
        sum += seen.alive[i];
    return sum;
}

/* ---- The owner ---- */

static struct log owner_log;
static struct {
    uint32_t count;
    enum proa_outcome outcome;
    struct proa_pool pool;
    uint32_t started, alive; /* alive: when it was told */
    uint64_t ctx;
} told;

static void on_pooled(struct proa_actor *self, enum proa_outcome outcome,
                      struct proa_pool pool, uint32_t started, const void *ctx)
{
    (void)self;
    told.count++;
    told.outcome = outcome;
    told.pool = pool;
    told.started = started;
    told.alive = alive();
    memcpy(&told.ctx, ctx, sizeof(told.ctx));
}

static struct proa_behaviour trapping; /* probe with `traps` */
static struct proa_ref owner;

static inline int setup_with(void (*tweak)(struct sched_config *c))
{
    memset(&seen, 0, sizeof(seen));
    memset(&told, 0, sizeof(told));
    memset(&owner_log, 0, sizeof(owner_log));
    trapping = probe;
    trapping.type_name = "trapping";
    trapping.traps = true;
    w = world_make(3, tweak);
    owner = spawn_kind(w, 0, &owner_log, &trapping);
    return 0;
}

static inline int setup(void **state)
{
    (void)state;
    return setup_with(NULL);
}

static inline bool is_alive(struct proa_ref ref)
{
    return slot_find(&w->lane[proa_ref_lane(ref)].s->slots, ref.slot, ref.generation) !=
           NULL;
}

/* Actors of the lanes, the owner left out. */
static inline uint32_t actors(void)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < w->lanes; i++)
        sum += w->lane[i].s->slots.live;
    return sum - is_alive(owner);
}

static inline int teardown(void **state)
{
    (void)state;
    if (is_alive(owner))
        stop(w, owner);
    world_settle(w);
    assert_int_equal(alive(), 0);
    assert_int_equal(actors(), 0);
    assert_clean(w);
    world_free(w);
    return 0;
}

struct start {
    struct proa_pool_config config;
    proa_pooled then;
    size_t ctx_len;
    enum proa_outcome outcome;
};

static void act_start(struct proa_actor *self, void *ctx)
{
    struct start *start = ctx;
    uint64_t number[8] = {77};

    start->outcome =
        proa_pool_start(self, &start->config, start->then, number, start->ctx_len);
}

static inline enum proa_outcome begin(struct proa_pool_config config)
{
    struct start start = {.config = config, .then = on_pooled, .ctx_len = 40};

    in(w, owner, act_start, &start);
    return start.outcome;
}

static inline void start_ok(uint32_t count)
{
    assert_int_equal(
        begin((struct proa_pool_config){.behaviour = &worker, .count = count}), PROA_OK);
    world_settle(w);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.outcome, PROA_OK);
    assert_int_equal(told.started, count);
    assert_int_equal(alive(), count);
}

struct stopping {
    struct proa_pool pool;
    enum proa_outcome outcome;
};

static void act_pool_stop(struct proa_actor *self, void *ctx)
{
    struct stopping *stopping = ctx;

    stopping->outcome = proa_pool_stop(self, stopping->pool);
}

static inline enum proa_outcome pool_stop(struct proa_pool pool)
{
    struct stopping stopping = {pool, PROA_OK};

    in(w, owner, act_pool_stop, &stopping);
    return stopping.outcome;
}

static inline void act_tell_worker(struct proa_ref to, uint32_t type)
{
    assert_int_equal(tell(w, owner, to, type, 0), PROA_OK);
    world_settle(w);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
