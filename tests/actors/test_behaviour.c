/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "behaviour.h"

static struct behaviour_set set;

static int setup(void **state)
{
    *state = arena_create();
    return !behaviour_set_init(&set, *state);
}

static int teardown(void **state)
{
    behaviour_set_fini(&set);
    assert_int_equal(arena_used(*state), 0);
    arena_destroy(*state);
    return 0;
}

static void f(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)self;
    (void)msg;
}

static void get__finds_exactly_the_types_of_the_table(void **state)
{
    static const struct proa_on dense[] = {{1, 0, f}, {2, 8, f}, {3, 16, f}};
    static const struct proa_on sparse[] = {
        {0, 0, f}, {0x7fffffff, 0, f}, {1u << 20, 4, f}, {5, 0, f}, {1u << 30, 0, f}};
    static const struct proa_behaviour a = {
        .type_name = "a", .on = dense, .on_count = 3, .mailbox = 9};
    static const struct proa_behaviour b = {
        .type_name = "b", .on = sparse, .on_count = 5};
    const struct behaviour *ba = behaviour_get(&set, &a), *bb = behaviour_get(&set, &b);

    (void)state;
    assert_non_null(ba);
    assert_non_null(bb);
    assert_int_equal(ba->capacity, 9);
    assert_int_equal(bb->capacity, PROA_MAILBOX_DEFAULT);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(behaviour_row(ba, dense[i].type)->min_len, dense[i].min_len);
    assert_null(behaviour_row(ba, 0));
    assert_null(behaviour_row(ba, 4));
    assert_null(behaviour_row(ba, PROA_TYPE_SYSTEM - 1));
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(behaviour_row(bb, sparse[i].type)->type, sparse[i].type);
    for (uint32_t type = 6; type < 5000; type++)
        assert_null(behaviour_row(bb, type));
    assert_ptr_equal(behaviour_get(&set, &a), ba);
    assert_ptr_equal(behaviour_get(&set, &b), bb);
}

static void get__without_a_table(void **state)
{
    static const struct proa_behaviour none = {.type_name = "none"};

    (void)state;
    assert_null(behaviour_row(behaviour_get(&set, &none), 0));
    assert_null(behaviour_row(behaviour_get(&set, &none), PROA_TYPE_SYSTEM - 1));
}

static void get__large_tables_of_awkward_types(void **state)
{
    static struct proa_on on[1000];
    static const struct proa_behaviour big = {
        .type_name = "big", .on = on, .on_count = 1000};
    const struct behaviour *b;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        on[i] = (struct proa_on){i << 11, i, f};
    b = behaviour_get(&set, &big);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(behaviour_row(b, i << 11)->min_len, i);
        assert_null(behaviour_row(b, (i << 11) + 1));
    }
}

static void get__refuses_what_the_header_does_not_allow(void **state)
{
    static const struct proa_on twice[] = {{1, 0, f}, {2, 0, f}, {1, 0, f}};
    static const struct proa_on system[] = {{PROA_TYPE_SYSTEM, 0, f}};
    static const struct proa_on missing[] = {{1, 0, NULL}};
    static const struct proa_behaviour bad[] = {
        {.type_name = NULL},
        {.type_name = ""},
        {.type_name =
             "a123456789012345678901234567890123456789012345678901234567890123456789"},
        {.type_name = "x", .on = twice, .on_count = 3},
        {.type_name = "x", .on = system, .on_count = 1},
        {.type_name = "x", .on = missing, .on_count = 1},
        {.type_name = "x", .on = NULL, .on_count = 1},
        {.type_name = "x", .mailbox = PROA_MAILBOX_MAX + 1},
        {.type_name = "x", .state_size = (size_t)BEHAVIOUR_STATE_MAX + 1},
        {.type_name = "x", .overflow = (enum proa_overflow)7},
    };

    (void)state;
    assert_null(behaviour_get(&set, NULL));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(behaviour_get(&set, &bad[i]));
    assert_int_equal(set.count, 0);
}

static void type_id__is_blake2b_of_the_name(void **state)
{
    (void)state;
    assert_int_equal(behaviour_type_id(NULL), 0);
    /* b2sum -l 256 of "abc" begins bddd813c. */
    assert_int_equal(behaviour_type_id("abc"), 0xbddd813cu);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(get__finds_exactly_the_types_of_the_table),
        test(get__without_a_table),
        test(get__large_tables_of_awkward_types),
        test(get__refuses_what_the_header_does_not_allow),
        test(type_id__is_blake2b_of_the_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
