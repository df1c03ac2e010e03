/* SPDX-License-Identifier: Apache-2.0 */
#include "watching.h"

#include "directory_group.h"
#include "pages.h"
#include "scheduler_internal.h"
#include "utf8.h"

#define NODE_NAME_ROOM (sizeof(struct changed) + PROA_NAME_MAX + 1)

/* ---- The table ---- */

bool watching_table_init(struct watching_table *t)
{
    *t = (struct watching_table){
        .free = WATCH_NONE, .marked_first = WATCH_NONE, .marked_last = WATCH_NONE};
    memset(t->buckets, 0xff, sizeof(t->buckets));
    t->all = pages_map(PROA_WATCHES_MAX * sizeof(struct watching));
    return t->all != NULL;
}

void watching_table_fini(struct watching_table *t)
{
    pages_unmap(t->all, PROA_WATCHES_MAX * sizeof(struct watching));
}

static uint32_t index_of(const struct watching_table *t, const struct watching *e)
{
    return (uint32_t)(e - t->all);
}

static uint32_t *bucket(struct watching_table *t, uint32_t slot)
{
    return &t->buckets[slot % WATCH_BUCKETS];
}

static struct watching *take(struct watching_table *t, uint32_t slot)
{
    uint32_t index = t->free, *head = bucket(t, slot);
    struct watching *e;
    uint32_t serial;

    if (index != WATCH_NONE)
        t->free = t->all[index].next;
    else if (t->fresh < PROA_WATCHES_MAX)
        index = t->fresh++;
    else
        return NULL;
    e = &t->all[index];
    serial = e->serial + 1 != 0 ? e->serial + 1 : 1;
    *e = (struct watching){
        .serial = serial, .slot = slot, .next = *head, .prev = WATCH_NONE};
    if (*head != WATCH_NONE)
        t->all[*head].prev = index;
    *head = index;
    t->in_use++;
    return e;
}

/* Out of its bucket. */
static void unlink_entry(struct watching_table *t, struct watching *e)
{
    if (e->prev != WATCH_NONE)
        t->all[e->prev].next = e->next;
    else
        *bucket(t, e->slot) = e->next;
    if (e->next != WATCH_NONE)
        t->all[e->next].prev = e->prev;
}

static void give(struct watching_table *t, struct watching *e)
{
    e->state = WATCH_FREE;
    e->next = t->free;
    t->free = index_of(t, e);
    t->in_use--;
}

static struct watching *find(struct watching_table *t, uint32_t index, uint32_t serial)
{
    struct watching *e = index < t->fresh ? &t->all[index] : NULL;

    return e != NULL && e->serial == serial && e->state != WATCH_FREE &&
                   e->state != WATCH_ENDED
               ? e
               : NULL;
}

/* ---- What is to be done ---- */

static void marked_add(struct watching_table *t, struct watching *e)
{
    uint32_t index = index_of(t, e);

    if (e->marked)
        return;
    e->marked = true;
    e->marked_next = WATCH_NONE;
    if (t->marked_last != WATCH_NONE)
        t->all[t->marked_last].marked_next = index;
    else
        t->marked_first = index;
    t->marked_last = index;
    t->marked_count++;
}

static struct watching *marked_take(struct watching_table *t)
{
    struct watching *e = &t->all[t->marked_first];

    t->marked_first = e->marked_next;
    if (t->marked_first == WATCH_NONE)
        t->marked_last = WATCH_NONE;
    t->marked_count--;
    e->marked = false;
    return e;
}

static bool tell_control(struct sched *s, const struct watching *e, bool on)
{
    struct punt_watch body = {.slot = s->first_slot | e->slot,
                              .generation = e->generation,
                              .index = index_of(&s->watchings, e),
                              .serial = e->serial,
                              .on = on,
                              .what = e->what,
                              .len = e->len};

    return up_push(s, PUNT_WATCH, &body, sizeof(body), e->name, e->len);
}

static void due(struct sched *s, struct watching *e, uint64_t need)
{
    e->state = WATCH_DUE;
    e->need = need;
    marked_add(&s->watchings, e);
}

static uint64_t size_of(const struct node *node)
{
    return slab_class_size(node->msg.zero & NODE_BLOCK);
}

