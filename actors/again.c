/* SPDX-License-Identifier: Apache-2.0 */
/* Who got AGAIN is in one list through the slots, with the kinds of what it waits for and one
   key.  Who waits for several things gets WRITABLE for any of them: spurious ones are allowed,
   lost ones are not.  So the list has no bound of its own to run into. */
#include "mix.h"
#include "scheduler_internal.h"

uint32_t again_key(uint64_t node)
{
    uint32_t key = (uint32_t)mix64(node);

    return key != WAIT_KEY_ANY ? key : 0;
}

uint32_t again_ref_key(struct proa_ref ref)
{
    return again_key(ref.node ^ ((uint64_t)ref.slot << 32 | ref.generation));
}

void again_note(struct sched *s, struct slot *slot)
{
    uint32_t index = slot_index(&s->slots, slot);
    uint32_t kind = s->again_kind;

    if (slot->state == SLOT_ENDING || (slot->flags & SLOT_CLIENT) != 0)
        return;
    s->waits |= kind;
    if (kind == WAIT_SLAB)
        s->slab_mark = s->slab.used;
    if (kind == WAIT_BULK)
        s->bulk_mark = s->bulk.used;
    if (kind == WAIT_LANE)
        s->waits_lanes |= UINT64_C(1) << s->again_key;
    if (slot->wait_mask != 0) {
        if (slot->wait_mask != kind || slot->wait_key != s->again_key)
            slot->wait_key = WAIT_KEY_ANY;
        slot->wait_mask |= (uint8_t)kind;
        return;
    }
    slot->wait_mask = (uint8_t)kind;
    slot->wait_key = s->again_key;
    slot->wait_prev = SLOT_NONE;
    slot->wait_next = s->waiters;
    if (s->waiters != SLOT_NONE)
        s->slots.slots[s->waiters].wait_prev = index;
    s->waiters = index;
}

void again_forget(struct sched *s, struct slot *slot)
{
    if (slot->wait_mask == 0)
        return;
    if (slot->wait_prev != SLOT_NONE)
        s->slots.slots[slot->wait_prev].wait_next = slot->wait_next;
    else
        s->waiters = slot->wait_next;
    if (slot->wait_next != SLOT_NONE)
        s->slots.slots[slot->wait_next].wait_prev = slot->wait_prev;
    slot->wait_mask = 0;
}

void again_wake(struct sched *s, uint32_t kind, uint32_t key, struct proa_ref about)
{
    uint32_t left = 0, at = s->waiters;

    if ((s->waits & kind) == 0)
        return;
    while (at != SLOT_NONE) {
        struct slot *slot = &s->slots.slots[at];

        at = slot->wait_next;
        if ((slot->wait_mask & kind) != 0 &&
            (slot->wait_key == key || slot->wait_key == WAIT_KEY_ANY ||
             key == WAIT_KEY_ANY)) {
            again_forget(s, slot);
            signal_push(s, slot, NODE_WRITABLE, about, 0, 0, NULL, 0);
        } else {
            left |= slot->wait_mask;
        }
    }
    s->waits = left;
}

static void check_lanes(struct sched *s)
{
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        if ((s->waits_lanes >> lane & 1) == 0)
            continue;
        if (s->out[lane].first != NULL || !pair_ring_drained_half(s->out[lane].ring))
            continue;
        s->waits_lanes &= ~(UINT64_C(1) << lane);
        again_wake(s, WAIT_LANE, lane, proa_ref_none());
    }
}

/* Drained by half; or by anything at all, and no actor will drain it further: the rest may be
   held for long (kept buffers, clients that do not read). */
static bool drained(const struct sched *s, uint64_t used, uint64_t limit, uint64_t mark)
{
    return used <= limit / 2 || (used < mark && s->ready_first == SLOT_NONE);
}

bool again_owe(struct sched *s, struct proa_ref to, uint64_t node)
{
    for (uint32_t i = 0; i < s->owed_count; i++)
        if (s->owed[i].node == node && proa_ref_equal(s->owed[i].to, to))
            return true;
    if (s->owed_count == OWED_MAX || node == s->node || node == 0)
        return false;
    s->owed[s->owed_count++] = (struct owed_writable){to, node};
    return true;
}

static void pay_owed(struct sched *s)
{
    for (uint32_t i = s->owed_count; i-- > 0;) {
        struct owed_writable owed = s->owed[i];
        uint32_t lane = proa_ref_lane(owed.to);

        if (s->out[lane].first != NULL || !pair_ring_drained_half(s->out[lane].ring))
            continue;
        s->owed[i] = s->owed[--s->owed_count];
        refuse_flush(s); /* the refusals first */
        if (s->below.writable != NULL)
            s->below.writable(s->below.ctx, owed.node, owed.to);
    }
}

void again_check(struct sched *s)
{
    if (__builtin_expect(s->owed_count > 0, 0))
        pay_owed(s);
    if (s->waits == 0)
        return;
    if ((s->waits & WAIT_SLAB) != 0 &&
        drained(s, s->slab.used, s->slab.limit, s->slab_mark))
        again_wake(s, WAIT_SLAB, 0, proa_ref_none());
    if ((s->waits & WAIT_BULK) != 0 &&
        drained(s, s->bulk.used, s->bulk.limit, s->bulk_mark))
        again_wake(s, WAIT_BULK, 0, proa_ref_none());
    if ((s->waits & WAIT_UP) != 0)
        again_wake(s, WAIT_UP, 0, proa_ref_none());
    if (s->waits_lanes != 0)
        check_lanes(s);
}

/* ---- From the layers below ---- */

void sched_writable_node(struct sched *s, uint64_t node)
{
    again_wake(s, WAIT_NODE, again_key(node), proa_ref_none());
}

static void writable_ref(struct sched *s, struct proa_ref to)
{
    ref_set_remove(&s->blocked, to);
    again_wake(s, WAIT_REF, again_ref_key(to), to);
}

void sched_writable_ref(struct sched *s, struct proa_ref to)
{
    writable_ref(s, to);
    for (uint32_t lane = 0; lane < s->lanes; lane++)
        if (lane != s->lane)
            cross_body(s, lane, PAIR_WRITABLE, &to, sizeof(to), true);
}

void writable_item(struct sched *s, const struct proa_ref *to)
{
    writable_ref(s, *to);
}

void unblock_item(struct sched *s, const uint64_t *node)
{
    if (ref_set_remove_node(&s->blocked, *node) > 0)
        again_wake(s, WAIT_REF, WAIT_KEY_ANY, proa_ref_none());
}

void sched_writable_refs(struct sched *s, uint64_t node)
{
    unblock_item(s, &node);
    for (uint32_t lane = 0; lane < s->lanes; lane++)
        if (lane != s->lane)
            cross_body(s, lane, PAIR_UNBLOCK, &node, sizeof(node), true);
}

void sched_link_dead(struct sched *s, uint64_t node)
{
    struct ask *ask = ask_bucket_first(&s->asks, node), *next;

    for (; ask != NULL; ask = next) {
        next = ask_bucket_next(&s->asks, ask);
        if (ask->to.node != node)
            continue;
        timer_wheel_cancel(&s->wheel, &ask->timer);
        ask_settle(&s->asks, ask, PROA_MAYBE_EXECUTED, true);
        STAT_ADD(s, link_lost, 1);
    }
    again_wake(s, WAIT_NODE, again_key(node), proa_ref_none());
    /* A WRITABLE may have been lost with this link, for another lane's actors too. */
    sched_writable_refs(s, node);
}
