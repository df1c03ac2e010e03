/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "name_table.h"

bool name_table_init(struct name_table *self, size_t entry_size, uint32_t max,
                     uint64_t salt)
{
    uint32_t buckets = 64;

    while (buckets < max)
        buckets *= 2;
    *self = (struct name_table){
        .size = (entry_size + 15) & ~(size_t)15, .max = max, .salt = salt};
    self->mask = buckets - 1;
    self->all = calloc(max, self->size);
    self->buckets = calloc(buckets, sizeof(*self->buckets));
    if (self->all == NULL || self->buckets == NULL) {
        name_table_fini(self);
        return false;
    }
    return true;
}

void name_table_fini(struct name_table *self)
{
    free(self->all);
    free(self->buckets);
    self->all = NULL;
    self->buckets = NULL;
}

static struct name_entry *entry_at(const struct name_table *self, uint32_t place)
{
    return (struct name_entry *)(void *)(self->all + place * self->size);
}

/* FNV-1a with a salt: the names are members', and the chains short. */
static uint32_t *bucket_of(const struct name_table *self, const char *name, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u ^ self->salt;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3u;
    return &self->buckets[(hash ^ hash >> 32) & self->mask];
}

static bool is_called(const struct name_entry *entry, const char *name, size_t len)
{
    return entry->len == len && memcmp(entry->name, name, len) == 0;
}

struct name_entry *name_table_find(const struct name_table *self, const char *name,
                                   size_t len)
{
    uint32_t at = *bucket_of(self, name, len);

    while (at != 0 && !is_called(entry_at(self, at - 1), name, len))
        at = entry_at(self, at - 1)->next;
    return at == 0 ? NULL : entry_at(self, at - 1);
}

struct name_entry *name_table_add(struct name_table *self, const char *name, size_t len)
{
    uint32_t place;

    PROA_ASSERT(len >= 1 && len <= PROA_NAME_MAX);
    if (self->used == self->max)
        return NULL;
    if (self->free != 0) {
        place = self->free - 1;
        self->free = entry_at(self, place)->next;
    } else {
        place = self->high++;
    }
    self->used++;

    struct name_entry *entry = entry_at(self, place);
    uint32_t *bucket = bucket_of(self, name, len);

    memset(entry, 0, self->size);
    entry->used = true;
    entry->len = (uint8_t)len;
    memcpy(entry->name, name, len);
    entry->next = *bucket;
    *bucket = place + 1;
    return entry;
}

void name_table_remove(struct name_table *self, struct name_entry *entry)
{
    uint32_t place = name_table_place(self, entry);
    uint32_t *at = bucket_of(self, entry->name, entry->len);

    while (*at != place + 1)
        at = &entry_at(self, *at - 1)->next;
    *at = entry->next;
    entry->used = false;
    entry->next = self->free;
    self->free = place + 1;
    self->used--;
}

struct name_entry *name_table_at(const struct name_table *self, uint32_t place)
{
    struct name_entry *entry = entry_at(self, place);

    return entry->used ? entry : NULL;
}

uint32_t name_table_place(const struct name_table *self, const struct name_entry *entry)
{
    return (uint32_t)((size_t)((const uint8_t *)entry - self->all) / self->size);
}
