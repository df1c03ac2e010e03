/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors and links between actors of one lane, two lanes and two nodes, over bad networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <proa/life.h>
#include <string.h>

#include "sim.h"

#define NOTES_MAX 256
#define TALKS 50u
#define CODE 42

enum { DIE = 1, NUMBER };
enum how { HOW_STOP, HOW_FAIL, HOW_TALK_AND_FAIL };

/* ---- One that ends as it is told ---- */

struct die {
    uint32_t how, zero;
    struct proa_ref talk_to;
};

static void on_die(struct proa_actor *self, const struct proa_msg *msg)
{
    struct die die;

    memcpy(&die, msg->data, sizeof(die));
    if (die.how == HOW_STOP) {
        proa_stop(self);
        return;
    }
    for (uint32_t i = 0; die.how == HOW_TALK_AND_FAIL && i < TALKS; i++)
        assert_int_equal(proa_tell(self, die.talk_to, NUMBER, &i, sizeof(i)), PROA_OK);
    proa_fail(self, CODE);
}

static const struct proa_on mortal_on[] = {{DIE, sizeof(struct die), on_die}};
static const struct proa_behaviour mortal = {
    .type_name = "mortal", .on = mortal_on, .on_count = 1};

/* ---- One that watches and writes down ---- */

struct note {
    struct proa_ref about, now;
    enum proa_reason reason;
    int32_t code;
    uint32_t numbers; /* heard before */
    bool link;
};

struct watcher {
    struct note notes[NOTES_MAX];
    uint32_t count, numbers;
};

static void on_number(struct proa_actor *self, const struct proa_msg *msg)
{
    struct watcher *w = proa_state(self);
    uint32_t i;

    memcpy(&i, msg->data, sizeof(i));
    assert_int_equal(i, w->numbers);
    w->numbers++;
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct watcher *w = proa_state(self);

    if (signal->kind != PROA_SIGNAL_DOWN)
        return;
    assert_true(w->count < NOTES_MAX);
    w->notes[w->count++] = (struct note){.about = signal->to,
                                         .now = signal->now,
                                         .reason = signal->down,
                                         .code = signal->code,
                                         .numbers = w->numbers,
                                         .link = signal->monitor.serial == 0};
}

static const struct proa_on watcher_on[] = {{NUMBER, 4, on_number}};
static const struct proa_behaviour watcher = {.type_name = "watcher",
                                              .state_size = sizeof(struct watcher),
                                              .on = watcher_on,
                                              .on_count = 1,
                                              .mailbox = 4096,
                                              .signal = on_signal};
static const struct proa_behaviour trapper = {.type_name = "trapper",
                                              .state_size = sizeof(struct watcher),
                                              .on = watcher_on,
                                              .on_count = 1,
                                              .signal = on_signal,
                                              .traps = true};

/* ---- The stage ---- */

struct stage {
    struct proa_test *test;
    unsigned far_node, far_lane; /* where the watched live */
    struct proa_ref watcher;
};

struct call {
    enum proa_outcome outcome;
    struct proa_ref ref;
    struct proa_monitor monitor;
    struct watcher w;
    bool done;
};

static void do_monitor(struct proa_actor *self, void *ctx)
{
    struct call *c = ctx;

    assert_int_equal(proa_monitor(self, c->ref, &c->monitor), PROA_OK);
}

static void try_monitor(struct proa_actor *self, void *ctx)
{
    struct call *c = ctx;

    c->outcome = proa_monitor(self, c->ref, &c->monitor);
}

static void do_demonitor(struct proa_actor *self, void *ctx)
{
    struct call *c = ctx;

    c->done = proa_demonitor(self, c->monitor);
    assert_false(proa_demonitor(self, c->monitor));
}

static void do_link(struct proa_actor *self, void *ctx)
{
    assert_int_equal(proa_link(self, ((struct call *)ctx)->ref), PROA_OK);
}

static void do_unlink(struct proa_actor *self, void *ctx)
{
    struct call *c = ctx;

    c->done = proa_unlink(self, c->ref);
    assert_false(proa_unlink(self, c->ref));
}

static void do_read(struct proa_actor *self, void *ctx)
{
    ((struct call *)ctx)->w = *(struct watcher *)proa_state(self);
}

static struct proa_ref spawn(struct stage *s, unsigned node, unsigned lane,
                             const struct proa_behaviour *behaviour)
{
    struct proa_ref ref;

    proa_test_expect_outcome(
        s->test, PROA_OK, proa_test_spawn(s->test, node, lane, behaviour, NULL, 0, &ref));
    return ref;
}

