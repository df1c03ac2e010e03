/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh.h"

#include "mesh_internal.h"

#include <string.h>

/* ---- Life ---- */

/* Where the parts of a mesh lie in its memory. */
struct layout {
    uint32_t nodes_max, published_max, node_cap, heads;
    size_t nodes, by_node, by_addr, links, lists, queue, letters, size;
};

static size_t part(size_t *end, size_t size)
{
    size_t at = (*end + PROA_CACHE_LINE - 1) & ~(size_t)(PROA_CACHE_LINE - 1);

    *end = at + size;
    return at;
}

static struct layout lay_out(const struct mesh_config *config)
{
    struct layout l = {.nodes_max = config->nodes_max,
                       .published_max = config->published_max,
                       .heads = 16};
    size_t end = sizeof(struct mesh);

    if (l.nodes_max == 0)
        l.nodes_max = MESH_NODES_DEFAULT;
    if (l.nodes_max > MESH_NODES_MAX)
        l.nodes_max = MESH_NODES_MAX;
    if (l.published_max == 0 || l.published_max > MESH_PUBLISHED_MAX)
        l.published_max = MESH_PUBLISHED_MAX;
    l.node_cap = 2 * l.nodes_max + MESH_SPARE;
    while (l.heads < l.node_cap)
        l.heads *= 2;
    l.nodes = part(&end, l.node_cap * sizeof(struct mesh_node));
    l.by_node = part(&end, l.heads * sizeof(uint32_t));
    l.by_addr = part(&end, l.heads * sizeof(uint32_t));
    l.links = part(&end, l.nodes_max * sizeof(uint16_t));
    l.lists = part(&end, 2 * l.published_max * sizeof(uint32_t));
    l.queue = part(&end, MESH_QUEUE * sizeof(struct mesh_queued));
    l.letters = part(&end, MESH_LETTERS * sizeof(struct mesh_letter));
    l.size = end;
    part(&l.size, 0);
    l.size = (l.size + PROA_CACHE_LINE - 1) & ~(size_t)(PROA_CACHE_LINE - 1);
    return l;
}

size_t mesh_size(const struct mesh_config *config)
{
    return lay_out(config).size;
}

struct mesh *mesh_init(void *memory, const struct mesh_config *config, proa_ns now)
{
    struct layout l = lay_out(config);
    struct mesh *mesh = memory;
    uint8_t *base = memory;

    memset(mesh, 0, sizeof(*mesh));
    mesh->self = config->self;
    mesh->node = kad_id_node64(&config->self);
    mesh->address = config->address;
    mesh->now = now;
    mesh->next = mesh->digest_due = PROA_NS_NEVER;
    mesh->nodes_max = l.nodes_max;
    mesh->entries_max =
        config->entries_max != 0 ? config->entries_max : MESH_ENTRIES_DEFAULT;
    mesh->alloc = config->alloc;
    mesh->free = config->free;
    mesh->alloc_ctx = config->alloc_ctx;
    kad_random_init(&mesh->random, config->seed, "mesh", 4);
    kad_random_bytes(&mesh->random, mesh->key, sizeof(mesh->key));
    mesh_own_init(&mesh->own, l.published_max, (uint32_t *)(void *)(base + l.lists));
    mesh_names_init(&mesh->names, kad_random_u64(&mesh->random));
    mesh->nodes = (struct mesh_node *)(void *)(base + l.nodes);
    mesh->node_cap = l.node_cap;
    mesh->by_node = (uint32_t *)(void *)(base + l.by_node);
    mesh->by_addr = (uint32_t *)(void *)(base + l.by_addr);
    mesh->head_mask = l.heads - 1;
    mesh->links = (uint16_t *)(void *)(base + l.links);
    mesh_nodes_init(mesh);
    mesh->work_first = mesh->pull_first = MESH_NONE;
    mesh->queue = (struct mesh_queued *)(void *)(base + l.queue);
    mesh->letters = (struct mesh_letter *)(void *)(base + l.letters);
    mesh->found = &mesh->found_memory;
    mesh->found_at = &mesh->found_at_memory;
    return mesh;
}

static void drop_set(struct mesh *mesh, struct mesh_set *set)
{
    struct mesh_item *item;

    while ((item = mesh_set_take(mesh, set)) != NULL)
        mesh_item_free(mesh, item);
}

void mesh_fini(struct mesh *mesh)
{
    mesh_events_fini(mesh);
    drop_set(mesh, &mesh->own.set);
    for (uint32_t i = 0; i < mesh->node_high; i++)
        if (mesh->nodes[i].used)
            drop_set(mesh, &mesh->nodes[i].set);
    mesh_names_fini(mesh);
}

void mesh_leave(struct mesh *mesh, proa_ns now)
{
    mesh->now = now;
    mesh->leaving = true;
    mesh->cast.len = 0; /* what was on its way is of no interest now */
}

/* ---- Messages in ---- */

/* The group's name, kept until the event is taken. */
static void keep_group(struct mesh *mesh, const struct mesh_message *message)
{
    memcpy(mesh->group, message->group, message->len);
    mesh->payload.group = mesh->group;
    mesh->payload.len = message->len;
}

