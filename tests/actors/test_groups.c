/* SPDX-License-Identifier: Apache-2.0 */
/* An actor's calls: joining, leaving, finding, reading. */
#include "up_world.h"

#include "directory_group.h"

/* ---- Calls ---- */

struct call {
    const char *group;
    proa_ns deadline;
    int op; /* 0 join, 1 join without then, 2 leave, 3 find, 4 find without then */
    size_t ctx_len;
    enum proa_outcome outcome;
};

static void log_named(struct proa_actor *self, const struct proa_name_answer *answer,
                      const void *ctx)
{
    struct event *e = log_add(self, NAMED);

    e->outcome = answer->outcome;
    e->from = answer->ref;
    e->len = (uint32_t)strlen(answer->name);
    memcpy(&e->count, ctx, 4);
}

static void act_group(struct proa_actor *self, void *ctx)
{
    static const uint8_t number[2 * PROA_CONTEXT_MAX] = {12};
    struct call *c = ctx;
    size_t len = c->ctx_len != 0 ? c->ctx_len : 4;

    switch (c->op) {
    case 0:
        c->outcome = proa_join(self, c->group, log_named, number, len);
        break;
    case 1:
        c->outcome = proa_join(self, c->group, NULL, NULL, 0);
        break;
    case 2:
        c->outcome = proa_leave(self, c->group);
        break;
    default:
        c->outcome = proa_find_group(self, c->group, c->deadline,
                                     c->op == 3 ? log_named : NULL, number, len);
    }
}

static enum proa_outcome call(int op, const char *group)
{
    struct call c = {.group = group, .deadline = PROA_S, .op = op};

    in(w, a, act_group, &c);
    return c.outcome;
}

static void answer(const struct up *u, enum proa_outcome outcome)
{
    struct punt_answer answer = {.correlation = u->name.correlation,
                                 .slot = u->name.slot,
                                 .generation = u->name.generation,
                                 .outcome = outcome,
                                 .ref = a};

    sched_name_answer(w->lane[0].s, &answer, u->text, strlen(u->text));
}

static void join__goes_up_and_is_answered_once(void **state)
{
    struct up u;
    uint32_t slots;

    (void)state;
    assert_int_equal(call(0, "workers"), PROA_OK);
    u = next_up();
    assert_call(&u, PUNT_JOIN, a, "workers");
    assert_int_equal(tell(w, a, a, NOTE, 1), PROA_OK);
    assert_int_equal(atomic_load(&sched_loads(w->lane[0].s, &slots)[a.slot]), 1);
    assert_int_equal(u.name.type, sched_type_id("probe"));
    assert_int_not_equal(u.name.correlation, 0);
    answer(&u, PROA_OK);
    answer(&u, PROA_LIMIT);
    assert_int_equal(count_of(&a_log, NAMED), 1);
    assert_int_equal(nth(&a_log, NAMED, 0)->outcome, PROA_OK);
    assert_int_equal(nth(&a_log, NAMED, 0)->count, 12);
    assert_int_equal(nth(&a_log, NAMED, 0)->len, 7);
    assert_true(proa_ref_equal(nth(&a_log, NAMED, 0)->from, a));
}

static void join__without_then_waits_for_nothing(void **state)
{
    struct up u;

    (void)state;
    assert_int_equal(call(1, "w\xc3\xb6rkers"), PROA_OK);
    u = next_up();
    assert_call(&u, PUNT_JOIN, a, "w\xc3\xb6rkers");
    assert_int_equal(u.name.correlation, 0);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, asks_waiting), 0);
}

static void leave__goes_up(void **state)
{
    struct up u;

    (void)state;
    assert_int_equal(call(2, "workers"), PROA_OK);
    u = next_up();
    assert_call(&u, PUNT_LEAVE, a, "workers");
    assert_int_equal(u.name.correlation, 0);
    stop(w, a); /* it never joined: nothing to give up */
    world_settle(w);
    assert_int_equal(next_up().kind, 0);
}

