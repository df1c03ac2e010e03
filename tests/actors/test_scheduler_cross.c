/* SPDX-License-Identifier: Apache-2.0 */
/* Actors on several lanes of one node, joined by pair rings. */
#include "sched_world.h"

static struct world *w;
static struct log a_log, b_log, c_log;
static struct proa_ref a, b;

static void make(uint32_t ring)
{
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    memset(&c_log, 0, sizeof(c_log));
    w = world_make_rings(3, ring, NULL);
    a = spawn(w, 0, &a_log);
    b = spawn(w, 1, &b_log);
}

static int setup(void **state)
{
    (void)state;
    make(256);
    return 0;
}

static int setup_small(void **state)
{
    (void)state;
    make(64);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_clean(w);
    world_free(w);
    return 0;
}

static void act_tell_null(struct proa_actor *self, void *ctx)
{
    struct act *act = ctx;

    act->outcome = proa_tell(self, act->to, NOTE, NULL, 8);
}

static void tell__arrives_whole_whatever_its_size(void **state)
{
    static uint8_t data[70000];
    const size_t sizes[] = {0, 8, 32, 33, 56, 57, 200, 2000, 2032, 2033, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + 1);
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t first;

        assert_int_equal(tell_data(w, a, b, NOTE, data, sizes[i]), PROA_OK);
        world_settle(w);
        assert_int_equal(nth(&b_log, GOT, i)->len, sizes[i]);
        assert_true(proa_ref_equal(nth(&b_log, GOT, i)->from, a));
        memcpy(&first, data, 8);
        if (sizes[i] >= 8)
            assert_true(nth(&b_log, GOT, i)->value == first);
    }
    assert_int_equal(STAT(w, 0, cross_out), 11);
    assert_int_equal(STAT(w, 1, cross_in), 11);
}

static void tell__order_holds_when_some_run_in_place_and_some_queue(void **state)
{
    uint64_t next = 0;

    (void)state;
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < round % 9; i++)
            if (tell(w, a, b, NOTE, next) == PROA_OK)
                next++;
        lane_loop(w, 0);
        if (round % 3 == 0)
            lane_loop(w, 1);
    }
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT) + STAT(w, 0, undelivered), next);
    for (uint32_t i = 1; i < count_of(&b_log, GOT); i++)
        assert_true(nth(&b_log, GOT, i)->value > nth(&b_log, GOT, i - 1)->value);
}

/* Items of one line and of two, of which the first run by a shorter way. */
static void tell__small_and_large_keep_their_order(void **state)
{
    uint64_t data[7] = {0}, next = 0;

    (void)state;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 1 + round % 6; i++, data[0] = next) {
            size_t len = (next * 5 + (uint64_t)round) % 3 == 0 ? 56 : 32;

            next += tell_data(w, a, b, NOTE, data, len) == PROA_OK;
        }
        world_settle(w);
    }
    assert_int_equal(count_of(&b_log, GOT), next);
    for (uint32_t i = 0; i < next; i++)
        assert_int_equal(nth(&b_log, GOT, i)->value, i);
}

static void tell__invalid_for_another_lane_is_refused_at_once(void **state)
{
    static uint8_t data[(1u << 20) + 1];
    struct proa_ref nobody = {b.node, b.slot, 0};
    struct act bad = {.to = b, .type = PROA_TYPE_SYSTEM, .len = 8};

    (void)state;
    in(w, a, act_tell, &bad);
    assert_int_equal(bad.outcome, PROA_INVALID);
    assert_int_equal(tell(w, a, nobody, NOTE, 1), PROA_INVALID);
    assert_int_equal(tell_data(w, a, b, NOTE, data, sizeof(data)), PROA_TOO_LARGE);
    in(w, a, act_tell_null, &bad);
    assert_int_equal(bad.outcome, PROA_INVALID);
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 0);
    assert_int_equal(STAT(w, 0, cross_out), 0);
}

