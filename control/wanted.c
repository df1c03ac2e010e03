/* SPDX-License-Identifier: Apache-2.0 */
#include "liveness.h"
#include "registrar_internal.h"
#include "watchers.h"

#define RETRY_FIRST PROA_S        /* between lookups for those who wait; doubles */
#define RETRY_MAX (8 * PROA_S)    /* the watch is what brings news; this only mends it */
#define RETRY_BUSY (50 * PROA_MS) /* when Kademlia had no operation free */
#define LOOKUP_MAX (5 * PROA_S)   /* of one lookup for those who wait longer */

static struct wanted *wanted_at(struct registrar *self, uint32_t place)
{
    return (struct wanted *)(void *)name_table_at(&self->wanted, place);
}

static struct wanted *find(const struct core *core, const char *name, size_t len)
{
    return (struct wanted *)(void *)name_table_find(&core->registrar->wanted, name, len);
}

static void decide(struct core *core, const struct wanted *w)
{
    holders_decide(core, w->entry.name, w->entry.len);
}

static void want_tick(struct core *core, proa_ns at)
{
    if (at < core->registrar->next_at)
        core->registrar->next_at = at;
}

static void linger(struct core *core, struct wanted *w)
{
    w->linger_at = core->now + REGISTRAR_LINGER;
    want_tick(core, w->linger_at);
}

/* ---- Waiters ---- */

static struct waiter *waiter_at(struct registrar *self, uint32_t at)
{
    return &self->waiters[at - 1];
}

static struct waiter *waiter_new(struct registrar *self, struct wanted *w)
{
    uint32_t at = self->waiters_free;

    if (at != 0)
        self->waiters_free = waiter_at(self, at)->next;
    else if (self->waiters_high < REGISTRAR_WAITERS_MAX)
        at = ++self->waiters_high;
    else
        return NULL;

    struct waiter *waiter = waiter_at(self, at);
    waiter->next = w->waiters;
    w->waiters = at;
    return waiter;
}

/* Answers a waiter and takes it out; *link is what pointed at it, and then at the next.  holder: of
   the name when the outcome is OK, else NULL. */
static void waiter_end(struct core *core, struct wanted *w, uint32_t *link,
                       enum proa_outcome outcome, const struct holder *holder)
{
    struct registrar *self = core->registrar;
    uint32_t at = *link;
    struct waiter *waiter = waiter_at(self, at);
    struct registrar_reply to = {waiter->lane, waiter->correlation, waiter->slot,
                                 waiter->generation, false};

    if (holder != NULL) {
        to.settled = holders_settled(core, w->entry.name, w->entry.len, holder);
        if (waiter->type != 0 && holder->type != 0 && waiter->type != holder->type)
            outcome = PROA_WRONG_TYPE;
    }
    registrar_answer(core, &to, w->entry.name, w->entry.len, outcome,
                     holder != NULL ? holder->ref : proa_ref_none(),
                     holder != NULL ? holder->term : 0);
    *link = waiter->next;
    waiter->next = self->waiters_free;
    self->waiters_free = at;
}

static void waiters_end(struct core *core, struct wanted *w, enum proa_outcome outcome,
                        const struct holder *holder)
{
    while (w->waiters != 0)
        waiter_end(core, w, &w->waiters, outcome, holder);
}

/* ---- The entry ---- */

static void holder_of(const struct wanted *w, struct holder *ret)
{
    *ret = (struct holder){.ref = w->ref,
                           .type = w->type,
                           .term = w->term,
                           .issued = w->issued,
                           .claim = w->claim};
}

bool wanted_told(const struct core *core, const char *name, size_t len,
                 struct holder *ret)
{
    const struct wanted *w = find(core, name, len);

    if (w == NULL || !w->found || !w->watched)
        return false;
    holder_of(w, ret);
    return true;
}

proa_ns wanted_absent_until(const struct core *core, const char *name, size_t len)
{
    const struct wanted *w = find(core, name, len);

    return w != NULL && w->watched && !w->found ? w->absent_until : 0;
}

void wanted_answer(struct core *core, const char *name, size_t len,
                   const struct holder *holder)
{
    struct wanted *w = find(core, name, len);

    if (w == NULL)
        return;
    w->retry_wait = RETRY_FIRST;
    w->retry_at = PROA_NS_NEVER;
    waiters_end(core, w, PROA_OK, holder);
}

