/* SPDX-License-Identifier: Apache-2.0 */
/* client_ring.h - what a client and its home lane say to each other.

   The client sends messages and commands (system messages) through the lane's inbox.  The lane
   answers through two byte rings: one for what the client asked for, whose number is bounded by
   its own asks, and one for what others tell it.  So a full ring of tells never holds up an
   answer.  What finds its ring full waits in the mailbox of the client's slot.

     O1 store-release closed  ->  O2 load-acquire closed   the lane's last use of the client
                                                           before its memory is freed

   Threads: fields say whose they are.  Units: bytes.  Errors: none. */
#ifndef CLIENT_RING_H
#define CLIENT_RING_H

#include <stdalign.h>
#include <stdatomic.h>

#include <proa/client.h>

#include "byte_ring.h"
#include "client_home.h"
#include "directory_group.h"
#include "doorbell.h"

#define CLIENT_RING_BYTES (1u << 18) /* a record of 64 KiB fits half of it */
#define CLIENT_ASKS_MAX 1024u        /* asynchronous asks in flight of one client */

/* Types of the client's commands (PROA_MSG_SYSTEM), correlation: the id of the request. */
#define CLIENT_OPEN (PROA_TYPE_SYSTEM + 16) /* payload: struct proa_client * */
#define CLIENT_CLOSE (PROA_TYPE_SYSTEM + 17)
#define CLIENT_NAME (PROA_TYPE_SYSTEM + 18) /* struct punt_name, then the name */
#define CLIENT_SPAWN                                                                     \
    (PROA_TYPE_SYSTEM + 19) /* struct client_spawn, then arg; to the inbox of
                                                the actor's lane */
#define CLIENT_STOP (PROA_TYPE_SYSTEM + 20)    /* struct proa_ref */
#define CLIENT_WATCH (PROA_TYPE_SYSTEM + 21)   /* struct client_watch, then the name */
#define CLIENT_UNWATCH (PROA_TYPE_SYSTEM + 22) /* struct proa_watching; not answered */
#define CLIENT_MULTICAST                                                                 \
    (PROA_TYPE_SYSTEM +                                                                  \
     23) /* struct client_multicast, then the group, padded to 8, then
                                   the payload */

struct client_spawn {
    const struct proa_behaviour *behaviour;
    uint32_t arg_len;
    uint32_t named; /* a name will be registered for it */
};

struct client_watch {
    uint32_t what; /* enum proa_watch_what */
    uint32_t len;  /* of the name */
};

struct client_multicast {
    uint32_t type, group_len, len, zero;
};

/* Kinds of the lane's records. */
enum client_record {
    CLIENT_ANSWER = 1, /* to an ask: outcome, payload */
    CLIENT_TOLD,       /* a tell: payload */
    CLIENT_OPENED,     /* outcome; from: the client's own reference */
    CLIENT_NAMED,      /* outcome; from: the holder */
    CLIENT_SPAWNED,    /* outcome; from: the new actor */
    CLIENT_STOPPED,    /* outcome */
    CLIENT_CHANGED,    /* among the tells; struct changed (watching.h), of ALL the name */
    CLIENT_WATCHED, /* outcome; from: index and serial of the watch, as slot, generation */
    CLIENT_MULTICASTED, /* outcome; type: members told */
};

/* Every record begins so; its payload, 8-aligned, follows. */
struct client_head {
    uint32_t id; /* of the request */
    uint32_t type;
    uint32_t outcome; /* enum proa_outcome */
    uint32_t len;     /* of the payload */
    struct proa_ref from;
};

struct client_stash;
struct client_watched;

struct proa_client {
    /* Constant once open. */
    struct client_home *home;
    uint32_t lane;
    struct proa_ref ref;
    struct byte_ring *answers, *tells;
    struct doorbell bell;

    /* The client thread's. */
    alignas(PROA_CACHE_LINE) uint32_t next_id;
    uint32_t async; /* asynchronous asks not yet taken */
    int reader;     /* of the directory; -1: none */
    bool fd_used;   /* the eventfd is kept readable while there is something to take */
    bool fd_set;    /* and is, by our own doing */
    struct client_stash *stash_first,
        *stash_last; /* answers met while waiting for another */
    void *taken;     /* payload of the event taken last, or members of its change */
    struct route_turn route;        /* of proa_client_route */
    struct client_watched *watched; /* PROA_CLIENT_WATCHES_MAX; NULL: none was made yet */
    uint32_t watched_count;
    uint32_t sets_owed;        /* of these, whose SET could not be read when it came */
    struct proa_change change; /* of the event taken last */
    char change_name[PROA_NAME_MAX + 1];

    /* The lane's. */
    alignas(PROA_CACHE_LINE) struct proa_client *next_touched;
    struct proa_client *next_blocked;
    bool touched, blocked;

    /* Written by the lane, once. */
    alignas(PROA_CACHE_LINE) _Atomic uint32_t closed;
};

#endif
