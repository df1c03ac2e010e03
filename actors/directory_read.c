/* SPDX-License-Identifier: Apache-2.0 */
#include "directory_hash.h"

struct name_key directory_key(const struct directory *dir, const char *name, size_t len)
{
    return name_hash(dir, name, len);
}

struct found {
    const struct slot *slot; /* NULL: none */
    uint64_t meta;           /* as it was when the slot was LIVE or ABSENT */
    bool moved;              /* saw a MOVED slot on the way: perhaps this name's */
};

static struct found scan(const struct table *table, struct name_key key)
{
    struct found found = {NULL, 0, false};
    uint64_t at = table_home(table, key);

    /* A table is never full, so the bound is for the reader of this loop. */
    for (uint64_t n = 0; n <= table->mask; n++) {
        const struct slot *slot = &table->slots[at];
        /* M2 acquire, pairs with M1: key and value have been written. */
        uint64_t meta = atomic_load_explicit(&slot->meta, memory_order_acquire);
        enum slot_state state = meta_state(meta);

        if (state >= SLOT_ABSENT && key_equal(slot, key)) {
            found.slot = slot;
            found.meta = meta;
            return found;
        }
        if (state == SLOT_EMPTY)
            return found;
        /* Whose a MOVED slot was must not be asked: a reader that came online after it was
           retired does not keep the writer from filling it again. */
        found.moved |= state == SLOT_MOVED;
        at = (at + 1) & table->mask;
    }
    return found;
}

/* The name may have moved under our eyes, to where we had already looked. */
static struct found scan_again(const struct directory *dir, const struct table *table,
                               struct name_key key)
{
    for (;;) {
        /* V2 acquire, pairs with V1: a move counted here is one the scan sees. */
        uint64_t moves = atomic_load_explicit(&dir->moves, memory_order_acquire);
        struct found found = scan(table, key);

        /* V2 acquire: the scan's M2 loads are acquires too, so this load follows them, and a
           MOVED that was seen comes with its count. */
        if (found.slot != NULL ||
            atomic_load_explicit(&dir->moves, memory_order_acquire) == moves)
            return found;
    }
}

/* What a slot says that was LIVE or ABSENT when meta was read. */
static inline enum proa_outcome tell(const struct directory *dir, const struct slot *slot,
                                     uint64_t meta, uint32_t type, proa_ns now,
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

/* Not in the slot that its line's first meta tells.  Apart from the lookup, which so has fewer
   registers to save. */
static __attribute__((noinline)) enum proa_outcome
look_further(const struct directory *dir, const struct table *table, struct name_key key,
             uint32_t type, proa_ns now, struct proa_ref *ret_ref)
{
    struct found found = scan(table, key);

    if (found.slot == NULL && found.moved)
        found = scan_again(dir, table, key);
    if (found.slot == NULL)
        return directory_missing(dir);
    return tell(dir, found.slot, found.meta, type, now, ret_ref);
}

enum proa_outcome directory_lookup(const struct directory *dir, const char *name,
                                   size_t len, uint32_t type, proa_ns now,
                                   struct proa_ref *ret_ref)
{
    if (len - 1 >= PROA_NAME_MAX)
        return PROA_UNKNOWN;

    struct name_key key = name_hash(dir, name, len);
    /* T2 acquire, pairs with T1: the table has been filled. */
    const struct table *table = atomic_load_explicit(&dir->table, memory_order_acquire);
    const struct slot *slot = &table->slots[table_home(table, key)];
    /* relaxed: only which of the line's two slots is looked at first, by no branch: a mispredicted
       one costs the whole miss that it waits for. */
    slot += meta_other(atomic_load_explicit(&slot->meta, memory_order_relaxed), key);
    /* M2 acquire, pairs with M1: key and value have been written. */
    uint64_t meta = atomic_load_explicit(&slot->meta, memory_order_acquire);

    if (__builtin_expect(meta_state(meta) < SLOT_ABSENT || !key_equal(slot, key), 0))
        return look_further(dir, table, key, type, now, ret_ref);
    return tell(dir, slot, meta, type, now, ret_ref);
}

/* ---- Nodes ---- */

uint32_t directory_node_at(const struct directory *dir, uint64_t id)
{
    /* Multiplicative hashing by a secret factor: ids are hashes of keys, but chosen ones. */
    uint32_t at = (uint32_t)(id * dir->node_salt >> (64 - NODE_INDEX_BITS));

    for (uint32_t n = 0; n < NODE_INDEX_SLOTS; n++) {
        /* N2 acquire, pairs with N1: the record has been written. */
        uint32_t word = atomic_load_explicit(&dir->node_index[at], memory_order_acquire);

        if (word == NODE_INDEX_EMPTY)
            return NODE_NONE;
        if (word != NODE_INDEX_GONE && dir->nodes[word - NODE_INDEX_FIRST].id == id)
            return word - NODE_INDEX_FIRST;
        at = (at + 1) & (NODE_INDEX_SLOTS - 1);
    }
    return NODE_NONE;
}

struct directory_node *directory_node(const struct directory *dir, uint64_t id)
{
    uint32_t at = directory_node_at(dir, id);

    return at == NODE_NONE ? NULL : &dir->nodes[at];
}

void directory_heard(struct directory_node *node, proa_ns until)
{
    /* relaxed throughout: a moment, nothing is read by it.  A CAS, so that it cannot overwrite
       a death that came between. */
    uint64_t old = atomic_load_explicit(&node->heard_until, memory_order_relaxed);

    do {
        if (old == 0 || until <= old || until - old < DIRECTORY_HEARD_GRAIN)
            return;
    } while (!atomic_compare_exchange_weak_explicit(
        &node->heard_until, &old, until, memory_order_relaxed, memory_order_relaxed));
}

/* ---- Readers' life ---- */

_Static_assert(DIRECTORY_READERS_MAX == QSBR_READERS_MAX, "one bound for both");

int directory_reader_add(struct directory *dir)
{
    return qsbr_add(&dir->qsbr);
}

void directory_reader_remove(struct directory *dir, int reader)
{
    qsbr_remove(&dir->qsbr, reader);
}

void directory_online(struct directory *dir, int reader)
{
    qsbr_online(&dir->qsbr, reader);
}

void directory_offline(struct directory *dir, int reader)
{
    qsbr_offline(&dir->qsbr, reader);
}

void directory_quiescent(struct directory *dir, int reader)
{
    qsbr_quiescent(&dir->qsbr, reader);
}
