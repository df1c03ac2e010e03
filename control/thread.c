/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread: sleeps in epoll until a bell or a deadline, then lets the core work. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "eal.h"
#include "kernel_clock.h"
#include "node_internal.h"

#define THREAD_LONGEST WATCHDOG_EVERY /* longest sleep: flags and lanes are looked at */

static uint64_t wall_ms(void)
{
    return kernel_clock(CLOCK_REALTIME) / PROA_MS;
}

/* What ordinary threads asked for, and what they wait for. */
static void serve_threads(struct proa_node *node, proa_ns now)
{
    pthread_mutex_lock(&node->mutex);
    if (node->call != NULL && !node->call->done) {
        node->call->fn(node, node->call->ctx);
        node->call->done = true;
        pthread_cond_broadcast(&node->changed);
    }
    if (!node->joined && core_joined(node->core)) {
        node->joined = true;
        pthread_cond_broadcast(&node->changed);
    }
    if (node->leave_wanted) {
        node->leave_wanted = false;
        core_leave(node->core, now);
    }
    if (!node->left && core_left(node->core, now)) {
        node->left = true;
        pthread_cond_broadcast(&node->changed);
    }
    pthread_mutex_unlock(&node->mutex);
}

static bool nothing_waits(const struct proa_node *node)
{
    for (unsigned i = 0; i < node->lane_count; i++) {
        if (!byte_ring_is_empty(node->lanes[i].up) ||
            !byte_ring_is_empty(node->lanes[i].notes))
            return false;
    }
    return !offload_pool_wanted(node->pool);
}

static void look_at_lanes(struct proa_node *node, proa_ns now)
{
    if (now < node->watchdog.look_at)
        return;
    node->watchdog.look_at = now + WATCHDOG_EVERY;
    for (unsigned i = 0; i < node->lane_count; i++) {
        struct node_lane *l = &node->lanes[i];
        struct watchdog_sight sight = {0};
        struct sched_running running;
        struct proa_event event;

        sched_running(lane_sched(l->lane), &running);
        sight.actor = running.actor;
        sight.type = running.type;
        /* relaxed: a look, a moment old. */
        sight.loops =
            atomic_load_explicit(&lane_stats(l->lane)->loops, memory_order_relaxed);
        sight.sleeping =
            atomic_load_explicit(&l->bell.sleeping, memory_order_relaxed) != 0;
        if (watchdog_look(&node->watchdog, i, &sight, now, &event))
            core_event(node->core, &event);
    }
}

static void sleep_until(struct proa_node *node, int epoll)
{
    struct epoll_event event;
    proa_ns now = clock_now();
    proa_ns deadline = core_deadline(node->core);
    proa_ns span = deadline <= now ? 0 : deadline - now;

    if (span > THREAD_LONGEST)
        span = THREAD_LONGEST;
    doorbell_arm(&node->control_bell);
    if (span > 0 && nothing_waits(node)) {
        struct timespec ts = {(time_t)(span / PROA_S), (long)(span % PROA_S)};
        epoll_pwait2(epoll, &event, 1, &ts, NULL);
    }
    doorbell_disarm(&node->control_bell);
}

static void *body(void *arg)
{
    struct proa_node *node = arg;
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (node->on_dpdk)
        eal_pin_control();
    PROA_ASSERT(epoll >= 0);
    PROA_ASSERT(epoll_ctl(epoll, EPOLL_CTL_ADD, node->control_bell.fd, &event) == 0);
    /* relaxed: the thread is joined after the flag was set; late by a sleep at worst. */
    while (!atomic_load_explicit(&node->control_stop, memory_order_relaxed)) {
        proa_ns now = clock_now();
        look_at_lanes(node, now);
        core_step(node->core, now, wall_ms());
        serve_threads(node, now);
        offload_pool_serve(node->pool);
        directory_reclaim(node->directory);
        sleep_until(node, epoll);
    }
    close(epoll);
    return NULL;
}

bool thread_start(struct proa_node *node)
{
    node->control_running = pthread_create(&node->control_thread, NULL, body, node) == 0;
    if (node->control_running)
        pthread_setname_np(node->control_thread, "proa-control");
    return node->control_running;
}

/* Rings even when the thread is awake or about to sleep: the eventfd keeps the ring. */
static void wake(struct proa_node *node)
{
    uint64_t one = 1;

    if (write(node->control_bell.fd, &one, sizeof(one)) < 0)
        PROA_ASSERT(errno == EAGAIN); /* full: it is awake for certain */
}

void thread_stop(struct proa_node *node)
{
    if (!node->control_running)
        return;
    /* relaxed: pthread_join orders what follows. */
    atomic_store_explicit(&node->control_stop, true, memory_order_relaxed);
    wake(node);
    pthread_join(node->control_thread, NULL);
    node->control_running = false;
}

void node_call(struct proa_node *node, void (*fn)(struct proa_node *node, void *ctx),
               void *ctx)
{
    struct node_call call = {.fn = fn, .ctx = ctx};

    pthread_mutex_lock(&node->mutex);
    while (node->call != NULL)
        pthread_cond_wait(&node->changed, &node->mutex);
    node->call = &call;
    wake(node);
    while (!call.done)
        pthread_cond_wait(&node->changed, &node->mutex);
    node->call = NULL;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->mutex);
}

static void deadline_of(struct timespec *ts, proa_ns span)
{
    proa_ns at = clock_now() + span;

    ts->tv_sec = (time_t)(at / PROA_S);
    ts->tv_nsec = (long)(at % PROA_S);
}

enum proa_outcome proa_node_join(struct proa_node *node, proa_ns deadline, char *err,
                                 size_t err_len)
{
    struct timespec until;
    bool joined;

    deadline_of(&until, deadline);
    pthread_mutex_lock(&node->mutex);
    while (!node->joined &&
           pthread_cond_timedwait(&node->changed, &node->mutex, &until) != ETIMEDOUT)
        ;
    joined = node->joined;
    pthread_mutex_unlock(&node->mutex);
    if (joined)
        return PROA_OK;
    if (err != NULL && err_len > 0)
        snprintf(err, err_len, "no answer from any seed (wrong cluster key or address?)");
    return PROA_TIMEOUT;
}

/* Waits until the core has said good-bye; the caller has bounded it (core_left, 1 s). */
void thread_leave(struct proa_node *node, proa_ns longest)
{
    struct timespec until;

    deadline_of(&until, longest);
    pthread_mutex_lock(&node->mutex);
    node->leave_wanted = true;
    wake(node);
    while (!node->left &&
           pthread_cond_timedwait(&node->changed, &node->mutex, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&node->mutex);
}
