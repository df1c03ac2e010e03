/* SPDX-License-Identifier: Apache-2.0 */
/* An actor's membership of groups: calls to the control thread, which keeps them. */
#include <proa/group.h>

#include "scheduler_internal.h"
#include "utf8.h"

#define JOIN_DEADLINE (5 * PROA_S) /* the answer comes from this node */
#define TYPE_PREFIX (sizeof(PROA_GROUP_TYPE) - 1)

_Static_assert(TYPE_PREFIX + PROA_TYPE_MAX <= PROA_NAME_MAX, "each type has a group");

/* ---- Actors' calls ---- */

bool group_ok(const char *group, uint32_t *ret_len)
{
    return name_valid(group, ret_len) && utf8_valid(group, *ret_len) &&
           strncmp(group, PROA_GROUP_TYPE, TYPE_PREFIX) != 0;
}

static struct punt_name call_of(const struct proa_actor *self, enum punt_name_op op,
                                uint32_t len, proa_ns deadline)
{
    return (struct punt_name){.op = op,
                              .slot = self->ref.slot,
                              .generation = self->ref.generation,
                              .type = self->slot->behaviour->type_id,
                              .len = len,
                              .deadline = self->sched->now + deadline};
}

/* Sends a call up; then: NULL, nobody waits for its answer. */
static enum proa_outcome send_up(struct proa_actor *self, const struct punt_name *call,
                                 const char *group, proa_named then, const void *ctx,
                                 size_t ctx_len)
{
    struct sched *s = self->sched;
    enum proa_outcome outcome = PROA_OK;
    struct ask *ask;

    if (then != NULL) {
        outcome = name_call(s, self->slot, ASK_NAME, call, group, &ask);
    } else if (!up_push(s, PUNT_NAME, call, sizeof(*call), group, call->len)) {
        s->again_kind = WAIT_UP;
        s->again_key = 0;
        outcome = PROA_AGAIN;
    }
    if (outcome != PROA_OK)
        return send_failed(s, self->slot, outcome);
    if (then != NULL) {
        ask->fn.named = then;
        if (ctx_len > 0)
            memcpy(ask->ctx, ctx, ctx_len);
    }
    return PROA_OK;
}

enum proa_outcome proa_join(struct proa_actor *self, const char *group, proa_named then,
                            const void *ctx, size_t ctx_len)
{
    struct sched *s = self->sched;
    struct punt_name call;
    enum proa_outcome outcome;
    uint32_t len;

    if (!group_ok(group, &len) || ctx_len > PROA_CONTEXT_MAX ||
        (ctx == NULL && ctx_len > 0))
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, NULL, PROA_STOPPED);
    call = call_of(self, PUNT_JOIN, len, JOIN_DEADLINE);
    outcome = send_up(self, &call, group, then, ctx, ctx_len);
    if (outcome != PROA_OK)
        return outcome;
    self->slot->flags |= SLOT_NAMED;
    slot_member(s, self->slot);
    return PROA_OK;
}

enum proa_outcome proa_leave(struct proa_actor *self, const char *group)
{
    struct punt_name call;
    uint32_t len;

    if (!group_ok(group, &len))
        return send_failed(self->sched, NULL, PROA_INVALID);
    call = call_of(self, PUNT_LEAVE, len, JOIN_DEADLINE);
    return send_up(self, &call, group, NULL, NULL, 0);
}

enum proa_outcome proa_find_group(struct proa_actor *self, const char *group,
                                  proa_ns deadline, proa_named then, const void *ctx,
                                  size_t ctx_len)
{
    struct sched *s = self->sched;
    struct punt_name call;
    uint32_t len;

    if (!name_valid(group, &len) || then == NULL || ctx_len > PROA_CONTEXT_MAX ||
        (ctx == NULL && ctx_len > 0) || deadline == 0 || deadline > PROA_DEADLINE_MAX)
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, NULL, PROA_STOPPED);
    call = call_of(self, PUNT_FIND_GROUP, len, deadline);
    call.type = 0;
    return send_up(self, &call, group, then, ctx, ctx_len);
}

