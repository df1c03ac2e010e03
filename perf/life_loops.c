/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/life.h>
#include <stdlib.h>
#include <time.h>

#include "life_loops.h"
#include "monitor.h"
#include "scheduler.h"

#define FAR_NODE 2u

enum { COUNT = 1, FAIL };

struct life_loops {
    struct arena *arena;
    struct sched *s;
    struct proa_ref *children; /* their first lives; a slot's later ones are counted on */
    uint32_t count, made, started, downs;
    uint32_t per_supervisor;
    uint64_t seq;
};

struct state {
    struct life_loops *t;
    uint64_t count, more[6];
};

static proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

struct arg {
    struct life_loops *t;
    uint32_t index;
};

static int child_start(struct proa_actor *self, const void *arg, size_t len)
{
    const struct arg *a = arg;
    struct state *state = proa_state(self);

    (void)len;
    state->t = a->t;
    a->t->children[a->index] = proa_self(self);
    a->t->started++;
    return 0;
}

static void on_count(struct proa_actor *self, const struct proa_msg *msg)
{
    struct state *state = proa_state(self);

    (void)msg;
    state->count++;
}

static void on_fail(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_fail(self, 1);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct state *state = proa_state(self);

    state->t->downs += signal->kind == PROA_SIGNAL_DOWN;
}

static const struct proa_on on[] = {{COUNT, 0, on_count}, {FAIL, 0, on_fail}};
static const struct proa_behaviour child = {.type_name = "child",
                                            .state_size = sizeof(struct state),
                                            .on = on,
                                            .on_count = 2,
                                            .start = child_start,
                                            .signal = on_signal};

/* 1,024 restarts within a microsecond: never reached. */
static const struct proa_supervision rule = {
    .strategy = PROA_ONE_FOR_ONE, .intensity = 1024, .window = PROA_US};

static int supervisor_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct life_loops *t = *(struct life_loops *const *)arg;

    (void)len;
    for (uint32_t i = 0; i < t->per_supervisor; i++) {
        struct arg a = {t, t->made++};

        PROA_ASSERT(proa_spawn_child(self, &child, &a, sizeof(a), PROA_RESTART_PERMANENT,
                                     NULL) == PROA_OK);
    }
    return 0;
}

static const struct proa_behaviour supervisor = {.type_name = "supervisor",
                                                 .state_size = 64,
                                                 .start = supervisor_start,
                                                 .supervision = &rule};

static enum proa_outcome far_monitor(void *ctx, uint64_t node, const struct watch *watch)
{
    (void)ctx;
    (void)node;
    (void)watch;
    return PROA_OK;
}

static void loop(struct life_loops *t)
{
    sched_begin(t->s, clock_now());
    sched_poll(t->s);
    sched_run(t->s);
    sched_timers(t->s);
    sched_flush(t->s);
}

struct life_loops *life_loops_create(uint32_t supervisors, uint32_t children)
{
    struct life_loops *t = calloc(1, sizeof(*t));
    struct sched_config config = {.node = 1,
                                  .lanes = 1,
                                  .actors_max = 1u << 21,
                                  .clock = clock_now,
                                  .now = clock_now(),
                                  .in_place_max = UINT32_MAX,
                                  .below = {.monitor = far_monitor}};

    if (t == NULL)
        return NULL;
    t->arena = arena_create();
    arena_own(t->arena);
    config.arena = t->arena;
    t->s = sched_create(&config);
    t->count = supervisors * children;
    t->per_supervisor = children;
    t->children = calloc(t->count, sizeof(*t->children));
    if (t->s == NULL || t->children == NULL)
        return NULL;
    for (uint32_t i = 0; i < supervisors; i++) {
        struct proa_ref ref;

        PROA_ASSERT(sched_spawn(t->s, &supervisor, &t, sizeof(struct life_loops *),
                                &ref) == PROA_OK);
    }
    loop(t);
    return t;
}

void life_loops_destroy(struct life_loops *t)
{
    sched_destroy(t->s);
    arena_destroy(t->arena);
    free(t->children);
    free(t);
}

static void deliver(struct life_loops *t, uint32_t to, uint32_t type)
{
    struct proa_msg msg = {.data = &t->seq,
                           .len = sizeof(t->seq),
                           .type = type,
                           .from = {FAR_NODE, 1, 1},
                           .to = t->children[to]};

    sched_deliver(t->s, &msg, true);
}

uint64_t life_loops_restart(struct life_loops *t, uint64_t n)
{
    uint32_t before = t->started;
    proa_ns began = clock_now();

    for (uint64_t i = 0; i < n; i++) {
        loop(t); /* so that each runs in place */
        deliver(t, (uint32_t)(i * 0x9e3779b1u) % t->count, FAIL);
    }
    loop(t);
    began = clock_now() - began;
    PROA_ASSERT(t->started - before == n);
    return began;
}

uint64_t life_loops_traffic(struct life_loops *t, uint64_t n, uint64_t fail_every)
{
    proa_ns began = clock_now();

    for (uint64_t i = 0; i < n; i++) {
        bool fails = fail_every != 0 && i % fail_every == 0;

        if (i % 512 == 0)
            loop(t);
        deliver(t, (uint32_t)(i * 0x9e3779b1u) % t->count, fails ? FAIL : COUNT);
    }
    loop(t);
    return clock_now() - began;
}

static void monitor_far(struct proa_actor *self, void *ctx)
{
    uint32_t i = *(uint32_t *)ctx;
    struct proa_ref far = {FAR_NODE, i & 0xffffff, 1 + i};

    PROA_ASSERT(proa_monitor(self, far, NULL) == PROA_OK);
}

struct life_monitors life_loops_monitors(struct life_loops *t, uint32_t n)
{
    struct life_monitors ret = {.bytes = sizeof(struct monitor)};
    proa_ns began = clock_now();

    t->downs = 0;
    for (uint32_t i = 0; i < n; i++)
        PROA_ASSERT(sched_call(t->s, t->children[i % t->count], monitor_far, &i));
    ret.make_ns = clock_now() - began;
    loop(t);
    began = clock_now();
    sched_node_lost(t->s, FAR_NODE);
    while (t->downs < n)
        loop(t);
    ret.lost_ns = clock_now() - began;
    return ret;
}
