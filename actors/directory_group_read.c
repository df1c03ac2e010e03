/* SPDX-License-Identifier: Apache-2.0 */
#include "directory_hash.h"

/* For a group that is not here, while others are removed during each: a search is shorter than a
   removal, so that few go by. */
#define SEARCHES 64u

/* ---- Finding a group ---- */

struct group *group_find(const struct directory *dir, const char *name, size_t len)
{
    struct name_key key = name_hash(dir, name, len);
    uint32_t at = (uint32_t)key.low & (GROUP_TABLE_SLOTS - 1);

    for (uint32_t n = 0; n < GROUP_TABLE_SLOTS; n++) {
        /* G4 acquire, pairs with G3: the group has been made. */
        struct group *group =
            atomic_load_explicit(&dir->groups.table[at], memory_order_acquire);

        if (group == NULL)
            return NULL;
        if (group != GROUP_GONE && group->key.low == key.low &&
            group->key.high == key.high) {
            group_mark_read(group);
            return group;
        }
        at = (at + 1) & (GROUP_TABLE_SLOTS - 1);
    }
    return NULL;
}

enum proa_outcome group_absent(const struct directory *dir, const struct group *group,
                               proa_ns now)
{
    /* relaxed: a moment, nothing is read by it. */
    if (group != NULL &&
        now < atomic_load_explicit(&group->absent_until, memory_order_relaxed))
        return PROA_NOT_FOUND;
    return directory_missing(dir);
}

static uint64_t floor_of(const struct directory *dir)
{
    /* G6 acquire, pairs with G5: groups made before it are found. */
    return atomic_load_explicit(&dir->groups.floor, memory_order_acquire);
}

/* The group, or NULL and the version of which it is true that the group was not there: a floor that
   was the same before and after the search.  Before it, so that no group made since counts; after
   it (G7: who missed the group sees its floor), so that the removal itself does.  False: there was
   no such search. */
static bool find_at(const struct directory *dir, const char *name, size_t len,
                    struct group **ret_group, uint64_t *ret_version)
{
    uint64_t after = floor_of(dir);

    for (uint32_t i = 0; i < SEARCHES; i++) {
        uint64_t before = after;

        *ret_group = group_find(dir, name, len);
        after = floor_of(dir);
        if (*ret_group == NULL && after != before)
            continue;
        *ret_version = after;
        return true;
    }
    return false;
}

/* The view of a group, or NULL and why; *ret_version is what it, or nothing, is the state of. */
static const struct group_view *look(const struct directory *dir, const char *name,
                                     size_t len, proa_ns now, uint64_t *ret_version,
                                     enum proa_outcome *ret_outcome)
{
    const struct group_view *view;
    struct group *group;

    *ret_version = 0;
    *ret_outcome = PROA_UNKNOWN;
    if (len - 1 >= PROA_NAME_MAX || !find_at(dir, name, len, &group, ret_version))
        return NULL;
    /* G2 acquire, pairs with G1: the view has been written. */
    view =
        group != NULL ? atomic_load_explicit(&group->view, memory_order_acquire) : NULL;
    if (view != NULL) {
        *ret_version = view->version;
        *ret_outcome = PROA_OK;
        return view;
    }
    if (group != NULL)
        *ret_version = group->base;
    *ret_outcome = group_absent(dir, group, now);
    return NULL;
}

/* ---- All members ---- */

static bool is_of_type(const struct group_member *member, uint32_t type)
{
    return type == 0 || member->type == 0 || member->type == type;
}

enum proa_outcome directory_members(const struct directory *dir, const char *name,
                                    size_t len, uint32_t type, unsigned flags,
                                    proa_ns now, struct proa_ref *refs, uint32_t max,
                                    struct proa_members *ret)
{
    struct proa_members found = {0, 0};
    enum proa_outcome outcome;
    const struct group_view *view = look(dir, name, len, now, &found.version, &outcome);
    uint32_t others = 0;

    if (view != NULL && max == 0 && type == 0 && (flags & PROA_ALL_UNREACHABLE) != 0) {
        found.count = view->count;
        view = NULL; /* nothing to look at */
    }
    for (uint32_t i = 0; view != NULL && i < view->count; i++) {
        const struct group_member *member = &view->members[i];

        if ((flags & PROA_ALL_UNREACHABLE) == 0 && !member_lives(member, now))
            continue;
        if (!is_of_type(member, type)) {
            others++;
            continue;
        }
        if (found.count < max)
            refs[found.count] = member_ref(member);
        found.count++;
    }
    if (ret != NULL)
        *ret = found;
    if (view == NULL)
        return outcome;
    if (found.count > 0)
        return PROA_OK;
    return others > 0 ? PROA_WRONG_TYPE : PROA_UNKNOWN;
}

uint32_t directory_each_member(const struct directory *dir, const char *name, size_t len,
                               proa_ns now,
                               void (*fn)(void *ctx, struct proa_ref ref, bool local),
                               void *ctx, enum proa_outcome *ret_outcome)
{
    uint64_t version;
    const struct group_view *view = look(dir, name, len, now, &version, ret_outcome);
    uint32_t count = 0;

    if (view == NULL)
        return 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct group_member *member = &view->members[i];

        if (!member_lives(member, now))
            continue;
        fn(ctx, member_ref(member), member->local != 0);
        count++;
    }
    *ret_outcome = count > 0 ? PROA_OK : PROA_UNKNOWN;
    return count;
}
