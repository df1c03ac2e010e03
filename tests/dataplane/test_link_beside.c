/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk beside small messages on one link: who waits for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

#define BIG 100000u /* bytes: 74 packets */

static void beside__a_small_message_goes_at_once_while_bulk_fills_the_window(void **state)
{
    struct link_net_config config = {.delay = 50 * PROA_US, .per_packet = PROA_US};
    struct scene *s = scene_open(&config);
    uint32_t type = 0;

    (void)state;
    for (int round = 0; round < 300; round++) {
        while (scene_tell_from(s, 5 + type % 4, 1, 1 << 18) == PROA_OK)
            type++;
        link_net_step(s->net, PROA_NS_NEVER);
    }
    uint32_t before = s->sent_count[0];
    assert_int_equal(scene_tell_from(s, 1, 777, 8), PROA_OK);
    link_flush(scene_link(s, 0), link_net_now(s->net));
    assert_true(s->sent_count[0] > before); /* a full window of bulk leaves it room */
    proa_ns began = link_net_now(s->net);
    uint32_t i = 0;
    while (s->entered[1][i].type != 777) {
        if (i + 1 < s->entered_count[1])
            i++;
        else
            assert_true(link_net_step(s->net, began + 10 * PROA_MS));
    }
    scene_close(s);
}

/* However much room there is, a flush ends after 16 bulk packets, and says that it wants to go on: what
   came in meanwhile, and small messages, wait for no more than these. */
static void beside__16_packets_of_bulk_then_others_have_their_turn(void **state)
{
    struct scene *s = scene_open(NULL);
    struct link *link = scene_link(s, 0);

    (void)state;
    assert_int_equal(scene_tell_from(s, 9, 1, BIG), PROA_OK);
    uint32_t before = scene_stats(s, 0).tx_packets;
    link_flush(link, link_net_now(s->net));
    assert_int_equal(scene_stats(s, 0).tx_packets - before, 16);
    assert_true(link_blocked(link));
    link_flush(link, link_net_now(s->net));
    assert_int_equal(scene_stats(s, 0).tx_packets - before, 16 + 16);
    assert_int_equal(scene_tell_from(s, 1, 777, 8), PROA_OK);
    link_flush(link, link_net_now(s->net));
    assert_int_equal(scene_stats(s, 0).tx_packets - before, 16 + 16 + 1 + 4);
    link_net_run(s->net, 10 * PROA_MS);
    assert_false(link_blocked(link));
    assert_int_equal(s->entered_count[1], 2);
    assert_int_equal(s->entered[1][0].type, 777);
    scene_close(s);
}

/* Where small messages go too a turn of bulk is 4 packets, the last of which asks for an ack at once. */
static void beside__4_packets_and_an_ack_where_small_ones_go(void **state)
{
    struct scene *s = scene_open(NULL);
    struct link *link = scene_link(s, 0);
    proa_ns now = link_net_now(s->net);

    (void)state;
    assert_int_equal(scene_tell_from(s, 1, 777, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 9, 1, BIG), PROA_OK);
    for (uint32_t turn = 1; turn <= 2; turn++) {
        link_flush(link, now);
        assert_int_equal(s->sent_count[0], 4 * turn + 1);
        assert_true(link_blocked(link));
    }
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(s->sent[0][i].flags & PACKET_PROBE,
                         i == 4 || i == 8 ? PACKET_PROBE : 0);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 2);
    scene_close(s);
}

/* Bulk as fast as it goes, and a small message each `each`, for so long.  Returns the most packets
   that were in flight. */
static uint64_t flood_beside(struct scene *s, proa_ns each, proa_ns span)
{
    proa_ns end = link_net_now(s->net) + span, next = link_net_now(s->net) + each;
    uint64_t most = 0;

    while (link_net_now(s->net) < end) {
        while (scene_tell_from(s, 9, 1, BIG) == PROA_OK)
            ;
        if (link_net_now(s->net) >= next) {
            assert_int_equal(scene_tell_from(s, 1, 777, 8), PROA_OK);
            next += each;
        }
        link_net_step(s->net, next < end ? next : end);
        struct link_stats stats = scene_stats(s, 0);
        most = stats.inflight > most ? stats.inflight : most;
    }
    return most;
}

/* A path that 201 packets fill: alone bulk keeps half as many again and 32 under way, which stand before
   the bottleneck; where small messages go it leaves them no queue, and is as fast. */
static void beside__bulk_keeps_the_path_full_and_no_queue(void **state)
{
    struct link_net_config config = {.delay = 100 * PROA_US, .per_packet = PROA_US};
    struct scene *s = scene_open(&config);

    (void)state;
    flood_beside(s, PROA_NS_NEVER / 2, 20 * PROA_MS);
    assert_true(flood_beside(s, PROA_NS_NEVER / 2, 5 * PROA_MS) > 270);
    flood_beside(s, PROA_MS, 5 * PROA_MS);
    uint64_t before = scene_stats(s, 0).tx_packets;
    assert_in_range(flood_beside(s, PROA_MS, 20 * PROA_MS), 201, 201 + 20 + 8 + 1);
    assert_in_range(scene_stats(s, 0).tx_packets - before, 19000, 20020);
    flood_beside(s, PROA_NS_NEVER / 2, 15 * PROA_MS); /* the small ones are forgotten */
    assert_true(flood_beside(s, PROA_NS_NEVER / 2, 5 * PROA_MS) > 270);
    scene_close(s);
}

/* Acks come late at times: a round takes longer than the least round trip, and what little is under way then
   makes it look slow.  That must not become what the path is taken for. */
static void beside__a_path_that_varies_is_not_taken_for_slow(void **state)
{
    struct link_net_config config = {
        .delay = 100 * PROA_US, .jitter = 100 * PROA_US, .per_packet = PROA_US};
    struct scene *s = scene_open(&config);

    (void)state;
    flood_beside(s, PROA_NS_NEVER / 2, 20 * PROA_MS);
    flood_beside(s, PROA_MS, 100 * PROA_MS);
    uint64_t before = scene_stats(s, 0).tx_packets;
    flood_beside(s, PROA_MS, 20 * PROA_MS);
    assert_true(scene_stats(s, 0).tx_packets - before > 8000);
    scene_close(s);
}

static void beside__bulk_moves_on_while_small_ones_never_end(void **state)
{
    struct link_net_config config = {.delay = PROA_US, .per_packet = 2 * PROA_US};
    struct scene *s = scene_open(&config);

    (void)state;
    assert_int_equal(scene_tell_from(s, 9, 1000000, BIG), PROA_OK);
    for (uint32_t round = 0; scene_stats(s, 1).bulk_rx == 0; round++) {
        assert_true(round < 20000);
        while (scene_tell_from(s, 1, 1, 1392) == PROA_OK)
            ;
        link_net_step(s->net, PROA_NS_NEVER);
    }
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            beside__a_small_message_goes_at_once_while_bulk_fills_the_window),
        cmocka_unit_test(beside__16_packets_of_bulk_then_others_have_their_turn),
        cmocka_unit_test(beside__4_packets_and_an_ack_where_small_ones_go),
        cmocka_unit_test(beside__bulk_keeps_the_path_full_and_no_queue),
        cmocka_unit_test(beside__a_path_that_varies_is_not_taken_for_slow),
        cmocka_unit_test(beside__bulk_moves_on_while_small_ones_never_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
