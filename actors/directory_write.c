/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define RECLAIM_EVERY                                                                    \
    4096u /* retired slots; a puts-only control thread never calls reclaim */
#define EXPIRE_AT_PUT 2

/* ---- Lists of entries ---- */

static void list_append(struct entry_list *list, struct entry *entry)
{
    entry->prev = list->last;
    entry->next = NULL;
    if (list->last != NULL)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
}

static void list_remove(struct entry_list *list, struct entry *entry)
{
    if (entry->prev != NULL)
        entry->prev->next = entry->next;
    else
        list->first = entry->next;
    if (entry->next != NULL)
        entry->next->prev = entry->prev;
    else
        list->last = entry->prev;
}

static struct entry_list *list_of(struct directory *dir, const struct entry *entry)
{
    return entry->node == NODE_NONE ? &dir->absent : &dir->node_owners[entry->node].names;
}

static void link_entry(struct directory *dir, struct entry *entry, uint32_t node)
{
    entry->node = node;
    list_append(list_of(dir, entry), entry);
    if (node == NODE_NONE)
        dir->stats.absent++;
}

static void unlink_entry(struct directory *dir, struct entry *entry)
{
    list_remove(list_of(dir, entry), entry);
    if (entry->node == NODE_NONE)
        dir->stats.absent--;
}

/* ---- Entries ---- */

static bool has_name(const struct entry *entry, const char *name, size_t len)
{
    return entry->len == len && memcmp(entry->name, name, len) == 0;
}

static struct entry *find_key(struct directory *dir, struct name_key key)
{
    struct table *table = directory_table(dir);
    uint64_t at = table_find(table, key);

    return at == SLOT_NONE ? NULL : table->owners[at].entry;
}

static struct entry *find(struct directory *dir, const char *name, size_t len)
{
    struct entry *entry;

    if (len - 1 >= PROA_NAME_MAX)
        return NULL;
    entry = find_key(dir, directory_key(dir, name, len));
    return entry != NULL && has_name(entry, name, len) ? entry : NULL;
}

static struct entry *entry_create(struct name_key key, const char *name, size_t len)
{
    struct entry *entry = malloc(sizeof(*entry) + len);

    if (entry == NULL)
        return NULL;
    entry->key = key;
    entry->at = SLOT_NONE;
    entry->len = (uint32_t)len;
    memcpy(entry->name, name, len);
    return entry;
}

static void forget(struct directory *dir, struct entry *entry)
{
    directory_unpublish(dir, entry);
    unlink_entry(dir, entry);
    free(entry);
    dir->stats.names--;
    dir->stats.removes++;
    if (dir->filling.count >= RECLAIM_EVERY)
        directory_reclaim(dir);
}

static struct entry *add(struct directory *dir, struct name_key key, const char *name,
                         size_t len, uint32_t node)
{
    struct entry *entry;

    if (dir->stats.names == dir->names_max) {
        if (dir->absent.first == NULL)
            return NULL;
        forget(dir, dir->absent.first);
    }
    entry = entry_create(key, name, len);
    if (entry == NULL)
        return NULL;
    link_entry(dir, entry, node);
    dir->stats.names++;
    return entry;
}

/* Publishes name with meta and value, new or in place of what it had. */
static bool set(struct directory *dir, const char *name, size_t len, uint64_t meta,
                uint64_t value, uint32_t node)
{
    struct name_key key;
    struct entry *entry;

    if (len - 1 >= PROA_NAME_MAX)
        return false;
    key = directory_key(dir, name, len);
    meta = meta_tagged(meta, key);
    entry = find_key(dir, key);
    if (entry != NULL && !has_name(entry, name, len)) {
        dir->stats.collisions++;
        return false;
    }
    if (entry != NULL && entry->meta == meta && entry->value == value)
        return true;
    if (!directory_make_room(dir)) {
        dir->stats.full++;
        return false;
    }
    if (entry == NULL) {
        entry = add(dir, key, name, len, node);
        if (entry == NULL) {
            dir->stats.full++;
            return false;
        }
    } else {
        unlink_entry(dir, entry);
        link_entry(dir, entry, node);
    }
    entry->meta = meta;
    entry->value = value;
    directory_publish(dir, entry);
    if (dir->filling.count >= RECLAIM_EVERY)
        directory_reclaim(dir);
    return true;
}

