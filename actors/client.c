/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary thread's half of a client (client_ring.h): its life, its messages, its events. */
#include <stdlib.h>
#include <string.h>

#include "client_request.h"
#include "client_wait.h"

#define OPEN_WAIT (5 * PROA_S) /* for a lane to answer open, or close */
#define SET_RETRY PROA_MS      /* between two looks for a SET that is owed */

static const uint64_t nothing; /* what an empty payload points at */

/* ---- Life ---- */

static void unreserve(struct client_home *home)
{
    /* relaxed: a number only. */
    atomic_fetch_sub_explicit(&home->clients, 1, memory_order_relaxed);
}

static bool reserve(struct client_home *home)
{
    /* relaxed: a number only. */
    if (atomic_fetch_add_explicit(&home->clients, 1, memory_order_relaxed) <
        PROA_CLIENTS_MAX)
        return true;
    unreserve(home);
    return false;
}

static void free_client(struct proa_client *client)
{
    while (client->stash_first != NULL) {
        struct client_stash *s = client->stash_first;

        client->stash_first = s->next;
        free(s);
    }
    free(client->taken);
    free(client->watched);
    if (client->reader >= 0)
        directory_reader_remove(client->home->directory, client->reader);
    doorbell_fini(&client->bell);
    byte_ring_destroy(client->answers);
    byte_ring_destroy(client->tells);
    unreserve(client->home);
    free(client);
}

/* Makes a client for a place reserved; gives the place back when it fails. */

static struct proa_client *make_client(struct client_home *home)
{
    struct proa_client *client = aligned_alloc(PROA_CACHE_LINE, sizeof(*client));
    bool bell;

    if (client == NULL) {
        unreserve(home);
        return NULL;
    }
    memset(client, 0, sizeof(*client));
    client->home = home;
    client->reader = -1;
    /* relaxed: a number only. */
    client->lane = atomic_fetch_add_explicit(&home->next_lane, 1, memory_order_relaxed) %
                   home->lanes;
    client->answers = byte_ring_create(CLIENT_RING_BYTES);
    client->tells = byte_ring_create(CLIENT_RING_BYTES);
    bell = doorbell_init(&client->bell);
    if (client->answers == NULL || client->tells == NULL || !bell) {
        free_client(client);
        return NULL;
    }
    if (home->directory != NULL)
        client->reader = directory_reader_add(home->directory);
    return client;
}

/* Until the lane has let go of the client; false: it did not in time, the memory stays. */
static bool wait_closed(struct proa_client *client)
{
    proa_ns until = client_now(client) + OPEN_WAIT;

    /* O2 acquire, pairs with O1: the lane's last use comes before the free. */
    while (atomic_load_explicit(&client->closed, memory_order_acquire) == 0) {
        if (client_now(client) >= until)
            return false;
        client_pause(client);
    }
    return true;
}

enum proa_outcome client_open(struct client_home *home, struct proa_client **ret)
{
    struct client_plain answer;
    struct proa_client *client;
    enum proa_outcome outcome;

    /* relaxed: a flag that guards no other data. */
    if (atomic_load_explicit(&home->stopped, memory_order_relaxed))
        return PROA_STOPPED;
    if (!reserve(home))
        return PROA_LIMIT;
    client = make_client(home);
    if (client == NULL)
        return PROA_NO_MEMORY;
    outcome = client_command_send(client, client->lane, CLIENT_OPEN, 0, &client,
                                  sizeof(client));
    if (outcome != PROA_OK) {
        free_client(client);
        return PROA_LIMIT;
    }
    if (!client_wait_for(client, 0, client_now(client) + OPEN_WAIT, client_take_plain,
                         &answer))
        return PROA_STOPPED; /* the lane may yet use it: it is left alone */
    if (answer.outcome != PROA_OK) {
        if (wait_closed(client))
            free_client(client);
        return answer.outcome;
    }
    *ret = client;
    return PROA_OK;
}

void proa_client_close(struct proa_client *client)
{
    proa_ns until;

    if (client == NULL)
        return;
    until = client_now(client) + OPEN_WAIT;
    while (client_command_send(client, client->lane, CLIENT_CLOSE, 0, NULL, 0) !=
           PROA_OK) {
        if (client_now(client) >= until)
            return;
        client_pause(client);
    }
    if (wait_closed(client))
        free_client(client);
}

struct proa_ref proa_client_ref(const struct proa_client *client)
{
    return client->ref;
}

/* ---- Messages ---- */

static enum proa_outcome check_msg(const struct proa_client *client, struct proa_ref to,
                                   uint32_t type, const void *data, size_t len)
{
    if (type >= PROA_TYPE_SYSTEM || proa_ref_is_none(to) || (data == NULL && len > 0))
        return PROA_INVALID;
    if (len > PROA_CLIENT_MSG_MAX)
        return PROA_TOO_LARGE;
    return client_stopped(client) ? PROA_STOPPED : PROA_OK;
}

enum proa_outcome proa_client_tell(struct proa_client *client, struct proa_ref to,
                                   uint32_t type, const void *data, size_t len)
{
    struct proa_msg msg = {.data = data, .len = (uint32_t)len, .type = type, .to = to};
    enum proa_outcome outcome = check_msg(client, to, type, data, len);

    return outcome == PROA_OK ? client_push(client, client->lane, &msg) : outcome;
}

