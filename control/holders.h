/* SPDX-License-Identifier: Apache-2.0 */
/* holders.h - who holds a name: the one place that decides what the directory says of it.

   Three sources know holders: owned.c this node's own, the mesh those of linked nodes, wanted.c what
   Kademlia told.  Each says holders_decide when it learned or lost something; that asks all three:

     1  what this node holds, or knows locally, stands
     2  of mesh and Kademlia the higher term; of one owner the newer `issued`, of two the
        readers' rule (smaller claim, then smaller id); of equals the mesh, the owner's own link
     3  nobody: absent, if Kademlia said so, else nothing

   and then the directory has it, who watches the name is told, and who waits for it is answered.

   Threads: the control thread's.  Units: hybrid clocks as in record.h.
   Errors:  what the directory has no room for is counted (names_refused). */
#ifndef HOLDERS_H
#define HOLDERS_H

#include <proa/types.h>

struct core;

struct holder {
    struct proa_ref ref;
    uint32_t type;
    uint64_t term, issued, claim;
};

/* holders_find says who holds name as far as this node knows; false: nobody. */
bool holders_find(const struct core *core, const char *name, size_t len,
                  struct holder *ret);

/* holders_decide makes the directory, watchers and waiters agree with it. */
void holders_decide(struct core *core, const char *name, size_t len);

/* holders_settled: no claim made at the same moment can take it over any more. */
bool holders_settled(const struct core *core, const char *name, size_t len,
                     const struct holder *holder);

/* holders_alive: the node was heard within CORE_HEARD_FOR. */
bool holders_alive(const struct core *core, uint64_t node);

#endif
