/* SPDX-License-Identifier: Apache-2.0 */
/* watch_world.h - one actor `a` that watches, and the control thread's part, for the tests of
   watching.c.  Link with --wrap=arena_alloc and --wrap=directory_members: memory and reads can be
   made to fail.  Include first. */
#ifndef WATCH_WORLD_H
#define WATCH_WORLD_H

#include "sched_world.h"

#include <proa/group.h>

#include "directory_group.h"
#include "watching.h"

#define CHANGES_MAX 8192
#define SET_MAX 64

/* ---- An actor that writes down its changes ---- */

struct told_change {
    enum proa_change_kind kind;
    bool is_group;
    char name[PROA_NAME_MAX + 1];
    struct proa_watching watching;
    uint64_t version;
    struct proa_ref ref, refs[SET_MAX];
    uint32_t count;
};

static struct told_change told[CHANGES_MAX];
static uint32_t told_count;
static void (*on_change)(struct proa_actor *self);

static void take_change(struct proa_actor *self, const struct proa_signal *signal)
{
    const struct proa_change *c = signal->change;
    struct told_change *t = &told[told_count];

    if (signal->kind != PROA_SIGNAL_CHANGED)
        return;
    assert_true(told_count < CHANGES_MAX);
    assert_non_null(c->name);
    *t = (struct told_change){.kind = c->kind,
                              .is_group = c->is_group,
                              .watching = c->watching,
                              .version = c->version,
                              .ref = c->ref,
                              .count = c->count};
    strcpy(t->name, c->name);
    for (uint32_t i = 0; i < c->count && i < SET_MAX; i++)
        t->refs[i] = c->refs[i];
    told_count++;
    if (on_change != NULL)
        on_change(self);
}

static const struct proa_behaviour watcher = {.type_name = "watcher",
                                              .signal = take_change};

/* ---- Memory that fails ---- */

static size_t fails_from; /* bytes; 0: never */

void *__real_arena_alloc(struct arena *arena, size_t len, size_t align);
void *__wrap_arena_alloc(struct arena *arena, size_t len, size_t align);

void *__wrap_arena_alloc(struct arena *arena, size_t len, size_t align)
{
    return fails_from != 0 && len >= fails_from ? NULL
                                                : __real_arena_alloc(arena, len, align);
}

/* ---- Reads that give up ---- */

static uint32_t
    reads_fail; /* so many of the next ones with room find nothing, of version 0 */

enum proa_outcome __real_directory_members(const struct directory *d, const char *name,
                                           size_t len, uint32_t type, unsigned flags,
                                           proa_ns now, struct proa_ref *refs,
                                           uint32_t max, struct proa_members *ret);
enum proa_outcome __wrap_directory_members(const struct directory *d, const char *name,
                                           size_t len, uint32_t type, unsigned flags,
                                           proa_ns now, struct proa_ref *refs,
                                           uint32_t max, struct proa_members *ret);

enum proa_outcome __wrap_directory_members(const struct directory *d, const char *name,
                                           size_t len, uint32_t type, unsigned flags,
                                           proa_ns now, struct proa_ref *refs,
                                           uint32_t max, struct proa_members *ret)
{
    if (reads_fail == 0 || max == 0)
        return __real_directory_members(d, name, len, type, flags, now, refs, max, ret);
    reads_fail--;
    *ret = (struct proa_members){0, 0};
    return PROA_UNKNOWN;
}

/* ---- The world, and the control thread's part ---- */

static struct world *w;
static struct directory *dir;
static int reader;
static struct proa_ref a;
static uint64_t little_memory; /* for messages; 0: as usual */

static void tweak(struct sched_config *c)
{
    c->directory = dir;
    c->slab_limit = little_memory;
}

