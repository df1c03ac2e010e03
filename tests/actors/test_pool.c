/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of workers over the lanes of one node: starting, running, ending. */
#include "pool_world.h"

/* ---- Joins that went up ---- */

static uint32_t joins_of(uint32_t lane, const char *group)
{
    const struct byte_record *r;
    uint32_t count = 0;

    while ((r = byte_ring_peek(w->lane[lane].up)) != NULL) {
        struct punt_name name;

        if (r->kind == PUNT_NAME) {
            memcpy(&name, r->body, sizeof(name));
            assert_int_equal(name.op, PUNT_JOIN);
            assert_int_equal(name.len, strlen(group));
            assert_memory_equal(r->body + sizeof(name), group, name.len);
            assert_int_equal(name.correlation, 0);
            assert_true(
                is_alive((struct proa_ref){WORLD_NODE, name.slot, name.generation}));
            count++;
        }
        byte_ring_pop(w->lane[lane].up);
    }
    return count;
}

/* ---- Starting ---- */

static void start__spreads_workers_over_all_lanes(void **state)
{
    const uint64_t arg = 4242;

    (void)state;
    assert_int_equal(begin((struct proa_pool_config){.behaviour = &worker,
                                                     .count = 7,
                                                     .group = "crunchers",
                                                     .arg = &arg,
                                                     .arg_len = sizeof(arg)}),
                     PROA_OK);
    assert_int_equal(told.count, 0); /* later */
    world_settle(w);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.outcome, PROA_OK);
    assert_int_equal(told.started, 7);
    assert_int_equal(told.ctx, 77);
    assert_true(is_alive(told.pool.keeper));
    assert_int_equal(seen.alive[0], 3);
    assert_int_equal(seen.alive[1], 2);
    assert_int_equal(seen.alive[2], 2);
    assert_int_equal(seen.arg, arg);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(joins_of(i, "crunchers"), seen.alive[i]);
}

static void start__on_the_lanes_said(void **state)
{
    (void)state;
    assert_int_equal(begin((struct proa_pool_config){
                         .behaviour = &worker, .count = 4, .first_lane = 1, .lanes = 2}),
                     PROA_OK);
    assert_int_equal(begin((struct proa_pool_config){
                         .behaviour = &worker, .count = 1, .first_lane = 2}),
                     PROA_OK);
    world_settle(w);
    assert_int_equal(told.count, 2);
    assert_int_equal(seen.alive[0], 0);
    assert_int_equal(seen.alive[1], 2);
    assert_int_equal(seen.alive[2], 3);
    assert_int_equal(joins_of(1, ""), 0); /* no group was named */
}

static void start__many_workers_in_many_turns(void **state)
{
    (void)state;
    assert_int_equal(
        begin((struct proa_pool_config){.behaviour = &worker, .count = 1500}), PROA_OK);
    for (uint32_t i = 0; i < 100 && told.count == 0; i++)
        world_advance(w, PROA_TIMER_TICK);
    assert_int_equal(told.outcome, PROA_OK);
    assert_int_equal(told.started, 1500);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(seen.alive[i], 500);
}

static void start__refuses_bad_arguments(void **state)
{
    static const struct proa_behaviour nameless = {.type_name = ""};
    char longest[PROA_NAME_MAX + 2];
    const struct proa_pool_config good = {.behaviour = &worker, .count = 1};
    struct proa_pool_config bad[12];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (uint32_t i = 0; i < 12; i++)
        bad[i] = good;
    bad[0].behaviour = NULL;
    bad[1].behaviour = &nameless;
    bad[2].count = 0;
    bad[3].count = PROA_POOL_MAX + 1;
    bad[4].arg_len = 8; /* arg NULL */
    bad[5].arg = longest;
    bad[5].arg_len = PROA_POOL_ARG_MAX + 1;
    bad[6].first_lane = 3;
    bad[7].first_lane = 2;
    bad[7].lanes = 2;
    bad[8].lanes = UINT32_MAX;
    bad[9].restart = (enum proa_restart)(PROA_RESTART_TEMPORARY + 1);
    bad[10].group = "type:worker";
    bad[11].group = longest;
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(begin(bad[i]), PROA_INVALID);
    struct start start = {
        .config = good, .then = on_pooled, .ctx_len = PROA_POOL_CONTEXT_MAX + 1};
    in(w, owner, act_start, &start);
    assert_int_equal(start.outcome, PROA_INVALID);
    world_settle(w);
    assert_int_equal(told.count, 0);
    assert_int_equal(actors(), 0);
}

