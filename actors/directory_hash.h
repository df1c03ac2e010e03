/* SPDX-License-Identifier: Apache-2.0 */
/* directory_hash.h - the two hashes of names, and the reads that begin with them.

   XXH3 of a name of 32 bytes takes as long as the rest of a lookup that stays in the caches.  Where
   the processor has AES instructions names are hashed by those: each block of 16 bytes, whitened by
   a secret of its place, goes through four rounds of AES under secret keys, all blocks side by
   side, and the results are added, with those of the length.  Two names then have one hash with a
   probability below 2^-100, for whoever does not know the secret: the most likely difference after
   four rounds is that unlikely.  Source: Keliher and Sui, "Exact maximum expected differential and
   linear probability for two-round AES", 2007 (2^-113 for four rounds).

   directory_hash_aes.c, compiled for those processors, has everything that begins with that hash;
   directory_hash_none.c stands in its place where no such processor is built for.

   Threads: readers.  Units: bytes.  Errors: none. */
#ifndef DIRECTORY_HASH_H
#define DIRECTORY_HASH_H

#include "directory_impl.h"

/* Has this processor what the functions below need? */
bool directory_aes_here(void);

/* As directory_key and directory_lookup; only when dir->aes. */
struct name_key directory_key_aes(const struct directory *dir, const char *name,
                                  size_t len);
enum proa_outcome directory_lookup_aes(const struct directory *dir, const char *name,
                                       size_t len, uint32_t type, proa_ns now,
                                       struct proa_ref *ret_ref);

/* What a slot says that was LIVE or ABSENT when meta was read. */
static inline enum proa_outcome slot_tell(const struct directory *dir,
                                          const struct slot *slot, uint64_t meta,
                                          uint32_t type, proa_ns now,
                                          struct proa_ref *ret_ref)
{
    uint64_t value = slot->value;

    if (meta_state(meta) == SLOT_ABSENT)
        return now < value ? PROA_NOT_FOUND : directory_missing(dir);

    const struct directory_node *node = &dir->nodes[meta_node(meta)];
    uint32_t has = meta_type(meta);

    /* relaxed: a moment, nothing is read by it. */
    if (now >= atomic_load_explicit(&node->heard_until, memory_order_relaxed))
        return PROA_UNKNOWN;
    ret_ref->node = node->id;
    ret_ref->slot = (uint32_t)value;
    ret_ref->generation = (uint32_t)(value >> 32);
    return type == 0 || has == 0 || has == type ? PROA_OK : PROA_WRONG_TYPE;
}

/* Not in the slot that its line's first meta tells.  What it takes fits in registers, so that a lookup
   saves none. */
enum proa_outcome directory_look_further(const struct directory *dir, struct name_key key,
                                         uint32_t type, proa_ns now,
                                         struct proa_ref *ret_ref);

static inline enum proa_outcome lookup_key(const struct directory *dir,
                                           struct name_key key, uint32_t type,
                                           proa_ns now, struct proa_ref *ret_ref)
{
    /* T2 acquire, pairs with T1: the table has been filled. */
    const struct table *table = atomic_load_explicit(&dir->table, memory_order_acquire);
    const struct slot *slot = &table->slots[table_home(table, key)];
    /* relaxed: only which of the line's two slots is looked at first, by no branch: a mispredicted
       one costs the whole miss that it waits for. */
    slot += meta_other(atomic_load_explicit(&slot->meta, memory_order_relaxed), key);
    /* M2 acquire, pairs with M1: key and value have been written. */
    uint64_t meta = atomic_load_explicit(&slot->meta, memory_order_acquire);

    if (__builtin_expect(meta_state(meta) < SLOT_ABSENT || !key_equal(slot, key), 0))
        return directory_look_further(dir, key, type, now, ret_ref);
    return slot_tell(dir, slot, meta, type, now, ret_ref);
}

#endif
