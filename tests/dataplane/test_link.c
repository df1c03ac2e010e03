/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

/* ---- Sending ---- */

static void send__fills_a_packet_with_short_headers(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    for (uint32_t i = 0; i < 35; i++) /* 56 + 34 x 40 = 1,448 - 32 */
        assert_int_equal(scene_tell(s, 0, i + 1, 32), PROA_OK);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(scene_sent(s, 0, PACKET_DATA), 1);
    assert_int_equal(s->entered_count[1], 35);
    for (uint32_t i = 0; i < 35; i++)
        assert_int_equal(s->entered[1][i].type, i + 1);
    scene_close(s);
}

static void send__copies_every_length_and_pads_with_zeros(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    for (uint32_t len = 0; len < 600; len++) {
        assert_int_equal(scene_tell(s, 0, len + 1, len), PROA_OK);
        if (len % 20 == 0)
            link_net_run(s->net, 100 * PROA_US);
    }
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 600);
    for (uint32_t i = 0; i < 600; i++)
        assert_int_equal(s->entered[1][i].len, i);
    scene_close(s);
}

static void send__again_at_the_bound_writable_at_half(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    scene_packets(s, 0, 1, LINK_OUTBOX_MAX);
    assert_int_equal(scene_tell(s, 0, 100, 1392), PROA_AGAIN);
    assert_int_equal(s->writable[0], 0);
    assert_int_equal(scene_stats(s, 0).again, 1);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->writable[0], 1);
    assert_int_equal(s->entered_count[1], LINK_OUTBOX_MAX);
    assert_int_equal(scene_tell(s, 0, 100, 1392), PROA_OK);
    scene_close(s);
}

/* A registry's snapshot gets past actors' tells, but leaves the reserve to answers. */
static void send__registry_messages_use_some_of_the_reserve(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg mesh = scene_msg(0, 0, 0, 1, SYSMSG_REGISTRY_MAX);
    struct proa_msg reply = scene_msg(0, 1, 2, 200, 1300);
    uint32_t sent = 0;

    (void)state;
    scene_packets(s, 0, 1, LINK_OUTBOX_MAX);
    mesh.type = (uint32_t)SYSMSG_REGISTRY;
    mesh.flags = PROA_MSG_SYSTEM;
    mesh.cls = PROA_CLASS_SYSTEM;
    while (link_send(scene_link(s, 0), &mesh, link_net_now(s->net)) == PROA_OK)
        sent++;
    assert_int_equal(sent, LINK_OUTBOX_REGISTRY);
    assert_int_equal(scene_stats(s, 0).again, 0); /* nobody waits for room */
    reply.flags = PROA_MSG_REPLY;
    for (uint32_t i = 0; i < LINK_OUTBOX_RESERVE - sent; i++)
        assert_int_equal(link_send(scene_link(s, 0), &reply, link_net_now(s->net)),
                         PROA_OK);
    link_net_run(s->net, 5 * PROA_MS);
    assert_int_equal(s->entered_count[1], LINK_OUTBOX_MAX + LINK_OUTBOX_RESERVE);
    scene_close(s);
}

static void send__replies_and_system_messages_use_the_reserve(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg reply = scene_msg(0, 1, 2, 200, 1300);
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg stop = {.data = body,
                            .len = (uint32_t)sysmsg_encode_stop(body, 5, 9),
                            .type = (uint32_t)SYSMSG_STOP,
                            .flags = PROA_MSG_SYSTEM,
                            .cls = PROA_CLASS_SYSTEM};

    (void)state;
    scene_packets(s, 0, 1, LINK_OUTBOX_MAX);
    assert_int_equal(scene_tell(s, 0, 100, 1392), PROA_AGAIN);
    reply.flags = PROA_MSG_REPLY;
    for (uint32_t i = 0; i < LINK_OUTBOX_RESERVE; i++)
        assert_int_equal(link_send(scene_link(s, 0), &reply, link_net_now(s->net)),
                         PROA_OK);
    /* The reserve is spent too: the answer becomes a refusal, the STOP waits as a record. */
    assert_int_equal(link_send(scene_link(s, 0), &reply, link_net_now(s->net)), PROA_OK);
    for (uint32_t i = 0; i < 10; i++) {
        stop.len = (uint32_t)sysmsg_encode_stop(body, 5 + i, 9);
        assert_int_equal(link_send(scene_link(s, 0), &stop, link_net_now(s->net)),
                         PROA_OK);
    }
    link_net_run(s->net, 50 * PROA_MS);
    assert_int_equal(s->entered_count[1], LINK_OUTBOX_MAX + LINK_OUTBOX_RESERVE + 10);
    assert_int_equal(s->refused_count[1], 1);
    assert_int_equal(s->refused[1][0].reason, PROA_NO_REPLY);
    assert_int_equal(s->refused[1][0].slot, 2);
    scene_close(s);
}

