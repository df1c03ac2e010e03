/* SPDX-License-Identifier: Apache-2.0 */
/* Actors of one lane among themselves. */
#include "sched_world.h"

static struct world *w;
static struct log a_log, b_log, c_log;
static struct proa_ref a, b;

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    memset(&c_log, 0, sizeof(c_log));
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

/* ---- Tells ---- */

static void tell__reaches_the_mailbox_once_and_in_order(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(tell(w, a, b, NOTE, i), PROA_OK);
    assert_int_equal(b_log.count, 1); /* started only: no handler runs inside a tell */
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(nth(&b_log, GOT, i)->value, i);
        assert_true(proa_ref_equal(nth(&b_log, GOT, i)->from, a));
    }
    assert_int_equal(STAT(w, 0, tells), 5);
    assert_int_equal(STAT(w, 0, mailbox), 5);
    assert_clean(w);
}

static void tell__payloads_of_all_sizes_arrive_whole(void **state)
{
    static uint8_t data[70000];
    const size_t sizes[] = {0,   1,   7,   8,   15,   16,   17,   80,    81,
                            208, 209, 464, 976, 2000, 2001, 4096, 65536, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(tell_data(w, a, b, NOTE, data, sizes[i]), PROA_OK);
        world_settle(w);
        assert_int_equal(nth(&b_log, GOT, (uint32_t)i)->len, sizes[i]);
    }
    assert_clean(w);
}

static void tell__urgent_overtakes_normal(void **state)
{
    struct act urgent = {.to = b, .type = NOTE, .value = 99, .len = 8, .urgent = true};

    (void)state;
    tell(w, a, b, NOTE, 1);
    tell(w, a, b, NOTE, 2);
    in(w, a, act_tell, &urgent);
    world_settle(w);
    assert_int_equal(nth(&b_log, GOT, 0)->value, 99);
    assert_int_equal(nth(&b_log, GOT, 0)->cls, PROA_CLASS_URGENT);
    assert_int_equal(nth(&b_log, GOT, 1)->value, 1);
    assert_int_equal(nth(&b_log, GOT, 2)->value, 2);
}

static void tell__says_at_once_what_is_wrong(void **state)
{
    struct proa_ref stale = b, nowhere = {WORLD_NODE, 900, 5},
                    lane9 = {WORLD_NODE, 9u << 24, 5};

    (void)state;
    stale.generation++;
    assert_int_equal(tell(w, a, stale, NOTE, 0), PROA_NO_SUCH_ACTOR);
    assert_int_equal(tell(w, a, nowhere, NOTE, 0), PROA_NO_SUCH_ACTOR);
    assert_int_equal(tell(w, a, lane9, NOTE, 0), PROA_NO_SUCH_ACTOR);
    assert_int_equal(tell(w, a, proa_ref_none(), NOTE, 0), PROA_INVALID);
    assert_int_equal(tell(w, a, b, PROA_TYPE_SYSTEM, 0), PROA_INVALID);
    assert_int_equal(tell_data(w, a, b, NOTE, &stale, (1u << 20) + 1), PROA_TOO_LARGE);
    assert_int_equal(STAT(w, 0, refused[PROA_NO_SUCH_ACTOR]), 3);
    assert_int_equal(STAT(w, 0, refused[PROA_TOO_LARGE]), 1);
    for (int i = 0; i < 8; i++)
        assert_int_equal(tell(w, a, b, NOTE, 0), PROA_OK);
    assert_int_equal(tell(w, a, b, NOTE, 0), PROA_FULL);
    assert_int_equal(STAT(w, 0, refused[PROA_FULL]), 1);
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 8);
    assert_int_equal(tell(w, a, b, NOTE, 0), PROA_OK);
}

static void tell__unknown_type_or_short_payload_is_undelivered_in_runs(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        tell(w, a, b, 1234, 0);
    for (int i = 0; i < 2; i++)
        tell(w, a, b, SIZED, 0); /* 8 bytes, 16 wanted */
    world_settle(w);
    assert_int_equal(count_of(&b_log, GOT), 0);
    assert_int_equal(count_of(&a_log, SIGNAL), 2);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->signal, PROA_SIGNAL_UNDELIVERED);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->outcome, PROA_REFUSED_UNKNOWN_TYPE);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->type, 1234);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->count, 3);
    assert_true(proa_ref_equal(nth(&a_log, SIGNAL, 0)->from, b));
    assert_int_equal(nth(&a_log, SIGNAL, 1)->outcome, PROA_REFUSED_BAD_LENGTH);
    assert_int_equal(nth(&a_log, SIGNAL, 1)->count, 2);
    assert_int_equal(STAT(w, 0, undelivered), 5);
    assert_clean(w);
}

