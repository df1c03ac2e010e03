/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "link_scene.h"

#define BIG 100000u /* bytes: 74 packets */

static void assert_entered(const struct scene *s, uint32_t side, uint32_t i,
                           uint32_t type, uint32_t len)
{
    assert_true(i < s->entered_count[side]);
    assert_int_equal(s->entered[side][i].type, type);
    assert_int_equal(s->entered[side][i].len, len);
}

/* ---- There and whole ---- */

static const uint8_t *expected;

static void compare(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    (void)s;
    (void)side;
    assert_memory_equal(msg->data, expected, msg->len);
}

static void send__any_length_arrives_whole(void **state)
{
    static const uint32_t lens[] = {1392, 1393,  1394,  1416,    1417,   2704,
                                    4096, 65535, 65536, 1000001, 1 << 20};
    uint8_t *bytes = malloc(1 << 20);
    struct link_net_config config = {
        .seed = 5, .loss = 200, .reorder = 100, .reorder_by = 9000};
    struct scene *s = scene_open(&config);

    (void)state;
    for (uint32_t i = 0; i < 1 << 20; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    expected = bytes;
    s->on_message = compare;
    for (uint32_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct proa_msg msg = scene_msg(0, 1, 2, i + 1, 0);
        msg.data = bytes;
        msg.len = lens[i];
        assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)),
                         PROA_OK);
        link_net_run(s->net, 50 * PROA_MS);
        assert_entered(s, 1, i, i + 1, lens[i]);
    }
    assert_int_equal(scene_stats(s, 1).bulk_rx, 10);
    scene_close(s);
    free(bytes);
}

static uint32_t taken; /* bytes of messages that arrived whole and right */

static void compare_and_count(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    (void)s;
    (void)side;
    if (msg->len > 8)
        assert_memory_equal(msg->data, expected, msg->len);
    taken += msg->len;
}

/* The largest message that can be configured, through loss, while small ones pass it. */
static void send__16_mib_arrive_whole_beside_small_messages(void **state)
{
    const uint32_t len = 16u << 20;
    struct link_net_config config = {.seed = 8,
                                     .message_max = len,
                                     .delay = 20 * PROA_US,
                                     .per_packet = 100,
                                     .loss = 100,
                                     .mtu = 8960};
    struct scene *s = scene_open(&config);
    uint8_t *bytes = malloc(len);
    uint32_t small = 0;

    (void)state;
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    expected = bytes;
    taken = 0;
    s->on_message = compare_and_count;
    struct proa_msg msg = scene_msg(0, 1, 2, 1, 0);
    msg.data = bytes;
    msg.len = len + 1;
    assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)),
                     PROA_TOO_LARGE);
    msg.len = len;
    assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)), PROA_OK);
    msg.from.slot = 9; /* a link's share is spent */
    assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)), PROA_AGAIN);
    while (taken < len) {
        assert_int_equal(scene_tell_from(s, 3, 2, 8), PROA_OK);
        small++;
        link_net_run(s->net, 50 * PROA_US);
        if (taken < len) /* those sent a little while ago are there */
            assert_true(taken + 8 * 20 >= 8 * small);
    }
    assert_true(small > 3);
    assert_int_equal(scene_stats(s, 1).bulk_rx, 1);
    scene_close(s);
    free(bytes);
}

static void send_bulk__takes_the_buffer_whatever_its_length(void **state)
{
    static const uint32_t lens[] = {0, 1, 100, 1416, 50000};
    struct scene *s = scene_open(NULL);

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        struct proa_msg msg = scene_msg(0, 1, 2, i + 1, lens[i]);
        void *buf = link_net_bulk_alloc(s->net, 0, lens[i] + 1);
        memcpy(buf, msg.data, lens[i]);
        assert_int_equal(
            link_send_bulk(scene_link(s, 0), &msg, buf, link_net_now(s->net)), PROA_OK);
        link_net_run(s->net, PROA_MS);
        assert_entered(s, 1, i, i + 1, lens[i]);
    }
    scene_close(s); /* asserts that all buffers are freed */
}

