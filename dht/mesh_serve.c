/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include "record.h"

#include <string.h>

void mesh_own_digest(const struct mesh *mesh, struct mesh_digest *ret)
{
    const struct mesh_set *set = &mesh->own.set;

    *ret = (struct mesh_digest){.version = set->version,
                                .root = set->root,
                                .links = mesh->links_hash,
                                .count = set->count,
                                .leaves = mesh_set_leaves(set)};
}

/* ---- Own entries ---- */

void mesh_own_init(struct mesh_own *own, uint32_t published_max, uint32_t *lists)
{
    memset(own, 0, sizeof(*own));
    own->published_max = published_max;
    own->dirty_next = lists;
    own->dirty_prev = lists + published_max;
    own->dirty_first = own->dirty_last = MESH_NONE;
    own->flush_due = PROA_NS_NEVER;
}

/* The first index whose removal has not been sent, MESH_NONE: there is none. */
static uint32_t take_removed(const struct mesh_own *own)
{
    uint32_t index = own->dirty_first;

    while (index != MESH_NONE && mesh_set_get(&own->set, index) != NULL)
        index = own->dirty_next[index];
    return index;
}

static uint32_t take_index(struct mesh_own *own)
{
    uint32_t words = (own->published_max + 63) / 64, index = own->published_max;

    while (own->free_from < words && own->used[own->free_from] == UINT64_MAX)
        own->free_from++;
    if (own->free_from < words)
        index =
            own->free_from * 64 + (uint32_t)__builtin_ctzll(~own->used[own->free_from]);
    if (index >= own->published_max)
        return take_removed(own);
    own->used[index / 64] |= UINT64_C(1) << (index % 64);
    return index;
}

static void give_index(struct mesh_own *own, uint32_t index)
{
    own->used[index / 64] &= ~(UINT64_C(1) << (index % 64));
    if (index / 64 < own->free_from)
        own->free_from = index / 64;
}

static bool is_dirty(const struct mesh_own *own, uint32_t index)
{
    return (own->dirty[index / 64] >> (index % 64) & 1) != 0;
}

