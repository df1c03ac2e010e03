/* SPDX-License-Identifier: Apache-2.0 */
/* Clients in the lanes' own thread: waiting runs the lanes and moves the time. */
#include "sched_world.h"

#include <poll.h>

#include "client_home.h"
#include "client_ring.h"

static struct world *w;
static struct client_home home;
static struct log a_log, b_log;
static struct proa_ref a, b;
static struct proa_client *client;
static enum proa_outcome name_outcome; /* what the control thread will say */
static struct proa_ref name_ref;
static uint32_t name_calls;
static struct punt_name last_name;

static proa_ns clock_of_world(void *ctx)
{
    (void)ctx;
    return w->now;
}

/* The control thread: answers every registry call. */
static void control(uint32_t lane)
{
    const struct byte_record *r;

    while ((r = byte_ring_peek(w->lane[lane].up)) != NULL) {
        if (r->kind == PUNT_NAME) {
            struct punt_answer answer = {.outcome = name_outcome, .ref = name_ref};

            memcpy(&last_name, r->body, sizeof(last_name));
            answer.correlation = last_name.correlation;
            answer.slot = last_name.slot;
            name_calls++;
            if (name_outcome != PROA_TIMEOUT) /* else it stays silent */
                sched_name_answer(w->lane[lane].s, &answer,
                                  (const char *)r->body + sizeof(last_name),
                                  last_name.len);
        }
        byte_ring_pop(w->lane[lane].up);
    }
}

static void pump(void *ctx)
{
    (void)ctx;
    w->now += 10 * PROA_US;
    for (uint32_t i = 0; i < w->lanes; i++) {
        lane_loop(w, i);
        control(i);
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    name_outcome = PROA_OK;
    name_calls = 0;
    w = world_make(2, NULL);
    home = (struct client_home){
        .node = WORLD_NODE, .lanes = 2, .clock = clock_of_world, .pump = pump};
    for (uint32_t i = 0; i < 2; i++)
        home.inboxes[i] = w->lane[i].inbox;
    a = spawn(w, 0, &a_log);
    b = spawn(w, 1, &b_log);
    assert_int_equal(client_open(&home, &client), PROA_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    proa_client_close(client);
    world_settle(w);
    assert_int_equal(atomic_load(&home.clients), 0);
    assert_int_equal(STAT(w, 0, clients) + STAT(w, 1, clients), 0);
    assert_int_equal(STAT(w, 0, malformed) + STAT(w, 1, malformed), 0);
    assert_clean(w);
    world_free(w);
    return 0;
}

static void open__has_a_reference_on_its_home_lane(void **state)
{
    struct proa_client *second;

    (void)state;
    assert_int_equal(proa_client_ref(client).node, WORLD_NODE);
    assert_int_equal(proa_ref_lane(proa_client_ref(client)), 0);
    assert_int_equal(client_open(&home, &second), PROA_OK);
    assert_int_equal(proa_ref_lane(proa_client_ref(second)), 1); /* lanes in turn */
    assert_int_equal(STAT(w, 0, clients) + STAT(w, 1, clients), 2);
    proa_client_close(second);
    proa_client_close(NULL);
}

static void open__is_bounded_and_refused_by_a_leaving_node(void **state)
{
    struct proa_client *clients[PROA_CLIENTS_MAX], *more;

    (void)state;
    for (int i = 1; i < PROA_CLIENTS_MAX; i++)
        assert_int_equal(client_open(&home, &clients[i]), PROA_OK);
    assert_int_equal(client_open(&home, &more), PROA_LIMIT);
    for (int i = 1; i < PROA_CLIENTS_MAX; i++)
        proa_client_close(clients[i]);
    atomic_store(&home.stopped, true);
    assert_int_equal(client_open(&home, &more), PROA_STOPPED);
    assert_int_equal(proa_client_tell(client, a, NOTE, NULL, 0), PROA_STOPPED);
    atomic_store(&home.stopped, false);
    sched_drain(w->lane[0].s);
    sched_drain(w->lane[1].s);
    assert_int_equal(client_open(&home, &more), PROA_STOPPED);
    assert_int_equal(atomic_load(&home.clients), 1);
}

static void tell__arrives_in_order_on_any_lane(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(proa_client_tell(client, a, NOTE, &i, sizeof(i)), PROA_OK);
        assert_int_equal(proa_client_tell(client, b, NOTE, &i, sizeof(i)), PROA_OK);
    }
    world_settle(w);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(nth(&a_log, GOT, i)->value, i);
        assert_int_equal(nth(&b_log, GOT, i)->value, i);
        assert_true(proa_ref_equal(nth(&b_log, GOT, i)->from, proa_client_ref(client)));
    }
}

