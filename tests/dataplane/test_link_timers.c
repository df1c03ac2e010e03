/* SPDX-License-Identifier: Apache-2.0 */
/* The timers of docs/wire.md, "Reliability", one by one, and what a receiver tells of a gap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

/* Side 0 has measured this path, and nothing is under way. */
static struct scene *measured(proa_ns delay)
{
    struct link_net_config config = {.seed = 4, .delay = delay};
    struct scene *s = scene_open(&config);

    for (uint32_t i = 0; i < 30; i++) {
        scene_packets(s, 0, i + 1, 1);
        link_net_run(s->net, 3 * delay + 100 * PROA_US);
    }
    assert_int_equal(s->entered_count[1], 30);
    return s;
}

static void cut(struct scene *s)
{
    link_net_faults(s->net)->loss = 10000;
}

/* When the retransmission timer fires for the n-th time from now on, after `began`: to 10 us. */
static proa_ns rto_after(struct scene *s, uint64_t n, proa_ns began)
{
    uint64_t before = scene_stats(s, 0).rto;

    while (scene_stats(s, 0).rto < before + n) {
        assert_false(link_net_dead(s->net, 0, 0));
        link_net_run(s->net, 10 * PROA_US);
    }
    return link_net_now(s->net) - began;
}

/* ---- Retransmission ---- */

static void rto__resends_only_the_first_unacked(void **state)
{
    struct scene *s = measured(PROA_US);

    (void)state;
    cut(s);
    scene_packets(s, 0, 31, 20);
    proa_ns began = link_net_now(s->net);
    rto_after(s, 1, began);
    rto_after(s, 1, began);
    assert_int_equal(scene_stats(s, 0).resends,
                     3); /* the probe, and the first one twice */
    uint32_t first = 0, other = 0;
    for (uint32_t i = 0; i < s->sent_count[0]; i++) {
        const struct packet_header *h = &s->sent[0][i];
        if (h->kind != PACKET_DATA || h->attempt == 0 || (h->flags & PACKET_PROBE))
            continue;
        first += h->seq == 30;
        other += h->seq != 30;
    }
    assert_int_equal(first, 2);
    assert_int_equal(other, 0);
    scene_close(s);
}

static void rto__is_a_millisecond_and_doubles_to_200(void **state)
{
    static const proa_ns ms[] = {1, 2, 4, 8, 16, 32, 64, 128, 200, 200};
    struct scene *s = measured(PROA_US);
    proa_ns at = 0;

    (void)state;
    cut(s);
    scene_packets(s, 0, 31, 1);
    proa_ns began = link_net_now(s->net);
    for (uint32_t i = 0; i < 10; i++) {
        proa_ns now = rto_after(s, 1, began);
        /* The first one counts from the probe, 200 us after the packet; 20 us are the peer's: its acks
           waited so long. */
        proa_ns most =
            ms[i] * PROA_MS + (ms[i] < 200 ? (20 * PROA_US) << i : 0) + 10 * PROA_US;
        assert_in_range(now - at, ms[i] * PROA_MS - 10 * PROA_US,
                        most + (i == 0 ? 200 * PROA_US : 0));
        at = now;
    }
    scene_close(s);
}

static void rto__is_not_before_a_long_round_trip(void **state)
{
    struct scene *s = measured(10 * PROA_MS);

    (void)state;
    assert_in_range(scene_stats(s, 0).srtt_ns, 19 * PROA_MS, 21 * PROA_MS);
    cut(s);
    scene_packets(s, 0, 31, 1);
    proa_ns after = rto_after(s, 1, link_net_now(s->net));
    assert_in_range(after, 20 * PROA_MS, 25 * PROA_MS);
    scene_close(s);
}

/* Round trips of 10 to 22 ms: four deviations are room enough for the longest. */
static void rto__leaves_room_for_round_trips_that_vary(void **state)
{
    struct scene *s = measured(5 * PROA_MS);
    uint64_t before = scene_stats(s, 0).rto;

    (void)state;
    link_net_faults(s->net)->jitter = 6 * PROA_MS;
    for (uint32_t i = 0; i < 300; i++) {
        scene_packets(s, 0, 31 + i, 1);
        link_net_run(s->net, 30 * PROA_MS);
    }
    assert_int_equal(s->entered_count[1], 330);
    assert_true(scene_stats(s, 0).rto <= before + 3); /* while it learns */
    scene_close(s);
}

