/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core_internal.h"
#include "core_net.h"

static struct net *cluster(unsigned count, uint64_t seed)
{
    struct net *net = net_create(2, seed);

    for (unsigned i = 0; i < count; i++)
        net_add(net, i == 0 ? -1 : 0);
    net_run(net, 2 * PROA_S);
    for (unsigned i = 0; i < count; i++)
        assert_true(core_joined(net->nodes[i].core));
    return net;
}

/* ---- Input ---- */

static void step__any_bytes_are_counted_and_change_nothing(void **state)
{
    struct net *net = cluster(2, 1);
    struct core_stats before = net_stats(net, 0), after;
    uint8_t bytes[PUNT_BYTES_MAX];
    unsigned links = net->nodes[0].link_count, said = net->nodes[0].log_count;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = net_random(net) % 400;
        for (size_t j = 0; j < len; j++)
            bytes[j] = (uint8_t)net_random(net);
        if (len > 0 && i % 2 == 0) /* a keyed kind of the right version */
            bytes[0] = (uint8_t)((2 + net_random(net) % 7) << 4 | PACKET_VERSION);
        if (len > 0 && i % 7 == 0)
            bytes[0] = 'd';
        net_datagram(net, 0, i % 2, &net->nodes[1].addr, bytes, len);
        if (i % 500 == 499)
            net_run(net, PROA_US);
    }
    net_run(net, PROA_US);
    after = net_stats(net, 0);
    assert_int_equal(after.datagrams - before.datagrams, 20000);
    assert_int_equal(net->nodes[0].link_count, links);
    assert_int_equal(net->nodes[0].log_count, said);
    assert_true(after.keyed_malformed > before.keyed_malformed);
    assert_true(after.keyed_bad_mac > before.keyed_bad_mac);
    assert_int_equal(after.keyed_unexpected, before.keyed_unexpected);
    for (unsigned kind = PACKET_SYN; kind < PACKET_KIND_COUNT; kind++)
        assert_int_equal(net->nodes[0].sent[kind], 0);
    net_destroy(net);
}

/* Members may err: packets with a right tag and any contents. */
static void step__sealed_nonsense_of_a_member_is_survived(void **state)
{
    struct net *net = cluster(2, 2);
    uint8_t bytes[PACKET_LEN_MAX];

    (void)state;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 50 * PROA_MS);
    uint64_t link = net_link(net, 0, 0, net_id(net, 1))->open.link_id;
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = 48 + net_random(net) % 1300;
        for (size_t j = 0; j < len; j++)
            bytes[j] = (uint8_t)net_random(net);
        bytes[0] = (uint8_t)((2 + net_random(net) % 7) << 4 | PACKET_VERSION);
        if (len >= 96) { /* near enough to be looked at */
            proa_put_le64(bytes + 32, net_id(net, 1));
            proa_put_le64(bytes + 40, net_id(net, 0));
            if (i % 3 == 0)
                proa_put_le64(bytes + PACKET_AT_DST_LINK, link);
            proa_put_le16(bytes + 88, (uint16_t)len);
        }
        keyed_seal(&net->nodes[0].config.keys, bytes, len);
        net_datagram(net, 0, i % 2, &net->nodes[1].addr, bytes, len);
        if (i % 100 == 99)
            net_run(net, 3 * PROA_MS);
        net->nodes[0].log_count = 0;
    }
    net_run(net, 5 * PROA_S);
    assert_int_equal(net_stats(net, 0).keyed_bad_mac, 0);
    assert_int_equal(net_links(net, 0, net_id(net, 1)), 1); /* the one there was */
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, 0));
    net_destroy(net);
}

static void step__reads_no_more_than_its_share_and_asks_to_be_called_again(void **state)
{
    struct net *net = cluster(1, 3);
    struct core *core = net->nodes[0].core;
    uint64_t before = net_stats(net, 0).datagrams;
    uint8_t byte = 1;

    (void)state;
    for (unsigned i = 0; i < CORE_STEP_RECORDS + 10; i++)
        net_datagram(net, 0, 0, &net->nodes[0].addr, &byte, 1);
    core_step(core, net->now, net_wall(net));
    assert_int_equal(net_stats(net, 0).datagrams - before, CORE_STEP_RECORDS);
    assert_int_equal(core_deadline(core), 0);
    core_step(core, net->now, net_wall(net));
    assert_int_equal(net_stats(net, 0).datagrams - before, CORE_STEP_RECORDS + 10);
    assert_true(core_deadline(core) > net->now);
    net_destroy(net);
}

/* ---- Output ---- */