static void tell__says_at_once_what_the_thread_can_know(void **state)
{
    static uint8_t big[PROA_CLIENT_MSG_MAX + 1];
    struct proa_ref stale = a;
    uint32_t sent = 0;

    (void)state;
    assert_int_equal(proa_client_tell(client, proa_ref_none(), NOTE, NULL, 0),
                     PROA_INVALID);
    assert_int_equal(proa_client_tell(client, a, PROA_TYPE_SYSTEM, NULL, 0),
                     PROA_INVALID);
    assert_int_equal(proa_client_tell(client, a, NOTE, big, sizeof(big)), PROA_TOO_LARGE);
    assert_int_equal(proa_client_tell(client, a, NOTE, big, sizeof(big) - 1), PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&a_log, GOT, 0)->len, PROA_CLIENT_MSG_MAX);
    while (proa_client_tell(client, a, NOTE, NULL, 0) == PROA_OK)
        sent++;
    assert_int_equal(sent, 64); /* the inbox */
    world_settle(w);
    stale.generation++;
    assert_int_equal(proa_client_tell(client, stale, NOTE, NULL, 0), PROA_OK);
    world_settle(w);
    assert_true(STAT(w, 0, undelivered_nobody) > 0); /* counted, as the header says */
    assert_int_equal(STAT(w, 0, refused[PROA_NO_SUCH_ACTOR]), 1);
}

static void ask__blocks_until_the_outcome(void **state)
{
    uint64_t value = 42, got = 0;
    size_t len = 0;
    struct proa_ref stale = b, far = {FAR_NODE, 1, 1};

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(proa_client_ask(client, i ? a : b, ECHO, &value, sizeof(value),
                                         PROA_S, &got, sizeof(got), &len),
                         PROA_OK);
        assert_int_equal(got, 42);
        assert_int_equal(len, 8);
        got = 0;
    }
    assert_int_equal(
        proa_client_ask(client, b, ECHO, &value, sizeof(value), PROA_S, &got, 4, &len),
        PROA_OK);
    assert_int_equal(got, 42); /* four bytes of it */
    assert_int_equal(len, 8);
    assert_int_equal(proa_client_ask(client, b, ECHO, NULL, 0, PROA_S, NULL, 0, NULL),
                     PROA_OK);
    assert_int_equal(proa_client_ask(client, b, SILENT, NULL, 0, PROA_S, NULL, 0, NULL),
                     PROA_NO_REPLY);
    stale.generation++;
    assert_int_equal(proa_client_ask(client, stale, ECHO, NULL, 0, PROA_S, NULL, 0, NULL),
                     PROA_REFUSED_NO_ACTOR);
    stale = a;
    stale.generation++;
    assert_int_equal(proa_client_ask(client, stale, ECHO, NULL, 0, PROA_S, NULL, 0, NULL),
                     PROA_NO_SUCH_ACTOR);
    w->send_outcome = PROA_NO_ROUTE;
    assert_int_equal(proa_client_ask(client, far, ECHO, NULL, 0, PROA_S, NULL, 0, NULL),
                     PROA_NO_ROUTE);
    assert_int_equal(proa_client_ask(client, a, ECHO, NULL, 0, 0, NULL, 0, NULL),
                     PROA_INVALID);
}

