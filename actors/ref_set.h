/* SPDX-License-Identifier: Apache-2.0 */
/* ref_set.h - the references whose mailboxes are full over there, until WRITABLE comes.

   Threads: one lane.  Units: none.
   Errors:  false when full: the reference is then simply not held back, and its messages are
            refused over there one by one.
   Bound:   REF_SET_MAX. */
#ifndef REF_SET_H
#define REF_SET_H

#include <proa/types.h>

#include "arena.h"

#define REF_SET_MAX 4096u

struct ref_set {
    struct proa_ref *slots; /* REF_SET_MAX * 2, open addressing, linear probing */
    uint32_t count;
    struct arena *arena;
};

bool ref_set_init(struct ref_set *set, struct arena *arena);
void ref_set_fini(struct ref_set *set);

bool ref_set_has(const struct ref_set *set, struct proa_ref ref);
bool ref_set_add(struct ref_set *set,
                 struct proa_ref ref); /* true also when already there */
bool ref_set_remove(struct ref_set *set, struct proa_ref ref);
/* Removes all of one node; how many. */
uint32_t ref_set_remove_node(struct ref_set *set, uint64_t node);

#endif
