/* SPDX-License-Identifier: Apache-2.0 */
/* dpdk_mbuf.h - from an mbuf of pool_dpdk to its packet, and back.

   Threads: pure.  Units: none.  Errors: none; the mbuf must be of such a pool. */
#ifndef DPDK_MBUF_H
#define DPDK_MBUF_H

#include <rte_mbuf.h>

#include "pkt.h"

static inline struct pkt *pkt_of_mbuf(struct rte_mbuf *m)
{
    return (struct pkt *)(m + 1);
}

static inline struct rte_mbuf *mbuf_of_pkt(struct pkt *p)
{
    return (struct rte_mbuf *)(void *)p - 1;
}

#endif
