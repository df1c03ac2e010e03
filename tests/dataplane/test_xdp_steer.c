/* SPDX-License-Identifier: Apache-2.0 */
/* What the XDP program does with each class of frame, and who owns an interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "steer_world.h"

static int setup(void **state)
{
    (void)state;
    open_with(NULL, 0, 0);
    return 0;
}

/* Puts n zero bytes at `at`, which move what lies there. */
static void insert(struct frame *f, uint8_t *at, uint32_t n)
{
    memmove(at + n, at, (size_t)(f->bytes + f->len - at));
    memset(at, 0, n);
    f->len += n;
}

static void steer__ours_goes_to_the_queue(void **state)
{
    struct frame v4 = datagram(4), v6 = datagram(6);

    (void)state;
    meets(&v4, XDP_REDIRECT, HANDED);
    meets(&v6, XDP_REDIRECT, HANDED);
}

static void steer__what_a_lane_checks_is_not_checked_here(void **state)
{
    struct frame f = datagram(4);

    (void)state;
    ip_of(&f)[10] ^= 1; /* the header's sum */
    udp_of(&f)[6] ^= 1; /* UDP's */
    udp_of(&f)[5]++;    /* its length */
    meets(&f, XDP_REDIRECT, HANDED);
}

static void steer__queue_without_socket_passes(void **state)
{
    struct frame f = datagram(4);
    const uint32_t queue = 0;

    (void)state;
    assert_int_equal(bpf_map_delete_elem(steer_sockets(steer), &queue), 0);
    meets(&f, XDP_PASS, STEER_NO_SOCKET);
}

static void steer__other_ethertypes_pass(void **state)
{
    static const uint16_t types[] = {0x0806, 0x8100, 0x88a8, 0x88cc, 0x0000, 0x0008};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct frame f = datagram(4);

        f.bytes[12] = (uint8_t)(types[i] >> 8);
        f.bytes[13] = (uint8_t)types[i];
        meets(&f, XDP_PASS, STEER_NOT_IP);
    }
}

static void steer__vlan_tag_passes(void **state)
{
    struct frame f = datagram(4);

    (void)state;
    insert(&f, f.bytes + 12, 4);
    f.bytes[12] = 0x81;
    f.bytes[15] = 5;
    meets(&f, XDP_PASS, STEER_NOT_IP);
}

static void steer__other_protocols_pass(void **state)
{
    static const uint8_t protocols[] = {0, 1, 6, 58, 132, 255};

    (void)state;
    for (size_t i = 0; i < sizeof(protocols); i++) {
        struct frame v4 = datagram(4), v6 = datagram(6);

        ip_of(&v4)[9] = protocols[i];
        ip_of(&v6)[6] = protocols[i];
        meets(&v4, XDP_PASS, STEER_NOT_UDP);
        meets(&v6, XDP_PASS, STEER_NOT_UDP);
    }
}

static void steer__options_pass(void **state)
{
    struct frame f = datagram(4);

    (void)state;
    insert(&f, ip_of(&f) + NET_IPV4, 4);
    ip_of(&f)[0] = 0x46;
    meets(&f, XDP_PASS, STEER_OPTIONS);
}

static void steer__odd_versions_and_header_lengths_pass(void **state)
{
    static const uint8_t firsts[] = {0x00, 0x44, 0x4f, 0x55, 0x65};

    (void)state;
    for (size_t i = 0; i < sizeof(firsts); i++) {
        struct frame f = datagram(4);

        ip_of(&f)[0] = firsts[i];
        meets(&f, XDP_PASS, STEER_OPTIONS);
    }
}

static void steer__ipv4_fragments_pass(void **state)
{
    static const uint16_t bits[] = {0x2000, 0x0001, 0x1fff, 0x3fff};

    (void)state;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        struct frame f = datagram(4);

        ip_of(&f)[6] = (uint8_t)(bits[i] >> 8);
        ip_of(&f)[7] = (uint8_t)bits[i];
        meets(&f, XDP_PASS, STEER_FRAGMENT);
    }
}

static void steer__dont_fragment_and_the_reserved_bit_are_no_fragments(void **state)
{
    struct frame f = datagram(4);

    (void)state;
    ip_of(&f)[6] = 0xc0;
    meets(&f, XDP_REDIRECT, HANDED);
}

/* Each header that may stand between IPv6 and UDP. */
static void steer__ipv6_extension_headers_pass(void **state)
{
    static const uint8_t headers[] = {0, 43, 50, 51, 60, 135};

    (void)state;
    for (size_t i = 0; i < sizeof(headers); i++) {
        struct frame f = datagram(6);

        insert(&f, ip_of(&f) + NET_IPV6, 8);
        ip_of(&f)[NET_IPV6] = 17;
        ip_of(&f)[6] = headers[i];
        meets(&f, XDP_PASS, STEER_NOT_UDP);
    }
}

static void steer__ipv6_fragment_passes(void **state)
{
    struct frame f = datagram(6);

    (void)state;
    insert(&f, ip_of(&f) + NET_IPV6, 8);
    ip_of(&f)[6] = 44;
    ip_of(&f)[NET_IPV6] = 17;
    meets(&f, XDP_PASS, STEER_FRAGMENT);
}

