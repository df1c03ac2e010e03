/* SPDX-License-Identifier: Apache-2.0 */
/* Asks between an actor and another node, both ways. */
#include "sched_world.h"

static struct world *w;
static struct log a_log, b_log;
static struct proa_ref a, b;
static const struct proa_ref far = {FAR_NODE, 5, 77};
static const uint64_t one = 1;

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    w = world_make(1, NULL);
    a = spawn(w, 0, &a_log);
    b = spawn(w, 0, &b_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    return 0;
}

static struct sched *s(void)
{
    return w->lane[0].s;
}

static void deliver_ask(struct proa_ref to, uint32_t type, uint32_t correlation)
{
    struct proa_msg msg = from_far(to, type, &one);

    msg.flags = PROA_MSG_ASK;
    msg.correlation = correlation;
    msg.deadline = w->now + PROA_S;
    sched_deliver(s(), &msg, true);
}

static const struct refusal *refused(uint32_t n)
{
    assert_true(n < w->refused_count);
    assert_int_equal(w->refused[n].node, FAR_NODE);
    return &w->refused[n].refusal;
}

/* ---- Asks over links ---- */

static struct proa_msg reply_to(uint32_t n, const uint64_t *value)
{
    const struct proa_msg *sent = &w->sent[n].msg;

    return (struct proa_msg){.data = value,
                             .len = 8,
                             .type = sent->type,
                             .from = sent->to,
                             .to = sent->from,
                             .correlation = sent->correlation,
                             .flags = PROA_MSG_REPLY};
}

static void ask__reply_matches_once_in_place_or_queued(void **state)
{
    const uint64_t value = 99;
    struct proa_msg first, second;

    (void)state;
    ask(w, a, far, ECHO, 1, 1);
    ask(w, a, far, ECHO, 1, 2);
    assert_int_equal(w->sent[0].msg.flags, PROA_MSG_ASK);
    assert_int_not_equal(w->sent[0].msg.correlation, w->sent[1].msg.correlation);
    assert_true(w->sent[0].msg.deadline == w->now + PROA_S);
    first = reply_to(0, &value);
    second = reply_to(1, &value);
    sched_begin(s(), w->now);
    sched_deliver(s(), &second, true);
    assert_answer(&a_log, 0, 2, PROA_OK); /* in place */
    assert_int_equal(nth(&a_log, ANSWER, 0)->value, 99);
    sched_deliver(s(), &second, true); /* again: nobody waits */
    sched_deliver(s(), &first, false);
    assert_int_equal(count_of(&a_log, ANSWER), 1);
    world_advance(w, 5 * PROA_S); /* it is here: its deadline no longer counts */
    assert_answer(&a_log, 1, 1, PROA_OK);
    assert_int_equal(STAT(w, 0, late_replies), 1);
    assert_clean(w);
}

static void ask__replies_of_another_asker_or_serial_are_late(void **state)
{
    struct proa_msg reply;

    (void)state;
    ask(w, a, far, ECHO, 1, 1);
    reply = reply_to(0, &one);
    reply.to = b;
    sched_deliver(s(), &reply, true);
    reply = reply_to(0, &one);
    reply.correlation += 1024; /* the same entry, another use of it */
    sched_deliver(s(), &reply, true);
    reply.correlation -= 1023; /* another entry */
    sched_deliver(s(), &reply, true);
    assert_int_equal(a_log.count + b_log.count, 2);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, late_replies), 3);
    world_advance(w, 2 * PROA_S);
    assert_answer(&a_log, 0, 1, PROA_MAYBE_EXECUTED);
    reply = reply_to(0, &one);
    sched_deliver(s(), &reply, true);
    world_settle(w);
    assert_int_equal(count_of(&a_log, ANSWER), 1);
    assert_int_equal(STAT(w, 0, late_replies), 4);
}

static void ask__refused_over_there(void **state)
{
    struct refusal r = {.to = far, .count = 1, .type = ECHO, .reason = PROA_REFUSED_BUSY};

    (void)state;
    ask(w, a, far, ECHO, 1, 1);
    r.slot = a.slot;
    r.generation = a.generation;
    r.correlation = w->sent[0].msg.correlation;
    sched_refused(s(), &r);
    sched_refused(s(), &r);
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_REFUSED_BUSY);
    assert_int_equal(count_of(&a_log, ANSWER), 1);
    assert_true(proa_ref_equal(nth(&a_log, ANSWER, 0)->from, far));
    assert_clean(w);
}

