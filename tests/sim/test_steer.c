/* SPDX-License-Identifier: Apache-2.0 */
/* Steering in virtual time: packets arrive on lanes by a hash, as by a NIC's RSS, and links have
   theirs brought to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "kit.h"
#include "sim.h"

#define LANES 4u
#define ROUNDS 1000u /* asks of each pair, one after the other */

enum { ECHO = 1, AGAIN = 2 };

static void on_echo(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, msg->data, msg->len);
}

static const struct proa_on echo_on[] = {{ECHO, 8, on_echo}};
static const struct proa_behaviour echo = {
    .type_name = "echo", .on = echo_on, .on_count = 1};

/* Asks one echo, over and over. */
struct asker {
    struct proa_ref to;
    uint64_t answers, wrong, last;
};

static void ask(struct proa_actor *self, struct asker *a);

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *context)
{
    struct asker *a = proa_state(self);
    uint64_t number = 0;

    (void)context;

    if (answer->outcome == PROA_OK && answer->len == 8)
        memcpy(&number, answer->data, 8);
    a->wrong += answer->outcome != PROA_OK || number != a->answers;
    a->answers++;
    if (a->answers < a->last)
        ask(self, a);
}

static void ask(struct proa_actor *self, struct asker *a)
{
    assert_int_equal(
        proa_ask(self, a->to, ECHO, &a->answers, 8, 30 * PROA_S, on_answer, NULL, 0),
        PROA_OK);
}

static void on_again(struct proa_actor *self, const struct proa_msg *msg)
{
    struct asker *a = proa_state(self);

    a->last += ROUNDS;
    (void)msg;
    ask(self, a);
}

static int start_asker(struct proa_actor *self, const void *arg, size_t len)
{
    memcpy(proa_state(self), arg, len);
    return 0;
}

static const struct proa_on asker_on[] = {{AGAIN, 0, on_again}};
static const struct proa_behaviour asker = {.type_name = "asker",
                                            .state_size = sizeof(struct asker),
                                            .on = asker_on,
                                            .on_count = 1,
                                            .start = start_asker};

struct cluster {
    struct proa_test *test;
    struct proa_ref askers[2][LANES];
    unsigned done;
    uint64_t wanted, wrong;
};

static void look(struct proa_actor *self, void *ctx)
{
    const struct asker *a = proa_state(self);
    struct cluster *c = ctx;

    c->done += a->answers == c->wanted;
    c->wrong += a->wrong;
}

static bool all_done(void *ctx)
{
    struct cluster *c = ctx;

    c->done = 0;
    c->wrong = 0;
    for (unsigned n = 0; n < 2; n++) {
        for (unsigned lane = 0; lane < LANES; lane++)
            proa_test_call_actor(c->test, c->askers[n][lane], look, c);
    }
    return c->done == 2 * LANES;
}

/* Packets that came in, and those of them that came in on the wrong lane. */
static void count(const struct cluster *c, uint64_t *rx, uint64_t *astray)
{
    *rx = *astray = 0;
    for (unsigned n = 0; n < 2; n++) {
        for (unsigned lane = 0; lane < LANES; lane++) {
            const struct lane_stats *s = lane_stats(c->test->nodes[n].lanes[lane].lane);

            *rx += atomic_load(&s->rx);
            *astray += atomic_load(&s->misdirected);
        }
    }
}

static void run_round(struct cluster *c)
{
    c->wanted += ROUNDS;
    for (unsigned n = 0; n < 2; n++) {
        for (unsigned lane = 0; lane < LANES; lane++)
            proa_test_expect_outcome(
                c->test, PROA_OK,
                proa_test_tell(c->test, n, c->askers[n][lane], AGAIN, NULL, 0));
    }
    proa_test_check(c->test, proa_test_until(c->test, all_done, c, 600 * PROA_S),
                    "every ask answered");
    proa_test_check(c->test, c->wrong == 0, "each with its own answer");
}

static void begin(struct cluster *c, const struct proa_test_config *config)
{
    memset(c, 0, sizeof(*c));
    c->test = proa_test_create(config);
    assert_non_null(c->test);
    proa_test_check(c->test, proa_test_join(c->test), "all nodes to join");
    for (unsigned n = 0; n < 2; n++) {
        for (unsigned lane = 0; lane < LANES; lane++) {
            struct asker a = {.last = 0};

            proa_test_expect_outcome(
                c->test, PROA_OK,
                proa_test_spawn(c->test, 1 - n, lane, &echo, NULL, 0, &a.to));
            proa_test_expect_outcome(c->test, PROA_OK,
                                     proa_test_spawn(c->test, n, lane, &asker, &a,
                                                     sizeof(a), &c->askers[n][lane]));
        }
    }
}

static void steer(struct proa_test_config config, unsigned settling)
{
    struct sim_seeds seeds = sim_seeds(3);

    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        uint64_t rx, astray, rx_before, astray_before;
        struct cluster c;

        config.seed = seed;
        begin(&c, &config);
        for (unsigned i = 0; i < settling; i++)
            run_round(&c);
        count(&c, &rx_before, &astray_before);
        run_round(&c);
        count(&c, &rx, &astray);
        rx -= rx_before;
        astray -= astray_before;
        print_message(
            "seed %llu: %llu of %llu packets astray at first, then %llu of %llu\n",
            (unsigned long long)seed, (unsigned long long)astray_before,
            (unsigned long long)rx_before, (unsigned long long)astray,
            (unsigned long long)rx);
        /* Or else this test shows nothing. */
        proa_test_check(c.test, astray_before > 0, "packets astray at first");
        proa_test_check(c.test, astray * 100 < rx, "less than 1 % astray after settling");
        for (unsigned lane = 0; lane < LANES; lane++) {
            const struct lane_stats *s = lane_stats(c.test->nodes[1].lanes[lane].lane);

            proa_test_check(c.test, atomic_load(&s->links) > 0, "links on every lane");
        }
        proa_test_destroy(c.test);
    }
}

static void steer__links_get_their_packets_on_their_lanes(void **state)
{
    (void)state;
    steer((struct proa_test_config){.nodes = 2, .lanes = LANES, .rss = true}, 1);
}

static void steer__over_a_bad_network(void **state)
{
    (void)state;
    steer((struct proa_test_config){.nodes = 2,
                                    .lanes = LANES,
                                    .rss = true,
                                    .ipv6 = true,
                                    .faults = {.loss = 20000,
                                               .duplicate = 10000,
                                               .reorder = 10000,
                                               .delay_us = 20,
                                               .jitter_us = 10}},
          2); /* lost words about where packets arrive are said again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steer__links_get_their_packets_on_their_lanes),
        cmocka_unit_test(steer__over_a_bad_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