/* Nothing more is known of it. */
static void unpublish(struct core *core, struct wanted *w)
{
    w->found = false;
    w->absent_until = 0;
    decide(core, w);
}

static void absent(struct core *core, struct wanted *w)
{
    w->found = false;
    w->absent_until = core->now + REGISTRAR_LINGER;
    decide(core, w);
}

/* The holder is known and alive. */
static void publish(struct core *core, struct wanted *w)
{
    struct holder holder;

    w->found = true;
    w->absent_until = 0;
    decide(core, w);
    /* Who waits has an answer also where the directory had no room, or nobody would correct it. */
    if (w->waiters == 0)
        return;
    holder_of(w, &holder);
    wanted_answer(core, w->entry.name, w->entry.len, &holder);
}

static void drop(struct core *core, struct wanted *w)
{
    struct registrar *self = core->registrar;

    if (w->watched) {
        unpublish(core, w);
        kad_unwatch(core->kad, w->entry.name, w->entry.len, core->now);
    }
    if (w->op != 0)
        registrar_op_drop(self, w->op);
    name_table_remove(&self->wanted, &w->entry);
}

/* The table is full: the name nobody waits for that would go first, goes now. */
static bool make_room(struct core *core)
{
    struct registrar *self = core->registrar;
    struct wanted *first = NULL;

    for (uint32_t i = 0; i < self->wanted.high; i++) {
        struct wanted *w = wanted_at(self, i);
        if (w != NULL && w->waiters == 0 && w->watchers == 0 &&
            (first == NULL || w->linger_at < first->linger_at))
            first = w;
    }
    if (first == NULL)
        return false;
    drop(core, first);
    return true;
}

static struct wanted *want(struct core *core, const char *name, size_t len)
{
    struct name_table *names = &core->registrar->wanted;
    struct wanted *w = find(core, name, len);

    if (w == NULL) {
        if (names->used == names->max && !make_room(core))
            return NULL;
        w = (struct wanted *)(void *)name_table_add(names, name, len);
        w->retry_at = PROA_NS_NEVER;
        w->retry_wait = RETRY_FIRST;
    }
    if (!w->watched)
        w->watched = kad_watch(core->kad, name, len, core->now);
    linger(core, w);
    return w;
}

/* ---- Lookups ---- */

static void begin_lookup(struct core *core, struct wanted *w, proa_ns deadline)
{
    struct registrar *self = core->registrar;

    w->op =
        kad_lookup(core->kad, w->entry.name, w->entry.len, false, deadline, core->now);
    if (w->op == 0) {
        w->retry_at = core->now + RETRY_BUSY;
        want_tick(core, w->retry_at);
        return;
    }
    w->lookup++;
    w->retry_at = PROA_NS_NEVER;
    registrar_op_add(self, w->op, false, name_table_place(&self->wanted, &w->entry));
}

/* Begins a lookup as long as the most patient waiter that wants one answer allows. */
static void lookup_again(struct core *core, struct wanted *w)
{
    proa_ns deadline = core->now + LOOKUP_MAX;

    for (uint32_t at = w->waiters; at != 0; at = waiter_at(core->registrar, at)->next) {
        const struct waiter *waiter = waiter_at(core->registrar, at);
        if (!waiter->waits && waiter->deadline > deadline)
            deadline = waiter->deadline;
    }
    begin_lookup(core, w, deadline);
}

/* The answer lies here already. */
static bool answered_here(struct core *core, const struct registrar_call *call)
{
    struct registrar_reply to = {call->lane, call->head.correlation, call->head.slot,
                                 call->head.generation, false};
    enum proa_outcome outcome = PROA_OK;
    struct holder holder;

    if (!holders_find(core, call->name, call->head.len, &holder) ||
        !holders_alive(core, holder.ref.node))
        return false;
    if (call->head.type != 0 && holder.type != 0 && call->head.type != holder.type)
        outcome = PROA_WRONG_TYPE;
    to.settled = holders_settled(core, call->name, call->head.len, &holder);
    registrar_answer(core, &to, call->name, call->head.len, outcome, holder.ref,
                     holder.term);
    return true;
}

