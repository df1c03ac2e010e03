/* SPDX-License-Identifier: Apache-2.0 */
/* kad_rtt.h - how long to wait for a node: its smoothed round trip and what follows from it.

   RTO = srtt + 4 rttvar, never below 3 ms (a busy LAN host) nor above 1 s.  Before a node's
   first sample: max(3 ms, 4 x the median srtt of the table), and 300 ms only while the table
   has no sample at all.  The gains are those of RFC 6298.

   Threads: pure functions over the caller's memory.
   Units:   proa_ns.
   Errors:  none. */
#ifndef PROA_DHT_KAD_RTT_H
#define PROA_DHT_KAD_RTT_H

#include <proa/types.h>

#define KAD_RTO_FLOOR (3 * PROA_MS)   /* Source: registry.md */
#define KAD_RTO_CAP PROA_S            /* Source: registry.md */
#define KAD_RTO_FIRST (300 * PROA_MS) /* no sample anywhere.  Source: registry.md */

struct kad_rtt {
    proa_ns srtt; /* 0: no sample yet */
    proa_ns rttvar;
};

/* kad_rtt_sample takes one measured round trip in.  The caller measures only requests that
   were sent once (an answer to a resent one is ambiguous). */
void kad_rtt_sample(struct kad_rtt *self, proa_ns rtt);

/* kad_rtt_rto returns how long to wait for this node.  median is the table's median srtt, 0
   when it has no sample. */
proa_ns kad_rtt_rto(const struct kad_rtt *self, proa_ns median);

#endif
