/* SPDX-License-Identifier: Apache-2.0 */
#include "registries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "core_internal.h"
#include "directory_group.h"
#include "scheduler.h"
#include "seeking.h"
#include "watchers.h"

/* ---- Life ---- */

bool registries_start(struct core *core)
{
    const struct core_config *config = &core->config;

    if (!mesh_port_init(core) || !loads_init(core))
        return false;
    core->memberships =
        memberships_create(core->mesh_port.published_max, secrets_next(&core->secrets));
    core->seeking = seeking_create(secrets_next(&core->secrets));
    core->watchers = watchers_create(config->lanes, secrets_next(&core->secrets));
    core->incomplete_since = core->now;
    core->views_at = PROA_NS_NEVER;
    directory_self(config->directory, core->node);
    return core->memberships != NULL && core->seeking != NULL && core->watchers != NULL;
}

void registries_fini(struct core *core)
{
    memberships_destroy(core->memberships);
    seeking_destroy(core->seeking);
    watchers_destroy(core->watchers);
    loads_fini(core);
    mesh_port_fini(core);
}

/* ---- Steps ---- */

void registries_watch(struct core *core, unsigned lane, const struct byte_record *record)
{
    struct punt_watch head;

    memcpy(&head, record->body, sizeof(head));
    PROA_ASSERT(head.len <= record->len - sizeof(head));
    watchers_record(core, lane, &head, (const char *)record->body + sizeof(head));
}

/* An absent name or group is known to be so while all nodes are linked. */
static void look_if_complete(struct core *core)
{
    bool complete = core_joined(core) && core->mesh_port.unplaced == 0 &&
                    mesh_complete(core->mesh_port.mesh);

    if (complete == core->complete)
        return;
    core->complete = complete;
    core->incomplete_since = core->now;
    directory_complete(core->config.directory, complete);
    seeking_complete(core);
}

/* Linked registries, after all that may have changed them. */
void registries_step(struct core *core)
{
    loads_tick(core);
    seeking_tick(core);
    mesh_port_tick(core);
    look_if_complete(core);
    core->views_at = directory_groups_publish(core->config.directory, core->now);
    watchers_flush(core);
}

static proa_ns sooner(proa_ns a, proa_ns b)
{
    return a < b ? a : b;
}

proa_ns registries_deadline(const struct core *core)
{
    proa_ns at = core->views_at;

    at = sooner(at, loads_deadline(core));
    at = sooner(at, seeking_deadline(core));
    at = sooner(at, mesh_port_deadline(core));
    return sooner(at, watchers_deadline(core));
}

void core_lane_loads(struct core *core, unsigned lane, const struct sched *sched)
{
    uint32_t slots;
    _Atomic uint16_t *words = sched_loads(sched, &slots);

    core->loads.lanes[lane].words = words;
    core->loads.lanes[lane].slots = slots;
    directory_lane_loads(core->config.directory, lane, words, slots);
}

/* ---- Linking by hand ---- */

static enum proa_outcome refuse(char *err, size_t err_len, enum proa_outcome outcome,
                                const char *why, const struct proa_addr *addr)
{
    char text[ADDR_TEXT_MAX] = "";

    if (addr != NULL)
        addr_print(addr, text, sizeof(text));
    if (err != NULL && err_len > 0)
        snprintf(err, err_len, "%s%s%s", text, addr != NULL ? ": " : "", why);
    return outcome;
}

enum proa_outcome core_mesh_add(struct core *core, const struct proa_addr *addr,
                                proa_ns now, char *err, size_t err_len)
{
    core->now = now;
    if (core->leaving)
        return refuse(err, err_len, PROA_STOPPED, "this node is leaving", addr);
    if (addr->family == 0 || addr->port == 0)
        return refuse(err, err_len, PROA_INVALID,
                      "no address with port, like 10.0.0.1:7400", addr);
    if (addr_equal(addr, &core->config.address))
        return refuse(err, err_len, PROA_INVALID,
                      "this node's own address; name another node's", addr);
    if (core->config.port_count > 0 && core_port_of(core, addr) == NULL)
        return refuse(err, err_len, PROA_NO_ROUTE,
                      "no port of this node reaches it; give the node a port on that "
                      "network",
                      addr);
    if (core->mesh_port.nodes_max == 1)
        return refuse(err, err_len, PROA_LIMIT,
                      "mesh.nodes_max is 1, which links no registries; make it larger",
                      addr);
    switch (mesh_add(core->mesh_port.mesh, addr, now)) {
    case MESH_E_OWN:
        return refuse(err, err_len, PROA_INVALID,
                      "this node's own address; name another node's", addr);
    case MESH_E_UNKNOWN:
        return refuse(err, err_len, PROA_INVALID,
                      "no node can be reached there; name one node's own address", addr);
    case MESH_E_FULL:
        return refuse(err, err_len, PROA_LIMIT,
                      "mesh.nodes_max nodes are linked, or 16 neighbours are being "
                      "looked for; make mesh.nodes_max larger, or wait",
                      addr);
    default:
        core->backlog = true; /* what follows from it is done in a step, at once */
        return PROA_OK;
    }
}

