/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_worker.h"

#include <errno.h>
#include <poll.h>
#include <proa/client.h>
#include <proa/group.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "demo.h"
#include "demo_child.h"
#include "demo_visitor.h"
#include "kernel_clock.h"

#define JOB_FOR (10 * PROA_S)
#define TALLY_MAX 32u
#define WORKER_TYPE "demo.worker"
#define WORKER_GROUP PROA_GROUP_TYPE WORKER_TYPE

enum { WORKER_JOB = 1, DESK_SEND = 2 };

/* ---- A worker: knows its number and answers with it ---- */

static int worker_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    memcpy(proa_state(self), arg, arg_len);
    return 0;
}

static void worker_job(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, proa_state(self), sizeof(uint32_t));
}

static const struct proa_on worker_on[] = {{WORKER_JOB, 0, worker_job}};
static const struct proa_behaviour worker = {.type_name = WORKER_TYPE,
                                             .state_size = sizeof(uint32_t),
                                             .on = worker_on,
                                             .on_count = 1,
                                             .start = worker_start,
                                             .published = true};

/* ---- The balancer: the asker's answer comes from the worker itself ---- */

static void balancer_job(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_ref idle;

    /* What is not forwarded the asker gets back as NO_REPLY. */
    if (proa_route(self, WORKER_GROUP, PROA_ROUTE_IDLE_FIRST, 0, &idle) == PROA_OK)
        proa_forward(self, msg, idle);
}

static const struct proa_on balancer_on[] = {{WORKER_JOB, 0, balancer_job}};
static const struct proa_behaviour balancer = {
    .type_name = "demo.balancer", .on = balancer_on, .on_count = 1};

/* ---- The desk ---- */

struct tally {
    uint64_t node;
    uint32_t worker, answers;
};

struct desk {
    struct proa_ref listener, balancer;
    uint32_t members;
    uint32_t wanted, outcomes, answers; /* of what it has sent */
    proa_ns since;
    struct tally tally[TALLY_MAX];
};

__attribute__((format(printf, 2, 3))) static void note(struct proa_actor *self,
                                                       const char *format, ...)
{
    struct desk *desk = proa_state(self);
    char text[DEMO_NOTE_MAX];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (proa_tell(self, desk->listener, DEMO_NOTE, text, (size_t)n) != PROA_OK)
        proa_stop(self); /* the parent hears nothing more, and ends the demo */
}

static void desk_done(struct proa_actor *self)
{
    struct desk *desk = proa_state(self);
    proa_ns took = clock_now() - desk->since;

    for (unsigned i = 0; i < TALLY_MAX && desk->tally[i].answers > 0; i++)
        note(self, "by %016llx %u %u", (unsigned long long)desk->tally[i].node,
             desk->tally[i].worker, desk->tally[i].answers);
    note(self, "answered %u %llu", desk->answers, (unsigned long long)took);
}

static void desk_count(struct desk *desk, uint64_t node, uint32_t number)
{
    for (unsigned i = 0; i < TALLY_MAX; i++) {
        struct tally *t = &desk->tally[i];

        if (t->answers > 0 && (t->node != node || t->worker != number))
            continue;
        *t = (struct tally){node, number, t->answers + 1};
        return;
    }
}

static void desk_answer(struct proa_actor *self, const struct proa_answer *answer,
                        const void *ctx)
{
    struct desk *desk = proa_state(self);
    uint32_t number;

    (void)ctx;
    if (answer->outcome == PROA_OK && answer->len == sizeof(number)) {
        memcpy(&number, answer->data, sizeof(number));
        desk_count(desk, answer->from.node, number);
        desk->answers++;
    }
    if (++desk->outcomes == desk->wanted)
        desk_done(self);
}

static void desk_send(struct proa_actor *self, const struct proa_msg *msg)
{
    struct desk *desk = proa_state(self);

    memcpy(&desk->wanted, msg->data, sizeof(desk->wanted));
    desk->outcomes = desk->answers = 0;
    memset(desk->tally, 0, sizeof(desk->tally));
    desk->since = clock_now();
    for (uint32_t i = 0; i < desk->wanted; i++) {
        enum proa_outcome outcome = proa_ask(self, desk->balancer, WORKER_JOB, NULL, 0,
                                             JOB_FOR, desk_answer, NULL, 0);

        if (outcome != PROA_OK) {
            note(self, "fail an ask was not taken: %s", proa_outcome_name(outcome));
            return;
        }
    }
}

