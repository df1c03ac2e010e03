/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs on their way, in one thread: the test is the worker. */
#include "sched_world.h"

#include "offload.h"

/* What has become of jobs. */
struct account {
    uint32_t runs, drops, disposals, thens;
    uint64_t last;             /* result of the last then */
    enum proa_outcome outcome; /* of the last then */
    bool inside;               /* in proa_offload now */
};

static struct account account;
static struct offload *pool;

/* A job's arg and result: where it is counted, and a number. */
struct thing {
    uint64_t number;
};

static struct thing *thing_new(uint64_t number)
{
    struct thing *thing = malloc(sizeof(*thing));

    assert_non_null(thing);
    thing->number = number;
    return thing;
}

static void *run(void *arg)
{
    struct thing *thing = arg;

    assert_false(account.inside);
    account.runs++;
    thing->number *= 2;
    return thing;
}

static void drop(void *arg)
{
    account.drops++;
    free(arg);
}

static void dispose(void *result)
{
    account.disposals++;
    free(result);
}

static void then(struct proa_actor *self, enum proa_outcome outcome, void *result,
                 const void *ctx)
{
    uint64_t wanted;

    assert_false(account.inside);
    memcpy(&wanted, ctx, sizeof(wanted));
    account.thens++;
    account.outcome = outcome;
    account.last = wanted;
    log_add(self, ANSWER)->value = wanted;
    if (outcome == PROA_OK)
        assert_int_equal(((struct thing *)result)->number, 2 * wanted);
    else
        assert_null(result);
    free(result);
}

struct call {
    struct proa_job job;
    proa_offloaded then;
    size_t ctx_len;
    enum proa_outcome outcome;
};

static void act_offload(struct proa_actor *self, void *ctx)
{
    struct call *call = ctx;
    static uint8_t data[PROA_CONTEXT_MAX + 1];

    if (call->job.arg != NULL)
        memcpy(data, &((struct thing *)call->job.arg)->number, 8);
    account.inside = true;
    call->outcome = proa_offload(self, call->job.run != NULL ? &call->job : NULL,
                                 call->then, data, call->ctx_len);
    account.inside = false;
    if (call->outcome != PROA_OK)
        free(call->job.arg);
}

static enum proa_outcome offload(struct world *w, struct proa_ref who, uint64_t number)
{
    struct call call = {
        .job = {run, thing_new(number), drop, dispose}, .then = then, .ctx_len = 8};

    in(w, who, act_offload, &call);
    return call.outcome;
}

static void with_pool(struct sched_config *c)
{
    c->offload = pool;
    offload_home(pool, c->lane, c->inbox, NULL);
}

static struct world *make(uint32_t lanes)
{
    account = (struct account){0};
    pool = offload_create(lanes, true);
    assert_non_null(pool);
    return world_make(lanes, with_pool);
}

static void end(struct world *w)
{
    world_free(w);
    offload_destroy(pool);
}

static void all_home(struct world *w)
{
    while (offload_step(pool) || offload_waiting(pool))
        world_settle(w);
    world_settle(w);
}

static void assert_account(uint32_t runs, uint32_t drops, uint32_t disposals,
                           uint32_t thens)
{
    assert_int_equal(account.runs, runs);
    assert_int_equal(account.drops, drops);
    assert_int_equal(account.disposals, disposals);
    assert_int_equal(account.thens, thens);
}

/* ---- */

static void offload__brings_the_result_home_once(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);

    (void)state;
    assert_int_equal(offload(w, actor, 21), PROA_OK);
    world_settle(w);
    assert_account(0, 0, 0, 0); /* nobody has worked yet */
    assert_true(atomic_load(&pool->wanted));
    assert_true(offload_waiting(pool));
    assert_true(offload_step(pool));
    assert_account(1, 0, 0, 0);
    assert_false(offload_step(pool));
    world_settle(w);
    assert_account(1, 0, 0, 1);
    assert_int_equal(account.outcome, PROA_OK);
    assert_int_equal(account.last, 21);
    world_settle(w);
    assert_account(1, 0, 0, 1);
    assert_int_equal(STAT(w, 0, jobs_accepted), 1);
    assert_int_equal(STAT(w, 0, jobs), 0);
    assert_clean(w);
    end(w);
}

