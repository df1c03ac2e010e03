/* SPDX-License-Identifier: Apache-2.0 */
/* refusal.h - what is told to a sender whose messages were refused or lost.

   Threads: a plain value.  Units: counts.  Errors: none. */
#ifndef REFUSAL_H
#define REFUSAL_H

#include <proa/outcomes.h>
#include <proa/types.h>

/* A run of refused or lost messages of one sender to one receiver (REFUSE on the wire). */
struct refusal {
    struct proa_ref to;       /* the receiver they were for */
    uint32_t slot;            /* the sender, an actor of the node that gets this */
    uint32_t generation;      /* 0: no sender (only counted) */
    uint32_t type;            /* of the first */
    uint32_t correlation;     /* of an ask, else 0; asks are never merged into runs */
    uint32_t count;           /* messages */
    enum proa_outcome reason; /* PROA_REFUSED_*, NO_REPLY, MAYBE_EXECUTED, IN_DOUBT */
};

#endif
