/* SPDX-License-Identifier: Apache-2.0 */
/* Spawning for other nodes, and asking them to. */
#include "sched_world.h"

#include <proa/remote.h>

#include "spawn_request.h"

static struct world *w;
static struct log asker_log, made_log;
static struct proa_ref asker;
static int start_result;
static uint64_t started_with;
static uint32_t started_lane;

/* ---- What may be spawned ---- */

static int made_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct probe *p = proa_state(self);

    p->log = &made_log;
    started_lane = proa_ref_lane(proa_self(self));
    started_with = 0;
    assert_int_equal((uintptr_t)arg % 8, 0);
    memcpy(&started_with, arg, len < 8 ? len : 8);
    return start_result;
}

static const struct proa_behaviour made = {.type_name = "made",
                                           .state_size = sizeof(struct probe),
                                           .on = probe_on,
                                           .on_count = 7,
                                           .start = made_start,
                                           .stop = probe_stop};
static const struct proa_behaviour *const allowed[] = {&made};

static void tweak(struct sched_config *c)
{
    c->allowed = allowed;
    c->allowed_count = 1;
}

static int setup(void **state)
{
    (void)state;
    memset(&asker_log, 0, sizeof(asker_log));
    memset(&made_log, 0, sizeof(made_log));
    start_result = 0;
    w = world_make(WORLD_LANES, tweak);
    asker = spawn(w, 0, &asker_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_clean(w);
    world_free(w);
    return 0;
}

/* ---- Asking ---- */

struct wish {
    uint64_t node;
    uint32_t lane;
    const char *type;
    const void *arg;
    size_t arg_len;
    proa_ns deadline;
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

static void act_spawn_at(struct proa_actor *self, void *ctx)
{
    struct wish *wish = ctx;
    uint32_t number = 7;

    wish->outcome =
        proa_spawn_at(self, wish->node, wish->lane, wish->type, wish->arg, wish->arg_len,
                      wish->deadline, log_spawned, &number, sizeof(number));
}

static enum proa_outcome spawn_at(uint64_t node, uint32_t lane, const char *type,
                                  const void *arg, size_t arg_len)
{
    struct wish wish = {node, lane, type, arg, arg_len, PROA_S, PROA_OK};

    in(w, asker, act_spawn_at, &wish);
    return wish.outcome;
}

/* How the n-th wish ended. */
static const struct event *spawned(uint32_t n, enum proa_outcome outcome)
{
    const struct event *e = nth(&asker_log, SPAWNED, n);

    assert_non_null(e);
    assert_int_equal(e->count, 7);
    assert_string_equal(proa_outcome_name(e->outcome), proa_outcome_name(outcome));
    assert_int_equal(proa_ref_is_none(e->from), outcome != PROA_OK);
    return e;
}

static void spawn_at__own_node_any_lane_in_turn(void **state)
{
    static const uint64_t arg = 42;
    bool seen[WORLD_LANES] = {false};

    (void)state;
    for (uint32_t i = 0; i < WORLD_LANES; i++) {
        assert_int_equal(spawn_at(WORLD_NODE, PROA_LANE_ANY, "made", &arg, 8), PROA_OK);
        assert_null(nth(&asker_log, SPAWNED, i)); /* never inside the call */
        world_settle(w);
        const struct event *e = spawned(i, PROA_OK);
        assert_int_equal(started_with, 42);
        assert_int_equal(proa_ref_lane(e->from), started_lane);
        assert_int_equal(e->from.node, WORLD_NODE);
        assert_int_equal(tell(w, asker, e->from, NOTE, i), PROA_OK);
        seen[started_lane] = true;
    }
    for (uint32_t i = 0; i < WORLD_LANES; i++)
        assert_true(seen[i]);
    world_settle(w);
    assert_int_equal(count_of(&made_log, GOT), WORLD_LANES);
}

static void spawn_at__own_node_one_lane(void **state)
{
    (void)state;
    for (uint32_t lane = 0; lane < WORLD_LANES; lane++) {
        assert_int_equal(spawn_at(WORLD_NODE, lane, "made", NULL, 0), PROA_OK);
        world_settle(w);
        assert_int_equal(proa_ref_lane(spawned(lane, PROA_OK)->from), lane);
    }
    assert_int_equal(spawn_at(WORLD_NODE, WORLD_LANES, "made", NULL, 0), PROA_OK);
    world_settle(w);
    spawned(WORLD_LANES, PROA_INVALID);
}

static void spawn_at__largest_argument_to_another_lane(void **state)
{
    uint8_t arg[PROA_SPAWN_ARG_MAX + 1];

    (void)state;
    memset(arg, 0x11, sizeof(arg));
    assert_int_equal(spawn_at(WORLD_NODE, 2, "made", arg, PROA_SPAWN_ARG_MAX), PROA_OK);
    world_settle(w);
    spawned(0, PROA_OK);
    assert_int_equal(started_with, 0x1111111111111111);
    assert_int_equal(spawn_at(WORLD_NODE, 2, "made", arg, sizeof(arg)), PROA_INVALID);
}

static void spawn_at__refusals_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(spawn_at(WORLD_NODE, 1, "probe", NULL, 0), PROA_OK);
    world_settle(w);
    spawned(0, PROA_REFUSED_NOT_ALLOWED);
    assert_int_equal(STAT(w, 1, refused[PROA_REFUSED_NOT_ALLOWED]), 1);
    start_result = 3;
    assert_int_equal(spawn_at(WORLD_NODE, 1, "made", NULL, 0), PROA_OK);
    world_settle(w);
    spawned(1, PROA_STOPPED);
    sched_drain(w->lane[1].s);
    assert_int_equal(spawn_at(WORLD_NODE, 1, "made", NULL, 0), PROA_OK);
    world_settle(w);
    spawned(2, PROA_STOPPED);
}

static void spawn_at__bad_arguments(void **state)
{
    char name[PROA_TYPE_MAX + 2];
    struct wish wish = {FAR_NODE, 0, "made", NULL, 0, 0, PROA_OK};

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(spawn_at(0, 0, "made", NULL, 0), PROA_INVALID);
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANES_MAX, "made", NULL, 0), PROA_INVALID);
    assert_int_equal(spawn_at(FAR_NODE, 0, name, NULL, 0), PROA_INVALID);
    assert_int_equal(spawn_at(FAR_NODE, 0, "", NULL, 0), PROA_INVALID);
    assert_int_equal(spawn_at(FAR_NODE, 0, NULL, NULL, 0), PROA_INVALID);
    assert_int_equal(spawn_at(FAR_NODE, 0, "made", NULL, 4), PROA_INVALID);
    in(w, asker, act_spawn_at, &wish);
    assert_int_equal(wish.outcome, PROA_INVALID);
    assert_int_equal(w->sent_count, 0);
}