static void find__asks_until_its_deadline(void **state)
{
    struct up u;

    (void)state;
    assert_int_equal(call(3, "type:worker"), PROA_OK);
    u = next_up();
    assert_call(&u, PUNT_FIND_GROUP, a, "type:worker");
    assert_int_equal(u.name.type, 0);
    assert_true(u.name.deadline == w->now + PROA_S);
    answer(&u, PROA_NOT_FOUND);
    assert_int_equal(nth(&a_log, NAMED, 0)->outcome, PROA_NOT_FOUND);
    assert_int_equal(call(3, "g"), PROA_OK); /* the control thread says nothing */
    world_advance(w, 2 * PROA_S);
    assert_int_equal(nth(&a_log, NAMED, 1)->outcome, PROA_UNKNOWN);
    next_up();
    stop(w, a);
    world_settle(w);
    assert_int_equal(next_up().kind, 0);
}

static void calls__bad_arguments_are_invalid(void **state)
{
    char text[PROA_NAME_MAX + 2];
    const char *bad[] = {"", NULL, "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf", text};
    struct call c = {.group = "g", .op = 0, .ctx_len = PROA_CONTEXT_MAX + 1};

    (void)state;
    memset(text, 'n', sizeof(text));
    text[PROA_NAME_MAX + 1] = '\0';
    for (int op = 0; op < 3; op++) {
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
            assert_int_equal(call(op, bad[i]), PROA_INVALID);
        assert_int_equal(call(op, "type:"), PROA_INVALID);
        assert_int_equal(call(op, "type:worker"), PROA_INVALID);
    }
    assert_int_equal(call(3, text), PROA_INVALID);
    assert_int_equal(call(3, ""), PROA_INVALID);
    assert_int_equal(call(4, "g"), PROA_INVALID);
    in(w, a, act_group, &c);
    assert_int_equal(c.outcome, PROA_INVALID);
    c = (struct call){.group = "g", .op = 3, .deadline = 0};
    in(w, a, act_group, &c);
    assert_int_equal(c.outcome, PROA_INVALID);
    c.deadline = PROA_DEADLINE_MAX + 1;
    in(w, a, act_group, &c);
    assert_int_equal(c.outcome, PROA_INVALID);
    assert_int_equal(next_up().kind, 0);
    text[PROA_NAME_MAX] = '\0';
    assert_int_equal(call(1, text), PROA_OK);
    assert_int_equal(next_up().name.len, PROA_NAME_MAX);
    assert_int_equal(call(1, "typ:"), PROA_OK);
}

static void calls__full_ring_is_again(void **state)
{
    (void)state;
    fill_up();
    for (int op = 0; op < 4; op++)
        assert_int_equal(call(op, "g"), PROA_AGAIN);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, asks_waiting), 0);
    empty_up();
    world_settle(w);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->signal, PROA_SIGNAL_WRITABLE);
    assert_int_equal(call(1, "g"), PROA_OK);
}

static enum proa_outcome in_stop[4];

static void stop_calls(struct proa_actor *self, enum proa_reason reason)
{
    (void)reason;
    in_stop[0] = proa_join(self, "g", NULL, NULL, 0);
    in_stop[1] = proa_find_group(self, "g", PROA_S, log_named, "xxxx", 4);
    in_stop[2] = proa_leave(self, "g");
}

static void calls__in_stop_nobody_joins(void **state)
{
    static const struct proa_behaviour late = {
        .type_name = "late", .state_size = 8, .stop = stop_calls};
    struct proa_ref ref;
    struct up u;

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, &late, NULL, 0, &ref), PROA_OK);
    stop(w, ref);
    assert_int_equal(in_stop[0], PROA_STOPPED);
    assert_int_equal(in_stop[1], PROA_STOPPED);
    assert_int_equal(in_stop[2], PROA_OK);
    u = next_up();
    assert_call(&u, PUNT_LEAVE, ref, "g");
    assert_int_equal(next_up().kind, 0);
}

static void member__end_gives_memberships_up(void **state)
{
    struct up u;

    (void)state;
    assert_int_equal(call(1, "g"), PROA_OK);
    stop(w, a);
    world_settle(w);
    u = next_up();
    assert_call(&u, PUNT_JOIN, a, "g");
    u = next_up();
    assert_int_equal(u.kind, PUNT_ACTOR_STOPPED);
    assert_int_equal(u.actor.slot, a.slot);
    assert_int_equal(u.actor.generation, a.generation);
    assert_int_equal(next_up().kind, 0);
}

/* ---- Reading ---- */

static struct directory *dir;

static void with_directory(struct sched_config *c)
{
    c->directory = dir;
}

