/* SPDX-License-Identifier: Apache-2.0 */
/* balancer.c - work spread over actors of one type, wherever they run.

     ./balancer 127.0.0.1:7421                                 three workers
     ./balancer 127.0.0.1:7422 127.0.0.1:7421 --balance 30     three more, and 30 requests

   The second node knows one neighbour.  Their registries link, so each knows the workers of both,
   and its balancer hands each request to an idle one; the answer goes from that worker straight to
   the asker.  A third node that names either of them as its neighbour uses the workers of all:

     ./balancer 127.0.0.1:7423 127.0.0.1:7422 --workers 0 --balance 30 */
#include <proa/client.h>
#include <proa/group.h>
#include <proa/node.h>
#include <proa/pool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS                                                                          \
    PROA_GROUP_TYPE "worker" /* the group that all actors of type worker are in */
#define REQUESTS_MAX 1000
#define QUIET (300 * PROA_MS) /* no change for so long: all workers are known */
#define PATIENCE (30 * PROA_S)

/* ---- The protocol ---- */

enum {
    WORK = 1,
    RUN
}; /* WORK: struct work, answered by its square; RUN: struct plan, a report */

struct work {
    uint64_t number;
};

struct plan {
    uint32_t workers;  /* of this node */
    uint32_t requests; /* to be balanced */
    bool neighbour;    /* other nodes' workers are waited for */
};

struct done {
    struct proa_ref worker;
    uint64_t square;
    enum proa_outcome outcome;
};

struct report {
    uint32_t members; /* workers known when the first request went out */
    uint32_t count;   /* of requests */
    proa_ns span;     /* from the first request to the last answer */
    struct done done[REQUESTS_MAX];
};

/* ---- A worker ---- */

static void worker_on_work(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct work *work = msg->data;
    uint64_t square = work->number * work->number;

    proa_reply(self, msg, &square, sizeof(square));
}

static const struct proa_on worker_on[] = {{WORK, sizeof(struct work), worker_on_work}};
static const struct proa_behaviour worker = {
    .type_name = "worker", .on = worker_on, .on_count = 1, .published = true};

/* ---- The balancer ---- */

static void balancer_on_work(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_ref idle;

    if (proa_route(self, WORKERS, PROA_ROUTE_IDLE_FIRST, 0, &idle) == PROA_OK)
        proa_forward(self, msg, idle);
    /* Whoever asked and was not forwarded is told NO_REPLY when this returns. */
}

static const struct proa_on balancer_on[] = {
    {WORK, sizeof(struct work), balancer_on_work}};
static const struct proa_behaviour balancer = {
    .type_name = "balancer", .on = balancer_on, .on_count = 1};

/* ---- The office: makes the workers and the balancer, and sends the requests ---- */

struct office {
    struct plan plan;
    struct proa_ref balancer;
    struct proa_token token;  /* of RUN */
    uint32_t members, remote; /* workers, and those on other nodes */
    uint32_t answered;
    proa_ns changed_at, began;
    struct report report;
};

static void office_on_pool(struct proa_actor *self, enum proa_outcome outcome,
                           struct proa_pool pool, uint32_t started, const void *ctx)
{
    (void)pool; /* it ends with the office */
    (void)started;
    (void)ctx;
    if (outcome != PROA_OK)
        proa_fail(self, (int32_t)outcome);
}

static int office_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct office *office = proa_state(self);
    struct proa_pool_config pool = {.behaviour = &worker};

    memcpy(&office->plan, arg, arg_len);
    pool.count = office->plan.workers;
    if (pool.count > 0 &&
        proa_pool_start(self, &pool, office_on_pool, NULL, 0) != PROA_OK)
        return 1;
    return proa_spawn(self, &balancer, NULL, 0, &office->balancer) == PROA_OK ? 0 : 1;
}

static void office_on_answer(struct proa_actor *self, const struct proa_answer *answer,
                             const void *ctx)
{
    struct office *office = proa_state(self);
    struct report *report = &office->report;
    struct done *done;
    uint32_t i;

    memcpy(&i, ctx, sizeof(i));
    done = &report->done[i];
    done->outcome = answer->outcome;
    done->worker = answer->from;
    if (answer->outcome == PROA_OK && answer->len == sizeof(done->square))
        memcpy(&done->square, answer->data, sizeof(done->square));
    if (++office->answered < report->count)
        return;
    report->span = proa_now(self) - office->began;
    proa_reply_token(self, office->token, report,
                     sizeof(*report) - sizeof(report->done) +
                         report->count * sizeof(report->done[0]));
}

static void office_send(struct proa_actor *self)
{
    struct office *office = proa_state(self);

    office->began = proa_now(self);
    office->report.members = office->members;
    office->report.count = office->plan.requests;
    for (uint32_t i = 0; i < office->plan.requests; i++) {
        const struct work work = {.number = i};
        enum proa_outcome outcome =
            proa_ask(self, office->balancer, WORK, &work, sizeof(work), PROA_S,
                     office_on_answer, &i, sizeof(i));

        if (outcome != PROA_OK) { /* nothing went out: its outcome is here already */
            const struct proa_answer answer = {.outcome = outcome};
            office_on_answer(self, &answer, &i);
        }
    }
}