/* ---- Another node ---- */

/* The asker's question, as it went to another node. */
static const struct sent *asked(void)
{
    assert_int_equal(w->sent_count, 1);
    assert_int_equal(w->sent[0].msg.to.node, FAR_NODE);
    assert_int_equal(w->sent[0].msg.to.slot, 0xff000001);
    assert_int_equal(w->sent[0].msg.to.generation, 0);
    assert_int_equal(w->sent[0].msg.flags, PROA_MSG_ASK);
    assert_true(w->sent[0].msg.len + 40u <= 1192); /* one packet of the smallest MTU */
    return &w->sent[0];
}

static void answer(const struct spawn_answer *a, size_t len)
{
    alignas(8) uint8_t body[SPAWN_RESULT_LEN];
    struct proa_msg reply = {.data = body,
                             .len = (uint32_t)len,
                             .type = SERVICE_SPAWN,
                             .from = {FAR_NODE, SERVICE_SPAWN, 0},
                             .to = asker,
                             .correlation = asked()->msg.correlation,
                             .flags = PROA_MSG_REPLY};

    spawn_answer_put(body, a);
    sched_deliver(w->lane[0].s, &reply, true);
    world_settle(w);
}

static void spawn_at__far_answer_brings_the_reference(void **state)
{
    static uint8_t arg[PROA_SPAWN_ARG_MAX];
    struct spawn_request got;

    (void)state;
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANE_ANY, "made", arg, sizeof(arg)),
                     PROA_OK);
    assert_true(spawn_request_get(asked()->data, asked()->msg.len, &got));
    assert_string_equal(got.type_name, "made");
    answer(&(struct spawn_answer){SPAWN_MADE, 5, 77}, SPAWN_RESULT_LEN);
    assert_true(
        proa_ref_equal(spawned(0, PROA_OK)->from, (struct proa_ref){FAR_NODE, 5, 77}));
    answer(&(struct spawn_answer){SPAWN_MADE, 5, 77}, SPAWN_RESULT_LEN); /* late */
    assert_int_equal(count_of(&asker_log, SPAWNED), 1);
}

