/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "link_scene.h"

static void assert_all_in_order(const struct scene *s, uint32_t count)
{
    assert_int_equal(s->entered_count[1], count);
    for (uint32_t i = 0; i < count && i < SCENE_MAX; i++)
        assert_int_equal(s->entered[1][i].type, i + 1);
}

/* ---- What is lost, and when ---- */

static bool lose_seq_2_once(struct scene *s, uint32_t side, struct packet_header *h,
                            uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA && h->seq == 2 && h->attempt == 0);
}

static void loss__three_later_ones_make_it_lost_without_a_timer(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = lose_seq_2_once;
    scene_packets(s, 0, 1, 30);
    proa_ns began = link_net_now(s->net);
    while (s->entered_count[1] < 30 && link_net_step(s->net, began + PROA_MS))
        ;
    assert_all_in_order(s, 30);
    assert_true(link_net_now(s->net) - began < 30 * PROA_US);
    assert_int_equal(scene_stats(s, 0).resends, 1);
    assert_int_equal(scene_stats(s, 0).rto, 0);
    assert_int_equal(scene_stats(s, 0).probes, 0);
    scene_close(s);
}

/* Two later ones only: time decides, 1.25 round trips after it was sent. */
static void loss__fewer_later_ones_wait_for_the_reorder_time(void **state)
{
    struct link_net_config config = {.delay = 500 * PROA_US};
    struct scene *s = scene_open(&config);

    (void)state;
    link_net_run(s->net, 5 * PROA_MS);
    scene_packets(s, 0, 1, 2); /* a round trip to measure */
    link_net_run(s->net, 5 * PROA_MS);
    s->filter = lose_seq_2_once;
    scene_packets(s, 0, 3, 3);
    proa_ns began = link_net_now(s->net);
    link_net_run(s->net, 5 * PROA_MS);
    assert_all_in_order(s, 5);
    assert_int_equal(scene_stats(s, 0).resends, 1);
    for (uint32_t i = 0; i < s->sent_count[0]; i++) {
        if (s->sent[0][i].attempt == 1)
            assert_in_range(s->sent_at[0][i] - began, 1200 * PROA_US, 1400 * PROA_US);
    }
    scene_close(s);
}

static bool lose_first_tries(struct scene *s, uint32_t side, struct packet_header *h,
                             uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA && h->seq >= s->mark && h->attempt == 0);
}

static void loss__a_lost_tail_is_probed(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    scene_packets(s, 0, 1, 4);
    link_net_run(s->net, PROA_MS);
    s->mark = 7;
    s->filter = lose_first_tries;
    scene_packets(s, 0, 5, 4); /* 4..7, of which the last is lost */
    proa_ns began = link_net_now(s->net);
    link_net_run(s->net, 700 * PROA_US);
    assert_all_in_order(s, 8);
    const struct packet_header *last = &s->sent[0][s->sent_count[0] - 1];
    assert_int_equal(last->seq, 7);
    assert_int_equal(last->attempt, 1);
    assert_int_equal(last->flags & PACKET_PROBE, PACKET_PROBE);
    assert_in_range(s->sent_at[0][s->sent_count[0] - 1] - began, 200 * PROA_US,
                    250 * PROA_US);
    assert_int_equal(scene_stats(s, 0).probes, 1);
    assert_int_equal(scene_stats(s, 0).rto, 0);
    scene_close(s);
}

static void loss__a_whole_flight_comes_back_without_waiting_for_each(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->mark = 0;
    s->filter = lose_first_tries;
    scene_packets(s, 0, 1, 64);
    link_net_run(s->net, 20 * PROA_MS);
    assert_all_in_order(s, 64);
    assert_in_range(scene_stats(s, 0).resends, 64, 70);
    assert_true(scene_stats(s, 0).rto <= 2);
    scene_close(s);
}

