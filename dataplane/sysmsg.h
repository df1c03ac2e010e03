/* SPDX-License-Identifier: Apache-2.0 */
/* sysmsg.h - what two runtimes say to each other inside a link's stream.

   A system message is a message with the SYSTEM flag and a type from PROA_TYPE_SYSTEM on; it
   travels in order with the others and is answered by none.  The bodies are little-endian:

     REFUSE    40 B  u64 node, u32 slot, u32 generation   the receiver that refused
                     u32 slot, u32 generation             the sender, an actor of who gets this
                     u32 type, u32 correlation, u32 count, u8 reason, 3 B zero
     WRITABLE   8 B  u32 slot, u32 generation             the receiver that has drained by half
     STOP       8 B  u32 slot, u32 generation             the actor to stop
     ABORT     48 B  u32 stream, u32 zero, then a REFUSE  the bulk stream to stop sending; with
                                                          count 0 there is nothing to report
   A longer body is read as far as it is known, so that fields can be added at its end.

   Threads: pure functions; any thread.  Units: counts.
   Errors:  bool: false for a body too short, a type not listed here, a reason not listed. */
#ifndef SYSMSG_H
#define SYSMSG_H

#include <proa/actor.h>
#include <proa/types.h>

#include "refusal.h"

/* Message types.  The numbers are the wire's. */
enum sysmsg_type {
    SYSMSG_REFUSE = (int)(PROA_TYPE_SYSTEM | 1),
    SYSMSG_WRITABLE = (int)(PROA_TYPE_SYSTEM | 2),
    SYSMSG_STOP = (int)(PROA_TYPE_SYSTEM | 3),
    SYSMSG_ABORT = (int)(PROA_TYPE_SYSTEM | 4), /* the link keeps it for itself */

    /* Numbers kept for: DOWN, FORWARDED, MONITOR, DEMONITOR, and the linked registries. */
    SYSMSG_DOWN = (int)(PROA_TYPE_SYSTEM | 5),
    SYSMSG_FORWARDED = (int)(PROA_TYPE_SYSTEM | 6),
    SYSMSG_MONITOR = (int)(PROA_TYPE_SYSTEM | 7),
    SYSMSG_DEMONITOR = (int)(PROA_TYPE_SYSTEM | 8),
    SYSMSG_REGISTRY = (int)(PROA_TYPE_SYSTEM | 16), /* 16..31 */
};

#define SYSMSG_REFUSE_LEN 40
#define SYSMSG_WRITABLE_LEN 8
#define SYSMSG_STOP_LEN 8
#define SYSMSG_ABORT_LEN 48
#define SYSMSG_BODY_MAX 48

struct sysmsg {
    enum sysmsg_type type;
    uint32_t slot, generation; /* WRITABLE, STOP */
    uint32_t stream;           /* ABORT */
    struct refusal refusal;    /* REFUSE, ABORT */
};

/* sysmsg_decode reads the body of a system message.  False: not one of the four, too short, a
   reason this node does not know, or a REFUSE of nothing. */
bool sysmsg_decode(uint32_t type, const void *body, size_t len, struct sysmsg *ret);

/* These write a body (SYSMSG_BODY_MAX bytes of room, 8-aligned or not) and return its length. */
size_t sysmsg_encode_refuse(void *body, const struct refusal *refusal);
size_t sysmsg_encode_writable(void *body, uint32_t slot, uint32_t generation);
size_t sysmsg_encode_stop(void *body, uint32_t slot, uint32_t generation);
size_t sysmsg_encode_abort(void *body, uint32_t stream, const struct refusal *refusal);

#endif
