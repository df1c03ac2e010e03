/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "perf_clock.h"

#define CLOCK_EVERY                                                                      \
    64u /* messages one way between two looks at the clock; a power of two */

static bool send_number(const struct peer_calls *calls, void *ctx, uint64_t number)
{
    uint64_t words[PEER_WORDS];

    perf_payload_fill_n(words, PEER_WORDS, number);
    return calls->send(ctx, words);
}

/* A tenth of the span is not timed. */
static bool ask(struct peer_end *end, const struct peer_calls *calls, void *ctx)
{
    struct peer_samples samples;
    uint64_t words[PEER_WORDS], number = 0;
    bool ok = peer_samples_open(&samples);
    proa_ns began = perf_clock_ns(), warm = began + end->span / 10;

    for (proa_ns now = began; ok && now < began + end->span; number++) {
        uint64_t ticks = perf_clock_ticks();

        ok = send_number(calls, ctx, number) && calls->flush(ctx) &&
             calls->receive(ctx, words) && peer_check_echo(end, words, number);
        ticks = perf_clock_ticks() - ticks;
        now = perf_clock_ns();
        if (now >= warm)
            peer_samples_add(&samples, ticks);
    }
    ok = ok && send_number(calls, ctx, PEER_END + number) && calls->flush(ctx);
    return samples.latency != NULL && peer_samples_close(&samples, &end->result) && ok;
}

static bool answer(struct peer_end *end, const struct peer_calls *calls, void *ctx)
{
    uint64_t words[PEER_WORDS];

    while (calls->receive(ctx, words)) {
        if (peer_check_next(end, words))
            return true;
        if (!calls->send(ctx, words) || !calls->flush(ctx))
            return false;
    }
    return false;
}

/* Waits until B has got as far as the window wants. */
static bool await_credit(struct peer_end *end, const struct peer_calls *calls, void *ctx,
                         uint64_t *credit)
{
    uint64_t words[PEER_WORDS];

    if (!calls->flush(ctx) || !calls->receive(ctx, words))
        return false;
    *credit += calls->window / 4;
    return peer_check_echo(end, words, *credit);
}

static bool tell(struct peer_end *end, const struct peer_calls *calls, void *ctx)
{
    uint64_t number = 0, credit = 0;
    proa_ns until = perf_clock_ns() + end->span;

    while (number < 2 * PEER_WARM || number % CLOCK_EVERY != 0 ||
           perf_clock_ns() < until) {
        if (calls->window != 0 && number - credit >= calls->window &&
            !await_credit(end, calls, ctx, &credit))
            return false;
        if (!send_number(calls, ctx, number++))
            return false;
    }
    end->result.count = number;
    return send_number(calls, ctx, PEER_END + number) && calls->flush(ctx);
}

static bool count(struct peer_end *end, const struct peer_calls *calls, void *ctx)
{
    struct peer_result *result = &end->result;
    uint64_t words[PEER_WORDS];
    proa_ns began = 0;

    while (calls->receive(ctx, words)) {
        if (peer_check_next(end, words)) {
            result->ns = perf_clock_ns() - began;
            return true;
        }
        if (result->count == PEER_WARM)
            began = perf_clock_ns();
        if (calls->window != 0 && result->count % (calls->window / 4) == 0 &&
            (!send_number(calls, ctx, result->count) || !calls->flush(ctx)))
            return false;
    }
    return false;
}

bool peer_calls_run(struct peer_end *end, const struct peer_calls *calls)
{
    void *ctx = NULL;
    bool ok = calls->open(end, &ctx);

    if (ok && end->phase == PEER_ROUND_TRIPS)
        ok = end->is_a ? ask(end, calls, ctx) : answer(end, calls, ctx);
    else if (ok)
        ok = end->is_a ? tell(end, calls, ctx) : count(end, calls, ctx);
    if (ok)
        peer_end_done(end);
    if (ctx != NULL)
        calls->close(ctx);
    return ok;
}
