/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: how they begin and end; and a long random run. */
#include "watch_world.h"

#include <proa/life.h>

/* ---- Beginning and ending ---- */

static void watch__bad_arguments(void **state)
{
    struct watch_call c = {.what = PROA_WATCH_GROUP, .name = ""};
    char text[PROA_NAME_MAX + 2];
    const char *bad[] = {"", NULL, text, "\xff"};

    (void)state;
    memset(text, 'n', sizeof(text));
    text[PROA_NAME_MAX + 1] = '\0';
    for (int what = 0; what < 2; what++) {
        for (int i = 0; i < 4; i++) {
            c.what = (enum proa_watch_what)what;
            c.name = bad[i];
            in(w, a, act_watch, &c);
            assert_int_equal(c.outcome, PROA_INVALID);
        }
    }
    c.what = (enum proa_watch_what)3;
    c.name = "x";
    in(w, a, act_watch, &c);
    assert_int_equal(c.outcome, PROA_INVALID);
    assert_null(byte_ring_peek(w->lane[0].up));
    in(w, a, act_unwatch, &c);
    assert_false(c.ended); /* serial 0: never made */
}

static void unwatch__ends_it_at_once(void **state)
{
    struct punt_watch up, end;
    struct watch_call c;

    (void)state;
    c = watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, 0);
    world_settle(w);
    say_joined(&up, join("g", 1), 1);
    in(w, a, act_unwatch, &c);
    assert_true(c.ended);
    in(w, a, act_unwatch, &c);
    assert_false(c.ended);
    say_joined(&up, join("g", 2), 2);
    world_settle(w);
    assert_int_equal(told_count, 1); /* nothing of it after that */
    assert_int_equal(STAT(w, 0, changes_late), 1);
    end = next_watch("g");
    assert_int_equal(end.on, 0);
    assert_int_equal(end.index, up.index);
    assert_int_equal(end.serial, up.serial);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, watches), 0);
}

static struct watch_call in_signal;

static void unwatch_now(struct proa_actor *self)
{
    in_signal.ended = proa_unwatch(self, in_signal.watching);
}

static void unwatch__inside_of_the_signal(void **state)
{
    struct punt_watch up;

    (void)state;
    in_signal = watch(PROA_WATCH_GROUP, "g", &up);
    on_change = unwatch_now;
    say_set(&up, 0);
    say_joined(&up, join("g", 1), 1);
    world_settle(w);
    assert_true(in_signal.ended);
    assert_int_equal(told_count, 1);
    next_watch("g");
}

/* The end is told when the ring has room; until then the index is not used again. */
static void unwatch__full_ring_delays_the_end(void **state)
{
    struct punt_watch up, other;
    struct watch_call c, d;

    (void)state;
    c = watch(PROA_WATCH_NAME, "n", &up);
    while (byte_ring_push(w->lane[0].up, PUNT_DATAGRAM, NULL, 0, "x", 1))
        ;
    in(w, a, act_unwatch, &c);
    assert_true(c.ended);
    d = (struct watch_call){.what = PROA_WATCH_NAME, .name = "m"};
    in(w, a, act_watch, &d);
    assert_int_equal(d.outcome, PROA_AGAIN);
    world_advance(w, PROA_MS);
    assert_true(STAT(w, 0, up_full) > 0);
    assert_int_equal(STAT(w, 0, watches), 1);
    while (byte_ring_peek(w->lane[0].up)->kind == PUNT_DATAGRAM) {
        byte_ring_pop(w->lane[0].up);
        if (byte_ring_peek(w->lane[0].up) == NULL)
            break;
    }
    d = watch(PROA_WATCH_NAME, "m", &other);
    assert_int_not_equal(other.index, up.index);
    world_advance(w, PROA_MS);
    assert_int_equal(next_watch("n").on, 0);
    c = watch(PROA_WATCH_NAME, "k", &other);
    assert_int_equal(other.index, up.index);
    assert_int_not_equal(other.serial, up.serial);
}

static void watch__is_bounded(void **state)
{
    struct watch_call c = {.what = PROA_WATCH_NAME, .name = "n"};
    struct punt_watch up;

    (void)state;
    for (uint32_t i = 0; i < PROA_WATCHES_MAX; i++)
        watch(PROA_WATCH_NAME, "n", &up);
    in(w, a, act_watch, &c);
    assert_int_equal(c.outcome, PROA_LIMIT);
    stop(w, a);
    for (uint32_t i = 0; i < PROA_WATCHES_MAX; i++) {
        if (byte_ring_is_empty(w->lane[0].up))
            world_advance(w, PROA_MS);
        assert_int_equal(next_watch("n").on, 0);
    }
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, watches), 0);
}

static struct watch_call in_stop;

static void watch_in_stop(struct proa_actor *self, enum proa_reason reason)
{
    (void)reason;
    act_watch(self, &in_stop);
}

