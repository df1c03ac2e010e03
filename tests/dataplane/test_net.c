/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "net.h"

#define ROOM 128

/* A frame under construction: data lies at ROOM. */
struct frame {
    uint8_t bytes[2048];
    uint32_t at, len; /* the frame: bytes[at..at + len) */
    struct proa_addr from, to;
};

static void build(struct frame *f, unsigned family, const void *data, uint16_t len,
                  enum net_checksum checksum)
{
    static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    struct net_template template;
    uint32_t front;

    memset(f, 0, sizeof(*f));
    addr_parse(family == 4 ? "10.0.0.1:7400" : "[fd00::1]:7400", 0, &f->from);
    addr_parse(family == 4 ? "10.0.0.2:7401" : "[fd00::2]:7401", 0, &f->to);
    memset(f->bytes, 0xee, sizeof(f->bytes));
    memcpy(f->bytes + ROOM, data, len);
    net_template_init(&template, &f->from, macs[0], macs[1]);
    front = net_build(&template, f->bytes + ROOM, len, &f->to, 0, checksum);
    f->at = ROOM - front;
    f->len = front + len;
}

static enum port_drop parse(const struct frame *f, unsigned accept,
                            struct net_datagram *ret)
{
    return net_parse(f->bytes + f->at, f->len, &f->to, accept, ret);
}

/* Makes the IPv4 header's checksum right again after a change. */
static void fix_v4(uint8_t *ip)
{
    uint16_t sum;

    memset(ip + 10, 0, 2);
    sum = (uint16_t)~net_sum_fold(net_sum(ip, 20, 0));
    memcpy(ip + 10, &sum, 2);
}

static uint8_t *ip_of(struct frame *f)
{
    return f->bytes + f->at + NET_ETH;
}

static void sum__matches_the_example_of_rfc_1071(void **state)
{
    const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    const uint8_t want[2] = {0xdd, 0xf2};
    uint16_t sum = net_sum_fold(net_sum(bytes, sizeof(bytes), 0));

    (void)state;
    assert_memory_equal(&sum, want, 2);
}

static void sum__is_the_plain_sum_for_all_lengths(void **state)
{
    uint8_t space[1602], *bytes = space + 2; /* as frames lie */

    (void)state;
    for (size_t i = 0; i < sizeof(space); i++)
        space[i] = (uint8_t)(i * 37 + 211);
    for (size_t len = 0; len <= sizeof(space) - 2; len++) {
        uint32_t plain = 0;

        for (size_t i = 0; i < len; i++)
            plain += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
        while (plain >> 16 != 0)
            plain = (plain & 0xffff) + (plain >> 16);
        const uint8_t want[2] = {(uint8_t)(plain >> 8), (uint8_t)plain};
        uint16_t sum = net_sum_fold(net_sum(bytes, len, 0));

        assert_memory_equal(&sum, want, 2);
    }
}

static void sum_fold__carries_to_the_end(void **state)
{
    (void)state;
    assert_int_equal(net_sum_fold(UINT64_MAX), 0xffff);
    assert_int_equal(net_sum_fold(0), 0);
    assert_int_equal(net_sum_fold(0x1ffff), 1); /* 0xffff + 1, carried */
    assert_int_equal(net_sum_fold(0xffff0001ffffffffu), 1);
}

/* Vector: built by hand from RFC 791 and 768, checksums by hand. */
static void build__bytes_of_a_small_ipv4_datagram(void **state)
{
    static const uint8_t want[] =
        {
            2,    0,    0,    0,    0, 2,  2,    0,    0,    0,
            0,    1,    0x08, 0x00, /* Ethernet */
            0x45, 0,    0,    38,   0, 0,  0x40, 0,    64,   17,
            0x26, 0xc5, 10,   0,    0, 1,  10,   0,    0,    2, /* IPv4 */
            0x1c, 0xe8, 0x1c, 0xe9, 0, 18, 0,    0,             /* UDP, no checksum */
            0,    0,    0,    0,    0, 0,  0x11, 0x22, 0x33, 0x44,
        };
    static const uint8_t data[] = {0x11, 0x22, 0x33, 0x44};
    struct frame f;

    (void)state;
    build(&f, 4, data, sizeof(data), NET_CHECKSUM_NONE);
    assert_int_equal(f.len, sizeof(want));
    assert_memory_equal(f.bytes + f.at, want, sizeof(want));
}

