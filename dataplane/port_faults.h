/* SPDX-License-Identifier: Apache-2.0 */
/* port_faults.h - a bad network in front of any port, for tests, and the same bad one each time.

   The layer looks like a port and sends through the one it wraps.  To packets that are sent it
   does, in this order: a filter's drop (cuts, partitions), loss, corruption, duplication,
   reordering, delay with jitter.  Received packets pass untouched: the other side's layer has
   treated them.

   Each queue draws from its own generator, seeded with seed and queue: the same packets at the
   same times meet the same faults.  Time is only what rx and tx are given.

   Corruption flips 1 to 8 bits of what link and KRPC see, as a wire whose checksum missed it
   (on one in 65,536 damaged packets UDP's does): payloads may arrive changed.  A reordered
   packet waits until 1 to 4 later ones have passed it, at most 200 us.

   Threads: as port.h; set and filter only while no lane calls, or on the lane's own thread.
   Units:   rates in parts per million, delays as struct proa_faults says.
   Errors:  none after wrap. */
#ifndef PORT_FAULTS_H
#define PORT_FAULTS_H

#include "port.h"

#define PORT_FAULTS_PENDING_MAX                                                          \
    4096                       /* packets of a queue under way; then lost, counted */
#define PORT_FAULTS_HELD_MAX 8 /* packets of a queue being overtaken */

/* What the layer did to one queue's packets, beside port_stats of the port below. */
struct port_faults_stats {
    uint64_t filtered, lost, corrupted, duplicated, reordered, delayed;
    uint64_t overflow; /* lost because too many were under way, or no buffer for a copy */
};

/* Says whether the packet from -> to is to be dropped. */
typedef bool port_faults_drop(void *ctx, const struct proa_addr *from,
                              const struct proa_addr *to, const struct pkt *p);

/* port_faults_wrap makes the layer over inner, which it takes: closing it closes inner.  pools: as
   in port_open_args.  NULL: no memory, inner is still the caller's. */
struct port *port_faults_wrap(struct port *inner, const struct proa_faults *faults,
                              struct pkt_pool **pools);

/* port_faults_set changes the rates and seeds the generators anew. */
void port_faults_set(struct port *port, const struct proa_faults *faults);

/* port_faults_filter sets the filter; NULL ends it. */
void port_faults_filter(struct port *port, port_faults_drop *drop, void *ctx);

void port_faults_stats(const struct port *port, unsigned queue,
                       struct port_faults_stats *ret);

/* port_faults_any: at least one fault is configured. */
bool port_faults_any(const struct proa_faults *faults);

#endif
