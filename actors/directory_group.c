/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"
#include "pages.h"

#define TABLE_BYTES (GROUP_TABLE_SLOTS * sizeof(_Atomic(struct group *)))
#define BY_INDEX_BYTES (DIRECTORY_GROUPS_MAX * sizeof(struct group *))
#define FREE_INDEX_BYTES (DIRECTORY_GROUPS_MAX * sizeof(uint32_t))
#define FIRST_HEADS 256u
#define ABSENT_MAX (DIRECTORY_GROUPS_MAX / DIRECTORY_ABSENT_SHARE)
#define EXPIRE_AT_ONCE 4

/* ---- Life ---- */

bool groups_init(struct directory *dir)
{
    struct directory_groups *g = &dir->groups;

    atomic_init(&g->floor, 0);
    atomic_init(&g->removals, 0);
    atomic_init(&g->nothing, 0);
    g->table = pages_map(TABLE_BYTES);
    g->by_index = pages_map(BY_INDEX_BYTES);
    g->free_index = pages_map(FREE_INDEX_BYTES);
    g->heads = calloc(FIRST_HEADS, sizeof(struct membership *));
    g->head_mask = FIRST_HEADS - 1;
    return g->table != NULL && g->by_index != NULL && g->free_index != NULL &&
           g->heads != NULL;
}

static struct group_view *view_of(const struct group *group)
{
    /* relaxed: the writer reads what only it writes. */
    return atomic_load_explicit(&group->view, memory_order_relaxed);
}

static void group_free(struct group *group)
{
    free(group->seen);
    free(group->added);
    free(group);
}

void groups_free_batch(struct directory *dir, struct batch *batch)
{
    while (batch->views != NULL) {
        struct group_view *view = batch->views;

        batch->views = view->next;
        dir->groups.old_units -= view->units;
        dir->groups.stats.pending--;
        free(view);
    }
    while (batch->left != NULL) {
        struct membership *m = batch->left;

        batch->left = m->chain;
        membership_free(dir, m);
    }
    while (batch->groups != NULL) {
        struct group *group = batch->groups;

        batch->groups = group->next;
        group_free(group);
    }
}

void groups_fini(struct directory *dir)
{
    struct directory_groups *g = &dir->groups;

    groups_free_batch(dir, &dir->filling);
    groups_free_batch(dir, &dir->waiting);
    for (uint32_t i = 0; i < g->next_index; i++) {
        struct group *group = g->by_index[i];

        if (group == NULL)
            continue;
        for (uint32_t k = 0; k < group->seen_count; k++)
            free(seen_at(group, k));
        for (uint32_t k = 0; k < group->added_count; k++)
            free(group->added[k]);
        free(view_of(group));
        group_free(group);
    }
    for (uint32_t i = 0; i < g->words.made / WORD_CHUNK; i++)
        free(g->words.chunks[i]);
    free(g->words.free);
    free(g->heads);
    pages_unmap(g->table, TABLE_BYTES);
    pages_unmap(g->by_index, BY_INDEX_BYTES);
    pages_unmap(g->free_index, FREE_INDEX_BYTES);
}

/* ---- The table ---- */

static struct group *slot_of(const struct directory *dir, uint32_t at)
{
    /* relaxed: the writer reads what only it writes. */
    return atomic_load_explicit(&dir->groups.table[at], memory_order_relaxed);
}

static bool has_name(const struct group *group, const char *name, size_t len)
{
    return group->len == len && memcmp(group->name, name, len) == 0;
}

/* The group with this key; NULL and, where one may be put, its slot. */
static struct group *table_find_group(const struct directory *dir, struct name_key key,
                                      uint32_t *ret_at)
{
    uint32_t at = (uint32_t)key.low & (GROUP_TABLE_SLOTS - 1), gone = UINT32_MAX;
    struct group *group;

    while ((group = slot_of(dir, at)) != NULL) {
        if (group == GROUP_GONE)
            gone = gone == UINT32_MAX ? at : gone;
        else if (group->key.low == key.low && group->key.high == key.high)
            break;
        at = (at + 1) & (GROUP_TABLE_SLOTS - 1);
    }
    *ret_at = group == NULL && gone != UINT32_MAX ? gone : at;
    return group;
}

/* As index_remove of directory_write.c: GONE slots before an empty one are empty again. */
static void table_remove(struct directory *dir, const struct group *group)
{
    uint32_t at = (uint32_t)group->key.low & (GROUP_TABLE_SLOTS - 1);
    _Atomic(struct group *) *table = dir->groups.table;

    while (slot_of(dir, at) != group)
        at = (at + 1) & (GROUP_TABLE_SLOTS - 1);
    /* G7 release, here and below, pairs with G4: who misses the group sees its floor. */
    atomic_store_explicit(&table[at], GROUP_GONE, memory_order_release);
    if (slot_of(dir, (at + 1) & (GROUP_TABLE_SLOTS - 1)) != NULL)
        return;
    while (slot_of(dir, at) == GROUP_GONE) {
        atomic_store_explicit(&table[at], NULL, memory_order_release);
        at = (at - 1) & (GROUP_TABLE_SLOTS - 1);
    }
}

