/* SPDX-License-Identifier: Apache-2.0 */
/* A member that lies, and links that fail on one side: what a node says of itself and of others ends
   nobody, hides nobody, and keeps nobody waiting for ever. */
#include "mesh_net.h"
#include "mesh_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 12

/* A member with an id of its own, that is no node of the network. */
struct mad {
    struct kad_id id;
    uint64_t node;
    struct proa_addr addr;
};

static struct mad mad_one(struct net *net)
{
    struct mad mad = {.addr = net->nodes[0].addr};

    for (unsigned b = 0; b < sizeof(mad.id.b); b++)
        mad.id.b[b] = (uint8_t)net_random(net);
    mad.node = kad_id_node64(&mad.id);
    mad.addr.ip[14] = 77;
    mad.addr.port = (uint16_t)(1 + net_random(net) % 65535);
    return mad;
}

static bool say_hello(struct net *net, unsigned to, const struct mad *mad,
                      const struct proa_addr *addr, uint16_t leaves)
{
    const struct mesh_digest digest = {.leaves = leaves};
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    mesh_begin(&w, buf, MESH_M_HELLO);
    mesh_put_hello(&w, 0xff & ~MESH_HELLO_WANT, &mad->id, addr, &digest);
    return net_inject(net, to, mad->node, buf, w.len);
}

static bool say_digest(struct net *net, unsigned to, uint64_t from, uint64_t links)
{
    const struct mesh_digest digest = {.links = links};
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    mesh_begin(&w, buf, MESH_M_DIGEST);
    mesh_put_digest(&w, &digest);
    return net_inject(net, to, from, buf, w.len);
}

static bool say(struct net *net, unsigned to, uint64_t from, enum mesh_message_kind kind)
{
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    mesh_begin(&w, buf, kind);
    return net_inject(net, to, from, buf, w.len);
}

/* So many nodes nobody ever meets. */
static void say_links(struct net *net, unsigned to, uint64_t from, unsigned count)
{
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    while (count > 0) {
        mesh_begin(&w, buf, MESH_M_LINKS);
        for (struct mad one = mad_one(net);
             count > 0 && mesh_put_link(&w, &one.id, &one.addr); count--) {
            one = mad_one(net);
            one.addr.ip[13] = (uint8_t)net_random(net);
        }
        net_inject(net, to, from, buf, w.len);
    }
}

/* ---- HELLO ---- */

static void hello__takes_no_neighbour(void **state)
{
    (void)state;
    for (unsigned cut = 0; cut < 2; cut++) {
        struct net *net = net_create(2, SEED);
        struct mad mad = mad_one(net);

        net_start(net, 0);
        net_add(net, 0, 1); /* it is not there yet */
        net_run(net, 3 * PROA_S);
        assert_true(say_hello(net, 0, &mad, &net->nodes[1].addr, 0));
        if (cut)
            assert_true(say(net, 0, mad.node, MESH_M_CUT));
        unsigned resolved = net->nodes[0].counts.resolved;
        net_run(net, 5 * PROA_S);
        assert_in_range(net->nodes[0].counts.resolved - resolved, 4, 7);
        net_start(net, 1);
        net_run(net, 3 * PROA_S);
        assert_int_equal(net_state(net, 0, 1), MESH_LINKED_UP);
        assert_int_equal(net_state(net, 1, 0), MESH_LINKED_UP);
        net_destroy(net);
    }
}

static void hello__ends_nobody(void **state)
{
    struct net *net = net_cluster(SEED, 4);
    struct mad mad = mad_one(net);

    (void)state;
    net_group(net, 3, 1);
    net_run(net, 3 * PROA_S);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(net_state(net, i, 3), MESH_LOST);
        assert_true(say_hello(net, i, &mad, &mad.addr, 0));
        unsigned resolved = net->nodes[i].counts.resolved;
        for (unsigned k = 0; k < 100; k++)
            assert_false(say_hello(net, i, &mad, &net->nodes[3].addr, 0));
        assert_int_equal(net->nodes[i].counts.resolved - resolved, 1); /* who is there? */
        assert_int_equal(net_state(net, i, 3), MESH_LOST);
    }
    net_group(net, 3, 0);
    net_run(net, 5 * PROA_S);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(net_state(net, i, 3), MESH_LINKED_UP);
    net_destroy(net);
}

