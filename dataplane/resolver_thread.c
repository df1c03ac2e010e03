/* SPDX-License-Identifier: Apache-2.0 */
#include "resolver_thread.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "doorbell.h"
#include "eal.h"

#define LOOK_MS 1000 /* between looks at entries without answer, and at the link */
#define BATCH 64     /* frames of a lane before the next lane's */
#define IN_USE 30u   /* looks: a next hop is asked again when somebody sent there since */
#define FORGET 60u   /* looks: a destination that nobody sent to */

struct resolver_thread {
    struct resolver_thread_args args;
    struct next_hops *hops;
    struct resolver *resolver;
    struct byte_ring *from[PROA_LANES_MAX], *to_send;
    struct doorbell bell; /* lanes ring it */
    int stop;             /* eventfd */
    bool running;
    pthread_t thread;
    _Atomic bool announce;
    _Atomic uint64_t not_sent; /* there was no room in the ring */
    pthread_mutex_t lock;      /* of what state reads */
    struct resolver_stats seen;
    unsigned known;
};

/* ---- What the resolver needs ---- */

static void on_send(void *ctx, const uint8_t *frame, size_t len)
{
    struct resolver_thread *t = ctx;

    bool first = byte_ring_is_empty(t->to_send);

    if (!byte_ring_push(t->to_send, 1, frame, (uint32_t)len, NULL, 0))
        atomic_fetch_add(&t->not_sent, 1);
    else if (first && t->args.wake != NULL) /* while there are any, the lane comes back */
        t->args.wake(t->args.wake_ctx);
}

static void on_reach(void *ctx, const uint8_t hop[16], const uint8_t *mac)
{
    struct resolver_thread *t = ctx;

    next_hops_reach(t->hops, hop, mac);
}

static bool on_in_use(void *ctx, const uint8_t hop[16])
{
    struct resolver_thread *t = ctx;

    for (unsigned i = 0; i < NEXT_HOPS_MAX; i++) {
        const struct next_hop *e = next_hops_at(t->hops, i);

        if (e != NULL && e->routed && next_hop_known(e) && e->age < IN_USE &&
            memcmp(e->hop, hop, 16) == 0)
            return true;
    }
    return false;
}

/* ---- The thread ---- */

static void take_want(void *ctx, struct next_hop *e)
{
    struct resolver_thread *t = ctx;

    e->age = 0;
    e->routed = resolver_hop(t->resolver, e->ip, e->hop);
    next_hops_put(t->hops, e,
                  e->routed ? resolver_ask(t->resolver, e->hop, clock_ns()) : NULL);
}

static bool take_frames(struct resolver_thread *t)
{
    bool more = false;

    for (unsigned lane = 0; lane < t->args.lanes; lane++) {
        const struct byte_record *record;
        unsigned n = 0;

        while (n < BATCH && (record = byte_ring_peek(t->from[lane])) != NULL) {
            resolver_input(t->resolver, record->body, record->len, clock_ns());
            byte_ring_pop(t->from[lane]);
            n++;
        }
        more |= n == BATCH;
    }
    return more;
}

static void grow_old(struct resolver_thread *t)
{
    for (unsigned i = 0; i < NEXT_HOPS_MAX; i++) {
        struct next_hop *e = next_hops_at(t->hops, i);

        if (e == NULL)
            continue;
        e->age = next_hop_take_seen(e) ? 0 : e->age + 1;
        if (e->age >= FORGET && next_hop_known(e)) {
            next_hops_put(t->hops, e, NULL);
            e->age = 0; /* it makes room some looks later */
        }
    }
    t->args.look(t->args.ctx);
}

static void publish(struct resolver_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->seen = *resolver_stats(t->resolver);
    t->known = resolver_known(t->resolver);
    pthread_mutex_unlock(&t->lock);
}

/* False: it is to end. */
static bool wait_for_work(struct resolver_thread *t, bool more, proa_ns until)
{
    struct pollfd fds[3] = {{.fd = t->stop, .events = POLLIN},
                            {.fd = t->bell.fd, .events = POLLIN},
                            {.fd = next_hops_fd(t->hops), .events = POLLIN}};
    proa_ns now = clock_ns(), at = resolver_deadline(t->resolver);

    if (at > until)
        at = until;
    doorbell_arm(&t->bell);
    more |= atomic_load(&t->announce);
    for (unsigned lane = 0; lane < t->args.lanes; lane++)
        more |= !byte_ring_is_empty(t->from[lane]);
    (void)poll(fds, 3, more || at <= now ? 0 : (int)((at - now) / PROA_MS) + 1);
    doorbell_disarm(&t->bell);
    return fds[0].revents == 0;
}

