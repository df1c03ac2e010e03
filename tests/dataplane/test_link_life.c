/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

/* So many milliseconds pass in which nothing runs; then side 0 looks at its timers. */
static void pass(struct scene *s, proa_ns ms)
{
    link_net_pass(s->net, ms * PROA_MS);
    link_tick(scene_link(s, 0), link_net_now(s->net));
}

/* ---- Life and death ---- */

static void tick__an_idle_link_is_pinged_after_400_ms_or_100_ms(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS);
    link_net_run(s->net, 390 * PROA_MS);
    assert_int_equal(link_net_pings(s->net, 0, 0), 0);
    link_net_run(s->net, 20 * PROA_MS);
    assert_int_equal(link_net_pings(s->net, 0, 0), 1);
    link_expect(scene_link(s, 0), true);
    link_net_run(s->net, PROA_S);
    assert_in_range(link_net_pings(s->net, 0, 0), 9, 12);
    assert_false(link_net_dead(s->net, 0, 0));
    scene_close(s);
}

static void silence_kills(bool expect)
{
    struct scene *s = scene_open(NULL);
    proa_ns since;

    link_net_run(s->net, PROA_MS);
    link_expect(scene_link(s, 0), expect);
    since = link_net_now(s->net);
    link_net_faults(s->net)->loss = 10000;
    if (expect)
        scene_packets(s, 0, 1, 3);
    link_net_run(s->net, 990 * PROA_MS);
    assert_false(link_net_dead(s->net, 0, 0));
    while (!link_net_dead(s->net, 0, 0) && link_net_now(s->net) < since + 5 * PROA_S)
        link_net_run(s->net, PROA_MS / 10);
    assert_true(link_net_dead(s->net, 0, 0));
    assert_int_equal(link_dead_reason(scene_link(s, 0)), LINK_DEAD_SILENT);
    assert_in_range(link_net_now(s->net) - since, PROA_S - PROA_MS, PROA_S + PROA_MS);
    assert_true(link_net_pings(s->net, 0, 0) >= 3);
    assert_int_equal(link_deadline(scene_link(s, 0)), 0);
    scene_close(s);
}

static void tick__only_silence_kills_after_a_second(void **state)
{
    (void)state;
    silence_kills(true);
    silence_kills(false);
}

/* The third ping must have gone out, and stayed without an answer, however long it is silent: here
   the first one goes out late, after 990 ms, the others 190 ms apart. */
static void tick__three_pings_must_be_unanswered(void **state)
{
    struct scene *s = scene_open(NULL);
    struct link *link = scene_link(s, 0);

    (void)state;
    link_net_run(s->net, PROA_MS);
    link_net_faults(s->net)->loss = 10000;
    link_net_pass(s->net, (990 - 95) * PROA_MS);
    for (proa_ns at = 990; at <= 1465; at += 95)
        pass(s, 95);
    assert_int_equal(link_state(link), LINK_UP);
    pass(s, 95);
    assert_int_equal(link_state(link), LINK_DEAD);
    scene_close(s);
}

/* A lane that was not scheduled for long finds the peer's packets waiting, and must look at
   them before it concludes anything. */
static void tick__our_own_absence_is_not_the_peers_silence(void **state)
{
    struct scene *s = scene_open(NULL);
    struct link *link = scene_link(s, 0);

    (void)state;
    link_net_run(s->net, PROA_MS);
    link_expect(link, true);
    link_net_faults(s->net)->loss = 10000;
    for (int i = 1; i <= 4; i++)
        pass(s, 200); /* pings, unanswered */
    for (int i = 0; i < 5; i++) {
        pass(s, 3000);
        assert_int_equal(link_state(link), LINK_UP);
    }
    pass(s, 30);
    assert_int_equal(link_state(link), LINK_DEAD);
    scene_close(s);
}

/* A control thread that was not scheduled for seconds has sent no PING: the silence says nothing about the
   peer.  Then all leave that it was asked for, at once, and they are one. */
