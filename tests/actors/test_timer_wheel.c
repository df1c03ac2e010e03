/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <proa/actor.h>

#include "mix.h"
#include "timer_wheel.h"

#define TICK ((proa_ns)PROA_TIMER_TICK)
#define MANY 4000

static struct timer_wheel wheel;
static proa_ns now;

struct item {
    struct timer_entry entry; /* first, as in all users */
    proa_ns when;
    uint32_t fired;
};

static void fire(void *ctx, struct timer_entry *e)
{
    struct item *item = (struct item *)(void *)e;

    assert_false(timer_waiting(e));
    assert_true(item->when <= now);
    item->fired++;
    if (ctx != NULL)
        ++*(uint32_t *)ctx;
}

static void start(struct item *item, proa_ns when)
{
    item->when = when;
    timer_wheel_start(&wheel, &item->entry, 0, when);
}

/* Runs the wheel up to now, in calls of `budget`. */
static void advance_all(uint32_t budget)
{
    while (timer_wheel_due(&wheel, now))
        if (timer_wheel_advance(&wheel, now, budget, fire, NULL) < budget)
            break;
}

static void start__fires_once_not_before_and_within_a_tick(void **state)
{
    const proa_ns spans[] = {1,
                             TICK - 1,
                             TICK,
                             TICK + 1,
                             255 * TICK,
                             256 * TICK,
                             257 * TICK,
                             65535 * TICK,
                             65536 * TICK,
                             65537 * TICK,
                             3600 * PROA_S,
                             PROA_TIMER_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        struct item item = {0};

        now = 123456789 + i * 77777;
        timer_wheel_init(&wheel, now);
        start(&item, now + spans[i]);
        now = item.when - 1;
        advance_all(64);
        assert_int_equal(item.fired, 0);
        now = item.when + TICK;
        advance_all(64);
        assert_int_equal(item.fired, 1);
        assert_int_equal(wheel.count, 0);
        assert_true(timer_wheel_deadline(&wheel) == PROA_NS_NEVER);
    }
}

static void start__in_the_past_fires_at_the_next_tick(void **state)
{
    struct item item = {0};

    (void)state;
    now = 50 * TICK;
    timer_wheel_init(&wheel, now);
    start(&item, 0);
    advance_all(64);
    assert_int_equal(item.fired, 0);
    now += TICK;
    advance_all(64);
    assert_int_equal(item.fired, 1);
}

static void cancel__never_fires(void **state)
{
    struct item a = {0}, b = {0}, c = {0};

    (void)state;
    now = 0;
    timer_wheel_init(&wheel, now);
    start(&a, 10 * TICK);
    start(&b, 10 * TICK);
    start(&c, 10 * TICK);
    timer_wheel_cancel(&wheel, &b.entry);
    timer_wheel_cancel(&wheel, &b.entry); /* harmless */
    now = 20 * TICK;
    advance_all(64);
    assert_int_equal(a.fired + c.fired, 2);
    assert_int_equal(b.fired, 0);
    start(&b, 10000 * TICK);
    timer_wheel_cancel(&wheel, &b.entry);
    assert_true(timer_wheel_deadline(&wheel) == PROA_NS_NEVER);
}

static void deadline__is_never_late(void **state)
{
    struct item items[3] = {{{0}, 0, 0}};

    (void)state;
    now = 999;
    timer_wheel_init(&wheel, now);
    start(&items[0], 70000 * TICK);
    start(&items[1], 300 * TICK);
    start(&items[2], 5 * TICK);
    for (uint32_t step = 0; wheel.count > 0; step++) {
        proa_ns at = timer_wheel_deadline(&wheel);

        assert_true(step < 20); /* a few wakings for cascades, not one a tick */
        assert_true(at >= now);
        now = at;
        advance_all(64);
        for (uint32_t i = 0; i < 3; i++)
            assert_true(items[i].fired == (items[i].when <= now));
    }
}

static void advance__keeps_to_its_budget(void **state)
{
    struct item *items = calloc(MANY, sizeof(*items));
    uint32_t fired = 0, calls = 0, used;

    (void)state;
    now = 0;
    timer_wheel_init(&wheel, now);
    for (uint32_t i = 0; i < MANY; i++)
        start(&items[i], 300 * TICK + 5); /* level 1: cascaded, then fired */
    now = 400 * TICK;
    do {
        uint32_t before = fired;

        used = timer_wheel_advance(&wheel, now, 64, fire, &fired);
        assert_true(used <= 64);
        assert_true(fired - before <= 64);
        calls++;
        if (used == 64)
            assert_true(timer_wheel_deadline(&wheel) == 0 || wheel.count == 0);
    } while (used == 64);
    assert_int_equal(fired, MANY);
    assert_in_range(calls, 2 * MANY / 64, 2 * MANY / 64 + 2);
    free(items);
}

static void advance__cancel_and_start_of_what_is_being_worked_off(void **state)
{
    struct item items[100] = {{{0}, 0, 0}};
    uint32_t fired = 0;

    (void)state;
    now = 0;
    timer_wheel_init(&wheel, now);
    for (uint32_t i = 0; i < 100; i++)
        start(&items[i], 10 * TICK);
    now = 11 * TICK;
    assert_int_equal(timer_wheel_advance(&wheel, now, 10, fire, &fired), 10);
    for (uint32_t i = 0; i < 100; i++) {
        if (items[i].fired == 0)
            timer_wheel_cancel(&wheel, &items[i].entry);
        start(&items[i], 5 * TICK); /* past already */
    }
    advance_all(64);
    now += TICK;
    advance_all(64);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(items[i].fired >= 1);
    assert_int_equal(wheel.count, 0);
}

/* Random starts, cancels and leaps; every timer fires in its first chance, or never. */
static void random__each_fires_once_in_time(void **state)
{
    const uint64_t seed = 20240607;
    struct item *items = calloc(MANY, sizeof(*items));
    uint64_t r = seed;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    now = mix64(seed) >> 20;
    timer_wheel_init(&wheel, now);
    for (uint32_t step = 0; step < 200000; step++) {
        struct item *item = &items[(r = mix64(r)) % MANY];

        if (timer_waiting(&item->entry) && r >> 60 < 6) {
            timer_wheel_cancel(&wheel, &item->entry);
        } else if (!timer_waiting(&item->entry)) {
            item->fired = 0;
            start(item, now + (mix64(r + 1) >> (24 + (r >> 32) % 36)));
        }
        if (r >> 56 == 0) {
            now += mix64(r + 2) >> (26 + (r >> 40) % 30);
            advance_all((uint32_t)(r >> 20) % 63 + 1);
            for (uint32_t i = 0; i < MANY; i++) {
                if (timer_waiting(&items[i].entry))
                    assert_true(items[i].when + TICK > now);
                assert_true(items[i].fired <= 1);
            }
        }
    }
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__fires_once_not_before_and_within_a_tick),
        cmocka_unit_test(start__in_the_past_fires_at_the_next_tick),
        cmocka_unit_test(cancel__never_fires),
        cmocka_unit_test(deadline__is_never_late),
        cmocka_unit_test(advance__keeps_to_its_budget),
        cmocka_unit_test(advance__cancel_and_start_of_what_is_being_worked_off),
        cmocka_unit_test(random__each_fires_once_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
