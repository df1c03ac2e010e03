/* SPDX-License-Identifier: Apache-2.0 */
/* The hub: what the core sees happen, and who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core_net.h"
#include "lane.h"

#define KEPT 8192

struct heard {
    struct proa_event events[KEPT];
    unsigned count;
};

static struct heard heard[3];

static void hear(void *ctx, const struct proa_event *event)
{
    struct heard *h = ctx;

    assert_true(h->count < KEPT);
    h->events[h->count++] = *event;
}

static const struct proa_event *nth(const struct heard *h, enum proa_event_kind kind,
                                    unsigned n)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->events[i].kind == kind && n-- == 0)
            return &h->events[i];
    }
    return NULL;
}

static unsigned count_of(const struct heard *h, enum proa_event_kind kind)
{
    unsigned n = 0;

    while (nth(h, kind, n) != NULL)
        n++;
    return n;
}

/* Two nodes that listen to events from their first moment. */
static struct net *pair(uint64_t seed)
{
    struct net *net = net_create(2, seed);

    memset(heard, 0, sizeof(heard));
    net_add(net, -1);
    core_on_event(net->nodes[0].core, hear, &heard[0]);
    net_add(net, 0);
    core_on_event(net->nodes[1].core, hear, &heard[1]);
    net_run(net, PROA_S);
    return net;
}

static void node__joined_once_and_left(void **state)
{
    struct net *net = pair(1);
    uint64_t other = net_id(net, 1);

    (void)state;
    net_run(net, 3 * PROA_S);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_NODE_JOINED), 1);
    assert_int_equal(nth(&heard[0], PROA_EVENT_NODE_JOINED, 0)->node, other);
    assert_string_equal(nth(&heard[0], PROA_EVENT_NODE_JOINED, 0)->text, "10.0.0.2:7400");
    assert_int_equal(count_of(&heard[1], PROA_EVENT_NODE_JOINED), 1);
    net_need_link(net, 0, 0, other);
    net_run(net, 50 * PROA_MS);
    core_leave(net->nodes[1].core, net->now);
    net_run(net, PROA_S);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_NODE_LEFT), 1);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_NODE_DEAD), 0);
    net_destroy(net);
}

static void link__up_and_ended(void **state)
{
    struct net *net = pair(2);
    uint64_t other = net_id(net, 1);
    const struct proa_event *event;

    (void)state;
    net_need_link(net, 0, 1, other);
    net_run(net, 50 * PROA_MS);
    event = nth(&heard[0], PROA_EVENT_LINK_UP, 0);
    assert_non_null(event);
    assert_int_equal(event->node, other);
    assert_int_equal(event->lane, 1);
    net_link_report(net, 0, net_link(net, 0, 1, other), PUNT_LINK_ENDED, LINK_END_IDLE);
    net_run(net, 50 * PROA_MS);
    event = nth(&heard[0], PROA_EVENT_LINK_CLOSED, 0);
    assert_non_null(event);
    assert_string_equal(event->text, "idle");
    /* Over there it was ended by our CLOSE. */
    assert_int_equal(count_of(&heard[1], PROA_EVENT_LINK_DEAD), 1);
    net_destroy(net);
}

static void node__dead_and_back_is_joined_again(void **state)
{
    struct net *net = pair(3);
    uint64_t other = net_id(net, 1);
    struct net_link *link;

    (void)state;
    net_need_link(net, 0, 0, other);
    net_run(net, 50 * PROA_MS);
    link = net_link(net, 0, 0, other);
    net->cut[0][1] = net->cut[1][0] = true;
    net_run(net, 2 * PROA_S);
    net_link_report(net, 0, link, PUNT_LINK_ENDED, LINK_END_SILENT);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_LINK_DEAD), 1);
    assert_string_equal(nth(&heard[0], PROA_EVENT_LINK_DEAD, 0)->text, "silent");
    assert_int_equal(count_of(&heard[0], PROA_EVENT_NODE_DEAD), 1);
    assert_int_equal(nth(&heard[0], PROA_EVENT_NODE_DEAD, 0)->node, other);
    net->cut[0][1] = net->cut[1][0] = false;
    net_run(net, 120 * PROA_S);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_NODE_JOINED), 2);
    net_destroy(net);
}

