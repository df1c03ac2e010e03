/* SPDX-License-Identifier: Apache-2.0 */
/* Groups in clusters of more nodes than the mesh links: found through Kademlia, asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mesh_sim.h"

static struct proa_test *test;
static char group_g[] = "g";

static const struct proa_behaviour plain = {.type_name = "plain"};

static int finish(void **state)
{
    (void)state;
    proa_test_destroy(test);
    return 0;
}

struct found {
    bool done;
    enum proa_outcome outcome;
    struct proa_ref ref;
};

static struct found found;

static void on_found(struct proa_actor *self, const struct proa_name_answer *answer,
                     const void *ctx)
{
    (void)self;
    (void)ctx;
    found = (struct found){true, answer->outcome, answer->ref};
}

static void find(struct proa_actor *self, void *ctx)
{
    found.done = false;
    assert_int_equal(proa_find_group(self, ctx, 5 * PROA_S, on_found, NULL, 0), PROA_OK);
}

static bool is_found(void *ctx)
{
    (void)ctx;
    return found.done;
}

static void afar__group_is_found_without_links(void **state)
{
    struct proa_test_config config = {.nodes = 6, .seed = 5, .mesh_nodes_max = 1};
    struct proa_ref refs[4];
    static char none[] = "none";

    (void)state;
    test = proa_test_create(&config);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    for (unsigned i = 0; i < 4; i++) {
        refs[i] = mesh_sim_spawn(test, 2 + i, 0, &plain);
        proa_test_call_actor(test, refs[i], mesh_sim_join, group_g);
    }
    proa_test_advance(test, 3 * PROA_S);
    assert_int_equal(mesh_sim_members(test, 0, "g", 0)->outcome, PROA_UNKNOWN);
    proa_test_call(test, 0, find, group_g);
    assert_true(proa_test_until(test, is_found, NULL, 5 * PROA_S));
    assert_int_equal(found.outcome, PROA_OK);
    mesh_sim_expect(test, "g", 0, 1, 4, PROA_S);
    /* As long as it is read it is followed. */
    for (unsigned i = 0; i < 40; i++) {
        proa_test_advance(test, PROA_S);
        assert_int_equal(mesh_sim_count(test, 0, "g"), 4);
    }
    proa_test_call_actor(test, refs[2], mesh_sim_leave, group_g);
    mesh_sim_expect(test, "g", 0, 1, 3, PROA_S);
    proa_test_call(test, 1, find, none);
    assert_true(proa_test_until(test, is_found, NULL, 5 * PROA_S));
    assert_int_equal(found.outcome, PROA_NOT_FOUND);
}

static void afar__more_nodes_than_the_limit(void **state)
{
    struct proa_test_config config = {.nodes = 6, .seed = 6, .mesh_nodes_max = 3};

    (void)state;
    test = proa_test_create(&config);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    for (unsigned i = 0; i < 6; i++)
        proa_test_call_actor(test, mesh_sim_spawn(test, i, 0, &plain), mesh_sim_join,
                             group_g);
    proa_test_advance(test, 10 * PROA_S);
    for (unsigned i = 0; i < 6; i++) {
        proa_test_call(test, i, find, group_g);
        assert_true(proa_test_until(test, is_found, NULL, 5 * PROA_S));
        assert_int_equal(found.outcome, PROA_OK);
    }
    mesh_sim_expect(test, "g", 0, 6, 6, 20 * PROA_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(afar__group_is_found_without_links, finish),
        cmocka_unit_test_teardown(afar__more_nodes_than_the_limit, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
