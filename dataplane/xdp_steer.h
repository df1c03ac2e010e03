/* SPDX-License-Identifier: Apache-2.0 */
/* xdp_steer.h - our XDP program on an interface: loading, attaching, telling it what is ours.

   One node owns an interface's steering, by an abstract socket "proa-xdp-INDEX" of the network
   namespace: it ends with its process, whatever that dies of.  The program is attached by a BPF
   link, which ends with its process too, so nothing stays behind.  A program of another's is
   never touched.

   Threads: one ordinary thread.  Units: counts.
   Errors:  open fills err: what is in the way, and the remedy. */
#ifndef XDP_STEER_H
#define XDP_STEER_H

#include <proa/types.h>

#include "xdp/steer.h"

struct steer;

/* steer_open attaches the program to interface `index`.  generic: by the kernel's generic path,
   which any interface has; else by its driver, which is the fast one. */
struct steer *steer_open(const char *name, unsigned index, bool generic, char *err,
                         size_t err_len);
void steer_close(struct steer *steer);

/* steer_listen adds datagrams for addr (address and port) to what is ours.  False: too many. */
bool steer_listen(struct steer *steer, const struct proa_addr *addr);

int steer_sockets(const struct steer *steer); /* descriptor of the map: queue -> socket */

/* steer_counts adds up the CPUs' counters, by enum steer_count. */
void steer_counts(const struct steer *steer, uint64_t ret[STEER_COUNTS]);

const char *
steer_count_name(enum steer_count count); /* "ours", "fragment"; "?" outside */

#endif
