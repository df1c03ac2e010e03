/* SPDX-License-Identifier: Apache-2.0 */
/* keep.h - threads that keep CAP_NET_ADMIN when the node gives up its privileges.

   Capabilities are a thread's own, and a change of user takes them from every thread.  A thread
   that must ask the kernel for something later has a keeper: it is born with PR_SET_KEEPCAPS, so
   that the change leaves it its permitted set, and keep_trim then has it cut that down to
   CAP_NET_ADMIN, or to nothing if it never had that.  No other thread can do it in its place.

   Threads: keep_expect, keep_open, keep_born and keep_trim: the one that starts the node.
            keep_serve: the keeper's thread.  keep_close: who ends it, once it has been joined.
   Units:   none.
   Errors:  false; the node is then not started.
   Without keep_expect(true) keepers change nothing: a process that does not give up its
   privileges must not leave any of them behind in a thread. */
#ifndef KEEP_H
#define KEEP_H

#include <stdbool.h>
#include <sys/types.h>

/* In its owner's memory, which outlives keep_close. */
struct keeper {
    int fd;    /* readable: its thread is to call keep_serve; -1: nothing will come */
    pid_t tid; /* 0: not served yet */
    bool failed;
    struct keeper *next;
};

/* keep_expect says whether the user will be changed once all ports are open.  False before. */
void keep_expect(bool expected);

/* keep_open adds a keeper; the thread that the caller creates between it and keep_born is its
   thread.  False: no descriptor is left. */
bool keep_open(struct keeper *k);
void keep_born(struct keeper *k);

/* keep_serve cuts the calling thread's capabilities, as keep_trim has asked by k->fd. */
void keep_serve(struct keeper *k);

/* keep_close forgets the keeper; one that never was opened but zeroed is fine too. */
void keep_close(struct keeper *k);

/* keep_trim waits until every keeper's thread has cut its capabilities.  They must be awake or
   asleep in a poll that has k->fd. */
bool keep_trim(void);

/* keep_is: tid is a keeper's thread that keep_trim has seen. */
bool keep_is(pid_t tid);

#endif
