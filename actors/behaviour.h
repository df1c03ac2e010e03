/* SPDX-License-Identifier: Apache-2.0 */
/* behaviour.h - a behaviour as a lane uses it: checked once, its handlers in a table.

   Where the types are dense (1, 2, 3) the table is indexed by them, else by a hash, with linear
   probing.

   Threads: one lane; behaviour_newest and the metrics: any.  Units: bytes.
   Errors:  INVALID for what actor.h does not allow; NULL without memory or past the bound.
   Bound:   BEHAVIOURS_MAX kinds a lane. */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#include <proa/actor.h>

#include "arena.h"
#include "metrics.h"

#define BEHAVIOURS_MAX 4096u
#define BEHAVIOUR_ROWS_MAX 65536u      /* rows of one handler table */
#define BEHAVIOUR_STATE_MAX (1u << 30) /* bytes of one actor's state */

struct behaviour_row {
    uint32_t type, min_len;
    proa_handler fn; /* NULL: the row is free */
};

struct behaviour {
    const struct proa_behaviour *def; /* borrowed for ever */
    const struct behaviour_row *rows;
    uint32_t base, span;  /* dense: types base..base + span - 1; else span 0 */
    uint32_t shift, mask; /* hashed: mask + 1 rows, at least one free */
    uint32_t type_id;     /* of def->type_name */
    uint32_t capacity;    /* of the mailbox */
    bool drops_oldest;
    struct behaviour *older; /* met before this one; constant once it is in the list */
    struct metrics metrics;
};

/* The row of a type in a hashed table, or NULL. */
const struct behaviour_row *behaviour_row_hashed(const struct behaviour *b,
                                                 uint32_t type);

/* behaviour_row finds the row of a type; NULL when there is none. */
static inline const struct behaviour_row *behaviour_row(const struct behaviour *b,
                                                        uint32_t type)
{
    uint32_t at = type - b->base;

    if (__builtin_expect(at < b->span, 1))
        return b->rows[at].fn != NULL ? &b->rows[at] : NULL;
    return b->span == 0 ? behaviour_row_hashed(b, type) : NULL;
}

/* All behaviours a lane has met, by their address. */
struct behaviour_set {
    struct arena *arena; /* borrowed */
    struct behaviour **slots;
    uint32_t mask, count;
    struct behaviour *last; /* the one asked for last */
    /* B1 release, pairs with B2 acquire: a behaviour is whole before it can be found. */
    _Atomic(struct behaviour *) newest;
};

/* The newest behaviour, from which `older` leads through all; NULL: none yet.  They live until
   behaviour_set_fini. */
static inline struct behaviour *behaviour_newest(const struct behaviour_set *set)
{
    /* B2 */
    return atomic_load_explicit(&set->newest, memory_order_acquire);
}

bool behaviour_set_init(struct behaviour_set *set, struct arena *arena);
void behaviour_set_fini(struct behaviour_set *set);

/* behaviour_check: does def keep to actor.h? */
bool behaviour_check(const struct proa_behaviour *def);

/* behaviour_get finds def's compiled form or makes it.  NULL: not valid, too many kinds, or no
   memory. */
struct behaviour *behaviour_get(struct behaviour_set *set,
                                const struct proa_behaviour *def);

/* behaviour_wanted writes the type that a caller looks for, 0 for any when def is NULL.  False: def is
   not valid, as above. */
bool behaviour_wanted(struct behaviour_set *set, const struct proa_behaviour *def,
                      uint32_t *ret_type);

/* behaviour_type_id is the first 4 bytes, big-endian, of BLAKE2b-256 of a type's name, as in
   records; 0 only for NULL. */
uint32_t behaviour_type_id(const char *type_name);

#endif
