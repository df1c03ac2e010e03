/* SPDX-License-Identifier: Apache-2.0 */
/* Many short lives of links under random faults, each held against the contract: what was
   accepted has one outcome, what enters does so once and in order, nothing leaks.  Seeds count up
   from PROA_LINK_SEED (1), PROA_LINK_RUNS (1,000) of them; a failure names its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link_net.h"
#include "packet.h"
#include "sysmsg.h"

#define MESSAGES_MAX 4096
#define ACTORS 3
#define GENERATION 7

enum fate {
    FATE_ACCEPTED = 1,
    FATE_ENTERED, /* at the receiver; perhaps refused there */
    FATE_REFUSED, /* by one of the two links */
    FATE_LOST,    /* the link ended, in doubt */
    FATE_UNSENT,  /* the link ended, never sent */
};

struct message {
    uint8_t side, src, dst, cls, flags, pair;
    enum fate fate;
    bool entered; /* whatever the sender was told */
    uint32_t len;
    uint32_t asked; /* of a reply: the ask's id */
};

struct run {
    struct link_net *net;
    uint64_t random;
    uint32_t pairs, count;
    struct message messages[MESSAGES_MAX];
    uint32_t last[LINK_NET_PAIRS][2][ACTORS][ACTORS][3]; /* last id that entered */
    uint64_t refused, told; /* messages refused by receivers; that senders were told of */
    bool killed;
    uint32_t refuse_per_100;
};