static void tell__what_no_handler_takes_comes_back(void **state)
{
    (void)state;
    tell(w, a, b, QUIT_ASKED + 1, 0);
    tell(w, a, b, SIZED, 0); /* wants 16 bytes */
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 0);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->outcome, PROA_REFUSED_UNKNOWN_TYPE);
    assert_int_equal(nth(&a_log, SIGNAL, 1)->outcome, PROA_REFUSED_BAD_LENGTH);
}

static void tell__behind_the_end_of_its_receiver_comes_back(void **state)
{
    (void)state;
    tell(w, a, b, NOTE, 1);
    tell(w, a, b, QUIT_ASKED, 2);
    tell(w, a, b, NOTE, 3);
    tell(w, a, b, NOTE, 4);
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 2);
    assert_int_equal(count_of(&b_log, ENDED), 1);
    assert_int_equal(STAT(w, 0, undelivered), 2);
}

static void tell__refused_over_there_comes_back(void **state)
{
    struct proa_ref stale = b, no_lane = b;

    (void)state;
    stale.generation++;
    no_lane.slot = 7u << 24;
    assert_int_equal(tell(w, a, no_lane, NOTE, 0), PROA_NO_SUCH_ACTOR);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tell(w, a, stale, NOTE, 0), PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->outcome, PROA_REFUSED_NO_ACTOR);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->count, 3);
    assert_int_equal(STAT(w, 1, refused[PROA_REFUSED_NO_ACTOR]), 3);
}

static void tell__full_mailbox_holds_back_until_it_drained(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++)
        assert_int_equal(tell(w, a, b, NOTE, (uint64_t)i), PROA_OK);
    lane_loop(w, 0);
    sched_begin(w->lane[1].s, w->now);
    sched_call(w->lane[1].s, b, act_tell,
               &(struct act){.to = b, .type = NOTE}); /* not idle */
    sched_poll(w->lane[1].s);
    sched_flush(w->lane[1].s);
    lane_loop(w, 0);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->outcome, PROA_REFUSED_FULL);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->count, 40 - 7);
    assert_int_equal(tell(w, a, b, NOTE, 0), PROA_AGAIN);
    world_settle(w);
    assert_int_equal(nth(&a_log, SIGNAL, 1)->signal, PROA_SIGNAL_WRITABLE);
    assert_true(proa_ref_equal(nth(&a_log, SIGNAL, 1)->from, b));
    assert_int_equal(tell(w, a, b, NOTE, 0), PROA_OK);
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 7 + 1 + 1);
}

static void tell__full_ring_is_again_and_writable_follows(void **state)
{
    uint32_t sent = 0;

    (void)state;
    while (tell(w, a, b, NOTE, sent) == PROA_OK)
        sent++;
    assert_in_range(sent, 40, 64);
    lane_loop(w, 0);
    assert_int_equal(count_of(&a_log, SIGNAL), 0);
    assert_true(sched_deadline(w->lane[0].s) <= w->now + PROA_MS);
    world_settle(w);
    assert_int_equal(nth(&a_log, SIGNAL, count_of(&a_log, SIGNAL) - 1)->signal,
                     PROA_SIGNAL_WRITABLE);
    assert_int_equal(count_of(&b_log, GOT) + STAT(w, 0, undelivered), sent);
}

static void ask__answers_come_back(void **state)
{
    struct proa_ref stale = b;

    (void)state;
    stale.generation++;
    ask(w, a, b, ECHO, 5, 1);
    ask(w, a, b, SILENT, 5, 2);
    ask(w, a, stale, ECHO, 5, 3);
    ask(w, a, b, LATER, 5, 4);
    world_settle(w);
    assert_int_equal(count_of(&a_log, ANSWER), 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct event *e = nth(&a_log, ANSWER, i);
        const enum proa_outcome want[] = {0, PROA_OK, PROA_NO_REPLY,
                                          PROA_REFUSED_NO_ACTOR};

        assert_int_equal(e->outcome, want[e->count]);
    }
    stop(w, b);
    world_settle(w);
    assert_answer(&a_log, 3, 4, PROA_MAYBE_EXECUTED);
}

