/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <sodium.h>
#include <string.h>

/* ---- The table ---- */

void mesh_nodes_init(struct mesh *mesh)
{
    for (uint32_t i = 0; i <= mesh->head_mask; i++)
        mesh->by_node[i] = mesh->by_addr[i] = MESH_NONE;
    mesh->node_high = mesh->link_count = 0;
    mesh->node_free = MESH_NONE;
    mesh->links_hash = mesh_hash_id(&mesh->self);
}

static uint32_t hash_of(const struct mesh *mesh, const void *bytes, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint32_t hash;

    crypto_shorthash(out, bytes, len, mesh->key);
    memcpy(&hash, out, sizeof(hash));
    return hash & mesh->head_mask;
}

static uint32_t *node_head(const struct mesh *mesh, uint64_t node)
{
    return &mesh->by_node[hash_of(mesh, &node, sizeof(node))];
}

static uint32_t *addr_head(const struct mesh *mesh, const struct proa_addr *addr)
{
    return &mesh->by_addr[hash_of(mesh, addr, sizeof(*addr))];
}

struct mesh_node *mesh_find(const struct mesh *mesh, uint64_t node)
{
    uint32_t at = *node_head(mesh, node);

    while (at != MESH_NONE && mesh->nodes[at].node != node)
        at = mesh->nodes[at].next;
    return at != MESH_NONE ? &mesh->nodes[at] : NULL;
}

struct mesh_node *mesh_find_addr(const struct mesh *mesh, const struct proa_addr *addr,
                                 const struct mesh_node *after)
{
    uint32_t at = after != NULL ? after->addr_next : *addr_head(mesh, addr);

    while (at != MESH_NONE && memcmp(&mesh->nodes[at].addr, addr, sizeof(*addr)) != 0)
        at = mesh->nodes[at].addr_next;
    return at != MESH_NONE ? &mesh->nodes[at] : NULL;
}

bool mesh_is_linked(const struct mesh *mesh, uint64_t node)
{
    const struct mesh_node *found = mesh_find(mesh, node);

    return found != NULL && mesh_node_linked(found);
}

static void add_addr(struct mesh *mesh, struct mesh_node *node)
{
    uint32_t *head = addr_head(mesh, &node->addr);

    node->addr_next = *head;
    *head = mesh_number(mesh, node);
}

static void remove_addr(struct mesh *mesh, const struct mesh_node *node)
{
    uint32_t *at = addr_head(mesh, &node->addr), number = mesh_number(mesh, node);

    while (*at != number)
        at = &mesh->nodes[*at].addr_next;
    *at = node->addr_next;
}

void mesh_node_move(struct mesh *mesh, struct mesh_node *node,
                    const struct proa_addr *addr)
{
    if (memcmp(&node->addr, addr, sizeof(*addr)) == 0)
        return;
    remove_addr(mesh, node);
    node->addr = *addr;
    node->proved = false;
    add_addr(mesh, node);
}

/* How gladly a node's place is given to another; 0: not at all. */
static unsigned worthless(const struct mesh_node *node, bool learnt)
{
    if (!node->used || node->dropping || mesh_node_linked(node))
        return 0;
    if (node->gone || (node->state == MESH_CUT && !node->cut_here))
        return 4;
    if (learnt) /* what others tell drives out nobody */
        return 0;
    if (node->state == MESH_CALLING && !node->met)
        return 3;
    return node->state == MESH_TOO_MANY ? 2 : node->state == MESH_LOST ? 1 : 0;
}

/* Makes room in a full table: the oldest of those that are worth least. */
static void drive_out(struct mesh *mesh, bool learnt)
{
    struct mesh_node *victim = NULL;
    unsigned most = 0;

    for (uint32_t i = 0; i < mesh->node_high; i++) {
        struct mesh_node *node = &mesh->nodes[i];
        unsigned worth = worthless(node, learnt);

        if (worth > most || (worth == most && worth > 0 && node->since < victim->since)) {
            victim = node;
            most = worth;
        }
    }
    if (victim != NULL)
        mesh_node_free(mesh, victim);
}

bool mesh_table_is_full(const struct mesh *mesh)
{
    return mesh->node_free == MESH_NONE && mesh->node_high == mesh->node_cap;
}

/* May this node, of which nothing is kept, be answered?  Those with one hash once a second. */
bool mesh_stranger_due(struct mesh *mesh, uint64_t node)
{
    proa_ns *at = &mesh->strangers[hash_of(mesh, &node, sizeof(node)) % MESH_STRANGERS];

    if (*at != 0 && mesh->now - *at < MESH_HELLO_EVERY)
        return false;
    *at = mesh->now;
    return true;
}

struct mesh_node *mesh_node_new(struct mesh *mesh, const struct kad_id *id,
                                const struct proa_addr *addr, bool learnt)
{
    uint32_t number;

    if (learnt && mesh->unmet >= mesh->nodes_max)
        return NULL;
    if (mesh_table_is_full(mesh))
        drive_out(mesh, learnt);
    if ((number = mesh->node_free) != MESH_NONE)
        mesh->node_free = mesh->nodes[number].next;
    else if (mesh->node_high < mesh->node_cap)
        number = mesh->node_high++;
    else
        return NULL;

    struct mesh_node *node = &mesh->nodes[number];
    memset(node, 0, sizeof(*node));
    node->used = true;
    node->id = *id;
    node->node = kad_id_node64(id);
    node->id_hash = mesh_hash_id(id);
    node->addr = *addr;
    node->link = MESH_NONE;
    node->state = MESH_CALLING;
    node->met = !learnt;
    node->since = mesh->now;
    node->patience = MESH_TOLD_AFTER;
    mesh->in_state[MESH_CALLING]++;
    mesh->unmet += learnt;
    uint32_t *head = node_head(mesh, node->node);
    node->next = *head;
    *head = number;
    add_addr(mesh, node);
    return node;
}