static void ask__deadline_ends_it_and_the_late_answer_is_dropped(void **state)
{
    uint64_t value = 1, got = 0;
    proa_ns before = w->now;

    (void)state;
    assert_int_equal(proa_client_ask(client, b, LATER, &value, sizeof(value), PROA_MS,
                                     &got, sizeof(got), NULL),
                     PROA_MAYBE_EXECUTED);
    assert_in_range(w->now - before, PROA_MS, 2 * PROA_MS);
    value = 2;
    assert_int_equal(proa_client_ask(client, b, ECHO, &value, sizeof(value), PROA_S, &got,
                                     sizeof(got), NULL),
                     PROA_OK);
    assert_int_equal(got, 2);
    world_advance(w, 2 * PROA_S);
}

static void ask__large_answers(void **state)
{
    static uint8_t data[PROA_CLIENT_MSG_MAX], got[PROA_CLIENT_MSG_MAX];
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 5);
    assert_int_equal(proa_client_ask(client, b, ECHO, data, sizeof(data), PROA_S, got,
                                     sizeof(got), &len),
                     PROA_OK);
    assert_int_equal(len, sizeof(data));
    assert_memory_equal(data, got, sizeof(data));
}

static void ask_start__answers_are_taken_by_id(void **state)
{
    struct proa_client_event event;
    uint32_t ids[20];
    uint64_t value, got = 0;
    bool seen[20] = {false};

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        value = i;
        assert_int_equal(proa_client_ask_start(client, i % 2 ? a : b, ECHO, &value,
                                               sizeof(value), PROA_S, &ids[i]),
                         PROA_OK);
    }
    value = 1000; /* a blocking call meets their answers on its way */
    assert_int_equal(proa_client_ask(client, b, ECHO, &value, sizeof(value), PROA_S, &got,
                                     sizeof(got), NULL),
                     PROA_OK);
    assert_int_equal(got, 1000);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t n = 0;

        assert_int_equal(proa_client_take(client, PROA_S, &event), PROA_OK);
        assert_true(event.is_answer);
        while (ids[n] != event.id)
            assert_true(++n < 20);
        assert_false(seen[n]);
        seen[n] = true;
        /* 20 asks and mailboxes of 8: some are refused, and say so. */
        if (event.outcome == PROA_OK)
            assert_int_equal(*(const uint64_t *)event.data, n);
        else
            assert_true(event.outcome == PROA_REFUSED_FULL || event.outcome == PROA_FULL);
    }
    assert_int_equal(proa_client_take(client, 0, &event), PROA_TIMEOUT);
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
    world_advance(w, PROA_MS);
}

static void take__gets_tells_sent_to_the_client(void **state)
{
    struct proa_client_event event;
    uint64_t value = 9;

    (void)state;
    assert_int_equal(tell(w, a, proa_client_ref(client), 7, 5), PROA_OK);
    assert_int_equal(tell(w, b, proa_client_ref(client), 8, 6), PROA_OK);
    world_settle(w);
    /* A blocking call does not lose them, nor wait for them. */
    assert_int_equal(
        proa_client_ask(client, b, ECHO, &value, sizeof(value), PROA_S, NULL, 0, NULL),
        PROA_OK);
    assert_int_equal(proa_client_take(client, 0, &event), PROA_OK);
    assert_false(event.is_answer);
    assert_int_equal(event.type, 7);
    assert_int_equal(*(const uint64_t *)event.data, 5);
    assert_true(proa_ref_equal(event.from, a));
    assert_int_equal(proa_client_take(client, 0, &event), PROA_OK);
    assert_int_equal(event.type, 8);
    assert_int_equal(ask(w, a, proa_client_ref(client), ECHO, 0, 1), PROA_OK);
    world_settle(w);
    assert_answer(&a_log, 0, 1, PROA_REFUSED_UNKNOWN_TYPE); /* a client answers no asks */
}

/* A client that does not read fills its ring, then its mailbox; then tells are refused, and
   nothing else suffers. */
