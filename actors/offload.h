/* SPDX-License-Identifier: Apache-2.0 */
/* offload.h - jobs on their way from a lane to threads that may block, and home again.

   A node has one struct offload.  Each lane has PROA_OFFLOAD_MAX jobs in it, which it alone takes
   and gives back.  A job goes into the one queue of all lanes (an inbox, whose consumer is the
   worker that has its turn), from a worker into the inbox of its lane, and there ends the wait
   (ASK_OFFLOAD) of its actor.  When the actor has stopped meanwhile, the lane gives the job to the
   queue once more, so that its result is disposed of by a worker.  So a job is always in one
   place, and the queue, which has room for all of them, is never full.

   What one thread writes into a job the next one reads by way of an inbox (S1, L1 there).  Only
   `abandoned` is written while the job is elsewhere: relaxed, since it orders nothing; a worker
   that sees it late sends home what the lane then sends back.

   Threads: "lane" and "worker" functions; workers take turns at offload_take and
            offload_waiting (offload_pool.h).  create and destroy: when no lane runs.
   Units:   none.
   Errors:  as the functions say. */
#ifndef OFFLOAD_H
#define OFFLOAD_H

#include <stdatomic.h>

#include <proa/offload.h>

#include "doorbell.h"
#include "inbox.h"

/* What a job holds that must be given to somebody. */
enum offload_holds { OFFLOAD_NOTHING, OFFLOAD_ARG, OFFLOAD_RESULT };

struct offload_job {
    struct proa_job job;
    void *result;
    uint32_t lane;
    uint32_t correlation;     /* of the wait, on the lane */
    uint8_t holds;            /* enum offload_holds; of whoever has the job */
    uint8_t outcome;          /* enum proa_outcome; of whoever has the job */
    bool home;                /* the lane's: it has come home, and its wait is settled */
    _Atomic bool abandoned;   /* its actor has stopped: the lane writes it */
    _Atomic bool held;        /* a worker has it */
    struct offload_job *next; /* the lane's: free */
};

struct offload_lane {
    alignas(PROA_CACHE_LINE) struct offload_job *free; /* the lane's */
    uint32_t in_use;
    struct inbox *inbox;   /* constant: where its jobs come home */
    struct doorbell *bell; /* constant; may be NULL */
    struct offload_job jobs[PROA_OFFLOAD_MAX];
};

struct offload {
    struct inbox *queue;
    struct doorbell bell;     /* of the workers */
    _Atomic uint32_t workers; /* threads that wait on bell; 0: none yet */
    _Atomic bool wanted;      /* a lane has found no workers: control is to start them */
    struct offload_job *unsent; /* offload_step's: done, and its lane's inbox was full */
    uint32_t lane_count;
    struct offload_lane lanes[];
};

/* offload_create makes one for so many lanes; NULL without memory or descriptor.  silent: nobody
   sleeps on its bell (test kit).  offload_home says where the jobs of a lane come home.
   offload_destroy drops and disposes of what jobs still hold, except those that workers hold,
   and frees it; NULL is fine. */
struct offload *offload_create(uint32_t lanes, bool silent);
void offload_home(struct offload *o, uint32_t lane, struct inbox *inbox,
                  struct doorbell *bell);
void offload_clean(struct offload *o);
void offload_destroy(struct offload *o);

/* ---- Lane ---- */

struct sched;
struct ask;

/* offload_item takes a job that has come home; offload_answer ends its wait and runs the
   continuation; offload_abandon: its actor has stopped, and the wait is about to end. */
void offload_item(struct sched *s, struct offload_job *job);
void offload_answer(struct proa_actor *self, struct ask *ask);
void offload_abandon(struct sched *s, struct offload_job *job);

/* ---- Worker ---- */

/* offload_take is the oldest job in the queue, now the worker's; NULL: none. */
struct offload_job *offload_take(struct offload *o);
bool offload_waiting(const struct offload *o); /* is there one? */

/* offload_work does with job what is to be done: run, drop or dispose.  It may block. */
void offload_work(struct offload_job *job);

/* offload_refuse drops it: no worker could be had. */
void offload_refuse(struct offload_job *job);

/* offload_send_home gives the job to its lane; false: its inbox is full, try again. */
bool offload_send_home(struct offload *o, struct offload_job *job);

/* offload_cleanup drops or disposes of what job holds. */
void offload_cleanup(struct offload_job *job);

/* offload_step is a worker's turn as a call: one job, from the queue and home.  False: there was
   nothing to do. */
bool offload_step(struct offload *o);

#endif
