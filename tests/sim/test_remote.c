/* SPDX-License-Identifier: Apache-2.0 */
/* What one node does for another, under many seeds with a bad network: asks that are forwarded
   from node to node while nodes die, up to the hop limit; actors made on other nodes; one actor
   of a name, though several make it at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <proa/remote.h>

#include "sim.h"

#define PATIENCE (60 * PROA_S) /* of every ask here: nobody may have to wait so long */
#define PROMPT (5 * PROA_S)    /* in which a dead node must be noticed */

enum { QUESTION = 1, RELEASE };

/* ---- A cluster ---- */

extern const struct proa_behaviour *const allowed[1];

static struct proa_test *bad_cluster(uint64_t seed, unsigned nodes)
{
    uint64_t r = seed;
    struct proa_test_config config = {
        .nodes = nodes,
        .lanes = 1 + (unsigned)(sim_random(&r) % 2),
        .seed = seed,
        .allowed = allowed,
        .allowed_count = 1,
        .faults = {.loss = (uint32_t)(sim_random(&r) % 30000),
                   .duplicate = (uint32_t)(sim_random(&r) % 20000),
                   .reorder = (uint32_t)(sim_random(&r) % 20000),
                   .delay_us = (uint32_t)(sim_random(&r) % 100),
                   .jitter_us = (uint32_t)(sim_random(&r) % 100)}};
    struct proa_test *test = proa_test_create(&config);

    assert_non_null(test);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    return test;
}

static unsigned some_lane(uint64_t *r, uint64_t seed)
{
    uint64_t first = seed;

    return (unsigned)(sim_random(r) % (1 + sim_random(&first) % 2));
}

/* ---- Actors: who passes questions on, and who keeps them ---- */

static void on_pass(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_forward(self, msg, *(struct proa_ref *)proa_state(self));
}

static const struct proa_on passer_on[] = {{QUESTION, 0, on_pass}};
static const struct proa_behaviour passer = {.type_name = "passer",
                                             .state_size = sizeof(struct proa_ref),
                                             .on = passer_on,
                                             .on_count = 1};

struct keeper {
    struct proa_token token;
    uint32_t got, hops;
};

static struct keeper kept; /* what the one keeper last saw; it may be gone */

static void on_question(struct proa_actor *self, const struct proa_msg *msg)
{
    struct keeper *k = proa_state(self);

    k->got++;
    k->hops = msg->hops;
    proa_reply_later(self, msg, &k->token);
    kept = *k;
}

static void on_release(struct proa_actor *self, const struct proa_msg *msg)
{
    struct keeper *k = proa_state(self);

    (void)msg;
    proa_reply_token(self, k->token, &k->hops, sizeof(k->hops));
}

static const struct proa_on keeper_on[] = {{QUESTION, 0, on_question},
                                           {RELEASE, 0, on_release}};
static const struct proa_behaviour keeper = {.type_name = "keeper",
                                             .state_size = sizeof(struct keeper),
                                             .on = keeper_on,
                                             .on_count = 2};

static struct proa_ref make(struct proa_test *test, unsigned node, unsigned lane,
                            const struct proa_behaviour *behaviour)
{
    struct proa_ref ref;

    proa_test_expect_outcome(test, PROA_OK,
                             proa_test_spawn(test, node, lane, behaviour, NULL, 0, &ref));
    return ref;
}

static void set_next(struct proa_actor *self, void *ctx)
{
    memcpy(proa_state(self), ctx, sizeof(struct proa_ref));
}

static void point(struct proa_test *test, struct proa_ref who, struct proa_ref next)
{
    proa_test_call_actor(test, who, set_next, &next);
}

/* ---- The asker ---- */

static struct {
    uint32_t count;
    enum proa_outcome outcome;
    struct proa_ref from;
    uint32_t hops;
} answer;

static void on_answer(struct proa_actor *self, const struct proa_answer *a,
                      const void *ctx)
{
    (void)self;
    (void)ctx;
    answer.count++;
    answer.outcome = a->outcome;
    answer.from = a->from;
    if (a->len == sizeof(answer.hops))
        memcpy(&answer.hops, a->data, sizeof(answer.hops));
}

