/* SPDX-License-Identifier: Apache-2.0 */
#include "memberships.h"

#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "members.h"
#include "registrar_internal.h"
#include "seeking.h"

#define ANNOUNCE_LOOK 1024u /* groups looked at in one go */

/* A group that this node has members of. */
struct group {
    struct name_entry entry; /* first */
    uint32_t members;        /* place + 1 of the first */
    proa_ns announce_at;
};

struct membership {
    bool used;
    uint32_t slot, generation, type;
    uint32_t index;      /* of the mesh's entry, MESH_NONE without */
    uint32_t group;      /* place */
    uint32_t prev, next; /* of the same group, place + 1; next: of the free list too */
    uint32_t next_actor; /* place + 1 in its actor's chain */
};

struct memberships {
    struct name_table names;
    struct membership *all;
    uint32_t max, high, free;
    uint32_t *by_actor; /* place + 1 of the first */
    uint32_t actor_mask;
    uint32_t announce_at; /* place that is looked at next */
};

struct memberships *memberships_create(uint32_t members_max, uint64_t salt)
{
    struct memberships *self = calloc(1, sizeof(*self));
    uint32_t buckets = 64;

    if (self == NULL)
        return NULL;
    while (buckets < members_max)
        buckets *= 2;
    self->max = members_max;
    self->actor_mask = buckets - 1;
    self->by_actor = calloc(buckets, sizeof(*self->by_actor));
    self->all = calloc(members_max, sizeof(*self->all));
    if (!name_table_init(&self->names, sizeof(struct group), members_max, salt) ||
        self->by_actor == NULL || self->all == NULL) {
        memberships_destroy(self);
        return NULL;
    }
    return self;
}

void memberships_destroy(struct memberships *self)
{
    if (self == NULL)
        return;
    name_table_fini(&self->names);
    free(self->by_actor);
    free(self->all);
    free(self);
}

/* ---- Chains ---- */

static struct membership *member_at(const struct memberships *self, uint32_t at)
{
    return &self->all[at - 1];
}

static struct group *group_of(const struct memberships *self,
                              const struct membership *member)
{
    return (struct group *)(void *)name_table_at(&self->names, member->group);
}

static uint32_t *actor_bucket(struct memberships *self, uint32_t slot)
{
    uint32_t hash = slot * 0x9e3779b1u; /* 2^32 over the golden ratio */

    return &self->by_actor[(hash >> 12) & self->actor_mask];
}

static struct membership *find(struct memberships *self, const struct group *group,
                               uint32_t slot, uint32_t generation)
{
    uint32_t at = *actor_bucket(self, slot);

    for (; at != 0; at = member_at(self, at)->next_actor) {
        struct membership *member = member_at(self, at);
        if (member->slot == slot && member->generation == generation &&
            group_of(self, member) == group)
            return member;
    }
    return NULL;
}

static struct group *group_add(struct memberships *self, const char *name, size_t len)
{
    struct name_entry *entry = name_table_find(&self->names, name, len);

    if (entry == NULL)
        entry = name_table_add(&self->names, name, len);
    return (struct group *)(void *)entry;
}

/* There is room: published_max bounds the memberships, and every group has one. */
static struct membership *member_add(struct memberships *self, struct group *group,
                                     uint32_t slot)
{
    uint32_t *bucket = actor_bucket(self, slot);
    uint32_t at = self->free;

    if (at != 0)
        self->free = member_at(self, at)->next;
    else
        at = ++self->high;
    PROA_ASSERT(at <= self->max);

    struct membership *member = member_at(self, at);
    *member = (struct membership){
        .used = true,
        .slot = slot,
        .group = name_table_place(&self->names, &group->entry),
        .next = group->members,
        .next_actor = *bucket,
    };
    if (group->members != 0)
        member_at(self, group->members)->prev = at;
    group->members = at;
    *bucket = at;
    return member;
}

static void member_remove(struct memberships *self, struct membership *member)
{
    struct group *group = group_of(self, member);
    uint32_t at = (uint32_t)(member - self->all) + 1;
    uint32_t *link = actor_bucket(self, member->slot);

    while (*link != at)
        link = &member_at(self, *link)->next_actor;
    *link = member->next_actor;
    if (member->prev != 0)
        member_at(self, member->prev)->next = member->next;
    else
        group->members = member->next;
    if (member->next != 0)
        member_at(self, member->next)->prev = member->prev;
    if (group->members == 0)
        name_table_remove(&self->names, &group->entry);
    *member = (struct membership){.next = self->free};
    self->free = at;
}

/* ---- Joining and leaving ---- */

static struct proa_ref ref_of(const struct core *core, const struct membership *member)
{
    return (struct proa_ref){core->node, member->slot, member->generation};
}

static void entry_of(const struct core *core, const struct membership *member,
                     struct mesh_entry *ret)
{
    const struct group *group = group_of(core->memberships, member);

    *ret = (struct mesh_entry){
        .kind = MESH_MEMBER,
        .slot = member->slot,
        .generation = member->generation,
        .type = member->type,
        .len = group->entry.len,
    };
    memcpy(ret->name, group->entry.name, group->entry.len);
}

static void publish(struct core *core, struct membership *member)
{
    struct mesh_entry entry;

    entry_of(core, member, &entry);
    member->index = mesh_port_publish(core, &entry);
}

/* Takes it back from everywhere. */
static void give_up(struct core *core, struct membership *member)
{
    const struct group *group = group_of(core->memberships, member);

    members_leave(core, group->entry.name, group->entry.len, ref_of(core, member));
    if (member->index != MESH_NONE)
        mesh_withdraw(core->mesh_port.mesh, member->index, core->now);
    mesh_port_release(core, MESH_MEMBER);
    seeking_own_changed(core, group->entry.name, group->entry.len);
    member_remove(core->memberships, member);
}

