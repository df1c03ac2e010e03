/* SPDX-License-Identifier: Apache-2.0 */
/* The first conversation, under many seeds with a bad network: a counter is registered on one
   node, found, asked and waited for from the others; a name nobody has is not found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sim.h"

struct inc {
    uint64_t amount;
};

struct counter {
    uint64_t count;
};

enum { COUNTER_INC = 1 };

static void on_inc(struct proa_actor *self, const struct proa_msg *msg)
{
    struct counter *c = proa_state(self);
    const struct inc *inc = msg->data;

    c->count += inc->amount;
    proa_reply(self, msg, &c->count, sizeof(c->count));
}

static const struct proa_on on[] = {{COUNTER_INC, sizeof(struct inc), on_inc}};
static const struct proa_behaviour counter = {.type_name = "counter",
                                              .state_size = sizeof(struct counter),
                                              .on = on,
                                              .on_count = 1};

/* A cluster of 2 or 3 nodes whose network loses, doubles and turns packets round. */
static struct proa_test *bad_cluster(uint64_t seed)
{
    uint64_t r = seed;
    struct proa_test_config config = {
        .nodes = 2 + (unsigned)(sim_random(&r) % 2),
        .lanes = 1 + (unsigned)(sim_random(&r) % 2),
        .seed = seed,
        .ipv6 = sim_random(&r) % 2 == 0,
        .faults = {.loss = (uint32_t)(sim_random(&r) % 50000),
                   .duplicate = (uint32_t)(sim_random(&r) % 20000),
                   .reorder = (uint32_t)(sim_random(&r) % 20000),
                   .delay_us = (uint32_t)(sim_random(&r) % 100),
                   .jitter_us = (uint32_t)(sim_random(&r) % 100)}};
    struct proa_test *test = proa_test_create(&config);

    assert_non_null(test);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    return test;
}

struct late {
    bool done;
    struct proa_name_answer answer;
};

static struct late late; /* of the one test that runs */

static void on_late(struct proa_actor *self, const struct proa_name_answer *answer,
                    const void *ctx)
{
    (void)self;
    (void)ctx;
    late.done = true;
    late.answer = *answer;
}

static void wait_for_late(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    assert_int_equal(proa_lookup_wait(self, "late", 20 * PROA_S, on_late, NULL, 0),
                     PROA_OK);
}

static bool late_done(void *ctx)
{
    (void)ctx;
    return late.done;
}

static void converse(struct proa_test *test, unsigned far)
{
    struct proa_ref ref, found, late_ref;
    struct inc inc = {10};
    uint64_t count, term = 0;

    proa_test_expect_outcome(test, PROA_OK,
                             proa_test_spawn(test, 0, 0, &counter, NULL, 0, &ref));
    proa_test_expect_outcome(
        test, PROA_OK, proa_test_register(test, 0, ref, "my_actor", 10 * PROA_S, &term));
    proa_test_check(test, term > 0, "a term");
    proa_test_expect_outcome(
        test, PROA_OK, proa_test_lookup(test, far, "my_actor", 10 * PROA_S, &found));
    proa_test_check(test, proa_ref_equal(ref, found), "the registered reference");

    struct proa_test_answer a =
        proa_test_ask(test, far, found, COUNTER_INC, &inc, sizeof(inc), 5 * PROA_S);
    proa_test_expect_outcome(test, PROA_OK, a.outcome);
    memcpy(&count, a.data, sizeof(count));
    proa_test_check(test, count == 10, "Incremented count: 10");

    proa_test_expect_outcome(test, PROA_NOT_FOUND,
                             proa_test_lookup(test, far, "nobody", 10 * PROA_S, &found));

    /* Waiting is answered by push when the name appears. */
    late = (struct late){0};
    proa_test_call(test, far, wait_for_late, NULL);
    proa_test_advance(test, 100 * PROA_MS);
    proa_test_check(test, !late.done, "nothing before the registration");
    proa_test_expect_outcome(test, PROA_OK,
                             proa_test_spawn(test, 0, 0, &counter, NULL, 0, &late_ref));
    proa_test_expect_outcome(
        test, PROA_OK, proa_test_register(test, 0, late_ref, "late", 10 * PROA_S, NULL));
    proa_test_check(test, proa_test_until(test, late_done, NULL, 5 * PROA_S),
                    "the late name by push");
    proa_test_expect_outcome(test, PROA_OK, late.answer.outcome);
    proa_test_check(test, proa_ref_equal(late.answer.ref, late_ref),
                    "the late reference");
}

static void counter__conversation_under_seeds(void **state)
{
    struct sim_seeds seeds = sim_seeds(300);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++) {
        struct proa_test *test = bad_cluster(s);
        uint64_t r = s * 31;
        converse(test, 1 + (unsigned)(sim_random(&r) % 1));
        proa_test_destroy(test);
    }
}

static void counter__same_seed_same_trace(void **state)
{
    uint64_t traces[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct proa_test *test = bad_cluster(4242);
        converse(test, 1);
        traces[i] = proa_test_trace(test);
        proa_test_destroy(test);
    }
    assert_true(traces[0] == traces[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter__conversation_under_seeds),
        cmocka_unit_test(counter__same_seed_same_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
