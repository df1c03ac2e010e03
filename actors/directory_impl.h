/* SPDX-License-Identifier: Apache-2.0 */
/* directory_impl.h - what the files of the directory share.  For directory*.c and its test.

   The argument for all of it is in directory.h.
   Threads: readers touch what is marked so; all else is the writer's.  Units: slots.
   Errors:  as stated. */
#ifndef DIRECTORY_IMPL_H
#define DIRECTORY_IMPL_H

#include <stdalign.h>

#include "directory.h"
#include "directory_group_impl.h"
#include "qsbr.h"

/* ---- What readers read ---- */

/* Order matters: from SLOT_ABSENT on a slot's key and value may be read. */
enum slot_state {
    SLOT_EMPTY,   /* ends a probe */
    SLOT_FREE,    /* may be filled again */
    SLOT_REMOVED, /* its name was forgotten; waits for readers */
    SLOT_MOVED,   /* its name now lives in another slot; waits for readers */
    SLOT_ABSENT,  /* value: the moment until which the name is known to be absent */
    SLOT_LIVE,    /* value: slot and generation of the reference */
};

struct slot {
    _Atomic uint64_t meta; /* state:8 | tag:8 (of the key) | node:16 (index) | type:32 */
    uint64_t value;
    uint64_t key[2];
};

_Static_assert(sizeof(struct slot) == 32, "two slots in a cache line");
_Static_assert(DIRECTORY_NODES_MAX <= 1u << 16, "a node's index has 16 bits in meta");

struct table {
    /* Constant once published. */
    uint64_t mask; /* slots - 1 */
    size_t bytes;

    /* The writer's. */
    union owner *owners; /* by slot */
    uint64_t used;       /* slots not SLOT_EMPTY */
    struct table *next;  /* in a batch */

    alignas(PROA_CACHE_LINE) struct slot slots[];
};

static inline enum slot_state meta_state(uint64_t meta)
{
    return (enum slot_state)(meta & 0xff);
}

static inline uint32_t meta_node(uint64_t meta)
{
    return (uint32_t)(meta >> 16) & 0xffff;
}

static inline uint32_t meta_type(uint64_t meta)
{
    return (uint32_t)(meta >> 32);
}

static inline uint64_t meta_make(enum slot_state state, uint32_t node, uint32_t type)
{
    return (uint64_t)state | (uint64_t)node << 16 | (uint64_t)type << 32;
}

/* meta_tagged is meta with the tag of key, by which a reader knows which of the two slots of a line
   to look at without a branch. */
static inline uint64_t meta_tagged(uint64_t meta, struct name_key key)
{
    return meta | key.high >> 56 << 8;
}

/* meta_other: whether a slot has neither a value nor key's tag: 1 or 0.  State and tag are one
   comparison, as the two states that have a value differ in bit 0 only. */
static inline uint64_t meta_other(uint64_t meta, struct name_key key)
{
    return ((meta ^ meta_tagged(SLOT_ABSENT, key)) & 0xfffe) != 0;
}

_Static_assert(SLOT_ABSENT % 2 == 0 && SLOT_LIVE == SLOT_ABSENT + 1, "meta_other");

static inline bool key_equal(const struct slot *slot, struct name_key key)
{
    return ((slot->key[0] ^ key.low) | (slot->key[1] ^ key.high)) == 0;
}

/* The first of the two slots of key's line. */
static inline uint64_t table_home(const struct table *table, struct name_key key)
{
    return key.low & table->mask & ~UINT64_C(1);
}

/* Nodes: an open table of indices into an array of records. */
#define NODE_INDEX_BITS 17 /* twice DIRECTORY_NODES_MAX */
#define NODE_INDEX_SLOTS (1u << NODE_INDEX_BITS)
#define NODE_INDEX_EMPTY 0u /* ends a probe */
#define NODE_INDEX_GONE 1u
#define NODE_INDEX_FIRST 2u /* record 0 */

/* ---- The writer's ---- */

#define NODE_NONE UINT32_MAX

