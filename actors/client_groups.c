/* SPDX-License-Identifier: Apache-2.0 */
/* A client's calls about groups, and what it watches (client.h).

   The home lane sends the changes of a watch as records, in order; the client reads a SET's members
   itself, in the directory, when it takes the SET, and skips the changes that these have
   (watching.h has the argument, in which the client stands for the actor). */
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "client_request.h"
#include "client_wait.h"
#include "mix.h"
#include "multicast.h"
#include "punt.h"
#include "utf8.h"
#include "watching.h"

#define LANE_WAIT (1 * PROA_S) /* for the home lane */

/* One watch of the client's. */
struct client_watched {
    struct proa_watching id; /* the lane's number of it */
    uint64_t told;           /* changes up to here were told */
    uint64_t need;           /* owes_set: what the set must have */
    uint8_t what, len;
    bool
        owes_set; /* one came, but could not be read yet; changes are not told before it */
    char name[PROA_NAME_MAX + 1];
};

static bool name_ok(const char *name, uint32_t *ret_len)
{
    size_t len = name != NULL ? strnlen(name, PROA_NAME_MAX + 1) : 0;

    *ret_len = (uint32_t)len;
    return len > 0 && len <= PROA_NAME_MAX;
}

/* ---- Reading ---- */

static bool read_begin(struct proa_client *client)
{
    if (client->reader < 0)
        return false;
    directory_online(client->home->directory, client->reader);
    return true;
}

static void read_end(struct proa_client *client)
{
    directory_offline(client->home->directory, client->reader);
}

enum proa_outcome proa_client_lookup_all(struct proa_client *client, const char *group,
                                         const char *type_name, unsigned flags,
                                         struct proa_ref *refs, uint32_t max,
                                         struct proa_members *ret)
{
    struct proa_members unused;
    enum proa_outcome outcome;
    uint32_t len;

    ret = ret != NULL ? ret : &unused;
    *ret = (struct proa_members){0, 0};
    if (!name_ok(group, &len) || (refs == NULL && max > 0) ||
        (flags & ~PROA_ALL_UNREACHABLE) != 0)
        return PROA_INVALID;
    if (!read_begin(client))
        return PROA_UNKNOWN;
    outcome = directory_members(client->home->directory, group, len,
                                behaviour_type_id(type_name), flags, client_now(client),
                                refs, max, ret);
    read_end(client);
    return outcome;
}

enum proa_outcome proa_client_route(struct proa_client *client, const char *group,
                                    enum proa_policy policy, uint64_t key,
                                    struct proa_ref *ret_ref)
{
    enum proa_outcome outcome;
    uint32_t len;

    if (!name_ok(group, &len) || (unsigned)policy > PROA_ROUTE_IDLE_FIRST)
        return PROA_INVALID;
    if (!read_begin(client))
        return PROA_UNKNOWN;
    if (client->route.random == 0)
        client->route.random =
            mix64((uint64_t)client->ref.generation << 32 | client->ref.slot) | 1;
    outcome = directory_route(client->home->directory, group, len, policy, key,
                              client_now(client), &client->route, ret_ref);
    read_end(client);
    return outcome;
}

enum proa_outcome proa_client_find_group(struct proa_client *client, const char *group,
                                         proa_ns deadline, struct proa_ref *ret_ref)
{
    struct punt_name call = {.op = PUNT_FIND_GROUP};
    enum proa_outcome outcome;
    uint32_t len;

    if (!name_ok(group, &len) || deadline == 0 || deadline > PROA_DEADLINE_MAX)
        return PROA_INVALID;
    if (client_stopped(client))
        return PROA_STOPPED;
    outcome =
        client_call_name(client, &call, group, client_now(client) + deadline, ret_ref);
    return outcome == PROA_TIMEOUT ? PROA_UNKNOWN : outcome;
}

/* ---- Telling all ---- */

struct cast_answer {
    enum proa_outcome outcome;
    uint32_t members;
};

static void take_cast(void *ctx, const struct client_head *head)
{
    *(struct cast_answer *)ctx =
        (struct cast_answer){(enum proa_outcome)head->outcome, head->type};
}

