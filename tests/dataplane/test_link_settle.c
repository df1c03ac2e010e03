/* SPDX-License-Identifier: Apache-2.0 */
/* link_settle: what an ack says may be read after the answer to its packet has left, and nobody can
   tell the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

#define LINK_CWND_AT_FIRST 64 /* wire.md, "Congestion" */

/* What a side still counted as in flight when a message entered there. */
static uint64_t in_flight[2];

static void answer(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    in_flight[side] = scene_stats(s, side).inflight;
    if (msg->type < s->mark)
        assert_int_equal(scene_tell(s, side, msg->type + 1, 32), PROA_OK);
}

/* Side 0 tells, and each tell is answered by one, `tells` of them. */
static struct scene *to_and_fro(const struct link_net_config *config, uint32_t tells)
{
    struct scene *s = scene_open(config);

    s->on_message = answer;
    s->mark = tells;
    in_flight[0] = in_flight[1] = UINT64_MAX;
    assert_int_equal(scene_tell(s, 0, 1, 32), PROA_OK);
    return s;
}

static void settle__comes_after_the_answer(void **state)
{
    const struct link_net_config config = {.settles = true};
    struct scene *s = to_and_fro(&config, 101);

    (void)state;
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[0] + s->entered_count[1], 101);
    assert_int_equal(in_flight[0], 1); /* the ack came with the message, and waits */
    assert_int_equal(scene_stats(s, 0).inflight, 0);
    assert_int_equal(scene_stats(s, 1).inflight, 0);
    assert_int_equal(scene_stats(s, 0).resends + scene_stats(s, 1).resends, 0);
    assert_int_equal(link_net_budget(s->net, 0)->retained, 0);
    scene_close(s);
}

static void settle__without_a_lane_nothing_waits(void **state)
{
    struct scene *s = to_and_fro(NULL, 100);

    (void)state;
    link_net_run(s->net, PROA_MS);
    assert_int_equal(in_flight[0], 0);
    scene_close(s);
}

static void settle__round_trips_are_measured_the_same(void **state)
{
    struct link_net_config config = {.settles = false, .delay = 7 * PROA_US};
    struct link_stats stats[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        config.settles = i == 1;
        struct scene *s = to_and_fro(&config, 50);
        link_net_run(s->net, PROA_MS);
        stats[i] = scene_stats(s, 0);
        scene_close(s);
    }
    assert_int_equal(stats[1].srtt_ns, stats[0].srtt_ns);
    assert_int_equal(stats[1].min_rtt_ns, stats[0].min_rtt_ns);
    assert_int_equal(stats[1].tx_packets, stats[0].tx_packets);
}

static void settle__the_next_packet_does_it_when_nobody_did(void **state)
{
    const struct link_net_config config = {.settles = true, .never_settles = true};
    struct scene *s = to_and_fro(&config, 101);

    (void)state;
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[0] + s->entered_count[1], 101);
    assert_true(scene_stats(s, 0).inflight <= 2);
    assert_int_equal(scene_stats(s, 0).resends, 0);
    scene_close(s);
}

static bool lose_first_answer(struct scene *s, uint32_t side, struct packet_header *h,
                              uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    return side != 1 || h->kind != PACKET_DATA || scene_sent(s, 1, PACKET_DATA) > 1;
}

static void settle__what_was_sent_again_is_read_at_once(void **state)
{
    const struct link_net_config config = {.settles = true};
    struct scene *s = to_and_fro(&config, 3);

    (void)state;
    s->filter = lose_first_answer;
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->entered_count[0], 1);
    assert_int_equal(s->entered_count[1], 2);
    assert_int_equal(scene_stats(s, 1).resends, 1);
    assert_int_equal(in_flight[1], 0); /* the answer that went twice */
    scene_close(s);
}

static void settle__congestion_is_heard_at_once(void **state)
{
    const struct link_net_config config = {.settles = true, .mark = 10000};
    struct scene *s = to_and_fro(&config, 100);

    (void)state;
    link_net_run(s->net, PROA_MS);
    assert_int_equal(in_flight[0], 0);
    scene_close(s);
}