static void tick__a_ping_that_has_not_left_is_not_unanswered(void **state)
{
    struct scene *s = scene_open(NULL);
    struct link *link = scene_link(s, 0);

    (void)state;
    link_net_run(s->net, PROA_MS);
    link_net_faults(s->net)->loss = 10000;
    link_net_faults(s->net)->pings_wait = true;
    link_net_run(s->net, 5 * PROA_S);
    assert_true(link_net_pings(s->net, 0, 0) > 30); /* wanted */
    assert_int_equal(link_state(link), LINK_UP);
    for (int i = 0; i < 30; i++)
        link_pinged(link, link_net_now(s->net));
    link_net_run(s->net, 90 * PROA_MS);
    assert_int_equal(link_state(link), LINK_UP);
    link_net_faults(s->net)->pings_wait = false;
    link_net_run(s->net, 240 * PROA_MS);
    assert_int_equal(link_state(link), LINK_DEAD);
    scene_close(s);
}

/* The last call's time runs from when its PING has left, not from when it was wanted. */
static void tick__the_last_call_is_20_ms_from_its_leaving(void **state)
{
    struct scene *s = scene_open(NULL);
    struct link *link = scene_link(s, 0);

    (void)state;
    link_net_run(s->net, PROA_MS);
    link_net_faults(s->net)->loss = 10000;
    link_net_run(s->net, 950 * PROA_MS); /* the PINGs of 400 to 900 ms have left */
    link_net_faults(s->net)->pings_wait = true;
    link_net_run(s->net, 70 * PROA_MS);
    assert_int_equal(link_state(link), LINK_UP);
    link_pinged(link, link_net_now(s->net));
    link_net_run(s->net, 19 * PROA_MS);
    assert_int_equal(link_state(link), LINK_UP);
    link_net_run(s->net, 2 * PROA_MS);
    assert_int_equal(link_state(link), LINK_DEAD);
    scene_close(s);
}

/* Control threads that do not run, here or there, end no link whose lanes hear each other. */
static void tick__lane_answers_lane_without_control_threads(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        struct scene *s = scene_open(NULL);

        link_net_run(s->net, PROA_MS);
        link_net_faults(s->net)->pings_wait = there == 0;
        link_net_faults(s->net)->pings_stand = there == 1;
        uint32_t acks = scene_sent(s, 1, PACKET_ACK);
        link_net_run(s->net, 5 * PROA_S);
        assert_false(link_net_dead(s->net, 0, 0) || link_net_dead(s->net, 0, 1));
        /* One PING each 400 ms: the other side's bare ack answers it. */
        assert_in_range(link_net_pings(s->net, 0, 0), 11, 13);
        assert_in_range(link_net_pings(s->net, 0, 1), 11, 13);
        assert_in_range(scene_sent(s, 1, PACKET_ACK) - acks, 22, 26); /* its own too */
        scene_close(s);
    }
}

static void kill__reports_each_in_order_and_says_what_was_sent(void **state)
{
    struct scene *s = scene_open(NULL);
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg stop = {.data = body,
                            .len = (uint32_t)sysmsg_encode_stop(body, 5, 9),
                            .type = (uint32_t)SYSMSG_STOP,
                            .flags = PROA_MSG_SYSTEM,
                            .cls = PROA_CLASS_SYSTEM};

    (void)state;
    scene_packets(s, 0, 1, 5);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 5); /* these are acked */
    link_net_faults(s->net)->loss = 10000;
    scene_packets(s, 0, 6, 3);
    link_flush(scene_link(s, 0), link_net_now(s->net));
    scene_packets(s, 0, 9, 3);
    assert_int_equal(link_send(scene_link(s, 0), &stop, link_net_now(s->net)), PROA_OK);
    struct refusal r = {.to = {LINK_NET_NODE * 2, 2, 7},
                        .slot = 1,
                        .generation = 7,
                        .type = 1,
                        .count = 1,
                        .reason = PROA_REFUSED_FULL};
    link_refuse(scene_link(s, 0), &r, link_net_now(s->net));
    link_net_kill(s->net, 0, 0);
    assert_int_equal(s->lost_count[0], 7);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(s->lost[0][i].type, 6 + i);
        assert_int_equal(s->lost[0][i].sent, i < 3);
        assert_int_equal(s->lost[0][i].len, 1392);
    }
    assert_int_equal(s->lost[0][6].type, (uint32_t)SYSMSG_STOP);
    scene_close(s);
}