static void take__slow_client_is_bounded_and_stops_nobody(void **state)
{
    static uint8_t data[2000];
    struct proa_client_event event;
    uint32_t told = 0, taken = 0;
    uint64_t value = 3, got = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        enum proa_outcome outcome =
            tell_data(w, a, proa_client_ref(client), 7, data, sizeof(data));

        if (outcome == PROA_FULL)
            break;
        assert_int_equal(outcome, PROA_OK);
        told++;
        lane_loop(w, 0);
    }
    assert_in_range(told, 1024 + 100, 1024 + 140); /* mailbox and ring */
    assert_true(sched_deadline(w->lane[0].s) > 0); /* does not spin meanwhile */
    assert_true(sched_deadline(w->lane[0].s) <= w->now + PROA_MS);
    assert_int_equal(proa_client_ask(client, a, ECHO, &value, sizeof(value), PROA_S, &got,
                                     sizeof(got), NULL),
                     PROA_OK); /* answers have their own way */
    assert_int_equal(got, 3);
    while (proa_client_take(client, PROA_MS, &event) == PROA_OK) {
        assert_int_equal(event.len, sizeof(data));
        taken++;
    }
    assert_int_equal(taken, told);
}

static void close__with_everything_in_flight(void **state)
{
    struct proa_client *second;
    uint32_t id;

    (void)state;
    assert_int_equal(client_open(&home, &second), PROA_OK);
    for (int i = 0; i < 4; i++) {
        proa_client_ask_start(second, b, LATER, NULL, 0, PROA_S, &id);
        tell(w, a, proa_client_ref(second), 7, 5);
    }
    world_settle(w);
    for (int i = 0; i < 4; i++)
        tell(w, a, proa_client_ref(second), 7, 5);
    proa_client_close(second);
    stop(w, b);
    world_settle(w);
    assert_true(STAT(w, 1, late_replies) > 0);
}

static void fd__is_readable_when_there_is_something_to_take(void **state)
{
    struct proa_client_event event;
    struct pollfd pfd = {.fd = proa_client_fd(client), .events = POLLIN};

    (void)state;
    assert_int_equal(poll(&pfd, 1, 0), 0);
    tell(w, a, proa_client_ref(client), 7, 5);
    tell(w, a, proa_client_ref(client), 7, 6);
    world_settle(w);
    assert_int_equal(poll(&pfd, 1, 0), 1);
    assert_int_equal(proa_client_take(client, 0, &event), PROA_OK);
    assert_int_equal(poll(&pfd, 1, 0), 1);
    assert_int_equal(proa_client_take(client, 0, &event), PROA_OK);
    assert_int_equal(poll(&pfd, 1, 0), 0);
    assert_int_equal(proa_client_ask(client, a, SILENT, NULL, 0, PROA_S, NULL, 0, NULL),
                     PROA_NO_REPLY);
    assert_int_equal(poll(&pfd, 1, 0), 0);
    tell(w, a, proa_client_ref(client), 7, 7);
    world_settle(w);
    assert_int_equal(poll(&pfd, 1, 0), 1);
}

/* ---- Names and actors ---- */

static void lookup__asks_the_control_thread(void **state)
{
    struct proa_ref ref = proa_ref_none();

    (void)state;
    name_ref = b;
    assert_int_equal(proa_client_lookup(client, "x", NULL, PROA_S, &ref), PROA_OK);
    assert_true(proa_ref_equal(ref, b));
    assert_int_equal(last_name.op, PUNT_LOOKUP_NOW);
    assert_int_equal(last_name.len, 1);
    assert_int_equal(last_name.type, 0);
    name_outcome = PROA_NOT_FOUND;
    assert_int_equal(proa_client_lookup_wait(client, "x", "probe", PROA_S, &ref),
                     PROA_NOT_FOUND);
    assert_int_equal(last_name.op, PUNT_LOOKUP_WAIT);
    assert_int_equal(last_name.type, sched_type_id("probe"));
    name_outcome = PROA_TIMEOUT;
    assert_int_equal(proa_client_lookup(client, "x", NULL, PROA_MS, &ref), PROA_UNKNOWN);
    assert_int_equal(proa_client_lookup_wait(client, "x", NULL, PROA_MS, &ref),
                     PROA_NOT_FOUND);
    assert_int_equal(proa_client_lookup(client, "", NULL, PROA_MS, &ref), PROA_INVALID);
    assert_int_equal(name_calls, 4);
    world_advance(w, PROA_S);
}

