/* SPDX-License-Identifier: Apache-2.0 */
/* rss.h - from which UDP port a neighbour should send, so that its packets arrive on one lane's
   queues of a NIC that spreads packets by their addresses and ports.

   Where the NIC's key and table are known the answer is computed, else it is a try among the
   dynamic ports.  docs/wire.md, "Steering", has what it is for.

   Threads: init, know: one; the rest: lanes, read only.
   Units:   UDP ports in host order; queue q is lane q modulo lanes'.
   Errors:  0, or false, as each says.
   Source:  RSS as Microsoft published it; DPDK's rte_softrss computes it. */
#ifndef RSS_H
#define RSS_H

#include <stddef.h>

#include <proa/types.h>

#define RSS_FIRST 49152u /* the dynamic ports.  Source: RFC 6335 */
#define RSS_COUNT 16384u
#define RSS_LOOKS 1024u    /* ports looked at for one answer: 64 lanes need 64 */
#define RSS_KNOWN_TRIES 4u /* then the NIC does not do what it says */
#define RSS_KEY_MIN 40u
#define RSS_KEY_MAX 64u
#define RSS_TABLE_MAX 2048u

struct rss {
    unsigned queues, lanes;
    struct proa_addr self;
    bool known, by_port; /* by_port: it looks at UDP ports */
    unsigned table_size;
    uint32_t key[RSS_KEY_MAX / 4]; /* as rte_softrss_be wants it */
    uint16_t table[RSS_TABLE_MAX]; /* queues */
};

/* rss_init: nothing is known of the NIC but how many of its queues receive. */
void rss_init(struct rss *r, unsigned queues, unsigned lanes,
              const struct proa_addr *self);

/* rss_know: its key (key_len bytes, a multiple of 4) and table.  False: of a size that is not
   supported; it stays unknown. */
bool rss_know(struct rss *r, const uint8_t *key, size_t key_len, const uint16_t *table,
              size_t table_size, bool by_port);

/* rss_port: the `tried`th port (from 0) for packets of `from` to lane; 0: none. */
uint16_t rss_port(const struct rss *r, unsigned lane, const struct proa_addr *from,
                  unsigned tried);

/* rss_hash is what the NIC computes for a packet of `from`, but from that port. */
uint32_t rss_hash(const struct rss *r, const struct proa_addr *from, uint16_t port);

#endif