/* Who only says that it is there makes room for who is. */
static void hello__false_address_hinders_nobody(void **state)
{
    struct net *net = net_create(3, SEED);
    struct mad mad = mad_one(net);

    (void)state;
    net_start(net, 0);
    net_start(net, 1);
    net_add(net, 0, 1);
    net_run(net, PROA_S);
    assert_true(say_hello(net, 0, &mad, &net->nodes[2].addr, 0));
    assert_int_equal(net_add(net, 0, 2), MESH_OK); /* it is not known who is there */
    net_start(net, 2);
    mesh_met(net->nodes[0].mesh, &net->nodes[2].id, &net->nodes[2].addr, net->now);
    net_settle(net, 0);
    net_run(net, PROA_S);
    assert_int_equal(net_state(net, 0, 2), MESH_LINKED_UP);
    assert_int_equal(net_state(net, 1, 2), MESH_LINKED_UP);
    net_destroy(net);
}

/* ---- mesh_complete ---- */

static void complete__not_before_all_are_known(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct net *net = net_cluster(seed, 10);
        bool joined = false;

        net_kill(net, 9);
        net_run(net, 3 * PROA_S);
        net->faults.loss = seed > 5 ? 300 : 0;
        net->faults.jitter = seed > 5 ? PROA_MS : 0;
        net_start(net, 9);
        net_add(net, 9, 0);
        for (unsigned k = 0; k < 10000; k++) {
            net_run(net, 100 * PROA_US);
            if (!mesh_complete(net->nodes[9].mesh))
                continue;
            assert_int_equal(net_stats(net, 9).linked, 9);
            for (unsigned i = 0; i < 9; i++)
                assert_int_equal(net_state(net, 9, i), MESH_LINKED_UP);
            if (!joined && net->faults.loss == 0)
                assert_in_range(k, 0, 600); /* 60 ms: a few round trips */
            joined = true;
        }
        assert_true(joined || net->faults.loss > 0);
        net_destroy(net);
    }
}

static void complete__not_while_a_digest_differs(void **state)
{
    struct net *net = net_cluster(SEED, 2);
    struct mesh_entry entry;

    (void)state;
    net_run(net, 2 * PROA_S);
    assert_true(mesh_complete(net->nodes[1].mesh));
    net->faults.loss = 1000;
    net_entry(&entry, MESH_NAME, "lost", 1);
    net_publish(net, 0, &entry);
    net_run(net, PROA_MS);
    net->faults.loss = 0;
    uint64_t mismatches = net_stats(net, 1).mismatches;
    while (net_stats(net, 1).mismatches == mismatches)
        net_run(net, PROA_MS / 10);
    assert_false(mesh_complete(net->nodes[1].mesh));
    while (mesh_name(net->nodes[1].mesh, "lost", 4) == NULL) {
        assert_false(mesh_complete(net->nodes[1].mesh));
        net_run(net, PROA_MS / 10);
    }
    assert_true(mesh_complete(net->nodes[1].mesh));
    net_destroy(net);
}

static void complete__what_one_tells_is_waited_for_a_while(void **state)
{
    struct net *net = net_cluster(SEED, 3);
    struct mad mad = mad_one(net);
    unsigned complete = 0, asked = 0;

    (void)state;
    assert_true(say_hello(net, 0, &mad, &mad.addr, 0));
    uint64_t sent = net->nodes[0].sent, ours = mesh_hash_id(&mad.id);
    for (unsigned i = 0; i < 3; i++)
        ours ^= mesh_hash_id(&net->nodes[i].id);
    for (unsigned t = 0; t < 600; t++) { /* 10 minutes */
        say_digest(net, 0, mad.node, t % 3 == 0 ? ours : net_random(net));
        say_links(net, 0, mad.node, 3);
        net_run(net, PROA_S);
        complete += mesh_complete(net->nodes[0].mesh);
    }
    asked = (unsigned)(net->nodes[0].sent - sent);
    assert_in_range(complete, 420, 595);
    assert_in_range(asked, 600 * 3 * 8 / 10,
                    600 * 3 * 13 / 10 + 600); /* digests, and few more */
    net_destroy(net);
}