/* ---- The header's functions ---- */

bool directory_put(struct directory *dir, const char *name, size_t len,
                   struct proa_ref ref, uint32_t type, proa_ns now)
{
    uint32_t node = directory_node_at(dir, ref.node);

    for (int i = 0; i < EXPIRE_AT_PUT; i++) {
        if (dir->absent.first != NULL && dir->absent.first->value <= now)
            forget(dir, dir->absent.first);
    }
    if (node == NODE_NONE) {
        dir->stats.no_node++;
        return false;
    }
    return set(dir, name, len, meta_make(SLOT_LIVE, node, type),
               (uint64_t)ref.generation << 32 | ref.slot, node);
}

bool directory_put_absent(struct directory *dir, const char *name, size_t len,
                          proa_ns until)
{
    uint64_t max = dir->names_max / DIRECTORY_ABSENT_SHARE + 1;
    struct entry *entry = find(dir, name, len);

    if ((entry == NULL || entry->node != NODE_NONE) && dir->stats.absent >= max)
        forget(dir, dir->absent.first);
    return set(dir, name, len, meta_make(SLOT_ABSENT, 0, 0), until, NODE_NONE);
}

bool directory_remove(struct directory *dir, const char *name, size_t len)
{
    struct entry *entry = find(dir, name, len);

    if (entry == NULL)
        return false;
    forget(dir, entry);
    return true;
}

static struct proa_ref ref_of(const struct directory *dir, const struct entry *entry)
{
    struct proa_ref ref = proa_ref_none();

    if (entry->node != NODE_NONE) {
        ref.node = dir->nodes[entry->node].id;
        ref.slot = (uint32_t)entry->value;
        ref.generation = (uint32_t)(entry->value >> 32);
    }
    return ref;
}

bool directory_remove_ref(struct directory *dir, const char *name, size_t len,
                          struct proa_ref ref)
{
    struct entry *entry = find(dir, name, len);

    if (entry == NULL || entry->node == NODE_NONE ||
        !proa_ref_equal(ref_of(dir, entry), ref))
        return false;
    forget(dir, entry);
    return true;
}

bool directory_holder(struct directory *dir, const char *name, size_t len,
                      struct proa_ref *ret_ref)
{
    const struct entry *entry = find(dir, name, len);

    if (entry == NULL || entry->node == NODE_NONE)
        return false;
    *ret_ref = ref_of(dir, entry);
    return true;
}

static enum proa_outcome state_at(const struct directory *dir, const struct entry *entry,
                                  proa_ns now)
{
    if (entry->node == NODE_NONE)
        return now < entry->value ? PROA_NOT_FOUND : directory_missing(dir);
    /* relaxed: a moment, nothing is read by it. */
    return now < atomic_load_explicit(&dir->nodes[entry->node].heard_until,
                                      memory_order_relaxed)
               ? PROA_OK
               : PROA_UNKNOWN;
}

void directory_each(const struct directory *dir, proa_ns now,
                    bool (*fn)(void *ctx, const struct directory_entry *entry), void *ctx)
{
    const struct table *table = directory_table(dir);

    for (uint64_t at = 0; at <= table->mask; at++) {
        /* relaxed: the writer reads what only it writes. */
        uint64_t meta =
            atomic_load_explicit(&table->slots[at].meta, memory_order_relaxed);
        const struct entry *entry = table->owners[at].entry;
        struct directory_entry shown;

        if (meta_state(meta) < SLOT_ABSENT)
            continue;
        shown.name = entry->name;
        shown.len = entry->len;
        shown.ref = ref_of(dir, entry);
        shown.type = meta_type(meta);
        shown.state = state_at(dir, entry, now);
        if (!fn(ctx, &shown))
            return;
    }
}

/* ---- Nodes ---- */