/* ---- Reading ---- */

enum proa_outcome proa_lookup_all(struct proa_actor *self, const char *group,
                                  const struct proa_behaviour *behaviour, unsigned flags,
                                  struct proa_ref *refs, uint32_t max,
                                  struct proa_members *ret)
{
    struct sched *s = self->sched;
    struct proa_members unused;
    uint32_t type, len;

    ret = ret != NULL ? ret : &unused;
    *ret = (struct proa_members){0, 0};
    if (!name_valid(group, &len) || (refs == NULL && max > 0) ||
        (flags & ~PROA_ALL_UNREACHABLE) != 0 ||
        !behaviour_wanted(&s->behaviours, behaviour, &type))
        return PROA_INVALID;
    if (s->directory == NULL)
        return PROA_UNKNOWN;
    return directory_members(s->directory, group, len, type, flags, s->now, refs, max,
                             ret);
}

enum proa_outcome proa_route(struct proa_actor *self, const char *group,
                             enum proa_policy policy, uint64_t key,
                             struct proa_ref *ret_ref)
{
    struct sched *s = self->sched;
    uint32_t len;

    if (!name_valid(group, &len) || (unsigned)policy > PROA_ROUTE_IDLE_FIRST)
        return PROA_INVALID;
    if (s->directory == NULL)
        return PROA_UNKNOWN;
    return directory_route(s->directory, group, len, policy, key, s->now, &s->route,
                           ret_ref);
}

/* ---- Published behaviours (joins.h) ---- */

/* False: the ring to the control thread is full. */
static bool join_type(struct sched *s, struct slot *slot)
{
    const char *type_name = slot->behaviour->def->type_name;
    size_t len = strlen(type_name);
    char group[TYPE_PREFIX + PROA_TYPE_MAX];
    struct punt_name call = {.op = PUNT_JOIN,
                             .slot = slot_id(&s->slots, slot),
                             .generation = slot->generation,
                             .type = slot->behaviour->type_id,
                             .len = (uint32_t)(TYPE_PREFIX + len),
                             .deadline = s->now + JOIN_DEADLINE};

    memcpy(group, PROA_GROUP_TYPE, TYPE_PREFIX);
    memcpy(group + TYPE_PREFIX, type_name, len);
    if (!up_push(s, PUNT_NAME, &call, sizeof(call), group, call.len)) {
        STAT_ADD(s, up_full, 1);
        return false;
    }
    slot->flags |= SLOT_NAMED;
    slot_member(s, slot);
    slot->marks &= (uint8_t)~SLOT_MARK_JOIN;
    return true;
}

static void append(struct sched *s, uint32_t index)
{
    struct joins *j = &s->joins;

    if (j->next[index] != JOINS_OUT)
        return; /* from an earlier life of the slot */
    j->next[index] = JOINS_LAST;
    if (j->last == SLOT_NONE)
        j->first = index;
    else
        j->next[j->last] = index + JOINS_IN;
    j->last = index;
}

static void remove_first(struct joins *j)
{
    uint32_t next = j->next[j->first];

    j->next[j->first] = JOINS_OUT;
    j->first = next == JOINS_LAST ? SLOT_NONE : next - JOINS_IN;
    if (j->first == SLOT_NONE)
        j->last = SLOT_NONE;
}

void joins_start(struct sched *s, struct slot *slot)
{
    if (s->up == NULL || (slot->flags & SLOT_STOP) != 0)
        return;
    slot->marks |= SLOT_MARK_JOIN;
    if (s->joins.first != SLOT_NONE || !join_type(s, slot))
        append(s, slot_index(&s->slots, slot));
}

void joins_flush(struct sched *s)
{
    for (uint32_t n = 0; n < JOINS_AT_ONCE && s->joins.first != SLOT_NONE; n++) {
        struct slot *slot = &s->slots.slots[s->joins.first];

        if (slot->state == SLOT_LIVE && (slot->marks & SLOT_MARK_JOIN) != 0 &&
            !join_type(s, slot))
            return;
        remove_first(&s->joins);
    }
}