static void build__link_packets_are_aligned_behind_an_aligned_frame(void **state)
{
    static const uint8_t data[40] = {0x11};
    struct net_datagram d;
    struct frame f;

    (void)state;
    build(&f, 4, data, sizeof(data), NET_CHECKSUM_FULL);
    assert_int_equal(parse(&f, 0, &d), PORT_OK);
    assert_int_equal(d.offset, 48);
    build(&f, 6, data, sizeof(data), NET_CHECKSUM_FULL);
    assert_int_equal(parse(&f, 0, &d), PORT_OK);
    assert_int_equal(d.offset, 64);
}

static void build__twice_gives_the_same_bytes(void **state)
{
    static const uint8_t macs[6] = {2};
    uint8_t data[64] = {0x11, 1, 2, 3};
    struct net_template template;
    struct frame f, once;

    (void)state;
    build(&f, 6, data, sizeof(data), NET_CHECKSUM_FULL);
    once = f;
    net_template_init(&template, &f.from, macs, macs);
    memcpy(template.bytes, f.bytes + f.at, 12);
    net_build(&template, f.bytes + ROOM, sizeof(data), &f.to, 0, NET_CHECKSUM_FULL);
    assert_memory_equal(f.bytes, once.bytes, sizeof(f.bytes));
}

/* What a device completes is what it takes for a partial sum, and what it has checked needs none. */
static void build__pseudo_sum_is_the_partial_one(void **state)
{
    uint8_t data[101] = {0x11, 1, 2, 3};

    (void)state;
    for (unsigned family = 4; family <= 6; family += 2) {
        struct net_datagram d;
        struct frame f;

        build(&f, family, data, sizeof(data), NET_CHECKSUM_PSEUDO);
        assert_int_equal(parse(&f, 0, &d), PORT_DROP_CHECKSUM);
        assert_int_equal(parse(&f, NET_ACCEPT_PARTIAL, &d), PORT_OK);
        assert_int_equal(parse(&f, NET_ACCEPT_CHECKED, &d), PORT_OK);
        build(&f, family, data, sizeof(data), NET_CHECKSUM_NONE);
        assert_int_equal(parse(&f, NET_ACCEPT_CHECKED, &d), PORT_DROP_CHECKSUM);
    }
}

static void parse__gives_back_what_build_was_given(void **state)
{
    uint8_t data[1400];
    struct net_datagram d;
    struct frame f;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + 1);
    for (unsigned family = 4; family <= 6; family += 2) {
        for (uint16_t len = 1; len <= sizeof(data); len += 13) {
            for (int krpc = 0; krpc < 2; krpc++) {
                data[0] = krpc ? 'd' : 0x11;
                build(&f, family, data, len, NET_CHECKSUM_FULL);
                assert_int_equal(parse(&f, 0, &d), PORT_OK);
                assert_int_equal(d.len, len);
                assert_memory_equal(f.bytes + f.at + d.offset, data, len);
                assert_int_equal(d.offset + f.at, ROOM);
                assert_true(addr_equal(&d.from, &f.from));
            }
        }
    }
}

static void parse__every_truncation_is_refused(void **state)
{
    static const uint8_t data[40] = {0x11};
    struct net_datagram d;
    struct frame f;

    (void)state;
    for (unsigned family = 4; family <= 6; family += 2) {
        build(&f, family, data, sizeof(data), NET_CHECKSUM_FULL);
        for (uint32_t len = 0; len < f.len; len++) {
            /* A copy of exactly that size, so that a sanitizer sees a read past it. */
            uint8_t *cut = malloc(len + 1);

            memcpy(cut, f.bytes + f.at, len);
            cut = realloc(cut, len > 0 ? len : 1);
            enum port_drop drop = net_parse(cut, len, &f.to, 0, &d);
            assert_true(drop == PORT_DROP_SHORT || drop == PORT_DROP_LENGTH);
            free(cut);
        }
    }
}

static void parse__ethernet_padding_is_ignored(void **state)
{
    struct net_datagram d;
    struct frame f;

    (void)state;
    build(&f, 4, "d1:e", 4, NET_CHECKSUM_FULL);
    f.len = 60;
    assert_int_equal(parse(&f, 0, &d), PORT_OK);
    assert_int_equal(d.len, 4);
}

