/* SPDX-License-Identifier: Apache-2.0 */
/* sched_world.h - one node's lanes in one thread and virtual time, for the scheduler's tests.

   Below the lanes is a recorder: what they send to other nodes, refuse and announce is kept for
   the test to look at.  Actors are probes: they log what reaches them.  A test acts in an
   actor's name by `in(...)`, which runs a function in its frame. */
#ifndef SCHED_WORLD_H
#define SCHED_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "scheduler.h"

#define WORLD_LANES 3
#define WORLD_NODE 0x1111222233334444u
#define FAR_NODE 0x9999888877776666u
#define LOG_MAX 4096

struct sent {
    uint32_t lane;
    struct proa_msg msg;
    uint8_t data[4096];
};

struct told {
    uint32_t lane;
    uint64_t node;
    struct refusal refusal;
    struct proa_ref ref; /* writable, stop */
};

struct world;

struct world_lane {
    struct world *world;
    uint32_t lane;
    struct sched *s;
    struct arena *arena;
    struct byte_ring *up;
    struct inbox *inbox;
};

struct world {
    uint32_t lanes;
    proa_ns now;
    struct world_lane lane[WORLD_LANES];
    struct pair_ring *rings[WORLD_LANES][WORLD_LANES];
    enum proa_outcome send_outcome; /* what below.send says */
    struct sent *sent;
    uint32_t sent_count;
    struct told refused[LOG_MAX], writable[64], stops[64];
    uint32_t refused_count, writable_count, stop_count;
};

/* ---- Below ---- */

static enum proa_outcome world_send(void *ctx, const struct proa_msg *msg)
{
    struct world_lane *l = ctx;
    struct world *w = l->world;
    struct sent *sent = &w->sent[w->sent_count];

    if (w->send_outcome != PROA_OK)
        return w->send_outcome;
    assert_true(w->sent_count < LOG_MAX);
    sent->lane = l->lane;
    sent->msg = *msg;
    memcpy(sent->data, msg->data,
           msg->len < sizeof(sent->data) ? msg->len : sizeof(sent->data));
    w->sent_count++;
    return PROA_OK;
}

static void world_refuse(void *ctx, uint64_t node, const struct refusal *refusal)
{
    struct world_lane *l = ctx;
    struct world *w = l->world;

    assert_true(w->refused_count < LOG_MAX);
    w->refused[w->refused_count++] =
        (struct told){.lane = l->lane, .node = node, .refusal = *refusal};
}

static void world_writable(void *ctx, uint64_t node, struct proa_ref to)
{
    struct world_lane *l = ctx;
    struct world *w = l->world;

    assert_true(w->writable_count < 64);
    w->writable[w->writable_count++] =
        (struct told){.lane = l->lane, .node = node, .ref = to};
}

static enum proa_outcome world_stop(void *ctx, struct proa_ref to)
{
    struct world_lane *l = ctx;
    struct world *w = l->world;

    w->stops[w->stop_count++] = (struct told){.lane = l->lane, .ref = to};
    return w->send_outcome;
}

/* ---- Life ---- */

static void world_config(struct world *w, uint32_t lane, struct sched_config *c)
{
    struct world_lane *l = &w->lane[lane];

    *c = (struct sched_config){.node = WORLD_NODE,
                               .lane = lane,
                               .lanes = w->lanes,
                               .actors_max = 1024,
                               .asks_max = 1024,
                               .timers_max = 1024,
                               .seed = 1000 + lane,
                               .now = w->now,
                               .below = {.ctx = l,
                                         .send = world_send,
                                         .refuse = world_refuse,
                                         .writable = world_writable,
                                         .stop = world_stop,
                                         .message_max = 1u << 20},
                               .up = l->up,
                               .inbox = l->inbox,
                               .arena = l->arena};
    for (uint32_t i = 0; i < w->lanes; i++) {
        c->out[i] = w->rings[lane][i];
        c->in[i] = w->rings[i][lane];
    }
}