/* What is only passed on to the caller. */
static void pass_on(struct mesh *mesh, uint64_t from, const struct mesh_message *message)
{
    struct mesh_event *event = &mesh->payload;

    mesh->has_payload = true;
    *event = (struct mesh_event){.node = from,
                                 .serial = message->serial,
                                 .count = message->count,
                                 .more = message->more};
    switch (message->kind) {
    case MESH_M_WANT_LOADS:
        event->kind = MESH_LOADS_WANTED;
        keep_group(mesh, message);
        break;
    case MESH_M_ASK_GROUP:
        event->kind = MESH_ASKED;
        keep_group(mesh, message);
        break;
    case MESH_M_LOADS:
        event->kind = MESH_LOADS;
        mesh_get_loads(message, mesh->loads);
        event->loads = mesh->loads;
        break;
    default:
        event->kind = MESH_ANSWERED;
        mesh_get_refs(message, mesh->refs);
        event->refs = mesh->refs;
    }
}

/* A message of a linked node. */
static void on_linked(struct mesh *mesh, struct mesh_node *node,
                      const struct mesh_message *message)
{
    switch (message->kind) {
    case MESH_M_LINKS:
        mesh_on_links(mesh, message);
        break;
    case MESH_M_WANT_LINKS:
        mesh_send_links(mesh, node);
        break;
    case MESH_M_DELTA:
    case MESH_M_RANGE:
        mesh_on_entries(mesh, node, message);
        break;
    case MESH_M_DIGEST:
        mesh_on_digest(mesh, node, &message->digest);
        break;
    case MESH_M_ASK_HASHES:
        node->hash_mask |= message->mask;
        mesh_work(mesh, node, MESH_WORK_HASHES);
        break;
    case MESH_M_HASHES:
        mesh_on_hashes(mesh, node, message);
        break;
    case MESH_M_PULL:
        mesh_on_pull(mesh, node, message);
        break;
    default:
        pass_on(mesh, node->node, message);
    }
}

/* A message, not HELLO, of a node that is not linked here: it may believe that it is. */
static bool on_stranger(struct mesh *mesh, struct mesh_node *node)
{
    if (node != NULL && node->state == MESH_CUT)
        mesh_turn_away(mesh, node, MESH_WORK_CUT);
    else if (node != NULL && node->state == MESH_TOO_MANY)
        mesh_turn_away(mesh, node, MESH_WORK_REFUSED);
    else if (node != NULL)
        mesh_meet(mesh, node);
    mesh->stats.unknown_node++;
    return false;
}

static bool on_message(struct mesh *mesh, uint64_t from,
                       const struct mesh_message *message)
{
    struct mesh_node *node;

    switch (message->kind) {
    case MESH_M_HELLO:
        return mesh_on_hello(mesh, from, message);
    case MESH_M_ASK_GROUP:
    case MESH_M_GROUP_PART:
        pass_on(mesh, from, message);
        return true;
    default:
        break;
    }
    node = mesh_find(mesh, from);
    if (node != NULL && !node->gone) {
        if (message->kind == MESH_M_LEAVING)
            mesh_node_gone(mesh, node);
        if (message->kind == MESH_M_CUT)
            mesh_on_cut(mesh, node);
        if (message->kind == MESH_M_REFUSED)
            mesh_on_refused(mesh, node);
        if (message->kind >= MESH_M_LEAVING)
            return true;
    }
    if (node == NULL || !mesh_node_linked(node))
        return on_stranger(mesh, node);
    on_linked(mesh, node, message);
    return true;
}

bool mesh_input(struct mesh *mesh, uint64_t node, const uint8_t *bytes, size_t len,
                proa_ns now)
{
    struct mesh_message message;

    mesh->now = now;
    if (mesh->leaving) /* it has no say any more */
        return false;
    if (node == mesh->node) {
        mesh->stats.conflicts++;
        return false;
    }
    if (!mesh_has_room(mesh)) {
        mesh->stats.overflow++;
        return false;
    }
    if (!mesh_decode(&message, bytes, len)) {
        mesh->stats.malformed++;
        return false;
    }
    mesh->stats.rx++;
    mesh->stats.rx_bytes += len;
    return on_message(mesh, node, &message);
}

/* ---- Loads and groups ---- */

static void post_to_links(struct mesh *mesh, const struct mesh_writer *w)
{
    for (uint32_t at = 0; at < mesh->link_count;) {
        uint64_t to[MESH_TO_MAX];
        unsigned count = 0;

        while (at < mesh->link_count && count < MESH_TO_MAX)
            to[count++] = mesh->nodes[mesh->links[at++]].node;
        mesh_post(mesh, w->bytes, w->len, to, count);
    }
}