static void loss__the_first_timeout_pings_from_the_third_only_pings(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    scene_packets(s, 0, 1, 1);
    link_net_run(s->net, PROA_MS);
    uint32_t data = scene_sent(s, 0, PACKET_DATA), acks = scene_sent(s, 0, PACKET_ACK);
    link_net_faults(s->net)->loss = 10000;
    scene_packets(s, 0, 2, 1);
    link_net_run(s->net, 500 * PROA_MS);
    /* The packet, its probe, two resends; then only pings, and the bare acks beside them. */
    assert_int_equal(scene_sent(s, 0, PACKET_DATA), data + 4);
    assert_in_range(scene_sent(s, 0, PACKET_ACK) - acks, 2,
                    link_net_pings(s->net, 0, 0) - 1);
    assert_true(scene_stats(s, 0).rto >= 5);
    assert_true(link_net_pings(s->net, 0, 0) >= scene_stats(s, 0).rto - 1);
    link_net_faults(s->net)->loss = 0;
    link_net_run(s->net, 300 * PROA_MS);
    assert_all_in_order(s, 2);
    scene_close(s);
}

static void loss__the_loop_gap_lengthens_the_timer(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    scene_packets(s, 0, 1, 1);
    link_net_run(s->net, PROA_MS);
    link_net_faults(s->net)->loss = 10000;
    link_peer_loop_gap(scene_link(s, 0), 10 * PROA_MS);
    link_loop_gap(scene_link(s, 0), 30 * PROA_MS);
    scene_packets(s, 0, 2, 1);
    link_net_run(s->net, 30 * PROA_MS);
    assert_int_equal(scene_stats(s, 0).rto, 0);
    link_net_run(s->net, 3 * PROA_MS);
    assert_int_equal(scene_stats(s, 0).rto, 1);
    scene_close(s);
}

/* ---- Many at once behind a gap ---- */

static bool lose_seq_2_while_marked(struct scene *s, uint32_t side,
                                    struct packet_header *h, uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA && h->seq == 2 && s->mark);
}

static void gap__closed_is_acked_at_once_and_delivered_packet_by_packet(void **state)
{
    struct link_net_config config = {.pause = 10000}; /* a packet each step */
    struct scene *s = scene_open(&config);

    (void)state;
    s->filter = lose_seq_2_while_marked;
    s->mark = true;
    scene_packets(s, 0, 1, 60);
    link_net_run(s->net, 20 * PROA_US);
    assert_int_equal(s->entered_count[1], 2);
    s->mark = false;
    while (s->entered_count[1] == 2)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    assert_int_equal(s->entered_count[1], 4); /* the one that was missing, and one more */
    while (scene_stats(s, 0).inflight > 0) {
        uint32_t before = s->entered_count[1];

        assert_true(link_net_step(s->net, PROA_NS_NEVER));
        assert_in_range(s->entered_count[1], before, before + 1);
    }
    assert_in_range(s->entered_count[1], 5, 50); /* acked all the same */
    link_net_run(s->net, PROA_MS);
    assert_all_in_order(s, 60);
    scene_close(s);
}

static void gap__what_waits_is_delivered_before_the_link_ends(void **state)
{
    struct link_net_config config = {.pause = 10000};
    struct scene *s = scene_open(&config);

    (void)state;
    s->filter = lose_seq_2_while_marked;
    s->mark = true;
    scene_packets(s, 0, 1, 60);
    link_net_run(s->net, 20 * PROA_US);
    s->mark = false;
    while (scene_stats(s, 0).inflight > 0)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    assert_in_range(s->entered_count[1], 5, 50);
    link_net_kill(s->net, 0, 1);
    assert_all_in_order(s, 60);
    scene_close(s);
}

/* ---- Beyond the description ---- */

/* ACKs lose their bitmap: only the 64 of the header are described. */
static bool short_sight(struct scene *s, uint32_t side, struct packet_header *h,
                        uint8_t *data, uint16_t *len)
{
    (void)data;
    if (side == 1 && h->kind == PACKET_ACK)
        *len = PACKET_HEADER_LEN;
    return !(side == 0 && h->kind == PACKET_DATA && h->seq == s->mark && h->attempt == 0);
}

