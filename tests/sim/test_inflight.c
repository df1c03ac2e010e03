/* SPDX-License-Identifier: Apache-2.0 */
/* Asks in flight when their actor dies: queued, running or held, from its own lane, another lane
   or another node, each has its outcome a loop later, or a round trip and a loop.  And whoever
   listens to a node's events hears of it.  In virtual time, so the bounds are exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <proa/life.h>
#include <string.h>

#include "sim.h"

#define ASKS 48u /* each third of them held, running or queued when the actor dies */
#define LOOP PROA_US
#define DELAY_US 100u

enum { HOLD = 1, DIE = 2, LATE = 3 };

static struct proa_test *test;
static proa_ns died; /* when the last actor of mortal ended */

/* ---- Who dies ---- */

static void on_hold(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_token token;

    assert_int_equal(proa_reply_later(self, msg, &token), PROA_OK);
}

/* An ask: it is running when its actor fails. */
static void on_die(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_fail(self, 3);
}

static void on_late(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, NULL, 0);
}

static void mortal_stop(struct proa_actor *self, enum proa_reason reason)
{
    assert_int_equal(reason, PROA_REASON_FAILED);
    died = proa_now(self);
}

static const struct proa_on mortal_on[] = {
    {HOLD, 0, on_hold}, {DIE, 0, on_die}, {LATE, 0, on_late}};
static const struct proa_behaviour mortal = {
    .type_name = "mortal", .on = mortal_on, .on_count = 3, .stop = mortal_stop};

/* ---- Who asks ---- */

struct asker {
    struct proa_ref to;
    unsigned held, dying, late; /* outcomes of each kind */
    proa_ns last;
};

static struct asker asker;

static void on_outcome(struct proa_actor *self, const struct proa_answer *answer,
                       const void *ctx)
{
    uint32_t type;

    memcpy(&type, ctx, sizeof(type));
    asker.last = proa_now(self);
    if (type == LATE) {
        /* Those that came when it was gone altogether say that. */
        assert_true(answer->outcome == PROA_REFUSED_STOPPED ||
                    answer->outcome == PROA_REFUSED_NO_ACTOR);
        asker.late++;
    } else {
        assert_int_equal(answer->outcome, PROA_MAYBE_EXECUTED);
        *(type == HOLD ? &asker.held : &asker.dying) += 1;
    }
}

static void do_ask(struct proa_actor *self, void *ctx)
{
    uint32_t type;

    (void)ctx;
    for (unsigned i = 0; i < ASKS; i++) {
        type = i < ASKS / 2 ? HOLD : i == ASKS / 2 ? DIE : LATE;
        assert_int_equal(proa_ask(self, asker.to, type, NULL, 0, PROA_S, on_outcome,
                                  &type, sizeof(type)),
                         PROA_OK);
    }
}

static const struct proa_behaviour asking = {.type_name = "asking"};

static bool all_told(void *ctx)
{
    (void)ctx;
    return asker.held + asker.dying + asker.late == ASKS;
}

/* Returns the time from the actor's end to the last outcome. */
static proa_ns die_between(unsigned from_node, unsigned from_lane)
{
    struct proa_ref from;

    asker = (struct asker){.last = 0};
    died = 0;
    assert_int_equal(proa_test_spawn(test, 0, 0, &mortal, NULL, 0, &asker.to), PROA_OK);
    assert_int_equal(proa_test_spawn(test, from_node, from_lane, &asking, NULL, 0, &from),
                     PROA_OK);
    proa_test_call_actor(test, from, do_ask, NULL);
    assert_true(proa_test_until(test, all_told, NULL, PROA_S / 2));
    assert_int_equal(asker.held, ASKS / 2);
    assert_int_equal(asker.dying, 1);
    assert_int_equal(asker.late, ASKS / 2 - 1);
    assert_true(died != 0 && asker.last >= died);
    return asker.last - died;
}

static void asks__of_its_lane_are_told_a_loop_later(void **state)
{
    (void)state;
    assert_in_range(die_between(0, 0), 0, LOOP);
}

/* One loop in which it is sent, one in which it arrives. */
static void asks__of_another_lane_are_told_a_loop_later(void **state)
{
    (void)state;
    assert_in_range(die_between(0, 1), 0, 2 * LOOP);
}

