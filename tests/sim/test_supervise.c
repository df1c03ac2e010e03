/* SPDX-License-Identifier: Apache-2.0 */
/* Supervision: what is restarted, how often, with which names, and what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <proa/life.h>
#include <proa/registry.h>
#include <string.h>

#include "sim.h"

enum { FAIL = 1, STOP, WHO, SLEEP };
#define CHILDREN 4
#define LOG_MAX 64

/* ---- Everything the children do, in the order they do it ---- */

struct entry {
    char what; /* 's' started, 'e' ended */
    uint32_t number;
    enum proa_reason reason;
};

static struct entry entries[LOG_MAX];
static unsigned entry_count;
static unsigned failing_starts; /* so many of the next starts fail */

static void note(char what, uint32_t number, enum proa_reason reason)
{
    assert_true(entry_count < LOG_MAX);
    entries[entry_count++] = (struct entry){what, number, reason};
}

static void assert_log(const char *expected)
{
    char text[2 * LOG_MAX + 1] = "";

    for (unsigned i = 0; i < entry_count; i++) {
        text[2 * i] = entries[i].what;
        text[2 * i + 1] = (char)('0' + entries[i].number);
        text[2 * i + 2] = '\0';
    }
    assert_string_equal(text, expected);
}

/* ---- A child ---- */

struct child {
    uint32_t number;
    uint32_t touched; /* 0 in every new life */
};

static int child_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct child *c = proa_state(self);

    assert_int_equal(len, sizeof(c->number));
    assert_int_equal(c->touched, 0);
    memcpy(&c->number, arg, sizeof(c->number));
    c->touched = 1;
    if (failing_starts > 0) {
        failing_starts--;
        return -7;
    }
    note('s', c->number, PROA_REASON_NORMAL);
    return 0;
}

static void child_stop(struct proa_actor *self, enum proa_reason reason)
{
    struct child *c = proa_state(self);

    note('e', c->number, reason);
}

static void on_fail(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_fail(self, 5);
}

static void on_stop(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_stop(self);
}

static void on_who(struct proa_actor *self, const struct proa_msg *msg)
{
    struct child *c = proa_state(self);

    proa_reply(self, msg, &c->number, sizeof(c->number));
}

static const struct proa_on child_on[] = {
    {FAIL, 0, on_fail}, {STOP, 0, on_stop}, {WHO, 0, on_who}};
static const struct proa_behaviour child = {.type_name = "child",
                                            .state_size = sizeof(struct child),
                                            .on = child_on,
                                            .on_count = 3,
                                            .start = child_start,
                                            .stop = child_stop};

/* ---- Supervisors ---- */

struct boss {
    struct proa_ref children[CHILDREN];
    uint32_t downs;
    struct proa_signal last;
};

struct boss_arg {
    uint32_t count;
    enum proa_restart restart;
};

static int boss_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct boss *b = proa_state(self);
    struct boss_arg a;

    assert_int_equal(len, sizeof(a));
    memcpy(&a, arg, sizeof(a));
    for (uint32_t i = 0; i < a.count; i++) {
        if (proa_spawn_child(self, &child, &i, sizeof(i), a.restart, &b->children[i]) !=
            PROA_OK)
            return -1;
    }
    return 0;
}

static void boss_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct boss *b = proa_state(self);

    if (signal->kind != PROA_SIGNAL_DOWN)
        return;
    b->downs++;
    b->last = *signal;
}

