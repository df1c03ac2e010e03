/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core_internal.h"
#include "registries_net.h"

static void unlinked__event_says_why(void **state)
{
    struct proa_event event;
    char err[128];

    (void)state;
    cluster(3, 17, 0, 0);
    assert_int_equal(
        core_mesh_remove(net->nodes[0].core, net_id(net, 1), net->now, err, sizeof(err)),
        PROA_OK);
    net_run(net, 5 * PROA_MS);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(events_of(i, PROA_EVENT_REGISTRY_UNLINKED, &event), 1);
        assert_int_equal(event.node, net_id(net, 1 - i));
        assert_string_equal(event.text, "its link was removed");
    }
    net_stop(net, 2);
    net_run(net, 90 * PROA_S);
    assert_int_equal(events_of(0, PROA_EVENT_REGISTRY_UNLINKED, &event), 2);
    assert_string_equal(event.text, "silent");
}

static void link__address_of_no_node_is_refused(void **state)
{
    struct proa_addr addr;
    char err[128] = "";

    (void)state;
    cluster(2, 18, 0, 0);
    addr = net->nodes[1].addr;
    memset(addr.ip, 0xff, sizeof(addr.ip));
    net->nodes[0].core->config.port_count = 0; /* as if its port reached everything */
    assert_int_equal(core_mesh_add(net->nodes[0].core, &addr, net->now, err, sizeof(err)),
                     PROA_INVALID);
    assert_non_null(strstr(err, "no node can be reached there"));
    assert_int_equal(
        core_mesh_remove(net->nodes[0].core, 0x1234, net->now, err, sizeof(err)),
        PROA_NOT_FOUND);
    assert_int_equal(
        core_mesh_forget(net->nodes[0].core, &addr, net->now, err, sizeof(err)),
        PROA_NOT_FOUND);
}

/* More nodes than the mesh remembers are refused again each time that they are met. */
static void refused__is_one_event_a_node(void **state)
{
    struct proa_event event;
    struct core *core;

    (void)state;
    cluster(2, 19, 2, 0);
    core = net->nodes[0].core;
    for (unsigned i = 0; i < 400; i++) {
        struct proa_addr addr = net->nodes[1].addr;
        struct kad_id id = {{0}};

        id.b[0] = (uint8_t)(1 + i % 100);
        addr.port = (uint16_t)(8000 + i % 100);
        struct peer *peer = peers_add(&core->peers, &id);
        peers_hint(peer, &addr);
        mesh_port_met(core, peer);
    }
    /* Of those that the mesh had room to look at. */
    assert_in_range(events_of(0, PROA_EVENT_REGISTRY_REFUSED, &event), 20, 100);
}

/* What the directory has no room for, this node does not know. */
static void full__directory_is_not_complete(void **state)
{
    struct directory *dir;
    struct core_mesh_own own;
    char group[16];

    (void)state;
    cluster(2, 20, 0, 0);
    dir = net->nodes[0].directory;
    for (uint32_t i = 0; i < DIRECTORY_GROUPS_MAX; i++) {
        snprintf(group, sizeof(group), "fill-%u", i);
        directory_join(dir, group, strlen(group), ref(0, SLOT(0, 1)), 0);
    }
    assert_int_equal(members_of(0, "g").outcome, PROA_NOT_FOUND);
    assert_int_equal(call(1, PUNT_JOIN, "g", SLOT(0, 1)), PROA_OK);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(members_of(0, "g").outcome, PROA_UNKNOWN);
    core_mesh_own(net->nodes[0].core, &own);
    assert_false(own.complete);
    assert_int_equal(call(1, PUNT_LEAVE, "g", SLOT(0, 1)), PROA_OK);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(members_of(0, "g").outcome, PROA_NOT_FOUND);
}

static void mesh__message_of_a_node_that_is_not_alive_is_no_news(void **state)
{
    struct punt_mesh head = {.node = 0x1234};

    (void)state;
    cluster(2, 7, 0, 0);
    net_push(net, 0, 0, PUNT_MESH, &head, sizeof(head), "abcdefgh", 8);
    net_run(net, PROA_MS);
    assert_int_equal(net_stats(net, 0).mesh_stale, 1);
}

static void neighbour__that_is_oneself_is_one_event(void **state)
{
    struct proa_event event;

    (void)state;
    net = net_create(1, 14);
    net->mesh = true;
    net_add(net, 0); /* its seed has its own address */
    net_run(net, 30 * PROA_S);
    assert_true(core_joined(net->nodes[0].core));
    assert_int_equal(events_of(0, PROA_EVENT_REGISTRY_REFUSED, &event), 1);
    assert_int_equal(event.node, net_id(net, 0));
    assert_string_equal(event.text, "10.0.0.1:7400 is this node's own address");
    assert_int_equal(net->nodes[0].mesh_sent, 0);
}

#define DROPPED 4096u /* told from tick to tick.  Source: mesh.h */

/* A step takes some of it, the next one comes at once. */
static void dead__large_node_is_taken_away_in_steps(void **state)
{
    struct directory_group_stats stats;
    struct core *core;
    unsigned steps = 1; /* the first part goes at once */

    (void)state;
    cluster(2, 21, 0, 0);
    core = net->nodes[0].core;
    for (uint32_t slot = 1; slot <= 3 * DROPPED; slot++) {
        net_name(net, 1, PUNT_JOIN, "g", SLOT(0, slot), 0, WORKER, PROA_S);
        if (slot % 100 == 0)
            net_run(net, PROA_MS);
    }
    net_run(net, PROA_S);
    assert_int_equal(members_of(0, "g").is.count, 3 * DROPPED);
    mesh_port_down(core, peers_find(&core->peers, net_id(net, 1)), false);
    net_stop(net, 1);
    do {
        core_step(core, net->now, net_wall(net));
        directory_group_stats(net->nodes[0].directory, &stats);
        steps++;
        assert_true(stats.members >= (3 - steps) * DROPPED);
        assert_true(stats.members == 0 || core_deadline(core) <= net->now);
    } while (stats.members > 0);
    assert_int_equal(steps, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(unlinked__event_says_why, finish),
        cmocka_unit_test_teardown(link__address_of_no_node_is_refused, finish),
        cmocka_unit_test_teardown(refused__is_one_event_a_node, finish),
        cmocka_unit_test_teardown(full__directory_is_not_complete, finish),
        cmocka_unit_test_teardown(mesh__message_of_a_node_that_is_not_alive_is_no_news,
                                  finish),
        cmocka_unit_test_teardown(neighbour__that_is_oneself_is_one_event, finish),
        cmocka_unit_test_teardown(dead__large_node_is_taken_away_in_steps, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
