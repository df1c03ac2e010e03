/* SPDX-License-Identifier: Apache-2.0 */
/* What a lane notes: dead letters, log lines, actors' events; and events as text. */
#include "sched_world.h"

#include <proa/event.h>
#include <proa/log.h>
#include <stdio.h>

static struct byte_ring *notes;
static struct world *w;
static struct log a_log, b_log;
static struct proa_ref a, b;

static void tweak(struct sched_config *c)
{
    if (c->lane == 0)
        c->notes = notes;
}

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    notes = byte_ring_create(4096);
    w = world_make(2, tweak);
    a = spawn(w, 0, &a_log);
    b = spawn(w, 0, &b_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_settle(w);
    world_free(w);
    byte_ring_destroy(notes);
    return 0;
}

/* The next note, which is of this kind; copied, for the ring gives its room back. */
static uint32_t take(uint16_t kind, void *body, uint32_t cap)
{
    const struct byte_record *record = byte_ring_peek(notes);
    uint32_t len;

    assert_non_null(record);
    assert_int_equal(record->kind, kind);
    len = record->len;
    assert_true(len <= cap);
    memcpy(body, record->body, len);
    byte_ring_pop(notes);
    return len;
}

/* ---- Dead letters ---- */

static void dead_letter__says_who_to_whom_what_and_why(void **state)
{
    struct proa_dead_letter letter;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(tell(w, a, b, 99, 0), PROA_OK); /* no such handler */
    world_settle(w);
    take(PUNT_DEAD_LETTER, &letter, sizeof(letter));
    assert_true(proa_ref_equal(letter.from, a));
    assert_true(proa_ref_equal(letter.to, b));
    assert_int_equal(letter.type, 99);
    assert_int_equal(letter.count, 3);
    assert_int_equal(letter.reason, PROA_REFUSED_UNKNOWN_TYPE);
    assert_int_equal(letter.lane, 0);
    assert_null(byte_ring_peek(notes));
    assert_int_equal(STAT(w, 0, dead_letters[PROA_REFUSED_UNKNOWN_TYPE]), 3);
    assert_int_equal(STAT(w, 0, undelivered), 3);
}

static void dead_letter__of_a_sender_that_is_gone_is_told_too(void **state)
{
    struct proa_dead_letter letter;

    (void)state;
    assert_int_equal(tell(w, a, b, 99, 0), PROA_OK);
    stop(w, a);
    world_settle(w);
    take(PUNT_DEAD_LETTER, &letter, sizeof(letter));
    assert_true(proa_ref_equal(letter.from, a));
    assert_int_equal(STAT(w, 0, undelivered_nobody), 1);
}

static void dead_letter__of_nobody_has_no_sender(void **state)
{
    struct refusal r = {.to = {FAR_NODE, 1, 2}, .count = 7, .reason = PROA_REFUSED_FULL};
    struct proa_dead_letter letter;

    (void)state;
    sched_refused(w->lane[0].s, &r);
    take(PUNT_DEAD_LETTER, &letter, sizeof(letter));
    assert_true(proa_ref_is_none(letter.from));
    assert_int_equal(letter.count, 7);
}

static void dead_letter__asks_are_none(void **state)
{
    (void)state;
    assert_int_equal(ask(w, a, b, 99, 0, 1), PROA_OK);
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_REFUSED_UNKNOWN_TYPE);
    assert_null(byte_ring_peek(notes));
}

static void dead_letter__without_room_is_counted(void **state)
{
    struct refusal r = {.to = {FAR_NODE, 1, 2}, .count = 10, .reason = PROA_REFUSED_FULL};
    struct proa_dead_letter letter;
    uint32_t told = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        sched_refused(w->lane[0].s, &r);
    while (byte_ring_peek(notes) != NULL) {
        take(PUNT_DEAD_LETTER, &letter, sizeof(letter));
        told += letter.count;
    }
    assert_true(told > 0);
    assert_int_equal(told + STAT(w, 0, dead_letters_untold), 10000);
    assert_int_equal(STAT(w, 0, dead_letters[PROA_REFUSED_FULL]), 10000);
}