static struct proa_ref spawn_far(struct stage *s, const struct proa_behaviour *behaviour)
{
    return spawn(s, s->far_node, s->far_lane, behaviour);
}

static struct proa_monitor monitor(struct stage *s, struct proa_ref ref)
{
    struct call c = {.ref = ref};

    proa_test_call_actor(s->test, s->watcher, do_monitor, &c);
    return c.monitor;
}

static void link(struct stage *s, struct proa_ref from, struct proa_ref to)
{
    struct call c = {.ref = to};

    proa_test_call_actor(s->test, from, do_link, &c);
}

static struct watcher notes(struct stage *s, struct proa_ref who)
{
    struct call c = {0};

    proa_test_call_actor(s->test, who, do_read, &c);
    return c.w;
}

static void die(struct stage *s, struct proa_ref who, enum how how)
{
    struct die d = {.how = how, .talk_to = s->watcher};

    proa_test_expect_outcome(
        s->test, PROA_OK, proa_test_tell(s->test, s->far_node, who, DIE, &d, sizeof(d)));
}

static struct note only_note(struct stage *s, struct proa_ref who)
{
    proa_test_advance(s->test, 3 * PROA_S);
    struct watcher w = notes(s, who);
    proa_test_check(s->test, w.count == 1, "exactly one DOWN");
    return w.notes[0];
}

/* Each test is run for the watched on the same lane, on another lane, on another node, and on
   another lane of another node, the last two with losses. */
static void on_all_stages(uint64_t seeds, void (*fn)(struct stage *s))
{
    struct sim_seeds run = sim_seeds(seeds);

    for (uint64_t seed = run.first; seed < run.first + run.count; seed++) {
        for (unsigned place = 0; place < 4; place++) {
            struct proa_test_config config = {
                .nodes = 1 + place / 2,
                .lanes = 1 + place % 2,
                .seed = seed,
                .faults = {.loss = 50000, .duplicate = 20000, .reorder = 20000}};
            struct stage s = {.test = proa_test_create(&config),
                              .far_node = place / 2,
                              .far_lane = place % 2};

            assert_non_null(s.test);
            proa_test_check(s.test, proa_test_join(s.test), "all nodes to join");
            s.watcher = spawn(&s, 0, 0, &watcher);
            fn(&s);
            proa_test_destroy(s.test);
        }
    }
}

/* ---- Monitors ---- */

static void each_end(struct stage *s)
{
    struct proa_ref a = spawn_far(s, &mortal), b = spawn_far(s, &mortal);
    struct proa_ref c = spawn_far(s, &mortal);
    struct watcher w;
    unsigned seen = 0;

    monitor(s, a);
    monitor(s, b);
    monitor(s, c);
    proa_test_advance(s->test, PROA_S);
    die(s, a, HOW_STOP);
    die(s, b, HOW_FAIL);
    die(s, c, HOW_TALK_AND_FAIL);
    proa_test_advance(s->test, 3 * PROA_S);
    w = notes(s, s->watcher);
    proa_test_check(s->test, w.count == 3, "one DOWN for each");
    for (uint32_t i = 0; i < w.count; i++) {
        const struct note *n = &w.notes[i];

        proa_test_check(s->test, !n->link && proa_ref_is_none(n->now), "plain DOWNs");
        if (proa_ref_equal(n->about, a))
            seen |= n->reason == PROA_REASON_NORMAL ? 1 : 0;
        else if (proa_ref_equal(n->about, b))
            seen |= n->reason == PROA_REASON_FAILED && n->code == CODE ? 2 : 0;
        else if (proa_ref_equal(n->about, c))
            seen |= n->reason == PROA_REASON_FAILED && n->numbers == TALKS ? 4 : 0;
    }
    proa_test_check(s->test, seen == 7, "reasons, and DOWN behind what was sent before");
}

static void monitor__one_down_for_each_end_behind_all_it_sent(void **state)
{
    (void)state;
    on_all_stages(10, each_end);
}

static void ended(struct stage *s)
{
    struct proa_ref gone = spawn_far(s, &mortal);

    die(s, gone, HOW_STOP);
    proa_test_advance(s->test, PROA_S);
    monitor(s, gone);
    proa_test_check(s->test, only_note(s, s->watcher).reason == PROA_REASON_NO_SUCH_ACTOR,
                    "NO_SUCH_ACTOR for one that had ended");
}

static void monitor__of_one_that_has_ended_says_so(void **state)
{
    (void)state;
    on_all_stages(10, ended);
}