/* A node in slot's mailbox, out of the memory that all messages share.  False: no room. */
static bool enqueue_change(struct sched *s, struct slot *slot, const struct proa_msg *msg,
                           enum proa_change_kind kind)
{
    struct watching_table *t = &s->watchings;
    uint64_t size = slab_class_size(node_block(msg->len));
    struct node *node;

    if (kind != PROA_CHANGE_SET && t->unread + size > s->slab.limit / WATCH_SHARE)
        return false;
    node = node_new(s, msg, NULL, false);
    if (node == NULL)
        return false;
    node->msg.zero |= NODE_UNCOUNTED;
    if (kind != PROA_CHANGE_SET)
        t->unread += size_of(node);
    mailbox_put(&slot->mailbox, node);
    ready_push(s, slot);
    return true;
}

static bool push(struct sched *s, struct watching *e, const struct changed *c,
                 const char *name, size_t len)
{
    struct slot *slot = &s->slots.slots[e->slot];
    bool is_client = (slot->flags & SLOT_CLIENT) != 0;
    alignas(8) uint8_t body[NODE_NAME_ROOM];
    /* What a client asked for must not wait behind a full ring of what it is told. */
    struct proa_msg msg = {.data = body,
                           .len = sizeof(*c),
                           .type = NODE_CHANGED,
                           .flags = PROA_MSG_SYSTEM,
                           .cls = is_client ? PROA_CLASS_NORMAL : PROA_CLASS_SYSTEM};

    memcpy(body, c, sizeof(*c));
    if (e->what == PROA_WATCH_ALL) {
        memcpy(body + sizeof(*c), name, len);
        body[sizeof(*c) + len] = '\0';
        msg.len += (uint32_t)len + 1;
    }
    if (!enqueue_change(s, slot, &msg, (enum proa_change_kind)c->kind))
        return false;
    e->queued++;
    return true;
}

/* Has the directory published all that the SET is to have? */
static bool is_published(const struct sched *s, const struct watching *e)
{
    struct proa_members members = {0, 0};

    if (e->what != PROA_WATCH_GROUP || s->directory == NULL)
        return true;
    directory_members(s->directory, e->name, e->len, 0, PROA_ALL_UNREACHABLE, s->now,
                      NULL, 0, &members);
    return members.version >= e->need;
}

/* Sends the SET that is due on its way; false: not yet. */
static bool try_set(struct sched *s, struct watching *e)
{
    struct changed c = {.index = index_of(&s->watchings, e),
                        .serial = e->serial,
                        .version = e->need,
                        .ref = e->holder,
                        .kind = PROA_CHANGE_SET,
                        .is_group = e->what == PROA_WATCH_GROUP};

    if (e->queued > 0 || !is_published(s, e) || !push(s, e, &c, "", 0))
        return false;
    e->state = WATCH_LIVE;
    return true;
}

/* True when nothing more is to be done for it. */
static bool do_one(struct sched *s, struct watching *e)
{
    if (e->state == WATCH_DUE)
        return try_set(s, e);
    if (e->state != WATCH_ENDED)
        return true;
    if (s->up != NULL && !tell_control(s, e, false)) {
        STAT_ADD(s, up_full, 1);
        return false;
    }
    give(&s->watchings, e);
    return true;
}

void watching_flush(struct sched *s)
{
    struct watching_table *t = &s->watchings;
    uint32_t count = t->marked_count < WATCH_TODO_MAX ? t->marked_count : WATCH_TODO_MAX;

    if (s->now < t->marked_at)
        return;
    for (; count > 0; count--) {
        struct watching *e = marked_take(t);

        if (do_one(s, e))
            continue;
        marked_add(t, e);
        t->marked_at = s->now + WATCH_RETRY;
    }
}

proa_ns watching_deadline(const struct sched *s)
{
    const struct watching_table *t = &s->watchings;

    return t->marked_count == 0 ? PROA_NS_NEVER : t->marked_at;
}

/* ---- From the control thread ---- */

static void hold(struct watching *e, const struct punt_changed *changed)
{
    if (changed->kind == PROA_CHANGE_JOINED)
        e->holder = changed->ref;
    else if (proa_ref_equal(e->holder, changed->ref))
        e->holder = proa_ref_none();
}

