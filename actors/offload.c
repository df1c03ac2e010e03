/* SPDX-License-Identifier: Apache-2.0 */
#include "offload.h"

#include <stdlib.h>

#include "scheduler_internal.h"

/* ---- Life ---- */

static uint32_t power_of_two(uint32_t least)
{
    uint32_t n = INBOX_MIN;

    while (n < least)
        n *= 2;
    return n;
}

_Static_assert(PROA_LANES_MAX *PROA_OFFLOAD_MAX <= INBOX_MAX, "the queue holds all jobs");

struct offload *offload_create(uint32_t lanes, bool silent)
{
    size_t size = sizeof(struct offload) + lanes * sizeof(struct offload_lane);
    struct offload *o = aligned_alloc(PROA_CACHE_LINE, size);

    PROA_ASSERT(lanes > 0 && lanes <= PROA_LANES_MAX);
    if (o == NULL)
        return NULL;
    memset(o, 0, size);
    o->lane_count = lanes;
    o->queue = inbox_create(power_of_two(lanes * PROA_OFFLOAD_MAX));
    doorbell_init_silent(&o->bell);
    if (o->queue == NULL || (!silent && !doorbell_init(&o->bell))) {
        inbox_destroy(o->queue);
        free(o);
        return NULL;
    }
    for (uint32_t lane = 0; lane < lanes; lane++) {
        struct offload_lane *l = &o->lanes[lane];

        for (uint32_t i = PROA_OFFLOAD_MAX; i-- > 0;) {
            l->jobs[i].lane = lane;
            l->jobs[i].next = l->free;
            l->free = &l->jobs[i];
        }
    }
    return o;
}

void offload_home(struct offload *o, uint32_t lane, struct inbox *inbox,
                  struct doorbell *bell)
{
    PROA_ASSERT(lane < o->lane_count);
    o->lanes[lane].inbox = inbox;
    o->lanes[lane].bell = bell;
}

void offload_clean(struct offload *o)
{
    for (uint32_t lane = 0; lane < o->lane_count; lane++) {
        for (uint32_t i = 0; i < PROA_OFFLOAD_MAX; i++) {
            struct offload_job *job = &o->lanes[lane].jobs[i];

            /* relaxed: workers have ended, or keep what they hold. */
            if (job == o->unsent ||
                !atomic_load_explicit(&job->held, memory_order_relaxed))
                offload_cleanup(job);
        }
    }
}

void offload_destroy(struct offload *o)
{
    if (o == NULL)
        return;
    offload_clean(o);
    inbox_destroy(o->queue);
    doorbell_fini(&o->bell);
    free(o);
}

/* ---- Workers ---- */

struct offload_job *offload_take(struct offload *o)
{
    struct pair_item *item = inbox_peek(o->queue);
    struct offload_job *job;

    if (item == NULL)
        return NULL;
    job = item->ptr;
    inbox_consume(o->queue);
    /* relaxed: read when workers have ended, or skipped with what they hold. */
    atomic_store_explicit(&job->held, true, memory_order_relaxed);
    return job;
}

bool offload_waiting(const struct offload *o)
{
    return o->unsent != NULL || inbox_peek(o->queue) != NULL;
}

void offload_cleanup(struct offload_job *job)
{
    if (job->holds == OFFLOAD_ARG && job->job.drop != NULL)
        job->job.drop(job->job.arg);
    if (job->holds == OFFLOAD_RESULT && job->job.dispose != NULL)
        job->job.dispose(job->result);
    job->holds = OFFLOAD_NOTHING;
    job->result = NULL;
}

/* relaxed: see the header. */
static bool is_abandoned(const struct offload_job *job)
{
    return atomic_load_explicit(&job->abandoned, memory_order_relaxed);
}

void offload_work(struct offload_job *job)
{
    if (job->holds == OFFLOAD_ARG && !is_abandoned(job)) {
        job->result = job->job.run(job->job.arg);
        job->holds = OFFLOAD_RESULT;
        job->outcome = PROA_OK;
    }
    if (is_abandoned(job))
        offload_cleanup(job);
}

void offload_refuse(struct offload_job *job)
{
    offload_cleanup(job);
    job->outcome = PROA_NOT_SENT;
}

bool offload_send_home(struct offload *o, struct offload_job *job)
{
    struct offload_lane *l = &o->lanes[job->lane];
    struct pair_item item = {.kind = PAIR_OFFLOADED};

    item.ptr = job;
    /* relaxed: as in offload_take. */
    atomic_store_explicit(&job->held, false, memory_order_relaxed);
    if (inbox_push(l->inbox, &item) != PROA_OK) {
        atomic_store_explicit(&job->held, true, memory_order_relaxed);
        return false;
    }
    if (l->bell != NULL)
        doorbell_ring(l->bell);
    return true;
}

bool offload_step(struct offload *o)
{
    if (o->unsent == NULL) {
        o->unsent = offload_take(o);
        if (o->unsent == NULL)
            return false;
        offload_work(o->unsent);
    }
    if (offload_send_home(o, o->unsent))
        o->unsent = NULL;
    return true;
}

