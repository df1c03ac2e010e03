/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct kad_id own = {{0xff, 1}};
static const struct kad_id target = {{0}};

/* The id at distance n (n >= 1) from the target. */
static struct kad_id id_of(uint8_t n)
{
    struct kad_id id = {{n}};

    return id;
}

static bool add(struct kad_walk *walk, uint8_t n)
{
    struct kad_id id = id_of(n);
    struct proa_addr addr = {.family = 4, .port = n};

    return kad_walk_add(walk, &id, &addr, false);
}

static struct kad_walk_node *node(struct kad_walk *walk, uint8_t n)
{
    struct kad_id id = id_of(n);

    return kad_walk_find(walk, &id);
}

/* Asks all that may be asked; returns how many. */
static unsigned ask(struct kad_walk *walk)
{
    struct kad_walk_node *next;
    unsigned asked = 0;

    while ((next = kad_walk_next(walk)) != NULL) {
        kad_walk_asked(next);
        asked++;
    }
    return asked;
}

static void add__keeps_the_closest_in_order(void **state)
{
    struct kad_walk walk;

    (void)state;
    kad_walk_init(&walk, &own, &target);
    for (uint8_t n = 200; n > 100; n--)
        assert_true(add(&walk, n));
    assert_int_equal(walk.count, KAD_WALK_NODES);
    for (uint32_t i = 0; i < walk.count; i++)
        assert_int_equal(walk.nodes[i].id.b[0], 101 + i);
    assert_false(add(&walk, 150));
}

static void add__refuses_known_ids_known_endpoints_and_ourselves(void **state)
{
    struct kad_walk walk;
    struct kad_id two = id_of(2);
    struct proa_addr first = {.family = 4, .port = 1}, no_port = {.family = 4};

    (void)state;
    kad_walk_init(&walk, &own, &target);
    assert_true(add(&walk, 1));
    assert_false(add(&walk, 1));
    assert_false(kad_walk_add(&walk, &two, &first, false));
    assert_false(kad_walk_add(&walk, &two, &no_port, false));
    assert_false(kad_walk_add(&walk, &own, &no_port, false));
    assert_int_equal(walk.count, 1);
}

static void next__asks_the_four_closest(void **state)
{
    struct kad_walk walk;

    (void)state;
    kad_walk_init(&walk, &own, &target);
    for (uint8_t n = 1; n <= 20; n++)
        add(&walk, n);
    assert_int_equal(ask(&walk), KAD_WALK_ALPHA);
    for (uint8_t n = 1; n <= 4; n++)
        assert_int_equal(node(&walk, n)->state, KAD_WALK_ASKED);
    kad_walk_answered(node(&walk, 2));
    assert_int_equal(ask(&walk), 1);
    assert_int_equal(node(&walk, 5)->state, KAD_WALK_ASKED);
}

static void next__late_one_gives_its_place_to_another(void **state)
{
    struct kad_walk walk;

    (void)state;
    kad_walk_init(&walk, &own, &target);
    for (uint8_t n = 1; n <= 20; n++)
        add(&walk, n);
    ask(&walk);
    kad_walk_late(node(&walk, 1));
    assert_int_equal(ask(&walk), 1);
    kad_walk_answered(node(&walk, 1));
    kad_walk_late(node(&walk, 1));
    assert_int_equal(node(&walk, 1)->state, KAD_WALK_ANSWERED);
}

static void next__suspect_is_asked_beside_the_four(void **state)
{
    struct kad_walk walk;
    struct kad_id id = id_of(1);
    struct proa_addr addr = {.family = 4, .port = 1};

    (void)state;
    kad_walk_init(&walk, &own, &target);
    kad_walk_add(&walk, &id, &addr, true);
    for (uint8_t n = 2; n <= 20; n++)
        add(&walk, n);
    assert_int_equal(ask(&walk), KAD_WALK_ALPHA + 1);
    assert_int_equal(node(&walk, 1)->state, KAD_WALK_LATE);
}

static void done__when_the_eight_closest_have_answered(void **state)
{
    struct kad_walk walk;

    (void)state;
    kad_walk_init(&walk, &own, &target);
    for (uint8_t n = 1; n <= 20; n++)
        add(&walk, n);
    for (uint8_t n = 1; n <= 8; n++) {
        assert_false(kad_walk_done(&walk, true));
        ask(&walk);
        kad_walk_answered(node(&walk, n));
    }
    assert_true(kad_walk_done(&walk, true));
    assert_int_equal(kad_walk_count(&walk), 8);
    assert_int_equal(ask(&walk), 0); /* what is farther is nobody's business */
}

static void done__not_while_a_closer_one_came_up(void **state)
{
    struct kad_walk walk;

    (void)state;
    kad_walk_init(&walk, &own, &target);
    for (uint8_t n = 11; n <= 18; n++)
        add(&walk, n);
    for (uint8_t n = 11; n <= 18; n++) {
        ask(&walk);
        kad_walk_answered(node(&walk, n));
    }
    assert_true(kad_walk_done(&walk, false));
    add(&walk, 10);
    assert_false(kad_walk_done(&walk, false));
    assert_int_equal(ask(&walk), 1);
    kad_walk_failed(node(&walk, 10));
    assert_true(kad_walk_done(&walk, true));
}

static void done__strict_waits_for_late_ones_among_the_closest(void **state)
{
    struct kad_walk walk;

    (void)state;
    kad_walk_init(&walk, &own, &target);
    for (uint8_t n = 1; n <= 12; n++)
        add(&walk, n);
    ask(&walk);
    kad_walk_late(node(&walk, 1));
    for (uint8_t n = 2; n <= 9; n++) {
        ask(&walk);
        kad_walk_answered(node(&walk, n));
    }
    assert_true(kad_walk_done(&walk, false));
    assert_false(kad_walk_done(&walk, true));
    kad_walk_failed(node(&walk, 1));
    assert_true(kad_walk_done(&walk, true));
}

static void done__few_nodes_all_must_be_settled(void **state)
{
    struct kad_walk walk;

    (void)state;
    kad_walk_init(&walk, &own, &target);
    assert_true(kad_walk_done(&walk, true)); /* nobody to ask */
    add(&walk, 1);
    add(&walk, 2);
    ask(&walk);
    kad_walk_answered(node(&walk, 2));
    kad_walk_late(node(&walk, 1));
    assert_false(kad_walk_done(&walk, false)); /* it may still be one of the eight */
    kad_walk_failed(node(&walk, 1));
    assert_true(kad_walk_done(&walk, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__keeps_the_closest_in_order),
        cmocka_unit_test(add__refuses_known_ids_known_endpoints_and_ourselves),
        cmocka_unit_test(next__asks_the_four_closest),
        cmocka_unit_test(next__late_one_gives_its_place_to_another),
        cmocka_unit_test(next__suspect_is_asked_beside_the_four),
        cmocka_unit_test(done__when_the_eight_closest_have_answered),
        cmocka_unit_test(done__not_while_a_closer_one_came_up),
        cmocka_unit_test(done__strict_waits_for_late_ones_among_the_closest),
        cmocka_unit_test(done__few_nodes_all_must_be_settled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
