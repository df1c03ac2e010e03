/* SPDX-License-Identifier: Apache-2.0 */
/* What all links of a lane share: packets sent and not acknowledged, packets that wait to be sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

static void budget__every_link_has_two_packets_whatever_others_hold(void **state)
{
    struct link_net_config config = {.pairs = 4, .retained_max = 1, .held_max = 0};
    struct scene *s = scene_open(&config);

    (void)state;
    for (uint32_t pair = 0; pair < 4; pair++) {
        for (uint32_t i = 0; i < 20; i++) {
            struct proa_msg msg = scene_msg(0, 1, 2, i + 1, 1392);
            assert_int_equal(
                link_send(link_net_link(s->net, pair, 0), &msg, link_net_now(s->net)),
                PROA_OK);
        }
    }
    link_net_step(s->net, link_net_now(s->net));
    assert_int_equal(link_net_budget(s->net, 0)->retained, 8);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[1], 80);
    scene_close(s);
}

/* The lane's limit for packets sent and not acked, for all its links together. */
static void budget__what_is_retained_has_a_limit(void **state)
{
    struct link_net_config config = {
        .pairs = 4, .retained_max = 40, .delay = 50 * PROA_US};
    struct scene *s = scene_open(&config);
    uint32_t sent = 0, most = 0;

    (void)state;
    link_net_run(s->net, PROA_MS);
    while (s->entered_count[1] < 2000) {
        for (uint32_t pair = 0; pair < 4; pair++) {
            struct proa_msg msg = scene_msg(0, 1, 2, 1, 1392);
            while (sent < 2000 && link_send(link_net_link(s->net, pair, 0), &msg,
                                            link_net_now(s->net)) == PROA_OK)
                sent++;
        }
        link_net_step(s->net, PROA_NS_NEVER);
        uint32_t retained = link_net_budget(s->net, 0)->retained;
        most = retained > most ? retained : most;
    }
    assert_in_range(most, 40, 40 + 4 * 2);
    scene_close(s);
}

static uint32_t fill(struct scene *s, uint32_t pair)
{
    struct proa_msg msg = scene_msg(0, 1, 2, 1, 1392); /* a packet's worth */
    uint32_t sent = 0;

    while (link_send(link_net_link(s->net, pair, 0), &msg, link_net_now(s->net)) ==
           PROA_OK)
        sent++;
    return sent;
}

/* One link to a slow node takes what there is; the others still have a way. */
static void budget__what_waits_has_a_limit_and_each_link_its_two(void **state)
{
    struct link_net_config config = {.pairs = 4, .queued_max = 40, .delay = 50 * PROA_US};
    struct scene *s = scene_open(&config);
    struct link_budget *budget = link_net_budget(s->net, 0);

    (void)state;
    link_net_run(s->net, PROA_MS);
    assert_int_equal(fill(s, 0), 40);
    for (uint32_t pair = 1; pair < 4; pair++)
        assert_int_equal(fill(s, pair), 2);
    assert_int_equal(budget->queued, 46);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(budget->queued, 0);
    assert_int_equal(s->entered_count[1], 46);
    assert_int_equal(s->writable[0], 4);
    fill(s, 0);
    link_kill(link_net_link(s->net, 0, 0));
    assert_int_equal(budget->queued, 0);
    scene_close(s);
}

static bool pair_0_is_deaf(void *ctx, uint32_t pair, uint32_t side, uint8_t *data,
                           uint16_t *len)
{
    (void)ctx;
    (void)side;
    (void)data;
    (void)len;
    return pair != 0;
}

/* Pair 0's packets are lost. */
static struct scene *deaf_open(const struct link_net_config *config)
{
    static struct scene scene;
    struct link_net_hooks hooks = {.ctx = &scene, .filter = pair_0_is_deaf};

    memset(&scene, 0, sizeof(scene));
    scene.net = link_net_create(config, &hooks);
    link_net_step(scene.net, link_net_now(scene.net));
    return &scene;
}

static void flush(struct scene *s, uint32_t pair)
{
    link_flush(link_net_link(s->net, pair, 0), link_net_now(s->net));
}

/* A link to a node that does not read takes its part of Q; one whose packets leave has a part of its own. */
static void budget__links_that_wait_leave_a_quarter_to_others(void **state)
{
    struct link_net_config config = {.pairs = 3, .queued_max = 60, .delay = 50 * PROA_US};
    struct scene *s = deaf_open(&config);
    struct link_budget *budget = link_net_budget(s->net, 0);

    (void)state;
    while (fill(s, 0) > 0) /* until its window is full */
        flush(s, 0);
    assert_int_equal(scene_stats(s, 0).inflight, 64);
    assert_int_equal(budget->queued, 45);
    assert_int_equal(fill(s, 1), 15);
    assert_int_equal(fill(s, 2), 2);
    flush(s, 1);
    flush(s, 2);
    assert_int_equal(budget->queued, 45);
    assert_int_equal(fill(s, 2), 15); /* in every loop */
    link_net_kill(s->net, 0, 0);
    assert_int_equal(budget->queued, 15);
    link_net_destroy(s->net);
}

