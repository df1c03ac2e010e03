/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers and members gone wrong can send: counted, dropped, bounded. */
#include "kad_net.h"

#include "envelope.h"
#include "krpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 99

/* A member that speaks for itself: its key, its endpoint, the last answer it got. */
struct member {
    struct identity identity;
    struct proa_addr addr;
    uint8_t answer[KAD_PACKET_MAX];
    size_t answer_len;
    struct krpc_message message; /* the answer, decoded */
};

static void member_init(struct member *self, uint8_t n)
{
    uint8_t seed[PROA_SEED_LEN] = {0xee, n};

    memset(self, 0, sizeof(*self));
    assert_int_equal(identity_init(&self->identity, seed), 0);
    self->addr.family = 4;
    self->addr.port = 7400;
    self->addr.ip[10] = self->addr.ip[11] = 0xff;
    self->addr.ip[12] = 10;
    self->addr.ip[15] = n;
}

static size_t seal(struct net *net, struct member *self, struct krpc_message *message,
                   uint8_t *buf)
{
    message->id = self->identity.id;
    message->has |= KRPC_HAS_AN | KRPC_HAS_ID;
    size_t len = krpc_encode(message, buf, KAD_PACKET_MAX);
    assert_int_not_equal(len, 0);
    assert_int_equal(envelope_seal(&net->keys, buf, len, net_wall(net, 0), 0, 0), 0);
    return len;
}

/* Hands a datagram of the member to node 0.  True when node 0 answered it. */
static bool deliver(struct net *net, struct member *self, const uint8_t *buf, size_t len)
{
    struct kad *kad = net->nodes[0].kad;
    struct proa_addr to;
    uint8_t out[KAD_PACKET_MAX];
    size_t out_len;
    bool answered = false;

    kad_input(kad, &self->addr, buf, len, net->now, net_wall(net, 0));
    while ((out_len = kad_output(kad, out, &to)) > 0) {
        struct krpc_message message;

        assert_int_equal(krpc_decode(&message, out, out_len), 0);
        if (message.kind == KRPC_QUERY || memcmp(&to, &self->addr, sizeof(to)) != 0)
            continue;
        memcpy(self->answer, out, out_len);
        self->answer_len = out_len;
        answered = true;
    }
    net_settle(net, 0);
    if (answered)
        assert_int_equal(krpc_decode(&self->message, self->answer, self->answer_len), 0);
    return answered;
}

static bool ask(struct net *net, struct member *self, struct krpc_message *message)
{
    uint8_t buf[KAD_PACKET_MAX];

    return deliver(net, self, buf, seal(net, self, message, buf));
}

static void query(struct krpc_message *message, enum krpc_query kind, const char *name)
{
    krpc_message_init(message, KRPC_QUERY, "tid", 3);
    message->query = kind;
    if (name != NULL) {
        kad_id_of_name(name, strlen(name), &message->target);
        message->has |= KRPC_HAS_TARGET;
    }
}

static struct net *lone(void)
{
    struct net *net = net_create(1, SEED);

    net_start(net, 0, 0);
    return net;
}

static struct kad_stats stats_of(struct net *net)
{
    struct kad_stats stats;

    kad_stats(net->nodes[0].kad, &stats);
    return stats;
}

/* The token that node 0 hands the member. */
static struct bencode_span token_for(struct net *net, struct member *self,
                                     uint8_t keep[8])
{
    struct krpc_message message;

    query(&message, KRPC_PING, NULL);
    assert_true(ask(net, self, &message));
    assert_int_equal(self->message.token.len, 8);
    memcpy(keep, self->message.token.at, 8);
    return (struct bencode_span){keep, 8};
}

static size_t sign(struct net *net, struct member *self, const char *name, uint64_t term,
                   int64_t ahead_ms, uint8_t raw[PROA_RECORD_MAX])
{
    struct record fields = {
        .kind = RECORD_NAME, .generation = 1, .term = term, .lease = 3600};
    size_t len;

    fields.issued = ((net_wall(net, 0) + (uint64_t)ahead_ms) << 16) + term;
    fields.claim = fields.issued;
    fields.name_len = (uint8_t)strlen(name);
    memcpy(fields.name, name, fields.name_len);
    fields.endpoint_count = 1;
    fields.endpoints[0] = self->addr;
    assert_int_equal(record_sign(&fields, &self->identity, raw, &len), 0);
    return len;
}

/* Puts a record; true when node 0 answered with ok 1. */
static bool put(struct net *net, struct member *self, const char *name,
                struct bencode_span token, const uint8_t *raw, size_t len)
{
    uint8_t value[PROA_RECORD_MAX + 5];
    struct krpc_message message;

