/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_set.h"

#include "mesh_internal.h"

#include <string.h>

#define MID_INDICES (MESH_FAN * MESH_LEAF)

void mesh_entry_copy(struct mesh_entry *to, const struct mesh_entry *from)
{
    memcpy(to, from, offsetof(struct mesh_entry, name) + from->len);
}

static size_t item_size(uint8_t len)
{
    return (offsetof(struct mesh_item, entry.name) + len + 7) & ~(size_t)7;
}

void mesh_item_free(struct mesh *mesh, struct mesh_item *item)
{
    if (item != NULL)
        mesh_free(mesh, item, item_size(item->entry.len));
}

static struct mesh_item *new_item(struct mesh *mesh, const struct mesh_entry *entry)
{
    struct mesh_item *item = mesh_alloc(mesh, item_size(entry->len));

    if (item != NULL) {
        item->next = NULL;
        item->hash = 0;
        mesh_entry_copy(&item->entry, entry);
    }
    return item;
}

/* ---- Finding ---- */

static struct mesh_mid *mid_of(const struct mesh_set *set, uint32_t index)
{
    return set->mid[index / MID_INDICES];
}

static struct mesh_leaf *leaf_of(const struct mesh_set *set, uint32_t index)
{
    const struct mesh_mid *mid = mid_of(set, index);

    return mid != NULL ? mid->leaf[index / MESH_LEAF % MESH_FAN] : NULL;
}

struct mesh_item *mesh_set_get(const struct mesh_set *set, uint32_t index)
{
    const struct mesh_leaf *leaf = leaf_of(set, index);

    return leaf != NULL ? leaf->item[index % MESH_LEAF] : NULL;
}

uint64_t mesh_set_version_at(const struct mesh_set *set, uint32_t index)
{
    const struct mesh_leaf *leaf = leaf_of(set, index);

    return leaf != NULL ? leaf->version[index % MESH_LEAF] : 0;
}

bool mesh_set_has_leaf(const struct mesh_set *set, uint32_t index)
{
    return leaf_of(set, index) != NULL;
}

struct mesh_item *mesh_set_next(const struct mesh_set *set, uint32_t *index, uint32_t end)
{
    uint32_t at = *index;

    while (at < end) {
        const struct mesh_mid *mid = mid_of(set, at);
        const struct mesh_leaf *leaf = leaf_of(set, at);

        if (mid == NULL || mid->count == 0) {
            at = (at / MID_INDICES + 1) * MID_INDICES;
        } else if (leaf == NULL || leaf->count == 0) {
            at = (at / MESH_LEAF + 1) * MESH_LEAF;
        } else if (leaf->item[at % MESH_LEAF] == NULL) {
            at++;
        } else {
            *index = at;
            return leaf->item[at % MESH_LEAF];
        }
    }
    return NULL;
}

uint16_t mesh_set_leaves(const struct mesh_set *set)
{
    for (unsigned m = MESH_FAN; m-- > 0;) {
        if (set->mid[m] == NULL || set->mid[m]->count == 0)
            continue;
        for (unsigned l = MESH_FAN; l-- > 0;)
            if (set->mid[m]->leaf[l] != NULL && set->mid[m]->leaf[l]->count > 0)
                return (uint16_t)(m * MESH_FAN + l + 1);
    }
    return 0;
}

void mesh_set_hashes(const struct mesh_set *set, uint32_t where, uint64_t ret[MESH_FAN])
{
    const struct mesh_mid *mid = where < MESH_FAN ? set->mid[where] : NULL;

    for (unsigned i = 0; i < MESH_FAN; i++) {
        if (where == MESH_HASHES_TOP)
            ret[i] = set->mid[i] != NULL ? set->mid[i]->hash : 0;
        else
            ret[i] = mid != NULL && mid->leaf[i] != NULL ? mid->leaf[i]->hash : 0;
    }
}

/* ---- Changing ---- */