static void *run(void *arg)
{
    struct resolver_thread *t = arg;
    proa_ns look_at = 0;
    bool more;

    eal_pin_control();
    do {
        if (atomic_exchange(&t->announce, false))
            resolver_announce(t->resolver);
        next_hops_take_wants(t->hops, take_want, t);
        more = take_frames(t);
        resolver_tick(t->resolver, clock_ns());
        publish(t);
        if (clock_ns() >= look_at) {
            grow_old(t);
            look_at = clock_ns() + LOOK_MS * PROA_MS;
        }
    } while (wait_for_work(t, more, look_at));
    return NULL;
}

/* ---- Lanes ---- */

struct next_hops *resolver_thread_hops(struct resolver_thread *t)
{
    return t->hops;
}

bool resolver_thread_give(struct resolver_thread *t, unsigned lane, const uint8_t *frame,
                          size_t len)
{
    /* Pings have half of the ring: a flood of them must not keep next hops from being known. */
    if (resolver_is_echo(frame, len) && byte_ring_used(t->from[lane]) > RESOLVER_RING / 2)
        return false;
    if (!byte_ring_push(t->from[lane], 1, frame, (uint32_t)len, NULL, 0))
        return false;
    doorbell_ring(&t->bell);
    return true;
}

const struct byte_record *resolver_thread_peek(struct resolver_thread *t)
{
    return byte_ring_peek(t->to_send);
}

void resolver_thread_pop(struct resolver_thread *t)
{
    byte_ring_pop(t->to_send);
}

void resolver_thread_announce(struct resolver_thread *t)
{
    atomic_store(&t->announce, true);
    doorbell_ring(&t->bell);
}

unsigned resolver_thread_stats(struct resolver_thread *t, struct resolver_stats *ret,
                               uint64_t *ret_not_sent)
{
    unsigned known;

    pthread_mutex_lock(&t->lock);
    *ret = t->seen;
    known = t->known;
    pthread_mutex_unlock(&t->lock);
    *ret_not_sent = atomic_load(&t->not_sent);
    return known;
}

/* ---- Life ---- */

static bool make_parts(struct resolver_thread *t)
{
    const struct resolver_env env = {t, on_send, on_reach, on_in_use};
    void *memory = calloc(1, resolver_size());
    bool ok = doorbell_init(&t->bell) && memory != NULL;

    if (memory != NULL)
        t->resolver = resolver_init(memory, &t->args.resolver, &env);
    t->stop = eventfd(0, EFD_CLOEXEC);
    t->hops = next_hops_create(t->args.lanes);
    t->to_send = byte_ring_create(RESOLVER_RING);
    for (unsigned i = 0; i < t->args.lanes; i++) {
        t->from[i] = byte_ring_create(RESOLVER_RING);
        ok = ok && t->from[i] != NULL;
    }
    return ok && t->stop >= 0 && t->hops != NULL && t->to_send != NULL;
}

static bool start(struct resolver_thread *t)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    t->running = pthread_create(&t->thread, NULL, run, t) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return t->running;
}

struct resolver_thread *resolver_thread_open(const struct resolver_thread_args *args,
                                             char *err, size_t err_len)
{
    size_t size = (sizeof(struct resolver_thread) + PROA_CACHE_LINE - 1) /
                  PROA_CACHE_LINE * PROA_CACHE_LINE;
    struct resolver_thread *t = aligned_alloc(PROA_CACHE_LINE, size);

    if (t != NULL) {
        memset(t, 0, size);
        t->args = *args;
        t->stop = -1;
        pthread_mutex_init(&t->lock, NULL);
        if (make_parts(t) && start(t))
            return t;
        resolver_thread_close(t);
    }
    snprintf(err, err_len, "no memory or descriptors for its resolver");
    return NULL;
}

void resolver_thread_close(struct resolver_thread *t)
{
    const uint64_t one = 1;

    if (t == NULL)
        return;
    if (t->running) {
        if (write(t->stop, &one, sizeof(one)) != sizeof(one))
            abort(); /* nobody else writes it */
        pthread_join(t->thread, NULL);
    }
    if (t->stop >= 0)
        close(t->stop);
    doorbell_fini(&t->bell);
    next_hops_destroy(t->hops);
    byte_ring_destroy(t->to_send);
    for (unsigned i = 0; i < t->args.lanes; i++)
        byte_ring_destroy(t->from[i]);
    pthread_mutex_destroy(&t->lock);
    free(t->resolver);
    free(t);
}
