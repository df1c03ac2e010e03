/* SPDX-License-Identifier: Apache-2.0 */
/* Names over linked registries: known everywhere without asking, settled after a partition, and
   links made and undone by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mesh_sim.h"

#define NODES 5

static struct proa_test *test;
static struct mesh_sim_book books[NODES];

/* An actor with a name, which counts what it loses. */
struct named {
    uint32_t lost;
};

static uint32_t names_lost; /* by all of them */

static void named_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    (void)self;
    names_lost += signal->kind == PROA_SIGNAL_NAME_LOST;
}

static const struct proa_behaviour named = {
    .type_name = "named", .state_size = sizeof(struct named), .signal = named_signal};

static void begin_with(const struct proa_test_config *config)
{
    names_lost = 0;
    memset(books, 0, sizeof(books));
    test = proa_test_create(config);
    assert_non_null(test);
    for (unsigned i = 0; i < config->nodes; i++)
        proa_test_on_event(test, i, mesh_sim_note, &books[i]);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
}

static void begin(uint64_t seed, struct proa_faults faults)
{
    struct proa_test_config config = {.nodes = NODES, .seed = seed, .faults = faults};

    begin_with(&config);
    proa_test_check(test, proa_test_linked(test, 10 * PROA_S), "all registries linked");
}

static int finish(void **state)
{
    (void)state;
    proa_test_destroy(test);
    test = NULL;
    return 0;
}

static struct proa_ref spawn_named(unsigned node)
{
    struct proa_ref ref;

    proa_test_expect_outcome(test, PROA_OK,
                             proa_test_spawn(test, node, 0, &named, NULL, 0, &ref));
    return ref;
}

static struct proa_ref hold(unsigned node, const char *name)
{
    struct proa_ref ref = spawn_named(node);

    proa_test_expect_outcome(
        test, PROA_OK, proa_test_register(test, node, ref, name, 30 * PROA_S, NULL));
    return ref;
}

/* ---- Known everywhere ---- */

struct agreed {
    const char *name;
    struct proa_ref ref;
    unsigned first, end;
};

static bool all_agree(void *ctx)
{
    const struct agreed *agreed = ctx;

    return mesh_sim_agree(test, agreed->first, agreed->end, agreed->name, agreed->ref);
}

static void expect_of(unsigned first, unsigned end, const char *name, struct proa_ref ref,
                      proa_ns span)
{
    struct agreed agreed = {name, ref, first, end};

    proa_test_check(test, proa_test_until(test, all_agree, &agreed, span), name);
}

static void expect_all(const char *name, struct proa_ref ref, proa_ns span)
{
    expect_of(0, NODES, name, ref, span);
}

static bool all_absent(void *ctx)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (mesh_sim_read(test, i, ctx).outcome != PROA_NOT_FOUND)
            return false;
    }
    return true;
}

static void names__of_all_are_known_to_all(void **state)
{
    char name[] = "name-0";

    (void)state;
    begin(1, (struct proa_faults){0});
    assert_true(all_absent("nobody"));
    for (unsigned i = 0; i < NODES; i++) {
        name[5] = (char)('0' + i);
        expect_all(name, hold(i, name), 2 * PROA_MS);
    }
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(mesh_sim_events(&books[i], PROA_EVENT_REGISTRY_LINKED, 0),
                         NODES - 1);
}

static void stop_self(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_stop(self);
}

static void names__end_everywhere_with_their_actor(void **state)
{
    struct proa_ref ref;

    (void)state;
    begin(2, (struct proa_faults){0});
    ref = hold(1, "brief");
    expect_all("brief", ref, 2 * PROA_MS);
    proa_test_call_actor(test, ref, stop_self, NULL);
    assert_true(proa_test_until(test, all_absent, "brief", 5 * PROA_MS));
    expect_all("brief", hold(4, "brief"), 5 * PROA_MS);
}

static void names__of_a_late_node_and_to_it(void **state)
{
    struct proa_ref ref, late;

    (void)state;
    begin(3, (struct proa_faults){0});
    proa_test_kill(test, 4);
    ref = hold(0, "early");
    proa_test_advance(test, PROA_S);
    proa_test_restart(test, 4);
    assert_true(proa_test_linked(test, 5 * PROA_S));
    late = hold(4, "late");
    expect_all("early", ref, 0);
    expect_all("late", late, 2 * PROA_MS);
}

static void names__survive_a_bad_network(void **state)
{
    struct sim_seeds seeds = sim_seeds(5);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++) {
        struct proa_ref refs[NODES];
        char name[] = "name-0";

        begin(s,
              (struct proa_faults){.loss = 100000, .duplicate = 50000, .reorder = 50000});
        for (unsigned i = 0; i < NODES; i++) {
            name[5] = (char)('0' + i);
            refs[i] = hold(i, name);
        }
        for (unsigned i = 0; i < NODES; i++) {
            name[5] = (char)('0' + i);
            expect_all(name, refs[i], 5 * PROA_S);
        }
        finish(NULL);
    }
    begin(1, (struct proa_faults){0}); /* for finish */
}