static void do_ask(struct proa_actor *self, void *ctx)
{
    const struct proa_ref *to = ctx;

    assert_int_equal(proa_ask(self, *to, QUESTION, NULL, 0, PATIENCE, on_answer, NULL, 0),
                     PROA_OK);
}

static void start_ask(struct proa_test *test, struct proa_ref to)
{
    memset(&answer, 0, sizeof(answer));
    memset(&kept, 0, sizeof(kept));
    proa_test_call(test, 0, do_ask, &to);
}

static bool is_answered(void *ctx)
{
    (void)ctx;
    return answer.count > 0;
}

static bool is_kept(void *ctx)
{
    (void)ctx;
    return kept.got > 0;
}

static void expect_answer(struct proa_test *test, enum proa_outcome outcome, proa_ns span)
{
    proa_test_check(test, proa_test_until(test, is_answered, NULL, span),
                    "an answer long before the deadline");
    proa_test_expect_outcome(test, outcome, answer.outcome);
}

/* ---- Forwarded asks ---- */

/* Node 0 asks node 1, which passes the ask to node 2, where it is kept. */
struct chain {
    struct proa_ref first, last;
};

static struct chain forward_one(struct proa_test *test, uint64_t seed, uint64_t *r)
{
    struct chain c;

    c.first = make(test, 1, some_lane(r, seed), &passer);
    c.last = make(test, 2, some_lane(r, seed), &keeper);
    point(test, c.first, c.last);
    start_ask(test, c.first);
    proa_test_check(test, proa_test_until(test, is_kept, NULL, PROMPT),
                    "the ask at its last holder");
    return c;
}

static void forwarded__follows_its_holder_under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(60);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t r = seed * 77;
        struct proa_test *test = bad_cluster(seed, 3);
        struct chain c = forward_one(test, seed, &r);

        /* The news is on its way while somebody dies. */
        proa_test_advance(test, 100 * PROA_MS + sim_random(&r) % (100 * PROA_MS));
        if (sim_random(&r) % 2 == 0) {
            proa_test_kill(test, 2);
            expect_answer(test, PROA_MAYBE_EXECUTED, PROMPT);
            proa_test_check(test, proa_ref_equal(answer.from, c.last),
                            "the outcome names the last holder");
        } else {
            proa_test_kill(test, 1);
            proa_test_advance(test, 2 * PROMPT);
            proa_test_check(test, answer.count == 0,
                            "the first receiver matters no more");
            proa_test_tell(test, 2, c.last, RELEASE, NULL, 0);
            expect_answer(test, PROA_OK, PROMPT);
            proa_test_check(test, answer.hops == 1, "one hop");
        }
        proa_test_advance(test, PROA_S);
        proa_test_check(test, answer.count == 1, "one outcome");
        proa_test_destroy(test);
    }
}

/* Nobody has heard anything yet when the nodes die: the outcome comes all the same. */
static void forwarded__deaths_at_any_moment_under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(60);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t r = seed * 78;
        struct proa_test *test = bad_cluster(seed, 3);
        unsigned victim = 1 + (unsigned)(sim_random(&r) % 2);
        struct proa_ref first = make(test, 1, some_lane(&r, seed), &passer);

        point(test, first, make(test, 2, some_lane(&r, seed), &keeper));
        start_ask(test, first);
        proa_test_advance(test, sim_random(&r) % (2 * PROA_MS));
        proa_test_kill(test, victim);
        proa_test_until(test, is_answered, NULL, 2 * PROMPT);
        if (answer.count > 0) {
            proa_test_check(test,
                            answer.outcome == PROA_MAYBE_EXECUTED ||
                                answer.outcome == PROA_NOT_SENT,
                            "lost, and said so");
        } else {
            proa_test_check(test, victim == 1 && kept.got == 1,
                            "only a living holder makes the asker wait");
        }
        proa_test_advance(test, PATIENCE);
        proa_test_check(test, answer.count == 1, "one outcome");
        proa_test_destroy(test);
    }
}

