/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - talking to actors from ordinary threads.

   A client is a mailbox outside the lanes: it has a reference of its own and a home lane, so
   order holds per client and receiver.  Requests go to the home lane through its bounded inbox;
   answers come back through the client's own ring and an eventfd.

   Threads: one thread at a time per client; different clients are independent.
   Units:   proa_ns spans from now; lengths in bytes.
   Errors:  enum proa_outcome.  Blocking calls end by their deadline at the latest; late
            answers are dropped, by generation, and never mistaken for another's. */
#ifndef PROA_CLIENT_H
#define PROA_CLIENT_H

#include <proa/actor.h>
#include <proa/group.h>

#ifdef __cplusplus
extern "C" {
#endif

struct proa_node;
struct proa_client;

#define PROA_CLIENTS_MAX 256      /* clients of one node */
#define PROA_CLIENT_MSG_MAX 65536 /* bytes of one message to or from a client */

/* proa_client_open makes a client of node; *ret is owned, give it back by proa_client_close
   before proa_node_close.  OK, LIMIT, NO_MEMORY, STOPPED. */
PROA_API enum proa_outcome proa_client_open(struct proa_node *node,
                                            struct proa_client **ret);
PROA_API void proa_client_close(struct proa_client *client);

PROA_API struct proa_ref proa_client_ref(const struct proa_client *client);

/* proa_client_tell: outcomes of proa_tell that this node knows at once; UNDELIVERED later only
   counts. */
PROA_API enum proa_outcome proa_client_tell(struct proa_client *client,
                                            struct proa_ref to, uint32_t type,
                                            const void *data, size_t len);

/* proa_client_ask asks and blocks until the outcome.  The reply's first cap bytes go to buf,
   its whole length to *ret_len (may be NULL).  All outcomes of proa_ask and its answer. */
PROA_API enum proa_outcome proa_client_ask(struct proa_client *client, struct proa_ref to,
                                           uint32_t type, const void *data, size_t len,
                                           proa_ns deadline, void *buf, size_t cap,
                                           size_t *ret_len);

/* The asynchronous form: send now, collect later.  *ret_id names the ask. */
PROA_API enum proa_outcome proa_client_ask_start(struct proa_client *client,
                                                 struct proa_ref to, uint32_t type,
                                                 const void *data, size_t len,
                                                 proa_ns deadline, uint32_t *ret_id);

/* proa_client_take takes the next finished ask, received tell, or change of what is watched, waiting
   up to `wait` (0: only look).  OK: *ret is filled, what it points at borrowed until the next call on
   this client.  TIMEOUT. */
struct proa_client_event {
    bool is_answer;            /* else a tell sent to proa_client_ref, or a change */
    uint32_t id;               /* answer: which ask */
    uint32_t type;             /* tell: its type */
    enum proa_outcome outcome; /* answer */
    uint32_t len;
    const void *data; /* 8-aligned, never NULL */
    struct proa_ref from;
    const struct proa_change
        *change; /* of proa_client_watch; NULL: an answer or a tell */
};
PROA_API enum proa_outcome proa_client_take(struct proa_client *client, proa_ns wait,
                                            struct proa_client_event *ret);

/* An eventfd, readable when proa_client_take would not wait (now and then also for a change that
   turns out not to be news); owned by the client. */
PROA_API int proa_client_fd(const struct proa_client *client);

/* proa_client_lookup asks the cluster once for name; _wait waits for a registration to come.
   As proa_lookup_now and proa_lookup_wait (registry.h).  type_name may be NULL. */
PROA_API enum proa_outcome proa_client_lookup(struct proa_client *client,
                                              const char *name, const char *type_name,
                                              proa_ns deadline, struct proa_ref *ret_ref);
PROA_API enum proa_outcome proa_client_lookup_wait(struct proa_client *client,
                                                   const char *name,
                                                   const char *type_name,
                                                   proa_ns deadline,
                                                   struct proa_ref *ret_ref);

/* proa_client_spawn makes an actor on `lane`, registers it under name (NULL: does not) and
   returns its reference once both are done.  OK; INVALID, LIMIT, STOPPED (start failed);
   ALREADY_REGISTERED, NO_QUORUM, NOT_JOINED (the actor was stopped again); TIMEOUT. */
PROA_API enum proa_outcome proa_client_spawn(struct proa_client *client, uint32_t lane,
                                             const struct proa_behaviour *behaviour,
                                             const void *arg, size_t arg_len,
                                             const char *name, proa_ns deadline,
                                             struct proa_ref *ret_ref);

/* ---- Groups (group.h) ---- */

/* proa_client_lookup_all, _route: as proa_lookup_all and proa_route; reads of shared memory.
   type_name (may be NULL) is a behaviour's. */
PROA_API enum proa_outcome proa_client_lookup_all(struct proa_client *client,
                                                  const char *group,
                                                  const char *type_name, unsigned flags,
                                                  struct proa_ref *refs, uint32_t max,
                                                  struct proa_members *ret);
PROA_API enum proa_outcome proa_client_route(struct proa_client *client,
                                             const char *group, enum proa_policy policy,
                                             uint64_t key, struct proa_ref *ret_ref);

/* proa_client_find_group: as proa_find_group.  OK (*ret_ref is any member), NOT_FOUND, UNKNOWN,
   NOT_JOINED; INVALID, STOPPED, AGAIN. */
PROA_API enum proa_outcome proa_client_find_group(struct proa_client *client,
                                                  const char *group, proa_ns deadline,
                                                  struct proa_ref *ret_ref);

/* proa_client_multicast: as proa_multicast, done by the home lane; waits for it, 1 s at the most.
   UNDELIVERED only counts.  Also STOPPED; TIMEOUT: it may yet be done. */
PROA_API enum proa_outcome proa_client_multicast(struct proa_client *client,
                                                 const char *group, uint32_t type,
                                                 const void *data, size_t len,
                                                 uint32_t *ret_members);

/* proa_client_watch, _unwatch: as proa_watch and proa_unwatch; the SET and the changes are taken by
   proa_client_take.  What a client that does not take them misses is replaced by one SET.
   OK; INVALID; LIMIT (PROA_CLIENT_WATCHES_MAX, PROA_WATCHES_MAX of the home lane); AGAIN;
   STOPPED; TIMEOUT: the home lane did not answer within 1 s, nothing is watched. */
#define PROA_CLIENT_WATCHES_MAX 256
PROA_API enum proa_outcome proa_client_watch(struct proa_client *client,
                                             enum proa_watch_what what, const char *name,
                                             struct proa_watching *ret_watching);
PROA_API bool proa_client_unwatch(struct proa_client *client,
                                  struct proa_watching watching);

/* proa_client_stop_actor asks the actor `to` to stop.  OK, AGAIN, NO_SUCH_ACTOR, NO_ROUTE. */
PROA_API enum proa_outcome proa_client_stop_actor(struct proa_client *client,
                                                  struct proa_ref to);

#ifdef __cplusplus
}
#endif

#endif
