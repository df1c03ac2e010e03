/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "mix.h"
#include "scheduler.h"
#include "slot.h"
#include "tell_loops.h"

#define BURST 512u /* tells of one turn of the sender, below the mailbox's capacity */

enum { COUNT = 1, GO, PING, ANSWER };

struct tell_loops {
    struct arena *arena;
    struct sched *s;
    struct proa_ref *counters;
    uint32_t actors;
    struct proa_ref sender, ping, pong;
    uint64_t done; /* of the running loop */
    uint64_t goal;
    uint32_t payload;
    bool many; /* timers run beside */
    proa_ns now;
};

/* The state of all actors here; 64 bytes. */
struct counter {
    struct tell_loops *t;
    uint64_t count, sum;
    struct proa_ref other;
    uint8_t more[24];
};

static int start(struct proa_actor *self, const void *arg, size_t len)
{
    struct counter *c = proa_state(self);

    (void)len;
    if (arg != NULL)
        c->t = *(struct tell_loops *const *)arg;
    return 0;
}

static void on_count(struct proa_actor *self, const struct proa_msg *msg)
{
    struct counter *c = proa_state(self);

    c->count++;
    if (msg->len >= 8)
        c->sum += *(const uint64_t *)msg->data;
}

/* Tells BURST messages to the counters, then itself to go on. */
static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    struct tell_loops *t = ((struct counter *)proa_state(self))->t;
    uint64_t payload[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    (void)msg;
    for (uint32_t i = 0; i < BURST; i++) {
        /* An odd factor walks through all of a power of two, far apart. */
        uint32_t to = (uint32_t)t->done * 0x9e3779b1u & (t->actors - 1);

        payload[0] = i;
        if (proa_tell(self, t->counters[to], COUNT, payload, t->payload) != PROA_OK)
            break; /* full: let them run */
        t->done++;
    }
    if (t->done < t->goal)
        proa_tell(self, proa_self(self), GO, NULL, 0);
}

static void on_ping(struct proa_actor *self, const struct proa_msg *msg)
{
    struct counter *c = proa_state(self);

    if (c->t->done++ < c->t->goal)
        proa_tell(self, msg->from, PING, msg->data, 8);
}

static void on_answer(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, msg->data, 8);
}

static void ask(struct proa_actor *self);

static void answered(struct proa_actor *self, const struct proa_answer *answer,
                     const void *ctx)
{
    struct tell_loops *t = ((struct counter *)proa_state(self))->t;

    (void)ctx;
    t->done += answer->outcome == PROA_OK;
    if (t->done < t->goal)
        ask(self);
}

static void ask(struct proa_actor *self)
{
    struct tell_loops *t = ((struct counter *)proa_state(self))->t;
    uint64_t number = t->done;

    proa_ask(self, t->pong, ANSWER, &number, sizeof(number), PROA_S, answered, NULL, 0);
}

static const struct proa_on on[] = {
    {COUNT, 0, on_count}, {GO, 0, on_go}, {PING, 8, on_ping}, {ANSWER, 8, on_answer}};
static const struct proa_behaviour counter = {.type_name = "counter",
                                              .state_size = sizeof(struct counter),
                                              .on = on,
                                              .on_count = 4,
                                              .start = start};

static proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

static void loop(struct tell_loops *t)
{
    t->now = clock_now();
    sched_begin(t->s, t->now);
    sched_poll(t->s);
    sched_run(t->s);
    sched_timers(t->s);
    sched_flush(t->s);
}

static void spawn(struct tell_loops *t, struct proa_ref *ret)
{
    PROA_ASSERT(sched_spawn(t->s, &counter, &t, sizeof(t), ret) == PROA_OK);
}

struct tell_loops *tell_loops_create(uint32_t actors)
{
    struct tell_loops *t = calloc(1, sizeof(*t));
    struct sched_config config = {.node = 1,
                                  .lanes = 1,
                                  .actors_max = 1u << 18,
                                  .timers_max = 1u << 21,
                                  .clock = clock_now,
                                  .now = clock_now(),
                                  .in_place_max = UINT32_MAX};

    if (t == NULL)
        return NULL;
    t->arena = arena_create();
    arena_own(t->arena);
    config.arena = t->arena;
    t->s = sched_create(&config);
    t->counters = calloc(actors, sizeof(*t->counters));
    if (t->s == NULL || t->counters == NULL)
        return NULL;
    t->actors = actors;
    for (uint32_t i = 0; i < actors; i++)
        spawn(t, &t->counters[i]);
    spawn(t, &t->sender);
    spawn(t, &t->ping);
    spawn(t, &t->pong);
    loop(t);
    return t;
}

void tell_loops_destroy(struct tell_loops *t)
{
    sched_destroy(t->s);
    arena_destroy(t->arena);
    free(t->counters);
    free(t);
}

static void go(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_tell(self, proa_self(self), GO, NULL, 0);
}

uint64_t tell_loops_count(struct tell_loops *t, uint64_t n, uint32_t payload)
{
    t->payload = payload;
    t->done = 0;
    t->goal = n;
    sched_call(t->s, t->sender, go, NULL);
    while (t->done < n || sched_deadline(t->s) == 0)
        loop(t);
    return t->done;
}

static void serve(struct proa_actor *self, void *ctx)
{
    struct tell_loops *t = ctx;
    uint64_t ball = 1;

    proa_tell(self, t->pong, PING, &ball, sizeof(ball));
}