    query(&message, KRPC_PUT, name);
    message.token = token;
    message.v = krpc_value_write(raw, len, value, sizeof(value));
    return ask(net, self, &message) && self->message.kind == KRPC_RESPONSE &&
           self->message.ok;
}

static void wrong_key__gets_no_answer_and_no_place(void **state)
{
    static const uint8_t other[PROA_CLUSTER_SECRET_LEN] = "the secret of another cluster";
    struct net *net = net_create(3, SEED);
    struct cluster_keys keys;

    (void)state;
    cluster_keys_init(&keys, other);
    net_start(net, 0, 0);
    net_start(net, 1, 0);
    net_run_joined(net, 1, 5 * PROA_S);
    uint64_t sent = net->nodes[0].sent;
    net_start_keys(net, 2, 0, &keys);
    net_run(net, 5 * PROA_S);
    struct kad_stats stats = stats_of(net);
    assert_in_range(stats.rx_dropped_mac, 5, 100);
    assert_int_equal(stats.contacts, 1);
    assert_int_equal(net->nodes[2].received, 0);
    assert_false(kad_joined(net->nodes[2].kad));
    assert_in_range(net->nodes[0].sent - sent, 0, 20); /* what it does anyway */
    net_destroy(net);
}

static void old_datagram__is_dropped(void **state)
{
    struct net *net = lone();
    struct member member;
    struct krpc_message message;
    uint8_t buf[KAD_PACKET_MAX];

    (void)state;
    member_init(&member, 1);
    query(&message, KRPC_PING, NULL);
    size_t len = seal(net, &member, &message, buf);
    assert_true(deliver(net, &member, buf, len));
    net_run(net, 31 * PROA_S);
    assert_false(deliver(net, &member, buf, len));
    assert_int_equal(stats_of(net).rx_dropped_old, 1);
    net_destroy(net);
}

static void own_datagram_sent_back__is_dropped(void **state)
{
    struct net *net = lone();
    struct member mirror;
    struct krpc_message message;

    (void)state;
    member_init(&mirror, 1);
    mirror.identity = net->nodes[0].identity;
    query(&message, KRPC_PING, NULL);
    assert_false(ask(net, &mirror, &message));
    assert_int_equal(stats_of(net).rx_unexpected, 1);
    assert_int_equal(stats_of(net).contacts, 0);
    net_destroy(net);
}

static void newcomer__has_no_place_until_it_proves_its_key(void **state)
{
    struct net *net = lone();
    struct member member;
    struct krpc_message message;

    (void)state;
    member_init(&member, 1);
    query(&message, KRPC_FIND_NODE, "x");
    for (int i = 0; i < 50; i++) {
        assert_true(ask(net, &member, &message));
        assert_int_equal(member.message.node_count, 0);
    }
    assert_int_equal(stats_of(net).contacts, 0);
    net_destroy(net);
}

static void newcomers__are_pinged_ten_a_second(void **state)
{
    struct net *net = lone();
    struct member member;
    struct krpc_message message;

    (void)state;
    uint64_t before = stats_of(net).timeouts;
    for (unsigned i = 0; i < 200; i++) {
        member_init(&member, (uint8_t)i);
        query(&message, KRPC_PING, NULL);
        ask(net, &member, &message);
    }
    assert_true(stats_of(net).rx_limited > 0);
    net_run(net, 10 * PROA_S); /* a patient ping fails after a second */
    assert_in_range(stats_of(net).timeouts - before, 10, 110);
    net_destroy(net);
}

static void put__needs_a_token_of_its_endpoint(void **state)
{
    struct net *net = lone();
    struct member one, other;
    uint8_t raw[PROA_RECORD_MAX], mine[8], foreign[8];

    (void)state;
    member_init(&one, 1);
    member_init(&other, 2);
    size_t len = sign(net, &one, "alpha", 1, 0, raw);
    struct bencode_span token = token_for(net, &one, mine);
    assert_false(put(net, &one, "alpha", token_for(net, &other, foreign), raw, len));
    assert_int_equal(one.message.kind, KRPC_ERROR);
    assert_int_equal(one.message.error, KRPC_ERROR_PROTOCOL);
    assert_int_equal(stats_of(net).records, 0);
    assert_true(put(net, &one, "alpha", token, raw, len));
    assert_int_equal(stats_of(net).records, 1);
    net_run(net, 11 * 60 * PROA_S); /* two secrets later */
    len = sign(net, &one, "beta", 1, 0, raw);
    assert_false(put(net, &one, "beta", token, raw, len));
    net_destroy(net);
}

