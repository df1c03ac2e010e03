/* SPDX-License-Identifier: Apache-2.0 */
/* How much may be in flight: the law of docs/wire.md, "Congestion", on paths whose figures are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "link_scene.h"

/* A path of one packet a microsecond and 201 us there and back: 201 packets fill it. */
#define RATE_GAP PROA_US
#define ONE_WAY (100 * PROA_US)
#define ROUND (201 * PROA_US)
#define LAW (201 + 201 / 2 + 32 + 32) /* rate x (1.5 x least round trip + 32 us) + 32 */
#define LUMP                                                                             \
    32 /* more: acks come for 16 packets, and the best of 8 rounds had one more of them */

static struct scene *path(proa_ns per_packet, proa_ns delay)
{
    struct link_net_config config = {.seed = 9, .per_packet = per_packet, .delay = delay};

    return scene_open(&config);
}

/* Sends as fast as the link takes it. */
static void busy_until(struct scene *s, proa_ns until)
{
    while (link_net_now(s->net) < until) {
        while (scene_tell(s, 0, 1, 1392) == PROA_OK)
            ;
        link_net_step(s->net, until);
        struct link_stats stats = scene_stats(s, 0);
        if (stats.inflight >
            stats.cwnd) /* only a window that has just shrunk is overfull */
            assert_true(stats.inflight <= LINK_WINDOW_MAX);
    }
}

static void busy(struct scene *s, proa_ns span)
{
    busy_until(s, link_net_now(s->net) + span);
}

/* Least and most of the window while span passes. */
struct range {
    uint64_t least, most;
};

static struct range busy_range(struct scene *s, proa_ns span)
{
    proa_ns end = link_net_now(s->net) + span;
    struct range r = {UINT64_MAX, 0};

    while (link_net_now(s->net) < end) {
        busy(s, 5 * PROA_US);
        uint64_t cwnd = scene_stats(s, 0).cwnd;
        r.least = cwnd < r.least ? cwnd : r.least;
        r.most = cwnd > r.most ? cwnd : r.most;
    }
    return r;
}

/* ---- Rate and round trip ---- */

static void law__one_and_a_half_products_32_us_and_32(void **state)
{
    struct scene *s = path(RATE_GAP, ONE_WAY);

    (void)state;
    busy(s, 20 * PROA_MS);
    struct range r = busy_range(s, 5 * PROA_MS);
    assert_in_range(r.least, LAW - 6, LAW + LUMP);
    assert_in_range(r.most, LAW - 6, LAW + LUMP);
    assert_in_range(scene_stats(s, 0).min_rtt_ns, ROUND,
                    ROUND + 20 * PROA_US); /* packets leave 16 at a time, as acks come */
    assert_int_equal(scene_stats(s, 0).inflight, scene_stats(s, 0).cwnd);
    scene_close(s);
}

static void law__start_is_64_and_doubles_while_the_rate_grows(void **state)
{
    struct scene *s = path(100, 500 * PROA_US); /* 10,000 packets would fill it */
    uint64_t seen[16] = {0};
    proa_ns at[16] = {0};
    uint32_t count = 0;

    (void)state;
    link_net_run(s->net, 5 * PROA_MS); /* the peer's first ack: its window is open */
    proa_ns began = link_net_now(s->net);
    seen[count] = scene_stats(s, 0).cwnd;
    at[count++] = began;
    while (link_net_now(s->net) < began + 8 * PROA_MS) {
        busy(s, 5 * PROA_US);
        uint64_t cwnd = scene_stats(s, 0).cwnd;
        if (cwnd != seen[count - 1]) {
            assert_true(count < 16);
            seen[count] = cwnd;
            at[count++] = link_net_now(s->net);
        }
    }
    assert_int_equal(count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(seen[i], 64ull << i);
        if (i > 0) /* once a round trip */
            assert_in_range(at[i] - at[i - 1], 950 * PROA_US, 1200 * PROA_US);
    }
    scene_close(s);
}

/* A window that doubled on the way to the path's rate and is not filled, because the lane may not
   keep so many packets (or its port takes no more), is brought back to the law. */
static void law__start_ends_when_something_else_is_the_limit(void **state)
{
    struct link_net_config config = {
        .seed = 9, .per_packet = RATE_GAP, .delay = ONE_WAY, .retained_max = 250};
    struct scene *s = scene_open(&config);

    (void)state;
    busy(s, 20 * PROA_MS);
    struct range r = busy_range(s, 5 * PROA_MS);
    assert_in_range(r.most, 250, LAW + LUMP);
    link_net_budget(s->net, 0)->retained_max = 8192;
    busy(s, 5 * PROA_MS);
    assert_in_range(scene_stats(s, 0).inflight, LAW - 6, LAW + LUMP);
    scene_close(s);
}

static void law__never_under_32(void **state)
{
    struct scene *s = path(PROA_MS, PROA_US); /* one packet would fill it */

    (void)state;
    busy(s, 500 * PROA_MS);
    struct range r = busy_range(s, 50 * PROA_MS);
    assert_in_range(r.least, 32, 36);
    scene_close(s);
}

static void law__the_best_rate_is_that_of_8_round_trips(void **state)
{
    struct scene *s = path(RATE_GAP, ONE_WAY);

    (void)state;
    busy(s, 20 * PROA_MS);
    link_net_faults(s->net)->per_packet =
        4 * RATE_GAP; /* a quarter of the rate from now on */
    /* What stands in the queue makes round trips of 1.3 ms. */
    busy(s, 6 * PROA_MS);
    assert_true(scene_stats(s, 0).cwnd > 250);
    busy(s, 20 * PROA_MS);
    struct range r = busy_range(s, 5 * PROA_MS);
    assert_in_range(r.least, LAW / 4, LAW / 4 + 32); /* 1.5 x 50 + 8 + 32 */
    assert_in_range(r.most, LAW / 4, LAW / 4 + 40);
    scene_close(s);
}

