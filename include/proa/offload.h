/* SPDX-License-Identifier: Apache-2.0 */
/* offload.h - blocking work (files, DNS, databases) away from the lanes.

   A handler must not block.  proa_offload gives a function to one of the node's few pool threads,
   where it may, and goes on in the actor with its result.  The threads are started with the
   first job and run on cores that no lane of this node has, where there are such.

   Threads: proa_offload and its continuation: as actor.h.  run, drop and dispose: on a thread of
            the pool, several at once, with all signals blocked; they must not call anything of
            actor.h.  When the node closes, drop and dispose may run on the closing thread.  In
            the test kit (test.h) all of them run on its one thread, one job after each step.
   Units:   none.
   Errors:  enum proa_outcome.
   Bounds:  PROA_OFFLOAD_MAX jobs of a lane, waiting or running; proa_config.offload_threads run
            at a time, oldest first.  A job is never interrupted. */
#ifndef PROA_OFFLOAD_H
#define PROA_OFFLOAD_H

#include <proa/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROA_OFFLOAD_MAX 256u        /* jobs of one lane under way */
#define PROA_OFFLOAD_THREADS_MAX 64u /* of one node */

/* What is to be done.  arg belongs to the job once it was accepted: run or drop gets it, one of
   them, once.  The result belongs to the continuation; if that cannot run any more, to dispose. */
struct proa_job {
    void *(*run)(void *arg); /* its return value, any at all, is the result */
    void *arg;
    void (*drop)(
        void *arg); /* instead of run, for a job that never began; NULL: nothing */
    void (*dispose)(void *result); /* of a result that nobody took; NULL: nothing */
};

/* The continuation.  outcome OK: result is what run returned, and is now the actor's to free.
   NOT_SENT: the node could not start any thread; run was not called, drop was; result is NULL. */
typedef void (*proa_offloaded)(struct proa_actor *self, enum proa_outcome outcome,
                               void *result, const void *ctx);

/* proa_offload hands job, which is copied, to the pool.  ctx_len <= PROA_CONTEXT_MAX bytes are
   copied and handed to then, which runs exactly once, later, never inside this call, and not at
   all once the actor has stopped: a job that had not begun is then dropped, the result of
   another disposed of.
   OK: then will run.  At once, nothing happened and arg stays the caller's: AGAIN (this lane has
   PROA_OFFLOAD_MAX jobs under way; WRITABLE follows when half of them have come home), INVALID
   (no run or no then, ctx too long), LIMIT (asks in flight of this lane; or the node has no
   pool, offload_threads being 0), STOPPED (the actor is in stop, or the node leaves). */
PROA_API enum proa_outcome proa_offload(struct proa_actor *self,
                                        const struct proa_job *job, proa_offloaded then,
                                        const void *ctx, size_t ctx_len);

#ifdef __cplusplus
}
#endif

#endif
