/* SPDX-License-Identifier: Apache-2.0 */
/* registrar_internal.h - the registrar's tables; shared by registrar.c, owned.c and wanted.c.

   Threads: the control thread's.  Units: proa_ns.  Errors: as each function says. */
#ifndef REGISTRAR_INTERNAL_H
#define REGISTRAR_INTERNAL_H

#include "core_internal.h"
#include "holders.h"
#include "name_table.h"

enum owned_state {
    OWNED_CLAIMING, /* Kademlia is asking the storers */
    OWNED_HELD,     /* ours in the cluster */
    OWNED_LOCAL,    /* known on this node only */
    OWNED_GIVEN_UP, /* claiming, but its actor has stopped: given up as soon as won */
};

/* A name of this node. */
struct owned {
    struct name_entry entry; /* first */
    uint8_t state;           /* enum owned_state */
    uint8_t lane;            /* that asked */
    uint32_t correlation;    /* of the claim's answer */
    uint32_t slot, generation, type;
    uint32_t op;         /* of Kademlia, while claiming */
    uint32_t next_actor; /* place + 1 in its actor's chain */
    bool counted;        /* among those published (mesh_port_reserve) */
    uint32_t index;      /* of the mesh's entry, MESH_NONE without */
    uint64_t term;
    proa_ns won_at;
};

/* Somebody who waits for a lookup's outcome. */
struct waiter {
    uint32_t next;   /* index + 1: of the same name, or free */
    uint32_t lookup; /* the first lookup whose "no" is an answer; a "yes" always is */
    uint8_t lane;
    bool waits; /* for a registration yet to come */
    uint32_t correlation, slot, generation, type;
    proa_ns deadline;
};

/* A name somebody here asked for. */
struct wanted {
    struct name_entry entry; /* first */
    bool watched;
    bool found;       /* ref, type and term are its holder's */
    uint32_t op;      /* the lookup under way, 0: none */
    uint32_t lookup;  /* number of the last lookup begun */
    uint32_t waiters; /* index + 1 of the first */
    uint32_t type;
    uint32_t watchers; /* actors that watch it: it stays */
    struct proa_ref ref;
    uint64_t term;
    uint64_t issued, claim; /* of its record */
    proa_ns absent_until;   /* Kademlia said, nobody has it; 0: it did not */
    proa_ns linger_at;      /* without waiters it may go then */
    proa_ns retry_at;       /* the next lookup for those who wait */
    proa_ns retry_wait;
};

/* A Kademlia operation and the entry it is for. */
struct registrar_op {
    uint32_t op;
    uint32_t place;
    bool is_claim; /* owned, else wanted */
};

struct registrar {
    struct name_table owned, wanted;
    uint32_t *by_actor; /* place + 1 of the first owned name */
    uint32_t actor_mask;
    struct waiter *waiters; /* REGISTRAR_WAITERS_MAX */
    uint32_t waiters_free;  /* index + 1 */
    uint32_t waiters_high;
    struct registrar_op ops[KAD_OPS_MAX];
    uint32_t op_count;
    proa_ns next_at; /* of wanted names and waiters */
};

/* registrar.c */
struct registrar_reply {
    unsigned lane;
    uint32_t correlation, slot, generation;
    bool settled;
};
void registrar_answer(struct core *core, const struct registrar_reply *to,
                      const char *name, size_t len, enum proa_outcome outcome,
                      struct proa_ref ref, uint64_t term);
/* The answer to a call, at once. */
void registrar_answer_call(struct core *core, const struct registrar_call *call,
                           enum proa_outcome outcome, struct proa_ref ref, uint64_t term);
void registrar_op_add(struct registrar *self, uint32_t op, bool is_claim, uint32_t place);
void registrar_op_drop(struct registrar *self, uint32_t op);
struct proa_ref registrar_ref_of(const struct record *record);

/* A name won this long ago, and not contended, is called settled: longer than the claims of
   proa_lookup_or_spawn live (actors/finder.c), and the puts of one that won take. */
#define REGISTRAR_SETTLES (200 * PROA_MS)

/* owned.c */
bool owned_settled(const struct core *core, const struct owned *owned);
void owned_register(struct core *core, const struct registrar_call *call);
void owned_unregister(struct core *core, const struct registrar_call *call);
void owned_registered(struct core *core, uint32_t place, const struct kad_event *event);
void owned_lost(struct core *core, const struct kad_event *event);
/* Another node publishes entry: when a name of ours has that name, one of the two gives way. */
void owned_contend(struct core *core, const struct mesh_entry *entry);
void owned_leave(struct core *core);
void owned_stopped(struct core *core, const struct punt_actor *actor);
void owned_restarted(struct core *core, const struct punt_restart *restart);
/* The name when it is visible: held or local; else NULL. */
const struct owned *owned_visible(const struct core *core, const char *name, size_t len);
struct proa_ref owned_ref(const struct core *core, const struct owned *owned);

/* wanted.c */
void wanted_lookup(struct core *core, const struct registrar_call *call);
void wanted_looked_up(struct core *core, uint32_t place, const struct kad_event *event);
void wanted_changed(struct core *core, const struct kad_event *event);
/* The name was lost to another node's actor: it is wanted from now on. */
void wanted_adopt(struct core *core, const struct kad_event *event);
/* What Kademlia told of the name: a holder, or until when it is known to be absent (0: not). */
bool wanted_told(const struct core *core, const char *name, size_t len,
                 struct holder *ret);
proa_ns wanted_absent_until(const struct core *core, const char *name, size_t len);
/* The name's holder is known and alive: who waits for it is answered. */
void wanted_answer(struct core *core, const char *name, size_t len,
                   const struct holder *holder);
/* Its owner says it holds the name no longer. */
void wanted_withdrawn(struct core *core, const struct mesh_entry *entry);
/* An actor watches the name (on), or no longer.  False when the table is full. */
bool wanted_watch(struct core *core, const char *name, size_t len, bool on);
/* A node died, or lives again. */
void wanted_node(struct core *core, uint64_t node, bool alive);
void wanted_released(struct core *core, const struct owned *owned);
void wanted_joined(struct core *core);
void wanted_node_gone(struct core *core, uint64_t node);
void wanted_leave(struct core *core);
void wanted_tick(struct core *core);

#endif