/* ---- Asks ---- */

struct later {
    struct proa_token token;
    uint64_t value;
    enum proa_outcome outcome;
};

static void act_reply(struct proa_actor *self, void *ctx)
{
    struct later *l = ctx;

    l->outcome = proa_reply_token(self, l->token, &l->value, 8);
}

static void ask__gets_its_reply_later_and_once(void **state)
{
    (void)state;
    assert_int_equal(ask(w, a, b, ECHO, 42, 7), PROA_OK);
    assert_int_equal(count_of(&a_log, ANSWER), 0);
    world_settle(w);
    assert_answer(&a_log, 0, 7, PROA_OK);
    assert_int_equal(nth(&a_log, ANSWER, 0)->value, 42);
    assert_true(proa_ref_equal(nth(&a_log, ANSWER, 0)->from, b));
    world_advance(w, 10 * PROA_S);
    assert_int_equal(count_of(&a_log, ANSWER), 1);
    assert_int_equal(STAT(w, 0, expired), 0);
    assert_clean(w);
}

static void ask__of_oneself(void **state)
{
    (void)state;
    assert_int_equal(ask(w, a, a, ECHO, 5, 1), PROA_OK);
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_OK);
}

static void ask__silent_handler_is_no_reply_at_once(void **state)
{
    (void)state;
    ask(w, a, b, SILENT, 0, 3);
    world_settle(w);
    assert_answer(&a_log, 0, 3, PROA_NO_REPLY);
    assert_int_equal(STAT(w, 0, refused[PROA_NO_REPLY]), 1);
    assert_clean(w);
}

static void ask__refusals_before_it_ran(void **state)
{
    (void)state;
    ask(w, a, b, 999, 0, 1);
    ask(w, a, b, SIZED, 0, 2);
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_REFUSED_UNKNOWN_TYPE);
    assert_answer(&a_log, 1, 2, PROA_REFUSED_BAD_LENGTH);
    ask(w, a, b, ECHO, 0, 3);
    w->now += 2 * PROA_S; /* nobody ran meanwhile */
    world_settle(w);
    assert_answer(&a_log, 2, 3, PROA_REFUSED_EXPIRED);
    assert_int_equal(count_of(&b_log, GOT), 0);
    assert_clean(w);
}

static void ask__deadline_is_maybe_executed_and_the_late_answer_is_dropped(void **state)
{
    struct later l = {.value = 1};

    (void)state;
    ask(w, a, b, LATER, 0, 9);
    world_advance(w, 990 * PROA_MS);
    assert_int_equal(count_of(&a_log, ANSWER), 0);
    world_advance(w, 11 * PROA_MS);
    assert_answer(&a_log, 0, 9, PROA_MAYBE_EXECUTED);
    assert_int_equal(STAT(w, 0, expired), 1);
    assert_int_equal(STAT(w, 0, tokens_expired), 1);
    l.token = b_log.tokens[0];
    in(w, b, act_reply, &l);
    assert_int_equal(l.outcome, PROA_NOT_AN_ASK);
    assert_clean(w);
}

static void ask__bad_arguments(void **state)
{
    struct act good = {.to = b, .type = ECHO, .len = 8, .deadline = 1}, bad = good;

    (void)state;
    bad.deadline = 0;
    in(w, a, act_ask, &bad);
    assert_int_equal(bad.outcome, PROA_INVALID);
    bad.deadline = PROA_DEADLINE_MAX + 1;
    in(w, a, act_ask, &bad);
    assert_int_equal(bad.outcome, PROA_INVALID);
    bad = good;
    bad.to.generation++;
    in(w, a, act_ask, &bad);
    assert_int_equal(bad.outcome, PROA_NO_SUCH_ACTOR);
    assert_clean(w);
}

/* ---- Replying later ---- */

