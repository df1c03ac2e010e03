/* SPDX-License-Identifier: Apache-2.0 */
#include "savina_actor.h"

#include <stdlib.h>
#include <string.h>

#include "perf_clock.h"

/* ---- Life ---- */

int savina_start(struct proa_actor *self, uint32_t post_max,
                 void (*resume)(struct proa_actor *self))
{
    struct savina_actor *a = proa_state(self);

    a->posts = calloc(post_max, sizeof(*a->posts));
    a->post_max = post_max;
    a->resume = resume;
    return a->posts != NULL ? 0 : -1;
}

void savina_stop(struct proa_actor *self, enum proa_reason reason)
{
    struct savina_actor *a = proa_state(self);

    (void)reason;
    free(a->posts);
}

/* ---- The outbox ---- */

void savina_post(struct proa_actor *self, struct proa_ref to, uint32_t type,
                 const void *data, uint32_t len)
{
    struct savina_actor *a = proa_state(self);
    struct savina_post *post = &a->posts[(a->post_first + a->post_count) % a->post_max];

    PROA_ASSERT(a->post_count < a->post_max && len <= SAVINA_POST_MAX);
    post->to = to;
    post->type = type;
    post->len = len;
    if (len > 0)
        memcpy(post->data, data, len);
    a->post_count++;
}

static void empty_outbox(struct proa_actor *self)
{
    struct savina_actor *a = proa_state(self);

    while (a->post_count > 0) {
        const struct savina_post *post = &a->posts[a->post_first];
        enum proa_outcome outcome =
            proa_tell(self, post->to, post->type, post->data, post->len);

        if (outcome != PROA_OK && savina_not_sent(self, outcome))
            return;
        a->post_first = (a->post_first + 1) % a->post_max;
        a->post_count--;
    }
    if (a->resume != NULL)
        a->resume(self);
}

static void on_timer(struct proa_actor *self, uint64_t cookie)
{
    struct savina_actor *a = proa_state(self);

    (void)cookie;
    a->timed = false;
    empty_outbox(self);
}

bool savina_not_sent(struct proa_actor *self, enum proa_outcome outcome)
{
    struct savina_actor *a = proa_state(self);
    struct proa_timer timer;

    switch (outcome) {
    case PROA_AGAIN: /* WRITABLE follows */
        a->report.again++;
        return true;
    case PROA_FULL:
        a->report.full++;
        if (!a->timed)
            a->timed =
                proa_timer_start(self, SAVINA_FULL_WAIT, on_timer, 0, &timer) == PROA_OK;
        if (a->timed)
            return true;
        break;
    default:
        break;
    }
    a->report.wrong++;
    return false;
}

void savina_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct savina_actor *a = proa_state(self);

    if (signal->kind == PROA_SIGNAL_UNDELIVERED)
        a->report.undelivered += signal->count;
    else if (signal->kind == PROA_SIGNAL_WRITABLE)
        empty_outbox(self);
}

/* ---- The run ---- */

void savina_begin(struct proa_actor *self, const struct proa_msg *msg)
{
    struct savina_actor *a = proa_state(self);

    if (proa_reply_later(self, msg, &a->run) != PROA_OK)
        a->report.wrong++;
    a->began = perf_clock_ns();
}

void savina_end(struct proa_actor *self)
{
    struct savina_actor *a = proa_state(self);

    a->report.ns = perf_clock_ns() - a->began;
    if (proa_reply_token(self, a->run, NULL, 0) != PROA_OK)
        a->report.wrong++;
}

void savina_on_report(struct proa_actor *self, const struct proa_msg *msg)
{
    struct savina_actor *a = proa_state(self);

    proa_reply(self, msg, &a->report, sizeof(a->report));
}

/* ---- The gate ---- */

struct gate {
    struct savina_actor a;
    struct savina_gate_arg arg;
};

static int gate_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct gate *g = proa_state(self);

    if (arg_len != sizeof(g->arg))
        return -1;
    memcpy(&g->arg, arg, sizeof(g->arg));
    return savina_start(self, g->arg.count, NULL);
}

static void gate_run(struct proa_actor *self, const struct proa_msg *msg)
{
    struct gate *g = proa_state(self);

    savina_begin(self, msg);
    for (uint32_t i = 0; i < g->arg.count; i++)
        savina_send(self, g->arg.parties[i], SAVINA_GO, NULL, 0);
}

static void gate_done(struct proa_actor *self, const struct proa_msg *msg)
{
    struct gate *g = proa_state(self);

    (void)msg;
    if (++g->a.report.count == g->arg.count)
        savina_end(self);
}

static const struct proa_on gate_on[] = {
    {SAVINA_RUN, 0, gate_run},
    {SAVINA_DONE, 0, gate_done},
    {SAVINA_REPORT, 0, savina_on_report},
};

/* Every party tells it DONE once. */
const struct proa_behaviour savina_gate = {
    .type_name = "savina_gate",
    .state_size = sizeof(struct gate),
    .on = gate_on,
    .on_count = sizeof(gate_on) / sizeof(gate_on[0]),
    .mailbox = 4096,
    .start = gate_start,
    .stop = savina_stop,
    .signal = savina_signal,
};