static void end__of_the_actor_ends_its_watches(void **state)
{
    static const struct proa_behaviour late = {.type_name = "late",
                                               .stop = watch_in_stop};
    struct punt_watch up, second;
    struct proa_ref b;

    (void)state;
    watch(PROA_WATCH_GROUP, "g", &up);
    watch(PROA_WATCH_NAME, "n", &second);
    say_set(&up, 0);
    stop(w, a);
    say_joined(&up, join("g", 1), 1);
    world_settle(w);
    assert_int_equal(told_count, 0);
    assert_int_equal(STAT(w, 0, watches), 0);
    next_watch("g");
    next_watch("n");
    assert_null(byte_ring_peek(w->lane[0].up)); /* it had no names */
    in_stop = (struct watch_call){.what = PROA_WATCH_NAME, .name = "n"};
    assert_int_equal(sched_spawn(w->lane[0].s, &late, NULL, 0, &b), PROA_OK);
    stop(w, b);
    assert_int_equal(in_stop.outcome, PROA_STOPPED);
}

static const struct proa_supervision rule = {.intensity = 100};
static const struct proa_behaviour boss = {.type_name = "boss", .supervision = &rule};

static void act_child(struct proa_actor *self, void *ctx)
{
    assert_int_equal(
        proa_spawn_child(self, &watcher, NULL, 0, PROA_RESTART_PERMANENT, ctx), PROA_OK);
}

static void act_fail(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_fail(self, 1);
}

static void end__restart_is_one_too(void **state)
{
    struct proa_ref parent, first = a;
    struct punt_watch up, end;

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, &boss, NULL, 0, &parent), PROA_OK);
    in(w, parent, act_child, &a);
    watch(PROA_WATCH_GROUP, "g", &up);
    in(w, a, act_fail, NULL);
    world_settle(w);
    end = next_watch("g");
    assert_int_equal(end.on, 0);
    assert_int_equal(end.generation, a.generation);
    say_set(&up, 0);
    world_settle(w);
    assert_int_equal(told_count, 0);
    a = first;
}

/* ---- All at once, at random ---- */

#define MEMBERS 24u

/* What the watcher believes, from what it was told. */
struct belief {
    bool members[MEMBERS];
    bool known;
    uint64_t version;
};

static void believe(struct belief *b, const struct told_change *t)
{
    uint32_t n = t->ref.slot;

    assert_true(t->version >= b->version);
    if (t->kind == PROA_CHANGE_SET) {
        memset(b->members, 0, sizeof(b->members));
        for (uint32_t i = 0; i < t->count; i++)
            b->members[t->refs[i].slot] = true;
        b->known = true;
    } else {
        assert_true(b->known);
        assert_true(t->version > b->version);
        assert_int_equal(b->members[n], t->kind == PROA_CHANGE_LEFT);
        b->members[n] = t->kind == PROA_CHANGE_JOINED;
    }
    b->version = t->version;
}

static void one_change(struct punt_watch *up, bool *members, uint64_t *version,
                       bool *lost)
{
    uint32_t n = (uint32_t)rand() % MEMBERS;

    *version = members[n] ? leave("g", n) : join("g", n);
    members[n] = !members[n];
    if (up->serial == 0)
        return;
    if (*lost || rand() % 64 == 0) { /* no room in the ring: a SET later */
        *lost = true;
    } else if (members[n]) {
        say_joined(up, *version, n);
    } else {
        say_left(up, *version, n);
    }
}

static void run_random(unsigned seed)
{
    bool members[MEMBERS] = {false}, lost = false;
    struct punt_watch up = {.serial = 0};
    struct belief b = {.known = false};
    uint64_t version = 0;

    srand(seed);
    told_count = 0;
    for (int step = 0; step < 6000; step++) {
        int what = rand() % 16;

        if (what < 10) {
            for (int burst = rand() % 300 == 0 ? 2500 : 1; burst > 0; burst--)
                one_change(&up, members, &version, &lost);
        } else if (what < 12) {
            publish();
        } else if (what < 14) {
            world_advance(w, PROA_MS);
        } else if (up.serial == 0) {
            watch(PROA_WATCH_GROUP, "g", &up);
            say_set(&up, directory_group_changed(dir, "g", 1));
        } else if (lost) {
            say_set(&up, version);
            lost = false;
        }
        for (uint32_t i = 0; i < told_count; i++)
            believe(&b, &told[i]);
        told_count = 0;
    }
    if (lost)
        say_set(&up, version);
    publish();
    world_advance(w, PROA_MS);
    world_advance(w, PROA_MS);
    for (uint32_t i = 0; i < told_count; i++)
        believe(&b, &told[i]);
    assert_true(b.known);
    assert_memory_equal(b.members, members, sizeof(members));
}

static void random__belief_never_breaks_and_ends_true(void **state)
{
    for (unsigned seed = 1; seed <= 6; seed++) {
        print_message("seed %u\n", seed);
        run_random(seed);
        teardown(state);
        setup(state);
    }
}

/* ---- Memory ---- */