static void start__without_then(void **state)
{
    struct start start = {.config = {.behaviour = &worker, .count = 3}};

    (void)state;
    in(w, owner, act_start, &start);
    assert_int_equal(start.outcome, PROA_OK);
    world_settle(w);
    assert_int_equal(alive(), 3);
    seen.fail_lane = 1;
    seen.fail_at = seen.started[1] + 1;
    in(w, owner, act_start, &start);
    world_settle(w);
    assert_int_equal(alive(), 3);
    assert_int_equal(count_of(&owner_log, SIGNAL), 0);
}

/* ---- All or nothing ---- */

static void start__that_fails_on_one_lane_leaves_none(void **state)
{
    (void)state;
    for (uint32_t lane = 0; lane < 3; lane++) {
        memset(&seen, 0, sizeof(seen));
        memset(&told, 0, sizeof(told));
        seen.fail_lane = lane;
        seen.fail_at = 2;
        assert_int_equal(
            begin((struct proa_pool_config){.behaviour = &worker, .count = 9}), PROA_OK);
        world_settle(w);
        assert_int_equal(told.count, 1);
        assert_int_equal(told.outcome, PROA_STOPPED);
        assert_int_equal(told.started, 0);
        assert_int_equal(told.alive, 0); /* before it was told */
        assert_true(proa_ref_is_none(told.pool.keeper));
        assert_int_equal(actors(), 0);
        assert_int_equal(count_of(&owner_log, SIGNAL), 0);
    }
}

static void start__over_the_slots_of_a_lane_leaves_none(void **state)
{
    (void)state;
    assert_int_equal(
        begin((struct proa_pool_config){.behaviour = &worker, .count = 3200}), PROA_OK);
    for (uint32_t i = 0; i < 200 && told.count == 0; i++)
        world_advance(w, PROA_TIMER_TICK);
    assert_int_equal(told.outcome, PROA_LIMIT);
    assert_int_equal(told.alive, 0);
    assert_int_equal(actors(), 0);
}

/* The ring to another lane has no room for the request. */
static void start__over_a_full_ring_is_told_again(void **state)
{
    struct log far_log = {0};
    struct proa_ref far = spawn_kind(w, 2, &far_log, &worker);

    (void)state;
    while (tell(w, owner, far, 99, 0) == PROA_OK)
        ;
    assert_int_equal(begin((struct proa_pool_config){.behaviour = &worker, .count = 3}),
                     PROA_OK);
    lane_loop(w, 0);
    world_settle(w);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.outcome, PROA_AGAIN);
    assert_int_equal(told.alive, 1);
    assert_int_equal(actors(), 1);
    sched_stop_actor(w->lane[2].s, far);
}

/* ---- Joining while the control thread is behind ---- */

static void fill_up(uint32_t lane)
{
    while (byte_ring_push(w->lane[lane].up, PUNT_DATAGRAM, NULL, 0, "xxxxxxxx", 8))
        ;
}

static void join__is_tried_again_while_the_ring_is_full(void **state)
{
    (void)state;
    fill_up(0);
    assert_int_equal(begin((struct proa_pool_config){
                         .behaviour = &worker, .count = 3, .group = "g", .lanes = 1}),
                     PROA_OK);
    world_advance(w, 5 * PROA_MS);
    assert_int_equal(told.count, 0);
    assert_int_equal(alive(), 1); /* the first one waits to be in */
    act_tell_worker(seen.last, FAIL);
    assert_int_equal(alive(), 1);             /* in another life */
    assert_int_equal(joins_of(0, "none"), 0); /* makes room */
    world_advance(w, 5 * PROA_MS);
    assert_int_equal(told.outcome, PROA_OK);
    assert_int_equal(alive(), 3);
    assert_int_equal(joins_of(0, "g"), 3);
}

/* ---- Running ---- */

static void worker__that_ends_is_restarted_in_place(void **state)
{
    struct proa_ref before;

    (void)state;
    start_ok(3);
    before = seen.last;
    act_tell_worker(before, FAIL);
    assert_int_equal(alive(), 3);
    assert_int_equal(seen.last.slot, before.slot);
    assert_int_not_equal(seen.last.generation, before.generation);
    act_tell_worker(seen.last, QUIT);
    assert_int_equal(alive(), 3);
    assert_int_equal(count_of(&owner_log, SIGNAL), 0);
}

