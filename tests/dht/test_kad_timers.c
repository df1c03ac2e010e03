/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 200

static void pop__earliest_first_and_only_what_is_due(void **state)
{
    uint64_t memory[8 * 2];
    struct kad_timers timers;
    uint32_t number;

    (void)state;
    assert_true(kad_timers_size(8) <= sizeof(memory));
    memset(memory, 0xa5, sizeof(memory));
    kad_timers_init(&timers, memory, 8);
    assert_int_equal(kad_timers_next(&timers), PROA_NS_NEVER);
    assert_false(kad_timers_pop(&timers, PROA_NS_NEVER, &number));
    kad_timers_set(&timers, 3, 30);
    kad_timers_set(&timers, 7, 10);
    kad_timers_set(&timers, 0, 20);
    assert_int_equal(kad_timers_next(&timers), 10);
    assert_false(kad_timers_pop(&timers, 9, &number));
    assert_true(kad_timers_pop(&timers, 20, &number));
    assert_int_equal(number, 7);
    assert_true(kad_timers_pop(&timers, 20, &number));
    assert_int_equal(number, 0);
    assert_false(kad_timers_pop(&timers, 29, &number));
}

static void set__moves_and_sooner_only_forward(void **state)
{
    uint64_t memory[8 * 2];
    struct kad_timers timers;

    (void)state;
    kad_timers_init(&timers, memory, 8);
    kad_timers_set(&timers, 1, 50);
    kad_timers_set(&timers, 1, 90);
    assert_int_equal(kad_timers_next(&timers), 90);
    kad_timers_sooner(&timers, 1, 95);
    assert_int_equal(kad_timers_next(&timers), 90);
    kad_timers_sooner(&timers, 1, 40);
    assert_int_equal(kad_timers_next(&timers), 40);
    kad_timers_sooner(&timers, 2, 70);
    assert_true(kad_timers_is_set(&timers, 2));
    kad_timers_clear(&timers, 1);
    kad_timers_clear(&timers, 1);
    assert_int_equal(kad_timers_next(&timers), 70);
}

/* Against the plain truth: an array that is searched. */
static void random_calls__agree_with_a_search(void **state)
{
    static uint64_t memory[COUNT * 2];
    proa_ns due[COUNT];
    struct kad_timers timers;
    unsigned seed = 20240517;

    (void)state;
    printf("seed %u\n", seed);
    kad_timers_init(&timers, memory, COUNT);
    for (int i = 0; i < COUNT; i++)
        due[i] = PROA_NS_NEVER;
    for (int i = 0; i < 20000; i++) {
        uint32_t number = (uint32_t)rand_r(&seed) % COUNT, popped;
        proa_ns when = (proa_ns)rand_r(&seed) % 1000, least = PROA_NS_NEVER;

        switch (rand_r(&seed) % 4) {
        case 0:
        case 1:
            kad_timers_set(&timers, number, when);
            due[number] = when;
            break;
        case 2:
            kad_timers_clear(&timers, number);
            due[number] = PROA_NS_NEVER;
            break;
        default:
            if (kad_timers_pop(&timers, when, &popped)) {
                assert_in_range(due[popped], 0, when);
                due[popped] = PROA_NS_NEVER;
            }
        }
        for (int j = 0; j < COUNT; j++)
            least = due[j] < least ? due[j] : least;
        assert_int_equal(kad_timers_next(&timers), least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pop__earliest_first_and_only_what_is_due),
        cmocka_unit_test(set__moves_and_sooner_only_forward),
        cmocka_unit_test(random_calls__agree_with_a_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