static void put__checks_record_target_time_and_signature(void **state)
{
    struct net *net = lone();
    struct member member;
    uint8_t raw[PROA_RECORD_MAX], keep[8];

    (void)state;
    member_init(&member, 1);
    struct bencode_span token = token_for(net, &member, keep);
    size_t len = sign(net, &member, "alpha", 1, 0, raw);
    assert_false(put(net, &member, "beta", token, raw, len));
    assert_int_equal(member.message.error, KRPC_ERROR_PROTOCOL);
    assert_false(put(net, &member, "alpha", token, raw, len - 1));
    raw[len - 1] ^= 1;
    assert_false(put(net, &member, "alpha", token, raw, len));
    assert_int_equal(member.message.error, KRPC_ERROR_SIGNATURE);
    len = sign(net, &member, "alpha", 1, 61000, raw);
    assert_false(put(net, &member, "alpha", token, raw, len));
    assert_int_equal(member.message.error, KRPC_ERROR_AHEAD);
    len = sign(net, &member, "alpha", 1, -3601000, raw); /* its lease is over */
    assert_false(put(net, &member, "alpha", token, raw, len));
    assert_int_equal(stats_of(net).records, 0);
    net_destroy(net);
}

static void put__replay_after_the_end_is_refused(void **state)
{
    struct net *net = net_create(2, SEED);
    struct member member;
    uint8_t keep[8], raw[PROA_RECORD_MAX];
    struct krpc_message message;

    (void)state;
    net_start(net, 0, 0);
    net_start(net, 1, 0);
    net_run_joined(net, 1, 5 * PROA_S);
    member_init(&member, 1);
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    struct bencode_span token = token_for(net, &member, keep), stored;
    query(&message, KRPC_GET, "alpha");
    assert_true(ask(net, &member, &message));
    assert_true(krpc_value_string(member.message.v, &stored));
    memcpy(raw, stored.at, stored.len);
    size_t len = stored.len;
    assert_true(kad_unregister(net->nodes[1].kad, "alpha", 5, net->now));
    net_settle(net, 1);
    net_run(net, 100 * PROA_MS);
    assert_false(put(net, &member, "alpha", token, raw, len));
    assert_int_equal(net_lookup(net, 0, "alpha", false, PROA_S, NULL), PROA_NOT_FOUND);
    net_destroy(net);
}

static void put__one_owner_fills_only_its_share(void **state)
{
    struct net *net = lone();
    struct member member;
    uint8_t raw[PROA_RECORD_MAX], keep[8];
    unsigned stored = 0;

    (void)state;
    member_init(&member, 1);
    struct bencode_span token = token_for(net, &member, keep);
    for (unsigned n = 0; n < 200; n++) {
        char name[24];

        snprintf(name, sizeof(name), "name %u", n);
        stored +=
            put(net, &member, name, token, raw, sign(net, &member, name, 1, 0, raw));
    }
    assert_int_equal(stored, 64); /* kad_net.c: of 128 */
    assert_int_equal(member.message.error, KRPC_ERROR_FULL);
    net_destroy(net);
}

static void put__takeover_waits_for_our_own_ping(void **state)
{
    struct net *net = net_create(2, SEED);
    struct member thief;
    uint8_t raw[PROA_RECORD_MAX], keep[8];

    (void)state;
    net_start(net, 0, 0);
    net_start(net, 1, 0);
    net_run_joined(net, 1, 5 * PROA_S);
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    member_init(&thief, 9);
    struct bencode_span token = token_for(net, &thief, keep);
    size_t len = sign(net, &thief, "alpha", 1000, 0, raw);
    for (int i = 0; i < 20; i++) {
        assert_false(put(net, &thief, "alpha", token, raw, len));
        net_run(net, 10 * PROA_MS);
    }
    net_kill(net, 1);
    assert_false(put(net, &thief, "alpha", token, raw, len)); /* it asks now */
    net_run(net, 50 * PROA_MS);
    assert_true(put(net, &thief, "alpha", token, raw, len));
    net_destroy(net);
}

static void watch__needs_a_token_and_is_bounded_per_watcher(void **state)
{
    struct net *net = lone();
    struct member member;
    struct krpc_message message;
    uint8_t keep[8];

    (void)state;
    member_init(&member, 1);
    query(&message, KRPC_AN_WATCH, "alpha");
    message.lease = 30;
    message.has |= KRPC_HAS_LEASE;
    assert_true(ask(net, &member, &message));
    assert_int_equal(member.message.kind, KRPC_ERROR);
    struct bencode_span token = token_for(net, &member, keep);
    unsigned given = 0;
    for (unsigned n = 0; n < 100; n++) {
        char name[24];

        snprintf(name, sizeof(name), "name %u", n);
        query(&message, KRPC_AN_WATCH, name);
        message.token = token;
        message.lease = 30;
        message.has |= KRPC_HAS_LEASE;
        given += ask(net, &member, &message) && member.message.ok;
    }
    assert_int_equal(given, 32); /* kad_net.c: watches_max */
    net_destroy(net);
}