static void reply_later__answers_once_by_its_holder_only(void **state)
{
    struct later l = {.value = 77};

    (void)state;
    ask(w, a, b, LATER, 0, 4);
    world_settle(w);
    l.token = b_log.tokens[0];
    in(w, a, act_reply, &l); /* foreign */
    assert_int_equal(l.outcome, PROA_NOT_AN_ASK);
    in(w, b, act_reply, &l);
    assert_int_equal(l.outcome, PROA_OK);
    in(w, b, act_reply, &l);
    assert_int_equal(l.outcome, PROA_NOT_AN_ASK);
    l.token = (struct proa_token){0, 0};
    in(w, b, act_reply, &l);
    assert_int_equal(l.outcome, PROA_NOT_AN_ASK);
    world_settle(w);
    assert_answer(&a_log, 0, 4, PROA_OK);
    assert_int_equal(nth(&a_log, ANSWER, 0)->value, 77);
    assert_clean(w);
}

/* ---- Forwarding ---- */

static void forward__reply_goes_straight_to_the_origin(void **state)
{
    struct proa_ref c = spawn(w, 0, &c_log);

    (void)state;
    b_log.pass_to = c;
    c_log.pass_to = b;
    ask(w, a, b, PASS, 1, 1); /* c's PASS would go back and forth: its hops end it */
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_REFUSED_HOPS);
    assert_int_equal(count_of(&b_log, GOT) + count_of(&c_log, GOT), PROA_HOPS_MAX + 1);
    assert_int_equal(nth(&c_log, GOT, 0)->hops, 1);
    assert_true(proa_ref_equal(nth(&c_log, GOT, 0)->from, a));
    assert_clean(w);
}

static void forward__failed_is_still_the_handlers_to_answer(void **state)
{
    struct proa_ref gone = b;

    (void)state;
    gone.generation++;
    b_log.pass_to = gone;
    ask(w, a, b, PASS, 1, 1);
    world_settle(w);
    assert_int_equal(b_log.passed, PROA_NO_SUCH_ACTOR);
    assert_answer(&a_log, 0, 1, PROA_NO_REPLY);
}

/* ---- Ends ---- */

static void stop__queued_are_refused_held_and_running_maybe_executed(void **state)
{
    (void)state;
    ask(w, a, b, LATER, 0, 1);      /* held by token */
    ask(w, a, b, QUIT_ASKED, 0, 2); /* running */
    ask(w, a, b, ECHO, 0, 3);       /* queued */
    tell(w, a, b, NOTE, 0);
    tell(w, a, b, NOTE, 0);
    world_settle(w);
    assert_int_equal(count_of(&b_log, ENDED), 1);
    assert_int_equal(nth(&b_log, ENDED, 0)->reason, PROA_REASON_NORMAL);
    assert_int_equal(count_of(&a_log, ANSWER), 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct event *e = nth(&a_log, ANSWER, i);

        assert_int_equal(e->outcome,
                         e->count == 3 ? PROA_REFUSED_STOPPED : PROA_MAYBE_EXECUTED);
    }
    assert_int_equal(nth(&a_log, SIGNAL, 0)->outcome, PROA_REFUSED_STOPPED);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->count, 2);
    assert_int_equal(tell(w, a, b, NOTE, 0), PROA_NO_SUCH_ACTOR);
    assert_int_equal(STAT(w, 0, actors), 1);
    assert_int_equal(STAT(w, 0, stopped), 1);
    assert_clean(w);
}

static void stop__then_never_runs_after_the_asker_stopped(void **state)
{
    (void)state;
    tell(w, b, a, QUIT_ASKED, 0); /* before the reply, in the same class */
    ask(w, a, b, ECHO, 0, 1);
    ask(w, a, b, SILENT, 0, 2);
    ask(w, a, b, LATER, 0, 3);
    ask(w, a, a, ECHO, 0, 4);
    tell(w, b, a, NOTE, 0);
    world_settle(w);
    world_advance(w, 5 * PROA_S);
    assert_int_equal(count_of(&a_log, ENDED), 1);
    assert_int_equal(count_of(&a_log, ANSWER), 0);
    assert_int_equal(count_of(&b_log, GOT), 3);
    assert_int_equal(STAT(w, 0, abandoned), 4);
    assert_int_equal(STAT(w, 0, late_replies), 3); /* ECHO, NO_REPLY, a's own refusal */
    assert_int_equal(nth(&b_log, SIGNAL, 0)->outcome, PROA_REFUSED_STOPPED);
    assert_clean(w);
}

