/* SPDX-License-Identifier: Apache-2.0 */
/* doorbell.h - waking a thread that sleeps, without a syscall when it does not.

   The sleeper says so (sleeping = 1), looks once more for work, then waits on fd.  A sender
   publishes its work, then looks at sleeping.  One pair of operations carries it:

     S1 store sleeping, fence seq_cst, look for work   <->
     R1 publish work, fence seq_cst, load sleeping

   At least one of the two sees the other, so no wake-up is lost.

   Threads: _arm, _disarm: the sleeper; _ring: anybody. */
#ifndef DOORBELL_H
#define DOORBELL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <proa/types.h>

struct doorbell {
    alignas(PROA_CACHE_LINE) _Atomic uint32_t sleeping;
    int fd; /* an eventfd, non-blocking; -1: never rings (test kit) */
};

bool doorbell_init(struct doorbell *bell); /* makes the eventfd; false: no descriptor */
void doorbell_init_silent(struct doorbell *bell);
void doorbell_fini(struct doorbell *bell);
void doorbell_arm(struct doorbell *bell);    /* S1; look for work after it */
void doorbell_disarm(struct doorbell *bell); /* awake again; empties the eventfd */
void doorbell_ring(struct doorbell *bell);   /* R1; call after publishing */

#endif
