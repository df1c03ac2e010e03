/* SPDX-License-Identifier: Apache-2.0 */
/* Whole nodes say what happens to them: events to actors and functions, dead letters from every
   distance, log lines; under seeds with a bad network, killed, cut and restarted nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sim.h"

#define KEPT 4096

struct heard {
    struct proa_event events[KEPT];
    unsigned count;
};

static struct heard by_function, by_actor;

static void hear(void *ctx, const struct proa_event *event)
{
    struct heard *h = ctx;

    assert_true(h->count < KEPT);
    h->events[h->count++] = *event;
}

/* An actor that wants events, and logs each. */
static int watcher_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    (void)arg;
    (void)arg_len;
    return proa_events(self, true) == PROA_OK ? 0 : -1;
}

static void watcher_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    if (signal->kind != PROA_SIGNAL_EVENT)
        return;
    hear(&by_actor, signal->event);
    proa_log(self, PROA_LOG_INFO, "seen %s", proa_event_name(signal->event->kind));
}

static const struct proa_behaviour watcher = {
    .type_name = "watcher", .start = watcher_start, .signal = watcher_signal};

static void refuse_nothing(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)self;
    (void)msg;
}

static const struct proa_on small_on[] = {{1, 0, refuse_nothing}};
static const struct proa_behaviour small = {
    .type_name = "small", .on = small_on, .on_count = 1, .mailbox = 4};

static const struct proa_event *nth(const struct heard *h, enum proa_event_kind kind,
                                    uint64_t node, unsigned n)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->events[i].kind == kind && h->events[i].node == node && n-- == 0)
            return &h->events[i];
    }
    return NULL;
}

static struct proa_test *cluster(uint64_t seed, uint32_t loss)
{
    struct proa_test_config config = {
        .nodes = 3, .lanes = 2, .seed = seed, .faults = {.loss = loss, .delay_us = 20}};
    struct proa_test *test = proa_test_create(&config);

    assert_non_null(test);
    by_function.count = by_actor.count = 0;
    proa_test_on_event(test, 0, hear, &by_function);
    return test;
}

/* ---- Events ---- */

static unsigned lines_count;

static void on_line(void *ctx, const struct proa_log_line *line)
{
    (void)ctx;
    assert_string_equal(line->type_name, "watcher");
    assert_memory_equal(line->text, "seen ", 5);
    lines_count++;
}

static void one_life(uint64_t seed)
{
    struct proa_test *test = cluster(seed, (uint32_t)(seed % 5) * 10000);
    struct proa_ref ref, sink;
    uint64_t first = 0, second = 0;
    const struct proa_event *dead;
    proa_ns killed_at;

    lines_count = 0;
    proa_test_on_log(test, 0, on_line, NULL);
    proa_test_expect_outcome(test, PROA_OK,
                             proa_test_spawn(test, 0, 1, &watcher, NULL, 0, &ref));
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    sink = proa_test_sink(test, 2);
    proa_test_expect_outcome(test, PROA_OK, proa_test_tell(test, 0, sink, 1, "x", 1));
    proa_test_expect_tell(test, sink, 1, "x", 1, 5 * PROA_S);
    proa_test_advance(test, 100 * PROA_MS);
    first = proa_test_node(test, 2);
    proa_test_check(test, nth(&by_function, PROA_EVENT_NODE_JOINED, first, 0) != NULL,
                    "the node to have joined");
    proa_test_check(test, nth(&by_function, PROA_EVENT_LINK_UP, first, 0) != NULL,
                    "its link to be up");

    /* Cut: dead after its silence.  Healed: joined again. */
    proa_test_cut(test, 0, 2);
    proa_test_tell(test, 0, sink, 1, "y", 1);
    proa_test_advance(test, 20 * PROA_S);
    proa_test_check(test, nth(&by_function, PROA_EVENT_LINK_DEAD, first, 0) != NULL,
                    "the cut link to die");
    proa_test_check(test, nth(&by_function, PROA_EVENT_NODE_DEAD, first, 0) != NULL,
                    "the cut node to die");
    proa_test_heal(test, 0, 2);
    proa_test_advance(test, 120 * PROA_S);
    proa_test_check(test, nth(&by_function, PROA_EVENT_NODE_JOINED, first, 1) != NULL,
                    "the healed node to be back");

    /* Restarted: the old life is dead, the new one has joined. */
    killed_at = proa_test_now(test);
    proa_test_restart(test, 2);
    second = proa_test_node(test, 2);
    proa_test_advance(test, 10 * PROA_S);
    dead = nth(&by_function, PROA_EVENT_NODE_DEAD, first, 1);
    proa_test_check(test, dead != NULL && dead->at >= killed_at,
                    "the old life to be dead");
    proa_test_check(test, nth(&by_function, PROA_EVENT_NODE_JOINED, second, 0) != NULL,
                    "the new life to join");

    /* The actor was told the same, in the same order, and wrote a line for each. */
    proa_test_advance(test, PROA_S);
    for (unsigned i = 0; i < by_function.count; i++)
        proa_test_check(test, by_function.events[i].number == i + 1, "no gap");
    proa_test_check(test, by_actor.count == by_function.count, "the actor to hear all");
    for (unsigned i = 0; i < by_actor.count; i++)
        assert_memory_equal(&by_actor.events[i], &by_function.events[i],
                            sizeof(by_actor.events[i]));
    proa_test_check(test, lines_count == by_actor.count, "a line for each");
    proa_test_destroy(test);
}

