/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <sodium.h>

#include "behaviour.h"
#include "mix.h"
#include "utf8.h"

#define SET_CAPACITY (2 * BEHAVIOURS_MAX)
#define SPREAD 0x9e3779b1u /* 2^32 divided by the golden ratio, odd */

uint32_t behaviour_type_id(const char *type_name)
{
    uint8_t hash[32];
    uint32_t id;

    if (type_name == NULL)
        return 0;
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)type_name,
                       strlen(type_name), NULL, 0);
    id = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 |
         hash[3];
    return id != 0 ? id : 1;
}

static bool rows_check(const struct proa_behaviour *def)
{
    if (def->on_count > BEHAVIOUR_ROWS_MAX || (def->on_count > 0 && def->on == NULL))
        return false;
    for (uint32_t i = 0; i < def->on_count; i++)
        if (def->on[i].fn == NULL || def->on[i].type >= PROA_TYPE_SYSTEM)
            return false;
    return true;
}

bool behaviour_check(const struct proa_behaviour *def)
{
    size_t len;

    if (def == NULL || def->type_name == NULL)
        return false;
    len = strnlen(def->type_name, PROA_TYPE_MAX + 1);
    if (len == 0 || len > PROA_TYPE_MAX)
        return false;
    if (def->published && !utf8_valid(def->type_name, len))
        return false; /* it names a group */
    if (def->state_size > BEHAVIOUR_STATE_MAX || def->mailbox > PROA_MAILBOX_MAX)
        return false;
    if (def->overflow != PROA_OVERFLOW_REFUSE &&
        def->overflow != PROA_OVERFLOW_DROP_OLDEST)
        return false;
    return rows_check(def);
}

bool behaviour_set_init(struct behaviour_set *set, struct arena *arena)
{
    *set = (struct behaviour_set){.arena = arena, .mask = SET_CAPACITY - 1};
    set->slots =
        arena_zalloc(arena, SET_CAPACITY * sizeof(struct behaviour *), PROA_CACHE_LINE);
    return set->slots != NULL;
}

void behaviour_set_fini(struct behaviour_set *set)
{
    if (set->slots == NULL)
        return;
    for (uint32_t i = 0; i <= set->mask; i++)
        arena_free(set->arena, set->slots[i]);
    arena_free(set->arena, set->slots);
    set->slots = NULL;
}

static uint32_t hash(const struct behaviour *b, uint32_t type)
{
    return (type * SPREAD) >> b->shift;
}

const struct behaviour_row *behaviour_row_hashed(const struct behaviour *b, uint32_t type)
{
    for (uint32_t at = hash(b, type);; at++) {
        const struct behaviour_row *row = &b->rows[at & b->mask];

        if (row->fn == NULL)
            return NULL;
        if (row->type == type)
            return row;
    }
}

/* Chooses how types become indices: directly when they span little, else by a hash. */
static void choose_index(struct behaviour *b)
{
    const struct proa_on *on = b->def->on;
    uint32_t low = UINT32_MAX, high = 0, bits = 1;

    for (uint32_t i = 0; i < b->def->on_count; i++) {
        low = on[i].type < low ? on[i].type : low;
        high = on[i].type > high ? on[i].type : high;
    }
    while ((1u << bits) <= 2 * b->def->on_count)
        bits++;
    b->mask = (1u << bits) - 1;
    b->shift = 32 - bits;
    if (b->def->on_count > 0 && high - low <= b->mask) {
        b->base = low;
        b->span = high - low + 1;
    }
}

/* Fills the table; false when a type is there twice. */
static bool fill_rows(struct behaviour *b, struct behaviour_row *rows)
{
    for (uint32_t i = 0; i < b->def->on_count; i++) {
        const struct proa_on *on = &b->def->on[i];
        uint32_t at = b->span != 0 ? on->type - b->base : hash(b, on->type);

        for (; rows[at & b->mask].fn != NULL; at++)
            if (rows[at & b->mask].type == on->type)
                return false;
        rows[at & b->mask] = (struct behaviour_row){on->type, on->min_len, on->fn};
    }
    return true;
}

static struct behaviour *compile(struct behaviour_set *set,
                                 const struct proa_behaviour *def)
{
    struct behaviour head = {.def = def}, *b;
    struct behaviour_row *rows;

    choose_index(&head);
    b = arena_zalloc(set->arena, sizeof(*b) + (head.mask + 1) * sizeof(*rows),
                     PROA_CACHE_LINE);
    if (b == NULL)
        return NULL;
    *b = head;
    rows = (struct behaviour_row *)(b + 1);
    if (!fill_rows(b, rows)) {
        arena_free(set->arena, b);
        return NULL;
    }
    b->rows = rows;
    b->type_id = behaviour_type_id(def->type_name);
    b->capacity = def->mailbox != 0 ? def->mailbox : PROA_MAILBOX_DEFAULT;
    b->drops_oldest = def->overflow == PROA_OVERFLOW_DROP_OLDEST;
    return b;
}

struct behaviour *behaviour_get(struct behaviour_set *set,
                                const struct proa_behaviour *def)
{
    uint32_t at;

    if (set->last != NULL && set->last->def == def)
        return set->last;
    at = (uint32_t)mix64((uintptr_t)def);
    for (; set->slots[at & set->mask] != NULL; at++) {
        if (set->slots[at & set->mask]->def == def)
            return set->last = set->slots[at & set->mask];
    }
    if (set->count == BEHAVIOURS_MAX || !behaviour_check(def))
        return NULL;
    set->slots[at & set->mask] = compile(set, def);
    if (set->slots[at & set->mask] == NULL)
        return NULL;
    set->count++;
    set->last = set->slots[at & set->mask];
    set->last->older = behaviour_newest(set);
    /* B1 */
    atomic_store_explicit(&set->newest, set->last, memory_order_release);
    return set->last;
}

bool behaviour_wanted(struct behaviour_set *set, const struct proa_behaviour *def,
                      uint32_t *ret_type)
{
    const struct behaviour *behaviour = def != NULL ? behaviour_get(set, def) : NULL;

    *ret_type = behaviour != NULL ? behaviour->type_id : 0;
    return def == NULL || behaviour != NULL;
}
