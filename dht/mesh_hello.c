/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <string.h>

#define OFTEN (30 * PROA_S) /* so long a node is tried each second */
#define LOST_SELDOM (3600 * PROA_S)
#define VAIN_MAX 10 /* PULLs without an answer, and */
#define SERVICE_WAIT (15 * PROA_S)
#define SERVICE_LONGEST (600 * PROA_S) /* of a snapshot */
#define SHUN_FIRST (60 * PROA_S)
#define SHUN_LAST (3600 * PROA_S)

bool mesh_is_full(const struct mesh *mesh)
{
    return mesh->link_count + 1 >= mesh->nodes_max;
}

void mesh_set_due(struct mesh *mesh, struct mesh_node *node, proa_ns wait)
{
    node->due = mesh->now + kad_random_jitter(&mesh->random, wait);
    mesh_arm(mesh, node->due);
}

void mesh_ask_who(struct mesh *mesh, struct mesh_node *node)
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
    mesh_set_due(mesh, node, MESH_HELLO_EVERY);
    mesh_work(mesh, node, MESH_WORK_HELLO);
}

static void refuse(struct mesh *mesh, struct mesh_node *node)
{
    if (node->state == MESH_TOO_MANY)
        return;
    mesh_node_unlink(mesh, node, MESH_TOO_MANY);
    mesh_set_due(mesh, node, MESH_REFUSED_EVERY);
    mesh_tell(mesh, MESH_REFUSED, node);
}