static void offload__refuses_what_it_cannot_do(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);
    struct call none = {.then = then}, no_then = {.job = {.run = run}},
                much = {
                    .job = {.run = run}, .then = then, .ctx_len = PROA_CONTEXT_MAX + 1};

    (void)state;
    in(w, actor, act_offload, &none);
    assert_int_equal(none.outcome, PROA_INVALID);
    in(w, actor, act_offload, &no_then);
    assert_int_equal(no_then.outcome, PROA_INVALID);
    in(w, actor, act_offload, &much);
    assert_int_equal(much.outcome, PROA_INVALID);
    assert_false(offload_step(pool));
    sched_drain(w->lane[0].s);
    assert_int_equal(offload(w, actor, 1), PROA_STOPPED);
    assert_false(offload_step(pool));
    assert_clean(w);
    end(w);
}

static void offload__without_a_pool_is_limit(void **state)
{
    struct world *w = world_make(1, NULL);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);

    (void)state;
    assert_int_equal(offload(w, actor, 1), PROA_LIMIT);
    world_free(w);
}

static void few_asks(struct sched_config *c)
{
    with_pool(c);
    c->asks_max = 4;
}

static void offload__with_all_asks_in_flight_is_limit(void **state)
{
    struct log log = {0};

    (void)state;
    account = (struct account){0};
    pool = offload_create(1, true);
    struct world *w = world_make(1, few_asks);
    struct proa_ref actor = spawn(w, 0, &log);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(offload(w, actor, i), PROA_OK);
    assert_int_equal(offload(w, actor, 4), PROA_LIMIT);
    all_home(w);
    assert_account(4, 0, 0, 4);
    assert_int_equal(offload(w, actor, 5), PROA_OK);
    all_home(w);
    assert_account(5, 0, 0, 5);
    end(w);
}

static void offload__full_is_again_until_half_is_home(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);
    uint32_t home = 0;

    (void)state;
    for (uint64_t i = 0; i < PROA_OFFLOAD_MAX; i++)
        assert_int_equal(offload(w, actor, i), PROA_OK);
    assert_int_equal(offload(w, actor, 999), PROA_AGAIN);
    world_settle(w);
    assert_int_equal(STAT(w, 0, jobs), PROA_OFFLOAD_MAX);
    assert_int_equal(STAT(w, 0, again), 1);
    assert_int_equal(count_of(&log, SIGNAL), 0);
    for (; home < PROA_OFFLOAD_MAX / 2; home++) {
        assert_int_equal(count_of(&log, SIGNAL), 0);
        assert_true(offload_step(pool));
        world_settle(w);
        assert_int_equal(account.last, home); /* oldest first */
    }
    assert_int_equal(count_of(&log, SIGNAL), 1);
    assert_int_equal(nth(&log, SIGNAL, 0)->signal, PROA_SIGNAL_WRITABLE);
    all_home(w);
    assert_account(PROA_OFFLOAD_MAX, 0, 0, PROA_OFFLOAD_MAX);
    assert_int_equal(count_of(&log, SIGNAL), 1);
    assert_clean(w);
    end(w);
}

static void stop__drops_what_has_not_begun(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);

    (void)state;
    assert_int_equal(offload(w, actor, 1), PROA_OK);
    assert_int_equal(offload(w, actor, 2), PROA_OK);
    stop(w, actor);
    world_settle(w);
    assert_account(0, 0, 0, 0); /* on the pool, not here */
    all_home(w);
    assert_account(0, 2, 0, 0);
    assert_int_equal(STAT(w, 0, jobs), 0);
    assert_int_equal(STAT(w, 0, jobs_abandoned), 2);
    assert_clean(w);
    end(w);
}

static void stop__while_a_worker_runs_it_disposes(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);
    struct offload_job *job;

    (void)state;
    assert_int_equal(offload(w, actor, 1), PROA_OK);
    job = offload_take(pool);
    assert_non_null(job);
    offload_work(job);
    assert_account(1, 0, 0, 0);
    stop(w, actor); /* the worker has looked already */
    world_settle(w);
    assert_true(offload_send_home(pool, job));
    world_settle(w);
    assert_account(1, 0, 0, 0); /* not on the lane */
    assert_int_equal(STAT(w, 0, jobs), 1);
    assert_true(offload_step(pool));
    assert_account(1, 0, 1, 0);
    world_settle(w);
    assert_int_equal(STAT(w, 0, jobs), 0);
    assert_clean(w);
    end(w);
}

