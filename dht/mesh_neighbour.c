/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include "record.h"

#include <string.h>

static bool same_addr(const struct proa_addr *a, const struct proa_addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static struct mesh_neighbour *find(struct mesh *mesh, const struct proa_addr *addr)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++)
        if (mesh->neighbours[i].used && same_addr(&mesh->neighbours[i].addr, addr))
            return &mesh->neighbours[i];
    return NULL;
}

/* A place for another: one that is free, or one whose node is linked, which needs no looking for. */
static struct mesh_neighbour *place(struct mesh *mesh)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++)
        if (!mesh->neighbours[i].used)
            return &mesh->neighbours[i];
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++)
        if (mesh_is_linked(mesh, mesh->neighbours[i].node))
            return &mesh->neighbours[i];
    return NULL;
}

static void ask_who(struct mesh *mesh, struct mesh_neighbour *neighbour)
{
    neighbour->resolve = true;
    mesh->resolves = true;
    mesh->resolve_at = 0;
    neighbour->next = mesh->now + MESH_HELLO_EVERY;
    mesh_arm(mesh, neighbour->next);
}

static bool is_cut(const struct mesh *mesh, const struct mesh_neighbour *neighbour)
{
    const struct mesh_node *node =
        neighbour->node != 0 ? mesh_find(mesh, neighbour->node) : NULL;

    return node != NULL && node->state == MESH_CUT;
}

enum mesh_result mesh_add(struct mesh *mesh, const struct proa_addr *addr, proa_ns now)
{
    mesh_set_now(mesh, now);
    if (!record_endpoint_is_valid(addr))
        return MESH_E_UNKNOWN;
    if (same_addr(addr, &mesh->address))
        return MESH_E_OWN;
    struct mesh_neighbour *neighbour = find(mesh, addr);
    struct mesh_node *node = mesh_find_addr(mesh, addr, NULL);
    while (node != NULL && !(mesh_node_linked(node) && node->proved))
        node = mesh_find_addr(mesh, addr, node);
    bool known = node != NULL || (neighbour != NULL && !is_cut(mesh, neighbour));
    if (neighbour == NULL) {
        neighbour = place(mesh);
        if (!known && (neighbour == NULL || mesh_is_full(mesh)))
            return MESH_E_FULL;
        if (neighbour == NULL)
            return MESH_E_KNOWN;
        *neighbour = (struct mesh_neighbour){.addr = *addr,
                                             .node = node != NULL ? node->node : 0,
                                             .met = node != NULL,
                                             .since = mesh->now,
                                             .next = PROA_NS_NEVER,
                                             .used = true};
    }
    if (is_cut(mesh, neighbour))
        neighbour->node = 0; /* who is found there is called again */
    if (node == NULL)
        ask_who(mesh, neighbour);
    return known ? MESH_E_KNOWN : MESH_OK;
}

enum mesh_result mesh_forget(struct mesh *mesh, const struct proa_addr *addr)
{
    struct mesh_neighbour *neighbour = find(mesh, addr);

    if (neighbour == NULL)
        return MESH_E_UNKNOWN;
    neighbour->used = false;
    return MESH_OK;
}

bool mesh_neighbours_met(struct mesh *mesh, const struct proa_addr *addr, uint64_t node)
{
    struct mesh_neighbour *neighbour = find(mesh, addr);

    if (neighbour == NULL || neighbour->node == node ||
        mesh_is_linked(mesh, neighbour->node))
        return false;
    neighbour->node = node;
    neighbour->met = true;
    if (node == mesh->node) {
        const struct mesh_node self = {.node = node, .addr = *addr};

        neighbour->used = false;
        mesh_tell(mesh, MESH_REFUSED, &self);
    }
    return true;
}

void mesh_neighbours_lose(struct mesh *mesh, uint64_t node, bool gone)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++) {
        struct mesh_neighbour *neighbour = &mesh->neighbours[i];

        if (!neighbour->used || neighbour->node != node)
            continue;
        if (gone)
            neighbour->node = 0;
        neighbour->since = mesh->now;
        neighbour->next = mesh->now + MESH_HELLO_EVERY;
        mesh_arm(mesh, neighbour->next);
    }
}

void mesh_neighbours_drop(struct mesh *mesh, uint64_t node)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++)
        if (mesh->neighbours[i].node == node)
            mesh->neighbours[i].used = false;
}

bool mesh_neighbours_named(const struct mesh *mesh, uint64_t node)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++)
        if (mesh->neighbours[i].used && mesh->neighbours[i].node == node)
            return true;
    return false;
}

bool mesh_neighbours_wait(const struct mesh *mesh)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++) {
        const struct mesh_neighbour *neighbour = &mesh->neighbours[i];

        if (neighbour->used && !neighbour->met &&
            mesh->now - neighbour->since < MESH_TOLD_AFTER)
            return true;
    }
    return false;
}

/* Looks after one that is not linked. */
static void look_for(struct mesh *mesh, struct mesh_neighbour *neighbour)
{
    bool was_told = neighbour->told != 0 && mesh->now - neighbour->told < MESH_TOLD_EVERY;

    if (mesh->now - neighbour->since >= MESH_TOLD_AFTER && !was_told) {
        neighbour->unreachable = true;
        neighbour->told = mesh->now;
        mesh->resolves = true;
        mesh->resolve_at = 0;
    }
    neighbour->next = mesh->now + MESH_HELLO_EVERY;
    if (neighbour->node == 0)
        ask_who(mesh, neighbour);
}

void mesh_neighbours_tick(struct mesh *mesh)
{
    for (unsigned i = 0; i < MESH_NEIGHBOURS; i++) {
        struct mesh_neighbour *neighbour = &mesh->neighbours[i];

        if (!neighbour->used)
            continue;
        if (mesh->now >= neighbour->next) {
            const struct mesh_node *node =
                neighbour->node != 0 ? mesh_find(mesh, neighbour->node) : NULL;

            if (neighbour->node != 0 && node == NULL)
                neighbour->node = 0;
            if (node != NULL && (mesh_node_linked(node) || node->state == MESH_TOO_MANY))
                neighbour->next = PROA_NS_NEVER;
            else if (node != NULL && node->state == MESH_CUT) {
                ask_who(mesh, neighbour); /* another life may be there one day */
                neighbour->next = mesh->now + MESH_REFUSED_EVERY;
            } else
                look_for(mesh, neighbour);
        }
        mesh_arm(mesh, neighbour->next);
    }
}
