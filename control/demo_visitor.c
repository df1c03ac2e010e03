/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_visitor.h"

#include <proa/le.h>
#include <proa/registry.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "builtin.h"
#include "demo_load.h"
#include "kernel_clock.h"

#define FIND_FOR (20 * PROA_S) /* A may still be starting */
#define ASK_FOR (5 * PROA_S)
#define LATE_FOR (30 * PROA_S)

struct visitor {
    struct visitor_arg arg;
    proa_ns began;
};

/* ---- Notes ---- */

static void send_note(struct proa_actor *self, struct proa_ref to, const char *text)
{
    enum proa_outcome outcome = proa_tell(self, to, DEMO_NOTE, text, strlen(text));

    /* The listener's ring holds far more notes than there are; it is gone when the node ends. */
    if (outcome == PROA_AGAIN || outcome == PROA_FULL)
        fprintf(stderr, "proa demo: a note is lost: %s\n", text);
}

__attribute__((format(printf, 2, 3))) static void note(struct proa_actor *self,
                                                       const char *format, ...)
{
    const struct visitor *v = proa_state(self);
    char text[DEMO_NOTE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    send_note(self, v->arg.listener, text);
}

static void fail(struct proa_actor *self, const char *what, enum proa_outcome outcome)
{
    note(self, "fail %s: %s", what, proa_outcome_name(outcome));
    proa_stop(self);
}

/* ---- The load ---- */

/* On the driver, whose state is not the visitor's. */
static void on_report(struct proa_actor *driver, const struct load_report *r)
{
    char text[DEMO_NOTE_MAX];

    if (r->failure != NULL)
        snprintf(text, sizeof(text), "fail load, second %u: %s", r->second, r->failure);
    else
        snprintf(text, sizeof(text), "%s %u %llu %llu %llu %llu %llu %llu %llu",
                 r->last ? "sum" : "live", r->second, (unsigned long long)r->messages,
                 (unsigned long long)r->span, (unsigned long long)r->rtts,
                 (unsigned long long)r->rtt_p50, (unsigned long long)r->rtt_p99,
                 (unsigned long long)r->rtt_p999, (unsigned long long)r->undelivered);
    send_note(driver, r->to, text);
}

static void on_sink(struct proa_actor *self, const struct proa_name_answer *answer,
                    const void *ctx)
{
    struct visitor *v = proa_state(self);
    struct load_arg arg = {.sink = answer->ref,
                           .seconds = v->arg.seconds,
                           .report = on_report,
                           .report_to = v->arg.listener};
    struct proa_ref driver;
    enum proa_outcome outcome;

    (void)ctx;
    if (answer->outcome != PROA_OK) {
        fail(self, "lookup of " DEMO_SINK, answer->outcome);
        return;
    }
    note(self, "load %u", v->arg.seconds);
    outcome = proa_spawn(self, &load_driver, &arg, sizeof(arg), &driver);
    if (outcome != PROA_OK)
        fail(self, "spawn of the load driver", outcome);
}

/* ---- The conversation, last step first ---- */

static void on_late(struct proa_actor *self, const struct proa_name_answer *answer,
                    const void *ctx)
{
    enum proa_outcome outcome = answer->outcome;

    (void)ctx;
    if (outcome == PROA_OK) {
        note(self, "late-found %llu", (unsigned long long)clock_now());
        outcome = proa_lookup_wait(self, DEMO_SINK, FIND_FOR, on_sink, NULL, 0);
    }
    if (outcome != PROA_OK)
        fail(self, "waiting for " DEMO_LATE, outcome);
}

static void on_nobody(struct proa_actor *self, const struct proa_name_answer *answer,
                      const void *ctx)
{
    enum proa_outcome outcome = answer->outcome;

    (void)ctx;
    if (outcome != PROA_NOT_FOUND) {
        fail(self, "lookup of " DEMO_NOBODY, outcome);
        return;
    }
    note(self, "not-found");
    note(self, "wait");
    outcome = proa_lookup_wait(self, DEMO_LATE, LATE_FOR, on_late, NULL, 0);
    if (outcome != PROA_OK)
        fail(self, "lookup of " DEMO_LATE, outcome);
}

static void on_count(struct proa_actor *self, const struct proa_answer *answer,
                     const void *ctx)
{
    enum proa_outcome outcome = answer->outcome;

    (void)ctx;
    if (outcome != PROA_OK || answer->len != 8) {
        fail(self, "ask of " DEMO_COUNTER, outcome);
        return;
    }
    note(self, "count %llu", (unsigned long long)proa_get_le64(answer->data));
    outcome = proa_lookup_now(self, DEMO_NOBODY, ASK_FOR, on_nobody, NULL, 0);
    if (outcome != PROA_OK)
        fail(self, "lookup of " DEMO_NOBODY, outcome);
}

static void on_counter(struct proa_actor *self, const struct proa_name_answer *answer,
                       const void *ctx)
{
    struct visitor *v = proa_state(self);
    enum proa_outcome outcome = answer->outcome;
    uint8_t amount[8];

    (void)ctx;
    if (outcome == PROA_OK) {
        note(self, "found %llu", (unsigned long long)(clock_now() - v->began));
        proa_put_le64(amount, 10);
        outcome = proa_ask(self, answer->ref, BUILTIN_INC, amount, sizeof(amount),
                           ASK_FOR, on_count, NULL, 0);
    }
    if (outcome != PROA_OK)
        fail(self, "lookup of " DEMO_COUNTER, outcome);
}

static int visitor_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct visitor *v = proa_state(self);

    if (arg_len != sizeof(v->arg))
        return 1;
    memcpy(&v->arg, arg, sizeof(v->arg));
    v->began = clock_now();
    return proa_lookup_wait(self, DEMO_COUNTER, FIND_FOR, on_counter, NULL, 0) != PROA_OK;
}

const struct proa_behaviour demo_visitor = {
    .type_name = "demo.visitor",
    .state_size = sizeof(struct visitor),
    .start = visitor_start,
};