/* ---- What must not wait ---- */

static bool lose_bare_acks_of_1(struct scene *s, uint32_t side, struct packet_header *h,
                                uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return side != 1 || h->kind != PACKET_ACK;
}

#define LAST 900   /* type: side 1 tells NEWS when it has come */
#define NEWS 1000  /* what side 0 answers */
#define REPLY 1001 /* its answer */

static void answer_news(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    if (side == 1 && msg->type == LAST)
        assert_int_equal(scene_tell(s, 1, NEWS, 32), PROA_OK);
    if (side == 0 && msg->type == NEWS)
        assert_int_equal(scene_tell(s, 0, REPLY, 32), PROA_OK);
}

/* How long after the news the answer to them came; the way takes 1 us. */
static proa_ns answered_after(struct scene *s)
{
    const struct scene_message *first = s->entered[0];

    link_net_run(s->net, 100 * PROA_US);
    assert_int_equal(s->entered_count[0], 1);
    const struct scene_message *last = &s->entered[1][s->entered_count[1] - 1];
    assert_int_equal(last->type, REPLY);
    return last->at - first->at;
}

/* All that may be in flight was, and is acked by the packet that asks for more. */
static void wait__a_full_flight_is_read_at_once(void **state)
{
    const struct link_net_config config = {.settles = true};
    struct scene *s = scene_open(&config);

    (void)state;
    link_net_run(s->net, PROA_MS);
    s->filter = lose_bare_acks_of_1;
    s->on_message = answer_news;
    scene_packets(s, 0, 1, LINK_CWND_AT_FIRST - 1);
    scene_packets(s, 0, LAST, 1);
    assert_in_range(answered_after(s), 1, 1500);
    scene_close(s);
}

/* The peer's window is used up, and the packet opens it. */
static void wait__a_window_that_opens_is_read_at_once(void **state)
{
    const struct link_net_config config = {.settles = true, .held_max = 1};
    struct scene *s = scene_open(&config);

    (void)state;
    for (uint32_t i = 0; i < LINK_WINDOW_INITIAL; i++) {
        scene_packets(s, 0, 1, 1);
        link_net_run(s->net, 100 * PROA_US);
    }
    assert_int_equal(scene_stats(s, 0).window, 2);
    s->on_message = answer_news;
    scene_packets(s, 0, 1, 1);
    scene_packets(s, 0, LAST, 1);
    assert_in_range(answered_after(s), 1, 1500);
    scene_close(s);
}

static void no_news(void *ctx, uint32_t pair, uint32_t side, const struct proa_msg *msg)
{
    if (pair == 0)
        scene_deliver(ctx, pair, side, msg);
}

static bool pair_1_is_deaf(void *ctx, uint32_t pair, uint32_t side, uint8_t *data,
                           uint16_t *len)
{
    (void)ctx;
    (void)side;
    (void)data;
    (void)len;
    return pair != 1;
}

/* Other links hold all that the lane may retain: this one has its two packets, and they are acked. */
static void wait__a_lane_without_room_is_read_at_once(void **state)
{
    static struct scene scene;
    const struct link_net_config config = {
        .settles = true, .pairs = 2, .retained_max = 20, .delay = PROA_US};
    const struct link_net_hooks hooks = {
        .ctx = &scene, .deliver = no_news, .filter = pair_1_is_deaf};
    struct scene *s = &scene;

    (void)state;
    memset(s, 0, sizeof(*s));
    s->net = link_net_create(&config, &hooks);
    link_net_run(s->net, PROA_MS);
    s->on_message = answer_news;
    for (uint32_t i = 0; i < 30; i++) {
        struct proa_msg msg = scene_msg(0, 1, 2, 1, 1392);
        link_send(link_net_link(s->net, 1, 0), &msg, link_net_now(s->net));
    }
    link_flush(link_net_link(s->net, 1, 0), link_net_now(s->net));
    assert_int_equal(link_net_budget(s->net, 0)->retained, 20);
    scene_packets(s, 0, 1, 1);
    scene_packets(s, 0, LAST, 1);
    assert_in_range(answered_after(s), 1, 1500);
    link_net_destroy(s->net);
}