static void send__what_no_port_reaches_is_counted(void **state)
{
    struct net *net = cluster(1, 4);
    struct proa_addr far = net->nodes[0].addr;
    uint64_t before = net_stats(net, 0).unroutable;

    (void)state;
    far.ip[12] = 11; /* 11.0.0.1 */
    core_send(net->nodes[0].core, 0, PEERS_PORT_ANY, &far, "x", 1);
    assert_int_equal(net_stats(net, 0).unroutable, before + 1);
    net_destroy(net);
}

static void tell__to_a_lane_that_does_not_read_arrives_later_and_in_order(void **state)
{
    struct net *net = cluster(1, 5);
    struct byte_ring *up = net->nodes[0].config.up[1];
    unsigned answered = 0, told = 4000;

    (void)state;
    net->nodes[0].frozen = true;
    /* More answers than the down ring of 1 MiB has room for: 4,000 of 304 bytes. */
    char name[PROA_NAME_MAX];
    memset(name, 'n', sizeof(name));
    for (unsigned i = 0; i < told; i++) {
        struct punt_name head = {.op = PUNT_UNREGISTER, .correlation = 1 + i, .len = 255};
        if (!byte_ring_push(up, PUNT_NAME, &head, sizeof(head), name, sizeof(name))) {
            net_run(net, PROA_MS);
            assert_true(
                byte_ring_push(up, PUNT_NAME, &head, sizeof(head), name, sizeof(name)));
        }
    }
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net_stats(net, 0).down_full, 0);
    net->nodes[0].frozen = false;
    net_run(net, 100 * PROA_MS);
    for (unsigned i = 0; i < net->nodes[0].log_count; i++) {
        const struct net_record *r = &net->nodes[0].log[i];
        if (r->kind == PUNT_NAME_ANSWER)
            assert_int_equal(r->answer.correlation, ++answered);
    }
    assert_int_equal(answered, told);
    net_destroy(net);
}

/* ---- For others ---- */

static void peers__tells_links_and_death(void **state)
{
    struct net *net = cluster(2, 6);
    struct core_peer_info info[4];

    (void)state;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_need_link(net, 0, 1, net_id(net, 1));
    net_run(net, 50 * PROA_MS);
    assert_int_equal(core_peers(net->nodes[0].core, info, 4), 1);
    assert_int_equal(info[0].node, net_id(net, 1));
    assert_int_equal(info[0].links, 2);
    assert_false(info[0].dead);
    assert_memory_equal(&info[0].addr, &net->nodes[1].addr, sizeof(info[0].addr));
    core_leave(net->nodes[1].core, net->now);
    net_run(net, PROA_S);
    assert_int_equal(core_peers(net->nodes[0].core, info, 4), 1);
    assert_true(info[0].dead);
    assert_int_equal(info[0].links, 0);
    net_destroy(net);
}

/* ---- Determinism ---- */

static uint64_t trace;

static bool note_all(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    trace = (trace ^ from ^ net->now) * 0x100000001b3u;
    for (uint32_t i = 0; i < len; i++)
        trace = (trace ^ bytes[i]) * 0x100000001b3u;
    return true;
}

static uint64_t run(uint64_t seed)
{
    struct net *net = net_create(2, seed);

    trace = 0xcbf29ce484222325u;
    net->filter = note_all;
    net->loss = 50000;
    net->reorder = 100000;
    for (unsigned i = 0; i < 4; i++)
        net_add(net, i == 0 ? -1 : 0);
    net_run(net, PROA_S);
    for (unsigned i = 0; i < 4; i++) {
        net_need_link(net, i, i % 2, net_id(net, (i + 1) % 4));
        net_name(net, i, PUNT_REGISTER, "same", i, 1, 0, PROA_S);
    }
    net_run(net, 2 * PROA_S);
    net_destroy(net);
    return trace;
}

static void step__same_seed_and_times_same_packets(void **state)
{
    uint64_t first = run(7);

    (void)state;
    assert_int_equal(run(7), first);
    assert_int_not_equal(run(8), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__any_bytes_are_counted_and_change_nothing),
        cmocka_unit_test(step__sealed_nonsense_of_a_member_is_survived),
        cmocka_unit_test(step__reads_no_more_than_its_share_and_asks_to_be_called_again),
        cmocka_unit_test(send__what_no_port_reaches_is_counted),
        cmocka_unit_test(tell__to_a_lane_that_does_not_read_arrives_later_and_in_order),
        cmocka_unit_test(peers__tells_links_and_death),
        cmocka_unit_test(step__same_seed_and_times_same_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
