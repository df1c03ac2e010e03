/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "directory_impl.h"
#include "pages.h"

#define NODES_BYTES (DIRECTORY_NODES_MAX * sizeof(struct directory_node))
#define NODE_INDEX_BYTES (NODE_INDEX_SLOTS * sizeof(_Atomic uint32_t))
#define NODE_OWNERS_BYTES (DIRECTORY_NODES_MAX * sizeof(struct node_owner))
#define FIRST_SLOTS 1024u

_Static_assert(randombytes_SEEDBYTES == 32, "directory_create takes such a seed");

/* Tables that are zero when empty are left to the kernel. */
static bool map_tables(struct directory *dir)
{
    struct table *table = table_create(FIRST_SLOTS);

    atomic_init(&dir->table, table);
    dir->nodes = pages_map(NODES_BYTES);
    dir->node_index = pages_map(NODE_INDEX_BYTES);
    dir->node_owners = pages_map(NODE_OWNERS_BYTES);
    return table != NULL && dir->nodes != NULL && dir->node_index != NULL &&
           dir->node_owners != NULL;
}

struct directory *directory_create(uint32_t names_max, const uint8_t seed[32])
{
    struct directory *dir = aligned_alloc(PROA_CACHE_LINE, sizeof(*dir));
    uint8_t random[sizeof(dir->secret) + sizeof(dir->node_salt)];

    if (dir == NULL)
        return NULL;
    PROA_ASSERT(names_max >= 1 && names_max <= DIRECTORY_NAMES_MAX);
    memset(dir, 0, sizeof(*dir));
    dir->names_max = names_max;
    dir->node_free = NODE_NONE;
    dir->filling = (struct batch){.first_slot = SLOT_NONE, .first_node = NODE_NONE};
    dir->waiting = dir->filling;
    atomic_init(&dir->moves, 0);
    atomic_init(&dir->complete, false);
    qsbr_init(&dir->qsbr);

    /* A key stream of the seed: as good a secret as the seed. */
    randombytes_buf_deterministic(random, sizeof(random), seed);
    memcpy(dir->secret, random, sizeof(dir->secret));
    memcpy(&dir->node_salt, random + sizeof(dir->secret), sizeof(dir->node_salt));
    dir->node_salt |= 1;
    sodium_memzero(random, sizeof(random));

    if (!map_tables(dir) || !groups_init(dir)) {
        directory_destroy(dir);
        return NULL;
    }
    return dir;
}

static void free_entries(struct table *table)
{
    for (uint64_t at = 0; at <= table->mask; at++) {
        /* relaxed: no reader is left. */
        uint64_t meta =
            atomic_load_explicit(&table->slots[at].meta, memory_order_relaxed);

        if (meta_state(meta) >= SLOT_ABSENT)
            free(table->owners[at].entry);
    }
}

static void free_tables(struct table *table)
{
    while (table != NULL) {
        struct table *next = table->next;
        table_destroy(table);
        table = next;
    }
}

void directory_destroy(struct directory *dir)
{
    struct table *table;

    if (dir == NULL)
        return;
    table = directory_table(dir);
    if (table != NULL) {
        free_entries(table);
        table_destroy(table);
    }
    groups_fini(dir);
    free_tables(dir->filling.tables);
    free_tables(dir->waiting.tables);
    pages_unmap(dir->nodes, NODES_BYTES);
    pages_unmap(dir->node_index, NODE_INDEX_BYTES);
    pages_unmap(dir->node_owners, NODE_OWNERS_BYTES);
    sodium_memzero(dir->secret, sizeof(dir->secret));
    free(dir);
}

void directory_stats(const struct directory *dir, struct directory_stats *ret)
{
    *ret = dir->stats;
    ret->pending = dir->filling.count + dir->waiting.count;
}
