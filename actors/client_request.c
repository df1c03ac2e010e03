/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "client_request.h"
#include "client_wait.h"

static const uint64_t nothing; /* what an empty payload points at */

/* ---- Sending ---- */

uint32_t client_next_id(struct proa_client *client, bool async)
{
    client->next_id = client->next_id + 2 > 1 ? client->next_id + 2 : 2;
    return client->next_id | (async ? 1 : 0);
}

enum proa_outcome client_push(struct proa_client *client, uint32_t lane,
                              struct proa_msg *msg)
{
    struct client_home *home = client->home;
    enum proa_outcome outcome;

    msg->from = client->ref;
    if (msg->data == NULL)
        msg->data = &nothing;
    outcome = inbox_push_msg(home->inboxes[lane], msg, 0);
    if (outcome == PROA_OK && home->bells[lane] != NULL)
        doorbell_ring(home->bells[lane]);
    return outcome;
}

enum proa_outcome client_command_send(struct proa_client *client, uint32_t lane,
                                      uint32_t type, uint32_t id, const void *body,
                                      size_t len)
{
    struct proa_msg msg = {.data = body,
                           .len = (uint32_t)len,
                           .type = type,
                           .correlation = id,
                           .flags = PROA_MSG_SYSTEM};

    return client_push(client, lane, &msg);
}

/* ---- Receiving ---- */

static void stash(struct proa_client *client, const struct client_head *head)
{
    struct client_stash *s = malloc(sizeof(*s) + head->len);

    PROA_ASSERT(s != NULL); /* at most CLIENT_ASKS_MAX of them */
    s->next = NULL;
    s->head = *head;
    memcpy(s->data, head + 1, head->len);
    if (client->stash_last == NULL)
        client->stash_first = s;
    else
        client->stash_last->next = s;
    client->stash_last = s;
}

/* What nobody waits for any more: an actor that came too late is stopped again, a watch ended. */
void client_late(struct proa_client *client, uint32_t kind,
                 const struct client_head *head)
{
    if (kind == CLIENT_SPAWNED && head->outcome == PROA_OK)
        client_command_send(client, client->lane, CLIENT_STOP,
                            client_next_id(client, false), &head->from,
                            sizeof(head->from));
    if (kind == CLIENT_WATCHED && head->outcome == PROA_OK) {
        struct proa_watching w = {head->from.slot, head->from.generation};

        client_command_send(client, client->lane, CLIENT_UNWATCH, 0, &w, sizeof(w));
    }
}

bool client_stopped(const struct proa_client *client)
{
    /* relaxed: a flag that guards no other data. */
    return atomic_load_explicit(&client->home->stopped, memory_order_relaxed);
}

/* Looks for the answer to the blocking call id; the record is handed to fn before it goes. */
static bool look(struct proa_client *client, uint32_t id,
                 void (*fn)(void *ctx, const struct client_head *head), void *ctx)
{
    const struct byte_record *record;

    while ((record = byte_ring_peek(client->answers)) != NULL) {
        const struct client_head *head = (const struct client_head *)record->body;
        bool found = head->id == id;

        if (found)
            fn(ctx, head);
        else if (client_is_async(head))
            stash(client, head);
        else
            client_late(client, record->kind, head);
        byte_ring_pop(client->answers);
        if (found)
            return true;
    }
    return false;
}

/* Waits for it, until the moment `until` at the latest. */
bool client_wait_for(struct proa_client *client, uint32_t id, proa_ns until,
                     void (*fn)(void *ctx, const struct client_head *head), void *ctx)
{
    while (!look(client, id, fn, ctx)) {
        if (client_now(client) >= until)
            return look(client, id, fn, ctx);
        client_wait(client, true, until);
    }
    return true;
}

void client_take_plain(void *ctx, const struct client_head *head)
{
    struct client_plain *a = ctx;

    a->outcome = (enum proa_outcome)head->outcome;
    a->ref = head->from;
}
