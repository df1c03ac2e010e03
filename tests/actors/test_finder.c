/* SPDX-License-Identifier: Apache-2.0 */
/* proa_lookup_or_spawn on one lane: the control thread's part is played by the test. */
#include "sched_world.h"

#include <proa/registry.h>

static struct world *w;
static struct log caller_log, child_log;
static struct proa_ref caller;
static int start_result;

static int child_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct probe *p = proa_state(self);
    uint64_t first = 1;

    assert_int_equal(len, 4);
    assert_memory_equal(arg, "once", 4);
    p->log = &child_log;
    log_add(self, STARTED)->from = proa_self(self);
    assert_int_equal(proa_tell(self, proa_self(self), NOTE, &first, 8), PROA_OK);
    return start_result;
}

static const struct proa_behaviour child = {.type_name = "child",
                                            .state_size = sizeof(struct probe),
                                            .on = probe_on,
                                            .on_count = 7,
                                            .start = child_start,
                                            .stop = probe_stop,
                                            .published = true};

static int setup(void **state)
{
    (void)state;
    memset(&caller_log, 0, sizeof(caller_log));
    memset(&child_log, 0, sizeof(child_log));
    start_result = 0;
    w = world_make(1, NULL);
    caller = spawn(w, 0, &caller_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    return 0;
}

static void log_named(struct proa_actor *self, const struct proa_name_answer *answer,
                      const void *ctx)
{
    struct event *e = log_add(self, NAMED);

    e->outcome = answer->outcome;
    e->from = answer->ref;
    e->value = answer->term;
    assert_string_equal(answer->name, "one");
    memcpy(&e->count, ctx, 4);
}

static void act_seek(struct proa_actor *self, void *ctx)
{
    uint32_t number = 7;

    *(enum proa_outcome *)ctx = proa_lookup_or_spawn(
        self, "one", &child, "once", 4, 10 * PROA_S, log_named, &number, sizeof(number));
}

static void seek(void)
{
    enum proa_outcome outcome;

    in(w, caller, act_seek, &outcome);
    assert_int_equal(outcome, PROA_OK);
    assert_int_equal(count_of(&caller_log, NAMED), 0);
}

/* The call that went up, after a rest if need be. */
static struct punt_name asked(enum punt_name_op op)
{
    const struct byte_record *r;
    struct punt_name name = {.len = 0};

    for (int i = 0; i < 100 && name.len == 0; i++) {
        while (name.len == 0 && (r = byte_ring_peek(w->lane[0].up)) != NULL) {
            if (r->kind == PUNT_NAME)
                memcpy(&name, r->body, sizeof(name));
            byte_ring_pop(w->lane[0].up);
        }
        if (name.len == 0)
            world_advance(w, 10 * PROA_MS);
    }
    assert_int_equal(name.op, op);
    assert_int_equal(name.len, 3);
    return name;
}

static void say(const struct punt_name *call, enum proa_outcome outcome,
                struct proa_ref ref, bool settled)
{
    struct punt_answer answer = {.correlation = call->correlation,
                                 .slot = call->slot,
                                 .generation = call->generation,
                                 .outcome = outcome,
                                 .ref = ref,
                                 .term = 5,
                                 .settled = settled};

    sched_name_answer(w->lane[0].s, &answer, "one", 3);
    world_settle(w);
}

static void answer(enum punt_name_op op, enum proa_outcome outcome, struct proa_ref ref,
                   bool settled)
{
    struct punt_name call = asked(op);

    say(&call, outcome, ref, settled);
}

static void told(enum proa_outcome outcome, struct proa_ref ref)
{
    const struct event *e = nth(&caller_log, NAMED, 0);

    assert_non_null(e);
    assert_int_equal(count_of(&caller_log, NAMED), 1);
    assert_int_equal(e->count, 7);
    assert_string_equal(proa_outcome_name(e->outcome), proa_outcome_name(outcome));
    assert_true(proa_ref_equal(e->from, ref));
    assert_int_equal(STAT(w, 0, asks_waiting), 0);
}

static struct proa_ref born(uint32_t n)
{
    assert_non_null(nth(&child_log, STARTED, n));
    return nth(&child_log, STARTED, n)->from;
}

static const struct proa_ref other = {FAR_NODE, 5, 77};

static void found__is_given_at_once(void **state)
{
    (void)state;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_OK, other, true);
    told(PROA_OK, other);
    assert_int_equal(nth(&caller_log, NAMED, 0)->value, 5);
    assert_int_equal(child_log.count, 0);
    assert_int_equal(STAT(w, 0, actors), 1);
}

static void found__of_another_type(void **state)
{
    (void)state;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_WRONG_TYPE, other, true);
    told(PROA_WRONG_TYPE, other);
}

/* What is held back joins the group of its type only when it is let go: were it earlier, the next
   registry call would not be the one that the test waits for. */
static void assert_joined(void)
{
    const struct byte_record *r = byte_ring_peek(w->lane[0].up);
    struct punt_name name;

    assert_non_null(r);
    memcpy(&name, r->body, sizeof(name));
    assert_int_equal(name.op, PUNT_JOIN);
    assert_int_equal(name.slot, born(0).slot);
    assert_memory_equal(r->body + sizeof(name), "type:child", 10);
    byte_ring_pop(w->lane[0].up);
    assert_null(byte_ring_peek(w->lane[0].up));
}

