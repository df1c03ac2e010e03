/* SPDX-License-Identifier: Apache-2.0 */
/* resolver_thread.h - the thread that runs a port's resolver (resolver.h).

   Lanes hand it the frames that are no datagrams, and look next hops up in its table
   (next_hops.h).  What it wants sent waits in a ring for the lane that has the device's first
   queue.  It sleeps while nobody needs it.

   Threads: open, close: one ordinary thread; give: lanes; peek, pop: lane 0; the rest: any.
   Units:   bytes.
   Errors:  open fills err; a full ring is false, and counted by the caller.
   Bound:   RESOLVER_RING bytes of frames from each lane, and as many to be sent. */
#ifndef RESOLVER_THREAD_H
#define RESOLVER_THREAD_H

#include <stddef.h>

#include "byte_ring.h"
#include "next_hops.h"
#include "resolver.h"

#define RESOLVER_RING (64u << 10)

struct resolver_thread;

struct resolver_thread_args {
    struct resolver_config resolver;
    unsigned lanes;
    /* Called by the thread: there are frames to send.  May be NULL. */
    void (*wake)(void *ctx);
    void *wake_ctx;
    /* Called by the thread about once a second: has the device's link changed? */
    void (*look)(void *ctx);
    void *ctx;
};

struct resolver_thread *resolver_thread_open(const struct resolver_thread_args *args,
                                             char *err, size_t err_len);
void resolver_thread_close(struct resolver_thread *t); /* NULL is nothing */

struct next_hops *resolver_thread_hops(struct resolver_thread *t);

/* resolver_thread_give copies a frame that resolver_wants. */
bool resolver_thread_give(struct resolver_thread *t, unsigned lane, const uint8_t *frame,
                          size_t len);

/* The next frame to be sent, until it is popped; NULL: none. */
const struct byte_record *resolver_thread_peek(struct resolver_thread *t);
void resolver_thread_pop(struct resolver_thread *t);

void resolver_thread_announce(struct resolver_thread *t); /* the link came up */

/* resolver_thread_stats copies its counters, and returns how many next hops it knows. not_sent:
   frames for which there was no room. */
unsigned resolver_thread_stats(struct resolver_thread *t, struct resolver_stats *ret,
                               uint64_t *ret_not_sent);

#endif
