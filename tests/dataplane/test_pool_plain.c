/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "pool_plain.h"

static void alloc__gives_aligned_zeroed_packets_with_headroom(void **state)
{
    struct pkt_pool *pool = pool_plain_create(4, 0, 1000);
    struct pkt *p[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        p[i] = pkt_alloc(pool, 0);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i]->data % 8, 0);
        assert_int_equal(p[i]->room, 1000);
        assert_int_equal(p[i]->len, 0);
        memset(p[i]->data - PKT_HEADROOM, (int)i + 1, PKT_HEADROOM + 1000);
    }
    for (unsigned i = 0; i < 4; i++) { /* none wrote into another */
        assert_int_equal(p[i]->data[-PKT_HEADROOM], i + 1);
        assert_int_equal(p[i]->data[999], i + 1);
        assert_int_equal(p[i]->room, 1000);
        pkt_free(pool, p[i]);
    }
    assert_int_equal(pool_plain_in_use(pool), 0);
    pool_plain_destroy(pool);
}

static void alloc__keeps_the_reserve_for_control(void **state)
{
    struct pkt_pool *pool = pool_plain_create(2, 1, 100);
    struct pkt *p[3];

    (void)state;
    p[0] = pkt_alloc(pool, 0);
    p[1] = pkt_alloc(pool, 0);
    assert_null(pkt_alloc(pool, 0));
    p[2] = pkt_alloc(pool, 1);
    assert_non_null(p[2]);
    assert_null(pkt_alloc(pool, 1));
    assert_int_equal(pool->dry, 2);
    assert_int_equal(pool->size, 3);
    for (unsigned i = 0; i < 3; i++)
        pkt_free(pool, p[i]);
    assert_int_equal(pool->in_use, 0);
    pool_plain_destroy(pool);
}

/* However many answers wait, acks leave. */
static void alloc__answers_take_half_of_the_reserve(void **state)
{
    struct pkt_pool *pool = pool_plain_create(2, 10, 100);
    struct pkt *p[12];
    unsigned n = 0;

    (void)state;
    for (; n < 7; n++) {
        p[n] = pkt_alloc(pool, PKT_ANSWER);
        assert_non_null(p[n]);
    }
    assert_null(pkt_alloc(pool, PKT_ANSWER));
    assert_null(pkt_alloc(pool, PKT_ORDINARY));
    for (; n < 12; n++) {
        p[n] = pkt_alloc(pool, PKT_CONTROL);
        assert_non_null(p[n]);
    }
    assert_null(pkt_alloc(pool, PKT_CONTROL));
    while (n-- > 0)
        pkt_free(pool, p[n]);
    pool_plain_destroy(pool);
}

static void hold__packet_lives_until_the_last_owner_frees_it(void **state)
{
    struct pkt_pool *pool = pool_plain_create(1, 0, 100);
    struct pkt *p = pkt_alloc(pool, 0);

    (void)state;
    pkt_hold(pool, p);
    pkt_free(pool, p);
    assert_null(pkt_alloc(pool, 0));
    pkt_free(pool, p);
    assert_ptr_equal(pkt_alloc(pool, 0), p);
    pool_plain_destroy(pool);
}

struct hand_over {
    struct pkt_pool *pool;
    struct pkt *pkts[64];
};

static void *free_all(void *arg)
{
    struct hand_over *h = arg;

    for (unsigned i = 0; i < 64; i++)
        pkt_free(h->pool, h->pkts[i]);
    return NULL;
}

static void free__from_another_thread_comes_back(void **state)
{
    struct hand_over h = {.pool = pool_plain_create(64, 0, 100)};
    pthread_t thread;

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 64; i++) {
            h.pkts[i] = pkt_alloc(h.pool, 0);
            assert_non_null(h.pkts[i]);
        }
        assert_int_equal(pthread_create(&thread, NULL, free_all, &h), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(pool_plain_in_use(h.pool), 0);
    assert_int_equal(h.pool->dry, 0);
    pool_plain_destroy(h.pool);
}

static void create__refuses_sizes_that_do_not_fit(void **state)
{
    (void)state;
    assert_null(pool_plain_create(UINT32_MAX, 1, 100));
    assert_null(pool_plain_create(1, 0, 65536));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc__gives_aligned_zeroed_packets_with_headroom),
        cmocka_unit_test(alloc__keeps_the_reserve_for_control),
        cmocka_unit_test(alloc__answers_take_half_of_the_reserve),
        cmocka_unit_test(hold__packet_lives_until_the_last_owner_frees_it),
        cmocka_unit_test(free__from_another_thread_comes_back),
        cmocka_unit_test(create__refuses_sizes_that_do_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
