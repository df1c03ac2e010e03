/* SPDX-License-Identifier: Apache-2.0 */
/* offload_pool.h - the threads that do a node's offloaded jobs.

   They take turns: one waits for the next job, the others for their turn, so that a job wakes one
   thread, and the queue needs one consumer.  Who has taken a job passes the turn on and works.

   Threads: serve: the control thread.  create, stop, destroy: the thread that starts and ends the
            node, when control does not run.
   Units:   proa_ns.
   Errors:  create: NULL.  Threads that cannot be had: fewer work; without any, the jobs are told
            NOT_SENT. */
#ifndef OFFLOAD_POOL_H
#define OFFLOAD_POOL_H

#include <sched.h>

#include "offload.h"

struct offload_pool;

/* offload_pool_create starts nothing.  threads: 1..PROA_OFFLOAD_THREADS_MAX.  cores: where they
   may run, copied; NULL: where the thread that starts them may.  Takes o, also its end, unless
   it returns NULL. */
struct offload_pool *offload_pool_create(struct offload *o, unsigned threads,
                                         const cpu_set_t *cores);

/* offload_pool_serve starts the threads when a lane wants them.  offload_pool_wanted: does one? */
void offload_pool_serve(struct offload_pool *pool);
bool offload_pool_wanted(const struct offload_pool *pool);

/* offload_pool_stop lets no further job begin and waits for those that run, at most so long.
   Returns how many run on: their threads end with them, and touch no lane any more. */
unsigned offload_pool_stop(struct offload_pool *pool, proa_ns longest);

/* offload_pool_destroy drops and disposes of what is left, and frees the pool and its offload, or
   leaves that to the last thread that still works.  After the stop, and after the lanes. */
void offload_pool_destroy(struct offload_pool *pool);

#endif
