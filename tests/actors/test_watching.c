/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: who watches is told the set, then every change, each once and in order, however late views
   are published. */
#include "watch_world.h"

/* ---- Groups ---- */

static void group__is_told_its_set_then_its_changes(void **state)
{
    struct punt_watch up;
    struct watch_call c;
    uint64_t v;

    (void)state;
    join("g", 1);
    v = join("g", 2);
    publish();
    c = watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v);
    assert_int_equal(told_count, 0); /* by the mailbox */
    say_joined(&up, join("g", 3), 3);
    say_left(&up, leave("g", 1), 1);
    world_settle(w);
    assert_int_equal(told_count, 3);
    assert_int_equal(told[0].kind, PROA_CHANGE_SET);
    assert_int_equal(told[0].count, 2);
    assert_true(has(&told[0], 1) && has(&told[0], 2));
    assert_true(told[0].version == v);
    assert_int_equal(told[1].kind, PROA_CHANGE_JOINED);
    assert_true(proa_ref_equal(told[1].ref, far_ref(3)));
    assert_int_equal(told[2].kind, PROA_CHANGE_LEFT);
    assert_true(proa_ref_equal(told[2].ref, far_ref(1)));
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(told[i].is_group);
        assert_string_equal(told[i].name, "g");
        assert_int_equal(told[i].watching.index, c.watching.index);
        assert_int_equal(told[i].watching.serial, c.watching.serial);
        assert_true(i == 0 || told[i].version > told[i - 1].version);
    }
}

/* The view has more than the SET's version when it is read: changes on their way are skipped. */
static void group__changes_already_in_the_set_are_not_told_again(void **state)
{
    struct punt_watch up;
    uint64_t v1, v2, v3;

    (void)state;
    v1 = join("g", 1);
    publish();
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v1);
    v2 = join("g", 2);
    v3 = leave("g", 1);
    say_joined(&up, v2, 2); /* in the mailbox, behind the SET */
    publish();
    world_settle(w);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].count, 1);
    assert_true(has(&told[0], 2));
    assert_true(told[0].version == v3);
    say_left(&up, v3, 1); /* comes later still */
    say_joined(&up, join("g", 4), 4);
    world_settle(w);
    assert_int_equal(told_count, 2);
    assert_true(proa_ref_equal(told[1].ref, far_ref(4)));
}

/* Views lag: the SET waits until all that has happened before it is published. */
static void group__set_waits_for_its_view(void **state)
{
    struct punt_watch up;
    uint64_t v;

    (void)state;
    join("g", 1);
    publish();
    v = join("g", 2); /* not published */
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v);
    say_left(&up, leave("g", 1), 1);
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 0);
    assert_true(sched_deadline(w->lane[0].s) <= w->now + WATCH_RETRY);
    publish();
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].count, 1);
    assert_true(has(&told[0], 2));
    assert_int_equal(STAT(w, 0, changes_merged), 1);
    assert_true(sched_deadline(w->lane[0].s) > w->now + PROA_S);
}

/* A change that finds the SET ready after a publication goes behind it, not into the next one. */
static void group__first_change_after_a_publication_finds_the_set_ready(void **state)
{
    struct punt_watch up;

    (void)state;
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, join("g", 1));
    for (uint32_t n = 2; n < 10; n++) {
        say_joined(&up, join("g", n), n);
        if (n == 5)
            publish();
    }
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 5);
    assert_int_equal(told[0].kind, PROA_CHANGE_SET);
    assert_int_equal(told[0].count, 5);
    for (uint32_t n = 6; n < 10; n++)
        assert_true(proa_ref_equal(told[n - 5].ref, far_ref(n)));
}

static void group__empty_ones_have_sets_too(void **state)
{
    struct punt_watch up;
    uint64_t v;

    (void)state;
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, 0);
    world_settle(w);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].count, 0);
    say_joined(&up, join("g", 1), 1);
    publish();
    world_settle(w);
    v = leave("g", 1);
    say_left(&up, v, 1);
    publish(); /* the group is gone */
    world_settle(w);
    assert_int_equal(told_count, 3);
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v);
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 4);
    assert_int_equal(told[3].kind, PROA_CHANGE_SET);
    assert_int_equal(told[3].count, 0);
}

