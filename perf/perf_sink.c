/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_sink.h"

#include <string.h>

#include "perf_payload.h"

struct receiver {
    struct perf_sink *sink;
    uint32_t size, words;
    uint64_t next; /* number of the message to come */
    uint64_t sum;  /* of all words read */
    uint32_t index;
};

void perf_sink_init(struct perf_sink *sink, uint32_t size, uint32_t receivers)
{
    memset(sink, 0, sizeof(*sink));
    sink->size = size;
    sink->receivers = receivers;
}

/* relaxed: read after perf_sink_done, whose acquire orders it. */
static void add(_Atomic uint64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

bool perf_sink_done(const struct perf_sink *sink)
{
    /* acquire, pairs with the release in on_last: the accounts are written before done. */
    return atomic_load_explicit(&sink->done, memory_order_acquire) == sink->receivers;
}

bool perf_sink_good(const struct perf_sink *sink)
{
    return sink->gaps == 0 && sink->repeats == 0 && sink->wrong == 0 &&
           sink->unequal == 0;
}

static int start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct receiver *r = proa_state(self);
    struct perf_sink_arg a;

    if (arg_len != sizeof(a))
        return -1;
    memcpy(&a, arg, sizeof(a));
    r->sink = a.sink;
    r->index = a.index;
    r->size = a.sink->size;
    r->words = a.sink->size / 8;
    return 0;
}

/* Not the message expected: says which way it is wrong, and goes on behind it. */
static __attribute__((noinline, cold)) void surprise(struct receiver *r, uint64_t number,
                                                     bool whole)
{
    if (!whole)
        add(&r->sink->wrong, 1);
    else if (number > r->next)
        add(&r->sink->gaps, number - r->next);
    else
        add(&r->sink->repeats, 1);
    if (whole && number >= r->next)
        r->next = number + 1;
}

static inline void take(struct receiver *r, const struct proa_msg *msg)
{
    const uint64_t *words = msg->data;
    uint64_t number = words[0];
    bool whole =
        msg->len == r->size && perf_payload_check(words, r->words, number, &r->sum);

    if (__builtin_expect(!whole || number != r->next, 0)) {
        surprise(r, number, whole);
        return;
    }
    r->next++;
}

static void on_tell(struct proa_actor *self, const struct proa_msg *msg)
{
    take(proa_state(self), msg);
}

static void on_ask(struct proa_actor *self, const struct proa_msg *msg)
{
    take(proa_state(self), msg);
    proa_reply(self, msg, msg->data, msg->len);
}

static void on_ping(struct proa_actor *self, const struct proa_msg *msg)
{
    struct receiver *r = proa_state(self);

    take(r, msg);
    /* One message is on its way at a time: there is always room, or something is wrong. */
    if (proa_tell(self, msg->from, PERF_TYPE_PONG, msg->data, msg->len) != PROA_OK)
        add(&r->sink->wrong, 1);
}

static void on_bounce(struct proa_actor *self, const struct proa_msg *msg)
{
    struct receiver *r = proa_state(self);

    if (proa_tell(self, msg->from, PERF_TYPE_GO, NULL, 0) != PROA_OK)
        add(&r->sink->wrong, 1);
}

static void on_mark(struct proa_actor *self, const struct proa_msg *msg)
{
    struct receiver *r = proa_state(self);
    const struct perf_mark *mark = msg->data;

    r->sink->sent_at_mark = mark->sent;
    r->sink->marked_at = proa_now(self);
    r->sink->malloc_at_mark = perf_malloc_mine();
}

static void on_last(struct proa_actor *self, const struct proa_msg *msg)
{
    struct receiver *r = proa_state(self);
    struct perf_sink *sink = r->sink;
    const struct perf_last *last = msg->data;

    if (r->index == 0)
        add(&sink->mallocs, perf_malloc_since(&sink->malloc_at_mark));
    add(&sink->received, r->next);
    add(&sink->sum, r->sum);
    if (r->next != last->sent || r->sum != last->sum)
        add(&sink->unequal, 1);
    /* relaxed: receivers of one lane settle one after another; of several, one loop is the error. */
    atomic_store_explicit(&sink->last_at, proa_now(self), memory_order_relaxed);
    /* release, pairs with the acquire in perf_sink_done. */
    atomic_fetch_add_explicit(&sink->done, 1, memory_order_release);
}

static const struct proa_on on[] = {
    {PERF_TYPE_TELL, 8, on_tell},
    {PERF_TYPE_ASK, 8, on_ask},
    {PERF_TYPE_PING, 8, on_ping},
    {PERF_TYPE_BOUNCE, 0, on_bounce},
    {PERF_TYPE_MARK, sizeof(struct perf_mark), on_mark},
    {PERF_TYPE_LAST, sizeof(struct perf_last), on_last},
};

const struct proa_behaviour perf_receiver = {
    .type_name = "perf_receiver",
    .state_size = sizeof(struct receiver),
    .on = on,
    .on_count = sizeof(on) / sizeof(on[0]),
    .mailbox = 16384, /* a full burst of packets, all for one actor, several times */
    .start = start,
};

/* ---- Making them ---- */

static int maker_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    if (arg_len != sizeof(struct perf_maker_arg))
        return -1;
    memcpy(proa_state(self), arg, arg_len);
    return 0;
}

static void on_make(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct perf_maker_arg *m = proa_state(self);
    const struct perf_make *make = msg->data;
    uint32_t outcome = PROA_OK;

    for (uint32_t i = 0; i < make->count && outcome == PROA_OK; i++) {
        struct perf_sink_arg arg = {.sink = m->sink, .index = make->first + i};

        outcome =
            proa_spawn(self, &perf_receiver, &arg, sizeof(arg), &m->refs[arg.index]);
    }
    proa_reply(self, msg, &outcome, sizeof(outcome));
}

static const struct proa_on maker_on[] = {
    {PERF_TYPE_MAKE, sizeof(struct perf_make), on_make}};

const struct proa_behaviour perf_maker = {
    .type_name = "perf_maker",
    .state_size = sizeof(struct perf_maker_arg),
    .on = maker_on,
    .on_count = 1,
    .start = maker_start,
};
