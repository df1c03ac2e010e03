/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core_net.h"
#include "handshake.h"
#include "keyed.h"

#define ANY PROA_LANES_MAX

static void zero_sent(struct net *net)
{
    for (unsigned i = 0; i < net->count; i++)
        memset(net->nodes[i].sent, 0, sizeof(net->nodes[i].sent));
}

/* ---- Opening ---- */

static void need__opens_one_link_that_both_sides_agree_on(void **state)
{
    struct net *net = net_two(1);

    (void)state;
    net_need_link(net, 0, 1, net_id(net, 1));
    assert_true(net_until(net, net_both_linked, 10 * PROA_MS));
    net_run(net, 100 * PROA_MS);

    const struct punt_link_open *a = &net_link(net, 0, 1, net_id(net, 1))->open;
    const struct punt_link_open *b = &net_link(net, 1, ANY, net_id(net, 0))->open;
    assert_int_equal(a->link_id, b->peer_link_id);
    assert_int_equal(b->link_id, a->peer_link_id);
    assert_int_equal(a->seq_tx, b->seq_rx);
    assert_int_equal(a->seq_rx, b->seq_tx);
    assert_int_equal(a->mtu, b->mtu);
    assert_int_equal(a->mtu, (1500 - 20 - 8 - 6) & ~7);
    assert_int_equal(link_id_lane(a->link_id), 1);
    assert_int_equal(link_id_lane(b->link_id), 1); /* where the SYN came in */
    assert_int_equal(a->initiator, 1);
    assert_int_equal(b->initiator, 0);
    assert_int_equal(a->sending, 1);
    assert_int_equal(b->sending, 1);
    assert_memory_equal(&a->peer, &net->nodes[1].addr, sizeof(a->peer));
    assert_memory_equal(&b->peer, &net->nodes[0].addr, sizeof(b->peer));
    /* One of each, and the PONG that answers OPEN. */
    assert_int_equal(net->nodes[0].sent[PACKET_SYN], 1);
    assert_int_equal(net->nodes[1].sent[PACKET_SYNACK], 1);
    assert_int_equal(net->nodes[0].sent[PACKET_OPEN], 1);
    assert_int_equal(net->nodes[1].sent[PACKET_PONG], 1);
    assert_int_equal(net_said_count(net, 0, PUNT_LINK_OPEN, 0), 1);
    assert_int_equal(net_said_count(net, 1, PUNT_LINK_OPEN, 0), 1);
    net_destroy(net);
}

static void need__repeated_by_the_lane_opens_nothing_more(void **state)
{
    struct net *net = net_two(2);

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 20 * PROA_MS);
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 20 * PROA_MS);
    assert_int_equal(net_links(net, 0, net_id(net, 1)), 1);
    assert_int_equal(net->nodes[0].sent[PACKET_SYN], 1);
    net_destroy(net);
}

static void need__of_each_lane_is_a_link_and_the_peer_sends_on_one(void **state)
{
    struct net *net = net_two(3);

    (void)state;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_need_link(net, 0, 1, net_id(net, 1));
    net_run(net, 20 * PROA_MS);
    assert_int_equal(net_links(net, 0, net_id(net, 1)), 2);
    assert_int_equal(net_links(net, 1, net_id(net, 0)), 2);
    assert_int_equal(net_link(net, 1, 0, net_id(net, 0))->open.sending, 1);
    assert_int_equal(net_link(net, 1, 1, net_id(net, 0))->open.sending, 1);
    net_destroy(net);
}

static void need__of_oneself_or_nobody_fails_at_once(void **state)
{
    struct net *net = net_two(5);

    (void)state;
    net_need_link(net, 0, 0, net_id(net, 0));
    net_need_link(net, 0, 0, 0);
    net_run(net, PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_NODE_FAILED, 0), 2);
    assert_int_equal(net_said(net, 0, PUNT_NODE_FAILED, 0)->node.outcome, PROA_NO_ROUTE);
    net_destroy(net);
}

static void need__of_a_node_nobody_knows_fails_within_three_seconds(void **state)
{
    struct net *net = net_two(6);

    (void)state;
    net_need_link(net, 0, 1, 0x1234567812345678u);
    net_run(net, 3100 * PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_NODE_FAILED, 0x1234567812345678u), 1);
    assert_int_equal(net_said(net, 0, PUNT_NODE_FAILED, 0)->lane, 1);
    net_destroy(net);
}