static void node__restarted_is_dead_and_another_joined(void **state)
{
    struct net *net = pair(4);
    uint64_t before = net_id(net, 1);

    (void)state;
    net_stop(net, 1);
    net_start(net, 1, 0);
    net_run(net, 2 * PROA_S);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_NODE_DEAD), 1);
    assert_int_equal(nth(&heard[0], PROA_EVENT_NODE_DEAD, 0)->node, before);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_NODE_JOINED), 2);
    assert_int_equal(nth(&heard[0], PROA_EVENT_NODE_JOINED, 1)->node, net_id(net, 1));
    net_destroy(net);
}

/* ---- Drops ---- */

static void drops__once_a_second_with_their_count(void **state)
{
    static struct lane_stats lanes[2];
    static struct sched_stats scheds[2];
    struct net *net = pair(5);
    struct core *core = net->nodes[0].core;
    unsigned n;

    (void)state;
    memset(lanes, 0, sizeof(lanes));
    memset(scheds, 0, sizeof(scheds));
    for (unsigned i = 0; i < 2; i++)
        core_watch_lane(core, i, &lanes[i], &scheds[i]);
    n = count_of(&heard[0], PROA_EVENT_DROPS);
    net_run(net, 3 * PROA_S);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_DROPS), n);
    atomic_store(&lanes[0].punt_full, 5);
    atomic_store(&lanes[1].punt_full, 6);
    atomic_store(&scheds[1].log_dropped, 1);
    net_run(net, 1100 * PROA_MS);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_DROPS), n + 2);
    assert_string_equal(nth(&heard[0], PROA_EVENT_DROPS, n)->text, "lane_punt_full");
    assert_int_equal(nth(&heard[0], PROA_EVENT_DROPS, n)->count, 11);
    assert_string_equal(nth(&heard[0], PROA_EVENT_DROPS, n + 1)->text,
                        "actors_log_dropped");
    /* A counter that grows all the time is one event a second. */
    for (unsigned i = 0; i < 300; i++) {
        atomic_fetch_add(&lanes[0].punt_full, 1);
        net_run(net, 10 * PROA_MS);
    }
    net_run(net, 1100 * PROA_MS);
    unsigned more = count_of(&heard[0], PROA_EVENT_DROPS) - n - 2;
    uint64_t sum = 0;
    for (unsigned i = 0; i < more; i++)
        sum += nth(&heard[0], PROA_EVENT_DROPS, n + 2 + i)->count;
    assert_true(more >= 3 && more <= 5);
    assert_int_equal(sum, 300);
    net_destroy(net);
}

static void drops__of_datagrams_nobody_wants(void **state)
{
    struct net *net = pair(6);
    uint8_t junk[64] = {0x40}; /* a keyed packet without its key */

    (void)state;
    net_datagram(net, 0, 0, &net->nodes[1].addr, junk, sizeof(junk));
    net_run(net, 1100 * PROA_MS);
    assert_true(count_of(&heard[0], PROA_EVENT_DROPS) > 0);
    assert_memory_equal(nth(&heard[0], PROA_EVENT_DROPS, 0)->text, "control_keyed_", 14);
    net_destroy(net);
}

static void dead_letters__once_a_second_by_reason(void **state)
{
    static struct lane_stats lane;
    static struct sched_stats sched;
    struct net *net = pair(7);
    const struct proa_event *event;

    (void)state;
    memset(&lane, 0, sizeof(lane));
    memset(&sched, 0, sizeof(sched));
    core_watch_lane(net->nodes[0].core, 1, &lane, &sched);
    atomic_store(&sched.dead_letters[PROA_REFUSED_FULL], 40);
    atomic_store(&sched.dead_letters[PROA_IN_DOUBT], 2);
    net_run(net, 2100 * PROA_MS);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_DEAD_LETTERS), 2);
    event = nth(&heard[0], PROA_EVENT_DEAD_LETTERS, 0);
    assert_int_equal(event->outcome, PROA_REFUSED_FULL);
    assert_int_equal(event->count, 40);
    event = nth(&heard[0], PROA_EVENT_DEAD_LETTERS, 1);
    assert_int_equal(event->outcome, PROA_IN_DOUBT);
    net_destroy(net);
}

/* ---- Readers ---- */