static void act_stop_other(struct proa_actor *self, void *ctx)
{
    struct act *act = ctx;

    act->outcome = proa_stop_other(self, act->to);
}

static void stop_other__kills_after_what_is_running(void **state)
{
    struct act act = {.to = b};

    (void)state;
    tell(w, a, b, NOTE, 0);
    in(w, a, act_stop_other, &act);
    assert_int_equal(act.outcome, PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&b_log, ENDED, 0)->reason, PROA_REASON_KILLED);
    in(w, a, act_stop_other, &act);
    assert_int_equal(act.outcome, PROA_NO_SUCH_ACTOR);
}

static void drain__stops_all_and_refuses_new_work(void **state)
{
    struct proa_ref c;
    struct log *log = &c_log;

    (void)state;
    ask(w, a, b, LATER, 0, 1);
    world_settle(w);
    sched_drain(w->lane[0].s);
    assert_int_equal(ask(w, a, b, ECHO, 0, 1), PROA_STOPPED);
    assert_int_equal(sched_deadline(w->lane[0].s), 0);
    world_settle(w);
    assert_int_equal(nth(&a_log, ENDED, 0)->reason, PROA_REASON_KILLED);
    assert_int_equal(nth(&b_log, ENDED, 0)->reason, PROA_REASON_KILLED);
    assert_int_equal(STAT(w, 0, actors), 0);
    assert_int_equal(sched_spawn(w->lane[0].s, &probe, &log, sizeof(log), &c),
                     PROA_STOPPED);
    assert_clean(w);
}

/* ---- Beginnings ---- */

static void act_spawn(struct proa_actor *self, void *ctx)
{
    struct act *act = ctx;
    struct log *log = &c_log;

    act->outcome = proa_spawn(self, &probe, &log, sizeof(log), &act->to);
}

static void spawn__starts_at_once(void **state)
{
    struct act act = {.type = 0};

    (void)state;
    in(w, a, act_spawn, &act);
    assert_int_equal(act.outcome, PROA_OK);
    assert_int_equal(c_log.events[0].kind, STARTED);
    assert_int_equal(tell(w, a, act.to, NOTE, 6), PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&c_log, GOT, 0)->value, 6);
}

static void spawn__failed_start_is_no_actor_and_stop_is_not_called(void **state)
{
    struct act act = {.type = 0};

    (void)state;
    c_log.start_result = 1;
    in(w, a, act_spawn, &act);
    assert_int_equal(act.outcome, PROA_STOPPED);
    world_settle(w);
    assert_int_equal(count_of(&c_log, ENDED), 0);
    assert_int_equal(STAT(w, 0, actors), 2);
    assert_int_equal(STAT(w, 0, spawn_failed), 1);
    assert_clean(w);
}

static void spawn__stale_references_never_reach_the_next_life(void **state)
{
    struct proa_ref old = b, fresh;

    (void)state;
    stop(w, b);
    world_settle(w);
    fresh = spawn(w, 0, &c_log);
    assert_int_equal(fresh.slot, old.slot);
    assert_int_equal(tell(w, a, old, NOTE, 0), PROA_NO_SUCH_ACTOR);
    assert_int_equal(tell(w, a, fresh, NOTE, 0), PROA_OK);
}

/* ---- Timers ---- */

static void log_timeout(struct proa_actor *self, uint64_t cookie)
{
    log_add(self, TIMEOUT)->value = cookie;
}

struct timing {
    proa_ns after;
    uint64_t cookie;
    struct proa_timer timer;
    enum proa_outcome outcome;
    bool cancelled;
};

static void act_timer(struct proa_actor *self, void *ctx)
{
    struct timing *t = ctx;

    t->outcome = proa_timer_start(self, t->after, log_timeout, t->cookie, &t->timer);
}

static void act_cancel(struct proa_actor *self, void *ctx)
{
    struct timing *t = ctx;

    t->cancelled = proa_timer_cancel(self, t->timer);
}

