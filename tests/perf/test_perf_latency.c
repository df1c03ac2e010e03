/* SPDX-License-Identifier: Apache-2.0 */
/* Three digits of every percentile are right, and a distribution ends with the last span. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf_latency.h"

#define SPANS 100000u

static int setup(void **state)
{
    *state = perf_latency_create();
    return *state == NULL;
}

static int teardown(void **state)
{
    perf_latency_destroy(*state);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    proa_ns x = *(const proa_ns *)a, y = *(const proa_ns *)b;

    return (x > y) - (x < y);
}

/* Exactly, or up to a thousandth more. */
static void assert_near(proa_ns told, proa_ns right)
{
    assert_true(told >= right);
    assert_true((double)(told - right) <= (double)right / 1000);
}

static void sum_up__nothing_is_all_zero(void **state)
{
    struct perf_trips trips;

    perf_latency_sum_up(*state, &trips);
    assert_int_equal(trips.count, 0);
    assert_int_equal(trips.p50, 0);
    assert_int_equal(trips.points, 0);
}

static void sum_up__one_span_is_every_percentile(void **state)
{
    struct perf_trips trips;

    perf_latency_add(*state, 1234567);
    perf_latency_sum_up(*state, &trips);
    assert_int_equal(trips.count, 1);
    assert_int_equal(trips.least, 1234567);
    assert_int_equal(trips.p50, 1234567); /* no more than the longest */
    assert_int_equal(trips.p9999, 1234567);
    assert_int_equal(trips.most, 1234567);
    assert_int_equal(trips.points, 1);
    assert_int_equal(trips.point[0].value, 1234567);
    assert_int_equal(trips.point[0].count, 1);
}

static void sum_up__short_spans_are_exact(void **state)
{
    struct perf_trips trips;

    for (proa_ns span = 1; span <= 2000; span++)
        perf_latency_add(*state, span);
    perf_latency_sum_up(*state, &trips);
    assert_int_equal(trips.p50, 1000);
    assert_int_equal(trips.p90, 1800);
    assert_int_equal(trips.p99, 1980);
    assert_int_equal(trips.p999, 1998);
    assert_true(fabs(trips.mean - 1000.5) < 1e-9);
}

static void sum_up__spans_without_end_count_as_the_longest(void **state)
{
    struct perf_trips trips;

    perf_latency_add(*state, UINT64_MAX);
    perf_latency_sum_up(*state, &trips);
    assert_int_equal(trips.most, ((proa_ns)1 << PERF_LATENCY_BITS) - 1);
    assert_int_equal(trips.p50, trips.most);
}

static void add__each_border_between_buckets_is_on_its_side(void **state)
{
    struct perf_trips trips;

    for (unsigned bit = 11; bit < PERF_LATENCY_BITS; bit++) {
        perf_latency_reset(*state);
        perf_latency_add(*state, ((proa_ns)1 << bit) - 1);
        perf_latency_add(*state, (proa_ns)1 << bit);
        perf_latency_sum_up(*state, &trips);
        assert_int_equal(trips.p50, ((proa_ns)1 << bit) - 1);
        assert_int_equal(trips.p99, (proa_ns)1 << bit);
    }
}

/* Spans of all magnitudes, against the same ones sorted. */
static void sum_up__percentiles_are_right_to_three_digits(void **state)
{
    proa_ns *spans = calloc(SPANS, sizeof(*spans));
    uint64_t seed = 20261122, random = seed;
    struct perf_trips trips;

    assert_non_null(spans);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < SPANS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        spans[i] = (random >> 29) >> (random % 34);
        perf_latency_add(*state, spans[i]);
    }
    qsort(spans, SPANS, sizeof(spans[0]), by_value);
    perf_latency_sum_up(*state, &trips);
    assert_int_equal(trips.count, SPANS);
    assert_int_equal(trips.least, spans[0]);
    assert_int_equal(trips.most, spans[SPANS - 1]);
    assert_near(trips.p50, spans[SPANS / 2 - 1]);
    assert_near(trips.p90, spans[SPANS / 10 * 9 - 1]);
    assert_near(trips.p99, spans[SPANS / 100 * 99 - 1]);
    assert_near(trips.p999, spans[SPANS / 1000 * 999 - 1]);
    assert_near(trips.p9999, spans[SPANS / 10000 * 9999 - 1]);
    for (uint32_t i = 0; i < trips.points; i++) {
        const struct perf_latency_point *point = &trips.point[i];

        assert_near(point->value, spans[point->count - 1]);
        assert_true(point->count == SPANS || spans[point->count] > point->value);
    }
    free(spans);
}

static void sum_up__a_distribution_ends_with_all(void **state)
{
    struct perf_trips trips;

    for (uint32_t i = 0; i < 3000000; i++)
        perf_latency_add(*state, 500 + i % 1000 + (i % 100000 == 0 ? i : 0));
    perf_latency_sum_up(*state, &trips);
    assert_in_range(trips.points, 20, PERF_LATENCY_POINTS - 1);
    assert_int_equal(trips.point[trips.points - 1].count, trips.count);
    assert_int_equal(trips.point[trips.points - 1].value, trips.most);
    for (uint32_t i = 1; i < trips.points; i++) {
        assert_true(trips.point[i].value > trips.point[i - 1].value);
        assert_true(trips.point[i].count > trips.point[i - 1].count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sum_up__nothing_is_all_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(sum_up__one_span_is_every_percentile, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sum_up__short_spans_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(sum_up__spans_without_end_count_as_the_longest,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(add__each_border_between_buckets_is_on_its_side,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(sum_up__percentiles_are_right_to_three_digits,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(sum_up__a_distribution_ends_with_all, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
