/* SPDX-License-Identifier: Apache-2.0 */
/* Announced groups, and members that say what is false or too much. */
#include "kad_groups.h"

#include "envelope.h"
#include "kad_table.h"
#include "krpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 1

/* Somebody with the cluster's key at an endpoint of his own. */
struct member {
    struct identity identity;
    struct proa_addr addr;
    unsigned asks; /* the node it talks to */
    uint8_t answer[KAD_PACKET_MAX];
    struct krpc_message message; /* the last answer, decoded */
};

static struct member member_at(unsigned n, uint8_t family)
{
    uint8_t seed[PROA_SEED_LEN] = {0xee};
    struct member self = {.addr = {.family = family, .port = 7400}};

    assert_int_equal(identity_init(&self.identity, seed), 0);
    if (family == 4) {
        self.addr.ip[10] = self.addr.ip[11] = 0xff;
        self.addr.ip[12] = 10;
    } else {
        self.addr.ip[0] = 0xfd;
    }
    self.addr.ip[14] = (uint8_t)(n >> 8);
    self.addr.ip[15] = (uint8_t)n;
    return self;
}

static size_t seal(struct net *net, const struct identity *as,
                   struct krpc_message *message, uint8_t *buf)
{
    message->id = as->id;
    message->has |= KRPC_HAS_AN | KRPC_HAS_ID;
    size_t len = krpc_encode(message, buf, KAD_PACKET_MAX);
    assert_int_not_equal(len, 0);
    assert_int_equal(envelope_seal(&net->keys, buf, len, net_wall(net, 0), 0, 0), 0);
    return len;
}

/* Asks its node, whose answer is in self->message. */
static void ask(struct net *net, struct member *self, struct krpc_message *message)
{
    struct kad *kad = net->nodes[self->asks].kad;
    uint8_t buf[KAD_PACKET_MAX];
    struct proa_addr to;
    size_t len = seal(net, &self->identity, message, buf);
    bool answered = false;

    assert_true(kad_input(kad, &self->addr, buf, len, net->now, net_wall(net, 0)));
    while ((len = kad_output(kad, buf, &to)) > 0) {
        if (memcmp(&to, &self->addr, sizeof(to)) != 0)
            continue;
        memcpy(self->answer, buf, len);
        assert_int_equal(krpc_decode(&self->message, self->answer, len), 0);
        answered = answered || self->message.kind != KRPC_QUERY;
        if (answered)
            break;
    }
    assert_true(answered);
    net_settle(net, self->asks);
}

static void query(struct krpc_message *message, enum krpc_query kind, const char *name)
{
    krpc_message_init(message, KRPC_QUERY, "tid", 3);
    message->query = kind;
    message->target = group(name);
    message->has |= KRPC_HAS_TARGET;
}

/* Announces to its node; false when that was refused.  port 0: implied. */
static bool tell(struct net *net, struct member *self, const char *name, uint16_t port,
                 const struct member *token_of)
{
    struct krpc_message message;
    struct member other = *token_of;
    uint8_t token[8];

    query(&message, KRPC_FIND_NODE, name);
    ask(net, &other, &message);
    assert_int_equal(other.message.token.len, sizeof(token));
    memcpy(token, other.message.token.at, sizeof(token));
    query(&message, KRPC_ANNOUNCE_PEER, name);
    message.token = (struct bencode_span){token, sizeof(token)};
    message.implied_port = port == 0;
    message.port = port;
    message.has |= port != 0 ? KRPC_HAS_PORT : 0;
    ask(net, self, &message);
    return self->message.kind == KRPC_RESPONSE;
}

static void asks_for(struct net *net, struct member *self, const char *name)
{
    struct krpc_message message;

    query(&message, KRPC_GET_PEERS, name);
    ask(net, self, &message);
    assert_int_equal(self->message.kind, KRPC_RESPONSE);
    assert_int_equal(self->message.token.len, 8);
}

static void told__by_its_own_or_the_implied_port(void **state)
{
    struct net *net = cluster(1, SEED);
    struct member one = member_at(1, 4), six = member_at(2, 6);

    (void)state;
    asks_for(net, &one, "workers");
    assert_int_equal(one.message.value_count, 0);
    assert_true(tell(net, &one, "workers", 0, &one));
    assert_true(tell(net, &six, "workers", 99, &six));
    asks_for(net, &one, "workers");
    assert_int_equal(one.message.value_count, 2);
    six.addr.port = 99;
    bool six_first = one.message.values[0].family == 6;
    assert_memory_equal(&one.message.values[!six_first], &six.addr, sizeof(six.addr));
    assert_memory_equal(&one.message.values[six_first], &one.addr, sizeof(one.addr));
    assert_int_equal(stats_of(net, 0).announces, 2);
    net_destroy(net);
}

