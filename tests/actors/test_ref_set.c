/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mix.h"
#include "ref_set.h"

static struct ref_set set;

static int setup(void **state)
{
    *state = arena_create();
    return !ref_set_init(&set, *state);
}

static int teardown(void **state)
{
    ref_set_fini(&set);
    assert_int_equal(arena_used(*state), 0);
    arena_destroy(*state);
    return 0;
}

static struct proa_ref ref(uint32_t i)
{
    return (struct proa_ref){1 + i % 5, i, 1 + i};
}

static void add__is_had_until_removed(void **state)
{
    (void)state;
    assert_false(ref_set_has(&set, ref(1)));
    assert_true(ref_set_add(&set, ref(1)));
    assert_true(ref_set_add(&set, ref(1)));
    assert_int_equal(set.count, 1);
    assert_true(ref_set_has(&set, ref(1)));
    assert_false(ref_set_has(&set, ref(2)));
    assert_true(ref_set_remove(&set, ref(1)));
    assert_false(ref_set_remove(&set, ref(1)));
    assert_int_equal(set.count, 0);
}

static void add__full_refuses_new_ones_only(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < REF_SET_MAX; i++)
        assert_true(ref_set_add(&set, ref(i)));
    assert_false(ref_set_add(&set, ref(REF_SET_MAX)));
    assert_true(ref_set_add(&set, ref(7)));
}

static void random__against_a_plain_array(void **state)
{
    const uint64_t seed = 99;
    bool model[6000] = {false};
    uint32_t count = 0;
    uint64_t r = seed;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint32_t step = 0; step < 60000; step++) {
        uint32_t i = (uint32_t)(r = mix64(r)) % 6000;

        assert_int_equal(ref_set_has(&set, ref(i)), model[i]);
        if (r >> 63 != 0 && !model[i] && count < REF_SET_MAX) {
            assert_true(ref_set_add(&set, ref(i)));
            model[i] = true;
            count++;
        } else if (model[i]) {
            assert_true(ref_set_remove(&set, ref(i)));
            model[i] = false;
            count--;
        }
        if (r >> 52 == 5) {
            uint32_t node = (uint32_t)(r >> 32) % 5, removed = 0;

            for (uint32_t j = node; j < 6000; j += 5) {
                removed += model[j];
                model[j] = false;
            }
            assert_int_equal(ref_set_remove_node(&set, 1 + node), removed);
            count -= removed;
        }
        assert_int_equal(set.count, count);
    }
    for (uint32_t i = 0; i < 6000; i++)
        assert_int_equal(ref_set_has(&set, ref(i)), model[i]);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(add__is_had_until_removed),
        test(add__full_refuses_new_ones_only),
        test(random__against_a_plain_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