static void events__of_a_node_that_is_cut_healed_and_restarted(void **state)
{
    struct sim_seeds seeds = sim_seeds(20);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++)
        one_life(s);
}

static void stop_it(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_stop(self);
}

static void events__end_with_their_actor(void **state)
{
    struct proa_test *test = cluster(99, 0);
    struct proa_ref ref;

    (void)state;
    proa_test_expect_outcome(test, PROA_OK,
                             proa_test_spawn(test, 0, 0, &watcher, NULL, 0, &ref));
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    proa_test_advance(test, PROA_S);
    unsigned before = by_actor.count;
    proa_test_check(test, before > 0, "the actor to hear of the others");
    proa_test_call_actor(test, ref, stop_it, NULL);
    proa_test_advance(test, PROA_S);
    proa_test_kill(test, 2);
    proa_test_advance(test, 60 * PROA_S);
    proa_test_check(test, by_function.count > before, "more events");
    proa_test_check(test, by_actor.count == before, "none for the dead");
    proa_test_destroy(test);
}

/* ---- Dead letters ---- */

static struct proa_dead_letter letters[KEPT];
static unsigned letter_count;

static void on_letter(void *ctx, const struct proa_dead_letter *letter)
{
    (void)ctx;
    assert_true(letter_count < KEPT);
    letters[letter_count++] = *letter;
}

static uint64_t letters_to(struct proa_ref to, enum proa_outcome reason)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < letter_count; i++) {
        if (proa_ref_equal(letters[i].to, to) && letters[i].reason == reason)
            count += letters[i].count;
    }
    return count;
}

struct burst {
    struct proa_ref to;
    unsigned accepted;
};

static void tell_burst(struct proa_actor *self, void *ctx)
{
    struct burst *burst = ctx;

    for (unsigned i = 0; i < 20; i++)
        burst->accepted += proa_tell(self, burst->to, 2, NULL, 0) == PROA_OK;
}

static void letters_from_everywhere(uint64_t seed)
{
    struct proa_test *test = cluster(seed, (uint32_t)(seed % 3) * 10000);
    static const struct {
        unsigned node, lane;
    } homes[] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
    uint64_t told = 0, accepted = 0;

    letter_count = 0;
    proa_test_on_dead_letter(test, 0, on_letter, NULL);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    for (unsigned i = 0; i < 4; i++) {
        struct burst burst = {.to = proa_ref_none()};

        proa_test_expect_outcome(test, PROA_OK,
                                 proa_test_spawn(test, homes[i].node, homes[i].lane,
                                                 &small, NULL, 0, &burst.to));
        proa_test_call(test, 0, tell_burst, &burst);
        proa_test_advance(test, 3 * PROA_S);
        uint64_t unknown = letters_to(burst.to, PROA_REFUSED_UNKNOWN_TYPE);
        uint64_t full = letters_to(burst.to, PROA_REFUSED_FULL);
        proa_test_check(test, unknown > 0, "messages that nobody handles come back");
        proa_test_check(test, unknown + full == burst.accepted,
                        "each accepted tell is one dead letter");
        accepted += burst.accepted;
    }
    for (unsigned i = 0; i < letter_count; i++) {
        assert_int_equal(letters[i].from.node, proa_test_node(test, 0));
        assert_int_equal(letters[i].type, 2);
        told += letters[i].count;
    }
    proa_test_check(test, told == accepted, "no letter is told twice");

    /* The events sum them up. */
    uint64_t summed = 0;
    for (unsigned i = 0; i < by_function.count; i++) {
        if (by_function.events[i].kind == PROA_EVENT_DEAD_LETTERS)
            summed += by_function.events[i].count;
    }
    proa_test_check(test, summed == accepted, "events count what letters tell");
    proa_test_destroy(test);
}

static void dead_letters__from_each_distance_once(void **state)
{
    struct sim_seeds seeds = sim_seeds(20);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++)
        letters_from_everywhere(s);
}

static void dead_letters__in_doubt_when_the_node_is_cut_off(void **state)
{
    struct proa_test *test = cluster(7, 0);
    struct proa_ref sink;
    unsigned doubt = 0;

    (void)state;
    letter_count = 0;
    proa_test_on_dead_letter(test, 0, on_letter, NULL);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    sink = proa_test_sink(test, 1);
    proa_test_expect_outcome(test, PROA_OK, proa_test_tell(test, 0, sink, 1, "x", 1));
    proa_test_expect_tell(test, sink, 1, "x", 1, 5 * PROA_S);
    proa_test_advance(test, 100 * PROA_MS);
    proa_test_cut(test, 0, 1);
    proa_test_expect_outcome(test, PROA_OK, proa_test_tell(test, 0, sink, 1, "y", 1));
    proa_test_advance(test, 20 * PROA_S);
    doubt = (unsigned)letters_to(sink, PROA_IN_DOUBT);
    proa_test_check(test, doubt == 1, "one message in doubt");
    proa_test_destroy(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events__of_a_node_that_is_cut_healed_and_restarted),
        cmocka_unit_test(events__end_with_their_actor),
        cmocka_unit_test(dead_letters__from_each_distance_once),
        cmocka_unit_test(dead_letters__in_doubt_when_the_node_is_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