/* world_make makes `lanes` lanes; tweak (may be NULL) changes each one's configuration. */
static struct world *world_make_rings(uint32_t lanes, uint32_t ring,
                                      void (*tweak)(struct sched_config *c))
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->sent = calloc(LOG_MAX, sizeof(*w->sent));
    w->lanes = lanes;
    w->now = 1000 * PROA_S;
    for (uint32_t i = 0; i < lanes; i++) {
        w->lane[i] = (struct world_lane){.world = w, .lane = i};
        w->lane[i].arena = arena_create();
        w->lane[i].up = byte_ring_create(1u << 15);
        w->lane[i].inbox = inbox_create(64);
        for (uint32_t j = 0; j < lanes; j++)
            w->rings[i][j] = i != j ? pair_ring_create(ring) : NULL;
    }
    for (uint32_t i = 0; i < lanes; i++) {
        struct sched_config c;

        world_config(w, i, &c);
        if (tweak != NULL)
            tweak(&c);
        w->lane[i].s = sched_create(&c);
        assert_non_null(w->lane[i].s);
        sched_begin(w->lane[i].s, w->now);
    }
    return w;
}

static inline struct world *world_make(uint32_t lanes,
                                       void (*tweak)(struct sched_config *c))
{
    return world_make_rings(lanes, 256, tweak);
}

static void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->lanes; i++)
        sched_destroy(w->lane[i].s);
    for (uint32_t i = 0; i < w->lanes; i++) {
        assert_int_equal(arena_used(w->lane[i].arena), 0);
        arena_destroy(w->lane[i].arena);
        byte_ring_destroy(w->lane[i].up);
        inbox_destroy(w->lane[i].inbox);
        for (uint32_t j = 0; j < w->lanes; j++)
            pair_ring_destroy(w->rings[i][j]);
    }
    free(w->sent);
    free(w);
}

/* ---- Time ---- */

/* One loop of one lane; how much it did. */
static uint32_t lane_loop(struct world *w, uint32_t lane)
{
    struct sched *s = w->lane[lane].s;
    uint32_t did = 0;

    sched_begin(s, w->now);
    did += sched_poll(s);
    did += sched_run(s);
    did += sched_timers(s);
    sched_flush(s);
    return did;
}

/* Loops until nothing is left to do at this moment. */
static void world_settle(struct world *w)
{
    uint32_t quiet = 0; /* rounds; what one round flushes the next one reads */

    for (uint32_t round = 0; round < 100000; round++) {
        uint32_t did = 0;

        for (uint32_t i = 0; i < w->lanes; i++)
            did += lane_loop(w, i);
        for (uint32_t i = 0; i < w->lanes; i++)
            did += sched_deadline(w->lane[i].s) == 0;
        quiet = did == 0 ? quiet + 1 : 0;
        if (quiet == 2)
            return;
    }
    fail_msg("the world does not come to rest");
}

static inline void world_advance(struct world *w, proa_ns span)
{
    w->now += span;
    world_settle(w);
}

#define STAT(w, n, field)                                                                \
    atomic_load_explicit(&sched_stats((w)->lane[n].s)->field, memory_order_relaxed)

/* Nothing queued, kept or waited for. */
static inline void assert_clean(struct world *w)
{
    for (uint32_t i = 0; i < w->lanes; i++) {
        lane_loop(w, i);
        assert_int_equal(STAT(w, i, slab_used), 0);
        assert_int_equal(STAT(w, i, bulk_used), 0);
        assert_int_equal(STAT(w, i, asks_waiting), 0);
        assert_int_equal(STAT(w, i, tokens_held), 0);
    }
}

/* ---- Probes ---- */

enum { NOTE = 1, ECHO, SILENT, LATER, PASS, SIZED, QUIT_ASKED };

enum event_kind { GOT, ANSWER, SIGNAL, TIMEOUT, NAMED, SPAWNED, STARTED, ENDED };

struct event {
    enum event_kind kind;
    uint32_t type;
    uint64_t value; /* first 8 bytes of the payload, or a cookie */
    uint32_t len;
    enum proa_outcome outcome;
    enum proa_signal_kind signal;
    enum proa_reason reason;
    uint32_t count;
    struct proa_ref from;
    uint8_t hops, cls;
};