/* Three nodes pass an ask round and round. */
static void forwarded__hop_limit_across_nodes_under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(20);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t r = seed * 79;
        struct proa_test *test = bad_cluster(seed, 3);
        struct proa_ref ring[3], end = make(test, 2, some_lane(&r, seed), &keeper);

        for (unsigned i = 0; i < 3; i++)
            ring[i] = make(test, i, some_lane(&r, seed), &passer);
        for (unsigned i = 0; i < 3; i++)
            point(test, ring[i], ring[(i + 1) % 3]);
        start_ask(test, ring[1]);
        expect_answer(test, PROA_REFUSED_HOPS, PROMPT);

        /* PROA_HOPS_MAX are allowed: 1, 2, 0, 1, 2, 0, 1, then the keeper. */
        struct proa_ref line[PROA_HOPS_MAX];
        for (unsigned i = 0; i < PROA_HOPS_MAX; i++)
            line[i] = make(test, (i + 1) % 3, some_lane(&r, seed), &passer);
        for (unsigned i = 0; i + 1 < PROA_HOPS_MAX; i++)
            point(test, line[i], line[i + 1]);
        point(test, line[PROA_HOPS_MAX - 1], end);
        start_ask(test, line[0]);
        proa_test_check(test, proa_test_until(test, is_kept, NULL, PROMPT),
                        "the ask after the most hops");
        proa_test_tell(test, 2, end, RELEASE, NULL, 0);
        expect_answer(test, PROA_OK, PROMPT);
        proa_test_check(test, answer.hops == PROA_HOPS_MAX, "all hops counted");
        proa_test_destroy(test);
    }
}

/* ---- Spawning on other nodes ---- */

static uint32_t born[PROA_TEST_NODES_MAX]; /* by the number that comes as the argument */

static int child_start(struct proa_actor *self, const void *arg, size_t len)
{
    uint32_t number;

    (void)self;
    assert_int_equal(len, PROA_SPAWN_ARG_MAX);
    memcpy(&number, arg, sizeof(number));
    born[number]++;
    return 0;
}

static const struct proa_behaviour child = {.type_name = "child",
                                            .state_size = sizeof(struct keeper),
                                            .on = keeper_on,
                                            .on_count = 2,
                                            .start = child_start};
const struct proa_behaviour *const allowed[1] = {&child};

#define WISHES 16

static struct {
    uint32_t count, answers[WISHES];
    enum proa_outcome outcome[WISHES];
    struct proa_ref ref[WISHES];
} wishes;

static void on_spawned(struct proa_actor *self, enum proa_outcome outcome,
                       struct proa_ref ref, const void *ctx)
{
    uint32_t number;

    (void)self;
    memcpy(&number, ctx, sizeof(number));
    wishes.answers[number]++;
    wishes.outcome[number] = outcome;
    wishes.ref[number] = ref;
    wishes.count++;
}

struct wish {
    uint64_t node;
    uint32_t lane, number;
    const char *type;
};

static void do_spawn_at(struct proa_actor *self, void *ctx)
{
    const struct wish *wish = ctx;
    uint8_t arg[PROA_SPAWN_ARG_MAX] = {0};

    memcpy(arg, &wish->number, sizeof(wish->number));
    assert_int_equal(proa_spawn_at(self, wish->node, wish->lane, wish->type, arg,
                                   sizeof(arg), PATIENCE, on_spawned, &wish->number,
                                   sizeof(wish->number)),
                     PROA_OK);
}

static void spawn_some(struct proa_test *test, uint32_t lane, const char *type)
{
    memset(&wishes, 0, sizeof(wishes));
    memset(born, 0, sizeof(born));
    for (uint32_t i = 0; i < WISHES; i++) {
        struct wish wish = {proa_test_node(test, 1), lane, i, type};
        proa_test_call(test, 0, do_spawn_at, &wish);
    }
}

static bool all_told(void *ctx)
{
    (void)ctx;
    return wishes.count == WISHES;
}