enum proa_outcome proa_client_multicast(struct proa_client *client, const char *group,
                                        uint32_t type, const void *data, size_t len,
                                        uint32_t *ret_members)
{
    struct client_multicast call = {.type = type, .len = (uint32_t)len};
    struct cast_answer answer = {.outcome = PROA_TIMEOUT};
    uint8_t body[sizeof(call) + PROA_NAME_MAX + 1 + PROA_MULTICAST_MAX] = {0};
    uint32_t id = client_next_id(client, false), room;
    enum proa_outcome outcome;

    if (ret_members != NULL)
        *ret_members = 0;
    if (!name_ok(group, &call.group_len) || type >= PROA_TYPE_SYSTEM ||
        (data == NULL && len > 0))
        return PROA_INVALID;
    if (len > PROA_MULTICAST_MAX)
        return PROA_TOO_LARGE;
    if (client_stopped(client))
        return PROA_STOPPED;
    room = (call.group_len + 7) & ~7u;
    memcpy(body, &call, sizeof(call));
    memcpy(body + sizeof(call), group, call.group_len);
    if (len > 0)
        memcpy(body + sizeof(call) + room, data, len);
    outcome = client_command_send(client, client->lane, CLIENT_MULTICAST, id, body,
                                  sizeof(call) + room + len);
    if (outcome != PROA_OK)
        return outcome;
    client_wait_for(client, id, client_now(client) + LANE_WAIT, take_cast, &answer);
    client_level(client);
    if (ret_members != NULL)
        *ret_members = answer.members;
    return answer.outcome;
}

/* ---- Watching ---- */

static enum proa_outcome room_for_one(struct proa_client *client)
{
    if (client->watched == NULL)
        client->watched = calloc(PROA_CLIENT_WATCHES_MAX, sizeof(*client->watched));
    return client->watched != NULL && client->watched_count < PROA_CLIENT_WATCHES_MAX
               ? PROA_OK
               : PROA_LIMIT;
}

static enum proa_outcome request_watch(struct proa_client *client,
                                       enum proa_watch_what what, const char *name,
                                       uint32_t len, struct proa_watching *ret)
{
    struct client_watch call = {(uint32_t)what, len};
    struct client_plain answer = {.outcome = PROA_TIMEOUT};
    uint8_t body[sizeof(call) + PROA_NAME_MAX];
    uint32_t id = client_next_id(client, false);
    enum proa_outcome outcome;

    memcpy(body, &call, sizeof(call));
    if (len > 0)
        memcpy(body + sizeof(call), name, len);
    outcome = client_command_send(client, client->lane, CLIENT_WATCH, id, body,
                                  sizeof(call) + len);
    if (outcome != PROA_OK)
        return outcome;
    client_wait_for(client, id, client_now(client) + LANE_WAIT, client_take_plain,
                    &answer);
    client_level(client);
    *ret = (struct proa_watching){answer.ref.slot, answer.ref.generation};
    return answer.outcome;
}

enum proa_outcome proa_client_watch(struct proa_client *client, enum proa_watch_what what,
                                    const char *name, struct proa_watching *ret_watching)
{
    struct proa_watching id = {0, 0};
    enum proa_outcome outcome;
    uint32_t len = 0;

    if (ret_watching == NULL || (unsigned)what > PROA_WATCH_ALL ||
        (what != PROA_WATCH_ALL && (!name_ok(name, &len) || !utf8_valid(name, len))))
        return PROA_INVALID;
    if (client_stopped(client))
        return PROA_STOPPED;
    outcome = room_for_one(client);
    if (outcome == PROA_OK && what == PROA_WATCH_GROUP && client->reader < 0)
        outcome = PROA_LIMIT; /* the directory has no place for one more reader */
    if (outcome == PROA_OK)
        outcome = request_watch(client, what, name, len, &id);
    if (outcome != PROA_OK)
        return outcome;
    struct client_watched *w = &client->watched[client->watched_count++];
    *w = (struct client_watched){.id = id, .what = (uint8_t)what, .len = (uint8_t)len};
    if (len > 0)
        memcpy(w->name, name, len);
    *ret_watching = id;
    return PROA_OK;
}

