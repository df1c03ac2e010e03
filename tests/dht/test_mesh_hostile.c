/* SPDX-License-Identifier: Apache-2.0 */
/* A linked node that sends nonsense: it can spoil what is known of itself, nothing else. */
#include "mesh_net.h"
#include "mesh_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_DOCUMENT "wire_mesh.md"
#include "vectors.h"

#define SEED 5
#define VICTIM 0
#define GOOD 1
#define BAD 2
#define ENTRIES_MAX 10000

static const char *const names[] = {"hello",      "links",      "want_links", "delta",
                                    "digest",     "ask_hashes", "hashes",     "pull",
                                    "range",      "want_loads", "loads",      "ask_group",
                                    "group_part", "leaving",    "cut",        "refused"};
#define NAMES (sizeof(names) / sizeof(names[0]))

static struct net *cluster(uint64_t seed)
{
    struct net *net = net_create(3, seed);

    net->entries_max = ENTRIES_MAX;
    for (unsigned i = 0; i < 3; i++) {
        net_start(net, i);
        for (unsigned n = 0; n < 200; n++) {
            struct mesh_entry entry;
            char name[24];

            snprintf(name, sizeof(name), "name %u of %u", n, i);
            net_entry(&entry, n % 2 == 0 ? MESH_NAME : MESH_MEMBER, name, n);
            net_publish(net, i, &entry);
        }
        if (i > 0)
            net_add(net, i, 0);
    }
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    return net;
}

static size_t vector_of(unsigned at, uint8_t *buf)
{
    char name[64];

    snprintf(name, sizeof(name), "mesh_%s", names[at]);
    return vector_hex(vector_block(name), "hex", buf, MESH_MESSAGE_MAX);
}

/* The good one is known as it is, and the other two go on. */
static void check(struct net *net)
{
    struct net_node *victim = &net->nodes[VICTIM];
    struct mesh_entry entry;

    assert_true(net_stats(net, VICTIM).entries <= ENTRIES_MAX);
    net_entry(&entry, MESH_NAME, "afterwards", 1);
    net_publish(net, GOOD, &entry);
    net_run(net, 3 * PROA_S);
    assert_true(victim->seen[GOOD].hash == net->nodes[GOOD].own.hash);
    assert_int_equal(victim->seen[GOOD].count, net->nodes[GOOD].own.count);
    assert_true(net->nodes[GOOD].seen[VICTIM].hash == victim->own.hash);
    assert_int_equal(victim->counts.unlinked - (net_stats(net, VICTIM).linked < 2), 0);
}

static void input__truncated(void **state)
{
    struct net *net = cluster(SEED);
    uint8_t buf[MESH_MESSAGE_MAX];

    (void)state;
    for (unsigned at = 0; at < NAMES; at++) {
        size_t len = vector_of(at, buf);

        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *copy = malloc(cut > 0 ? cut : 1);

            assert_non_null(copy);
            memcpy(copy, buf, cut);
            net_inject(net, VICTIM, net->nodes[BAD].node, copy, cut);
            free(copy);
        }
    }
    assert_in_range(net_stats(net, VICTIM).malformed, 650, 1400);
    check(net);
    net_destroy(net);
}

static void input__flipped_bits(void **state)
{
    (void)state;
    for (unsigned at = 0; at < NAMES; at++) {
        struct net *net = cluster(SEED);
        uint8_t buf[MESH_MESSAGE_MAX];
        size_t len = vector_of(at, buf);

        if (strcmp(names[at], "leaving") != 0 && strcmp(names[at], "cut") != 0 &&
            strcmp(names[at], "refused") != 0)
            for (size_t bit = 0; bit < 8 * len; bit++) {
                buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
                net_inject(net, VICTIM, net->nodes[BAD].node, buf, len);
                buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
        check(net);
        net_destroy(net);
    }
}

/* A sound message with random contents. */
static size_t random_message(struct net *net, uint8_t *buf)
{
    enum mesh_message_kind kind = 1 + net_random(net) % (MESH_M_LEAVING - 1);
    uint64_t dice = net_random(net);
    struct mesh_digest digest = {.version = dice % 5000,
                                 .root = net_random(net),
                                 .links = net_random(net),
                                 .leaves = (uint16_t)(dice >> 32) % 1025};
    struct mesh_writer w;
    uint32_t first = (uint32_t)(dice >> 16) % 65536, at = first;

    digest.count = (uint32_t)(dice >> 8) % (digest.leaves * 64u + 1);
    mesh_begin(&w, buf, kind);
    switch (kind) {
    case MESH_M_HELLO:
        mesh_put_hello(&w, (uint8_t)dice, &net->nodes[BAD].id, &net->nodes[BAD].addr,
                       &digest);
        return w.len;
    case MESH_M_DIGEST:
        mesh_put_digest(&w, &digest);
        return w.len;
    case MESH_M_RANGE:
        mesh_begin_range(&w, buf);
        mesh_set_range(&w, first, first / 2048 * 2048 + 2048, dice % 10000);
        break;
    case MESH_M_DELTA:
        break;
    case MESH_M_ASK_HASHES:
        mesh_put_u64(&w, dice % (UINT64_C(1) << 33));
        return w.len;
    case MESH_M_PULL:
        mesh_put_u8(&w, dice % 32);
        mesh_put_u32(&w, (uint32_t)(dice >> 8));
        return w.len;
    case MESH_M_HASHES:
        mesh_put_u8(&w, dice % 33);
        for (unsigned i = 0; i < 33; i++)
            mesh_put_u64(&w, net_random(net) % 3);
        return w.len;
    default:
        for (unsigned i = 0; i < dice % 64; i++)
            mesh_put_u8(&w, (uint8_t)net_random(net));
        return w.len;
    }
    for (unsigned i = 0; i < dice % 40; i++) {
        struct mesh_entry entry = {.index = at % 65536,
                                   .version = 1 + net_random(net) % 5000,
                                   .kind = (uint8_t)(net_random(net) % 3),
                                   .generation = 1,
                                   .len = 3,
                                   .name = "abc"};

        if (kind == MESH_M_RANGE && entry.kind == 0)
            entry.kind = MESH_MEMBER;
        mesh_put_entry(&w, &entry);
        at += kind == MESH_M_RANGE ? 1 + net_random(net) % 30 : net_random(net) % 3;
    }
    return w.len;
}

static void input__senseless(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct net *net = cluster(seed);
        uint8_t buf[MESH_MESSAGE_MAX];
        unsigned taken = 0;

        for (unsigned k = 0; k < 3000; k++) {
            size_t len = random_message(net, buf);

            taken += net_inject(net, VICTIM, net->nodes[BAD].node, buf, len);
            if (k % 16 == 0)
                net_run(net, net_random(net) % (100 * PROA_MS));
        }
        assert_in_range(taken, 1000, 3000);
        check(net);
        net_destroy(net);
    }
}

