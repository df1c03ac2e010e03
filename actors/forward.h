/* SPDX-License-Identifier: Apache-2.0 */
/* forward.h - the news that a forwarded ask has another holder (FORWARDED on the wire).

   An ask fails at once when the node that has it dies.  So when one was forwarded to another node
   and has arrived there, which its link's acknowledgement says, the asker is told, and from
   then on watches that node and no longer the one before.  Until then the forwarding node
   answers for it: its end, or that of the link the ask left by, is the ask's.  An asker of the
   forwarding node itself is told at once, since that link is its own.

   Such news may come late, doubled, or in another order than the ask went: the hops count, and
   what is behind them, or about an ask that is over, changes nothing.  It may also be lost, when
   a link has too much waiting or ends: then the asker goes on watching the holder it knows, and
   its deadline covers the rest.

   Threads: a plain value.  Units: counts.  Errors: none. */
#ifndef FORWARD_H
#define FORWARD_H

#include <proa/types.h>

struct forwarded {
    struct proa_ref to;   /* who has the ask now */
    uint32_t slot;        /* the asker, an actor or client of who gets this */
    uint32_t generation;  /* never 0 */
    uint32_t correlation; /* the asker's number of the ask; never 0 */
    uint32_t hops;        /* how often it was forwarded: 1..PROA_HOPS_MAX */
};

#endif