static void rto__waits_for_a_loop_gap_of_50_ms_at_the_most(void **state)
{
    struct scene *s = measured(PROA_US);

    (void)state;
    link_loop_gap(scene_link(s, 0), 400 * PROA_MS);
    cut(s);
    scene_packets(s, 0, 31, 1);
    proa_ns after = rto_after(s, 1, link_net_now(s->net));
    assert_in_range(after, 51 * PROA_MS, 52 * PROA_MS);
    scene_close(s);
}

/* ---- The tail ---- */

static bool note_probe(struct scene *s, uint32_t side, struct packet_header *h,
                       uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    if (side == 0 && (h->flags & PACKET_PROBE) && h->kind == PACKET_DATA)
        s->mark = (uint32_t)((link_net_now(s->net) - PROA_S) / PROA_US);
    return !(side == 0 && h->attempt == 0);
}

static void probe__waits_two_round_trips(void **state)
{
    struct scene *s = measured(150 * PROA_US);

    (void)state;
    s->filter = note_probe;
    scene_packets(s, 0, 31, 1);
    uint32_t began = (uint32_t)((link_net_now(s->net) - PROA_S) / PROA_US);
    link_net_run(s->net, 20 * PROA_MS);
    assert_in_range(s->mark - began, 600, 630);
    assert_int_equal(s->entered_count[1], 31);
    scene_close(s);
}

/* Its ack does not wait for 20 us: who sent it has waited long enough. */
static void probe__is_acked_at_once(void **state)
{
    struct scene *s = measured(PROA_US);

    (void)state;
    s->filter = note_probe;
    scene_packets(s, 0, 31, 1);
    while (s->entered_count[1] < 31)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    proa_ns came = link_net_now(s->net);
    while (scene_stats(s, 0).inflight > 0)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    assert_in_range(link_net_now(s->net) - came, 0, 2 * PROA_US);
    scene_close(s);
}

/* ---- Order of arrival ---- */

static uint8_t kept[2][PACKET_LEN_MAX];
static uint16_t kept_len[2];

/* Takes two packets out, for the test to hand in later. */
static bool keep_two(struct scene *s, uint32_t side, struct packet_header *h,
                     uint8_t *data, uint16_t *len)
{
    if (side != 0 || h->kind != PACKET_DATA || h->attempt > 0 || h->seq < s->mark ||
        h->seq > s->mark + 1)
        return true;
    memcpy(kept[h->seq - s->mark], data, *len);
    kept_len[h->seq - s->mark] = *len;
    return false;
}

static void reorder__by_two_is_no_loss(void **state)
{
    struct scene *s = measured(100 * PROA_US);

    (void)state;
    s->mark = 30; /* 30 and 31 come behind 32 and 33 */
    s->filter = keep_two;
    scene_packets(s, 0, 31, 4);
    link_net_run(s->net, 150 * PROA_US); /* two later ones have come and are told */
    for (int i = 0; i < 2; i++)
        link_net_inject(s->net, 0, 1, kept[i], kept_len[i]);
    link_net_run(s->net, 5 * PROA_MS);
    assert_int_equal(s->entered_count[1], 34);
    assert_int_equal(scene_stats(s, 0).resends, 0);
    scene_close(s);
}

static bool lose_32_once(struct scene *s, uint32_t side, struct packet_header *h,
                         uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    if (side == 0 && h->kind == PACKET_DATA && h->seq == 32 && h->attempt == 1)
        s->mark = (uint32_t)((link_net_now(s->net) - PROA_S) / PROA_US);
    return !(side == 0 && h->kind == PACKET_DATA && h->seq == 32 && h->attempt == 0);
}

/* It does not wait for 1.25 round trips, 250 us here. */
static void reorder__three_later_ones_are_enough(void **state)
{
    struct scene *s = measured(100 * PROA_US);

    (void)state;
    s->filter = lose_32_once;
    uint32_t began = (uint32_t)((link_net_now(s->net) - PROA_S) / PROA_US);
    scene_packets(s, 0, 31, 7); /* 30 to 36 */
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 37);
    assert_in_range(s->mark - began, 200, 220);
    scene_close(s);
}