static void add_some(struct core *core, unsigned count)
{
    struct proa_event event = {.kind = PROA_EVENT_LANE_FREE};

    for (unsigned i = 0; i < count; i++) {
        event.count = i;
        core_event(core, &event);
    }
}

static void readers__numbers_go_up_by_one(void **state)
{
    struct net *net = pair(8);

    (void)state;
    add_some(net->nodes[0].core, 500);
    net_run(net, PROA_S);
    assert_true(heard[0].count > 500);
    for (unsigned i = 0; i < heard[0].count; i++) {
        assert_int_equal(heard[0].events[i].number, i + 1);
        assert_true(heard[0].events[i].at > 0);
        assert_true(heard[0].events[i].wall_ms > 1700000000000u);
    }
    net_destroy(net);
}

static void readers__who_falls_behind_is_told_how_far(void **state)
{
    struct net *net = pair(9);
    struct core *core = net->nodes[0].core;
    unsigned before = heard[0].count;
    uint64_t next = 0;
    struct proa_event some[10];

    (void)state;
    add_some(core, PROA_EVENTS_KEPT + 100);
    net_run(net, PROA_S);
    assert_int_equal(heard[0].events[before].kind, PROA_EVENT_LOST);
    assert_int_equal(heard[0].events[before].count, 100);
    assert_int_equal(heard[0].events[before].number, before + 100);
    assert_int_equal(heard[0].events[before + 1].number, before + 101);
    assert_int_equal(heard[0].count - before, 1 + PROA_EVENTS_KEPT);
    /* Another reader, at its own pace. */
    assert_int_equal(core_events(core, &next, some, 10), 10);
    assert_int_equal(some[0].kind, PROA_EVENT_LANE_FREE);
    assert_int_equal(next, some[9].number + 1);
    next = 1;
    assert_int_equal(core_events(core, &next, some, 10), 10);
    assert_int_equal(some[0].kind, PROA_EVENT_LOST);
    assert_int_equal(some[1].number, some[0].number + 1);
    next = heard[0].events[heard[0].count - 1].number + 1;
    assert_int_equal(core_events(core, &next, some, 10), 0);
    net_destroy(net);
}

static void readers__a_new_function_hears_what_comes_now(void **state)
{
    struct net *net = pair(10);
    struct core *core = net->nodes[0].core;

    (void)state;
    assert_true(heard[0].count > 0);
    core_on_event(core, hear, &heard[2]);
    unsigned before = heard[0].count;
    add_some(core, 3);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(heard[0].count, before);
    assert_int_equal(heard[2].count, 3);
    core_on_event(core, NULL, NULL);
    add_some(core, 3);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(heard[2].count, 3);
    net_destroy(net);
}

/* ---- Lanes ---- */

static void lanes__are_told_while_they_want(void **state)
{
    struct net *net = pair(11);
    struct core *core = net->nodes[0].core;
    const uint32_t yes = 1, no = 0;

    (void)state;
    add_some(core, 2);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_EVENT_TOLD, 0), 0);
    net_push(net, 0, 1, PUNT_EVENTS_WANTED, &yes, sizeof(yes), NULL, 0);
    net_run(net, 10 * PROA_MS);
    add_some(core, 3);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_EVENT_TOLD, 0), 3);
    assert_int_equal(net_said(net, 0, PUNT_EVENT_TOLD, 0)->lane, 1);
    net_push(net, 0, 1, PUNT_EVENTS_WANTED, &no, sizeof(no), NULL, 0);
    net_run(net, 10 * PROA_MS);
    add_some(core, 3);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_EVENT_TOLD, 0), 3);
    net_destroy(net);
}

static void lanes__that_do_not_read_get_the_rest_later(void **state)
{
    struct net *net = pair(12);
    struct core *core = net->nodes[0].core;
    const uint32_t yes = 1;
    struct punt_datagram head = {.peer = net->nodes[1].addr, .port = 0xff};
    uint8_t junk[4096] = "d";
    unsigned before;

    (void)state;
    net_push(net, 0, 0, PUNT_EVENTS_WANTED, &yes, sizeof(yes), NULL, 0);
    net_run(net, 10 * PROA_MS);
    before = net_said_count(net, 0, PUNT_EVENT_TOLD, 0);
    core_on_event(core, NULL, NULL);
    net->nodes[0].frozen = true;
    while (byte_ring_push(net->nodes[0].config.down[0], PUNT_SEND, &head, sizeof(head),
                          junk, sizeof(junk)))
        ;
    for (unsigned i = 0; i < 3; i++) {
        add_some(core, PROA_EVENTS_KEPT);
        net_run(net, 10 * PROA_MS);
    }
    net->nodes[0].frozen = false;
    net_run(net, 200 * PROA_MS);
    /* One that the outlet kept, LOST, and the last ones. */
    unsigned told = net_said_count(net, 0, PUNT_EVENT_TOLD, 0) - before;
    assert_in_range(told, PROA_EVENTS_KEPT + 2, PROA_EVENTS_KEPT + 40);
    assert_int_equal(net_stats(net, 0).down_full, 0);
    net_destroy(net);
}