static void complete__not_while_others_know_more_than_may_be(void **state)
{
    struct net *net = net_create(3, SEED);

    (void)state;
    net->nodes_max = 2;
    net_start(net, 0);
    net_start(net, 1);
    net_add(net, 0, 1);
    net_run(net, 2 * PROA_S);
    assert_true(mesh_complete(net->nodes[0].mesh));
    say_links(net, 0, net->nodes[1].node, 1);
    assert_false(mesh_complete(net->nodes[0].mesh));
    net_run(net, 30 * PROA_S);
    assert_false(mesh_complete(net->nodes[0].mesh));
    net_run(net, 60 * PROA_S);
    assert_true(mesh_complete(net->nodes[0].mesh));
    net_destroy(net);
}

/* It links, says that it has entries, and never sends them. */
static void complete__who_serves_nothing_is_unlinked(void **state)
{
    struct net *net = net_cluster(SEED, 3);
    struct mad mad = mad_one(net);
    unsigned complete = 0;

    (void)state;
    for (unsigned t = 0; t < 1200; t++) {
        say_hello(net, 0, &mad, &mad.addr, 1);
        net_run(net, PROA_S);
        complete += mesh_complete(net->nodes[0].mesh);
    }
    assert_in_range(complete, 1200 - 6 * 17, 1200 - 3 * 10);
    assert_int_equal(net_stats(net, 0).linked, 2);
    net_destroy(net);
}

/* The others are complete again soon after one joined. */
static void complete__again_after_a_join(void **state)
{
    struct net *net = net_create(8, SEED);

    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        net_start(net, i);
        net_add(net, i, (i + 6) % 7);
    }
    net_run(net, 5 * PROA_S);
    net_start(net, 7);
    net_add(net, 7, 0);
    net_run(net, 350 * PROA_MS);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(net_stats(net, i).linked, 7);
        assert_true(mesh_complete(net->nodes[i].mesh));
    }
    net_destroy(net);
}

/* ---- LINKS ---- */

