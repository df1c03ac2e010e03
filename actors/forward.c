/* SPDX-License-Identifier: Apache-2.0 */
#include "forward.h"

#include "scheduler_internal.h"

/* The ask that f is about, of an asker of this lane; NULL when it is over. */
static struct ask *find(struct sched *s, const struct forwarded *f)
{
    struct slot *slot = slot_find(&s->slots, f->slot, f->generation);
    struct ask *ask = ask_find(&s->asks, f->correlation);

    if (slot == NULL || ask == NULL || ask->state != ASK_IN_FLIGHT ||
        ask->slot != slot_index(&s->slots, slot) || ask->kind > ASK_QUESTION_LAST)
        return NULL;
    return ask;
}

void forwarded_here(struct sched *s, const struct forwarded *f)
{
    struct ask *ask = find(s, f);

    if (ask == NULL || f->hops <= ask->hops) {
        STAT_ADD(s, forwards_late, 1);
        return;
    }
    STAT_ADD(s, forwards_heard, 1);
    ask_unlink(&s->asks, ask);
    ask->hops = f->hops & 0xf;
    ask->to = f->to;
    if (f->to.node == s->node)
        return; /* it came back: no link to watch */
    ask_link(&s->asks, ask);
    if (s->below.follow == NULL || s->below.follow(s->below.ctx, f->to.node))
        return;
    /* Its node is known to be dead. */
    timer_wheel_cancel(&s->wheel, &ask->timer);
    ask_settle(&s->asks, ask, PROA_MAYBE_EXECUTED, true);
    STAT_ADD(s, link_lost, 1);
}

void sched_forwarded(struct sched *s, const struct forwarded *f)
{
    uint32_t lane = f->slot >> 24;

    if (f->generation == 0 || f->correlation == 0 || f->hops == 0 ||
        f->hops > PROA_HOPS_MAX || proa_ref_is_none(f->to) || f->to.node == 0 ||
        lane >= s->lanes)
        STAT_ADD(s, malformed, 1);
    else if (lane == s->lane)
        forwarded_here(s, f);
    else
        cross_body(s, lane, PAIR_FORWARDED, f, sizeof(*f), true);
}

void forward_tell_origin(struct sched *s, const struct proa_msg *onward)
{
    struct forwarded f = {.to = onward->to,
                          .slot = onward->from.slot,
                          .generation = onward->from.generation,
                          .correlation = onward->correlation,
                          .hops = onward->hops};

    /* Within a node nothing changes for who watches that node. */
    if ((onward->flags & PROA_MSG_ASK) != 0 && onward->to.node != s->node &&
        onward->from.node == s->node)
        sched_forwarded(s, &f);
}