static void reorder__within_two_microseconds_is_no_loss(void **state)
{
    struct scene *s = measured(300); /* 1.25 round trips are 750 ns */

    (void)state;
    s->mark = 29; /* 29 is long through; 30 comes behind 31 */
    s->filter = keep_two;
    scene_packets(s, 0, 31, 2);
    link_net_run(s->net, 1500);
    assert_int_equal(link_net_budget(s->net, 1)->held, 1);
    link_net_inject(s->net, 0, 1, kept[1], kept_len[1]);
    link_net_run(s->net, 5 * PROA_MS);
    assert_int_equal(s->entered_count[1], 32);
    assert_int_equal(scene_stats(s, 0).resends, 0);
    scene_close(s);
}

static bool lose_32_keep_36(struct scene *s, uint32_t side, struct packet_header *h,
                            uint8_t *data, uint16_t *len)
{
    if (side != 0 || h->kind != PACKET_DATA)
        return true;
    if (h->seq == 36) {
        memcpy(kept[0], data, *len);
        kept_len[0] = *len;
    }
    s->mark += h->seq == 32 && h->attempt > 0;
    return h->seq != 32 && h->seq != 36;
}

/* What was sent before a resend says nothing about it, however late it comes. */
static void reorder__a_resend_is_not_late_by_what_was_sent_before(void **state)
{
    struct scene *s = measured(100 * PROA_US);

    (void)state;
    s->filter = lose_32_keep_36;
    scene_packets(s, 0, 31, 7); /* 30 to 36 */
    link_net_run(s->net, 460 * PROA_US);
    assert_int_equal(s->mark, 1); /* sent again after 200 us, on its way for 250 */
    link_net_inject(s->net, 0, 1, kept[0], kept_len[0]);
    link_net_run(s->net, 130 * PROA_US);
    assert_int_equal(s->mark, 1);
    assert_int_equal(scene_stats(s, 0).resends, 1);
    scene_close(s);
}

/* ---- What a gap makes the receiver say ---- */

static void put_tell(struct scene *s, uint32_t seq)
{
    uint8_t data[128] = {0};
    struct packet_header h = {.kind = PACKET_DATA, .seq = seq};
    struct packet_message m = {.len = 8, .type = seq + 1, .dst = 2, .src = 1};

    packet_header_put(data, &h);
    size_t n = packet_message_put(data + PACKET_HEADER_LEN, &m);
    link_net_inject(s->net, 0, 1, data, (uint16_t)(PACKET_HEADER_LEN + n + 8));
}

static uint8_t last_ack[PACKET_LEN_MAX];

static bool keep_ack(struct scene *s, uint32_t side, struct packet_header *h,
                     uint8_t *data, uint16_t *len)
{
    (void)s;
    if (side == 1 && h->kind == PACKET_ACK)
        memcpy(last_ack, data, *len);
    return side == 0; /* side 0 did not send what is acked here */
}

static void gap__the_bitmap_has_all_of_a_full_window(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS); /* the first ack grants 1,024 */
    s->filter = keep_ack;
    for (uint32_t seq = 1; seq < LINK_WINDOW_MAX; seq += 2)
        put_tell(s, seq);
    link_net_run(s->net, 50 * PROA_US);
    uint32_t last = s->sent_count[1] - 1;
    assert_int_equal(s->sent[1][last].kind, PACKET_ACK);
    assert_int_equal(s->sent[1][last].ack, 0);
    assert_int_equal(s->sent_len[1][last], PACKET_HEADER_LEN + LINK_WINDOW_MAX / 8);
    for (uint32_t bit = 0; bit < LINK_WINDOW_MAX; bit++) /* stands for seq 1 + bit */
        assert_int_equal(last_ack[PACKET_HEADER_LEN + bit / 8] >> bit % 8 & 1,
                         bit % 2 == 0 && bit + 1 < LINK_WINDOW_MAX);
    scene_close(s);
}

static void gap__is_told_once_in_16_packets_or_20_us(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS);
    s->filter = keep_ack;
    uint32_t before = s->sent_count[1];
    put_tell(s, 1);
    assert_int_equal(s->sent_count[1], before + 1); /* the gap opens */
    for (uint32_t seq = 2; seq < 17; seq++)
        put_tell(s, seq);
    assert_int_equal(s->sent_count[1], before + 1);
    put_tell(s, 17);
    assert_int_equal(s->sent_count[1], before + 2);
    for (uint32_t seq = 18; seq < 33; seq++)
        put_tell(s, seq);
    assert_int_equal(s->sent_count[1], before + 2);
    link_net_run(s->net, 21 * PROA_US);
    assert_int_equal(s->sent_count[1], before + 3);
    put_tell(s, 33);
    put_tell(s, 34);
    assert_in_range(s->sent_count[1], before + 3, before + 4);
    scene_close(s);
}