static void answers__that_nobody_asked_for_change_nothing(void **state)
{
    struct net *net = lone();
    struct member member;
    struct krpc_message message;

    (void)state;
    member_init(&member, 1);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t tid[9] = {(uint8_t)i};

        krpc_message_init(&message, KRPC_RESPONSE, tid, sizeof(tid));
        message.node_count = message.node6_count = message.value_count = 0;
        assert_false(ask(net, &member, &message));
    }
    assert_int_equal(stats_of(net).rx_unexpected, 100);
    assert_int_equal(stats_of(net).contacts, 0);
    net_destroy(net);
}

/* Real traffic, damaged and sealed again by a member: nothing breaks, and the others' cluster
   goes on. */
static void damaged__datagrams_of_a_member(void **state)
{
    static const enum krpc_query kinds[] = {
        KRPC_PING,      KRPC_FIND_NODE, KRPC_GET,       KRPC_PUT,          KRPC_AN_WATCH,
        KRPC_AN_NOTIFY, KRPC_AN_SWEEP,  KRPC_GET_PEERS, KRPC_ANNOUNCE_PEER};
    struct net *net = net_create(3, SEED);
    unsigned seed = SEED;
    struct member member;
    uint8_t raw[PROA_RECORD_MAX], value[PROA_RECORD_MAX + 5], buf[KAD_PACKET_MAX],
        keep[8];
    uint8_t pairs[PROA_KRPC_PAIR_LEN * 3] = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        net_start(net, i, i == 0 ? 0 : i - 1);
    net_run_joined(net, 2, 5 * PROA_S);
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    member_init(&member, 1);
    struct bencode_span token = token_for(net, &member, keep);
    size_t raw_len = sign(net, &member, "mine", 5, 0, raw);
    for (int i = 0; i < 20000; i++) {
        struct krpc_message message;

        query(&message, kinds[rand_r(&seed) % (sizeof(kinds) / sizeof(kinds[0]))],
              rand_r(&seed) % 2 ? "alpha" : "mine");
        message.token = token;
        message.v = krpc_value_write(raw, raw_len, value, sizeof(value));
        message.pairs = (struct bencode_span){pairs, sizeof(pairs)};
        message.targets = (struct bencode_span){pairs, 40};
        message.nonce = raw;
        message.lease = 30;
        message.port = (uint16_t)i;
        message.has |= KRPC_HAS_LEASE | KRPC_HAS_PORT;
        size_t len = seal(net, &member, &message, buf);
        for (int damage = rand_r(&seed) % 4; damage > 0; damage--)
            buf[(size_t)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
        envelope_seal(&net->keys, buf, len, net_wall(net, 0), 0, 0);
        kad_input(net->nodes[0].kad, &member.addr, buf, len, net->now, net_wall(net, 0));
        net_settle(net, 0);
        if (i % 100 == 0)
            net_run(net, 10 * PROA_MS);
    }
    net_run(net, 10 * PROA_S);
    struct kad_event event;
    assert_int_equal(net_lookup(net, 2, "alpha", false, PROA_S, &event), PROA_OK);
    assert_true(kad_id_equal(&event.record.owner, &net->nodes[1].identity.id));
    assert_int_equal(net_register(net, 0, "beta", 5 * PROA_S), PROA_OK);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_key__gets_no_answer_and_no_place),
        cmocka_unit_test(old_datagram__is_dropped),
        cmocka_unit_test(own_datagram_sent_back__is_dropped),
        cmocka_unit_test(newcomer__has_no_place_until_it_proves_its_key),
        cmocka_unit_test(newcomers__are_pinged_ten_a_second),
        cmocka_unit_test(put__needs_a_token_of_its_endpoint),
        cmocka_unit_test(put__checks_record_target_time_and_signature),
        cmocka_unit_test(put__replay_after_the_end_is_refused),
        cmocka_unit_test(put__one_owner_fills_only_its_share),
        cmocka_unit_test(put__takeover_waits_for_our_own_ping),
        cmocka_unit_test(watch__needs_a_token_and_is_bounded_per_watcher),
        cmocka_unit_test(answers__that_nobody_asked_for_change_nothing),
        cmocka_unit_test(damaged__datagrams_of_a_member),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