static void timer__fires_once_cancel_prevents_stop_ends_it(void **state)
{
    struct timing one = {.after = PROA_MS, .cookie = 1}, two = one, three = one,
                  bad = one;

    (void)state;
    in(w, a, act_timer, &one);
    two.cookie = 2;
    in(w, a, act_timer, &two);
    in(w, b, act_timer, &three);
    bad.after = PROA_TIMER_MAX + 1;
    in(w, a, act_timer, &bad);
    assert_int_equal(bad.outcome, PROA_INVALID);
    in(w, b, act_cancel, &two); /* another's */
    assert_false(two.cancelled);
    in(w, a, act_cancel, &two);
    assert_true(two.cancelled);
    in(w, a, act_cancel, &two);
    assert_false(two.cancelled);
    two.timer.serial += 2; /* the entry's next use: nobody has it yet */
    in(w, a, act_cancel, &two);
    assert_false(two.cancelled);
    stop(w, b);
    world_advance(w, PROA_MS - 1);
    assert_int_equal(count_of(&a_log, TIMEOUT), 0);
    world_advance(w, PROA_TIMER_TICK + 1);
    assert_int_equal(count_of(&a_log, TIMEOUT), 1);
    assert_int_equal(nth(&a_log, TIMEOUT, 0)->value, 1);
    assert_int_equal(count_of(&b_log, TIMEOUT), 0);
    in(w, a, act_cancel, &one);
    assert_false(one.cancelled);
    assert_int_equal(STAT(w, 0, timers_running), 0);
    assert_true(sched_deadline(w->lane[0].s) == PROA_NS_NEVER);
}

/* ---- Bulk ---- */

static void *kept;

static void on_keep(struct proa_actor *self, const struct proa_msg *msg)
{
    kept = proa_msg_keep(self, msg);
    log_msg(self, msg);
}

static const struct proa_on keeper_on[] = {{NOTE, 0, on_keep}};
static const struct proa_behaviour keeper = {.type_name = "keeper",
                                             .state_size = sizeof(struct probe),
                                             .on = keeper_on,
                                             .on_count = 1,
                                             .start = probe_start};

static void act_bulk(struct proa_actor *self, void *ctx)
{
    struct act *act = ctx;
    uint64_t *buf = proa_buf_alloc(self, act->len);

    assert_non_null(buf);
    assert_int_equal((uintptr_t)buf % 16, 0);
    *buf = 4711;
    act->outcome = proa_tell_buf(self, act->to, NOTE, buf, act->len);
    if (act->outcome != PROA_OK)
        proa_buf_free(self, buf);
}

static void act_free_kept(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_buf_free(self, kept);
}

static void bulk__is_told_kept_and_freed_without_a_copy(void **state)
{
    struct act act = {.len = 100000};

    (void)state;
    act.to = spawn_kind(w, 0, &c_log, &keeper);
    in(w, a, act_bulk, &act);
    assert_int_equal(act.outcome, PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&c_log, GOT, 0)->value, 4711);
    assert_non_null(kept);
    assert_int_equal(*(uint64_t *)kept, 4711);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, bulk_used), 100000);
    in(w, act.to, act_free_kept, NULL);
    tell(w, a, act.to, NOTE, 1); /* not bulk */
    world_settle(w);
    assert_null(kept);
    assert_clean(w);
    act.to.generation++;
    in(w, a, act_bulk, &act);
    assert_int_equal(act.outcome, PROA_NO_SUCH_ACTOR);
    assert_clean(w);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(tell__reaches_the_mailbox_once_and_in_order),
        test(tell__payloads_of_all_sizes_arrive_whole),
        test(tell__urgent_overtakes_normal),
        test(tell__says_at_once_what_is_wrong),
        test(tell__unknown_type_or_short_payload_is_undelivered_in_runs),
        test(ask__gets_its_reply_later_and_once),
        test(ask__of_oneself),
        test(ask__silent_handler_is_no_reply_at_once),
        test(ask__refusals_before_it_ran),
        test(ask__deadline_is_maybe_executed_and_the_late_answer_is_dropped),
        test(ask__bad_arguments),
        test(reply_later__answers_once_by_its_holder_only),
        test(forward__reply_goes_straight_to_the_origin),
        test(forward__failed_is_still_the_handlers_to_answer),
        test(stop__queued_are_refused_held_and_running_maybe_executed),
        test(stop__then_never_runs_after_the_asker_stopped),
        test(stop_other__kills_after_what_is_running),
        test(drain__stops_all_and_refuses_new_work),
        test(spawn__starts_at_once),
        test(spawn__failed_start_is_no_actor_and_stop_is_not_called),
        test(spawn__stale_references_never_reach_the_next_life),
        test(timer__fires_once_cancel_prevents_stop_ends_it),
        test(bulk__is_told_kept_and_freed_without_a_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
