/* SPDX-License-Identifier: Apache-2.0 */
/* members.h - the one place where the directory's groups change.

   Whoever learns of a membership says so here: groups.c of this node's actors, mesh_port.c of
   linked nodes', seeking.c of those that are not linked.  The directory gets it, those who watch the
   group are told, and those who wait for a member of it are answered.

   Threads: the control thread's.  Units: bytes.
   Errors:  false: nothing changed, or a bound of the directory was reached (counted there). */
#ifndef MEMBERS_H
#define MEMBERS_H

#include <proa/types.h>

struct core;

bool members_join(struct core *core, const char *group, size_t len, struct proa_ref ref,
                  uint32_t type);
bool members_leave(struct core *core, const char *group, size_t len, struct proa_ref ref);

/* members_rejoin replaces one life of an actor by its next. */
bool members_rejoin(struct core *core, const char *group, size_t len, struct proa_ref old,
                    struct proa_ref ref, uint32_t type);

#endif