static void spawn_at__far_answer_that_is_none(void **state)
{
    (void)state;
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANE_ANY, "made", NULL, 0), PROA_OK);
    answer(&(struct spawn_answer){SPAWN_MADE, 5, 77}, 12);
    spawned(0, PROA_MAYBE_EXECUTED);
    assert_int_equal(STAT(w, 0, malformed), 1);
}

static void spawn_at__deadline_dead_link_and_refusal(void **state)
{
    struct refusal r = {.slot = asker.slot,
                        .generation = asker.generation,
                        .count = 1,
                        .reason = PROA_NOT_SENT};

    (void)state;
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANE_ANY, "made", NULL, 0), PROA_OK);
    world_advance(w, 2 * PROA_S);
    spawned(0, PROA_MAYBE_EXECUTED);
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANE_ANY, "made", NULL, 0), PROA_OK);
    sched_link_dead(w->lane[0].s, FAR_NODE);
    world_settle(w);
    spawned(1, PROA_MAYBE_EXECUTED);
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANE_ANY, "made", NULL, 0), PROA_OK);
    r.correlation = w->sent[w->sent_count - 1].msg.correlation;
    sched_refused(w->lane[0].s, &r);
    world_settle(w);
    spawned(2, PROA_NOT_SENT);
    w->send_outcome = PROA_NO_ROUTE;
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANE_ANY, "made", NULL, 0), PROA_NO_ROUTE);
    world_settle(w);
    assert_int_equal(count_of(&asker_log, SPAWNED), 3);
}

static void spawn_at__asker_that_stops_hears_nothing(void **state)
{
    (void)state;
    assert_int_equal(spawn_at(FAR_NODE, PROA_LANE_ANY, "made", NULL, 0), PROA_OK);
    stop(w, asker);
    answer(&(struct spawn_answer){SPAWN_MADE, 5, 77}, SPAWN_RESULT_LEN);
    assert_int_equal(count_of(&asker_log, SPAWNED), 0);
}

/* ---- For another node ---- */

static struct proa_msg far_ask(const void *data, size_t len, uint32_t lane)
{
    return (struct proa_msg){.data = data,
                             .len = (uint32_t)len,
                             .type = SERVICE_SPAWN,
                             .from = {FAR_NODE, 5, 77},
                             .to = {WORLD_NODE, lane << 24 | SERVICE_SPAWN, 0},
                             .deadline = w->now + PROA_S,
                             .correlation = 4711,
                             .flags = PROA_MSG_ASK};
}

static void deliver(const struct proa_msg *msg)
{
    sched_deliver(w->lane[0].s, msg, true);
    world_settle(w);
}

static struct spawn_answer sent_answer(uint32_t n)
{
    struct spawn_answer a;

    assert_true(n < w->sent_count);
    assert_int_equal(w->sent[n].msg.flags, PROA_MSG_REPLY);
    assert_int_equal(w->sent[n].msg.correlation, 4711);
    assert_true(proa_ref_equal(w->sent[n].msg.to, (struct proa_ref){FAR_NODE, 5, 77}));
    assert_true(spawn_answer_get(w->sent[n].data, w->sent[n].msg.len, &a));
    return a;
}