static void send__a_dry_pool_is_again_and_passes(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_fail_packets(s->net, 0, 1);
    assert_int_equal(scene_tell(s, 0, 1, 32), PROA_AGAIN);
    link_net_run(s->net, PROA_MS);
    assert_true(s->writable[0] > 0);
    assert_int_equal(scene_tell(s, 0, 1, 32), PROA_OK);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 1);
    scene_close(s);
}

/* What waits in the lane for its link is sent when the link is looked at again; that it got AGAIN then as
   well must bring another look, on a link where nothing else happens. */
static void send__again_at_a_look_brings_another(void **state)
{
    struct scene *s = scene_open(NULL);
    struct link *link = scene_link(s, 0);
    struct proa_msg msg = scene_msg(0, 1, 2, 9, 8);

    (void)state;
    link_net_run(s->net, PROA_S); /* nothing is in flight */
    link_net_fail_packets(s->net, 0, 3);
    proa_ns at = link_net_now(s->net);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(link_send(link, &msg, at), PROA_AGAIN);
        link_flush(link, at);
        assert_in_range(link_deadline(link), at + 1, at + PROA_MS);
        at = link_deadline(link);
    }
    assert_int_equal(link_send(link, &msg, at), PROA_OK);
    scene_close(s);
}

static void send__an_ask_carries_what_is_left_of_its_deadline(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg ask = scene_msg(0, 1, 2, 9, 8);

    (void)state;
    ask.flags = PROA_MSG_ASK;
    ask.correlation = 77;
    ask.deadline = link_net_now(s->net) + 3 * PROA_MS;
    assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)), PROA_OK);
    ask.deadline = link_net_now(s->net) - 1; /* over already */
    assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 2);
    const struct scene_message *m = s->entered[1];
    assert_int_equal(m->correlation, 77);
    assert_int_equal(m->flags, PROA_MSG_ASK);
    assert_int_equal(m->deadline, m->at + 3 * PROA_MS);
    assert_int_equal(m[1].deadline, m[1].at);
    scene_close(s);
}

static void send__a_foreign_sender_keeps_its_node(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg msg = scene_msg(0, 1, 2, 9, 8);

    (void)state;
    msg.from.node = 0xabcd;
    msg.hops = 3;
    assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)), PROA_OK);
    assert_int_equal(scene_tell(s, 0, 10, 8), PROA_OK); /* SAME actors, another node */
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 2);
    assert_int_equal(s->entered[1][0].from.node, 0xabcd);
    assert_int_equal(s->entered[1][1].from.node, LINK_NET_NODE);
    scene_close(s);
}

/* Its asker's node is told where it went, but only when it is there. */
static void send__a_forwarded_ask_is_reported_when_it_arrived(void **state)
{
    struct link_net_config config = {.delay = 100 * PROA_US};
    struct scene *s = scene_open(&config);
    struct proa_msg ask = scene_msg(0, 1, 2, 9, 8);

    (void)state;
    assert_int_equal(scene_tell(s, 0, 10, 8), PROA_OK);
    ask.from.node = 0xabcd;
    ask.flags = PROA_MSG_ASK;
    ask.correlation = 77;
    ask.deadline = link_net_now(s->net) + PROA_S;
    assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)), PROA_OK);
    link_net_run(s->net, 150 * PROA_US);
    assert_int_equal(s->entered_count[1], 2);
    assert_int_equal(s->passed_count, 0);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->passed_count, 1);
    assert_int_equal(s->passed.from.node, 0xabcd);
    assert_int_equal(s->passed.from.slot, ask.from.slot);
    assert_true(proa_ref_equal(s->passed.to, ask.to));
    assert_int_equal(s->passed.correlation, 77);
    assert_int_equal(s->passed.type, ask.type);
    scene_close(s);
}

static void send__waits_until_the_peer_was_heard(void **state)
{
    struct link_net_config config = {.initiator_holds = true};
    struct scene *s = scene_open(&config);

    (void)state;
    link_net_kill(s->net, 0, 1); /* never there */
    scene_packets(s, 0, 1, 3);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(s->sent_count[0], 0);
    assert_int_equal(link_state(scene_link(s, 0)), LINK_OPENING);
    assert_true(link_net_pings(s->net, 0, 0) >= 2); /* the OPEN is repeated meanwhile */
    link_heard(scene_link(s, 0), false, link_net_now(s->net));
    link_flush(scene_link(s, 0), link_net_now(s->net));
    assert_int_equal(link_state(scene_link(s, 0)), LINK_UP);
    assert_int_equal(scene_sent(s, 0, PACKET_DATA), 3);
    scene_close(s);
}

