/* SPDX-License-Identifier: Apache-2.0 */
/* The directory's groups under one writer and three readers, for TSan: bounded by counts, not by time.

   Views, groups and node records are not atomic, so that an order that is too weak is a data race,
   and so is memory reused before its readers were quiescent, or a node's record while a view still
   has members of it.  TSan reports G1, G2, G3 and G4 when they are made relaxed.  It cannot see G5
   to G9, which order atomics among themselves: what a reader knows of versions is checked, and a
   removed group that a reader still remembers is freed memory.  test_directory_removal.c takes the
   steps of both one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory_group.h"

#define READERS 3u
#define GROUPS 5u
#define NODES 6u
#define STEADY                                                                           \
    4u /* members of each group that never leave, of node 0, which never goes */
#define UPDATES 20000u
#define COMINGS 50000u
#define NOW PROA_S
#define MEMBERS_MAX 1024u

struct run {
    struct directory *dir;
    _Atomic bool done;
    _Atomic uint32_t online; /* readers that have begun */
    uint64_t random;         /* the writer's */
    _Atomic uint16_t words[256];
};

static uint64_t node_id(uint32_t number)
{
    return 0x1111111111111111 * (number + 1);
}

/* A reference whose parts say whether they belong together.  Its slot is of lane 0. */
static struct proa_ref ref(uint32_t node, uint32_t index, uint32_t generation)
{
    return (struct proa_ref){node_id(node), node << 16 | index, generation};
}

static bool is_whole(struct proa_ref r)
{
    uint32_t node = r.slot >> 16;

    return node < NODES && r.node == node_id(node) && r.generation != 0;
}

static size_t name_of(char *name, uint32_t group)
{
    return (size_t)sprintf(name, "group-%u", group);
}

/* ---- Readers ---- */

static bool list(struct run *run, uint32_t group, uint64_t *last)
{
    static _Thread_local struct proa_ref refs[MEMBERS_MAX];
    struct proa_members found;
    uint32_t steady = 0;
    char name[32];
    enum proa_outcome outcome;

    outcome = directory_members(run->dir, name, name_of(name, group), 0, 0, NOW, refs,
                                MEMBERS_MAX, &found);
    if (found.version < *last)
        return false; /* a reader never sees an older state than it has seen */
    *last = found.version;
    if (group == 0 && outcome == PROA_UNKNOWN)
        return true; /* the group that comes and goes */
    if (outcome != PROA_OK || found.count > MEMBERS_MAX)
        return false;
    for (uint32_t i = 0; i < found.count; i++) {
        if (!is_whole(refs[i]))
            return false;
        steady += refs[i].generation == UINT32_MAX;
    }
    return group == 0 || steady == STEADY;
}

static void on_each(void *ctx, struct proa_ref r, bool local)
{
    bool *good = ctx;

    *good &= is_whole(r) && local == (r.node == node_id(0));
}

static bool look(struct run *run, uint32_t i, struct route_turn *turn, uint64_t *last)
{
    uint32_t group = i % GROUPS;
    enum proa_outcome outcome;
    struct proa_ref got;
    bool good = true;
    char name[32];
    size_t len = name_of(name, group);

    for (uint32_t k = 0; k < 8; k++) {
        enum proa_policy policy =
            (enum proa_policy)((i + k) % (PROA_ROUTE_IDLE_FIRST + 1));

        outcome =
            directory_route(run->dir, name, len, policy, i * 8 + k, NOW, turn, &got);
        if (outcome == PROA_OK ? !is_whole(got) : group != 0)
            return false;
    }
    directory_each_member(run->dir, name, len, NOW, on_each, &good, &outcome);
    return good && list(run, group, &last[group]);
}

static void *read_groups(void *arg)
{
    struct run *run = arg;
    int reader = directory_reader_add(run->dir);
    struct route_turn turn = {.random = 77 + (uint64_t)reader};
    uint64_t last[GROUPS] = {0};
    uint32_t i = 0;

    directory_online(run->dir, reader);
    atomic_fetch_add(&run->online, 1);
    for (; !atomic_load_explicit(&run->done, memory_order_relaxed); i++) {
        if (!look(run, i, &turn, last))
            return arg; /* failed */
        if (i % 512 == 0) {
            directory_offline(run->dir, reader);
            sched_yield();
            directory_online(run->dir, reader);
        } else {
            directory_quiescent(run->dir, reader);
        }
    }
    directory_reader_remove(run->dir, reader);
    return NULL;
}

/* ---- The writer ---- */

static uint32_t below(struct run *run, uint32_t n)
{
    run->random = run->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((run->random >> 33) % n);
}

static void change(struct run *run)
{
    uint32_t group = below(run, GROUPS), node = below(run, NODES), index = below(run, 40);
    uint32_t what = below(run, 8);
    struct proa_ref r = ref(node, 100 + index, 1);
    char name[32];
    size_t len = name_of(name, group);

    if (what < 4)
        directory_join(run->dir, name, len, r, 0);
    else if (what < 6)
        directory_leave(run->dir, name, len, r);
    else if (what == 6)
        directory_rejoin(run->dir, name, len, r, ref(node, 100 + index, 2), 0);
    else
        directory_load(run->dir, name, len, r, (uint16_t)index);
    atomic_store_explicit(&run->words[100 + index], (uint16_t)what, memory_order_relaxed);
}

/* A node that goes with its members, comes back, and whose record another one gets. */
static void reboot(struct run *run)
{
    uint32_t node = 1 + below(run, NODES - 1);

    assert_true(directory_node_forget(run->dir, node_id(node)));
    if (below(run, 2) == 0) {
        directory_groups_publish(run->dir, NOW);
        directory_reclaim(run->dir);
    }
    assert_non_null(directory_node_add(run->dir, 0x9999000000000000 + node, 2 * NOW));
    assert_non_null(directory_node_add(run->dir, node_id(node), 2 * NOW));
    assert_true(directory_node_forget(run->dir, 0x9999000000000000 + node));
}

