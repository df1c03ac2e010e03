/* SPDX-License-Identifier: Apache-2.0 */
/* Offloaded jobs on whole nodes, under many seeds with a bad network: actors answer asks from
   another node by what a job has worked out, some stop with jobs under way, and their node is
   killed in the end.  Every job runs or is dropped, every result is taken or disposed of, and the
   same seed gives the same run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <proa/offload.h>

#include "sim.h"

#define ASKS 40u

enum { SQUARE = 1 };

/* All of one run. */
struct account {
    uint32_t jobs, runs, drops, disposals, thens;
    uint32_t answered, right, maybe;
    uint64_t order; /* of the runs, mixed */
};

static struct account account;

static void *run(void *arg)
{
    uint64_t *number = arg;

    account.runs++;
    account.order = account.order * 31 + *number;
    *number *= *number;
    return number;
}

static void drop(void *arg)
{
    account.drops++;
    free(arg);
}

static void dispose(void *result)
{
    account.disposals++;
    free(result);
}

/* ---- Who works out squares ---- */

static void on_square_done(struct proa_actor *self, enum proa_outcome outcome,
                           void *result, const void *ctx)
{
    struct proa_token token;

    memcpy(&token, ctx, sizeof(token));
    account.thens++;
    assert_int_equal(outcome, PROA_OK);
    proa_reply_token(self, token, result,
                     sizeof(uint64_t)); /* its ask may have expired */
    free(result);
}

static void on_square(struct proa_actor *self, const struct proa_msg *msg)
{
    uint64_t *number = malloc(sizeof(*number));
    struct proa_job job = {run, number, drop, dispose};
    struct proa_token token;

    assert_non_null(number);
    memcpy(number, msg->data, sizeof(*number));
    account.jobs++;
    assert_int_equal(proa_reply_later(self, msg, &token), PROA_OK);
    assert_int_equal(proa_offload(self, &job, on_square_done, &token, sizeof(token)),
                     PROA_OK);
    if (*number % 16 == 15)
        proa_stop(self);
}

static const struct proa_on on[] = {{SQUARE, 8, on_square}};
static const struct proa_behaviour squarer = {
    .type_name = "squarer", .on = on, .on_count = 1};

/* ---- Who asks ---- */

struct asking {
    struct proa_ref to[2];
    uint64_t next;
};

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    uint64_t number, square;

    (void)self;
    memcpy(&number, ctx, sizeof(number));
    account.answered++;
    if (answer->outcome != PROA_OK) {
        account.maybe++;
        return;
    }
    assert_int_equal(answer->len, sizeof(square));
    memcpy(&square, answer->data, sizeof(square));
    account.right += square == number * number;
}

static void ask_one(struct proa_actor *self, void *ctx)
{
    struct asking *a = ctx;
    uint64_t number = a->next++;

    assert_int_equal(proa_ask(self, a->to[number % 2], SQUARE, &number, sizeof(number),
                              5 * PROA_S, on_answer, &number, sizeof(number)),
                     PROA_OK);
}

static bool all_answered(void *ctx)
{
    return account.answered == ((struct asking *)ctx)->next;
}

static struct account converse(uint64_t seed, uint64_t *ret_trace)
{
    uint64_t r = seed;
    struct proa_test_config config = {
        .nodes = 2,
        .lanes = 1 + (unsigned)(sim_random(&r) % 2),
        .seed = seed,
        .faults = {.loss = (uint32_t)(sim_random(&r) % 50000),
                   .reorder = (uint32_t)(sim_random(&r) % 20000),
                   .delay_us = (uint32_t)(sim_random(&r) % 100)}};
    struct proa_test *test = proa_test_create(&config);
    struct asking asking = {.next = 0};

    account = (struct account){0};
    assert_non_null(test);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    for (unsigned i = 0; i < ASKS; i++) {
        if (i % 16 == 0) { /* new ones: the old ones have stopped, or will not be asked */
            for (unsigned k = 0; k < 2; k++)
                assert_int_equal(proa_test_spawn(test, 0, k % config.lanes, &squarer,
                                                 NULL, 0, &asking.to[k]),
                                 PROA_OK);
        }
        proa_test_call(test, 1, ask_one, &asking);
        proa_test_advance(test, sim_random(&r) % (20 * PROA_US));
    }
    proa_test_check(test, proa_test_until(test, all_answered, &asking, 10 * PROA_S),
                    "every ask to have its outcome");
    /* Once more, and the node dies with what it has. */
    for (unsigned i = 0; i < 8; i++)
        proa_test_call(test, 1, ask_one, &asking);
    proa_test_advance(test, sim_random(&r) % (300 * PROA_US));
    proa_test_kill(test, 0);
    proa_test_check(test, proa_test_until(test, all_answered, &asking, 20 * PROA_S),
                    "every ask of the dead node to have its outcome");
    *ret_trace = proa_test_trace(test);
    proa_test_destroy(test);
    return account;
}

static void jobs__are_run_or_dropped_under_every_seed(void **state)
{
    struct sim_seeds seeds = sim_seeds(20);
    uint32_t drops_or_disposals = 0;

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t trace;
        struct account a = converse(seed, &trace);

        printf("seed %" PRIu64 ": %u jobs, %u run, %u dropped, %u disposed of\n", seed,
               a.jobs, a.runs, a.drops, a.disposals);
        assert_true(a.jobs > ASKS / 2);
        assert_int_equal(a.runs + a.drops, a.jobs);
        assert_int_equal(a.thens + a.disposals, a.runs);
        assert_true(a.right > ASKS / 2);
        assert_int_equal(a.right + a.maybe, a.answered);
        drops_or_disposals += a.drops + a.disposals;
    }
    assert_true(drops_or_disposals > 0 || seeds.count == 1);
}

static void jobs__are_the_same_run_for_the_same_seed(void **state)
{
    uint64_t first_trace, again_trace;
    struct account first = converse(7, &first_trace), again = converse(7, &again_trace);

    (void)state;
    assert_memory_equal(&first, &again, sizeof(first));
    assert_true(first_trace == again_trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs__are_run_or_dropped_under_every_seed),
        cmocka_unit_test(jobs__are_the_same_run_for_the_same_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