void wanted_lookup(struct core *core, const struct registrar_call *call)
{
    struct registrar *self = core->registrar;

    if (answered_here(core, call)) {
        struct wanted *known = find(core, call->name, call->head.len);
        if (known != NULL)
            linger(core, known);
        return;
    }
    struct wanted *w = want(core, call->name, call->head.len);
    struct waiter *waiter = w != NULL ? waiter_new(self, w) : NULL;
    if (waiter == NULL) {
        registrar_answer_call(core, call, PROA_LIMIT, proa_ref_none(), 0);
        return;
    }
    waiter->lane = (uint8_t)call->lane;
    waiter->waits = call->head.op == PUNT_LOOKUP_WAIT;
    waiter->correlation = call->head.correlation;
    waiter->slot = call->head.slot;
    waiter->generation = call->head.generation;
    waiter->type = call->head.type;
    waiter->deadline = call->head.deadline;
    /* A lookup under way may have passed by before the asker knew what it knows now: its "no"
       is none for this one. */
    waiter->lookup = w->lookup + 1;
    want_tick(core, waiter->deadline);
    if (w->op == 0)
        lookup_again(core, w);
}

/* A lookup ended without a living holder. */
static void missed(struct core *core, struct wanted *w, enum proa_outcome outcome)
{
    struct registrar *self = core->registrar;
    bool again = false;

    if (outcome == PROA_NOT_FOUND && w->watched)
        absent(core, w);
    for (uint32_t *link = &w->waiters; *link != 0;) {
        struct waiter *waiter = waiter_at(self, *link);
        if (waiter->waits || waiter->lookup > w->lookup) {
            again |= !waiter->waits;
            link = &waiter->next;
        } else {
            waiter_end(core, w, link, outcome, NULL);
        }
    }
    if (again) {
        lookup_again(core, w);
    } else if (w->waiters != 0) {
        w->retry_at = core->now + w->retry_wait;
        w->retry_wait = w->retry_wait * 2 < RETRY_MAX ? w->retry_wait * 2 : RETRY_MAX;
        want_tick(core, w->retry_at);
    }
}

/* A record with a living holder, or one that Kademlia could not hear. */
static bool take_record(struct core *core, struct wanted *w,
                        const struct kad_event *event)
{
    const struct record *record = &event->record;
    const struct proa_addr *hint = NULL;

    if (kad_id_node64(&record->owner) == core->node)
        return false; /* an old one of ours: what we hold, owned.c knows */
    for (unsigned i = 0; i < record->endpoint_count && hint == NULL; i++) {
        if (core_port_of(core, &record->endpoints[i]) != NULL ||
            core->config.port_count == 0)
            hint = &record->endpoints[i];
    }
    if (!event->alive || !liveness_alive(core, &record->owner, hint))
        return false;
    w->ref = registrar_ref_of(record);
    w->type = record->type_id;
    w->term = record->term;
    w->issued = record->issued;
    w->claim = record->claim;
    publish(core, w);
    return true;
}

void wanted_looked_up(struct core *core, uint32_t place, const struct kad_event *event)
{
    struct wanted *w = wanted_at(core->registrar, place);
    enum proa_outcome outcome = event->outcome;

    PROA_ASSERT(w != NULL && w->op == event->op);
    w->op = 0;
    if (outcome == PROA_OK) {
        if (take_record(core, w, event))
            return;
        outcome = kad_id_node64(&event->record.owner) == core->node ? PROA_NOT_FOUND
                                                                    : PROA_UNKNOWN;
    }
    missed(core, w, outcome);
}

/* ---- Pushes ---- */

/* A change that nobody vouches for yet: ask, and say nothing until then. */
static void changed_unheard(struct core *core, struct wanted *w)
{
    unpublish(core, w);
    if (w->op == 0)
        lookup_again(core, w);
}

void wanted_changed(struct core *core, const struct kad_event *event)
{
    const struct record *record = &event->record;
    struct wanted *w = find(core, record->name, record->name_len);

    if (w == NULL || !w->watched || kad_id_node64(&record->owner) == core->node)
        return;
    if (record->kind == RECORD_TOMBSTONE) {
        absent(core, w);
    } else if (!take_record(core, w, event)) {
        changed_unheard(core, w);
    }
}

void wanted_adopt(struct core *core, const struct kad_event *event)
{
    struct wanted *w = want(core, event->record.name, event->record.name_len);

    if (w != NULL && !take_record(core, w, event))
        changed_unheard(core, w);
}

void wanted_released(struct core *core, const struct owned *owned)
{
    struct wanted *w = find(core, owned->entry.name, owned->entry.len);

    if (w != NULL)
        w->found = false;
}

