/* SPDX-License-Identifier: Apache-2.0 */
/* Actors of published behaviours join the group of their type. */
#include "up_world.h"

#include "scheduler_internal.h"

/* ---- Published behaviours ---- */

static uint16_t load_of(struct proa_ref ref)
{
    uint32_t slots;

    return atomic_load(&sched_loads(w->lane[0].s, &slots)[ref.slot]);
}

static void published__joins_once_start_has_returned(void **state)
{
    struct proa_ref ref;
    struct up u;

    (void)state;
    ref = spawn_kind(w, 0, &pub_log, &published);
    u = next_up();
    assert_call(&u, PUNT_JOIN, ref, "type:worker");
    assert_int_equal(u.name.type, sched_type_id("worker"));
    assert_int_equal(u.name.correlation, 0);
    assert_int_equal(load_of(ref), 0);
    assert_int_equal(tell(w, a, ref, NOTE, 1), PROA_OK);
    assert_int_equal(load_of(ref), 1); /* a member's load is kept for who picks by it */
    stop(w, ref);
    world_settle(w);
    assert_int_equal(next_up().kind, PUNT_ACTOR_STOPPED);
    assert_int_equal(next_up().kind, 0);
    spawn(w, 0, &a_log); /* not published */
    assert_int_equal(next_up().kind, 0);
}

static int stopping_start(struct proa_actor *self, const void *arg, size_t len)
{
    (void)arg;
    (void)len;
    proa_stop(self);
    return 0;
}

static void published__who_does_not_live_does_not_join(void **state)
{
    static const struct proa_behaviour brief = {
        .type_name = "brief", .start = stopping_start, .published = true};
    struct log *log = &pub_log;

    (void)state;
    pub_log.start_result = 5;
    assert_int_equal(sched_spawn(w->lane[0].s, &published, &log, sizeof(log), NULL),
                     PROA_STOPPED);
    assert_int_equal(sched_spawn(w->lane[0].s, &brief, NULL, 0, NULL), PROA_OK);
    world_settle(w);
    assert_int_equal(next_up().kind, 0);
}

static void published__type_must_be_utf8(void **state)
{
    static const struct proa_behaviour odd = {.type_name = "\xff\xfe", .published = true};
    static const struct proa_behaviour quiet = {.type_name = "\xff\xfe"};

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, &odd, NULL, 0, NULL), PROA_INVALID);
    assert_int_equal(sched_spawn(w->lane[0].s, &quiet, NULL, 0, NULL), PROA_OK);
}

static void published__full_ring_delays_joins_and_keeps_their_order(void **state)
{
    struct proa_ref refs[10];
    struct up u;

    (void)state;
    fill_up();
    for (int i = 0; i < 10; i++)
        refs[i] = spawn_kind(w, 0, &pub_log, &published);
    stop(w, refs[3]); /* nobody has heard of it */
    stop(w, refs[9]);
    retry();
    assert_true(STAT(w, 0, up_full) > 0);
    assert_true(sched_deadline(w->lane[0].s) <= w->now + PROA_MS);
    empty_up();
    retry();
    stop(w, refs[5]); /* this one joined */
    world_settle(w);
    for (int i = 0; i < 9; i++) {
        if (i == 3)
            continue;
        u = next_up();
        assert_call(&u, PUNT_JOIN, refs[i], "type:worker");
    }
    u = next_up();
    assert_int_equal(u.kind, PUNT_ACTOR_STOPPED);
    assert_int_equal(u.actor.slot, refs[5].slot);
    assert_int_equal(next_up().kind, 0);
}

/* ---- Restarts ---- */

static const struct proa_supervision rule = {.intensity = 100};
static const struct proa_behaviour boss = {.type_name = "boss", .supervision = &rule};
static struct proa_ref child;

static void act_child(struct proa_actor *self, void *ctx)
{
    struct log *log = &pub_log;

    (void)ctx;
    assert_int_equal(proa_spawn_child(self, &published, &log, sizeof(log),
                                      PROA_RESTART_PERMANENT, &child),
                     PROA_OK);
}

static void act_fail(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_fail(self, 9);
}

static struct proa_ref supervise(void)
{
    struct proa_ref ref;

    assert_int_equal(sched_spawn(w->lane[0].s, &boss, NULL, 0, &ref), PROA_OK);
    in(w, ref, act_child, NULL);
    return ref;
}

static void restart__moves_the_membership_without_another_join(void **state)
{
    struct up u;

    (void)state;
    supervise();
    u = next_up();
    assert_call(&u, PUNT_JOIN, child, "type:worker");
    in(w, child, act_fail, NULL);
    world_settle(w);
    u = next_up();
    assert_int_equal(u.kind, PUNT_ACTOR_RESTARTED);
    assert_int_equal(u.restart.slot, child.slot);
    assert_int_equal(u.restart.generation, child.generation);
    assert_int_equal(u.restart.now, child.generation + 1);
    assert_int_equal(next_up().kind, 0);
}

