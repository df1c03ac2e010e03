/* SPDX-License-Identifier: Apache-2.0 */
/* Client threads against lane threads, for TSan: bounded by counts, not by time.

   Two lanes sleep when they have nothing to do; four clients ask, tell, spawn and close.  Label
   O1/O2 of client_ring.h is exercised by closing; those of the rings by everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client_home.h"
#include "scheduler.h"

#define LANES 2
#define CLIENTS 4
#define ROUNDS 1500u
#define NODE_ID 77u

enum { ADD = 1, READ, TALK };

struct counter {
    uint64_t sum;
};

struct lane {
    uint32_t number;
    struct sched *s;
    struct arena *arena;
    struct inbox *inbox;
    struct doorbell bell;
    pthread_t thread;
};

static struct lane lanes[LANES];
static struct pair_ring *rings[LANES][LANES];
static struct client_home home;
static struct proa_ref counters[LANES];
static _Atomic bool over;

static proa_ns now_of(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

/* ---- Actors ---- */

static void on_add(struct proa_actor *self, const struct proa_msg *msg)
{
    ((struct counter *)proa_state(self))->sum += *(const uint64_t *)msg->data;
}

static void on_read(struct proa_actor *self, const struct proa_msg *msg)
{
    /* With what was asked behind it, so that large answers happen too. */
    proa_reply(self, msg, msg->data, msg->len);
}

/* Tells the client back, and the counter of the other lane with a payload of the same size. */
static void on_talk(struct proa_actor *self, const struct proa_msg *msg)
{
    uint32_t other = (proa_ref_lane(proa_self(self)) + 1) % LANES;

    proa_tell(self, msg->from, TALK, msg->data, msg->len);
    proa_tell(self, counters[other], ADD, msg->data, msg->len);
}

static const struct proa_on on[] = {
    {ADD, 8, on_add}, {READ, 0, on_read}, {TALK, 8, on_talk}};
static const struct proa_behaviour counter = {.type_name = "counter",
                                              .state_size = sizeof(struct counter),
                                              .on = on,
                                              .on_count = 3};

/* ---- Lanes ---- */

static uint32_t lane_loop(struct lane *l)
{
    uint32_t did;

    sched_begin(l->s, now_of(NULL));
    did = sched_poll(l->s);
    did += sched_run(l->s);
    did += sched_timers(l->s);
    sched_flush(l->s);
    return did;
}

static void lane_sleep(struct lane *l)
{
    struct pollfd pfd = {.fd = l->bell.fd, .events = POLLIN};

    doorbell_arm(&l->bell);
    if (lane_loop(l) == 0 && sched_deadline(l->s) != 0)
        poll(&pfd, 1, 1);
    doorbell_disarm(&l->bell);
}

static void *lane_main(void *arg)
{
    struct lane *l = arg;
    uint32_t idle = 0;

    while (!atomic_load_explicit(&over, memory_order_acquire)) {
        idle = lane_loop(l) == 0 ? idle + 1 : 0;
        if (idle > 20)
            lane_sleep(l);
    }
    return NULL;
}

static void lanes_make(void)
{
    home = (struct client_home){.node = NODE_ID, .lanes = LANES, .clock = now_of};
    for (uint32_t i = 0; i < LANES; i++) {
        lanes[i].number = i;
        lanes[i].arena = arena_create();
        lanes[i].inbox = inbox_create(64);
        assert_true(doorbell_init(&lanes[i].bell));
        home.inboxes[i] = lanes[i].inbox;
        home.bells[i] = &lanes[i].bell;
        for (uint32_t j = 0; j < LANES; j++)
            rings[i][j] = i != j ? pair_ring_create(64) : NULL;
    }
    for (uint32_t i = 0; i < LANES; i++) {
        struct sched_config c = {.node = NODE_ID,
                                 .lane = i,
                                 .lanes = LANES,
                                 .actors_max = 1024,
                                 .asks_max = 1024,
                                 .timers_max = 64,
                                 .seed = i,
                                 .now = now_of(NULL),
                                 .inbox = lanes[i].inbox,
                                 .arena = lanes[i].arena};

        for (uint32_t j = 0; j < LANES; j++) {
            c.out[j] = rings[i][j];
            c.in[j] = rings[j][i];
            c.bells[j] = &lanes[j].bell;
        }
        lanes[i].s = sched_create(&c);
        assert_non_null(lanes[i].s);
        assert_int_equal(sched_spawn(lanes[i].s, &counter, NULL, 0, &counters[i]),
                         PROA_OK);
    }
}