static enum proa_outcome ask(struct proa_client *client, uint32_t id, struct proa_ref to,
                             uint32_t type, const void *data, size_t len,
                             proa_ns deadline)
{
    struct proa_msg msg = {.data = data,
                           .len = (uint32_t)len,
                           .type = type,
                           .to = to,
                           .deadline = client_now(client) + deadline,
                           .correlation = id,
                           .flags = PROA_MSG_ASK};
    enum proa_outcome outcome = check_msg(client, to, type, data, len);

    if (outcome != PROA_OK)
        return outcome;
    if (deadline == 0 || deadline > PROA_DEADLINE_MAX)
        return PROA_INVALID;
    return client_push(client, client->lane, &msg);
}

struct ask_answer {
    enum proa_outcome outcome;
    void *buf;
    size_t cap;
    size_t len;
};

static void take_answer(void *ctx, const struct client_head *head)
{
    struct ask_answer *a = ctx;

    a->outcome = (enum proa_outcome)head->outcome;
    a->len = head->len;
    if (a->buf != NULL)
        memcpy(a->buf, head + 1, a->len < a->cap ? a->len : a->cap);
}

enum proa_outcome proa_client_ask(struct proa_client *client, struct proa_ref to,
                                  uint32_t type, const void *data, size_t len,
                                  proa_ns deadline, void *buf, size_t cap,
                                  size_t *ret_len)
{
    struct ask_answer answer = {.outcome = PROA_MAYBE_EXECUTED, .buf = buf, .cap = cap};
    proa_ns until = client_now(client) + deadline;
    uint32_t id = client_next_id(client, false);
    enum proa_outcome outcome = ask(client, id, to, type, data, len, deadline);

    if (outcome != PROA_OK)
        return outcome;
    client_wait_for(client, id, until, take_answer, &answer);
    client_level(client);
    if (ret_len != NULL && answer.outcome == PROA_OK)
        *ret_len = answer.len;
    return answer.outcome;
}

enum proa_outcome proa_client_ask_start(struct proa_client *client, struct proa_ref to,
                                        uint32_t type, const void *data, size_t len,
                                        proa_ns deadline, uint32_t *ret_id)
{
    uint32_t id = client_next_id(client, true);
    enum proa_outcome outcome;

    if (client->async == CLIENT_ASKS_MAX)
        return PROA_LIMIT;
    outcome = ask(client, id, to, type, data, len, deadline);
    if (outcome != PROA_OK)
        return outcome;
    client->async++;
    *ret_id = id;
    return PROA_OK;
}

/* ---- Taking events ---- */

static void fill_event(struct proa_client *client, uint32_t kind,
                       const struct client_head *head, struct proa_client_event *ret)
{
    free(client->taken);
    client->taken = NULL;
    *ret = (struct proa_client_event){.is_answer = kind == CLIENT_ANSWER,
                                      .id = head->id,
                                      .type = head->type,
                                      .outcome = (enum proa_outcome)head->outcome,
                                      .len = head->len,
                                      .data = &nothing,
                                      .from = head->from};
    if (head->len == 0)
        return;
    client->taken = malloc(head->len);
    PROA_ASSERT(client->taken != NULL);
    memcpy(client->taken, head + 1, head->len);
    ret->data = client->taken;
}

static bool take_stash(struct proa_client *client, struct proa_client_event *ret)
{
    struct client_stash *s = client->stash_first;

    if (s == NULL)
        return false;
    fill_event(client, CLIENT_ANSWER, &s->head, ret);
    client->stash_first = s->next;
    if (s->next == NULL)
        client->stash_last = NULL;
    free(s);
    return true;
}

/* A tell, or a change that is news. */
static bool take_told(struct proa_client *client, struct proa_client_event *ret)
{
    const struct byte_record *record;
    bool taken = false;

    while (!taken && (record = byte_ring_peek(client->tells)) != NULL) {
        const struct client_head *head = (const struct client_head *)record->body;

        taken = record->kind != CLIENT_CHANGED;
        if (taken)
            fill_event(client, CLIENT_TOLD, head, ret);
        else
            taken = client_change_take(client, head, ret);
        byte_ring_pop(client->tells);
    }
    return taken || (client->sets_owed > 0 && client_set_take(client, ret));
}

static bool take_now(struct proa_client *client, struct proa_client_event *ret)
{
    const struct byte_record *record;

    if (take_stash(client, ret)) {
        client->async--;
        return true;
    }
    while ((record = byte_ring_peek(client->answers)) != NULL) {
        const struct client_head *head = (const struct client_head *)record->body;
        bool async = client_is_async(head);

        if (async)
            fill_event(client, CLIENT_ANSWER, head, ret);
        else
            client_late(client, record->kind, head);
        byte_ring_pop(client->answers);
        if (async) {
            client->async--;
            return true;
        }
    }
    return take_told(client, ret);
}

/* Nobody rings when a SET that is owed can be read. */
static proa_ns next_look(const struct proa_client *client, proa_ns until)
{
    proa_ns soon = client_now(client) + SET_RETRY;

    return client->sets_owed > 0 && soon < until ? soon : until;
}

enum proa_outcome proa_client_take(struct proa_client *client, proa_ns wait,
                                   struct proa_client_event *ret)
{
    proa_ns until = client_now(client) + wait;
    bool taken = take_now(client, ret);

    while (!taken && client_now(client) < until) {
        client_wait(client, false, next_look(client, until));
        taken = take_now(client, ret);
    }
    client_level(client);
    return taken ? PROA_OK : PROA_TIMEOUT;
}

int proa_client_fd(const struct proa_client *client)
{
    /* The caller means to wait on it: from now on it is kept true to its word. */
    struct proa_client *c = (struct proa_client *)(uintptr_t)client;

    c->fd_used = true;
    client_level(c);
    return c->bell.fd;
}