static void asks__of_another_node_are_told_a_round_trip_later(void **state)
{
    (void)state;
    die_between(1, 0); /* opens the link */
    assert_in_range(die_between(1, 0), DELAY_US * PROA_US,
                    2 * DELAY_US * PROA_US + 2 * LOOP);
    assert_in_range(die_between(1, 1), DELAY_US * PROA_US,
                    2 * DELAY_US * PROA_US + 4 * LOOP);
}

/* ---- Events ---- */

struct heard {
    unsigned failed, limit;
    struct proa_event last_failed, last_limit;
    char failed_type[PROA_TYPE_MAX + 1], limit_type[PROA_TYPE_MAX + 1];
};

static void on_event(void *ctx, const struct proa_event *event)
{
    struct heard *h = ctx;

    if (event->kind == PROA_EVENT_ACTOR_FAILED) {
        h->failed++;
        h->last_failed = *event;
        snprintf(h->failed_type, sizeof(h->failed_type), "%.*s", PROA_TYPE_MAX,
                 event->text);
    } else if (event->kind == PROA_EVENT_RESTART_LIMIT) {
        h->limit++;
        h->last_limit = *event;
        snprintf(h->limit_type, sizeof(h->limit_type), "%.*s", PROA_TYPE_MAX,
                 event->text);
    }
}

static int boss_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct proa_ref *child = proa_state(self);

    (void)arg;
    (void)len;
    return proa_spawn_child(self, &mortal, NULL, 0, PROA_RESTART_PERMANENT, child) !=
           PROA_OK;
}

static const struct proa_supervision twice = {
    .strategy = PROA_ONE_FOR_ONE, .intensity = 2, .window = PROA_S};
static const struct proa_behaviour boss = {.type_name = "boss",
                                           .state_size = sizeof(struct proa_ref),
                                           .start = boss_start,
                                           .supervision = &twice};

static void child_of(struct proa_actor *self, void *ctx)
{
    memcpy(ctx, proa_state(self), sizeof(struct proa_ref));
}

static void events__tell_failures_and_the_limit(void **state)
{
    struct heard heard = {.failed = 0};
    struct proa_ref ref, child;

    (void)state;
    proa_test_on_event(test, 0, on_event, &heard);
    assert_int_equal(proa_test_spawn(test, 0, 0, &mortal, NULL, 0, &ref), PROA_OK);
    assert_int_equal(proa_test_tell(test, 0, ref, DIE, NULL, 0), PROA_OK);
    proa_test_advance(test, 10 * PROA_MS);
    assert_int_equal(heard.failed, 1);
    assert_true(proa_ref_equal(heard.last_failed.actor, ref));
    assert_int_equal(heard.last_failed.code, 3);
    assert_string_equal(heard.failed_type, "mortal");
    /* Three lives of a child, then its supervisor gives up, and fails itself. */
    assert_int_equal(proa_test_spawn(test, 0, 0, &boss, NULL, 0, &ref), PROA_OK);
    proa_test_call_actor(test, ref, child_of, &child);
    for (unsigned life = 0; life < 3; life++, child.generation++) {
        assert_int_equal(heard.limit, 0);
        assert_int_equal(proa_test_tell(test, 0, child, DIE, NULL, 0), PROA_OK);
        proa_test_advance(test, 10 * PROA_MS);
    }
    assert_int_equal(heard.limit, 1);
    assert_true(proa_ref_equal(heard.last_limit.actor, ref));
    assert_int_equal(heard.last_limit.code, PROA_CODE_LIMIT);
    assert_string_equal(heard.limit_type, "boss");
    assert_int_equal(heard.failed, 1 + 3); /* the supervisor has an event of its own */
}

/* ---- The stage ---- */

static int set_up(void **state)
{
    struct proa_test_config config = {.nodes = 2, .lanes = 2};

    (void)state;
    test = proa_test_create(&config);
    if (test == NULL || !proa_test_join(test))
        return -1;
    proa_test_faults(test, &(struct proa_faults){.delay_us = DELAY_US});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    proa_test_destroy(test);
    return 0;
}

#define on_stage(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_stage(asks__of_its_lane_are_told_a_loop_later),
        on_stage(asks__of_another_lane_are_told_a_loop_later),
        on_stage(asks__of_another_node_are_told_a_round_trip_later),
        on_stage(events__tell_failures_and_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
