/* SPDX-License-Identifier: Apache-2.0 */
/* groups.h - this node's memberships: which of its actors are in which groups.

   A membership is visible here as soon as it is asked for, and published by the mesh.  It goes with
   its actor: given up when that stops, moved to its next life when that is restarted.

   Threads: the control thread's.  Units: bytes.
   Errors:  enum proa_outcome in PUNT_NAME_ANSWER: OK; LIMIT when mesh.published_max names and
            memberships are published (event PUBLISH_LIMIT) or the directory is full; STOPPED.
   Bound:   published_max memberships. */
#ifndef GROUPS_H
#define GROUPS_H

#include "mesh.h"
#include "registrar.h"

struct groups;

struct groups *groups_create(uint32_t members_max, uint64_t salt);
void groups_destroy(struct groups *self);

/* groups_call serves PUNT_JOIN and PUNT_LEAVE. */
void groups_call(struct core *core, const struct registrar_call *call);

void groups_stopped(struct core *core, const struct punt_actor *actor);
void groups_restarted(struct core *core, const struct punt_restart *restart);

/* groups_leave takes all memberships out of the directory; the mesh says good-bye by itself. */
void groups_leave(struct core *core);

/* groups_each calls fn for each of this node's members of group, at most max of them; returns how
   many.  index: of its entry in the mesh. */
struct groups_member {
    uint32_t slot, generation, type, index;
};
uint32_t groups_each(const struct core *core, const char *group, size_t len, uint32_t max,
                     void (*fn)(void *ctx, const struct groups_member *member),
                     void *ctx);

/* groups_to_announce calls fn for groups it was not called for within `every`, some of them at a
   time, until it returns false; groups_announce_again undoes that for one. */
void groups_to_announce(struct core *core, proa_ns every,
                        bool (*fn)(void *ctx, const char *group, size_t len), void *ctx);
void groups_announce_again(struct core *core, const char *group, size_t len);

#endif