/* ---- Notes ---- */

static unsigned letters, lines;

static void on_letter(void *ctx, const struct proa_dead_letter *letter)
{
    (void)ctx;
    assert_int_equal(letter->count, 4);
    letters++;
}

static void on_line(void *ctx, const struct proa_log_line *line)
{
    (void)ctx;
    assert_int_equal(line->lane, 1);
    assert_string_equal(line->text, "hello");
    assert_int_equal(line->len, 5);
    assert_string_equal(line->type_name, "greeter");
    assert_true(line->wall_ms > 1700000000000u);
    lines++;
}

static void notes__reach_their_functions(void **state)
{
    struct net *net = net_create(2, 13);
    struct byte_ring *ring = byte_ring_create(1u << 16);
    struct proa_dead_letter letter = {.count = 4};
    struct punt_log head = {.type_name = "greeter", .len = 5};
    struct punt_event event = {
        .kind = PROA_EVENT_ACTOR_FAILED, .slot = 9, .generation = 4, .text = "shop"};

    (void)state;
    memset(heard, 0, sizeof(heard));
    letters = lines = 0;
    net_add(net, -1);
    struct core_config config = net->nodes[0].config;
    config.notes[1] = ring;
    struct core *core = core_create(&config, net->now, net_wall(net));
    assert_non_null(core);
    core_on_event(core, hear, &heard[0]);
    core_on_dead_letter(core, on_letter, NULL);
    core_on_log(core, on_line, NULL);
    for (unsigned i = 0; i < 300; i++) {
        assert_true(
            byte_ring_push(ring, PUNT_DEAD_LETTER, &letter, sizeof(letter), NULL, 0));
        head.at = net->now;
        assert_true(byte_ring_push(ring, PUNT_LOG, &head, sizeof(head), "hello", 6));
    }
    assert_true(byte_ring_push(ring, PUNT_EVENT, &event, sizeof(event), NULL, 0));
    core_step(core, net->now, net_wall(net));
    assert_true(letters + lines > 200 && letters + lines < 600); /* a bounded step */
    assert_int_equal(core_deadline(core), 0);
    for (unsigned i = 0; i < 3; i++)
        core_step(core, net->now, net_wall(net));
    assert_int_equal(letters, 300);
    assert_int_equal(lines, 300);
    assert_int_equal(count_of(&heard[0], PROA_EVENT_ACTOR_FAILED), 1);
    assert_int_equal(nth(&heard[0], PROA_EVENT_ACTOR_FAILED, 0)->actor.slot, 9);
    assert_string_equal(nth(&heard[0], PROA_EVENT_ACTOR_FAILED, 0)->text, "shop");
    core_destroy(core);
    byte_ring_destroy(ring);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node__joined_once_and_left),
        cmocka_unit_test(link__up_and_ended),
        cmocka_unit_test(node__dead_and_back_is_joined_again),
        cmocka_unit_test(node__restarted_is_dead_and_another_joined),
        cmocka_unit_test(drops__once_a_second_with_their_count),
        cmocka_unit_test(drops__of_datagrams_nobody_wants),
        cmocka_unit_test(dead_letters__once_a_second_by_reason),
        cmocka_unit_test(readers__numbers_go_up_by_one),
        cmocka_unit_test(readers__who_falls_behind_is_told_how_far),
        cmocka_unit_test(readers__a_new_function_hears_what_comes_now),
        cmocka_unit_test(lanes__are_told_while_they_want),
        cmocka_unit_test(lanes__that_do_not_read_get_the_rest_later),
        cmocka_unit_test(notes__reach_their_functions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
