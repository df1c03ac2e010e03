/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "core_internal.h"
#include "holders.h"
#include "loads.h"
#include "members.h"
#include "registrar_internal.h"
#include "seeking.h"
#include "sysmsg.h"

_Static_assert(SYSMSG_REGISTRY_MAX >= MESH_MESSAGE_MAX, "a link carries every message");

#define LANE 0u                 /* of the registry actor */
#define RING_SHARE (128u << 10) /* bytes of lane 0's ring that the mesh may fill */
#define LIMIT_APART PROA_S      /* between two events PUBLISH_LIMIT.  Source: event.h */

/* ---- Life ---- */

static void *mesh_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void mesh_free(void *ctx, void *memory, size_t size)
{
    (void)ctx;
    (void)size;
    free(memory);
}

/* A neighbour that was named is this node itself. */
static void own_neighbour(struct core *core, const struct proa_addr *addr)
{
    struct proa_event event = {.kind = PROA_EVENT_REGISTRY_REFUSED, .node = core->node};
    char text[ADDR_TEXT_MAX];

    addr_print(addr, text, sizeof(text));
    snprintf(event.text, sizeof(event.text), "%s is this node's own address", text);
    events_add(core, &event);
}

bool mesh_port_init(struct core *core)
{
    const struct core_config *config = &core->config;
    struct mesh_port *self = &core->mesh_port;
    struct mesh_config mesh = {
        .self = config->identity.id,
        .address = config->address,
        .nodes_max = config->mesh_nodes_max,
        .published_max = config->mesh_published_max,
        .seed = secrets_next(&core->secrets),
        .alloc = mesh_alloc,
        .free = mesh_free,
    };

    self->nodes_max = mesh.nodes_max != 0 ? mesh.nodes_max : MESH_NODES_DEFAULT;
    self->published_max =
        mesh.published_max != 0 ? mesh.published_max : MESH_PUBLISHED_MAX;
    self->nodes = calloc(MESH_NODES_MAX, sizeof(*self->nodes));
    self->memory = aligned_alloc(PROA_CACHE_LINE, mesh_size(&mesh));
    if (self->nodes == NULL || self->memory == NULL)
        return false;
    self->mesh = mesh_init(self->memory, &mesh, core->now);
    if (self->mesh == NULL)
        return false;
    for (unsigned i = 0; i < config->seed_count && self->nodes_max > 1; i++) {
        if (mesh_add(self->mesh, &config->seeds[i], core->now) == MESH_E_OWN)
            own_neighbour(core, &config->seeds[i]);
    }
    return true;
}

void mesh_port_fini(struct core *core)
{
    struct mesh_port *self = &core->mesh_port;

    if (self->mesh != NULL)
        mesh_fini(self->mesh);
    free(self->memory);
    free(self->nodes);
    *self = (struct mesh_port){0};
}

/* ---- In ---- */

void mesh_port_message(struct core *core, const struct byte_record *record)
{
    struct punt_mesh head;
    const struct peer *peer;

    memcpy(&head, record->body, sizeof(head));
    peer = peers_find(&core->peers, head.node);
    /* What a node said before it died, or was restarted, is no news of it. */
    if (core->leaving)
        return; /* its links are about to be closed */
    if (peer == NULL || peer->dead || peer->liveness == NULL) {
        core->stats.mesh_stale++;
        return;
    }
    mesh_input(core->mesh_port.mesh, head.node, record->body + sizeof(head),
               record->len - sizeof(head), core->now);
    mesh_port_drain(core);
}

void mesh_port_met(struct core *core, const struct peer *peer)
{
    if (peer->addr.family == 0 || peer->node == core->node || core->leaving)
        return;
    mesh_met(core->mesh_port.mesh, &peer->id, &peer->addr, core->now);
    mesh_port_drain(core);
}

void mesh_port_down(struct core *core, const struct peer *peer, bool gone)
{
    if (peer->node == core->node || core->mesh_port.mesh == NULL)
        return;
    mesh_down(core->mesh_port.mesh, peer->node, gone, core->now);
    mesh_port_drain(core);
    seeking_node_over(core, peer->node);
}

void mesh_port_forget(struct core *core, const struct peer *peer)
{
    mesh_port_down(core, peer, true);
    while (mesh_is_dropping(core->mesh_port.mesh)) {
        mesh_tick(core->mesh_port.mesh, core->now);
        mesh_port_drain(core);
    }
}

/* ---- Own entries ---- */