static void input__random_bytes(void **state)
{
    struct net *net = cluster(SEED);
    uint8_t buf[MESH_MESSAGE_MAX];

    (void)state;
    for (unsigned k = 0; k < 20000; k++) {
        size_t len = net_random(net) % 80;

        for (size_t i = 0; i < len; i++)
            buf[i] = (uint8_t)net_random(net);
        if (len > 1) {
            buf[0] %= MESH_M_LEAVING; /* those behind it end the link: rightly */
            buf[1] = MESH_VERSION;
        }
        net_inject(net, VICTIM, net->nodes[BAD].node, buf, len);
    }
    check(net);
    net_destroy(net);
}

/* Somebody who is not linked, and nobody at all. */
static void input__of_strangers(void **state)
{
    struct net *net = cluster(SEED);
    uint8_t buf[MESH_MESSAGE_MAX];

    (void)state;
    for (unsigned at = 1; at < NAMES; at++) { /* a HELLO would link it */
        size_t len = vector_of(at, buf);
        bool any =
            strcmp(names[at], "ask_group") == 0 || strcmp(names[at], "group_part") == 0;

        assert_int_equal(net_inject(net, VICTIM, 4711, buf, len), any);
        assert_false(net_inject(net, VICTIM, net->nodes[VICTIM].node, buf, len));
    }
    assert_int_equal(net_stats(net, VICTIM).linked, 2);
    assert_int_equal(net_stats(net, VICTIM).unknown_node, NAMES - 3);
    check(net);
    net_destroy(net);
}

/* What the caller does not fetch is not lost: messages wait outside. */
static void input__refused_until_events_are_fetched(void **state)
{
    struct net *net = cluster(SEED);
    struct mesh *mesh = net->nodes[VICTIM].mesh;
    struct mesh_event event;
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    (void)state;
    mesh_begin(&w, buf, MESH_M_WANT_LOADS);
    mesh_put_group(&w, "g", 1);
    assert_true(mesh_input(mesh, net->nodes[BAD].node, buf, w.len, net->now));
    assert_false(mesh_input(mesh, net->nodes[BAD].node, buf, w.len, net->now));
    assert_int_equal(net_stats(net, VICTIM).overflow, 1);
    assert_true(mesh_event(mesh, &event));
    assert_int_equal(event.kind, MESH_LOADS_WANTED);
    assert_true(mesh_input(mesh, net->nodes[BAD].node, buf, w.len, net->now));
    net_settle(net, VICTIM);

    unsigned taken = 0;
    for (unsigned k = 0; k < 100; k++) {
        mesh_begin(&w, buf, MESH_M_DELTA);
        for (unsigned i = 0; i < 40; i++) {
            struct mesh_entry entry = {.index = 1000 + k * 40 + i,
                                       .version = 1000 + k,
                                       .kind = MESH_MEMBER,
                                       .generation = 1,
                                       .len = 1,
                                       .name = "g"};
            assert_true(mesh_put_entry(&w, &entry));
        }
        taken += mesh_input(mesh, net->nodes[BAD].node, buf, w.len, net->now);
    }
    assert_in_range(taken, 30, 60);
    unsigned added = net->nodes[VICTIM].counts.added;
    net_settle(net, VICTIM);
    assert_int_equal(net->nodes[VICTIM].counts.added - added, taken * 40);
    check(net);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input__truncated),
        cmocka_unit_test(input__flipped_bits),
        cmocka_unit_test(input__senseless),
        cmocka_unit_test(input__random_bytes),
        cmocka_unit_test(input__of_strangers),
        cmocka_unit_test(input__refused_until_events_are_fetched),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