static void fill(struct scene *s, uint32_t *type, uint32_t until)
{
    while (*type < until && scene_tell(s, 0, *type + 1, 1392) == PROA_OK)
        ++*type;
}

static void loss__nothing_is_lost_beyond_the_described_range(void **state)
{
    struct link_net_config config = {.delay = 100 * PROA_US, .per_packet = 500};
    struct scene *s = scene_open(&config);
    uint32_t type = 0;

    (void)state;
    s->mark = 1500;
    s->filter = short_sight;
    while (s->entered_count[1] < 3000) {
        fill(s, &type, 3000);
        assert_true(link_net_step(s->net, 10 * PROA_S));
    }
    link_net_run(s->net, 10 * PROA_MS);
    assert_all_in_order(s, 3000);
    assert_true(scene_stats(s, 0).cwnd > 200); /* far more in flight than described */
    assert_int_equal(scene_stats(s, 0).resends, 1);
    scene_close(s);
}

/* ---- Resends that were not needed ---- */

static uint8_t late[PACKET_LEN_MAX];
static uint16_t late_len;

static bool delay_seq_2(struct scene *s, uint32_t side, struct packet_header *h,
                        uint8_t *data, uint16_t *len)
{
    (void)s;
    if (side != 0 || h->kind != PACKET_DATA || h->seq != 2)
        return true;
    if (h->attempt > 0)
        return false; /* the resend is on a slow way; the first sending comes first */
    memcpy(late, data, *len);
    late_len = *len;
    return false;
}

static void spurious__is_recognised_by_the_attempt_echoed(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = delay_seq_2;
    scene_packets(s, 0, 1, 30);
    while (scene_stats(s, 0).resends == 0)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    link_net_inject(s->net, 0, 1, late, late_len);
    link_net_run(s->net, 100 * PROA_US);
    assert_all_in_order(s, 30);
    assert_int_equal(scene_stats(s, 0).spurious, 1);
    assert_int_equal(scene_stats(s, 0).resends, 1);
    scene_close(s);
}

/* The peer was not scheduled for 20 ms, and then takes one packet after another.  The timer has
   sent the first one again, behind all others; its first sending arrives and is acked.  What
   lies between the two is not late because of that. */
static void spurious__a_needless_resend_makes_nothing_else_lost(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    scene_packets(s, 0, 1, 20); /* a short round trip to go by */
    link_net_run(s->net, 5 * PROA_MS);
    assert_int_equal(scene_stats(s, 0).resends, 0);
    link_net_faults(s->net)->delay = 20 * PROA_MS;
    link_net_faults(s->net)->per_packet = 100 * PROA_US;
    link_net_faults(s->net)->queue = 1000;
    scene_packets(s, 0, 21, 50);
    link_net_run(s->net, 200 * PROA_MS);
    assert_all_in_order(s, 70);
    assert_true(scene_stats(s, 0).rto >= 1);
    /* A probe, and what the timer itself sends again. */
    assert_in_range(scene_stats(s, 0).resends, 1, 3);
    scene_close(s);
}

static void retained__packets_are_copied_not_rewritten(void **state)
{
    struct link_net_config config = {.loss = 2000, .delay = 10 * PROA_US};
    struct scene *s = scene_open(&config);
    uint32_t type = 0;

    (void)state;
    while (s->entered_count[1] < 2000) { /* the pool checks every sealed packet */
        fill(s, &type, 2000);
        link_net_step(s->net, PROA_NS_NEVER);
    }
    assert_all_in_order(s, 2000);
    assert_true(scene_stats(s, 0).resends > 200);
    scene_close(s);
}

/* ---- Stuck ---- */

static bool lose_seq_5(struct scene *s, uint32_t side, struct packet_header *h,
                       uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    if (side == 0 && h->kind == PACKET_DATA && h->seq == 5) {
        s->mark++;
        return false;
    }
    return true;
}