struct read {
    const char *group;
    const struct proa_behaviour *behaviour;
    unsigned flags;
    uint32_t max;
    struct proa_ref refs[4];
    struct proa_members members;
    enum proa_policy policy;
    enum proa_outcome outcome;
};

static void act_all(struct proa_actor *self, void *ctx)
{
    struct read *r = ctx;

    r->members = (struct proa_members){9, 9};
    r->outcome = proa_lookup_all(self, r->group, r->behaviour, r->flags, r->refs, r->max,
                                 &r->members);
}

static void act_route(struct proa_actor *self, void *ctx)
{
    struct read *r = ctx;

    r->outcome = proa_route(self, r->group, r->policy, 5, &r->refs[0]);
}

static void reads(struct world *world, int reader)
{
    static const struct proa_behaviour none = {.type_name = ""};
    struct proa_ref me = spawn(world, 0, &a_log), before = proa_ref_none();
    struct read r = {.group = "g", .max = 4};

    in(world, me, act_all, &r);
    assert_int_equal(r.outcome, PROA_UNKNOWN);
    assert_int_equal(r.members.count, 0);
    in(world, me, act_route, &r);
    assert_int_equal(r.outcome, PROA_UNKNOWN);
    for (uint32_t i = 1; i <= 3; i++)
        directory_join(dir, "g", 1, (struct proa_ref){FAR_NODE, i, 1},
                       sched_type_id(i == 3 ? "worker" : "probe"));
    directory_groups_publish(dir, world->now);
    in(world, me, act_all, &r);
    assert_int_equal(r.outcome, PROA_OK);
    assert_int_equal(r.members.count, 3);
    assert_true(r.members.version > 0);
    r.behaviour = &published;
    in(world, me, act_all, &r);
    assert_int_equal(r.members.count, 1);
    assert_int_equal(r.refs[0].slot, 3);
    r.behaviour = &none;
    in(world, me, act_all, &r);
    assert_int_equal(r.outcome, PROA_INVALID);
    assert_int_equal(r.members.count, 0);
    r.behaviour = NULL;
    r.flags = 0x80;
    in(world, me, act_all, &r);
    assert_int_equal(r.outcome, PROA_INVALID);
    for (int i = 0; i < 6; i++) {
        r.policy = PROA_ROUTE_ROUND_ROBIN; /* the lane remembers whose turn it is */
        in(world, me, act_route, &r);
        assert_int_equal(r.outcome, PROA_OK);
        assert_false(proa_ref_equal(r.refs[0], before));
        before = r.refs[0];
    }
    r.policy = (enum proa_policy)(PROA_ROUTE_IDLE_FIRST + 1);
    in(world, me, act_route, &r);
    assert_int_equal(r.outcome, PROA_INVALID);
    r.group = NULL;
    in(world, me, act_route, &r);
    assert_int_equal(r.outcome, PROA_INVALID);
    directory_quiescent(dir, reader);
}

static void reads__are_the_directory_s(void **state)
{
    const uint8_t seed[32] = {7};
    struct world *world;
    int reader;

    (void)state;
    dir = directory_create(64, seed);
    directory_self(dir, WORLD_NODE);
    directory_node_add(dir, FAR_NODE, PROA_NS_NEVER);
    reader = directory_reader_add(dir);
    directory_online(dir, reader);
    world = world_make(1, with_directory);
    reads(world, reader);
    world_free(world);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
    directory_destroy(dir);
}

static void reads__without_a_directory_are_unknown(void **state)
{
    struct read r = {.group = "g", .max = 4};

    (void)state;
    in(w, a, act_all, &r);
    assert_int_equal(r.outcome, PROA_UNKNOWN);
    in(w, a, act_route, &r);
    assert_int_equal(r.outcome, PROA_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(join__goes_up_and_is_answered_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(join__without_then_waits_for_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(leave__goes_up, setup, teardown),
        cmocka_unit_test_setup_teardown(find__asks_until_its_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(calls__bad_arguments_are_invalid, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(calls__full_ring_is_again, setup, teardown),
        cmocka_unit_test_setup_teardown(calls__in_stop_nobody_joins, setup, teardown),
        cmocka_unit_test_setup_teardown(member__end_gives_memberships_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reads__are_the_directory_s, setup, teardown),
        cmocka_unit_test_setup_teardown(reads__without_a_directory_are_unknown, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