/* ---- Receiving ---- */

static void put_tell(uint8_t *data, uint16_t *len, uint32_t seq)
{
    struct packet_header h = {.kind = PACKET_DATA, .seq = seq};
    struct packet_message m = {.len = 8, .type = 1, .dst = 2, .src = 1};

    memset(data, 0, 128);
    packet_header_put(data, &h);
    *len = (uint16_t)(PACKET_HEADER_LEN +
                      packet_message_put(data + PACKET_HEADER_LEN, &m) + 8);
}

static void input__malformed_is_counted_and_leaves_no_trace(void **state)
{
    struct scene *s = scene_open(NULL);
    uint8_t data[128], changed[128];
    uint16_t len;

    (void)state;
    put_tell(data, &len, 0);
    for (int i = 0; i < 9; i++) {
        uint16_t n = len;
        memcpy(changed, data, sizeof(data));
        switch (i) {
        case 0:
            changed[0] = 0x02; /* version */
            break;
        case 1:
            changed[0] = 0x51; /* a keyed kind */
            break;
        case 2:
            changed[1] = PACKET_SEALED;
            break;
        case 3:
            n = 31;
            break;
        case 4:
            n = (uint16_t)(len - 4);
            break;
        case 5:
            changed[1] = PACKET_ACK_VALID;
            changed[24] = 1; /* acks what was never sent */
            break;
        case 6:
            changed[1] = PACKET_ACK_VALID;
            changed[16] = 1; /* has what was never sent */
            break;
        case 7:
            changed[1] = PACKET_ACK_VALID;
            changed[3] = 0xff; /* window over the bound */
            break;
        default:
            changed[34] = 0x40; /* a message's flag */
            break;
        }
        link_net_inject(s->net, 0, 1, changed, n);
        assert_int_equal(scene_stats(s, 1).rx_malformed, i + 1);
    }
    link_net_inject(s->net, 0, 1, data, PACKET_HEADER_LEN); /* no message */
    assert_int_equal(scene_stats(s, 1).rx_malformed, 10);
    assert_int_equal(s->entered_count[1], 0);
    assert_int_equal(link_state(scene_link(s, 1)), LINK_OPENING);
    link_net_inject(s->net, 0, 1, data, len);
    assert_int_equal(s->entered_count[1], 1);
    scene_close(s);
}

/* What nearly every packet is, header and all: an ask alone, the next in order. */
static void put_ask(uint8_t *data, uint16_t *len)
{
    struct packet_header h = {
        .kind = PACKET_DATA, .flags = PACKET_ACK_VALID, .window = 64};
    struct packet_message m = {.len = 8,
                               .flags = PACKET_MSG_ASK,
                               .type = 1,
                               .dst = 2,
                               .src = 1,
                               .correlation = 7,
                               .us_left = PACKET_US_LEFT_MAX};

    memset(data, 0, 128);
    packet_header_put(data, &h);
    *len = (uint16_t)(PACKET_HEADER_LEN +
                      packet_message_put(data + PACKET_HEADER_LEN, &m) + 8);
}

static void input__an_ask_alone_is_checked_as_all_are(void **state)
{
    static const struct {
        int more;     /* bytes than it has */
        uint8_t at;   /* the byte that is changed, behind the header: */
        uint8_t bits; /* to these */
    } cases[] = {
        {-8, 0, 8},    /* its payload is cut off */
        {8, 0, 8},     /* something follows, and is no message */
        {0, 0, 16},    /* it says that it is longer */
        {0, 0, 0},     /* or shorter */
        {0, 1, 0xff},  /* far longer */
        {0, 2, 3},     /* an ask and a reply */
        {0, 2, 0x21},  /* to and from those of the message before */
        {0, 3, 3},     /* no such class */
        {0, 3, 0xfc},  /* 63 hops */
        {0, 7, 0xff},  /* a type of the runtime's */
        {0, 31, 0xff}, /* a deadline far beyond an hour */
        {-40, 0, 8},   /* nothing but a header */
        {-48, 0, 8},   /* and not even that */
    };
    struct scene *s = scene_open(NULL);
    const unsigned count = sizeof(cases) / sizeof(cases[0]);
    uint8_t data[128];
    uint16_t len;

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        put_ask(data, &len);
        data[PACKET_HEADER_LEN + cases[i].at] = cases[i].bits;
        link_net_inject(s->net, 0, 1, data, (uint16_t)(len + cases[i].more));
        if (scene_stats(s, 1).rx_malformed != i + 1)
            fail_msg("case %u", i);
    }
    assert_int_equal(s->entered_count[1], 0);
    put_ask(data, &len);
    link_net_inject(s->net, 0, 1, data, len);
    assert_int_equal(s->entered_count[1], 1);
    assert_int_equal(s->entered[1][0].correlation, 7);
    assert_int_equal(s->entered[1][0].flags, PROA_MSG_ASK);
    assert_int_equal(s->entered[1][0].deadline - s->entered[1][0].at, 3600 * PROA_S);
    link_net_inject(s->net, 0, 1, data, len);
    assert_int_equal(s->entered_count[1], 1);
    assert_int_equal(scene_stats(s, 1).rx_duplicate, 1);
    scene_close(s);
}