static void stuck__one_packet_that_never_passes_ends_the_link(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = lose_seq_5;
    scene_packets(s, 0, 1, 10);
    proa_ns until = link_net_now(s->net) + 10 * PROA_S;
    while (!link_net_dead(s->net, 0, 0) && link_net_step(s->net, until))
        ;
    assert_true(link_net_dead(s->net, 0, 0));
    assert_int_equal(link_dead_reason(scene_link(s, 0)), LINK_DEAD_STUCK);
    assert_int_equal(s->mark, 1 + PACKET_ATTEMPT_MAX);
    assert_all_in_order(s, 5);
    link_net_kill(s->net, 0, 0);
    assert_int_equal(s->lost_count[0], 5);
    assert_int_equal(s->lost[0][0].type, 6);
    scene_close(s);
}

static bool lose_large(struct scene *s, uint32_t side, struct packet_header *h,
                       uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)h;
    (void)data;
    return !(side == 0 && *len > 1000);
}

static void stuck__a_path_that_passes_only_pings_is_noticed(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = lose_large;
    scene_packets(s, 0, 1, 10);
    proa_ns until = link_net_now(s->net) + 10 * PROA_S;
    while (!link_net_dead(s->net, 0, 0) && link_net_step(s->net, until))
        ;
    assert_true(link_net_dead(s->net, 0, 0));
    assert_int_equal(link_dead_reason(scene_link(s, 0)), LINK_DEAD_STUCK);
    scene_close(s);
}

/* ---- Window ---- */

/* The peer's window never opens further than at the start. */
static bool shut_window(struct scene *s, uint32_t side, struct packet_header *h,
                        uint8_t *data, uint16_t *len)
{
    (void)len;
    if (side == 1 && s->mark == 0) {
        uint32_t left = LINK_WINDOW_INITIAL - h->ack;
        proa_put_le16(data + PACKET_AT_WINDOW, (uint16_t)left);
    }
    return true;
}

static void window__zero_is_asked_about_until_it_opens(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = shut_window;
    scene_packets(s, 0, 1, 64);
    link_net_run(s->net, PROA_MS);
    scene_packets(s, 0, 65, 10);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->entered_count[1], 64);
    assert_int_equal(scene_stats(s, 0).window, 0);
    assert_in_range(link_net_pings(s->net, 0, 0), 3, 8); /* 1, 2, 4, 8 ms */
    assert_int_equal(link_net_last_ping(s->net, 0, 0), LINK_PING_PROBE);
    s->mark = 1;
    link_net_run(s->net, 50 * PROA_MS);
    assert_all_in_order(s, 74);
    scene_close(s);
}

/* ---- Throughput ---- */

/* Packets a second of full packets through a bottleneck of 1 us a packet. */
static double rate_at(uint32_t loss, proa_ns delay, uint32_t queue)
{
    struct link_net_config config = {
        .seed = 3, .delay = delay, .per_packet = PROA_US, .queue = queue, .loss = loss};
    struct scene *s = scene_open(&config);
    uint32_t type = 0, count = 60000;

    while (s->entered_count[1] < count) {
        fill(s, &type, count);
        assert_true(link_net_step(s->net, 100 * PROA_S));
    }
    double rate = (double)count / (double)(link_net_now(s->net) - PROA_S) * 1e9;
    printf("# loss %u of 10,000, delay %llu ns, queue %u: %.0f packets/s, %llu resends, "
           "cwnd %llu\n",
           loss, (unsigned long long)delay, queue, rate,
           (unsigned long long)scene_stats(s, 0).resends,
           (unsigned long long)scene_stats(s, 0).cwnd);
    scene_close(s);
    return rate;
}

static void rate__random_loss_costs_little(void **state)
{
    (void)state;
    double clean = rate_at(0, 50 * PROA_US, 0);

    assert_true(clean > 0.9e6);
    assert_true(rate_at(100, 50 * PROA_US, 0) > 0.92 * clean);
    assert_true(rate_at(500, 50 * PROA_US, 0) > 0.7 * clean);
}