/* Also when the last ACK with a bitmap was a moment ago. */
static void gap__another_one_is_told_at_once_too(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS);
    s->filter = keep_ack;
    put_tell(s, 1);
    put_tell(s, 0);
    link_net_run(s->net, 5 * PROA_US); /* closed, and told so */
    uint32_t before = s->sent_count[1];
    put_tell(s, 3);
    assert_int_equal(s->sent_count[1], before + 1);
    assert_int_equal(s->sent[1][before].ack, 2);
    assert_int_equal(s->sent[1][before].sack, 1);
    scene_close(s);
}

/* ---- Room at the receiver ---- */

static void window__does_not_move_back_when_memory_goes(void **state)
{
    struct link_net_config config = {
        .per_packet = PROA_US, .delay = 50 * PROA_US, .loss = 100};
    struct scene *s = scene_open(&config);
    uint32_t sent = 0;

    (void)state;
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->right[1], LINK_WINDOW_MAX);
    link_net_budget(s->net, 1)->held_max = 3; /* others took the rest */
    while (s->entered_count[1] <
           3000) { /* the scene looks at every packet's ack + window */
        while (sent < 3000 && scene_tell(s, 0, sent + 1, 1392) == PROA_OK)
            sent++;
        assert_true(link_net_step(s->net, 100 * PROA_S));
    }
    scene_close(s);
}

/* What comes out of order beyond the lane's limit and the link's two goes back to the pool; what is
   next in order never does. */
static void window__a_full_lane_drops_what_is_out_of_order_only(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS);
    s->filter = keep_ack;
    link_net_budget(s->net, 1)->held_max = 4;
    for (uint32_t seq = 1; seq < 12; seq++)
        put_tell(s, seq);
    assert_int_equal(link_net_budget(s->net, 1)->held, 4);
    assert_int_equal(scene_stats(s, 1).rx_dropped_held, 7);
    put_tell(s, 0);
    assert_int_equal(s->entered_count[1], 5);
    assert_int_equal(link_net_budget(s->net, 1)->held, 0);
    link_net_budget(s->net, 1)->held_max = 0;
    for (uint32_t seq = 6; seq < 12; seq++)
        put_tell(s, seq);
    assert_int_equal(link_net_budget(s->net, 1)->held, 2);
    put_tell(s, 5);
    assert_int_equal(s->entered_count[1], 8);
    scene_close(s);
}

/* A receiver that holds next to nothing drops most of what follows a loss.  Were those sendings
   counted as those of the first unacked packet are, the link would end. */
static void full_lane(uint64_t seed)
{
    struct link_net_config config = {
        .seed = seed, .per_packet = PROA_US, .delay = 50 * PROA_US, .loss = 500};
    struct scene *s = scene_open(&config);
    uint32_t sent = 0;

    link_net_run(s->net, PROA_MS);
    link_net_budget(s->net, 1)->held_max = 0;
    while (s->entered_count[1] < 3000) {
        while (sent < 3000 && scene_tell(s, 0, sent + 1, 1392) == PROA_OK)
            sent++;
        assert_true(link_net_step(s->net, 100 * PROA_S));
        assert_false(link_net_dead(s->net, 0, 0));
    }
    assert_true(scene_stats(s, 1).rx_dropped_held > 1000);
    scene_close(s);
}

static void window__what_a_full_lane_drops_does_not_end_the_link(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        full_lane(seed);
}

/* ---- A port that has all that may wait for it ---- */

static struct link_backlog backlog;

static struct scene *with_port(uint32_t side)
{
    struct link_net_config config = {0};

    config.backlog[side] = &backlog;
    backlog = (struct link_backlog){0};
    return scene_open(&config);
}

static bool lose_data_of_0(struct scene *s, uint32_t side, struct packet_header *h,
                           uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA);
}

