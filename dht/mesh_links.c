/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <string.h>

#define SETTLE (20 * PROA_MS)      /* changes of links within it are told together */
#define APART (250 * PROA_MS)      /* digests, at least */
#define NEWS_WAIT (500 * PROA_MS)  /* a node that is still linking tells again */
#define WANT_APART (125 * PROA_MS) /* WANT_LINKS to all nodes, */
#define WANT_BURST 8               /* after so many at once */
#define PATIENCE_BACK 6            /* a sixth of the time it was not needed comes back */
#define TAUGHT_LEAST 32            /* unmet nodes one node may tell of, at least */
#define CROWDED (2 * MESH_WANT_LINKS_SELDOM)

/* ---- What mesh_complete waits for ---- */

/* A node that may know of others, or of entries, that are not known here is waited for: for 10 s, and
   once they are used up for a sixth of the time, so that no node keeps this one incomplete. */
static void set_behind(struct mesh *mesh, struct mesh_node *node)
{
    bool behind = node->news || node->differs;

    if (behind == node->behind)
        return;
    node->behind = behind;
    if (behind) {
        proa_ns back = (mesh->now - node->behind_ended) / PATIENCE_BACK;

        if (back >= MESH_TOLD_AFTER - node->patience)
            node->patience = MESH_TOLD_AFTER;
        else
            node->patience += back;
        node->behind_since = mesh->now;
        if (mesh->now + node->patience > mesh->behind_until)
            mesh->behind_until = mesh->now + node->patience;
        mesh->behind++;
    } else {
        proa_ns spent = mesh->now - node->behind_since;

        node->patience -= spent < node->patience ? spent : node->patience;
        node->behind_ended = mesh->now;
        mesh->behind--;
    }
}

/* The node's digest is not that of what is known of it; NULL: it is.  A snapshot under way says so by the
   node's state. */
void mesh_differs(struct mesh *mesh, struct mesh_node *node,
                  const struct mesh_digest *digest)
{
    node->differs = digest != NULL && node->state != MESH_SYNCING;
    if (node->differs)
        node->differs_root = digest->root;
    set_behind(mesh, node);
}

/* Entries came: are they all that was missing? */
void mesh_check_repaired(struct mesh *mesh, struct mesh_node *node)
{
    if (node->differs && node->set.root == node->differs_root)
        mesh_differs(mesh, node, NULL);
}

static void set_news(struct mesh *mesh, struct mesh_node *node, bool news)
{
    if (news && !node->news)
        node->ask_links_at = mesh->now + NEWS_WAIT;
    if (!news)
        node->ask_links_wait = MESH_WANT_LINKS_EVERY;
    node->news = news;
    set_behind(mesh, node);
}

void mesh_behind_end(struct mesh *mesh, struct mesh_node *node)
{
    node->news = node->differs = false;
    set_behind(mesh, node);
}

void mesh_crowded(struct mesh *mesh)
{
    mesh->crowded_until = mesh->now + CROWDED;
}

/* ---- Our own links ---- */

/* The node became linked, or is no longer. */
void mesh_links_change(struct mesh *mesh, const struct mesh_node *node)
{
    proa_ns soon = mesh->digest_sent + APART;

    mesh->been[mesh->been_at++ % MESH_BEEN] =
        (struct mesh_been){mesh->links_hash, mesh->now};
    mesh->links_hash ^= node->id_hash;
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        struct mesh_node *link = &mesh->nodes[mesh->links[i]];

        if (link->news && link->links_told == mesh->links_hash)
            set_news(mesh, link, false);
    }
    if (soon < mesh->now + SETTLE)
        soon = mesh->now + SETTLE;
    if (soon < mesh->digest_due || mesh->link_count == 1)
        mesh->digest_due = soon; /* the others wait for it */
}

/* Is a set of links ours, or was it lately?  Who has it knows nobody who is not known here. */
static bool is_known(const struct mesh *mesh, uint64_t links)
{
    if (links == mesh->links_hash)
        return true;
    for (unsigned i = 0; i < MESH_BEEN; i++)
        if (mesh->been[i].hash == links && mesh->been[i].until != 0 &&
            mesh->now - mesh->been[i].until < MESH_TOLD_AFTER)
            return true;
    return false;
}

void mesh_send_links(struct mesh *mesh, struct mesh_node *node)
{
    if (node->links_sent != 0 && mesh->now - node->links_sent < MESH_LINKS_EVERY)
        return;
    node->links_sent = mesh->now;
    node->links_at = 0;
    mesh_work(mesh, node, MESH_WORK_LINKS);
}

/* ---- Theirs ---- */

static bool take_token(struct mesh *mesh)
{
    proa_ns more = (mesh->now - mesh->want_refilled) / WANT_APART;

    if (more > 0) {
        mesh->want_tokens = mesh->want_tokens + more < WANT_BURST
                                ? mesh->want_tokens + (uint32_t)more
                                : WANT_BURST;
        mesh->want_refilled = mesh->now;
    }
    if (mesh->want_tokens == 0)
        return false;
    mesh->want_tokens--;
    return true;
}

void mesh_check_links(struct mesh *mesh, struct mesh_node *node, uint64_t links)
{
    node->links_told = links;
    set_news(mesh, node, !is_known(mesh, links));
    if (!node->news || mesh->now < node->ask_links_at || !take_token(mesh))
        return;
    node->ask_links_at = mesh->now + node->ask_links_wait;
    if (node->ask_links_wait < MESH_WANT_LINKS_SELDOM)
        node->ask_links_wait *= 2;
    mesh_work(mesh, node, MESH_WORK_WANT_LINKS);
}

/* Is there another at addr, who was not heard of for the last time?  Counts those that live. */
static bool is_taken(struct mesh *mesh, const struct proa_addr *addr)
{
    const struct mesh_node *at = mesh_find_addr(mesh, addr, NULL);
    bool taken = false;

    for (; at != NULL; at = mesh_find_addr(mesh, addr, at)) {
        if (at->gone || at->state == MESH_CUT)
            continue;
        mesh->stats.conflicts += at->met && at->state != MESH_LOST;
        taken = true;
    }
    return taken;
}

void mesh_on_links(struct mesh *mesh, struct mesh_node *teller,
                   const struct mesh_message *message)
{
    uint32_t taught_max =
        mesh->nodes_max / 2 > TAUGHT_LEAST ? mesh->nodes_max / 2 : TAUGHT_LEAST;
    struct mesh_span span = message->span;
    struct proa_addr addr;
    struct kad_id id;

    while (mesh_take_link(&span, &id, &addr)) {
        uint64_t number = kad_id_node64(&id);

        if (number == mesh->node || mesh_find(mesh, number) != NULL)
            continue;
        if (memcmp(&addr, &mesh->address, sizeof(addr)) == 0) {
            mesh->stats.conflicts++;
            continue;
        }
        if (is_taken(mesh, &addr))
            continue;
        if (mesh_is_full(mesh)) {
            mesh_crowded(mesh);
            continue;
        }
        if (teller->taught >= taught_max)
            return;
        struct mesh_node *node = mesh_node_new(mesh, &id, &addr, true);
        if (node == NULL)
            return;
        node->teller = teller->node;
        teller->taught++;
        mesh_ask_who(mesh, node);
        mesh_set_due(mesh, node, MESH_HELLO_EVERY);
    }
}
