/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_sink.h"

#include <stdlib.h>
#include <string.h>

#include "perf_clock.h"
#include "scheduler_internal.h"

void perf_sink_init(struct perf_sink *sink, uint32_t size, uint32_t receivers)
{
    memset(sink, 0, sizeof(*sink));
    sink->size = size;
    sink->receivers = receivers;
}

struct perf_sink *perf_sink_create(uint32_t size, uint32_t receivers)
{
    struct perf_sink *sink = aligned_alloc(
        PROA_CACHE_LINE, (sizeof(*sink) + PROA_CACHE_LINE - 1) & ~(size_t)63);

    if (sink != NULL)
        perf_sink_init(sink, size, receivers);
    return sink;
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
           sink->misdelivered == 0 && sink->unequal == 0;
}

/* ---- Reading ---- */

void perf_reader_init(struct perf_reader *reader, struct perf_sink *sink, uint32_t index)
{
    *reader = (struct perf_reader){.sink = sink,
                                   .size = sink->size,
                                   .words = sink->size / 8,
                                   .index = index,
                                   .next = perf_first_number(index)};
}

__attribute__((noinline, cold)) void perf_reader_surprise(struct perf_reader *reader,
                                                          uint64_t number, bool whole)
{
    struct perf_sink *sink = reader->sink;

    if (!whole) {
        add(&sink->wrong, 1);
        return;
    }
    if (number >> PERF_PAYLOAD_NUMBERS != reader->index) {
        add(&sink->misdelivered, 1);
        return;
    }
    if (number < reader->next) {
        add(&sink->repeats, 1);
        return;
    }
    add(&sink->gaps, number - reader->next);
    reader->next = number + 1;
}

void perf_reader_mark(struct perf_reader *reader, const struct perf_mark *mark,
                      proa_ns now)
{
    reader->sink->sent_at_mark = mark->sent;
    /* relaxed: others only ask whether, and since when. */
    atomic_store_explicit(&reader->sink->marked_at, now, memory_order_relaxed);
    reader->sink->malloc_at_mark = perf_malloc_mine();
}

void perf_reader_last(struct perf_reader *reader, const struct perf_last *last,
                      proa_ns now)
{
    struct perf_sink *sink = reader->sink;
    uint64_t count = reader->next - perf_first_number(reader->index);

    if (reader->index == 0)
        add(&sink->mallocs, perf_malloc_since(&sink->malloc_at_mark));
    add(&sink->received, count);
    add(&sink->sum, reader->sum);
    if (count != last->sent || reader->sum != last->sum)
        add(&sink->unequal, 1);
    /* relaxed: receivers of one lane settle one after another; of several, one loop is the error. */
    atomic_store_explicit(&sink->last_at, now, memory_order_relaxed);
    /* release, pairs with the acquire in perf_sink_done. */
    atomic_fetch_add_explicit(&sink->done, 1, memory_order_release);
}

/* ---- The actor ---- */

static int start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct perf_sink_arg a;

    if (arg_len != sizeof(a))
        return -1;
    memcpy(&a, arg, sizeof(a));
    perf_reader_init(proa_state(self), a.sink, a.index);
    atomic_fetch_add_explicit(&a.sink->made, 1,
                              memory_order_relaxed); /* read after MAKE */
    return 0;
}

/* The last it does to the sink; release, pairs with the load of whoever frees it. */
static void stop(struct proa_actor *self, enum proa_reason reason)
{
    struct perf_reader *r = proa_state(self);

    (void)reason;
    atomic_fetch_add_explicit(&r->sink->ended, 1, memory_order_release);
}

static inline void take(struct perf_reader *reader, const struct proa_msg *msg)
{
    perf_reader_take(reader, msg->data, msg->len);
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
    struct perf_reader *r = proa_state(self);

    take(r, msg);
    /* One message is on its way at a time: there is always room, or something is wrong. */
    if (proa_tell(self, msg->from, PERF_TYPE_PONG, msg->data, msg->len) != PROA_OK)
        add(&r->sink->wrong, 1);
}

static void on_bounce(struct proa_actor *self, const struct proa_msg *msg)
{
    struct perf_reader *r = proa_state(self);

    if (proa_tell(self, msg->from, PERF_TYPE_GO, NULL, 0) != PROA_OK)
        add(&r->sink->wrong, 1);
}

static void on_wake(struct proa_actor *self, const struct proa_msg *msg)
{
    struct perf_reader *r = proa_state(self);
    const struct perf_wake *wake = msg->data;
    const struct perf_woken woken = {.number = wake->number, .heard_at = perf_clock_ns()};

    if (wake->number == r->next)
        r->next++;
    else
        perf_reader_surprise(r, wake->number, true);
    r->sum += wake->number;
    proa_reply(self, msg, &woken, sizeof(woken));
}

static void on_mark(struct proa_actor *self, const struct proa_msg *msg)
{
    perf_reader_mark(proa_state(self), msg->data, proa_now(self));
}

static void on_last(struct proa_actor *self, const struct proa_msg *msg)
{
    perf_reader_last(proa_state(self), msg->data, proa_now(self));
}

static const struct proa_on on[] = {
    {PERF_TYPE_TELL, 8, on_tell},
    {PERF_TYPE_ASK, 8, on_ask},
    {PERF_TYPE_PING, 8, on_ping},
    {PERF_TYPE_BOUNCE, 0, on_bounce},
    {PERF_TYPE_WAKE, sizeof(struct perf_wake), on_wake},
    {PERF_TYPE_MARK, sizeof(struct perf_mark), on_mark},
    {PERF_TYPE_LAST, sizeof(struct perf_last), on_last},
};

const struct proa_behaviour perf_receiver = {
    .type_name = "perf_receiver",
    .state_size = sizeof(struct perf_reader),
    .on = on,
    .on_count = sizeof(on) / sizeof(on[0]),
    .mailbox = 16384, /* a full burst of packets, all for one actor, several times */
    .start = start,
    .stop = stop,
};

/* ---- Making them ---- */

static int maker_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    if (arg_len != sizeof(struct perf_maker_arg))
        return -1;
    memcpy(proa_state(self), arg, arg_len);
    return 0;
}

/* release, pairs with the load of whoever counts what was made. */
static void maker_stop(struct proa_actor *self, enum proa_reason reason)
{
    const struct perf_maker_arg *m = proa_state(self);

    (void)reason;
    atomic_fetch_add_explicit(&m->sink->makers_ended, 1, memory_order_release);
}

static void on_make(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct perf_maker_arg *m = proa_state(self);
    const struct perf_make *make = msg->data;
    uint32_t outcome = PROA_OK;

    /* From the next loop on; a node has no bound but time (control/node_build.c). */
    self->sched->in_place_max = m->sink->mailbox ? 0 : UINT32_MAX;
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
    .stop = maker_stop,
};