void sched_changed(struct sched *s, const struct punt_changed *changed, const char *name,
                   size_t len)
{
    struct watching *e = find(&s->watchings, changed->index, changed->serial);
    struct changed c = {.index = changed->index,
                        .serial = changed->serial,
                        .version = changed->version,
                        .ref = changed->ref,
                        .kind = changed->kind,
                        .is_group = changed->is_group};

    PROA_ASSERT(len <= PROA_NAME_MAX);
    if (e == NULL) {
        STAT_ADD(s, changes_late, 1);
        return;
    }
    if (changed->kind == PROA_CHANGE_SET) {
        e->holder = changed->ref;
        due(s, e, changed->version);
        try_set(s, e);
        return;
    }
    if (e->state == WATCH_ASKED || (e->state == WATCH_DUE && !try_set(s, e)))
        e->need = changed->version;
    else if (e->queued >= WATCH_QUEUED_MAX || !push(s, e, &c, name, len))
        due(s, e, changed->version);
    if (e->what == PROA_WATCH_NAME)
        hold(e, changed);
    if (e->state != WATCH_LIVE)
        STAT_ADD(s, changes_merged, 1);
}

/* ---- To the actor ---- */

bool watching_read_set(const struct directory *dir, const char *name, size_t len,
                       uint64_t need, proa_ns now, void *(*alloc)(void *ctx, size_t size),
                       void (*release)(void *ctx, void *memory), void *ctx,
                       struct proa_ref **ret_refs, struct proa_members *ret)
{
    struct proa_ref *refs = NULL;
    uint32_t room = 0;

    *ret_refs = NULL;
    *ret = (struct proa_members){0, need};
    if (dir == NULL)
        return true;
    for (;;) {
        directory_members(dir, name, len, 0, PROA_ALL_UNREACHABLE, now, refs, room, ret);
        if (ret->count <= room || ret->version < need)
            break;
        release(ctx, refs);
        room = ret->count + ret->count / 8 + 8; /* it may grow meanwhile */
        refs = alloc(ctx, room * sizeof(*refs));
        if (refs == NULL)
            return false;
    }
    if (ret->version < need) {
        release(ctx, refs);
        return false;
    }
    *ret_refs = refs;
    return true;
}

static void *set_alloc(void *ctx, size_t size)
{
    return arena_alloc(ctx, size, 16);
}

static void set_free(void *ctx, void *memory)
{
    arena_free(ctx, memory);
}

static void signal_actor(struct proa_actor *self, const struct proa_change *change)
{
    const struct proa_behaviour *def = self->slot->behaviour->def;
    struct proa_signal signal = {.kind = PROA_SIGNAL_CHANGED, .change = change};

    if (def->signal != NULL)
        def->signal(self, &signal);
}

/* Reads the members and tells them.  If they cannot be had the watch goes back to owing the SET. */
static void tell_members(struct proa_actor *self, struct watching *e,
                         struct proa_change *change)
{
    struct sched *s = self->sched;
    struct proa_members members;
    struct proa_ref *refs;

    if (!watching_read_set(s->directory, e->name, e->len, change->version, s->now,
                           set_alloc, set_free, s->arena, &refs, &members)) {
        e->blank = true;
        due(s, e, e->need);
        s->watchings.marked_at = s->now + WATCH_RETRY;
        return;
    }
    e->told = change->version = members.version;
    change->refs = refs;
    change->count = members.count;
    e->blank = false;
    signal_actor(self, change);
    arena_free(s->arena, refs);
}

struct watching *watching_out(struct sched *s, const struct node *node)
{
    struct watching *e;
    struct changed c;

    memcpy(&c, node->payload, sizeof(c));
    if (c.kind != PROA_CHANGE_SET)
        s->watchings.unread -= size_of(node);
    e = find(&s->watchings, c.index, c.serial);
    if (e != NULL)
        e->queued--;
    return e;
}