static void ask__large_replies_come_back(void **state)
{
    static uint8_t data[70000];
    const size_t sizes[] = {57, 3000, 70000};

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct act act = {
            .to = b, .type = ECHO, .data = data, .len = sizes[i], .deadline = PROA_S};

        in(w, a, act_ask, &act);
        assert_int_equal(act.outcome, PROA_OK);
        world_settle(w);
        assert_int_equal(nth(&a_log, ANSWER, i)->len, sizes[i]);
    }
}

/* Two lanes ask each other until their rings are full, and answer all the same. */
static void ask__two_full_rings_facing_each_other_still_drain(void **state)
{
    uint32_t asked_a = 0, asked_b = 0;

    (void)state;
    while (ask(w, a, b, SILENT, 0, asked_a) == PROA_OK)
        asked_a++;
    while (ask(w, b, a, SILENT, 0, asked_b) == PROA_OK)
        asked_b++;
    assert_true(asked_a > 20 && asked_b > 20);
    world_settle(w);
    assert_int_equal(count_of(&a_log, ANSWER), asked_a);
    assert_int_equal(count_of(&b_log, ANSWER), asked_b);
}

/* The receiver refuses everything while its ring back is full of its own tells: refusals wait
   their turn, in order, and none is lost. */
static void refusals__wait_for_a_full_ring(void **state)
{
    struct proa_ref stale = b;
    uint32_t asked = 0;

    (void)state;
    stale.generation++;
    while (tell(w, b, a, NOTE, 0) == PROA_OK)
        ;
    for (int burst = 0; burst < 10; burst++) {
        while (asked < 200 && ask(w, a, stale, ECHO, 0, asked) == PROA_OK)
            asked++;
        sched_flush(w->lane[0].s);
        lane_loop(w, 1); /* lane 0 does not read */
    }
    assert_true(asked > 100);
    assert_true(sched_deadline(w->lane[1].s) <= w->now + PROA_MS);
    world_settle(w);
    assert_int_equal(count_of(&a_log, ANSWER), asked);
    for (uint32_t i = 0; i < asked; i++)
        assert_answer(&a_log, i, i, PROA_REFUSED_NO_ACTOR);
}

static void refusals__beyond_the_bound_name_nobody_but_are_counted(void **state)
{
    struct proa_ref stale = b, other;
    uint32_t told = 0;

    (void)state;
    other = spawn(w, 0, &c_log);
    while (tell(w, b, a, NOTE, 0) == PROA_OK)
        ;
    /* Two senders in turn, so that no run is longer than one. */
    for (int burst = 0; burst < 200; burst++) {
        for (;;) {
            stale.generation = b.generation + 1 + told % 2;
            if (tell(w, told % 2 ? other : a, stale, NOTE, 0) != PROA_OK)
                break;
            told++;
        }
        sched_flush(w->lane[0].s);
        lane_loop(w, 1);
    }
    assert_true(told > 2 * SCHED_REFUSALS_MAX);
    assert_true(STAT(w, 1, refusals_merged) > 0);
    world_settle(w);
    assert_int_equal(STAT(w, 0, undelivered), told);
    assert_int_equal(STAT(w, 0, undelivered_nobody), STAT(w, 1, refusals_merged));
}

static void forward__across_lanes(void **state)
{
    struct proa_ref c = spawn(w, 2, &c_log);

    (void)state;
    b_log.pass_to = c;
    c_log.pass_to = a;
    ask(w, a, b, PASS, 3, 1);
    tell(w, a, b, PASS, 4);
    a_log.pass_to = proa_ref_none(); /* a's own PASS fails: INVALID, so NO_REPLY */
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_NO_REPLY);
    assert_int_equal(nth(&a_log, GOT, 0)->hops, 2);
    assert_true(proa_ref_equal(nth(&c_log, GOT, 0)->from, a));
    assert_int_equal(count_of(&c_log, GOT), 2);
}

struct spawn_act {
    uint32_t lane;
    const struct proa_behaviour *kind;
    enum proa_outcome outcome;
};

static void log_spawned(struct proa_actor *self, enum proa_outcome outcome,
                        struct proa_ref ref, const void *ctx)
{
    struct event *e = log_add(self, SPAWNED);

    e->outcome = outcome;
    e->from = ref;
    memcpy(&e->count, ctx, 4);
}

