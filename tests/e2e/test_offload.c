/* SPDX-License-Identifier: Apache-2.0 */
/* proa_offload on real nodes: where jobs run, more of them than fit, and what the end of a node
   does with those that run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <proa/client.h>
#include <proa/node.h>
#include <proa/offload.h>

#define JOBS 1000u /* several times PROA_OFFLOAD_MAX */

enum { WHERE = 1, MANY, BLOCK };

static char dir[64];
static sem_t begun, may_end, disposed;
static _Atomic uint32_t runs, drops, disposals;

/* ---- Where a job runs ---- */

struct place {
    pthread_t thread;
    cpu_set_t cores;
    char name[16];
};

static void here(struct place *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->thread = pthread_self();
    pthread_getaffinity_np(ret->thread, sizeof(ret->cores), &ret->cores);
    pthread_getname_np(ret->thread, ret->name, sizeof(ret->name));
}

static void *run_where(void *arg)
{
    here(arg);
    return arg;
}

static void on_where_done(struct proa_actor *self, enum proa_outcome outcome,
                          void *result, const void *ctx)
{
    struct proa_token token;
    struct place places[2];

    memcpy(&token, ctx, sizeof(token));
    PROA_ASSERT(outcome == PROA_OK);
    here(&places[0]);
    memcpy(&places[1], result, sizeof(places[1]));
    free(result);
    proa_reply_token(self, token, places, sizeof(places));
}

/* Answers with the lane's place and the job's, or with the outcome of proa_offload. */
static void on_where(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_job job = {.run = run_where, .arg = malloc(sizeof(struct place))};
    struct proa_token token;
    enum proa_outcome outcome;

    proa_reply_later(self, msg, &token);
    outcome = proa_offload(self, &job, on_where_done, &token, sizeof(token));
    if (outcome == PROA_OK)
        return;
    free(job.arg);
    proa_reply_token(self, token, &outcome, sizeof(outcome));
}

/* ---- Many, as fast as they are accepted ---- */

struct worker {
    uint32_t sent, done, again;
    struct proa_token token; /* of MANY */
};

static void *run_many(void *arg)
{
    uint64_t *number = arg;

    atomic_fetch_add(&runs, 1);
    *number += 1;
    return number;
}

static void many(struct proa_actor *self);

static void on_many_done(struct proa_actor *self, enum proa_outcome outcome, void *result,
                         const void *ctx)
{
    struct worker *w = proa_state(self);
    uint64_t wanted;

    memcpy(&wanted, ctx, sizeof(wanted));
    PROA_ASSERT(outcome == PROA_OK && *(uint64_t *)result == wanted + 1);
    free(result);
    if (++w->done == JOBS)
        proa_reply_token(self, w->token, &w->again, sizeof(w->again));
}

static void many(struct proa_actor *self)
{
    struct worker *w = proa_state(self);

    while (w->sent < JOBS) {
        uint64_t number = w->sent;
        struct proa_job job = {.run = run_many, .arg = malloc(sizeof(number))};
        enum proa_outcome outcome;

        memcpy(job.arg, &number, sizeof(number));
        outcome = proa_offload(self, &job, on_many_done, &number, sizeof(number));
        if (outcome == PROA_OK) {
            w->sent++;
            continue;
        }
        free(job.arg);
        PROA_ASSERT(outcome == PROA_AGAIN);
        w->again++;
        return;
    }
}

static void on_many(struct proa_actor *self, const struct proa_msg *msg)
{
    struct worker *w = proa_state(self);

    proa_reply_later(self, msg, &w->token);
    many(self);
}

/* ---- One that blocks, and one that waits behind it ---- */

static void *run_block(void *arg)
{
    sem_post(&begun);
    while (sem_wait(&may_end) != 0)
        ;
    atomic_fetch_add(&runs, 1);
    return arg;
}

static void drop(void *arg)
{
    atomic_fetch_add(&drops, 1);
    free(arg);
}

static void dispose(void *result)
{
    atomic_fetch_add(&disposals, 1);
    free(result);
    sem_post(&disposed);
}

static void on_never(struct proa_actor *self, enum proa_outcome outcome, void *result,
                     const void *ctx)
{
    (void)self;
    (void)outcome;
    (void)result;
    (void)ctx;
    abort(); /* its actor has stopped */
}

static void on_block(struct proa_actor *self, const struct proa_msg *msg)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct proa_job job = {run_block, malloc(8), drop, dispose};

        PROA_ASSERT(proa_offload(self, &job, on_never, NULL, 0) == PROA_OK);
    }
    proa_reply(self, msg, NULL, 0);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    if (signal->kind == PROA_SIGNAL_WRITABLE)
        many(self);
}

static const struct proa_on on[] = {
    {WHERE, 0, on_where}, {MANY, 0, on_many}, {BLOCK, 0, on_block}};
static const struct proa_behaviour worker = {.type_name = "worker",
                                             .state_size = sizeof(struct worker),
                                             .on = on,
                                             .on_count = 3,
                                             .signal = on_signal};

/* ---- The node ---- */

