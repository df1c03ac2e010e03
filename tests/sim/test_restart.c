/* SPDX-License-Identifier: Apache-2.0 */
/* A node that was killed and is back at once: whoever asked its earlier life something is told in a
   millisecond or two, by the PING of the first timeout and the RST that answers it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim.h"

enum { ECHO = 1 };

static void on_echo(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, msg->data, msg->len);
}

static const struct proa_on echo_on[] = {{ECHO, 8, on_echo}};
static const struct proa_behaviour echo = {
    .type_name = "echo", .on = echo_on, .on_count = 1};

static void one_restart(uint64_t seed)
{
    /* No linked registries: these open links by themselves, and an OPEN tells it too. */
    struct proa_test_config config = {.nodes = 3, .seed = seed, .mesh_nodes_max = 1};
    struct proa_test *test = proa_test_create(&config);
    const uint64_t number = 7;
    struct proa_ref to;

    proa_test_check(test, test != NULL && proa_test_join(test), "the nodes join");
    proa_test_check(test, proa_test_spawn(test, 1, 0, &echo, NULL, 0, &to) == PROA_OK,
                    "an actor is made");
    for (int i = 0; i < 20; i++) { /* the link is there, its round trip known */
        struct proa_test_answer a = proa_test_ask(test, 2, to, ECHO, &number, 8, PROA_S);
        proa_test_expect_outcome(test, PROA_OK, a.outcome);
    }
    proa_test_kill(test, 1);
    proa_test_restart(test, 1);
    proa_ns began = proa_test_now(test);
    struct proa_test_answer a = proa_test_ask(test, 2, to, ECHO, &number, 8, 5 * PROA_S);
    /* 200 us until the probe, a millisecond more, and the loop gap, which in virtual time is what
       passes between two steps of a lane that has nothing to do: a millisecond at the most. */
    proa_ns took = proa_test_now(test) - began;
    proa_test_expect_outcome(test, PROA_MAYBE_EXECUTED, a.outcome);
    proa_test_check(test, took < 2500 * PROA_US,
                    "the restart is noticed by the first timeout");
    proa_test_destroy(test);
}

static void restart__is_noticed_by_the_first_timeout(void **state)
{
    struct sim_seeds seeds = sim_seeds(20);

    (void)state;
    for (uint64_t i = 0; i < seeds.count; i++)
        one_restart(seeds.first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restart__is_noticed_by_the_first_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