void changed_run(struct proa_actor *self, const struct node *node)
{
    struct watching *e = watching_out(self->sched, node);
    struct changed c;

    memcpy(&c, node->payload, sizeof(c));
    if (e == NULL)
        return; /* the watch has ended meanwhile */
    bool is_all = e->what == PROA_WATCH_ALL;
    /* The entry stays what it is during the call, even if the watch ends in it. */
    struct proa_change change = {.kind = c.kind,
                                 .is_group = c.is_group != 0,
                                 .name = is_all ? (const char *)node->payload + sizeof(c)
                                                : e->name,
                                 .watching = {c.index, c.serial},
                                 .version = c.version};

    if (c.kind == PROA_CHANGE_SET && e->what == PROA_WATCH_GROUP) {
        tell_members(self, e, &change);
        return;
    }
    if (c.kind == PROA_CHANGE_SET) {
        e->blank = false;
        change.refs = &c.ref;
        change.count = !proa_ref_is_none(c.ref);
    } else if (e->blank || (!is_all && c.version <= e->told)) {
        if (e->state == WATCH_DUE && e->need < c.version)
            e->need = c.version;
        return; /* it is in the set, or will be */
    } else {
        change.ref = c.ref;
    }
    if (!is_all)
        e->told = c.version;
    signal_actor(self, &change);
}

/* ---- Beginning and ending ---- */

enum proa_outcome watching_start(struct sched *s, struct slot *slot,
                                 enum proa_watch_what what, const char *name,
                                 uint32_t len, struct proa_watching *ret)
{
    struct watching_table *t = &s->watchings;
    struct watching *e = take(t, slot_index(&s->slots, slot));

    if (e == NULL)
        return PROA_LIMIT;
    e->generation = slot->generation;
    e->what = (uint8_t)what;
    e->len = (uint8_t)len;
    if (len > 0)
        memcpy(e->name, name, len);
    e->blank = what != PROA_WATCH_ALL;
    e->state = what == PROA_WATCH_ALL ? WATCH_LIVE : WATCH_ASKED;
    if (!tell_control(s, e, true)) {
        unlink_entry(t, e);
        give(t, e);
        s->again_kind = WAIT_UP;
        s->again_key = 0;
        return PROA_AGAIN;
    }
    slot->marks |= SLOT_MARK_WATCHES;
    *ret = (struct proa_watching){index_of(t, e), e->serial};
    return PROA_OK;
}

static void end_one(struct watching_table *t, struct watching *e)
{
    unlink_entry(t, e);
    e->state = WATCH_ENDED;
    marked_add(t, e);
}

bool watching_stop(struct sched *s, const struct slot *slot,
                   struct proa_watching watching)
{
    struct watching *e = find(&s->watchings, watching.index, watching.serial);

    if (e == NULL || e->slot != slot_index(&s->slots, slot))
        return false;
    end_one(&s->watchings, e);
    return true;
}

void watching_end(struct sched *s, struct slot *slot)
{
    struct watching_table *t = &s->watchings;
    uint32_t own = slot_index(&s->slots, slot), next;

    for (uint32_t i = *bucket(t, own); i != WATCH_NONE; i = next) {
        next = t->all[i].next;
        if (t->all[i].slot == own)
            end_one(t, &t->all[i]);
    }
    slot->marks &= (uint8_t)~SLOT_MARK_WATCHES;
}

bool watching_args_good(enum proa_watch_what what, const char *name, uint32_t *ret_len)
{
    *ret_len = 0;
    if (what == PROA_WATCH_ALL)
        return true;
    return (what == PROA_WATCH_NAME || what == PROA_WATCH_GROUP) &&
           name_valid(name, ret_len) && utf8_valid(name, *ret_len);
}

enum proa_outcome proa_watch(struct proa_actor *self, enum proa_watch_what what,
                             const char *name, struct proa_watching *ret_watching)
{
    struct sched *s = self->sched;
    enum proa_outcome outcome;
    uint32_t len;

    if (!watching_args_good(what, name, &len) || ret_watching == NULL)
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending || s->draining)
        return send_failed(s, NULL, PROA_STOPPED);
    outcome = watching_start(s, self->slot, what, name, len, ret_watching);
    return outcome == PROA_OK ? PROA_OK : send_failed(s, self->slot, outcome);
}

bool proa_unwatch(struct proa_actor *self, struct proa_watching watching)
{
    return watching_stop(self->sched, self->slot, watching);
}
