/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"

/* A counter and a kernel's clock that stand where the test puts them. */
static uint64_t counter;
static proa_ns kernel;
static unsigned looks;
static uint64_t look_takes; /* ticks */

static uint64_t ticks(void)
{
    return counter;
}

static proa_ns truth(void)
{
    looks++;
    counter += look_takes;
    return kernel;
}

static const struct clock_source source = {ticks, truth};

/* Time passes: ns for the kernel, and as much for a counter of 2.5 GHz. */
static void pass(proa_ns ns)
{
    kernel += ns;
    counter += ns * 5 / 2;
}

static proa_ns read_now(struct clock *c)
{
    return clock_read(c, &source, counter);
}

static void start(struct clock *c)
{
    memset(c, 0, sizeof(*c));
    counter = UINT64_MAX - 1000000; /* it wraps on the way */
    kernel = 5 * PROA_S;
    looks = 0;
    look_takes = 50;
}

/* After that it knows how fast the counter goes. */
static void warm(struct clock *c)
{
    start(c);
    for (unsigned i = 0; i < 30000; i++) {
        read_now(c);
        pass(10 * PROA_US);
    }
    read_now(c);
    looks = 0;
}

static void first__is_the_kernels(void **state)
{
    struct clock c;

    (void)state;
    start(&c);
    assert_int_equal(read_now(&c), kernel);
    pass(100);
    assert_int_equal(read_now(&c), kernel); /* no scale yet: asks again */
    assert_int_equal(looks, 2);
}

static void between__looks_seldom_and_follows(void **state)
{
    struct clock c;

    (void)state;
    warm(&c);
    for (unsigned i = 0; i < 100000; i++) { /* 10 ms */
        pass(100);
        proa_ns now = read_now(&c);
        assert_in_range(now, kernel - 200, kernel + 200);
    }
    assert_in_range(looks, 9, 11);
}

static void never__goes_back(void **state)
{
    struct clock c;
    proa_ns last = 0;

    (void)state;
    warm(&c);
    for (unsigned i = 0; i < 20000; i++) {
        pass(5000);
        if (i % 700 == 0)
            counter += 900000; /* too far: 360 us */
        if (i % 900 == 0)
            counter -= 700000;
        proa_ns now = read_now(&c);
        assert_true(now >= last);
        last = now;
    }
    /* What a jump made of it is gone when the kernel's clock has come there. */
    for (unsigned i = 0; i < 3000; i++) {
        pass(PROA_US);
        read_now(&c);
    }
    assert_in_range(read_now(&c), kernel - 20 * PROA_US, kernel + 20 * PROA_US);
}

static void jump__of_the_counter_is_not_believed(void **state)
{
    struct clock c;

    (void)state;
    warm(&c);
    counter += UINT64_C(1) << 50;
    assert_int_equal(read_now(&c), kernel);
    pass(100);
    assert_in_range(read_now(&c), kernel - 200, kernel + 200);
    counter -= UINT64_C(1) << 51;
    assert_int_equal(read_now(&c), kernel);
}

static void sleep__ends_at_the_kernels_time(void **state)
{
    struct clock c;

    (void)state;
    warm(&c);
    kernel += 3 * PROA_S;
    counter += 1000; /* it stood still meanwhile */
    pass(2 * CLOCK_TRUST);
    assert_int_equal(read_now(&c), kernel);
    pass(5 * PROA_S);
    assert_int_equal(read_now(&c), kernel);
}

/* The kernel slews: its second is 500 millionths longer than the counter's. */
static void slew__is_followed(void **state)
{
    struct clock c;

    (void)state;
    warm(&c);
    for (unsigned i = 0; i < 200000; i++) { /* 4 s */
        kernel += 20010;
        counter += 50000;
        proa_ns now = read_now(&c);
        assert_in_range(now, kernel - PROA_US, kernel + PROA_US);
    }
}

/* A reading during which the thread was away says nothing of the counter. */
static void interrupted__is_told_but_not_built_upon(void **state)
{
    struct clock c;

    (void)state;
    warm(&c);
    pass(2 * CLOCK_TRUST);
    look_takes = 100000;
    assert_int_equal(read_now(&c), kernel);
    assert_int_equal(looks, 3);
    look_takes = 50;
    pass(100);
    assert_int_equal(read_now(&c), kernel);
    assert_int_equal(looks, 4);
}

static void real__goes_with_the_kernels(void **state)
{
    proa_ns last = 0;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        proa_ns now = clock_ns();

        assert_true(now >= last && now > 0);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first__is_the_kernels),
        cmocka_unit_test(between__looks_seldom_and_follows),
        cmocka_unit_test(never__goes_back),
        cmocka_unit_test(jump__of_the_counter_is_not_believed),
        cmocka_unit_test(sleep__ends_at_the_kernels_time),
        cmocka_unit_test(slew__is_followed),
        cmocka_unit_test(interrupted__is_told_but_not_built_upon),
        cmocka_unit_test(real__goes_with_the_kernels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
