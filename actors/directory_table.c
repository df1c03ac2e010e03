/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"
#include "pages.h"

#define TABLE_SLOTS_MIN 1024u
#define OLD_TABLES_MAX 2u /* that readers may keep the writer from freeing */

/* A new table is at most a quarter full, and at most 3/8 of its slots are ever not EMPTY: 97 of
   100 names then lie in their home line.  A branch mispredicted on the way to memory costs a
   whole miss; half as many slots made a random lookup in 1 M names half as fast again
   (perf/bench_directory). */
static uint64_t used_max(const struct table *table)
{
    return (table->mask + 1) / 8 * 3;
}

static uint64_t slots_for(uint64_t names)
{
    uint64_t slots = TABLE_SLOTS_MIN;

    while (slots / 4 < names)
        slots *= 2;
    return slots;
}

struct table *table_create(uint64_t slots)
{
    size_t bytes = sizeof(struct table) + slots * sizeof(struct slot);
    struct table *table = pages_map(bytes); /* zero: all SLOT_EMPTY */

    if (table == NULL)
        return NULL;
    table->owners = pages_map(slots * sizeof(union owner));
    if (table->owners == NULL) {
        pages_unmap(table, bytes);
        return NULL;
    }
    table->mask = slots - 1;
    table->bytes = bytes;
    return table;
}

void table_destroy(struct table *table)
{
    pages_unmap(table->owners, (table->mask + 1) * sizeof(union owner));
    pages_unmap(table, table->bytes);
}

/* relaxed: the writer reads what only it writes. */
static uint64_t meta_of(const struct table *table, uint64_t at)
{
    return atomic_load_explicit(&table->slots[at].meta, memory_order_relaxed);
}

static enum slot_state state_of(const struct table *table, uint64_t at)
{
    return meta_state(meta_of(table, at));
}

uint64_t table_find(const struct table *table, struct name_key key)
{
    for (uint64_t at = table_home(table, key);; at = (at + 1) & table->mask) {
        const struct slot *slot = &table->slots[at];
        enum slot_state state = state_of(table, at);

        if (state == SLOT_EMPTY)
            return SLOT_NONE;
        if (state >= SLOT_ABSENT && key_equal(slot, key))
            return at;
    }
}

static uint64_t distance(const struct table *table, struct name_key key, uint64_t at)
{
    return (at - table_home(table, key)) & table->mask;
}

/* Fills the first slot of entry's probe that may be filled. */
static uint64_t fill(struct table *table, struct entry *entry)
{
    uint64_t at = table_home(table, entry->key);

    while (state_of(table, at) != SLOT_EMPTY && state_of(table, at) != SLOT_FREE)
        at = (at + 1) & table->mask;

    struct slot *slot = &table->slots[at];
    if (state_of(table, at) == SLOT_EMPTY)
        table->used++;
    slot->value = entry->value;
    slot->key[0] = entry->key.low;
    slot->key[1] = entry->key.high;
    table->owners[at].entry = entry;
    /* M1 release, pairs with M2: key and value become visible with LIVE or ABSENT. */
    atomic_store_explicit(&slot->meta, entry->meta, memory_order_release);
    return at;
}

static void retire(struct directory *dir, uint64_t at, enum slot_state state)
{
    struct table *table = directory_table(dir);

    /* M1 release, pairs with M2: who sees MOVED sees the new slot, and moves, too. */
    atomic_store_explicit(&table->slots[at].meta, meta_make(state, 0, 0),
                          memory_order_release);
    table->owners[at].next = dir->filling.first_slot;
    dir->filling.first_slot = at;
    dir->filling.count++;
}

void directory_publish(struct directory *dir, struct entry *entry)
{
    struct table *table = directory_table(dir);
    uint64_t old = entry->at;

    entry->at = fill(table, entry);
    dir->stats.puts++;
    if (old == SLOT_NONE)
        return;
    if (distance(table, entry->key, entry->at) < distance(table, entry->key, old)) {
        /* relaxed load: its only writer.  V1 release, pairs with V2. */
        uint64_t moves = atomic_load_explicit(&dir->moves, memory_order_relaxed);
        atomic_store_explicit(&dir->moves, moves + 1, memory_order_release);
    }
    retire(dir, old, SLOT_MOVED);
}

