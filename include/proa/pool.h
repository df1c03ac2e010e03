/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - N workers of one behaviour, spread over this node's lanes and kept running.

   A pool has a supervisor on each lane it uses, and these have the workers as children (life.h):
   a worker that ends is restarted in place, as `restart` says, at most 5 times in 10 s on one lane.
   Workers join a group, by which they are found and picked (group.h), here and on other nodes.

   Threads: as actor.h: on the lane of `self`, inside one of its callbacks.
   Units:   counts, bytes.
   Errors:  enum proa_outcome, listed at each function. */
#ifndef PROA_POOL_H
#define PROA_POOL_H

#include <proa/group.h>
#include <proa/life.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROA_POOL_MAX 65536      /* workers of a pool */
#define PROA_POOL_ARG_MAX 64     /* bytes of arg */
#define PROA_POOL_CONTEXT_MAX 40 /* bytes of ctx */

struct proa_pool_config {
    const struct proa_behaviour *behaviour; /* of the workers */
    uint32_t count;    /* 1..PROA_POOL_MAX, over all lanes, as evenly as it goes */
    const char *group; /* they join it; NULL: none but that of a published behaviour */
    const void *arg;   /* what each start gets; arg_len <= PROA_POOL_ARG_MAX, copied */
    size_t arg_len;
    uint32_t first_lane;       /* lanes first_lane .. first_lane + lanes - 1 */
    uint32_t lanes;            /* 0: all from first_lane on */
    enum proa_restart restart; /* PERMANENT is 0 */
};

/* A pool, kept by value: the reference of the actor that keeps it. */
struct proa_pool {
    struct proa_ref keeper;
};

/* outcome OK: all `started` workers run and have been sent to join their group.  Else none runs (was
   the pool stopped by others meanwhile, its last ones are about to end), and pool is none: LIMIT (slots,
   memory, monitors), STOPPED (a start failed, the pool was stopped, or the node leaves), AGAIN (a
   lane could not take the request). */
typedef void (*proa_pooled)(struct proa_actor *self, enum proa_outcome outcome,
                            struct proa_pool pool, uint32_t started, const void *ctx);

/* proa_pool_start makes a pool; then (may be NULL: nobody hears of a start that fails later) runs
   once, later, unless self has ended.  ctx_len
   <= PROA_POOL_CONTEXT_MAX.  The pool ends with self, by proa_pool_stop, or when its workers fail
   too often on one lane (PROA_CODE_LIMIT): then self, if its behaviour has `traps`, gets DOWN{to:
   keeper, FAILED}, else it fails too.  A worker that is not restarted is missed by nobody.
   At once: OK, AGAIN, INVALID (config), LIMIT, STOPPED. */
PROA_API enum proa_outcome proa_pool_start(struct proa_actor *self,
                                           const struct proa_pool_config *config,
                                           proa_pooled then, const void *ctx,
                                           size_t ctx_len);

/* proa_pool_stop ends the pool and its workers (KILLED), without a DOWN for self.  OK, AGAIN,
   NO_SUCH_ACTOR. */
PROA_API enum proa_outcome proa_pool_stop(struct proa_actor *self, struct proa_pool pool);

#ifdef __cplusplus
}
#endif

#endif