static void worker__that_is_not_to_be_restarted_is_not(void **state)
{
    (void)state;
    assert_int_equal(begin((struct proa_pool_config){.behaviour = &worker,
                                                     .count = 3,
                                                     .restart = PROA_RESTART_TRANSIENT}),
                     PROA_OK);
    world_settle(w);
    act_tell_worker(seen.last, FAIL);
    assert_int_equal(alive(), 3);
    act_tell_worker(seen.last, QUIT);
    assert_int_equal(alive(), 2);
    assert_true(is_alive(told.pool.keeper));
}

static void fail_often(void)
{
    for (uint32_t i = 0; i < 6; i++)
        act_tell_worker(seen.last, FAIL);
}

static void pool__ends_when_workers_fail_too_often(void **state)
{
    const struct event *e;

    (void)state;
    start_ok(6);
    fail_often();
    assert_int_equal(alive(), 0);
    assert_int_equal(actors(), 0);
    assert_int_equal(count_of(&owner_log, SIGNAL), 1);
    e = nth(&owner_log, SIGNAL, 0);
    assert_int_equal(e->signal, PROA_SIGNAL_DOWN);
    assert_true(proa_ref_equal(e->from, told.pool.keeper));
}

static void pool__takes_its_owner_with_it_unless_that_traps(void **state)
{
    struct log plain_log = {0};

    (void)state;
    stop(w, owner);
    world_settle(w);
    owner = spawn(w, 0, &plain_log);
    start_ok(6);
    fail_often();
    assert_int_equal(alive(), 0);
    assert_false(is_alive(owner));
    assert_int_equal(nth(&plain_log, ENDED, 0)->reason, PROA_REASON_FAILED);
}

/* ---- Ending ---- */

static void stop__ends_all_workers_and_says_nothing(void **state)
{
    (void)state;
    start_ok(9);
    assert_int_equal(pool_stop(told.pool), PROA_OK);
    world_settle(w);
    assert_int_equal(alive(), 0);
    assert_int_equal(seen.killed, 9);
    assert_int_equal(actors(), 0);
    assert_int_equal(count_of(&owner_log, SIGNAL), 0);
    assert_int_equal(pool_stop(told.pool), PROA_NO_SUCH_ACTOR);
    assert_int_equal(pool_stop((struct proa_pool){{0, 0, 0}}), PROA_NO_SUCH_ACTOR);
}

static void owner__that_ends_or_fails_takes_the_pool_with_it(void **state)
{
    (void)state;
    start_ok(5);
    stop(w, owner);
    world_settle(w);
    assert_int_equal(alive(), 0);
    assert_int_equal(actors(), 0);
    memset(&told, 0, sizeof(told));
    owner = spawn_kind(w, 1, &owner_log, &worker);
    assert_int_equal(begin((struct proa_pool_config){.behaviour = &worker, .count = 5}),
                     PROA_OK);
    world_settle(w);
    assert_int_equal(told.started, 5);
    assert_int_equal(alive(), 6); /* the owner is a worker too, but nobody restarts it */
    assert_int_equal(tell(w, owner, owner, FAIL, 0), PROA_OK);
    world_settle(w);
    assert_false(is_alive(owner));
    assert_int_equal(actors(), 0);
}

static void owner__that_ends_at_once_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(begin((struct proa_pool_config){.behaviour = &worker, .count = 9}),
                     PROA_OK);
    stop(w, owner);
    world_settle(w);
    assert_int_equal(told.count, 0);
    assert_int_equal(actors(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(start__spreads_workers_over_all_lanes),
        T(start__on_the_lanes_said),
        T(start__many_workers_in_many_turns),
        T(start__refuses_bad_arguments),
        T(start__without_then),
        T(start__that_fails_on_one_lane_leaves_none),
        T(start__over_the_slots_of_a_lane_leaves_none),
        T(start__over_a_full_ring_is_told_again),
        T(join__is_tried_again_while_the_ring_is_full),
        T(worker__that_ends_is_restarted_in_place),
        T(worker__that_is_not_to_be_restarted_is_not),
        T(pool__ends_when_workers_fail_too_often),
        T(pool__takes_its_owner_with_it_unless_that_traps),
        T(stop__ends_all_workers_and_says_nothing),
        T(owner__that_ends_or_fails_takes_the_pool_with_it),
        T(owner__that_ends_at_once_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
