/* SPDX-License-Identifier: Apache-2.0 */
#include "mix.h"
#include "ref_set.h"

#define MASK (2 * REF_SET_MAX - 1)

static uint32_t home_of(struct proa_ref ref)
{
    return (uint32_t)mix64(ref.node ^ mix64((uint64_t)ref.slot << 32 | ref.generation)) &
           MASK;
}

/* Where ref lies, or the free place where it would. */
static uint32_t find(const struct ref_set *set, struct proa_ref ref)
{
    uint32_t at = home_of(ref);

    while (!proa_ref_is_none(set->slots[at]) && !proa_ref_equal(set->slots[at], ref))
        at = (at + 1) & MASK;
    return at;
}

bool ref_set_init(struct ref_set *set, struct arena *arena)
{
    *set = (struct ref_set){.arena = arena};
    set->slots = arena_zalloc(arena, (MASK + 1) * sizeof(struct proa_ref), 64);
    return set->slots != NULL;
}

void ref_set_fini(struct ref_set *set)
{
    arena_free(set->arena, set->slots);
    set->slots = NULL;
}

bool ref_set_has(const struct ref_set *set, struct proa_ref ref)
{
    return !proa_ref_is_none(set->slots[find(set, ref)]);
}

bool ref_set_add(struct ref_set *set, struct proa_ref ref)
{
    uint32_t at = find(set, ref);

    if (!proa_ref_is_none(set->slots[at]))
        return true;
    if (set->count == REF_SET_MAX)
        return false;
    set->slots[at] = ref;
    set->count++;
    return true;
}

/* Empties place `at` and moves what was pushed past it back, so that no probe stops early. */
static void close_gap(struct ref_set *set, uint32_t at)
{
    uint32_t next = at;

    for (;;) {
        uint32_t home;

        next = (next + 1) & MASK;
        if (proa_ref_is_none(set->slots[next]))
            break;
        home = home_of(set->slots[next]);
        if (((next - home) & MASK) < ((next - at) & MASK))
            continue; /* lies at or behind its home already */
        set->slots[at] = set->slots[next];
        at = next;
    }
    set->slots[at] = proa_ref_none();
}

bool ref_set_remove(struct ref_set *set, struct proa_ref ref)
{
    uint32_t at = find(set, ref);

    if (proa_ref_is_none(set->slots[at]))
        return false;
    close_gap(set, at);
    set->count--;
    return true;
}

uint32_t ref_set_remove_node(struct ref_set *set, uint64_t node)
{
    uint32_t removed = 0, at = 0;

    /* A place that was filled again by close_gap is looked at again; one moved across the
       table's end was looked at before, or comes later. */
    while (at <= MASK && set->count > 0) {
        if (!proa_ref_is_none(set->slots[at]) && set->slots[at].node == node) {
            close_gap(set, at);
            set->count--;
            removed++;
        } else {
            at++;
        }
    }
    return removed;
}