static void spawn_at__under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(40);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        struct proa_test *test = bad_cluster(seed, 2);
        uint64_t first = seed;
        uint32_t lanes = 1 + (uint32_t)(sim_random(&first) % 2);

        spawn_some(test, PROA_LANE_ANY, "child");
        proa_test_check(test, proa_test_until(test, all_told, NULL, PROMPT),
                        "all references");
        for (uint32_t i = 0; i < WISHES; i++) {
            proa_test_expect_outcome(test, PROA_OK, wishes.outcome[i]);
            proa_test_check(test, wishes.answers[i] == 1 && born[i] == 1, "once");
            /* Asked for one after the other, made so. */
            proa_test_check(test,
                            proa_ref_lane(wishes.ref[i]) ==
                                (proa_ref_lane(wishes.ref[0]) + i) % lanes,
                            "lane after lane");
            proa_test_tell(test, 0, wishes.ref[i], RELEASE, NULL, 0);
        }
        spawn_some(test, 0, "keeper"); /* known there, but not for others */
        proa_test_check(test, proa_test_until(test, all_told, NULL, PROMPT),
                        "all refusals");
        for (uint32_t i = 0; i < WISHES; i++)
            proa_test_expect_outcome(test, PROA_REFUSED_NOT_ALLOWED, wishes.outcome[i]);
        spawn_some(test, lanes, "child");
        proa_test_check(test, proa_test_until(test, all_told, NULL, PROMPT),
                        "all refusals");
        proa_test_expect_outcome(test, PROA_INVALID, wishes.outcome[WISHES - 1]);
        proa_test_destroy(test);
    }
}

/* The other node dies in the middle: every wish has one outcome, and a true one. */
static void spawn_at__node_dies_under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(60);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t r = seed * 80;
        struct proa_test *test = bad_cluster(seed, 2);

        spawn_some(test, PROA_LANE_ANY, "child");
        proa_test_advance(test, sim_random(&r) % (2 * PROA_MS));
        proa_test_kill(test, 1);
        proa_test_check(test, proa_test_until(test, all_told, NULL, 2 * PROMPT),
                        "all outcomes long before the deadline");
        proa_test_advance(test, PROA_S);
        for (uint32_t i = 0; i < WISHES; i++) {
            proa_test_check(test, wishes.answers[i] == 1 && born[i] <= 1, "once");
            if (wishes.outcome[i] == PROA_OK)
                proa_test_check(test, born[i] == 1, "OK: it was made");
            else if (wishes.outcome[i] == PROA_NOT_SENT)
                proa_test_check(test, born[i] == 0, "not sent: it was not made");
            else
                proa_test_expect_outcome(test, PROA_MAYBE_EXECUTED, wishes.outcome[i]);
        }
        proa_test_destroy(test);
    }
}

/* ---- Looking up or spawning ---- */

#define SEEKERS 6

static struct {
    uint32_t born, ended, ran, count, answers[SEEKERS];
    struct proa_ref ran_on; /* who ran a message last */
    enum proa_outcome outcome[SEEKERS];
    struct proa_ref ref[SEEKERS];
    uint64_t term[SEEKERS];
} one;

static int one_start(struct proa_actor *self, const void *arg, size_t len)
{
    assert_int_equal(len, 4);
    assert_memory_equal(arg, "once", 4);
    one.born++;
    /* What must never run in an actor that loses. */
    return proa_tell(self, proa_self(self), QUESTION, NULL, 0) != PROA_OK;
}

static void one_stop(struct proa_actor *self, enum proa_reason reason)
{
    (void)self;
    assert_int_equal(reason, PROA_REASON_KILLED);
    one.ended++;
}

static void one_question(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    one.ran++;
    one.ran_on = proa_self(self);
}

static const struct proa_on one_on[] = {{QUESTION, 0, one_question}};
static const struct proa_behaviour the_one = {.type_name = "the one",
                                              .on = one_on,
                                              .on_count = 1,
                                              .start = one_start,
                                              .stop = one_stop};