static bool lose_first_and_bare_acks(struct scene *s, uint32_t side,
                                     struct packet_header *h, uint8_t *data,
                                     uint16_t *len)
{
    if (side == 0 && h->kind == PACKET_DATA && h->attempt == 0 && s->mark++ == 0)
        return false;
    return lose_bare_acks_of_1(s, side, h, data, len);
}

/* What the packet shows to be lost goes again in the same flush. */
static void wait__a_gap_is_read_at_once(void **state)
{
    const struct link_net_config config = {.settles = true};
    struct scene *s = to_and_fro(&config, 50); /* round trips are known */
    const struct packet_header *last;

    (void)state;
    link_net_run(s->net, PROA_MS);
    s->on_message = NULL;
    s->mark = 0;
    s->filter = lose_first_and_bare_acks;
    s->entered_count[0] = 0;
    scene_packets(s, 0, 1, 2);
    link_net_run(s->net, 50 * PROA_US);
    assert_int_equal(scene_tell(s, 1, NEWS, 32), PROA_OK);
    link_net_run(s->net, 10 * PROA_US);
    assert_int_equal(s->entered_count[0], 1);
    last = &s->sent[0][s->sent_count[0] - 1];
    assert_int_equal(last->kind, PACKET_DATA);
    assert_int_equal(last->attempt, 1);
    assert_int_equal(s->sent_at[0][s->sent_count[0] - 1], s->entered[0][0].at);
    scene_close(s);
}

static uint32_t passed_before; /* when the news came */

static void count_passed(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    if (side == 1)
        answer_news(s, side, msg);
    else
        passed_before = s->passed_count;
}

/* A third node is told in the flush that follows. */
static void wait__a_forwarded_ask_is_told_at_once(void **state)
{
    const struct link_net_config config = {.settles = true};
    struct scene *s = scene_open(&config);
    struct proa_msg ask = scene_msg(0, 1, 2, LAST, 8);

    (void)state;
    link_net_run(s->net, PROA_MS);
    s->on_message = count_passed;
    ask.from.node = 0xabcd;
    ask.flags = PROA_MSG_ASK;
    ask.deadline = PROA_NS_NEVER;
    passed_before = UINT32_MAX;
    assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, 10 * PROA_US);
    assert_int_equal(passed_before, 1);
    scene_close(s);
}

static void kill__what_was_acked_is_not_in_doubt(void **state)
{
    const struct link_net_config config = {.settles = true, .never_settles = true};
    struct scene *s = to_and_fro(&config, 2);

    (void)state;
    while (s->entered_count[0] == 0)
        assert_true(link_net_step(s->net, link_net_now(s->net) + PROA_MS));
    assert_int_equal(scene_stats(s, 0).inflight, 1); /* acked, and not yet in the books */
    link_net_kill(s->net, 0, 0);
    assert_int_equal(s->lost_count[0], 0);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settle__comes_after_the_answer),
        cmocka_unit_test(settle__without_a_lane_nothing_waits),
        cmocka_unit_test(settle__round_trips_are_measured_the_same),
        cmocka_unit_test(settle__the_next_packet_does_it_when_nobody_did),
        cmocka_unit_test(settle__what_was_sent_again_is_read_at_once),
        cmocka_unit_test(settle__congestion_is_heard_at_once),
        cmocka_unit_test(wait__a_full_flight_is_read_at_once),
        cmocka_unit_test(wait__a_window_that_opens_is_read_at_once),
        cmocka_unit_test(wait__a_lane_without_room_is_read_at_once),
        cmocka_unit_test(wait__a_gap_is_read_at_once),
        cmocka_unit_test(wait__a_forwarded_ask_is_told_at_once),
        cmocka_unit_test(kill__what_was_acked_is_not_in_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
