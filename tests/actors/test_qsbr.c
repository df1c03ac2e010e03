/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "qsbr.h"

static struct qsbr *create(void)
{
    struct qsbr *q = aligned_alloc(PROA_CACHE_LINE, sizeof(*q));

    assert_non_null(q);
    qsbr_init(q);
    return q;
}

static void add__bounded_and_given_back(void **state)
{
    struct qsbr *q = create();

    (void)state;
    for (uint32_t i = 0; i < QSBR_READERS_MAX; i++)
        assert_int_equal(qsbr_add(q), i);
    assert_int_equal(qsbr_add(q), -1);
    qsbr_remove(q, 7);
    assert_int_equal(qsbr_add(q), 7);
    free(q);
}

static void oldest__offline_readers_hold_nothing_up(void **state)
{
    struct qsbr *q = create();
    int reader = qsbr_add(q);

    (void)state;
    assert_true(qsbr_oldest(q) == UINT64_MAX);
    qsbr_online(q, reader);
    uint64_t epoch = qsbr_advance(q);
    assert_true(qsbr_oldest(q) < epoch);
    qsbr_offline(q, reader);
    assert_true(qsbr_oldest(q) >= epoch);
    qsbr_online(q, reader);
    assert_true(qsbr_oldest(q) >= epoch); /* came after the unlinking */
    qsbr_advance(q);
    qsbr_remove(q, reader);
    assert_true(qsbr_oldest(q) == UINT64_MAX);
    free(q);
}

static void oldest__waits_for_the_slowest(void **state)
{
    struct qsbr *q = create();
    int a = qsbr_add(q), b = qsbr_add(q);

    (void)state;
    qsbr_online(q, a);
    qsbr_online(q, b);
    uint64_t epoch = qsbr_advance(q);
    qsbr_quiescent(q, a);
    assert_true(qsbr_oldest(q) < epoch);
    qsbr_quiescent(q, b);
    assert_true(qsbr_oldest(q) >= epoch);
    uint64_t later = qsbr_advance(q);
    assert_true(later > epoch);
    assert_true(qsbr_oldest(q) < later);
    free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__bounded_and_given_back),
        cmocka_unit_test(oldest__offline_readers_hold_nothing_up),
        cmocka_unit_test(oldest__waits_for_the_slowest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