static void parse__each_reason_of_ipv4(void **state)
{
    static const struct {
        uint32_t at; /* in the IP header */
        uint8_t value;
        enum port_drop want;
    } cases[] = {
        {0, 0x55, PORT_DROP_ETHERTYPE}, {0, 0x44, PORT_DROP_LENGTH},
        {0, 0x46, PORT_DROP_OPTIONS},   {6, 0x20, PORT_DROP_FRAGMENT},
        {7, 1, PORT_DROP_FRAGMENT},     {2, 4, PORT_DROP_LENGTH},
        {3, 19, PORT_DROP_LENGTH},      {3, 0x40, PORT_DROP_LENGTH},
        {9, 6, PORT_DROP_PROTOCOL},     {19, 3, PORT_DROP_ADDRESS},
        {12, 224, PORT_DROP_ADDRESS},   {12, 255, PORT_DROP_ADDRESS},
        {12, 0, PORT_DROP_ADDRESS},     {22, 0, PORT_DROP_UDP_PORT},
        {25, 7, PORT_DROP_LENGTH},      {25, 21, PORT_DROP_LENGTH},
        {27, 1, PORT_DROP_CHECKSUM},    {29, 1, PORT_DROP_LEAD},
        {34, 'd', PORT_DROP_LEAD},
    };
    static const uint8_t data[6] = {0x11};
    struct net_datagram d;
    struct frame f;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        build(&f, 4, data, sizeof(data), NET_CHECKSUM_NONE);
        ip_of(&f)[cases[i].at] = cases[i].value;
        fix_v4(ip_of(&f));
        if (parse(&f, NET_ACCEPT_ZERO, &d) != cases[i].want)
            fail_msg("case %zu: %s, not %s", i,
                     port_drop_name(parse(&f, NET_ACCEPT_ZERO, &d)),
                     port_drop_name(cases[i].want));
    }
    build(&f, 4, data, sizeof(data), NET_CHECKSUM_NONE);
    ip_of(&f)[8] = 63; /* without fixing the header's checksum */
    assert_int_equal(parse(&f, NET_ACCEPT_ZERO, &d), PORT_DROP_CHECKSUM);
    build(&f, 4, data, sizeof(data), NET_CHECKSUM_NONE);
    memset(ip_of(&f) + 20, 0, 2); /* nobody can be answered there */
    assert_int_equal(parse(&f, NET_ACCEPT_ZERO, &d), PORT_DROP_UDP_PORT);
    build(&f, 4, data, sizeof(data), NET_CHECKSUM_NONE);
    f.bytes[f.at + 12] = 0x81; /* a VLAN tag */
    assert_int_equal(parse(&f, NET_ACCEPT_ZERO, &d), PORT_DROP_ETHERTYPE);
}

static void parse__each_reason_of_ipv6(void **state)
{
    static const struct {
        uint32_t at;
        uint8_t value;
        enum port_drop want;
    } cases[] = {
        {0, 0x40, PORT_DROP_ETHERTYPE}, {6, 44, PORT_DROP_FRAGMENT},
        {6, 0, PORT_DROP_OPTIONS},      {6, 43, PORT_DROP_OPTIONS},
        {6, 60, PORT_DROP_OPTIONS},     {6, 58, PORT_DROP_PROTOCOL},
        {5, 200, PORT_DROP_LENGTH},     {5, 7, PORT_DROP_SHORT},
        {39, 9, PORT_DROP_ADDRESS},     {8, 0xff, PORT_DROP_ADDRESS},
        {43, 0, PORT_DROP_UDP_PORT},    {47, 1, PORT_DROP_CHECKSUM},
        {49, 1, PORT_DROP_LEAD},        {50, 'd', PORT_DROP_LEAD},
    };
    static const uint8_t data[6] = {0x11};
    struct net_datagram d;
    struct frame f;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        build(&f, 6, data, sizeof(data), NET_CHECKSUM_NONE);
        ip_of(&f)[cases[i].at] = cases[i].value;
        if (parse(&f, NET_ACCEPT_ZERO, &d) != cases[i].want)
            fail_msg("case %zu: %s, not %s", i,
                     port_drop_name(parse(&f, NET_ACCEPT_ZERO, &d)),
                     port_drop_name(cases[i].want));
    }
    /* A source that spells an IPv4 address would pass for another node's. */
    build(&f, 6, data, sizeof(data), NET_CHECKSUM_NONE);
    memset(ip_of(&f) + 8, 0, 10);
    memset(ip_of(&f) + 18, 0xff, 2);
    assert_int_equal(parse(&f, NET_ACCEPT_ZERO, &d), PORT_DROP_ADDRESS);
}

