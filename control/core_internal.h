/* SPDX-License-Identifier: Apache-2.0 */
/* core_internal.h - the core from inside; shared by the files of the control core only.

   core.c steps and dispatches; handshake.c opens links, handshake_answer.c is its other end;
   liveness.c knows who is alive; registrar.c does names, groups.c memberships, mesh_port.c what
   linked nodes publish.  They all work on struct core and leave by the functions below: a keyed
   packet, or a record to a lane.

   Threads: the control thread's.  Units: proa_ns, bytes.  Errors: as each function says. */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include "core.h"
#include "events.h"
#include "groups.h"
#include "handshake.h"
#include "keyed.h"
#include "loads.h"
#include "mesh_port.h"
#include "outlet.h"
#include "peers.h"
#include "registrar.h"
#include "secrets.h"

#define CORE_STEP_RECORDS 256 /* read from one lane in one step */
#define CORE_RECLAIM_EVERY                                                               \
    (100 * PROA_MS) /* between two looks at the directory's old memory */

struct core {
    struct core_config config;
    uint64_t node; /* our own */
    proa_ns now;   /* of this step */
    uint64_t wall_ms;
    struct core_stats stats;
    struct secrets secrets;
    struct outlet outlets[PROA_LANES_MAX];
    struct peers peers;
    struct handshake handshake;
    struct registrar *registrar;
    struct groups *groups;
    struct seeking *seeking;
    struct watchers *watchers;
    struct mesh_port mesh_port;
    struct loads loads;
    uint64_t names_version; /* counts changes of names */
    bool complete;          /* what the directory does not have, nobody has */
    proa_ns incomplete_since;
    proa_ns views_at; /* a group's view is due */
    struct kad *kad;
    void *kad_memory;
    uint32_t loop_gap_us[PROA_LANES_MAX]; /* of each lane, by its last ping */
    bool backlog;                         /* a lane had more than CORE_STEP_RECORDS */
    struct events events;
    proa_ns reclaimed_at;

    /* Leaving (leave.c). */
    bool leaving;
    bool closing;       /* CLOSEs are being sent */
    proa_ns leave_at;   /* it began */
    proa_ns close_next; /* the next round of CLOSEs */
    unsigned close_round;
};

/* A datagram as a lane punted it.  The bytes are borrowed from the ring. */
struct core_datagram {
    unsigned lane;
    uint8_t port; /* index, PEERS_PORT_ANY when unknown */
    struct proa_addr from;
    const uint8_t *bytes;
    size_t len;
};

/* core_send has lane send bytes to addr; port: PEERS_PORT_ANY lets the route decide.  Drops,
   and counts, what no port reaches or the ring has no room for. */
void core_send(struct core *core, unsigned lane, uint8_t port,
               const struct proa_addr *addr, const void *bytes, size_t len);

/* core_tell gives lane a record that must not be lost (outlet.h).  False, and counted, when
   there is no room at all. */
bool core_tell(struct core *core, unsigned lane, enum punt_kind kind, const void *head,
               size_t head_len, const void *tail, size_t tail_len);

/* core_port_of is the port by which addr is reached; NULL when there is none. */
const struct port *core_port_of(const struct core *core, const struct proa_addr *addr);

#endif