struct entry {
    struct name_key key;
    uint64_t at;    /* slot in the current table */
    uint64_t meta;  /* as published */
    uint64_t value; /* as published */
    uint32_t node;  /* index; NODE_NONE: absent */
    uint32_t len;
    struct entry *prev,
        *next; /* other names of its node; or other absent ones, oldest first */
    char name[];
};

struct entry_list {
    struct entry *first, *last;
};

/* Of a LIVE or ABSENT slot its entry, of a retired one the next of its batch. */
union owner {
    struct entry *entry;
    uint64_t next;
};

#define SLOT_NONE UINT64_MAX

/* What was unlinked at about one time.  One batch is filled while the other waits. */
struct batch {
    uint64_t epoch; /* free when all readers have reached it; 0: still being filled */
    uint64_t first_slot;  /* of the current table, by owners[].next; SLOT_NONE ends it */
    struct table *tables; /* by next */
    uint32_t first_node;  /* by node_owners[].next_free; NODE_NONE ends it */
    struct group_view *views;
    struct group *groups;
    struct membership *left; /* by chain: of these views, once */
    uint64_t count;          /* of all these */
};

struct node_owner {
    struct entry_list names;
    struct membership *members; /* of groups, by next */
    uint32_t next_free;         /* of free or retired records; NODE_NONE ends a list */
    uint32_t in_views;          /* members of published views */
    bool forgotten;             /* to be retired when no view has it */
    uint64_t numbered_in;       /* a view being made, counted, and its number there */
    uint32_t number;
};

struct directory {
    /* Constant after create. */
    struct directory_node *nodes; /* DIRECTORY_NODES_MAX */
    _Atomic uint32_t
        *node_index;    /* NODE_INDEX_SLOTS: 0, 1, or record + NODE_INDEX_FIRST */
    uint64_t node_salt; /* odd */
    uint32_t names_max;

    /* Written by the writer, read by readers. */
    alignas(PROA_CACHE_LINE) _Atomic(struct table *) table;
    _Atomic uint64_t moves;
    _Atomic bool complete; /* directory_complete */

    alignas(PROA_CACHE_LINE) uint8_t secret[192]; /* constant; of the hash */

    struct qsbr qsbr;

    /* The writer's. */
    alignas(PROA_CACHE_LINE) struct node_owner *node_owners;
    uint32_t node_free; /* list of records forgotten and reclaimed */
    uint32_t node_next; /* records never used begin here */
    struct entry_list absent;
    struct batch filling, waiting;
    uint32_t old_tables; /* not yet freed */
    struct directory_stats stats;

    struct directory_groups groups;
};

struct name_key directory_key(const struct directory *dir, const char *name, size_t len);

/* directory_node_at is the record's index; NODE_NONE when id is not known.  Readers too. */
uint32_t directory_node_at(const struct directory *dir, uint64_t id);

/* ---- directory_table.c ---- */

struct table *table_create(uint64_t slots); /* NULL without memory */
void table_destroy(struct table *table);

/* table_find is the slot of key that is LIVE or ABSENT, SLOT_NONE without. */
uint64_t table_find(const struct table *table, struct name_key key);

/* directory_make_room sees to it that one more slot may be filled: reclaims, makes a new table.
   False when it cannot: no memory, or readers hold too much. */
bool directory_make_room(struct directory *dir);

/* directory_publish puts entry's meta and value into a slot; its old one, when it has one
   (entry->at), becomes MOVED. After directory_make_room. */
void directory_publish(struct directory *dir, struct entry *entry);

/* directory_retire_node has node's record reused once the readers were quiescent. */
void directory_retire_node(struct directory *dir, uint32_t node);

/* directory_unpublish makes entry's slot REMOVED. */
void directory_unpublish(struct directory *dir, struct entry *entry);

/* directory_missing is what a name or group is that is not here. */
static inline enum proa_outcome directory_missing(const struct directory *dir)
{
    /* relaxed: a moment, nothing is read by it. */
    return atomic_load_explicit(&dir->complete, memory_order_relaxed) ? PROA_NOT_FOUND
                                                                      : PROA_UNKNOWN;
}

static inline struct table *directory_table(const struct directory *dir)
{
    /* relaxed: for the writer, who alone writes it. */
    return atomic_load_explicit(&dir->table, memory_order_relaxed);
}

#endif
