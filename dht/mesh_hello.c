/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <string.h>

#define OFTEN (30 * PROA_S) /* so long a node is tried each second */
#define LOST_SELDOM (3600 * PROA_S)

bool mesh_is_full(const struct mesh *mesh)
{
    return mesh->link_count + 1 >= mesh->nodes_max;
}

static void set_due(struct mesh *mesh, struct mesh_node *node, proa_ns wait)
{
    node->due = mesh->now + kad_random_jitter(&mesh->random, wait);
    mesh_arm(mesh, node->due);
}

static void ask_who(struct mesh *mesh, struct mesh_node *node)
{
    node->resolve = true;
    mesh->resolves = true;
    mesh->resolve_at = 0;
}

/* ---- Calling ---- */

/* The node is alive and is to be linked. */
void mesh_call(struct mesh *mesh, struct mesh_node *node)
{
    mesh_node_state(mesh, node, MESH_CALLING, true);
    node->called = mesh->now;
    set_due(mesh, node, MESH_HELLO_EVERY);
    mesh_work(mesh, node, MESH_WORK_HELLO);
}

static void refuse(struct mesh *mesh, struct mesh_node *node)
{
    if (node->state == MESH_TOO_MANY)
        return;
    mesh_node_unlink(mesh, node, MESH_TOO_MANY);
    set_due(mesh, node, MESH_REFUSED_EVERY);
    mesh_tell(mesh, MESH_REFUSED, node);
}

/* A node that was not linked was heard. */
void mesh_meet(struct mesh *mesh, struct mesh_node *node)
{
    if (mesh->leaving || node->gone || node->dropping)
        return;
    if (node->state == MESH_CALLING && node->met &&
        mesh->now - node->called >= MESH_HELLO_EVERY) /* its HELLO may be seldom by now */
        mesh_call(mesh, node);
    if (node->state != MESH_LOST && (node->state != MESH_CALLING || node->met))
        return;
    if (mesh_is_full(mesh))
        refuse(mesh, node);
    else
        mesh_call(mesh, node);
}

/* What a node is told that may not link, at most once a second. */
void mesh_turn_away(struct mesh *mesh, struct mesh_node *node, uint32_t work)
{
    if (node->told != 0 && mesh->now - node->told < MESH_HELLO_EVERY)
        return;
    node->told = mesh->now;
    mesh_work(mesh, node, work);
}

/* Node `claims` to be reached at addr.  False: so does another that lives.  Lost ones that were there
   are gone, since another answers in their place. */
static bool take_over(struct mesh *mesh, const struct proa_addr *addr, uint64_t claims)
{
    struct mesh_node *next, *at = mesh_find_addr(mesh, addr, NULL);

    for (; at != NULL; at = next) {
        next = mesh_find_addr(mesh, addr, at);
        if (at->node == claims || at->gone || at->state == MESH_CUT)
            continue;
        if (at->state != MESH_LOST && at->met)
            return false;
        mesh_node_gone(mesh, at);
    }
    return true;
}

void mesh_met(struct mesh *mesh, const struct kad_id *id, const struct proa_addr *addr,
              proa_ns now)
{
    uint64_t number = kad_id_node64(id);
    struct mesh_node *node = mesh_find(mesh, number);

    mesh->now = now;
    bool named = mesh_neighbours_met(mesh, addr, number);
    if (number == mesh->node || mesh->leaving)
        return;
    if (node == NULL) {
        if (!take_over(mesh, addr, number)) {
            mesh->stats.conflicts++;
            return;
        }
        node = mesh_node_new(mesh, id, addr, false);
        if (node == NULL)
            return;
        if (mesh_is_full(mesh))
            refuse(mesh, node);
        else
            mesh_call(mesh, node);
    } else if (named && node->state == MESH_CUT && !node->dropping) {
        node->back = true;
        mesh_call(mesh, node);
    } else {
        mesh_meet(mesh, node);
    }
}

void mesh_down(struct mesh *mesh, uint64_t number, bool gone, proa_ns now)
{
    struct mesh_node *node = mesh_find(mesh, number);

    mesh->now = now;
    if (node == NULL || node->gone)
        return;
    if (gone) {
        mesh_node_gone(mesh, node);
        return;
    }
    if (node->state == MESH_CUT || node->state == MESH_LOST || !node->met)
        return;
    mesh_node_unlink(mesh, node, MESH_LOST);
    mesh_neighbours_lose(mesh, number, false);
    set_due(mesh, node, MESH_HELLO_EVERY);
}

enum mesh_result mesh_remove(struct mesh *mesh, uint64_t number, proa_ns now)
{
    struct mesh_node *node = mesh_find(mesh, number);

    mesh->now = now;
    if (node == NULL || node->gone)
        return MESH_E_UNKNOWN;
    if (node->met && node->state != MESH_LOST)
        mesh_work(mesh, node, MESH_WORK_CUT);
    mesh_on_cut(mesh, node);
    return MESH_OK;
}

/* ---- Trying again ---- */

static void lost_due(struct mesh *mesh, struct mesh_node *node)
{
    proa_ns age = mesh->now - node->since;

    if (age >= MESH_LOST_LIFE) {
        mesh_node_gone(mesh, node);
        return;
    }
    ask_who(mesh, node);
    set_due(mesh, node,
            age < OFTEN         ? MESH_HELLO_EVERY
            : age < LOST_SELDOM ? 2 * MESH_HELLO_EVERY
                                : 30 * MESH_HELLO_EVERY);
}