/* Waits until the group has not changed for a while. */
static void office_wait(struct proa_actor *self, uint64_t cookie)
{
    struct office *office = proa_state(self);
    bool known = office->members > 0 && (office->remote > 0 || !office->plan.neighbour);
    struct proa_timer timer;

    (void)cookie;
    if (known && proa_now(self) - office->changed_at >= QUIET)
        office_send(self);
    else
        proa_timer_start(self, QUIET / 10, office_wait, 0, &timer);
}

static void office_on_run(struct proa_actor *self, const struct proa_msg *msg)
{
    struct office *office = proa_state(self);
    struct proa_watching watching;

    if (proa_watch(self, PROA_WATCH_GROUP, WORKERS, &watching) == PROA_OK &&
        proa_reply_later(self, msg, &office->token) == PROA_OK)
        office_wait(self, 0);
}

static void office_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct office *office = proa_state(self);
    const struct proa_change *change = signal->change;
    uint64_t here = proa_self(self).node;
    uint32_t one;

    if (signal->kind != PROA_SIGNAL_CHANGED)
        return;
    office->changed_at = proa_now(self);
    if (change->kind == PROA_CHANGE_SET) {
        office->members = change->count;
        office->remote = 0;
        for (uint32_t i = 0; i < change->count; i++)
            office->remote += change->refs[i].node != here;
        return;
    }
    one = change->kind == PROA_CHANGE_JOINED ? 1 : UINT32_MAX; /* or one less */
    office->members += one;
    if (change->ref.node != here)
        office->remote += one;
}

static const struct proa_on office_on[] = {{RUN, 0, office_on_run}};
static const struct proa_behaviour office = {.type_name = "office",
                                             .state_size = sizeof(struct office),
                                             .on = office_on,
                                             .on_count = 1,
                                             .start = office_start,
                                             .signal = office_signal};

/* ---- The program ---- */

/* Whether nobody before i was answered by the same worker. */
static bool is_first(const struct report *report, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++)
        if (proa_ref_equal(report->done[j].worker, report->done[i].worker))
            return false;
    return true;
}

static void print_report(const struct report *report, uint64_t here)
{
    uint32_t answers = 0, workers = 0, local = 0;

    for (uint32_t i = 0; i < report->count; i++) {
        const struct done *done = &report->done[i];
        bool is_local = done->worker.node == here;

        if (done->outcome != PROA_OK) {
            printf("request %3u: %s\n", i, proa_outcome_name(done->outcome));
            continue;
        }
        printf("request %3u: %llu from worker %016llx/%08x (%s)\n", i,
               (unsigned long long)done->square, (unsigned long long)done->worker.node,
               done->worker.slot, is_local ? "local" : "remote");
        answers++;
        workers += is_first(report, i);
        local += is_local && is_first(report, i);
    }
    printf("%u answers from %u workers (%u local, %u remote) of %u in %.3f ms\n", answers,
           workers, local, workers - local, report->members, (double)report->span / 1e6);
    fflush(stdout);
}

static int balance(struct proa_client *client, struct proa_ref to, uint64_t here)
{
    static struct report report;
    enum proa_outcome outcome = proa_client_ask(client, to, RUN, NULL, 0, PATIENCE,
                                                &report, sizeof(report), NULL);

    if (outcome != PROA_OK) {
        fprintf(stderr, "balancer: no worker of another node was found in %u s (%s)\n",
                (unsigned)(PATIENCE / PROA_S), proa_outcome_name(outcome));
        return 1;
    }
    print_report(&report, here);
    return 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: balancer ADDRESS:PORT [NEIGHBOUR:PORT] [--workers N] "
            "[--balance N, at most %d]\n",
            REQUESTS_MAX);
    return 2;
}

int main(int argc, char **argv)
{
    struct plan plan = {.workers = 3};
    const char *addresses[2] = {NULL, NULL};
    unsigned count = 0;
    struct proa_client *client;
    struct proa_node *node;
    struct proa_ref ref;
    int status = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc)
            plan.workers = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--balance") == 0 && i + 1 < argc)
            plan.requests = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (argv[i][0] != '-' && count < 2)
            addresses[count++] = argv[i];
        else
            return usage();
    }
    if (count == 0 || plan.requests > REQUESTS_MAX)
        return usage();
    plan.neighbour = count == 2;
    node = proa_node_udp(addresses[0], addresses[1]);
    if (node == NULL || proa_client_open(node, &client) != PROA_OK)
        return 1; /* the first has said why */
    if (proa_client_spawn(client, 0, &office, &plan, sizeof(plan), NULL, 5 * PROA_S,
                          &ref) != PROA_OK) {
        fprintf(stderr, "balancer: its workers could not be made\n");
        status = 1;
    } else if (plan.requests > 0) {
        status = balance(client, ref, proa_node_id(node));
    }
    proa_client_close(client);
    if (status == 0)
        proa_node_run(node); /* its workers are there until Ctrl-C */
    else
        proa_node_close(node);
    return status;
}