static void desk_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct desk *desk = proa_state(self);

    if (signal->kind != PROA_SIGNAL_CHANGED)
        return;
    if (signal->change->kind == PROA_CHANGE_SET)
        desk->members = signal->change->count;
    else if (signal->change->kind == PROA_CHANGE_JOINED)
        desk->members++;
    else
        desk->members--;
    note(self, "sees %u %llu", desk->members, (unsigned long long)clock_now());
}

static int desk_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct desk *desk = proa_state(self);
    struct proa_watching watching;

    memcpy(&desk->listener, arg, arg_len);
    if (proa_spawn(self, &balancer, NULL, 0, &desk->balancer) != PROA_OK)
        return 1;
    return proa_watch(self, PROA_WATCH_GROUP, WORKER_GROUP, &watching) != PROA_OK;
}

static const struct proa_on desk_on[] = {{DESK_SEND, sizeof(uint32_t), desk_send}};
static const struct proa_behaviour desk = {.type_name = "demo.desk",
                                           .state_size = sizeof(struct desk),
                                           .on = desk_on,
                                           .on_count = 1,
                                           .start = desk_start,
                                           .signal = desk_signal};

/* ---- The node ---- */

static void configure(const struct options *options, struct proa_config *config)
{
    proa_config_init(config);
    config->port_count = 1;
    snprintf(config->ports[0].spec, sizeof(config->ports[0].spec), "udp:127.0.0.1:0");
    if (options->word_count > 2) {
        config->seed_count = 1;
        snprintf(config->seeds[0], sizeof(config->seeds[0]), "%s", options->words[2]);
    }
    snprintf(config->state_dir, sizeof(config->state_dir), "%s/%s", options->words[1],
             options->words[0]);
}

static bool spawn_all(struct demo_child *c, struct proa_ref *ret_desk)
{
    struct proa_ref own = proa_client_ref(c->client), ref;
    enum proa_outcome outcome = PROA_OK;

    for (uint32_t number = 1; number <= WORKER_COUNT && outcome == PROA_OK; number++)
        outcome = proa_client_spawn(c->client, 0, &worker, &number, sizeof(number), NULL,
                                    CHILD_SPAWN_FOR, &ref);
    if (outcome == PROA_OK)
        outcome = proa_client_spawn(c->client, 0, &desk, &own, sizeof(own), NULL,
                                    CHILD_SPAWN_FOR, ret_desk);
    return outcome == PROA_OK || child_fail("spawn of the workers", outcome);
}

static bool send_some(struct demo_child *c, struct proa_ref to, const char *count)
{
    uint32_t wanted = (uint32_t)strtoul(count, NULL, 10);
    enum proa_outcome outcome;

    if (wanted == 0 || wanted > WORKER_ASKS_MAX)
        return child_fail("send", PROA_INVALID);
    outcome = proa_client_tell(c->client, to, DESK_SEND, &wanted, sizeof(wanted));
    return outcome == PROA_OK || child_fail("send", outcome);
}

/* Until the parent says quit, or is gone, or a signal comes.  False: something failed. */
static bool run(struct demo_child *c, struct proa_ref to)
{
    char line[CHILD_COMMAND_MAX];

    for (;;) {
        struct pollfd fds[3] = {{.fd = c->signals, .events = POLLIN},
                                {.fd = DEMO_FD, .events = POLLIN},
                                {.fd = proa_client_fd(c->client), .events = POLLIN}};

        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return false;
        child_pass_notes(c);
        if (fds[0].revents != 0 || (fds[1].revents != 0 && !child_hear(c)))
            return true;
        while (child_command(c, line)) {
            if (strncmp(line, "send ", 5) != 0)
                return true;
            if (!send_some(c, to, line + 5))
                return false;
        }
    }
}

int demo_worker_node(const struct options *options)
{
    struct proa_config config;
    struct demo_child c;
    struct proa_ref to;
    bool ok;

    configure(options, &config);
    ok = child_open(&c, options, &config) && spawn_all(&c, &to) && run(&c, to);
    child_close(&c);
    return ok ? 0 : 1;
}
