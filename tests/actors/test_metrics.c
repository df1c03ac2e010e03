/* SPDX-License-Identifier: Apache-2.0 */
/* What a behaviour's actors did, and what a lane runs just now. */
#include "sched_world.h"

#include <proa/event.h>

#include "metrics.h"

static struct world *w;
static struct log a_log, b_log;
static struct proa_ref a, b;

static proa_ns fake_now; /* of the clock; handlers move it */

static proa_ns fake_clock(void)
{
    return fake_now;
}

static void tweak(struct sched_config *c)
{
    c->clock = fake_clock;
}

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    fake_now = 5000 * PROA_S;
    w = world_make(1, tweak);
    a = spawn(w, 0, &a_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_settle(w);
    assert_clean(w);
    world_free(w);
    return 0;
}

struct found {
    const char *name;
    const struct metrics *metrics;
    unsigned count;
};

static void find(void *ctx, const char *type_name, const struct metrics *m)
{
    struct found *f = ctx;

    f->count++;
    if (strcmp(type_name, f->name) == 0)
        f->metrics = m;
}

static const struct metrics *metrics_of(const char *name)
{
    struct found f = {.name = name};

    sched_metrics(w->lane[0].s, find, &f);
    assert_non_null(f.metrics);
    return f.metrics;
}

/* ---- An actor whose handlers take time ---- */

#define HANDLER_NS 700

static void on_slow(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)self;
    (void)msg;
    fake_now += HANDLER_NS;
}

static const struct proa_on slow_on[] = {{NOTE, 0, on_slow}, {SIZED, 16, on_slow}};
static const struct proa_behaviour slow = {
    .type_name = "slow", .on = slow_on, .on_count = 2, .mailbox = 4000};

static struct proa_ref spawn_slow(void)
{
    struct proa_ref ref;

    assert_int_equal(sched_spawn(w->lane[0].s, &slow, NULL, 0, &ref), PROA_OK);
    return ref;
}

static void tell_many(struct proa_ref to, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(tell(w, a, to, NOTE, i), PROA_OK);
}

/* ---- Counters ---- */

static void messages__are_counted_by_behaviour(void **state)
{
    struct proa_ref s = spawn_slow();
    struct found all = {.name = ""};

    (void)state;
    tell_many(s, 300);
    world_settle(w);
    assert_int_equal(metrics_of("slow")->messages, 300);
    assert_int_equal(metrics_of("probe")->messages, 0);
    sched_metrics(w->lane[0].s, find, &all);
    assert_int_equal(all.count, 2);
}

static void messages__in_place_count_too(void **state)
{
    const uint64_t value = 1;
    struct proa_msg msg = from_far(spawn_slow(), NOTE, &value);

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        sched_begin(w->lane[0].s, w->now);
        sched_deliver(w->lane[0].s, &msg, true);
    }
    assert_int_equal(metrics_of("slow")->messages, 10);
    sched_flush(w->lane[0].s);
    assert_int_equal(STAT(w, 0, in_place), 10);
}

static void refused__whatever_the_reason(void **state)
{
    struct proa_ref s = spawn_slow();
    const struct metrics *m = metrics_of("slow");

    (void)state;
    assert_int_equal(tell(w, a, s, 999, 0), PROA_OK);   /* unknown type */
    assert_int_equal(tell(w, a, s, SIZED, 0), PROA_OK); /* too short */
    world_settle(w);
    assert_int_equal(m->refused, 2);
    assert_int_equal(m->messages, 0);
}

static void refused__full_mailbox_counts_once_and_is_its_depth(void **state)
{
    const uint64_t value = 1;
    struct proa_msg msg;

    (void)state;
    b = spawn(w, 0, &b_log); /* 8 messages */
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(tell(w, a, b, NOTE, i), PROA_OK);
    assert_int_equal(tell(w, a, b, NOTE, 9), PROA_FULL);
    assert_int_equal(metrics_of("probe")->refused, 1);
    msg = from_far(b, NOTE, &value);
    sched_deliver(w->lane[0].s, &msg, true);
    assert_int_equal(metrics_of("probe")->refused, 2);
    assert_int_equal(metrics_of("probe")->depth_max, 8);
}

static void refused__what_ran_without_an_answer_is_not(void **state)
{
    (void)state;
    b = spawn(w, 0, &b_log);
    assert_int_equal(ask(w, a, b, SILENT, 0, 1), PROA_OK);
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_NO_REPLY);
    assert_int_equal(metrics_of("probe")->refused, 0);
}

static void depth__is_the_deepest_mailbox(void **state)
{
    struct proa_ref s = spawn_slow(), t = spawn_slow();

    (void)state;
    tell_many(s, 30);
    tell_many(t, 20);
    world_settle(w);
    assert_int_equal(metrics_of("slow")->depth_max, 30);
    tell_many(t, 500); /* more than one turn takes */
    world_settle(w);
    assert_in_range(metrics_of("slow")->depth_max, 500 - SCHED_TURN_MAX, 500);
}

/* ---- Samples ---- */