/* More wait than are kept: those are told, the rest comes as one set. */
static void group__slow_actor_gets_a_new_set(void **state)
{
    struct punt_watch up;
    uint64_t v = 0;

    (void)state;
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, 0);
    world_settle(w);
    for (uint32_t n = 0; n < 3 * WATCH_QUEUED_MAX; n++) { /* join, leave, join, ... */
        v = n % 2 == 0 ? join("g", 1) : leave("g", 1);
        if (n % 2 == 0)
            say_joined(&up, v, 1);
        else
            say_left(&up, v, 1);
    }
    v = join("g", 2);
    say_joined(&up, v, 2);
    assert_true(STAT(w, 0, changes_merged) >= 2 * WATCH_QUEUED_MAX);
    publish();
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 1 + WATCH_QUEUED_MAX + 1);
    assert_int_equal(told[told_count - 1].kind, PROA_CHANGE_SET);
    assert_int_equal(told[told_count - 1].count, 1);
    assert_true(has(&told[told_count - 1], 2));
    say_joined(&up, join("g", 3), 3);
    world_settle(w);
    assert_int_equal(told[told_count - 1].kind, PROA_CHANGE_JOINED);
}

static void group__set_of_many_members_is_whole(void **state)
{
    struct punt_watch up;
    uint64_t v = 0;

    (void)state;
    for (uint32_t n = 0; n < 5000; n++)
        v = join("g", n);
    publish();
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v);
    world_settle(w);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].count, 5000);
}

/* Nothing is told until there is memory for the set; then the set has it all. */
static void group__without_memory_for_the_set_it_comes_later(void **state)
{
    struct punt_watch up;
    uint64_t v = 0;

    (void)state;
    for (uint32_t n = 0; n < 50; n++)
        v = join("g", n);
    publish();
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v);
    say_joined(&up, join("g", 50), 50);
    say_left(&up, leave("g", 0), 0);
    fails_from = 600;
    world_advance(w, PROA_MS);
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 0);
    fails_from = 0;
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 0); /* the view is older than what was not told */
    publish();
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].count, 50);
    assert_false(has(&told[0], 0));
    assert_true(has(&told[0], 50));
}

static void group__without_memory_for_a_change_a_set_replaces_it(void **state)
{
    struct punt_watch up;
    uint32_t sent = 0;

    (void)state;
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, 0);
    world_settle(w);
    assert_int_equal(told_count, 1);
    fails_from = 1;
    for (; STAT(w, 0, changes_merged) == 0; sent++) /* until the slab is empty */
        say_joined(&up, join("g", sent), sent);
    assert_true(sent < WATCH_QUEUED_MAX);
    fails_from = 0;
    publish();
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 1 + sent); /* the last one is a set */
    assert_int_equal(told[sent].kind, PROA_CHANGE_SET);
    assert_int_equal(told[sent].count, sent);
}

/* Members whose node is silent are in the set: their LEFT is still to come. */
static void group__set_has_members_of_silent_nodes(void **state)
{
    struct punt_watch up;
    uint64_t v;

    (void)state;
    directory_node_add(dir, 77, w->now + PROA_S);
    v = directory_join(dir, "g", 1, (struct proa_ref){77, 1, 1}, 5);
    publish(); /* and time passes */
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v);
    world_settle(w);
    assert_int_equal(told[0].count, 1);
}

/* ---- Names and all ---- */

