/* SPDX-License-Identifier: Apache-2.0 */
/* leave.h - an orderly end: names first, then the links.

     at once       names and memberships leave the directory and the cluster, lanes drain their actors
     +LEAVE_GRACE  CLOSE on every link, so that answers under way had time to go out; again at
                   LEAVE_CLOSE_FIRST, doubling, until each was answered
     +LEAVE_FOR    at the latest, it is over

   Threads: the control thread's.  Units: proa_ns.  Errors: none. */
#ifndef LEAVE_H
#define LEAVE_H

#include <proa/types.h>

#define LEAVE_GRACE (200 * PROA_MS)
#define LEAVE_CLOSE_FIRST (20 * PROA_MS)
#define LEAVE_FOR PROA_S

struct core;

void leave_begin(struct core *core);
void leave_tick(struct core *core);
bool leave_done(const struct core *core, proa_ns now);
proa_ns leave_deadline(const struct core *core);

#endif