/* Whichever side's packets do not get through from the port its peer has named, the link goes back
   to the ports' own and loses nothing. */
static void source__that_does_not_get_through_is_given_up(void **state)
{
    (void)state;
    for (uint32_t side = 0; side < 2; side++) {
        struct scene *s = scene_open(NULL);

        scene_packets(s, 0, 1, 2);
        link_net_run(s->net, 10 * PROA_MS);
        link_net_faults(s->net)->blocked = 50000;
        link_set_source(scene_link(s, side), 50000);
        scene_packets(s, 0, 1, 40);
        link_net_run(s->net, 3 * PROA_S);
        assert_int_equal(link_net_source(s->net, 0, side), 0);
        assert_false(link_net_dead(s->net, 0, 0) || link_net_dead(s->net, 0, 1));
        assert_int_equal(s->entered_count[1], 42);
        scene_close(s);
    }
}

static void source__is_that_of_the_sending_not_of_the_building(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    scene_packets(s, 0, 1, 1); /* built, not sent yet */
    link_set_source(scene_link(s, 0), 50000);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(link_net_source(s->net, 0, 0), 50000);
    assert_int_equal(s->entered_count[1], 1);
    scene_close(s);
}

static void send__a_dead_link_takes_nothing(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_kill(scene_link(s, 0));
    assert_int_equal(scene_tell(s, 0, 1, 8), PROA_NO_ROUTE);
    assert_int_equal(scene_tell(s, 0, 1, 100000), PROA_NO_ROUTE);
    assert_int_equal(link_state(scene_link(s, 0)), LINK_DEAD);
    link_flush(scene_link(s, 0), link_net_now(s->net));
    link_tick(scene_link(s, 0), link_net_now(s->net));
    scene_close(s);
}

static void idle_since__nothing_under_way(void **state)
{
    struct scene *s = scene_open(NULL);
    proa_ns since, sent_at;

    (void)state;
    link_net_run(s->net, PROA_MS);
    sent_at = link_net_now(s->net);
    scene_packets(s, 0, 1, 1);
    assert_false(link_idle_since(scene_link(s, 0), &since));
    link_net_run(s->net, 500 * PROA_MS);
    assert_true(link_idle_since(scene_link(s, 0), &since));
    assert_int_equal(since, sent_at);
    assert_true(link_idle_since(scene_link(s, 1), &since));
    assert_int_equal(since, sent_at + PROA_US);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source__that_does_not_get_through_is_given_up),
        cmocka_unit_test(source__is_that_of_the_sending_not_of_the_building),
        cmocka_unit_test(send__a_dead_link_takes_nothing),
        cmocka_unit_test(tick__an_idle_link_is_pinged_after_400_ms_or_100_ms),
        cmocka_unit_test(tick__only_silence_kills_after_a_second),
        cmocka_unit_test(tick__three_pings_must_be_unanswered),
        cmocka_unit_test(tick__our_own_absence_is_not_the_peers_silence),
        cmocka_unit_test(tick__a_ping_that_has_not_left_is_not_unanswered),
        cmocka_unit_test(tick__the_last_call_is_20_ms_from_its_leaving),
        cmocka_unit_test(tick__lane_answers_lane_without_control_threads),
        cmocka_unit_test(kill__reports_each_in_order_and_says_what_was_sent),
        cmocka_unit_test(idle_since__nothing_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
