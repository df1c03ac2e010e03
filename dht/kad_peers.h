/* SPDX-License-Identifier: Apache-2.0 */
/* kad_peers.h - the endpoints this node keeps for others: who has said to have members of a group
   (or, in general, something known by a 160-bit infohash).  Source: BEP 5.

   An endpoint is kept once per infohash; saying so again keeps it longer.  kad_announce.c sees to
   tokens and time.

   Bounds: in all, per infohash, per infohash and IP address, per IP address.  Nothing is refused: what
   is new takes the place of what was there, so that a group larger than a bound is known by those of
   its nodes that announced themselves last.  Under a bound of one IP address one of that address
   goes; under that of an infohash the oldest, but first one of an address that has more than 4 of it;
   when all places are taken one of the address that has the most.  So whoever has few addresses
   drives out its own endpoints, and not those of others (but of the few whose address is counted
   together with one of them; which these are differs from node to node).

   Threads: one owner.  Errors: none. */
#ifndef PROA_DHT_KAD_PEERS_H
#define PROA_DHT_KAD_PEERS_H

#include "kad_index.h"

#include <proa/types.h>

#define KAD_PEERS_TARGET 1024       /* of one infohash */
#define KAD_PEERS_TARGET_ADDRESS 64 /* of them at one IP address */
#define KAD_PEERS_LOOKED 64 /* places looked at for one to give up, when all are taken */

struct kad_peer {
    struct kad_id infohash;
    struct proa_addr addr;
    uint32_t next;  /* in its chain, or in the free list */
    uint32_t place; /* of its IP address, in by_address */
    uint32_t said;  /* when it was last added, by `clock` */
    bool used;
};

struct kad_peers {
    struct kad_peer *peers;
    struct kad_index by_infohash;
    struct kad_index
        by_address; /* its heads are counts: of the IP addresses that fall there */
    uint32_t cap, high, free, count;
    uint32_t clock; /* counts what was added; may wrap */
    uint32_t hand;  /* where the next look for a place begins */
    uint64_t replaced;
    uint32_t
        per_address; /* bound, of one IP address (or the few that share its place above) */
};

/* kad_peers_init takes the array, indexes and bounds that the caller has set into *self. */
void kad_peers_init(struct kad_peers *self);

/* kad_peers_add keeps addr under infohash and returns its number; the same one as before when it is
   there already.  Others may have been removed for it. */
uint32_t kad_peers_add(struct kad_peers *self, const struct kad_id *infohash,
                       const struct proa_addr *addr);
void kad_peers_remove(struct kad_peers *self, uint32_t number);

/* kad_peers_count counts those of one infohash.  kad_peers_list writes up to max of them, beginning
   after the first `skip` (modulo their count) and going round, and returns how many. */
uint32_t kad_peers_count(const struct kad_peers *self, const struct kad_id *infohash);
uint32_t kad_peers_list(const struct kad_peers *self, const struct kad_id *infohash,
                        uint32_t skip, struct proa_addr *ret, uint32_t max);

#endif
