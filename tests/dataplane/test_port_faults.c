/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "addr.h"
#include "pool_plain.h"
#include "port_faults.h"
#include "port_ring.h"

#define PACKETS 4000
#define STEP PROA_US /* between packets sent */

/* Packets numbered 0.. go from a, through its layer, to b. */
struct pair {
    struct pkt_pool *pool;
    struct port *a, *b;
    proa_ns now;
    uint32_t sent, got;
    uint32_t numbers[2 * PACKETS]; /* as they arrived */
    proa_ns at[2 * PACKETS];
    uint8_t damaged[2 * PACKETS];
};

static struct pair *pair;

static void start(const struct proa_faults *faults)
{
    static struct pair memory;
    struct port_ring_args args = {
        .hub = "faults", .slots = 1024, .queues = 1, .pools = &memory.pool};
    char err[200];

    memset(&memory, 0, sizeof(memory));
    pair = &memory;
    pair->pool = pool_plain_create(3 * PACKETS, 0, 1500);
    pair->now = 1;
    pair->a =
        port_faults_wrap(port_ring_open(&args, err, sizeof(err)), faults, &pair->pool);
    pair->b = port_ring_open(&args, err, sizeof(err));
    assert_non_null(pair->a);
    assert_non_null(pair->b);
}

static void stop(void)
{
    port_close(pair->a);
    port_close(pair->b);
    assert_int_equal(pool_plain_in_use(pair->pool), 0);
    pool_plain_destroy(pair->pool);
}

static void receive(void)
{
    struct pkt *in[PORT_BURST];
    unsigned n;

    port_rx(pair->a, 0, in, 0, pair->now);
    while ((n = port_rx(pair->b, 0, in, PORT_BURST, pair->now)) > 0) {
        for (unsigned i = 0; i < n; i++) {
            uint32_t number;

            memcpy(&number, in[i]->data, 4);
            for (unsigned j = 4; j < in[i]->len; j++)
                pair->damaged[pair->got] |= in[i]->data[j] != 0x55;
            pair->at[pair->got] = pair->now;
            pair->numbers[pair->got++] = number;
            pkt_free(pair->pool, in[i]);
        }
    }
}

static void send_one(void)
{
    struct pkt *p = pkt_alloc(pair->pool, 0);

    assert_non_null(p);
    memset(p->data, 0x55, 100);
    memcpy(p->data, &pair->sent, 4);
    p->len = 100;
    p->source = 0;
    p->peer = pair->b->address;
    assert_int_equal(port_tx(pair->a, 0, &p, 1, pair->now), 1);
    pair->sent++;
}

static void run(void)
{
    while (pair->sent < PACKETS) {
        send_one();
        receive();
        pair->now += STEP;
    }
    while (port_deadline(pair->a, 0) != PROA_NS_NEVER) {
        pair->now = port_deadline(pair->a, 0);
        receive();
    }
}

static struct port_faults_stats stats(void)
{
    struct port_faults_stats s;

    port_faults_stats(pair->a, 0, &s);
    return s;
}

static void none__everything_passes_at_once_in_order(void **state)
{
    struct proa_faults faults = {0};

    (void)state;
    start(&faults);
    assert_false(port_faults_any(&faults));
    run();
    assert_int_equal(pair->got, PACKETS);
    for (uint32_t i = 0; i < PACKETS; i++) {
        assert_int_equal(pair->numbers[i], i);
        assert_int_equal(pair->at[i], 1 + i * STEP);
        assert_false(pair->damaged[i]);
    }
    stop();
}

static void loss__about_the_rate_and_the_rest_in_order(void **state)
{
    struct proa_faults faults = {.seed = 1, .loss = 50000};

    (void)state;
    start(&faults);
    run();
    assert_int_equal(stats().lost + pair->got, PACKETS);
    assert_in_range(stats().lost, PACKETS / 20 * 7 / 10, PACKETS / 20 * 13 / 10);
    for (uint32_t i = 1; i < pair->got; i++)
        assert_true(pair->numbers[i] > pair->numbers[i - 1]);
    stop();
}

static void loss__of_all_lets_nothing_through(void **state)
{
    struct proa_faults faults = {.loss = 1000000};

    (void)state;
    start(&faults);
    run();
    assert_int_equal(pair->got, 0);
    stop();
}

static void duplicate__each_copy_is_whole(void **state)
{
    struct proa_faults faults = {.seed = 2, .duplicate = 100000};

    (void)state;
    start(&faults);
    run();
    assert_int_equal(pair->got, PACKETS + stats().duplicated);
    assert_in_range(stats().duplicated, PACKETS / 10 * 7 / 10, PACKETS / 10 * 13 / 10);
    for (uint32_t i = 0; i < pair->got; i++)
        assert_false(pair->damaged[i]);
    stop();
}

static void reorder__overtaken_by_one_to_four_and_none_lost(void **state)
{
    struct proa_faults faults = {.seed = 3, .reorder = 100000};
    uint8_t seen[PACKETS] = {0};
    uint32_t late = 0, most = 0;

    (void)state;
    start(&faults);
    run();
    assert_int_equal(pair->got, PACKETS);
    for (uint32_t i = 0, highest = 0; i < pair->got; i++) {
        uint32_t number = pair->numbers[i];

        assert_false(seen[number]++);
        if (number < highest) {
            late++;
            most = highest - number > most ? highest - number : most;
        } else {
            highest = number;
        }
    }
    assert_true(late > 0 && late <= stats().reordered);
    assert_in_range(stats().reordered, PACKETS / 10 * 7 / 10, PACKETS / 10 * 13 / 10);
    assert_true(most <= 4 + PORT_FAULTS_HELD_MAX);
    stop();
}

