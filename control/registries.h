/* SPDX-License-Identifier: Apache-2.0 */
/* registries.h - groups, watches and linked registries as parts of the core.

   core.c drives them by these; core.h has what others read of them (core_mesh_).

   Threads: the control thread's.  Units: proa_ns.
   Errors:  false without memory. */
#ifndef REGISTRIES_H
#define REGISTRIES_H

#include <proa/types.h>

struct byte_record;
struct core;

bool registries_start(struct core *core);
void registries_fini(struct core *core);

/* registries_watch takes one PUNT_WATCH of lane. */
void registries_watch(struct core *core, unsigned lane, const struct byte_record *record);

/* registries_step comes once a step, when all that arrived was taken in. */
void registries_step(struct core *core);
proa_ns registries_deadline(const struct core *core);

#endif