static uint32_t node_home(const struct directory *dir, uint64_t id)
{
    return (uint32_t)(id * dir->node_salt >> (64 - NODE_INDEX_BITS));
}

static uint32_t index_word(const struct directory *dir, uint32_t at)
{
    /* relaxed: the writer reads what only it writes. */
    return atomic_load_explicit(&dir->node_index[at], memory_order_relaxed);
}

static void index_insert(struct directory *dir, uint64_t id, uint32_t node)
{
    uint32_t at = node_home(dir, id);

    while (index_word(dir, at) >= NODE_INDEX_FIRST)
        at = (at + 1) & (NODE_INDEX_SLOTS - 1);
    /* N1 release, pairs with N2: the record becomes visible with its index. */
    atomic_store_explicit(&dir->node_index[at], node + NODE_INDEX_FIRST,
                          memory_order_release);
}

/* As free_slot of directory_table.c; a word may be used again at once, for it is whole. */
static void index_remove(struct directory *dir, uint64_t id, uint32_t node)
{
    uint32_t at = node_home(dir, id);

    while (index_word(dir, at) != node + NODE_INDEX_FIRST)
        at = (at + 1) & (NODE_INDEX_SLOTS - 1);
    /* relaxed, here and below: who sees GONE or EMPTY reads nothing by it. */
    atomic_store_explicit(&dir->node_index[at], NODE_INDEX_GONE, memory_order_relaxed);
    if (index_word(dir, (at + 1) & (NODE_INDEX_SLOTS - 1)) != NODE_INDEX_EMPTY)
        return;
    while (index_word(dir, at) == NODE_INDEX_GONE) {
        atomic_store_explicit(&dir->node_index[at], NODE_INDEX_EMPTY,
                              memory_order_relaxed);
        at = (at - 1) & (NODE_INDEX_SLOTS - 1);
    }
}

static uint32_t node_take(struct directory *dir)
{
    uint32_t node = dir->node_free;

    if (node != NODE_NONE)
        dir->node_free = dir->node_owners[node].next_free;
    else if (dir->node_next < DIRECTORY_NODES_MAX)
        node = dir->node_next++;
    return node;
}

struct directory_node *directory_node_add(struct directory *dir, uint64_t id,
                                          proa_ns until)
{
    uint32_t at = directory_node_at(dir, id);
    struct directory_node *node;

    if (at != NODE_NONE) {
        uint64_t dead = 0;

        node = &dir->nodes[at];
        /* relaxed: a moment, nothing is read by it. */
        if (!atomic_compare_exchange_strong_explicit(&node->heard_until, &dead, until,
                                                     memory_order_relaxed,
                                                     memory_order_relaxed))
            directory_heard(node, until);
        return node;
    }
    at = node_take(dir);
    if (at == NODE_NONE) {
        directory_reclaim(dir);
        at = node_take(dir);
    }
    if (at == NODE_NONE) {
        dir->stats.full++;
        return NULL;
    }
    node = &dir->nodes[at];
    dir->node_owners[at].forgotten = false;
    node->id = id;
    atomic_init(&node->heard_until, until);
    index_insert(dir, id, at);
    dir->stats.nodes++;
    return node;
}

void directory_node_dead(struct directory *dir, uint64_t id)
{
    struct directory_node *node = directory_node(dir, id);

    /* relaxed: a moment, nothing is read by it. */
    if (node != NULL)
        atomic_store_explicit(&node->heard_until, 0, memory_order_relaxed);
}

bool directory_node_forget(struct directory *dir, uint64_t id)
{
    uint32_t node = directory_node_at(dir, id);

    if (node == NODE_NONE)
        return false;
    directory_node_dead(dir, id);
    while (dir->node_owners[node].names.first != NULL)
        forget(dir, dir->node_owners[node].names.first);
    memberships_forget(dir, node);
    index_remove(dir, id, node);
    dir->node_owners[node].forgotten = true;
    if (dir->node_owners[node].in_views == 0)
        directory_retire_node(dir, node);
    dir->stats.nodes--;
    return true;
}