static void send__over_the_limit_is_too_large(void **state)
{
    struct link_net_config config = {.message_max = 50000};
    struct scene *s = scene_open(&config);
    struct proa_msg msg = scene_msg(0, 1, 2, 1, 50001);

    (void)state;
    assert_int_equal(scene_tell_from(s, 1, 1, 50001), PROA_TOO_LARGE);
    assert_int_equal(link_send_bulk(scene_link(s, 0), &msg, s, link_net_now(s->net)),
                     PROA_TOO_LARGE);
    msg.flags = PROA_MSG_REPLY;
    assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)),
                     PROA_TOO_LARGE);
    assert_int_equal(scene_tell_from(s, 1, 1, 50000), PROA_OK);
    scene_close(s);
}

/* ---- Order ---- */

static void order__the_pair_waits_others_pass(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    assert_int_equal(scene_tell_from(s, 1, 10, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 11, BIG), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 12, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 13, BIG / 2), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 14, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 3, 15, 8), PROA_OK); /* another sender */
    struct proa_msg urgent = scene_msg(0, 1, 2, 16, 8);
    urgent.cls = PROA_CLASS_URGENT;
    assert_int_equal(link_send(scene_link(s, 0), &urgent, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 7);
    static const uint32_t order[] = {10, 15, 16, 11, 12, 13, 14};
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(s->entered[1][i].type, order[i]);
    scene_close(s);
}

static void order__bulk_does_not_overtake_what_waits_in_the_outbox(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    for (uint32_t i = 0; i < 60; i++)
        assert_int_equal(scene_tell_from(s, 1, i + 1, 1392), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 61, 2000), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 62, 8), PROA_OK);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 62);
    for (uint32_t i = 0; i < 62; i++)
        assert_int_equal(s->entered[1][i].type, i + 1);
    scene_close(s);
}

static void order__system_messages_keep_their_place_too(void **state)
{
    struct scene *s = scene_open(NULL);
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg stop = scene_msg(0, 1, 2, 0, 0);

    (void)state;
    stop.data = body;
    stop.len = (uint32_t)sysmsg_encode_stop(body, 5, 9);
    stop.type = (uint32_t)SYSMSG_STOP;
    stop.flags = PROA_MSG_SYSTEM;
    stop.cls = PROA_CLASS_SYSTEM;
    assert_int_equal(scene_tell_from(s, 1, 1, BIG), PROA_OK);
    assert_int_equal(link_send(scene_link(s, 0), &stop, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 2);
    assert_int_equal(s->entered[1][0].type, 1);
    assert_int_equal(s->entered[1][1].type, (uint32_t)SYSMSG_STOP);
    scene_close(s);
}

static uint32_t streams[SCENE_MAX], stream_count;

static bool note_stream(struct scene *s, uint32_t side, struct packet_header *h,
                        uint8_t *data, uint16_t *len)
{
    struct packet_message m = {0};

    (void)s;
    if (side == 0 && h->kind == PACKET_DATA && stream_count < SCENE_MAX &&
        packet_message_get(data + PACKET_HEADER_LEN, data + *len, &m) != NULL &&
        (m.flags & PACKET_MSG_FRAG))
        streams[stream_count++] = m.stream;
    return true;
}

/* Four messages under way share the link packet by packet: none waits for the end of another. */
static void order__streams_take_turns(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    stream_count = 0;
    s->filter = note_stream;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(scene_tell_from(s, 10 + i, 1 + i, BIG), PROA_OK);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->entered_count[1], 4);
    assert_in_range(stream_count, 4 * 70, 4 * 75);
    for (uint32_t i = 4; i < 4 * 70; i++) {
        assert_int_equal(streams[i], streams[i - 4]);
        assert_int_not_equal(streams[i], streams[i - 1]);
    }
    scene_close(s);
}

/* ---- Bounds ---- */

static void bound__32_wait_behind_then_again(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    assert_int_equal(scene_tell_from(s, 1, 1, BIG), PROA_OK);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(scene_tell_from(s, 1, 2 + i, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 99, 8), PROA_AGAIN);
    assert_int_equal(scene_tell_from(s, 3, 98, 8), PROA_OK);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 34);
    assert_true(s->writable[0] > 0);
    assert_int_equal(scene_tell_from(s, 1, 99, 8), PROA_OK);
    scene_close(s);
}

