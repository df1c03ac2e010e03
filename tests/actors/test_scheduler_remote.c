/* SPDX-License-Identifier: Apache-2.0 */
/* Actors and another node: what goes down to links, and what comes up from them. */
#include "sched_world.h"

#include "bulk.h"
#include "slot.h"

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

static void deliver(struct proa_ref to, uint32_t type, uint64_t value, bool in_place)
{
    struct proa_msg msg = from_far(to, type, &value);

    sched_deliver(s(), &msg, in_place);
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

/* ---- In place ---- */

static void deliver__idle_actor_runs_in_place(void **state)
{
    (void)state;
    sched_begin(s(), w->now);
    deliver(b, NOTE, 5, true);
    assert_int_equal(count_of(&b_log, GOT), 1);
    assert_int_equal(nth(&b_log, GOT, 0)->value, 5);
    assert_true(proa_ref_equal(nth(&b_log, GOT, 0)->from, far));
    deliver(b, NOTE, 6, false); /* something of that sender is pending */
    assert_int_equal(count_of(&b_log, GOT), 1);
    deliver(b, NOTE, 7, true); /* not idle: 6 is before it */
    assert_int_equal(count_of(&b_log, GOT), 1);
    world_settle(w);
    assert_int_equal(nth(&b_log, GOT, 1)->value, 6);
    assert_int_equal(nth(&b_log, GOT, 2)->value, 7);
    assert_int_equal(STAT(w, 0, in_place), 1);
    assert_int_equal(STAT(w, 0, delivered), 3);
    assert_clean(w);
}

static void deliver__in_place_is_bounded_per_loop(void **state)
{
    (void)state;
    sched_begin(s(), w->now);
    for (uint32_t i = 0; i < SCHED_IN_PLACE_MAX + 5; i++)
        deliver(b, NOTE, i, true);
    assert_int_equal(count_of(&b_log, GOT), SCHED_IN_PLACE_MAX);
    world_settle(w);
    for (uint32_t i = 0; i < SCHED_IN_PLACE_MAX + 5; i++)
        assert_int_equal(nth(&b_log, GOT, i)->value, i);
    sched_begin(s(), w->now);
    deliver(b, NOTE, 0, true);
    assert_int_equal(count_of(&b_log, GOT), SCHED_IN_PLACE_MAX + 6);
}

static proa_ns handler_takes, clock_base;

static proa_ns fake_clock(void)
{
    return clock_base + count_of(&b_log, GOT) * handler_takes;
}

static void tweak_clock(struct sched_config *c)
{
    c->clock = fake_clock;
    c->in_place_max = UINT32_MAX;
}

static uint32_t run_in_place(proa_ns takes)
{
    struct world *timed = world_make(1, tweak_clock);
    struct proa_ref ref;
    uint32_t got;

    memset(&b_log, 0, sizeof(b_log));
    handler_takes = takes;
    clock_base = timed->now;
    ref = spawn(timed, 0, &b_log);
    sched_begin(timed->lane[0].s, timed->now);
    for (uint64_t i = 0; i < 150; i++) {
        struct proa_msg msg = from_far(ref, NOTE, &i);

        sched_deliver(timed->lane[0].s, &msg, true);
    }
    got = count_of(&b_log, GOT);
    assert_int_equal(sched_pressed(timed->lane[0].s), got < 150);
    world_free(timed);
    return got;
}

static void deliver__in_place_is_bounded_by_time(void **state)
{
    (void)state;
    /* 20 us, seen a few handlers late at the most. */
    assert_in_range(run_in_place(10 * PROA_US), 2, 4);
    assert_in_range(run_in_place(PROA_US), 20, 24);
    assert_in_range(run_in_place(PROA_US / 5), 100, 120);
    assert_int_equal(run_in_place(PROA_US / 10), 150);
}

static void tell_while_running(struct proa_actor *self, const struct proa_msg *msg)
{
    log_msg(self, msg);
    if (msg->len == 8 && *(const uint64_t *)msg->data == 1) {
        uint64_t two = 2;

        assert_int_equal(proa_tell(self, proa_self(self), NOTE, &two, 8), PROA_OK);
    }
}

static void deliver__what_it_tells_itself_in_place_comes_before_the_next(void **state)
{
    static const struct proa_on on[] = {{NOTE, 0, tell_while_running}};
    static const struct proa_behaviour kind = {.type_name = "self-teller",
                                               .state_size = sizeof(struct probe),
                                               .on = on,
                                               .on_count = 1,
                                               .start = probe_start};
    struct log log = {.count = 0};
    struct proa_ref ref = spawn_kind(w, 0, &log, &kind);

    (void)state;
    sched_begin(s(), w->now);
    deliver(ref, NOTE, 1, true);
    deliver(ref, NOTE, 3, true);
    world_settle(w);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(nth(&log, GOT, i)->value, i + 1);
}

/* ---- Refusals towards the other node ---- */

static void deliver__refusals_name_sender_reason_and_run(void **state)
{
    struct proa_ref stale = b;

    (void)state;
    stale.generation++;
    for (int i = 0; i < 3; i++)
        deliver(stale, NOTE, 0, true);
    deliver(b, 4321, 0, true);
    deliver(b, SIZED, 0, true);
    deliver_ask(stale, ECHO, 17);
    deliver_ask(b, SILENT, 18);
    world_settle(w);
    assert_int_equal(w->refused_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(refused(i)->slot, far.slot);
        assert_int_equal(refused(i)->generation, far.generation);
    }
    assert_int_equal(refused(0)->reason, PROA_REFUSED_NO_ACTOR);
    assert_int_equal(refused(0)->count, 3);
    assert_int_equal(refused(0)->correlation, 0);
    assert_true(proa_ref_equal(refused(0)->to, stale));
    assert_int_equal(refused(1)->reason, PROA_REFUSED_UNKNOWN_TYPE);
    assert_int_equal(refused(1)->type, 4321);
    for (uint32_t i = 2; i < 5; i++) { /* asks go at once, the last run of tells later */
        const struct refusal *r = refused(i);

        if (r->correlation == 17)
            assert_int_equal(r->reason, PROA_REFUSED_NO_ACTOR);
        else if (r->correlation == 18)
            assert_int_equal(r->reason, PROA_NO_REPLY);
        else
            assert_int_equal(r->reason, PROA_REFUSED_BAD_LENGTH);
    }
    assert_int_equal(STAT(w, 0, refused[PROA_REFUSED_NO_ACTOR]), 4);
    assert_clean(w);
}

static void deliver__expired_ask_does_not_run(void **state)
{
    (void)state;
    sched_begin(s(), w->now);
    deliver(b, NOTE, 0, false);
    deliver_ask(b, ECHO, 5);
    w->now += PROA_S;
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 1);
    assert_int_equal(refused(0)->reason, PROA_REFUSED_EXPIRED);
}