static void stop__between_home_and_then_disposes(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);
    struct sched *s = w->lane[0].s;

    (void)state;
    assert_int_equal(offload(w, actor, 1), PROA_OK);
    assert_true(offload_step(pool));
    sched_begin(s, w->now);
    assert_int_equal(sched_poll(s), 1); /* settled, and not yet told */
    stop(w, actor);
    world_settle(w);
    assert_account(1, 0, 0, 0);
    all_home(w);
    assert_account(1, 0, 1, 0);
    assert_int_equal(STAT(w, 0, jobs), 0);
    assert_clean(w);
    end(w);
}

static void stop__does_not_touch_the_next_life(void **state)
{
    struct world *w = make(1);
    struct log log = {0}, next_log = {0};
    struct proa_ref actor = spawn(w, 0, &log), next;

    (void)state;
    assert_int_equal(offload(w, actor, 1), PROA_OK);
    stop(w, actor);
    world_settle(w);
    next = spawn(w, 0, &next_log);
    assert_int_equal(proa_ref_lane(next), 0);
    assert_int_equal(next.slot, actor.slot);
    assert_int_equal(offload(w, next, 7), PROA_OK);
    all_home(w);
    assert_account(1, 1, 0, 1);
    assert_int_equal(count_of(&next_log, ANSWER), 1);
    assert_int_equal(nth(&next_log, ANSWER, 0)->value, 7);
    end(w);
}

static void refuse__is_not_sent(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);
    struct offload_job *job;

    (void)state;
    assert_int_equal(offload(w, actor, 1), PROA_OK);
    job = offload_take(pool);
    offload_refuse(job);
    assert_account(0, 1, 0, 0);
    assert_true(offload_send_home(pool, job));
    world_settle(w);
    assert_account(0, 1, 0, 1);
    assert_int_equal(account.outcome, PROA_NOT_SENT);
    assert_clean(w);
    end(w);
}

static void send_home__waits_for_room(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(offload(w, actor, i), PROA_OK);
    for (uint32_t i = 0; i < 200; i++)
        assert_true(offload_step(pool));
    assert_account(65, 0, 0, 0); /* the inbox holds 64, and one could not be sent */
    all_home(w);
    assert_account(100, 0, 0, 100);
    assert_clean(w);
    end(w);
}

static void offload__each_lane_has_its_own(void **state)
{
    struct world *w = make(3);
    struct log logs[3] = {{.count = 0}};
    struct proa_ref actors[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        actors[i] = spawn(w, i, &logs[i]);
    for (uint64_t n = 0; n < PROA_OFFLOAD_MAX; n++)
        assert_int_equal(offload(w, actors[1], n), PROA_OK);
    assert_int_equal(offload(w, actors[1], 5), PROA_AGAIN);
    assert_int_equal(offload(w, actors[0], 6), PROA_OK);
    assert_int_equal(offload(w, actors[2], 7), PROA_OK);
    all_home(w);
    assert_int_equal(count_of(&logs[0], ANSWER), 1);
    assert_int_equal(nth(&logs[0], ANSWER, 0)->value, 6);
    assert_int_equal(count_of(&logs[1], ANSWER), PROA_OFFLOAD_MAX);
    assert_int_equal(nth(&logs[2], ANSWER, 0)->value, 7);
    assert_clean(w);
    end(w);
}

/* Waiting, unsent, at home unread: all of it is given back (memory: the sanitizers). */
static void destroy__gives_everything_back(void **state)
{
    struct world *w = make(1);
    struct log log = {0};
    struct proa_ref actor = spawn(w, 0, &log);

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(offload(w, actor, i), PROA_OK);
    for (uint32_t i = 0; i < 70; i++)
        assert_true(offload_step(pool)); /* 64 in the inbox, one unsent */
    end(w);
    assert_account(65, 35, 65, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offload__brings_the_result_home_once),
        cmocka_unit_test(offload__refuses_what_it_cannot_do),
        cmocka_unit_test(offload__without_a_pool_is_limit),
        cmocka_unit_test(offload__with_all_asks_in_flight_is_limit),
        cmocka_unit_test(offload__full_is_again_until_half_is_home),
        cmocka_unit_test(stop__drops_what_has_not_begun),
        cmocka_unit_test(stop__while_a_worker_runs_it_disposes),
        cmocka_unit_test(stop__between_home_and_then_disposes),
        cmocka_unit_test(stop__does_not_touch_the_next_life),
        cmocka_unit_test(refuse__is_not_sent),
        cmocka_unit_test(send_home__waits_for_room),
        cmocka_unit_test(offload__each_lane_has_its_own),
        cmocka_unit_test(destroy__gives_everything_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