void mesh_want_loads(struct mesh *mesh, const char *group, size_t len, proa_ns now)
{
    uint8_t bytes[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    PROA_ASSERT(len >= 1 && len <= PROA_NAME_MAX);
    mesh->now = now;
    mesh_begin(&w, bytes, MESH_M_WANT_LOADS);
    mesh_put_group(&w, group, len);
    post_to_links(mesh, &w);
}

void mesh_loads(struct mesh *mesh, const uint64_t *nodes, unsigned node_count,
                const struct mesh_load *loads, unsigned count, proa_ns now)
{
    uint8_t bytes[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    PROA_ASSERT(count <= MESH_LOADS_MAX);
    mesh->now = now;
    if (count == 0)
        return;
    mesh_begin(&w, bytes, MESH_M_LOADS);
    for (unsigned i = 0; i < count; i++)
        mesh_put_u32(&w, loads[i].index | (uint32_t)loads[i].load << 16);
    for (unsigned i = 0; i < node_count;) {
        uint64_t to[MESH_TO_MAX];
        unsigned to_count = 0;

        for (; i < node_count && to_count < MESH_TO_MAX; i++)
            if (mesh_is_linked(mesh, nodes[i]))
                to[to_count++] = nodes[i];
        if (to_count > 0)
            mesh_post(mesh, w.bytes, w.len, to, to_count);
    }
}

void mesh_ask(struct mesh *mesh, uint64_t node, uint32_t serial, const char *group,
              size_t len, proa_ns now)
{
    uint8_t bytes[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    PROA_ASSERT(len >= 1 && len <= PROA_NAME_MAX);
    mesh->now = now;
    mesh_begin(&w, bytes, MESH_M_ASK_GROUP);
    mesh_put_u32(&w, serial);
    mesh_put_group(&w, group, len);
    mesh_post(mesh, w.bytes, w.len, &node, 1);
}

void mesh_answer(struct mesh *mesh, uint64_t node, uint32_t serial,
                 const struct mesh_ref *refs, unsigned count, bool more, proa_ns now)
{
    uint8_t bytes[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    PROA_ASSERT(count <= MESH_REFS_MAX);
    mesh->now = now;
    mesh_begin(&w, bytes, MESH_M_GROUP_PART);
    mesh_put_u32(&w, serial);
    mesh_put_u8(&w, more ? 1 : 0);
    for (unsigned i = 0; i < count; i++) {
        mesh_put_u32(&w, refs[i].slot);
        mesh_put_u32(&w, refs[i].generation);
        mesh_put_u32(&w, refs[i].type);
    }
    mesh_post(mesh, w.bytes, w.len, &node, 1);
}

/* ---- Time ---- */

void mesh_tick(struct mesh *mesh, proa_ns now)
{
    mesh->now = now;
    mesh->dropped = 0;
    if (mesh->leaving || now < mesh->next)
        return;
    mesh->next = PROA_NS_NEVER;
    for (uint32_t i = 0; i < mesh->node_high; i++) {
        struct mesh_node *node = &mesh->nodes[i];

        if (!node->used)
            continue;
        mesh_pull_tick(mesh, node);
        mesh_serve_tick(mesh, node);
        if (now >= node->due)
            mesh_node_due(mesh, node);
        if (node->used)
            mesh_arm(mesh, node->due);
    }
    mesh_neighbours_tick(mesh);
    mesh_pull_pump(mesh);
}

proa_ns mesh_deadline(const struct mesh *mesh)
{
    proa_ns next = mesh->next;

    if (mesh->leaving)
        return PROA_NS_NEVER;
    if (mesh->link_count > 0 && mesh->own.flush_due < next)
        next = mesh->own.flush_due;
    if (mesh->link_count > 0 && mesh->digest_due < next)
        next = mesh->digest_due;
    return next;
}

/* ---- For the caller ---- */

bool mesh_complete(const struct mesh *mesh)
{
    return mesh->in_state[MESH_CALLING] == mesh->unmet &&
           mesh->in_state[MESH_SYNCING] == 0 && mesh->in_state[MESH_TOO_MANY] == 0 &&
           mesh->lacking == 0 && (mesh->unmet == 0 || mesh->now >= mesh->unmet_until) &&
           mesh->now >= mesh->crowded_until && !mesh_neighbours_wait(mesh);
}

const struct mesh_entry *mesh_entry_at(const struct mesh *mesh, uint64_t number,
                                       uint32_t index)
{
    const struct mesh_node *node = mesh_find(mesh, number);

    if (node == NULL || !mesh_node_linked(node) || index >= MESH_PUBLISHED_MAX)
        return NULL;
    const struct mesh_item *item = mesh_set_get(&node->set, index);
    if (item == NULL)
        return NULL;
    mesh_entry_copy(mesh->found_at, &item->entry);
    return mesh->found_at;
}

void mesh_stats(const struct mesh *mesh, struct mesh_stats *ret)
{
    *ret = mesh->stats;
    ret->nodes = 0;
    for (unsigned i = 0; i < sizeof(mesh->in_state) / sizeof(mesh->in_state[0]); i++)
        ret->nodes += mesh->in_state[i];
    ret->linked = mesh->link_count;
    ret->own = mesh->own.set.count;
    ret->entries = mesh->entries;
}