static void law__the_least_round_trip_is_that_of_10_seconds(void **state)
{
    struct scene *s = path(0, ONE_WAY);

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        scene_packets(s, 0, 1, 1);
        link_net_run(s->net, 100 * PROA_MS);
    }
    uint64_t before = scene_stats(s, 0).min_rtt_ns;
    assert_in_range(before, 2 * ONE_WAY, 2 * ONE_WAY + PROA_US);
    link_net_faults(s->net)->delay = 4 * ONE_WAY; /* another way through the network */
    for (uint32_t i = 0; i < 40; i++) {
        scene_packets(s, 0, 1, 1);
        link_net_run(s->net, 100 * PROA_MS);
    }
    assert_int_equal(scene_stats(s, 0).min_rtt_ns, before);
    for (uint32_t i = 0; i < 70; i++) {
        scene_packets(s, 0, 1, 1);
        link_net_run(s->net, 100 * PROA_MS);
    }
    assert_in_range(scene_stats(s, 0).min_rtt_ns, 8 * ONE_WAY, 8 * ONE_WAY + PROA_US);
    scene_close(s);
}

/* ---- Loss ---- */

static void loss__at_random_does_not_shrink_it(void **state)
{
    struct scene *s = path(RATE_GAP, ONE_WAY);
    uint64_t sum = 0;

    (void)state;
    link_net_faults(s->net)->loss = 100; /* 1 % */
    busy(s, 20 * PROA_MS);
    for (uint32_t i = 0; i < 500; i++) {
        busy(s, 100 * PROA_US);
        sum += scene_stats(s, 0).cwnd;
    }
    assert_true(scene_stats(s, 0).resends > 400);
    assert_true(sum / 500 > LAW * 95 / 100);
    scene_close(s);
}

/* One data packet in s->mark is lost, 0: none. */
static bool one_in_mark(struct scene *s, uint32_t side, struct packet_header *h,
                        uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA && s->mark > 0 &&
             h->seq % s->mark == 0 && h->attempt == 0);
}

static void loss__of_a_tenth_takes_a_twentieth_and_gives_it_back(void **state)
{
    struct scene *s = path(RATE_GAP, ONE_WAY);

    (void)state;
    s->filter = one_in_mark;
    busy(s, 20 * PROA_MS);
    uint64_t before = scene_stats(s, 0).cwnd;
    s->mark = 10;
    busy(s, 3 * ROUND); /* two or three rounds of the link's */
    s->mark = 0;
    struct range r = busy_range(s, 4 * ROUND);
    assert_in_range(r.least, before * 83 / 100, before * 95 / 100);
    busy(s, 20 * ROUND);
    assert_in_range(scene_stats(s, 0).cwnd, before * 98 / 100, before * 102 / 100);
    scene_close(s);
}

/* However much is lost, what is taken off leaves more than the path's own product. */
static void loss__takes_a_quarter_at_the_most(void **state)
{
    struct scene *s = path(RATE_GAP, ONE_WAY);

    (void)state;
    s->filter = one_in_mark;
    busy(s, 20 * PROA_MS);
    s->mark = 2;
    struct range r = busy_range(s, 6 * ROUND);
    assert_in_range(r.least, LAW * 73 / 100, (LAW + LUMP) * 76 / 100);
    scene_close(s);
}

/* ---- Not lost after all ---- */

static uint64_t average(struct scene *s)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < 300; i++) {
        busy(s, 100 * PROA_US);
        sum += scene_stats(s, 0).cwnd;
    }
    return sum / 300;
}

/* Packets that come a little late are taken for lost and sent again; when their first sending shows,
   the loss is taken back.  One in 7 would take 7 % off the window. */
static void spurious__loss_is_undone(void **state)
{
    struct scene *s = path(RATE_GAP, ONE_WAY);

    (void)state;
    busy(s, 20 * PROA_MS);
    uint64_t before = average(s);
    link_net_faults(s->net)->reorder = 1500;
    link_net_faults(s->net)->reorder_by = 30 * PROA_US;
    busy(s, 10 * PROA_MS);
    uint64_t after = average(s);
    printf("# window %llu, with packets that come late %llu, %llu needless resends\n",
           (unsigned long long)before, (unsigned long long)after,
           (unsigned long long)scene_stats(s, 0).spurious);
    assert_true(scene_stats(s, 0).spurious > 1000);
    /* Late packets make the measured path longer: a sixth more window, and hardly any with the loss believed. */
    assert_true(after > before * 110 / 100);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(law__one_and_a_half_products_32_us_and_32),
        cmocka_unit_test(law__start_is_64_and_doubles_while_the_rate_grows),
        cmocka_unit_test(law__start_ends_when_something_else_is_the_limit),
        cmocka_unit_test(law__never_under_32),
        cmocka_unit_test(law__the_best_rate_is_that_of_8_round_trips),
        cmocka_unit_test(law__the_least_round_trip_is_that_of_10_seconds),
        cmocka_unit_test(loss__at_random_does_not_shrink_it),
        cmocka_unit_test(loss__of_a_tenth_takes_a_twentieth_and_gives_it_back),
        cmocka_unit_test(loss__takes_a_quarter_at_the_most),
        cmocka_unit_test(spurious__loss_is_undone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
