/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resolver_host.h"

/* ---- ways ---- */

static bool hop_is(struct host *h, const char *to, const char *wanted)
{
    struct proa_addr addr, want;
    uint8_t hop[16];

    assert_true(addr_parse(to, 0, &addr));
    if (!resolver_hop(h->r, addr.ip, hop))
        return wanted == NULL;
    return wanted != NULL && addr_parse(wanted, 0, &want) &&
           memcmp(hop, want.ip, 16) == 0;
}

static void hop__network_gateway_and_none(void **state)
{
    struct host h;

    (void)state;
    host_open(&h, "10.0.0.1/24", 1, NULL);
    assert_true(hop_is(&h, "10.0.0.2", "10.0.0.2"));
    assert_true(hop_is(&h, "10.0.1.2", NULL));
    assert_true(hop_is(&h, "10.0.0.1", NULL));   /* itself */
    assert_true(hop_is(&h, "10.0.0.0", NULL));   /* the network */
    assert_true(hop_is(&h, "10.0.0.255", NULL)); /* its broadcast */
    assert_true(hop_is(&h, "255.255.255.255", NULL));
    assert_true(hop_is(&h, "224.0.0.1", NULL));
    assert_true(hop_is(&h, "fd00::2", NULL));
    host_close(&h);
    host_open(&h, "10.0.0.0/31", 1, "10.0.0.1");
    assert_true(hop_is(&h, "10.0.0.1", "10.0.0.1")); /* RFC 3021: no broadcast */
    assert_true(hop_is(&h, "10.9.9.9", "10.0.0.1"));
    host_close(&h);
    host_open(&h, "fd00::1/64", 1, "fe80::1");
    assert_true(hop_is(&h, "fd00::2", "fd00::2"));
    assert_true(hop_is(&h, "fd99::2", "fe80::1"));
    assert_true(hop_is(&h, "ff02::1", NULL));
    assert_true(hop_is(&h, "10.0.0.2", NULL));
    host_close(&h);
}

/* ---- asking ---- */

static void ask__is_answered_by_the_owner(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct host a, b;
        const uint8_t *mac;

        host_open(&a, address_a[family], 1, NULL);
        host_open(&b, address_b[family], 2, NULL);
        a.wire = &b;
        b.wire = &a;
        assert_null(resolver_ask(a.r, b.config.address.ip, a.now)); /* not yet then */
        assert_true(a.known);
        assert_memory_equal(a.mac, b.config.mac, 6);
        assert_memory_equal(a.hop, b.config.address.ip, 16);
        mac = resolver_ask(a.r, b.config.address.ip, a.now);
        assert_non_null(mac);
        assert_memory_equal(mac, b.config.mac, 6);
        assert_int_equal(resolver_known(a.r), 1);
        assert_int_equal(resolver_known(b.r), 0); /* a question teaches nothing */
        assert_int_equal(resolver_stats(b.r)->answered, 1);
        assert_int_equal(resolver_stats(a.r)->malformed + resolver_stats(b.r)->malformed,
                         0);
        host_close(&a);
        host_close(&b);
    }
}

static void ask__three_times_then_silence_then_again(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct proa_addr to;
        struct host a;

        host_open(&a, address_a[family], 1, NULL);
        assert_true(addr_parse(family == 0 ? "10.0.0.9" : "fd00::9", 0, &to));
        assert_null(resolver_ask(a.r, to.ip, a.now));
        assert_int_equal(a.sent, 1);
        assert_null(resolver_ask(a.r, to.ip, a.now)); /* asked already */
        assert_int_equal(a.sent, 1);
        for (unsigned n = 0; n < 8; n++) {
            assert_true(resolver_deadline(a.r) == PROA_NS_NEVER ||
                        resolver_deadline(a.r) == a.now + RESOLVER_AGAIN);
            resolver_tick(a.r, a.now + RESOLVER_AGAIN - 1); /* early: harmless */
            a.now += RESOLVER_AGAIN;
            resolver_tick(a.r, a.now);
        }
        assert_int_equal(a.sent, RESOLVER_TRIES);
        assert_int_equal(resolver_deadline(a.r), PROA_NS_NEVER);
        assert_null(resolver_ask(a.r, to.ip, a.now));
        assert_int_equal(a.sent, RESOLVER_TRIES + 1);
        assert_int_equal(a.reached, 0);
        host_close(&a);
    }
}