/* ---- Groups ---- */

static struct group *group_create(struct directory *dir, struct name_key key,
                                  const char *name, size_t len)
{
    struct directory_groups *g = &dir->groups;
    size_t size = sizeof(struct group) + len;
    struct group *group = aligned_alloc(
        PROA_CACHE_LINE, (size + PROA_CACHE_LINE - 1) & ~(size_t)(PROA_CACHE_LINE - 1));

    if (group == NULL)
        return NULL;
    memset(group, 0, sizeof(*group));
    group->key = key;
    group->base = group->version = g->version;
    group->len = (uint32_t)len;
    memcpy(group->name, name, len);
    atomic_init(&group->view, NULL);
    atomic_init(&group->absent_until, 0);
    atomic_init(&group->read, 0);
    atomic_init(&group->wanted, 0);
    group->index = g->free_count > 0 ? g->free_index[--g->free_count] : g->next_index++;
    g->by_index[group->index] = group;
    g->stats.groups++;
    return group;
}

static void absent_unlink(struct directory_groups *g, struct group *group)
{
    if (group->absent_prev != NULL)
        group->absent_prev->absent_next = group->absent_next;
    else
        g->absent_first = group->absent_next;
    if (group->absent_next != NULL)
        group->absent_next->absent_prev = group->absent_prev;
    else
        g->absent_last = group->absent_prev;
    group->absent_prev = group->absent_next = NULL;
    group->absent = false;
    g->absent_count--;
}

static void absent_append(struct directory_groups *g, struct group *group)
{
    group->absent = true;
    group->absent_prev = g->absent_last;
    if (g->absent_last != NULL)
        g->absent_last->absent_next = group;
    else
        g->absent_first = group;
    g->absent_last = group;
    g->absent_count++;
}

void group_present(struct directory *dir, struct group *group)
{
    if (!group->absent)
        return;
    absent_unlink(&dir->groups, group);
    /* relaxed: a moment, nothing is read by it. */
    atomic_store_explicit(&group->absent_until, 0, memory_order_relaxed);
}

struct group *group_get(const struct directory *dir, const char *name, size_t len)
{
    struct group *group;
    uint32_t at;

    if (len - 1 >= PROA_NAME_MAX)
        return NULL;
    group = table_find_group(dir, directory_key(dir, name, len), &at);
    return group != NULL && has_name(group, name, len) ? group : NULL;
}

struct group *group_make(struct directory *dir, const char *name, size_t len)
{
    struct directory_groups *g = &dir->groups;
    struct name_key key;
    struct group *group;
    uint32_t at;

    if (len - 1 >= PROA_NAME_MAX)
        return NULL;
    key = directory_key(dir, name, len);
    group = table_find_group(dir, key, &at);
    if (group != NULL)
        return has_name(group, name, len) ? group : NULL;
    if (g->stats.groups == DIRECTORY_GROUPS_MAX) {
        if (g->absent_first == NULL)
            return NULL;
        group_remove(dir, g->absent_first);
        table_find_group(dir, key, &at);
    }
    group = group_create(dir, key, name, len);
    if (group == NULL)
        return NULL;
    /* G3 release, pairs with G4: a group is made before it is found. */
    atomic_store_explicit(&g->table[at], group, memory_order_release);
    return group;
}

void group_remove(struct directory *dir, struct group *group)
{
    struct directory_groups *g = &dir->groups;
    uint64_t removals;

    PROA_ASSERT(group->count == 0);
    group_present(dir, group);
    group_untouch(dir, group);
    /* G5 release, pairs with G6: who sees it sees every group that is in the table now.  Before
       the group is taken out, so that who misses it does not say an older version than it had. */
    atomic_store_explicit(&g->floor, ++g->version, memory_order_release);
    table_remove(dir, group);
    /* relaxed load: its only writer.  G8 release, pairs with G9, and after the group was taken out:
       a reader that has seen this count and then finds a group has found one that stays. */
    removals = atomic_load_explicit(&g->removals, memory_order_relaxed);
    atomic_store_explicit(&g->removals, removals + 1, memory_order_release);
    g->by_index[group->index] = NULL;
    g->free_index[g->free_count++] = group->index;
    g->stats.groups--;
    view_retire(dir, view_of(group));
    group->next = dir->filling.groups;
    dir->filling.groups = group;
    dir->filling.count++;
}

/* ---- Groups known to be absent ---- */

void groups_expire(struct directory *dir, proa_ns now)
{
    for (int i = 0; i < EXPIRE_AT_ONCE; i++) {
        struct group *oldest = dir->groups.absent_first;

        if (oldest == NULL ||
            atomic_load_explicit(&oldest->absent_until, memory_order_relaxed) > now)
            return;
        group_remove(dir, oldest);
    }
}

