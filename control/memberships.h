/* SPDX-License-Identifier: Apache-2.0 */
/* memberships.h - this node's memberships: which of its actors are in which groups.

   A membership is visible here as soon as it is asked for, and published by the mesh.  It goes with
   its actor: given up when that stops, moved to its next life when that is restarted.

   Threads: the control thread's.  Units: bytes.
   Errors:  enum proa_outcome in PUNT_NAME_ANSWER: OK; LIMIT when mesh.published_max names and
            memberships are published (event PUBLISH_LIMIT) or the directory is full; STOPPED.
   Bound:   published_max memberships. */
#ifndef MEMBERSHIPS_H
#define MEMBERSHIPS_H

#include "mesh.h"
#include "registrar.h"

struct memberships;

struct memberships *memberships_create(uint32_t members_max, uint64_t salt);
void memberships_destroy(struct memberships *self);

/* memberships_call serves PUNT_JOIN and PUNT_LEAVE. */
void memberships_call(struct core *core, const struct registrar_call *call);

void memberships_stopped(struct core *core, const struct punt_actor *actor);
void memberships_restarted(struct core *core, const struct punt_restart *restart);

/* memberships_leave takes all memberships out of the directory; the mesh says good-bye by itself. */
void memberships_leave(struct core *core);

/* memberships_each calls fn for each of this node's members of group, at most max of them; returns how
   many.  index: of its entry in the mesh. */
struct membership_info {
    uint32_t slot, generation, type, index;
};
uint32_t memberships_each(const struct core *core, const char *group, size_t len,
                          uint32_t max,
                          void (*fn)(void *ctx, const struct membership_info *member),
                          void *ctx);

/* memberships_to_announce calls fn for groups it was not called for within `every`, some of them at a
   time, until it returns false; memberships_announce_again undoes that for one. */
void memberships_to_announce(struct core *core, proa_ns every,
                             bool (*fn)(void *ctx, const char *group, size_t len),
                             void *ctx);
void memberships_announce_again(struct core *core, const char *group, size_t len);

#endif
