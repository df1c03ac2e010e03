/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that the XDP program denies, or limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "steer_world.h"

/* ---- Denied sources ---- */

static struct steer_deny net_of(const char *text)
{
    struct steer_deny d;

    assert_true(addr_parse_prefix(text, &d.addr, &d.prefix));
    return d;
}

static void from(struct frame *f, const char *text)
{
    struct proa_addr addr;

    assert_true(addr_parse(text, 1, &addr));
    if (addr.family == 4)
        memcpy(ip_of(f) + 12, addr.ip + 12, 4);
    else
        memcpy(ip_of(f) + 8, addr.ip, 16);
}

static int setup(void **state)
{
    (void)state;
    open_with(NULL, 0, 0);
    return 0;
}

static int setup_denied(void **state)
{
    struct steer_deny deny[4] = {net_of("10.0.0.9"), net_of("10.9.0.0/16"),
                                 net_of("fd00::9"), net_of("fd09::/33")};

    (void)state;
    open_with(deny, 4, 0);
    return 0;
}

static void deny__addresses_and_networks(void **state)
{
    static const char *const in[] = {"10.0.0.9", "10.9.0.0", "10.9.255.255",
                                     "fd00::9",  "fd09::",   "fd09:0:7fff::1"};
    static const char *const out[] = {"10.0.0.8", "10.8.255.255", "10.10.0.0",
                                      "fd00::8",  "fd08::",       "fd09:0:8000::"};

    (void)state;
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        unsigned family = strchr(in[i], ':') != NULL ? 6 : 4;
        struct frame denied = datagram(family), other = datagram(family);

        from(&denied, in[i]);
        meets(&denied, XDP_DROP, STEER_DENIED);
        from(&other, out[i]);
        meets(&other, XDP_REDIRECT, HANDED);
    }
}

/* Only what is for the node: the kernel's traffic with that source is the kernel's business. */
static void deny__leaves_the_kernel_its_own(void **state)
{
    struct frame tcp = datagram(4), port = datagram(4), fragment = datagram(4);

    (void)state;
    from(&tcp, "10.0.0.9");
    ip_of(&tcp)[9] = 6;
    meets(&tcp, XDP_PASS, STEER_NOT_UDP);
    from(&port, "10.0.0.9");
    udp_of(&port)[3] ^= 1;
    meets(&port, XDP_PASS, STEER_ELSEWHERE);
    from(&fragment, "10.0.0.9");
    ip_of(&fragment)[6] = 0x20;
    meets(&fragment, XDP_PASS, STEER_FRAGMENT);
}

static int setup_all_denied(void **state)
{
    struct steer_deny deny = net_of("0.0.0.0/0");

    (void)state;
    open_with(&deny, 1, 0);
    return 0;
}

static void deny__all_of_ipv4_is_not_ipv6(void **state)
{
    struct frame v4 = datagram(4), v6 = datagram(6);

    (void)state;
    meets(&v4, XDP_DROP, STEER_DENIED);
    meets(&v6, XDP_REDIRECT, HANDED);
}

static int setup_all_of_v6_denied(void **state)
{
    struct steer_deny deny = net_of("::/0");

    (void)state;
    open_with(&deny, 1, 0);
    return 0;
}

static void deny__all_of_ipv6_is_not_ipv4(void **state)
{
    struct frame v4 = datagram(4), v6 = datagram(6);

    (void)state;
    meets(&v4, XDP_REDIRECT, HANDED);
    meets(&v6, XDP_DROP, STEER_DENIED);
}

static void deny__and_allow_while_it_runs(void **state)
{
    struct steer_deny one = net_of("10.0.0.2"), all = net_of("10.0.0.0/24");
    struct frame f = datagram(4);

    (void)state;
    meets(&f, XDP_REDIRECT, HANDED);
    assert_int_equal(steer_deny(steer, &all), 0);
    assert_int_equal(steer_deny(steer, &one), 0);
    meets(&f, XDP_DROP, STEER_DENIED);
    assert_int_equal(steer_allow(steer, &one), 0); /* not from the whole network yet */
    assert_int_equal(steer_allow(steer, &one), -ENOENT);
    meets(&f, XDP_DROP, STEER_DENIED);
    assert_int_equal(steer_allow(steer, &all), 0);
    meets(&f, XDP_REDIRECT, HANDED);
}

static void deny__as_many_as_there_is_room_for(void **state)
{
    struct steer_deny deny[STEER_DENY_MAX];
    struct frame f = datagram(4);

    (void)state;
    for (unsigned i = 0; i < STEER_DENY_MAX; i++) {
        char text[32];

        snprintf(text, sizeof(text), "10.7.%u.%u", i / 256, i % 256);
        deny[i] = net_of(text);
    }
    open_with(deny, STEER_DENY_MAX, 0);
    from(&f, "10.7.0.255");
    meets(&f, XDP_DROP, STEER_DENIED);
    deny[0] = net_of("10.8.0.1");
    assert_int_equal(steer_deny(steer, &deny[0]), -ENOSPC);
    assert_int_equal(steer_allow(steer, &deny[1]), 0);
    assert_int_equal(steer_deny(steer, &deny[0]), 0);
}

