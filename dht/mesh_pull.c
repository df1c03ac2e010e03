/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <string.h>

#define ALL_COVERED UINT64_MAX /* all 64 indices of a leaf */

#define REPAIR_TRIES                                                                     \
    2 /* the time-out of a repair is that of a leaf asked for so often in vain */

/* ---- Entries ---- */

static void lack(struct mesh *mesh, struct mesh_node *node)
{
    mesh->stats.refused++;
    mesh->lacking += !node->lacks;
    node->lacks = true;
    node->lack_at = mesh->now;
}

static void tell_change(struct mesh *mesh, uint64_t node, struct mesh_item *was,
                        struct mesh_item *now)
{
    bool same = was != NULL && now != NULL && was->entry.kind == now->entry.kind &&
                was->entry.len == now->entry.len &&
                memcmp(was->entry.name, now->entry.name, now->entry.len) == 0;

    if (was != NULL && was->entry.kind == MESH_NAME)
        mesh_names_remove(mesh, was);
    mesh->entries += (now != NULL) - (was != NULL);
    if (same) {
        mesh_tell_entry(mesh, MESH_CHANGED, node, now, was);
        return;
    }
    if (was != NULL)
        mesh_tell_entry(mesh, MESH_REMOVED, node, NULL, was);
    if (now != NULL)
        mesh_tell_entry(mesh, MESH_ADDED, node, now, NULL);
}

static void apply(struct mesh *mesh, struct mesh_node *node, struct mesh_entry *entry)
{
    struct mesh_item *was, *now;
    bool full = mesh->entries >= mesh->entries_max;

    entry->node = node->node;
    switch (mesh_set_apply(mesh, &node->set, entry, full, &was, &now)) {
    case MESH_APPLIED:
        break;
    case MESH_REFUSED_ENTRY:
        lack(mesh, node);
        return;
    case MESH_STALE:
    case MESH_SAME:
        return;
    }
    if (now != NULL && now->entry.kind == MESH_NAME && !mesh_names_add(mesh, now)) {
        mesh_set_undo(&node->set, now);
        mesh_item_free(mesh, now);
        now = NULL;
        lack(mesh, node);
    }
    tell_change(mesh, node->node, was, now);
}

/* Removes what is older than `version` in [first, end). */
static void apply_none(struct mesh *mesh, struct mesh_node *node, uint32_t first,
                       uint32_t end, uint64_t version)
{
    struct mesh_item *item, *was, *now;

    for (uint32_t at = first; (item = mesh_set_next(&node->set, &at, end)) != NULL;
         at++) {
        struct mesh_entry removed = {.index = at, .version = version};

        if (mesh_set_apply(mesh, &node->set, &removed, false, &was, &now) == MESH_APPLIED)
            tell_change(mesh, node->node, was, now);
    }
    mesh_set_seen(&node->set, first, end, version);
}

/* ---- Asking for leaves ---- */

static bool is_wanted(const struct mesh_node *node, uint32_t leaf)
{
    return (node->wanted[leaf / 64] >> (leaf % 64) & 1) != 0;
}

static void want(struct mesh_node *node, uint32_t leaf)
{
    if (is_wanted(node, leaf))
        return;
    for (unsigned i = 0; i < MESH_WINDOW; i++)
        if (node->asked[i].used && node->asked[i].leaf == leaf)
            return;
    node->wanted[leaf / 64] |= UINT64_C(1) << (leaf % 64);
    node->wanted_count++;
}

static void line_up(struct mesh *mesh, struct mesh_node *node)
{
    uint32_t number = mesh_number(mesh, node);

    if (node->in_pull || node->wanted_count == 0 || node->asked_count == MESH_WINDOW)
        return;
    node->in_pull = true;
    node->pull_next = MESH_NONE;
    if (mesh->pull_first == MESH_NONE)
        mesh->pull_first = number;
    else
        mesh->nodes[mesh->pull_last].pull_next = number;
    mesh->pull_last = number;
}

static uint32_t first_wanted(struct mesh_node *node)
{
    uint32_t word = 0;

    while (node->wanted[word] == 0)
        word++;
    return word * 64 + (uint32_t)__builtin_ctzll(node->wanted[word]);
}

static proa_ns timeout(const struct mesh_node *node, unsigned tries)
{
    proa_ns rto = node->srtt == 0 ? MESH_RTO_START : node->srtt + 4 * node->rttvar;

    if (rto < MESH_RTO_MIN)
        rto = MESH_RTO_MIN;
    rto <<= tries < 6 ? tries : 6;
    return rto < MESH_RTO_MAX ? rto : MESH_RTO_MAX;
}

