/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include "scheduler_internal.h"

void metrics_waited(struct metrics *m, proa_ns span, uint32_t depth)
{
    metrics_add(&m->waited, 1);
    metrics_add(&m->depth, depth);
    metrics_add(&m->wait_ns, span);
    metrics_max(&m->wait_max_ns, span);
}

void metrics_ran(struct metrics *m, proa_ns span)
{
    metrics_add(&m->ran, 1);
    metrics_add(&m->run_ns, span);
    metrics_max(&m->run_max_ns, span);
}

/* ---- Samples ---- */

/* Virtual time stands still during a loop: there handlers take none. */
static proa_ns clock_of(const struct sched *s)
{
    return s->clock != NULL ? s->clock() : s->now;
}

void sample_arm(struct sched *s)
{
    s->sample.next = s->hot.mailbox + METRICS_EVERY;
    s->sample.armed = true;
    s->brief_end = 0; /* proa_tell leaves it to enqueue */
}

void sample_take(struct sched *s, struct node *node)
{
    s->sample.armed = false;
    s->brief_end = brief_end(s);
    s->sample.node = node;
    s->sample.at = clock_of(s);
    node->msg.zero |= NODE_SAMPLED;
}

struct metrics *sample_begin(struct proa_actor *self, const struct node *node,
                             proa_ns *ret_at)
{
    struct sched *s = self->sched;
    struct behaviour *b = self->slot->behaviour;

    /* Its actor may have dropped the one before, and its block been used again. */
    if (node != s->sample.node || b == NULL)
        return NULL;
    s->sample.node = NULL;
    *ret_at = clock_of(s);
    metrics_waited(&b->metrics, *ret_at - s->sample.at,
                   mailbox_depth(&self->slot->mailbox) + 1);
    return &b->metrics;
}

void sample_end(struct sched *s, struct metrics *m, proa_ns at)
{
    metrics_ran(m, clock_of(s) - at);
}

/* ---- Reading ---- */

void metrics_refused(const struct slot *slot, enum proa_outcome reason)
{
    struct behaviour *b = slot->behaviour;

    if (b == NULL)
        return;
    metrics_add(&b->metrics.refused, 1);
    if (reason == PROA_FULL)
        metrics_depth(&b->metrics, slot_capacity(slot));
}

void metrics_restarted(const struct slot *slot)
{
    metrics_add(&slot->behaviour->metrics.restarts, 1);
}

void sched_running(const struct sched *s, struct sched_running *ret)
{
    /* relaxed: the two may be of different moments; who is stuck changes neither. */
    uint64_t id = atomic_load_explicit(&s->running, memory_order_relaxed);

    ret->actor = proa_ref_none();
    if (id != 0)
        ret->actor = (struct proa_ref){s->node, (uint32_t)id, (uint32_t)(id >> 32)};
    ret->type = atomic_load_explicit(&s->running_type, memory_order_relaxed);
}

void sched_metrics(const struct sched *s,
                   void (*fn)(void *ctx, const char *type_name, const struct metrics *m),
                   void *ctx)
{
    const struct behaviour *b = behaviour_newest(&s->behaviours);

    for (; b != NULL; b = b->older)
        fn(ctx, b->def->type_name, &b->metrics);
}
