/* SPDX-License-Identifier: Apache-2.0 */
/* kad_hand.h - hand-over: records reach the nodes that ought to store them.

   For one peer at a time, all records and own names for which it is among the s closest are
   offered in least form: an_sweep names up to 28 targets with their `issued`, the answer says
   which are lacking, and only those are put.  Newcomers are offered both own names and the
   records kept for others; a sweep (hourly, and soon after a contact was lost) offers the own
   names to every contact in turn.

   Budgets: 2 peers at once, 128 records looked at per step, a step each 2 ms.

   Threads: one owner. */
#ifndef PROA_DHT_KAD_HAND_H
#define PROA_DHT_KAD_HAND_H

#include "kad_rpc.h"

#define KAD_HANDS 2
#define KAD_HAND_LOOK 128
#define KAD_HAND_STEP (2 * PROA_MS)
#define KAD_HAND_WAITING 64           /* newcomers that wait for their turn */
#define KAD_HAND_DELAY (20 * PROA_MS) /* after a newcomer was met */

struct kad_hand_peer {
    struct kad_id id;
    struct proa_addr addr;
};

struct kad_hand {
    struct kad_hand_peer peer;
    bool active, names_only, asking;
    uint8_t count, puts; /* pairs of this step; puts not answered yet */
    uint32_t serial, cursor;
    uint32_t refs
        [PROA_KRPC_PAIRS_MAX]; /* number of a name, or of a record | KAD_HAND_RECORD */
    struct kad_id targets[PROA_KRPC_PAIRS_MAX];
};

#define KAD_HAND_RECORD 0x80000000u

struct kad_hands {
    struct kad_hand hands[KAD_HANDS];
    struct kad_hand_peer waiting[KAD_HAND_WAITING];
    uint32_t first, count;  /* of waiting */
    uint32_t sweep_contact; /* the next contact of the sweep; KAD_NONE: none under way */
    proa_ns swept_at;
};

/* kad_hand_newcomer: this node was met; offer it what it ought to have. */
void kad_hand_newcomer(struct kad *kad, const struct kad_id *id,
                       const struct proa_addr *addr);

/* kad_hand_sweep_soon: storers may have been lost. */
void kad_hand_sweep_soon(struct kad *kad);

/* Timers, and answers. */
void kad_hand_sweep_due(struct kad *kad);
void kad_hand_due(struct kad *kad, uint32_t number);
void kad_hand_sweep_result(struct kad *kad, const struct kad_request *request,
                           enum kad_result result, const struct krpc_message *message);
void kad_hand_put_result(struct kad *kad, const struct kad_request *request,
                         enum kad_result result, const struct krpc_message *message);

/* kad_hand_asked answers an an_sweep: writes one byte per pair, 1 where we lack it. */
size_t kad_hand_asked(struct kad *kad, struct bencode_span pairs,
                      uint8_t ret_lack[PROA_KRPC_PAIRS_MAX]);

#endif
