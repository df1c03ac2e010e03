/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "members.h"
#include "seeking_internal.h"

/* ---- Searching ---- */

void seeking_search(struct core *core, struct sought *sought)
{
    struct kad_id target;

    if (sought->op != 0 || core->now < sought->search_at)
        return;
    kad_id_of_group(sought->entry.name, sought->entry.len, &target);
    sought->op =
        kad_get_peers(core->kad, &target, core->now + SEEKING_SEARCH_FOR, core->now);
    /* 0: none was free; at the next look. */
    if (sought->op != 0)
        sought->search_at = core->now + SEEKING_SEARCH_EVERY;
}

/* The low half is a counter, so that an answer to an older question is told from this one's. */
static uint32_t next_serial(struct seeking *self, const struct sought *sought)
{
    if (++self->serial == 0)
        self->serial = 1;
    return name_table_place(&self->groups, &sought->entry) << 16 | self->serial;
}

static void ask(struct core *core, struct sought *sought, struct sought_node *node)
{
    const struct peer *peer = peers_find(&core->peers, node->node);

    if (core->mesh_port.waits)
        return; /* it would be lost; at the next look */
    node->asked_at = core->now;
    if (peer == NULL || peer->dead)
        return;
    if (peer->linked) {
        node->answered = true; /* the mesh brings what it has */
        return;
    }
    node->serial = next_serial(core->seeking, sought);
    node->coming_count = 0;
    mesh_ask(core->mesh_port.mesh, node->node, node->serial, sought->entry.name,
             sought->entry.len, core->now);
    mesh_port_flush(core);
}

/* A place for one more: a free one, or that of a node whose members have left. */
static struct sought_node *node_place(struct sought *sought)
{
    if (sought->node_count < SEEKING_NODES_MAX)
        return &sought->nodes[sought->node_count++];
    for (unsigned i = 0; i < sought->node_count; i++) {
        struct sought_node *node = &sought->nodes[i];
        if (node->node == 0 || !node->answered || node->count > 0)
            continue;
        free(node->coming);
        return node;
    }
    return NULL;
}

static struct sought_node *node_add(struct sought *sought, const struct proa_addr *addr)
{
    if (sought->nodes == NULL)
        sought->nodes = calloc(SEEKING_NODES_MAX, sizeof(*sought->nodes));
    if (sought->nodes == NULL)
        return NULL;
    for (unsigned i = 0; i < sought->node_count; i++) {
        if (addr_equal(&sought->nodes[i].addr, addr))
            return NULL;
    }
    struct sought_node *node = node_place(sought);
    if (node != NULL)
        *node = (struct sought_node){.addr = *addr};
    return node;
}

static void node_found(struct core *core, struct sought *sought,
                       const struct proa_addr *addr)
{
    const struct peer *peer = peers_find_addr(&core->peers, addr);
    struct sought_node *node;

    if (addr_equal(addr, &core->config.address))
        return;
    node = node_add(sought, addr);
    if (node == NULL)
        return;
    if (peer != NULL && !peer->dead) {
        node->node = peer->node;
        ask(core, sought, node);
        return;
    }
    node->asked_at = core->now;
    core->seeking->unmet++;
    kad_meet(core->kad, addr, core->now);
}

static struct sought *sought_of_op(struct core *core, uint32_t op)
{
    for (uint32_t i = 0; i < core->seeking->groups.high; i++) {
        struct sought *sought = seeking_at(core->seeking, i);
        if (sought != NULL && sought->op == op)
            return sought;
    }
    return NULL;
}

static bool all_answered(const struct sought *sought)
{
    for (unsigned i = 0; i < sought->node_count; i++) {
        if (!sought->nodes[i].answered)
            return false;
    }
    return true;
}

void seeking_peers(struct core *core, const struct kad_event *event)
{
    struct sought *sought = sought_of_op(core, event->op);
    struct proa_addr found[KAD_PEERS_MAX];
    uint32_t count = event->outcome == PROA_OK ? event->peer_count : 0;

    if (sought == NULL)
        return; /* forgotten meanwhile */
    sought->op = 0;
    sought->searched = event->outcome == PROA_OK || event->outcome == PROA_NOT_FOUND;
    if (!sought->searched)
        sought->search_at = core->now + SEEKING_LOOK_EVERY;
    if (count > KAD_PEERS_MAX)
        count = KAD_PEERS_MAX;
    /* They lie in Kademlia only until it is called again. */
    if (count > 0)
        memcpy(found, event->peers, count * sizeof(found[0]));
    for (uint32_t i = 0; i < count; i++)
        node_found(core, sought, &found[i]);
    sought->patient_until = core->now + SEEKING_PATIENCE;
    if (core->seeking->look_at > sought->patient_until)
        core->seeking->look_at = sought->patient_until;
    if (all_answered(sought))
        seeking_settle(core, sought);
}

void seeking_met(struct core *core, const struct peer *peer)
{
    struct seeking *self = core->seeking;

    for (uint32_t i = 0; i < self->groups.high && self->unmet > 0; i++) {
        struct sought *sought = seeking_at(self, i);
        for (unsigned n = 0; sought != NULL && n < sought->node_count; n++) {
            struct sought_node *node = &sought->nodes[n];
            if (node->node != 0 || !addr_equal(&node->addr, &peer->addr))
                continue;
            self->unmet--;
            node->node = peer->node;
            ask(core, sought, node);
        }
    }
}