static void deny__one_too_many_is_an_error(void **state)
{
    struct steer_deny deny[STEER_DENY_MAX + 1];
    const struct steer_args args = {.name = "lo",
                                    .index = LOOPBACK,
                                    .generic = true,
                                    .deny = deny,
                                    .deny_count = STEER_DENY_MAX + 1};
    char err[300];

    (void)state;
    for (unsigned i = 0; i <= STEER_DENY_MAX; i++) {
        char text[32];

        snprintf(text, sizeof(text), "10.7.%u.%u", i / 256, i % 256);
        deny[i] = net_of(text);
    }
    assert_null(steer_open(&args, err, sizeof(err)));
    open_with(NULL, 0, 0); /* and nothing was left behind */
}

/* ---- The rate of a source ---- */

#define RATE 100u /* 10 ms each: what refills while the test runs is a few */

static int setup_rate(void **state)
{
    (void)state;
    open_with(NULL, 0, RATE);
    return 0;
}

/* Sends n of one source; returns how many were dropped. */
static unsigned dropped_of(struct frame *f, unsigned n)
{
    uint64_t before[STEER_COUNTS], after[STEER_COUNTS];
    unsigned dropped = 0;

    steer_counts(steer, before);
    for (unsigned i = 0; i < n; i++)
        dropped += run(f) == XDP_DROP;
    steer_counts(steer, after);
    assert_int_equal(after[STEER_RATE] - before[STEER_RATE], dropped);
    return dropped;
}

static void rate__a_burst_is_taken_and_more_is_not(void **state)
{
    struct frame f = datagram(4);

    (void)state;
    assert_int_equal(dropped_of(&f, STEER_BURST_LEAST), 0);
    assert_true(dropped_of(&f, 10000) > 0);
}

static uint64_t coarse_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * PROA_S + (uint64_t)ts.tv_nsec;
}

/* Over a measured time no more pass than the rate and one burst allow; and after 300 ms at least
   the 30 that these give, however long the test was kept from running. */
static void rate__is_kept(void **state)
{
    struct frame f = datagram(6);
    uint64_t start = coarse_now(), at, passed = 0;

    (void)state;
    do {
        at = coarse_now();
        passed += 200 - dropped_of(&f, 200);
    } while (at - start < 300 * PROA_MS);
    assert_true(passed >= STEER_BURST_LEAST + 30 - 1);
    assert_true(passed <= STEER_BURST_LEAST + 1 + (coarse_now() - start) * RATE / PROA_S);
}

static void rate__sources_do_not_share(void **state)
{
    struct frame loud = datagram(4), other = datagram(4), v6 = datagram(6);

    (void)state;
    assert_true(dropped_of(&loud, 10000) > 0);
    from(&other, "10.0.0.3");
    assert_int_equal(dropped_of(&other, STEER_BURST_LEAST), 0);
    assert_int_equal(dropped_of(&v6, STEER_BURST_LEAST), 0);
}

/* Whoever has one address of 64 bits has them all; the network beside it is another's. */
static void rate__of_ipv6_a_network_is_one_source(void **state)
{
    struct frame loud = datagram(6), same = datagram(6), other = datagram(6);

    (void)state;
    from(&loud, "fd00::a:1");
    from(&same, "fd00::b:2");
    from(&other, "fd00:0:0:1::a:1");
    assert_true(dropped_of(&loud, 10000) > 0);
    assert_true(dropped_of(&same, STEER_BURST_LEAST) > 0);
    assert_int_equal(dropped_of(&other, STEER_BURST_LEAST), 0);
}

/* A source that sends elsewhere, or nothing for us, uses nothing up. */
static void rate__counts_only_what_is_ours(void **state)
{
    struct frame f = datagram(4), other = datagram(4);

    (void)state;
    udp_of(&other)[3] ^= 1;
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(run(&other), XDP_PASS);
    assert_int_equal(dropped_of(&f, STEER_BURST_LEAST), 0);
}

/* More sources than are remembered: the node hears all of them. */
static void rate__many_sources(void **state)
{
    struct frame f = datagram(4);

    (void)state;
    for (uint32_t i = 0; i < 2 * STEER_SOURCES_MAX; i++) {
        memcpy(ip_of(&f) + 12, &i, sizeof(i));
        assert_int_equal(run(&f), XDP_REDIRECT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deny__addresses_and_networks, setup_denied,
                                        teardown),
        cmocka_unit_test_setup_teardown(deny__leaves_the_kernel_its_own, setup_denied,
                                        teardown),
        cmocka_unit_test_setup_teardown(deny__all_of_ipv4_is_not_ipv6, setup_all_denied,
                                        teardown),
        cmocka_unit_test_setup_teardown(deny__all_of_ipv6_is_not_ipv4,
                                        setup_all_of_v6_denied, teardown),
        cmocka_unit_test_setup_teardown(deny__and_allow_while_it_runs, setup, teardown),
        cmocka_unit_test_teardown(deny__as_many_as_there_is_room_for, teardown),
        cmocka_unit_test_teardown(deny__one_too_many_is_an_error, teardown),
        cmocka_unit_test_setup_teardown(rate__a_burst_is_taken_and_more_is_not,
                                        setup_rate, teardown),
        cmocka_unit_test_setup_teardown(rate__is_kept, setup_rate, teardown),
        cmocka_unit_test_setup_teardown(rate__sources_do_not_share, setup_rate, teardown),
        cmocka_unit_test_setup_teardown(rate__of_ipv6_a_network_is_one_source, setup_rate,
                                        teardown),
        cmocka_unit_test_setup_teardown(rate__counts_only_what_is_ours, setup_rate,
                                        teardown),
        cmocka_unit_test_setup_teardown(rate__many_sources, setup_rate, teardown),
    };
    const char *why = impossible();

    if (why != NULL) {
        printf("skipped: no XDP here: %s\n", why);
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