static void names__waiters_are_answered_by_the_mesh(void **state)
{
    struct proa_ref ref, found;

    (void)state;
    begin(4, (struct proa_faults){0});
    ref = hold(2, "there");
    proa_test_advance(test, 2 * PROA_MS);
    assert_int_equal(proa_test_lookup_wait(test, 4, "there", PROA_MS, &found), PROA_OK);
    assert_true(proa_ref_equal(ref, found));
}

/* ---- A partition ---- */

static unsigned lost_events(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < NODES; i++)
        count += mesh_sim_events(&books[i], PROA_EVENT_NAME_LOST, 0);
    return count;
}

static bool all_agree_on_one(void *ctx)
{
    struct mesh_sim_read read = mesh_sim_read(test, 0, ctx);

    return read.outcome == PROA_OK && mesh_sim_agree(test, 0, NODES, ctx, read.ref);
}

static void partition__one_of_two_holders_stays(void **state)
{
    struct sim_seeds seeds = sim_seeds(4);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++) {
        struct proa_ref left, right;
        struct mesh_sim_read read;

        if (test != NULL)
            finish(NULL);
        begin(s, (struct proa_faults){0});
        mesh_sim_part(test, 3, NODES, true);
        /* Until neither side counts the other among the storers of a name. */
        proa_test_advance(test, 620 * PROA_S);
        left = hold(s % 3, "leader");
        right = hold(3 + s % 2, "leader");
        expect_of(0, 3, "leader", left, 5 * PROA_MS);
        expect_of(3, NODES, "leader", right, 5 * PROA_MS);
        assert_int_equal(lost_events(), 0);
        mesh_sim_part(test, 3, NODES, false);
        proa_test_check(test,
                        proa_test_until(test, all_agree_on_one, "leader", 5 * PROA_S),
                        "all agree within 5 s");
        read = mesh_sim_read(test, 0, "leader");
        proa_test_check(test,
                        proa_ref_equal(read.ref, left) || proa_ref_equal(read.ref, right),
                        "one of the two");
        proa_test_check(test, proa_test_linked(test, 5 * PROA_S), "all linked again");
        proa_test_advance(test, 5 * PROA_S); /* nothing comes after */
        assert_true(mesh_sim_agree(test, 0, NODES, "leader", read.ref));
        assert_int_equal(lost_events(), 1);
        assert_int_equal(names_lost, 1);
    }
}

/* Claims that go on all the while, as a program would that wants the name. */
static unsigned claims, wins;
static bool claiming;

static void on_claimed(struct proa_actor *self, const struct proa_name_answer *answer,
                       const void *ctx);

static void claim(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    claims++;
    assert_int_equal(proa_register(self, "leader", PROA_S, on_claimed, NULL, 0), PROA_OK);
}

static void on_claimed(struct proa_actor *self, const struct proa_name_answer *answer,
                       const void *ctx)
{
    (void)ctx;
    wins += answer->outcome == PROA_OK;
    if (claiming && answer->outcome != PROA_OK)
        claim(self, NULL);
}

static void partition__who_never_won_loses_nothing(void **state)
{
    struct sim_seeds seeds = sim_seeds(2);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++) {
        struct proa_ref left;

        if (test != NULL)
            finish(NULL);
        begin(s, (struct proa_faults){0});
        left = hold(s % 3, "leader");
        mesh_sim_part(test, 3, NODES, true);
        claims = wins = 0;
        claiming = true;
        proa_test_call_actor(test, spawn_named(3 + s % 2), claim, NULL);
        proa_test_advance(test, 14 * PROA_S + s * 300 * PROA_MS);
        mesh_sim_part(test, 3, NODES, false);
        proa_test_advance(test, 2 * PROA_S);
        claiming = false;
        proa_test_advance(test, 6 * PROA_S);
        assert_true(claims > 1);
        assert_true(names_lost <= wins);
        assert_int_equal(lost_events(), names_lost);
        assert_true(mesh_sim_agree(test, 0, NODES, "leader", left) || wins > 0);
        proa_test_check(test, all_agree_on_one((void *)(uintptr_t) "leader"),
                        "all agree");
    }
}

/* ---- Links by hand ---- */

static bool unlinked(void *ctx)
{
    (void)ctx;
    return mesh_sim_events(&books[0], PROA_EVENT_REGISTRY_UNLINKED, 0) > 0 &&
           mesh_sim_events(&books[1], PROA_EVENT_REGISTRY_UNLINKED, 0) > 0;
}

static bool reads_ok(void *ctx)
{
    return mesh_sim_read(test, 0, ctx).outcome == PROA_OK;
}