/* Three of 100,000 bytes wait behind the first: over 256 KiB.  Another pair's has its place. */
static void bound__256_kib_wait_behind_then_again(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(scene_tell_from(s, 1, 1 + i, BIG), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 99, BIG), PROA_AGAIN);
    assert_int_equal(scene_tell_from(s, 1, 99, 8), PROA_AGAIN);
    assert_int_equal(scene_tell_from(s, 3, 98, BIG), PROA_OK);
    while (s->writable[0] == 0)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    assert_in_range(s->entered_count[1], 0, 2); /* as soon as one more may wait */
    assert_int_equal(scene_tell_from(s, 1, 99, BIG), PROA_OK);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 6);
    scene_close(s);
}

static void bound__four_at_once_then_again_but_replies_wait(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(scene_tell_from(s, 10 + i, 1 + i, BIG), PROA_OK);
    assert_int_equal(scene_tell_from(s, 20, 9, BIG), PROA_AGAIN);
    for (uint32_t i = 0; i < LINK_BULK_WAITING + 1; i++) {
        struct proa_msg reply = scene_msg(0, 30 + i, 2, 50 + i, BIG / 10);
        reply.flags = PROA_MSG_REPLY;
        reply.correlation = i + 1;
        assert_int_equal(link_send(scene_link(s, 0), &reply, link_net_now(s->net)),
                         PROA_OK);
    }
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->entered_count[1], LINK_BULK_MAX + LINK_BULK_WAITING);
    assert_int_equal(s->refused_count[1], 1); /* one answer too many: its asker is told */
    assert_int_equal(s->refused[1][0].reason, PROA_NO_REPLY);
    assert_int_equal(s->refused[1][0].correlation, LINK_BULK_WAITING + 1);
    assert_int_equal(scene_stats(s, 1).bulk_aborted, 0); /* never five under way */
    assert_true(s->writable[0] > 0);
    scene_close(s);
}

/* Nor does it for the pair whose stream has room again, while others have all streams. */
static void bound__a_small_one_does_not_wait_for_room_for_bulk(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(scene_tell_from(s, 10 + i, 1 + i, BIG), PROA_OK);
    assert_int_equal(scene_tell_from(s, 20, 9, BIG), PROA_AGAIN);
    link_net_fail_packets(s->net, 0, 1);
    assert_int_equal(scene_tell_from(s, 40, 50, 8), PROA_AGAIN);
    while (s->writable[0] == 0)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    assert_int_equal(scene_tell_from(s, 40, 50, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 20, 9, BIG), PROA_AGAIN);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(scene_tell_from(s, 10, 60 + i, BIG), PROA_OK);
        assert_int_equal(scene_tell_from(s, 11 + i, 70 + i, BIG), PROA_OK);
    }
    assert_int_equal(scene_tell_from(s, 10, 70, 8), PROA_AGAIN);
    s->writable[0] = 0;
    while (s->writable[0] == 0)
        assert_true(link_net_step(s->net, PROA_NS_NEVER));
    assert_int_equal(scene_tell_from(s, 10, 70, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 20, 9, BIG), PROA_AGAIN);
    scene_close(s);
}

static void bound__the_lanes_budget_is_shared(void **state)
{
    struct link_net_config config = {
        .pairs = 5, .bulk_max = 400000, .message_max = 90000, .delay = PROA_MS};
    struct scene *s = scene_open(&config);

    (void)state;
    assert_int_equal(scene_tell_from(s, 1, 1, 90000), PROA_OK);
    assert_int_equal(scene_tell_from(s, 3, 2, 90000),
                     PROA_AGAIN); /* a quarter is one link's */
    for (uint32_t pair = 1; pair < 5; pair++) {
        struct proa_msg msg = scene_msg(0, 1, 2, 5, 90000);
        assert_int_equal(
            link_send(link_net_link(s->net, pair, 0), &msg, link_net_now(s->net)),
            pair < 4 ? PROA_OK : PROA_AGAIN);
    }
    assert_in_range(link_net_budget(s->net, 0)->bulk, 360000, 361000);
    link_net_run(s->net, PROA_S);
    assert_int_equal(s->entered_count[1], 4);
    assert_int_equal(link_net_budget(s->net, 0)->bulk, 0);
    scene_close(s);
}

