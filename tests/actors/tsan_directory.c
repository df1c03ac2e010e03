/* SPDX-License-Identifier: Apache-2.0 */
/* The directory under one writer and three readers, for TSan: bounded by counts, not by time.

   Keys and values in slots, node ids and tables are not atomic, so that an order that is too
   weak is a data race, and so is memory reused before its readers were quiescent.  TSan
   reports T1, T2, M2, M1 of a filled slot, N1, N2, and R1, W1 of qsbr.h when they are made
   relaxed.  It cannot see R2, W2, V1, V2 and M1 of a retired slot, which order atomics among
   themselves, nor the fences R3, W3: those rest on the argument in the headers. */
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

#include "directory.h"

#define READERS 3u
#define NAMES 24u
#define UPDATES 30000u
#define NODES 4u
#define NOW PROA_S

/* Names of which there is always one, however often it is moved; and names that come and go. */
#define STEADY 8u

struct run {
    struct directory *dir;
    _Atomic bool done;
    _Atomic uint32_t online; /* readers that have begun */
    _Atomic uint64_t newest; /* node id: the latest to be added, perhaps gone again */
};

static uint64_t node_id(uint32_t number)
{
    return 0x1111111111111111 * (number + 1);
}

/* A value whose parts say whether they belong together. */
static struct proa_ref ref(uint32_t name, uint32_t version)
{
    return (struct proa_ref){node_id(version % NODES), name << 24 | (version & 0xffffff),
                             (version * 2654435761u) | 1};
}

static bool is_whole(struct proa_ref r, uint32_t name)
{
    return r.slot >> 24 == name && proa_ref_equal(r, ref(name, r.slot & 0xffffff));
}

static size_t name_of(char *name, uint32_t number)
{
    return (size_t)sprintf(name, "actor-%u", number);
}

static bool look_up(struct run *run, uint32_t number, uint32_t *last)
{
    struct proa_ref got = proa_ref_none();
    char name[32];
    enum proa_outcome outcome;

    outcome = directory_lookup(run->dir, name, name_of(name, number), 0, NOW, &got);
    if (outcome != PROA_OK)
        return number >= STEADY && (outcome == PROA_UNKNOWN || outcome == PROA_NOT_FOUND);
    if (!is_whole(got, number))
        return false;
    /* One reader never sees a value older than it has seen. */
    bool forward = (got.slot & 0xffffff) >= last[number];
    last[number] = got.slot & 0xffffff;
    return forward;
}

static bool look_up_nodes(struct run *run, uint32_t i)
{
    uint64_t id = node_id(i % NODES);
    struct directory_node *node = directory_node(run->dir, id);

    if (node == NULL || node->id != id)
        return false;
    directory_heard(node, 2 * NOW + i * PROA_MS);
    id = atomic_load_explicit(&run->newest, memory_order_relaxed);
    node = directory_node(run->dir, id);
    return node == NULL || node->id == id;
}

static void *read_names(void *arg)
{
    struct run *run = arg;
    int reader = directory_reader_add(run->dir);
    uint32_t last[NAMES] = {0};
    uint32_t i = 0;

    directory_online(run->dir, reader);
    atomic_fetch_add(&run->online, 1);
    for (; !atomic_load_explicit(&run->done, memory_order_relaxed); i++) {
        for (uint32_t k = 0; k < 16; k++) {
            if (!look_up(run, (i + k * 5) % NAMES, last))
                return arg; /* failed */
        }
        if (!look_up_nodes(run, i))
            return arg;
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

/* Refused only while readers keep too much from being reused. */
static void give_way(struct directory *dir)
{
    sched_yield();
    directory_reclaim(dir);
}

static void change(struct directory *dir, uint32_t i)
{
    uint32_t number = i * 7 % NAMES;
    char name[32];
    size_t len = name_of(name, number);

    if (number >= STEADY && i % 5 == 0) {
        directory_remove(dir, name, len);
    } else if (number >= STEADY && i % 5 == 1) {
        while (!directory_put_absent(dir, name, len, 2 * NOW))
            give_way(dir);
    } else {
        while (!directory_put(dir, name, len, ref(number, i), 0, NOW))
            give_way(dir);
    }
}

/* Names enough to grow the table, and to empty it again. */
static void grow(struct directory *dir, uint32_t round)
{
    char name[32];

    for (uint32_t i = 0; i < 3000; i++) {
        size_t len = (size_t)sprintf(name, "filler-%u", i);

        if (round % 2 == 0) {
            while (!directory_put(dir, name, len, ref(0, i), 0, NOW))
                give_way(dir);
        } else {
            directory_remove(dir, name, len);
        }
    }
}

/* A node that comes, has a name, goes, and whose record another one gets. */
static void reboot(struct run *run, uint32_t round)
{
    uint64_t id = 0x9999000000000000 + round;
    struct proa_ref r = {id, round, round + 1};

    atomic_store_explicit(&run->newest, id, memory_order_relaxed);
    assert_non_null(directory_node_add(run->dir, id, 2 * NOW));
    directory_put(run->dir, "rebooting", 9, r, 0, NOW);
    if (round % 1000 == 0)
        sched_yield();
    assert_true(directory_node_forget(run->dir, id));
}

static void lookup__whole_values_and_no_gaps_while_the_writer_runs(void **state)
{
    const uint8_t seed[32] = {9};
    struct run run = {.dir = directory_create(4000, seed)};
    pthread_t threads[READERS];
    struct directory_stats stats;
    char name[32];

    (void)state;
    assert_non_null(run.dir);
    for (uint32_t i = 0; i < NODES; i++)
        assert_non_null(directory_node_add(run.dir, node_id(i), 2 * NOW));
    for (uint32_t i = 0; i < STEADY; i++)
        assert_true(directory_put(run.dir, name, name_of(name, i), ref(i, 0), 0, NOW));
    for (uint32_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_names, &run), 0);
    while (atomic_load(&run.online) < READERS)
        sched_yield();

    for (uint32_t i = 1; i <= UPDATES; i++) {
        change(run.dir, i);
        if (i % 16 == 0)
            directory_reclaim(run.dir);
        if (i % 1024 == 0)
            sched_yield();
        if (i % 10000 == 0)
            grow(run.dir, i / 10000);
        if (i % 20 == 0)
            reboot(&run, i);
    }
    atomic_store(&run.done, true);
    for (uint32_t i = 0; i < READERS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    directory_reclaim(run.dir);
    directory_reclaim(run.dir);
    directory_stats(run.dir, &stats);
    assert_int_equal(stats.pending, 0);
    assert_true(stats.reclaimed > 0);
    assert_true(stats.rehashes > 1);
    directory_destroy(run.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup__whole_values_and_no_gaps_while_the_writer_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
