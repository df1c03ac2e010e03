/* SPDX-License-Identifier: Apache-2.0 */
#include "watchers.h"

#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "directory_group.h"
#include "holders.h"
#include "registrar_internal.h"
#include "seeking.h"

#define SETS_A_STEP 256u /* looked at, of those that are due */

struct watcher {
    bool on;
    bool due;  /* a SET instead of changes: in the list of these */
    bool told; /* changes: in its target's chain, or in that of ALL */
    uint8_t lane;
    uint8_t what; /* enum proa_watch_what */
    uint32_t slot, generation;
    uint32_t index, serial;
    uint32_t target;     /* place in names or groups; of ALL nothing */
    uint32_t prev, next; /* place + 1, of the same chain */
    uint32_t next_due;   /* place + 1 */
};

/* A name or group that somebody watches. */
struct target {
    struct name_entry entry; /* first */
    uint32_t first;          /* place + 1, of those that are told changes */
    uint32_t watchers;       /* these and those that are due */
    bool followed;           /* names: wanted.c keeps it; groups: seeking.c does */
    struct proa_ref holder;  /* names: as told */
};

struct watchers {
    struct watcher *all; /* PROA_WATCHES_MAX of each lane; NULL: no watch was made yet */
    unsigned lanes;
    uint64_t salt;
    struct name_table names, groups;
    uint32_t everything;          /* place + 1 of the first of ALL */
    uint32_t due_first, due_last; /* place + 1 */
};

struct watchers *watchers_create(unsigned lanes, uint64_t salt)
{
    struct watchers *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->lanes = lanes;
    self->salt = salt;
    return self;
}

/* Most nodes have no watches: the tables are made for the first one. */
static bool have_tables(struct watchers *self)
{
    uint32_t max = self->lanes * PROA_WATCHES_MAX;

    if (self->all != NULL)
        return true;
    if (!name_table_init(&self->names, sizeof(struct target), max, self->salt))
        return false;
    if (name_table_init(&self->groups, sizeof(struct target), max, self->salt))
        self->all = calloc(max, sizeof(*self->all));
    if (self->all != NULL)
        return true;
    name_table_fini(&self->names);
    name_table_fini(&self->groups);
    return false;
}

void watchers_destroy(struct watchers *self)
{
    if (self == NULL)
        return;
    name_table_fini(&self->names);
    name_table_fini(&self->groups);
    free(self->all);
    free(self);
}

/* ---- Places ---- */

static struct watcher *watcher_at(const struct watchers *self, uint32_t at)
{
    return &self->all[at - 1];
}

static struct name_table *table_of(struct watchers *self, bool is_group)
{
    return is_group ? &self->groups : &self->names;
}

static struct target *target_of(struct watchers *self, const struct watcher *watcher)
{
    struct name_table *table = table_of(self, watcher->what == PROA_WATCH_GROUP);

    return (struct target *)(void *)name_table_at(table, watcher->target);
}

static uint32_t *head_of(struct watchers *self, const struct watcher *watcher)
{
    return watcher->what == PROA_WATCH_ALL ? &self->everything
                                           : &target_of(self, watcher)->first;
}

static void link_watcher(struct watchers *self, struct watcher *watcher)
{
    uint32_t *head = head_of(self, watcher);
    uint32_t at = (uint32_t)(watcher - self->all) + 1;

    watcher->prev = 0;
    watcher->next = *head;
    if (*head != 0)
        watcher_at(self, *head)->prev = at;
    *head = at;
    watcher->told = true;
}

static void unlink_watcher(struct watchers *self, struct watcher *watcher)
{
    if (!watcher->told)
        return;
    watcher->told = false;
    if (watcher->prev != 0)
        watcher_at(self, watcher->prev)->next = watcher->next;
    else
        *head_of(self, watcher) = watcher->next;
    if (watcher->next != 0)
        watcher_at(self, watcher->next)->prev = watcher->prev;
}