static void spawn__on_any_lane_with_a_name_or_without(void **state)
{
    struct log *log = &b_log;
    struct proa_ref ref;
    uint64_t value = 4;

    (void)state;
    for (uint32_t lane = 0; lane < 2; lane++) {
        assert_int_equal(proa_client_spawn(client, lane, &probe, &log, sizeof(log), NULL,
                                           PROA_S, &ref),
                         PROA_OK);
        assert_int_equal(proa_ref_lane(ref), lane);
        assert_int_equal(name_calls, 0);
        assert_int_equal(proa_client_ask(client, ref, ECHO, &value, sizeof(value), PROA_S,
                                         NULL, 0, NULL),
                         PROA_OK);
    }
    assert_int_equal(
        proa_client_spawn(client, 1, &probe, &log, sizeof(log), "named", PROA_S, &ref),
        PROA_OK);
    assert_int_equal(name_calls, 1);
    assert_int_equal(last_name.op, PUNT_REGISTER);
    assert_int_equal(last_name.slot, ref.slot);
    assert_int_equal(last_name.generation, ref.generation);
    assert_int_equal(last_name.type, sched_type_id("probe"));
    assert_int_equal(proa_client_stop_actor(client, ref), PROA_OK);
    assert_int_equal(
        proa_client_spawn(client, 2, &probe, &log, sizeof(log), NULL, PROA_S, &ref),
        PROA_INVALID);
}

static void spawn__not_registered_is_stopped_again(void **state)
{
    struct log *log = &b_log;
    struct proa_ref ref;

    (void)state;
    name_outcome = PROA_ALREADY_REGISTERED;
    assert_int_equal(
        proa_client_spawn(client, 1, &probe, &log, sizeof(log), "named", PROA_S, &ref),
        PROA_ALREADY_REGISTERED);
    world_settle(w);
    assert_int_equal(count_of(&b_log, ENDED), 1);
    name_outcome = PROA_TIMEOUT;
    assert_int_equal(
        proa_client_spawn(client, 1, &probe, &log, sizeof(log), "named", PROA_MS, &ref),
        PROA_TIMEOUT);
    world_advance(w, PROA_S);
    assert_int_equal(count_of(&b_log, ENDED), 2);
    b_log.start_result = 1;
    assert_int_equal(
        proa_client_spawn(client, 1, &probe, &log, sizeof(log), "named", PROA_S, &ref),
        PROA_STOPPED);
}

static void stop_actor__says_what_became_of_it(void **state)
{
    struct proa_ref stale = a, far = {FAR_NODE, 1, 1};

    (void)state;
    stale.generation++;
    assert_int_equal(proa_client_stop_actor(client, a), PROA_OK);
    assert_int_equal(proa_client_stop_actor(client, b), PROA_OK);
    world_settle(w);
    assert_int_equal(count_of(&a_log, ENDED) + count_of(&b_log, ENDED), 2);
    assert_int_equal(proa_client_stop_actor(client, stale), PROA_NO_SUCH_ACTOR);
    assert_int_equal(proa_client_stop_actor(client, far), PROA_OK);
    assert_int_equal(w->stop_count, 1);
    assert_int_equal(proa_client_stop_actor(client, proa_ref_none()), PROA_NO_SUCH_ACTOR);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(open__has_a_reference_on_its_home_lane),
        test(open__is_bounded_and_refused_by_a_leaving_node),
        test(tell__arrives_in_order_on_any_lane),
        test(tell__says_at_once_what_the_thread_can_know),
        test(ask__blocks_until_the_outcome),
        test(ask__deadline_ends_it_and_the_late_answer_is_dropped),
        test(ask__large_answers),
        test(ask_start__answers_are_taken_by_id),
        test(take__gets_tells_sent_to_the_client),
        test(take__slow_client_is_bounded_and_stops_nobody),
        test(close__with_everything_in_flight),
        test(fd__is_readable_when_there_is_something_to_take),
        test(lookup__asks_the_control_thread),
        test(spawn__on_any_lane_with_a_name_or_without),
        test(spawn__not_registered_is_stopped_again),
        test(stop_actor__says_what_became_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
