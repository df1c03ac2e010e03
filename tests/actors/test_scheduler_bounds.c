/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of a lane, reached: what is said, what is counted, and that it passes. */
#include "sched_world.h"

#include "behaviour.h"
#include "slab.h"

static struct world *w;
static struct log a_log, b_log;
static struct proa_ref a, b;

static void tweak(struct sched_config *c)
{
    c->actors_max = 8;
    c->asks_max = 16;
    c->timers_max = 4;
    c->slab_limit = 16 * SLAB_BLOCK_MIN; /* 16 small tells */
    c->bulk_limit = 100000;
}

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    w = world_make(1, tweak);
    a = spawn(w, 0, &a_log);
    b = spawn(w, 0, &b_log);
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

static void slab__full_is_again_and_writable_follows(void **state)
{
    const uint64_t value = 1;
    struct proa_msg msg = from_far(b, NOTE, &value);
    struct proa_ref c = spawn(w, 0, &b_log), d = spawn(w, 0, &b_log);
    uint32_t told = 0;

    (void)state;
    while (told < 8 && tell(w, a, b, NOTE, 0) == PROA_OK)
        told++;
    while (told < 16 && tell(w, a, c, NOTE, 0) == PROA_OK)
        told++;
    assert_int_equal(told, 16);
    assert_int_equal(tell(w, a, d, NOTE, 0), PROA_AGAIN);
    msg.to = d;
    sched_deliver(w->lane[0].s, &msg, false); /* from a link: refused, not kept */
    assert_int_equal(ask(w, a, d, ECHO, 0, 1), PROA_AGAIN);
    world_settle(w);
    assert_int_equal(w->refused[0].refusal.reason, PROA_REFUSED_BUSY);
    assert_int_equal(count_of(&a_log, SIGNAL), 1);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->signal, PROA_SIGNAL_WRITABLE);
    assert_int_equal(tell(w, a, d, NOTE, 0), PROA_OK);
    assert_int_equal(STAT(w, 0, asks_waiting), 0);
}

static void slab__full_does_not_stop_answers(void **state)
{
    struct proa_ref c = spawn(w, 0, &b_log);
    uint32_t told = 0;

    (void)state;
    assert_int_equal(ask(w, a, b, ECHO, 5, 1), PROA_OK);
    while (told < 8 && tell(w, a, c, NOTE, 0) == PROA_OK)
        told++;
    while (tell(w, c, a, 999, 0) == PROA_OK) /* will be refused: signals */
        told++;
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_OK);
    assert_int_equal(count_of(&b_log, SIGNAL),
                     2); /* c's: WRITABLE, and one run of refusals */
}

static void act_hold(struct proa_actor *self, void *ctx)
{
    void **bufs = ctx;

    for (int i = 0; i < 2; i++)
        bufs[i] = proa_buf_alloc(self, 40000);
    bufs[2] = proa_buf_alloc(self, 40000);
}

static void act_release(struct proa_actor *self, void *ctx)
{
    void **bufs = ctx;

    proa_buf_free(self, bufs[0]);
    proa_buf_free(self, NULL);
}

static void act_release_last(struct proa_actor *self, void *ctx)
{
    proa_buf_free(self, ((void **)ctx)[1]);
}

static void bulk__budget_is_again_and_writable_follows_any_release(void **state)
{
    static uint8_t data[50000];
    void *bufs[3];

    (void)state;
    in(w, a, act_hold, bufs);
    assert_non_null(bufs[0]);
    assert_non_null(bufs[1]);
    assert_null(bufs[2]);
    assert_int_equal(tell_data(w, b, a, NOTE, data, sizeof(data)), PROA_AGAIN);
    world_settle(w);
    assert_int_equal(count_of(&b_log, SIGNAL), 0);
    in(w, a, act_release, bufs); /* one is kept for long */
    world_settle(w);
    assert_int_equal(nth(&b_log, SIGNAL, 0)->signal, PROA_SIGNAL_WRITABLE);
    assert_int_equal(tell_data(w, b, a, NOTE, data, sizeof(data)), PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&a_log, GOT, 0)->len, sizeof(data));
    in(w, a, act_release_last, bufs);
}

