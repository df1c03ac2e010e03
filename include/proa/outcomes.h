/* SPDX-License-Identifier: Apache-2.0 */
/* outcomes.h - the one enum that says what became of a call.

   Every call that can go wrong returns, or later delivers, one of these.  No outcome is
   shared by two meanings; proa_outcome_ran() condenses them to what a caller of an ask needs
   to know before trying again: did it run over there?

   Threads: pure.  Units: none.  Errors: this file is the list. */
#ifndef PROA_OUTCOMES_H
#define PROA_OUTCOMES_H

#include <proa/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum proa_outcome {
    PROA_OK = 0, /* accepted, answered, found, registered: what the call is for */

    /* At once, from the local call: nothing happened. */
    PROA_AGAIN,         /* outbox, pair ring, slab or inbox full; WRITABLE follows */
    PROA_FULL,          /* local receiver's mailbox is full */
    PROA_NO_SUCH_ACTOR, /* the slot is empty, or holds a later life (stale reference) */
    PROA_NO_ROUTE,      /* the node is unknown or dead and could not be found */
    PROA_TOO_LARGE,     /* over the message limit of the node */
    PROA_STOPPED,       /* the receiver, or the caller's own node, is stopping */
    PROA_INVALID,       /* an argument outside its documented range */
    PROA_NOT_AN_ASK,    /* reply, reply_later or forward of a tell, or a second answer */
    PROA_LIMIT,         /* a named bound of this actor or lane is reached */

    /* Asks: certainly not run. */
    PROA_NOT_SENT,             /* it never left this node */
    PROA_REFUSED_FULL,         /* mailbox full over there */
    PROA_REFUSED_NO_ACTOR,     /* no such actor, or a stale reference */
    PROA_REFUSED_UNKNOWN_TYPE, /* the behaviour has no handler for this type */
    PROA_REFUSED_BAD_LENGTH,   /* payload shorter than the handler's table says */
    PROA_REFUSED_EXPIRED,      /* its deadline passed before it ran */
    PROA_REFUSED_STOPPED,      /* the actor stopped before it ran */
    PROA_REFUSED_DROPPED,      /* dropped from a DROP_OLDEST mailbox */
    PROA_REFUSED_BUSY,         /* the lane over there could not take it */
    PROA_REFUSED_HOPS,         /* forwarded more than PROA_HOPS_MAX times */
    PROA_REFUSED_NOT_ALLOWED,  /* that node does not make such actors for others */

    /* Asks: ran, or perhaps ran. */
    PROA_NO_REPLY,       /* the handler returned without an answer */
    PROA_MAYBE_EXECUTED, /* deadline, link lost, or the actor died while running it */

    /* Names. */
    PROA_NOT_FOUND,  /* known to be absent */
    PROA_UNKNOWN,    /* nobody asked yet, or the holder was not heard from lately */
    PROA_WRONG_TYPE, /* the name belongs to another behaviour */
    PROA_ALREADY_REGISTERED, /* the answer names the holder */
    PROA_NO_QUORUM,          /* not enough storers answered before the deadline */
    PROA_NOT_JOINED,         /* this node has seeds and none has answered yet */

    /* Nodes. */
    PROA_ALREADY_RUNNING, /* the process already has a node, or the state directory is locked */
    PROA_BAD_CONFIG, /* the configuration was refused; the error text says where and why */
    PROA_NO_PORT, /* a port could not start; the error text names device, cause, remedy */
    PROA_NO_MEMORY, /* memory or huge pages could not be had at start-up */
    PROA_TIMEOUT,   /* a client's wait ended first; nothing is said about the work */

    PROA_IN_DOUBT, /* UNDELIVERED only: the link died with the message unacknowledged */

    PROA_OUTCOME_COUNT
};

enum proa_ran { PROA_RAN_NO, PROA_RAN_MAYBE, PROA_RAN_YES };

/* proa_outcome_name returns the outcome's name in lower case with spaces, for people: "ok",
   "mailbox full", "maybe executed".  Static storage; "?" for a value outside the enum. */
PROA_API const char *proa_outcome_name(enum proa_outcome outcome);

/* proa_outcome_ran says whether an ask or tell with this outcome ran at its receiver. */
PROA_API enum proa_ran proa_outcome_ran(enum proa_outcome outcome);

#ifdef __cplusplus
}
#endif

#endif
