/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pages.h"

#define HUGE_PAGE ((size_t)2 << 20)

static void map__zero_writable_and_aligned_when_large(void **state)
{
    const size_t lens[] = {1,         4096,          HUGE_PAGE - 1,
                           HUGE_PAGE, HUGE_PAGE + 1, 3 * HUGE_PAGE};

    (void)state;
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            uint8_t *ptr = pages_map(lens[i]);

            assert_non_null(ptr);
            assert_int_equal((uintptr_t)ptr % (lens[i] < HUGE_PAGE ? 4096 : HUGE_PAGE),
                             0);
            assert_int_equal(ptr[0], 0);
            assert_int_equal(ptr[lens[i] - 1], 0);
            ptr[0] = ptr[lens[i] - 1] = 1;
            pages_unmap(ptr, lens[i]);
        }
    }
    pages_unmap(NULL, 1);
}

static void map__too_much_is_null(void **state)
{
    (void)state;
    assert_null(pages_map(SIZE_MAX / 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map__zero_writable_and_aligned_when_large),
        cmocka_unit_test(map__too_much_is_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
