/* SPDX-License-Identifier: Apache-2.0 */
/* client_request.h - what a client's thread asks of the lanes, and finding the answer.

   Ids of requests grow; an asynchronous ask's is odd, a blocking call's even, so that the answer
   of a call that gave up is known for late whenever it comes.

   Threads: the client's.  Units: proa_ns, bytes.  Errors: enum proa_outcome. */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "client_ring.h"

/* An answer met while another one was waited for. */
struct client_stash {
    struct client_stash *next;
    struct client_head head;
    uint8_t data[];
};

/* An answer without a payload. */
struct client_plain {
    enum proa_outcome outcome;
    struct proa_ref ref;
};

static inline bool client_is_async(const struct client_head *head)
{
    return (head->id & 1) != 0;
}

uint32_t client_next_id(struct proa_client *client, bool async);

/* client_push sends msg, as from the client, to a lane's inbox.  OK, AGAIN, NO_MEMORY,
   TOO_LARGE. */
enum proa_outcome client_push(struct proa_client *client, uint32_t lane,
                              struct proa_msg *msg);
/* client_command_send sends a command (CLIENT_, client_ring.h) the same way. */
enum proa_outcome client_command_send(struct proa_client *client, uint32_t lane,
                                      uint32_t type, uint32_t id, const void *body,
                                      size_t len);

/* client_wait_for waits for the record that answers id and hands it to fn, until the moment
   `until` at the latest; false: it did not come.  Answers of asynchronous asks met on the way
   are stashed. */
bool client_wait_for(struct proa_client *client, uint32_t id, proa_ns until,
                     void (*fn)(void *ctx, const struct client_head *head), void *ctx);
/* For client_wait_for: ctx is a struct client_plain. */
void client_take_plain(void *ctx, const struct client_head *head);

/* client_call_name has the home lane make one registry call; TIMEOUT when no answer came. */
struct punt_name;
enum proa_outcome client_call_name(struct proa_client *client, struct punt_name *call,
                                   const char *name, proa_ns until,
                                   struct proa_ref *ret_ref);
bool client_stopped(const struct proa_client *client); /* the node leaves */

/* client_change_take makes an event of a record CLIENT_CHANGED; false: it is not to be told (the
   watch has ended, or the set that was told has it already). */
bool client_change_take(struct proa_client *client, const struct client_head *head,
                        struct proa_client_event *ret);
/* client_set_take makes one of a SET that could not be read when its record came; false: there is
   none, or it still cannot. */
bool client_set_take(struct proa_client *client, struct proa_client_event *ret);

/* client_late deals with a record that nobody waits for any more. */
void client_late(struct proa_client *client, uint32_t kind,
                 const struct client_head *head);

#endif