#define MEMORY (1u << 20)
#define WATCHES 40u

static int setup_little(void **state)
{
    little_memory = MEMORY;
    return setup(state);
}

static int teardown_little(void **state)
{
    little_memory = 0;
    return teardown(state);
}

static void act_tell_a(struct proa_actor *self, void *ctx)
{
    *(enum proa_outcome *)ctx = proa_tell(self, a, 1, "x", 1);
}

/* Who does not read what he watches leaves the memory to others' messages, and is right in the end. */
static void memory__unread_changes_leave_most_of_it(void **state)
{
    struct punt_watch ups[WATCHES];
    enum proa_outcome outcome;
    uint32_t sets[WATCHES] = {0};
    char name[PROA_NAME_MAX + 1];

    (void)state;
    memset(name, 'n', PROA_NAME_MAX);
    name[PROA_NAME_MAX] = '\0';
    for (uint32_t i = 0; i < WATCHES; i++)
        watch(PROA_WATCH_ALL, NULL, &ups[i]);
    for (uint64_t v = 1; v <= 1000; v++)
        for (uint32_t i = 0; i < WATCHES; i++)
            say(&ups[i], PROA_CHANGE_JOINED, v, far_ref(1), name, true);
    lane_loop(w, 0);
    assert_true(STAT(w, 0, slab_used) <= MEMORY / WATCH_SHARE);
    for (uint64_t v = 1001; v <= 1100; v++)
        for (uint32_t i = 0; i < WATCHES; i++)
            say(&ups[i], PROA_CHANGE_JOINED, v, far_ref(1), name, true);
    in(w, a, act_tell_a, &outcome);
    assert_int_equal(outcome, PROA_OK);
    world_advance(w, PROA_MS);
    for (uint32_t i = 0; i < told_count; i++)
        for (uint32_t k = 0; k < WATCHES; k++)
            sets[k] +=
                told[i].watching.index == ups[k].index && told[i].kind == PROA_CHANGE_SET;
    for (uint32_t k = 0; k < WATCHES; k++)
        assert_true(sets[k] >= 1); /* some were missed */
    told_count = 0;
    for (uint32_t i = 0; i < WATCHES; i++)
        say(&ups[i], PROA_CHANGE_LEFT, 2000, far_ref(1), name, true);
    world_settle(w);
    assert_int_equal(told_count, WATCHES); /* and nothing more is */
}

/* What waits for an actor that ends gives its share back. */
static void memory__is_given_back_at_the_end(void **state)
{
    struct punt_watch up;

    (void)state;
    for (uint32_t life = 0; life < 30; life++) {
        watch(PROA_WATCH_ALL, NULL, &up);
        for (uint64_t v = 1; v <= 900; v++)
            say(&up, PROA_CHANGE_JOINED, v, far_ref(1), "g", true);
        stop(w, a);
        world_settle(w);
        while (byte_ring_peek(w->lane[0].up) != NULL)
            byte_ring_pop(w->lane[0].up);
        assert_int_equal(sched_spawn(w->lane[0].s, &watcher, NULL, 0, &a), PROA_OK);
        assert_int_equal(told_count, 0);
    }
    watch(PROA_WATCH_ALL, NULL, &up);
    for (uint64_t v = 1; v <= 900; v++)
        say(&up, PROA_CHANGE_JOINED, v, far_ref(1), "g", true);
    world_settle(w);
    assert_int_equal(told_count, 900);
}

/* Too old a set is not told: what has been kept to be told after it would contradict it. */
static void read__too_old_a_set_is_read_again(void **state)
{
    struct punt_watch up;
    uint64_t v;

    (void)state;
    join("g", 1);
    v = join("g", 2);
    publish();
    watch(PROA_WATCH_GROUP, "g", &up);
    say_set(&up, v);
    reads_fail = 3;
    world_settle(w);
    assert_int_equal(told_count, 0);
    assert_int_equal(reads_fail, 2);
    say_left(&up, leave("g", 2), 2); /* is in the set that follows */
    publish();
    world_advance(w, PROA_MS);
    world_advance(w, PROA_MS);
    world_advance(w, PROA_MS);
    assert_int_equal(reads_fail, 0);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].kind, PROA_CHANGE_SET);
    assert_int_equal(told[0].count, 1);
    assert_true(has(&told[0], 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(watch__bad_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(unwatch__ends_it_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(unwatch__inside_of_the_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(unwatch__full_ring_delays_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(watch__is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(end__of_the_actor_ends_its_watches, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(end__restart_is_one_too, setup, teardown),
        cmocka_unit_test_setup_teardown(random__belief_never_breaks_and_ends_true, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(memory__unread_changes_leave_most_of_it,
                                        setup_little, teardown_little),
        cmocka_unit_test_setup_teardown(memory__is_given_back_at_the_end, setup_little,
                                        teardown_little),
        cmocka_unit_test_setup_teardown(read__too_old_a_set_is_read_again, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