static void restart__before_the_join_was_told_joins_as_the_new_life(void **state)
{
    struct proa_ref parent;
    struct up u;

    (void)state;
    fill_up();
    parent = supervise();
    for (int i = 0; i < 3; i++) {
        in(w, child, act_fail, NULL);
        retry();
        child.generation++;
    }
    empty_up();
    retry();
    u = next_up();
    assert_call(&u, PUNT_JOIN, child, "type:worker");
    assert_int_equal(next_up().kind, 0);
    stop(w, parent);
    world_settle(w);
    u = next_up();
    assert_int_equal(u.kind, PUNT_ACTOR_STOPPED);
    assert_int_equal(u.actor.generation, child.generation);
    assert_int_equal(next_up().kind, 0);
}

/* ---- At random ---- */

/* What the control thread believes, by slot index. */
static struct {
    uint8_t member[1024];
    uint32_t generation[1024];
} believed;

static void believe(const struct up *u)
{
    if (u->kind == PUNT_NAME) {
        assert_int_equal(believed.member[u->name.slot], 0);
        believed.member[u->name.slot] = 1;
        believed.generation[u->name.slot] = u->name.generation;
    } else if (u->kind == PUNT_ACTOR_RESTARTED) {
        assert_int_equal(believed.member[u->restart.slot], 1);
        assert_int_equal(believed.generation[u->restart.slot], u->restart.generation);
        believed.generation[u->restart.slot] = u->restart.now;
    } else if (u->kind == PUNT_ACTOR_STOPPED) {
        assert_int_equal(believed.member[u->actor.slot], 1);
        assert_int_equal(believed.generation[u->actor.slot], u->actor.generation);
        believed.member[u->actor.slot] = 0;
    }
}

static const struct slot *slot_now(struct proa_ref ref)
{
    return &w->lane[0].s->slots.slots[ref.slot];
}

struct random_life {
    struct proa_ref ref, parent; /* parent: none, it is nobody's child */
};

static struct random_life begin_life(void)
{
    struct random_life life = {.parent = proa_ref_none()};

    if (rand() % 2 == 0) {
        life.ref = spawn_kind(w, 0, &pub_log, &published);
        return life;
    }
    life.parent = supervise();
    life.ref = child;
    return life;
}

static void act_at_random(struct random_life *live, uint32_t *count)
{
    struct random_life *one = *count > 0 ? &live[(uint32_t)rand() % *count] : NULL;
    int what = rand() % 10;
    struct up u;

    if (what < 3 && *count < 64) {
        live[(*count)++] = begin_life();
    } else if (what < 5 && one != NULL) {
        stop(w, proa_ref_is_none(one->parent) ? one->ref : one->parent);
        *one = live[--*count];
    } else if (what < 7 && one != NULL && !proa_ref_is_none(one->parent) &&
               slot_now(one->ref)->state == SLOT_LIVE) { /* not between two lives */
        one->ref.generation = slot_now(one->ref)->generation;
        in(w, one->ref, act_fail, NULL);
        w->now += 10 * PROA_S; /* else it fails too often */
    } else if (what == 7) {
        fill_up();
    } else if (what == 8) {
        for (int n = rand() % 40; n > 0 && (u = next_up()).kind != 0; n--)
            believe(&u);
    } else {
        w->now += PROA_MS;
    }
}

/* Whatever the ring's room, whoever lives has joined in the end, once, in the life that it has now,
   and who has joined and ended is told of. */
static void published__random_lives_and_a_ring_that_is_often_full(void **state)
{
    struct random_life live[64];
    uint32_t count = 0;
    unsigned seed = 20260101;
    struct up u;

    (void)state;
    memset(&believed, 0, sizeof(believed));
    print_message("seed %u\n", seed);
    srand(seed);
    for (int step = 0; step < 6000; step++) {
        pub_log.count = 0;
        act_at_random(live, &count);
        lane_loop(w, 0);
    }
    for (int i = 0; i < 50; i++) {
        w->now += PROA_MS;
        lane_loop(w, 0);
        while ((u = next_up()).kind != 0)
            believe(&u);
    }
    assert_true(STAT(w, 0, restarts) > 100);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(believed.member[live[i].ref.slot], 1);
        assert_int_equal(believed.generation[live[i].ref.slot],
                         slot_now(live[i].ref)->generation);
        believed.member[live[i].ref.slot] = 0;
    }
    for (uint32_t i = 0; i < 1024; i++)
        assert_int_equal(believed.member[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(published__joins_once_start_has_returned, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(published__who_does_not_live_does_not_join, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(published__type_must_be_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(
            published__full_ring_delays_joins_and_keeps_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(
            restart__moves_the_membership_without_another_join, setup, teardown),
        cmocka_unit_test_setup_teardown(
            restart__before_the_join_was_told_joins_as_the_new_life, setup, teardown),
        cmocka_unit_test_setup_teardown(
            published__random_lives_and_a_ring_that_is_often_full, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
