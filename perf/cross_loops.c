/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cross_loops.h"
#include "pin.h"
#include "scheduler.h"

#define BURST 128u /* tells of one turn of the sender */
#define RING 2048u /* as a node's */

enum { COUNT = 1, GO, PING, PONG, LAST, DONE };

struct lane_side {
    alignas(PROA_CACHE_LINE) struct sched *s;
    struct arena *arena;
    struct proa_ref actor;
};

struct cross_loops {
    struct lane_side side[2];
    struct pair_ring *rings[2]; /* from side i */
    uint32_t payload;
    bool in_turns, started;
    pthread_t thread;
    _Atomic bool stop;

    /* Lane 0's. */
    alignas(PROA_CACHE_LINE) uint64_t sent;
    uint64_t goal;
    uint32_t type; /* COUNT or PING */
    bool over;

    /* Lane 1's. */
    alignas(PROA_CACHE_LINE) uint64_t got;
    uint64_t sum;
};

static struct cross_loops *loops_of(struct proa_actor *self)
{
    return *(struct cross_loops **)proa_state(self);
}

static int start(struct proa_actor *self, const void *arg, size_t len)
{
    memcpy(proa_state(self), arg, len);
    return 0;
}

/* ---- Lane 0's actor ---- */

static void tells(struct proa_actor *self, struct cross_loops *l)
{
    uint64_t payload[7] = {0};

    for (uint32_t i = 0; i < BURST && l->sent < l->goal; i++) {
        payload[0] = l->sent;
        if (proa_tell(self, l->side[1].actor, COUNT, payload, l->payload) != PROA_OK)
            return; /* AGAIN: WRITABLE comes */
        l->sent++;
    }
    if (l->sent < l->goal)
        proa_tell(self, proa_self(self), GO, NULL, 0);
    else if (proa_tell(self, l->side[1].actor, LAST, NULL, 0) == PROA_OK)
        l->sent++;
}

static void ping(struct proa_actor *self, struct cross_loops *l)
{
    uint64_t payload[7] = {l->sent++};

    PROA_ASSERT(proa_tell(self, l->side[1].actor, PING, payload, l->payload) == PROA_OK);
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    tells(self, loops_of(self));
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    PROA_ASSERT(signal->kind == PROA_SIGNAL_WRITABLE);
    tells(self, loops_of(self));
}

static void on_pong(struct proa_actor *self, const struct proa_msg *msg)
{
    struct cross_loops *l = loops_of(self);

    PROA_ASSERT(*(const uint64_t *)msg->data == l->sent - 1);
    if (l->sent < l->goal)
        ping(self, l);
    else
        l->over = true;
}

static void on_done(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    loops_of(self)->over = true;
}

static const struct proa_on near_on[] = {
    {GO, 0, on_go}, {PONG, 8, on_pong}, {DONE, 0, on_done}};
static const struct proa_behaviour near = {.type_name = "near",
                                           .state_size = sizeof(void *),
                                           .on = near_on,
                                           .on_count = 3,
                                           .start = start,
                                           .signal = on_signal};

/* ---- Lane 1's ---- */

static void on_count(struct proa_actor *self, const struct proa_msg *msg)
{
    struct cross_loops *l = loops_of(self);
    const uint64_t *words = msg->data;

    PROA_ASSERT(words[0] == l->got);
    l->got++;
    for (uint32_t i = 0; i < msg->len / 8; i++)
        l->sum += words[i];
}

static void on_ping(struct proa_actor *self, const struct proa_msg *msg)
{
    PROA_ASSERT(proa_tell(self, msg->from, PONG, msg->data, msg->len) == PROA_OK);
}

static void on_last(struct proa_actor *self, const struct proa_msg *msg)
{
    loops_of(self)->got = 0;
    PROA_ASSERT(proa_tell(self, msg->from, DONE, NULL, 0) == PROA_OK);
}

static const struct proa_on far_on[] = {
    {COUNT, 8, on_count}, {PING, 8, on_ping}, {LAST, 0, on_last}};