static void dead_letter__without_a_ring_is_only_counted(void **state)
{
    struct refusal r = {.to = {FAR_NODE, 1, 2}, .count = 2, .reason = PROA_IN_DOUBT};

    (void)state;
    r.slot = 1u << 24; /* lane 1, where no ring is */
    r.generation = 5;
    sched_refused(w->lane[0].s, &r);
    world_settle(w);
    assert_int_equal(STAT(w, 1, dead_letters[PROA_IN_DOUBT]), 2);
    assert_int_equal(STAT(w, 1, dead_letters_untold), 2);
}

/* ---- Log ---- */

static void write_line(struct proa_actor *self, void *ctx)
{
    proa_log(self, PROA_LOG_WARNING, "the answer is %d, %s", 42, (const char *)ctx);
}

static void write_debug(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_log(self, PROA_LOG_DEBUG, "for developers");
}

struct line {
    struct punt_log head;
    char text[PROA_LOG_TEXT_MAX];
};

static void log__line_has_its_writer(void **state)
{
    struct line line;
    uint32_t len;

    (void)state;
    in(w, a, write_line, "truly");
    len = take(PUNT_LOG, &line, sizeof(line));
    assert_int_equal(line.head.level, PROA_LOG_WARNING);
    assert_int_equal(line.head.slot, a.slot);
    assert_int_equal(line.head.generation, a.generation);
    assert_string_equal(line.head.type_name, "probe");
    assert_int_equal(line.head.at, w->now);
    assert_string_equal(line.text, "the answer is 42, truly");
    assert_int_equal(line.head.len, strlen(line.text));
    assert_int_equal(len, sizeof(line.head) + line.head.len + 1);
    assert_int_equal(STAT(w, 0, log_lines), 1);
}

static void log__long_line_is_cut(void **state)
{
    char much[1000];
    struct line line;

    (void)state;
    memset(much, 'x', sizeof(much) - 1);
    much[sizeof(much) - 1] = '\0';
    in(w, a, write_line, much);
    take(PUNT_LOG, &line, sizeof(line));
    assert_int_equal(line.head.len, PROA_LOG_TEXT_MAX - 1);
    assert_int_equal(line.text[PROA_LOG_TEXT_MAX - 2], 'x');
    assert_int_equal(line.text[PROA_LOG_TEXT_MAX - 1], '\0');
}

static void log__level_is_filtered_where_it_is_written(void **state)
{
    struct line line;

    (void)state;
    in(w, a, write_debug, NULL);
    assert_null(byte_ring_peek(notes));
    sched_log_level(w->lane[0].s, PROA_LOG_DEBUG);
    in(w, a, write_debug, NULL);
    take(PUNT_LOG, &line, sizeof(line));
    assert_string_equal(line.text, "for developers");
    sched_log_level(w->lane[0].s, PROA_LOG_ERROR);
    in(w, a, write_line, "no");
    assert_null(byte_ring_peek(notes));
    assert_int_equal(STAT(w, 0, log_lines), 1);
}

static void log__full_ring_drops_and_counts(void **state)
{
    struct line line;
    uint32_t got = 0;

    (void)state;
    for (int i = 0; i < 500; i++)
        in(w, a, write_line, "again");
    for (; byte_ring_peek(notes) != NULL; got++)
        take(PUNT_LOG, &line, sizeof(line));
    assert_true(got > 10 && got < 500);
    assert_int_equal(got + STAT(w, 0, log_dropped), 500);
}

/* ---- Events ---- */

static enum proa_outcome events_outcome;

static void events_on(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    events_outcome = proa_events(self, true);
}

static void events_off(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    events_outcome = proa_events(self, false);
}

/* The next record on the way up says whether lane 0 wants events. */
static void assert_wanted(uint32_t on)
{
    const struct byte_record *record = byte_ring_peek(w->lane[0].up);

    assert_non_null(record);
    assert_int_equal(record->kind, PUNT_EVENTS_WANTED);
    assert_memory_equal(record->body, &on, sizeof(on));
    byte_ring_pop(w->lane[0].up);
}