static void act_spawn_on(struct proa_actor *self, void *ctx)
{
    struct spawn_act *act = ctx;
    struct log *log = &c_log;
    uint32_t number = 6;

    act->outcome = proa_spawn_on(self, act->lane, act->kind, &log, sizeof(log),
                                 log_spawned, &number, sizeof(number));
}

static void spawn_on__brings_the_reference(void **state)
{
    struct spawn_act act = {.lane = 1, .kind = &probe};
    const struct event *e;

    (void)state;
    in(w, a, act_spawn_on, &act);
    assert_int_equal(act.outcome, PROA_OK);
    world_settle(w);
    e = nth(&a_log, SPAWNED, 0);
    assert_int_equal(e->outcome, PROA_OK);
    assert_int_equal(e->count, 6);
    assert_int_equal(proa_ref_lane(e->from), 1);
    assert_int_equal(tell(w, a, e->from, NOTE, 8), PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&c_log, GOT, 0)->value, 8);
    act.lane = 0; /* one's own lane, by the same way */
    in(w, a, act_spawn_on, &act);
    assert_int_equal(count_of(&a_log, SPAWNED), 1);
    world_settle(w);
    assert_int_equal(nth(&a_log, SPAWNED, 1)->outcome, PROA_OK);
    act.lane = 3;
    in(w, a, act_spawn_on, &act);
    assert_int_equal(act.outcome, PROA_INVALID);
    c_log.start_result = 5;
    act.lane = 2;
    in(w, a, act_spawn_on, &act);
    world_settle(w);
    assert_int_equal(nth(&a_log, SPAWNED, 2)->outcome, PROA_STOPPED);
}

static void spawn_on__asker_that_stopped_is_not_called(void **state)
{
    struct spawn_act act = {.lane = 1, .kind = &probe};

    (void)state;
    in(w, a, act_spawn_on, &act);
    stop(w, a);
    world_settle(w);
    assert_int_equal(count_of(&a_log, SPAWNED), 0);
    assert_int_equal(STAT(w, 0, late_replies), 1);
    assert_int_equal(STAT(w, 1, actors), 2);
}

static void act_stop_other(struct proa_actor *self, void *ctx)
{
    struct act *act = ctx;

    act->outcome = proa_stop_other(self, act->to);
}

static void stop_other__on_another_lane_after_what_was_told(void **state)
{
    struct act act = {.to = b};

    (void)state;
    for (int i = 0; i < 3; i++)
        tell(w, a, b, NOTE, 0);
    in(w, a, act_stop_other, &act);
    assert_int_equal(act.outcome, PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&b_log, ENDED, 0)->reason, PROA_REASON_KILLED);
    assert_int_equal(count_of(&b_log, GOT) + STAT(w, 0, undelivered), 3);
}

/* ---- What links bring for another lane ---- */

static void deliver__crosses_and_answers_by_its_own_lane(void **state)
{
    const uint64_t value = 3;
    struct proa_msg msg = from_far(b, ECHO, &value);
    struct proa_ref stale = b;

    (void)state;
    msg.flags = PROA_MSG_ASK;
    msg.correlation = 11;
    msg.deadline = w->now + PROA_S;
    sched_deliver(w->lane[0].s, &msg, true);
    world_settle(w);
    assert_int_equal(w->sent_count, 1);
    assert_int_equal(w->sent[0].lane, 1);
    assert_int_equal(w->sent[0].msg.correlation, 11);
    stale.generation++;
    msg = from_far(stale, NOTE, &value);
    sched_deliver(w->lane[0].s, &msg, true);
    msg.to.slot = 60u << 24;
    sched_deliver(w->lane[0].s, &msg, true);
    world_settle(w);
    assert_int_equal(w->refused_count, 2);
    assert_int_equal(w->refused[0].refusal.reason, PROA_REFUSED_NO_ACTOR);
    assert_int_equal(w->refused[1].refusal.reason, PROA_REFUSED_NO_ACTOR);
}

