/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watchdog.h"

static struct watchdog dog;
static struct watchdog_sight sight;
static struct proa_event event;
static proa_ns now;

static const struct proa_ref somebody = {7, 3, 9};

static int setup(void **state)
{
    (void)state;
    dog = (struct watchdog){0};
    sight = (struct watchdog_sight){.loops = 1, .type = PROA_EVENT_NO_TYPE};
    now = 1000 * PROA_S;
    return 0;
}

static bool look_after(proa_ns span)
{
    now += span;
    return watchdog_look(&dog, 2, &sight, now, &event);
}

static void look__lane_that_goes_round_is_no_news(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        sight.loops++;
        assert_false(look_after(WATCHDOG_EVERY));
    }
    sight.loops++;
    assert_false(look_after(PROA_S)); /* the watchdog itself was late */
}

static void look__stuck_is_said_once_and_its_end_too(void **state)
{
    (void)state;
    assert_false(look_after(0));
    sight.actor = somebody;
    sight.type = 5;
    assert_false(look_after(WATCHDOG_EVERY));
    assert_true(look_after(WATCHDOG_EVERY));
    assert_int_equal(event.kind, PROA_EVENT_LANE_STUCK);
    assert_int_equal(event.lane, 2);
    assert_true(proa_ref_equal(event.actor, somebody));
    assert_int_equal(event.type, 5);
    assert_int_equal(event.span, WATCHDOG_STUCK);
    for (unsigned i = 0; i < 10; i++)
        assert_false(look_after(WATCHDOG_EVERY));
    sight.loops++;
    assert_true(look_after(WATCHDOG_EVERY));
    assert_int_equal(event.kind, PROA_EVENT_LANE_FREE);
    assert_int_equal(event.lane, 2);
    assert_int_equal(event.span, WATCHDOG_STUCK + 11 * WATCHDOG_EVERY);
    sight.loops++;
    assert_false(look_after(WATCHDOG_EVERY));
    /* The next stall is news again. */
    assert_false(look_after(WATCHDOG_EVERY));
    assert_true(look_after(WATCHDOG_EVERY));
}

static void look__sleeping_is_not_stuck(void **state)
{
    (void)state;
    sight.sleeping = true;
    for (unsigned i = 0; i < 100; i++)
        assert_false(look_after(WATCHDOG_EVERY));
    sight.sleeping = false; /* it woke just now */
    assert_false(look_after(WATCHDOG_EVERY));
}

static void look__armed_but_in_a_handler_is_stuck(void **state)
{
    (void)state;
    assert_false(look_after(0));
    sight.sleeping = true;
    sight.actor = somebody;
    assert_true(look_after(WATCHDOG_STUCK));
    assert_int_equal(event.type, PROA_EVENT_NO_TYPE);
}

static void look__thread_that_does_not_run_has_no_actor(void **state)
{
    (void)state;
    assert_false(look_after(0));
    assert_true(look_after(WATCHDOG_STUCK));
    assert_true(proa_ref_is_none(event.actor));
}

static void look__lane_that_has_not_begun_is_not_stuck(void **state)
{
    (void)state;
    sight.loops = 0;
    assert_false(look_after(PROA_S));
    assert_false(look_after(PROA_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(look__lane_that_goes_round_is_no_news, setup),
        cmocka_unit_test_setup(look__stuck_is_said_once_and_its_end_too, setup),
        cmocka_unit_test_setup(look__sleeping_is_not_stuck, setup),
        cmocka_unit_test_setup(look__armed_but_in_a_handler_is_stuck, setup),
        cmocka_unit_test_setup(look__thread_that_does_not_run_has_no_actor, setup),
        cmocka_unit_test_setup(look__lane_that_has_not_begun_is_not_stuck, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