/* ---- No memory ---- */

static void abort__the_sender_is_told_and_the_rest_goes_on(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_fail_bulk(s->net, 1, 1);
    assert_int_equal(scene_tell_from(s, 1, 1, 1 << 20), PROA_OK);
    assert_int_equal(scene_tell_from(s, 1, 2, 8), PROA_OK);
    assert_int_equal(scene_tell_from(s, 3, 3, BIG), PROA_OK);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->refused_count[0], 1);
    assert_int_equal(s->refused[0][0].reason, PROA_REFUSED_BUSY);
    assert_int_equal(s->refused[0][0].type, 1);
    assert_int_equal(s->refused[0][0].slot, 1);
    assert_int_equal(s->refused[0][0].count, 1);
    assert_int_equal(s->entered_count[1], 2);
    assert_int_equal(scene_stats(s, 0).bulk_aborted, 1);
    /* It stopped early: 762 packets would have been the whole. */
    assert_true(scene_stats(s, 0).tx_packets < 400);
    scene_close(s);
}

static void abort__an_ask_has_its_correlation(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg ask = scene_msg(0, 1, 2, 1, BIG);

    (void)state;
    ask.flags = PROA_MSG_ASK;
    ask.correlation = 321;
    ask.deadline = PROA_NS_NEVER;
    link_net_fail_bulk(s->net, 1, 1);
    assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->refused_count[0], 1);
    assert_int_equal(s->refused[0][0].correlation, 321);
    scene_close(s);
}

static void abort__an_answer_without_room_is_told_to_the_asker_here(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg reply = scene_msg(0, 1, 2, 1, BIG);

    (void)state;
    reply.flags = PROA_MSG_REPLY;
    reply.correlation = 55;
    link_net_fail_bulk(s->net, 1, 1);
    assert_int_equal(link_send(scene_link(s, 0), &reply, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->entered_count[1], 0);
    assert_int_equal(s->refused_count[0], 0);
    assert_int_equal(s->refused_count[1], 1);
    assert_int_equal(s->refused[1][0].reason, PROA_NO_REPLY);
    assert_int_equal(s->refused[1][0].correlation, 55);
    assert_int_equal(s->refused[1][0].slot, 2);
    scene_close(s);
}

static void abort__a_third_nodes_sender_is_told_by_the_lane(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg msg = scene_msg(0, 1, 2, 1, BIG);

    (void)state;
    msg.from.node = 0xabcd;
    link_net_fail_bulk(s->net, 1, 1);
    assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->foreign_count, 1);
    assert_int_equal(s->foreign.slot, 1);
    assert_int_equal(s->refused_count[0], 0);
    assert_int_equal(scene_stats(s, 0).bulk_aborted, 1);
    scene_close(s);
}

/* Every fragment claims to be of a message one byte over what the receiver takes. */
static bool raise_total(struct scene *s, uint32_t side, struct packet_header *h,
                        uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)len;
    if (side == 0 && h->kind == PACKET_DATA)
        proa_put_le32(data + PACKET_HEADER_LEN + PACKET_MSG_HEAD + 8, (1 << 20) + 1);
    return true;
}

static void abort__over_the_receivers_limit(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = raise_total;
    assert_int_equal(scene_tell_from(s, 1, 9, BIG), PROA_OK);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->refused_count[0], 1);
    assert_int_equal(s->refused[0][0].reason, PROA_REFUSED_BAD_LENGTH);
    assert_int_equal(s->entered_count[1], 0);
    scene_close(s);
}