static void link_dead__asks_of_that_node_are_maybe_executed_at_once(void **state)
{
    struct proa_ref elsewhere = {FAR_NODE + 1, 1, 1};

    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        ask(w, a, far, ECHO, 1, i);
    ask(w, a, elsewhere, ECHO, 1, 5);
    ask(w, a, b, LATER, 1, 6);
    world_settle(w);
    sched_link_dead(s(), FAR_NODE);
    world_settle(w);
    assert_int_equal(count_of(&a_log, ANSWER), 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(nth(&a_log, ANSWER, i)->outcome, PROA_MAYBE_EXECUTED);
    assert_int_equal(STAT(w, 0, link_lost), 5);
    assert_int_equal(STAT(w, 0, asks_waiting), 2);
}

static void ask__that_could_not_be_sent_is_told_at_once_and_not_later(void **state)
{
    (void)state;
    w->send_outcome = PROA_NO_ROUTE;
    assert_int_equal(ask(w, a, far, ECHO, 1, 1), PROA_NO_ROUTE);
    w->send_outcome = PROA_AGAIN;
    assert_int_equal(ask(w, a, far, ECHO, 1, 1), PROA_AGAIN);
    world_advance(w, 5 * PROA_S);
    assert_int_equal(count_of(&a_log, ANSWER), 0);
    assert_clean(w);
}

/* ---- Answering another node ---- */

static void reply__goes_down_to_the_asker(void **state)
{
    (void)state;
    sched_begin(s(), w->now);
    deliver_ask(b, ECHO, 1234);
    assert_int_equal(w->sent_count, 1);
    assert_int_equal(w->sent[0].msg.flags, PROA_MSG_REPLY);
    assert_int_equal(w->sent[0].msg.correlation, 1234);
    assert_true(proa_ref_equal(w->sent[0].msg.to, far));
    assert_true(proa_ref_equal(w->sent[0].msg.from, b));
    w->send_outcome = PROA_NO_ROUTE;
    deliver_ask(b, ECHO, 1235); /* the handler's reply is OK all the same */
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, replies_lost), 1);
    assert_int_equal(STAT(w, 0, replies), 1);
    assert_int_equal(w->refused_count, 0);
}

static void stop__tells_the_far_asker_of_its_token(void **state)
{
    (void)state;
    sched_begin(s(), w->now);
    deliver_ask(b, LATER, 8);
    stop(w, b);
    assert_int_equal(refused(0)->reason, PROA_MAYBE_EXECUTED);
    assert_int_equal(refused(0)->correlation, 8);
    assert_true(proa_ref_equal(refused(0)->to, b));
}

static void forward__keeps_origin_correlation_and_what_is_left(void **state)
{
    (void)state;
    b_log.pass_to = (struct proa_ref){FAR_NODE + 9, 4, 4};
    sched_begin(s(), w->now);
    deliver_ask(b, PASS, 31);
    assert_int_equal(w->sent_count, 1);
    assert_true(proa_ref_equal(w->sent[0].msg.from, far));
    assert_true(proa_ref_equal(w->sent[0].msg.to, b_log.pass_to));
    assert_int_equal(w->sent[0].msg.correlation, 31);
    assert_int_equal(w->sent[0].msg.hops, 1);
    assert_int_equal(w->sent[0].msg.flags, PROA_MSG_ASK);
    assert_true(w->sent[0].msg.deadline == w->now + PROA_S);
    assert_int_equal(w->refused_count, 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(ask__reply_matches_once_in_place_or_queued),
        test(ask__replies_of_another_asker_or_serial_are_late),
        test(ask__refused_over_there),
        test(link_dead__asks_of_that_node_are_maybe_executed_at_once),
        test(ask__that_could_not_be_sent_is_told_at_once_and_not_later),
        test(reply__goes_down_to_the_asker),
        test(stop__tells_the_far_asker_of_its_token),
        test(forward__keeps_origin_correlation_and_what_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
