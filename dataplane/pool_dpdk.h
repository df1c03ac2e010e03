/* SPDX-License-Identifier: Apache-2.0 */
/* pool_dpdk.h - a lane's packet buffers as mbufs: received into, sent from and retained.

   The struct pkt of a buffer lies in the mbuf's private area, right behind the mbuf.  Frames are
   received 64-byte aligned, so link packets lie 48 (IPv4) or 64 (IPv6) bytes behind that;
   packets to send begin at the same 64-byte alignment with PKT_HEADROOM bytes in front.

   A second, small mempool is the reserve for control packets.

   Threads: alloc and hold: the lane (whose lcore is lane + 1: eal.h); free: the lane, and, of a
            packet that is not held, any thread.
   Units:   bytes.
   Errors:  create fills err: how much memory was wanted, and what to do. */
#ifndef POOL_DPDK_H
#define POOL_DPDK_H

#include "pkt.h"

struct rte_mempool;

/* pool_dpdk_create makes the pool of a lane: count packets, and control more in reserve, for
   frames of IP packets up to mtu.  After eal_start.  Owned: pool_dpdk_destroy, when all packets
   are back and the ports that used it are closed. */
struct pkt_pool *pool_dpdk_create(unsigned lane, uint32_t count, uint32_t control,
                                  uint16_t mtu, char *err, size_t err_len);
void pool_dpdk_destroy(struct pkt_pool *pool);

/* pool_dpdk_memory is about how many bytes such a pool takes; for eal_config.memory_mb. */
uint64_t pool_dpdk_memory(uint32_t count, uint32_t control, uint16_t mtu);

/* pool_dpdk_memory_plain: the same on ordinary pages: a packet lies in one, or begins with one. */
uint64_t pool_dpdk_memory_plain(uint32_t count, uint32_t control, uint16_t mtu);

/* pool_dpdk_in_use counts the packets that are out: descriptors of devices included.  Any
   thread; slow. */
uint32_t pool_dpdk_in_use(const struct pkt_pool *pool);

/* The mempool a device receives into; NULL when pool is of another kind. */
struct rte_mempool *pool_dpdk_mempool(const struct pkt_pool *pool);

/* pool_dpdk_mtu: the largest IP packet whose frame fits one buffer. */
uint32_t pool_dpdk_mtu(const struct pkt_pool *pool);

#endif
