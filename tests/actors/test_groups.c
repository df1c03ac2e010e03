/* SPDX-License-Identifier: Apache-2.0 */
/* Joining and leaving: what goes up to the control thread, by call and by published behaviours. */
#include "sched_world.h"

#include <proa/group.h>
#include <proa/life.h>

static struct world *w;
static struct log a_log, pub_log;
static struct proa_ref a;

static const struct proa_behaviour published = {.type_name = "worker",
                                                .state_size = sizeof(struct probe),
                                                .on = probe_on,
                                                .on_count = 7,
                                                .start = probe_start,
                                                .stop = probe_stop,
                                                .published = true};

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&pub_log, 0, sizeof(pub_log));
    w = world_make(1, NULL);
    a = spawn(w, 0, &a_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_clean(w);
    world_free(w);
    return 0;
}

/* ---- What went up ---- */

struct up {
    uint16_t kind; /* 0: nothing */
    struct punt_name name;
    char text[PROA_NAME_MAX + 1];
    struct punt_actor actor;
    struct punt_restart restart;
};

static struct up next_up(void)
{
    const struct byte_record *r = byte_ring_peek(w->lane[0].up);
    struct up u = {0};

    if (r == NULL)
        return u;
    u.kind = r->kind;
    if (r->kind == PUNT_NAME) {
        memcpy(&u.name, r->body, sizeof(u.name));
        assert_int_equal(r->len, sizeof(u.name) + u.name.len);
        memcpy(u.text, r->body + sizeof(u.name), u.name.len);
    } else if (r->kind == PUNT_ACTOR_STOPPED) {
        memcpy(&u.actor, r->body, sizeof(u.actor));
    } else if (r->kind == PUNT_ACTOR_RESTARTED) {
        memcpy(&u.restart, r->body, sizeof(u.restart));
    }
    byte_ring_pop(w->lane[0].up);
    return u;
}

static void fill_up(void)
{
    while (byte_ring_push(w->lane[0].up, PUNT_DATAGRAM, NULL, 0, "xxxxxxxxxxxxxxxx", 16))
        ;
}

/* Takes the filling out again, up to the first record of another kind. */
static void empty_up(void)
{
    const struct byte_record *r;

    while ((r = byte_ring_peek(w->lane[0].up)) != NULL && r->kind == PUNT_DATAGRAM)
        byte_ring_pop(w->lane[0].up);
}

/* The full ring is looked at again after a while. */
static void retry(void)
{
    world_advance(w, PROA_MS);
}

static void assert_call(const struct up *u, enum punt_name_op op, struct proa_ref who,
                        const char *group)
{
    assert_int_equal(u->kind, PUNT_NAME);
    assert_int_equal(u->name.op, op);
    assert_int_equal(u->name.slot, who.slot);
    assert_int_equal(u->name.generation, who.generation);
    assert_string_equal(u->text, group);
}

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

    (void)state;
    assert_int_equal(call(0, "workers"), PROA_OK);
    u = next_up();
    assert_call(&u, PUNT_JOIN, a, "workers");
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

/* ---- Published behaviours ---- */

static void published__joins_once_start_has_returned(void **state)
{
    struct proa_ref ref;
    struct up u;

    (void)state;
    ref = spawn_kind(w, 0, &pub_log, &published);
    u = next_up();
    assert_call(&u, PUNT_JOIN, ref, "type:worker");
    assert_int_equal(u.name.type, sched_type_id("worker"));
    assert_int_equal(u.name.correlation, 0);
    stop(w, ref);
    world_settle(w);
    assert_int_equal(next_up().kind, PUNT_ACTOR_STOPPED);
    assert_int_equal(next_up().kind, 0);
    spawn(w, 0, &a_log); /* not published */
    assert_int_equal(next_up().kind, 0);
}

static int stopping_start(struct proa_actor *self, const void *arg, size_t len)
{
    (void)arg;
    (void)len;
    proa_stop(self);
    return 0;
}

static void published__who_does_not_live_does_not_join(void **state)
{
    static const struct proa_behaviour brief = {
        .type_name = "brief", .start = stopping_start, .published = true};
    struct log *log = &pub_log;

    (void)state;
    pub_log.start_result = 5;
    assert_int_equal(sched_spawn(w->lane[0].s, &published, &log, sizeof(log), NULL),
                     PROA_STOPPED);
    assert_int_equal(sched_spawn(w->lane[0].s, &brief, NULL, 0, NULL), PROA_OK);
    world_settle(w);
    assert_int_equal(next_up().kind, 0);
}

static void published__type_must_be_utf8(void **state)
{
    static const struct proa_behaviour odd = {.type_name = "\xff\xfe", .published = true};
    static const struct proa_behaviour quiet = {.type_name = "\xff\xfe"};

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, &odd, NULL, 0, NULL), PROA_INVALID);
    assert_int_equal(sched_spawn(w->lane[0].s, &quiet, NULL, 0, NULL), PROA_OK);
}

static void published__full_ring_delays_joins_and_keeps_their_order(void **state)
{
    struct proa_ref refs[10];
    struct up u;

    (void)state;
    fill_up();
    for (int i = 0; i < 10; i++)
        refs[i] = spawn_kind(w, 0, &pub_log, &published);
    stop(w, refs[3]); /* nobody has heard of it */
    stop(w, refs[9]);
    retry();
    assert_true(STAT(w, 0, up_full) > 0);
    assert_true(sched_deadline(w->lane[0].s) <= w->now + PROA_MS);
    empty_up();
    retry();
    stop(w, refs[5]); /* this one joined */
    world_settle(w);
    for (int i = 0; i < 9; i++) {
        if (i == 3)
            continue;
        u = next_up();
        assert_call(&u, PUNT_JOIN, refs[i], "type:worker");
    }
    u = next_up();
    assert_int_equal(u.kind, PUNT_ACTOR_STOPPED);
    assert_int_equal(u.actor.slot, refs[5].slot);
    assert_int_equal(next_up().kind, 0);
}

