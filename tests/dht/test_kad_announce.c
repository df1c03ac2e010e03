/* SPDX-License-Identifier: Apache-2.0 */
/* Announcing groups and finding who has members of them. */
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

#define SEEDS 2 /* rounds of the test with random faults; PROA_SIM_SEEDS sets another */
#define MINUTE (60 * PROA_S)

static uint64_t first_seed = 1;
static unsigned seeds = SEEDS;

static struct net *cluster(unsigned count, uint64_t seed)
{
    struct net *net = net_create(count, seed);

    for (unsigned i = 0; i < count; i++) {
        net_start(net, i, i == 0 ? 0 : (unsigned)(net_random(net) % i));
        net_run(net, net_random(net) % (20 * PROA_MS));
    }
    net_run_joined(net, count > 8 ? 8 : count - 1, 60 * PROA_S);
    return net;
}

static struct kad_id group(const char *name)
{
    struct kad_id infohash;

    kad_id_of_group(name, strlen(name), &infohash);
    return infohash;
}

static enum proa_outcome announce(struct net *net, unsigned i, const char *name,
                                  proa_ns span)
{
    struct kad_id infohash = group(name);
    uint32_t op = kad_announce(net->nodes[i].kad, &infohash, net->now + span, net->now);

    assert_int_not_equal(op, 0);
    const struct kad_event *event = net_wait(net, i, op, span + PROA_S);
    assert_non_null(event);
    assert_int_equal(event->kind, KAD_ANNOUNCED);
    return event->outcome;
}

/* *ret_count of node i's `peers` are then the answer. */
static enum proa_outcome get_peers(struct net *net, unsigned i, const char *name,
                                   proa_ns span, uint32_t *ret_count)
{
    struct kad_id infohash = group(name);
    uint32_t op = kad_get_peers(net->nodes[i].kad, &infohash, net->now + span, net->now);

    assert_int_not_equal(op, 0);
    const struct kad_event *event = net_wait(net, i, op, span + PROA_S);
    assert_non_null(event);
    assert_int_equal(event->kind, KAD_PEERS);
    *ret_count = event->peer_count;
    return event->outcome;
}

static bool found(struct net *net, unsigned i, uint32_t count,
                  const struct proa_addr *addr)
{
    for (uint32_t p = 0; p < count; p++)
        if (memcmp(&net->nodes[i].peers[p], addr, sizeof(*addr)) == 0)
            return true;
    return false;
}

static struct kad_stats stats_of(struct net *net, unsigned i)
{
    struct kad_stats stats;

    kad_stats(net->nodes[i].kad, &stats);
    return stats;
}

/* ---- Among nodes ---- */

static void announce__alone_is_kept_here(void **state)
{
    struct net *net = cluster(1, first_seed);
    uint32_t count;

    (void)state;
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    assert_int_equal(stats_of(net, 0).peers, 1);
    /* Nobody else has members. */
    assert_int_equal(get_peers(net, 0, "workers", PROA_S, &count), PROA_NOT_FOUND);
    assert_int_equal(count, 0);
    net_destroy(net);
}

static void get_peers__of_two_finds_the_other(void **state)
{
    struct net *net = cluster(2, first_seed);
    uint32_t count;

    (void)state;
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_NOT_FOUND);
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(count, 1);
    assert_true(found(net, 1, count, &net->nodes[0].addr));
    assert_int_equal(get_peers(net, 0, "workers", PROA_S, &count), PROA_NOT_FOUND);
    assert_int_equal(get_peers(net, 1, "others", PROA_S, &count), PROA_NOT_FOUND);
    net_destroy(net);
}

static void get_peers__of_40_finds_all_10(void **state)
{
    struct net *net = cluster(40, first_seed);
    uint32_t count;

    (void)state;
    for (unsigned i = 0; i < 40; i += 4)
        assert_int_equal(announce(net, i, "workers", PROA_S), PROA_OK);
    for (unsigned i = 0; i < 40; i++) {
        proa_ns began = net->now;

        assert_int_equal(get_peers(net, i, "workers", PROA_S, &count), PROA_OK);
        assert_in_range(net->now - began, 0, 5 * PROA_MS);
        assert_int_equal(count, i % 4 == 0 ? 9 : 10);
        for (unsigned other = 0; other < 40; other += 4)
            assert_int_equal(found(net, i, count, &net->nodes[other].addr), other != i);
    }
    uint64_t kept = 0;
    for (unsigned i = 0; i < 40; i++)
        kept += stats_of(net, i).peers;
    assert_int_equal(kept, 10 * 8);
    net_destroy(net);
}