#define BOSS(NAME, STRATEGY, INTENSITY)                                                  \
    static const struct proa_supervision NAME##_rule = {                                 \
        .strategy = STRATEGY, .intensity = INTENSITY, .window = PROA_S};                 \
    static const struct proa_behaviour NAME = {.type_name = #NAME,                       \
                                               .state_size = sizeof(struct boss),        \
                                               .start = boss_start,                      \
                                               .signal = boss_signal,                    \
                                               .supervision = &NAME##_rule}
BOSS(one_for_one, PROA_ONE_FOR_ONE, 3);
BOSS(one_for_all, PROA_ONE_FOR_ALL, 3);
BOSS(rest_for_one, PROA_REST_FOR_ONE, 3);

/* ---- The stage ---- */

static struct proa_test *test;

static int set_up(void **state)
{
    struct proa_test_config config = {.nodes = 2};

    (void)state;
    test = proa_test_create(&config);
    assert_non_null(test);
    assert_true(proa_test_join(test));
    entry_count = failing_starts = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    proa_test_destroy(test);
    return 0;
}

static struct proa_ref boss(const struct proa_behaviour *behaviour, uint32_t count,
                            enum proa_restart restart)
{
    struct boss_arg arg = {count, restart};
    struct proa_ref ref;

    assert_int_equal(proa_test_spawn(test, 0, 0, behaviour, &arg, sizeof(arg), &ref),
                     PROA_OK);
    return ref;
}

static void read_boss(struct proa_actor *self, void *ctx)
{
    *(struct boss *)ctx = *(struct boss *)proa_state(self);
}

static struct boss see(struct proa_ref ref)
{
    struct boss b;

    proa_test_call_actor(test, ref, read_boss, &b);
    return b;
}

static void tell(struct proa_ref to, uint32_t type)
{
    assert_int_equal(proa_test_tell(test, 0, to, type, NULL, 0), PROA_OK);
    proa_test_advance(test, 10 * PROA_MS);
}

/* The same actor in its next life. */
static struct proa_ref again(struct proa_ref ref)
{
    ref.generation = ref.generation + 1 != 0 ? ref.generation + 1 : 1;
    return ref;
}

static enum proa_outcome who(struct proa_ref ref, uint32_t *ret)
{
    struct proa_test_answer answer = proa_test_ask(test, 1, ref, WHO, NULL, 0, PROA_S);

    if (answer.outcome == PROA_OK)
        memcpy(ret, answer.data, sizeof(*ret));
    return answer.outcome;
}

/* ---- Strategies ---- */

static void one_for_one__restarts_the_one(void **state)
{
    struct boss b = see(boss(&one_for_one, 3, PROA_RESTART_PERMANENT));
    uint32_t number = 9;

    (void)state;
    tell(b.children[1], FAIL);
    assert_log("s0s1s2e1s1");
    assert_int_equal(entries[3].reason, PROA_REASON_FAILED);
    assert_int_equal(who(b.children[1], &number), PROA_REFUSED_NO_ACTOR);
    assert_int_equal(who(again(b.children[1]), &number), PROA_OK);
    assert_int_equal(number, 1);
    assert_int_equal(who(b.children[2], &number), PROA_OK);
}

static void one_for_all__ends_backwards_and_restarts_forwards(void **state)
{
    struct boss b = see(boss(&one_for_all, 4, PROA_RESTART_PERMANENT));
    uint32_t number;

    (void)state;
    tell(b.children[1], FAIL);
    assert_log("s0s1s2s3e1e3e2e0s0s1s2s3");
    for (int i = 0; i < 4; i++)
        assert_int_equal(who(again(b.children[i]), &number), PROA_OK);
}

static void rest_for_one__leaves_those_before_alone(void **state)
{
    struct boss b = see(boss(&rest_for_one, 4, PROA_RESTART_PERMANENT));
    uint32_t number;

    (void)state;
    tell(b.children[1], FAIL);
    assert_log("s0s1s2s3e1e3e2s1s2s3");
    assert_int_equal(who(b.children[0], &number), PROA_OK);
}

/* ---- Who is restarted ---- */

static void restart__permanent_also_after_a_normal_end(void **state)
{
    struct boss b = see(boss(&one_for_one, 1, PROA_RESTART_PERMANENT));

    (void)state;
    tell(b.children[0], STOP);
    assert_log("s0e0s0");
}

static void restart__transient_only_after_failures(void **state)
{
    struct proa_ref ref = boss(&one_for_one, 2, PROA_RESTART_TRANSIENT);
    struct boss b = see(ref);

    (void)state;
    tell(b.children[0], STOP);
    tell(b.children[1], FAIL);
    assert_log("s0s1e0e1s1");
    b = see(ref);
    assert_int_equal(b.downs, 1);
    assert_int_equal(b.last.down, PROA_REASON_NORMAL);
    assert_int_equal(b.last.monitor.serial, 0);
}

static void restart__temporary_never(void **state)
{
    struct proa_ref ref = boss(&one_for_all, 3, PROA_RESTART_TEMPORARY);
    struct boss b = see(ref);

    (void)state;
    tell(b.children[1], FAIL);
    assert_log("s0s1s2e1");
    b = see(ref);
    assert_int_equal(b.downs, 1);
    assert_true(proa_ref_equal(b.last.to, b.children[1]));
    assert_int_equal(b.last.code, 5);
}

/* ---- Limits ---- */

static void limit__ends_the_family_backwards(void **state)
{
    struct proa_ref ref = boss(&one_for_one, 2, PROA_RESTART_PERMANENT);
    struct proa_ref at = see(ref).children[0];
    uint32_t number;

    (void)state;
    for (int i = 0; i < 4; i++) {
        tell(at, FAIL);
        at = again(at);
    }
    assert_log("s0s1e0s0e0s0e0s0e0e1");
    assert_int_equal(entries[9].reason, PROA_REASON_KILLED);
    assert_int_equal(who(ref, &number), PROA_REFUSED_NO_ACTOR);
    assert_int_equal(who(at, &number), PROA_REFUSED_NO_ACTOR);
}

static void limit__counts_within_the_window_only(void **state)
{
    struct proa_ref at = see(boss(&one_for_one, 1, PROA_RESTART_PERMANENT)).children[0];
    uint32_t number;

    (void)state;
    for (int i = 0; i < 12; i++) {
        tell(at, FAIL);
        at = again(at);
        proa_test_advance(test, 400 * PROA_MS); /* at most 3 in a second */
    }
    assert_int_equal(who(at, &number), PROA_OK);
}

static void limit__a_start_that_keeps_failing_reaches_it(void **state)
{
    struct proa_ref ref = boss(&one_for_one, 1, PROA_RESTART_PERMANENT);
    struct boss b = see(ref);
    uint32_t number;

    (void)state;
    failing_starts = 1;
    tell(b.children[0], FAIL);
    assert_log("s0e0s0");
    assert_int_equal(who(again(again(b.children[0])), &number), PROA_OK);
    proa_test_advance(test, 2 * PROA_S);
    failing_starts = 100;
    tell(again(again(b.children[0])), FAIL);
    assert_int_equal(failing_starts, 97);
    assert_int_equal(who(ref, &number), PROA_REFUSED_NO_ACTOR);
}

/* ---- Supervisors of supervisors ---- */

static int top_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct boss_arg under = {2, PROA_RESTART_PERMANENT};
    struct boss *b = proa_state(self);

    (void)arg;
    (void)len;
    return proa_spawn_child(self, &one_for_one, &under, sizeof(under),
                            PROA_RESTART_PERMANENT, &b->children[0]) == PROA_OK
               ? 0
               : -1;
}