static void deliver__full_mailbox_tells_writable_once_when_drained(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++)
        deliver(b, NOTE, 0, false);
    assert_int_equal(w->writable_count, 0);
    world_settle(w);
    assert_int_equal(w->refused_count, 1);
    assert_int_equal(refused(0)->reason, PROA_REFUSED_FULL);
    assert_int_equal(refused(0)->count, 4);
    assert_int_equal(w->writable_count, 1);
    assert_int_equal(w->writable[0].node, FAR_NODE);
    assert_true(proa_ref_equal(w->writable[0].ref, b));
    deliver(b, NOTE, 0, false);
    world_settle(w);
    assert_int_equal(w->writable_count, 1);
    assert_clean(w);
}

static void deliver__more_nodes_than_a_mailbox_remembers_are_told_busy(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        deliver(b, NOTE, 0, false);
    for (uint64_t i = 0; i < SLOT_FULL_MAX + 1; i++) {
        struct proa_msg msg = from_far(b, NOTE, &i);

        msg.from.node = FAR_NODE + i;
        sched_deliver(s(), &msg, false);
    }
    sched_flush(s());
    assert_int_equal(w->refused_count, SLOT_FULL_MAX + 1);
    for (uint32_t i = 0; i < SLOT_FULL_MAX; i++)
        assert_int_equal(w->refused[i].refusal.reason, PROA_REFUSED_FULL);
    assert_int_equal(w->refused[SLOT_FULL_MAX].refusal.reason, PROA_REFUSED_BUSY);
    world_settle(w);
    assert_int_equal(w->writable_count, SLOT_FULL_MAX);
}