static struct proa_node *node_start(unsigned threads, struct proa_client **ret_client,
                                    struct proa_ref *ret_ref)
{
    struct proa_config config;
    struct proa_node *node;
    char err[PROA_TEXT_MAX];

    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    atomic_store(&disposals, 0);
    proa_config_init(&config);
    config.port_count = 1;
    snprintf(config.ports[0].spec, sizeof(config.ports[0].spec), "ring:offload-%d",
             (int)getpid());
    snprintf(config.state_dir, sizeof(config.state_dir), "%s", dir);
    config.offload_threads = threads;
    if (proa_node_start(&config, &node, err, sizeof(err)) != PROA_OK)
        fail_msg("%s", err);
    assert_int_equal(proa_client_open(node, ret_client), PROA_OK);
    assert_int_equal(
        proa_client_spawn(*ret_client, 0, &worker, NULL, 0, NULL, 10 * PROA_S, ret_ref),
        PROA_OK);
    return node;
}

static void offload__runs_off_the_lanes_cores(void **state)
{
    struct proa_client *client;
    struct proa_ref ref;
    struct proa_node *node = node_start(2, &client, &ref);
    struct place places[2];
    cpu_set_t all, both;
    size_t len;

    (void)state;
    assert_int_equal(proa_client_ask(client, ref, WHERE, NULL, 0, 10 * PROA_S, places,
                                     sizeof(places), &len),
                     PROA_OK);
    assert_int_equal(len, sizeof(places));
    assert_false(pthread_equal(places[0].thread, places[1].thread));
    assert_string_equal(places[1].name, "proa-offload");
    assert_int_equal(CPU_COUNT(&places[0].cores), 1);
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_AND(&both, &places[0].cores, &places[1].cores);
    if (CPU_COUNT(&all) > 1)
        assert_int_equal(CPU_COUNT(&both), 0);
    proa_client_close(client);
    proa_node_close(node);
}

static void offload__more_than_fit_all_come_home(void **state)
{
    struct proa_client *client;
    struct proa_ref ref;
    struct proa_node *node = node_start(2, &client, &ref);
    uint32_t again = 0;
    size_t len;

    (void)state;
    assert_int_equal(proa_client_ask(client, ref, MANY, NULL, 0, 60 * PROA_S, &again,
                                     sizeof(again), &len),
                     PROA_OK);
    assert_int_equal(atomic_load(&runs), JOBS);
    assert_true(again > 0);
    proa_client_close(client);
    proa_node_close(node);
}

static void offload__without_threads_is_refused(void **state)
{
    struct proa_client *client;
    struct proa_ref ref;
    struct proa_node *node = node_start(0, &client, &ref);
    enum proa_outcome outcome = PROA_OK;
    size_t len;

    (void)state;
    assert_int_equal(proa_client_ask(client, ref, WHERE, NULL, 0, 10 * PROA_S, &outcome,
                                     sizeof(outcome), &len),
                     PROA_OK);
    assert_int_equal(outcome, PROA_LIMIT);
    proa_client_close(client);
    proa_node_close(node);
}

/* A node with one thread, in a job that goes on until may_end. */
static struct proa_node *blocked_node(void)
{
    struct proa_client *client;
    struct proa_ref ref;
    struct proa_node *node = node_start(1, &client, &ref);

    assert_int_equal(
        proa_client_ask(client, ref, BLOCK, NULL, 0, 10 * PROA_S, NULL, 0, NULL),
        PROA_OK);
    assert_int_equal(sem_wait(&begun), 0);
    proa_client_close(client);
    return node;
}

/* What is written to stderr while the node closes. */
static size_t close_and_listen(struct proa_node *node, char *buf, size_t len)
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t n;

    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    proa_node_close(node);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    n = fread(buf, 1, len - 1, file);
    buf[n] = '\0';
    fclose(file);
    return n;
}

static void close__waits_for_the_job_that_runs(void **state)
{
    struct proa_node *node = blocked_node();
    char said[256];

    (void)state;
    proa_node_leave(node); /* its actor stops */
    sem_post(&may_end);
    assert_int_equal(close_and_listen(node, said, sizeof(said)), 0);
    assert_int_equal(atomic_load(&runs), 1);
    assert_int_equal(atomic_load(&disposals), 1);
    assert_int_equal(atomic_load(&drops), 1); /* that had not begun */
    assert_int_equal(sem_wait(&disposed), 0);
}

static void close__leaves_a_job_that_does_not_return(void **state)
{
    struct proa_node *node = blocked_node();
    struct timespec from, to;
    char said[256];

    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_true(close_and_listen(node, said, sizeof(said)) > 0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_non_null(strstr(said, "offloaded jobs still running"));
    assert_non_null(strstr(said, ": 1\n"));
    assert_in_range(to.tv_sec - from.tv_sec, 1, 20);
    assert_int_equal(atomic_load(&drops), 1);
    assert_int_equal(atomic_load(&disposals), 0);
    sem_post(&may_end);
    assert_int_equal(sem_wait(&disposed), 0);
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offload__runs_off_the_lanes_cores),
        cmocka_unit_test(offload__more_than_fit_all_come_home),
        cmocka_unit_test(offload__without_threads_is_refused),
        cmocka_unit_test(close__waits_for_the_job_that_runs),
        cmocka_unit_test(close__leaves_a_job_that_does_not_return),
    };
    int status;

    sem_init(&begun, 0, 0);
    sem_init(&may_end, 0, 0);
    sem_init(&disposed, 0, 0);
    snprintf(dir, sizeof(dir), "/tmp/proa-offload-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}