static const struct proa_behaviour top = {.type_name = "top",
                                          .state_size = sizeof(struct boss),
                                          .start = top_start,
                                          .signal = boss_signal,
                                          .supervision = &one_for_one_rule};

static void tree__a_crash_loop_ends_at_the_limits(void **state)
{
    struct proa_ref ref, at, under;
    uint32_t number;

    (void)state;
    assert_int_equal(proa_test_spawn(test, 0, 0, &top, NULL, 0, &ref), PROA_OK);
    under = see(ref).children[0];
    at = see(under).children[0];
    for (int i = 0; i < 4; i++) {
        tell(at, FAIL);
        at = again(at);
    }
    /* The lower supervisor was restarted with both its children. */
    assert_log("s0s1e0s0e0s0e0s0e0e1s0s1");
    assert_int_equal(who(see(again(under)).children[1], &number), PROA_OK);
    assert_int_equal(number, 1);
    failing_starts = 1000; /* now it can never start */
    at = see(again(under)).children[0];
    tell(at, FAIL);
    proa_test_advance(test, PROA_S);
    assert_int_equal(who(ref, &number), PROA_REFUSED_NO_ACTOR);
    failing_starts = 0;
}

static void stop_it(struct proa_actor *self, void *ctx)
{
    struct boss *b = proa_state(self);

    assert_true(proa_stop_child(self, b->children[0]));
    assert_false(proa_stop_child(self, b->children[0]));
    *(bool *)ctx = true;
}