static struct client_watched *find(struct proa_client *client, uint32_t index,
                                   uint32_t serial)
{
    for (uint32_t i = 0; i < client->watched_count; i++) {
        struct client_watched *w = &client->watched[i];

        if (w->id.index == index && w->id.serial == serial)
            return w;
    }
    return NULL;
}

bool proa_client_unwatch(struct proa_client *client, struct proa_watching watching)
{
    struct client_watched *w = find(client, watching.index, watching.serial);
    proa_ns until = client_now(client) + LANE_WAIT;

    if (w == NULL)
        return false;
    client->sets_owed -= w->owes_set;
    *w = client->watched[--client->watched_count];
    /* If the lane's inbox stays full, the watch goes on there, unheard, until the client is closed. */
    while (client_command_send(client, client->lane, CLIENT_UNWATCH, 0, &watching,
                               sizeof(watching)) != PROA_OK &&
           client_now(client) < until)
        client_pause(client);
    return true;
}

/* ---- Changes ---- */

static void *set_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void set_free(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static void change_begin(struct proa_client *client, const struct client_watched *w,
                         const struct changed *c, const char *name,
                         struct proa_client_event *ret)
{
    static const uint64_t nothing;

    free(client->taken);
    client->taken = NULL;
    strcpy(client->change_name, name);
    client->change = (struct proa_change){.kind = c->kind,
                                          .is_group = c->is_group != 0,
                                          .name = client->change_name,
                                          .watching = w->id,
                                          .version = c->version,
                                          .ref = c->ref};
    *ret = (struct proa_client_event){.data = &nothing, .change = &client->change};
}

/* Takes the SET of a group's members that is owed.  False: it cannot be read yet. */
static bool take_members(struct proa_client *client, struct client_watched *w,
                         struct proa_client_event *ret)
{
    struct changed c = {.kind = PROA_CHANGE_SET, .is_group = 1};
    struct proa_members members;
    struct proa_ref *refs;
    bool taken;

    if (!read_begin(client))
        return false;
    taken =
        watching_read_set(client->home->directory, w->name, w->len, w->need,
                          client_now(client), set_alloc, set_free, NULL, &refs, &members);
    read_end(client);
    if (!taken)
        return false;
    c.version = members.version;
    change_begin(client, w, &c, w->name, ret);
    client->taken = refs;
    client->change.refs = refs;
    client->change.count = members.count;
    client->sets_owed--;
    w->owes_set = false;
    w->told = members.version;
    return true;
}

bool client_set_take(struct proa_client *client, struct proa_client_event *ret)
{
    for (uint32_t i = 0; client->sets_owed > 0 && i < client->watched_count; i++)
        if (client->watched[i].owes_set && take_members(client, &client->watched[i], ret))
            return true;
    return false;
}

static bool take_group(struct proa_client *client, struct client_watched *w,
                       const struct changed *c, struct proa_client_event *ret)
{
    if (c->kind == PROA_CHANGE_SET && !w->owes_set) {
        w->owes_set = true;
        client->sets_owed++;
    }
    if (w->owes_set) {
        w->need = c->version;
        return take_members(client, w, ret);
    }
    if (c->version <= w->told)
        return false;
    change_begin(client, w, c, w->name, ret);
    w->told = c->version;
    return true;
}

bool client_change_take(struct proa_client *client, const struct client_head *head,
                        struct proa_client_event *ret)
{
    const char *text = (const char *)(head + 1);
    struct proa_change *change = &client->change;
    struct client_watched *w;
    struct changed c;

    memcpy(&c, text, sizeof(c));
    w = find(client, c.index, c.serial);
    if (w == NULL)
        return false;
    if (w->what == PROA_WATCH_GROUP)
        return take_group(client, w, &c, ret);
    if (c.kind != PROA_CHANGE_SET && w->what == PROA_WATCH_NAME && c.version <= w->told)
        return false;
    change_begin(client, w, &c, w->what == PROA_WATCH_ALL ? text + sizeof(c) : w->name,
                 ret);
    w->told = c.version;
    if (c.kind == PROA_CHANGE_SET && !proa_ref_is_none(c.ref)) { /* a name's holder */
        change->refs = &change->ref;
        change->count = 1;
    }
    return true;
}
