/* SPDX-License-Identifier: Apache-2.0 */
/* bulk.h - buffers for messages too large for a slab block: 16-aligned, from a lane's arena.

   Each carries, in front, the arena it came from and its length, so that any lane can free what
   another one made.  A lane counts the buffers it holds; one that goes to another lane is
   counted there from then on.

   Threads: one lane per buffer at a time.  Units: bytes.
   Errors:  NULL when the budget is spent or there is no memory.
   Bound:   the budget; privileged buffers (answers) may go beyond it. */
#ifndef BULK_H
#define BULK_H

#include <proa/types.h>

#include "arena.h"

struct bulk_budget {
    uint64_t used, limit;
    uint64_t refused;
};

void *bulk_alloc(struct bulk_budget *budget, struct arena *arena, size_t len,
                 bool privileged);
void bulk_free(struct bulk_budget *budget, void *buf);
size_t bulk_len(const void *buf);

void bulk_leave(struct bulk_budget *budget, const void *buf); /* goes to another lane */
void bulk_enter(struct bulk_budget *budget, const void *buf); /* came from one */

#endif
