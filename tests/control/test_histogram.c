/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "histogram.h"

static struct histogram h, g;

static void percentile__empty_is_zero(void **state)
{
    (void)state;
    histogram_reset(&h);
    assert_int_equal(histogram_percentile(&h, 500000), 0);
}

static void percentile__small_spans_are_exact(void **state)
{
    (void)state;
    histogram_reset(&h);
    for (proa_ns i = 1; i <= 100; i++)
        histogram_add(&h, i);
    assert_int_equal(histogram_percentile(&h, 0), 1);
    assert_int_equal(histogram_percentile(&h, 10000), 1);
    assert_int_equal(histogram_percentile(&h, 500000), 50);
    assert_int_equal(histogram_percentile(&h, 990000), 99);
    assert_int_equal(histogram_percentile(&h, 999000), 100);
    assert_int_equal(histogram_percentile(&h, 1000000), 100);
}

/* Every span is found again, at most 1/64 too high and never too low. */
static void add__error_is_below_one_part(void **state)
{
    (void)state;
    for (proa_ns span = 1; span < ((proa_ns)1 << 35); span += 1 + span / 37) {
        histogram_reset(&h);
        histogram_add(&h, span);
        histogram_add(&h, (proa_ns)1 << 40);
        proa_ns got = histogram_percentile(&h, 500000);
        assert_true(got >= span);
        assert_true(got - span <= span / HISTOGRAM_PARTS);
    }
}

static void add__longest_spans_do_not_leave_the_table(void **state)
{
    (void)state;
    histogram_reset(&h);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, ((proa_ns)1 << 35) - 1);
    histogram_add(&h, (proa_ns)1 << 35);
    assert_int_equal(h.count, 3);
    assert_true(histogram_percentile(&h, 1000000) == UINT64_MAX);
    assert_int_equal(h.buckets[HISTOGRAM_BUCKETS - 1], 3);
}

static void percentile__never_exceeds_the_largest(void **state)
{
    (void)state;
    histogram_reset(&h);
    histogram_add(&h, 1000001);
    assert_int_equal(histogram_percentile(&h, 500000), 1000001);
    assert_int_equal(h.least, 1000001);
}

static void percentile__rank_is_rounded_up(void **state)
{
    (void)state;
    histogram_reset(&h);
    histogram_add(&h, 1);
    histogram_add(&h, 2);
    histogram_add(&h, 3);
    assert_int_equal(histogram_percentile(&h, 333333), 1);
    assert_int_equal(histogram_percentile(&h, 333334), 2);
    assert_int_equal(histogram_percentile(&h, 666667), 3);
}

static void merge__is_as_if_all_were_added_to_one(void **state)
{
    static struct histogram all;

    (void)state;
    histogram_reset(&h);
    histogram_reset(&g);
    histogram_reset(&all);
    histogram_merge(&h, &g);
    assert_int_equal(h.count, 0);
    for (proa_ns i = 1; i < 100000; i += 7) {
        histogram_add(i % 2 == 0 ? &h : &g, i);
        histogram_add(&all, i);
    }
    histogram_merge(&h, &g);
    assert_memory_equal(&h, &all, sizeof(h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentile__empty_is_zero),
        cmocka_unit_test(percentile__small_spans_are_exact),
        cmocka_unit_test(add__error_is_below_one_part),
        cmocka_unit_test(add__longest_spans_do_not_leave_the_table),
        cmocka_unit_test(percentile__never_exceeds_the_largest),
        cmocka_unit_test(percentile__rank_is_rounded_up),
        cmocka_unit_test(merge__is_as_if_all_were_added_to_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
