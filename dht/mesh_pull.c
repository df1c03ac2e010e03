/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <string.h>

#define ALL_COVERED UINT64_MAX /* all 64 indices of a leaf */

#define REPAIR_SHIFT 2 /* a repair has four times the time of a leaf */
#define BACKOFF_MAX 6  /* times a time-out is doubled */
#define PUMP_AT_ONCE 4 /* leaves a node asks for before it is the next one's turn */

/* ---- Entries ---- */

/* Who has `own` may have one more while all have so many: three quarters are for who comes first, the
   rest is kept in equal parts for each of nodes_max.  So all together have `max` at most. */
static bool fits(const struct mesh *mesh, uint32_t own, uint32_t all, uint32_t max)
{
    uint32_t kept = max / 4;

    return all < max - kept || own < kept / mesh->nodes_max;
}

static bool has_room(const struct mesh *mesh, const struct mesh_node *node)
{
    return fits(mesh, node->set.count, mesh->entries, mesh->entries_max);
}

/* Entries far apart cost a leaf each, ten times as much as they do. */
static bool has_room_at(const struct mesh *mesh, const struct mesh_node *node,
                        uint32_t index)
{
    uint32_t max = mesh->entries_max / MESH_LEAF_SHARE + 4 * mesh->nodes_max;

    return has_room(mesh, node) && (mesh_set_has_leaf(&node->set, index) ||
                                    fits(mesh, node->set.leaves, mesh->leaves, max));
}

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
    bool full = !has_room_at(mesh, node, entry->index);

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

static bool is_set(const uint64_t *bits, uint32_t leaf)
{
    return (bits[leaf / 64] >> (leaf % 64) & 1) != 0;
}

static void set(uint64_t *bits, uint32_t leaf)
{
    bits[leaf / 64] |= UINT64_C(1) << (leaf % 64);
}

static void clear(uint64_t *bits, uint32_t leaf)
{
    bits[leaf / 64] &= ~(UINT64_C(1) << (leaf % 64));
}

static void want(struct mesh_node *node, uint32_t leaf)
{
    if (is_set(node->wanted, leaf))
        return;
    for (unsigned i = 0; i < MESH_WINDOW; i++)
        if (node->asked[i].used && node->asked[i].leaf == leaf)
            return;
    set(node->wanted, leaf);
    node->wanted_count++;
}

static void unwant(struct mesh_node *node, uint32_t leaf)
{
    clear(node->wanted, leaf);
    node->wanted_count--;
}

static void line_up(struct mesh *mesh, struct mesh_node *node)
{
    uint32_t number = mesh_number(mesh, node);

    if (node->in_pull || node->wanted_count == 0 || node->asked_count >= node->room)
        return;
    node->in_pull = true;
    node->pull_next = MESH_NONE;
    if (mesh->pull_first == MESH_NONE)
        mesh->pull_first = number;
    else
        mesh->nodes[mesh->pull_last].pull_next = number;
    mesh->pull_last = number;
}

/* The leaves have their turns in a circle: what is wanted again comes after all others. */
static uint32_t next_wanted(struct mesh_node *node)
{
    uint32_t word = node->want_at / 64;
    uint64_t bits = node->wanted[word] & UINT64_MAX << (node->want_at % 64);

    while (bits == 0) {
        word = (word + 1) % (MESH_LEAVES / 64);
        bits = node->wanted[word];
    }
    uint32_t leaf = word * 64 + (uint32_t)__builtin_ctzll(bits);
    node->want_at = (leaf + 1) % MESH_LEAVES;
    return leaf;
}

static proa_ns timeout(const struct mesh_node *node, unsigned shift)
{
    proa_ns rto = node->srtt == 0 ? MESH_RTO_START : node->srtt + 4 * node->rttvar;

    if (rto < MESH_RTO_MIN)
        rto = MESH_RTO_MIN;
    if (rto > MESH_RTO_MAX >> shift)
        return MESH_RTO_MAX;
    return rto << shift;
}

/* The moment a leaf that was asked for is given up, wait after something of it came. */
static proa_ns expiry(const struct mesh_asked *asked, proa_ns wait)
{
    proa_ns part = asked->at + wait;
    proa_ns all = asked->since + MESH_ASKED_MAX;

    return part < all ? part : all;
}

static void ask_leaf(struct mesh *mesh, struct mesh_node *node, uint32_t leaf)
{
    struct mesh_asked *asked = node->asked;

    while (asked->used)
        asked++;
    unwant(node, leaf);
    node->asked_count++;
    mesh->window++;
    *asked = (struct mesh_asked){.leaf = (uint16_t)leaf, .used = true, .ask = true};
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
             i < PUMP_AT_ONCE && node->wanted_count > 0 &&
             node->asked_count < node->room && mesh->window < MESH_WINDOW_ALL;
             i++)
            ask_leaf(mesh, node, next_wanted(node));
        line_up(mesh, node);
    }
}