static void taken_back(struct stage *s)
{
    struct proa_ref a = spawn_far(s, &mortal), b = spawn_far(s, &mortal);
    struct call early = {.monitor = monitor(s, a)}, late = {.monitor = monitor(s, b)};

    proa_test_advance(s->test, PROA_S);
    proa_test_call_actor(s->test, s->watcher, do_demonitor, &early);
    die(s, a, HOW_FAIL);
    die(s, b, HOW_FAIL);
    for (int i = 0; i < 40 && !late.done; i++) { /* at some moment of its way */
        proa_test_step(s->test);
        if (i == (int)(proa_test_trace(s->test) % 40))
            proa_test_call_actor(s->test, s->watcher, do_demonitor, &late);
    }
    uint32_t before = notes(s, s->watcher).count;
    proa_test_advance(s->test, 3 * PROA_S);
    proa_test_check(s->test, early.done, "a monitor that stood to be ended");
    if (late.done)
        proa_test_check(s->test, notes(s, s->watcher).count == before,
                        "no DOWN after demonitor");
    else
        proa_test_check(s->test, notes(s, s->watcher).count == 1, "one DOWN");
}

static void demonitor__nothing_comes_after_it(void **state)
{
    (void)state;
    on_all_stages(20, taken_back);
}

/* ---- Nodes ---- */

static struct stage two_nodes(uint64_t seed, unsigned lanes)
{
    struct proa_test_config config = {
        .lanes = lanes,
        .seed = seed,
        .faults = {.loss = 20000, .duplicate = 20000, .reorder = 20000}};
    struct stage s = {
        .test = proa_test_create(&config), .far_node = 1, .far_lane = lanes - 1};

    assert_non_null(s.test);
    proa_test_check(s.test, proa_test_join(s.test), "all nodes to join");
    s.watcher = spawn(&s, 0, 0, &watcher);
    return s;
}

static void node__killed_is_lost_once_for_every_monitor(void **state)
{
    struct sim_seeds run = sim_seeds(10);

    (void)state;
    for (uint64_t seed = run.first; seed < run.first + run.count; seed++) {
        struct stage s = two_nodes(seed, 1 + seed % 2);
        struct proa_ref refs[50];

        for (int i = 0; i < 50; i++) {
            refs[i] = spawn_far(&s, &mortal);
            monitor(&s, refs[i]);
        }
        proa_test_advance(s.test, PROA_S);
        proa_ns at = proa_test_now(s.test);
        proa_test_kill(s.test, 1);
        while (notes(&s, s.watcher).count < 50 && proa_test_now(s.test) < at + 5 * PROA_S)
            proa_test_step(s.test);
        proa_test_check(s.test, proa_test_now(s.test) - at < 1300 * PROA_MS,
                        "NODE_LOST soon after the silence of a second");
        proa_test_restart(s.test, 1);
        proa_test_advance(s.test, 5 * PROA_S);
        struct watcher w = notes(&s, s.watcher);
        proa_test_check(s.test, w.count == 50, "one DOWN for each");
        for (uint32_t i = 0; i < w.count; i++)
            proa_test_check(s.test, w.notes[i].reason == PROA_REASON_NODE_LOST,
                            "NODE_LOST");
        struct proa_ref anew = spawn_far(&s, &mortal);
        monitor(&s, anew);
        proa_test_advance(s.test, PROA_S);
        die(&s, anew, HOW_FAIL);
        proa_test_advance(s.test, PROA_S);
        w = notes(&s, s.watcher);
        proa_test_check(s.test, w.count == 51 && w.notes[50].reason == PROA_REASON_FAILED,
                        "the new node to be watched like any");
        proa_test_destroy(s.test);
    }
}

static void node__cut_off_is_lost_once_and_can_be_watched_again(void **state)
{
    struct sim_seeds run = sim_seeds(10);

    (void)state;
    for (uint64_t seed = run.first; seed < run.first + run.count; seed++) {
        struct stage s = two_nodes(seed, 1 + seed % 2);
        struct proa_ref a = spawn_far(&s, &mortal);

        monitor(&s, a);
        proa_test_advance(s.test, PROA_S);
        proa_test_cut(s.test, 0, 1);
        proa_test_advance(s.test, 4 * PROA_S);
        proa_test_check(s.test, notes(&s, s.watcher).count == 1, "NODE_LOST");
        proa_test_heal(s.test, 0, 1);
        struct call again = {.ref = a, .outcome = PROA_NO_ROUTE};
        for (int i = 0; i < 20 && again.outcome == PROA_NO_ROUTE; i++) {
            proa_test_advance(s.test, PROA_S); /* trying is what finds it again */
            proa_test_call_actor(s.test, s.watcher, try_monitor, &again);
        }
        proa_test_expect_outcome(s.test, PROA_OK, again.outcome);
        proa_test_advance(s.test, 2 * PROA_S);
        die(&s, a, HOW_FAIL);
        proa_test_advance(s.test, 2 * PROA_S);
        struct watcher w = notes(&s, s.watcher);
        proa_test_check(s.test,
                        w.count == 2 && w.notes[0].reason == PROA_REASON_NODE_LOST &&
                            w.notes[1].reason == PROA_REASON_FAILED,
                        "its end, from the second monitor alone");
        proa_test_destroy(s.test);
    }
}

