/* SPDX-License-Identifier: Apache-2.0 */
/* A message costs no allocation: a million of each kind, counted by an allocator of our own.

   perf_malloc.c stands in front of malloc (of this program, libc, DPDK and its drivers), of
   rte_malloc, of mmap and of the lanes' jemalloc arenas, and counts by thread.  The actors read
   the counters of their own lane when the measured part begins, after a warm-up, and when it
   ends.  The run is proa-perf's, so every message is checked as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arena.h"
#include "perf_malloc.h"
#include "perf_run.h"
#include "perf_sink.h"
#include "slab.h"

#define MESSAGES 1000000u
#define RUNS 20
#define HEADER_MAX 128u /* more than a node carries beside the payload */

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void run(const struct perf_options *options, struct perf_result *result)
{
    char dir[] = "/tmp/proa-malloc-XXXXXX";

    assert_non_null(mkdtemp(dir));
    perf_run(options, dir, result);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (!result->ok)
        fail_msg("%s", result->error);
    assert_true(perf_result_checked(result));
    assert_true(result->sent[0].measured >= options->messages);
    printf("# %s over %s: %llu messages, allocations: %llu sending, %llu receiving\n",
           perf_mode_name(options->mode), perf_port_name(options->port),
           (unsigned long long)result->sent[0].measured,
           (unsigned long long)result->sent[0].mallocs,
           (unsigned long long)result->received[0].mallocs);
}

/* The chunks that hold a whole mailbox of the benchmark's receiver, twice: a backlog at its
   longest, in nodes of the sending lane and in those of the receiving one. */
static uint64_t growth_max(const struct perf_options *options)
{
    uint64_t block = slab_class_size(slab_class(options->size + HEADER_MAX));

    return 2 * (perf_receiver.mailbox * block / SLAB_CHUNK + 1);
}

/* Runs MESSAGES after a warm-up and fails unless all were right and none cost an allocation.

   A lane's slab still grows, a chunk of 64 KiB at a time, when a backlog is longer than any
   before: when the machine took a core away for a while.  That is an allocation for a peak and
   not for a message, and another run may do without.  So a run may have the chunks of the
   longest backlog there can be, and one of RUNS must have none at all: a message that allocates
   fails in both ways. */
static void prove(struct perf_options options)
{
    struct perf_result result;

    options.messages = MESSAGES;
    options.seconds = 60; /* at the most */
    options.warmup_ms = 500;
    options.burst = 128;
    options.sample = 1;
    options.idle = PROA_IDLE_SPIN;
    if (options.size == 0)
        options.size = 32;
    if (options.window == 0)
        options.window = 64;
    if (options.receivers == 0)
        options.receivers = 1;
    for (int i = 0; i < RUNS; i++) {
        run(&options, &result);
        assert_in_range(result.sent[0].mallocs, 0, growth_max(&options));
        assert_in_range(result.received[0].mallocs, 0, growth_max(&options));
        if (result.sent[0].mallocs == 0 && result.received[0].mallocs == 0)
            return;
    }
    fail_msg("%d runs of %u messages, and each allocated", RUNS, MESSAGES);
}

/* ---- The counter itself ---- */

static uint64_t counted(enum perf_malloc_kind kind, const struct perf_malloc *before)
{
    struct perf_malloc now = perf_malloc_mine();

    return now.calls[kind] - before->calls[kind];
}

static void counter__sees_malloc_and_its_relatives(void **state)
{
    struct perf_malloc before = perf_malloc_mine();
    void *volatile a = malloc(10);
    void *volatile b = calloc(2, 10);
    void *volatile c = aligned_alloc(64, 128);
    void *d = NULL;

    (void)state;
    assert_int_equal(posix_memalign(&d, 64, 10), 0);
    a = realloc(a, 1000);
    assert_int_equal(counted(PERF_MALLOC_HEAP, &before), 5);
    assert_int_equal(perf_malloc_since(&before), 5);
    free(a);
    free(b);
    free(c);
    free(d);
    assert_int_equal(counted(PERF_MALLOC_FREE, &before), 4);
    assert_int_equal(perf_malloc_since(&before), 5); /* frees are no allocations */
}

static void counter__sees_what_libc_allocates_for_itself(void **state)
{
    struct perf_malloc before = perf_malloc_mine();
    FILE *file = fopen("/dev/null", "r");

    (void)state;
    assert_non_null(file);
    assert_true(counted(PERF_MALLOC_HEAP, &before) > 0);
    fclose(file);
}

static void counter__sees_pages(void **state)
{
    struct perf_malloc before = perf_malloc_mine();
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(page != MAP_FAILED);
    assert_int_equal(counted(PERF_MALLOC_PAGES, &before), 1);
    munmap(page, 4096);
}

static void counter__sees_a_lanes_arena(void **state)
{
    struct arena *arena = arena_create();

    (void)state;
    assert_non_null(arena);
    struct perf_malloc before = perf_malloc_mine();
    void *a = arena_alloc(arena, 100, 8);
    void *b = arena_zalloc(arena, 100, 64);
    assert_int_equal(perf_malloc_since(&before), 2);
    arena_free(arena, a);
    arena_free(arena, b);
    arena_destroy(arena);
}

/* ---- Messages ---- */

static void same_lane__tells_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){.mode = PERF_MODE_LOCAL_COUNT, .port = PERF_PORT_RING});
}

static void same_lane__round_trips_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){
        .mode = PERF_MODE_LOCAL_PINGPONG, .port = PERF_PORT_RING, .window = 1});
}

static void cross_lane__tells_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){.mode = PERF_MODE_CROSS_COUNT, .port = PERF_PORT_RING});
}

/* Payloads that do not fit into an item of a pair ring travel in nodes. */
static void cross_lane__larger_tells_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){
        .mode = PERF_MODE_CROSS_COUNT, .port = PERF_PORT_RING, .size = 512});
}

static void link_ring__tells_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){.mode = PERF_MODE_TELL, .port = PERF_PORT_RING});
}

static void link_ring__tells_to_a_thousand_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){
        .mode = PERF_MODE_TELL, .port = PERF_PORT_RING, .receivers = 1000});
}

static void link_ring__asks_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){.mode = PERF_MODE_ASK, .port = PERF_PORT_RING});
}

static void link_vhost__tells_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){.mode = PERF_MODE_TELL, .port = PERF_PORT_VHOST});
}

static void link_vhost__asks_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){.mode = PERF_MODE_ASK, .port = PERF_PORT_VHOST});
}

static void link_udp__tells_allocate_nothing(void **state)
{
    (void)state;
    prove((struct perf_options){.mode = PERF_MODE_TELL, .port = PERF_PORT_UDP});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter__sees_malloc_and_its_relatives),
        cmocka_unit_test(counter__sees_what_libc_allocates_for_itself),
        cmocka_unit_test(counter__sees_pages),
        cmocka_unit_test(counter__sees_a_lanes_arena),
        cmocka_unit_test(same_lane__tells_allocate_nothing),
        cmocka_unit_test(same_lane__round_trips_allocate_nothing),
        cmocka_unit_test(cross_lane__tells_allocate_nothing),
        cmocka_unit_test(cross_lane__larger_tells_allocate_nothing),
        cmocka_unit_test(link_ring__tells_allocate_nothing),
        cmocka_unit_test(link_ring__tells_to_a_thousand_allocate_nothing),
        cmocka_unit_test(link_ring__asks_allocate_nothing),
        cmocka_unit_test(link_vhost__tells_allocate_nothing),
        cmocka_unit_test(link_vhost__asks_allocate_nothing),
        cmocka_unit_test(link_udp__tells_allocate_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