static void slots__full_is_limit(void **state)
{
    struct log *log = &b_log;
    struct proa_ref ref;

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_int_equal(sched_spawn(w->lane[0].s, &probe, &log, sizeof(log), &ref),
                         PROA_OK);
    assert_int_equal(sched_spawn(w->lane[0].s, &probe, &log, sizeof(log), &ref),
                     PROA_LIMIT);
    stop(w, b);
    assert_int_equal(sched_spawn(w->lane[0].s, &probe, &log, sizeof(log), &ref), PROA_OK);
}

static void asks__full_is_limit_until_one_is_answered(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(ask(w, a, (struct proa_ref){FAR_NODE, 1, 1}, ECHO, 0, i),
                         PROA_OK);
    assert_int_equal(ask(w, a, b, ECHO, 0, 16), PROA_LIMIT);
    sched_link_dead(w->lane[0].s, FAR_NODE);
    world_settle(w);
    assert_int_equal(count_of(&a_log, ANSWER), 16);
    assert_int_equal(ask(w, a, b, ECHO, 0, 17), PROA_OK);
}

static void tick(struct proa_actor *self, uint64_t cookie)
{
    log_add(self, TIMEOUT)->value = cookie;
}

static void act_timers(struct proa_actor *self, void *ctx)
{
    enum proa_outcome *outcomes = ctx;

    for (uint64_t i = 0; i < 5; i++)
        outcomes[i] = proa_timer_start(self, PROA_MS, tick, i, NULL);
}

static void timers__full_is_limit(void **state)
{
    enum proa_outcome outcomes[5];

    (void)state;
    in(w, a, act_timers, outcomes);
    for (int i = 0; i < 4; i++)
        assert_int_equal(outcomes[i], PROA_OK);
    assert_int_equal(outcomes[4], PROA_LIMIT);
    world_advance(w, 2 * PROA_MS);
    assert_int_equal(count_of(&a_log, TIMEOUT), 4);
}

static uint32_t spawned_deep;

static int spawn_again(struct proa_actor *self, const void *arg, size_t len);

static const struct proa_behaviour deep = {.type_name = "deep", .start = spawn_again};

static int spawn_again(struct proa_actor *self, const void *arg, size_t len)
{
    struct proa_ref ref;

    (void)arg;
    (void)len;
    spawned_deep++;
    return proa_spawn(self, &deep, NULL, 0, &ref) == PROA_OK ? 0 : 1;
}

static void spawn__starts_that_spawn_end_at_a_bound(void **state)
{
    struct world *big = world_make(1, NULL);
    struct proa_ref ref;

    (void)state;
    spawned_deep = 0;
    assert_int_equal(sched_spawn(big->lane[0].s, &deep, NULL, 0, &ref), PROA_STOPPED);
    assert_int_equal(spawned_deep, SCHED_SPAWN_DEPTH);
    world_settle(big);
    assert_int_equal(STAT(big, 0, actors), 0);
    world_free(big);
}

static void spawn__bad_behaviours_are_invalid(void **state)
{
    static const struct proa_behaviour nameless = {.type_name = ""};
    struct proa_ref ref;

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, NULL, NULL, 0, &ref), PROA_INVALID);
    assert_int_equal(sched_spawn(w->lane[0].s, &nameless, NULL, 0, &ref), PROA_INVALID);
}

static void mailbox__drop_oldest_answers_what_it_drops(void **state)
{
    struct proa_behaviour dropper = probe;
    struct log log = {.count = 0};
    struct proa_ref c;

    (void)state;
    dropper.type_name = "dropper";
    dropper.overflow = PROA_OVERFLOW_DROP_OLDEST;
    dropper.mailbox = 3;
    c = spawn_kind(w, 0, &log, &dropper);
    assert_int_equal(ask(w, a, c, ECHO, 0, 1), PROA_OK);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(tell(w, a, c, NOTE, i), PROA_OK);
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_REFUSED_DROPPED);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->outcome, PROA_REFUSED_DROPPED);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->count, 2);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(nth(&log, GOT, i)->value, i + 2);
    assert_int_equal(count_of(&log, GOT), 3);
    assert_int_equal(STAT(w, 0, refused[PROA_REFUSED_DROPPED]), 3);
    stop(w, c);
}

static void on_self_tell(struct proa_actor *self, const struct proa_msg *msg)
{
    log_msg(self, msg);
    proa_tell(self, proa_self(self), NOTE, msg->data, msg->len);
}