/* Changes pass it by from here on, and cost nothing for it. */
static void make_due(struct watchers *self, struct watcher *watcher)
{
    uint32_t at = (uint32_t)(watcher - self->all) + 1;

    unlink_watcher(self, watcher);
    if (watcher->due)
        return;
    watcher->due = true;
    watcher->next_due = 0;
    if (self->due_last != 0)
        watcher_at(self, self->due_last)->next_due = at;
    else
        self->due_first = at;
    self->due_last = at;
}

/* ---- Beginning and ending ---- */

static void follow(struct core *core, struct target *target, bool is_group, bool on)
{
    const char *name = target->entry.name;
    size_t len = target->entry.len;

    if (is_group)
        target->followed = seeking_watch(core, name, len, on) && on;
    else
        target->followed = wanted_watch(core, name, len, on) && on;
}

static struct target *target_find(struct core *core, bool is_group, const char *name,
                                  size_t len)
{
    struct name_table *table = table_of(core->watchers, is_group);
    struct target *target = (struct target *)(void *)name_table_find(table, name, len);
    struct holder holder;

    if (target != NULL)
        return target;
    target = (struct target *)(void *)name_table_add(table, name, len);
    if (target == NULL)
        return NULL;
    if (!is_group && holders_find(core, name, len, &holder) &&
        holders_alive(core, holder.ref.node))
        target->holder = holder.ref;
    follow(core, target, is_group, true);
    return target;
}

static void end(struct core *core, struct watcher *watcher)
{
    struct watchers *self = core->watchers;
    bool is_group = watcher->what == PROA_WATCH_GROUP;

    unlink_watcher(self, watcher);
    watcher->on = false; /* if it is due, the list is left when it is looked at */
    if (watcher->what == PROA_WATCH_ALL)
        return;
    struct target *target = target_of(self, watcher);
    if (--target->watchers > 0)
        return;
    if (target->followed)
        follow(core, target, is_group, false);
    name_table_remove(table_of(self, is_group), &target->entry);
}

static void begin(struct core *core, unsigned lane, struct watcher *watcher,
                  const struct punt_watch *head, const char *name)
{
    struct watchers *self = core->watchers;
    bool is_group = head->what == PROA_WATCH_GROUP;
    struct target *target = NULL;

    if (head->what != PROA_WATCH_ALL) {
        target = target_find(core, is_group, name, head->len);
        if (target == NULL) {
            core->stats.watches_refused++;
            return;
        }
        watcher->target = name_table_place(table_of(self, is_group), &target->entry);
    }
    watcher->on = true;
    watcher->lane = (uint8_t)lane;
    watcher->what = head->what;
    watcher->slot = head->slot;
    watcher->generation = head->generation;
    watcher->index = head->index;
    watcher->serial = head->serial;
    if (target != NULL) {
        target->watchers++;
        make_due(self, watcher);
    } else if (!watcher->due) {
        link_watcher(self, watcher);
    }
}

void watchers_record(struct core *core, unsigned lane, const struct punt_watch *head,
                     const char *name)
{
    struct watchers *self = core->watchers;

    PROA_ASSERT(head->index < PROA_WATCHES_MAX && lane < self->lanes);
    if (!have_tables(self)) {
        core->stats.watches_refused += head->on;
        return;
    }
    struct watcher *watcher = &self->all[lane * PROA_WATCHES_MAX + head->index];
    bool same = watcher->on && watcher->serial == head->serial;

    if (!head->on) {
        if (same)
            end(core, watcher);
        return;
    }
    if (same)
        return;
    if (watcher->on)
        end(core, watcher);
    begin(core, lane, watcher, head, name);
}

/* ---- Telling ---- */