/* All leave the group that comes and goes. */
static void empty(struct run *run)
{
    for (uint32_t node = 0; node < NODES; node++)
        for (uint32_t i = 0; i < 80; i++)
            directory_leave(run->dir, "group-0", 7, ref(node, 100 + i / 2, 1 + i % 2));
}

static void on_wanted(void *ctx, const char *group, size_t len)
{
    uint32_t *wanted = ctx;

    assert_int_equal(len, 7);
    assert_memory_equal(group, "group-", 6);
    ++*wanted;
}

static void begin(struct run *run)
{
    char name[32];

    directory_self(run->dir, node_id(0));
    for (uint32_t i = 0; i < NODES; i++)
        assert_non_null(directory_node_add(run->dir, node_id(i), 2 * NOW));
    directory_lane_loads(run->dir, 0, run->words, 256);
    for (uint32_t group = 1; group < GROUPS; group++)
        for (uint32_t i = 0; i < STEADY; i++)
            assert_true(directory_join(run->dir, name, name_of(name, group),
                                       ref(0, i, UINT32_MAX), 0) > 0);
    directory_groups_publish(run->dir, NOW);
}

static void groups__whole_members_while_the_writer_runs(void **state)
{
    const uint8_t seed[32] = {9};
    struct run run = {.dir = directory_create(100, seed), .random = 20240607};
    pthread_t threads[READERS];
    struct directory_group_stats stats;
    uint32_t wanted = 0;

    (void)state;
    assert_non_null(run.dir);
    begin(&run);
    for (uint32_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_groups, &run), 0);
    while (atomic_load(&run.online) < READERS)
        sched_yield();

    for (uint32_t i = 1; i <= UPDATES; i++) {
        change(&run);
        if (i % 4 == 0)
            directory_groups_publish(run.dir, NOW);
        if (i % 16 == 0)
            directory_reclaim(run.dir);
        if (i % 64 == 0)
            reboot(&run);
        if (i % 16 == 6)
            empty(&run); /* published two changes later: it is there half of the time */
        if (i % 512 == 0) {
            directory_loads_wanted(run.dir, on_wanted, &wanted);
            sched_yield();
        }
    }
    atomic_store(&run.done, true);
    for (uint32_t i = 0; i < READERS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    directory_groups_publish(run.dir, NOW);
    directory_reclaim(run.dir);
    directory_reclaim(run.dir);
    directory_group_stats(run.dir, &stats);
    assert_int_equal(stats.pending, 0);
    assert_true(stats.views > UPDATES / 8);
    assert_true(wanted > 0);
    directory_destroy(run.dir);
}

/* ---- One group that comes and goes ---- */

/* Readers remember where it is, and the writer frees it as soon as they let go. */
static bool look_at_it(struct run *run, struct route_turn *turn, uint64_t *last)
{
    struct proa_members found;
    struct proa_ref got;
    enum proa_outcome outcome =
        directory_route(run->dir, "it", 2, PROA_ROUTE_LEAST_LOADED, 0, NOW, turn, &got);

    if (outcome == PROA_OK ? !is_whole(got) : outcome != PROA_UNKNOWN)
        return false;
    outcome = directory_members(run->dir, "it", 2, 0, PROA_ALL_UNREACHABLE, NOW, NULL, 0,
                                &found);
    if (outcome == PROA_UNKNOWN && found.version == 0 && *last != 0)
        return true; /* groups went during each search */
    if (found.version < *last || (outcome == PROA_OK) != (found.count > 0))
        return false;
    *last = found.version;
    return true;
}

static void *read_it(void *arg)
{
    struct run *run = arg;
    int reader = directory_reader_add(run->dir);
    struct route_turn turn = {.random = 99};
    uint64_t last = 0;

    directory_online(run->dir, reader);
    atomic_fetch_add(&run->online, 1);
    while (!atomic_load_explicit(&run->done, memory_order_relaxed)) {
        if (!look_at_it(run, &turn, &last))
            return arg; /* failed */
        directory_quiescent(run->dir, reader);
    }
    directory_reader_remove(run->dir, reader);
    return NULL;
}

static void groups__one_that_comes_and_goes(void **state)
{
    const uint8_t seed[32] = {9};
    struct run run = {.dir = directory_create(100, seed)};
    void *failed = NULL;
    pthread_t thread;

    (void)state;
    assert_non_null(run.dir);
    directory_self(run.dir, node_id(0));
    assert_non_null(directory_node_add(run.dir, node_id(1), 2 * NOW));
    assert_int_equal(pthread_create(&thread, NULL, read_it, &run), 0);
    while (atomic_load(&run.online) == 0)
        sched_yield();
    for (uint32_t i = 0; i < COMINGS; i++) {
        directory_join(run.dir, "it", 2, ref(1, 5, 1), 0);
        directory_join(run.dir, "it", 2, ref(1, 6, 1), 0);
        directory_groups_publish(run.dir, NOW);
        directory_leave(run.dir, "it", 2, ref(1, 5, 1));
        directory_leave(run.dir, "it", 2, ref(1, 6, 1));
        directory_groups_publish(run.dir, NOW);
        for (uint32_t k = 0; k < 4 + i % 8; k++)
            directory_reclaim(run.dir);
        if (i % 64 == 0)
            sched_yield();
    }
    atomic_store(&run.done, true);
    pthread_join(thread, &failed);
    assert_null(failed);
    directory_destroy(run.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups__one_that_comes_and_goes),
        cmocka_unit_test(groups__whole_members_while_the_writer_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