static void limit_reached(struct core *core, struct proa_ref actor, const char *name,
                          size_t len)
{
    struct mesh_port *self = &core->mesh_port;
    struct proa_event event = {
        .kind = PROA_EVENT_PUBLISH_LIMIT, .actor = actor, .count = self->published_max};

    core->stats.publish_refused++;
    if (self->limit_told_at != 0 && core->now - self->limit_told_at < LIMIT_APART)
        return;
    self->limit_told_at = core->now;
    events_put_text(&event, name, len);
    events_add(core, &event);
}

bool mesh_port_reserve(struct core *core, enum mesh_kind kind, struct proa_ref actor,
                       const char *name, size_t len)
{
    struct mesh_port *self = &core->mesh_port;

    if (self->names + self->members >= self->published_max) {
        limit_reached(core, actor, name, len);
        return false;
    }
    ++*(kind == MESH_NAME ? &self->names : &self->members);
    return true;
}

void mesh_port_release(struct core *core, enum mesh_kind kind)
{
    struct mesh_port *self = &core->mesh_port;
    uint32_t *count = kind == MESH_NAME ? &self->names : &self->members;

    PROA_ASSERT(*count > 0);
    --*count;
}

uint32_t mesh_port_publish(struct core *core, const struct mesh_entry *entry)
{
    uint32_t index = mesh_publish(core->mesh_port.mesh, entry, core->now);

    if (index == MESH_NONE)
        core->stats.publish_refused++;
    return index;
}

/* ---- What it says ---- */

static void told_of_node(struct core *core, enum proa_event_kind kind,
                         const struct mesh_event *event, const char *why)
{
    struct proa_event told = {.kind = kind, .node = event->node};
    const struct peer *peer = peers_find(&core->peers, event->node);

    if (why != NULL)
        events_put_text(&told, why, strlen(why));
    else if (event->addr.family != 0)
        addr_print(&event->addr, told.text, sizeof(told.text));
    else if (peer != NULL && peer->addr.family != 0)
        addr_print(&peer->addr, told.text, sizeof(told.text));
    events_add(core, &told);
}

bool mesh_port_is_syncing(const struct core *core)
{
    const struct mesh_port *self = &core->mesh_port;
    unsigned count = mesh_nodes(self->mesh, self->nodes, MESH_NODES_MAX);

    for (unsigned i = 0; i < count; i++) {
        if (self->nodes[i].state == MESH_SYNCING)
            return true;
    }
    return false;
}

/* What the mesh has made of it; of a node that left it says nothing any more. */
static const char *why_unlinked(const struct core *core, uint64_t node)
{
    const struct mesh_port *self = &core->mesh_port;
    unsigned count = mesh_nodes(self->mesh, self->nodes, MESH_NODES_MAX);

    for (unsigned i = 0; i < count; i++) {
        if (self->nodes[i].node != node)
            continue;
        switch (self->nodes[i].state) {
        case MESH_LOST:
            return "silent";
        case MESH_TOO_MANY:
            return "mesh.nodes_max nodes are linked there";
        default:
            return "its link was removed";
        }
    }
    return "left or restarted";
}

static void mark_linked(struct core *core, uint64_t node, bool linked)
{
    struct peer *peer = peers_find(&core->peers, node);

    if (peer == NULL)
        return;
    peer->linked = linked;
    peer->refused = false;
}

/* In a cluster larger than what the mesh remembers it meets, and refuses, the same nodes all the time. */
static void refused(struct core *core, const struct mesh_event *event)
{
    struct peer *peer = peers_find(&core->peers, event->node);

    if (peer == NULL || peer->refused)
        return;
    peer->refused = true;
    told_of_node(core, PROA_EVENT_REGISTRY_REFUSED, event, NULL);
}

static void member_changed(struct core *core, const struct mesh_event *event)
{
    const struct mesh_entry *entry = event->entry, *was = event->was;
    struct proa_ref ref = {entry->node, entry->slot, entry->generation};

    uint32_t *unplaced = &core->mesh_port.unplaced;

    if (event->kind == MESH_ADDED) {
        *unplaced += !members_join(core, entry->name, entry->len, ref, entry->type);
    } else if (event->kind == MESH_REMOVED) {
        if (!members_leave(core, entry->name, entry->len, ref) && *unplaced > 0)
            --*unplaced;
    } else {
        struct proa_ref old = {was->node, was->slot, was->generation};
        if (!members_rejoin(core, entry->name, entry->len, old, ref, entry->type) &&
            members_join(core, entry->name, entry->len, ref, entry->type) &&
            *unplaced > 0)
            --*unplaced;
    }
}

