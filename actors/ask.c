/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"
#include "mix.h"
#include "pages.h"

bool ask_table_init(struct ask_table *t, uint32_t max, uint64_t seed)
{
    PROA_ASSERT(max > 0 && max <= ASK_MAX && (max & (max - 1)) == 0);
    *t = (struct ask_table){.mask = max - 1,
                            .free = ASK_NONE,
                            .cooling = {ASK_NONE, ASK_NONE},
                            .settled = {ASK_NONE, ASK_NONE},
                            .seed = seed};
    for (uint32_t i = 0; i < ASK_BUCKETS; i++)
        t->buckets[i] = ASK_NONE;
    t->asks = pages_map((size_t)max * sizeof(struct ask));
    return t->asks != NULL;
}

void ask_table_fini(struct ask_table *t)
{
    pages_unmap(t->asks, ((size_t)t->mask + 1) * sizeof(struct ask));
    t->asks = NULL;
}

/* ---- Lists by link_next and link_prev ---- */

static void list_remove(struct ask_table *t, struct ask_list *list, struct ask *ask)
{
    if (ask->link_prev != ASK_NONE)
        t->asks[ask->link_prev].link_next = ask->link_next;
    else
        list->first = ask->link_next;
    if (ask->link_next != ASK_NONE)
        t->asks[ask->link_next].link_prev = ask->link_prev;
    else
        list->last = ask->link_prev;
}

static void list_append(struct ask_table *t, struct ask_list *list, struct ask *ask)
{
    uint32_t index = ask_index(t, ask);

    ask->link_next = ASK_NONE;
    ask->link_prev = list->last;
    if (list->last != ASK_NONE)
        t->asks[list->last].link_next = index;
    else
        list->first = index;
    list->last = index;
}

static uint32_t *bucket_of(struct ask_table *t, uint64_t node)
{
    return &t->buckets[mix64(node) % ASK_BUCKETS];
}

void ask_link(struct ask_table *t, struct ask *ask)
{
    uint32_t *bucket = bucket_of(t, ask->to.node);

    ask->link_prev = ASK_NONE;
    ask->link_next = *bucket;
    if (*bucket != ASK_NONE)
        t->asks[*bucket].link_prev = ask_index(t, ask);
    *bucket = ask_index(t, ask);
    ask->flags |= ASK_LINKED;
}

void ask_unlink(struct ask_table *t, struct ask *ask)
{
    if ((ask->flags & ASK_LINKED) == 0)
        return;
    if (ask->link_prev != ASK_NONE)
        t->asks[ask->link_prev].link_next = ask->link_next;
    else
        *bucket_of(t, ask->to.node) = ask->link_next;
    if (ask->link_next != ASK_NONE)
        t->asks[ask->link_next].link_prev = ask->link_prev;
    ask->flags &= (uint8_t)~ASK_LINKED;
}

struct ask *ask_bucket_first(const struct ask_table *t, uint64_t node)
{
    uint32_t first = t->buckets[mix64(node) % ASK_BUCKETS];

    return first != ASK_NONE ? &t->asks[first] : NULL;
}

struct ask *ask_bucket_next(const struct ask_table *t, const struct ask *ask)
{
    return ask->link_next != ASK_NONE ? &t->asks[ask->link_next] : NULL;
}

/* ---- Life ---- */

/* The next correlation of an entry: the serial grows by one and is never 0. */
static uint32_t next_correlation(const struct ask_table *t, uint32_t index, uint32_t last)
{
    uint32_t step = t->mask + 1, serial;

    if (last == 0)
        last = (uint32_t)mix64(t->seed + index);
    serial = (last & ~t->mask) + step;
    if (serial == 0)
        serial = step;
    return serial | index;
}

static struct ask *take_free(struct ask_table *t)
{
    struct ask *ask;

    if (t->free != ASK_NONE) {
        ask = &t->asks[t->free];
        t->free = ask->link_next;
    } else if (t->fresh <= t->mask) {
        ask = &t->asks[t->fresh++];
    } else if (t->cooling.first != ASK_NONE) {
        ask = &t->asks[t->cooling.first];
        list_remove(t, &t->cooling, ask);
    } else {
        return NULL;
    }
    return ask;
}

struct ask *ask_alloc(struct ask_table *t, struct slot *slot, uint32_t slot_index,
                      enum ask_kind kind)
{
    struct ask *ask = take_free(t);
    uint32_t index;

    if (ask == NULL)
        return NULL;
    index = ask_index(t, ask);
    ask->correlation = next_correlation(t, index, ask->correlation);
    ask->slot = slot_index;
    ask->kind = (uint8_t)kind;
    ask->state = ASK_IN_FLIGHT;
    ask->flags = 0;
    ask->hops = 0;
    ask->actor_prev = ASK_NONE;
    ask->actor_next = slot->asks;
    if (slot->asks != ASK_NONE)
        t->asks[slot->asks].actor_prev = index;
    slot->asks = index;
    t->in_use++;
    return ask;
}

void ask_release(struct ask_table *t, struct slot *slot, struct ask *ask)
{
    bool unanswered = ask->state == ASK_IN_FLIGHT || (ask->flags & ASK_UNANSWERED) != 0;

    PROA_ASSERT(ask->state != ASK_FREE && ask->timer.at == NULL);
    if (ask->state == ASK_SETTLED)
        list_remove(t, &t->settled, ask);
    ask_unlink(t, ask);
    if (ask->actor_prev != ASK_NONE)
        t->asks[ask->actor_prev].actor_next = ask->actor_next;
    else
        slot->asks = ask->actor_next;
    if (ask->actor_next != ASK_NONE)
        t->asks[ask->actor_next].actor_prev = ask->actor_prev;
    ask->state = ASK_FREE;
    t->in_use--;
    if (unanswered) {
        list_append(t, &t->cooling, ask);
    } else {
        ask->link_next = t->free;
        t->free = ask_index(t, ask);
    }
}

void ask_settle(struct ask_table *t, struct ask *ask, enum proa_outcome outcome,
                bool unanswered)
{
    PROA_ASSERT(ask->state == ASK_IN_FLIGHT);
    ask_unlink(t, ask);
    ask->state = ASK_SETTLED;
    ask->outcome = (uint8_t)outcome;
    if (unanswered)
        ask->flags |= ASK_UNANSWERED;
    list_append(t, &t->settled, ask);
}

struct ask *ask_settled_take(struct ask_table *t)
{
    struct ask *ask;

    if (t->settled.first == ASK_NONE)
        return NULL;
    ask = &t->asks[t->settled.first];
    list_remove(t, &t->settled, ask);
    ask->state = ASK_ANSWERED;
    return ask;
}

void ask_settled_again(struct ask_table *t, struct ask *ask)
{
    uint32_t index = ask_index(t, ask), first = t->settled.first;

    ask->state = ASK_SETTLED;
    ask->link_prev = ASK_NONE;
    ask->link_next = first;
    if (first != ASK_NONE)
        t->asks[first].link_prev = index;
    else
        t->settled.last = index;
    t->settled.first = index;
}
