/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_wake.h"

#include <string.h>

#include "perf_clock.h"
#include "perf_sink.h"

static void step(struct proa_actor *self, uint64_t cookie);

static struct perf_load *load_of(struct proa_actor *self)
{
    return *(struct perf_load **)proa_state(self);
}

static void later(struct proa_actor *self, struct perf_load *load, proa_ns after)
{
    struct proa_timer timer;
    enum proa_outcome outcome = proa_timer_start(self, after, step, 0, &timer);

    if (outcome != PROA_OK)
        perf_load_fail(load, "a timer", outcome);
}

static void on_woken(struct proa_actor *self, const struct proa_answer *answer,
                     const void *ctx)
{
    struct perf_load *load = load_of(self);
    const struct perf_woken *woken = answer->data;
    proa_ns now = perf_clock_ns(), sent_at = *(const proa_ns *)ctx;

    if (answer->outcome != PROA_OK) {
        perf_load_fail(load, "an ask failed", answer->outcome);
        return;
    }
    if (answer->len != sizeof(*woken) || woken->number != load->next[0] - 1 ||
        woken->heard_at < sent_at) {
        perf_load_fail(load, "an answer is not what was asked", PROA_OK);
        return;
    }
    load->answered++;
    perf_latency_add(load->rtt, now - sent_at);
    perf_latency_add(load->first, woken->heard_at - sent_at);
    load->random = load->random * 6364136223846793005u + 1442695040888963407u;
    later(self, load,
          PERF_WAKE_LEAST + (load->random >> 33) % (PERF_WAKE_MOST - PERF_WAKE_LEAST));
}

static enum proa_outcome wake(struct proa_actor *self, struct perf_load *load)
{
    const struct perf_wake message = {.number = load->next[0]};
    proa_ns now = perf_clock_ns();
    enum proa_outcome outcome =
        proa_ask(self, load->to[0], PERF_TYPE_WAKE, &message, sizeof(message),
                 PERF_ASK_DEADLINE, on_woken, &now, sizeof(now));

    if (outcome == PROA_OK) {
        load->sums[0] += load->next[0]++;
        load->sent++;
    }
    return outcome;
}

static enum proa_outcome mark(struct proa_actor *self, struct perf_load *load)
{
    const struct perf_mark message = {.sent = 0};
    enum proa_outcome outcome =
        proa_tell(self, load->to[0], PERF_TYPE_MARK, &message, sizeof(message));

    if (outcome != PROA_OK)
        return outcome;
    load->marked_at = proa_now(self);
    load->phase = PERF_RUN;
    later(self, load, load->options.seconds * PROA_S);
    return PROA_OK;
}

static enum proa_outcome last(struct proa_actor *self, struct perf_load *load)
{
    const struct perf_last message = {.sent = load->sent, .sum = load->sums[0]};
    enum proa_outcome outcome =
        proa_tell(self, load->to[0], PERF_TYPE_LAST, &message, sizeof(message));

    if (outcome != PROA_OK)
        return outcome;
    load->ended_at = proa_now(self);
    perf_load_over(load, PERF_LOAD_DONE);
    return PROA_OK;
}

static void step(struct proa_actor *self, uint64_t cookie)
{
    struct perf_load *load = load_of(self);
    enum proa_outcome outcome;

    (void)cookie;
    if (load->phase == PERF_WARM)
        outcome = mark(self, load);
    else
        outcome = load->sent < PERF_WAKES ? wake(self, load) : last(self, load);
    if (outcome == PROA_NO_ROUTE && load->phase == PERF_WARM &&
        proa_now(self) - load->started_at < PERF_ROUTE_FOR)
        later(self, load, PERF_ROUTE_RETRY);
    else if (outcome != PROA_OK)
        perf_load_fail(load, "sending", outcome);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    if (signal->kind == PROA_SIGNAL_UNDELIVERED)
        perf_load_fail(load_of(self), "a message was not delivered", signal->reason);
}

static int start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct perf_load *load;

    if (arg_len != sizeof(load))
        return -1;
    memcpy(&load, arg, sizeof(load));
    memcpy(proa_state(self), &load, sizeof(load));
    load->started_at = proa_now(self);
    later(self, load, load->options.warmup_ms * PROA_MS + PROA_MS);
    return 0;
}

const struct proa_behaviour perf_waker = {
    .type_name = "perf_waker",
    .state_size = sizeof(struct perf_load *),
    .start = start,
    .signal = on_signal,
};