static void known__in_use_is_checked_by_unicast(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct host a, b;

        know(&a, &b, family);
        a.used = true;
        a.now += RESOLVER_REACHABLE;
        a.sent = 0;
        resolver_tick(a.r, a.now);
        assert_int_equal(a.sent, 1);
        assert_memory_equal(a.frame, b.config.mac, 6); /* unicast */
        assert_int_equal(resolver_deadline(a.r), a.now + RESOLVER_REACHABLE);
        assert_int_equal(a.reached, 1); /* nothing changed */
        host_close(&a);
        host_close(&b);
    }
}

static void known__out_of_use_is_forgotten(void **state)
{
    struct host a, b;

    (void)state;
    know(&a, &b, 0);
    a.now += RESOLVER_REACHABLE;
    a.sent = 0;
    resolver_tick(a.r, a.now);
    assert_int_equal(a.sent, 0);
    assert_false(a.known);
    assert_int_equal(resolver_known(a.r), 0);
    host_close(&a);
    host_close(&b);
}

/* The owner is gone, another host has taken its address over: found after three tries. */
static void known__moves_when_its_owner_no_longer_answers(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct host a, b, c;

        know(&a, &b, family);
        host_open(&c, address_b[family], 3, NULL);
        a.wire = NULL; /* b is dead */
        c.wire = &a;
        c.now = a.now;
        a.used = true;
        resolver_announce(c.r); /* makes a look, but not believe */
        assert_true(a.known);
        assert_memory_equal(a.mac, b.config.mac, 6);
        assert_int_equal(resolver_stats(a.r)->unsolicited, 1);
        for (unsigned n = 0; n < RESOLVER_TRIES; n++) {
            a.now += RESOLVER_AGAIN;
            if (n == RESOLVER_TRIES - 1)
                a.wire = &c; /* the question to all reaches c as well */
            resolver_tick(a.r, a.now);
        }
        assert_true(a.known);
        assert_memory_equal(a.mac, c.config.mac, 6);
        host_close(&a);
        host_close(&b);
        host_close(&c);
    }
}

/* ---- what nobody asked for ---- */

static void spoofing__changes_nothing_while_the_owner_answers(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct host a, b, evil, asked;

        know(&a, &b, family);
        host_open(&evil, address_b[family], 66, NULL); /* says it is b */
        evil.wire = &a;
        a.used = true;
        resolver_announce(evil.r);
        assert_memory_equal(a.mac, b.config.mac, 6);
        assert_int_equal(a.reached, 1);
        /* As if it answered: a's own question, heard by evil. */
        host_open(&asked, address_a[family], 1, NULL);
        asked.wire = &evil;
        resolver_ask(asked.r, b.config.address.ip, asked.now);
        assert_memory_equal(a.mac, b.config.mac, 6);
        assert_int_equal(a.reached, 1);
        assert_in_range(resolver_stats(a.r)->unsolicited, 2, 3);
        host_close(&asked);
        host_close(&evil);
        host_close(&a);
        host_close(&b);
    }
}

static void learn__of_unknown_addresses_nothing(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct host a, b;

        host_open(&a, address_a[family], 1, NULL);
        host_open(&b, address_b[family], 2, NULL);
        b.wire = &a;
        resolver_announce(b.r);
        resolver_ask(b.r, a.config.address.ip, b.now);
        assert_int_equal(a.reached, 0);
        assert_int_equal(resolver_known(a.r), 0);
        host_close(&a);
        host_close(&b);
    }
}

static void conflict__is_counted_and_defended_now_and_then(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct host a, thief;
        unsigned before;

        host_open(&a, address_a[family], 1, NULL);
        host_open(&thief, address_a[family], 66, NULL);
        thief.wire = &a;
        resolver_announce(thief.r);
        before = a.sent;
        assert_in_range(before, 1, 2);
        resolver_announce(thief.r);
        assert_int_equal(a.sent, before); /* not more often than RESOLVER_DEFEND_EVERY */
        assert_int_equal(resolver_stats(a.r)->conflicts, 2);
        thief.now += RESOLVER_DEFEND_EVERY;
        resolver_announce(thief.r);
        assert_true(a.sent > before);
        host_close(&a);
        host_close(&thief);
    }
}

static void answers__are_limited(void **state)
{
    struct host a, b;

    (void)state;
    host_open(&a, address_a[0], 1, NULL);
    host_open(&b, address_b[0], 2, NULL);
    resolver_ask(b.r, a.config.address.ip, b.now);
    for (unsigned n = 0; n < 3 * RESOLVER_ANSWERS; n++)
        resolver_input(a.r, b.frame, b.len, a.now);
    assert_int_equal(a.sent, RESOLVER_ANSWERS);
    assert_int_equal(resolver_stats(a.r)->limited, 2 * RESOLVER_ANSWERS);
    resolver_input(a.r, b.frame, b.len, a.now + PROA_S);
    assert_int_equal(a.sent, RESOLVER_ANSWERS + 1);
    host_close(&a);
    host_close(&b);
}