/* ---- Timers ---- */

static proa_ns syn_at[16];
static unsigned syn_len[16], syns;

static bool note_syns_drop_all(struct net *net, unsigned from, uint8_t *bytes,
                               uint32_t len)
{
    (void)from;
    if (bytes[0] == 'd' || packet_kind(bytes) != PACKET_SYN)
        return true;
    assert_true(syns < 16);
    syn_at[syns] = net->now;
    syn_len[syns++] = len;
    return false;
}

static void need__tries_six_times_smaller_from_the_third_then_fails(void **state)
{
    static const unsigned expected_ms[] = {0, 20, 60, 140, 300, 620};
    struct net *net = net_two(7);
    proa_ns start = net->now;

    (void)state;
    syns = 0;
    net->filter = note_syns_drop_all;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 1259 * PROA_MS);
    assert_null(net_said(net, 0, PUNT_NODE_FAILED, 0));
    net_run(net, 3 * PROA_MS);
    assert_int_equal(syns, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal((syn_at[i] - start) / PROA_MS, expected_ms[i]);
        assert_int_equal(syn_len[i], i < 2 ? 1464 : PACKET_MTU_MIN);
    }
    assert_int_equal(net_said(net, 0, PUNT_NODE_FAILED, 0)->node.outcome, PROA_NO_ROUTE);
    assert_int_equal(net->nodes[0].core != NULL, 1);
    net_destroy(net);
}

/* A path that carries no more than the smallest packets. */
static bool drop_large(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    (void)net;
    (void)from;
    return bytes[0] == 'd' || len <= PACKET_MTU_MIN;
}

static void need__falls_back_where_the_path_is_narrow(void **state)
{
    struct net *net = net_two(8);

    (void)state;
    net->filter = drop_large;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 100 * PROA_MS);
    assert_true(net_both_linked(net));
    assert_int_equal(net_link(net, 0, 0, net_id(net, 1))->open.mtu, PACKET_MTU_MIN);
    assert_int_equal(net_link(net, 1, 0, net_id(net, 0))->open.mtu, PACKET_MTU_MIN);
    net_destroy(net);
}

static void syn__offers_no_more_than_the_smaller_port_takes(void **state)
{
    struct net *net = net_two(9);

    (void)state;
    net->nodes[1].port.payload_max = 1300;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 100 * PROA_MS);
    assert_int_equal(net_link(net, 0, 0, net_id(net, 1))->open.mtu, 1296);
    assert_int_equal(net_link(net, 1, 0, net_id(net, 0))->open.mtu, 1296);
    net_destroy(net);
}

static unsigned opens_to_drop;

static bool drop_opens(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    (void)net;
    (void)from;
    (void)len;
    if (bytes[0] == 'd' || packet_kind(bytes) != PACKET_OPEN || opens_to_drop == 0)
        return true;
    opens_to_drop--;
    return false;
}

static void open__is_repeated_until_heard(void **state)
{
    struct net *net = net_two(10);

    (void)state;
    opens_to_drop = 3; /* at 0, 5 and 15 ms; the fourth goes out at 35 ms */
    net->filter = drop_opens;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 34 * PROA_MS);
    assert_int_equal(net_links(net, 1, net_id(net, 0)), 0);
    net_run(net, 2 * PROA_MS);
    assert_int_equal(net_links(net, 1, net_id(net, 0)), 1);
    net_run(net, 2 * PROA_S);
    assert_int_equal(net->nodes[0].sent[PACKET_OPEN], 4);
    net_destroy(net);
}

static bool drop_pongs(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    (void)net;
    (void)from;
    (void)len;
    return bytes[0] == 'd' || packet_kind(bytes) != PACKET_PONG;
}

static void open__whose_answers_are_lost_makes_one_link_only(void **state)
{
    struct net *net = net_two(11);

    (void)state;
    net->filter = drop_pongs;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 900 * PROA_MS);
    assert_int_equal(net->nodes[0].sent[PACKET_OPEN], 8); /* 0, 5, 15, 35 .. 635 ms */
    assert_int_equal(net->nodes[1].sent[PACKET_PONG], 8);
    assert_int_equal(net_said_count(net, 1, PUNT_LINK_OPEN, 0), 1);
    zero_sent(net);
    net_run(net, 2 * PROA_S);
    assert_int_equal(net->nodes[0].sent[PACKET_OPEN], 0); /* given up after 1 s */
    net_destroy(net);
}