static void drop_asked(struct mesh *mesh, struct mesh_node *node,
                       struct mesh_asked *asked)
{
    mesh->window--;
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
    memset(node->again, 0, sizeof(node->again));
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
    node->lack_wait = MESH_LACK_WAIT;
    node->room = MESH_WINDOW;
    node->backoff = 0;
    node->want_at = 0;
    for (uint32_t leaf = 0; leaf < digest->leaves; leaf++)
        want(node, leaf);
    node->leaves_seen = digest->leaves;
    finish(mesh, node);
    line_up(mesh, node);
    mesh_pull_pump(mesh);
}

size_t mesh_write_pull(struct mesh *mesh, struct mesh_node *node, uint8_t *buf)
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
        asked->since = asked->at = mesh->now;
        mesh_arm(mesh, expiry(asked, timeout(node, node->backoff)));
        mask |= UINT32_C(1) << (asked->leaf % MESH_FAN);
    }
    if (mask == 0)
        return 0;
    mesh_begin(&w, buf, MESH_M_PULL);
    mesh_put_u8(&w, (uint8_t)mid);
    mesh_put_u32(&w, mask);
    return w.len;
}

/* A leaf did not come in time.  It gives up its place, so that a silent node keeps no other waiting,
   and the node has one place only until leaves come again. */
static void give_up(struct mesh *mesh, struct mesh_node *node, struct mesh_asked *asked)
{
    /* Source: RFC 6298, 5.5 to 5.7.  Those asked for together are one loss. */
    if (asked->since >= node->backed_at) {
        node->backoff += node->backoff < BACKOFF_MAX;
        node->backed_at = mesh->now;
    }
    node->room = 1;
    drop_asked(mesh, node, asked);
    set(node->again, asked->leaf);
    set(node->wanted, asked->leaf);
    node->wanted_count++;
}

void mesh_pull_tick(struct mesh *mesh, struct mesh_node *node)
{
    proa_ns wait = timeout(node, node->backoff);

    if (node->asked_count == 0)
        return;
    for (unsigned i = 0; i < MESH_WINDOW; i++) {
        struct mesh_asked *asked = &node->asked[i];

        if (!asked->used || asked->ask)
            continue;
        if (mesh->now >= expiry(asked, wait))
            give_up(mesh, node, asked);
        else
            mesh_arm(mesh, expiry(asked, wait));
    }
    line_up(mesh, node);
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

/* An answer that came after the time-out counts too, if it is of a whole leaf. */
static void cover_late(struct mesh_node *node, uint32_t first, uint32_t end)
{
    uint32_t leaf = (first + MESH_LEAF - 1) / MESH_LEAF;

    for (; leaf < end / MESH_LEAF; leaf++)
        if (is_set(node->wanted, leaf) && is_set(node->again, leaf)) {
            unwant(node, leaf);
            clear(node->again, leaf);
        }
}

static void cover(struct mesh *mesh, struct mesh_node *node, uint32_t first, uint32_t end)
{
    for (unsigned i = 0; i < MESH_WINDOW; i++) {
        struct mesh_asked *asked = &node->asked[i];

        if (!asked->used || (asked->leaf + 1u) * MESH_LEAF <= first ||
            asked->leaf * MESH_LEAF >= end)
            continue;
        uint64_t bits = bits_of(asked->leaf, first, end);
        if ((bits & ~asked->covered) == 0) /* nothing new */
            continue;
        /* Of a leaf asked for twice nobody knows which was answered: Karn's rule. */
        if (asked->covered == 0 && !asked->ask && !is_set(node->again, asked->leaf)) {
            sample(node, mesh->now - asked->since);
            node->backoff = 0;
        }
        asked->covered |= bits;
        asked->at = mesh->now; /* it is coming: the next part's time begins */
        if (asked->covered != ALL_COVERED)
            continue;
        clear(node->again, asked->leaf);
        node->room += node->room < MESH_WINDOW;
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
    cover_late(node, message->first, message->end);
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
    mesh->lacking -= node->lacks;
    node->lacks = false;
    node->lack_wait = MESH_LACK_WAIT;
    finish(mesh, node);
}

/* Whether what found no room is asked for again: before there is some it would be sent in vain, but
   something else may differ too. */
static bool may_retry(const struct mesh *mesh, const struct mesh_node *node)
{
    proa_ns wait = has_room(mesh, node) ? node->lack_wait : MESH_LACK_WAIT_MAX;

    return mesh->now - node->lack_at >= wait;
}

static void retry(struct mesh *mesh, struct mesh_node *node)
{
    node->lack_at = mesh->now;
    if (node->lack_wait < MESH_LACK_WAIT_MAX)
        node->lack_wait *= 2;
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
    for (; node->state == MESH_SYNCING && node->leaves_seen < digest->leaves;
         node->leaves_seen++)
        want(node, node->leaves_seen); /* it grew since it said HELLO */
    line_up(mesh, node);
    mesh_pull_pump(mesh);
    if (node->wanted_count > 0 || node->asked_count > 0 ||
        (node->repairing && mesh->now - node->repair_at < timeout(node, REPAIR_SHIFT)) ||
        (node->lacks && !may_retry(mesh, node)))
        return;
    if (node->lacks)
        retry(mesh, node);
    mesh->stats.resyncs++;
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