static void take_dirty(struct mesh_own *own, uint32_t index)
{
    uint32_t next = own->dirty_next[index], prev = own->dirty_prev[index];

    if (prev != MESH_NONE)
        own->dirty_next[prev] = next;
    else
        own->dirty_first = next;
    if (next != MESH_NONE)
        own->dirty_prev[next] = prev;
    else
        own->dirty_last = prev;
    own->dirty[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

/* The index changed: it is sent after all that changed before it. */
static void make_dirty(struct mesh *mesh, uint32_t index)
{
    struct mesh_own *own = &mesh->own;

    if (mesh->link_count == 0) /* who links later asks for all of it */
        return;
    if (is_dirty(own, index))
        take_dirty(own, index);
    own->dirty_next[index] = MESH_NONE;
    own->dirty_prev[index] = own->dirty_last;
    if (own->dirty_last != MESH_NONE)
        own->dirty_next[own->dirty_last] = index;
    else
        own->dirty_first = index;
    own->dirty_last = index;
    own->dirty[index / 64] |= UINT64_C(1) << (index % 64);
    if (own->flush_due == PROA_NS_NEVER) {
        proa_ns soon = own->flushed + MESH_BATCH;

        own->flush_due = own->flushed == 0 || soon < mesh->now ? mesh->now : soon;
    }
}

uint32_t mesh_publish(struct mesh *mesh, const struct mesh_entry *entry, proa_ns now)
{
    struct mesh_entry *own = &mesh->taken;
    struct mesh_item *was, *item;

    PROA_ASSERT(entry->generation != 0);
    PROA_ASSERT(entry->kind == MESH_NAME || entry->kind == MESH_MEMBER);
    mesh->now = now;
    if (!record_name_is_valid(entry->name, entry->len)) /* nobody would take it */
        return MESH_NONE;
    uint32_t index = take_index(&mesh->own);
    if (index == MESH_NONE)
        return MESH_NONE;
    mesh_entry_copy(own, entry);
    if (own->kind == MESH_MEMBER) /* not on the wire */
        own->term = own->issued = own->claim = 0;
    own->node = mesh->node;
    own->index = index;
    own->version = mesh->own.set.version + 1;
    if (mesh_set_apply(mesh, &mesh->own.set, own, false, &was, &item) != MESH_APPLIED) {
        if (!is_dirty(&mesh->own, index))
            give_index(&mesh->own, index);
        return MESH_NONE;
    }
    make_dirty(mesh, index);
    return index;
}

void mesh_republish(struct mesh *mesh, uint32_t index, const struct mesh_entry *entry,
                    proa_ns now)
{
    struct mesh_item *item = mesh_set_get(&mesh->own.set, index);
    struct mesh_entry *own = &mesh->taken;

    PROA_ASSERT(item != NULL && entry->generation != 0);
    mesh->now = now;
    mesh_entry_copy(own, entry);
    if (item->entry.kind == MESH_MEMBER)
        own->term = own->issued = own->claim = 0;
    own->version = mesh->own.set.version + 1;
    mesh_set_change(&mesh->own.set, item, own);
    make_dirty(mesh, index);
}

void mesh_withdraw(struct mesh *mesh, uint32_t index, proa_ns now)
{
    const struct mesh_entry removed = {.index = index,
                                       .version = mesh->own.set.version + 1};
    struct mesh_item *was, *item;

    PROA_ASSERT(index < mesh->own.published_max);
    PROA_ASSERT(mesh_set_get(&mesh->own.set, index) != NULL);
    mesh->now = now;
    mesh_set_apply(mesh, &mesh->own.set, &removed, false, &was, &item);
    mesh_item_free(mesh, was);
    make_dirty(mesh, index);
    if (!is_dirty(&mesh->own, index))
        give_index(&mesh->own, index);
}

size_t mesh_write_delta(struct mesh *mesh, uint8_t *buf)
{
    struct mesh_own *own = &mesh->own;
    struct mesh_writer w;

    mesh_begin(&w, buf, MESH_M_DELTA);
    while (own->dirty_first != MESH_NONE) {
        uint32_t index = own->dirty_first;
        const struct mesh_item *item = mesh_set_get(&own->set, index);
        struct mesh_entry removed = {.index = index,
                                     .version = mesh_set_version_at(&own->set, index)};

        if (!mesh_put_entry(&w, item != NULL ? &item->entry : &removed))
            break;
        take_dirty(own, index);
        if (item == NULL)
            give_index(own, index);
    }
    if (own->dirty_first == MESH_NONE) {
        own->flushed = mesh->now;
        own->flush_due = PROA_NS_NEVER;
    }
    return w.len;
}

/* ---- What others ask for ---- */

void mesh_on_pull(struct mesh *mesh, struct mesh_node *node,
                  const struct mesh_message *message)
{
    for (uint32_t i = 0; i < MESH_FAN; i++) {
        uint32_t leaf = message->where * MESH_FAN + i;
        uint64_t bit = UINT64_C(1) << (leaf % 64);

        if ((message->mask >> i & 1) == 0 || (node->serve[leaf / 64] & bit) != 0)
            continue;
        node->serve[leaf / 64] |= bit;
        node->serve_count++;
    }
    mesh->stats.pulls++;
    mesh_work(mesh, node, MESH_WORK_SERVE);
}

/* Whether a node may have one more answer now.  A request of 7 bytes asks for up to 2,048 entries, so
   answers are given at a pace; what is left waits for the next turn.  How many each may have follows
   from how many wanted some in the turn before; one, everybody. */
static bool may_answer(struct mesh *mesh, struct mesh_node *node)
{
    if (mesh->now >= mesh->answers_until) {
        uint32_t each = MESH_ANSWERS / (mesh->answers_wanting + 1);

        if (each > MESH_ANSWERS_ONE)
            each = MESH_ANSWERS_ONE;
        mesh->answers_each = each > 0 ? each : 1;
        mesh->answers_until = mesh->now + MESH_ANSWERS_EVERY;
        mesh->answers_turn++;
        mesh->answers = mesh->answers_wanting = 0;
    }
    if (node->answers_turn != mesh->answers_turn) {
        node->answers_turn = mesh->answers_turn;
        node->answers = 0;
        mesh->answers_wanting++;
    }
    if (node->answers >= mesh->answers_each ||
        (mesh->answers >= MESH_ANSWERS && node->answers > 0)) {
        mesh_arm(mesh, mesh->answers_until);
        return false;
    }
    node->answers++;
    mesh->answers++;
    return true;
}

void mesh_serve_tick(struct mesh *mesh, struct mesh_node *node)
{
    if (node->serve_count > 0)
        mesh_work(mesh, node, MESH_WORK_SERVE);
    if (node->hash_mask != 0)
        mesh_work(mesh, node, MESH_WORK_HASHES);
}

static bool is_served(const struct mesh_node *node, uint32_t leaf)
{
    return (node->serve[leaf / 64] >> (leaf % 64) & 1) != 0;
}

static uint32_t first_served(const struct mesh_node *node)
{
    uint32_t word = 0;

    while (node->serve[word] == 0)
        word++;
    return word * 64 + (uint32_t)__builtin_ctzll(node->serve[word]);
}

static void served(struct mesh_node *node, uint32_t leaf)
{
    node->serve[leaf / 64] &= ~(UINT64_C(1) << (leaf % 64));
    node->serve_count--;
}

/* The entries of the next leaves that were asked for, as many as fit: those of one mid, that follow
   each other. */
size_t mesh_write_range(struct mesh *mesh, struct mesh_node *node, uint8_t *buf)
{
    const struct mesh_set *set = &mesh->own.set;
    struct mesh_item *item;
    struct mesh_writer w;

    if (node->serve_count == 0 || !may_answer(mesh, node))
        return 0;
    uint32_t leaf = node->serve_at != 0 ? node->serve_at / MESH_LEAF : first_served(node);
    uint32_t first = node->serve_at != 0 ? node->serve_at : leaf * MESH_LEAF;
    uint32_t last = leaf;
    while ((last + 1) % MESH_FAN != 0 && is_served(node, last + 1))
        last++;
    uint32_t end = (last + 1) * MESH_LEAF, at = first;
    mesh_begin_range(&w, buf);
    for (; (item = mesh_set_next(set, &at, end)) != NULL; at++)
        if (!mesh_put_entry(&w, &item->entry))
            break;
    if (item != NULL)
        end = at;
    mesh_set_range(&w, first, end, set->version);
    for (; leaf < end / MESH_LEAF; leaf++)
        served(node, leaf);
    node->serve_at = end % MESH_LEAF != 0 ? end : 0;
    return w.len;
}

size_t mesh_write_hashes(struct mesh *mesh, struct mesh_node *node, uint8_t *buf)
{
    uint64_t hashes[MESH_FAN];
    struct mesh_writer w;

    if (node->hash_mask == 0 || !may_answer(mesh, node))
        return 0;
    uint32_t where = (uint32_t)__builtin_ctzll(node->hash_mask);
    node->hash_mask &= node->hash_mask - 1;
    mesh_set_hashes(&mesh->own.set, where, hashes);
    mesh_begin(&w, buf, MESH_M_HASHES);
    mesh_put_u8(&w, (uint8_t)where);
    mesh_put_u64(&w, mesh->own.set.version);
    for (unsigned i = 0; i < MESH_FAN; i++)
        mesh_put_u64(&w, hashes[i]);
    return w.len;
}
