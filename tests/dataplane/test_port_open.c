/* SPDX-License-Identifier: Apache-2.0 */
/* What port_open refuses before it touches any device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "port.h"

static struct proa_port_config config;

static void refused(const char *sentence)
{
    const struct port_open_args args = {.config = &config, .queues = 1};
    char err[300] = "";

    assert_null(port_open(&args, err, sizeof(err)));
    assert_string_equal(err, sentence);
}

static int fresh(void **state)
{
    (void)state;
    memset(&config, 0, sizeof(config));
    return 0;
}

static void open__unknown_kind(void **state)
{
    (void)state;
    strcpy(config.spec, "eth0");
    refused("\"eth0\" is no port; write vhost:listen=PATH, vhost:connect=PATH, "
            "af_xdp:INTERFACE, ethdev:DEVARGS, udp:ADDRESS:PORT or ring:NAME");
}

static void open__sources_belong_to_af_xdp(void **state)
{
    static const char *const specs[] = {"vhost:listen=/none", "udp:127.0.0.1:0", "ring:a",
                                        "ethdev:net_null0"};

    (void)state;
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        char sentence[120];

        snprintf(sentence, sizeof(sentence),
                 "%s: only an af_xdp port has deny and source_rate", specs[i]);
        strcpy(config.spec, specs[i]);
        config.deny_count = 1;
        refused(sentence);
        config.deny_count = 0;
        config.source_rate = 1000;
        refused(sentence);
    }
}

static void open__af_xdp_bad_sources(void **state)
{
    (void)state;
    strcpy(config.spec, "af_xdp:no-such-nic");
    config.deny_count = 2;
    strcpy(config.deny[0], "fd00:9::/32");
    strcpy(config.deny[1], "10.0.0.0/33");
    refused("af_xdp:no-such-nic: deny: \"10.0.0.0/33\" is no address or network, like "
            "10.0.0.9 or fd00:9::/32");
    memset(config.deny[1], '1', sizeof(config.deny[1])); /* no NUL */
    refused(
        "af_xdp:no-such-nic: deny: \"11111111111111111111111111111111111111111111111\" "
        "is no address or network, like 10.0.0.9 or fd00:9::/32");
    config.deny_count = PROA_DENY_MAX + 1;
    refused("af_xdp:no-such-nic: deny has more than 64 entries");
    config.deny_count = 0;
    config.source_rate = PROA_SOURCE_RATE_MIN - 1;
    refused("af_xdp:no-such-nic: source_rate 99 is outside 100..10000000; 0: no limit");
    config.source_rate = PROA_SOURCE_RATE_MAX + 1;
    refused(
        "af_xdp:no-such-nic: source_rate 10000001 is outside 100..10000000; 0: no limit");
}

static void open__af_xdp_no_such_interface(void **state)
{
    (void)state;
    strcpy(config.spec, "af_xdp:no-such-nic");
    config.source_rate = PROA_SOURCE_RATE_MAX;
    refused("af_xdp:no-such-nic: there is no such interface here; see: ip link");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(open__unknown_kind, fresh),
        cmocka_unit_test_setup(open__sources_belong_to_af_xdp, fresh),
        cmocka_unit_test_setup(open__af_xdp_bad_sources, fresh),
        cmocka_unit_test_setup(open__af_xdp_no_such_interface, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