static void table__full_is_counted(void **state)
{
    struct proa_addr to;
    struct host a;

    (void)state;
    host_open(&a, "10.0.0.1/8", 1, NULL);
    for (uint32_t n = 0; n < RESOLVER_MAX + 5; n++) {
        to = addr_v4(10u << 24 | 1u << 16 | (n + 1), 0);
        assert_null(resolver_ask(a.r, to.ip, a.now));
    }
    assert_int_equal(resolver_stats(a.r)->full, 5);
    for (unsigned n = 0; n < 4; n++)
        resolver_tick(a.r, a.now += RESOLVER_AGAIN);
    assert_null(resolver_ask(a.r, to.ip, a.now)); /* those without answer made room */
    assert_int_equal(resolver_stats(a.r)->full, 5);
    host_close(&a);
}

/* ---- what is on the wire ---- */

static void gateway__stands_for_what_is_far(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        struct proa_addr far, gateway;
        uint8_t hop[16];
        struct host a;

        host_open(&a, address_a[family], 1, gateway_of[family]);
        assert_true(addr_parse(far_away[family], 0, &far));
        assert_true(addr_parse(gateway_of[family], 0, &gateway));
        assert_true(resolver_hop(a.r, far.ip, hop));
        assert_memory_equal(hop, gateway.ip, 16);
        assert_null(resolver_ask(a.r, hop, a.now));
        assert_int_equal(a.sent, 1);
        host_close(&a);
    }
}

/* RFC 826's fields, and RFC 4861's, byte by byte. */
static void frames__are_as_the_standards_say(void **state)
{
    static const uint8_t arp[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0, 0,
                                  1,    8,    6,    0,    1,    8,    0,  6, 4, 0, 1,
                                  2,    0,    0,    0,    0,    1,    10, 0, 0, 1, 0,
                                  0,    0,    0,    0,    0,    10,   0,  0, 2};
    static const uint8_t nd[] = {
        0x33, 0x33, 0xff, 0,    0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0,   0, 0,
        32,   58,   255,  0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0,    0, 0,   0, 1,
        0xff, 2,    0,    0,    0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0,    0,    2, 135, 0};
    struct host a, b;

    (void)state;
    host_open(&a, address_a[0], 1, NULL);
    host_open(&b, address_b[0], 2, NULL);
    resolver_ask(a.r, b.config.address.ip, a.now);
    assert_int_equal(a.len, sizeof(arp));
    assert_memory_equal(a.frame, arp, sizeof(arp));
    host_close(&a);
    host_close(&b);
    host_open(&a, address_a[1], 1, NULL);
    host_open(&b, address_b[1], 2, NULL);
    resolver_ask(a.r, b.config.address.ip, a.now);
    assert_int_equal(a.len, 86);
    assert_memory_equal(a.frame, nd, sizeof(nd));
    assert_int_equal(a.frame[78], 1); /* source link-layer address */
    assert_memory_equal(a.frame + 80, a.config.mac, 6);
    host_close(&a);
    host_close(&b);
}

static void announce__reports_our_group(void **state)
{
    struct host a;

    (void)state;
    host_open(&a, address_a[1], 1, NULL);
    resolver_announce(a.r);
    assert_int_equal(a.sent, 2); /* the report, then the advertisement */
    assert_int_equal(a.frame[NET_ETH + NET_IPV6], 136);
    host_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hop__network_gateway_and_none),
        cmocka_unit_test(ask__is_answered_by_the_owner),
        cmocka_unit_test(ask__three_times_then_silence_then_again),
        cmocka_unit_test(known__in_use_is_checked_by_unicast),
        cmocka_unit_test(known__out_of_use_is_forgotten),
        cmocka_unit_test(known__moves_when_its_owner_no_longer_answers),
        cmocka_unit_test(spoofing__changes_nothing_while_the_owner_answers),
        cmocka_unit_test(learn__of_unknown_addresses_nothing),
        cmocka_unit_test(conflict__is_counted_and_defended_now_and_then),
        cmocka_unit_test(answers__are_limited),
        cmocka_unit_test(table__full_is_counted),
        cmocka_unit_test(gateway__stands_for_what_is_far),
        cmocka_unit_test(frames__are_as_the_standards_say),
        cmocka_unit_test(announce__reports_our_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