static void input__outside_the_window_is_counted(void **state)
{
    struct scene *s = scene_open(NULL);
    uint8_t data[128];
    uint16_t len;

    (void)state;
    put_tell(data, &len, LINK_WINDOW_INITIAL);
    link_net_inject(s->net, 0, 1, data, len);
    put_tell(data, &len, (uint32_t)-LINK_WINDOW_MAX - 1);
    link_net_inject(s->net, 0, 1, data, len);
    assert_int_equal(scene_stats(s, 1).rx_outside, 2);
    put_tell(data, &len, LINK_WINDOW_INITIAL - 1);
    link_net_inject(s->net, 0, 1, data, len);
    assert_int_equal(scene_stats(s, 1).rx_held, 1);
    link_net_inject(s->net, 0, 1, data, len);
    put_tell(data, &len, (uint32_t)-1);
    link_net_inject(s->net, 0, 1, data, len);
    assert_int_equal(scene_stats(s, 1).rx_duplicate, 2);
    assert_int_equal(s->entered_count[1], 0);
    scene_close(s);
}

static bool damage_first(struct scene *s, uint32_t side, struct packet_header *h,
                         uint8_t *data, uint16_t *len)
{
    (void)len;
    if (side == 0 && h->kind == PACKET_DATA && s->mark++ == 0)
        data[PACKET_HEADER_LEN + 3] = 0xff; /* 63 hops */
    return true;
}

static void input__a_malformed_packet_is_not_acked_and_comes_again(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->filter = damage_first;
    scene_packets(s, 0, 1, 10);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(scene_stats(s, 1).rx_malformed, 1);
    assert_int_equal(s->entered_count[1], 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(s->entered[1][i].type, i + 1);
    scene_close(s);
}

static bool no_replies(struct scene *s, uint32_t side, struct packet_header *h,
                       uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return !(side == 1 && h->kind == PACKET_DATA);
}

/* Side 1 answers each ask, and its packets do not get through: its window fills. */
static void answer(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    struct proa_msg reply = scene_msg(side, 2, 1, 50, 1300);

    if (!(msg->flags & PROA_MSG_ASK))
        return;
    reply.flags = PROA_MSG_REPLY;
    reply.correlation = msg->correlation;
    assert_int_equal(link_send(scene_link(s, side), &reply, link_net_now(s->net)),
                     PROA_OK);
}

static void input__asks_are_refused_while_answers_pile_up(void **state)
{
    struct link_net_config config = {.reserved_max =
                                         4096}; /* one link's bound is meant */
    struct scene *s = scene_open(&config);
    struct proa_msg ask = scene_msg(0, 1, 2, 9, 8);
    uint32_t asks = 0;

    (void)state;
    s->filter = no_replies;
    s->on_message = answer;
    ask.flags = PROA_MSG_ASK;
    ask.deadline = PROA_NS_NEVER;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 30; i++) {
            ask.correlation = ++asks;
            assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)),
                             PROA_OK);
        }
        link_net_run(s->net, 20 * PROA_US);
    }
    /* 64 or so in flight, the bound in the outbox, the others refused at once. */
    assert_in_range(s->entered_count[1], LINK_OUTBOX_BUSY, LINK_OUTBOX_BUSY + 100);
    s->filter = NULL;
    link_net_run(s->net, 100 * PROA_MS);
    assert_int_equal(s->entered_count[0] + s->refused_count[0], asks);
    assert_int_equal(s->refused[0][0].reason, PROA_REFUSED_BUSY);
    scene_close(s);
}

/* ---- Acks ---- */

