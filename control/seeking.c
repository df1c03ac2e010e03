/* SPDX-License-Identifier: Apache-2.0 */
#include "seeking.h"

#include <stdlib.h>

#include "directory_group.h"
#include "seeking_internal.h"

struct seeking *seeking_create(uint64_t salt)
{
    struct seeking *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->look_at = self->announce_at = PROA_NS_NEVER;
    if (!name_table_init(&self->groups, sizeof(struct sought), SEEKING_GROUPS_MAX,
                         salt)) {
        free(self);
        return NULL;
    }
    return self;
}

void seeking_destroy(struct seeking *self)
{
    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->groups.high; i++) {
        struct sought *sought = seeking_at(self, i);
        for (unsigned n = 0; sought != NULL && n < sought->node_count; n++) {
            free(sought->nodes[n].refs);
            free(sought->nodes[n].coming);
        }
        if (sought != NULL)
            free(sought->nodes);
    }
    name_table_fini(&self->groups);
    free(self);
}

bool seeking_is_afar(const struct core *core)
{
    return core_joined(core) && !core->complete && !core->leaving &&
           (core->mesh_port.nodes_max == 1 ||
            core->now - core->incomplete_since >= SEEKING_AFTER);
}

/* ---- Sought groups ---- */

struct sought *seeking_at(const struct seeking *self, uint32_t place)
{
    return (struct sought *)(void *)name_table_at(&self->groups, place);
}

static struct sought *find(const struct core *core, const char *group, size_t len)
{
    return (struct sought *)(void *)name_table_find(&core->seeking->groups, group, len);
}

static struct sought *seek(struct core *core, const char *group, size_t len)
{
    struct seeking *self = core->seeking;
    struct sought *sought = find(core, group, len);

    if (sought == NULL)
        sought = (struct sought *)(void *)name_table_add(&self->groups, group, len);
    if (sought == NULL)
        return NULL;
    sought->linger_at = core->now + SEEKING_LINGER;
    if (self->look_at > core->now + SEEKING_LOOK_EVERY)
        self->look_at = core->now + SEEKING_LOOK_EVERY;
    if (seeking_is_afar(core))
        seeking_search(core, sought);
    return sought;
}

bool seeking_watch(struct core *core, const char *group, size_t len, bool on)
{
    struct sought *sought = on ? seek(core, group, len) : find(core, group, len);

    if (sought == NULL)
        return false;
    if (on)
        sought->watchers++;
    else
        sought->watchers--;
    return true;
}

/* ---- Who waits ---- */

static struct waiter *waiter_at(struct seeking *self, uint32_t at)
{
    return &self->waiters[at - 1];
}

static struct waiter *waiter_new(struct seeking *self, struct sought *sought)
{
    uint32_t at = self->waiters_free;

    if (at != 0)
        self->waiters_free = waiter_at(self, at)->next;
    else if (self->waiters_high < SEEKING_WAITERS_MAX)
        at = ++self->waiters_high;
    else
        return NULL;

    struct waiter *waiter = waiter_at(self, at);
    waiter->next = sought->waiters;
    sought->waiters = at;
    return waiter;
}

/* Answers a waiter and takes it out; *link is what pointed at it, and then at the next. */
static void waiter_end(struct core *core, const struct sought *sought, uint32_t *link,
                       enum proa_outcome outcome, struct proa_ref ref)
{
    struct seeking *self = core->seeking;
    uint32_t at = *link;
    struct waiter *waiter = waiter_at(self, at);
    struct registrar_reply to = {waiter->lane, waiter->correlation, waiter->slot,
                                 waiter->generation, true};

    registrar_answer(core, &to, sought->entry.name, sought->entry.len, outcome, ref, 0);
    *link = waiter->next;
    waiter->next = self->waiters_free;
    self->waiters_free = at;
}

static void waiters_end(struct core *core, struct sought *sought,
                        enum proa_outcome outcome, struct proa_ref ref)
{
    while (sought->waiters != 0)
        waiter_end(core, sought, &sought->waiters, outcome, ref);
}

/* Any living member, as the writer's own list has it: the readers' view may be a moment behind. */
struct any {
    struct proa_ref ref;
    bool found;
};

static bool take_living(void *ctx, struct proa_ref ref, uint32_t type, bool reachable,
                        uint16_t load)
{
    struct any *any = ctx;

    (void)type;
    (void)load;
    if (reachable)
        *any = (struct any){ref, true};
    return !reachable;
}

static struct any any_member(const struct core *core, const char *group, size_t len)
{
    struct any any = {0};

    directory_each_in_group(core->config.directory, group, len, core->now, take_living,
                            &any);
    return any;
}

void seeking_joined(struct core *core, const char *group, size_t len)
{
    struct sought *sought = find(core, group, len);

    if (sought == NULL || sought->waiters == 0 || seeking_is_open(core, sought))
        return;
    struct any any = any_member(core, group, len);
    if (any.found)
        waiters_end(core, sought, PROA_OK, any.ref);
}

