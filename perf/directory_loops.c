/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "directory_impl.h"
#include "directory_loops.h"
#include "pages.h"
#include "pin.h"

#define NAME_LEN DIRECTORY_LOOPS_NAME
#define NODE ((uint64_t)0x1234567890abcdef)
#define NOW (1000 * PROA_S)
#define BATCH 64u
#define SEQUENCE (1u << 20) /* names looked up before the sequence begins again */
#define SEQUENCE_HOT                                                                     \
    (1u << 13)        /* the same of few names; no branch predictor learns so many */
#define CHASE_HOP 64u /* one node of the chase per line */

struct directory_loops {
    struct directory *dir;
    uint32_t names;
    uint8_t (*all)[NAME_LEN];      /* every name, by number */
    uint8_t (*sequence)[NAME_LEN]; /* random ones, in the order of the lookups */
    uint8_t *chase;
    size_t chase_bytes;
    uint64_t at, chase_at, updated;
    uint64_t mask; /* of the sequence */
    int reader;
    uint32_t nothing;
    uint32_t name_len; /* NAME_LEN, which the compiler must not know */
    uint64_t checksum; /* so that nothing is optimised away */
    _Atomic bool stop;
    uint64_t rate;
    _Atomic uint64_t updates;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void make_name(uint8_t name[NAME_LEN], uint32_t number)
{
    char text[NAME_LEN + 8];

    snprintf(text, sizeof(text), "cluster/service/worker-%09u", number);
    memcpy(name, text, NAME_LEN);
}

/* A cycle through all lines, in random order (Sattolo's algorithm). */
static bool make_chase(struct directory_loops *l, uint64_t *random)
{
    size_t lines;

    l->chase_bytes = directory_table(l->dir)->bytes;
    lines = l->chase_bytes / CHASE_HOP;
    l->chase = pages_map(l->chase_bytes);
    if (l->chase == NULL)
        return false;
    for (size_t i = 0; i < lines; i++)
        memcpy(l->chase + i * CHASE_HOP, &i, sizeof(i));
    for (size_t i = lines - 1; i > 0; i--) {
        size_t j = next_random(random) % i, a, b;
        memcpy(&a, l->chase + i * CHASE_HOP, sizeof(a));
        memcpy(&b, l->chase + j * CHASE_HOP, sizeof(b));
        memcpy(l->chase + i * CHASE_HOP, &b, sizeof(b));
        memcpy(l->chase + j * CHASE_HOP, &a, sizeof(a));
    }
    return true;
}

struct directory_loops *directory_loops_create(uint32_t names)
{
    struct directory_loops *l = calloc(1, sizeof(*l));
    const uint8_t seed[32] = {42};
    uint64_t random = 20240607;