void wanted_withdrawn(struct core *core, const struct mesh_entry *entry)
{
    struct wanted *w = find(core, entry->name, entry->len);

    /* What a dead node's link took with it, Kademlia may still know: the node may come back. */
    if (w != NULL && w->found && w->ref.node == entry->node && w->term <= entry->term &&
        holders_alive(core, entry->node))
        w->found = false;
}

bool wanted_watch(struct core *core, const char *name, size_t len, bool on)
{
    struct wanted *w = on ? want(core, name, len) : find(core, name, len);

    if (w == NULL)
        return false;
    if (on) {
        w->watchers++;
        if (w->op == 0 && !w->found)
            lookup_again(core, w);
    } else {
        w->watchers--;
        linger(core, w);
    }
    return true;
}

/* Nobody whom the mesh knows has a better claim than the one Kademlia told of. */
static bool is_holder(const struct core *core, const struct wanted *w)
{
    struct holder holder;

    return holders_find(core, w->entry.name, w->entry.len, &holder) &&
           proa_ref_equal(holder.ref, w->ref);
}

void wanted_node(struct core *core, uint64_t node, bool alive)
{
    struct registrar *self = core->registrar;

    for (uint32_t i = 0; i < self->wanted.high; i++) {
        struct wanted *w = wanted_at(self, i);
        if (w != NULL && w->watchers != 0 && w->found && w->ref.node == node &&
            is_holder(core, w))
            watchers_name_node(core, w->entry.name, w->entry.len, w->ref, alive);
    }
}

void wanted_joined(struct core *core)
{
    struct registrar *self = core->registrar;

    for (uint32_t i = 0; i < self->wanted.high; i++) {
        struct wanted *w = wanted_at(self, i);
        if (w != NULL && w->waiters != 0 && w->op == 0)
            lookup_again(core, w);
    }
}

void wanted_node_gone(struct core *core, uint64_t node)
{
    struct registrar *self = core->registrar;

    for (uint32_t i = 0; i < self->wanted.high; i++) {
        struct wanted *w = wanted_at(self, i);
        if (w != NULL && w->found && w->ref.node == node)
            unpublish(core, w);
    }
}

void wanted_leave(struct core *core)
{
    struct registrar *self = core->registrar;

    for (uint32_t i = 0; i < self->wanted.high; i++) {
        struct wanted *w = wanted_at(self, i);
        if (w == NULL)
            continue;
        waiters_end(core, w, PROA_STOPPED, NULL);
        drop(core, w);
    }
}

/* ---- Time ---- */

/* Ends who has waited long enough; returns the next deadline. */
static proa_ns waiters_tick(struct core *core, struct wanted *w)
{
    proa_ns next = PROA_NS_NEVER;

    for (uint32_t *link = &w->waiters; *link != 0;) {
        struct waiter *waiter = waiter_at(core->registrar, *link);
        if (core->now >= waiter->deadline) {
            waiter_end(core, w, link, waiter->waits ? PROA_NOT_FOUND : PROA_UNKNOWN,
                       NULL);
            linger(core, w);
            continue;
        }
        if (waiter->deadline < next)
            next = waiter->deadline;
        link = &waiter->next;
    }
    return next;
}

/* Nobody waits: does the name stay known?  While it is found, its node alive, and the table not
   nearly full: then looking it up goes on costing nanoseconds. */
static bool stays(struct core *core, const struct wanted *w)
{
    const struct name_table *names = &core->registrar->wanted;
    struct proa_ref ref;

    if (w->watchers != 0)
        return true;
    return w->watched && w->found && names->used < names->max / 4 * 3 &&
           directory_lookup(core->config.directory, w->entry.name, w->entry.len, 0,
                            core->now, &ref) == PROA_OK;
}

void wanted_tick(struct core *core)
{
    struct registrar *self = core->registrar;

    self->next_at = PROA_NS_NEVER;
    for (uint32_t i = 0; i < self->wanted.high; i++) {
        struct wanted *w = wanted_at(self, i);
        if (w == NULL)
            continue;
        want_tick(core, waiters_tick(core, w));
        if (w->waiters == 0) {
            w->retry_at = PROA_NS_NEVER;
            if (core->now >= w->linger_at && !stays(core, w)) {
                drop(core, w);
                continue;
            }
            if (core->now >= w->linger_at)
                linger(core, w);
            want_tick(core, w->linger_at);
        } else if (w->op == 0 && core->now >= w->retry_at) {
            lookup_again(core, w);
        }
        want_tick(core, w->retry_at);
    }
}
