/* SPDX-License-Identifier: Apache-2.0 */
/* watchers.h - who watches which names and groups, and what they are told.

   A lane says PUNT_WATCH for an actor of its own; the watch gets a SET, and from then on every
   change, in order.  A watch that cannot be told, for its lane does not read, is marked; changes
   are not kept for it, and when there is room again it gets a new SET instead.

   SET of a group carries no members but the version of its last change; the lane reads them in the
   directory (watching.h).  Names have one counter of versions, which each change moves.

   Threads: the control thread's.  Units: proa_ns; versions count changes.
   Errors:  a watch for whose name there is no room is counted (watches_refused) and never told.
   Bound:   PROA_WATCHES_MAX watches of a lane; memory is taken at the first one. */
#ifndef WATCHERS_H
#define WATCHERS_H

#include <proa/group.h>

#include "punt.h"

struct core;
struct watchers;

struct watchers_change {
    bool is_group;
    enum proa_change_kind kind; /* JOINED, LEFT */
    struct proa_ref ref;
    uint64_t version;
};

struct watchers *watchers_create(unsigned lanes, uint64_t salt);
void watchers_destroy(struct watchers *self);

/* watchers_record takes one PUNT_WATCH of lane; name has head->len bytes. */
void watchers_record(struct core *core, unsigned lane, const struct punt_watch *head,
                     const char *name);

/* watchers_change tells who watches the name or group, and who watches all. */
void watchers_change(struct core *core, const struct watchers_change *change,
                     const char *name, size_t len);

/* watchers_name_node: the holder of a name is out of reach, or back, while the name stays its. */
void watchers_name_node(struct core *core, const char *name, size_t len,
                        struct proa_ref holder, bool alive);

/* watchers_flush gives the SETs that are due.  At the end of a step. */
void watchers_flush(struct core *core);
proa_ns watchers_deadline(const struct core *core);

#endif
