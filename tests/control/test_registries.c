/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core_internal.h"
#include "core_net.h"
#include "directory_group.h"
#include "seeking.h"

#define SLOT(lane, index) ((uint32_t)(lane) << 24 | (index))
#define GENERATION 7 /* of the actors of core_net.c */
#define WORKER 99    /* a type id */

static struct net *net;

/* count nodes whose registry messages arrive, each with the first as its seed, joined. */
static void cluster(unsigned count, uint64_t seed, uint32_t nodes_max,
                    uint32_t published_max)
{
    net = net_create(2, seed);
    net->mesh = true;
    net->mesh_nodes_max = nodes_max;
    net->mesh_published_max = published_max;
    for (unsigned i = 0; i < count; i++) {
        net_add(net, i == 0 ? -1 : 0);
        net_run(net, 500 * PROA_MS);
    }
    net_run(net, 2 * PROA_S);
    for (unsigned i = 0; i < count; i++) {
        struct core_mesh_own own;

        core_mesh_own(net->nodes[i].core, &own);
        assert_true(core_joined(net->nodes[i].core));
        assert_int_equal(own.complete, nodes_max != 1 || count == 1);
        assert_int_equal(own.linked, nodes_max != 1 ? count - 1 : 0);
    }
}

static int finish(void **state)
{
    (void)state;
    net_destroy(net);
    return 0;
}

static struct proa_ref ref(unsigned node, uint32_t slot)
{
    return (struct proa_ref){net_id(net, node), slot, GENERATION};
}

/* ---- Calls and reads ---- */

static uint32_t awaited_node, awaited_correlation;

static bool is_answered(struct net *n)
{
    return net_said(n, awaited_node, PUNT_NAME_ANSWER, awaited_correlation) != NULL;
}

static const struct net_record *answer(unsigned node, uint32_t correlation, proa_ns span)
{
    awaited_node = node;
    awaited_correlation = correlation;
    assert_true(net_until(net, is_answered, span));
    return net_said(net, node, PUNT_NAME_ANSWER, correlation);
}

static enum proa_outcome call(unsigned node, enum punt_name_op op, const char *name,
                              uint32_t slot)
{
    static uint32_t correlation = 1000;

    net_name(net, node, op, name, slot, ++correlation, WORKER, 2 * PROA_S);
    return answer(node, correlation, 3 * PROA_S)->answer.outcome;
}

struct members {
    enum proa_outcome outcome;
    struct proa_ref refs[16];
    struct proa_members is;
};

static struct members members_of(unsigned node, const char *group)
{
    struct directory *dir = net->nodes[node].directory;
    int reader = directory_reader_add(dir);
    struct members m = {0};

    directory_online(dir, reader);
    m.outcome =
        directory_members(dir, group, strlen(group), 0, 0, net->now, m.refs, 16, &m.is);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
    return m;
}

static const char *expected_group;
static uint32_t expected_count;

static bool all_have(struct net *n)
{
    for (unsigned i = 0; i < n->count; i++) {
        struct members m = members_of(i, expected_group);
        if (n->nodes[i].core != NULL && m.is.count != expected_count)
            return false;
    }
    return true;
}

static void expect_everywhere(const char *group, uint32_t count, proa_ns span)
{
    expected_group = group;
    expected_count = count;
    assert_true(net_until(net, all_have, span));
}

static void actor_stops(unsigned node, uint32_t slot)
{
    struct punt_actor actor = {slot, GENERATION};

    net_push(net, node, slot >> 24, PUNT_ACTOR_STOPPED, &actor, sizeof(actor), NULL, 0);
}

static unsigned events_of(unsigned node, enum proa_event_kind kind,
                          struct proa_event *ret_last)
{
    struct proa_event events[PROA_EVENTS_KEPT];
    uint64_t next = 0;
    unsigned n = core_events(net->nodes[node].core, &next, events, PROA_EVENTS_KEPT);
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != kind)
            continue;
        count++;
        *ret_last = events[i];
    }
    return count;
}

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
    assert_int_equal(event.node, net_id(net, 2));
    assert_string_equal(event.text, "left or restarted");
}

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
    assert_int_equal(events_of(0, PROA_EVENT_REGISTRY_REFUSED, &event), 100);
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

/* A step takes some of it, the next one comes at once. */
static void dead__large_node_is_taken_away_in_steps(void **state)
{
    struct directory_group_stats stats;
    struct core *core;
    unsigned steps = 0;

    (void)state;
    cluster(2, 21, 0, 0);
    core = net->nodes[0].core;
    for (uint32_t slot = 1; slot <= 3 * MESH_PORT_DROPPED; slot++) {
        net_name(net, 1, PUNT_JOIN, "g", SLOT(0, slot), 0, WORKER, PROA_S);
        if (slot % 100 == 0)
            net_run(net, PROA_MS);
    }
    net_run(net, PROA_S);
    assert_int_equal(members_of(0, "g").is.count, 3 * MESH_PORT_DROPPED);
    mesh_port_down(core, peers_find(&core->peers, net_id(net, 1)), false);
    net_stop(net, 1);
    do {
        core_step(core, net->now, net_wall(net));
        directory_group_stats(net->nodes[0].directory, &stats);
        steps++;
        assert_true(stats.members >= (3 - steps) * MESH_PORT_DROPPED);
        assert_true(stats.members == 0 || core_deadline(core) <= net->now);
    } while (stats.members > 0);
    assert_int_equal(steps, 3);
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
        cmocka_unit_test_teardown(unlinked__event_says_why, finish),
        cmocka_unit_test_teardown(link__address_of_no_node_is_refused, finish),
        cmocka_unit_test_teardown(refused__is_one_event_a_node, finish),
        cmocka_unit_test_teardown(full__directory_is_not_complete, finish),
        cmocka_unit_test_teardown(mesh__message_of_a_node_that_is_not_alive_is_no_news,
                                  finish),
        cmocka_unit_test_teardown(neighbour__that_is_oneself_is_one_event, finish),
        cmocka_unit_test_teardown(dead__large_node_is_taken_away_in_steps, finish),
        cmocka_unit_test_teardown(find__is_answered_from_what_is_known, finish),
        cmocka_unit_test_teardown(find__before_joining_says_so_at_the_deadline, finish),
        cmocka_unit_test_teardown(afar__members_are_asked_for, finish),
        cmocka_unit_test_teardown(afar__nobody_is_not_found, finish),
        cmocka_unit_test_teardown(afar__changes_come_as_long_as_the_group_is_read,
                                  finish),
        cmocka_unit_test_teardown(afar__dead_node_has_no_members, finish),
        cmocka_unit_test_teardown(afar__long_answer_is_whole, finish),
        cmocka_unit_test_teardown(afar__many_groups_of_one_node, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
