/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor.h"

#include "mix.h"
#include "pages.h"

bool monitor_table_init(struct monitor_table *t, uint32_t max, uint64_t seed)
{
    *t = (struct monitor_table){.max = max,
                                .free = MONITOR_NONE,
                                .queue_first = MONITOR_NONE,
                                .queue_last = MONITOR_NONE,
                                .seed = seed};
    for (uint32_t i = 0; i < MONITOR_BUCKETS; i++)
        t->buckets[i] = MONITOR_NONE;
    t->all = pages_map((size_t)max * sizeof(struct monitor));
    return t->all != NULL;
}

void monitor_table_fini(struct monitor_table *t)
{
    pages_unmap(t->all, (size_t)t->max * sizeof(struct monitor));
    t->all = NULL;
}

struct monitor *monitor_at(const struct monitor_table *t, uint32_t index)
{
    return index == MONITOR_NONE ? NULL : &t->all[index];
}

struct monitor *monitor_alloc(struct monitor_table *t, struct slot *slot,
                              uint32_t slot_id, enum monitor_kind kind)
{
    struct monitor *m;
    uint32_t serial;

    if (t->free != MONITOR_NONE) {
        m = &t->all[t->free];
        t->free = m->next;
    } else if (t->fresh < t->max) {
        m = &t->all[t->fresh++];
    } else {
        return NULL;
    }
    serial = m->serial + 1 != 0 ? m->serial + 1 : 1;
    *m = (struct monitor){.slot = slot_id,
                          .serial = serial,
                          .next = MONITOR_NONE,
                          .prev = MONITOR_NONE,
                          .kind = (uint8_t)kind,
                          .bucket_next = MONITOR_NONE,
                          .bucket_prev = MONITOR_NONE};
    if (slot != NULL)
        monitor_rejoin(t, slot, m);
    t->in_use++;
    return m;
}

void monitor_rejoin(struct monitor_table *t, struct slot *slot, struct monitor *m)
{
    m->prev = MONITOR_NONE;
    m->next = slot->monitors;
    if (m->next != MONITOR_NONE)
        t->all[m->next].prev = monitor_index(t, m);
    slot->monitors = monitor_index(t, m);
}

static uint32_t bucket(const struct monitor_table *t, enum monitor_kind kind,
                       uint64_t node_or_tag)
{
    return mix64(node_or_tag + kind + t->seed) % MONITOR_BUCKETS;
}

static uint32_t bucket_of(const struct monitor_table *t, const struct monitor *m)
{
    return bucket(t, (enum monitor_kind)m->kind,
                  m->kind == MONITOR_WATCHED ? m->tag : m->other.node);
}

void monitor_bucket_add(struct monitor_table *t, struct monitor *m)
{
    uint32_t *first = &t->buckets[bucket_of(t, m)], index = monitor_index(t, m);

    m->bucket_next = *first;
    m->bucket_prev = MONITOR_NONE;
    if (*first != MONITOR_NONE)
        t->all[*first].bucket_prev = index;
    *first = index;
    m->in_bucket = 1;
}

static void bucket_leave(struct monitor_table *t, struct monitor *m)
{
    if (m->bucket_next != MONITOR_NONE)
        t->all[m->bucket_next].bucket_prev = m->bucket_prev;
    if (m->bucket_prev != MONITOR_NONE)
        t->all[m->bucket_prev].bucket_next = m->bucket_next;
    else
        t->buckets[bucket_of(t, m)] = m->bucket_next;
    m->in_bucket = 0;
}

struct monitor *monitor_bucket_first(const struct monitor_table *t,
                                     enum monitor_kind kind, uint64_t node_or_tag)
{
    return monitor_at(t, t->buckets[bucket(t, kind, node_or_tag)]);
}

uint32_t monitor_tag(uint64_t link)
{
    return (uint32_t)mix64(link);
}

void monitor_leave(struct monitor_table *t, struct slot *slot, struct monitor *m)
{
    if (m->in_bucket)
        bucket_leave(t, m);
    if (m->next != MONITOR_NONE)
        t->all[m->next].prev = m->prev;
    if (m->prev != MONITOR_NONE)
        t->all[m->prev].next = m->next;
    else
        slot->monitors = m->next;
    m->next = m->prev = MONITOR_NONE;
}

void monitor_delivered(struct monitor_table *t, struct monitor *m)
{
    if (m->in_bucket)
        bucket_leave(t, m);
    m->kind = MONITOR_DELIVERED;
}

static void give_back(struct monitor_table *t, struct monitor *m)
{
    m->kind = MONITOR_FREE;
    m->next = t->free;
    t->free = monitor_index(t, m);
    t->in_use--;
}

void monitor_free(struct monitor_table *t, struct slot *slot, struct monitor *m)
{
    if (slot != NULL)
        monitor_leave(t, slot, m);
    give_back(t, m);
}

struct monitor *monitor_find(struct monitor_table *t, struct proa_monitor id,
                             uint32_t slot_id)
{
    struct monitor *m;

    if (id.index >= t->fresh)
        return NULL;
    m = &t->all[id.index];
    return m->serial == id.serial && m->slot == slot_id && m->kind != MONITOR_FREE ? m
                                                                                   : NULL;
}

void monitor_queue(struct monitor_table *t, struct monitor *m, enum monitor_kind kind)
{
    uint32_t index = monitor_index(t, m);

    m->kind = (uint8_t)kind;
    m->next = MONITOR_NONE;
    if (t->queue_last == MONITOR_NONE)
        t->queue_first = index;
    else
        t->all[t->queue_last].next = index;
    t->queue_last = index;
    t->queued++;
}

struct monitor *monitor_dequeue(struct monitor_table *t)
{
    struct monitor *m = monitor_at(t, t->queue_first);

    if (m == NULL)
        return NULL;
    t->queue_first = m->next;
    if (t->queue_first == MONITOR_NONE)
        t->queue_last = MONITOR_NONE;
    m->next = MONITOR_NONE;
    t->queued--;
    return m;
}