enum proa_outcome core_mesh_remove(struct core *core, uint64_t node, proa_ns now,
                                   char *err, size_t err_len)
{
    core->now = now;
    if (core->leaving)
        return refuse(err, err_len, PROA_STOPPED, "this node is leaving", NULL);
    if (node == core->node)
        return refuse(err, err_len, PROA_INVALID, "this is the node itself", NULL);
    if (mesh_remove(core->mesh_port.mesh, node, now) != MESH_OK)
        return refuse(err, err_len, PROA_NOT_FOUND,
                      "no registry of that node is linked; `proa cluster` lists them",
                      NULL);
    core->backlog = true;
    return PROA_OK;
}

enum proa_outcome core_mesh_forget(struct core *core, const struct proa_addr *addr,
                                   proa_ns now, char *err, size_t err_len)
{
    core->now = now;
    if (mesh_forget(core->mesh_port.mesh, addr) == MESH_OK)
        return PROA_OK;
    return refuse(
        err, err_len, PROA_NOT_FOUND,
        "no registry is linked there, nor looked for; `proa cluster` lists them", addr);
}

/* ---- For others ---- */

/* Round trips are measured by Kademlia, which pings every node of a small cluster. */
static proa_ns rtt_of(const struct kad_contact_info *contacts, unsigned count,
                      const struct kad_id *id)
{
    for (unsigned i = 0; i < count; i++) {
        if (kad_id_equal(&contacts[i].id, id))
            return contacts[i].srtt;
    }
    return 0;
}

#define CONTACTS_MAX 1024u /* as many as the table has */

unsigned core_mesh_nodes(const struct core *core, struct core_mesh_info *ret,
                         unsigned max)
{
    struct mesh_node_info *nodes = core->mesh_port.nodes;
    unsigned count = mesh_nodes(core->mesh_port.mesh, nodes, MESH_NODES_MAX);
    struct kad_contact_info *contacts = calloc(CONTACTS_MAX, sizeof(*contacts));
    unsigned contact_count =
        contacts != NULL ? kad_contacts(core->kad, contacts, CONTACTS_MAX) : 0;

    if (count > max)
        count = max;
    for (unsigned i = 0; i < count; i++) {
        const struct peer *peer = peers_find(&core->peers, nodes[i].node);
        ret[i] = (struct core_mesh_info){
            .node = nodes[i].node,
            .addr = nodes[i].addr,
            .state = nodes[i].state,
            .rtt_ns = rtt_of(contacts, contact_count, &nodes[i].id),
            .names = nodes[i].names,
            .members = nodes[i].members,
            .links = peer != NULL ? peer->links : 0,
        };
    }
    free(contacts);
    return count;
}

uint64_t core_mesh_find(const struct core *core, const struct proa_addr *addr)
{
    struct mesh_node_info *nodes = core->mesh_port.nodes;
    unsigned count = mesh_nodes(core->mesh_port.mesh, nodes, MESH_NODES_MAX);

    uint64_t found = 0;

    for (unsigned i = 0; i < count; i++) {
        if (!addr_equal(&nodes[i].addr, addr))
            continue;
        if (nodes[i].state != MESH_LOST && nodes[i].state != MESH_CUT)
            return nodes[i].node;
        found = nodes[i].node;
    }
    return found;
}

void core_mesh_own(const struct core *core, struct core_mesh_own *ret)
{
    const struct mesh_port *mesh = &core->mesh_port;
    struct mesh_stats stats;

    mesh_stats(mesh->mesh, &stats);
    *ret = (struct core_mesh_own){
        .names = core->mesh_port.names,
        .members = core->mesh_port.members,
        .nodes_max = core->mesh_port.nodes_max,
        .published_max = core->mesh_port.published_max,
        .known = mesh_nodes(mesh->mesh, mesh->nodes, MESH_NODES_MAX),
        .linked = stats.linked,
        .complete = core->complete,
    };
}

void core_mesh_stats(const struct core *core, struct mesh_stats *ret)
{
    mesh_stats(core->mesh_port.mesh, ret);
}