static void reorder__the_last_packet_leaves_after_its_time(void **state)
{
    struct proa_faults faults = {.reorder = 1000000};

    (void)state;
    start(&faults);
    send_one();
    receive();
    assert_int_equal(pair->got, 0);
    assert_int_equal(port_deadline(pair->a, 0), 1 + 200 * PROA_US);
    pair->now = port_deadline(pair->a, 0);
    receive();
    assert_int_equal(pair->got, 1);
    stop();
}

static void delay__each_packet_is_late_by_it_and_jitter(void **state)
{
    struct proa_faults faults = {.seed = 4, .delay_us = 50, .jitter_us = 30};
    uint32_t spread = 0;

    (void)state;
    start(&faults);
    run();
    assert_int_equal(pair->got, PACKETS);
    for (uint32_t i = 0; i < pair->got; i++) {
        proa_ns late = pair->at[i] - (1 + pair->numbers[i] * STEP);

        /* receive() runs at the next packet's time, at most STEP after the due moment. */
        assert_in_range(late, 50 * PROA_US, 80 * PROA_US + STEP);
        spread += late > 60 * PROA_US && late < 70 * PROA_US;
    }
    assert_in_range(spread, PACKETS / 5, PACKETS / 2);
    stop();
}

static void corrupt__a_copy_is_damaged_never_the_held_packet(void **state)
{
    struct proa_faults faults = {.seed = 5, .corrupt = 1000000};
    struct pkt *p, *in;
    uint8_t before[100];

    (void)state;
    start(&faults);
    p = pkt_alloc(pair->pool, 0);
    memset(p->data, 0x55, 100);
    memcpy(before, p->data, 100);
    p->len = 100;
    p->source = 0;
    p->peer = pair->b->address;
    pkt_hold(pair->pool, p);
    port_tx(pair->a, 0, &p, 1, 1);
    assert_memory_equal(p->data, before, 100);
    assert_int_equal(port_rx(pair->b, 0, &in, 1, 1), 1);
    assert_memory_not_equal(in->data, before, 100);
    assert_int_equal(in->len, 100);
    pkt_free(pair->pool, p);
    pkt_free(pair->pool, in);
    stop();
}

static void all__same_seed_same_fate(void **state)
{
    struct proa_faults faults = {.seed = 6,
                                 .loss = 20000,
                                 .duplicate = 20000,
                                 .reorder = 20000,
                                 .corrupt = 20000,
                                 .delay_us = 3,
                                 .jitter_us = 9};
    static struct pair first;

    (void)state;
    start(&faults);
    run();
    first = *pair;
    stop();
    start(&faults);
    run();
    assert_int_equal(pair->got, first.got);
    assert_memory_equal(pair->numbers, first.numbers, sizeof(first.numbers));
    assert_memory_equal(pair->at, first.at, sizeof(first.at));
    stop();
    faults.seed = 7;
    start(&faults);
    run();
    assert_memory_not_equal(pair->numbers, first.numbers, sizeof(first.numbers));
    stop();
}

static bool odd_ones(void *ctx, const struct proa_addr *from, const struct proa_addr *to,
                     const struct pkt *p)
{
    assert_ptr_equal(ctx, pair);
    assert_true(addr_equal(from, &pair->a->address));
    assert_true(addr_equal(to, &pair->b->address));
    return p->data[0] % 2 != 0;
}

static void filter__drops_what_it_says_until_it_is_taken_away(void **state)
{
    struct proa_faults faults = {0};

    (void)state;
    start(&faults);
    port_faults_filter(pair->a, odd_ones, pair);
    for (unsigned i = 0; i < 10; i++)
        send_one();
    receive();
    assert_int_equal(pair->got, 5);
    assert_int_equal(stats().filtered, 5);
    port_faults_filter(pair->a, NULL, NULL);
    send_one();
    send_one();
    receive();
    assert_int_equal(pair->got, 7);
    stop();
}

static void overflow__too_many_under_way_are_lost_and_counted(void **state)
{
    struct proa_faults faults = {.delay_us = 1000000};

    (void)state;
    start(&faults);
    for (unsigned i = 0; i < PORT_FAULTS_PENDING_MAX + 10; i++)
        send_one();
    assert_int_equal(stats().overflow, 10);
    stop(); /* frees those that are under way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none__everything_passes_at_once_in_order),
        cmocka_unit_test(loss__about_the_rate_and_the_rest_in_order),
        cmocka_unit_test(loss__of_all_lets_nothing_through),
        cmocka_unit_test(duplicate__each_copy_is_whole),
        cmocka_unit_test(reorder__overtaken_by_one_to_four_and_none_lost),
        cmocka_unit_test(reorder__the_last_packet_leaves_after_its_time),
        cmocka_unit_test(delay__each_packet_is_late_by_it_and_jitter),
        cmocka_unit_test(corrupt__a_copy_is_damaged_never_the_held_packet),
        cmocka_unit_test(all__same_seed_same_fate),
        cmocka_unit_test(filter__drops_what_it_says_until_it_is_taken_away),
        cmocka_unit_test(overflow__too_many_under_way_are_lost_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