static void *zeroed(struct mesh *mesh, size_t size)
{
    void *memory = mesh_alloc(mesh, size);

    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

/* The leaf of an index, made if there is none; NULL: no memory. */
static struct mesh_leaf *leaf_for(struct mesh *mesh, struct mesh_set *set, uint32_t index)
{
    struct mesh_mid **mid = &set->mid[index / MID_INDICES];

    if (*mid == NULL && (*mid = zeroed(mesh, sizeof(**mid))) == NULL)
        return NULL;
    struct mesh_leaf **leaf = &(*mid)->leaf[index / MESH_LEAF % MESH_FAN];
    if (*leaf == NULL && (*leaf = zeroed(mesh, sizeof(**leaf))) != NULL) {
        set->leaves++;
        mesh->leaves += set != &mesh->own.set;
    }
    return *leaf;
}

static void mix(struct mesh_set *set, uint32_t index, uint64_t hash)
{
    set->root ^= hash;
    mid_of(set, index)->hash ^= hash;
    leaf_of(set, index)->hash ^= hash;
}

/* sign: 1 or -1, modulo 2^32 */
static void count(struct mesh_set *set, const struct mesh_entry *entry, uint32_t sign)
{
    set->count += sign;
    mid_of(set, entry->index)->count += sign;
    leaf_of(set, entry->index)->count += sign;
    if (entry->kind == MESH_NAME)
        set->names += sign;
    mix(set, entry->index, mesh_hash_entry(entry));
}

static bool same_name(const struct mesh_entry *a, const struct mesh_entry *b)
{
    return a->kind == b->kind && a->len == b->len &&
           memcmp(a->name, b->name, a->len) == 0;
}

static bool same_contents(const struct mesh_entry *a, const struct mesh_entry *b)
{
    return same_name(a, b) && a->slot == b->slot && a->generation == b->generation &&
           a->type == b->type && a->term == b->term && a->issued == b->issued &&
           a->claim == b->claim;
}

void mesh_set_change(struct mesh_set *set, struct mesh_item *item,
                     const struct mesh_entry *entry)
{
    struct mesh_entry *to = &item->entry;

    mix(set, to->index, mesh_hash_entry(to));
    to->version = entry->version;
    to->slot = entry->slot;
    to->generation = entry->generation;
    to->type = entry->type;
    to->term = entry->term;
    to->issued = entry->issued;
    to->claim = entry->claim;
    mix(set, to->index, mesh_hash_entry(to));
    leaf_of(set, to->index)->version[to->index % MESH_LEAF] = entry->version;
    if (entry->version > set->version)
        set->version = entry->version;
}

enum mesh_applied mesh_set_apply(struct mesh *mesh, struct mesh_set *set,
                                 const struct mesh_entry *entry, bool full,
                                 struct mesh_item **ret_old, struct mesh_item **ret_now)
{
    struct mesh_item *now = NULL, *old = mesh_set_get(set, entry->index);

    *ret_old = *ret_now = NULL;
    if (entry->version <= mesh_set_version_at(set, entry->index))
        return MESH_STALE;
    if (old != NULL && same_contents(&old->entry, entry)) {
        mesh_set_change(set, old, entry);
        return MESH_SAME;
    }
    if (old == NULL && entry->kind != 0 && full)
        return MESH_REFUSED_ENTRY;
    if (entry->kind == 0 && !mesh_set_has_leaf(set, entry->index)) {
        if (entry->version > set->version)
            set->version = entry->version;
        return MESH_SAME;
    }
    struct mesh_leaf *leaf = leaf_for(mesh, set, entry->index);
    if (entry->kind != 0 && leaf != NULL)
        now = new_item(mesh, entry);
    if (leaf == NULL || (entry->kind != 0 && now == NULL))
        return MESH_REFUSED_ENTRY;
    if (old != NULL)
        count(set, &old->entry, UINT32_MAX);
    leaf->item[entry->index % MESH_LEAF] = now;
    leaf->version[entry->index % MESH_LEAF] = entry->version;
    if (now != NULL)
        count(set, &now->entry, 1);
    if (entry->version > set->version)
        set->version = entry->version;
    *ret_old = old;
    *ret_now = now;
    return old != NULL || now != NULL ? MESH_APPLIED : MESH_SAME;
}

void mesh_set_undo(struct mesh_set *set, struct mesh_item *item)
{
    uint32_t index = item->entry.index;
    struct mesh_leaf *leaf = leaf_of(set, index);

    count(set, &item->entry, UINT32_MAX);
    leaf->item[index % MESH_LEAF] = NULL;
    leaf->version[index % MESH_LEAF] = 0;
}

void mesh_set_seen(struct mesh_set *set, uint32_t first, uint32_t end, uint64_t version)
{
    for (uint32_t at = first; at < end; at++) {
        struct mesh_leaf *leaf = leaf_of(set, at);

        if (leaf == NULL)
            at |= MESH_LEAF - 1;
        else if (leaf->item[at % MESH_LEAF] == NULL &&
                 leaf->version[at % MESH_LEAF] < version)
            leaf->version[at % MESH_LEAF] = version;
    }
    if (version > set->version)
        set->version = version;
}

/* ---- The end of a set ---- */

/* Any entry of a leaf, NULL: it is empty. */
static struct mesh_item *take_of_leaf(struct mesh_leaf *leaf)
{
    for (unsigned i = 0; i < MESH_LEAF && leaf->count > 0; i++) {
        struct mesh_item *item = leaf->item[i];

        if (item == NULL)
            continue;
        leaf->item[i] = NULL;
        leaf->count--;
        return item;
    }
    return NULL;
}

struct mesh_item *mesh_set_take(struct mesh *mesh, struct mesh_set *set)
{
    struct mesh_item *item;

    for (unsigned m = 0; m < MESH_FAN; m++) {
        struct mesh_mid *mid = set->mid[m];

        if (mid == NULL)
            continue;
        for (unsigned l = 0; l < MESH_FAN; l++) {
            if (mid->leaf[l] == NULL)
                continue;
            if ((item = take_of_leaf(mid->leaf[l])) != NULL)
                return item;
            mesh_free(mesh, mid->leaf[l], sizeof(*mid->leaf[l]));
            mid->leaf[l] = NULL;
            mesh->leaves -= set != &mesh->own.set;
        }
        mesh_free(mesh, mid, sizeof(*mid));
        set->mid[m] = NULL;
    }
    memset(set, 0, sizeof(*set));
    return NULL;
}
