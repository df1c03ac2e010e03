/* SPDX-License-Identifier: Apache-2.0 */
/* kad_names.h - this node's own names.

   A name is claimed by an operation, then held until it is given up or lost to a better claim.
   Held names are kept in being by hand-over to newcomers, one sweep of all contacts an hour
   and after a contact was lost (kad_hand.h), and, when the cluster is larger than the table,
   a walk per name and hour.

   Threads: one owner.  Errors: NULL when names_max are held. */
#ifndef PROA_DHT_KAD_NAMES_H
#define PROA_DHT_KAD_NAMES_H

#include "kad.h"
#include "kad_index.h"
#include "kad_store.h"

#include <proa/types.h>

#define KAD_LOST_APART PROA_S           /* between the two looks that lose a name */
#define KAD_SWEEP_EVERY (3600 * PROA_S) /* Source: registry.md */
#define KAD_SWEEP_SOON (2 * PROA_S)     /* after a contact was lost */
#define KAD_LEAVE_MAX (500 * PROA_MS)   /* Source: kad.h */

enum kad_name_state {
    KAD_NAME_FREE,
    KAD_NAME_CLAIMING,
    KAD_NAME_HELD,
    KAD_NAME_LOSER, /* raw is the winner's record; its event waits */
};

struct kad_name {
    struct kad_id target;
    struct kad_stamp stamp; /* of raw */
    uint32_t serial;        /* of this life of the place */
    uint32_t next;
    uint8_t state;
    bool renewing;      /* an operation is under way: */
    uint32_t op;        /* this one */
    proa_ns renewed_at; /* when the last one began */
    proa_ns rivaled_at; /* when a better claim was first found, 0: not */
    bool contended;     /* a better claim was heard of, and is not known to be gone */
    uint32_t slot, generation, type_id;
    uint16_t len;
    uint8_t raw[PROA_RECORD_MAX];
};

struct kad_names {
    struct kad_name *names;
    struct kad_index by_target;
    uint32_t cap, high, free;
    uint32_t count;      /* places in use */
    uint32_t losers;     /* whose events wait */
    uint32_t loser_look; /* where the search for one begins */
    uint32_t leave_look;
    uint64_t clock;  /* the last hybrid clock value handed out */
    proa_ns left_by; /* leaving: the moment it is over; 0 not leaving */
    bool told_leaving;
};

void kad_names_init(struct kad_names *self);
struct kad_name *kad_name_find(const struct kad *kad, const struct kad_id *target);
struct kad_name *kad_name_at(struct kad *kad, uint32_t index, uint32_t serial);
uint32_t kad_name_index(const struct kad *kad, const struct kad_name *name);

/* kad_name_new makes an entry in state CLAIMING with a first record of term 1. */
struct kad_name *kad_name_new(struct kad *kad, const struct kad_id *target,
                              const char *text, size_t len, uint32_t slot,
                              uint32_t generation, uint32_t type);

/* kad_name_sign signs the name's record anew with this term and a fresh `issued`; claim 0 makes
   it a fresh claim too. */
void kad_name_sign(struct kad *kad, struct kad_name *name, uint64_t term, uint64_t claim);
void kad_name_free(struct kad *kad, struct kad_name *name);

/* kad_name_lose hands the name to a better claim: tombstone, notices, KAD_NAME_LOST. */
void kad_name_lose(struct kad *kad, struct kad_name *name, const uint8_t *raw,
                   size_t len);

/* kad_name_contend: somebody else's verified record of an own name was seen.  A better claim is
   looked into at once; for a worse one the own record is put where it lacks. */
void kad_name_contend(struct kad *kad, struct kad_name *name, const struct record *fields,
                      const uint8_t *raw, size_t len);

/* kad_name_due: its timer fired; it is renewed. */
void kad_name_due(struct kad *kad, uint32_t number);

/* kad_name_event hands out a KAD_NAME_LOST; false when none waits. */
bool kad_name_event(struct kad *kad, struct kad_event *ret);

/* kad_names_owns tells whether this node holds the name, or is claiming it. */
bool kad_names_owns(const struct kad *kad, const struct kad_id *target);

/* kad_names_leave_step goes on with leaving. */
void kad_names_leave_step(struct kad *kad);

#endif
