/* SPDX-License-Identifier: Apache-2.0 */
/* What was published, beside the meshes, and whether all know it. */
#include "mesh_net.h"
#include "mesh_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t entry_hash(const struct mesh_entry *entry)
{
    uint64_t numbers[8] = {entry->index, entry->slot,   entry->generation, entry->type,
                           entry->term,  entry->issued, entry->claim,      entry->kind};

    return net_hash(net_hash(entry->len, numbers, sizeof(numbers)), entry->name,
                    entry->len);
}

void net_book_entry(struct net_book *book, const struct mesh_entry *entry, int sign)
{
    book->hash ^= entry_hash(entry);
    book->count += (uint32_t)sign;
}

struct net_book *net_other_book(struct net *net, unsigned i, uint64_t node)
{
    struct net_node *self = &net->nodes[i];

    for (unsigned n = 0; n < self->other_count; n++)
        if (self->others[n].node == node)
            return &self->others[n].book;
    self->others =
        realloc(self->others, (self->other_count + 1) * sizeof(self->others[0]));
    assert_non_null(self->others);
    self->others[self->other_count] = (struct net_other){.node = node};
    return &self->others[self->other_count++].book;
}

void net_forget_others(struct net *net, unsigned i)
{
    free(net->nodes[i].others);
    net->nodes[i].others = NULL;
    net->nodes[i].other_count = 0;
}

/* ---- Publishing ---- */

void net_entry(struct mesh_entry *ret, enum mesh_kind kind, const char *name,
               uint32_t slot)
{
    memset(ret, 0, sizeof(*ret));
    ret->kind = (uint8_t)kind;
    ret->len = (uint8_t)strlen(name);
    memcpy(ret->name, name, ret->len);
    ret->slot = slot;
    ret->generation = 1;
    ret->type = 77;
    if (kind == MESH_NAME) {
        ret->term = 1;
        ret->issued = 1000;
        ret->claim = 900;
    }
}

uint32_t net_publish(struct net *net, unsigned i, const struct mesh_entry *entry)
{
    struct net_node *node = &net->nodes[i];
    uint32_t index = mesh_publish(node->mesh, entry, net->now);

    if (index != MESH_NONE) {
        struct mesh_entry copy = *entry;

        copy.index = index;
        net_book_entry(&node->own, &copy, 1);
    }
    net_settle(net, i);
    return index;
}

void net_republish(struct net *net, unsigned i, uint32_t index, struct mesh_entry *entry,
                   uint32_t generation)
{
    entry->index = index;
    net_book_entry(&net->nodes[i].own, entry, -1);
    entry->generation = generation;
    net_book_entry(&net->nodes[i].own, entry, 1);
    mesh_republish(net->nodes[i].mesh, index, entry, net->now);
    net_settle(net, i);
}

void net_withdraw(struct net *net, unsigned i, uint32_t index, struct mesh_entry *entry)
{
    entry->index = index;
    net_book_entry(&net->nodes[i].own, entry, -1);
    mesh_withdraw(net->nodes[i].mesh, index, net->now);
    net_settle(net, i);
}

void net_publish_many(struct net *net, unsigned i, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        struct mesh_entry entry;
        char name[32];

        snprintf(name, sizeof(name), "name %u of %u", n, i);
        net_entry(&entry, MESH_NAME, name, n);
        assert_int_equal(net_publish(net, i, &entry), n);
    }
}

uint64_t net_play(struct net *net, unsigned i, unsigned n, uint16_t leaves)
{
    struct mesh_digest digest = {
        .version = 100000, .root = 123, .count = leaves, .leaves = leaves};
    struct proa_addr addr = {.family = 4, .port = (uint16_t)(5000 + n)};
    struct kad_id id = {.b = {0}};
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    addr.ip[10] = addr.ip[11] = 0xff;
    addr.ip[12] = 10;
    for (unsigned b = 0; b < sizeof(id.b); b++)
        id.b[b] = (uint8_t)net_random(net);
    mesh_begin(&w, buf, MESH_M_HELLO);
    mesh_put_hello(&w, 0, &id, &addr, &digest);
    assert_true(net_inject(net, i, kad_id_node64(&id), buf, w.len));
    return kad_id_node64(&id);
}

/* ---- Judging ---- */

static bool knows_all(const struct net *net, unsigned i)
{
    unsigned others = 0;

    for (unsigned n = 0; n < net->count; n++) {
        const struct net_book *seen = &net->nodes[i].seen[n];
        const struct net_book *own = &net->nodes[n].own;
        bool there = net_reachable(net, i, n);

        if (n == i)
            continue;
        others += there;
        if (there && (seen->count != own->count || seen->hash != own->hash))
            return false;
        if (!there && (seen->count != 0 || seen->hash != 0))
            return false;
    }
    for (unsigned n = 0; n < net->nodes[i].other_count; n++)
        if (net->nodes[i].others[n].book.count != 0 ||
            net->nodes[i].others[n].book.hash != 0)
            return false;
    return net_stats(net, i).linked == others && mesh_complete(net->nodes[i].mesh);
}

bool net_agrees(const struct net *net)
{
    for (unsigned i = 0; i < net->count; i++)
        if (net->nodes[i].mesh != NULL && !knows_all(net, i))
            return false;
    return true;
}

static void verify(const struct net *net, unsigned i, unsigned n)
{
    const struct mesh *mesh = net->nodes[i].mesh;
    const struct net_book *own = &net->nodes[n].own;
    struct net_book found = {0};

    for (uint32_t at = 0; at < MESH_PUBLISHED_MAX; at++) {
        const struct mesh_entry *entry = mesh_entry_at(mesh, net->nodes[n].node, at);

        if (entry == NULL)
            continue;
        net_book_entry(&found, entry, 1);
        if (entry->kind != MESH_NAME)
            continue;
        const struct mesh_entry *best = mesh_name(mesh, entry->name, entry->len);
        assert_non_null(best);
        assert_false(mesh_beats(entry, best));
    }
    assert_int_equal(found.count, own->count);
    assert_true(found.hash == own->hash);
}

void net_verify(const struct net *net)
{
    assert_true(net_agrees(net));
    for (unsigned i = 0; i < net->count; i++)
        for (unsigned n = 0; n < net->count; n++)
            if (n != i && net_reachable(net, i, n))
                verify(net, i, n);
}

proa_ns net_until(struct net *net, proa_ns span)
{
    proa_ns began = net->now;

    while (net->now - began <= span) {
        if (net_agrees(net))
            return net->now - began;
        net_run(net, PROA_MS);
    }
    return PROA_NS_NEVER;
}

struct mesh_stats net_stats(const struct net *net, unsigned i)
{
    struct mesh_stats stats;

    mesh_stats(net->nodes[i].mesh, &stats);
    return stats;
}

struct net *net_cluster(uint64_t seed, unsigned count)
{
    struct net *net = net_create(count, seed);

    for (unsigned i = 0; i < count; i++) {
        struct mesh_entry entry;

        net_start(net, i);
        net_entry(&entry, MESH_NAME, "somebody", i);
        net_publish(net, i, &entry);
        if (i > 0)
            assert_int_equal(net_add(net, i, i - 1), MESH_OK);
    }
    assert_true(net_until(net, 5 * PROA_S) != PROA_NS_NEVER);
    return net;
}

int net_state(const struct net *net, unsigned i, unsigned n)
{
    struct mesh_node_info info[64];
    unsigned count = mesh_nodes(net->nodes[i].mesh, info, 64);

    for (unsigned k = 0; k < count; k++)
        if (info[k].node == net->nodes[n].node)
            return (int)info[k].state;
    return -1;
}