/* ---- Stale ids and restarts ---- */

static void syn__for_an_earlier_life_is_refused_at_once(void **state)
{
    struct net *net = net_two(12);
    uint64_t old;

    (void)state;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 20 * PROA_MS);
    old = net_id(net, 1);
    net_stop(net, 1);
    /* Its link is gone here too, so that only the address is remembered. */
    net_link_report(net, 0, net_link(net, 0, 0, old), PUNT_LINK_ENDED, LINK_END_STUCK);
    net_run(net, PROA_MS);
    net_start(net, 1, -1); /* tells nobody that it is there */
    net_need_link(net, 0, 0, old);
    net_run(net, 2 * PROA_MS);
    assert_non_null(net_said(net, 0, PUNT_NODE_FAILED, old));
    assert_non_null(net_said(net, 0, PUNT_NODE_DEAD, old));
    assert_int_equal(net->nodes[0].sent[PACKET_SYN], 2);
    assert_int_equal(net_said_count(net, 0, PUNT_NODE_DEAD, old), 2); /* each lane once */
    /* From now on without a packet. */
    net_need_link(net, 0, 1, old);
    net_run(net, PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_NODE_FAILED, old), 2);
    assert_int_equal(net->nodes[0].sent[PACKET_SYN], 2);
    net_destroy(net);
}

static void open__of_another_life_at_an_address_ends_the_old_one(void **state)
{
    struct net *net = net_two(13);
    uint64_t old;

    (void)state;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 20 * PROA_MS);
    old = net_id(net, 1);
    net_stop(net, 1);
    net_start(net, 1, 0);
    net_run(net, 5 * PROA_MS);
    net_need_link(net, 1, 0, net_id(net, 0));
    net_run(net, 20 * PROA_MS);
    assert_non_null(net_said(net, 0, PUNT_NODE_DEAD, old));
    assert_int_equal(net_links(net, 0, old), 0);
    assert_int_equal(net_links(net, 0, net_id(net, 1)), 1);
    net_destroy(net);
}

/* ---- Hostile bytes ---- */

static bool corrupt_keyed(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    (void)from;
    if (bytes[0] != 'd')
        bytes[1 + net_random(net) % (len - 1)] ^= (uint8_t)(1 + net_random(net) % 255);
    return true;
}

static void input__of_changed_packets_changes_nothing_and_gets_no_answer(void **state)
{
    struct net *net = net_two(14);

    (void)state;
    net->filter = corrupt_keyed;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 1200 * PROA_MS);
    assert_int_equal(net_stats(net, 1).keyed_bad_mac, 6);
    assert_int_equal(net->nodes[1].sent[PACKET_SYNACK], 0);
    assert_int_equal(net->nodes[1].sent[PACKET_RST], 0);
    assert_int_equal(net->nodes[1].link_count, 0);
    net_destroy(net);
}

/* A member that holds the cluster's key, but not the key of the node it claims to be. */
struct member {
    struct identity identity;
    struct cluster_keys keys;
};

static void member_make(struct net *net, struct member *m)
{
    uint8_t seed[PROA_SEED_LEN];

    for (unsigned i = 0; i < sizeof(seed); i++)
        seed[i] = (uint8_t)net_random(net);
    assert_int_equal(identity_init(&m->identity, seed), 0);
    m->keys = net->nodes[0].config.keys;
}

static void syn_from(struct net *net, const struct member *m,
                     const struct proa_addr *from, uint64_t nonce, uint16_t len,
                     uint16_t mtu)
{
    uint8_t buf[PACKET_LEN_MAX];
    struct packet_open syn = {.src_node = kad_id_node64(&m->identity.id),
                              .dst_node = net_id(net, 0),
                              .nonce = nonce,
                              .link = nonce,
                              .mtu = mtu,
                              .lane = 255,
                              .lanes = 1};

    keyed_open_put(&m->identity, &m->keys, buf, len, PACKET_SYN, &syn);
    net_datagram(net, 0, 0, from, buf, len);
}