struct log {
    struct event events[LOG_MAX];
    uint32_t count;
    struct proa_ref pass_to; /* whom PASS forwards to */
    enum proa_outcome passed;
    struct proa_token tokens[8];
    uint32_t token_count;
    int start_result;
    bool tell_self_on_stop;
};

/* Each probe's state: where it logs. */
struct probe {
    struct log *log;
};

static struct event *log_add(struct proa_actor *self, enum event_kind kind)
{
    struct log *log = ((struct probe *)proa_state(self))->log;

    assert_true(log->count < LOG_MAX);
    log->events[log->count].kind = kind;
    return &log->events[log->count++];
}

static void log_msg(struct proa_actor *self, const struct proa_msg *msg)
{
    struct event *e = log_add(self, GOT);

    assert_non_null(msg->data);
    assert_int_equal((uintptr_t)msg->data % 8, 0);
    assert_true(proa_ref_equal(msg->to, proa_self(self)));
    e->type = msg->type;
    e->len = msg->len;
    e->from = msg->from;
    e->hops = msg->hops;
    e->cls = msg->cls;
    if (msg->len >= 8)
        memcpy(&e->value, msg->data, 8);
}

static void on_echo(struct proa_actor *self, const struct proa_msg *msg)
{
    log_msg(self, msg);
    assert_int_equal(proa_reply(self, msg, msg->data, msg->len), PROA_OK);
    assert_int_equal(proa_reply(self, msg, msg->data, msg->len), PROA_NOT_AN_ASK);
}

static void on_later(struct proa_actor *self, const struct proa_msg *msg)
{
    struct log *log = ((struct probe *)proa_state(self))->log;

    log_msg(self, msg);
    assert_int_equal(proa_reply_later(self, msg, &log->tokens[log->token_count++]),
                     PROA_OK);
}

static void on_pass(struct proa_actor *self, const struct proa_msg *msg)
{
    struct log *log = ((struct probe *)proa_state(self))->log;

    log_msg(self, msg);
    log->passed = proa_forward(self, msg, log->pass_to);
}

static void on_quit(struct proa_actor *self, const struct proa_msg *msg)
{
    log_msg(self, msg);
    proa_stop(self);
}

static int probe_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct probe *p = proa_state(self);

    assert_int_equal(len, sizeof(p->log));
    memcpy(&p->log, arg, len);
    log_add(self, STARTED);
    return p->log->start_result;
}

static void probe_stop(struct proa_actor *self, enum proa_reason reason)
{
    log_add(self, ENDED)->reason = reason;
}

static void probe_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct event *e = log_add(self, SIGNAL);

    e->signal = signal->kind;
    e->outcome = signal->reason;
    e->type = signal->type;
    e->count = signal->count;
    e->from = signal->to;
    e->len = signal->name != NULL ? (uint32_t)strlen(signal->name) : 0;
}

static void log_answer(struct proa_actor *self, const struct proa_answer *answer,
                       const void *ctx)
{
    struct event *e = log_add(self, ANSWER);

    assert_non_null(answer->data);
    e->outcome = answer->outcome;
    e->len = answer->len;
    e->from = answer->from;
    memcpy(&e->count, ctx, 4); /* the asker's number of it */
    if (answer->len >= 8)
        memcpy(&e->value, answer->data, 8);
}

static const struct proa_on probe_on[] = {
    {NOTE, 0, log_msg},       {ECHO, 0, on_echo}, {SILENT, 0, log_msg},
    {LATER, 0, on_later},     {PASS, 0, on_pass}, {SIZED, 16, log_msg},
    {QUIT_ASKED, 0, on_quit},
};

static const struct proa_behaviour probe = {.type_name = "probe",
                                            .state_size = sizeof(struct probe),
                                            .on = probe_on,
                                            .on_count = 7,
                                            .mailbox = 8,
                                            .start = probe_start,
                                            .stop = probe_stop,
                                            .signal = probe_signal};

