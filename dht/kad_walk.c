/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_walk.h"

#include "kad_table.h"

#include <string.h>

void kad_walk_init(struct kad_walk *self, const struct kad_id *own,
                   const struct kad_id *target)
{
    self->self = *own;
    self->target = *target;
    self->count = 0;
}

bool kad_walk_add(struct kad_walk *self, const struct kad_id *id,
                  const struct proa_addr *addr, bool suspect)
{
    uint32_t at = 0;

    if (kad_id_equal(id, &self->self) || !kad_id_valid(id) || addr->port == 0)
        return false;
    for (uint32_t i = 0; i < self->count; i++) {
        if (kad_id_equal(&self->nodes[i].id, id) ||
            kad_addr_equal(&self->nodes[i].addr, addr))
            return false;
        if (kad_id_closer(&self->target, &self->nodes[i].id, id) < 0)
            at = i + 1;
    }
    if (at == KAD_WALK_NODES)
        return false;
    if (self->count < KAD_WALK_NODES)
        self->count++;
    for (uint32_t i = self->count - 1; i > at; i--)
        self->nodes[i] = self->nodes[i - 1];
    struct kad_walk_node *node = &self->nodes[at];
    memset(node, 0, sizeof(*node));
    node->id = *id;
    node->addr = *addr;
    node->suspect = suspect;
    return true;
}

struct kad_walk_node *kad_walk_next(struct kad_walk *self)
{
    uint32_t flying = 0, live = 0;

    for (uint32_t i = 0; i < self->count; i++)
        flying += self->nodes[i].state == KAD_WALK_ASKED;
    for (uint32_t i = 0; i < self->count && live < KAD_WALK_CLOSEST; i++) {
        struct kad_walk_node *node = &self->nodes[i];

        if (node->state == KAD_WALK_NEW && (node->suspect || flying < KAD_WALK_ALPHA))
            return node;
        if (node->state != KAD_WALK_FAILED && node->state != KAD_WALK_LATE)
            live++;
    }
    return NULL;
}

void kad_walk_asked(struct kad_walk_node *node)
{
    PROA_ASSERT(node->state == KAD_WALK_NEW);
    node->state = node->suspect ? KAD_WALK_LATE : KAD_WALK_ASKED;
}

struct kad_walk_node *kad_walk_find(struct kad_walk *self, const struct kad_id *id)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (kad_id_equal(&self->nodes[i].id, id))
            return &self->nodes[i];
    return NULL;
}

void kad_walk_late(struct kad_walk_node *node)
{
    if (node->state == KAD_WALK_ASKED)
        node->state = KAD_WALK_LATE;
}

void kad_walk_answered(struct kad_walk_node *node)
{
    node->state = KAD_WALK_ANSWERED;
}

void kad_walk_failed(struct kad_walk_node *node)
{
    node->state = KAD_WALK_FAILED;
}

bool kad_walk_done(const struct kad_walk *self, bool strict)
{
    uint32_t live = 0;
    bool late = false;

    for (uint32_t i = 0; i < self->count; i++) {
        switch (self->nodes[i].state) {
        case KAD_WALK_ANSWERED:
            if (++live == KAD_WALK_CLOSEST)
                return true;
            break;
        case KAD_WALK_LATE:
            if (strict)
                return false;
            late = true;
            break;
        case KAD_WALK_FAILED:
            break;
        default:
            return false;
        }
    }
    return !late; /* fewer than 8 have answered: a late one may still be one of them */
}

uint32_t kad_walk_count(const struct kad_walk *self)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < self->count; i++)
        count += self->nodes[i].state == KAD_WALK_ANSWERED;
    return count;
}
