/* SPDX-License-Identifier: Apache-2.0 */
/* reply_token.h - the rights to answer later that a lane's actors hold.

   Threads: one lane.  Units: none.
   Errors:  NULL when all are taken.
   Bound:   max a lane (as many as its asks), PROA_LATER_MAX an actor; each ends with its ask's deadline
            at the latest. */
#ifndef REPLY_TOKEN_H
#define REPLY_TOKEN_H

#include <proa/actor.h>

#include "slot.h"
#include "timer_wheel.h"

#define REPLY_TOKEN_NONE UINT32_MAX

struct reply_token {
    struct timer_entry timer; /* the ask's deadline */
    struct proa_ref origin;   /* the asker */
    uint32_t correlation, type;
    uint32_t slot;       /* index of the holder's */
    uint32_t serial;     /* of this use of the entry, never 0 */
    uint32_t next, prev; /* the holder's others; free ones */
    uint8_t held, cls;
};

struct reply_token_table {
    struct reply_token *tokens;
    uint32_t max, fresh, free, in_use;
    uint32_t seed;
};

bool reply_token_table_init(struct reply_token_table *t, uint32_t max, uint64_t seed);
void reply_token_table_fini(struct reply_token_table *t);

/* reply_token_alloc takes an entry for the actor in slot; the caller fills in the ask. */
struct reply_token *reply_token_alloc(struct reply_token_table *t, struct slot *slot,
                                      uint32_t slot_index);
/* reply_token_find is the entry of a token that the actor in this slot holds, or NULL. */
struct reply_token *reply_token_find(const struct reply_token_table *t,
                                     struct proa_token token, uint32_t slot_index);
/* reply_token_release ends it; its timer is the caller's. */
void reply_token_release(struct reply_token_table *t, struct slot *slot,
                         struct reply_token *token);

#endif