static uint64_t next_random(struct run *r)
{
    uint64_t z = r->random += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static uint32_t below(struct run *r, uint32_t bound)
{
    return (uint32_t)(next_random(r) % bound);
}

static uint8_t pattern(uint32_t id, uint32_t at)
{
    return (uint8_t)(id * 31 + at * 7 + (at >> 8));
}

static uint64_t node(uint32_t side)
{
    return LINK_NET_NODE * (side + 1);
}

/* Sends message `id`; its type is its id.  True when accepted. */
static bool send_one(struct run *r, uint32_t pair, uint32_t side, struct message m)
{
    static uint8_t bytes[1 << 20];
    struct link *link = link_net_link(r->net, pair, side);
    uint32_t id = r->count + 1;
    enum proa_outcome outcome;

    if (link == NULL || r->count == MESSAGES_MAX)
        return false;
    for (uint32_t i = 0; i < m.len; i++)
        bytes[i] = pattern(id, i);
    struct proa_msg msg = {
        .data = bytes,
        .len = m.len,
        .type = id,
        .from = {node(side), m.src, GENERATION},
        .to = {node(!side), m.dst, GENERATION},
        .deadline = m.flags & PROA_MSG_ASK ? link_net_now(r->net) + 5 * PROA_S : 0,
        .correlation = m.flags & PROA_MSG_ASK     ? id
                       : m.flags & PROA_MSG_REPLY ? m.asked
                                                  : 0,
        .flags = m.flags,
        .cls = m.cls};
    m.side = (uint8_t)side;
    m.pair = (uint8_t)pair;
    m.fate = FATE_ACCEPTED;
    r->messages[r->count++] = m; /* before: a refusal may come from inside the call */
    if (m.len > 0 && below(r, 4) == 0 && m.len > 1000) {
        void *buf = link_net_bulk_alloc(r->net, side, m.len);
        if (buf == NULL) {
            r->count--;
            return false;
        }
        memcpy(buf, bytes, m.len);
        outcome = link_send_bulk(link, &msg, buf, link_net_now(r->net));
        if (outcome != PROA_OK)
            link_net_bulk_free(r->net, side, buf);
    } else {
        outcome = link_send(link, &msg, link_net_now(r->net));
    }
    if (outcome == PROA_OK)
        return true;
    if (m.flags & PROA_MSG_REPLY)
        assert_true(outcome == PROA_TOO_LARGE || outcome == PROA_NO_ROUTE);
    else
        assert_true(outcome == PROA_AGAIN || outcome == PROA_NO_ROUTE);
    r->count--;
    return false;
}

static uint32_t random_len(struct run *r, uint32_t message_max)
{
    switch (below(r, 20)) {
    case 0:
        return below(r, message_max);
    case 1:
        return 1300 + below(r, 200);
    case 2:
        return 0;
    case 3:
        return below(r, 1448);
    default:
        return below(r, 100);
    }
}

/* ---- What the links say ---- */

static void told_refusal(struct run *r, uint32_t side, const struct proa_msg *msg)
{
    struct sysmsg s;

    assert_true(sysmsg_decode(msg->type, msg->data, msg->len, &s));
    assert_int_equal(s.type, SYSMSG_REFUSE);
    if (s.refusal.generation == 0) {
        r->told += s.refusal.count; /* past the bound: counted only */
        return;
    }
    assert_in_range(s.refusal.type, 1, r->count);
    struct message *m = &r->messages[s.refusal.type - 1];
    if (m->entered) {
        assert_int_equal(m->side, side);
        r->told += s.refusal.count;
        return;
    }
    /* A link's own doing. */
    if (m->fate == FATE_LOST && (m->flags & PROA_MSG_REPLY))
        return; /* the other way round of told_there in on_lost */
    assert_int_equal(s.refusal.count, 1);
    assert_int_equal(m->fate, FATE_ACCEPTED);
    m->fate = FATE_REFUSED;
    if (m->flags & PROA_MSG_REPLY) {
        assert_int_equal(s.refusal.reason, PROA_NO_REPLY);
        assert_int_equal(s.refusal.correlation, m->asked);
    } else {
        assert_int_equal(s.refusal.reason, PROA_REFUSED_BUSY);
        assert_int_equal(m->side, side);
    }
}

static void on_deliver(void *ctx, uint32_t pair, uint32_t side,
                       const struct proa_msg *msg)
{
    struct run *r = ctx;

    if (msg->flags & PROA_MSG_SYSTEM) {
        told_refusal(r, side, msg);
        return;
    }
    assert_in_range(msg->type, 1, r->count);
    struct message *m = &r->messages[msg->type - 1];
    assert_false(m->entered);
    assert_int_not_equal(m->fate, FATE_REFUSED);
    assert_int_not_equal(m->fate, FATE_UNSENT);
    assert_int_equal(m->pair, pair);
    assert_int_equal(m->side, !side);
    assert_int_equal(m->len, msg->len);
    assert_int_equal(m->flags, msg->flags);
    assert_int_equal(m->cls, msg->cls);
    assert_true(
        proa_ref_equal(msg->from, (struct proa_ref){node(!side), m->src, GENERATION}));
    assert_true(
        proa_ref_equal(msg->to, (struct proa_ref){node(side), m->dst, GENERATION}));
    const uint8_t *bytes = msg->data;
    for (uint32_t i = 0; i < msg->len; i++)
        assert_int_equal(bytes[i], pattern(msg->type, i));
    uint32_t *last = &r->last[pair][side][m->src][m->dst][m->cls];
    assert_true(msg->type > *last);
    *last = msg->type;
    m->entered = true;
    if (m->fate == FATE_ACCEPTED)
        m->fate = FATE_ENTERED;
    if (msg->flags & PROA_MSG_ASK) {
        assert_int_equal(msg->correlation, msg->type);
        assert_true(msg->deadline > link_net_now(r->net));
    }

    struct link *link = link_net_link(r->net, pair, side);
    if (below(r, 100) < r->refuse_per_100) {
        struct refusal refusal = {.to = msg->to,
                                  .slot = msg->from.slot,
                                  .generation = msg->from.generation,
                                  .type = msg->type,
                                  .correlation =
                                      msg->flags & PROA_MSG_ASK ? msg->correlation : 0,
                                  .count = 1,
                                  .reason = PROA_REFUSED_FULL};
        link_refuse(link, &refusal, link_net_now(r->net));
        r->refused++;
    } else if (msg->flags & PROA_MSG_ASK) {
        struct message reply = {.src = m->dst,
                                .dst = m->src,
                                .flags = PROA_MSG_REPLY,
                                .asked = msg->correlation,
                                .len = random_len(r, 50000)};
        send_one(r, pair, side, reply);
    }
}

static void on_lost(void *ctx, uint32_t pair, uint32_t side, const struct proa_msg *msg,
                    bool sent)
{
    struct run *r = ctx;

    if (msg->flags & PROA_MSG_SYSTEM) {
        assert_int_equal(msg->type,
                         (uint32_t)SYSMSG_REFUSE); /* it goes by another link */
        return;
    }
    assert_in_range(msg->type, 1, r->count);
    struct message *m = &r->messages[msg->type - 1];
    assert_int_equal(m->pair, pair);
    assert_int_equal(m->side, side);
    assert_int_equal(m->len, msg->len);
    assert_int_equal(m->flags, msg->flags);
    /* An answer without room at the asker's: its link told the asker, and not yet us. */
    bool told_there = m->fate == FATE_REFUSED && (m->flags & PROA_MSG_REPLY) && sent;
    if (told_there)
        return;
    if (!(m->fate == FATE_ACCEPTED || (m->fate == FATE_ENTERED && sent)))
        fail_msg("message %u of %u bytes, flags %x, is lost (sent %d) after fate %d",
                 msg->type, m->len, m->flags, sent, m->fate);
    m->fate = sent ? FATE_LOST : FATE_UNSENT;
}

/* ---- A run ---- */

static uint32_t sometimes(struct run *r, uint32_t one_in, uint32_t most)
{
    return below(r, one_in) == 0 ? below(r, most + 1) : 0;
}

static void configure(struct run *r, uint64_t seed, struct link_net_config *c)
{
    static const proa_ns delays[] = {500, 2000, 20000, 300000, 5000000};

    *c = (struct link_net_config){
        .seed = seed,
        .pairs = 1 + below(r, 3),
        .delay = delays[below(r, 5)],
        .loss = sometimes(r, 2, 1000),
        .duplicate = sometimes(r, 2, 500),
        .reorder = sometimes(r, 2, 2000),
        .damage = sometimes(r, 3, 300),
        .mtu = below(r, 4) == 0 ? 1224 : 1448,
        .seq = below(r, 3) == 0 ? (uint32_t) - (int32_t)below(r, 200)
                                : (uint32_t)next_random(r),
        .initiator_holds = below(r, 2),
        .pool = 5000,
        .settles = seed % 2 == 0,
        .never_settles = seed % 4 == 0,
    };
    c->jitter = c->delay / (1 + below(r, 4));
    c->reorder_by = c->delay * (1 + below(r, 4));
    if (below(r, 4) == 0)
        c->held_max = below(r, 40);
    if (below(r, 2) == 0)
        c->pause = below(r, 10001);
    if (below(r, 4) == 0)
        c->retained_max = 1 + below(r, 100);
    if (below(r, 4) == 0)
        c->bulk_max = 70000 + below(r, 200000);
    if (below(r, 4) == 0)
        c->pool = 2300 + below(r, 500);
    if (below(r, 4) == 0) {
        c->per_packet = 100 + below(r, 2000);
        c->queue = 10 + below(r, 100);
    }
    c->message_max = 60000;
    r->pairs = c->pairs;
    r->refuse_per_100 = below(r, 3) == 0 ? below(r, 60) : 0;
}

static void traffic(struct run *r, uint32_t target)
{
    uint32_t tries = 0;

    while (r->count < target && tries++ < 20 * target) {
        uint32_t pair = below(r, r->pairs), side = below(r, 2);
        struct message m = {.src = (uint8_t)below(r, ACTORS),
                            .dst = (uint8_t)below(r, ACTORS),
                            .cls = (uint8_t)(below(r, 8) == 0),
                            .flags = below(r, 4) == 0 ? PROA_MSG_ASK : 0,
                            .len = random_len(r, 60000)};
        uint32_t burst = below(r, 10) == 0 ? below(r, 60) : 1;

        while (burst-- > 0 && send_one(r, pair, side, m))
            m.len = below(r, 64);
        if (below(r, 50) == 0)
            link_net_fail_packets(r->net, side, below(r, 20));
        if (below(r, 50) == 0)
            link_net_fail_bulk(r->net, side, below(r, 5));
        if (below(r, 3) > 0)
            link_net_step(r->net, PROA_NS_NEVER);
    }
}

static bool all_settled(struct run *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->messages[i].fate == FATE_ACCEPTED)
            return false;
    }
    return true;
}

