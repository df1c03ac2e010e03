/* SPDX-License-Identifier: Apache-2.0 */
/* Picking a member by each policy, with silent nodes. */
#include "group_world.h"

static uint16_t load(struct world *w, uint32_t number)
{
    struct group *group = group_get(w->dir, G, strlen(G));

    for (uint32_t i = 0; i < group->seen_count; i++)
        if (group->seen[i]->ref.slot == number)
            return atomic_load(group->seen[i]->load);
    fail();
    return 0;
}

/* ---- LEAST_LOADED ---- */

static void least_loaded__the_shorter_of_two(void **state)
{
    uint32_t picked[3] = {0};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 3; i++)
        join(&w, HERE, i);
    publish(&w);
    atomic_store(&w.words[0], 5);
    atomic_store(&w.words[1], 9);
    atomic_store(&w.words[2], 6);
    for (uint32_t i = 0; i < 3000; i++)
        picked[pick(&w, PROA_ROUTE_LEAST_LOADED, 0).slot]++;
    assert_int_equal(picked[1], 0); /* of any two it is the longer one */
    assert_in_range(picked[0], 1800, 2200);
    assert_in_range(picked[2], 800, 1200);
    assert_int_equal(atomic_load(&w.words[0]), 5); /* its lane's to write */
    directory_destroy(w.dir);
}

static void least_loaded__picks_of_far_ones_count(void **state)
{
    uint32_t picked[4] = {0};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 4; i++)
        join(&w, FAR(1), i);
    publish(&w);
    for (uint32_t i = 0; i < 4000; i++)
        picked[pick(&w, PROA_ROUTE_LEAST_LOADED, 0).slot]++;
    for (uint32_t i = 0; i < 4; i++) {
        assert_in_range(picked[i], 990, 1010); /* the count evens it out */
        assert_int_equal(load(&w, i), picked[i]);
    }
    directory_load(w.dir, G, strlen(G), (struct proa_ref){FAR(1), 2, 3}, 3);
    assert_int_equal(load(&w, 2), 3);
    directory_load(w.dir, G, strlen(G), (struct proa_ref){FAR(1), 2, 9}, 8);
    assert_int_equal(load(&w, 2), 3); /* of another life */
    directory_load(w.dir, G, strlen(G), (struct proa_ref){FAR(1), 2, 3}, UINT16_MAX);
    for (uint32_t i = 0; i < 4000; i++)
        pick(&w, PROA_ROUTE_RANDOM, 0);
    assert_int_equal(load(&w, 2), UINT16_MAX); /* saturated */
    directory_destroy(w.dir);
}

struct asked {
    uint32_t count;
};

static void on_wanted(void *ctx, const char *group, size_t len)
{
    struct asked *asked = ctx;

    assert_int_equal(len, strlen(G));
    assert_memory_equal(group, G, len);
    asked->count++;
}

static uint32_t wanted(struct world *w)
{
    struct asked asked = {0};

    directory_loads_wanted(w->dir, on_wanted, &asked);
    return asked.count;
}

static void least_loaded__wants_loads_of_far_ones(void **state)
{
    struct world w;

    (void)state;
    create(&w, 1);
    join(&w, HERE, 1);
    publish(&w);
    pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    assert_int_equal(wanted(&w), 0); /* all are here */
    join(&w, FAR(1), 1);
    publish(&w);
    pick(&w, PROA_ROUTE_RANDOM, 0);
    pick(&w, PROA_ROUTE_HASH, 0);
    assert_int_equal(wanted(&w), 0);
    pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    assert_int_equal(wanted(&w), 1);
    assert_int_equal(wanted(&w), 0);
    pick(&w, PROA_ROUTE_IDLE_FIRST, 0);
    assert_int_equal(wanted(&w), 1);
    directory_destroy(w.dir);
}

/* ---- The others ---- */

static void random__all_about_as_often(void **state)
{
    uint32_t picked[10] = {0};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 10; i++)
        join(&w, FAR(i), i);
    publish(&w);
    for (uint32_t i = 0; i < 10000; i++)
        picked[pick(&w, PROA_ROUTE_RANDOM, 0).slot]++;
    for (uint32_t i = 0; i < 10; i++)
        assert_in_range(picked[i], 850, 1150);
    directory_destroy(w.dir);
}

