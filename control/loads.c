/* SPDX-License-Identifier: Apache-2.0 */
#include "loads.h"

#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "directory_group.h"

struct loads_group {
    uint8_t len;
    char name[PROA_NAME_MAX];
    proa_ns report_until; /* another node wants it; 0: none */
    proa_ns all_at;       /* all of it is reported next, */
    uint32_t all_from;    /* from this member on */
    proa_ns asked_at;     /* this node asked for it; 0: it did not */
};

bool loads_init(struct core *core)
{
    struct loads *self = &core->loads;

    self->ask_at =
        core->mesh_port.nodes_max > 1 ? core->now + LOADS_ASK_EVERY : PROA_NS_NEVER;
    self->report_at = PROA_NS_NEVER;
    self->groups = calloc(LOADS_GROUPS_MAX, sizeof(*self->groups));
    self->told = calloc(MESH_PUBLISHED_MAX, sizeof(*self->told));
    return self->groups != NULL && self->told != NULL;
}

void loads_fini(struct core *core)
{
    free(core->loads.groups);
    free(core->loads.told);
    core->loads.groups = NULL;
    core->loads.told = NULL;
}

/* ---- Groups ---- */

static bool is_over(const struct core *core, const struct loads_group *group)
{
    return core->now >= group->report_until &&
           (group->asked_at == 0 || core->now - group->asked_at >= LOADS_ASK_AGAIN);
}

static struct loads_group *group_find(struct core *core, const char *name, size_t len)
{
    struct loads *self = &core->loads;
    unsigned over = self->count;

    for (unsigned i = 0; i < self->count; i++) {
        struct loads_group *group = &self->groups[i];
        if (group->len == len && memcmp(group->name, name, len) == 0)
            return group;
        if (is_over(core, group))
            over = i;
    }
    if (over == LOADS_GROUPS_MAX)
        return NULL;
    if (over == self->count)
        self->count++;

    struct loads_group *group = &self->groups[over];
    *group = (struct loads_group){.len = (uint8_t)len};
    memcpy(group->name, name, len);
    return group;
}

/* ---- Asking ---- */

static void ask(void *ctx, const char *name, size_t len)
{
    struct core *core = ctx;
    struct loads_group *group = group_find(core, name, len);

    if (group == NULL || core->mesh_port.waits ||
        (group->asked_at != 0 && core->now - group->asked_at < LOADS_ASK_AGAIN))
        return;
    group->asked_at = core->now;
    mesh_want_loads(core->mesh_port.mesh, name, len, core->now);
    mesh_port_flush(core);
}

void loads_reported(struct core *core, const struct mesh_event *event)
{
    for (unsigned i = 0; i < event->count; i++) {
        const struct mesh_load *load = &event->loads[i];
        const struct mesh_entry *entry =
            mesh_entry_at(core->mesh_port.mesh, event->node, load->index);

        if (entry == NULL || entry->kind != MESH_MEMBER)
            continue; /* it left meanwhile */
        struct proa_ref ref = {entry->node, entry->slot, entry->generation};
        directory_load(core->config.directory, entry->name, entry->len, ref, load->load);
    }
}

/* ---- Reporting ---- */

static bool node_wants(struct core *core, uint64_t node)
{
    struct loads *self = &core->loads;
    unsigned at = 0;

    while (at < self->node_count && self->nodes[at].node != node)
        at++;
    if (at == MESH_NODES_MAX)
        return false;
    if (at == self->node_count)
        self->node_count++;
    self->nodes[at].node = node;
    self->nodes[at].until = core->now + LOADS_FOR;
    return true;
}

void loads_wanted(struct core *core, const struct mesh_event *event)
{
    struct loads *self = &core->loads;
    struct loads_group *group = group_find(core, event->group, event->len);

    if (group == NULL || !node_wants(core, event->node))
        return;
    group->report_until = core->now + LOADS_FOR;
    group->all_at = core->now;
    self->report_at = core->now;
}

struct report {
    struct core *core;
    uint32_t all_from; /* these members are reported in any case; UINT32_MAX: none */
    uint32_t at, seen;
    unsigned count;
    struct mesh_load loads[LOADS_A_TICK];
};

static uint16_t load_of(const struct core *core, uint32_t slot)
{
    uint32_t lane = slot >> 24, index = slot & 0xffffff;
    const struct loads *self = &core->loads;

    if (lane >= core->config.lanes || index >= self->lanes[lane].slots ||
        self->lanes[lane].words == NULL)
        return 0;
    /* relaxed: a lane's word, a moment old. */
    return atomic_load_explicit(&self->lanes[lane].words[index], memory_order_relaxed);
}

static void look(void *ctx, const struct membership_info *member)
{
    struct report *report = ctx;
    uint16_t load = load_of(report->core, member->slot);
    bool all = report->at++ >= report->all_from;

    report->seen++;
    if (member->index == MESH_NONE || report->count == LOADS_A_TICK)
        return;
    uint16_t *told = &report->core->loads.told[member->index];
    if (!all && *told == load)
        return;
    if (all)
        report->all_from = report->at;
    *told = load;
    report->loads[report->count++] = (struct mesh_load){(uint16_t)member->index, load};
}

static void report_group(struct core *core, struct loads_group *group,
                         struct report *report)
{
    bool all = core->now >= group->all_at;

    report->at = 0;
    report->all_from = all ? group->all_from : UINT32_MAX;
    uint32_t members =
        memberships_each(core, group->name, group->len, UINT32_MAX, look, report);
    if (!all)
        return;
    group->all_from = report->all_from;
    if (group->all_from < members)
        return; /* the rest at the next tick */
    group->all_from = 0;
    /* In proportion: at most 50,000 loads a second of one group. */
    group->all_at = core->now + LOADS_ALL_EVERY + members * (20 * PROA_US);
}

/* Who still wants reports, into nodes; the others are forgotten. */
static unsigned living(struct core *core, uint64_t *nodes)
{
    struct loads *self = &core->loads;
    unsigned count = 0;

    for (unsigned i = 0; i < self->node_count; i++) {
        if (core->now >= self->nodes[i].until)
            continue;
        self->nodes[count] = self->nodes[i];
        nodes[count++] = self->nodes[i].node;
    }
    self->node_count = count;
    return count;
}

static void report(struct core *core)
{
    struct loads *self = &core->loads;
    uint64_t nodes[MESH_NODES_MAX];
    unsigned count = living(core, nodes);
    struct report report = {.core = core};

    self->report_at = count > 0 ? core->now + LOADS_EVERY : PROA_NS_NEVER;
    if (count == 0 || core->mesh_port.waits)
        return; /* not more for a lane that does not read */
    for (unsigned i = 0; i < self->count && report.count < LOADS_A_TICK; i++) {
        if (core->now < self->groups[i].report_until)
            report_group(core, &self->groups[i], &report);
    }
    self->report_at += report.seen * PROA_US; /* large groups, less often */
    if (report.count > 0)
        mesh_loads(core->mesh_port.mesh, nodes, count, report.loads, report.count,
                   core->now);
}

/* ---- Time ---- */

void loads_tick(struct core *core)
{
    struct loads *self = &core->loads;

    if (core->now >= self->ask_at) {
        self->ask_at = core->now + LOADS_ASK_EVERY;
        directory_loads_wanted(core->config.directory, ask, core);
    }
    if (core->now >= self->report_at)
        report(core);
}

proa_ns loads_deadline(const struct core *core)
{
    const struct loads *self = &core->loads;

    return self->ask_at < self->report_at ? self->ask_at : self->report_at;
}