static void ask_leaf(struct mesh *mesh, struct mesh_node *node, uint32_t leaf)
{
    struct mesh_asked *asked = node->asked;

    while (asked->used)
        asked++;
    node->wanted[leaf / 64] &= ~(UINT64_C(1) << (leaf % 64));
    node->wanted_count--;
    node->asked_count++;
    mesh->window++;
    *asked = (struct mesh_asked){.at = mesh->now,
                                 .leaf = (uint16_t)leaf,
                                 .used = true,
                                 .ask = true,
                                 .counted = true};
    mesh_arm(mesh, mesh->now + timeout(node, 0));
    mesh_work(mesh, node, MESH_WORK_PULL);
}

/* Each node in turn asks for some, as long as there is a window for it. */
void mesh_pull_pump(struct mesh *mesh)
{
    while (mesh->window < MESH_WINDOW_ALL && mesh->pull_first != MESH_NONE) {
        struct mesh_node *node = &mesh->nodes[mesh->pull_first];

        mesh->pull_first = node->pull_next;
        node->in_pull = false;
        for (unsigned i = 0;
             i < 4 && node->wanted_count > 0 && node->asked_count < MESH_WINDOW; i++)
            ask_leaf(mesh, node, first_wanted(node));
        line_up(mesh, node);
    }
}

static void drop_asked(struct mesh *mesh, struct mesh_node *node,
                       struct mesh_asked *asked)
{
    mesh->window -= asked->counted;
    node->asked_count--;
    asked->used = asked->ask = false;
}

void mesh_pull_end(struct mesh *mesh, struct mesh_node *node)
{
    uint32_t number = mesh_number(mesh, node), last = MESH_NONE;

    for (unsigned i = 0; i < MESH_WINDOW; i++)
        if (node->asked[i].used)
            drop_asked(mesh, node, &node->asked[i]);
    memset(node->wanted, 0, sizeof(node->wanted));
    node->wanted_count = 0;
    node->repairing = false;
    node->ask_mask = 0;
    for (uint32_t *at = &mesh->pull_first; node->in_pull && *at != MESH_NONE;) {
        if (*at == number) {
            *at = node->pull_next;
            node->in_pull = false;
            if (mesh->pull_last == number)
                mesh->pull_last = last;
        } else {
            last = *at;
            at = &mesh->nodes[*at].pull_next;
        }
    }
    mesh_pull_pump(mesh);
}

/* All that was asked for is here. */
static void finish(struct mesh *mesh, struct mesh_node *node)
{
    if (node->wanted_count > 0 || node->asked_count > 0)
        return;
    node->repairing = false;
    if (node->state != MESH_SYNCING || node->lacks)
        return;
    mesh_node_state(mesh, node, MESH_LINKED_UP, true);
    mesh_tell(mesh, MESH_SYNCED, node);
}

void mesh_pull_begin(struct mesh *mesh, struct mesh_node *node,
                     const struct mesh_digest *digest)
{
    for (uint32_t leaf = 0; leaf < digest->leaves; leaf++)
        want(node, leaf);
    node->leaves_seen = digest->leaves;
    finish(mesh, node);
    line_up(mesh, node);
    mesh_pull_pump(mesh);
}

size_t mesh_write_pull(struct mesh_node *node, uint8_t *buf, proa_ns now)
{
    uint32_t mid = MESH_NONE, mask = 0;
    struct mesh_writer w;

    for (unsigned i = 0; i < MESH_WINDOW; i++) {
        struct mesh_asked *asked = &node->asked[i];

        if (!asked->used || !asked->ask)
            continue;
        if (mid == MESH_NONE)
            mid = asked->leaf / MESH_FAN;
        if (mid != asked->leaf / MESH_FAN)
            continue;
        asked->ask = false;
        asked->at = now;
        mask |= UINT32_C(1) << (asked->leaf % MESH_FAN);
    }
    if (mask == 0)
        return 0;
    mesh_begin(&w, buf, MESH_M_PULL);
    mesh_put_u8(&w, (uint8_t)mid);
    mesh_put_u32(&w, mask);
    return w.len;
}

void mesh_pull_tick(struct mesh *mesh, struct mesh_node *node)
{
    if (node->asked_count == 0)
        return;
    for (unsigned i = 0; i < MESH_WINDOW; i++) {
        struct mesh_asked *asked = &node->asked[i];
        if (!asked->used)
            continue;
        if (mesh->now >= asked->at + timeout(node, asked->tries)) {
            mesh->window -=
                asked->counted; /* a silent node does not keep the others waiting */
            asked->counted = false;
            asked->tries += asked->tries < UINT8_MAX;
            asked->ask = true;
            asked->at = mesh->now;
            mesh_work(mesh, node, MESH_WORK_PULL);
        }
        mesh_arm(mesh, asked->at + timeout(node, asked->tries));
    }
}

/* ---- Answers ---- */

static void sample(struct mesh_node *node, proa_ns rtt)
{
    /* Source: RFC 6298, 2 */
    proa_ns off = rtt > node->srtt ? rtt - node->srtt : node->srtt - rtt;

    if (node->srtt == 0) {
        node->srtt = rtt > 0 ? rtt : 1;
        node->rttvar = rtt / 2;
    } else {
        node->rttvar = (3 * node->rttvar + off) / 4;
        node->srtt = (7 * node->srtt + rtt) / 8;
    }
}