static void round_robin__each_once_a_round(void **state)
{
    struct world w;
    struct proa_ref other;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 6; i++)
        join(&w, FAR(i), i);
    assert_true(directory_join(w.dir, "other", 5, (struct proa_ref){HERE, 1, 1}, 0) > 0);
    publish(&w);
    for (uint32_t round = 0; round < 5; round++) {
        uint32_t seen = 0;

        /* Picks from another group in between change nothing. */
        for (uint32_t i = 0; i < 6; i++) {
            seen |= 1u << pick(&w, PROA_ROUTE_ROUND_ROBIN, 0).slot;
            assert_int_equal(directory_route(w.dir, "other", 5, PROA_ROUTE_ROUND_ROBIN, 0,
                                             NOW, &w.turn, &other),
                             PROA_OK);
        }
        assert_int_equal(seen, 0x3f);
    }
    directory_node_dead(w.dir, FAR(2));
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t seen = 0;

        for (uint32_t i = 0; i < 5; i++)
            seen |= 1u << pick(&w, PROA_ROUTE_ROUND_ROBIN, 0).slot;
        assert_int_equal(seen, 0x3f & ~(1u << 2));
    }
    leave(&w, FAR(5), 5); /* the place of a round may be past the end */
    leave(&w, FAR(4), 4);
    publish(&w);
    for (uint32_t i = 0; i < 10; i++)
        assert_true(pick(&w, PROA_ROUTE_ROUND_ROBIN, 0).slot < 4);
    directory_destroy(w.dir);
}

/* The places of all these are in one set. */
static void round_robin__of_several_groups_in_between(void **state)
{
    struct world w;
    uint32_t seen[ROUTE_WAYS] = {0};
    char name[32];

    (void)state;
    create(&w, 1);
    assert_non_null(directory_node_add(w.dir, FAR(1), ALIVE));
    for (uint32_t i = 0; i < ROUTE_SETS * ROUTE_WAYS; i++)
        for (uint32_t slot = 0; slot < 4; slot++)
            assert_true(directory_join(w.dir, name, (size_t)sprintf(name, "group-%u", i),
                                       (struct proa_ref){FAR(1), slot, 1}, 0) > 0);
    publish(&w);
    for (uint32_t k = 0; k < 4 * ROUTE_WAYS; k++) {
        uint32_t number = k % ROUTE_WAYS;
        int len = sprintf(name, "group-%u", number * ROUTE_SETS);
        struct proa_ref got;

        assert_int_equal(directory_route(w.dir, name, (size_t)len, PROA_ROUTE_ROUND_ROBIN,
                                         0, NOW, &w.turn, &got),
                         PROA_OK);
        assert_int_equal(seen[number] & 1u << got.slot, 0);
        seen[number] |= 1u << got.slot;
    }
    directory_destroy(w.dir);
}

static void prefer_local__here_while_there_is_one(void **state)
{
    uint32_t seen = 0;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 50; i++)
        join(&w, FAR(1), i);
    publish(&w);
    assert_int_equal(pick(&w, PROA_ROUTE_PREFER_LOCAL, 0).node, FAR(1));
    for (uint32_t i = 0; i < 3; i++)
        join(&w, HERE, i);
    publish(&w);
    for (uint32_t i = 0; i < 100; i++) {
        struct proa_ref got = pick(&w, PROA_ROUTE_PREFER_LOCAL, 0);

        assert_int_equal(got.node, HERE);
        seen |= 1u << got.slot;
    }
    assert_int_equal(seen, 7);
    directory_destroy(w.dir);
}

