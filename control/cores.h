/* SPDX-License-Identifier: Apache-2.0 */
/* cores.h - which core each lane gets.

   A configured core is taken as it is.  Otherwise the highest allowed core that no other proa
   lane on this machine holds; the claim is an abstract unix socket "proa-core-N", which the
   kernel drops with the process.  When all are taken, a lane shares.

   Threads: node start and end.  Units: core numbers of the kernel.
   Errors:  false: a configured core that this process may not use. */
#ifndef CORES_H
#define CORES_H

#include <sched.h>

#include <proa/types.h>

struct cores {
    unsigned count;
    int core[PROA_LANES_MAX];
    int claim[PROA_LANES_MAX]; /* descriptors; -1 */
    bool shared;               /* some lane has no core of its own */
};

bool cores_choose(struct cores *cores, const int *configured, unsigned lanes, char *err,
                  size_t err_len);
void cores_release(struct cores *cores);

/* cores_spare fills ret with the cores that the calling thread may use and no lane has; false:
   there are none. */
bool cores_spare(const struct cores *cores, cpu_set_t *ret);

#endif