    pin_to_core(0);
    l->names = names;
    l->mask = (names <= 1000 ? SEQUENCE_HOT : SEQUENCE) - 1;
    l->name_len = NAME_LEN;
    l->dir = directory_create(names, seed);
    l->all = pages_map((size_t)names * NAME_LEN);
    l->sequence = pages_map((size_t)SEQUENCE * NAME_LEN);
    if (l->dir == NULL || l->all == NULL || l->sequence == NULL)
        return NULL;
    directory_node_add(l->dir, NODE, PROA_NS_NEVER);
    for (uint32_t i = 0; i < names; i++) {
        make_name(l->all[i], i);
        struct proa_ref ref = {NODE, i, i + 1};
        if (!directory_put(l->dir, (const char *)l->all[i], NAME_LEN, ref, 7, NOW))
            return NULL;
    }
    for (uint32_t i = 0; i < SEQUENCE; i++)
        memcpy(l->sequence[i], l->all[next_random(&random) % names], NAME_LEN);
    if (!make_chase(l, &random))
        return NULL;
    directory_reclaim(l->dir);
    l->reader = directory_reader_add(l->dir);
    directory_online(l->dir, l->reader);
    return l;
}

void directory_loops_destroy(struct directory_loops *l)
{
    directory_reader_remove(l->dir, l->reader);
    directory_destroy(l->dir);
    pages_unmap(l->all, (size_t)l->names * NAME_LEN);
    pages_unmap(l->sequence, (size_t)SEQUENCE * NAME_LEN);
    pages_unmap(l->chase, l->chase_bytes);
    free(l);
}

uint32_t directory_loops_names(const struct directory_loops *l)
{
    return l->names;
}

const uint8_t *directory_loops_name(const struct directory_loops *l, uint32_t number)
{
    return l->all[number];
}

const uint8_t *directory_loops_sequence(const struct directory_loops *l,
                                        uint64_t *ret_count)
{
    *ret_count = l->mask + 1;
    return l->sequence[0];
}

static uint32_t look_up(struct directory_loops *l, uint64_t at)
{
    const char *name = (const char *)l->sequence[at & l->mask];
    struct proa_ref ref;

    PROA_ASSERT(directory_lookup(l->dir, name, l->name_len, 7, NOW, &ref) == PROA_OK);
    return ref.generation;
}

void directory_loops_independent(struct directory_loops *l, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum += look_up(l, l->at + i);
    l->at += n;
    l->checksum += sum;
    directory_quiescent(l->dir, l->reader);
}

void directory_loops_dependent(struct directory_loops *l, uint64_t n)
{
    uint64_t at = l->at;

    /* nothing is 0, but only the result of the lookup and a load tell. */
    for (uint64_t i = 0; i < n; i++)
        at += 1 + (look_up(l, at) & l->nothing);
    l->at = at;
}

void directory_loops_chase(struct directory_loops *l, uint64_t n)
{
    uint64_t at = l->chase_at;

    for (uint64_t i = 0; i < n; i++)
        memcpy(&at, l->chase + at * CHASE_HOP, sizeof(at));
    l->chase_at = at;
}

void directory_loops_hash(struct directory_loops *l, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum += directory_key(l->dir, (const char *)l->sequence[(l->at + i) & l->mask],
                             NAME_LEN)
                   .low;
    l->at += n;
    l->checksum += sum;
}

static void update(struct directory_loops *l, uint64_t *random)
{
    uint32_t number = (uint32_t)(next_random(random) % l->names);
    struct proa_ref ref = {NODE, number, (uint32_t)(++l->updated) | 1};

    PROA_ASSERT(
        directory_put(l->dir, (const char *)l->all[number], NAME_LEN, ref, 7, NOW));
}

void directory_loops_update(struct directory_loops *l, uint64_t n)
{
    uint64_t random = 77 + l->updated;

    for (uint64_t i = 0; i < n; i++) {
        update(l, &random);
        directory_quiescent(l->dir, l->reader);
    }
}

/* ---- With a writer beside ---- */

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * PROA_S + (uint64_t)t.tv_nsec;
}

static void *writer(void *arg)
{
    struct directory_loops *l = arg;
    uint64_t random = 99, start, done = 0;

    start = clock_ns();
    while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
        uint64_t due = (clock_ns() - start) * l->rate / PROA_S;

        for (; done < due && !atomic_load_explicit(&l->stop, memory_order_relaxed);
             done++)
            update(l, &random);
        directory_reclaim(l->dir);
        atomic_store_explicit(&l->updates, done, memory_order_relaxed);
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

void directory_loops_with_writer(struct directory_loops *l,
                                 struct directory_loops *written, uint32_t batches,
                                 uint64_t updates_per_s, double *ret_p50, double *ret_p99,
                                 double *ret_updates)
{
    double *took = malloc(batches * sizeof(*took));
    pthread_t thread;
    uint64_t begin = clock_ns(), start, end;

    PROA_ASSERT(took != NULL);
    written->rate = updates_per_s;
    atomic_store_explicit(&written->stop, false, memory_order_relaxed);
    if (written != l)
        directory_offline(written->dir, written->reader);
    if (updates_per_s > 0) {
        pin_to_core(1); /* inherited by the writer */
        PROA_ASSERT(pthread_create(&thread, NULL, writer, written) == 0);
        pin_to_core(0);
    }
    for (uint32_t i = 0; i < batches; i++) {
        start = clock_ns();
        directory_loops_independent(l, BATCH);
        end = clock_ns();
        took[i] = (double)(end - start);
    }
    *ret_updates = 0;
    if (updates_per_s > 0) {
        *ret_updates =
            (double)atomic_load(&written->updates) * 1e9 / (double)(clock_ns() - begin);
        atomic_store_explicit(&written->stop, true, memory_order_relaxed);
        directory_offline(l->dir, l->reader);
        pthread_join(thread, NULL);
        directory_online(l->dir, l->reader);
    }
    qsort(took, batches, sizeof(*took), by_size);
    *ret_p50 = took[batches / 2];
    *ret_p99 = took[batches / 100 * 99];
    free(took);
}
