/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "addr.h"
#include "ethdev_steer.h"
#include "rss.h"

/* The key of Microsoft's "Verifying the RSS hash calculation". */
static const uint8_t key[40] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

/* A table of 128 entries that goes round four queues. */
static void know(struct rss *r, const char *self, bool by_port)
{
    struct proa_addr addr;
    uint16_t table[128];

    for (unsigned i = 0; i < 128; i++)
        table[i] = i % 4;
    assert_true(addr_parse(self, 0, &addr));
    rss_init(r, 4, 4, &addr);
    assert_true(rss_know(r, key, sizeof(key), table, 128, by_port));
}

static void know__sizes_that_are_none(void **state)
{
    static const uint16_t table[128];
    struct rss r;

    (void)state;
    rss_init(&r, 2, 2, &(struct proa_addr){.family = 4});
    assert_false(rss_know(&r, key, 36, table, 128, true));
    assert_false(rss_know(&r, key, 39, table, 128, true));
    assert_false(rss_know(&r, key, RSS_KEY_MAX + 4, table, 128, true));
    assert_false(rss_know(&r, key, 40, table, 0, true));
    assert_false(rss_know(&r, key, 40, table, RSS_TABLE_MAX + 1, true));
    assert_false(r.known);
}

static void hash__is_what_microsoft_says(void **state)
{
    static const struct {
        const char *to, *from;
        uint32_t hash;
    } rows[] = {
        {"161.142.100.80:1766", "66.9.149.187:2794", 0x51ccc178},
        {"65.69.140.83:4739", "199.92.111.2:14230", 0xc626b0ea},
        {"12.22.207.184:38024", "24.19.198.95:12898", 0x5c2b394a},
        {"209.142.163.6:2217", "38.27.205.30:48228", 0xafc7327f},
        {"[3ffe:2501:200:3::1]:1766", "[3ffe:2501:200:1fff::7]:2794", 0x40207d3d},
        {"[ff02::1]:4739", "[3ffe:501:8::260:97ff:fe40:efab]:14230", 0xdde51bbf},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rss s;
        struct proa_addr from;

        know(&s, rows[i].to, true);
        assert_true(addr_parse(rows[i].from, 0, &from));
        assert_int_equal(rss_hash(&s, &from, from.port), rows[i].hash);
    }
}

static void port__known_arrives_on_its_queue(void **state)
{
    struct rss s;
    struct proa_addr from;

    (void)state;
    know(&s, "10.0.0.1:7400", true);
    assert_true(addr_parse("10.0.0.2:7400", 0, &from));
    for (unsigned lane = 0; lane < 4; lane++) {
        uint16_t before = 0;

        for (unsigned tried = 0; tried < RSS_KNOWN_TRIES; tried++) {
            uint16_t port = rss_port(&s, lane, &from, tried);

            assert_true(port >= RSS_FIRST && port > before); /* another each time */
            assert_int_equal(s.table[rss_hash(&s, &from, port) % 128], lane);
            before = port;
        }
    }
    assert_int_equal(rss_port(&s, 0, &from, RSS_KNOWN_TRIES), 0);
}

static void port__without_ports_in_the_hash_there_is_none(void **state)
{
    struct rss s;
    struct proa_addr from;

    (void)state;
    know(&s, "10.0.0.1:7400", false);
    assert_true(addr_parse("10.0.0.2:7400", 0, &from));
    assert_int_equal(rss_port(&s, 0, &from, 0), 0);
}

static void port__rules_first_then_the_others(void **state)
{
    struct ethdev_steer s = {.rules = true};
    struct proa_addr from;

    (void)state;
    know(&s.rss, "10.0.0.1:7400", true);
    assert_true(addr_parse("10.0.0.2:7400", 0, &from));
    assert_int_equal(ethdev_steer_port(&s, 3, &from, 0), RSS_FIRST + 3);
    assert_int_equal(ethdev_steer_port(&s, 3, &from, 1), rss_port(&s.rss, 3, &from, 0));
    s.rss.queues = 2; /* lanes without a queue get nothing */
    assert_int_equal(ethdev_steer_port(&s, 3, &from, 0), 0);
}

static void port__unknown_tries_all_sorts(void **state)
{
    struct rss s = {.queues = 2, .lanes = 2};
    uint16_t seen[32];
    struct proa_addr from;
    unsigned same = 0;

    (void)state;
    assert_true(addr_parse("10.0.0.2:7400", 0, &from));
    for (unsigned tried = 0; tried < 32; tried++) {
        seen[tried] = rss_port(&s, 1, &from, tried);
        assert_true(seen[tried] >= RSS_FIRST);
        for (unsigned i = 0; i < tried; i++)
            same += seen[i] == seen[tried];
    }
    assert_in_range(same, 0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(know__sizes_that_are_none),
        cmocka_unit_test(hash__is_what_microsoft_says),
        cmocka_unit_test(port__known_arrives_on_its_queue),
        cmocka_unit_test(port__without_ports_in_the_hash_there_is_none),
        cmocka_unit_test(port__rules_first_then_the_others),
        cmocka_unit_test(port__unknown_tries_all_sorts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