/* Who tells itself to go on for ever lets all others run, and the loop end. */
static void run__is_fair_and_bounded(void **state)
{
    static const struct proa_on on[] = {{NOTE, 0, on_self_tell}};
    static const struct proa_behaviour kind = {.type_name = "restless",
                                               .state_size = sizeof(struct probe),
                                               .on = on,
                                               .on_count = 1,
                                               .start = probe_start};
    struct log log = {.count = 0};
    struct proa_ref c = spawn_kind(w, 0, &log, &kind);

    (void)state;
    tell(w, a, c, NOTE, 0);
    tell(w, a, b, NOTE, 0);
    sched_begin(w->lane[0].s, w->now);
    assert_in_range(sched_run(w->lane[0].s), 1, SCHED_RUN_MAX + SCHED_TURN_MAX);
    assert_int_equal(count_of(&b_log, GOT), 1);
    assert_in_range(count_of(&log, GOT), 100, SCHED_RUN_MAX);
    assert_int_equal(sched_deadline(w->lane[0].s), 0);
    stop(w, c);
}

static uint32_t later_ok, later_limit;

static void on_hoard(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_token token;
    enum proa_outcome outcome = proa_reply_later(self, msg, &token);

    later_ok += outcome == PROA_OK;
    later_limit += outcome == PROA_LIMIT;
}

static void tweak_asks(struct sched_config *c)
{
    c->asks_max = 4096;
    c->in_place_max = UINT32_MAX;
}

static void reply_later__is_bounded_per_actor(void **state)
{
    static const struct proa_on on[] = {{LATER, 0, on_hoard}};
    static const struct proa_behaviour kind = {
        .type_name = "hoarder", .on = on, .on_count = 1};
    struct world *big = world_make(1, tweak_asks);
    const uint64_t value = 0;
    struct proa_msg msg;
    struct proa_ref c;

    (void)state;
    later_ok = later_limit = 0;
    assert_int_equal(sched_spawn(big->lane[0].s, &kind, NULL, 0, &c), PROA_OK);
    sched_begin(big->lane[0].s, big->now);
    msg = from_far(c, LATER, &value);
    msg.flags = PROA_MSG_ASK;
    msg.deadline = big->now + PROA_S;
    for (msg.correlation = 1; msg.correlation <= PROA_LATER_MAX + 2; msg.correlation++)
        sched_deliver(big->lane[0].s, &msg, true);
    assert_int_equal(later_ok, PROA_LATER_MAX);
    assert_int_equal(later_limit, 2);
    assert_int_equal(big->refused_count, 2);
    assert_int_equal(big->refused[0].refusal.reason, PROA_NO_REPLY);
    world_advance(big, 2 * PROA_S); /* their deadlines give the tokens back */
    assert_int_equal(STAT(big, 0, tokens_held), 0);
    assert_int_equal(STAT(big, 0, tokens_expired), PROA_LATER_MAX);
    world_free(big);
}

static void memory__idle_actor_of_64_bytes_takes_192(void **state)
{
    struct proa_behaviour small = {.type_name = "small", .state_size = 64};
    struct world *big = world_make(1, NULL);
    uint64_t before = arena_used(big->lane[0].arena), used;
    struct proa_ref ref;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(sched_spawn(big->lane[0].s, &small, NULL, 0, &ref), PROA_OK);
    used = arena_used(big->lane[0].arena) - before;
    assert_in_range(used + 1000 * 128, 192 * 1000, 192 * 1000 + 2 * SLAB_CHUNK);
    world_free(big);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(slab__full_is_again_and_writable_follows),
        test(slab__full_does_not_stop_answers),
        test(bulk__budget_is_again_and_writable_follows_any_release),
        test(slots__full_is_limit),
        test(asks__full_is_limit_until_one_is_answered),
        test(timers__full_is_limit),
        test(spawn__starts_that_spawn_end_at_a_bound),
        test(spawn__bad_behaviours_are_invalid),
        test(mailbox__drop_oldest_answers_what_it_drops),
        test(run__is_fair_and_bounded),
        test(reply_later__is_bounded_per_actor),
        test(memory__idle_actor_of_64_bytes_takes_192),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
