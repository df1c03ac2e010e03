/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "mix.h"
#include "pages.h"
#include "slot.h"

bool slot_table_init(struct slot_table *t, uint32_t lane, uint32_t max, uint64_t seed)
{
    PROA_ASSERT(max > 0 && max <= SLOT_INDEX_MAX + 1 && (max & (max - 1)) == 0);
    PROA_ASSERT(lane < PROA_LANES_MAX);
    *t = (struct slot_table){.max = max, .free = SLOT_NONE, .lane = lane, .seed = seed};
    t->slots = pages_map((size_t)max * sizeof(struct slot));
    return t->slots != NULL;
}

void slot_table_fini(struct slot_table *t)
{
    pages_unmap(t->slots, (size_t)t->max * sizeof(struct slot));
    t->slots = NULL;
}

static uint32_t first_generation(const struct slot_table *t, uint32_t index)
{
    uint32_t g = (uint32_t)mix64(t->seed + index);

    return g != 0 ? g : 1;
}

static uint32_t after(uint32_t generation)
{
    return generation + 1 != 0 ? generation + 1 : 1;
}

struct slot *slot_alloc(struct slot_table *t)
{
    struct slot *slot;
    uint32_t generation;

    if (t->free != SLOT_NONE) {
        slot = &t->slots[t->free];
        t->free = slot->mailbox.owner_next;
        generation = slot->next_generation;
    } else if (t->fresh < t->max) {
        slot = &t->slots[t->fresh];
        generation = first_generation(t, t->fresh++);
    } else {
        return NULL;
    }
    memset(slot, 0, sizeof(*slot));
    slot->generation = generation;
    slot->next_generation = after(generation);
    slot->asks = slot->timers = slot->token_list = SLOT_NONE;
    slot->monitors = SLOT_NONE;
    t->live++;
    return slot;
}

void slot_renew(struct slot_table *t, struct slot *slot)
{
    (void)t;
    PROA_ASSERT(slot->state == SLOT_ENDING && mailbox_empty(&slot->mailbox));
    PROA_ASSERT(slot->asks == SLOT_NONE && slot->timers == SLOT_NONE);
    slot->generation = slot->next_generation;
    slot->next_generation = after(slot->generation);
    slot->state = SLOT_STARTING;
    slot->flags &= SLOT_READY | SLOT_NAMED | SLOT_CHILD | SLOT_MEMBER;
    slot->mailbox.capacity =
        (slot->flags & SLOT_MEMBER) != 0 ? 0 : slot->behaviour->capacity;
    slot->marks &= (uint16_t)~SLOT_MARK_STARTED;
    slot->reason = PROA_REASON_NORMAL;
    slot->code = 0;
}

void slot_release(struct slot_table *t, struct slot *slot)
{
    uint32_t index = slot_index(t, slot);

    PROA_ASSERT(slot->generation != 0 && mailbox_empty(&slot->mailbox));
    slot->mailbox.capacity = 0;
    slot->generation = 0;
    slot->state = SLOT_FREE;
    t->live--;
    if (slot->next_generation == first_generation(t, index)) {
        t->retired++;
        return;
    }
    slot->mailbox.owner_next = t->free;
    t->free = index;
}