static void syn__shorter_than_what_it_offers_is_malformed(void **state)
{
    struct net *net = net_two(15);
    struct member m;

    (void)state;
    member_make(net, &m);
    syn_from(net, &m, &net->nodes[1].addr, 77, 1216, 1464);
    syn_from(net, &m, &net->nodes[1].addr, 78, 1218, 1218);
    net_run(net, PROA_MS);
    assert_int_equal(net_stats(net, 0).keyed_malformed, 2);
    assert_int_equal(net->nodes[0].sent[PACKET_SYNACK], 0);
    net_destroy(net);
}

static void syn__beyond_the_bounds_is_refused_and_counted(void **state)
{
    struct net *net = net_two(16);
    struct proa_addr from = net->nodes[1].addr;
    struct member m;

    (void)state;
    member_make(net, &m);
    for (unsigned i = 0; i < 70; i++) /* one address: 64 */
        syn_from(net, &m, &from, 1000 + i, PACKET_MTU_MIN, PACKET_MTU_MIN);
    net_run(net, PROA_MS);
    assert_int_equal(net_stats(net, 0).admission_refused, 6);
    assert_int_equal(net->nodes[0].sent[PACKET_SYNACK], 64);
    for (unsigned i = 0; i < 250; i++) { /* all: 256 */
        from.ip[14] = (uint8_t)(1 + i / 50);
        syn_from(net, &m, &from, 2000 + i, PACKET_MTU_MIN, PACKET_MTU_MIN);
        net_run(net, 2 * PROA_MS); /* slower than the bucket fills */
    }
    net_run(net, PROA_MS);
    assert_int_equal(net_stats(net, 0).admission_refused, 6 + 250 - (256 - 64));
    /* After 3 s they are gone, and no slot is lost. */
    net_run(net, 3 * PROA_S);
    syn_from(net, &m, &from, 5000, PACKET_MTU_MIN, PACKET_MTU_MIN);
    net_run(net, PROA_MS);
    assert_int_equal(net_stats(net, 0).admission_refused, 6 + 250 - (256 - 64));
    net_destroy(net);
}

static struct packet_open synack_seen;
static unsigned synacks_seen;

static bool note_synacks(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    (void)net;
    (void)from;
    if (bytes[0] != 'd' && packet_kind(bytes) == PACKET_SYNACK) {
        assert_int_equal(packet_open_get(bytes, len, &synack_seen), 0);
        synacks_seen++;
    }
    return true;
}

/* Sends SYN and, if a SYNACK came, OPEN, in the name of node `claims`. */
static void member_opens(struct net *net, const struct member *m, uint64_t claims,
                         const struct proa_addr *from, uint64_t nonce)
{
    uint8_t buf[PACKET_LEN_MAX];
    unsigned before = synacks_seen;
    struct packet_open open = {.src_node = claims,
                               .dst_node = net_id(net, 0),
                               .nonce = nonce,
                               .link = nonce,
                               .mtu = PACKET_MTU_MIN,
                               .lane = 255,
                               .lanes = 1};

    keyed_open_put(&m->identity, &m->keys, buf, PACKET_MTU_MIN, PACKET_SYN, &open);
    net_datagram(net, 0, 0, from, buf, PACKET_MTU_MIN);
    net_run(net, PROA_US);
    if (synacks_seen == before)
        return;
    open.echo = synack_seen.nonce;
    open.peer_link = synack_seen.link;
    open.peer_start = synack_seen.start;
    keyed_open_put(&m->identity, &m->keys, buf, PACKET_OPEN_LEN + PACKET_TAG_LEN,
                   PACKET_OPEN, &open);
    net_datagram(net, 0, 0, from, buf, PACKET_OPEN_LEN + PACKET_TAG_LEN);
    net_run(net, PROA_US);
}

static void syn__faster_than_the_bucket_fills_is_refused(void **state)
{
    struct net *net = net_two(17);
    struct member m;

    (void)state;
    member_make(net, &m);
    net->filter = note_synacks;
    /* Each is opened at once, so that no table is full: 256 pass, and one a millisecond. */
    for (unsigned i = 0; i < 300; i++)
        member_opens(net, &m, kad_id_node64(&m.identity.id), &net->nodes[1].addr, 1 + i);
    assert_in_range(net_stats(net, 0).admission_refused, 42, 44);
    assert_in_range(net_links(net, 0, kad_id_node64(&m.identity.id)), 256, 258);
    net_run(net, 100 * PROA_MS);
    for (unsigned i = 0; i < 50; i++)
        member_opens(net, &m, kad_id_node64(&m.identity.id), &net->nodes[1].addr,
                     1000 + i);
    assert_in_range(net_stats(net, 0).admission_refused, 42, 44);
    net_destroy(net);
}

