/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <string.h>

#define MESSAGE_EVENTS (MESH_FAN * MESH_LEAF + 64) /* that one message makes, at most */

bool mesh_has_room(const struct mesh *mesh)
{
    return !mesh->has_payload && MESH_QUEUE - mesh->queue_count >= MESSAGE_EVENTS;
}

static struct mesh_queued *append(struct mesh *mesh, enum mesh_event_kind kind)
{
    PROA_ASSERT(mesh->queue_count < MESH_QUEUE);
    if (mesh->queue_count == 0)
        mesh->queue_first = 0; /* an idle mesh touches little of it */
    uint32_t at = (mesh->queue_first + mesh->queue_count++) % MESH_QUEUE;
    struct mesh_queued *queued = &mesh->queue[at];

    memset(queued, 0, sizeof(*queued));
    queued->kind = (uint8_t)kind;
    return queued;
}

void mesh_tell(struct mesh *mesh, enum mesh_event_kind kind, const struct mesh_node *node)
{
    struct mesh_queued *queued = append(mesh, kind);

    queued->node = node->node;
    queued->addr = node->addr;
}

void mesh_tell_entry(struct mesh *mesh, enum mesh_event_kind kind, uint64_t node,
                     struct mesh_item *now, struct mesh_item *was)
{
    struct mesh_queued *queued = append(mesh, kind);

    queued->node = node;
    queued->now = now;
    queued->was = was;
}

static void take_queued(struct mesh *mesh, struct mesh_event *ret)
{
    const struct mesh_queued *queued = &mesh->queue[mesh->queue_first];

    mesh->queue_first = (mesh->queue_first + 1) % MESH_QUEUE;
    mesh->queue_count--;
    ret->kind = (enum mesh_event_kind)queued->kind;
    ret->node = queued->node;
    ret->addr = queued->addr;
    if (queued->now != NULL) {
        mesh_entry_copy(&mesh->event_now, &queued->now->entry);
        ret->entry = &mesh->event_now;
    }
    if (queued->was != NULL) {
        mesh_entry_copy(&mesh->event_was, &queued->was->entry);
        if (ret->kind == MESH_REMOVED)
            ret->entry = &mesh->event_was;
        else
            ret->was = &mesh->event_was;
        mesh_item_free(mesh, queued->was);
    }
}

/* The next entry of a node that is no longer linked.  After a partition it may be a million of them:
   the rest waits for the next tick, which is due now. */
static bool take_dropped(struct mesh *mesh, struct mesh_event *ret)
{
    while (mesh->dropping > 0) {
        if (mesh->dropped == MESH_DROPS) {
            mesh_arm(mesh, mesh->now);
            return false;
        }
        if (mesh->dropping_at >= mesh->node_high)
            mesh->dropping_at = 0;
        struct mesh_node *node = &mesh->nodes[mesh->dropping_at];
        struct mesh_item *item =
            node->used && node->dropping ? mesh_set_take(mesh, &node->set) : NULL;

        if (item != NULL) {
            if (item->entry.kind == MESH_NAME)
                mesh_names_remove(mesh, item);
            mesh->entries--;
            mesh->dropped++;
            mesh_entry_copy(&mesh->event_was, &item->entry);
            mesh_item_free(mesh, item);
            ret->kind = MESH_REMOVED;
            ret->node = node->node;
            ret->entry = &mesh->event_was;
            return true;
        }
        if (node->used && node->dropping) {
            node->dropping = false;
            mesh->dropping--;
        }
        mesh->dropping_at++;
    }
    return false;
}

static bool take_neighbour(struct mesh *mesh, struct mesh_event *ret)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++) {
        struct mesh_neighbour *neighbour = &mesh->neighbours[i];

        if (!neighbour->used || (!neighbour->resolve && !neighbour->unreachable))
            continue;
        ret->kind = neighbour->resolve ? MESH_RESOLVE : MESH_UNREACHABLE;
        ret->addr = neighbour->addr;
        ret->node = neighbour->node;
        if (neighbour->resolve)
            neighbour->resolve = false;
        else
            neighbour->unreachable = false;
        return true;
    }
    return false;
}

static bool take_resolve(struct mesh *mesh, struct mesh_event *ret)
{
    if (!mesh->resolves)
        return false;
    if (take_neighbour(mesh, ret))
        return true;
    for (; mesh->resolve_at < mesh->node_high; mesh->resolve_at++) {
        struct mesh_node *node = &mesh->nodes[mesh->resolve_at];

        if (!node->used || !node->resolve)
            continue;
        node->resolve = false;
        ret->kind = MESH_RESOLVE;
        ret->addr = node->addr;
        ret->node = node->node;
        return true;
    }
    mesh->resolve_at = 0;
    mesh->resolves = false;
    return false;
}

bool mesh_event(struct mesh *mesh, struct mesh_event *ret_event)
{
    memset(ret_event, 0, sizeof(*ret_event));
    if (mesh->queue_count > 0) {
        take_queued(mesh, ret_event);
        return true;
    }
    if (take_dropped(mesh, ret_event))
        return true;
    if (mesh->has_payload) {
        *ret_event = mesh->payload;
        mesh->has_payload = false;
        return true;
    }
    return take_resolve(mesh, ret_event);
}

void mesh_events_fini(struct mesh *mesh)
{
    for (; mesh->queue_count > 0; mesh->queue_count--) {
        mesh_item_free(mesh, mesh->queue[mesh->queue_first].was);
        mesh->queue_first = (mesh->queue_first + 1) % MESH_QUEUE;
    }
}

bool mesh_is_dropping(const struct mesh *mesh)
{
    return mesh->dropping > 0;
}
