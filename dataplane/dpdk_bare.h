/* SPDX-License-Identifier: Apache-2.0 */
/* dpdk_bare.h - a DPDK device without a port on it: for the raw loops.

   One queue pair, no offloads, no interrupts: what the driver does by itself.  A device that was
   opened stays until the process ends: net_af_xdp of DPDK 22.11 leaks when it is closed, so a
   measurement is a process.

   Threads: one ordinary thread, after eal_start.  Units: bytes, descriptors.
   Errors:  false, and err says which step failed and what DPDK said. */
#ifndef DPDK_BARE_H
#define DPDK_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pkt_pool;

#define DPDK_BARE_DESCRIPTORS 2048u /* net_af_xdp makes its rings so large anyway */
#define DPDK_BARE_MTU                                                                    \
    2048u /* of the pool, at the least: net_af_xdp insists on the room */

/* dpdk_bare_open makes a virtual device ("net_af_xdp0" of "iface=eth0,busy_budget=0") that
   receives into the pool, whose lane will use it, and starts it. */
bool dpdk_bare_open(const char *name, const char *args, struct pkt_pool *pool,
                    uint16_t *ret_dev, char *err, size_t err_len);

#endif