void directory_group_absent(struct directory *dir, const char *name, size_t len,
                            proa_ns until)
{
    struct directory_groups *g = &dir->groups;
    struct group *group;

    if (len - 1 >= PROA_NAME_MAX)
        return;
    group = group_get(dir, name, len);
    if (group != NULL && group->count > 0)
        return;
    if (group != NULL && !group->absent) {
        group_end(dir, group); /* its last member has just left */
        group = NULL;
    }
    if (group == NULL && g->absent_count >= ABSENT_MAX)
        group_remove(dir, g->absent_first);
    if (group == NULL)
        group = group_make(dir, name, len);
    if (group == NULL) {
        g->stats.full++;
        return;
    }
    if (group->absent)
        absent_unlink(g, group);
    absent_append(g, group);
    /* relaxed: a moment, nothing is read by it. */
    atomic_store_explicit(&group->absent_until, until, memory_order_relaxed);
}

void directory_complete(struct directory *dir, bool complete)
{
    /* relaxed: a moment, nothing is read by it. */
    atomic_store_explicit(&dir->complete, complete, memory_order_relaxed);
}

/* ---- What is there ---- */

static uint64_t floor_of(const struct directory *dir)
{
    /* relaxed: the writer reads what only it writes. */
    return atomic_load_explicit(&dir->groups.floor, memory_order_relaxed);
}

uint64_t directory_group_version(const struct directory *dir, const char *name,
                                 size_t len)
{
    struct group *group = group_get(dir, name, len);

    if (group == NULL)
        return floor_of(dir);
    return view_of(group) != NULL ? view_of(group)->version : group->base;
}

uint64_t directory_group_changed(const struct directory *dir, const char *name,
                                 size_t len)
{
    const struct group *group = group_get(dir, name, len);

    return group != NULL ? group->version : floor_of(dir);
}

void directory_loads_wanted(struct directory *dir,
                            void (*fn)(void *ctx, const char *group, size_t len),
                            void *ctx)
{
    struct directory_groups *g = &dir->groups;

    for (uint32_t i = 0; i < DIRECTORY_GROUPS_MAX / 64; i++) {
        uint64_t bits;

        /* relaxed throughout: a hint; what is lost is set by the next pick. */
        if (atomic_load_explicit(&g->wanted[i], memory_order_relaxed) == 0)
            continue;
        bits = atomic_exchange_explicit(&g->wanted[i], 0, memory_order_relaxed);
        for (; bits != 0; bits &= bits - 1) {
            struct group *group = g->by_index[i * 64 + (uint32_t)__builtin_ctzll(bits)];

            if (group == NULL)
                continue;
            atomic_store_explicit(&group->wanted, 0, memory_order_relaxed);
            if (group->far > 0)
                fn(ctx, group->name, group->len);
        }
    }
}

bool directory_group_read(struct directory *dir, const char *name, size_t len)
{
    struct group *group = group_get(dir, name, len);

    /* relaxed: a hint. */
    return group != NULL &&
           atomic_exchange_explicit(&group->read, 0, memory_order_relaxed) != 0;
}

void directory_each_group(const struct directory *dir,
                          bool (*fn)(void *ctx, const char *group, size_t len,
                                     uint32_t members, uint64_t version),
                          void *ctx)
{
    for (uint32_t i = 0; i < dir->groups.next_index; i++) {
        const struct group *group = dir->groups.by_index[i];

        if (group != NULL && group->count > 0 &&
            !fn(ctx, group->name, group->len, group->count, group->version))
            return;
    }
}

static bool tell_member(const struct directory *dir, const struct membership *m,
                        proa_ns now,
                        bool (*fn)(void *ctx, struct proa_ref ref, uint32_t type,
                                   bool reachable, uint16_t load),
                        void *ctx)
{
    /* relaxed: moments. */
    return fn(ctx, m->ref, m->type,
              now < atomic_load_explicit(&dir->nodes[m->node].heard_until,
                                         memory_order_relaxed),
              atomic_load_explicit(m->load, memory_order_relaxed));
}

void directory_each_in_group(const struct directory *dir, const char *name, size_t len,
                             proa_ns now,
                             bool (*fn)(void *ctx, struct proa_ref ref, uint32_t type,
                                        bool reachable, uint16_t load),
                             void *ctx)
{
    const struct group *group = group_get(dir, name, len);

    if (group == NULL)
        return;
    for (uint32_t i = 0; i < group->seen_count; i++)
        if (!seen_left(group, i) && !tell_member(dir, seen_at(group, i), now, fn, ctx))
            return;
    for (uint32_t i = 0; i < group->added_count; i++)
        if (!tell_member(dir, group->added[i], now, fn, ctx))
            return;
}

void directory_group_stats(const struct directory *dir, struct directory_group_stats *ret)
{
    *ret = dir->groups.stats;
}
