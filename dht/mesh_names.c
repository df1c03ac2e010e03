/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_names.h"

#include "mesh_internal.h"

#include <sodium.h>
#include <string.h>

void mesh_names_init(struct mesh_names *self, uint64_t seed)
{
    self->count = self->chains = 0;
    self->round = MESH_NAMES_SEGMENT;
    memset(self->key, 0, sizeof(self->key));
    memcpy(self->key, &seed, sizeof(seed));
}

void mesh_names_fini(struct mesh *mesh)
{
    struct mesh_names *self = &mesh->names;

    for (uint32_t at = 0; at < self->chains; at += MESH_NAMES_SEGMENT)
        mesh_free(mesh, self->segment[at / MESH_NAMES_SEGMENT],
                  MESH_NAMES_SEGMENT * sizeof(self->segment[0][0]));
    self->chains = 0;
}

static uint32_t hash_of(const struct mesh_names *self, const char *name, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint32_t hash;

    crypto_shorthash(out, (const uint8_t *)name, len, self->key);
    memcpy(&hash, out, sizeof(hash));
    return hash;
}

static struct mesh_item **chain(const struct mesh_names *self, uint32_t number)
{
    return &self->segment[number / MESH_NAMES_SEGMENT][number % MESH_NAMES_SEGMENT];
}

static struct mesh_item **chain_of(const struct mesh_names *self, uint32_t hash)
{
    uint32_t number = hash & (2 * self->round - 1);

    return chain(self, number < self->chains ? number : hash & (self->round - 1));
}

static bool add_segment(struct mesh *mesh)
{
    struct mesh_names *self = &mesh->names;
    uint32_t at = self->chains / MESH_NAMES_SEGMENT;
    size_t size = MESH_NAMES_SEGMENT * sizeof(self->segment[0][0]);

    if (at == MESH_NAMES_SEGMENTS || (self->segment[at] = mesh_alloc(mesh, size)) == NULL)
        return false;
    for (uint32_t i = 0; i < MESH_NAMES_SEGMENT; i++)
        self->segment[at][i] = NULL;
    return true;
}

/* Splits the next chain of the round in two. */
static void grow(struct mesh *mesh)
{
    struct mesh_names *self = &mesh->names;

    if (self->chains % MESH_NAMES_SEGMENT == 0 && !add_segment(mesh))
        return;
    uint32_t number = self->chains++;
    struct mesh_item **from = chain(self, number - self->round);
    struct mesh_item **to = chain(self, number);
    while (*from != NULL) {
        struct mesh_item *item = *from;

        if ((item->hash & (2 * self->round - 1)) == number) {
            *from = item->next;
            item->next = *to;
            *to = item;
        } else {
            from = &item->next;
        }
    }
    if (self->chains == 2 * self->round)
        self->round *= 2;
}

static bool is_named(const struct mesh_item *item, uint32_t hash, const char *name,
                     size_t len)
{
    return item->hash == hash && item->entry.len == len &&
           memcmp(item->entry.name, name, len) == 0;
}

bool mesh_names_add(struct mesh *mesh, struct mesh_item *item)
{
    struct mesh_names *self = &mesh->names;
    const struct mesh_entry *entry = &item->entry;
    unsigned same = 0;

    if (self->chains == 0) {
        if (!add_segment(mesh))
            return false;
        self->chains = MESH_NAMES_SEGMENT;
    }
    item->hash = hash_of(self, entry->name, entry->len);
    struct mesh_item **head = chain_of(self, item->hash);
    for (const struct mesh_item *at = *head; at != NULL; at = at->next)
        if (at->entry.node == entry->node &&
            is_named(at, item->hash, entry->name, entry->len) &&
            ++same == MESH_NAMES_SAME)
            return false;
    item->next = *head;
    *head = item;
    if (++self->count > self->chains)
        grow(mesh);
    return true;
}

void mesh_names_remove(struct mesh *mesh, struct mesh_item *item)
{
    struct mesh_item **at = chain_of(&mesh->names, item->hash);

    while (*at != item)
        at = &(*at)->next;
    *at = item->next;
    mesh->names.count--;
}

bool mesh_beats(const struct mesh_entry *a, const struct mesh_entry *b)
{
    if (a->term != b->term)
        return a->term > b->term;
    if (a->claim != b->claim)
        return a->claim < b->claim;
    return a->node < b->node;
}

const struct mesh_entry *mesh_name(const struct mesh *mesh, const char *name, size_t len)
{
    const struct mesh_names *self = &mesh->names;
    const struct mesh_entry *best = NULL;

    if (self->chains == 0)
        return NULL;
    uint32_t hash = hash_of(self, name, len);
    for (const struct mesh_item *at = *chain_of(self, hash); at != NULL; at = at->next) {
        if (!is_named(at, hash, name, len) || !mesh_is_linked(mesh, at->entry.node))
            continue;
        if (best == NULL || mesh_beats(&at->entry, best))
            best = &at->entry;
    }
    if (best == NULL)
        return NULL;
    mesh_entry_copy(mesh->found, best);
    return mesh->found;
}