static const struct proa_behaviour far = {.type_name = "far",
                                          .state_size = sizeof(void *),
                                          .on = far_on,
                                          .on_count = 3,
                                          .mailbox = 16384,
                                          .start = start};

/* ---- The lanes ---- */

static proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

static void loop(struct lane_side *side)
{
    sched_begin(side->s, clock_now());
    sched_poll(side->s);
    sched_run(side->s);
    sched_timers(side->s);
    sched_flush(side->s);
}

static bool side_make(struct cross_loops *l, uint32_t lane)
{
    struct lane_side *side = &l->side[lane];
    struct sched_config config = {.node = 1,
                                  .lane = lane,
                                  .lanes = 2,
                                  .actors_max = 1024,
                                  .timers_max = 1024,
                                  .clock = l->in_turns ? NULL : clock_now,
                                  .now = clock_now(),
                                  .in_place_max = UINT32_MAX};

    side->arena = arena_create();
    config.arena = side->arena;
    config.out[1 - lane] = l->rings[lane];
    config.in[1 - lane] = l->rings[1 - lane];
    side->s = sched_create(&config);
    return side->s != NULL && sched_spawn(side->s, lane == 0 ? &near : &far, &l,
                                          sizeof(l), &side->actor) == PROA_OK;
}

static void *other_lane(void *arg)
{
    struct cross_loops *l = arg;

    /* relaxed: a moment, nothing is read by it. */
    while (!atomic_load_explicit(&l->stop, memory_order_relaxed))
        loop(&l->side[1]);
    return NULL;
}

struct cross_loops *cross_loops_create(uint32_t payload, bool in_turns)
{
    struct cross_loops *l = aligned_alloc(PROA_CACHE_LINE, sizeof(*l));

    if (l == NULL)
        return NULL;
    memset(l, 0, sizeof(*l));
    l->payload = payload;
    l->in_turns = in_turns;
    l->rings[0] = pair_ring_create(RING);
    l->rings[1] = pair_ring_create(RING);
    if (l->rings[0] == NULL || l->rings[1] == NULL || !side_make(l, 1) ||
        !side_make(l, 0)) {
        cross_loops_destroy(l);
        return NULL;
    }
    if (!in_turns) {
        pin_to_core(
            1); /* the thread is born where it belongs: it inherits the core of its maker */
        l->started = pthread_create(&l->thread, NULL, other_lane, l) == 0;
    }
    pin_to_core(0);
    if (!in_turns && !l->started) {
        cross_loops_destroy(l);
        return NULL;
    }
    return l;
}

void cross_loops_destroy(struct cross_loops *l)
{
    if (l->started) {
        atomic_store_explicit(&l->stop, true, memory_order_relaxed); /* as above */
        pthread_join(l->thread, NULL);
    }
    for (uint32_t i = 0; i < 2; i++)
        sched_destroy(l->side[i].s);
    for (uint32_t i = 0; i < 2; i++) {
        if (l->side[i].arena != NULL)
            arena_destroy(l->side[i].arena);
        pair_ring_destroy(l->rings[i]);
    }
    free(l);
}

static void begin(struct proa_actor *self, void *ctx)
{
    struct cross_loops *l = ctx;

    if (l->type == COUNT)
        tells(self, l);
    else
        ping(self, l);
}

static void run(struct cross_loops *l, uint32_t type, uint64_t n)
{
    l->sent = 0;
    l->goal = n;
    l->type = type;
    l->over = false;
    sched_call(l->side[0].s, l->side[0].actor, begin, l);
    while (!l->over) {
        loop(&l->side[0]);
        if (l->in_turns)
            loop(&l->side[1]);
    }
}

void cross_loops_count(struct cross_loops *l, uint64_t n)
{
    run(l, COUNT, n);
}

void cross_loops_round_trips(struct cross_loops *l, uint64_t n)
{
    run(l, PING, n);
}