/* How many of so many answers find room; the others become refusals. */
static uint32_t answers(struct scene *s, uint32_t pair, uint32_t count)
{
    struct proa_msg reply = scene_msg(0, 1, 2, 9, 1380); /* a packet's worth */
    struct link_stats before, after;

    reply.flags = PROA_MSG_REPLY;
    link_stats(link_net_link(s->net, pair, 0), &before);
    for (uint32_t i = 0; i < count; i++) {
        reply.correlation = i + 1;
        assert_int_equal(
            link_send(link_net_link(s->net, pair, 0), &reply, link_net_now(s->net)),
            PROA_OK);
    }
    link_stats(link_net_link(s->net, pair, 0), &after);
    return count - (uint32_t)(after.refusals - before.refusals);
}

/* Answers have a bound for all links too, and take nothing of what actors may have on others. */
static void budget__answers_have_a_bound_of_their_own(void **state)
{
    struct link_net_config config = {
        .pairs = 3, .queued_max = 60, .reserved_max = 100, .delay = 50 * PROA_US};
    struct scene *s = deaf_open(&config);
    struct link_budget *budget = link_net_budget(s->net, 0);

    (void)state;
    assert_int_equal(answers(s, 0, 64), 64);
    flush(s, 0); /* in flight, and they stay there */
    assert_int_equal(budget->queued + budget->reserved, 0);
    assert_int_equal(answers(s, 0, 200), 145);
    assert_int_equal(budget->queued, 45);
    assert_int_equal(budget->reserved, 100);
    assert_int_equal(fill(s, 1), 15);
    assert_int_equal(answers(s, 1, 5), 2); /* each link has two of these as well */
    assert_int_equal(answers(s, 2, 5), 4);
    link_net_kill(s->net, 0, 0);
    assert_int_equal(budget->reserved, 4);
    link_net_destroy(s->net);
}

static uint32_t asks_refused; /* busy, of those that pair 0's side 1 asked */

static void answer_big(void *ctx, uint32_t pair, uint32_t side,
                       const struct proa_msg *msg)
{
    struct scene *s = ctx;
    struct proa_msg reply = scene_msg(side, 2, 1, 50, 1300);
    struct sysmsg m;

    if (msg->flags & PROA_MSG_ASK) {
        reply.flags = PROA_MSG_REPLY;
        reply.correlation = msg->correlation;
        assert_int_equal(
            link_send(link_net_link(s->net, pair, side), &reply, link_net_now(s->net)),
            PROA_OK);
    }
    if (msg->type == (uint32_t)SYSMSG_REFUSE &&
        sysmsg_decode(msg->type, msg->data, msg->len, &m)) {
        assert_int_equal(m.refusal.reason, PROA_REFUSED_BUSY); /* none ran for nothing */
        asks_refused++;
    }
}

static bool answers_are_lost(void *ctx, uint32_t pair, uint32_t side, uint8_t *data,
                             uint16_t *len)
{
    struct packet_header h;

    (void)pair;
    return ((struct scene *)ctx)->mark == 0 || side == 1 ||
           packet_header_get(data, *len, &h) != 0 || h.kind != PACKET_DATA;
}

/* Peers that ask and do not take the answers: their asks are refused before the answers of others have
   no room. */
static void budget__asks_are_refused_while_answers_of_all_links_pile_up(void **state)
{
    static struct scene scene;
    struct scene *s = &scene;
    struct link_net_config config = {.pairs = 4, .reserved_max = 400};
    struct link_net_hooks hooks = {
        .ctx = s, .deliver = answer_big, .filter = answers_are_lost};
    uint32_t asks = 0;

    (void)state;
    config.delay = PROA_US;
    memset(s, 0, sizeof(*s));
    s->net = link_net_create(&config, &hooks);
    s->mark = 1;
    asks_refused = 0;
    for (int round = 0; round < 15; round++) {
        for (uint32_t pair = 0; pair < 4; pair++) {
            struct proa_msg ask = scene_msg(1, 1, 2, 9, 8);
            ask.flags = PROA_MSG_ASK;
            ask.deadline = PROA_NS_NEVER;
            for (int i = 0; i < 20; i++, asks++) {
                ask.correlation = asks + 1;
                assert_int_equal(
                    link_send(link_net_link(s->net, pair, 1), &ask, link_net_now(s->net)),
                    PROA_OK);
            }
        }
        link_net_run(s->net, 20 * PROA_US);
    }
    assert_in_range(link_net_budget(s->net, 0)->reserved, 200, 300);
    s->mark = 0;
    link_net_run(s->net, 100 * PROA_MS);
    assert_in_range(asks_refused, 100, 1000);
    link_net_destroy(s->net);
}

/* Acks come from packets of their own: a pool that has no others acks all the same. */
static void budget__acks_do_not_need_the_pool(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, PROA_MS);
    link_net_fail_packets(s->net, 1, 1000000);
    for (uint32_t i = 0; i < 10; i++) {
        scene_packets(s, 0, 1 + 20 * i, 20);
        link_net_run(s->net, 100 * PROA_US);
    }
    assert_int_equal(s->entered_count[1], 200);
    assert_int_equal(scene_stats(s, 0).inflight, 0);
    assert_int_equal(scene_stats(s, 0).resends, 0);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget__every_link_has_two_packets_whatever_others_hold),
        cmocka_unit_test(budget__what_is_retained_has_a_limit),
        cmocka_unit_test(budget__what_waits_has_a_limit_and_each_link_its_two),
        cmocka_unit_test(budget__links_that_wait_leave_a_quarter_to_others),
        cmocka_unit_test(budget__answers_have_a_bound_of_their_own),
        cmocka_unit_test(budget__asks_are_refused_while_answers_of_all_links_pile_up),
        cmocka_unit_test(budget__acks_do_not_need_the_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
