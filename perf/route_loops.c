/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"
#include "perf_malloc.h"
#include "pin.h"
#include "route_loops.h"

#define NAME_LEN 32u
#define NODES 64u
#define NAMES 1000u
#define NOW (1000 * PROA_S)
#define LANE_SLOTS 1024u

struct route_loops {
    struct directory *dir;
    struct route_turn turn;
    _Atomic uint16_t words[LANE_SLOTS];
    uint32_t members;
    uint32_t name_len; /* NAME_LEN, which the compiler must not know */
    uint64_t nothing;  /* 0, which it must not know either */
    uint64_t checksum; /* so that nothing is optimised away */
    uint64_t at;
    proa_ns now;
    int reader;
    char name[NAME_LEN + 8];
    char names[NAMES][NAME_LEN];
};

static uint64_t node_id(uint32_t number)
{
    return mix64(number % NODES);
}

static struct proa_ref member(uint32_t number)
{
    return (struct proa_ref){node_id(number), number / NODES, number + 1};
}

static bool fill(struct route_loops *l)
{
    char name[NAME_LEN + 8];

    directory_self(l->dir, node_id(0));
    for (uint32_t i = 0; i < NODES; i++)
        directory_node_add(l->dir, node_id(i), PROA_NS_NEVER);
    directory_lane_loads(l->dir, 0, l->words, LANE_SLOTS);
    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "cluster/service/worker-%09u", i);
        memcpy(l->names[i], name, NAME_LEN);
        if (!directory_put(l->dir, name, NAME_LEN, member(i), 7, NOW))
            return false;
    }
    for (uint32_t i = 0; i < l->members; i++)
        if (directory_join(l->dir, l->name, NAME_LEN, member(i), 7) == 0)
            return false;
    directory_groups_publish(l->dir, l->now);
    return true;
}

struct route_loops *route_loops_create(uint32_t members)
{
    struct route_loops *l = calloc(1, sizeof(*l));
    const uint8_t seed[32] = {42};

    if (l == NULL)
        return NULL;
    pin_to_core(0);
    l->dir = directory_create(2 * NAMES, seed);
    l->members = members;
    l->name_len = NAME_LEN;
    l->now = NOW;
    l->turn.random = 20240607;
    snprintf(l->name, sizeof(l->name), "cluster/service/worker-%09u", 0);
    if (l->dir == NULL || !fill(l)) {
        directory_destroy(l->dir);
        free(l);
        return NULL;
    }
    directory_reclaim(l->dir);
    l->reader = directory_reader_add(l->dir);
    directory_online(l->dir, l->reader);
    return l;
}

void route_loops_destroy(struct route_loops *l)
{
    directory_reader_remove(l->dir, l->reader);
    directory_destroy(l->dir);
    free(l);
}

/* The shorter of two needs no more than that they change: here all picks count, and nobody takes
   messages out, so that loads would all saturate. */
static void forget_loads(struct route_loops *l)
{
    for (uint32_t i = 0; i < l->members && i < 4096; i++)
        directory_load(l->dir, l->name, NAME_LEN, member(i), 0);
}

void route_loops_pick(struct route_loops *l, int policy, bool dependent, uint64_t n)
{
    struct perf_malloc before;
    uint64_t mask = dependent ? l->nothing : 0, sum = 0, key = l->at;

    forget_loads(l);
    before = perf_malloc_mine();
    for (uint64_t i = 0; i < n; i++) {
        struct proa_ref ref;
        enum proa_outcome outcome =
            directory_route(l->dir, l->name + (sum & mask), l->name_len,
                            (enum proa_policy)policy, key + i, NOW, &l->turn, &ref);

        PROA_ASSERT(outcome == PROA_OK);
        sum += ref.generation;
    }
    PROA_ASSERT(perf_malloc_since(&before) == 0);
    l->checksum += sum;
    l->at += n;
    directory_quiescent(l->dir, l->reader);
}

void route_loops_hash(struct route_loops *l, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum += directory_key(l->dir, l->name, l->name_len).low;
    l->checksum += sum;
}

void route_loops_lookup(struct route_loops *l, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        struct proa_ref ref;

        PROA_ASSERT(directory_lookup(l->dir, l->names[i % NAMES], l->name_len, 7, NOW,
                                     &ref) == PROA_OK);
        sum += ref.generation;
    }
    l->checksum += sum;
    directory_quiescent(l->dir, l->reader);
}

static void toggle(struct route_loops *l, uint32_t number)
{
    if (directory_leave(l->dir, l->name, NAME_LEN, member(number)) == 0)
        PROA_ASSERT(directory_join(l->dir, l->name, NAME_LEN, member(number), 7) > 0);
}

void route_loops_join(struct route_loops *l, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint32_t number = (uint32_t)(mix64(l->at++) % l->members);

        toggle(l, number);
        toggle(l, number);
    }
}

void route_loops_publish(struct route_loops *l, uint64_t n)
{
    struct directory_group_stats before, after;

    directory_group_stats(l->dir, &before);
    for (uint64_t i = 0; i < n; i++) {
        toggle(l, (uint32_t)(mix64(l->at++ / 2) % l->members));
        l->now += PROA_S;
        directory_groups_publish(l->dir, l->now);
        directory_quiescent(l->dir, l->reader);
    }
    directory_group_stats(l->dir, &after);
    PROA_ASSERT(after.views - before.views == n);
}
