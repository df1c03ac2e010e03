/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registries_net.h"
#include "seeking_internal.h"

/* ---- Memberships ---- */

static void join__is_known_here_at_once_and_everywhere_one_way_later(void **state)
{
    struct members m;

    (void)state;
    cluster(3, 1, 0, 0);
    net_name(net, 1, PUNT_JOIN, "g", SLOT(1, 5), 7, WORKER, PROA_S);
    assert_int_equal(answer(1, 7, PROA_MS)->answer.outcome, PROA_OK);
    m = members_of(1, "g");
    assert_int_equal(m.outcome, PROA_OK);
    assert_true(proa_ref_equal(m.refs[0], ref(1, SLOT(1, 5))));
    assert_true(proa_ref_equal(answer(1, 7, 0)->answer.ref, ref(1, SLOT(1, 5))));
    expect_everywhere("g", 1, 2 * PROA_MS);
    assert_true(proa_ref_equal(members_of(0, "g").refs[0], ref(1, SLOT(1, 5))));
    assert_int_equal(members_of(0, "other").outcome, PROA_NOT_FOUND);
}

static void join__twice_is_one_membership(void **state)
{
    (void)state;
    cluster(2, 2, 0, 0);
    assert_int_equal(call(0, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    assert_int_equal(call(0, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    assert_int_equal(call(0, PUNT_JOIN, "h", SLOT(0, 1)), PROA_OK);
    expect_everywhere("g", 1, 5 * PROA_MS);
    assert_int_equal(call(0, PUNT_LEAVE, "g", SLOT(0, 1)), PROA_OK);
    assert_int_equal(call(0, PUNT_LEAVE, "g", SLOT(0, 1)), PROA_OK);
    expect_everywhere("g", 0, 5 * PROA_MS);
    expect_everywhere("h", 1, 0);
}

static void join__ends_with_its_actor(void **state)
{
    struct core_mesh_own own;

    (void)state;
    cluster(2, 3, 0, 0);
    for (uint32_t slot = 1; slot <= 3; slot++) {
        assert_int_equal(call(0, PUNT_JOIN, "g", SLOT(0, slot)), PROA_OK);
        assert_int_equal(call(0, PUNT_JOIN, "h", SLOT(0, slot)), PROA_OK);
    }
    expect_everywhere("h", 3, 5 * PROA_MS);
    actor_stops(0, SLOT(0, 2));
    expect_everywhere("g", 2, 5 * PROA_MS);
    expect_everywhere("h", 2, 0);
    core_mesh_own(net->nodes[0].core, &own);
    assert_int_equal(own.members, 4);
    actor_stops(0, SLOT(0, 1));
    actor_stops(0, SLOT(0, 3));
    expect_everywhere("g", 0, 5 * PROA_MS);
    core_mesh_own(net->nodes[0].core, &own);
    assert_int_equal(own.members, 0);
}

static void restart__moves_memberships_to_the_next_life(void **state)
{
    struct punt_restart restart = {
        .slot = SLOT(0, 1), .generation = GENERATION, .now = 8};
    struct members m;

    (void)state;
    cluster(2, 4, 0, 0);
    assert_int_equal(call(0, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    expect_everywhere("g", 1, 5 * PROA_MS);
    net_push(net, 0, 0, PUNT_ACTOR_RESTARTED, &restart, sizeof(restart), NULL, 0);
    net_run(net, 5 * PROA_MS);
    for (unsigned i = 0; i < 2; i++) {
        m = members_of(i, "g");
        assert_int_equal(m.is.count, 1);
        assert_int_equal(m.refs[0].generation, 8);
    }
}

static void join__over_the_limit_is_refused_and_told_once_a_second(void **state)
{
    struct proa_event event;
    char group[] = "g0";

    (void)state;
    cluster(2, 5, 0, 4);
    for (unsigned i = 0; i < 3; i++) {
        group[1] = (char)('0' + i);
        assert_int_equal(call(0, PUNT_JOIN, group, SLOT(0, 1)), PROA_OK);
    }
    assert_int_equal(call(0, PUNT_REGISTER, "name", SLOT(0, 2)), PROA_OK);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(call(0, PUNT_JOIN, "more", SLOT(0, 3)), PROA_LIMIT);
        assert_int_equal(call(0, PUNT_REGISTER, "more", SLOT(0, 3)), PROA_LIMIT);
    }
    assert_int_equal(members_of(0, "more").outcome, PROA_NOT_FOUND);
    assert_int_equal(events_of(0, PROA_EVENT_PUBLISH_LIMIT, &event), 1);
    assert_int_equal(event.count, 4);
    assert_string_equal(event.text, "more");
    assert_true(proa_ref_equal(event.actor, ref(0, SLOT(0, 3))));
    assert_int_equal(net_stats(net, 0).publish_refused, 20);
    net_run(net, 2 * PROA_S);
    assert_int_equal(call(0, PUNT_JOIN, "more", SLOT(0, 3)), PROA_LIMIT);
    assert_int_equal(events_of(0, PROA_EVENT_PUBLISH_LIMIT, &event), 2);
    /* What is given up makes room. */
    actor_stops(0, SLOT(0, 2));
    assert_int_equal(call(0, PUNT_JOIN, "more", SLOT(0, 3)), PROA_OK);
    expect_everywhere("more", 1, 5 * PROA_MS);
}

static void leave__takes_everything_of_a_node_away(void **state)
{
    struct core_mesh_own own;
    struct proa_event event;

    (void)state;
    cluster(3, 6, 0, 0);
    assert_int_equal(call(2, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    assert_int_equal(call(1, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    expect_everywhere("g", 2, 5 * PROA_MS);
    core_leave(net->nodes[2].core, net->now);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(members_of(0, "g").is.count, 1);
    assert_int_equal(members_of(1, "g").is.count, 1);
    assert_int_equal(events_of(0, PROA_EVENT_REGISTRY_UNLINKED, &event), 1);
    core_mesh_own(net->nodes[0].core, &own);
    assert_int_equal(own.known, 1); /* it is no other node any more */
    assert_int_equal(event.node, net_id(net, 2));
    assert_string_equal(event.text, "left or restarted");
}

/* ---- Finding ---- */

static void find__is_answered_from_what_is_known(void **state)
{
    (void)state;
    cluster(2, 8, 0, 0);
    assert_int_equal(call(1, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    expect_everywhere("g", 1, 5 * PROA_MS);
    net_name(net, 0, PUNT_FIND_GROUP, "g", SLOT(0, 9), 50, 0, PROA_S);
    assert_int_equal(answer(0, 50, PROA_MS)->answer.outcome, PROA_OK);
    assert_true(proa_ref_equal(answer(0, 50, 0)->answer.ref, ref(1, SLOT(0, 1))));
    net_name(net, 0, PUNT_FIND_GROUP, "none", SLOT(0, 9), 51, 0, PROA_S);
    assert_int_equal(answer(0, 51, PROA_MS)->answer.outcome, PROA_NOT_FOUND);
}

static void find__before_joining_says_so_at_the_deadline(void **state)
{
    (void)state;
    net = net_create(2, 9);
    net_add(net, -1);
    net_stop(net, 0);
    net_add(net, 0);
    net_name(net, 1, PUNT_FIND_GROUP, "g", SLOT(0, 1), 50, 0, PROA_S);
    assert_int_equal(answer(1, 50, 2 * PROA_S)->answer.outcome, PROA_NOT_JOINED);
}

/* ---- Nodes that are not linked ---- */

static void afar__members_are_asked_for(void **state)
{
    (void)state;
    cluster(4, 10, 1, 0);
    assert_int_equal(call(2, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    assert_int_equal(call(2, PUNT_JOIN, "g", SLOT(0, 2)), PROA_OK);
    assert_int_equal(call(3, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    net_run(net, 2 * PROA_S); /* announced */
    assert_int_equal(members_of(0, "g").outcome, PROA_UNKNOWN);
    net_name(net, 0, PUNT_FIND_GROUP, "g", SLOT(0, 9), 50, 0, 2 * PROA_S);
    assert_int_equal(answer(0, 50, 2 * PROA_S)->answer.outcome, PROA_OK);
    net_run(net, 100 * PROA_MS);
    assert_int_equal(members_of(0, "g").is.count, 3);
}

static void afar__nobody_is_not_found(void **state)
{
    (void)state;
    cluster(3, 11, 1, 0);
    net_name(net, 0, PUNT_FIND_GROUP, "none", SLOT(0, 9), 50, 0, 2 * PROA_S);
    assert_int_equal(answer(0, 50, 2 * PROA_S)->answer.outcome, PROA_NOT_FOUND);
    assert_int_equal(members_of(0, "none").outcome, PROA_NOT_FOUND);
}

static void afar__changes_come_as_long_as_the_group_is_read(void **state)
{
    (void)state;
    cluster(3, 12, 1, 0);
    assert_int_equal(call(2, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    net_run(net, 2 * PROA_S);
    assert_int_equal(call(0, PUNT_FIND_GROUP, "g", SLOT(0, 9)), PROA_OK);
    for (unsigned i = 0; i < 60; i++) {
        net_run(net, PROA_S);
        assert_int_equal(members_of(0, "g").is.count, 1); /* reads it */
    }
    assert_int_equal(call(2, PUNT_JOIN, "g", SLOT(0, 2)), PROA_OK);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(members_of(0, "g").is.count, 2);
    actor_stops(2, SLOT(0, 1));
    net_run(net, 10 * PROA_MS);
    assert_int_equal(members_of(0, "g").is.count, 1);
    /* Nobody reads it any more. */
    net_run(net, SEEKING_LINGER + 5 * PROA_S);
    struct directory_group_stats stats;
    directory_group_stats(net->nodes[0].directory, &stats);
    assert_int_equal(stats.members, 0);
}

static void afar__dead_node_has_no_members(void **state)
{
    (void)state;
    cluster(4, 13, 1, 0);
    assert_int_equal(call(2, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    assert_int_equal(call(3, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    net_run(net, 2 * PROA_S);
    assert_int_equal(call(0, PUNT_FIND_GROUP, "g", SLOT(0, 9)), PROA_OK);
    net_run(net, PROA_S);
    assert_int_equal(members_of(0, "g").is.count, 2);
    net_stop(net, 3);
    for (unsigned i = 0; i < 60; i++) {
        net_run(net, PROA_S);
        members_of(0, "g"); /* reads it */
    }
    assert_int_equal(members_of(0, "g").is.count, 1);
}

/* All who are known say that they have none, but the search for others failed. */
static void afar__failed_search_is_no_no(void **state)
{
    struct sought *sought;
    struct core *core;

    (void)state;
    cluster(3, 22, 1, 0);
    core = net->nodes[0].core;
    assert_int_equal(call(2, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    net_run(net, 2 * PROA_S);
    assert_int_equal(call(0, PUNT_FIND_GROUP, "g", SLOT(0, 9)), PROA_OK);
    sought = (struct sought *)(void *)name_table_find(&core->seeking->groups, "g", 1);
    assert_non_null(sought);
    assert_true(sought->searched);
    sought->searched = false;
    sought->search_at = PROA_NS_NEVER;
    actor_stops(2, SLOT(0, 1));
    net_run(net, PROA_S);
    assert_int_equal(members_of(0, "g").outcome, PROA_UNKNOWN);
    net_name(net, 0, PUNT_FIND_GROUP, "g", SLOT(0, 9), 50, 0, 12 * PROA_S);
    assert_int_equal(answer(0, 50, 13 * PROA_S)->answer.outcome, PROA_UNKNOWN);
    sought->search_at = 0;
    net_name(net, 0, PUNT_FIND_GROUP, "g", SLOT(0, 9), 51, 0, 12 * PROA_S);
    assert_int_equal(answer(0, 51, 13 * PROA_S)->answer.outcome, PROA_NOT_FOUND);
}

/* More parts of an answer than the mesh keeps at a time. */
static void afar__long_answer_is_whole(void **state)
{
    (void)state;
    cluster(3, 15, 1, 0);
    for (uint32_t slot = 1; slot <= 3000; slot++) {
        net_name(net, 2, PUNT_JOIN, "g", SLOT(0, slot), 0, WORKER, PROA_S);
        if (slot % 100 == 0)
            net_run(net, PROA_MS);
    }
    net_run(net, 2 * PROA_S);
    assert_int_equal(call(0, PUNT_FIND_GROUP, "g", SLOT(0, 9)), PROA_OK);
    net_run(net, 100 * PROA_MS);
    assert_int_equal(members_of(0, "g").is.count, 3000);
}

/* More questions, and answers, at one moment than the mesh keeps. */
static void afar__many_groups_of_one_node(void **state)
{
    char group[] = "g00";

    (void)state;
    cluster(3, 16, 1, 0);
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 50; i++) {
            group[1] = (char)('0' + i / 10);
            group[2] = (char)('0' + i % 10);
            if (round == 0)
                net_name(net, 2, PUNT_JOIN, group, SLOT(0, 1), 0, WORKER, PROA_S);
            else if (round == 3)
                net_name(net, 0, PUNT_FIND_GROUP, group, SLOT(0, 9), 50 + i, 0,
                         5 * PROA_S);
            else if (round > 10)
                assert_int_equal(members_of(0, group).is.count, 1); /* reads it */
        }
        net_run(net, PROA_S);
    }
    for (unsigned i = 0; i < 50; i++) {
        group[1] = (char)('0' + i / 10);
        group[2] = (char)('0' + i % 10);
        net_name(net, 2, PUNT_JOIN, group, SLOT(0, 2), 0, WORKER, PROA_S);
    }
    net_run(net, 10 * PROA_MS);
    for (unsigned i = 0; i < 50; i++) {
        group[1] = (char)('0' + i / 10);
        group[2] = (char)('0' + i % 10);
        assert_int_equal(members_of(0, group).is.count, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            join__is_known_here_at_once_and_everywhere_one_way_later, finish),
        cmocka_unit_test_teardown(join__twice_is_one_membership, finish),
        cmocka_unit_test_teardown(join__ends_with_its_actor, finish),
        cmocka_unit_test_teardown(restart__moves_memberships_to_the_next_life, finish),
        cmocka_unit_test_teardown(join__over_the_limit_is_refused_and_told_once_a_second,
                                  finish),
        cmocka_unit_test_teardown(leave__takes_everything_of_a_node_away, finish),
        cmocka_unit_test_teardown(find__is_answered_from_what_is_known, finish),
        cmocka_unit_test_teardown(find__before_joining_says_so_at_the_deadline, finish),
        cmocka_unit_test_teardown(afar__members_are_asked_for, finish),
        cmocka_unit_test_teardown(afar__nobody_is_not_found, finish),
        cmocka_unit_test_teardown(afar__changes_come_as_long_as_the_group_is_read,
                                  finish),
        cmocka_unit_test_teardown(afar__dead_node_has_no_members, finish),
        cmocka_unit_test_teardown(afar__failed_search_is_no_no, finish),
        cmocka_unit_test_teardown(afar__long_answer_is_whole, finish),
        cmocka_unit_test_teardown(afar__many_groups_of_one_node, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