static void rate__a_full_queue_is_shared_not_flooded(void **state)
{
    (void)state;
    /* 200 in flight fill the path; the queue holds 60 more. */
    assert_true(rate_at(0, 100 * PROA_US, 60) > 0.85e6);
}

static void rate__congestion_marks_shrink_the_window(void **state)
{
    uint64_t cwnd[2];

    (void)state;
    for (int marked = 0; marked < 2; marked++) {
        struct link_net_config config = {
            .delay = 100 * PROA_US, .per_packet = PROA_US, .mark = marked ? 10000 : 0};
        struct scene *s = scene_open(&config);
        uint32_t type = 0;
        while (s->entered_count[1] < 20000) {
            fill(s, &type, 20000);
            assert_true(link_net_step(s->net, 100 * PROA_S));
        }
        cwnd[marked] = scene_stats(s, 0).cwnd;
        assert_int_equal(scene_stats(s, 0).resends, 0);
        scene_close(s);
    }
    assert_true(cwnd[1] < cwnd[0] * 8 / 10);
    assert_true(cwnd[1] > cwnd[0] / 2);
}

/* ---- A million messages ---- */

static void many__a_million_messages_over_a_bad_network(void **state)
{
    struct link_net_config config = {.seed = 11,
                                     .delay = 20 * PROA_US,
                                     .loss = 500,
                                     .duplicate = 200,
                                     .reorder = 500,
                                     .reorder_by = 40 * PROA_US,
                                     .seq = (uint32_t)-1000};
    struct scene *s = scene_open(&config);
    struct proa_msg msg = scene_msg(0, 1, 2, 0, 32);
    const uint32_t count = 1000000;

    (void)state;
    while (s->entered_count[1] < count) {
        while (msg.type < count) {
            msg.type++;
            if (link_send(scene_link(s, 0), &msg, link_net_now(s->net)) == PROA_OK)
                continue;
            msg.type--;
            break;
        }
        assert_true(link_net_step(s->net, 1000 * PROA_S));
    }
    assert_all_in_order(s, count);
    printf("# %.3f s of virtual time, %llu resends of %llu packets, %llu spurious\n",
           (double)(link_net_now(s->net) - PROA_S) / 1e9,
           (unsigned long long)scene_stats(s, 0).resends,
           (unsigned long long)scene_stats(s, 0).tx_packets,
           (unsigned long long)scene_stats(s, 0).spurious);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss__three_later_ones_make_it_lost_without_a_timer),
        cmocka_unit_test(loss__fewer_later_ones_wait_for_the_reorder_time),
        cmocka_unit_test(loss__a_lost_tail_is_probed),
        cmocka_unit_test(loss__a_whole_flight_comes_back_without_waiting_for_each),
        cmocka_unit_test(loss__the_first_timeout_pings_from_the_third_only_pings),
        cmocka_unit_test(loss__the_loop_gap_lengthens_the_timer),
        cmocka_unit_test(gap__closed_is_acked_at_once_and_delivered_packet_by_packet),
        cmocka_unit_test(gap__what_waits_is_delivered_before_the_link_ends),
        cmocka_unit_test(loss__nothing_is_lost_beyond_the_described_range),
        cmocka_unit_test(spurious__is_recognised_by_the_attempt_echoed),
        cmocka_unit_test(spurious__a_needless_resend_makes_nothing_else_lost),
        cmocka_unit_test(retained__packets_are_copied_not_rewritten),
        cmocka_unit_test(stuck__one_packet_that_never_passes_ends_the_link),
        cmocka_unit_test(stuck__a_path_that_passes_only_pings_is_noticed),
        cmocka_unit_test(window__zero_is_asked_about_until_it_opens),
        cmocka_unit_test(rate__random_loss_costs_little),
        cmocka_unit_test(rate__a_full_queue_is_shared_not_flooded),
        cmocka_unit_test(rate__congestion_marks_shrink_the_window),
        cmocka_unit_test(many__a_million_messages_over_a_bad_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
