/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "name_table.h"

#define MAX 100

struct thing {
    struct name_entry entry;
    uint32_t value;
};

static struct thing *find(const struct name_table *names, const char *name)
{
    return (struct thing *)(void *)name_table_find(names, name, strlen(name));
}

static struct thing *add(struct name_table *names, const char *name)
{
    return (struct thing *)(void *)name_table_add(names, name, strlen(name));
}

static void add__is_found_by_its_whole_name(void **state)
{
    struct name_table names;

    (void)state;
    assert_true(name_table_init(&names, sizeof(struct thing), MAX, 5));
    add(&names, "abc")->value = 1;
    add(&names, "ab")->value = 2;
    assert_int_equal(find(&names, "abc")->value, 1);
    assert_int_equal(find(&names, "ab")->value, 2);
    assert_null(find(&names, "a"));
    assert_null(find(&names, "abcd"));
    name_table_fini(&names);
}

static void add__full_table_refuses_until_one_is_removed(void **state)
{
    struct name_table names;
    char name[16];

    (void)state;
    assert_true(name_table_init(&names, sizeof(struct thing), MAX, 5));
    for (uint32_t i = 0; i < MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        add(&names, name)->value = i;
    }
    assert_null(add(&names, "more"));
    name_table_remove(&names, &find(&names, "57")->entry);
    assert_null(find(&names, "57"));
    struct thing *more = add(&names, "more");
    assert_non_null(more);
    assert_int_equal(more->value, 0); /* zeroed */
    for (uint32_t i = 0; i < MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        if (i != 57)
            assert_int_equal(find(&names, name)->value, i);
    }
    name_table_fini(&names);
}

static void at__walks_what_is_used(void **state)
{
    struct name_table names;
    uint32_t sum = 0;

    (void)state;
    assert_true(name_table_init(&names, sizeof(struct thing), MAX, 5));
    add(&names, "a")->value = 1;
    add(&names, "b")->value = 2;
    add(&names, "c")->value = 4;
    name_table_remove(&names, &find(&names, "b")->entry);
    for (uint32_t i = 0; i < names.high; i++) {
        struct thing *thing = (struct thing *)(void *)name_table_at(&names, i);
        if (thing == NULL)
            continue;
        assert_int_equal(name_table_place(&names, &thing->entry), i);
        sum += thing->value;
    }
    assert_int_equal(sum, 5);
    name_table_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__is_found_by_its_whole_name),
        cmocka_unit_test(add__full_table_refuses_until_one_is_removed),
        cmocka_unit_test(at__walks_what_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