void directory_unpublish(struct directory *dir, struct entry *entry)
{
    retire(dir, entry->at, SLOT_REMOVED);
    entry->at = SLOT_NONE;
}

/* ---- Reclaiming ---- */

/* A retired slot may be filled again.  At the end of a run of used slots it, and the FREE ones
   before it, become EMPTY: no probe has to pass them to get anywhere. */
static void free_slot(struct table *table, uint64_t at)
{
    /* relaxed, here and below: who sees FREE or EMPTY reads nothing by it. */
    atomic_store_explicit(&table->slots[at].meta, SLOT_FREE, memory_order_relaxed);
    if (state_of(table, (at + 1) & table->mask) != SLOT_EMPTY)
        return;
    while (state_of(table, at) == SLOT_FREE) {
        atomic_store_explicit(&table->slots[at].meta, SLOT_EMPTY, memory_order_relaxed);
        table->used--;
        at = (at - 1) & table->mask;
    }
}

static void free_batch(struct directory *dir, struct batch *batch)
{
    struct table *table = directory_table(dir);

    while (batch->first_slot != SLOT_NONE) {
        uint64_t at = batch->first_slot;
        batch->first_slot = table->owners[at].next;
        free_slot(table, at);
    }
    while (batch->tables != NULL) {
        struct table *old = batch->tables;
        batch->tables = old->next;
        table_destroy(old);
        dir->old_tables--;
    }
    while (batch->first_node != NODE_NONE) {
        uint32_t node = batch->first_node;
        batch->first_node = dir->node_owners[node].next_free;
        dir->node_owners[node].next_free = dir->node_free;
        dir->node_free = node;
    }
    groups_free_batch(dir, batch);
    dir->stats.reclaimed += batch->count;
    batch->count = 0;
}

void directory_retire_node(struct directory *dir, uint32_t node)
{
    dir->node_owners[node].next_free = dir->filling.first_node;
    dir->filling.first_node = node;
    dir->filling.count++;
}

void directory_reclaim(struct directory *dir)
{
    if (dir->waiting.count > 0) {
        if (qsbr_oldest(&dir->qsbr) < dir->waiting.epoch)
            return;
        free_batch(dir, &dir->waiting);
    }
    if (dir->filling.count == 0)
        return;
    dir->waiting = dir->filling;
    dir->waiting.epoch = qsbr_advance(&dir->qsbr);
    dir->filling = (struct batch){.first_slot = SLOT_NONE, .first_node = NODE_NONE};
    if (qsbr_oldest(&dir->qsbr) >= dir->waiting.epoch)
        free_batch(dir, &dir->waiting);
}

/* ---- Growing ---- */

/* Retired slots of a table that is itself retired need no more care. */
static void forget_slots(struct batch *batch, struct table *table)
{
    for (uint64_t at = batch->first_slot; at != SLOT_NONE; at = table->owners[at].next)
        batch->count--;
    batch->first_slot = SLOT_NONE;
}

static bool rehash(struct directory *dir)
{
    struct table *old = directory_table(dir);
    struct table *table;

    if (dir->old_tables >= OLD_TABLES_MAX)
        return false;
    table = table_create(slots_for(dir->stats.names + 1));
    if (table == NULL)
        return false;
    for (uint64_t at = 0; at <= old->mask; at++) {
        if (state_of(old, at) >= SLOT_ABSENT) {
            struct entry *entry = old->owners[at].entry;
            entry->at = fill(table, entry);
        }
    }
    /* T1 release, pairs with T2: readers find a full table. */
    atomic_store_explicit(&dir->table, table, memory_order_release);

    forget_slots(&dir->filling, old);
    forget_slots(&dir->waiting, old);
    old->next = dir->filling.tables;
    dir->filling.tables = old;
    dir->filling.count++;
    dir->old_tables++;
    dir->stats.rehashes++;
    return true;
}

bool directory_make_room(struct directory *dir)
{
    if (directory_table(dir)->used < used_max(directory_table(dir)))
        return true;
    directory_reclaim(dir);
    if (directory_table(dir)->used < used_max(directory_table(dir)))
        return true;
    return rehash(dir);
}