static void service__makes_and_answers_from_any_lane(void **state)
{
    alignas(8) uint8_t body[SPAWN_REQUEST_MAX];
    static const uint64_t arg = 9;
    struct spawn_request r = {"made", &arg, 8};
    size_t len = spawn_request_put(body, &r);
    uint32_t lanes = 0;

    (void)state;
    for (uint32_t i = 0; i < WORLD_LANES; i++) {
        struct proa_msg msg = far_ask(body, len, SERVICE_LANE_ANY);

        deliver(&msg);
        assert_int_equal(sent_answer(i).result, SPAWN_MADE);
        assert_int_equal(sent_answer(i).slot >> 24, started_lane);
        lanes |= 1u << started_lane;
        assert_int_equal(started_with, 9);
    }
    assert_int_equal(lanes, (1u << WORLD_LANES) - 1);
    struct proa_msg msg = far_ask(body, len, WORLD_LANES);
    deliver(&msg);
    assert_int_equal(sent_answer(WORLD_LANES).result, SPAWN_NO_LANE);
}

static void service__nonsense_is_counted_and_dropped(void **state)
{
    alignas(8) uint8_t body[SPAWN_REQUEST_MAX] = {0};
    struct proa_msg msg = far_ask(body, 0, 0);

    (void)state;
    deliver(&msg);
    msg = far_ask(body, sizeof(body), 0);
    deliver(&msg);
    body[0] = 0xff;
    deliver(&msg);
    msg = far_ask(body, sizeof(body), 1); /* seen by another lane */
    deliver(&msg);
    assert_int_equal(STAT(w, 0, malformed), 3);
    assert_int_equal(STAT(w, 1, malformed), 1);
    assert_int_equal(w->sent_count, 0);
    assert_int_equal(w->refused_count, 0);
}

static void service__other_services_tells_and_replies(void **state)
{
    alignas(8) uint8_t body[SPAWN_REQUEST_MAX];
    struct spawn_request r = {"made", NULL, 0};
    size_t len = spawn_request_put(body, &r);
    struct proa_msg msg = far_ask(body, len, 0);

    (void)state;
    msg.to.slot++; /* no such service */
    deliver(&msg);
    assert_int_equal(w->refused[0].refusal.reason, PROA_REFUSED_NO_ACTOR);
    msg = far_ask(body, len, 0);
    msg.type = 2;
    deliver(&msg);
    assert_int_equal(w->refused[1].refusal.reason, PROA_REFUSED_NO_ACTOR);
    msg = far_ask(body, len, 0);
    msg.flags = 0;
    deliver(&msg);
    assert_int_equal(w->refused[2].refusal.correlation, 0);
    msg.flags = PROA_MSG_REPLY;
    deliver(&msg);
    assert_int_equal(STAT(w, 0, late_replies), 1);
    msg = far_ask(body, len, 1);
    msg.deadline = w->now;
    deliver(&msg);
    assert_int_equal(w->refused_count, 4);
    assert_int_equal(w->refused[3].refusal.reason, PROA_REFUSED_EXPIRED);
    assert_int_equal(w->sent_count, 0);
}

static void service__nothing_is_allowed_by_default(void **state)
{
    alignas(8) uint8_t body[SPAWN_REQUEST_MAX];
    struct spawn_request r = {"made", NULL, 0};
    size_t len = spawn_request_put(body, &r);

    (void)state;
    world_free(w);
    w = world_make(1, NULL);
    asker = spawn(w, 0, &asker_log);
    struct proa_msg msg = far_ask(body, len, 0);
    deliver(&msg);
    assert_int_equal(sent_answer(0).result, SPAWN_NOT_ALLOWED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(spawn_at__own_node_any_lane_in_turn),
        T(spawn_at__own_node_one_lane),
        T(spawn_at__largest_argument_to_another_lane),
        T(spawn_at__refusals_are_told_apart),
        T(spawn_at__bad_arguments),
        T(spawn_at__far_answer_brings_the_reference),
        T(spawn_at__far_answer_that_is_none),
        T(spawn_at__deadline_dead_link_and_refusal),
        T(spawn_at__asker_that_stops_hears_nothing),
        T(service__makes_and_answers_from_any_lane),
        T(service__nonsense_is_counted_and_dropped),
        T(service__other_services_tells_and_replies),
        T(service__nothing_is_allowed_by_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