/* Neither probe nor timeout is spent, nor their times doubled: nothing could leave. */
static void port__that_is_full_fails_no_packet(void **state)
{
    struct scene *s = with_port(0);

    (void)state;
    scene_packets(s, 0, 1, 5);
    link_net_run(s->net, 10 * PROA_MS);
    s->filter = lose_data_of_0;
    scene_packets(s, 0, 6, 3);
    link_flush(scene_link(s, 0), link_net_now(s->net));
    s->filter = NULL;
    backlog.count = LINK_BACKLOG_MAX;
    link_net_run(s->net, 100 * PROA_MS);
    assert_int_equal(scene_stats(s, 0).rto, 0);
    assert_int_equal(scene_stats(s, 0).probes, 0);
    assert_int_equal(scene_stats(s, 0).pings, 0);
    assert_int_equal(s->entered_count[1], 5);
    backlog.count = 0;
    link_net_run(s->net, 3 * PROA_MS);
    assert_int_equal(scene_stats(s, 0).probes, 1);
    assert_int_equal(scene_stats(s, 0).rto, 0);
    assert_int_equal(s->entered_count[1], 8);
    scene_close(s);
}

static bool lose_first_6(struct scene *s, uint32_t side, struct packet_header *h,
                         uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA && h->seq == 5 && h->attempt == 0);
}

static void port__that_is_full_gets_no_resends(void **state)
{
    struct scene *s = with_port(0);

    (void)state;
    scene_packets(s, 0, 1, 5);
    link_net_run(s->net, 10 * PROA_MS);
    s->filter = lose_first_6;
    scene_packets(s, 0, 6, 10);
    link_flush(scene_link(s, 0), link_net_now(s->net));
    backlog.count = LINK_BACKLOG_MAX;
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 5);
    assert_int_equal(scene_stats(s, 0).resends, 0);
    backlog.count = 0;
    link_flush(scene_link(s, 0), link_net_now(s->net));
    assert_int_equal(scene_stats(s, 0).resends, 1);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 15);
    scene_close(s);
}

/* An ack is not given to it to be thrown away: it goes when there is room. */
static void port__that_is_full_keeps_acks_wanted(void **state)
{
    struct scene *s = with_port(1);

    (void)state;
    link_net_run(s->net, PROA_MS);
    uint32_t before = s->sent_count[1];
    backlog.count = LINK_BACKLOG_MAX;
    scene_packets(s, 0, 1, 20);
    link_net_run(s->net, 50 * PROA_US);
    assert_int_equal(s->entered_count[1], 20);
    assert_int_equal(s->sent_count[1], before);
    assert_true(link_ack_due(scene_link(s, 1)));
    backlog.count = 0;
    link_net_run(s->net, 2 * PROA_US);
    assert_int_equal(s->sent_count[1], before + 1);
    assert_int_equal(scene_stats(s, 0).inflight, 0);
    assert_int_equal(scene_stats(s, 0).resends, 0);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rto__resends_only_the_first_unacked),
        cmocka_unit_test(rto__is_a_millisecond_and_doubles_to_200),
        cmocka_unit_test(rto__is_not_before_a_long_round_trip),
        cmocka_unit_test(rto__leaves_room_for_round_trips_that_vary),
        cmocka_unit_test(rto__waits_for_a_loop_gap_of_50_ms_at_the_most),
        cmocka_unit_test(probe__waits_two_round_trips),
        cmocka_unit_test(port__that_is_full_fails_no_packet),
        cmocka_unit_test(port__that_is_full_gets_no_resends),
        cmocka_unit_test(port__that_is_full_keeps_acks_wanted),
        cmocka_unit_test(probe__is_acked_at_once),
        cmocka_unit_test(reorder__by_two_is_no_loss),
        cmocka_unit_test(reorder__three_later_ones_are_enough),
        cmocka_unit_test(reorder__within_two_microseconds_is_no_loss),
        cmocka_unit_test(reorder__a_resend_is_not_late_by_what_was_sent_before),
        cmocka_unit_test(gap__the_bitmap_has_all_of_a_full_window),
        cmocka_unit_test(gap__another_one_is_told_at_once_too),
        cmocka_unit_test(gap__is_told_once_in_16_packets_or_20_us),
        cmocka_unit_test(window__does_not_move_back_when_memory_goes),
        cmocka_unit_test(window__a_full_lane_drops_what_is_out_of_order_only),
        cmocka_unit_test(window__what_a_full_lane_drops_does_not_end_the_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
