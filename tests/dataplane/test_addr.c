/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "addr.h"

static void round_trip(const char *in, const char *out, unsigned family)
{
    struct proa_addr addr;
    char text[ADDR_TEXT_MAX];

    memset(&addr, 0xff, sizeof(addr));
    assert_true(addr_parse(in, 7400, &addr));
    assert_int_equal(addr.family, family);
    assert_int_equal(addr_print(&addr, text, sizeof(text)), strlen(out));
    assert_string_equal(text, out);
}

static void parse__endpoints_of_both_families(void **state)
{
    (void)state;
    round_trip("1.2.3.4:80", "1.2.3.4:80", 4);
    round_trip("1.2.3.4", "1.2.3.4:7400", 4);
    round_trip("0.0.0.0:0", "0.0.0.0:0", 4);
    round_trip("255.255.255.255:65535", "255.255.255.255:65535", 4);
    round_trip("[::1]:80", "[::1]:80", 6);
    round_trip("[::1]", "[::1]:7400", 6);
    round_trip("::1", "[::1]:7400", 6);
    round_trip("[fd00:1::2]:1", "[fd00:1::2]:1", 6);
}

static void parse__mapped_address_is_ipv4(void **state)
{
    struct proa_addr four, mapped;

    (void)state;
    assert_true(addr_parse("10.0.0.1:5", 0, &four));
    assert_true(addr_parse("[::ffff:10.0.0.1]:5", 0, &mapped));
    assert_true(addr_equal(&four, &mapped));
}

static void parse__refuses_what_is_no_endpoint(void **state)
{
    static const char *const bad[] = {
        "",
        ":80",
        "1.2.3:80",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:x",
        "1.2.3.4: 8",
        "1.2.3.4:-1",
        "[::1",
        "[::1]80",
        "[]:80",
        "[1.2.3.4]:8",
        "host:80",
        "1.2.3.4:80:90",
        "::g",
        " 1.2.3.4",
        "[::1]:",
        "1.2.3.4:+80",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:1",
    };
    struct proa_addr addr, before;

    (void)state;
    memset(&addr, 7, sizeof(addr));
    before = addr;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (addr_parse(bad[i], 7400, &addr))
            fail_msg("\"%s\" was taken for an address", bad[i]);
        assert_memory_equal(&addr, &before, sizeof(addr));
    }
}

static void parse_prefix__counts_bits_of_128(void **state)
{
    struct proa_addr addr;
    uint8_t prefix;

    (void)state;
    assert_true(addr_parse_prefix("10.0.0.1/24", &addr, &prefix));
    assert_int_equal(prefix, 120);
    assert_int_equal(addr.family, 4);
    assert_true(addr_parse_prefix("10.0.0.1", &addr, &prefix));
    assert_int_equal(prefix, 128);
    assert_true(addr_parse_prefix("fd00::1/64", &addr, &prefix));
    assert_int_equal(prefix, 64);
    assert_true(addr_parse_prefix("0.0.0.0/0", &addr, &prefix));
    assert_int_equal(prefix, 96);
    assert_false(addr_parse_prefix("10.0.0.1/33", &addr, &prefix));
    assert_false(addr_parse_prefix("fd00::1/129", &addr, &prefix));
    assert_false(addr_parse_prefix("10.0.0.1/", &addr, &prefix));
    assert_false(addr_parse_prefix("/24", &addr, &prefix));
    assert_false(addr_parse_prefix("10.0.0.1:80/24", &addr, &prefix));
}

static void in_prefix__compares_bits_and_families(void **state)
{
    struct proa_addr net = addr_v4(0x0a000100, 0), in = addr_v4(0x0a00017f, 9);
    struct proa_addr out = addr_v4(0x0a000180, 9), six;

    (void)state;
    assert_true(addr_parse("::1", 0, &six));
    assert_true(addr_in_prefix(&in, &net, 96 + 25));
    assert_false(addr_in_prefix(&out, &net, 96 + 25));
    assert_true(addr_in_prefix(&out, &net, 96 + 24));
    assert_false(addr_in_prefix(&in, &net, 128));
    assert_false(addr_in_prefix(&six, &net, 0));
}

static void print__short_buffers_are_cut(void **state)
{
    struct proa_addr addr = addr_v4(0x01020304, 80), none = {0};
    char text[6];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(addr_print(&addr, text, sizeof(text)), 5);
    assert_string_equal(text, "1.2.3");
    assert_int_equal(addr_print(&none, text, sizeof(text)), 4);
    assert_string_equal(text, "none");
    assert_int_equal(addr_print(&addr, text, 0), 0);
}

static void sockaddr__there_and_back(void **state)
{
    static const char *const texts[] = {"1.2.3.4:80", "[fd00::7]:7400"};
    struct sockaddr_storage name;
    struct proa_addr addr, back, none = {0};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        memset(&name, 0, sizeof(name));
        assert_true(addr_parse(texts[i], 0, &addr));
        assert_true(addr_to_sockaddr(&addr, &name) > 0);
        assert_true(addr_from_sockaddr(&name, &back));
        assert_true(addr_equal(&addr, &back));
    }
    assert_int_equal(addr_to_sockaddr(&none, &name), 0);
    name.ss_family = AF_UNIX;
    assert_false(addr_from_sockaddr(&name, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__endpoints_of_both_families),
        cmocka_unit_test(parse__mapped_address_is_ipv4),
        cmocka_unit_test(parse__refuses_what_is_no_endpoint),
        cmocka_unit_test(parse_prefix__counts_bits_of_128),
        cmocka_unit_test(in_prefix__compares_bits_and_families),
        cmocka_unit_test(print__short_buffers_are_cut),
        cmocka_unit_test(sockaddr__there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