/* ---- The lane ---- */

static void push(struct sched *s, struct offload_job *job)
{
    struct offload *o = s->offload;
    struct pair_item item = {.kind = PAIR_OFFLOADED};

    item.ptr = job;
    PROA_ASSERT(inbox_push(o->queue, &item) == PROA_OK); /* it has room for all */
    /* relaxed: control rings the workers too, if it has started them meanwhile. */
    if (atomic_load_explicit(&o->workers, memory_order_relaxed) > 0) {
        doorbell_ring(&o->bell);
        return;
    }
    /* release, pairs with the acquire in offload_pool_serve: the job is in the queue. */
    atomic_store_explicit(&o->wanted, true, memory_order_release);
    s->up_dirty = true; /* rings control */
}

static struct offload_job *job_alloc(struct sched *s)
{
    struct offload_lane *l = &s->offload->lanes[s->lane];
    struct offload_job *job = l->free;

    if (job == NULL)
        return NULL;
    l->free = job->next;
    l->in_use++;
    STAT_SET(s, jobs, l->in_use);
    job->home = false;
    /* relaxed: nobody else has it. */
    atomic_store_explicit(&job->abandoned, false, memory_order_relaxed);
    return job;
}

static void job_free(struct sched *s, struct offload_job *job)
{
    struct offload_lane *l = &s->offload->lanes[s->lane];

    job->holds = OFFLOAD_NOTHING;
    job->next = l->free;
    l->free = job;
    l->in_use--;
    STAT_SET(s, jobs, l->in_use);
    if ((s->waits & WAIT_OFFLOAD) != 0 && l->in_use <= PROA_OFFLOAD_MAX / 2)
        again_wake(s, WAIT_OFFLOAD, 0, proa_ref_none());
}

static enum proa_outcome begin(struct proa_actor *self, const struct proa_job *what,
                               struct ask **ret_ask)
{
    struct sched *s = self->sched;
    struct offload_job *job = job_alloc(s);
    struct ask *ask;

    if (job == NULL) {
        s->again_kind = WAIT_OFFLOAD;
        s->again_key = 0;
        return PROA_AGAIN;
    }
    ask = ask_alloc(&s->asks, self->slot, slot_index(&s->slots, self->slot), ASK_OFFLOAD);
    if (ask == NULL) {
        job_free(s, job);
        return PROA_LIMIT;
    }
    ask->job = job;
    job->job = *what;
    job->correlation = ask->correlation;
    job->holds = OFFLOAD_ARG;
    *ret_ask = ask;
    return PROA_OK;
}

enum proa_outcome proa_offload(struct proa_actor *self, const struct proa_job *job,
                               proa_offloaded then, const void *ctx, size_t ctx_len)
{
    struct sched *s = self->sched;
    enum proa_outcome outcome;
    struct ask *ask;

    if (job == NULL || job->run == NULL || then == NULL || ctx_len > PROA_CONTEXT_MAX ||
        (ctx == NULL && ctx_len > 0))
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, NULL, PROA_STOPPED);
    if (s->offload == NULL)
        return send_failed(s, NULL, PROA_LIMIT);
    outcome = begin(self, job, &ask);
    if (outcome != PROA_OK)
        return send_failed(s, self->slot, outcome);
    ask->fn.offloaded = then;
    payload_copy(ask->ctx, ctx, (uint32_t)ctx_len);
    push(s, ask->job);
    STAT_ADD(s, jobs_accepted, 1);
    return PROA_OK;
}

void offload_item(struct sched *s, struct offload_job *job)
{
    struct ask *ask;

    if (is_abandoned(job)) {
        if (job->holds == OFFLOAD_NOTHING)
            job_free(s, job);
        else
            push(s, job); /* once more, to be disposed of */
        return;
    }
    ask = ask_find(&s->asks, job->correlation);
    PROA_ASSERT(ask != NULL && ask->kind == ASK_OFFLOAD && ask->job == job);
    job->home = true;
    ask_settle(&s->asks, ask, (enum proa_outcome)job->outcome, false);
}

void offload_answer(struct proa_actor *self, struct ask *ask)
{
    struct sched *s = self->sched;
    alignas(16) uint8_t ctx[PROA_CONTEXT_MAX];
    proa_offloaded then = ask->fn.offloaded;
    struct offload_job *job = ask->job;
    enum proa_outcome outcome = (enum proa_outcome)job->outcome;
    void *result = job->result;

    memcpy(ctx, ask->ctx, sizeof(ctx));
    ask_release(&s->asks, self->slot, ask);
    job_free(s, job);
    then(self, outcome, result, ctx);
}

void offload_abandon(struct sched *s, struct offload_job *job)
{
    /* relaxed: see the header. */
    atomic_store_explicit(&job->abandoned, true, memory_order_relaxed);
    STAT_ADD(s, jobs_abandoned, 1);
    if (job->home)
        offload_item(s, job);
}