static void won__first_message_only_when_settled(void **state)
{
    struct punt_name claim;

    (void)state;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_NOT_FOUND, proa_ref_none(), false);
    claim = asked(PUNT_REGISTER);
    assert_int_equal(claim.slot, born(0).slot);
    assert_int_equal(claim.generation, born(0).generation);
    assert_int_equal(tell(w, caller, born(0), NOTE, 2), PROA_OK);
    say(&claim, PROA_OK, born(0), false);
    answer(PUNT_LOOKUP_NOW, PROA_OK, born(0), false);
    assert_int_equal(count_of(&child_log, GOT), 0);
    assert_int_equal(count_of(&caller_log, NAMED), 0);
    answer(PUNT_LOOKUP_NOW, PROA_OK, born(0), true);
    told(PROA_OK, born(0));
    assert_joined();
    assert_int_equal(count_of(&child_log, GOT), 2); /* its own, then the caller's */
    assert_int_equal(nth(&child_log, GOT, 1)->value, 2);
    assert_int_equal(count_of(&child_log, ENDED), 0);
    assert_int_equal(STAT(w, 0, actors), 2);
}

static void lost__ends_unheard_and_names_the_winner(void **state)
{
    (void)state;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_NOT_FOUND, proa_ref_none(), false);
    assert_int_equal(ask(w, caller, born(0), ECHO, 1, 3), PROA_OK);
    answer(PUNT_REGISTER, PROA_ALREADY_REGISTERED, other, false);
    assert_int_equal(nth(&child_log, ENDED, 0)->reason, PROA_REASON_KILLED);
    assert_answer(&caller_log, 0, 3, PROA_REFUSED_STOPPED);
    answer(PUNT_LOOKUP_NOW, PROA_OK, other, true);
    told(PROA_OK, other);
    assert_int_equal(count_of(&child_log, GOT), 0);
}

/* Won, and lost again before it had settled. */
static void won__then_lost(void **state)
{
    (void)state;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_NOT_FOUND, proa_ref_none(), false);
    answer(PUNT_REGISTER, PROA_OK, born(0), false);
    answer(PUNT_LOOKUP_NOW, PROA_OK, other, false);
    assert_int_equal(count_of(&child_log, ENDED), 0); /* who knows */
    answer(PUNT_LOOKUP_NOW, PROA_OK, other, true);
    told(PROA_OK, other);
    assert_int_equal(count_of(&child_log, ENDED), 1);
    assert_int_equal(count_of(&child_log, GOT), 0);
}

static void no_quorum__is_tried_again_until_the_deadline(void **state)
{
    uint32_t tries = 0;
    struct punt_name call;

    (void)state;
    seek();
    for (; tries < 1000 && count_of(&caller_log, NAMED) == 0; tries++) {
        call = asked(PUNT_LOOKUP_NOW);
        say(&call, PROA_NOT_FOUND, proa_ref_none(), false);
        call = asked(PUNT_REGISTER);
        assert_true(call.deadline <= w->now + 10 * PROA_S && call.deadline > w->now);
        world_advance(w, call.deadline - w->now);
        say(&call, PROA_NO_QUORUM, proa_ref_none(), false);
        world_advance(w, 250 * PROA_MS);
    }
    assert_in_range(tries, 2, 20);
    told(PROA_NO_QUORUM, proa_ref_none());
    assert_int_equal(count_of(&child_log, ENDED), tries);
}

static void start__failing_is_told(void **state)
{
    (void)state;
    start_result = 1;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_NOT_FOUND, proa_ref_none(), false);
    told(PROA_STOPPED, proa_ref_none());
    assert_int_equal(STAT(w, 0, actors), 1);
}

static void caller__that_stops_leaves_nothing(void **state)
{
    (void)state;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_NOT_FOUND, proa_ref_none(), false);
    stop(w, caller);
    answer(PUNT_REGISTER, PROA_OK, born(0), false);
    for (const struct byte_record *r; (r = byte_ring_peek(w->lane[0].up)) != NULL;)
        byte_ring_pop(w->lane[0].up);
    world_advance(w, PROA_S);
    assert_int_equal(count_of(&child_log, ENDED), 1);
    assert_int_equal(count_of(&child_log, GOT), 0);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, actors), 0);
}

/* The lane ends while the child is held back: nothing is left over (world_free looks). */
static void end__of_the_lane_meanwhile(void **state)
{
    (void)state;
    seek();
    answer(PUNT_LOOKUP_NOW, PROA_NOT_FOUND, proa_ref_none(), false);
    assert_int_equal(tell(w, caller, born(0), NOTE, 2), PROA_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(found__is_given_at_once),
        T(found__of_another_type),
        T(won__first_message_only_when_settled),
        T(lost__ends_unheard_and_names_the_winner),
        T(won__then_lost),
        T(no_quorum__is_tried_again_until_the_deadline),
        T(start__failing_is_told),
        T(caller__that_stops_leaves_nothing),
        T(end__of_the_lane_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