static void faults__what_was_announced_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        struct net *net = cluster(40, seed);
        uint32_t count;

        net->faults = (struct net_faults){.loss = 100,
                                          .dup = 50,
                                          .reorder = 100,
                                          .delay = 200 * PROA_US,
                                          .jitter = 300 * PROA_US};
        for (unsigned i = 0; i < 40; i += 4)
            assert_int_equal(announce(net, i, "workers", 5 * PROA_S), PROA_OK);
        for (unsigned killed = 0; killed < 6; killed++)
            net_kill(net, 4 * (unsigned)(net_random(net) % 10) + 1 + killed % 3);
        for (unsigned i = 0; i < 40; i++) {
            if (net->nodes[i].kad == NULL)
                continue;
            if (get_peers(net, i, "workers", 5 * PROA_S, &count) != PROA_OK)
                fail_msg("seed %llu: node %u", (unsigned long long)seed, i);
            for (unsigned other = 0; other < 40; other += 4)
                if (other != i && !found(net, i, count, &net->nodes[other].addr))
                    fail_msg("seed %llu: node %u lacks %u", (unsigned long long)seed, i,
                             other);
        }
        net_destroy(net);
    }
}

/* All nodes but the announcer and the asker are replaced by new ones, one after the other, while the
   announcer announces every 15 minutes: at each moment it is found. */
static void churn__is_outlived_by_announcing_again(void **state)
{
    struct net *net = cluster(16, first_seed);
    uint32_t count;

    (void)state;
    assert_int_equal(announce(net, 0, "workers", 5 * PROA_S), PROA_OK);
    for (unsigned i = 2; i < 16; i++) {
        net_kill(net, i);
        net_run(net, MINUTE);
        net_start(net, i, 1);
        net_run(net, 2 * MINUTE);
        if (i % 5 == 0)
            assert_int_equal(announce(net, 0, "workers", 5 * PROA_S), PROA_OK);
        assert_int_equal(get_peers(net, 1, "workers", 5 * PROA_S, &count), PROA_OK);
        assert_true(found(net, 1, count, &net->nodes[0].addr));
    }
    net_destroy(net);
}

static void kept__for_half_an_hour(void **state)
{
    struct net *net = cluster(4, first_seed);
    uint32_t count;

    (void)state;
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    net_run(net, 15 * MINUTE);
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    net_run(net, 29 * MINUTE);
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(stats_of(net, 1).peers, 1);
    net_run(net, 2 * MINUTE);
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_NOT_FOUND);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(stats_of(net, i).peers, 0);
    net_destroy(net);
}

static void operations__that_nobody_answers(void **state)
{
    struct net *net = cluster(4, first_seed);
    struct kad_id infohash = group("workers");
    uint32_t count;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        net->nodes[i].deaf = true;
    assert_int_equal(announce(net, 3, "workers", PROA_S), PROA_NO_QUORUM);
    assert_int_equal(get_peers(net, 3, "workers", PROA_S, &count), PROA_UNKNOWN);
    net_kill(net, 3);
    net_start(net, 3, 1);
    assert_int_equal(announce(net, 3, "workers", PROA_S), PROA_NOT_JOINED);
    assert_int_equal(get_peers(net, 3, "workers", PROA_S, &count), PROA_NOT_JOINED);
    uint32_t op =
        kad_announce(net->nodes[3].kad, &infohash, net->now + 20 * PROA_S, net->now);
    for (unsigned i = 0; i < 3; i++)
        net->nodes[i].deaf = false; /* what waits goes on */
    assert_int_equal(net_wait(net, 3, op, 21 * PROA_S)->outcome, PROA_OK);
    kad_leave(net->nodes[3].kad, net->now);
    assert_int_equal(
        kad_announce(net->nodes[3].kad, &infohash, net->now + PROA_S, net->now), 0);
    net_destroy(net);
}

static void operations__over_ops_max_are_refused(void **state)
{
    struct net *net = cluster(2, first_seed);
    struct kad_id infohash = group("workers");
    unsigned begun = 0;

    (void)state;
    while (kad_get_peers(net->nodes[0].kad, &infohash, net->now + PROA_S, net->now) != 0)
        begun++;
    assert_int_equal(begun, 32); /* kad_net.c: ops_max */
    assert_int_equal(
        kad_announce(net->nodes[0].kad, &infohash, net->now + PROA_S, net->now), 0);
    net_settle(net, 0);
    net_run(net, PROA_S);
    assert_int_equal(net->nodes[0].result_count, 32);
    net_destroy(net);
}

/* ---- Members gone wrong ---- */