static void deliver__full_ring_holds_the_sender_back(void **state)
{
    const uint64_t value = 3;
    struct proa_msg msg = from_far(b, NOTE, &value);

    (void)state;
    for (int i = 0; i < 100; i++)
        sched_deliver(w->lane[0].s, &msg, true);
    sched_flush(w->lane[0].s);
    assert_int_equal(w->refused_count, 1);
    assert_int_equal(w->refused[0].refusal.reason, PROA_REFUSED_FULL);
    assert_in_range(w->refused[0].refusal.count, 40, 80);
    assert_int_equal(w->writable_count, 0);
    world_settle(w);
    sched_flush(w->lane[0].s);
    assert_int_equal(w->writable_count, 1);
    assert_true(proa_ref_equal(w->writable[0].ref, b));
}

static void reply_and_refusal__reach_an_asker_on_another_lane(void **state)
{
    const struct proa_ref far = {FAR_NODE, 1, 1};
    const uint64_t value = 21;
    struct proa_msg reply;
    struct refusal r = {.to = far, .count = 1, .reason = PROA_NO_REPLY};

    (void)state;
    ask(w, b, far, ECHO, 0, 1);
    ask(w, b, far, ECHO, 0, 2);
    assert_int_equal(w->sent[0].lane, 1);
    reply = (struct proa_msg){.data = &value,
                              .len = 8,
                              .type = ECHO,
                              .from = far,
                              .to = b,
                              .correlation = w->sent[0].msg.correlation,
                              .flags = PROA_MSG_REPLY};
    sched_deliver(w->lane[0].s, &reply, true);
    r.slot = b.slot;
    r.generation = b.generation;
    r.correlation = w->sent[1].msg.correlation;
    sched_refused(w->lane[2].s, &r);
    world_settle(w);
    assert_int_equal(count_of(&b_log, ANSWER), 2);
    assert_answer(&b_log, 0, 1, PROA_OK);
    assert_answer(&b_log, 1, 2, PROA_NO_REPLY);
}

static void blocked__every_lane_hears_writable_and_dead_links(void **state)
{
    const struct proa_ref far = {FAR_NODE, 1, 1};
    struct refusal r = {.to = far, .count = 1, .reason = PROA_REFUSED_FULL};

    (void)state;
    for (int round = 0; round < 2; round++) {
        r.slot = b.slot;
        r.generation = b.generation;
        sched_refused(w->lane[0].s, &r);
        world_settle(w);
        assert_int_equal(tell(w, b, far, NOTE, 0), PROA_AGAIN);
        assert_int_equal(tell(w, a, far, NOTE, 0), PROA_OK); /* its lane was not told */
        if (round == 0)
            sched_writable_ref(w->lane[0].s, far);
        else
            sched_link_dead(w->lane[0].s, FAR_NODE);
        world_settle(w);
        assert_int_equal(tell(w, b, far, NOTE, 0), PROA_OK);
    }
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define test_small(f) cmocka_unit_test_setup_teardown(f, setup_small, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(tell__arrives_whole_whatever_its_size),
        test(tell__order_holds_when_some_run_in_place_and_some_queue),
        test(tell__small_and_large_keep_their_order),
        test(tell__invalid_for_another_lane_is_refused_at_once),
        test(tell__what_no_handler_takes_comes_back),
        test(tell__behind_the_end_of_its_receiver_comes_back),
        test(tell__refused_over_there_comes_back),
        test(tell__full_mailbox_holds_back_until_it_drained),
        test_small(tell__full_ring_is_again_and_writable_follows),
        test(ask__answers_come_back),
        test(ask__large_replies_come_back),
        test_small(ask__two_full_rings_facing_each_other_still_drain),
        test_small(refusals__wait_for_a_full_ring),
        test_small(refusals__beyond_the_bound_name_nobody_but_are_counted),
        test(forward__across_lanes),
        test(spawn_on__brings_the_reference),
        test(spawn_on__asker_that_stopped_is_not_called),
        test(stop_other__on_another_lane_after_what_was_told),
        test(deliver__crosses_and_answers_by_its_own_lane),
        test_small(deliver__full_ring_holds_the_sender_back),
        test(reply_and_refusal__reach_an_asker_on_another_lane),
        test(blocked__every_lane_hears_writable_and_dead_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