static void calling_due(struct mesh *mesh, struct mesh_node *node)
{
    if (!node->met && mesh->now - node->since >= MESH_UNMET_LIFE) {
        mesh_node_free(mesh, node);
        return;
    }
    if (node->met)
        mesh_work(mesh, node, MESH_WORK_HELLO);
    else
        ask_who(mesh, node);
    node->called = mesh->now;
    set_due(mesh, node,
            mesh->now - node->since < OFTEN ? MESH_HELLO_EVERY : MESH_HELLO_SELDOM);
}

void mesh_node_due(struct mesh *mesh, struct mesh_node *node)
{
    if (node->dropping)
        set_due(mesh, node, MESH_HELLO_EVERY);
    else if (node->gone)
        mesh_node_free(mesh, node);
    else if (node->state == MESH_LOST)
        lost_due(mesh, node);
    else if (node->state == MESH_CALLING)
        calling_due(mesh, node);
    else if (node->state == MESH_TOO_MANY) {
        if (!mesh_is_full(mesh))
            mesh_work(mesh, node, MESH_WORK_HELLO);
        set_due(mesh, node, MESH_REFUSED_EVERY);
    } else {
        node->due = PROA_NS_NEVER;
    }
}

/* ---- Messages ---- */

/* The node a HELLO speaks for; NULL: it is not believed. */
static struct mesh_node *speaker(struct mesh *mesh, uint64_t from,
                                 const struct mesh_message *message)
{
    bool own = from == mesh->node ||
               memcmp(&message->addr, &mesh->address, sizeof(message->addr)) == 0;

    if (own || kad_id_node64(&message->id) != from ||
        !take_over(mesh, &message->addr, from)) {
        mesh->stats.conflicts++;
        return NULL;
    }
    struct mesh_node *node = mesh_find(mesh, from);
    if (node == NULL)
        node = mesh_node_new(mesh, &message->id, &message->addr, false);
    if (node == NULL || node->gone || node->dropping ||
        !kad_id_equal(&node->id, &message->id)) {
        mesh->stats.unknown_node++;
        return NULL;
    }
    return node;
}

void mesh_send_links(struct mesh *mesh, struct mesh_node *node)
{
    if (node->links_sent != 0 && mesh->now - node->links_sent < MESH_LINKS_EVERY)
        return;
    node->links_sent = mesh->now;
    node->links_at = 0;
    mesh_work(mesh, node, MESH_WORK_LINKS);
}

bool mesh_on_hello(struct mesh *mesh, uint64_t from, const struct mesh_message *message)
{
    bool wanted = (message->flags & MESH_HELLO_WANT) != 0;
    struct mesh_node *node = speaker(mesh, from, message);

    if (node == NULL)
        return false;
    if (node->state == MESH_CUT && (message->flags & MESH_HELLO_BACK) == 0) {
        mesh_turn_away(mesh, node, MESH_WORK_CUT);
        return true;
    }
    mesh_node_move(mesh, node, &message->addr);
    mesh_neighbours_met(mesh, &message->addr, from);
    bool linked = mesh_node_linked(node);
    if (!linked && mesh_is_full(mesh)) {
        refuse(mesh, node);
        mesh_turn_away(mesh, node, MESH_WORK_REFUSED);
        return true;
    }
    if (!linked)
        mesh_node_link(mesh, node);
    if (wanted)
        mesh_work(mesh, node, MESH_WORK_HELLO);
    else if (!linked && node->told_version != mesh->own.set.version)
        mesh_work(mesh, node, MESH_WORK_DIGEST); /* what came after our HELLO to it */
    if (wanted || !linked)
        mesh_send_links(mesh, node);
    if (linked)
        mesh_on_digest(mesh, node, &message->digest);
    else
        mesh_pull_begin(mesh, node, &message->digest);
    return true;
}

void mesh_on_links(struct mesh *mesh, const struct mesh_message *message)
{
    struct mesh_span span = message->span;
    struct proa_addr addr;
    struct kad_id id;

    while (mesh_take_link(&span, &id, &addr)) {
        uint64_t number = kad_id_node64(&id);

        if (number == mesh->node || mesh_find(mesh, number) != NULL)
            continue;
        if (memcmp(&addr, &mesh->address, sizeof(addr)) == 0 ||
            mesh_find_addr(mesh, &addr, NULL) != NULL) {
            mesh->stats.conflicts++;
            continue;
        }
        if (mesh_is_full(mesh)) {
            mesh->crowded_until = mesh->now + 4 * MESH_WANT_LINKS_EVERY;
            continue;
        }
        struct mesh_node *node = mesh_node_new(mesh, &id, &addr, true);
        if (node == NULL)
            return;
        mesh->unmet_until = mesh->now + MESH_TOLD_AFTER;
        ask_who(mesh, node);
        set_due(mesh, node, MESH_HELLO_EVERY);
    }
}

void mesh_check_links(struct mesh *mesh, struct mesh_node *node, uint64_t links)
{
    if (links == mesh->links_hash || mesh->now < mesh->want_links_at)
        return;
    mesh->want_links_at = mesh->now + MESH_WANT_LINKS_EVERY;
    mesh_work(mesh, node, MESH_WORK_WANT_LINKS);
}

void mesh_on_cut(struct mesh *mesh, struct mesh_node *node)
{
    if (node->gone || node->state == MESH_CUT)
        return;
    mesh_node_unlink(mesh, node, MESH_CUT);
    node->due = PROA_NS_NEVER;
    mesh_neighbours_drop(mesh, node->node);
}

void mesh_on_refused(struct mesh *mesh, struct mesh_node *node)
{
    if (node->state != MESH_CUT && node->state != MESH_LOST)
        refuse(mesh, node);
}
