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
     FORWARDED 32 B  u64 node, u32 slot, u32 generation   who has the ask now
                     u32 slot, u32 generation             the asker, an actor of who gets this
                     u32 correlation, u32 hops
     MONITOR, DEMONITOR, DOWN  40 B  u32 slot, u32 generation   the watched
                     u32 slot, u32 generation             the watcher
                     u32 index, u32 serial                the watcher's number of the monitor
                     u8 reason, u8 flags, u16 zero        why it ended: 1 normal, 2 killed, 3 failed,
                                                          4 node lost, 5 restarted, 6 no such actor
                     i32 code
                     u32 slot, u32 generation             DOWN, restarted: the new life; else 0
                                                          flags: 1 half of a link, 2 (DEMONITOR) the
                                                          watcher has ended, 4 (DOWN) unlinked
     STEER      8 B  u16 port, 6 B zero                   send this link's packets from this UDP
                                                          port: then they arrive on its lane
     REGISTRY   1 to 1,100 B                              of the linked registries
                                                          (docs/wire_mesh.md)
   A longer body is read as far as it is known, so that fields can be added at its end.

   Threads: pure functions; any thread.  Units: counts.
   Errors:  bool: false for a body too short, a type not listed here, a reason not listed. */
#ifndef SYSMSG_H
#define SYSMSG_H

#include <proa/actor.h>
#include <proa/types.h>

#include "forward.h"
#include "refusal.h"
#include "watch.h"

/* Message types.  The numbers are the wire's. */
enum sysmsg_type {
    SYSMSG_REFUSE = (int)(PROA_TYPE_SYSTEM | 1),
    SYSMSG_WRITABLE = (int)(PROA_TYPE_SYSTEM | 2),
    SYSMSG_STOP = (int)(PROA_TYPE_SYSTEM | 3),
    SYSMSG_ABORT = (int)(PROA_TYPE_SYSTEM | 4), /* the link keeps it for itself */

    SYSMSG_DOWN = (int)(PROA_TYPE_SYSTEM | 5),
    SYSMSG_FORWARDED = (int)(PROA_TYPE_SYSTEM | 6),
    SYSMSG_MONITOR = (int)(PROA_TYPE_SYSTEM | 7),
    SYSMSG_DEMONITOR = (int)(PROA_TYPE_SYSTEM | 8),
    SYSMSG_STEER = (int)(PROA_TYPE_SYSTEM | 9),
    SYSMSG_REGISTRY =
        (int)(PROA_TYPE_SYSTEM | 16), /* for the control thread; sysmsg_decode: false */
};

#define SYSMSG_REFUSE_LEN 40
#define SYSMSG_WRITABLE_LEN 8
#define SYSMSG_STOP_LEN 8
#define SYSMSG_ABORT_LEN 48
#define SYSMSG_FORWARDED_LEN 32
#define SYSMSG_WATCH_LEN 40
#define SYSMSG_STEER_LEN 8
#define SYSMSG_REGISTRY_MAX 1100
#define SYSMSG_BODY_MAX 48 /* of those that sysmsg_decode reads */

struct sysmsg {
    enum sysmsg_type type;
    uint32_t slot, generation; /* WRITABLE, STOP */
    uint32_t stream;           /* ABORT */
    uint16_t port;             /* STEER: not 0 */
    struct refusal refusal;    /* REFUSE, ABORT */
    struct forwarded forwarded;
    struct watch watch; /* MONITOR, DEMONITOR, DOWN: without the nodes */
};

/* sysmsg_of_watch is the message that carries one, sysmsg_is_watch tells those apart. */
enum sysmsg_type sysmsg_of_watch(const struct watch *watch);
bool sysmsg_is_watch(uint32_t type);

/* sysmsg_decode reads the body of a system message.  False: not one of these, too short, a
   reason this node does not know, or a REFUSE of nothing. */
bool sysmsg_decode(uint32_t type, const void *body, size_t len, struct sysmsg *ret);

/* These write a body (SYSMSG_BODY_MAX bytes of room, 8-aligned or not) and return its length. */
size_t sysmsg_encode_refuse(void *body, const struct refusal *refusal);
size_t sysmsg_encode_writable(void *body, uint32_t slot, uint32_t generation);
size_t sysmsg_encode_stop(void *body, uint32_t slot, uint32_t generation);
size_t sysmsg_encode_abort(void *body, uint32_t stream, const struct refusal *refusal);
size_t sysmsg_encode_watch(void *body, const struct watch *watch);
size_t sysmsg_encode_steer(void *body, uint16_t port);
size_t sysmsg_encode_forwarded(void *body, const struct forwarded *f);

#endif