static bool all_idle(struct run *r)
{
    proa_ns since;

    for (uint32_t i = 0; i < 2 * r->pairs; i++) {
        struct link *link = link_net_link(r->net, i / 2, i % 2);
        if (link != NULL && !link_idle_since(link, &since))
            return false;
    }
    return true;
}

/* Ends what has died; without kills nothing may. */
static void bury(struct run *r)
{
    for (uint32_t i = 0; i < 2 * r->pairs; i++) {
        if (!link_net_dead(r->net, i / 2, i % 2))
            continue;
        assert_true(r->killed);
        link_net_kill(r->net, i / 2, i % 2);
    }
}

static void settle(struct run *r)
{
    proa_ns until = link_net_now(r->net) + 60 * PROA_S;

    while (!(all_settled(r) && all_idle(r)) && link_net_step(r->net, until))
        bury(r);
    bury(r);
}

static void no_outcome(struct run *r, uint32_t i)
{
    const struct message *m = &r->messages[i];

    for (uint32_t side = 0; side < 2; side++) {
        struct link *link = link_net_link(r->net, m->pair, side);
        struct link_stats s = {0};
        if (link != NULL)
            link_stats(link, &s);
        printf("# side %u: %s, in flight %llu, window %llu, cwnd %llu, pings %llu, again "
               "%llu, bulk %llu sent %llu got %llu aborted\n",
               side, link == NULL ? "gone" : "there", (unsigned long long)s.inflight,
               (unsigned long long)s.window, (unsigned long long)s.cwnd,
               (unsigned long long)s.pings, (unsigned long long)s.again,
               (unsigned long long)s.bulk_tx, (unsigned long long)s.bulk_rx,
               (unsigned long long)s.bulk_aborted);
    }
    fail_msg("message %u of pair %u, side %u, %u bytes, flags %x, has no outcome", i + 1,
             m->pair, m->side, m->len, m->flags);
}

