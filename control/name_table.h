/* SPDX-License-Identifier: Apache-2.0 */
/* name_table.h - a bounded table of things that have a name.

   An entry is any struct that begins with a struct name_entry.  Entries do not move while they
   are in the table.

   Threads: one at a time.  Units: bytes.
   Errors:  NULL: full, or not there.
   Memory:  its own, max entries from the start; pages are touched as entries are. */
#ifndef NAME_TABLE_H
#define NAME_TABLE_H

#include <proa/types.h>

struct name_entry {
    uint32_t next; /* place + 1 in its chain, or of the next free one */
    bool used;
    uint8_t len;
    char name[PROA_NAME_MAX];
};

struct name_table {
    uint8_t *all; /* max entries of `size` bytes */
    size_t size;
    uint32_t max, used, high, free;
    uint32_t *buckets;
    uint32_t mask;
    uint64_t salt;
};

bool name_table_init(struct name_table *self, size_t entry_size, uint32_t max,
                     uint64_t salt);
void name_table_fini(struct name_table *self);

struct name_entry *name_table_find(const struct name_table *self, const char *name,
                                   size_t len);

/* name_table_add makes an entry, zeroed but for its name, which must not be there yet. */
struct name_entry *name_table_add(struct name_table *self, const char *name, size_t len);
void name_table_remove(struct name_table *self, struct name_entry *entry);

/* name_table_at is the entry at a place below self->high, NULL when that is free; name_table_place is its
   inverse. */
struct name_entry *name_table_at(const struct name_table *self, uint32_t place);
uint32_t name_table_place(const struct name_table *self, const struct name_entry *entry);

#endif
