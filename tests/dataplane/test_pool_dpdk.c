/* SPDX-License-Identifier: Apache-2.0 */
/* Needs DPDK, but neither huge pages nor root.  Each case runs on lane 0's lcore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "dpdk_mbuf.h"
#include "dpdk_store.h"
#include "eal.h"
#include "pool_dpdk.h"

#define PACKETS 2048
#define RESERVE 16

static struct pkt_pool *pool;
static struct pkt *pkts[PACKETS + RESERVE + 1];

static int setup(void **state)
{
    struct eal_config config = {.pages = PROA_PAGES_NONE, .lanes = 1, .memory_mb = 64};
    char err[300];

    (void)state;
    if (eal_start(&config, err, sizeof(err)) != PROA_OK) {
        print_error("%s\n", err);
        return 1;
    }
    pool = pool_dpdk_create(0, PACKETS, RESERVE, 1500, err, sizeof(err));
    if (pool == NULL)
        print_error("%s\n", err);
    return pool == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pool_dpdk_destroy(pool);
    eal_stop();
    return 0;
}

/* A failed assertion must not jump off the lane's stack: cases on the lane count theirs. */
static unsigned wrong;

static void check(bool good)
{
    wrong += !good;
}

static void on_lane(void (*fn)(void *))
{
    wrong = 0;
    assert_true(eal_launch(0, fn, NULL));
    eal_join(0);
    assert_int_equal(wrong, 0);
    assert_int_equal(pool_dpdk_in_use(pool), 0);
}

static void all_packets(void *arg)
{
    uint64_t dry = pool->dry;

    (void)arg;
    for (unsigned i = 0; i < PACKETS; i++) {
        pkts[i] = pkt_alloc(pool, 0);
        check(pkts[i] != NULL && pkts[i]->room >= 1500 - 34 && pkts[i]->len == 0);
        check((uintptr_t)pkts[i]->data % 64 == 0);
        memset(pkts[i]->data - PKT_HEADROOM, 0xee, PKT_HEADROOM + pkts[i]->room);
        memcpy(pkts[i]->data, &i, sizeof(i));
    }
    check(pkt_alloc(pool, 0) == NULL);
    for (unsigned i = 0; i < RESERVE; i++) {
        bool answer = i < RESERVE / 2; /* they take half of it */

        if (i == RESERVE / 2)
            check(pkt_alloc(pool, PKT_ANSWER) == NULL);
        pkts[PACKETS + i] = pkt_alloc(pool, answer ? PKT_ANSWER : PKT_CONTROL);
        check(pkts[PACKETS + i] != NULL);
    }
    check(pkt_alloc(pool, PKT_CONTROL) == NULL);
    check(pool->dry == dry + 3);
    check(pool_dpdk_in_use(pool) == PACKETS + RESERVE);
    for (unsigned i = 0; i < PACKETS; i++) { /* no two share memory */
        unsigned number;

        memcpy(&number, pkts[i]->data, sizeof(number));
        check(number == i);
    }
    for (unsigned i = 0; i < PACKETS + RESERVE; i++)
        pkt_free(pool, pkts[i]);
}

static void alloc__all_are_there_then_the_reserve_then_none(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++)
        on_lane(all_packets);
}

/* What a device does with a packet it has sent. */
static void device_frees(struct pkt *p)
{
    rte_pktmbuf_free(mbuf_of_pkt(p));
}

static void hold_both_orders(void *arg)
{
    (void)arg;
    for (unsigned device_first = 0; device_first < 2; device_first++) {
        struct pkt *p = pkt_alloc(pool, 0);

        memset(p->data, 7, 100);
        pkt_hold(pool, p);
        check(rte_mbuf_refcnt_read(mbuf_of_pkt(p)) == 1); /* virtio's short way is open */
        if (device_first)
            device_frees(p);
        else
            pkt_free(pool, p);
        check(pool_dpdk_in_use(pool) == 1);
        check(p->data[99] == 7);
        if (device_first)
            pkt_free(pool, p);
        else
            device_frees(p);
        check(pool_dpdk_in_use(pool) == 0);
    }
}

static void hold__free_when_device_and_link_both_gave_it_up(void **state)
{
    (void)state;
    on_lane(hold_both_orders);
}

static void device_takes_and_gives(void *arg)
{
    struct rte_mbuf *mbufs[PACKETS];

    (void)arg;
    for (unsigned n = 1; n <= PACKETS; n = n * 3 + 1) {
        check(rte_pktmbuf_alloc_bulk(pool_dpdk_mempool(pool), mbufs, n) == 0);
        check(pool_dpdk_in_use(pool) == n);
        for (unsigned i = 0; i < n; i++)
            check(mbufs[i]->data_off == PKT_HEADROOM && pkt_of_mbuf(mbufs[i]) != NULL);
        rte_pktmbuf_free_bulk(mbufs, n);
        check(pool_dpdk_in_use(pool) == 0);
    }
    check(rte_pktmbuf_alloc_bulk(pool_dpdk_mempool(pool), mbufs, PACKETS) == 0);
    check(rte_pktmbuf_alloc(pool_dpdk_mempool(pool)) == NULL);
    rte_pktmbuf_free_bulk(mbufs, PACKETS);
}

static void device__takes_all_or_none(void **state)
{
    (void)state;
    on_lane(device_takes_and_gives);
}

static void take_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < PACKETS; i++)
        pkts[i] = pkt_alloc(pool, 0);
}

static void take_and_give_many(void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < 200; round++) {
        unsigned n = 0;

        while (n < PACKETS / 4 && (pkts[n] = pkt_alloc(pool, 0)) != NULL)
            n++;
        while (n > 0)
            pkt_free(pool, pkts[--n]);
    }
}

static void other_thread__gives_back_what_the_lane_took(void **state)
{
    (void)state;
    wrong = 0;
    assert_true(eal_launch(0, take_many, NULL));
    eal_join(0);
    for (unsigned i = 0; i < PACKETS; i++)
        pkt_free(pool, pkts[i]); /* on this thread, which is no lane */
    on_lane(all_packets);
}

static void other_thread__fills_a_device_while_the_lane_works(void **state)
{
    struct rte_mbuf *mbufs[512];

    (void)state;
    assert_true(eal_launch(0, take_and_give_many, NULL));
    for (unsigned round = 0; round < 200; round++) {
        if (rte_pktmbuf_alloc_bulk(pool_dpdk_mempool(pool), mbufs, 512) == 0)
            rte_pktmbuf_free_bulk(mbufs, 512);
    }
    eal_join(0);
    on_lane(all_packets);
}

static void create__sizes_and_errors(void **state)
{
    char err[300] = "";

    (void)state;
    assert_true(pool_dpdk_mtu(pool) >= 1500);
    assert_null(pool_dpdk_create(0, 1u << 20, 0, 9000, err, sizeof(err)));
    assert_non_null(strstr(err, "raise `memory_mb`"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc__all_are_there_then_the_reserve_then_none),
        cmocka_unit_test(hold__free_when_device_and_link_both_gave_it_up),
        cmocka_unit_test(device__takes_all_or_none),
        cmocka_unit_test(other_thread__gives_back_what_the_lane_took),
        cmocka_unit_test(other_thread__fills_a_device_while_the_lane_works),
        cmocka_unit_test(create__sizes_and_errors),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