static void ack__a_bare_one_after_16_packets_or_20_us(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS); /* the ack that opens */
    uint32_t before = s->sent_count[1];
    scene_packets(s, 0, 1, 1);
    link_net_run(s->net, 20 * PROA_US);
    assert_int_equal(s->sent_count[1], before);
    link_net_run(s->net, 2 * PROA_US);
    assert_int_equal(s->sent_count[1], before + 1);
    scene_packets(s, 0, 1, 33);
    link_net_run(s->net, 5 * PROA_US);
    assert_int_equal(s->sent_count[1], before + 3);
    assert_int_equal(scene_sent(s, 1, PACKET_DATA), 0);
    scene_close(s);
}

static void ack__rides_on_data(void **state)
{
    struct scene *s = scene_open(NULL);
    struct proa_msg ask = scene_msg(0, 1, 2, 9, 8);

    (void)state;
    s->on_message = answer;
    ask.flags = PROA_MSG_ASK;
    ask.deadline = PROA_NS_NEVER;
    link_net_run(s->net, PROA_MS);
    uint32_t bare = scene_sent(s, 1, PACKET_ACK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)),
                         PROA_OK);
        link_net_run(s->net, 10 * PROA_US);
    }
    assert_int_equal(s->entered_count[0], 10);
    assert_int_equal(scene_sent(s, 1, PACKET_ACK), bare);
    scene_close(s);
}

static void ack__is_sent_on_demand_before_sleeping(void **state)
{
    struct scene *s = scene_open(NULL);
    uint8_t data[128];
    uint16_t len;

    (void)state;
    link_net_run(s->net, PROA_MS);
    assert_false(link_ack_due(scene_link(s, 1)));
    put_tell(data, &len, 0);
    link_net_inject(s->net, 0, 1, data, len);
    assert_true(link_ack_due(scene_link(s, 1)));
    uint32_t before = s->sent_count[1];
    link_ack(scene_link(s, 1), link_net_now(s->net));
    assert_int_equal(s->sent_count[1], before + 1);
    assert_false(link_ack_due(scene_link(s, 1)));
    scene_close(s);
}

static bool lose_third(struct scene *s, uint32_t side, struct packet_header *h,
                       uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return !(side == 0 && h->kind == PACKET_DATA && h->seq == 2 && h->attempt == 0);
}

static void ack__a_gap_is_told_at_once_with_a_bitmap(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS);
    uint32_t before = s->sent_count[1];
    s->filter = lose_third;
    scene_packets(s, 0, 1, 10);
    link_net_run(s->net, PROA_US);
    assert_true(s->sent_count[1] > before);
    assert_int_equal(s->sent[1][before].kind, PACKET_ACK);
    assert_int_equal(s->sent[1][before].ack, 2);
    assert_int_equal(s->sent[1][before].sack, 1);
    assert_int_equal(s->sent_len[1][before], PACKET_HEADER_LEN + 8);
    assert_int_equal(s->sent_at[1][before], link_net_now(s->net));
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 10);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(send__fills_a_packet_with_short_headers),
        cmocka_unit_test(send__copies_every_length_and_pads_with_zeros),
        cmocka_unit_test(send__again_at_the_bound_writable_at_half),
        cmocka_unit_test(send__registry_messages_use_some_of_the_reserve),
        cmocka_unit_test(send__replies_and_system_messages_use_the_reserve),
        cmocka_unit_test(send__a_dry_pool_is_again_and_passes),
        cmocka_unit_test(send__again_at_a_look_brings_another),
        cmocka_unit_test(send__an_ask_carries_what_is_left_of_its_deadline),
        cmocka_unit_test(send__a_foreign_sender_keeps_its_node),
        cmocka_unit_test(send__a_forwarded_ask_is_reported_when_it_arrived),
        cmocka_unit_test(send__waits_until_the_peer_was_heard),
        cmocka_unit_test(input__malformed_is_counted_and_leaves_no_trace),
        cmocka_unit_test(input__an_ask_alone_is_checked_as_all_are),
        cmocka_unit_test(input__outside_the_window_is_counted),
        cmocka_unit_test(input__a_malformed_packet_is_not_acked_and_comes_again),
        cmocka_unit_test(input__asks_are_refused_while_answers_pile_up),
        cmocka_unit_test(ack__a_bare_one_after_16_packets_or_20_us),
        cmocka_unit_test(ack__rides_on_data),
        cmocka_unit_test(ack__is_sent_on_demand_before_sleeping),
        cmocka_unit_test(ack__a_gap_is_told_at_once_with_a_bitmap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
