/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "config_texts.h"

static void parse__ports_and_addresses(void **state)
{
    static const char *const bad[] = {"vhost", "vhost:listen=", "vhost:join=/a",
                                      "udp:",  "udp:host:7400", "udp:1.2.3.4:70000",
                                      "ring:", "eth0",          "udp:1.2.3"};
    char text[128], sentence[256];

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "ports:\n  - spec: '%s'\n", bad[i]);
        snprintf(
            sentence, sizeof(sentence),
            "n.yaml:2: ports[0].spec: '%s' is none of vhost:listen=PATH, "
            "vhost:connect=PATH, af_xdp:INTERFACE, ethdev:DEVARGS, udp:ADDRESS:PORT, "
            "ring:NAME",
            bad[i]);
        refused(text, sentence);
    }
    refused("ports:\n  - spec: ring:a\n    address: 10.0.0.1/33\n",
            "n.yaml:3: ports[0].address: '10.0.0.1/33' is no address with prefix, like "
            "10.0.0.1/24 or fd00::1/64");
    refused(PORT "seeds:\n  - 10.0.0.2:7400\n  - nobody\n",
            "n.yaml:4: seeds[1]: 'nobody' is no address with port, like 10.0.0.1:7400 or "
            "[fd00::1]:7400");
    refused(
        PORT "seeds: ['10.0.0.2:0']\n",
        "n.yaml:2: seeds[0]: '10.0.0.2:0' is no address with port, like 10.0.0.1:7400 "
        "or [fd00::1]:7400");
}

static void parse__what_a_nic_needs(void **state)
{
#define NIC "ports:\n  - spec: ethdev:net_tap0\n"

    (void)state;
    refused(NIC, "n.yaml:2: ports[0].address: an ethdev: port needs one");
    refused(NIC "    address: 10.0.0.1/24\n    vlan: 4095\n",
            "n.yaml:4: ports[0].vlan: 4095 is outside 1..4094");
    refused(NIC "    address: 10.0.0.1/24\n    gateway: router\n",
            "n.yaml:4: ports[0].gateway: 'router' is no address");
    refused(
        "ports:\n  - spec: ring:a\n    vlan: 7\n",
        "n.yaml:3: ports[0].vlan: only for ethdev: ports; others use a VLAN interface "
        "of the kernel's");
    refused("ports:\n  - spec: ring:a\n    gateway: 10.0.0.254\n",
            "n.yaml:3: ports[0].gateway: only for ethdev: ports; others follow the "
            "kernel's routes");
    assert_int_equal(parse(NIC "    address: 10.0.0.1/24\n    vlan: 7\n"
                               "    gateway: 10.0.0.254\n"),
                     PROA_OK);
#undef NIC
}

#define XDP "ports:\n  - spec: af_xdp:eth0\n"

static void parse__sources_of_an_af_xdp_port(void **state)
{
    const struct proa_port_config *port = &file.config.ports[0];

    (void)state;
    assert_int_equal(parse(XDP "    deny: [10.0.0.9, 10.9.0.0/16, 'fd00:9::/32']\n"
                               "    source_rate: 100000\n"),
                     PROA_OK);
    assert_int_equal(port->deny_count, 3);
    assert_string_equal(port->deny[0], "10.0.0.9");
    assert_string_equal(port->deny[1], "10.9.0.0/16");
    assert_string_equal(port->deny[2], "fd00:9::/32");
    assert_int_equal(port->source_rate, 100000);
    assert_int_equal(parse(XDP), PROA_OK);
    assert_int_equal(port->deny_count, 0);
    assert_int_equal(port->source_rate, 0);
}

static void parse__bad_sources_are_refused(void **state)
{
    char text[4096] = XDP "    deny:\n";

    (void)state;
    assert_int_equal(parse(XDP "    deny: []\n    source_rate: 0\n"), PROA_OK);
    assert_int_equal(parse(XDP "    deny: [0.0.0.0/0, '::/0']\n"), PROA_OK);
    refused(XDP "    deny:\n      - 10.0.0.9\n      - 10.0.0.0/33\n",
            "n.yaml:5: ports[0].deny[1]: '10.0.0.0/33' is no address or network, like "
            "10.0.0.9 or fd00:9::/32");
    refused(XDP "    deny: [nobody]\n",
            "n.yaml:3: ports[0].deny[0]: 'nobody' is no address or network, like "
            "10.0.0.9 or fd00:9::/32");
    refused(XDP "    deny: 10.0.0.9\n",
            "n.yaml:3: ports[0].deny: expected a list, not a single value");
    refused(XDP "    source_rate: 99\n",
            "n.yaml:3: ports[0].source_rate: 99 is outside 100..10000000; 0: no limit");
    refused(XDP "    source_rate: 10000001\n", "n.yaml:3: ports[0].source_rate: 10000001 "
                                               "is outside 100..10000000; 0: no limit");
    refused(XDP "    source_rate: 1k\n",
            "n.yaml:3: source_rate: '1k' is not a whole number in range");
    refused("ports:\n  - spec: udp:127.0.0.1:0\n    deny: [10.0.0.9]\n",
            "n.yaml:3: ports[0].deny: only an af_xdp port has it; drop them by the "
            "machine's firewall");
    refused("ports:\n  - spec: udp:127.0.0.1:0\n    source_rate: 1000\n",
            "n.yaml:3: ports[0].source_rate: only an af_xdp port has it; limit them by "
            "the machine's firewall");
    for (int i = 0; i < PROA_DENY_MAX + 1; i++)
        strcat(text, "      - 10.0.0.9\n");
    assert_int_equal(parse(text), PROA_BAD_CONFIG);
    assert_non_null(strstr(err, "more than 64 entries"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__ports_and_addresses),
        cmocka_unit_test(parse__what_a_nic_needs),
        cmocka_unit_test(parse__sources_of_an_af_xdp_port),
        cmocka_unit_test(parse__bad_sources_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
