/* SPDX-License-Identifier: Apache-2.0 */
/* xdp_steer.h - our XDP program on an interface: loading, attaching, telling it what is ours.

   One node owns an interface's steering, by an abstract socket "proa-xdp-INDEX" of the network
   namespace: it ends with its process, whatever that dies of.  The program is attached by a BPF
   link, which ends with its process too, so nothing stays behind.  A program of another's is
   never touched.

   Threads: one ordinary thread; counts: any, and it makes no system call.  Units: as the fields say.
   Errors:  open fills err: what is in the way, and the remedy. */
#ifndef XDP_STEER_H
#define XDP_STEER_H

#include <proa/node.h>

#include "xdp/steer.h"

struct steer;

/* Addresses whose datagrams are dropped: the first `prefix` bits (of 128) of addr.ip. */
struct steer_deny {
    struct proa_addr addr;
    uint8_t prefix;
};

/* generic: by the kernel's generic path, which any interface has; else by its driver, which is the
   fast one.  All is borrowed during the call. */
struct steer_args {
    const char *name; /* of the interface */
    unsigned index;
    bool generic;
    const struct proa_addr *listen; /* addresses and ports that are ours */
    unsigned listen_count;          /* at most STEER_LISTEN_MAX */
    const struct steer_deny *deny;
    unsigned deny_count;  /* at most STEER_DENY_MAX */
    uint32_t source_rate; /* datagrams a second of one source; 0: no limit */
};

/* One source may send so much at once before its rate counts: STEER_BURST of time, and
   STEER_BURST_LEAST datagrams at the least. */
#define STEER_BURST (100 * PROA_MS)
#define STEER_BURST_LEAST 128u /* four bursts of a lane */

/* steer_sources fills deny, deny_count and source_rate from the configuration of a port; deny has
   the room, and is borrowed as long as args.  False: err says which of them is wrong. */
bool steer_sources(struct steer_args *args, struct steer_deny deny[PROA_DENY_MAX],
                   const struct proa_port_config *config, char *err, size_t err_len);

/* steer_open loads the program and attaches it.  Until sockets are entered in its map, what is ours
   passes to the kernel too. */
struct steer *steer_open(const struct steer_args *args, char *err, size_t err_len);
void steer_close(struct steer *steer);

/* steer_deny and steer_allow add to what is denied, and take from it exactly what was added.  0, or
   -errno: -ENOSPC, STEER_DENY_MAX are denied already; -ENOENT, it is not denied. */
int steer_deny(struct steer *steer, const struct steer_deny *who);
int steer_allow(struct steer *steer, const struct steer_deny *who);

int steer_sockets(const struct steer *steer); /* descriptor of the map: queue -> socket */
int steer_program(const struct steer *steer); /* descriptor of the program */

/* steer_counts adds up the CPUs' counters, by enum steer_count. */
void steer_counts(const struct steer *steer, uint64_t ret[STEER_COUNTS]);

const char *
steer_count_name(enum steer_count count); /* "not ip", "fragment"; "?" outside */

#endif