static void open__signed_by_another_key_is_not_believed(void **state)
{
    struct net *net = net_two(18);
    struct member m;
    uint64_t before;

    (void)state;
    member_make(net, &m);
    net->filter = note_synacks;
    before = net_stats(net, 0).keyed_unexpected;
    member_opens(net, &m, net_id(net, 1), &net->nodes[1].addr, 99);
    assert_int_equal(net_stats(net, 0).open_rx, 1);
    assert_int_equal(net_stats(net, 0).keyed_unexpected, before + 1);
    assert_int_equal(net->nodes[0].link_count, 0);
    /* Under its own name it may: it is a member. */
    member_opens(net, &m, kad_id_node64(&m.identity.id), &net->nodes[1].addr, 100);
    assert_int_equal(net->nodes[0].link_count, 1);
    net_destroy(net);
}

/* ---- All of it on a bad network ---- */

static bool all_lanes_linked(struct net *net)
{
    for (unsigned a = 0; a < net->count; a++) {
        for (unsigned b = 0; b < net->count; b++) {
            if (a != b && (net_link(net, a, 0, net_id(net, b)) == NULL ||
                           net_link(net, a, 1, net_id(net, b)) == NULL))
                return false;
        }
    }
    return true;
}

static void need__succeeds_through_loss_duplication_and_reorder(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++) {
        struct net *net = net_two(seed);

        net->loss = 150000;
        net->duplicate = 100000;
        net->reorder = 200000;
        for (unsigned round = 0; round < 10 && !all_lanes_linked(net); round++) {
            for (unsigned a = 0; a < 2; a++) {
                for (unsigned lane = 0; lane < 2; lane++)
                    net_need_link(net, a, lane, net_id(net, 1 - a));
            }
            net_until(net, all_lanes_linked, 2 * PROA_S);
        }
        assert_true(all_lanes_linked(net));
        /* Whatever one side has as a link, if the other has it too, it has the same. */
        for (unsigned i = 0; i < net->nodes[0].link_count; i++) {
            const struct punt_link_open *a = &net->nodes[0].links[i].open;
            for (unsigned j = 0; j < net->nodes[1].link_count; j++) {
                const struct punt_link_open *b = &net->nodes[1].links[j].open;
                if (a->link_id != b->peer_link_id)
                    continue;
                assert_int_equal(a->peer_link_id, b->link_id);
                assert_int_equal(a->seq_tx, b->seq_rx);
                assert_int_equal(a->seq_rx, b->seq_tx);
                assert_int_equal(a->mtu, b->mtu);
            }
        }
        net_destroy(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(need__opens_one_link_that_both_sides_agree_on),
        cmocka_unit_test(need__repeated_by_the_lane_opens_nothing_more),
        cmocka_unit_test(need__of_each_lane_is_a_link_and_the_peer_sends_on_one),
        cmocka_unit_test(need__of_oneself_or_nobody_fails_at_once),
        cmocka_unit_test(need__of_a_node_nobody_knows_fails_within_three_seconds),
        cmocka_unit_test(need__tries_six_times_smaller_from_the_third_then_fails),
        cmocka_unit_test(need__falls_back_where_the_path_is_narrow),
        cmocka_unit_test(syn__offers_no_more_than_the_smaller_port_takes),
        cmocka_unit_test(open__is_repeated_until_heard),
        cmocka_unit_test(open__whose_answers_are_lost_makes_one_link_only),
        cmocka_unit_test(syn__for_an_earlier_life_is_refused_at_once),
        cmocka_unit_test(open__of_another_life_at_an_address_ends_the_old_one),
        cmocka_unit_test(input__of_changed_packets_changes_nothing_and_gets_no_answer),
        cmocka_unit_test(syn__shorter_than_what_it_offers_is_malformed),
        cmocka_unit_test(syn__beyond_the_bounds_is_refused_and_counted),
        cmocka_unit_test(syn__faster_than_the_bucket_fills_is_refused),
        cmocka_unit_test(open__signed_by_another_key_is_not_believed),
        cmocka_unit_test(need__succeeds_through_loss_duplication_and_reorder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