/* A node that was not linked was heard. */
void mesh_meet(struct mesh *mesh, struct mesh_node *node)
{
    if (mesh->leaving || node->gone || node->dropping || mesh->now < node->shun_until)
        return;
    if (node->state == MESH_CALLING && node->met) {
        node->since = mesh->now;
        if (mesh->now - node->called >= MESH_HELLO_EVERY)
            mesh_call(mesh, node);
        return;
    }
    if (node->state != MESH_LOST && node->state != MESH_CALLING)
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

/* The node was seen at addr.  False: another lives there.  Lost ones and unmet ones that were there are
   gone, since another answers in their place; who only says that it is there hinders nobody. */
static bool take_over(struct mesh *mesh, const struct proa_addr *addr, uint64_t claims)
{
    struct mesh_node *next, *at = mesh_find_addr(mesh, addr, NULL);

    for (; at != NULL; at = next) {
        next = mesh_find_addr(mesh, addr, at);
        if (at->node == claims || at->gone || at->state == MESH_CUT)
            continue;
        if (at->state == MESH_LOST || !at->met)
            mesh_node_gone(mesh, at);
        else if (at->proved)
            return false;
    }
    return true;
}

/* A new node that was heard, NULL: there is no place for it.  When as many are linked as may be, only so
   many others are kept in mind, and who was named: else the rest would drive out each other. */
static struct mesh_node *make(struct mesh *mesh, const struct kad_id *id,
                              const struct proa_addr *addr, bool named)
{
    if (named || !mesh_is_full(mesh) ||
        (mesh->in_state[MESH_TOO_MANY] < MESH_SPARE && !mesh_table_is_full(mesh)))
        return mesh_node_new(mesh, id, addr, false);
    mesh_crowded(mesh);
    if (mesh->crowded_told == 0 || mesh->now - mesh->crowded_told >= MESH_TOLD_EVERY) {
        const struct mesh_node one = {.node = kad_id_node64(id), .addr = *addr};

        mesh->crowded_told = mesh->now;
        mesh_tell(mesh, MESH_REFUSED, &one);
    }
    return NULL;
}

void mesh_met(struct mesh *mesh, const struct kad_id *id, const struct proa_addr *addr,
              proa_ns now)
{
    uint64_t number = kad_id_node64(id);
    struct mesh_node *node = mesh_find(mesh, number);

    mesh_set_now(mesh, now);
    /* One that is being unlinked is taken as the neighbour when that is over. */
    bool named =
        (node == NULL || !node->dropping) && mesh_neighbours_met(mesh, addr, number);
    if (number == mesh->node || mesh->leaving)
        return;
    if (node == NULL) {
        if (!take_over(mesh, addr, number)) {
            mesh->stats.conflicts++;
            return;
        }
        node = make(mesh, id, addr, named);
        if (node == NULL)
            return;
        node->proved = true;
        if (mesh_is_full(mesh))
            refuse(mesh, node);
        else
            mesh_call(mesh, node);
        return;
    }
    node->proved |= memcmp(&node->addr, addr, sizeof(*addr)) == 0;
    if (named && node->state == MESH_CUT)
        mesh_call(mesh, node);
    else
        mesh_meet(mesh, node);
}

void mesh_down(struct mesh *mesh, uint64_t number, bool gone, proa_ns now)
{
    struct mesh_node *node = mesh_find(mesh, number);

    mesh_set_now(mesh, now);
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
    mesh_set_due(mesh, node, MESH_HELLO_EVERY);
}

/* The oldest cut is forgotten: it may link again. */
static void forget_cut(struct mesh *mesh)
{
    struct mesh_node *oldest = NULL;

    for (uint32_t i = 0; i < mesh->node_high; i++) {
        struct mesh_node *node = &mesh->nodes[i];

        if (node->used && node->state == MESH_CUT && node->cut_here &&
            (oldest == NULL || node->since < oldest->since))
            oldest = node;
    }
    oldest->cut_here = false;
    mesh->cuts--;
    mesh_set_due(mesh, oldest, MESH_HELLO_EVERY);
}

enum mesh_result mesh_remove(struct mesh *mesh, uint64_t number, proa_ns now)
{
    struct mesh_node *node = mesh_find(mesh, number);

    mesh_set_now(mesh, now);
    if (node == NULL || node->gone)
        return MESH_E_UNKNOWN;
    if (node->met && node->state != MESH_LOST)
        mesh_work(mesh, node, MESH_WORK_CUT);
    mesh_neighbours_drop(mesh, number);
    mesh_node_unlink(mesh, node, MESH_CUT);
    node->due = PROA_NS_NEVER;
    if (mesh->cuts == MESH_CUTS_MAX)
        forget_cut(mesh);
    node->cut_here = true;
    mesh->cuts++;
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
    mesh_ask_who(mesh, node);
    mesh_set_due(mesh, node,
                 age < OFTEN         ? MESH_HELLO_EVERY
                 : age < LOST_SELDOM ? 2 * MESH_HELLO_EVERY
                                     : 30 * MESH_HELLO_EVERY);
}

static void calling_due(struct mesh *mesh, struct mesh_node *node)
{
    proa_ns age = mesh->now - node->since;

    if (!node->met && age >= MESH_UNMET_LIFE) {
        mesh_node_free(mesh, node);
    } else if (!node->met) {
        mesh_ask_who(mesh, node);
        mesh_set_due(mesh, node, age < OFTEN ? MESH_HELLO_EVERY : MESH_HELLO_SELDOM);
    } else if (age >= OFTEN) { /* nor was it heard since: is it there at all? */
        mesh_node_unlink(mesh, node, MESH_LOST);
        mesh_neighbours_lose(mesh, node->node, false);
        mesh_set_due(mesh, node, MESH_HELLO_EVERY);
    } else {
        node->called = mesh->now;
        mesh_work(mesh, node, MESH_WORK_HELLO);
        mesh_set_due(mesh, node, MESH_HELLO_EVERY);
    }
}

void mesh_node_due(struct mesh *mesh, struct mesh_node *node)
{
    if (node->dropping)
        mesh_set_due(mesh, node, MESH_HELLO_EVERY);
    else if (node->gone)
        mesh_node_free(mesh, node);
    else if (node->state == MESH_LOST)
        lost_due(mesh, node);
    else if (node->state == MESH_CALLING)
        calling_due(mesh, node);
    else if (node->state == MESH_TOO_MANY) {
        if (!mesh_is_full(mesh))
            mesh_work(mesh, node, MESH_WORK_HELLO);
        mesh_set_due(mesh, node, MESH_REFUSED_EVERY);
    } else if (node->state == MESH_CUT && !node->cut_here) {
        mesh_neighbours_lose(mesh, node->node, true);
        mesh_node_free(mesh, node);
    } else {
        node->due = PROA_NS_NEVER;
    }
}

/* A node that is linked, but serves nothing of its set, or only drops of it, is taken for lost, and not
   linked again for a minute, then two, up to an hour. */
void mesh_check_service(struct mesh *mesh, struct mesh_node *node)
{
    if (!node->used || node->state != MESH_SYNCING || node->lacks)
        return;
    bool silent = node->vain >= VAIN_MAX && mesh->now - node->served >= SERVICE_WAIT;
    if (!silent && mesh->now - node->since < SERVICE_LONGEST)
        return;
    node->shun_wait = node->shun_wait == 0               ? SHUN_FIRST
                      : node->shun_wait >= SHUN_LAST / 2 ? SHUN_LAST
                                                         : 2 * node->shun_wait;
    node->shun_until = mesh->now + node->shun_wait;
    mesh_node_unlink(mesh, node, MESH_LOST);
    mesh_neighbours_lose(mesh, node->node, false);
    mesh_set_due(mesh, node, MESH_HELLO_EVERY);
}

/* ---- Messages ---- */

/* A node that has no place in the table is told so. */
static void refuse_stranger(struct mesh *mesh, uint64_t from)
{
    uint8_t bytes[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    if (!mesh_stranger_due(mesh, from))
        return;
    mesh_begin(&w, bytes, MESH_M_REFUSED);
    mesh_post(mesh, bytes, w.len, &from, 1);
}

/* Is another believed to be where a node says it is?  Who says HELLO ends nobody: the caller is asked
   who is there, and ends by mesh_down who is not. */
static bool is_taken(struct mesh *mesh, const struct mesh_node *node, uint64_t from,
                     const struct proa_addr *addr)
{
    struct mesh_node *at = mesh_find_addr(mesh, addr, NULL);
    bool taken = false;

    if (node != NULL && node->proved && memcmp(&node->addr, addr, sizeof(*addr)) == 0)
        return false;
    for (; at != NULL; at = mesh_find_addr(mesh, addr, at)) {
        if (at->node == from || at->gone || at->state == MESH_CUT)
            continue;
        taken = true;
        if (at->asked_who != 0 && mesh->now - at->asked_who < MESH_HELLO_EVERY)
            continue;
        at->asked_who = mesh->now;
        mesh_ask_who(mesh, at);
    }
    return taken;
}

/* The node a HELLO speaks for; NULL: it is not believed, or there is no place for it. */
static struct mesh_node *speaker(struct mesh *mesh, uint64_t from,
                                 const struct mesh_message *message)
{
    struct mesh_node *node = mesh_find(mesh, from);

    if (memcmp(&message->addr, &mesh->address, sizeof(message->addr)) == 0 ||
        kad_id_node64(&message->id) != from) {
        mesh->stats.conflicts++;
        return NULL;
    }
    if (node != NULL && (node->gone || node->dropping || mesh->now < node->shun_until ||
                         !kad_id_equal(&node->id, &message->id))) {
        mesh->stats.unknown_node++;
        return NULL;
    }
    if (is_taken(mesh, node, from, &message->addr)) {
        mesh->stats.conflicts++;
        return NULL;
    }
    if (node == NULL)
        node = make(mesh, &message->id, &message->addr, false);
    if (node == NULL) {
        mesh->stats.unknown_node++;
        refuse_stranger(mesh, from);
    }
    return node;
}

bool mesh_on_hello(struct mesh *mesh, uint64_t from, const struct mesh_message *message)
{
    bool wanted = (message->flags & MESH_HELLO_WANT) != 0;
    struct mesh_node *node = speaker(mesh, from, message);

    if (node == NULL)
        return false;
    if (node->state == MESH_CUT && node->cut_here) {
        mesh_turn_away(mesh, node, MESH_WORK_CUT);
        return true;
    }
    mesh_node_move(mesh, node, &message->addr);
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
    else if (!linked && (node->told_version != mesh->own.set.version ||
                         node->told_links != mesh->links_hash))
        mesh_work(mesh, node, MESH_WORK_DIGEST); /* what came after our HELLO to it */
    if ((message->flags & MESH_HELLO_LINKS) != 0 ||
        (!linked && mesh->link_count > 1 && mesh_neighbours_named(mesh, from)))
        mesh_send_links(mesh, node); /* who is new, or was named, may join many */
    if (linked) {
        mesh_on_digest(mesh, node, &message->digest);
        return true;
    }
    mesh_check_links(mesh, node, message->digest.links);
    mesh_pull_begin(mesh, node, &message->digest);
    return true;
}

void mesh_on_cut(struct mesh *mesh, struct mesh_node *node)
{
    if (node->state == MESH_CUT)
        return;
    mesh_node_unlink(mesh, node, MESH_CUT);
    mesh_set_due(mesh, node, MESH_CUT_LIFE);
    mesh_neighbours_lose(mesh, node->node, false);
}

/* It does not know that we are linked with it: so we are not, and call it again. */
void mesh_on_unlinked(struct mesh *mesh, struct mesh_node *node)
{
    if (!mesh_node_linked(node))
        return;
    mesh_node_unlink(mesh, node, MESH_LOST);
    mesh_neighbours_lose(mesh, node->node, false);
    mesh_set_due(mesh, node, MESH_HELLO_EVERY);
}

void mesh_on_refused(struct mesh *mesh, struct mesh_node *node)
{
    if (node->state != MESH_CUT && node->state != MESH_LOST)
        refuse(mesh, node);
}
