/* SPDX-License-Identifier: Apache-2.0 */
/* client_home.h - what ordinary threads need to know of a node to be its clients.

   The node fills one in at its start, and it outlives every client.  proa_client_open (control/)
   finds the node's and calls client_open; all other calls of client.h are in client.c.

   Threads: constant after the start, but for the atomics.
   Units:   proa_ns.  Errors: enum proa_outcome. */
#ifndef CLIENT_HOME_H
#define CLIENT_HOME_H

#include <stdatomic.h>

#include <proa/client.h>

#include "directory.h"
#include "doorbell.h"
#include "inbox.h"

struct client_home {
    uint64_t node;
    uint32_t lanes;
    struct inbox *inboxes[PROA_LANES_MAX];
    struct doorbell *bells[PROA_LANES_MAX]; /* each lane's; may be NULL */
    struct directory *directory;            /* may be NULL: every lookup asks the lane */
    proa_ns (*clock)(void *ctx);            /* the lanes' time */
    void *clock_ctx;
    /* Does some of the lanes' work, in place of waiting, where lanes and clients share one thread
       (test kit): it must move the clock.  NULL: the client sleeps on its eventfd. */
    void (*pump)(void *ctx);
    void *pump_ctx;
    _Atomic uint32_t clients;   /* open now */
    _Atomic uint32_t next_lane; /* whose lane the next one gets */
    _Atomic bool stopped;       /* the node leaves: no new requests.  Set by control */
};

/* client_open makes a client at one of home's lanes.  OK, LIMIT (PROA_CLIENTS_MAX, or no slot),
   NO_MEMORY, STOPPED (also: the lane did not answer within 5 s). */
enum proa_outcome client_open(struct client_home *home, struct proa_client **ret);

#endif