static inline struct proa_ref spawn_kind(struct world *w, uint32_t lane, struct log *log,
                                         const struct proa_behaviour *kind)
{
    struct proa_ref ref;

    assert_int_equal(sched_spawn(w->lane[lane].s, kind, &log, sizeof(log), &ref),
                     PROA_OK);
    return ref;
}

static inline struct proa_ref spawn(struct world *w, uint32_t lane, struct log *log)
{
    return spawn_kind(w, lane, log, &probe);
}

/* ---- Acting in an actor's name ---- */

struct act {
    struct proa_ref to;
    uint32_t type;
    uint64_t value;
    const void *data; /* NULL: value */
    size_t len;
    proa_ns deadline;
    uint32_t number; /* of an ask, seen in its ANSWER */
    bool urgent;
    enum proa_outcome outcome;
};

static void act_tell(struct proa_actor *self, void *ctx)
{
    struct act *a = ctx;
    const void *data = a->data != NULL ? a->data : &a->value;

    if (a->urgent)
        a->outcome = proa_tell_urgent(self, a->to, a->type, data, a->len);
    else
        a->outcome = proa_tell(self, a->to, a->type, data, a->len);
}

static void act_ask(struct proa_actor *self, void *ctx)
{
    struct act *a = ctx;

    a->outcome = proa_ask(self, a->to, a->type, a->data != NULL ? a->data : &a->value,
                          a->len, a->deadline, log_answer, &a->number, sizeof(a->number));
}

static inline void in(struct world *w, struct proa_ref who,
                      void (*fn)(struct proa_actor *self, void *ctx), void *ctx)
{
    assert_true(sched_call(w->lane[proa_ref_lane(who)].s, who, fn, ctx));
}

static inline enum proa_outcome tell(struct world *w, struct proa_ref from,
                                     struct proa_ref to, uint32_t type, uint64_t value)
{
    struct act a = {.to = to, .type = type, .value = value, .len = 8};

    in(w, from, act_tell, &a);
    return a.outcome;
}

static inline enum proa_outcome tell_data(struct world *w, struct proa_ref from,
                                          struct proa_ref to, uint32_t type,
                                          const void *data, size_t len)
{
    struct act a = {.to = to, .type = type, .data = data, .len = len};

    in(w, from, act_tell, &a);
    return a.outcome;
}

static inline enum proa_outcome ask(struct world *w, struct proa_ref from,
                                    struct proa_ref to, uint32_t type, uint64_t value,
                                    uint32_t number)
{
    struct act a = {.to = to,
                    .type = type,
                    .value = value,
                    .len = 8,
                    .deadline = PROA_S,
                    .number = number};

    in(w, from, act_ask, &a);
    return a.outcome;
}

static void act_stop(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    proa_stop(self);
}

static inline void stop(struct world *w, struct proa_ref who)
{
    in(w, who, act_stop, NULL);
}

/* A message as a link would bring it. */
static inline struct proa_msg from_far(struct proa_ref to, uint32_t type,
                                       const uint64_t *value)
{
    return (struct proa_msg){
        .data = value, .len = 8, .type = type, .from = {FAR_NODE, 5, 77}, .to = to};
}

/* The n-th event of a kind, or NULL. */
static inline const struct event *nth(const struct log *log, enum event_kind kind,
                                      uint32_t n)
{
    for (uint32_t i = 0; i < log->count; i++)
        if (log->events[i].kind == kind && n-- == 0)
            return &log->events[i];
    return NULL;
}

static inline uint32_t count_of(const struct log *log, enum event_kind kind)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < log->count; i++)
        count += log->events[i].kind == kind;
    return count;
}

#define assert_answer(log, n, num, what)                                                 \
    do {                                                                                 \
        assert_non_null(nth(log, ANSWER, n));                                            \
        assert_int_equal(nth(log, ANSWER, n)->count, num);                               \
        assert_string_equal(proa_outcome_name(nth(log, ANSWER, n)->outcome),             \
                            proa_outcome_name(what));                                    \
    } while (0)

#endif
