/* SPDX-License-Identifier: Apache-2.0 */
/* joins.h - actors of published behaviours whose membership is still to be told.

   Each joins the group of its type when its start has returned.  The control thread's ring may be
   full then, and an actor must not be missing from its group for good.  So its slot is marked, and
   waits in a list through one word a slot; each loop tries the first ones again.

   Nobody takes a slot out of the middle of the list: one whose actor ended before its turn (nobody
   has heard of it, so nothing is to be told), or is between two lives, is passed over when its
   turn comes.  A restarted actor whose mark still stands is put into the list again, and joins as
   the new life: before that it has not been in the group, so there was nothing to move.

   Threads: one lane.  Units: none.  Errors: none. */
#ifndef JOINS_H
#define JOINS_H

#include "slot.h"

#define JOINS_AT_ONCE 256u /* slots looked at in one loop */

struct joins {
    uint32_t *next; /* a word a slot: JOINS_OUT, or the next one in the list + JOINS_IN */
    uint32_t first, last; /* slot indices, SLOT_NONE: empty */
};

#define JOINS_OUT 0u /* not in the list: what untouched memory says */
#define JOINS_IN 1u
#define JOINS_LAST UINT32_MAX /* in the list, and nothing behind */

#endif