static const struct proa_event joined = {
    .number = 1, .kind = PROA_EVENT_NODE_JOINED, .node = FAR_NODE, .text = "there"};

static void events__reach_those_who_want_them(void **state)
{
    (void)state;
    sched_event_told(w->lane[0].s, &joined); /* nobody wants any: control is told again */
    assert_wanted(0);
    in(w, a, events_on, NULL);
    assert_int_equal(events_outcome, PROA_OK);
    assert_wanted(1);
    in(w, a, events_on, NULL); /* twice is once */
    assert_int_equal(events_outcome, PROA_OK);
    sched_event_told(w->lane[0].s, &joined);
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 1);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->signal, PROA_SIGNAL_EVENT);
    assert_int_equal(count_of(&b_log, SIGNAL), 0);
    in(w, a, events_off, NULL);
    assert_wanted(0);
    sched_event_told(w->lane[0].s, &joined);
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 1);
}

static struct proa_event seen;

static void keep_event(struct proa_actor *self, const struct proa_signal *signal)
{
    (void)self;
    seen = *signal->event;
}

static void events__carry_the_event(void **state)
{
    static const struct proa_behaviour watcher = {.type_name = "watcher",
                                                  .signal = keep_event};
    struct proa_ref ref;

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, &watcher, NULL, 0, &ref), PROA_OK);
    in(w, ref, events_on, NULL);
    sched_event_told(w->lane[0].s, &joined);
    world_settle(w);
    assert_memory_equal(&seen, &joined, sizeof(joined));
}

static void events__end_with_the_life(void **state)
{
    (void)state;
    in(w, a, events_on, NULL);
    assert_wanted(1);
    stop(w, a);
    world_settle(w);
    sched_event_told(w->lane[0].s, &joined);
    assert_wanted(0);
    assert_int_equal(STAT(w, 0, signals_dropped), 0);
}

static void events__are_bounded_and_the_dead_make_room(void **state)
{
    struct proa_ref all[PROA_EVENTS_ACTORS_MAX];

    (void)state;
    for (unsigned i = 0; i < PROA_EVENTS_ACTORS_MAX; i++) {
        all[i] = spawn(w, 0, &b_log);
        in(w, all[i], events_on, NULL);
        assert_int_equal(events_outcome, PROA_OK);
        assert_wanted(1);
    }
    in(w, a, events_on, NULL);
    assert_int_equal(events_outcome, PROA_LIMIT);
    stop(w, all[7]);
    world_settle(w);
    in(w, a, events_on, NULL);
    assert_int_equal(events_outcome, PROA_OK);
}

static void events__say_again_when_the_ring_up_is_full(void **state)
{
    uint8_t much[1000] = {0};

    (void)state;
    while (byte_ring_push(w->lane[0].up, PUNT_DATAGRAM, much, sizeof(much), NULL, 0))
        ;
    while (byte_ring_push(w->lane[0].up, PUNT_DATAGRAM, NULL, 0, NULL, 0))
        ;
    in(w, a, events_on, NULL);
    assert_int_equal(events_outcome, PROA_AGAIN);
    while (byte_ring_peek(w->lane[0].up) != NULL)
        byte_ring_pop(w->lane[0].up);
    in(w, a, events_on, NULL);
    assert_int_equal(events_outcome, PROA_OK);
}

static void event__of_an_actor_goes_up_or_is_counted(void **state)
{
    struct punt_event event = {.kind = PROA_EVENT_ACTOR_FAILED,
                               .slot = a.slot,
                               .generation = a.generation,
                               .code = -3,
                               .text = "probe"};
    struct punt_event came;
    uint32_t got = 0;

    (void)state;
    for (int i = 0; i < 200; i++)
        sched_event(w->lane[0].s, &event);
    for (; byte_ring_peek(notes) != NULL; got++) {
        take(PUNT_EVENT, &came, sizeof(came));
        assert_memory_equal(&came, &event, sizeof(event));
    }
    assert_true(got > 10);
    assert_int_equal(got + STAT(w, 0, events_lost), 200);
}