static void stop_child__is_not_restarted(void **state)
{
    struct proa_ref ref = boss(&one_for_all, 2, PROA_RESTART_PERMANENT);
    bool done = false;

    (void)state;
    proa_test_call_actor(test, ref, stop_it, &done);
    proa_test_advance(test, 10 * PROA_MS);
    assert_true(done);
    assert_log("s0s1e0");
    tell(ref, STOP); /* unknown type: nothing */
    tell(see(ref).children[1], FAIL);
    assert_log("s0s1e0e1s1");
}

/* ---- What others see ---- */

static struct proa_signal seen;
static unsigned seen_count;

static void watch_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    (void)self;
    if (signal->kind == PROA_SIGNAL_DOWN) {
        seen = *signal;
        seen_count++;
    }
}

static const struct proa_behaviour watcher = {.type_name = "watcher",
                                              .signal = watch_signal};

static void do_monitor(struct proa_actor *self, void *ctx)
{
    assert_int_equal(proa_monitor(self, *(struct proa_ref *)ctx, NULL), PROA_OK);
}

static void restart__monitors_get_the_new_reference(void **state)
{
    struct boss b = see(boss(&one_for_one, 1, PROA_RESTART_PERMANENT));
    struct proa_ref ref = b.children[0], from;

    (void)state;
    seen_count = 0;
    assert_int_equal(proa_test_spawn(test, 1, 0, &watcher, NULL, 0, &from), PROA_OK);
    proa_test_call_actor(test, from, do_monitor, &ref);
    proa_test_advance(test, PROA_S);
    tell(ref, FAIL);
    proa_test_advance(test, PROA_S);
    assert_int_equal(seen_count, 1);
    assert_int_equal(seen.down, PROA_REASON_RESTARTED);
    assert_int_equal(seen.code, 5);
    assert_true(proa_ref_equal(seen.to, ref));
    assert_true(proa_ref_equal(seen.now, again(ref)));
}

static void restart__names_go_on_with_the_new_life(void **state)
{
    struct boss b = see(boss(&one_for_one, 1, PROA_RESTART_PERMANENT));
    struct proa_ref ref = b.children[0], found;
    uint64_t term = 0, now = 0;
    uint32_t number;

    (void)state;
    assert_int_equal(proa_test_register(test, 0, ref, "kept", 5 * PROA_S, &term),
                     PROA_OK);
    assert_int_equal(proa_test_lookup_wait(test, 1, "kept", 5 * PROA_S, &found), PROA_OK);
    assert_true(proa_ref_equal(found, ref));
    tell(ref, FAIL);
    proa_test_advance(test, 500 * PROA_MS);
    ref = again(ref);
    assert_int_equal(proa_test_lookup(test, 0, "kept", PROA_S, &found), PROA_OK);
    assert_true(proa_ref_equal(found, ref));
    assert_int_equal(proa_test_lookup(test, 1, "kept", PROA_S, &found), PROA_OK);
    assert_true(proa_ref_equal(found, ref)); /* by push */
    assert_int_equal(who(found, &number), PROA_OK);
    /* It is still the same claim. */
    assert_int_equal(proa_test_register(test, 0, ref, "kept", 5 * PROA_S, &now), PROA_OK);
    assert_int_equal(now, term);
    tell(ref, STOP);
    proa_test_advance(test, 500 * PROA_MS);
    assert_int_equal(proa_test_lookup(test, 1, "kept", PROA_S, &found), PROA_OK);
    assert_true(proa_ref_equal(found, again(ref)));
}

#define on_stage(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_stage(one_for_one__restarts_the_one),
        on_stage(one_for_all__ends_backwards_and_restarts_forwards),
        on_stage(rest_for_one__leaves_those_before_alone),
        on_stage(restart__permanent_also_after_a_normal_end),
        on_stage(restart__transient_only_after_failures),
        on_stage(restart__temporary_never),
        on_stage(limit__ends_the_family_backwards),
        on_stage(limit__counts_within_the_window_only),
        on_stage(limit__a_start_that_keeps_failing_reaches_it),
        on_stage(tree__a_crash_loop_ends_at_the_limits),
        on_stage(stop_child__is_not_restarted),
        on_stage(restart__monitors_get_the_new_reference),
        on_stage(restart__names_go_on_with_the_new_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
