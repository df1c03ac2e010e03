/* SPDX-License-Identifier: Apache-2.0 */
/* link_settle: what an ack says may be read after the answer to its packet has left, and nobody can
   tell the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

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
        cmocka_unit_test(kill__what_was_acked_is_not_in_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