static void name__holder_is_in_the_record(void **state)
{
    struct punt_watch up;

    (void)state;
    watch(PROA_WATCH_NAME, "n", &up);
    say(&up, PROA_CHANGE_SET, 4, far_ref(1), "n", false);
    say(&up, PROA_CHANGE_LEFT, 5, far_ref(1), "n", false);
    say(&up, PROA_CHANGE_JOINED, 6, far_ref(2), "n", false);
    world_settle(w);
    assert_int_equal(told_count, 3);
    assert_int_equal(told[0].kind, PROA_CHANGE_SET);
    assert_int_equal(told[0].count, 1);
    assert_true(has(&told[0], 1));
    assert_false(told[0].is_group);
    assert_int_equal(told[1].kind, PROA_CHANGE_LEFT);
    assert_true(proa_ref_equal(told[2].ref, far_ref(2)));
    say(&up, PROA_CHANGE_SET, 9, proa_ref_none(), "n", false); /* control lost some */
    world_settle(w);
    assert_int_equal(told[3].kind, PROA_CHANGE_SET);
    assert_int_equal(told[3].count, 0);
}

static void name__slow_actor_gets_the_last_holder(void **state)
{
    struct punt_watch up;

    (void)state;
    watch(PROA_WATCH_NAME, "n", &up);
    say(&up, PROA_CHANGE_SET, 1, proa_ref_none(), "n", false);
    for (uint32_t n = 2; n < 2 * WATCH_QUEUED_MAX; n += 2) {
        say(&up, PROA_CHANGE_JOINED, n, far_ref(n), "n", false);
        say(&up, PROA_CHANGE_LEFT, n + 1, far_ref(n), "n", false);
    }
    say(&up, PROA_CHANGE_JOINED, 5000, far_ref(5000), "n", false);
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, WATCH_QUEUED_MAX + 1);
    assert_int_equal(told[told_count - 1].kind, PROA_CHANGE_SET);
    assert_true(has(&told[told_count - 1], 5000));
    assert_true(told[told_count - 1].version == 5000);
}

static void all__every_change_under_its_own_name(void **state)
{
    struct punt_watch up;

    (void)state;
    watch(PROA_WATCH_ALL, NULL, &up);
    say(&up, PROA_CHANGE_JOINED, 9, far_ref(1), "some", true);
    say(&up, PROA_CHANGE_JOINED, 3, far_ref(2), "other", false); /* of another count */
    world_settle(w);
    assert_int_equal(told_count, 2);
    assert_string_equal(told[0].name, "some");
    assert_true(told[0].is_group);
    assert_string_equal(told[1].name, "other");
    assert_false(told[1].is_group);
    assert_true(told[1].version == 3);
    for (uint32_t n = 0; n <= WATCH_QUEUED_MAX; n++)
        say(&up, PROA_CHANGE_LEFT, n, far_ref(n), "some", true);
    world_advance(w, PROA_MS);
    assert_int_equal(told_count, 2 + WATCH_QUEUED_MAX + 1);
    assert_int_equal(told[told_count - 1].kind, PROA_CHANGE_SET); /* some were missed */
    assert_int_equal(told[told_count - 1].count, 0);
    assert_string_equal(told[told_count - 1].name, "");
    say(&up, PROA_CHANGE_JOINED, 10, far_ref(1), "some", true);
    world_settle(w);
    assert_int_equal(told[told_count - 1].kind, PROA_CHANGE_JOINED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(group__is_told_its_set_then_its_changes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            group__changes_already_in_the_set_are_not_told_again, setup, teardown),
        cmocka_unit_test_setup_teardown(group__set_waits_for_its_view, setup, teardown),
        cmocka_unit_test_setup_teardown(
            group__first_change_after_a_publication_finds_the_set_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(group__empty_ones_have_sets_too, setup, teardown),
        cmocka_unit_test_setup_teardown(group__slow_actor_gets_a_new_set, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(group__set_of_many_members_is_whole, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(group__without_memory_for_the_set_it_comes_later,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            group__without_memory_for_a_change_a_set_replaces_it, setup, teardown),
        cmocka_unit_test_setup_teardown(group__set_has_members_of_silent_nodes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(name__holder_is_in_the_record, setup, teardown),
        cmocka_unit_test_setup_teardown(name__slow_actor_gets_the_last_holder, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(all__every_change_under_its_own_name, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
