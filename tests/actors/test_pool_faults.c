/* SPDX-License-Identifier: Apache-2.0 */
/* Pools whose actors are killed at any moment, and orders that are forged. */
#include "pool_world.h"

#include <stdio.h>

#define SEED 20260
#define SETTLED (SCHED_RUN_MAX / 2) /* answers that one loop runs */

/* ---- Forged orders ---- */

/* The first actor of that type on a lane. */
static struct proa_ref find(uint32_t lane, const char *type_name)
{
    struct sched *s = w->lane[lane].s;

    for (uint32_t i = 0; i < s->slots.fresh; i++) {
        struct slot *slot = &s->slots.slots[i];

        if (slot->state == SLOT_LIVE &&
            strcmp(slot->behaviour->def->type_name, type_name) == 0)
            return ref_of(s, slot);
    }
    return proa_ref_none();
}

static void order__of_somebody_else_is_not_obeyed(void **state)
{
    uint64_t order[64] = {0};
    struct proa_ref crew = proa_ref_none(), keeper = proa_ref_none();
    struct proa_msg msg;

    (void)state;
    assert_int_equal(begin((struct proa_pool_config){
                         .behaviour = &worker, .count = 2, .first_lane = 1, .lanes = 1}),
                     PROA_OK);
    for (uint32_t i = 0; i < 20 && proa_ref_is_none(crew); i++) {
        lane_loop(w, 0);
        lane_loop(w, 1);
        crew = find(1, "proa.pool.crew");
    }
    keeper = find(0, "proa.pool");
    assert_int_equal(alive(), 0); /* the crew is there, its order is on the way */
    for (uint32_t len = 320; len <= 352; len += 8) {
        msg = from_far(crew, 1, order);
        msg.from = keeper; /* as a forwarded message may claim */
        msg.flags = PROA_MSG_ASK;
        msg.deadline = w->now + PROA_S;
        msg.correlation = 1;
        msg.len = len;
        sched_deliver(w->lane[1].s, &msg, true);
        msg.to = keeper;
        sched_deliver(w->lane[0].s, &msg, true);
    }
    lane_loop(w, 1);
    assert_int_equal(alive(), 0);
    world_settle(w);
    assert_int_equal(told.outcome, PROA_OK);
    assert_int_equal(alive(), 2);
}

/* ---- A crew that ends before the keeper has heard of it ---- */

static void on_spawned(struct proa_actor *self, enum proa_outcome outcome,
                       struct proa_ref ref, const void *ctx)
{
    (void)self;
    (void)outcome;
    (void)ref;
    (void)ctx;
}

static void act_spawn_many(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    for (uint32_t i = 0; i < SETTLED; i++)
        assert_int_equal(proa_spawn_on(self, 0, &worker, NULL, 0, on_spawned, NULL, 0),
                         PROA_OK);
}

static void large(struct sched_config *c)
{
    c->asks_max = c->actors_max = 4096;
}

static int setup_large(void **state)
{
    (void)state;
    return setup_with(large);
}

/* The answers to so many spawns come first that the crew's end is seen before its beginning. */
static void crew__that_ends_unheard_of_is_missed(void **state)
{
    struct proa_ref crew = proa_ref_none();

    (void)state;
    assert_int_equal(begin((struct proa_pool_config){
                         .behaviour = &worker, .count = 1, .first_lane = 1}),
                     PROA_OK);
    lane_loop(w, 0);
    for (int i = 0; i < 10 && proa_ref_is_none(crew); i++) {
        lane_loop(w, 1);
        crew = find(1, "proa.pool.crew");
    }
    assert_false(proa_ref_is_none(crew));
    in(w, owner, act_spawn_many, NULL);
    sched_stop_actor(w->lane[1].s, crew);
    lane_loop(w, 1);
    world_settle(w);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.outcome, PROA_STOPPED);
    assert_int_equal(actors(), SETTLED);
    for (uint32_t i = 0; i < SETTLED; i++) {
        sched_stop_actor(w->lane[0].s, find(0, "worker"));
        world_settle(w);
    }
}

/* ---- A crew that cannot link itself ---- */

/* Its lane has no monitor left. */
static void crew__that_cannot_link_is_a_limit(void **state)
{
    struct monitor_table *t = &w->lane[1].s->monitors;
    uint32_t max = t->max;

    (void)state;
    t->max = t->in_use;
    assert_int_equal(begin((struct proa_pool_config){
                         .behaviour = &worker, .count = 2, .first_lane = 1, .lanes = 1}),
                     PROA_OK);
    world_settle(w);
    t->max = max;
    assert_int_equal(told.count, 1);
    assert_int_equal(told.outcome, PROA_LIMIT);
    assert_true(proa_ref_is_none(told.pool.keeper));
    assert_int_equal(actors(), 0);
}

/* ---- At random ---- */

/* Pools are begun and, at any moment, stopped, or lose one of their actors.  What is left is whole
   pools or nothing. */
static void random__all_or_nothing(void **state)
{
    unsigned seed = SEED;

    (void)state;
    for (int round = 0; round < 300; round++) {
        static const char *const kinds[] = {"proa.pool", "proa.pool.crew", "trapping"};
        uint32_t count = 1 + (uint32_t)rand_r(&seed) % 200;
        uint32_t loops = (uint32_t)rand_r(&seed) % 40, choice;
        struct proa_ref victim;

        memset(&seen, 0, sizeof(seen));
        memset(&told, 0, sizeof(told));
        if (!is_alive(owner))
            owner = spawn_kind(w, (uint32_t)rand_r(&seed) % 3, &owner_log, &trapping);
        owner_log.count = 0;
        seen.fail_lane = (uint32_t)rand_r(&seed) % 3;
        seen.fail_at = rand_r(&seed) % 4 == 0 ? 1 + (uint32_t)rand_r(&seed) % 100 : 0;
        assert_int_equal(
            begin((struct proa_pool_config){.behaviour = &worker, .count = count}),
            PROA_OK);
        for (uint32_t i = 0; i < loops; i++) {
            lane_loop(w, (uint32_t)rand_r(&seed) % 3);
            w->now += (uint32_t)rand_r(&seed) % PROA_TIMER_TICK;
        }
        choice = (uint32_t)rand_r(&seed) % 4;
        victim = choice < 3 ? find((uint32_t)rand_r(&seed) % 3, kinds[choice])
                            : proa_ref_none();
        if (!proa_ref_is_none(victim))
            sched_stop_actor(w->lane[proa_ref_lane(victim)].s, victim);
        for (int i = 0; i < 100; i++)
            world_advance(w, PROA_TIMER_TICK);
        bool runs = told.count > 0 && told.outcome == PROA_OK && alive() > 0;
        if (alive() != (runs ? count : 0) || told.count > 1 ||
            (told.count == 0 && is_alive(owner)))
            fail_msg("round %d of seed %d: %u of %u workers, told %u", round, SEED,
                     alive(), count, told.count);
        if (runs && is_alive(owner))
            pool_stop(told.pool);
        world_settle(w);
        assert_int_equal(actors(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(order__of_somebody_else_is_not_obeyed),
        cmocka_unit_test_setup_teardown(crew__that_ends_unheard_of_is_missed, setup_large,
                                        teardown),
        T(crew__that_cannot_link_is_a_limit),
        T(random__all_or_nothing),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