static void link__removed_and_added_again(void **state)
{
    struct proa_test_config config = {.nodes = 2, .seed = 5};
    char err[128];

    (void)state;
    begin_with(&config);
    assert_true(proa_test_linked(test, 5 * PROA_S));
    hold(1, "far");
    assert_true(proa_test_until(test, reads_ok, "far", 5 * PROA_MS));
    assert_int_equal(proa_test_link_remove(test, 0, 1, err, sizeof(err)), PROA_OK);
    assert_true(proa_test_until(test, unlinked, NULL, PROA_S));
    assert_int_not_equal(mesh_sim_read(test, 0, "far").outcome, PROA_OK);
    proa_test_advance(test, 20 * PROA_S); /* neither links by itself */
    assert_int_not_equal(mesh_sim_read(test, 0, "far").outcome, PROA_OK);
    assert_int_equal(mesh_sim_events(&books[0], PROA_EVENT_REGISTRY_LINKED, 0), 1);
    assert_int_equal(proa_test_link_add(test, 0, 1, err, sizeof(err)), PROA_OK);
    assert_true(proa_test_until(test, reads_ok, "far", 5 * PROA_S));
    assert_int_equal(mesh_sim_events(&books[0], PROA_EVENT_REGISTRY_LINKED, 0), 2);
}

static void link__bad_input_is_one_error_each(void **state)
{
    struct proa_test_config config = {.nodes = 3, .seed = 6};
    char err[256] = "";

    (void)state;
    begin_with(&config);
    assert_true(proa_test_linked(test, 5 * PROA_S));
    /* Its own address. */
    assert_int_equal(proa_test_link_add(test, 0, 0, err, sizeof(err)), PROA_INVALID);
    assert_non_null(strstr(err, "own address"));
    assert_int_equal(proa_test_link_remove(test, 0, 0, err, sizeof(err)), PROA_INVALID);
    assert_non_null(strstr(err, "itself"));
    /* A link that is there. */
    assert_int_equal(proa_test_link_add(test, 0, 1, err, sizeof(err)), PROA_OK);
    proa_test_advance(test, 2 * PROA_S);
    assert_int_equal(mesh_sim_events(&books[0], PROA_EVENT_REGISTRY_LINKED, 0), 2);
    /* That of a node that is dead: it is given up. */
    proa_test_kill(test, 2);
    proa_test_advance(test, 5 * PROA_S);
    assert_int_equal(mesh_sim_events(&books[0], PROA_EVENT_REGISTRY_UNLINKED, 0), 1);
    assert_int_equal(proa_test_link_remove(test, 0, 2, err, sizeof(err)), PROA_OK);
    proa_test_advance(test, PROA_S);
    assert_int_equal(mesh_sim_events(&books[0], PROA_EVENT_REGISTRY_UNLINKED, 0), 1);
}

static void link__silent_neighbour_is_told_once_a_minute(void **state)
{
    struct proa_test_config config = {.nodes = 2, .seed = 7};
    unsigned told;

    (void)state;
    begin_with(&config);
    assert_true(proa_test_linked(test, 5 * PROA_S));
    proa_test_kill(test, 0); /* the neighbour that was named to node 1 */
    proa_test_advance(test, 30 * PROA_S);
    told = mesh_sim_events(&books[1], PROA_EVENT_NEIGHBOUR_SILENT, 0);
    assert_int_equal(told, 1);
    proa_test_advance(test, 60 * PROA_S);
    told = mesh_sim_events(&books[1], PROA_EVENT_NEIGHBOUR_SILENT, 0);
    assert_int_equal(told, 2);
}

static void names__same_seed_same_trace(void **state)
{
    uint64_t traces[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        if (test != NULL)
            finish(NULL);
        begin(99, (struct proa_faults){.loss = 50000, .jitter_us = 50});
        expect_all("traced", hold(3, "traced"), 5 * PROA_S);
        proa_test_advance(test, 3 * PROA_S);
        traces[i] = proa_test_trace(test);
    }
    assert_true(traces[0] == traces[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(names__of_all_are_known_to_all, finish),
        cmocka_unit_test_teardown(names__end_everywhere_with_their_actor, finish),
        cmocka_unit_test_teardown(names__of_a_late_node_and_to_it, finish),
        cmocka_unit_test_teardown(names__survive_a_bad_network, finish),
        cmocka_unit_test_teardown(names__waiters_are_answered_by_the_mesh, finish),
        cmocka_unit_test_teardown(partition__one_of_two_holders_stays, finish),
        cmocka_unit_test_teardown(partition__who_never_won_loses_nothing, finish),
        cmocka_unit_test_teardown(link__removed_and_added_again, finish),
        cmocka_unit_test_teardown(link__bad_input_is_one_error_each, finish),
        cmocka_unit_test_teardown(link__silent_neighbour_is_told_once_a_minute, finish),
        cmocka_unit_test_teardown(names__same_seed_same_trace, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