static void deliver__ending_actor_with_waiters_tells_them(void **state)
{
    (void)state;
    deliver(b, QUIT_ASKED, 0, false);
    for (int i = 0; i < 9; i++)
        deliver(b, NOTE, 0, false);
    world_settle(w);
    assert_int_equal(w->writable_count, 1); /* so that the next tell learns it is gone */
    assert_int_equal(count_of(&b_log, GOT), 1);
    assert_int_equal(STAT(w, 0, refused[PROA_REFUSED_STOPPED]), 7);
}

static void deliver__what_no_scheduler_sends_is_counted_and_dropped(void **state)
{
    struct proa_msg good = from_far(b, NOTE, &one), bad[7];

    (void)state;
    for (int i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].to.node++;
    bad[1].cls = PROA_CLASS_SYSTEM;
    bad[2].cls = 3;
    bad[3].flags = PROA_MSG_SYSTEM;
    bad[4].flags = PROA_MSG_ASK; /* correlation 0 */
    bad[5].flags = PROA_MSG_ASK | PROA_MSG_REPLY;
    bad[6].type = PROA_TYPE_SYSTEM;
    for (int i = 0; i < 7; i++)
        sched_deliver(s(), &bad[i], true);
    world_settle(w);
    assert_int_equal(STAT(w, 0, malformed), 7);
    assert_int_equal(b_log.count, 1);
    assert_int_equal(w->refused_count, 0);
}

/* ---- Going out ---- */

static void tell__goes_down_with_sender_and_class(void **state)
{
    struct act urgent = {.to = far, .type = NOTE, .value = 3, .len = 8, .urgent = true};

    (void)state;
    assert_int_equal(tell(w, a, far, NOTE, 9), PROA_OK);
    in(w, a, act_tell, &urgent);
    assert_int_equal(w->sent_count, 2);
    assert_true(proa_ref_equal(w->sent[0].msg.from, a));
    assert_true(proa_ref_equal(w->sent[0].msg.to, far));
    assert_int_equal(w->sent[0].msg.type, NOTE);
    assert_int_equal(w->sent[0].data[0], 9);
    assert_int_equal(w->sent[0].msg.flags, 0);
    assert_int_equal(w->sent[1].msg.cls, PROA_CLASS_URGENT);
}

static void tell__again_until_writable_then_one_signal(void **state)
{
    (void)state;
    w->send_outcome = PROA_AGAIN;
    assert_int_equal(tell(w, a, far, NOTE, 0), PROA_AGAIN);
    assert_int_equal(tell(w, a, far, NOTE, 0), PROA_AGAIN);
    sched_writable_node(s(), FAR_NODE + 1); /* another's */
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 0);
    sched_writable_node(s(), FAR_NODE);
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 1);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->signal, PROA_SIGNAL_WRITABLE);
    sched_writable_node(s(), FAR_NODE);
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 1);
    assert_int_equal(count_of(&b_log, SIGNAL), 0);
    w->send_outcome = PROA_NO_ROUTE;
    assert_int_equal(tell(w, a, far, NOTE, 0), PROA_NO_ROUTE);
    assert_int_equal(STAT(w, 0, again), 2);
    assert_int_equal(STAT(w, 0, refused[PROA_NO_ROUTE]), 1);
}

static void refused__tells_are_signalled_as_runs(void **state)
{
    struct refusal r = {.to = far,
                        .slot = a.slot,
                        .generation = a.generation,
                        .type = NOTE,
                        .count = 3,
                        .reason = PROA_IN_DOUBT};

    (void)state;
    sched_refused(s(), &r);
    sched_refused(s(), &r);
    r.reason = PROA_REFUSED_NO_ACTOR;
    sched_refused(s(), &r);
    r.generation = 0; /* no sender */
    sched_refused(s(), &r);
    r.generation = a.generation + 1; /* stopped */
    sched_refused(s(), &r);
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 2);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->count, 6);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->outcome, PROA_IN_DOUBT);
    assert_int_equal(nth(&a_log, SIGNAL, 1)->count, 3);
    assert_int_equal(STAT(w, 0, undelivered), 15);
    assert_int_equal(STAT(w, 0, undelivered_nobody), 6);
}

static struct refusal full_of(struct proa_ref sender)
{
    return (struct refusal){.to = far,
                            .slot = sender.slot,
                            .generation = sender.generation,
                            .type = NOTE,
                            .count = 1,
                            .reason = PROA_REFUSED_FULL};
}