/* ---- Answers ---- */

static int compare(const void *a, const void *b)
{
    const struct mesh_ref *x = a, *y = b;

    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return (x->generation > y->generation) - (x->generation < y->generation);
}

static bool has(const struct mesh_ref *refs, uint32_t count, const struct mesh_ref *ref)
{
    return count > 0 && bsearch(ref, refs, count, sizeof(*ref), compare) != NULL;
}

static struct proa_ref ref_of(const struct sought_node *node, const struct mesh_ref *ref)
{
    return (struct proa_ref){node->node, ref->slot, ref->generation};
}

/* Most nodes have a few members, and room was made for SEEKING_REFS_MAX. */
static struct mesh_ref *shrink(struct mesh_ref *refs, uint32_t count)
{
    struct mesh_ref *smaller = NULL;

    if (count == 0)
        free(refs);
    else
        smaller = realloc(refs, count * sizeof(*refs));
    return smaller != NULL || count == 0 ? smaller : refs;
}

/* What was answered replaces what was known, so that nobody else's word is needed. */
static void replace(struct core *core, const struct sought *sought,
                    struct sought_node *node)
{
    const char *name = sought->entry.name;
    size_t len = sought->entry.len;
    struct mesh_ref *old = node->refs;
    uint32_t old_count = node->count;

    if (node->coming_count > 0)
        qsort(node->coming, node->coming_count, sizeof(*node->coming), compare);
    node->refs = shrink(node->coming, node->coming_count);
    node->count = node->coming_count;
    node->coming = NULL;
    node->coming_count = 0;
    for (uint32_t i = 0; i < old_count; i++) {
        if (!has(node->refs, node->count, &old[i]))
            members_leave(core, name, len, ref_of(node, &old[i]));
    }
    for (uint32_t i = 0; i < node->count; i++)
        members_join(core, name, len, ref_of(node, &node->refs[i]), node->refs[i].type);
    free(old);
}

static void take_part(struct sought_node *node, const struct mesh_event *event)
{
    if (node->coming == NULL)
        node->coming = calloc(SEEKING_REFS_MAX, sizeof(*node->coming));
    for (unsigned i = 0; node->coming != NULL && i < event->count &&
                         node->coming_count < SEEKING_REFS_MAX;
         i++)
        node->coming[node->coming_count++] = event->refs[i];
}

void seeking_answered(struct core *core, const struct mesh_event *event)
{
    uint32_t place = event->serial >> 16;
    struct sought *sought =
        place < core->seeking->groups.high ? seeking_at(core->seeking, place) : NULL;

    for (unsigned i = 0; sought != NULL && i < sought->node_count; i++) {
        struct sought_node *node = &sought->nodes[i];
        if (node->node != event->node || node->serial == 0 ||
            node->serial != event->serial)
            continue;
        take_part(node, event);
        if (event->more)
            return;
        node->answered = true;
        replace(core, sought, node);
        if (all_answered(sought) && sought->op == 0)
            seeking_settle(core, sought);
        return;
    }
}

bool seeking_is_open(const struct core *core, const struct sought *sought)
{
    return sought->op != 0 ||
           (!all_answered(sought) && core->now < sought->patient_until);
}

/* ---- Time ---- */

static void node_drop(struct core *core, const struct sought *sought,
                      struct sought_node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        members_leave(core, sought->entry.name, sought->entry.len,
                      ref_of(node, &node->refs[i]));
    if (node->node == 0)
        core->seeking->unmet--;
    free(node->refs);
    free(node->coming);
}

/* A node that died, or that nobody met where it was said to be, is looked for by the next search. */
static bool is_lost(const struct core *core, const struct sought_node *node)
{
    const struct peer *peer = peers_find(&core->peers, node->node);

    return node->node == 0 ? core->now - node->asked_at >= SEEKING_SEARCH_EVERY
                           : peer == NULL || peer->dead;
}

void seeking_look_afar(struct core *core, struct sought *sought)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < sought->node_count; i++) {
        struct sought_node *node = &sought->nodes[i];
        if (is_lost(core, node)) {
            node_drop(core, sought, node);
            continue;
        }
        if (node->node != 0 && core->now - node->asked_at >= SEEKING_ASK_EVERY)
            ask(core, sought, node);
        sought->nodes[kept++] = *node;
    }
    sought->node_count = kept;
    if (seeking_is_afar(core))
        seeking_search(core, sought);
}

void seeking_forget(struct core *core, struct sought *sought)
{
    for (unsigned i = 0; i < sought->node_count; i++)
        node_drop(core, sought, &sought->nodes[i]);
    free(sought->nodes);
    sought->nodes = NULL;
    sought->node_count = 0;
}

void seeking_node_over(struct core *core, uint64_t node)
{
    for (uint32_t i = 0; i < core->seeking->groups.high; i++) {
        struct sought *sought = seeking_at(core->seeking, i);
        for (unsigned n = 0; sought != NULL && n < sought->node_count; n++) {
            if (sought->nodes[n].node != node)
                continue;
            node_drop(core, sought, &sought->nodes[n]);
            sought->nodes[n--] = sought->nodes[--sought->node_count];
        }
    }
}