static void steer__other_addresses_and_ports_pass(void **state)
{
    (void)state;
    for (unsigned family = 4; family <= 6; family += 2) {
        struct frame address = datagram(family), port = datagram(family);

        udp_of(&address)[-1] ^= 2; /* the last byte of the address */
        meets(&address, XDP_PASS, STEER_ELSEWHERE);
        udp_of(&port)[3] ^= 1;
        meets(&port, XDP_PASS, STEER_ELSEWHERE);
    }
}

/* Cut anywhere it is the kernel's; from the end of the UDP header on, the lane looks. */
static void steer__truncated_frames_pass(void **state)
{
    (void)state;
    for (unsigned family = 4; family <= 6; family += 2) {
        const uint32_t ip_end = NET_ETH + (family == 4 ? NET_IPV4 : NET_IPV6);

        /* The kernel takes no shorter frame. */
        for (uint32_t len = NET_ETH; len < ip_end + NET_UDP + 1; len++) {
            struct frame f = datagram(family);

            f.len = len;
            if (len < ip_end)
                meets(&f, XDP_PASS, STEER_NOT_IP);
            else if (len < ip_end + NET_UDP)
                meets(&f, XDP_PASS, STEER_NOT_UDP);
            else
                meets(&f, XDP_REDIRECT, HANDED);
        }
    }
}

static void steer__an_ipv4_address_in_ipv6_is_not_ours(void **state)
{
    struct frame f = datagram(6);
    struct proa_addr self = self_of(4);

    (void)state;
    memcpy(ip_of(&f) + 24, self.ip, 16); /* ::ffff:10.0.0.1 */
    meets(&f, XDP_PASS, STEER_ELSEWHERE);
}

static void open__as_many_addresses_as_there_is_room_for(void **state)
{
    struct proa_addr listen[STEER_LISTEN_MAX + 1];
    struct steer_args args = {.name = "lo",
                              .index = LOOPBACK,
                              .generic = true,
                              .listen = listen,
                              .listen_count = STEER_LISTEN_MAX + 1};
    struct frame f = datagram(4);
    char err[300];

    (void)state;
    for (unsigned i = 0; i <= STEER_LISTEN_MAX; i++) {
        listen[i] = self_of(4);
        listen[i].port = (uint16_t)(PORT + STEER_LISTEN_MAX - 1 - i);
    }
    assert_null(steer_open(&args, err, sizeof(err)));
    args.listen_count = STEER_LISTEN_MAX;
    steer = steer_open(&args, err, sizeof(err));
    assert_non_null(steer);
    meets(&f, XDP_PASS, STEER_NO_SOCKET); /* the last one's */
    udp_of(&f)[3] += STEER_LISTEN_MAX;
    meets(&f, XDP_PASS, STEER_ELSEWHERE);
}

/* ---- Owning and counting ---- */

static void open__a_second_owner_is_refused(void **state)
{
    const struct steer_args args = {.name = "lo", .index = LOOPBACK, .generic = true};
    char err[300];

    (void)state;
    assert_null(steer_open(&args, err, sizeof(err)));
    assert_string_equal(
        err, "af_xdp:lo: another proa node uses this interface; give each node one");
}

static void close__leaves_nothing_and_makes_room(void **state)
{
    struct bpf_xdp_query_opts query = {.sz = sizeof(query)};

    (void)state;
    steer_close(steer);
    assert_int_equal(bpf_xdp_query(LOOPBACK, 0, &query), 0);
    assert_int_equal(query.prog_id, 0);
    open_with(NULL, 0, 0);
    assert_int_equal(bpf_xdp_query(LOOPBACK, 0, &query), 0);
    assert_int_not_equal(query.skb_prog_id, 0);
}

static void count_name__every_count_has_one(void **state)
{
    (void)state;
    for (unsigned i = 0; i < STEER_COUNTS; i++)
        assert_true(strlen(steer_count_name((enum steer_count)i)) > 1);
    assert_string_equal(steer_count_name(STEER_COUNTS), "?");
}

#define PLAIN(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(steer__ours_goes_to_the_queue),
        PLAIN(steer__what_a_lane_checks_is_not_checked_here),
        PLAIN(steer__queue_without_socket_passes),
        PLAIN(steer__other_ethertypes_pass),
        PLAIN(steer__vlan_tag_passes),
        PLAIN(steer__other_protocols_pass),
        PLAIN(steer__options_pass),
        PLAIN(steer__odd_versions_and_header_lengths_pass),
        PLAIN(steer__ipv4_fragments_pass),
        PLAIN(steer__dont_fragment_and_the_reserved_bit_are_no_fragments),
        PLAIN(steer__ipv6_extension_headers_pass),
        PLAIN(steer__ipv6_fragment_passes),
        PLAIN(steer__other_addresses_and_ports_pass),
        PLAIN(steer__truncated_frames_pass),
        PLAIN(steer__an_ipv4_address_in_ipv6_is_not_ours),
        cmocka_unit_test_teardown(open__as_many_addresses_as_there_is_room_for, teardown),
        PLAIN(open__a_second_owner_is_refused),
        PLAIN(close__leaves_nothing_and_makes_room),
        cmocka_unit_test(count_name__every_count_has_one),
    };
    const char *why = impossible();

    if (why != NULL) {
        printf("skipped: no XDP here: %s\n", why);
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
