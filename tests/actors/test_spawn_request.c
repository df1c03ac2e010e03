/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "spawn_request.h"

static uint8_t buf[SPAWN_REQUEST_MAX];

/* The bytes are those of docs/wire.md, vector spawn. */
static void request_put__writes_the_published_bytes(void **state)
{
    static const uint8_t expected[] = {7,   0,   4,   0,   0,   0, 0, 0, 'c', 'o',
                                       'u', 'n', 't', 'e', 'r', 0, 1, 2, 3,   4};
    struct spawn_request r = {"counter", "\1\2\3\4", 4};

    (void)state;
    memset(buf, 0xff, sizeof(buf));
    assert_int_equal(spawn_request_put(buf, &r), sizeof(expected));
    assert_memory_equal(buf, expected, sizeof(expected));
}

static void request_get__gives_back_what_was_put(void **state)
{
    static uint8_t arg[PROA_SPAWN_ARG_MAX];
    struct spawn_request r = {.arg = arg, .arg_len = sizeof(arg)}, got;

    (void)state;
    memset(arg, 0x5a, sizeof(arg));
    for (size_t name = 1; name <= PROA_TYPE_MAX; name++) {
        memset(r.type_name, 'x', name);
        r.type_name[name] = '\0';
        size_t len = spawn_request_put(buf, &r);
        assert_true(len <= sizeof(buf));
        assert_true(spawn_request_get(buf, len, &got));
        assert_string_equal(got.type_name, r.type_name);
        assert_int_equal(got.arg_len, sizeof(arg));
        assert_memory_equal(got.arg, arg, sizeof(arg));
        assert_int_equal((uintptr_t)((const uint8_t *)got.arg - buf) % 8, 0);
        assert_false(spawn_request_get(buf, len - 1, &got));
    }
}

static void request_get__refuses_what_nobody_would_put(void **state)
{
    struct spawn_request r = {"counter", "\1\2\3\4", 4}, got;
    size_t len = spawn_request_put(buf, &r);

    (void)state;
    for (size_t i = 0; i < len; i++)
        assert_false(spawn_request_get(buf, i, &got));
    assert_true(spawn_request_get(buf, len + 8, &got)); /* fields may be added */
    buf[0] = 0;
    assert_false(spawn_request_get(buf, sizeof(buf), &got));
    buf[0] = PROA_TYPE_MAX + 1;
    assert_false(spawn_request_get(buf, sizeof(buf), &got));
    buf[0] = 8; /* a NUL in the name */
    assert_false(spawn_request_get(buf, sizeof(buf), &got));
    buf[0] = 7;
    buf[3] = (PROA_SPAWN_ARG_MAX >> 8) + 1;
    assert_false(spawn_request_get(buf, 65536, &got));
}

static void answer__both_ways(void **state)
{
    static const uint8_t expected[SPAWN_RESULT_LEN] = {0, 0, 0, 0, 0, 0, 0, 0,
                                                       5, 0, 0, 1, 9, 0, 0, 0};
    struct spawn_answer a = {SPAWN_MADE, 0x01000005, 9}, got;

    (void)state;
    spawn_answer_put(buf, &a);
    assert_memory_equal(buf, expected, sizeof(expected));
    assert_true(spawn_answer_get(buf, SPAWN_RESULT_LEN, &got));
    assert_int_equal(got.slot, a.slot);
    assert_int_equal(got.generation, a.generation);
    assert_false(spawn_answer_get(buf, SPAWN_RESULT_LEN - 1, &got));
    buf[0] = SPAWN_LIMIT; /* an actor, and none */
    assert_false(spawn_answer_get(buf, SPAWN_RESULT_LEN, &got));
    buf[12] = 0;
    assert_true(spawn_answer_get(buf, SPAWN_RESULT_LEN, &got));
    buf[0] = SPAWN_MADE;
    assert_false(spawn_answer_get(buf, SPAWN_RESULT_LEN, &got));
    buf[0] = SPAWN_RESULTS;
    assert_false(spawn_answer_get(buf, SPAWN_RESULT_LEN, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_put__writes_the_published_bytes),
        cmocka_unit_test(request_get__gives_back_what_was_put),
        cmocka_unit_test(request_get__refuses_what_nobody_would_put),
        cmocka_unit_test(answer__both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
