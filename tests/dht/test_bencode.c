/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bencode.h"

#include <string.h>

/* Tells whether text is one value and nothing else. */
static bool is_one_value(const char *text)
{
    struct bencode_reader reader;

    bencode_read_init(&reader, text, strlen(text));
    return bencode_skip(&reader, NULL) && bencode_done(&reader);
}

static void skip__takes_every_kind(void **state)
{
    static const char *const good[] = {
        "i0e",
        "i-1e",
        "i9223372036854775807e",
        "0:",
        "3:abc",
        "i-9223372036854775808e",
        "le",
        "de",
        "li1e1:ae",
        "d0:i1ee",
        "d1:ai1e1:blee",
        "d1:ai1e2:abi2ee",
        "lllleeee",
        "lllllllleeeeeeee",
        "d1:ad1:ad1:aleeee",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!is_one_value(good[i]))
            fail_msg("refused: %s", good[i]);
    }
}

static void skip__refuses_all_but_one_spelling(void **state)
{
    static const char *const bad[] = {
        "",
        "e",
        "x",
        "i",
        "ie",
        "i-e",
        "i-0e",
        "i00e",
        "i01e",
        "i-01e",
        "i+1e",
        "i1",
        "i1x",
        "i 1e",
        "i9223372036854775808e",
        "i-9223372036854775809e",
        "i99999999999999999999999e",
        "1:",
        "01:a",
        "00:",
        "3:ab",
        "-1:a",
        "1a",
        "2",
        "18446744073709551617:a",
        "99999999999999999999:a",
        "l",
        "li1e",
        "d",
        "d1:a",
        "d1:ae",
        "d1:ai1e",
        "di1ei1ee",
        "dlei1ee",
        "d1:bi1e1:ai1ee", /* unsorted */
        "d1:ai1e1:ai1ee", /* twice */
        "d2:abi1e1:ai1ee",
        "d0:i1e0:i1ee",
        "llllllllleeeeeeeee", /* nine deep */
        "i1ei2e",             /* bytes behind the end */
        "lee",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (is_one_value(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void skip__refuses_every_truncation(void **state)
{
    static const char text[] = "d1:ai-12e1:bl3:abcd1:xi0eee2:cdlee";
    struct bencode_reader reader;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        bencode_read_init(&reader, text, len);
        assert_false(bencode_skip(&reader, NULL));
        assert_false(bencode_done(&reader));
    }
    assert_true(is_one_value(text));
}

static void skip__returns_the_exact_bytes(void **state)
{
    static const char text[] = "d1:ai1e1:vd1:xl1:yee1:zi1ee";
    struct bencode_reader reader;
    struct bencode_span key, raw;

    (void)state;
    bencode_read_init(&reader, text, strlen(text));
    assert_true(bencode_enter_dict(&reader));
    assert_true(bencode_key(&reader, &key) && bencode_skip(&reader, &raw));
    assert_true(bencode_is(key, "a") && bencode_is(raw, "i1e"));
    assert_true(bencode_key(&reader, &key) && bencode_skip(&reader, &raw));
    assert_true(bencode_is(key, "v") && bencode_is(raw, "d1:xl1:yee"));
    assert_true(bencode_key(&reader, &key) && bencode_skip(&reader, &raw));
    assert_false(bencode_key(&reader, &key));
    assert_true(bencode_done(&reader));
}

static void read__walks_a_message(void **state)
{
    static const char text[] = "d1:ai-7e1:blli3eei4ee1:c2:xye";
    struct bencode_reader reader;
    struct bencode_span key, string;
    int64_t value;

    (void)state;
    bencode_read_init(&reader, text, strlen(text));
    assert_int_equal(bencode_peek(&reader), BENCODE_DICT);
    assert_true(bencode_enter_dict(&reader));
    assert_true(bencode_key(&reader, &key));
    assert_int_equal(bencode_peek(&reader), BENCODE_INT);
    assert_true(bencode_int(&reader, &value));
    assert_int_equal(value, -7);
    assert_true(bencode_key(&reader, &key));
    assert_int_equal(bencode_peek(&reader), BENCODE_LIST);
    assert_true(bencode_enter_list(&reader));
    assert_true(bencode_more(&reader) && bencode_enter_list(&reader));
    assert_true(bencode_more(&reader) && bencode_int(&reader, &value));
    assert_int_equal(value, 3);
    assert_false(bencode_more(&reader));
    assert_true(bencode_more(&reader) && bencode_int(&reader, &value));
    assert_int_equal(value, 4);
    assert_false(bencode_more(&reader));
    assert_true(bencode_key(&reader, &key));
    assert_int_equal(bencode_peek(&reader), BENCODE_STRING);
    assert_true(bencode_string(&reader, &string) && bencode_is(string, "xy"));
    assert_false(bencode_key(&reader, &key));
    assert_true(bencode_done(&reader));
    assert_int_equal(bencode_peek(&reader), BENCODE_NONE);
}

/* Each wrong call fails at once and for good. */
static void read__an_error_is_sticky(void **state)
{
    struct bencode_reader reader;
    struct bencode_span span;
    int64_t value;

    (void)state;
    bencode_read_init(&reader, "i1e", 3);
    assert_false(bencode_string(&reader, &span));
    assert_int_equal(bencode_peek(&reader), BENCODE_NONE);
    assert_false(bencode_int(&reader, &value));
    assert_false(bencode_skip(&reader, NULL));
    assert_false(bencode_done(&reader));

    bencode_read_init(&reader, "3:ab", 4);
    assert_false(bencode_string(&reader, &span)); /* one byte short */

    bencode_read_init(&reader, "d1:ai1ee", 8);
    assert_true(bencode_enter_dict(&reader) && bencode_key(&reader, &span));
    assert_false(bencode_key(&reader, &span)); /* its value was not read */
    assert_false(bencode_int(&reader, &value));

    bencode_read_init(&reader, "d1:ai1ee", 8);
    assert_true(bencode_enter_dict(&reader));
    assert_false(bencode_string(&reader, &span)); /* a key is no value */

    bencode_read_init(&reader, "i1ei2e", 6);
    assert_true(bencode_int(&reader, &value));
    assert_false(bencode_int(&reader, &value)); /* the outermost value is only one */

    bencode_read_init(&reader, "le", 2);
    assert_true(bencode_enter_list(&reader));
    assert_false(bencode_key(&reader, &span)); /* a list has no keys */

    bencode_read_init(&reader, "de", 2);
    assert_true(bencode_enter_dict(&reader));
    assert_false(bencode_more(&reader));
    assert_false(bencode_done(&reader));
}

static void write__makes_what_read_takes(void **state)
{
    static const int64_t numbers[] = {0, 9, 10, -1, INT64_MAX, INT64_MIN};
    uint8_t buf[200];
    struct bencode_writer writer;
    struct bencode_reader reader;
    struct bencode_span key;
    int64_t value;

    (void)state;
    bencode_write_init(&writer, buf, sizeof(buf));
    bencode_put_dict(&writer);
    bencode_put_key(&writer, "n");
    bencode_put_list(&writer);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        bencode_put_int(&writer, numbers[i]);
    bencode_put_end(&writer);
    bencode_put_key(&writer, "s");
    bencode_put_string(&writer, "0123456789", 10);
    bencode_put_key(&writer, "v");
    bencode_put_raw(&writer, (struct bencode_span){(const uint8_t *)"le", 2});
    bencode_put_end(&writer);

    size_t len = bencode_finish(&writer);
    static const char text[] =
        "d1:nli0ei9ei10ei-1ei9223372036854775807ei-9223372036854775808"
        "ee1:s10:01234567891:vlee";
    assert_int_equal(len, strlen(text));
    assert_memory_equal(buf, text, len);
    bencode_read_init(&reader, buf, len);
    assert_true(bencode_enter_dict(&reader) && bencode_key(&reader, &key) &&
                bencode_enter_list(&reader));
    for (size_t i = 0; bencode_more(&reader); i++) {
        assert_true(bencode_int(&reader, &value));
        assert_true(value == numbers[i]);
    }
}

static void write__never_overruns_any_size(void **state)
{
    static const char text[] = "d1:ai-12e1:bl10:0123456789ee";
    uint8_t buf[sizeof(text)];

    (void)state;
    for (size_t cap = 0; cap < sizeof(text); cap++) {
        struct bencode_writer writer;

        memset(buf, 0xaa, sizeof(buf));
        bencode_write_init(&writer, buf, cap);
        bencode_put_dict(&writer);
        bencode_put_key(&writer, "a");
        bencode_put_int(&writer, -12);
        bencode_put_key(&writer, "b");
        bencode_put_list(&writer);
        bencode_put_string(&writer, "0123456789", 10);
        bencode_put_end(&writer);
        bencode_put_end(&writer);
        assert_int_equal(bencode_finish(&writer), cap == sizeof(text) - 1 ? cap : 0);
        for (size_t i = cap; i < sizeof(buf); i++)
            assert_int_equal(buf[i], 0xaa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skip__takes_every_kind),
        cmocka_unit_test(skip__refuses_all_but_one_spelling),
        cmocka_unit_test(skip__refuses_every_truncation),
        cmocka_unit_test(skip__returns_the_exact_bytes),
        cmocka_unit_test(read__walks_a_message),
        cmocka_unit_test(read__an_error_is_sticky),
        cmocka_unit_test(write__makes_what_read_takes),
        cmocka_unit_test(write__never_overruns_any_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
