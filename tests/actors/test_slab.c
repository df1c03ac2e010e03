/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "slab.h"

static int setup(void **state)
{
    *state = arena_create();
    return *state == NULL;
}

static int teardown(void **state)
{
    assert_int_equal(arena_used(*state), 0);
    arena_destroy(*state);
    return 0;
}

static void class__is_the_smallest_that_holds(void **state)
{
    (void)state;
    assert_int_equal(slab_class(0), 0);
    assert_int_equal(slab_class(64), 0);
    assert_int_equal(slab_class(65), 1);
    assert_int_equal(slab_class(128), 1);
    assert_int_equal(slab_class(129), 2);
    assert_int_equal(slab_class(SLAB_BLOCK_MAX), SLAB_CLASSES - 1);
    for (uint32_t c = 0; c < SLAB_CLASSES; c++)
        assert_int_equal(slab_class(slab_class_size(c)), c);
}

static void alloc__blocks_are_apart_and_aligned(void **state)
{
    struct slab slab;
    uint8_t *blocks[300];

    slab_init(&slab, *state, UINT64_MAX);
    for (uint32_t c = 0; c < SLAB_CLASSES; c++) {
        uint32_t size = slab_class_size(c);

        for (uint32_t i = 0; i < 300; i++) {
            blocks[i] = slab_alloc(&slab, c, false);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 64, 0);
            memset(blocks[i], (int)(i & 0xff), size);
        }
        for (uint32_t i = 0; i < 300; i++) {
            for (uint32_t j = 0; j < size; j++)
                assert_int_equal(blocks[i][j], i & 0xff);
            slab_free(&slab, blocks[i], c);
        }
    }
    assert_int_equal(slab.used, 0);
    slab_fini(&slab);
}

static void alloc__freed_block_comes_back_first_and_nothing_grows(void **state)
{
    struct slab slab;
    void *a, *b;
    uint64_t held;

    slab_init(&slab, *state, UINT64_MAX);
    a = slab_alloc(&slab, 2, false);
    b = slab_alloc(&slab, 2, false);
    held = slab.held;
    slab_free(&slab, a, 2);
    slab_free(&slab, b, 2);
    assert_ptr_equal(slab_alloc(&slab, 2, false), b);
    assert_ptr_equal(slab_alloc(&slab, 2, false), a);
    assert_int_equal(slab.held, held);
    slab_fini(&slab);
}

static void alloc__limit_refuses_and_privileged_passes(void **state)
{
    struct slab slab;
    void *blocks[4], *more;

    slab_init(&slab, *state, 256);
    for (uint32_t i = 0; i < 4; i++) {
        blocks[i] = slab_alloc(&slab, 0, false);
        assert_non_null(blocks[i]);
    }
    assert_null(slab_alloc(&slab, 0, false));
    assert_int_equal(slab.refused, 1);
    more = slab_alloc(&slab, 0, true);
    assert_non_null(more);
    assert_int_equal(slab.used, 320);
    assert_false(slab_drained_half(&slab));
    slab_free(&slab, more, 0);
    slab_free(&slab, blocks[0], 0);
    assert_false(slab_drained_half(&slab));
    slab_free(&slab, blocks[1], 0);
    assert_true(slab_drained_half(&slab));
    slab_fini(&slab);
}

static void alloc__limit_counts_a_block_that_lies_free(void **state)
{
    struct slab slab;
    void *a;

    slab_init(&slab, *state, 64);
    a = slab_alloc(&slab, 1, true);
    slab_free(&slab, a, 1);
    assert_null(slab_alloc(&slab, 1, false)); /* 128 bytes never fit 64 */
    assert_ptr_equal(slab_alloc(&slab, 1, true), a);
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class__is_the_smallest_that_holds),
        cmocka_unit_test_setup_teardown(alloc__blocks_are_apart_and_aligned, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            alloc__freed_block_comes_back_first_and_nothing_grows, setup, teardown),
        cmocka_unit_test_setup_teardown(alloc__limit_refuses_and_privileged_passes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(alloc__limit_counts_a_block_that_lies_free, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