static void links__mad_digests_take_no_turn(void **state)
{
    struct net *net = net_create(4, SEED);
    struct mad mad = mad_one(net);

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        net_start(net, i);
    net_add(net, 1, 0);
    net_add(net, 3, 2);
    net_run(net, PROA_S);
    for (unsigned i = 0; i < 4; i++)
        say_hello(net, i, &mad, &mad.addr, 0);
    net_add(net, 2, 1);
    net_run(net, 5 * PROA_MS); /* HELLO went; what follows is lost */
    net->faults.loss = 1000;
    net_run(net, 100 * PROA_MS);
    net->faults.loss = 0;
    for (unsigned t = 0; t < 100; t++) {
        for (unsigned i = 0; i < 4; i++)
            say_digest(net, i, mad.node, net_random(net));
        net_run(net, 50 * PROA_MS);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(net_stats(net, i).linked, 4);
    net_destroy(net);
}

static void links__go_to_who_asks(void **state)
{
    struct net *net = net_cluster(SEED, 60);
    struct mad mad = mad_one(net);
    uint64_t bytes = 0;

    (void)state;
    for (unsigned i = 1; i < 60; i++)
        bytes += net->nodes[i].received_bytes;
    assert_in_range(bytes, 1,
                    60 * 30000); /* not from every one: that were 59 times 2,300 */
    assert_true(say_hello(net, 0, &mad, &mad.addr, 0));
    net_run(net, 2 * PROA_S);
    uint64_t sent = net->nodes[0].sent;
    for (unsigned k = 0; k < 100; k++)
        assert_true(say(net, 0, mad.node, MESH_M_WANT_LINKS));
    assert_in_range(net->nodes[0].sent - sent, 1, 4); /* once a second */
    net_destroy(net);
}

static void links__one_teller_does_not_fill_the_table(void **state)
{
    struct net *net = net_cluster(SEED, 3);
    struct mad mad = mad_one(net);

    (void)state;
    assert_true(say_hello(net, 0, &mad, &mad.addr, 0));
    say_links(net, 0, mad.node, 1000);
    assert_in_range(net_stats(net, 0).nodes, 3 + 128, 4 + 128);
    say_links(net, 0, net->nodes[1].node, 20); /* another is still heard */
    assert_in_range(net_stats(net, 0).nodes, 3 + 148, 4 + 148);
    net_run(net, 100 * PROA_S); /* they are given up, and it may tell of others */
    assert_int_equal(net_stats(net, 0).nodes, 3);
    say_links(net, 0, mad.node, 1000);
    assert_in_range(net_stats(net, 0).nodes, 3 + 128, 4 + 128);
    net_destroy(net);
}

/* ---- One side only ---- */

static void unlinked__half_a_link_is_found_out(void **state)
{
    struct net *net = net_cluster(SEED, 2);

    (void)state;
    mesh_down(net->nodes[0].mesh, net->nodes[1].node, true, net->now); /* wrongly */
    net_settle(net, 0);
    net_run(net, 2 * PROA_S);
    assert_int_equal(net_stats(net, 1).linked, 0);
    assert_int_equal(net->nodes[1].seen[0].count, 0);
    assert_false(mesh_complete(net->nodes[1].mesh));
    net_run(net, 65 * PROA_S);
    assert_true(net_until(net, 5 * PROA_S) != PROA_NS_NEVER);

    uint64_t sent = net->nodes[0].sent;
    for (unsigned k = 0; k < 100; k++)
        assert_false(say_digest(net, 0, 4711, 0));
    assert_int_equal(net->nodes[0].sent, sent + 1);
    net_destroy(net);
}

static void unlinked__one_way_is_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct net *net = net_cluster(seed, 4);
        struct mesh_entry entry;

        net_mute(net, 0, 1, true);
        net_mute(net, 2, 3, true);
        net_run(net, 3 * PROA_S);
        assert_int_equal(net_state(net, 1, 0), MESH_LOST);
        net_entry(&entry, MESH_NAME, "meanwhile", 1);
        for (unsigned i = 0; i < 4; i++)
            net_publish(net, i, &entry);
        net_run(net, net_random(net) % (60 * PROA_S));
        net_mute(net, 0, 1, false);
        net_mute(net, 2, 3, false);
        assert_true(net_until(net, 5 * PROA_S) != PROA_NS_NEVER);
        net_destroy(net);
    }
}

/* ---- CUT, REFUSED, time ---- */

static void cut__of_many_ids_fills_nothing(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net->nodes_max = 20;
    net_start(net, 0);
    for (unsigned k = 0; k < 300; k++) {
        struct mad mad = mad_one(net);

        assert_true(say_hello(net, 0, &mad, &mad.addr, 0));
        assert_true(say(net, 0, mad.node, MESH_M_CUT));
    }
    net_start(net, 1);
    net_add(net, 1, 0);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    assert_in_range(net_stats(net, 0).nodes, 50, 2 * 20 + 64);
    net_run(net, 730 * PROA_S);
    assert_int_equal(net_stats(net, 0).nodes, 1);
    net_destroy(net);
}

