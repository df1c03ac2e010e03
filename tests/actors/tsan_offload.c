/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's threads against lane threads, for TSan: bounded by counts, not by time.

   Actors of two lanes offload jobs, and each third one stops with a job under way.  In the end
   every arg was run or dropped, and every result went to a continuation or was disposed of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "offload_pool.h"
#include "scheduler.h"

#define LANES 2
#define THREADS 3
#define ACTORS 96u /* of a lane, one after the other or together */
#define JOBS 40u   /* of each actor that lives on */
#define NODE_ID 77u

struct lane {
    struct sched *s;
    struct arena *arena;
    struct inbox *inbox;
    struct doorbell bell;
    pthread_t thread;
    uint32_t ended; /* actors; the lane's */
};

static struct lane lanes[LANES];
static struct pair_ring *rings[LANES][LANES];
static struct doorbell control_bell;
static struct offload *offload;
static struct offload_pool *pool;
static _Atomic uint64_t made, runs, drops, disposals, thens;
static _Atomic uint32_t lanes_done;
static _Atomic bool over;
static sem_t begun, may_end, disposed;

static proa_ns now_of(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

/* ---- Jobs: a number on the heap, written by everybody who has it ---- */

static void *run(void *arg)
{
    uint64_t *number = arg;

    ++*number;
    atomic_fetch_add(&runs, 1);
    return number;
}

static void drop(void *arg)
{
    ++*(uint64_t *)arg;
    atomic_fetch_add(&drops, 1);
    free(arg);
}

static void dispose(void *result)
{
    ++*(uint64_t *)result;
    atomic_fetch_add(&disposals, 1);
    free(result);
    sem_post(&disposed);
}

/* ---- Actors ---- */

struct worker {
    uint32_t index, sent, done;
    bool blocked;
};

static void work(struct proa_actor *self);

static void on_done(struct proa_actor *self, enum proa_outcome outcome, void *result,
                    const void *ctx)
{
    struct worker *w = proa_state(self);

    (void)ctx;
    PROA_ASSERT(outcome == PROA_OK && *(uint64_t *)result == 1001);
    free(result);
    atomic_fetch_add(&thens, 1);
    w->done++;
    if (w->done == JOBS)
        proa_stop(self);
    else
        work(self);
}

/* Keeps four under way.  Each third actor stops with them. */
static void work(struct proa_actor *self)
{
    struct worker *w = proa_state(self);

    while (w->sent < JOBS && w->sent - w->done < 4) {
        uint64_t *number = malloc(sizeof(*number));
        struct proa_job job = {run, number, drop, dispose};
        enum proa_outcome outcome;

        PROA_ASSERT(number != NULL);
        *number = 1000;
        outcome = proa_offload(self, &job, on_done, NULL, 0);
        if (outcome != PROA_OK) {
            PROA_ASSERT(outcome == PROA_AGAIN); /* WRITABLE follows */
            free(number);
            return;
        }
        atomic_fetch_add(&made, 1);
        w->sent++;
    }
    if (w->index % 3 == 0 && w->sent >= w->index % JOBS)
        proa_stop(self);
}

static int start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct worker *w = proa_state(self);

    PROA_ASSERT(arg_len == sizeof(w->index));
    memcpy(&w->index, arg, sizeof(w->index));
    work(self);
    return 0;
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    if (signal->kind == PROA_SIGNAL_WRITABLE)
        work(self);
}

static void on_stop(struct proa_actor *self, enum proa_reason reason)
{
    struct lane *l = &lanes[proa_ref_lane(proa_self(self))];

    (void)reason;
    if (++l->ended == ACTORS)
        atomic_fetch_add(&lanes_done, 1);
}

static const struct proa_behaviour worker = {.type_name = "worker",
                                             .state_size = sizeof(struct worker),
                                             .start = start,
                                             .stop = on_stop,
                                             .signal = on_signal};

/* ---- Lanes ---- */

static uint32_t lane_loop(struct lane *l)
{
    uint32_t did;

    sched_begin(l->s, now_of());
    did = sched_poll(l->s);
    did += sched_run(l->s);
    did += sched_timers(l->s);
    sched_flush(l->s);
    return did;
}

static void lane_sleep(struct lane *l)
{
    struct pollfd pfd = {.fd = l->bell.fd, .events = POLLIN};

    doorbell_arm(&l->bell);
    if (lane_loop(l) == 0 && sched_deadline(l->s) != 0)
        poll(&pfd, 1, 1);
    doorbell_disarm(&l->bell);
}

static void *lane_main(void *arg)
{
    struct lane *l = arg;
    uint32_t idle = 0;

    for (uint32_t i = 0; i < ACTORS; i++)
        PROA_ASSERT(sched_spawn(l->s, &worker, &i, sizeof(i), NULL) == PROA_OK);
    while (!atomic_load_explicit(&over, memory_order_acquire)) {
        idle = lane_loop(l) == 0 ? idle + 1 : 0;
        if (idle > 20)
            lane_sleep(l);
    }
    return NULL;
}

static void lane_make(uint32_t i)
{
    struct sched_config c = {.node = NODE_ID,
                             .lane = i,
                             .lanes = LANES,
                             .actors_max = 1024,
                             .asks_max = 1024,
                             .timers_max = 64,
                             .seed = i,
                             .now = now_of(),
                             .inbox = lanes[i].inbox,
                             .offload = offload,
                             .control = &control_bell,
                             .arena = lanes[i].arena};

    for (uint32_t j = 0; j < LANES; j++) {
        c.out[j] = rings[i][j];
        c.in[j] = rings[j][i];
        c.bells[j] = &lanes[j].bell;
    }
    lanes[i].s = sched_create(&c);
    assert_non_null(lanes[i].s);
}