uint64_t tell_loops_ping_pong(struct tell_loops *t, uint64_t n)
{
    t->done = 0;
    t->goal = n;
    sched_call(t->s, t->ping, serve, t);
    while (sched_deadline(t->s) == 0)
        loop(t);
    return t->done;
}

static void first_ask(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    ask(self);
}

uint64_t tell_loops_ask(struct tell_loops *t, uint64_t n)
{
    t->done = 0;
    t->goal = n;
    sched_call(t->s, t->ping, first_ask, NULL);
    while (t->done < n)
        loop(t);
    return t->done;
}

static void end(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_stop(self);
}

uint64_t tell_loops_spawn(struct tell_loops *t, uint64_t n)
{
    struct proa_ref refs[256];

    for (uint64_t done = 0; done < n; done += 256) {
        for (uint32_t i = 0; i < 256; i++)
            spawn(t, &refs[i]);
        for (uint32_t i = 0; i < 256; i++)
            sched_call(t->s, refs[i], end, NULL);
        loop(t);
    }
    return n;
}

static void fired(struct proa_actor *self, uint64_t cookie)
{
    (void)cookie;
    ((struct counter *)proa_state(self))->t->done++;
}

static void start_and_cancel(struct proa_actor *self, void *ctx)
{
    const uint64_t *n = ctx;
    struct proa_timer timers[256];

    for (uint64_t done = 0; done < *n; done += 256) {
        for (uint32_t i = 0; i < 256; i++)
            proa_timer_start(self, PROA_S + i * PROA_MS, fired, i, &timers[i]);
        for (uint32_t i = 0; i < 256; i++)
            proa_timer_cancel(self, timers[i]);
    }
}

uint64_t tell_loops_timers(struct tell_loops *t, uint64_t n)
{
    sched_call(t->s, t->ping, start_and_cancel, &n);
    return n;
}

#define PACKET 25u /* tells of 32 bytes in a full one */

static void start_many(struct proa_actor *self, void *ctx)
{
    const struct tell_loops *t = ctx;

    for (uint64_t i = 0; i < t->goal; i++) {
        proa_ns after = i % 16 == 0 ? PROA_S : 10 * PROA_MS + mix64(i) % (2 * PROA_S);
        struct proa_timer timer;

        PROA_ASSERT(proa_timer_start(self, after, fired, i, &timer) == PROA_OK);
    }
}

static int by_length(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The time of the timers is the loop's own, 100 us later in each; that of the budget is real. */
bool tell_loops_timers_expire(struct tell_loops *t, uint32_t timers,
                              struct tell_loops_expiry *ret)
{
    const uint32_t room = 1u << 20;
    uint64_t *took = malloc(room * sizeof(*took)), total = 0;
    uint32_t loops = 0;

    if (took == NULL)
        return false;
    *ret = (struct tell_loops_expiry){0};
    t->done = 0;
    t->goal = timers;
    sched_call(t->s, t->ping, start_many, t);
    while (t->done < timers && loops < room) {
        proa_ns begin;
        uint32_t most;

        if (sched_deadline(t->s) != 0)
            t->now += 100 * PROA_US;
        sched_begin(t->s, t->now);
        begin = clock_now();
        most = sched_timers(t->s);
        took[loops] = clock_now() - begin;
        total += took[loops++];
        ret->most = most > ret->most ? most : ret->most;
        sched_flush(t->s);
    }
    qsort(took, loops, sizeof(*took), by_length);
    ret->mean_ns = (double)total / timers;
    ret->p999_ns = (double)took[(uint64_t)loops * 999 / 1000];
    ret->worst_ns = (double)took[loops - 1];
    free(took);
    return t->done == timers;
}

uint64_t tell_loops_timers_beside(struct tell_loops *t, uint64_t n, uint32_t running)
{
    if (!t->many) {
        t->many = true;
        t->goal = running;
        sched_call(t->s, t->pong, start_many, t);
    }
    return tell_loops_timers(t, n);
}

/* As a link brings them, in place: whole packets, announced when they are for several actors; a
   burst of them ends, as a lane's does, when the budget is spent. */
uint64_t tell_loops_deliver(struct tell_loops *t, uint64_t n)
{
    uint64_t payload[4] = {1, 2, 3, 4};
    struct proa_msg msg = {.data = payload, .len = 32, .type = COUNT, .from = {2, 3, 4}};
    struct proa_ref to[PACKET];
    uint32_t slots[PACKET];

    for (uint64_t done = 0; done < n;) {
        loop(t);
        for (uint32_t packet = 0; packet < 32 && !sched_pressed(t->s); packet++) {
            for (uint32_t i = 0; i < PACKET; i++, done++) {
                to[i] = t->counters[(uint32_t)done * 0x9e3779b1u & (t->actors - 1)];
                slots[i] = to[i].slot;
            }
            if (t->actors > 1)
                sched_expect(t->s, slots, PACKET);
            for (uint32_t i = 0; i < PACKET; i++) {
                msg.to = to[i];
                sched_deliver(t->s, &msg, true);
            }
        }
    }
    return n;
}

uint64_t tell_loops_actor_bytes(struct tell_loops *t)
{
    (void)t;
    return sizeof(struct slot) + sizeof(struct counter);
}

uint64_t tell_loops_multiplications(uint64_t n)
{
    uint64_t product = 3;

    for (uint64_t i = 0; i < n; i++) {
        product *= 0x9e3779b97f4a7c15u;
        __asm__ volatile("" : "+r"(product));
    }
    return product;
}