static void on_found(struct proa_actor *self, const struct proa_name_answer *a,
                     const void *ctx)
{
    uint32_t number;

    (void)self;
    memcpy(&number, ctx, sizeof(number));
    assert_string_equal(a->name, "one");
    one.count++;
    one.answers[number]++;
    one.outcome[number] = a->outcome;
    one.ref[number] = a->ref;
    one.term[number] = a->term;
}

static void do_seek(struct proa_actor *self, void *ctx)
{
    assert_int_equal(proa_lookup_or_spawn(self, "one", &the_one, "once", 4, 20 * PROA_S,
                                          on_found, ctx, sizeof(uint32_t)),
                     PROA_OK);
    assert_int_equal(one.answers[*(uint32_t *)ctx], 0); /* never inside the call */
}

static bool all_found(void *ctx)
{
    return one.count >= *(uint32_t *)ctx;
}

/* Seekers on all living nodes, some at the very same moment. */
static void seek(struct proa_test *test, unsigned nodes, uint32_t seekers, uint64_t *r)
{
    for (uint32_t i = 0; i < seekers; i++) {
        proa_test_call(test, i % nodes, do_seek, &i);
        if (sim_random(r) % 3 == 0)
            proa_test_advance(test, sim_random(r) % (3 * PROA_MS));
    }
}

static void lookup_or_spawn__racers_agree_under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(100);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t r = seed * 81;
        unsigned nodes = 2 + (unsigned)(sim_random(&r) % 2);
        struct proa_test *test = bad_cluster(seed, nodes);
        uint32_t seekers = 2 + (uint32_t)(sim_random(&r) % (SEEKERS - 1));

        memset(&one, 0, sizeof(one));
        seek(test, nodes, seekers, &r);
        proa_test_check(test, proa_test_until(test, all_found, &seekers, 30 * PROA_S),
                        "an answer for everybody");
        proa_test_advance(test, PROA_S);
        for (uint32_t i = 0; i < seekers; i++) {
            proa_test_expect_outcome(test, PROA_OK, one.outcome[i]);
            proa_test_check(test, one.answers[i] == 1, "one answer");
            proa_test_check(test, proa_ref_equal(one.ref[i], one.ref[0]), "the same one");
            proa_test_check(test, one.term[i] > 0, "a term");
        }
        proa_test_check(test, one.born == one.ended + 1, "one is left");
        proa_test_check(test, one.ran == 1 && proa_ref_equal(one.ran_on, one.ref[0]),
                        "only the winner ran a message");
        one.count = 0;
        one.answers[0] = 0;
        uint32_t again = 1, number = 0; /* now it is known */
        proa_test_call(test, nodes - 1, do_seek, &number);
        proa_test_check(test, proa_test_until(test, all_found, &again, 5 * PROA_S),
                        "an answer later");
        proa_test_check(test, proa_ref_equal(one.ref[0], one.ref[1]), "still the same");
        proa_test_destroy(test);
    }
}

/* A node dies in the middle; the others have an answer each, in time, and of one kind. */
static void lookup_or_spawn__node_dies_under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(40);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t r = seed * 82;
        struct proa_test *test = bad_cluster(seed, 3);
        uint32_t seekers = 3, survivors = 2;

        memset(&one, 0, sizeof(one));
        seek(test, 3, seekers, &r);
        proa_test_advance(test, sim_random(&r) % (5 * PROA_MS));
        proa_test_kill(test, 2);
        proa_test_until(test, all_found, &seekers, 25 * PROA_S);
        proa_test_check(test,
                        one.count >= survivors && one.answers[0] == 1 &&
                            one.answers[1] == 1 && one.answers[2] <= 1,
                        "one answer for who lives");
        proa_test_destroy(test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwarded__follows_its_holder_under_seeds),
        cmocka_unit_test(forwarded__deaths_at_any_moment_under_seeds),
        cmocka_unit_test(forwarded__hop_limit_across_nodes_under_seeds),
        cmocka_unit_test(spawn_at__under_seeds),
        cmocka_unit_test(spawn_at__node_dies_under_seeds),
        cmocka_unit_test(lookup_or_spawn__racers_agree_under_seeds),
        cmocka_unit_test(lookup_or_spawn__node_dies_under_seeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
