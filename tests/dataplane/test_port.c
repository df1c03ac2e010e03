/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "port.h"

static struct port at(const char *address, unsigned prefix, const char *neighbour)
{
    struct port port = {.prefix = (uint8_t)prefix};

    assert_true(addr_parse(address, 7400, &port.address));
    if (neighbour != NULL)
        assert_true(addr_parse(neighbour, 7400, &port.neighbour));
    return port;
}

static int route(struct port *a, struct port *b, struct port *c, const char *to)
{
    struct port *ports[] = {a, b, c};
    struct proa_addr addr;

    assert_true(addr_parse(to, 7400, &addr));
    return port_route(ports, 3, &addr);
}

static void route__longest_prefix_then_neighbour_then_none(void **state)
{
    struct port all = at("10.0.0.1", 96 + 8, NULL);
    struct port net = at("10.0.7.1", 96 + 24, NULL);
    struct port pair = at("169.254.9.2", 128, "169.254.9.3");

    (void)state;
    assert_int_equal(route(&all, &net, &pair, "10.0.7.9"), 1);
    assert_int_equal(route(&net, &all, &pair, "10.0.7.9"), 0);
    assert_int_equal(route(&all, &net, &pair, "10.9.7.9"), 0);
    assert_int_equal(route(&all, &net, &pair, "169.254.9.3:1"), 2);
    assert_int_equal(route(&all, &net, &pair, "169.254.9.4"), -1);
    assert_int_equal(route(&all, &net, &pair, "[::1]"), -1);
}

static void route__the_whole_family_is_a_prefix_too(void **state)
{
    struct port four = at("192.168.1.1", 96, NULL), six = at("[fd00::1]", 0, NULL);
    struct port pair = at("169.254.9.2", 128, "169.254.9.3");

    (void)state;
    assert_int_equal(route(&four, &six, &pair, "8.8.8.8"), 0);
    assert_int_equal(route(&four, &six, &pair, "[2001:db8::1]"), 1);
    assert_int_equal(port_route(NULL, 0, &four.address), -1);
}

static void route__what_is_far_goes_by_a_port_that_knows_ways(void **state)
{
    struct port net = at("10.0.7.1", 96 + 24, NULL), six = at("[fd00::1]", 64, NULL);
    struct port other = at("10.0.8.1", 96 + 24, NULL);

    (void)state;
    assert_int_equal(route(&net, &other, &six, "10.9.9.9"), -1);
    other.far = six.far = true;
    assert_int_equal(route(&net, &other, &six, "10.9.9.9"), 1);
    assert_int_equal(route(&net, &other, &six, "10.0.7.9"), 0);
    assert_int_equal(route(&net, &other, &six, "[fd99::1]"), 2);
}

static void drop_name__every_reason_has_one(void **state)
{
    (void)state;
    for (int i = 0; i < PORT_DROP_COUNT; i++) {
        assert_non_null(port_drop_name((enum port_drop)i));
        assert_true(strlen(port_drop_name((enum port_drop)i)) > 1);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(port_drop_name((enum port_drop)i),
                                    port_drop_name((enum port_drop)j));
    }
    assert_string_equal(port_drop_name(PORT_DROP_COUNT), "?");
    assert_string_equal(port_drop_name((enum port_drop) - 1), "?");
}

static void config__bad_address_and_mtu_are_refused_with_reason(void **state)
{
    struct proa_port_config config = {.spec = "ring:x"};
    struct port_open_args args = {.config = &config, .queues = 1};
    struct port port = {0};
    char err[200] = "";

    (void)state;
    assert_true(port_address_config(&port, &args, err, sizeof(err)));
    assert_int_equal(port.address.family, 0);
    snprintf(config.address, sizeof(config.address), "10.0.0.1/24");
    assert_true(port_address_config(&port, &args, err, sizeof(err)));
    assert_int_equal(port.prefix, 120);
    assert_int_equal(port.address.port, PROA_PORT);
    snprintf(config.address, sizeof(config.address), "10.0.0.1/40");
    assert_false(port_address_config(&port, &args, err, sizeof(err)));
    assert_non_null(strstr(err, "10.0.0.1/40"));

    assert_true(port_mtu_config(&port, &args, 1500, err, sizeof(err)));
    assert_int_equal(port.mtu, 1500);
    config.mtu = 1279;
    assert_false(port_mtu_config(&port, &args, 1500, err, sizeof(err)));
    assert_non_null(strstr(err, "1279"));
    config.mtu = 9001;
    assert_false(port_mtu_config(&port, &args, 1500, err, sizeof(err)));
    config.mtu = 9000;
    assert_true(port_mtu_config(&port, &args, 1500, err, sizeof(err)));
    port_set_address(&port);
    assert_int_equal(port.lead, 6);
    assert_int_equal(port.payload_max, 9000 - 28 - 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route__longest_prefix_then_neighbour_then_none),
        cmocka_unit_test(route__the_whole_family_is_a_prefix_too),
        cmocka_unit_test(route__what_is_far_goes_by_a_port_that_knows_ways),
        cmocka_unit_test(drop_name__every_reason_has_one),
        cmocka_unit_test(config__bad_address_and_mtu_are_refused_with_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
