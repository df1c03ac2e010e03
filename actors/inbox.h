/* SPDX-License-Identifier: Apache-2.0 */
/* inbox.h - the bounded queue from any thread to one lane.

   Each slot has a sequence number that says whose turn it is: pos = free for the sender that
   claims position pos; pos + 1 = written, for the lane; pos + capacity = free again, one lap
   later.  (Source of the algorithm: D. Vyukov, "Bounded MPMC queue", 1024cores.net; here with
   one consumer, which therefore needs no CAS.)

   Two pairs of operations carry the design:

     S1 store-release seq = pos + 1         ->  L1 load-acquire seq   an item is written before
                                                                      the lane reads it
     L2 store-release seq = pos + capacity  ->  S2 load-acquire seq   an item is read before a
                                                                      sender writes it again

   Positions are claimed by a relaxed CAS on tail: it hands out a number and orders nothing.

   Items are those of the pair rings.  A payload over PAIR_INLINE_MAX travels as a pair_node
   from malloc, which the lane frees by inbox_node_free after copying.

   Threads: push: any; peek, consume, fini: the lane.
   Units:   items, bytes.
   Errors:  AGAIN when full, NO_MEMORY, TOO_LARGE; the inbox is then unchanged.
   Progress: lock-free for senders; a sender stopped between claim and write holds up the lane's
            view of what comes behind it, not the lane. */
#ifndef INBOX_H
#define INBOX_H

#include <proa/client.h>

#include "pair_ring.h"

#define INBOX_MIN 16u
#define INBOX_MAX (1u << 16)
#define INBOX_BYTES_MAX PROA_CLIENT_MSG_MAX /* payload of one message, bytes */

struct inbox;

/* inbox_create makes an empty inbox of capacity items, a power of two in INBOX_MIN..INBOX_MAX;
   NULL without memory.  inbox_destroy frees it, nodes still inside too; NULL is fine. */
struct inbox *inbox_create(uint32_t capacity);
void inbox_destroy(struct inbox *inbox);

/* inbox_push copies item in.  OK or AGAIN.  On OK a node of a PAIR_MSG_NODE item belongs to
   the lane; on AGAIN it stays the caller's.  Then ring the lane's doorbell.  Any thread. */
enum proa_outcome inbox_push(struct inbox *inbox, const struct pair_item *item);

/* inbox_push_msg copies msg and its payload in (aux is handed on).  OK, AGAIN, NO_MEMORY,
   TOO_LARGE (over INBOX_BYTES_MAX).  Then ring the lane's doorbell.  Any thread. */
enum proa_outcome inbox_push_msg(struct inbox *inbox, const struct proa_msg *msg,
                                 uint32_t aux);

/* inbox_node_alloc gives a node with room for size bytes, for kinds of one's own; NULL without
   memory.  inbox_node_free frees one that came out of an inbox (NULL is fine).  Any thread. */
struct pair_node *inbox_node_alloc(uint32_t size);
void inbox_node_free(struct pair_node *node);

/* inbox_peek is the next item, the lane's to read and write in until inbox_consume gives its
   slot back; NULL when there is none.  The node of a consumed item is the lane's to free. */
struct pair_item *inbox_peek(struct inbox *inbox);
void inbox_consume(struct inbox *inbox);

#endif
