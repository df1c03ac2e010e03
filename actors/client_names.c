/* SPDX-License-Identifier: Apache-2.0 */
/* A client's calls about names and actors (client.h). */
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "client_request.h"
#include "client_wait.h"
#include "punt.h"

#define STOP_WAIT (1 * PROA_S) /* for a lane to say what became of a stop */

/* ---- Names ---- */

enum proa_outcome client_call_name(struct proa_client *client, struct punt_name *call,
                                   const char *name, proa_ns until,
                                   struct proa_ref *ret_ref)
{
    struct client_plain answer = {.outcome = PROA_TIMEOUT};
    uint8_t body[sizeof(*call) + PROA_NAME_MAX];
    uint32_t id = client_next_id(client, false);
    enum proa_outcome outcome;

    call->len = (uint32_t)strnlen(name, PROA_NAME_MAX + 1);
    call->deadline = until;
    memcpy(body, call, sizeof(*call));
    memcpy(body + sizeof(*call), name, call->len);
    outcome = client_command_send(client, client->lane, CLIENT_NAME, id, body,
                                  sizeof(*call) + call->len);
    if (outcome != PROA_OK)
        return outcome;
    client_wait_for(client, id, until, client_take_plain, &answer);
    client_level(client);
    if (ret_ref != NULL &&
        (answer.outcome == PROA_OK || answer.outcome == PROA_WRONG_TYPE))
        *ret_ref = answer.ref;
    return answer.outcome;
}

static bool name_ok(const char *name)
{
    size_t len = name != NULL ? strnlen(name, PROA_NAME_MAX + 1) : 0;

    return len > 0 && len <= PROA_NAME_MAX;
}

/* What the directory knows already. */
static enum proa_outcome read_directory(struct proa_client *client, const char *name,
                                        uint32_t type, struct proa_ref *ret_ref)
{
    struct directory *dir = client->home->directory;
    enum proa_outcome outcome;

    if (client->reader < 0)
        return PROA_UNKNOWN;
    directory_online(dir, client->reader);
    outcome =
        directory_lookup(dir, name, strlen(name), type, client_now(client), ret_ref);
    directory_offline(dir, client->reader);
    return outcome;
}

static enum proa_outcome lookup(struct proa_client *client, enum punt_name_op op,
                                const char *name, const char *type_name, proa_ns deadline,
                                struct proa_ref *ret_ref)
{
    struct punt_name call = {.op = op, .type = behaviour_type_id(type_name)};
    enum proa_outcome outcome;

    if (!name_ok(name) || deadline == 0 || deadline > PROA_DEADLINE_MAX)
        return PROA_INVALID;
    if (client_stopped(client))
        return PROA_STOPPED;
    if (read_directory(client, name, call.type, ret_ref) == PROA_OK)
        return PROA_OK;
    outcome =
        client_call_name(client, &call, name, client_now(client) + deadline, ret_ref);
    if (outcome == PROA_TIMEOUT)
        outcome = op == PUNT_LOOKUP_WAIT ? PROA_NOT_FOUND : PROA_UNKNOWN;
    return outcome;
}

enum proa_outcome proa_client_lookup(struct proa_client *client, const char *name,
                                     const char *type_name, proa_ns deadline,
                                     struct proa_ref *ret_ref)
{
    return lookup(client, PUNT_LOOKUP_NOW, name, type_name, deadline, ret_ref);
}

enum proa_outcome proa_client_lookup_wait(struct proa_client *client, const char *name,
                                          const char *type_name, proa_ns deadline,
                                          struct proa_ref *ret_ref)
{
    return lookup(client, PUNT_LOOKUP_WAIT, name, type_name, deadline, ret_ref);
}

/* ---- Actors ---- */

enum proa_outcome proa_client_stop_actor(struct proa_client *client, struct proa_ref to)
{
    struct client_plain answer = {.outcome = PROA_AGAIN};
    uint32_t id = client_next_id(client, false);
    enum proa_outcome outcome;

    if (proa_ref_is_none(to))
        return PROA_NO_SUCH_ACTOR;
    outcome = client_command_send(client, client->lane, CLIENT_STOP, id, &to, sizeof(to));
    if (outcome != PROA_OK)
        return outcome;
    client_wait_for(client, id, client_now(client) + STOP_WAIT, client_take_plain,
                    &answer);
    client_level(client);
    return answer.outcome;
}

static enum proa_outcome request_spawn(struct proa_client *client, uint32_t lane,
                                       const struct client_spawn *spawn, const void *arg,
                                       proa_ns until, struct proa_ref *ret_ref)
{
    struct client_plain answer = {.outcome = PROA_TIMEOUT};
    uint32_t id = client_next_id(client, false);
    size_t len = sizeof(*spawn) + spawn->arg_len;
    uint8_t *body = malloc(len);
    enum proa_outcome outcome;

    if (body == NULL)
        return PROA_LIMIT;
    memcpy(body, spawn, sizeof(*spawn));
    if (spawn->arg_len > 0)
        memcpy(body + sizeof(*spawn), arg, spawn->arg_len);
    outcome = client_command_send(client, lane, CLIENT_SPAWN, id, body, len);
    free(body);
    if (outcome != PROA_OK)
        return outcome;
    client_wait_for(client, id, until, client_take_plain, &answer);
    client_level(client);
    *ret_ref = answer.ref;
    return answer.outcome;
}

enum proa_outcome proa_client_spawn(struct proa_client *client, uint32_t lane,
                                    const struct proa_behaviour *behaviour,
                                    const void *arg, size_t arg_len, const char *name,
                                    proa_ns deadline, struct proa_ref *ret_ref)
{
    struct client_spawn spawn = {behaviour, (uint32_t)arg_len, name != NULL};
    struct punt_name call = {.op = PUNT_REGISTER};
    proa_ns until = client_now(client) + deadline;
    enum proa_outcome outcome;
    struct proa_ref ref;

    if (lane >= client->home->lanes || !behaviour_check(behaviour) || deadline == 0 ||
        deadline > PROA_DEADLINE_MAX || (name != NULL && !name_ok(name)) ||
        (arg == NULL && arg_len > 0) || arg_len > PROA_CLIENT_MSG_MAX - sizeof(spawn))
        return PROA_INVALID;
    if (client_stopped(client))
        return PROA_STOPPED;
    outcome = request_spawn(client, lane, &spawn, arg, until, &ref);
    if (outcome != PROA_OK)
        return outcome;
    if (name != NULL) {
        call.slot = ref.slot;
        call.generation = ref.generation;
        call.type = behaviour_type_id(behaviour->type_name);
        outcome = client_call_name(client, &call, name, until, NULL);
        if (outcome != PROA_OK) {
            proa_client_stop_actor(client, ref);
            return outcome;
        }
    }
    *ret_ref = ref;
    return PROA_OK;
}