static void refused__full_holds_back_until_writable(void **state)
{
    struct refusal r = full_of(a);
    struct proa_ref other = far;

    (void)state;
    other.slot++;
    sched_refused(s(), &r);
    assert_int_equal(tell(w, a, far, NOTE, 0), PROA_AGAIN);
    assert_int_equal(tell(w, b, far, NOTE, 0), PROA_AGAIN);
    assert_int_equal(ask(w, b, far, ECHO, 0, 1), PROA_AGAIN);
    assert_int_equal(tell(w, a, other, NOTE, 0), PROA_OK);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, refs_blocked), 1);
    sched_writable_ref(s(), far);
    world_settle(w);
    assert_int_equal(tell(w, a, far, NOTE, 0), PROA_OK);
    assert_int_equal(count_of(&a_log, SIGNAL), 2); /* UNDELIVERED, WRITABLE */
    assert_true(proa_ref_equal(nth(&a_log, SIGNAL, 1)->from, far));
    assert_int_equal(count_of(&b_log, SIGNAL), 1);
}

static void link_dead__frees_what_waited_for_the_node(void **state)
{
    struct refusal r = full_of(a);

    (void)state;
    sched_refused(s(), &r);
    assert_int_equal(tell(w, b, far, NOTE, 0), PROA_AGAIN);
    sched_link_dead(s(), FAR_NODE);
    world_settle(w);
    assert_int_equal(count_of(&b_log, SIGNAL), 1);
    assert_int_equal(tell(w, b, far, NOTE, 0), PROA_OK);
}

static void stop__requests_go_both_ways(void **state)
{
    struct proa_ref stale = b;
    struct act act = {.to = far};

    (void)state;
    (void)act;
    stale.generation++;
    sched_stop_actor(s(), stale);
    sched_stop_actor(s(), far);
    assert_int_equal(STAT(w, 0, stops_stale), 2);
    sched_stop_actor(s(), b);
    world_settle(w);
    assert_int_equal(nth(&b_log, ENDED, 0)->reason, PROA_REASON_KILLED);
}

static void bulk__complete_messages_are_taken(void **state)
{
    struct proa_msg msg = from_far(b, NOTE, &one);
    struct bulk_budget budget = {.limit = 10000};
    uint64_t *buf = bulk_alloc(&budget, w->lane[0].arena, 5000, false);

    (void)state;
    bulk_leave(&budget, buf);
    *buf = 55;
    msg.data = buf;
    msg.len = 5000;
    sched_begin(s(), w->now);
    sched_deliver_bulk(s(), &msg, buf);
    assert_int_equal(nth(&b_log, GOT, 0)->value, 55);
    assert_int_equal(nth(&b_log, GOT, 0)->len, 5000);
    buf = bulk_alloc(&budget, w->lane[0].arena, 5000, false);
    bulk_leave(&budget, buf);
    msg.data = buf;
    msg.to.generation++;
    sched_deliver_bulk(s(), &msg, buf);
    assert_clean(w);
    assert_int_equal(refused(0)->reason, PROA_REFUSED_NO_ACTOR);
    assert_int_equal(budget.used, 0);
    assert_null(bulk_alloc(&budget, w->lane[0].arena, 10001, false));
    assert_int_equal(budget.refused, 1);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(deliver__idle_actor_runs_in_place),
        test(deliver__in_place_is_bounded_per_loop),
        test(deliver__in_place_is_bounded_by_time),
        test(deliver__what_it_tells_itself_in_place_comes_before_the_next),
        test(deliver__refusals_name_sender_reason_and_run),
        test(deliver__expired_ask_does_not_run),
        test(deliver__full_mailbox_tells_writable_once_when_drained),
        test(deliver__more_nodes_than_a_mailbox_remembers_are_told_busy),
        test(deliver__ending_actor_with_waiters_tells_them),
        test(deliver__what_no_scheduler_sends_is_counted_and_dropped),
        test(tell__goes_down_with_sender_and_class),
        test(tell__again_until_writable_then_one_signal),
        test(refused__tells_are_signalled_as_runs),
        test(refused__full_holds_back_until_writable),
        test(link_dead__frees_what_waited_for_the_node),
        test(stop__requests_go_both_ways),
        test(bulk__complete_messages_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
