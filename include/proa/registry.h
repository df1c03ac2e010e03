/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h - names: registering, looking up, waiting.

   A name belongs to at most one actor of the cluster at a time, by the rule of terms and
   quorum (docs/architecture.md, "Names").  A lookup is a read of shared memory and costs
   nanoseconds; the waiting forms go to the control thread and, through it, to the cluster.

   Threads: as actor.h: inside callbacks of self.  Ordinary threads: client.h.
   Units:   proa_ns spans from now; names are 1..PROA_NAME_MAX bytes of UTF-8 without NUL.
   Errors:  enum proa_outcome.
   Not consensus: both sides of a partition may register the same name; on healing the higher
   term, then the earlier claim, wins and the loser gets NAME_LOST.  What must never run twice
   passes the term to the resource it protects, as a fencing token. */
#ifndef PROA_REGISTRY_H
#define PROA_REGISTRY_H

#include <proa/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct proa_name_answer {
    enum proa_outcome outcome;
    struct proa_ref ref; /* the holder, where there is one */
    uint64_t term;       /* of the registration; a fencing token */
    bool settled; /* false: won so lately that a claim made at the same moment elsewhere
                            may yet take it over, which its holder is told by NAME_LOST */
    const char *name; /* during the call */
};

typedef void (*proa_named)(struct proa_actor *self, const struct proa_name_answer *answer,
                           const void *ctx);

/* proa_register claims name for self across the cluster; visible (here too) only once won.
   At once: OK, INVALID, AGAIN, LIMIT.  then (may be NULL) runs once with OK{term},
   ALREADY_REGISTERED{ref of the holder}, NO_QUORUM, NOT_JOINED.  The name is given up when the
   actor stops. */
PROA_API enum proa_outcome proa_register(struct proa_actor *self, const char *name,
                                         proa_ns deadline, proa_named then,
                                         const void *ctx, size_t ctx_len);

/* proa_register_local makes name known on this node only.  As proa_register; then gets OK or
   ALREADY_REGISTERED. */
PROA_API enum proa_outcome proa_register_local(struct proa_actor *self, const char *name,
                                               proa_named then, const void *ctx,
                                               size_t ctx_len);

/* proa_unregister gives name up and tells everybody who knows it.  OK, INVALID, AGAIN. */
PROA_API enum proa_outcome proa_unregister(struct proa_actor *self, const char *name);

/* proa_lookup reads the directory, wait-free.  behaviour (may be NULL) is the type expected.
   OK: *ret_ref is a holder heard from within the last 10 s.  NOT_FOUND: known to be absent.
   UNKNOWN: nobody asked yet, or its node was not heard from lately: use proa_lookup_wait.
   WRONG_TYPE: *ret_ref is set all the same. */
PROA_API enum proa_outcome proa_lookup(struct proa_actor *self, const char *name,
                                       const struct proa_behaviour *behaviour,
                                       struct proa_ref *ret_ref);

/* proa_lookup_now asks the cluster once: then gets OK, NOT_FOUND (nobody has it now), UNKNOWN
   (no answer in time), NOT_JOINED. */
PROA_API enum proa_outcome proa_lookup_now(struct proa_actor *self, const char *name,
                                           proa_ns deadline, proa_named then,
                                           const void *ctx, size_t ctx_len);

/* proa_lookup_wait asks the cluster and waits for a registration yet to come, which arrives by
   push.  then gets OK, or NOT_FOUND when the deadline passed without one. */
PROA_API enum proa_outcome proa_lookup_wait(struct proa_actor *self, const char *name,
                                            proa_ns deadline, proa_named then,
                                            const void *ctx, size_t ctx_len);

/* proa_lookup_or_spawn finds the holder of name, or makes it: an actor of behaviour on this lane,
   with arg (copied; arg_len <= PROA_OR_SPAWN_ARG_MAX), registered as name.  The registration is
   the arbiter: of several who try at once, on any nodes, one wins; the others' actors are
   stopped (KILLED) before their first message, though their start has run, and everybody gets
   the winner's reference.  So start must not do what may happen only once; the first message,
   or the term, is the place for that.
   At once, then will not run: AGAIN, INVALID, LIMIT, STOPPED.  OK: then runs exactly once,
   later, not at all once self has stopped, with OK{ref, term}, WRONG_TYPE{ref}: the holder is of
   another behaviour; STOPPED: start failed, or the node is leaving; LIMIT: no free slot;
   NO_QUORUM, NOT_JOINED; UNKNOWN: no answer in time, an actor may yet win the name. */
#define PROA_OR_SPAWN_ARG_MAX 1024u
PROA_API enum proa_outcome proa_lookup_or_spawn(struct proa_actor *self, const char *name,
                                                const struct proa_behaviour *behaviour,
                                                const void *arg, size_t arg_len,
                                                proa_ns deadline, proa_named then,
                                                const void *ctx, size_t ctx_len);

#ifdef __cplusplus
}
#endif

#endif
