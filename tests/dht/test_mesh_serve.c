/* SPDX-License-Identifier: Apache-2.0 */
/* The owner of a set: how fast it answers. */
#include "mesh_internal.h"
#include "mesh_net.h"
#include "mesh_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define SEED 78
#define ASKERS 12

/* A node with 8,000 names, linked with all who will ask. */
static struct net *net_with_askers(uint64_t askers[ASKERS])
{
    struct net *net = net_create(1, SEED);

    net_start(net, 0);
    net_publish_many(net, 0, 8000);
    for (unsigned n = 0; n < ASKERS; n++)
        askers[n] = net_play(net, 0, n, 0);
    net_run(net, 10 * PROA_MS);
    return net;
}

static void ask_all(struct net *net, uint64_t asker)
{
    struct mesh *mesh = net->nodes[0].mesh;
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    for (uint8_t mid = 0; mid < 4; mid++) {
        mesh_begin(&w, buf, MESH_M_PULL);
        mesh_put_u8(&w, mid);
        mesh_put_u32(&w, UINT32_MAX);
        assert_true(mesh_input(mesh, asker, buf, w.len, net->now));
    }
    mesh_begin(&w, buf, MESH_M_ASK_HASHES);
    mesh_put_u64(&w, (UINT64_C(1) << (MESH_HASHES_TOP + 1)) - 1);
    assert_true(mesh_input(mesh, asker, buf, w.len, net->now));
}

/* Takes out what is to be sent and adds up the answers to each; returns how many. */
static unsigned drain_answers(struct mesh *mesh, const uint64_t *askers,
                              unsigned counts[ASKERS])
{
    uint8_t buf[MESH_MESSAGE_MAX];
    uint64_t to[MESH_TO_MAX];
    unsigned count, total = 0;

    while (mesh_output(mesh, buf, to, &count) > 0) {
        if (buf[0] != MESH_M_RANGE && buf[0] != MESH_M_HASHES)
            continue;
        for (unsigned n = 0; n < ASKERS; n++)
            counts[n] += to[0] == askers[n];
        total++;
    }
    return total;
}

static void pace__so_many_answers_in_a_millisecond(void **state)
{
    uint64_t askers[ASKERS];
    unsigned counts[ASKERS] = {0};
    struct net *net = net_with_askers(askers);
    struct mesh *mesh = net->nodes[0].mesh;

    (void)state;
    ask_all(net, askers[0]);
    assert_int_equal(drain_answers(mesh, askers, counts), MESH_ANSWERS_ONE);
    for (unsigned k = 0; k < 10; k++) { /* asking again gives no more */
        ask_all(net, askers[0]);
        assert_int_equal(drain_answers(mesh, askers, counts), 0);
    }
    const struct mesh_node *node = mesh_find(mesh, askers[0]);
    unsigned total = MESH_ANSWERS_ONE;
    while (node->serve_count > 0 || node->hash_mask != 0) {
        assert_true(mesh_deadline(mesh) <= net->now + MESH_ANSWERS_EVERY);
        net->now = mesh_deadline(mesh);
        mesh_tick(mesh, net->now);
        unsigned drained = drain_answers(mesh, askers, counts);
        assert_in_range(drained, 0, MESH_ANSWERS_ONE);
        total += drained;
    }
    assert_in_range(total, 33 + 8000 * 50 / MESH_MESSAGE_MAX,
                    33 + 8000 * 60 / MESH_MESSAGE_MAX + 128);
    assert_int_equal(counts[0], total);
    net_destroy(net);
}

static void pace__is_shared_by_all_who_ask(void **state)
{
    uint64_t askers[ASKERS];
    unsigned counts[ASKERS] = {0};
    struct net *net = net_with_askers(askers);
    struct mesh *mesh = net->nodes[0].mesh;

    (void)state;
    for (unsigned turn = 0; turn < 10; turn++) {
        for (unsigned n = 0; n < ASKERS; n++)
            ask_all(net, askers[n]);
        assert_in_range(drain_answers(mesh, askers, counts), ASKERS,
                        MESH_ANSWERS + ASKERS);
        net->now += MESH_ANSWERS_EVERY;
        mesh_tick(mesh, net->now);
    }
    for (unsigned n = 0; n < ASKERS; n++)
        assert_in_range(counts[n], 9 * (MESH_ANSWERS / (ASKERS + 1)),
                        9 * (MESH_ANSWERS / (ASKERS + 1)) + MESH_ANSWERS_ONE);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pace__so_many_answers_in_a_millisecond),
        cmocka_unit_test(pace__is_shared_by_all_who_ask),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