static void idle_first__in_turn_those_that_are_idle(void **state)
{
    uint32_t seen = 0;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 16; i++)
        join(&w, HERE, i);
    publish(&w);
    for (uint32_t i = 0; i < 16; i++)
        seen |= 1u << pick(&w, PROA_ROUTE_IDLE_FIRST, 0).slot;
    assert_int_equal(seen, 0xffff); /* all are idle: in turn */
    for (uint32_t i = 0; i < 16; i++)
        atomic_store(&w.words[i], i == 11 ? 0 : 20 + i);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(pick(&w, PROA_ROUTE_IDLE_FIRST, 0).slot, 11);
    atomic_store(&w.words[11], 100);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(pick(&w, PROA_ROUTE_IDLE_FIRST, 0).slot, 0); /* the shortest */
    directory_destroy(w.dir);
}

/* ---- Silent nodes, odd lanes ---- */

/* One living member among many: found, whatever the policy. */
static void route__finds_the_only_living_one(void **state)
{
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 3000; i++)
        join(&w, FAR(1), i);
    join(&w, FAR(2), 77777);
    publish(&w);
    directory_node_dead(w.dir, FAR(1));
    for (int policy = PROA_ROUTE_RANDOM; policy <= PROA_ROUTE_IDLE_FIRST; policy++)
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(pick(&w, (enum proa_policy)policy, i).slot, 77777);
    directory_destroy(w.dir);
}

/* Forty nodes of 25 members, of which the first `living` are heard from. */
static void fill_nodes(struct world *w, uint32_t living)
{
    create(w, 1);
    for (uint32_t i = 0; i < 1000; i++)
        join(w, FAR(i % 40), i);
    publish(w);
    for (uint32_t node = living; node < 40; node++)
        directory_node_dead(w->dir, FAR(node));
}

/* In turn each living one once, in the order of the view: no more and no less by way of the nodes. */
static void route__in_turn_among_silent_nodes(void **state)
{
    static const uint32_t living[] = {40, 20, 3, 2, 1};

    (void)state;
    for (uint32_t k = 0; k < sizeof(living) / sizeof(living[0]); k++) {
        for (int idle = 0; idle < 2; idle++) {
            enum proa_policy policy =
                idle ? PROA_ROUTE_IDLE_FIRST : PROA_ROUTE_ROUND_ROBIN;
            uint8_t seen[1000] = {0};
            struct world w;

            fill_nodes(&w, living[k]);
            for (uint32_t i = 0; i < 2 * 25 * living[k]; i++) {
                struct proa_ref got = proa_ref_none();

                assert_int_equal(route(&w, policy, 0, NOW, &got), PROA_OK);
                assert_true(got.node < FAR(living[k]));
                seen[got.slot]++;
            }
            for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(seen[i], i % 40 < living[k] ? 2 : 0);
            directory_destroy(w.dir);
        }
    }
}

static void route__nobody_lives(void **state)
{
    struct proa_ref got;
    struct world w;

    (void)state;
    fill_nodes(&w, 0);
    for (int policy = PROA_ROUTE_RANDOM; policy <= PROA_ROUTE_IDLE_FIRST; policy++)
        assert_int_equal(route(&w, (enum proa_policy)policy, 1, NOW, &got), PROA_UNKNOWN);
    directory_destroy(w.dir);
}

/* Of 40 members here 39 have ended, and far ones are silent: the other one, by each policy. */
static void route__the_only_one_here_that_has_not_ended(void **state)
{
    struct proa_ref got;
    struct world w;

    (void)state;
    fill_nodes(&w, 0);
    for (uint32_t i = 0; i < 40; i++) {
        join(&w, HERE, i);
        atomic_store(&w.words[i], i == 17 ? 60000 : LOAD_ENDED);
    }
    publish(&w);
    for (int policy = PROA_ROUTE_RANDOM; policy <= PROA_ROUTE_IDLE_FIRST; policy++)
        for (uint64_t key = 0; key < 50; key++)
            assert_int_equal(pick(&w, (enum proa_policy)policy, key).slot, 17);
    atomic_store(&w.words[17], LOAD_ENDED);
    for (int policy = PROA_ROUTE_RANDOM; policy <= PROA_ROUTE_IDLE_FIRST; policy++)
        assert_int_equal(route(&w, (enum proa_policy)policy, 1, NOW, &got), PROA_UNKNOWN);
    directory_destroy(w.dir);
}

