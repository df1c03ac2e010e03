/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core_internal.h"
#include "core_net.h"
#include "directory_group.h"

#define SLOTS 1024

static struct net *net;
static _Atomic uint16_t words[SLOTS]; /* of node 1's lane 0 */

/* Node 1 has `count` members of "g", in slots 1..count of lane 0; node 0 picks. */
static void begin(uint32_t count, uint64_t seed)
{
    net = net_create(1, seed);
    net->mesh = true;
    for (unsigned i = 0; i < 2; i++) {
        net_add(net, i == 0 ? -1 : 0);
        net_run(net, 500 * PROA_MS);
    }
    for (uint32_t i = 0; i < SLOTS; i++)
        atomic_store(&words[i], 0);
    net->nodes[1].core->loads.lanes[0].words = words;
    net->nodes[1].core->loads.lanes[0].slots = SLOTS;
    for (uint32_t i = 1; i <= count; i++)
        net_name(net, 1, PUNT_JOIN, "g", i, 0, 0, PROA_S);
    net_run(net, 2 * PROA_S);
}

static int finish(void **state)
{
    (void)state;
    net_destroy(net);
    return 0;
}

/* Somebody on node 0 picks by load. */
static void pick_of(const char *group)
{
    struct directory *dir = net->nodes[0].directory;
    struct route_turn turn = {.random = 1};
    int reader = directory_reader_add(dir);
    struct proa_ref ref;

    directory_online(dir, reader);
    assert_int_equal(directory_route(dir, group, strlen(group), PROA_ROUTE_LEAST_LOADED,
                                     0, net->now, &turn, &ref),
                     PROA_OK);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
}

static void pick(void)
{
    pick_of("g");
}

struct seen {
    uint32_t right, wrong;
};

static bool compare(void *ctx, struct proa_ref ref, uint32_t type, bool reachable,
                    uint16_t load)
{
    struct seen *seen = ctx;

    (void)type;
    assert_true(reachable);
    if (load == atomic_load(&words[ref.slot]))
        seen->right++;
    else
        seen->wrong++;
    return true;
}

static struct seen look_at(const char *group)
{
    struct seen seen = {0};

    directory_each_in_group(net->nodes[0].directory, group, strlen(group), net->now,
                            compare, &seen);
    return seen;
}

static struct seen look(void)
{
    return look_at("g");
}

static void loads__of_another_node_are_known_while_somebody_picks(void **state)
{
    (void)state;
    begin(3, 1);
    atomic_store(&words[1], 7);
    atomic_store(&words[3], 65535);
    net_run(net, 500 * PROA_MS);
    assert_int_equal(look().right, 1); /* nobody asked: all are taken for idle */
    pick();
    net_run(net, 150 * PROA_MS);
    assert_int_equal(look().right, 3);
    atomic_store(&words[1], 0);
    atomic_store(&words[2], 9);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(look().right, 3);
}

static void loads__picks_are_forgotten_by_the_next_report(void **state)
{
    (void)state;
    begin(2, 2);
    pick();
    net_run(net, 150 * PROA_MS);
    for (unsigned i = 0; i < 20; i++)
        pick(); /* counts on top */
    assert_true(look().wrong > 0);
    net_run(net, 60 * PROA_MS);
    assert_int_equal(look().right, 2);
}

static void loads__of_more_members_than_one_report_has(void **state)
{
    (void)state;
    begin(900, 3);
    for (uint32_t i = 1; i <= 900; i++)
        atomic_store(&words[i], (uint16_t)(i % 50));
    pick();
    net_run(net, 300 * PROA_MS);
    assert_int_equal(look().right, 900);
    for (unsigned i = 0; i < 200; i++)
        pick();
    net_run(net, 150 * PROA_MS);
    assert_int_equal(look().right, 900);
}

/* More groups than the mesh keeps messages: all of them are asked for. */
static void loads__of_many_groups(void **state)
{
    char group[] = "g00";
    unsigned right = 0;

    (void)state;
    begin(1, 5);
    for (unsigned step = 0; step < 2; step++) {
        for (uint32_t i = 0; i < 80; i++) {
            group[1] = (char)('0' + i / 10);
            group[2] = (char)('0' + i % 10);
            atomic_store(&words[i + 1], 7);
            if (step == 0)
                net_name(net, 1, PUNT_JOIN, group, i + 1, 0, 0, PROA_S);
            else
                pick_of(group);
        }
        net_run(net, 150 * PROA_MS);
    }
    for (uint32_t i = 0; i < 80; i++) {
        group[1] = (char)('0' + i / 10);
        group[2] = (char)('0' + i % 10);
        right += look_at(group).right;
    }
    assert_int_equal(right, 80);
}

static void loads__end_when_nobody_picks(void **state)
{
    uint64_t before, idle;

    (void)state;
    begin(3, 4);
    before = net->nodes[1].mesh_sent;
    net_run(net, 10 * PROA_S);
    idle = net->nodes[1].mesh_sent - before;
    pick();
    net_run(net, 5 * PROA_S);
    before = net->nodes[1].mesh_sent;
    net_run(net, 10 * PROA_S);
    assert_in_range(net->nodes[1].mesh_sent - before, 0, idle + 2);
    assert_int_equal(net->nodes[1].core->loads.report_at, PROA_NS_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(loads__of_another_node_are_known_while_somebody_picks,
                                  finish),
        cmocka_unit_test_teardown(loads__picks_are_forgotten_by_the_next_report, finish),
        cmocka_unit_test_teardown(loads__of_more_members_than_one_report_has, finish),
        cmocka_unit_test_teardown(loads__of_many_groups, finish),
        cmocka_unit_test_teardown(loads__end_when_nobody_picks, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