/* ---- Restarts ---- */

static const struct proa_supervision rule = {.intensity = 100};
static const struct proa_behaviour boss = {.type_name = "boss", .supervision = &rule};
static struct proa_ref child;

static void act_child(struct proa_actor *self, void *ctx)
{
    struct log *log = &pub_log;

    (void)ctx;
    assert_int_equal(proa_spawn_child(self, &published, &log, sizeof(log),
                                      PROA_RESTART_PERMANENT, &child),
                     PROA_OK);
}

static void act_fail(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_fail(self, 9);
}

static struct proa_ref supervise(void)
{
    struct proa_ref ref;

    assert_int_equal(sched_spawn(w->lane[0].s, &boss, NULL, 0, &ref), PROA_OK);
    in(w, ref, act_child, NULL);
    return ref;
}

static void restart__moves_the_membership_without_another_join(void **state)
{
    struct up u;

    (void)state;
    supervise();
    u = next_up();
    assert_call(&u, PUNT_JOIN, child, "type:worker");
    in(w, child, act_fail, NULL);
    world_settle(w);
    u = next_up();
    assert_int_equal(u.kind, PUNT_ACTOR_RESTARTED);
    assert_int_equal(u.restart.slot, child.slot);
    assert_int_equal(u.restart.generation, child.generation);
    assert_int_equal(u.restart.now, child.generation + 1);
    assert_int_equal(next_up().kind, 0);
}

static void restart__before_the_join_was_told_joins_as_the_new_life(void **state)
{
    struct proa_ref parent;
    struct up u;

    (void)state;
    fill_up();
    parent = supervise();
    for (int i = 0; i < 3; i++) {
        in(w, child, act_fail, NULL);
        retry();
        child.generation++;
    }
    empty_up();
    retry();
    u = next_up();
    assert_call(&u, PUNT_JOIN, child, "type:worker");
    assert_int_equal(next_up().kind, 0);
    stop(w, parent);
    world_settle(w);
    u = next_up();
    assert_int_equal(u.kind, PUNT_ACTOR_STOPPED);
    assert_int_equal(u.actor.generation, child.generation);
    assert_int_equal(next_up().kind, 0);
}

/* Whatever the ring's room, whoever lives has joined in the end, once, and who has joined and
   ended is told of. */
static void published__random_lives_and_a_ring_that_is_often_full(void **state)
{
    static uint8_t member[1024]; /* by slot index */
    static uint32_t generation[1024];
    struct proa_ref live[64];
    uint32_t count = 0;
    unsigned seed = 20260101;
    struct up u;

    (void)state;
    memset(member, 0, sizeof(member));
    print_message("seed %u\n", seed);
    srand(seed);
    for (int step = 0; step < 4000; step++) {
        int what = rand() % 8;

        pub_log.count = 0;
        if (what < 3 && count < 64) {
            live[count++] = spawn_kind(w, 0, &pub_log, &published);
        } else if (what < 5 && count > 0) {
            uint32_t i = (uint32_t)rand() % count;

            stop(w, live[i]);
            live[i] = live[--count];
        } else if (what == 5) {
            fill_up();
        } else if (what == 6) {
            for (int n = rand() % 40; n > 0 && (u = next_up()).kind != 0; n--) {
                uint32_t slot = u.kind == PUNT_NAME ? u.name.slot : u.actor.slot;

                if (u.kind == PUNT_NAME) {
                    assert_int_equal(member[slot], 0);
                    member[slot] = 1;
                    generation[slot] = u.name.generation;
                } else if (u.kind == PUNT_ACTOR_STOPPED) {
                    assert_int_equal(member[slot], 1);
                    assert_int_equal(generation[slot], u.actor.generation);
                    member[slot] = 0;
                }
            }
        } else {
            w->now += PROA_MS;
        }
        lane_loop(w, 0);
    }
    for (int i = 0; i < 50; i++) {
        w->now += PROA_MS;
        lane_loop(w, 0);
        while ((u = next_up()).kind != 0) {
            if (u.kind == PUNT_NAME) {
                member[u.name.slot]++;
                generation[u.name.slot] = u.name.generation;
            } else if (u.kind == PUNT_ACTOR_STOPPED) {
                member[u.actor.slot]--;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(member[live[i].slot], 1);
        assert_int_equal(generation[live[i].slot], live[i].generation);
        member[live[i].slot] = 0;
    }
    for (uint32_t i = 0; i < 1024; i++)
        assert_int_equal(member[i], 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(join__goes_up_and_is_answered_once),
        test(join__without_then_waits_for_nothing),
        test(leave__goes_up),
        test(find__asks_until_its_deadline),
        test(calls__bad_arguments_are_invalid),
        test(calls__full_ring_is_again),
        test(calls__in_stop_nobody_joins),
        test(member__end_gives_memberships_up),
        test(published__joins_once_start_has_returned),
        test(published__who_does_not_live_does_not_join),
        test(published__type_must_be_utf8),
        test(published__full_ring_delays_joins_and_keeps_their_order),
        test(restart__moves_the_membership_without_another_join),
        test(restart__before_the_join_was_told_joins_as_the_new_life),
        test(published__random_lives_and_a_ring_that_is_often_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