/* ---- As text ---- */

#define SOMEBODY                                                                         \
    {                                                                                    \
        0x1111222233334444u, 2u << 24 | 7, 0xabcdu                                       \
    }

#define WALL 1700000000123u /* 2023-11-14T22:13:20.123Z */

static const struct {
    struct proa_event event;
    const char *text;
} event_rows[] = {
    {{.kind = PROA_EVENT_NODE_JOINED, .node = 0xab, .text = "10.0.0.1:7400"},
     "node-joined 00000000000000ab 10.0.0.1:7400"},
    {{.kind = PROA_EVENT_NODE_LEFT, .node = 0xab, .text = "said good-bye"},
     "node-left 00000000000000ab said good-bye"},
    {{.kind = PROA_EVENT_NODE_DEAD, .node = 0xab, .text = "silent"},
     "node-dead 00000000000000ab silent"},
    {{.kind = PROA_EVENT_LINK_UP, .node = 0xab, .lane = 3, .text = "10.0.0.1:7400"},
     "link-up 00000000000000ab lane 3 10.0.0.1:7400"},
    {{.kind = PROA_EVENT_LINK_DEAD, .node = 0xab, .lane = 3, .text = "silent"},
     "link-dead 00000000000000ab lane 3 silent"},
    {{.kind = PROA_EVENT_LINK_CLOSED, .node = 0xab, .lane = 0, .text = "idle"},
     "link-closed 00000000000000ab lane 0 idle"},
    {{.kind = PROA_EVENT_NAME_LOST, .node = 0xab, .actor = SOMEBODY, .text = "a b\x1b%"},
     "name-lost a%20b%1b%25 of 1111222233334444/2.7/0000abcd to node "
     "00000000000000ab"},
    {{.kind = PROA_EVENT_LANE_STUCK,
      .lane = 1,
      .actor = SOMEBODY,
      .type = 5,
      .span = 150 * PROA_MS},
     "lane-stuck lane 1 actor 1111222233334444/2.7/0000abcd type 5 150 ms"},
    {{.kind = PROA_EVENT_LANE_STUCK, .type = PROA_EVENT_NO_TYPE, .span = 100 * PROA_MS},
     "lane-stuck lane 0 actor - 100 ms"},
    {{.kind = PROA_EVENT_LANE_FREE, .lane = 1, .span = 2 * PROA_S},
     "lane-free lane 1 2000 ms"},
    {{.kind = PROA_EVENT_DROPS, .count = 12, .text = "lane_punt_full"},
     "drops lane_punt_full 12"},
    {{.kind = PROA_EVENT_DEAD_LETTERS, .count = 3, .outcome = PROA_IN_DOUBT},
     "dead-letters 3: in doubt"},
    {{.kind = PROA_EVENT_ACTOR_FAILED, .actor = SOMEBODY, .code = -2, .text = "shop"},
     "actor-failed 1111222233334444/2.7/0000abcd code -2 shop"},
    {{.kind = PROA_EVENT_RESTART_LIMIT, .actor = SOMEBODY, .code = 7, .text = "boss"},
     "restart-limit 1111222233334444/2.7/0000abcd code 7 boss"},
    {{.kind = PROA_EVENT_REGISTRY_LINKED, .node = 0xab, .text = "10.0.0.2:7400"},
     "registry-linked 00000000000000ab 10.0.0.2:7400"},
    {{.kind = PROA_EVENT_REGISTRY_UNLINKED, .node = 0xab, .text = "removed"},
     "registry-unlinked 00000000000000ab removed"},
    {{.kind = PROA_EVENT_REGISTRY_REFUSED, .node = 0xab, .text = "10.0.0.2:7400"},
     "registry-refused 00000000000000ab 10.0.0.2:7400"},
    {{.kind = PROA_EVENT_NEIGHBOUR_SILENT, .text = "10.0.0.2:7400"},
     "neighbour-silent 0000000000000000 10.0.0.2:7400"},
    {{.kind = PROA_EVENT_PUBLISH_LIMIT, .actor = SOMEBODY, .count = 65536, .text = "a b"},
     "publish-limit 1111222233334444/2.7/0000abcd of 65536 a%20b"},
    {{.kind = PROA_EVENT_LOST, .count = 9}, "lost 9 events"},
};