static void token__of_another_endpoint_is_refused(void **state)
{
    struct net *net = cluster(1, SEED);
    struct member one = member_at(1, 4), other = member_at(2, 4);

    (void)state;
    assert_false(tell(net, &one, "workers", 0, &other));
    assert_int_equal(one.message.error, KRPC_ERROR_PROTOCOL);
    assert_int_equal(stats_of(net, 0).refused, 1);
    assert_int_equal(stats_of(net, 0).peers, 0);
    net_destroy(net);
}

/* Nobody is refused: what is over a bound takes the place of another. */
static void bounds__are_kept_and_counted(void **state)
{
    struct net *net = cluster(1, SEED);
    struct member one = member_at(1, 4);
    char name[24];

    (void)state;
    for (uint16_t port = 1; port <= 70; port++)
        assert_true(tell(net, &one, "workers", port, &one));
    assert_int_equal(stats_of(net, 0).peers, 64); /* of one group at one address */
    assert_int_equal(stats_of(net, 0).peers_replaced, 6);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "group %u", i);
        assert_true(tell(net, &one, name, 0, &one));
    }
    /* A quarter of kad_net.c's peers_max, of one address. */
    assert_int_equal(stats_of(net, 0).peers, 128);
    for (unsigned i = 2; i < 300; i++) {
        struct member each = member_at(i, 4);

        assert_true(tell(net, &each, "workers", 0, &each));
        assert_true(tell(net, &each, "others", 0, &each));
    }
    assert_int_equal(stats_of(net, 0).peers, 512); /* in all */
    assert_int_equal(stats_of(net, 0).peers_replaced, 6 + 36 + 128 + 2 * 298 - 512);
    net_run(net, 31 * MINUTE);
    assert_int_equal(stats_of(net, 0).peers, 0);
    assert_true(tell(net, &one, "workers", 5, &one));
    assert_int_equal(stats_of(net, 0).peers, 1);
    net_destroy(net);
}

/* Of more than an answer holds, each answer is another part, and as large as it may be. */
static void answers__are_parts_that_fit(void **state)
{
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct net *net = cluster(1, SEED);
        struct member one = member_at(1, 4);
        bool seen[200] = {false};
        unsigned different = 0;

        (void)state;
        for (unsigned i = 0; i < 200; i++) {
            struct member each = member_at(i, family);

            assert_true(tell(net, &each, "workers", 0, &each));
        }
        for (unsigned round = 0; round < 100; round++) {
            asks_for(net, &one, "workers");
            assert_int_equal(one.message.value_count, family == 4 ? 64 : 34);
            for (uint32_t v = 0; v < one.message.value_count; v++)
                seen[one.message.values[v].ip[15]] = true;
        }
        for (unsigned i = 0; i < 200; i++)
            different += seen[i];
        assert_int_equal(different, 200);
        net_destroy(net);
    }
}

static void assert_all_different(struct net *net, unsigned i, uint32_t count)
{
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = 0; b < a; b++)
            assert_memory_not_equal(&net->nodes[i].peers[a], &net->nodes[i].peers[b],
                                    sizeof(struct proa_addr));
}