/* The bits of a leaf's indices that are in [first, end). */
static uint64_t bits_of(uint32_t leaf, uint32_t first, uint32_t end)
{
    uint32_t base = leaf * MESH_LEAF;
    uint32_t from = first > base ? first - base : 0;
    uint32_t to = end < base + MESH_LEAF ? end - base : MESH_LEAF;
    uint64_t below_to = to == MESH_LEAF ? UINT64_MAX : (UINT64_C(1) << to) - 1;

    return below_to & ~((UINT64_C(1) << from) - 1);
}

static void cover(struct mesh *mesh, struct mesh_node *node, uint32_t first, uint32_t end)
{
    for (unsigned i = 0; i < MESH_WINDOW; i++) {
        struct mesh_asked *asked = &node->asked[i];

        if (!asked->used || (asked->leaf + 1u) * MESH_LEAF <= first ||
            asked->leaf * MESH_LEAF >= end)
            continue;
        if (asked->covered == 0 && asked->tries == 0 && !asked->ask)
            sample(node, mesh->now - asked->at);
        asked->covered |= bits_of(asked->leaf, first, end);
        asked->at = mesh->now; /* it is coming: the next part's time begins */
        if (asked->covered == ALL_COVERED)
            drop_asked(mesh, node, asked);
    }
}

static void on_range(struct mesh *mesh, struct mesh_node *node,
                     const struct mesh_message *message)
{
    struct mesh_span span = message->span;
    struct mesh_entry *entry = &mesh->taken;
    uint32_t at = message->first;

    mesh->stats.ranges++;
    while (mesh_take_entry(&span, entry)) {
        apply_none(mesh, node, at, entry->index, message->version);
        at = entry->index + 1;
        apply(mesh, node, entry);
    }
    apply_none(mesh, node, at, message->end, message->version);
    cover(mesh, node, message->first, message->end);
    finish(mesh, node);
    line_up(mesh, node);
    mesh_pull_pump(mesh);
}

void mesh_on_entries(struct mesh *mesh, struct mesh_node *node,
                     const struct mesh_message *message)
{
    struct mesh_span span = message->span;

    if (message->kind == MESH_M_RANGE) {
        on_range(mesh, node, message);
        return;
    }
    mesh->stats.deltas++;
    while (mesh_take_entry(&span, &mesh->taken))
        apply(mesh, node, &mesh->taken);
}

/* ---- Digests and repair ---- */

static void agree(struct mesh *mesh, struct mesh_node *node)
{
    mesh_differs(mesh, node, NULL);
    mesh->lacking -= node->lacks;
    node->lacks = false;
    finish(mesh, node);
}

void mesh_on_digest(struct mesh *mesh, struct mesh_node *node,
                    const struct mesh_digest *digest)
{
    struct mesh_set *set = &node->set;

    mesh->stats.digests++;
    mesh_check_links(mesh, node, digest->links);
    if (digest->version < set->version) /* it was overtaken by a change */
        return;
    if (digest->root == set->root && digest->count == set->count) {
        set->version = digest->version;
        agree(mesh, node);
        return;
    }
    mesh->stats.mismatches++;
    mesh_differs(mesh, node, digest);
    for (; node->state == MESH_SYNCING && node->leaves_seen < digest->leaves;
         node->leaves_seen++)
        want(node, node->leaves_seen); /* it grew since it said HELLO */
    line_up(mesh, node);
    mesh_pull_pump(mesh);
    if (node->wanted_count > 0 || node->asked_count > 0 ||
        (node->repairing && mesh->now - node->repair_at < timeout(node, REPAIR_TRIES)) ||
        (node->lacks && mesh->now - node->lack_at < MESH_LACK_WAIT))
        return;
    mesh->stats.resyncs++;
    mesh->lacking -= node->lacks;
    node->lacks = false;
    node->repairing = true;
    node->repair_at = mesh->now;
    node->ask_mask |= UINT64_C(1) << MESH_HASHES_TOP;
    mesh_work(mesh, node, MESH_WORK_ASK_HASHES);
}

void mesh_on_hashes(struct mesh *mesh, struct mesh_node *node,
                    const struct mesh_message *message)
{
    uint64_t here[MESH_FAN];

    if (!node->repairing)
        return;
    mesh_set_hashes(&node->set, message->where, here);
    for (uint32_t i = 0; i < MESH_FAN; i++) {
        if (here[i] == message->hashes[i])
            continue;
        if (message->where == MESH_HASHES_TOP) {
            node->ask_mask |= UINT64_C(1) << i;
            mesh_work(mesh, node, MESH_WORK_ASK_HASHES);
        } else {
            want(node, message->where * MESH_FAN + i);
        }
    }
    line_up(mesh, node);
    mesh_pull_pump(mesh);
}