void seeking_settle(struct core *core, struct sought *sought)
{
    struct any any = any_member(core, sought->entry.name, sought->entry.len);

    if (any.found) {
        waiters_end(core, sought, PROA_OK, any.ref);
        return;
    }
    /* Who is linked with all others announces nothing: what it has comes by its link alone. */
    if (!sought->searched || mesh_port_is_syncing(core))
        return;
    directory_group_absent(core->config.directory, sought->entry.name, sought->entry.len,
                           core->now + SEEKING_LINGER);
    waiters_end(core, sought, PROA_NOT_FOUND, proa_ref_none());
}

void seeking_call(struct core *core, const struct registrar_call *call)
{
    struct any any = any_member(core, call->name, call->head.len);
    struct sought *sought;
    struct waiter *waiter;

    bool afar = seeking_is_afar(core);
    if (core->complete || (any.found && !afar)) {
        registrar_answer_call(core, call, any.found ? PROA_OK : PROA_NOT_FOUND, any.ref,
                              0);
        return;
    }
    sought = seek(core, call->name, call->head.len);
    if (any.found && sought != NULL && !seeking_is_open(core, sought)) {
        registrar_answer_call(core, call, PROA_OK, any.ref, 0);
        return;
    }
    waiter = sought != NULL ? waiter_new(core->seeking, sought) : NULL;
    if (waiter == NULL) {
        registrar_answer_call(core, call, PROA_LIMIT, proa_ref_none(), 0);
        return;
    }
    waiter->lane = (uint8_t)call->lane;
    waiter->correlation = call->head.correlation;
    waiter->slot = call->head.slot;
    waiter->generation = call->head.generation;
    waiter->deadline = call->head.deadline;
    if (waiter->deadline < core->seeking->look_at)
        core->seeking->look_at = waiter->deadline;
}

void seeking_complete(struct core *core)
{
    if (core->seeking->groups.used > 0)
        core->seeking->look_at = core->now;
}

void seeking_leave(struct core *core)
{
    for (uint32_t i = 0; i < core->seeking->groups.high; i++) {
        struct sought *sought = seeking_at(core->seeking, i);
        if (sought != NULL)
            waiters_end(core, sought, PROA_STOPPED, proa_ref_none());
    }
}

/* ---- Time ---- */

/* Links, or nodes that answered, have said what they know. */
static void waiters_known(struct core *core, struct sought *sought)
{
    struct any any = any_member(core, sought->entry.name, sought->entry.len);

    if (any.found)
        waiters_end(core, sought, PROA_OK, any.ref);
    else if (core->complete)
        waiters_end(core, sought, PROA_NOT_FOUND, proa_ref_none());
}

static void look_at_waiters(struct core *core, struct sought *sought)
{
    struct seeking *self = core->seeking;
    enum proa_outcome late = core_joined(core) ? PROA_UNKNOWN : PROA_NOT_JOINED;

    if (core->complete || (sought->waiters != 0 && !seeking_is_open(core, sought)))
        waiters_known(core, sought);
    for (uint32_t *link = &sought->waiters; *link != 0;) {
        struct waiter *waiter = waiter_at(self, *link);
        if (core->now >= waiter->deadline) {
            struct any any = any_member(core, sought->entry.name, sought->entry.len);
            waiter_end(core, sought, link, any.found ? PROA_OK : late, any.ref);
            continue;
        }
        if (waiter->deadline < self->look_at)
            self->look_at = waiter->deadline;
        link = &waiter->next;
    }
}

static void look(struct core *core, struct sought *sought)
{
    look_at_waiters(core, sought);
    if (directory_group_read(core->config.directory, sought->entry.name,
                             sought->entry.len) ||
        sought->watchers != 0 || sought->waiters != 0)
        sought->linger_at = core->now + SEEKING_LINGER;
    if (core->now < sought->linger_at) {
        seeking_look_afar(core, sought);
        return;
    }
    seeking_forget(core, sought);
    name_table_remove(&core->seeking->groups, &sought->entry);
}

void seeking_tick(struct core *core)
{
    struct seeking *self = core->seeking;

    seeking_own_tick(core);
    if (core->now < self->look_at)
        return;
    self->look_at =
        self->groups.used > 0 ? core->now + SEEKING_LOOK_EVERY : PROA_NS_NEVER;
    for (uint32_t i = 0; i < self->groups.high; i++) {
        struct sought *sought = seeking_at(self, i);
        if (sought != NULL)
            look(core, sought);
    }
}

proa_ns seeking_deadline(const struct core *core)
{
    proa_ns own = seeking_own_deadline(core);

    return own < core->seeking->look_at ? own : core->seeking->look_at;
}