static void event_print__every_kind(void **state)
{
    bool there[PROA_EVENT_COUNT] = {false};

    (void)state;
    for (unsigned i = 0; i < sizeof(event_rows) / sizeof(event_rows[0]); i++) {
        struct proa_event event = event_rows[i].event;
        char text[256], wanted[256];

        event.wall_ms = WALL;
        there[event.kind] = true;
        snprintf(wanted, sizeof(wanted), "2023-11-14T22:13:20.123Z %s",
                 event_rows[i].text);
        assert_int_equal(proa_event_print(&event, text, sizeof(text)), strlen(wanted));
        assert_string_equal(text, wanted);
    }
    for (unsigned kind = 0; kind < PROA_EVENT_COUNT; kind++)
        assert_true(there[kind]);
    assert_string_equal(proa_event_name(PROA_EVENT_COUNT), "?");
}

static void event_print__is_cut_to_any_length(void **state)
{
    struct proa_event event = {
        .kind = PROA_EVENT_NAME_LOST, .wall_ms = WALL, .text = "\x01\x02\x03"};
    char whole[256], part[256];
    size_t len = proa_event_print(&event, whole, sizeof(whole));

    (void)state;
    for (size_t cap = 0; cap <= len + 1; cap++) {
        memset(part, '~', sizeof(part));
        size_t got = proa_event_print(&event, part, cap);

        assert_true(cap == 0 ? got == 0 : got < cap);
        assert_memory_equal(part, whole, got);
        if (cap > 0)
            assert_int_equal(part[got], '\0');
        assert_int_equal(part[cap], '~');
    }
}

static void log_print__shows_who_and_moves_no_cursor(void **state)
{
    struct proa_log_line line = {.wall_ms = WALL,
                                 .level = PROA_LOG_ERROR,
                                 .lane = 2,
                                 .actor = SOMEBODY,
                                 .type_name = "shop",
                                 .text = "sold \x1b[2J 5 %",
                                 .len = 13};
    char text[256];

    (void)state;
    proa_log_print(&line, text, sizeof(text));
    assert_string_equal(text, "2023-11-14T22:13:20.123Z error lane 2 "
                              "1111222233334444/2.7/0000abcd shop: sold %1b[2J 5 %");
    assert_string_equal(proa_log_level_name(PROA_LOG_DEBUG), "debug");
    assert_string_equal(proa_log_level_name(PROA_LOG_LEVEL_COUNT), "?");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(dead_letter__says_who_to_whom_what_and_why),
        CASE(dead_letter__of_a_sender_that_is_gone_is_told_too),
        CASE(dead_letter__of_nobody_has_no_sender),
        CASE(dead_letter__asks_are_none),
        CASE(dead_letter__without_room_is_counted),
        CASE(dead_letter__without_a_ring_is_only_counted),
        CASE(log__line_has_its_writer),
        CASE(log__long_line_is_cut),
        CASE(log__level_is_filtered_where_it_is_written),
        CASE(log__full_ring_drops_and_counts),
        CASE(events__reach_those_who_want_them),
        CASE(events__carry_the_event),
        CASE(events__end_with_the_life),
        CASE(events__are_bounded_and_the_dead_make_room),
        CASE(events__say_again_when_the_ring_up_is_full),
        CASE(event__of_an_actor_goes_up_or_is_counted),
        cmocka_unit_test(event_print__every_kind),
        cmocka_unit_test(event_print__is_cut_to_any_length),
        cmocka_unit_test(log_print__shows_who_and_moves_no_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