static void one_run(uint64_t seed, bool with_kills)
{
    static struct run run;
    struct run *r = &run;
    struct link_net_config config;
    struct link_net_hooks hooks = {.ctx = r, .deliver = on_deliver, .lost = on_lost};

    memset(r, 0, sizeof(*r));
    r->random = seed;
    configure(r, seed, &config);
    r->net = link_net_create(&config, &hooks);
    traffic(r, 50 + below(r, 600));
    if (with_kills) {
        r->killed = true;
        for (uint32_t pair = 0; pair < r->pairs; pair++)
            link_net_kill(r->net, pair, below(r, 2));
    }
    settle(r);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct message *m = &r->messages[i];
        /* A refusal that was on its way when the link ended does not come.  Links here refuse
           only bulk, and answers without room. */
        bool doubt = r->killed && (m->len > 1000 || (m->flags & PROA_MSG_REPLY));
        if (m->fate == FATE_ACCEPTED && !m->entered && !doubt)
            no_outcome(r, i);
    }
    if (!r->killed)
        assert_int_equal(r->refused, r->told);
    link_net_destroy(r->net);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t running; /* seed of the run under way */

/* Names the seed of a run that failed. */
static int name_seed(void **state)
{
    (void)state;
    if (running != 0)
        printf("# failed with PROA_LINK_RUNS=1 PROA_LINK_SEED=%llu\n",
               (unsigned long long)running);
    running = 0;
    return 0;
}

static void many_runs(bool with_kills)
{
    uint64_t first = from_environment("PROA_LINK_SEED", 1);
    uint64_t runs = from_environment("PROA_LINK_RUNS", 500);

    printf("# seeds %llu to %llu\n", (unsigned long long)first,
           (unsigned long long)(first + runs - 1));
    for (running = first; running < first + runs; running++)
        one_run(running, with_kills);
    running = 0;
}

static void faults__each_message_has_one_outcome_and_keeps_its_order(void **state)
{
    (void)state;
    many_runs(false);
}

static void kills__what_was_in_doubt_is_said_to_be(void **state)
{
    (void)state;
    many_runs(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            faults__each_message_has_one_outcome_and_keeps_its_order, name_seed),
        cmocka_unit_test_teardown(kills__what_was_in_doubt_is_said_to_be, name_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