static void parse__checksum_policies(void **state)
{
    static const uint8_t data[33] = {0x11, 5};
    struct net_datagram d;
    struct frame f;

    (void)state;
    for (unsigned family = 4; family <= 6; family += 2) {
        uint32_t ip_len = family == 4 ? 20 : 40;
        uint8_t *udp, *ip;
        uint64_t sum;
        uint16_t partial;

        build(&f, family, data, sizeof(data), NET_CHECKSUM_NONE);
        assert_int_equal(parse(&f, 0, &d), PORT_DROP_CHECKSUM);
        assert_int_equal(parse(&f, NET_ACCEPT_ZERO, &d), PORT_OK);

        build(&f, family, data, sizeof(data), NET_CHECKSUM_FULL);
        f.bytes[ROOM + 20] ^= 1;
        assert_int_equal(parse(&f, 0, &d), PORT_DROP_CHECKSUM);
        assert_int_equal(parse(&f, NET_ACCEPT_ZERO | NET_ACCEPT_PARTIAL, &d),
                         PORT_DROP_CHECKSUM);

        /* What a kernel leaves to hardware: the sum of the pseudo-header alone. */
        ip = ip_of(&f);
        udp = ip + ip_len;
        const uint8_t pseudo[4] = {0, 17, udp[4], udp[5]};
        sum = net_sum(pseudo, 4, 0);
        sum = net_sum(ip + (family == 4 ? 12 : 8), family == 4 ? 8 : 32, sum);
        partial = net_sum_fold(sum);
        memcpy(udp + 6, &partial, 2);
        assert_int_equal(parse(&f, 0, &d), PORT_DROP_CHECKSUM);
        assert_int_equal(parse(&f, NET_ACCEPT_PARTIAL, &d), PORT_OK);
    }
}

static void parse__random_bytes_never_pass_by_accident(void **state)
{
    static const uint8_t data[64] = {0x11};
    unsigned seed = 20241;
    struct net_datagram d;
    struct frame f;

    (void)state;
    print_message("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        build(&f, round % 2 ? 4 : 6, data, sizeof(data), NET_CHECKSUM_FULL);
        struct frame before = f;
        uint32_t at = 12 + (uint32_t)rand() % (f.len - 12);
        uint8_t *copy = malloc(f.len);

        /* IPv6's traffic class, flow label and hop limit are under no checksum, on purpose. */
        if (round % 2 == 0 && ((at >= 14 && at < 18) || at == 21))
            at = 12;
        f.bytes[f.at + at] ^= (uint8_t)(1 + rand() % 255);
        memcpy(copy, f.bytes + f.at, f.len);
        if (net_parse(copy, f.len, &f.to, 0, &d) == PORT_OK)
            fail_msg("byte %u changed from %u to %u and passed", at,
                     before.bytes[f.at + at], f.bytes[f.at + at]);
        free(copy);
    }
}

static void check_payload__lead_and_krpc(void **state)
{
    const uint8_t link4[] = {0, 0, 0, 0, 0, 0, 0x11}, krpc[] = {'d'}, bad[] = {'e', 0};
    uint32_t lead = 99;

    (void)state;
    assert_int_equal(net_check_payload(link4, sizeof(link4), 4, &lead), PORT_OK);
    assert_int_equal(lead, 6);
    assert_int_equal(net_check_payload(krpc, 1, 4, &lead), PORT_OK);
    assert_int_equal(lead, 0);
    assert_int_equal(net_check_payload(link4, 6, 4, &lead), PORT_DROP_SHORT);
    assert_int_equal(net_check_payload(link4, 0, 4, &lead), PORT_DROP_SHORT);
    assert_int_equal(net_check_payload(bad, 2, 4, &lead), PORT_DROP_LEAD);
    assert_int_equal(net_check_payload(bad, 2, 6, &lead), PORT_DROP_LEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum__matches_the_example_of_rfc_1071),
        cmocka_unit_test(sum__is_the_plain_sum_for_all_lengths),
        cmocka_unit_test(sum_fold__carries_to_the_end),
        cmocka_unit_test(build__bytes_of_a_small_ipv4_datagram),
        cmocka_unit_test(build__link_packets_are_aligned_behind_an_aligned_frame),
        cmocka_unit_test(build__twice_gives_the_same_bytes),
        cmocka_unit_test(build__pseudo_sum_is_the_partial_one),
        cmocka_unit_test(parse__gives_back_what_build_was_given),
        cmocka_unit_test(parse__every_truncation_is_refused),
        cmocka_unit_test(parse__ethernet_padding_is_ignored),
        cmocka_unit_test(parse__each_reason_of_ipv4),
        cmocka_unit_test(parse__each_reason_of_ipv6),
        cmocka_unit_test(parse__checksum_policies),
        cmocka_unit_test(parse__random_bytes_never_pass_by_accident),
        cmocka_unit_test(check_payload__lead_and_krpc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
