/* SPDX-License-Identifier: Apache-2.0 */
#include "offload_pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define HOME_RETRY (100 * PROA_US) /* a lane's inbox is full: it is emptied soon */

struct worker {
    struct offload_pool *pool;
    pthread_t thread;
    bool exited;
};

struct offload_pool {
    struct offload *o;
    unsigned max;
    cpu_set_t cores;
    bool pinned;
    pthread_mutex_t turn; /* to wait for a job, and to take it */

    pthread_mutex_t lock;   /* of what follows, and of taking and sending home */
    pthread_cond_t changed; /* a thread has ended */
    struct worker workers[PROA_OFFLOAD_THREADS_MAX];
    unsigned started, exited;
    bool orphan; /* destroyed, but for the threads that work on */

    /* Written with the lock held, read without by who waits for a job (the bell's fence). */
    _Atomic bool closing;
};

static void pool_free(struct offload_pool *pool)
{
    offload_destroy(pool->o);
    pthread_mutex_destroy(&pool->turn);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    free(pool);
}

struct offload_pool *offload_pool_create(struct offload *o, unsigned threads,
                                         const cpu_set_t *cores)
{
    struct offload_pool *pool = calloc(1, sizeof(*pool));
    pthread_condattr_t attr;

    PROA_ASSERT(threads > 0 && threads <= PROA_OFFLOAD_THREADS_MAX);
    if (pool == NULL)
        return NULL;
    pool->o = o;
    pool->max = threads;
    pool->pinned = cores != NULL;
    if (cores != NULL)
        pool->cores = *cores;
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attr);
    pthread_condattr_destroy(&attr);
    return pool;
}

/* ---- A thread ---- */

/* relaxed: the bell's fences order it with the sleep; elsewhere late is soon enough. */
static bool is_closing(const struct offload_pool *pool)
{
    return atomic_load_explicit(&pool->closing, memory_order_relaxed);
}

/* Under the lock, so that none is taken once the pool was stopped. */
static struct offload_job *take(struct offload_pool *pool)
{
    struct offload_job *job;

    pthread_mutex_lock(&pool->lock);
    job = is_closing(pool) ? NULL : offload_take(pool->o);
    pthread_mutex_unlock(&pool->lock);
    return job;
}

/* The next job; NULL: the pool is closing. */
static struct offload_job *wait_for_job(struct offload_pool *pool)
{
    struct offload *o = pool->o;
    struct pollfd bell = {.fd = o->bell.fd, .events = POLLIN};
    struct offload_job *job = NULL;

    pthread_mutex_lock(&pool->turn);
    while (!is_closing(pool) && (job = take(pool)) == NULL) {
        doorbell_arm(&o->bell);
        if (!offload_waiting(o) && !is_closing(pool))
            poll(&bell, 1, -1);
        doorbell_disarm(&o->bell);
    }
    pthread_mutex_unlock(&pool->turn);
    return job;
}

static void sleep_for(proa_ns span)
{
    struct timespec ts = {(time_t)(span / PROA_S), (long)(span % PROA_S)};

    nanosleep(&ts, NULL);
}

/* Under the lock, so that no lane's inbox is used once the pool was stopped. */
static void go_home(struct offload_pool *pool, struct offload_job *job)
{
    bool sent = false, closing = false;

    while (!sent && !closing) {
        pthread_mutex_lock(&pool->lock);
        closing = is_closing(pool);
        if (!closing)
            sent = offload_send_home(pool->o, job);
        pthread_mutex_unlock(&pool->lock);
        if (!sent && !closing)
            sleep_for(HOME_RETRY);
    }
    if (!sent)
        offload_cleanup(job);
}

static void *body(void *arg)
{
    struct worker *worker = arg;
    struct offload_pool *pool = worker->pool;
    struct offload_job *job;
    bool last;

    while ((job = wait_for_job(pool)) != NULL) {
        offload_work(job);
        go_home(pool, job);
    }
    pthread_mutex_lock(&pool->lock);
    worker->exited = true;
    last = ++pool->exited == pool->started && pool->orphan;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    if (last)
        pool_free(pool);
    return NULL;
}

/* ---- Control ---- */

bool offload_pool_wanted(const struct offload_pool *pool)
{
    /* relaxed: only looked at; offload_pool_serve takes it. */
    return pool != NULL && atomic_load_explicit(&pool->o->wanted, memory_order_relaxed);
}

static bool start_one(struct offload_pool *pool)
{
    struct worker *worker = &pool->workers[pool->started];
    pthread_attr_t attr;
    bool ok;

    worker->pool = pool;
    pthread_attr_init(&attr);
    if (pool->pinned)
        pthread_attr_setaffinity_np(&attr, sizeof(pool->cores), &pool->cores);
    ok = pthread_create(&worker->thread, &attr, body, worker) == 0;
    pthread_attr_destroy(&attr);
    if (ok)
        pthread_setname_np(worker->thread, "proa-offload");
    return ok;
}

static void start_all(struct offload_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->started < pool->max && start_one(pool))
        pool->started++;
    pthread_mutex_unlock(&pool->lock);
    /* relaxed: lanes that see it late ask once more. */
    atomic_store_explicit(&pool->o->workers, pool->started, memory_order_relaxed);
}

static void refuse_all(struct offload_pool *pool)
{
    struct offload_job *job;

    while ((job = offload_take(pool->o)) != NULL) {
        offload_refuse(job);
        go_home(pool, job);
    }
}

void offload_pool_serve(struct offload_pool *pool)
{
    /* acquire, pairs with the release of a lane's push. */
    if (pool == NULL ||
        !atomic_exchange_explicit(&pool->o->wanted, false, memory_order_acquire))
        return;
    if (pool->started == 0)
        start_all(pool);
    if (pool->started == 0)
        refuse_all(pool);
    else
        doorbell_ring(&pool->o->bell); /* for who came before they were seen */
}

/* ---- The end ---- */

static void deadline_of(struct timespec *ts, proa_ns span)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    proa_ns at = (proa_ns)ts->tv_sec * PROA_S + (proa_ns)ts->tv_nsec + span;
    ts->tv_sec = (time_t)(at / PROA_S);
    ts->tv_nsec = (long)(at % PROA_S);
}

unsigned offload_pool_stop(struct offload_pool *pool, proa_ns longest)
{
    struct timespec until;
    unsigned left;

    deadline_of(&until, longest);
    pthread_mutex_lock(&pool->lock);
    atomic_store_explicit(&pool->closing, true,
                          memory_order_relaxed); /* see is_closing */
    doorbell_ring(&pool->o->bell);
    while (pool->exited < pool->started &&
           pthread_cond_timedwait(&pool->changed, &pool->lock, &until) != ETIMEDOUT)
        ;
    left = pool->started - pool->exited;
    for (unsigned i = 0; i < pool->started; i++) {
        struct worker *worker = &pool->workers[i];

        if (worker->exited)
            pthread_join(worker->thread, NULL); /* it is past its last use of the lock */
        else
            pthread_detach(worker->thread);
    }
    pthread_mutex_unlock(&pool->lock);
    return left;
}

void offload_pool_destroy(struct offload_pool *pool)
{
    bool alone;

    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    offload_clean(pool->o);
    alone = pool->exited == pool->started;
    pool->orphan = true;
    pthread_mutex_unlock(&pool->lock);
    if (alone)
        pool_free(pool);
}
