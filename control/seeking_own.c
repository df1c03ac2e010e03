/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "seeking_internal.h"

/* ---- Answering ---- */

struct answer {
    struct mesh_ref refs[MESH_REFS_MAX];
    unsigned count;
    struct core *core;
    const struct seeking_asker *asker;
};

static void send_part(struct answer *answer, bool more)
{
    mesh_answer(answer->core->mesh_port.mesh, answer->asker->node, answer->asker->serial,
                answer->refs, answer->count, more, answer->core->now);
    mesh_port_flush(answer->core);
    answer->count = 0;
}

static void add(void *ctx, const struct membership_info *member)
{
    struct answer *answer = ctx;

    if (answer->count == MESH_REFS_MAX)
        send_part(answer, true);
    answer->refs[answer->count++] =
        (struct mesh_ref){member->slot, member->generation, member->type};
}

_Static_assert((SEEKING_REFS_MAX / MESH_REFS_MAX + 1) * (MESH_REFS_MAX * 12 + 64) <=
                   MESH_PORT_LONG,
               "an answer of all parts finds room");

/* All parts or, until there is room, none: who asked takes what came for all there is. */
static bool answer_asker(struct core *core, struct seeking_asker *asker)
{
    struct answer answer = {.core = core, .asker = asker};

    mesh_port_flush(core);
    asker->dirty = !mesh_port_is_clear(core);
    if (asker->dirty) {
        core->seeking->dirty = true;
        return false;
    }
    memberships_each(core, asker->group, asker->len, SEEKING_REFS_MAX, add, &answer);
    send_part(&answer, false);
    return true;
}

static struct seeking_asker *asker_find(struct core *core, const struct mesh_event *event)
{
    struct seeking *self = core->seeking;
    unsigned at = self->asker_count;

    for (unsigned i = 0; i < self->asker_count; i++) {
        struct seeking_asker *asker = &self->askers[i];
        if (asker->node == event->node && asker->len == event->len &&
            memcmp(asker->group, event->group, event->len) == 0)
            return asker;
        if (core->now >= asker->until)
            at = i;
    }
    if (at == SEEKING_ASKERS_MAX)
        return NULL;
    if (at == self->asker_count)
        self->asker_count++;
    return &self->askers[at];
}

void seeking_asked(struct core *core, const struct mesh_event *event)
{
    struct seeking_asker *asker = asker_find(core, event);

    if (asker == NULL) {
        core->stats.asks_refused++; /* it asks again */
        return;
    }
    *asker = (struct seeking_asker){.node = event->node,
                                    .serial = event->serial,
                                    .len = event->len,
                                    .until = core->now + MESH_ASK_LEASE};
    memcpy(asker->group, event->group, event->len);
    answer_asker(core, asker);
}

void seeking_own_changed(struct core *core, const char *group, size_t len)
{
    struct seeking *self = core->seeking;

    for (unsigned i = 0; i < self->asker_count; i++) {
        struct seeking_asker *asker = &self->askers[i];
        if (asker->len != len || memcmp(asker->group, group, len) != 0)
            continue;
        asker->dirty = true;
        self->dirty = true;
    }
}

static void answer_dirty(struct core *core)
{
    struct seeking *self = core->seeking;

    self->dirty = false;
    for (unsigned i = 0; i < self->asker_count; i++) {
        struct seeking_asker *asker = &self->askers[i];
        if (asker->dirty && core->now < asker->until && !answer_asker(core, asker))
            return; /* it and the others later */
    }
}

/* ---- Announcing ---- */

static struct seeking_announce *announce_of(struct seeking *self, uint32_t op)
{
    for (unsigned i = 0; i < SEEKING_ANNOUNCES; i++) {
        if (self->announces[i].op == op)
            return &self->announces[i];
    }
    return NULL;
}

/* True: go on to the next group. */
static bool announce(void *ctx, const char *group, size_t len)
{
    struct core *core = ctx;
    struct seeking_announce *place = announce_of(core->seeking, 0);
    struct kad_id target;

    if (place == NULL)
        return false;
    kad_id_of_group(group, len, &target);
    place->op =
        kad_announce(core->kad, &target, core->now + SEEKING_SEARCH_FOR, core->now);
    if (place->op == 0)
        return false;
    place->len = (uint8_t)len;
    memcpy(place->group, group, len);
    return true;
}

void seeking_announced(struct core *core, const struct kad_event *event)
{
    struct seeking_announce *place = announce_of(core->seeking, event->op);

    if (place == NULL)
        return;
    place->op = 0;
    if (event->outcome != PROA_OK)
        memberships_announce_again(core, place->group, place->len);
}

/* ---- Time ---- */

void seeking_own_tick(struct core *core)
{
    struct seeking *self = core->seeking;
    bool afar = seeking_is_afar(core);

    if (self->dirty)
        answer_dirty(core);
    if (!afar)
        self->announce_at = PROA_NS_NEVER;
    else if (self->announce_at == PROA_NS_NEVER)
        self->announce_at = core->now;
    if (core->now < self->announce_at)
        return;
    self->announce_at = core->now + SEEKING_ANNOUNCE_LOOK;
    memberships_to_announce(core, SEEKING_ANNOUNCE_EVERY, announce, core);
}

proa_ns seeking_own_deadline(const struct core *core)
{
    const struct seeking *self = core->seeking;
    proa_ns at = self->announce_at;

    if (self->dirty)
        at = mesh_port_is_clear(core) ? core->now : core->now + OUTLET_RETRY;

    /* When links alone have not sufficed for long enough, somebody must say so. */
    if (!core->complete && core->mesh_port.nodes_max > 1 &&
        self->announce_at == PROA_NS_NEVER && core_joined(core) && !core->leaving &&
        core->incomplete_since + SEEKING_AFTER < at)
        at = core->incomplete_since + SEEKING_AFTER;
    return at;
}