/* Somebody with the cluster's key at an endpoint of his own. */
struct member {
    struct identity identity;
    struct proa_addr addr;
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

/* Asks node 0; its answer is in self->message. */
static void ask(struct net *net, struct member *self, struct krpc_message *message)
{
    struct kad *kad = net->nodes[0].kad;
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
    net_settle(net, 0);
}

static void query(struct krpc_message *message, enum krpc_query kind, const char *name)
{
    krpc_message_init(message, KRPC_QUERY, "tid", 3);
    message->query = kind;
    message->target = group(name);
    message->has |= KRPC_HAS_TARGET;
}

/* Announces to node 0; false when that was refused.  port 0: implied. */
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
    struct net *net = cluster(1, first_seed);
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
    struct net *net = cluster(1, first_seed);
    struct member one = member_at(1, 4), other = member_at(2, 4);

    (void)state;
    assert_false(tell(net, &one, "workers", 0, &other));
    assert_int_equal(one.message.error, KRPC_ERROR_PROTOCOL);
    assert_int_equal(stats_of(net, 0).refused, 1);
    assert_int_equal(stats_of(net, 0).peers, 0);
    net_destroy(net);
}

static void bounds__are_kept_and_counted(void **state)
{
    struct net *net = cluster(1, first_seed);
    struct member one = member_at(1, 4);
    unsigned kept = 0;
    char name[24];

    (void)state;
    for (uint16_t port = 1; port <= 70; port++)
        kept += tell(net, &one, "workers", port, &one);
    assert_int_equal(kept, 64); /* of one group at one address */
    assert_int_equal(one.message.error, KRPC_ERROR_FULL);
    assert_int_equal(stats_of(net, 0).peers_refused, 6);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "group %u", i);
        kept += tell(net, &one, name, 0, &one);
    }
    assert_int_equal(kept, 128); /* a quarter of kad_net.c's peers_max, of one address */
    for (unsigned i = 2; i < 300; i++) {
        struct member each = member_at(i, 4);

        kept += tell(net, &each, "workers", 0, &each);
    }
    assert_int_equal(kept, 128 + 256 - 64); /* of one group */
    for (unsigned i = 2; i < 300; i++) {
        struct member each = member_at(i, 4);

        kept += tell(net, &each, "others", 0, &each);
    }
    assert_int_equal(kept, 512); /* in all */
    assert_int_equal(stats_of(net, 0).peers, 512);
    assert_true(tell(net, &one, "workers", 1, &one)); /* kept before: still so */
    net_run(net, 31 * MINUTE);
    assert_int_equal(stats_of(net, 0).peers, 0);
    assert_true(tell(net, &one, "workers", 5, &one));
    net_destroy(net);
}

/* Of more than an answer holds, each answer is another part, and as large as it may be. */
static void answers__are_parts_that_fit(void **state)
{
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct net *net = cluster(1, first_seed);
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

static void get_peers__takes_64_at_the_most(void **state)
{
    struct net *net = cluster(2, first_seed);
    uint32_t count;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct member each = member_at(i, 4);

        assert_true(tell(net, &each, "workers", 0, &each));
    }
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(count, KAD_PEERS_MAX);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            assert_memory_not_equal(&net->nodes[1].peers[i], &net->nodes[1].peers[j],
                                    sizeof(struct proa_addr));
    net_destroy(net);
}

/* Node 1 is a contact of node 0 and answers with these values. */
static enum proa_outcome answered_with(const struct proa_addr *values, uint32_t count,
                                       struct kad_event *ret, uint64_t *ret_senseless)
{
    struct net *net = cluster(2, first_seed);
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
        cmocka_unit_test(announce__alone_is_kept_here),
        cmocka_unit_test(get_peers__of_two_finds_the_other),
        cmocka_unit_test(get_peers__of_40_finds_all_10),
        cmocka_unit_test(faults__what_was_announced_is_found),
        cmocka_unit_test(churn__is_outlived_by_announcing_again),
        cmocka_unit_test(kept__for_half_an_hour),
        cmocka_unit_test(operations__that_nobody_answers),
        cmocka_unit_test(operations__over_ops_max_are_refused),
        cmocka_unit_test(told__by_its_own_or_the_implied_port),
        cmocka_unit_test(token__of_another_endpoint_is_refused),
        cmocka_unit_test(bounds__are_kept_and_counted),
        cmocka_unit_test(answers__are_parts_that_fit),
        cmocka_unit_test(get_peers__takes_64_at_the_most),
        cmocka_unit_test(answer__of_senseless_endpoints_is_counted_and_left_out),
    };

    if (getenv("PROA_SIM_SEED") != NULL)
        first_seed = strtoull(getenv("PROA_SIM_SEED"), NULL, 0);
    if (getenv("PROA_SIM_SEEDS") != NULL)
        seeds = (unsigned)strtoul(getenv("PROA_SIM_SEEDS"), NULL, 0);
    printf("seeds %llu to %llu\n", (unsigned long long)first_seed,
           (unsigned long long)(first_seed + seeds - 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