static int setup(void **state)
{
    const uint8_t seed[32] = {7};

    (void)state;
    told_count = 0;
    fails_from = 0;
    reads_fail = 0;
    on_change = NULL;
    dir = directory_create(1024, seed);
    directory_self(dir, WORLD_NODE);
    directory_node_add(dir, WORLD_NODE, PROA_NS_NEVER);
    directory_node_add(dir, FAR_NODE, PROA_NS_NEVER);
    reader = directory_reader_add(dir);
    directory_online(dir, reader);
    w = world_make(1, tweak);
    assert_int_equal(sched_spawn(w->lane[0].s, &watcher, NULL, 0, &a), PROA_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_clean(w);
    world_free(w);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
    directory_destroy(dir);
    return 0;
}

static struct proa_ref far_ref(uint32_t n)
{
    return (struct proa_ref){FAR_NODE, n, 1};
}

static inline uint64_t join(const char *group, uint32_t n)
{
    return directory_join(dir, group, strlen(group), far_ref(n), 5);
}

static inline uint64_t leave(const char *group, uint32_t n)
{
    return directory_leave(dir, group, strlen(group), far_ref(n));
}

static inline void publish(void)
{
    w->now += 10 * PROA_S; /* whatever is due */
    directory_groups_publish(dir, w->now);
    directory_quiescent(dir, reader);
    directory_reclaim(dir);
}

struct watch_call {
    enum proa_watch_what what;
    const char *name;
    struct proa_watching watching;
    enum proa_outcome outcome;
    bool ended;
};

static void act_watch(struct proa_actor *self, void *ctx)
{
    struct watch_call *c = ctx;

    c->outcome = proa_watch(self, c->what, c->name, &c->watching);
}

static inline void act_unwatch(struct proa_actor *self, void *ctx)
{
    struct watch_call *c = ctx;

    c->ended = proa_unwatch(self, c->watching);
}

static struct punt_watch next_watch(const char *want)
{
    const struct byte_record *r = byte_ring_peek(w->lane[0].up);
    struct punt_watch up;

    assert_non_null(r);
    assert_int_equal(r->kind, PUNT_WATCH);
    memcpy(&up, r->body, sizeof(up));
    assert_int_equal(up.len, strlen(want));
    assert_memory_equal(r->body + sizeof(up), want, up.len);
    byte_ring_pop(w->lane[0].up);
    return up;
}

static struct watch_call watch(enum proa_watch_what what, const char *name,
                               struct punt_watch *ret_up)
{
    struct watch_call c = {.what = what, .name = name};

    in(w, a, act_watch, &c);
    assert_int_equal(c.outcome, PROA_OK);
    *ret_up = next_watch(name != NULL ? name : "");
    assert_int_equal(ret_up->on, 1);
    assert_int_equal(ret_up->what, what);
    assert_int_equal(ret_up->slot, a.slot);
    assert_int_equal(ret_up->generation, a.generation);
    return c;
}

static void say(const struct punt_watch *up, enum proa_change_kind kind, uint64_t version,
                struct proa_ref ref, const char *name, bool is_group)
{
    struct punt_changed c = {.slot = up->slot,
                             .generation = up->generation,
                             .index = up->index,
                             .serial = up->serial,
                             .version = version,
                             .ref = ref,
                             .kind = (uint8_t)kind,
                             .is_group = is_group};

    sched_changed(w->lane[0].s, &c, name, strlen(name));
}

static inline void say_set(const struct punt_watch *up, uint64_t version)
{
    say(up, PROA_CHANGE_SET, version, proa_ref_none(), "g", true);
}

static inline void say_joined(const struct punt_watch *up, uint64_t version, uint32_t n)
{
    say(up, PROA_CHANGE_JOINED, version, far_ref(n), "g", true);
}

static inline void say_left(const struct punt_watch *up, uint64_t version, uint32_t n)
{
    say(up, PROA_CHANGE_LEFT, version, far_ref(n), "g", true);
}

static inline bool has(const struct told_change *set, uint32_t n)
{
    assert_true(set->count <= SET_MAX);
    for (uint32_t i = 0; i < set->count; i++)
        if (proa_ref_equal(set->refs[i], far_ref(n)))
            return true;
    return false;
}

#endif
