/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "slot.h"

static void init__same_seed_same_generations(void **state)
{
    struct slot_table a, b, c;
    uint32_t ga, gb, gc;

    (void)state;
    assert_true(slot_table_init(&a, 0, 16, 7));
    assert_true(slot_table_init(&b, 0, 16, 7));
    assert_true(slot_table_init(&c, 0, 16, 8));
    ga = slot_alloc(&a)->generation;
    gb = slot_alloc(&b)->generation;
    gc = slot_alloc(&c)->generation;
    assert_int_equal(ga, gb);
    assert_int_not_equal(ga, gc);
    slot_table_fini(&a);
    slot_table_fini(&b);
    slot_table_fini(&c);
}

static void find__only_this_life(void **state)
{
    struct slot_table t;
    struct slot *slot;
    uint32_t id, generation;

    (void)state;
    assert_true(slot_table_init(&t, 3, 16, 1));
    assert_null(slot_find(&t, 3u << 24, 0));
    slot = slot_alloc(&t);
    id = slot_id(&t, slot);
    generation = slot->generation;
    assert_int_equal(id >> 24, 3);
    assert_int_not_equal(generation, 0);
    assert_ptr_equal(slot_find(&t, id, generation), slot);
    assert_null(slot_find(&t, id, generation + 1));
    assert_null(slot_find(&t, id, 0));
    assert_null(slot_find(&t, id + 1, generation));  /* never used */
    assert_null(slot_find(&t, id + 16, generation)); /* outside of the table */
    assert_null(slot_find(&t, 0x03ffffffu, generation));
    slot_release(&t, slot);
    assert_null(slot_find(&t, id, generation));
    assert_null(slot_find(&t, id, generation + 1)); /* the next life has not begun */
    assert_ptr_equal(slot_alloc(&t), slot);
    assert_null(slot_find(&t, id, generation));
    assert_ptr_equal(slot_find(&t, id, slot->generation), slot);
    slot_table_fini(&t);
}

static void alloc__all_then_none_then_again(void **state)
{
    struct slot_table t;
    struct slot *slots[8];

    (void)state;
    assert_true(slot_table_init(&t, 0, 8, 1));
    for (uint32_t i = 0; i < 8; i++) {
        slots[i] = slot_alloc(&t);
        assert_non_null(slots[i]);
        assert_int_equal(slot_index(&t, slots[i]), i);
    }
    assert_null(slot_alloc(&t));
    assert_int_equal(t.live, 8);
    slot_release(&t, slots[5]);
    assert_ptr_equal(slot_alloc(&t), slots[5]);
    assert_null(slot_alloc(&t));
    slot_table_fini(&t);
}

static void alloc__everything_of_the_last_life_is_gone(void **state)
{
    struct slot_table t;
    struct slot *slot;

    (void)state;
    assert_true(slot_table_init(&t, 0, 8, 1));
    slot = slot_alloc(&t);
    slot->flags = 0xff;
    slot->tokens = 9;
    slot->wait_mask = 1;
    slot_release(&t, slot);
    slot = slot_alloc(&t);
    assert_int_equal(slot->flags, 0);
    assert_int_equal(slot->tokens, 0);
    assert_int_equal(slot->wait_mask, 0);
    assert_int_equal(slot->asks, SLOT_NONE);
    assert_true(mailbox_empty(&slot->mailbox));
    slot_table_fini(&t);
}

static void release__generations_wrap_past_zero_and_the_last_one_retires(void **state)
{
    struct slot_table t;
    struct slot *slot;
    uint32_t first;

    (void)state;
    assert_true(slot_table_init(&t, 0, 1, 1));
    slot = slot_alloc(&t);
    first = slot->generation;
    slot->next_generation = UINT32_MAX;
    slot_release(&t, slot);
    assert_int_equal(slot_alloc(&t)->generation, UINT32_MAX);
    slot_release(&t, slot);
    assert_int_equal(slot_alloc(&t)->generation, 1);
    slot->next_generation = first; /* as after 2^32 - 1 lives */
    slot_release(&t, slot);
    assert_null(slot_alloc(&t));
    assert_int_equal(t.retired, 1);
    slot_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init__same_seed_same_generations),
        cmocka_unit_test(find__only_this_life),
        cmocka_unit_test(alloc__all_then_none_then_again),
        cmocka_unit_test(alloc__everything_of_the_last_life_is_gone),
        cmocka_unit_test(release__generations_wrap_past_zero_and_the_last_one_retires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