static void cut__so_many_are_kept_in_mind(void **state)
{
    struct net *net = net_create(1, SEED);
    struct mad mads[33];

    (void)state;
    net_start(net, 0);
    for (unsigned k = 0; k < 33; k++) {
        mads[k] = mad_one(net);
        net_run(net, 10 * PROA_MS);
        assert_true(say_hello(net, 0, &mads[k], &mads[k].addr, 0));
        assert_int_equal(mesh_remove(net->nodes[0].mesh, mads[k].node, net->now),
                         MESH_OK);
        net_settle(net, 0);
    }
    net_run(net, 1000 * PROA_S);
    for (unsigned k = 33; k > 0; k--) {
        say_hello(net, 0, &mads[k - 1], &mads[k - 1].addr, 0);
        assert_int_equal(net_stats(net, 0).linked, k == 1);
    }
    net_destroy(net);
}

static void limit__crowd_is_no_storm(void **state)
{
    struct net *net = net_create(2, SEED);
    static struct mad crowd[500];

    (void)state;
    net->nodes_max = 2;
    net_start(net, 0);
    net_start(net, 1);
    net_add(net, 0, 1);
    net_run(net, PROA_S);
    for (unsigned k = 0; k < 500; k++)
        crowd[k] = mad_one(net);
    struct net_node *node = &net->nodes[0];
    for (unsigned t = 0; t < 50; t++) {
        for (unsigned k = 0; k < 500; k++) {
            mesh_met(node->mesh, &crowd[k].id, &crowd[k].addr, net->now);
            net_settle(net, 0);
        }
        net_run(net, PROA_S);
    }
    assert_in_range(node->counts.refused, 1, 65);
    assert_false(mesh_complete(node->mesh));
    uint64_t sent = node->sent;
    for (unsigned k = 0; k < 500; k++)
        for (unsigned n = 0; n < 3; n++)
            say_hello(net, 0, &crowd[k], &crowd[k].addr, 0);
    assert_in_range(node->sent - sent, 64, 130); /* REFUSED */
    assert_in_range(node->counts.refused, 1, 65);
    net_destroy(net);
}

static void time__does_not_go_back(void **state)
{
    struct net *net = net_cluster(SEED, 2);
    struct mesh *mesh = net->nodes[1].mesh;

    (void)state;
    for (unsigned k = 0; k < 2000; k++) {
        proa_ns past = net->now - net_random(net) % (100 * PROA_S);

        mesh_tick(mesh, past);
        net_settle(net, 1);
        say_digest(net, 1, net->nodes[0].node,
                   0); /* its own would mend what this spoils */
        net_run(net, 5 * PROA_MS);
    }
    assert_true(net_until(net, 15 * PROA_S) != PROA_NS_NEVER);
    assert_int_equal(net->nodes[1].counts.unlinked, 0);
    assert_int_equal(net->nodes[1].counts.unreachable, 0);
    mesh_down(mesh, net->nodes[0].node, false, net->now - 5000 * PROA_S);
    net_settle(net, 1);
    mesh_tick(mesh, net->now - 200000 * PROA_S);
    assert_int_equal(net_state(net, 1, 0), MESH_LOST);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello__takes_no_neighbour),
        cmocka_unit_test(hello__ends_nobody),
        cmocka_unit_test(hello__false_address_hinders_nobody),
        cmocka_unit_test(complete__not_before_all_are_known),
        cmocka_unit_test(complete__not_while_a_digest_differs),
        cmocka_unit_test(complete__what_one_tells_is_waited_for_a_while),
        cmocka_unit_test(complete__not_while_others_know_more_than_may_be),
        cmocka_unit_test(complete__who_serves_nothing_is_unlinked),
        cmocka_unit_test(complete__again_after_a_join),
        cmocka_unit_test(links__mad_digests_take_no_turn),
        cmocka_unit_test(links__go_to_who_asks),
        cmocka_unit_test(links__one_teller_does_not_fill_the_table),
        cmocka_unit_test(unlinked__half_a_link_is_found_out),
        cmocka_unit_test(unlinked__one_way_is_cut),
        cmocka_unit_test(cut__of_many_ids_fills_nothing),
        cmocka_unit_test(cut__so_many_are_kept_in_mind),
        cmocka_unit_test(limit__crowd_is_no_storm),
        cmocka_unit_test(time__does_not_go_back),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