/* The node is no longer one that others told of and nobody met. */
static void end_unmet(struct mesh *mesh, struct mesh_node *node)
{
    struct mesh_node *teller = node->teller != 0 ? mesh_find(mesh, node->teller) : NULL;

    if (node->state != MESH_CALLING || node->met)
        return;
    mesh->unmet--;
    if (teller != NULL && teller->taught > 0)
        teller->taught--;
    node->teller = 0;
}

/* Takes a node out of the list of those with work, or of those with leaves wanted. */
static void unlist(struct mesh *mesh, struct mesh_node *node)
{
    uint32_t number = mesh_number(mesh, node), last = MESH_NONE;

    for (uint32_t *at = &mesh->work_first; node->in_work && *at != MESH_NONE;) {
        if (*at == number) {
            *at = node->work_next;
            node->in_work = false;
            if (mesh->work_last == number)
                mesh->work_last = last;
        } else {
            last = *at;
            at = &mesh->nodes[*at].work_next;
        }
    }
    node->work = 0;
}

void mesh_node_free(struct mesh *mesh, struct mesh_node *node)
{
    uint32_t number = mesh_number(mesh, node);
    uint32_t *at = node_head(mesh, node->node);

    PROA_ASSERT(!mesh_node_linked(node) && !node->dropping);
    while (*at != number)
        at = &mesh->nodes[*at].next;
    *at = node->next;
    remove_addr(mesh, node);
    unlist(mesh, node);
    mesh->in_state[node->state]--;
    end_unmet(mesh, node);
    mesh->cuts -= node->state == MESH_CUT && node->cut_here;
    node->used = false;
    node->next = mesh->node_free;
    mesh->node_free = number;
}

void mesh_work(struct mesh *mesh, struct mesh_node *node, uint32_t work)
{
    uint32_t number = mesh_number(mesh, node);

    node->work |= work;
    if (node->in_work)
        return;
    node->in_work = true;
    node->work_next = MESH_NONE;
    if (mesh->work_first == MESH_NONE)
        mesh->work_first = number;
    else
        mesh->nodes[mesh->work_last].work_next = number;
    mesh->work_last = number;
}

/* ---- States ---- */

void mesh_node_state(struct mesh *mesh, struct mesh_node *node, enum mesh_state state,
                     bool met)
{
    mesh->in_state[node->state]--;
    mesh->in_state[state]++;
    end_unmet(mesh, node);
    mesh->unmet += state == MESH_CALLING && !met;
    mesh->cuts -= node->state == MESH_CUT && node->cut_here;
    node->cut_here = false;
    node->state = (uint8_t)state;
    node->met = met;
    node->gone = false;
    node->since = mesh->now;
    node->resolve = false;
}

void mesh_node_link(struct mesh *mesh, struct mesh_node *node)
{
    mesh_node_state(mesh, node, MESH_SYNCING, true);
    node->link = mesh->link_count;
    node->due = PROA_NS_NEVER;
    node->served = mesh->now;
    node->vain = 0;
    node->ask_links_wait = MESH_WANT_LINKS_EVERY;
    mesh->links[mesh->link_count++] = (uint16_t)mesh_number(mesh, node);
    mesh_links_change(mesh, node);
    mesh_tell(mesh, MESH_LINKED, node);
}

void mesh_node_unlink(struct mesh *mesh, struct mesh_node *node, enum mesh_state state)
{
    if (mesh_node_linked(node)) {
        uint16_t last = mesh->links[--mesh->link_count];

        mesh->links[node->link] = last;
        mesh->nodes[last].link = node->link;
        node->link = MESH_NONE;
        mesh_behind_end(mesh, node);
        mesh_links_change(mesh, node);
        mesh->lacking -= node->lacks;
        node->lacks = false;
        mesh_pull_end(mesh, node);
        node->hash_mask = 0;
        node->serve_count = node->serve_at = 0;
        memset(node->serve, 0, sizeof(node->serve));
        node->work &= MESH_WORK_CUT | MESH_WORK_REFUSED;
        mesh_tell(mesh, MESH_UNLINKED, node);
        node->dropping = true; /* also an empty set: its tree is given back */
        mesh->dropping++;
    } else {
        node->work &= MESH_WORK_CUT | MESH_WORK_REFUSED;
    }
    mesh_node_state(mesh, node, state, true);
}

void mesh_node_gone(struct mesh *mesh, struct mesh_node *node)
{
    mesh_node_unlink(mesh, node, MESH_LOST);
    node->gone = true;
    node->due = mesh->now + MESH_GONE_LIFE;
    mesh_arm(mesh, node->due);
    mesh_neighbours_lose(mesh, node->node, true);
}

unsigned mesh_nodes(const struct mesh *mesh, struct mesh_node_info *ret, unsigned max)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < mesh->node_high && count < max; i++) {
        const struct mesh_node *node = &mesh->nodes[i];

        if (!node->used || node->gone)
            continue;
        ret[count++] =
            (struct mesh_node_info){.node = node->node,
                                    .id = node->id,
                                    .addr = node->addr,
                                    .state = (enum mesh_state)node->state,
                                    .names = node->set.names,
                                    .members = node->set.count - node->set.names,
                                    .version = node->set.version};
    }
    return count;
}