static void entry_changed(struct core *core, const struct mesh_event *event)
{
    if (event->entry->kind == MESH_MEMBER) {
        member_changed(core, event);
        return;
    }
    /* The mesh is asked, and told, on the way: it keeps the entry only until then. */
    struct mesh_entry entry = *event->entry;

    if (event->kind == MESH_REMOVED)
        wanted_withdrawn(core, &entry);
    else
        owned_contend(core, &entry);
    holders_decide(core, entry.name, entry.len);
}

static void take_event(struct core *core, const struct mesh_event *event)
{
    switch (event->kind) {
    case MESH_RESOLVE:
        kad_meet(core->kad, &event->addr, core->now);
        break;
    case MESH_UNREACHABLE:
        told_of_node(core, PROA_EVENT_NEIGHBOUR_SILENT, event, NULL);
        break;
    case MESH_LINKED: /* SYNCED follows */
        mark_linked(core, event->node, true);
        seeking_node_over(core, event->node);
        break;
    case MESH_SYNCED:
        told_of_node(core, PROA_EVENT_REGISTRY_LINKED, event, NULL);
        break;
    case MESH_UNLINKED:
        mark_linked(core, event->node, false);
        told_of_node(core, PROA_EVENT_REGISTRY_UNLINKED, event,
                     why_unlinked(core, event->node));
        break;
    case MESH_REFUSED:
        if (event->node == core->node)
            own_neighbour(core, &event->addr);
        else
            refused(core, event);
        break;
    case MESH_ADDED:
    case MESH_CHANGED:
    case MESH_REMOVED:
        entry_changed(core, event);
        break;
    case MESH_LOADS:
        loads_reported(core, event);
        break;
    case MESH_LOADS_WANTED:
        loads_wanted(core, event);
        break;
    case MESH_ASKED:
        seeking_asked(core, event);
        break;
    case MESH_ANSWERED:
        seeking_answered(core, event);
        break;
    }
}

/* ---- Out ---- */

static void send_message(struct core *core, const uint64_t *to, unsigned count,
                         const uint8_t *bytes, size_t len)
{
    struct {
        struct punt_mesh_send head;
        uint64_t to[MESH_TO_MAX];
    } record = {.head = {.nodes = count}};

    PROA_ASSERT(count <= MESH_TO_MAX);
    memcpy(record.to, to, count * sizeof(to[0]));
    /* Lost, it is as if lost on the way: the next digest mends it. */
    if (!core_tell(core, LANE, PUNT_MESH_SEND, &record,
                   sizeof(record.head) + count * sizeof(record.to[0]), bytes, len))
        core->stats.mesh_unsent++;
}

static bool has_room(const struct core *core, uint32_t bytes)
{
    const struct outlet *outlet = &core->outlets[LANE];

    return outlet_is_clear(outlet) && byte_ring_used(outlet->ring) < RING_SHARE - bytes;
}

bool mesh_port_is_clear(const struct core *core)
{
    return !core->mesh_port.waits && has_room(core, MESH_PORT_LONG);
}

void mesh_port_flush(struct core *core)
{
    struct mesh_port *self = &core->mesh_port;

    self->waits = false;
    for (;;) {
        uint8_t bytes[MESH_MESSAGE_MAX];
        uint64_t to[MESH_TO_MAX];
        unsigned count;
        size_t len;

        if (!has_room(core, 0)) {
            self->waits = true;
            return;
        }
        len = mesh_output(self->mesh, bytes, to, &count);
        if (len == 0)
            return;
        send_message(core, to, count, bytes, len);
    }
}

void mesh_port_drain(struct core *core)
{
    struct mesh_port *self = &core->mesh_port;
    struct mesh_event event;

    while (mesh_event(self->mesh, &event))
        take_event(core, &event);
    mesh_port_flush(core);
}

/* ---- Time ---- */

void mesh_port_tick(struct core *core)
{
    mesh_tick(core->mesh_port.mesh, core->now);
    mesh_port_drain(core);
}

proa_ns mesh_port_deadline(const struct core *core)
{
    proa_ns at = mesh_deadline(core->mesh_port.mesh);

    /* Nothing more is done for it before there is room. */
    if (core->mesh_port.waits)
        return core->now + OUTLET_RETRY;
    return at;
}

void mesh_port_leave(struct core *core)
{
    mesh_leave(core->mesh_port.mesh, core->now);
    mesh_port_drain(core);
}