static enum proa_outcome join(struct core *core, const struct registrar_call *call)
{
    struct memberships *self = core->memberships;
    const struct punt_name *head = &call->head;
    struct proa_ref ref = {core->node, head->slot, head->generation};
    const struct name_entry *known = name_table_find(&self->names, call->name, head->len);

    if (known != NULL && find(self, (const struct group *)(const void *)known, head->slot,
                              head->generation) != NULL)
        return PROA_OK;
    if (!mesh_port_reserve(core, MESH_MEMBER, ref, call->name, head->len))
        return PROA_LIMIT;
    if (!members_join(core, call->name, head->len, ref, head->type)) {
        mesh_port_release(core, MESH_MEMBER);
        return PROA_LIMIT;
    }
    struct membership *member =
        member_add(self, group_add(self, call->name, head->len), head->slot);
    member->generation = head->generation;
    member->type = head->type;
    publish(core, member);
    if (member->index == MESH_NONE) { /* nobody else would ever know of it */
        give_up(core, member);
        return PROA_LIMIT;
    }
    seeking_own_changed(core, call->name, head->len);
    return PROA_OK;
}

static void leave(struct core *core, const struct registrar_call *call)
{
    struct memberships *self = core->memberships;
    struct name_entry *entry = name_table_find(&self->names, call->name, call->head.len);
    struct membership *member;

    if (entry == NULL)
        return;
    member =
        find(self, (struct group *)(void *)entry, call->head.slot, call->head.generation);
    if (member != NULL)
        give_up(core, member);
}

void memberships_call(struct core *core, const struct registrar_call *call)
{
    struct proa_ref ref = {core->node, call->head.slot, call->head.generation};
    enum proa_outcome outcome = PROA_OK;

    if (call->head.op == PUNT_JOIN)
        outcome = join(core, call);
    else
        leave(core, call);
    if (call->head.correlation != 0)
        registrar_answer_call(core, call, outcome,
                              outcome == PROA_OK ? ref : proa_ref_none(), 0);
}

/* ---- With their actors ---- */

void memberships_stopped(struct core *core, const struct punt_actor *actor)
{
    struct memberships *self = core->memberships;
    uint32_t at = *actor_bucket(self, actor->slot);

    while (at != 0) {
        struct membership *member = member_at(self, at);
        at = member->next_actor;
        if (member->slot == actor->slot && member->generation == actor->generation)
            give_up(core, member);
    }
}

static void move(struct core *core, struct membership *member, uint32_t generation)
{
    const struct group *group = group_of(core->memberships, member);
    struct proa_ref old = ref_of(core, member);
    struct mesh_entry entry;

    member->generation = generation;
    members_rejoin(core, group->entry.name, group->entry.len, old, ref_of(core, member),
                   member->type);
    entry_of(core, member, &entry);
    if (member->index != MESH_NONE)
        mesh_republish(core->mesh_port.mesh, member->index, &entry, core->now);
    seeking_own_changed(core, group->entry.name, group->entry.len);
}

void memberships_restarted(struct core *core, const struct punt_restart *restart)
{
    struct memberships *self = core->memberships;
    uint32_t at = *actor_bucket(self, restart->slot);

    for (; at != 0; at = member_at(self, at)->next_actor) {
        struct membership *member = member_at(self, at);
        if (member->slot == restart->slot && member->generation == restart->generation)
            move(core, member, restart->now);
    }
}

void memberships_leave(struct core *core)
{
    struct memberships *self = core->memberships;

    for (uint32_t i = 0; i < self->high; i++) {
        struct membership *member = &self->all[i];
        const struct group *group;

        if (!member->used)
            continue;
        group = group_of(self, member);
        members_leave(core, group->entry.name, group->entry.len, ref_of(core, member));
        mesh_port_release(core, MESH_MEMBER);
        member_remove(self, member);
    }
}

/* ---- Reading ---- */

uint32_t memberships_each(const struct core *core, const char *group, size_t len,
                          uint32_t max,
                          void (*fn)(void *ctx, const struct membership_info *member),
                          void *ctx)
{
    const struct memberships *self = core->memberships;
    const struct name_entry *entry = name_table_find(&self->names, group, len);
    uint32_t count = 0;

    if (entry == NULL)
        return 0;
    uint32_t at = ((const struct group *)(const void *)entry)->members;
    for (; at != 0 && count < max; at = member_at(self, at)->next) {
        const struct membership *member = member_at(self, at);
        const struct membership_info shown = {member->slot, member->generation,
                                              member->type, member->index};
        fn(ctx, &shown);
        count++;
    }
    return count;
}

/* ---- Announcing ---- */

void memberships_to_announce(struct core *core, proa_ns every,
                             bool (*fn)(void *ctx, const char *group, size_t len),
                             void *ctx)
{
    struct memberships *self = core->memberships;

    for (uint32_t i = 0; i < ANNOUNCE_LOOK && i < self->names.high; i++) {
        uint32_t place = self->announce_at % self->names.high;
        struct group *group = (struct group *)(void *)name_table_at(&self->names, place);

        if (group != NULL && core->now >= group->announce_at) {
            if (!fn(ctx, group->entry.name, group->entry.len))
                return;
            group->announce_at = core->now + every;
        }
        self->announce_at = place + 1;
    }
}

void memberships_announce_again(struct core *core, const char *name, size_t len)
{
    struct name_entry *entry = name_table_find(&core->memberships->names, name, len);

    if (entry != NULL)
        ((struct group *)(void *)entry)->announce_at = 0;
}