/* ---- Links ---- */

static void linked(struct stage *s)
{
    struct proa_ref here = spawn(s, 0, 0, &mortal), there = spawn_far(s, &mortal);
    struct proa_ref traps = spawn(s, 0, 0, &trapper);

    link(s, here, there);
    link(s, traps, there);
    monitor(s, here);
    proa_test_advance(s->test, PROA_S);
    die(s, there, HOW_FAIL);
    struct note n = only_note(s, s->watcher);
    proa_test_check(s->test, n.reason == PROA_REASON_FAILED && n.code == PROA_CODE_LINKED,
                    "a linked actor fails too");
    n = only_note(s, traps);
    proa_test_check(s->test, n.link && n.reason == PROA_REASON_FAILED && n.code == CODE,
                    "one that traps is told instead");
}

static void link__a_failure_takes_the_other_along(void **state)
{
    (void)state;
    on_all_stages(10, linked);
}

/* The same the other way round: the one that asked for the link ends. */
static void linked_back(struct stage *s)
{
    struct proa_ref here = spawn(s, 0, 0, &mortal), there = spawn_far(s, &mortal);
    struct proa_ref other = spawn_far(s, &mortal), stays = spawn_far(s, &mortal);
    struct call c = {.ref = other};

    link(s, here, there);
    link(s, here, stays);
    link(s, here, other);
    monitor(s, there);
    monitor(s, other);
    proa_test_advance(s->test, PROA_S);
    proa_test_call_actor(s->test, here, do_unlink, &c);
    proa_test_check(s->test, c.done, "a link to undo");
    proa_test_advance(s->test, PROA_S);
    die(s, here, HOW_FAIL);
    struct note n = only_note(s, s->watcher);
    proa_test_check(s->test, proa_ref_equal(n.about, there), "only the one still linked");
    proa_test_check(s->test, n.code == PROA_CODE_LINKED, "to have failed with it");
}

static void link__works_both_ways_until_undone(void **state)
{
    (void)state;
    on_all_stages(10, linked_back);
}

static void linked_normal(struct stage *s)
{
    struct proa_ref here = spawn(s, 0, 0, &mortal), there = spawn_far(s, &mortal);

    link(s, here, there);
    link(s, there, here); /* both: it is one link */
    monitor(s, here);
    proa_test_advance(s->test, PROA_S);
    die(s, there, HOW_STOP);
    proa_test_advance(s->test, 3 * PROA_S);
    proa_test_check(s->test, notes(s, s->watcher).count == 0,
                    "a NORMAL end takes nobody along");
}

static void link__a_normal_end_only_undoes_it(void **state)
{
    (void)state;
    on_all_stages(10, linked_normal);
}

static void link__ends_with_the_node_on_both_sides(void **state)
{
    struct sim_seeds run = sim_seeds(10);

    (void)state;
    for (uint64_t seed = run.first; seed < run.first + run.count; seed++) {
        struct stage s = two_nodes(seed, 1 + seed % 2);
        struct proa_ref here = spawn(&s, 0, 0, &trapper), there = spawn_far(&s, &trapper);

        link(&s, here, there);
        proa_test_advance(s.test, PROA_S);
        proa_test_cut(s.test, 0, 1);
        struct note a = only_note(&s, here), b = only_note(&s, there);
        proa_test_check(s.test,
                        a.reason == PROA_REASON_NODE_LOST &&
                            b.reason == PROA_REASON_NODE_LOST,
                        "NODE_LOST on both sides");
        proa_test_destroy(s.test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monitor__one_down_for_each_end_behind_all_it_sent),
        cmocka_unit_test(monitor__of_one_that_has_ended_says_so),
        cmocka_unit_test(demonitor__nothing_comes_after_it),
        cmocka_unit_test(node__killed_is_lost_once_for_every_monitor),
        cmocka_unit_test(node__cut_off_is_lost_once_and_can_be_watched_again),
        cmocka_unit_test(link__a_failure_takes_the_other_along),
        cmocka_unit_test(link__works_both_ways_until_undone),
        cmocka_unit_test(link__a_normal_end_only_undoes_it),
        cmocka_unit_test(link__ends_with_the_node_on_both_sides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