/* Fragments of one stream whose offsets do not follow each other. */
static void abort__a_fragment_out_of_place(void **state)
{
    struct scene *s = scene_open(NULL);
    uint8_t data[128] = {0};

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct packet_header h = {.kind = PACKET_DATA, .seq = i};
        struct packet_message m = {.len = 8,
                                   .flags = PACKET_MSG_FRAG,
                                   .type = 9,
                                   .src = packet_actor(1, 7),
                                   .offset = i == 0 ? 0 : 16,
                                   .total = 24};
        packet_header_put(data, &h);
        size_t len =
            PACKET_HEADER_LEN + packet_message_put(data + PACKET_HEADER_LEN, &m) + 8;
        link_net_inject(s->net, 0, 1, data, (uint16_t)len);
    }
    assert_int_equal(scene_stats(s, 1).rx_malformed, 1);
    assert_int_equal(scene_stats(s, 1).bulk_aborted, 1);
    assert_int_equal(s->entered_count[1], 0);
    assert_int_equal(link_net_budget(s->net, 1)->bulk, 0);
    scene_close(s);
}

/* ---- The end ---- */

static void kill__bulk_is_reported_once_sent_or_not(void **state)
{
    struct link_net_config config = {.delay = PROA_MS};
    struct scene *s = scene_open(&config);

    (void)state;
    assert_int_equal(scene_tell_from(s, 1, 1, 20000), PROA_OK);  /* all fragments go */
    assert_int_equal(scene_tell_from(s, 3, 2, 400000), PROA_OK); /* some of them */
    assert_int_equal(scene_tell_from(s, 3, 3, 8), PROA_OK);      /* behind it */
    assert_int_equal(scene_tell_from(s, 3, 4, 50000), PROA_OK);
    link_flush(scene_link(s, 0), link_net_now(s->net));
    link_net_kill(s->net, 0, 0);
    assert_int_equal(s->lost_count[0], 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct scene_message *m = &s->lost[0][i];
        assert_int_equal(m->type, i + 1);
        assert_int_equal(m->sent, i < 2);
    }
    assert_int_equal(s->lost[0][0].len, 20000);
    scene_close(s);
}

/* The abort of a message whose last fragment is still unacked: its outcome is known. */
static bool lose_last_fragments(struct scene *s, uint32_t side, struct packet_header *h,
                                uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA && h->seq >= 2);
}

static void kill__what_was_aborted_is_not_reported_again(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = lose_last_fragments;
    link_net_fail_bulk(s->net, 1, 1);
    assert_int_equal(scene_tell_from(s, 1, 1, 10000),
                     PROA_OK); /* 8 fragments, 2 arrive */
    link_net_run(s->net, 150 * PROA_US);
    assert_int_equal(s->refused_count[0], 1);
    link_net_kill(s->net, 0, 0);
    assert_int_equal(s->lost_count[0], 0);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(send__any_length_arrives_whole),
        cmocka_unit_test(send__16_mib_arrive_whole_beside_small_messages),
        cmocka_unit_test(send_bulk__takes_the_buffer_whatever_its_length),
        cmocka_unit_test(send__over_the_limit_is_too_large),
        cmocka_unit_test(order__the_pair_waits_others_pass),
        cmocka_unit_test(order__bulk_does_not_overtake_what_waits_in_the_outbox),
        cmocka_unit_test(order__system_messages_keep_their_place_too),
        cmocka_unit_test(order__streams_take_turns),
        cmocka_unit_test(bound__32_wait_behind_then_again),
        cmocka_unit_test(bound__256_kib_wait_behind_then_again),
        cmocka_unit_test(bound__four_at_once_then_again_but_replies_wait),
        cmocka_unit_test(bound__a_small_one_does_not_wait_for_room_for_bulk),
        cmocka_unit_test(bound__the_lanes_budget_is_shared),
        cmocka_unit_test(abort__the_sender_is_told_and_the_rest_goes_on),
        cmocka_unit_test(abort__an_ask_has_its_correlation),
        cmocka_unit_test(abort__an_answer_without_room_is_told_to_the_asker_here),
        cmocka_unit_test(abort__a_third_nodes_sender_is_told_by_the_lane),
        cmocka_unit_test(abort__over_the_receivers_limit),
        cmocka_unit_test(abort__a_fragment_out_of_place),
        cmocka_unit_test(kill__bulk_is_reported_once_sent_or_not),
        cmocka_unit_test(kill__what_was_aborted_is_not_reported_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
