/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_set.h - what one node has published, and the tree of hashes over it.

   65,536 indices; 64 make a leaf, 32 leaves a mid, 32 mids the set.  A hash is the XOR of the keyed
   hashes of all entries below, so that a change costs three XORs, and two sets that differ are
   compared along the branches that differ.  An index remembers the version of its last change, of its
   entry's removal too: what is older comes too late and changes nothing.  A leaf in which there was
   never an entry remembers nothing: a removal there takes no memory, and an older entry that comes
   after it is found out by the next digest.

   Threads: one owner.
   Memory:  the mesh's alloc; leaves and mids as needed, given back by mesh_set_drop. */
#ifndef PROA_DHT_MESH_SET_H
#define PROA_DHT_MESH_SET_H

#include "mesh_wire.h"

/* An entry in memory: only so long as its name. */
struct mesh_item {
    struct mesh_item *next; /* in its chain of names (mesh_names.h) */
    uint32_t hash;          /* of its name */
    struct mesh_entry entry;
};

struct mesh_leaf {
    uint64_t hash;
    uint32_t count;
    uint64_t version[MESH_LEAF]; /* of the last change, 0: none */
    struct mesh_item *item[MESH_LEAF];
};

struct mesh_mid {
    uint64_t hash;
    uint32_t count;
    struct mesh_leaf *leaf[MESH_FAN];
};

struct mesh_set {
    uint64_t root;
    uint64_t version; /* the newest seen */
    uint32_t count, names, leaves;
    struct mesh_mid *mid[MESH_FAN];
};

enum mesh_applied {
    MESH_STALE,   /* not newer than what is known */
    MESH_SAME,    /* newer, with the same contents */
    MESH_APPLIED, /* *ret_old and *ret_now say what was and is; either may be NULL */
    MESH_REFUSED_ENTRY, /* no memory; nothing changed */
};

struct mesh_item *mesh_set_get(const struct mesh_set *set, uint32_t index);
uint64_t mesh_set_version_at(const struct mesh_set *set, uint32_t index);
bool mesh_set_has_leaf(const struct mesh_set *set, uint32_t index);

/* mesh_set_apply makes entry (kind 0: removed) what is at its index, if it is newer.  *ret_old is the
   caller's, to be freed by mesh_item_free.  full: there is no room for another entry. */
enum mesh_applied mesh_set_apply(struct mesh *mesh, struct mesh_set *set,
                                 const struct mesh_entry *entry, bool full,
                                 struct mesh_item **ret_old, struct mesh_item **ret_now);

/* mesh_set_undo takes out an entry that mesh_set_apply put in: its index is as if never heard of.  The
   item is the caller's. */
void mesh_set_undo(struct mesh_set *set, struct mesh_item *item);

/* mesh_set_change overwrites the contents of an entry with those of another of the same kind and name. */
void mesh_set_change(struct mesh_set *set, struct mesh_item *item,
                     const struct mesh_entry *entry);

/* mesh_set_next is the first entry in [*index, end); *index is then its.  NULL: none. */
struct mesh_item *mesh_set_next(const struct mesh_set *set, uint32_t *index,
                                uint32_t end);

/* mesh_set_seen notes that nothing older than version is of interest for [first, end), where nothing
   is. */
void mesh_set_seen(struct mesh_set *set, uint32_t first, uint32_t end, uint64_t version);

uint16_t
mesh_set_leaves(const struct mesh_set *set); /* up to the last that is not empty */
void mesh_set_hashes(const struct mesh_set *set, uint32_t where, uint64_t ret[MESH_FAN]);

/* mesh_set_take takes any entry out, for a set that ends; NULL when it is empty. */
struct mesh_item *mesh_set_take(struct mesh *mesh, struct mesh_set *set);

void mesh_item_free(struct mesh *mesh, struct mesh_item *item);
void mesh_entry_copy(struct mesh_entry *to, const struct mesh_entry *from);

#endif
