/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

static void alloc__aligned_and_counted(void **state)
{
    struct arena *arena = arena_create();
    void *ptr[64];
    size_t n = 0, least = 0;

    (void)state;
    assert_non_null(arena);
    for (int own = 0; own < 2; own++) {
        if (own)
            arena_own(arena);
        n = least = 0;
        for (size_t align = 8; align <= 4096; align *= 2) {
            for (size_t len = 0; len <= 100000; len = len * 37 + 1) {
                ptr[n] = arena_alloc(arena, len, align);
                assert_non_null(ptr[n]);
                assert_int_equal((uintptr_t)ptr[n] % align, 0);
                memset(ptr[n++], 0xa5, len);
                least += len;
            }
        }
        assert_true(arena_used(arena) >= least);
        while (n > 0)
            arena_free(arena, ptr[--n]);
        assert_int_equal(arena_used(arena), 0);
    }
    arena_free(arena, NULL);
    arena_destroy(arena);
    arena_destroy(NULL);
}

static void zalloc__is_zero_also_when_reused(void **state)
{
    struct arena *arena = arena_create();

    (void)state;
    arena_own(arena);
    for (size_t len = 8; len < 100000; len *= 3) {
        void *dirty = arena_alloc(arena, len, 64);
        memset(dirty, 0xff, len);
        arena_free(arena, dirty);
        uint8_t *clean = arena_zalloc(arena, len, 64);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(clean[i], 0);
        arena_free(arena, clean);
    }
    arena_destroy(arena);
}

static void create__many_and_again(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct arena *arena[80]; /* more than there are lanes */

        for (int i = 0; i < 80; i++) {
            arena[i] = arena_create();
            assert_non_null(arena[i]);
            void *ptr = arena_alloc(arena[i], 1000, 16);
            assert_non_null(ptr);
            memset(ptr, i, 1000);
            arena_free(arena[i], ptr);
        }
        for (int i = 0; i < 80; i++)
            arena_destroy(arena[i]);
    }
}

static void *free_half(void *arg)
{
    void **ptr = arg;
    struct arena *arena = ptr[0];

    for (int i = 1; i <= 1000; i += 2)
        arena_free(arena, ptr[i]);
    return NULL;
}

static void free__by_another_thread(void **state)
{
    struct arena *arena = arena_create();
    void *ptr[1001];
    pthread_t thread;

    (void)state;
    arena_own(arena);
    ptr[0] = arena;
    for (int i = 1; i <= 1000; i++)
        ptr[i] = arena_alloc(arena, 192, 64);
    assert_int_equal(pthread_create(&thread, NULL, free_half, ptr), 0);
    for (int i = 2; i <= 1000; i += 2)
        arena_free(arena, ptr[i]);
    pthread_join(thread, NULL);
    assert_int_equal(arena_used(arena), 0);
    arena_destroy(arena);
}

/* jemalloc hands out its own sizes; the system's malloc keeps nothing of ours. */
static bool keeps_blocks(struct arena *arena)
{
    void *ptr = arena_alloc(arena, (64 << 10) + 1, 16);
    size_t used = arena_used(arena);

    arena_free(arena, ptr);
    return used == 80 << 10;
}

/* The owner gets back the large block that it freed last, the one that is still in its cache, and keeps
   four; none of them counts as used, and none is taken for another size. */
static void alloc__a_large_block_is_the_one_freed_last(void **state)
{
    struct arena *arena = arena_create();
    void *ptr[6];

    (void)state;
    if (!keeps_blocks(arena)) {
        arena_destroy(arena);
        skip();
    }
    arena_own(arena);
    for (int i = 0; i < 6; i++)
        ptr[i] = arena_alloc(arena, 66000, 16);
    for (int i = 0; i < 6; i++)
        arena_free(arena, ptr[i]);
    assert_int_equal(arena_used(arena), 0);
    void *larger = arena_alloc(arena, 100000, 16);
    for (int i = 0; i < 6; i++)
        assert_ptr_not_equal(larger, ptr[i]);
    for (int i = 5; i >= 2; i--)
        assert_ptr_equal(arena_alloc(arena, 66000, 16), ptr[i]);
    arena_destroy(arena);
}

/* The one promise a library must not break: the program's malloc is whose it was. */
static void create__leaves_the_programs_malloc_alone(void **state)
{
    struct arena *arena = arena_create();
    void *mallocs = dlsym(RTLD_DEFAULT, "malloc");
    Dl_info info;

    (void)state;
    assert_non_null(mallocs);
    assert_int_not_equal(dladdr(mallocs, &info), 0);
    /* Sanitizers have a malloc of their own. */
    if (dlsym(RTLD_DEFAULT, "__asan_init") == NULL &&
        dlsym(RTLD_DEFAULT, "__tsan_init") == NULL)
        assert_non_null(strstr(info.dli_fname, "libc.so"));
    assert_null(dlsym(RTLD_DEFAULT, "mallocx")); /* jemalloc's own names are nowhere */
    assert_null(dlsym(RTLD_DEFAULT, "mallctl"));

    void *ours = arena_alloc(arena, 64, 8);
    void *theirs = malloc(64);
    memset(ours, 1, 64);
    memset(theirs, 2, 64);
    free(theirs);
    arena_free(arena, ours);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc__aligned_and_counted),
        cmocka_unit_test(zalloc__is_zero_also_when_reused),
        cmocka_unit_test(create__many_and_again),
        cmocka_unit_test(free__by_another_thread),
        cmocka_unit_test(alloc__a_large_block_is_the_one_freed_last),
        cmocka_unit_test(create__leaves_the_programs_malloc_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