static void samples__one_in_a_thousand_and_its_times(void **state)
{
    struct proa_ref s = spawn_slow();
    const struct metrics *m = metrics_of("slow");

    (void)state;
    for (uint32_t round = 0; round < 400; round++) {
        tell_many(s, 32);
        fake_now += 10000; /* each waits for this at least */
        world_settle(w);
    }
    assert_int_equal(m->messages, 400 * 32);
    assert_in_range(m->waited, 400 * 32 / METRICS_EVERY - 1,
                    400 * 32 / METRICS_EVERY + 2);
    assert_int_equal(m->ran, m->waited);
    assert_int_equal(m->run_ns, m->ran * HANDLER_NS);
    assert_int_equal(m->run_max_ns, HANDLER_NS);
    assert_in_range(m->wait_ns / m->waited, 10000, 10000 + 32 * HANDLER_NS);
    assert_true(m->wait_max_ns >= m->wait_ns / m->waited);
    assert_in_range(m->depth / m->waited, 1, 32);
}

static void samples__in_place_have_a_run_time_only(void **state)
{
    const uint64_t value = 1;
    struct proa_msg msg = from_far(spawn_slow(), NOTE, &value);
    const struct metrics *m = metrics_of("slow");

    (void)state;
    for (uint32_t i = 0; i < 5 * METRICS_EVERY; i++) {
        sched_begin(w->lane[0].s, w->now);
        sched_deliver(w->lane[0].s, &msg, true);
    }
    assert_in_range(m->ran, 4, 6);
    assert_int_equal(m->run_ns, m->ran * HANDLER_NS);
    assert_int_equal(m->waited, 0);
}

static void samples__a_dropped_one_is_forgotten(void **state)
{
    struct proa_ref s, t = spawn_slow();
    const struct metrics *m = metrics_of("slow");

    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        /* Whoever holds the sample may end before it runs. */
        s = spawn_slow();
        tell_many(t, METRICS_EVERY);
        world_settle(w);
        tell_many(s, 3);
        stop(w, s);
        world_settle(w);
        tell_many(t, 3);
        fake_now += 100;
        world_settle(w);
    }
    assert_true(m->waited < 25);
    assert_true(m->wait_max_ns < 2 * METRICS_EVERY * HANDLER_NS);
}

/* ---- What runs now ---- */

static struct sched_running seen;

static int look_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    (void)self;
    (void)arg;
    (void)arg_len;
    sched_running(w->lane[0].s, &seen);
    return 0;
}

static const struct proa_behaviour starter = {.type_name = "starter",
                                              .start = look_start};

static void on_look(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_ref child;

    sched_running(w->lane[0].s, &seen);
    assert_true(proa_ref_equal(seen.actor, proa_self(self)));
    assert_int_equal(seen.type, msg->type);
    assert_int_equal(proa_spawn(self, &starter, NULL, 0, &child), PROA_OK);
    assert_true(proa_ref_equal(seen.actor, child));
    assert_int_equal(seen.type, PROA_EVENT_NO_TYPE);
    /* And the handler goes on. */
    sched_running(w->lane[0].s, &seen);
    assert_true(proa_ref_equal(seen.actor, proa_self(self)));
    assert_int_equal(seen.type, msg->type);
}

static void on_timeout(struct proa_actor *self, uint64_t cookie)
{
    (void)cookie;
    sched_running(w->lane[0].s, &seen);
    assert_true(proa_ref_equal(seen.actor, proa_self(self)));
}

static void start_timer(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    assert_int_equal(proa_timer_start(self, PROA_MS, on_timeout, 0, NULL), PROA_OK);
}

static const struct proa_on look_on[] = {{NOTE, 0, on_look}};
static const struct proa_behaviour looker = {
    .type_name = "looker", .on = look_on, .on_count = 1};

static void running__is_who_runs(void **state)
{
    const uint64_t value = 1;
    struct proa_msg msg;
    struct proa_ref ref;

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, &looker, NULL, 0, &ref), PROA_OK);
    assert_int_equal(tell(w, a, ref, NOTE, 1), PROA_OK);
    world_settle(w);
    assert_int_equal(metrics_of("looker")->messages, 1);
    sched_running(w->lane[0].s, &seen);
    assert_true(proa_ref_is_none(seen.actor));
    msg = from_far(ref, NOTE, &value); /* in place */
    sched_deliver(w->lane[0].s, &msg, true);
    assert_int_equal(metrics_of("looker")->messages, 2);
    in(w, ref, start_timer, NULL);
    world_advance(w, 10 * PROA_MS);
    assert_true(proa_ref_equal(seen.actor, ref));
    assert_int_equal(seen.type, PROA_EVENT_NO_TYPE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(messages__are_counted_by_behaviour),
        CASE(messages__in_place_count_too),
        CASE(refused__whatever_the_reason),
        CASE(refused__full_mailbox_counts_once_and_is_its_depth),
        CASE(refused__what_ran_without_an_answer_is_not),
        CASE(depth__is_the_deepest_mailbox),
        CASE(samples__one_in_a_thousand_and_its_times),
        CASE(samples__in_place_have_a_run_time_only),
        CASE(samples__a_dropped_one_is_forgotten),
        CASE(running__is_who_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
