/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_names.h - UNIQUE names of all other nodes, by name.

   Chained hashing whose table grows by one chain at a time (linear hashing, Litwin 1980), in
   segments: no call ever moves all of it.  Without memory for another segment chains get longer.
   The hash is keyed by the mesh's seed.

   Threads: one owner.  Memory: the mesh's alloc, and the items' own links. */
#ifndef PROA_DHT_MESH_NAMES_H
#define PROA_DHT_MESH_NAMES_H

#include "mesh_set.h"

#define MESH_NAMES_SEGMENT 256   /* chains */
#define MESH_NAMES_SEGMENTS 4096 /* so a million chains */
#define MESH_NAMES_SAME 4        /* entries of one name that one node may have */

struct mesh_names {
    uint32_t count;  /* names */
    uint32_t chains; /* in use; a power of two in `round`, and those that were split */
    uint32_t round;
    uint8_t key[16];
    struct mesh_item **segment[MESH_NAMES_SEGMENTS]; /* so many are made as chains need */
};

void mesh_names_init(struct mesh_names *self, uint64_t seed);
void mesh_names_fini(struct mesh *mesh);

/* mesh_names_add: false when there is no memory for the first chains, or the node has the name
   MESH_NAMES_SAME times: nothing changed then. */
bool mesh_names_add(struct mesh *mesh, struct mesh_item *item);
void mesh_names_remove(struct mesh *mesh, struct mesh_item *item);

#endif