/* Readers remember groups by name: not one that is gone, nor one whose name looks alike. */
static void route__forgets_a_group_that_was_removed(void **state)
{
    static const char *const names[] = {"a",
                                        "b",
                                        "seven-7",
                                        "shards/a",
                                        "shards/b",
                                        "a-name-of-more-than-16-bytes-a",
                                        "a-name-of-more-than-16-bytes-b",
                                        "b-name-of-more-than-16-bytes-b"};
    const uint32_t count = sizeof(names) / sizeof(names[0]);
    struct proa_ref got;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < count; i++)
            directory_join(w.dir, names[i], strlen(names[i]),
                           (struct proa_ref){HERE, i, 1}, 0);
        publish(&w);
        for (uint32_t k = 0; k < 3 * count; k++) {
            const char *name = names[k % count];

            assert_int_equal(directory_route(w.dir, name, strlen(name),
                                             PROA_ROUTE_LEAST_LOADED, 0, NOW, &w.turn,
                                             &got),
                             PROA_OK);
            assert_int_equal(got.slot, k % count);
        }
        for (uint32_t i = 0; i < count; i++)
            directory_leave(w.dir, names[i], strlen(names[i]),
                            (struct proa_ref){HERE, i, 1});
        publish(&w);
        directory_reclaim(w.dir);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(directory_route(w.dir, names[i], strlen(names[i]),
                                             PROA_ROUTE_RANDOM, 0, NOW, &w.turn, &got),
                             PROA_UNKNOWN);
    }
    /* One that is known to be absent, and then is not here at all. */
    directory_group_absent(w.dir, G, strlen(G), NOW + 5);
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, NOW, &got), PROA_NOT_FOUND);
    directory_groups_publish(w.dir, NOW + 5);
    directory_reclaim(w.dir);
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, NOW, &got), PROA_UNKNOWN);
    assert_int_equal(
        directory_route(w.dir, G, 0, PROA_ROUTE_RANDOM, 0, NOW, &w.turn, &got),
        PROA_UNKNOWN);
    directory_destroy(w.dir);
}

static void lane_loads__given_late_or_too_short(void **state)
{
    _Atomic uint16_t words[4] = {7, 7, 7, 7};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 6; i++)
        join(&w, HERE, 3u << 24 | i);
    join(&w, HERE, 200u << 24); /* no lane is like that */
    publish(&w);
    assert_int_equal(load(&w, 3u << 24 | 1), 0);
    for (uint32_t i = 0; i < 100; i++)
        pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    assert_int_equal(load(&w, 3u << 24 | 1), 0);
    directory_lane_loads(w.dir, 3, words, 4);
    publish(&w);
    assert_int_equal(load(&w, 3u << 24 | 1), 7);
    assert_int_equal(load(&w, 3u << 24 | 5), 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(pick(&w, PROA_ROUTE_LEAST_LOADED, 0).slot != UINT32_MAX);
    assert_int_equal(atomic_load(&words[1]), 7);
    directory_lane_loads(w.dir, 3, NULL, 0);
    publish(&w);
    assert_int_equal(load(&w, 3u << 24 | 1), 0);
    directory_destroy(w.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_loaded__the_shorter_of_two),
        cmocka_unit_test(least_loaded__picks_of_far_ones_count),
        cmocka_unit_test(least_loaded__wants_loads_of_far_ones),
        cmocka_unit_test(random__all_about_as_often),
        cmocka_unit_test(round_robin__each_once_a_round),
        cmocka_unit_test(round_robin__of_several_groups_in_between),
        cmocka_unit_test(prefer_local__here_while_there_is_one),
        cmocka_unit_test(idle_first__in_turn_those_that_are_idle),
        cmocka_unit_test(route__finds_the_only_living_one),
        cmocka_unit_test(route__in_turn_among_silent_nodes),
        cmocka_unit_test(route__nobody_lives),
        cmocka_unit_test(route__the_only_one_here_that_has_not_ended),
        cmocka_unit_test(route__forgets_a_group_that_was_removed),
        cmocka_unit_test(lane_loads__given_late_or_too_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