static void lanes_free(void)
{
    for (uint32_t i = 0; i < LANES; i++)
        sched_destroy(lanes[i].s);
    for (uint32_t i = 0; i < LANES; i++) {
        assert_int_equal(arena_used(lanes[i].arena), 0);
        arena_destroy(lanes[i].arena);
        inbox_destroy(lanes[i].inbox);
        doorbell_fini(&lanes[i].bell);
        for (uint32_t j = 0; j < LANES; j++)
            pair_ring_destroy(rings[i][j]);
    }
}

/* ---- Clients ---- */

/* Asks counters of both lanes with payloads of all kinds; every answer is the question. */
static uint32_t ask_around(struct proa_client *client, uint32_t round)
{
    static const size_t sizes[] = {8, 40, 200, 3000};
    uint8_t data[3000], got[3000];
    size_t len = 0, size = sizes[round % 4];
    enum proa_outcome outcome;

    memset(data, (int)(round & 0xff), sizeof(data));
    outcome = proa_client_ask(client, counters[round / 4 % LANES], READ, data, size,
                              30 * PROA_S, got, sizeof(got), &len);
    if (outcome == PROA_AGAIN)
        return 0; /* the inbox is full */
    return outcome == PROA_OK && len == size && memcmp(data, got, size) == 0 ? 0 : 1;
}

static uint32_t spawn_and_stop(struct proa_client *client, uint32_t round)
{
    uint64_t value = 1;
    struct proa_ref ref;

    if (proa_client_spawn(client, round % LANES, &counter, NULL, 0, NULL, 30 * PROA_S,
                          &ref) != PROA_OK)
        return 0;
    proa_client_ask(client, ref, READ, &value, sizeof(value), 30 * PROA_S, NULL, 0, NULL);
    proa_client_stop_actor(client, ref);
    return 0;
}

/* Tells that come back: as many as were accepted, less the refused ones. */
static uint32_t talk(struct proa_client *client)
{
    uint8_t data[100] = {1};
    struct proa_client_event event;
    uint32_t bad = 0;

    for (uint32_t i = 0; i < 10; i++)
        proa_client_tell(client, counters[i % LANES], TALK, data, i % 2 ? 100 : 8);
    while (proa_client_take(client, PROA_MS, &event) == PROA_OK)
        bad += event.is_answer || event.type != TALK;
    return bad;
}

static void *client_main(void *arg)
{
    uint32_t *bad = arg;

    for (uint32_t life = 0; life < 3; life++) {
        struct proa_client *client;

        if (client_open(&home, &client) != PROA_OK) {
            ++*bad;
            return NULL;
        }
        for (uint32_t round = 0; round < ROUNDS / 3; round++) {
            *bad += ask_around(client, round);
            if (round % 16 == 0)
                *bad += spawn_and_stop(client, round / 16);
            if (round % 25 == 0)
                *bad += talk(client);
        }
        proa_client_close(client);
    }
    return NULL;
}

static void clients__against_lanes(void **state)
{
    pthread_t threads[CLIENTS];
    uint32_t bad[CLIENTS] = {0};

    (void)state;
    lanes_make();
    for (uint32_t i = 0; i < LANES; i++)
        assert_int_equal(pthread_create(&lanes[i].thread, NULL, lane_main, &lanes[i]), 0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, client_main, &bad[i]), 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
    atomic_store_explicit(&over, true, memory_order_release);
    for (uint32_t i = 0; i < LANES; i++)
        pthread_join(lanes[i].thread, NULL);
    assert_int_equal(atomic_load(&home.clients), 0);
    for (uint32_t i = 0; i < LANES; i++)
        assert_int_equal(atomic_load(&sched_stats(lanes[i].s)->malformed), 0);
    lanes_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients__against_lanes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