static bool tell(struct core *core, const struct watcher *watcher,
                 const struct watchers_change *change, const char *name, size_t len)
{
    struct outlet *outlet = &core->outlets[watcher->lane];
    struct punt_changed changed = {
        .slot = watcher->slot,
        .generation = watcher->generation,
        .index = watcher->index,
        .serial = watcher->serial,
        .version = change->version,
        .ref = change->ref,
        .kind = (uint8_t)change->kind,
        .is_group = change->is_group,
    };

    return outlet_is_clear(outlet) && outlet_tell(outlet, PUNT_CHANGED, &changed,
                                                  sizeof(changed), name, len, core->now);
}

static void tell_chain(struct core *core, uint32_t at,
                       const struct watchers_change *change, const char *name, size_t len)
{
    struct watchers *self = core->watchers;

    while (at != 0) {
        struct watcher *watcher = watcher_at(self, at);

        at = watcher->next; /* it may leave the chain */
        if (tell(core, watcher, change, name, len))
            continue;
        core->stats.changes_merged++;
        make_due(self, watcher);
    }
}

/* A name's holder changes.  False: it was told already. */
static bool holder_changes(struct target *target, const struct watchers_change *change)
{
    bool is_told = proa_ref_equal(target->holder, change->ref);

    if (change->kind == PROA_CHANGE_JOINED) {
        target->holder = change->ref;
        return !is_told;
    }
    if (is_told)
        target->holder = proa_ref_none();
    return is_told;
}

static void tell_target(struct core *core, const struct watchers_change *change,
                        const char *name, size_t len)
{
    struct watchers *self = core->watchers;
    struct target *target = (struct target *)(void *)name_table_find(
        table_of(self, change->is_group), name, len);

    if (target != NULL && (change->is_group || holder_changes(target, change)))
        tell_chain(core, target->first, change, name, len);
}

void watchers_change(struct core *core, const struct watchers_change *change,
                     const char *name, size_t len)
{
    if (core->watchers->all == NULL)
        return;
    tell_target(core, change, name, len);
    tell_chain(core, core->watchers->everything, change, name, len);
}

void watchers_name_node(struct core *core, const char *name, size_t len,
                        struct proa_ref holder, bool alive)
{
    const struct watchers_change change = {.kind = alive ? PROA_CHANGE_JOINED
                                                         : PROA_CHANGE_LEFT,
                                           .ref = holder,
                                           .version = ++core->names_version};

    if (core->watchers->all != NULL)
        tell_target(core, &change, name, len);
}

/* ---- SETs ---- */

/* False: not now. */
static bool tell_set(struct core *core, const struct watcher *watcher)
{
    struct watchers_change set = {.kind = PROA_CHANGE_SET};
    const struct directory *dir = core->config.directory;

    if (watcher->what == PROA_WATCH_ALL) {
        set.version = core->names_version;
        return tell(core, watcher, &set, "", 0);
    }
    const struct target *target = target_of(core->watchers, watcher);
    const char *name = target->entry.name;
    size_t len = target->entry.len;
    if (watcher->what == PROA_WATCH_NAME) {
        set.version = core->names_version;
        set.ref = target->holder;
        return tell(core, watcher, &set, name, len);
    }
    set.is_group = true;
    set.version = directory_group_changed(dir, name, len);
    return tell(core, watcher, &set, name, len);
}

void watchers_flush(struct core *core)
{
    struct watchers *self = core->watchers;

    for (unsigned i = 0, last = self->due_last; i < SETS_A_STEP && self->due_first != 0;
         i++) {
        uint32_t at = self->due_first;
        struct watcher *watcher = watcher_at(self, at);

        self->due_first = watcher->next_due;
        if (self->due_first == 0)
            self->due_last = 0;
        watcher->due = false;
        if (watcher->on && tell_set(core, watcher))
            link_watcher(self, watcher);
        else if (watcher->on)
            make_due(self, watcher);
        if (at == last)
            return; /* each once */
    }
}

proa_ns watchers_deadline(const struct core *core)
{
    return core->watchers->due_first != 0 ? core->now + OUTLET_RETRY : PROA_NS_NEVER;
}