static void make(void)
{
    offload = offload_create(LANES, false);
    assert_non_null(offload);
    pool = offload_pool_create(offload, THREADS, NULL);
    assert_non_null(pool);
    assert_true(doorbell_init(&control_bell));
    for (uint32_t i = 0; i < LANES; i++) {
        lanes[i] = (struct lane){.arena = arena_create(), .inbox = inbox_create(16)};
        assert_true(doorbell_init(&lanes[i].bell));
        offload_home(offload, i, lanes[i].inbox, &lanes[i].bell);
        for (uint32_t j = 0; j < LANES; j++)
            rings[i][j] = i != j ? pair_ring_create(64) : NULL;
    }
    for (uint32_t i = 0; i < LANES; i++)
        lane_make(i);
    atomic_store(&made, 0);
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    atomic_store(&disposals, 0);
    atomic_store(&thens, 0);
    atomic_store(&lanes_done, 0);
    atomic_store(&over, false);
    sem_init(&begun, 0, 0);
    sem_init(&may_end, 0, 0);
    sem_init(&disposed, 0, 0);
}

static void free_lanes(void)
{
    for (uint32_t i = 0; i < LANES; i++)
        sched_destroy(lanes[i].s);
    offload_pool_destroy(pool);
    for (uint32_t i = 0; i < LANES; i++) {
        assert_int_equal(arena_used(lanes[i].arena), 0);
        arena_destroy(lanes[i].arena);
        inbox_destroy(lanes[i].inbox);
        doorbell_fini(&lanes[i].bell);
        for (uint32_t j = 0; j < LANES; j++)
            pair_ring_destroy(rings[i][j]);
    }
    doorbell_fini(&control_bell);
}

/* What a node's control thread does for the pool. */
static void control_until(const _Atomic uint32_t *what, uint32_t n)
{
    struct pollfd pfd = {.fd = control_bell.fd, .events = POLLIN};

    while (atomic_load(what) < n) {
        offload_pool_serve(pool);
        doorbell_arm(&control_bell);
        if (!offload_pool_wanted(pool))
            poll(&pfd, 1, 1);
        doorbell_disarm(&control_bell);
    }
}

static void pool__against_lanes(void **state)
{
    (void)state;
    make();
    for (uint32_t i = 0; i < LANES; i++)
        assert_int_equal(pthread_create(&lanes[i].thread, NULL, lane_main, &lanes[i]), 0);
    control_until(&lanes_done, LANES);
    /* Jobs of stopped actors may still be anywhere. */
    atomic_store_explicit(&over, true, memory_order_release);
    for (uint32_t i = 0; i < LANES; i++)
        pthread_join(lanes[i].thread, NULL);
    assert_int_equal(offload_pool_stop(pool, 60 * PROA_S), 0);
    free_lanes();
    assert_true(atomic_load(&made) > LANES * ACTORS / 2 * JOBS);
    assert_int_equal(atomic_load(&runs) + atomic_load(&drops), atomic_load(&made));
    assert_int_equal(atomic_load(&thens) + atomic_load(&disposals), atomic_load(&runs));
    assert_true(atomic_load(&drops) + atomic_load(&disposals) > 0);
}

/* ---- A job that does not return ---- */

static _Atomic uint32_t stuck_made;

static void *run_stuck(void *arg)
{
    sem_post(&begun);
    while (sem_wait(&may_end) != 0)
        ;
    return run(arg);
}

static void on_never(struct proa_actor *self, enum proa_outcome outcome, void *result,
                     const void *ctx)
{
    (void)self;
    (void)outcome;
    (void)ctx;
    free(result);
    atomic_fetch_add(&thens, 1);
}

/* One that is stuck, and behind it more than the pool has threads for. */
static int start_stuck(struct proa_actor *self, const void *arg, size_t arg_len)
{
    (void)arg;
    (void)arg_len;
    for (uint32_t i = 0; i < THREADS + 2; i++) {
        struct proa_job job = {run_stuck, calloc(1, sizeof(uint64_t)), drop, dispose};

        PROA_ASSERT(job.arg != NULL);
        PROA_ASSERT(proa_offload(self, &job, on_never, NULL, 0) == PROA_OK);
        atomic_fetch_add(&stuck_made, 1);
    }
    return 0;
}

static const struct proa_behaviour stuck = {.type_name = "stuck", .start = start_stuck};

static void pool_stop__leaves_what_does_not_return(void **state)
{
    (void)state;
    make();
    assert_int_equal(sched_spawn(lanes[0].s, &stuck, NULL, 0, NULL), PROA_OK);
    sched_flush(lanes[0].s);
    control_until(&stuck_made, THREADS + 2);
    offload_pool_serve(pool);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(sem_wait(&begun), 0);
    assert_int_equal(offload_pool_stop(pool, PROA_MS), THREADS);
    free_lanes(); /* and the pool, but for what its threads hold */
    assert_int_equal(atomic_load(&drops), 2);
    assert_int_equal(atomic_load(&runs), 0);
    for (uint32_t i = 0; i < THREADS; i++)
        sem_post(&may_end);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(sem_wait(&disposed), 0); /* the threads are nobody's to join */
    assert_int_equal(atomic_load(&runs), THREADS);
    assert_int_equal(atomic_load(&thens), 0);
}

static void pool_stop__without_a_job_is_at_once(void **state)
{
    (void)state;
    make();
    offload_pool_serve(pool); /* nobody wants them: no thread */
    assert_int_equal(offload_pool_stop(pool, 60 * PROA_S), 0);
    free_lanes();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_stop__without_a_job_is_at_once),
        cmocka_unit_test(pool__against_lanes),
        cmocka_unit_test(pool_stop__leaves_what_does_not_return),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