static void get_peers__one_node_gives_8_at_the_most(void **state)
{
    struct net *net = cluster(2, SEED);
    uint32_t count;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct member each = member_at(i, 4);

        assert_true(tell(net, &each, "workers", 0, &each));
    }
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(count, 8);
    assert_all_different(net, 1, count);
    /* Nor does the asker itself. */
    assert_int_equal(get_peers(net, 0, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(count, 8);
    assert_all_different(net, 0, count);
    net_destroy(net);
}

static void get_peers__of_100_finds_64(void **state)
{
    struct net *net = cluster(10, SEED);
    uint32_t count;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct member each = member_at(i, 4);

        for (each.asks = 0; each.asks < 10; each.asks++)
            assert_true(tell(net, &each, "workers", 0, &each));
    }
    assert_int_equal(get_peers(net, 9, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(count, KAD_PEERS_MAX);
    assert_all_different(net, 9, count);
    net_destroy(net);
}

/* Somebody whom node 0 asks. */
struct teller {
    struct identity identity;
    struct proa_addr addr;
};

/* Takes the next get_peers that node 0 sends and begins an answer to it: whom it went to; NULL when
   there is none. */
static const struct teller *next_asked(struct net *net, const struct teller *tellers,
                                       unsigned count, struct krpc_message *ret,
                                       uint8_t *proof)
{
    uint8_t buf[KAD_PACKET_MAX];
    struct krpc_message asked;
    struct proa_addr to;
    size_t len;

    while ((len = kad_output(net->nodes[0].kad, buf, &to)) > 0) {
        assert_int_equal(krpc_decode(&asked, buf, len), 0);
        if (asked.kind != KRPC_QUERY || asked.query != KRPC_GET_PEERS)
            continue;
        for (unsigned i = 0; i < count; i++) {
            if (!kad_addr_equal(&tellers[i].addr, &to))
                continue;
            krpc_message_init(ret, KRPC_RESPONSE, asked.t, asked.t_len);
            ret->node_count = ret->node6_count = ret->value_count = 0;
            if (asked.nonce != NULL) {
                identity_prove(&tellers[i].identity, asked.nonce, &asked.id, proof);
                ret->k = tellers[i].identity.public_key;
                ret->proof = proof;
            }
            return &tellers[i];
        }
        fail_msg("an unknown node was asked");
    }
    return NULL;
}

static void answer_as(struct net *net, const struct teller *teller,
                      struct krpc_message *message)
{
    uint8_t buf[KAD_PACKET_MAX];
    size_t len = seal(net, &teller->identity, message, buf);

    assert_true(kad_input(net->nodes[0].kad, &teller->addr, buf, len, net->now,
                          net_wall(net, 0)));
}

/* One that answers first with as many inventions as fit neither ends the walk nor hides anybody. */
static void get_peers__one_liar_hides_nobody(void **state)
{
    struct net *net = cluster(20, SEED);
    struct kad_id infohash = group("workers");
    uint8_t proof[PROA_SIGNATURE_LEN];
    struct krpc_message answer;
    struct teller tellers[20];

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        tellers[i] = (struct teller){net->nodes[i].identity, net->nodes[i].addr};
    for (unsigned i = 2; i < 8; i++)
        assert_int_equal(announce(net, i, "workers", PROA_S), PROA_OK);
    uint32_t op =
        kad_get_peers(net->nodes[0].kad, &infohash, net->now + PROA_S, net->now);
    const struct teller *liar = next_asked(net, tellers, 20, &answer, proof);
    assert_non_null(liar);
    answer.value_count = 64;
    for (unsigned v = 0; v < 64; v++)
        answer.values[v] = member_at(v, 4).addr;
    answer_as(net, liar, &answer);
    const struct kad_event *event = net_wait(net, 0, op, 2 * PROA_S);
    assert_non_null(event);
    assert_int_equal(event->outcome, PROA_OK);
    assert_int_equal(event->peer_count, 6 + 8);
    for (unsigned i = 2; i < 8; i++) /* more have told of them: they come first */
        assert_true(found(net, 0, 6, &net->nodes[i].addr));
    net_destroy(net);
}

/* *ret are 8 that are closer to the infohash than any node, at addresses of their own. */
static void make_near(const struct net *net, const struct kad_id *infohash,
                      struct teller *ret)
{
    uint8_t seed[PROA_SEED_LEN] = {0xab};
    unsigned count = 0;

    for (unsigned tries = 0; count < 8; tries++) {
        struct teller *each = &ret[count];
        bool near = true;

        memcpy(seed + 1, &tries, sizeof(tries));
        assert_int_equal(identity_init(&each->identity, seed), 0);
        for (unsigned i = 0; i < net->count; i++)
            near = near && kad_id_closer(infohash, &each->identity.id,
                                         &net->nodes[i].identity.id) < 0;
        each->addr = member_at(5000 + count, 4).addr;
        count += near;
    }
}

/* Those asked on the way fill the answer; those closest to the target, which announcements go to, still
   find room, and what they also tell of stays. */
static void get_peers__the_closest_drive_out_others(void **state)
{
    struct net *net = cluster(20, SEED);
    struct kad_id infohash = group("workers");
    struct proa_addr shared = member_at(4999, 4).addr;
    uint8_t proof[PROA_SIGNATURE_LEN];
    const struct teller *teller;
    struct krpc_message answer;
    struct teller tellers[28];
    unsigned told = 0, near = 0;
    struct proa_addr near_told[56];

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        tellers[i] = (struct teller){net->nodes[i].identity, net->nodes[i].addr};
    make_near(net, &infohash, tellers + 20);
    uint32_t op =
        kad_get_peers(net->nodes[0].kad, &infohash, net->now + PROA_S, net->now);
    while ((teller = next_asked(net, tellers, 28, &answer, proof)) != NULL) {
        bool is_near = teller >= tellers + 20;

        answer.values[answer.value_count++] = shared;
        while (answer.value_count < 8) {
            struct proa_addr addr = member_at(told++, 4).addr;

            answer.values[answer.value_count++] = addr;
            if (is_near)
                near_told[near++] = addr;
        }
        answer.node_count = is_near ? 0 : 8;
        answer.has |= KRPC_HAS_NODES;
        for (unsigned n = 0; n < answer.node_count; n++)
            answer.nodes[n] = (struct krpc_node){.id = tellers[20 + n].identity.id,
                                                 .addr = tellers[20 + n].addr};
        answer_as(net, teller, &answer);
    }
    const struct kad_event *event = net_wait(net, 0, op, 2 * PROA_S);
    assert_non_null(event);
    assert_int_equal(near, 56);
    assert_true(told > near + 7); /* more than fit */
    assert_int_equal(event->peer_count, KAD_PEERS_MAX);
    assert_memory_equal(&net->nodes[0].peers[0], &shared, sizeof(shared));
    for (unsigned i = 0; i < near; i++)
        assert_true(found(net, 0, event->peer_count, &near_told[i]));
    net_destroy(net);
}

/* Node 1 is a contact of node 0 and answers with these values. */
static enum proa_outcome answered_with(const struct proa_addr *values, uint32_t count,
                                       struct kad_event *ret, uint64_t *ret_senseless)
{
    struct net *net = cluster(2, SEED);
    struct kad *kad = net->nodes[0].kad;
    struct kad_id infohash = group("workers");
    struct krpc_message asked, answer;
    uint8_t buf[KAD_PACKET_MAX], tid[PROA_KRPC_TID_MAX];
    static struct proa_addr peers[KAD_PEERS_MAX];
    struct proa_addr to;
    size_t len;

    uint32_t op = kad_get_peers(kad, &infohash, net->now + PROA_S, net->now);
    len = kad_output(kad, buf, &to);
    assert_int_equal(krpc_decode(&asked, buf, len), 0);
    assert_int_equal(asked.query, KRPC_GET_PEERS);
    memcpy(tid, asked.t, asked.t_len);
    krpc_message_init(&answer, KRPC_RESPONSE, tid, asked.t_len);
    answer.node_count = answer.node6_count = 0;
    answer.value_count = count;
    memcpy(answer.values, values, count * sizeof(*values));
    len = seal(net, &net->nodes[1].identity, &answer, buf);
    assert_true(net_inject(net, 0, &net->nodes[1].addr, buf, len));
    const struct kad_event *event = net_wait(net, 0, op, 2 * PROA_S);
    assert_non_null(event);
    *ret = *event;
    memcpy(peers, net->nodes[0].peers, sizeof(peers));
    ret->peers = peers;
    *ret_senseless = stats_of(net, 0).peers_senseless;
    enum proa_outcome outcome = event->outcome;
    net_destroy(net);
    return outcome;
}

static void answer__of_senseless_endpoints_is_counted_and_left_out(void **state)
{
    struct proa_addr own = {.family = 4, .port = 7400}, values[8];
    struct proa_addr good = member_at(1, 4).addr, good6 = member_at(1, 6).addr;
    struct kad_event event;
    uint64_t senseless;

    (void)state;
    own.ip[10] = own.ip[11] = 0xff; /* node 0's, see kad_net.c */
    own.ip[12] = 169;
    own.ip[13] = 254;
    own.ip[15] = 1;
    values[0] = good;
    values[0].port = 0;
    values[1] = good;
    values[1].ip[12] = 0;
    values[2] = good;
    values[2].ip[12] = 239;
    values[3] = good6;
    values[3].ip[0] = 0xff;
    values[4] = good6;
    memset(values[4].ip, 0, sizeof(values[4].ip));
    values[5] = own;
    assert_int_equal(answered_with(values, 6, &event, &senseless), PROA_NOT_FOUND);
    assert_int_equal(event.peer_count, 0);
    assert_int_equal(senseless, 5);
    values[6] = good;
    values[7] = good6;
    assert_int_equal(answered_with(values, 8, &event, &senseless), PROA_OK);
    assert_int_equal(event.peer_count, 2);
    assert_memory_equal(&event.peers[0], &good, sizeof(good));
    assert_memory_equal(&event.peers[1], &good6, sizeof(good6));
    values[5] = good; /* the same one again and again */
    values[7] = good;
    assert_int_equal(answered_with(values + 5, 3, &event, &senseless), PROA_OK);
    assert_int_equal(event.peer_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told__by_its_own_or_the_implied_port),
        cmocka_unit_test(token__of_another_endpoint_is_refused),
        cmocka_unit_test(bounds__are_kept_and_counted),
        cmocka_unit_test(answers__are_parts_that_fit),
        cmocka_unit_test(get_peers__one_node_gives_8_at_the_most),
        cmocka_unit_test(get_peers__of_100_finds_64),
        cmocka_unit_test(get_peers__one_liar_hides_nobody),
        cmocka_unit_test(get_peers__the_closest_drive_out_others),
        cmocka_unit_test(answer__of_senseless_endpoints_is_counted_and_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
