/* SPDX-License-Identifier: Apache-2.0 */
/* Over the loopback interface: no other network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "packet.h"
#include "punt.h"
#include "pool_plain.h"
#include "port_udp.h"

static struct pkt_pool *pools[4];
static char err[400];

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        pools[i] = pool_plain_create(1024, 0, 9000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pool_plain_in_use(pools[i]), 0);
        pool_plain_destroy(pools[i]);
    }
    return 0;
}

static struct port *open_spec(const char *spec, uint32_t mtu, unsigned queues)
{
    struct proa_port_config config = {.mtu = mtu};
    struct port_open_args args = {
        .config = &config, .queues = queues, .pools = pools, .index = 2};

    snprintf(config.spec, sizeof(config.spec), "%s", spec);
    return port_udp_open(&args, err, sizeof(err));
}

static struct pkt *packet(const struct port *to, uint32_t number, uint16_t len)
{
    struct pkt *p = pkt_alloc(pools[0], 0);

    assert_non_null(p);
    memset(p->data, 0x21, len);
    memcpy(p->data + 4, &number, 4);
    p->len = len;
    p->source = 0;
    p->peer = to->address;
    return p;
}

/* Loopback delivers within the send; a bounded number of looks tells a loss from a delay. */
static unsigned receive(struct port *port, unsigned queue, struct pkt **pkts,
                        unsigned want)
{
    unsigned n = 0;

    for (unsigned look = 0; look < 1000 && n < want; look++) {
        struct pollfd fd = {.fd = port_fd(port, queue), .events = POLLIN};
        unsigned room = want - n < PORT_BURST ? want - n : PORT_BURST;
        unsigned more = port_rx(port, queue, pkts + n, room, 9);

        if (more == 0)
            poll(&fd, 1, 1);
        n += more;
    }
    return n;
}

static void both_ways(const char *spec, unsigned family)
{
    struct port *a = open_spec(spec, 0, 1), *b = open_spec(spec, 0, 1);
    struct pkt *out, *in;

    if (a == NULL || b == NULL) { /* a host without IPv6 */
        print_message("skipped: %s\n", err);
        port_close(a);
        port_close(b);
        skip();
    }
    assert_int_equal(a->address.family, family);
    assert_int_not_equal(a->address.port, 0);
    assert_int_equal(a->mtu, 1500);
    out = packet(b, 7, 200);
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(receive(b, 0, &in, 1), 1);
    assert_true(addr_equal(&in->peer, &a->address));
    assert_int_equal(in->len, 200);
    assert_int_equal(in->data[199], 0x21);
    assert_int_equal((uintptr_t)in->data % 8, 0);
    assert_int_equal(in->port, 2);
    assert_int_equal(in->sent_at, 9);
    /* and back, as KRPC, which has no lead */
    memcpy(in->data, "d1:xe", 5);
    in->len = 5;
    assert_int_equal(port_tx(b, 0, &in, 1, 0), 1);
    assert_int_equal(receive(a, 0, &in, 1), 1);
    assert_true(pkt_is_krpc(in));
    assert_int_equal(in->len, 5);
    pkt_free(pools[0], in);
    port_close(a);
    port_close(b);
}

static void ipv4__both_ways(void **state)
{
    (void)state;
    both_ways("udp:127.0.0.1:0", 4);
}

static void ipv6__both_ways(void **state)
{
    (void)state;
    both_ways("udp:[::1]:0", 6);
}

static void tx__runs_arrive_whole_and_in_order(void **state)
{
    static const uint16_t lens[] = {1000, 1000, 1000, 400, 1000, 1466, 1466, 100};
    struct port *a = open_spec("udp:127.0.0.1:0", 0, 1);
    struct port *b = open_spec("udp:127.0.0.1:0", 0, 1);
    struct pkt *out[PORT_BURST * 3], *in[PORT_BURST * 3];

    (void)state;
    for (uint32_t i = 0; i < PORT_BURST * 3; i++) {
        out[i] = packet(b, i, lens[i % 8]);
        if (i % 5 == 4)
            out[i]->data[0] = 'd';
    }
    assert_int_equal(port_tx(a, 0, out, PORT_BURST * 3, 0), PORT_BURST * 3);
    assert_int_equal(receive(b, 0, in, PORT_BURST * 3), PORT_BURST * 3);
    for (uint32_t i = 0; i < PORT_BURST * 3; i++) {
        assert_int_equal(in[i]->len, lens[i % 8]);
        assert_memory_equal(in[i]->data + 4, &i, 4);
        assert_int_equal(pkt_is_krpc(in[i]), i % 5 == 4);
        pkt_free(pools[0], in[i]);
    }
    assert_int_equal(atomic_load(&a->stats[0].tx), PORT_BURST * 3);
    port_close(a);
    port_close(b);
}

static void tx__held_packet_is_unchanged(void **state)
{
    struct port *a = open_spec("udp:127.0.0.1:0", 0, 1);
    struct pkt *p = packet(a, 5, 100), *in[2];
    uint8_t before[100];

    (void)state;
    memcpy(before, p->data, 100);
    for (unsigned i = 0; i < 2; i++) {
        pkt_hold(pools[0], p);
        assert_int_equal(port_tx(a, 0, &p, 1, 0), 1);
        assert_memory_equal(p->data, before, 100);
    }
    assert_int_equal(receive(a, 0, in, 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_memory_equal(in[i]->data, before, 100);
        pkt_free(pools[0], in[i]);
    }
    pkt_free(pools[0], p);
    port_close(a);
}

static void tx__what_cannot_leave_is_counted(void **state)
{
    struct port *a = open_spec("udp:127.0.0.1:0", 0, 1);
    struct pkt *p = packet(a, 5, (uint16_t)(a->payload_max + 1));

    (void)state;
    assert_int_equal(port_tx(a, 0, &p, 1, 0), 1);
    assert_int_equal(atomic_load(&a->stats[0].drops[PORT_DROP_OVERSIZE]), 1);
    p = packet(a, 5, 100);
    assert_true(addr_parse("[::1]:7", 0, &p->peer));
    assert_int_equal(port_tx(a, 0, &p, 1, 0), 1);
    assert_int_equal(atomic_load(&a->stats[0].drops[PORT_DROP_DOWN]), 1);
    port_close(a);
}

static void rx__bad_leads_and_empty_datagrams_are_counted(void **state)
{
    static const char *const bad[] = {"\0\0\0\0\0x11", "xyz", "\0\0\0\0\0\0", ""};
    static const size_t lens[] = {8, 3, 6, 0};
    struct port *a = open_spec("udp:127.0.0.1:0", 0, 1);
    struct pkt *in, *out = packet(a, 1, 50);
    struct sockaddr_storage name;
    socklen_t len = addr_to_sockaddr(&a->address, &name);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(sendto(fd, bad[i], lens[i], 0, (struct sockaddr *)&name, len),
                         lens[i]);
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(receive(a, 0, &in, 1), 1);
    pkt_free(pools[0], in);
    assert_int_equal(atomic_load(&a->stats[0].drops[PORT_DROP_LEAD]), 2);
    assert_int_equal(atomic_load(&a->stats[0].drops[PORT_DROP_SHORT]), 2);
    close(fd);
    port_close(a);
}

static void rx__link_packets_go_to_the_lane_of_their_link(void **state)
{
    struct port *a = open_spec("udp:127.0.0.1:0", 0, 1);
    struct port *b = open_spec("udp:127.0.0.1:0", 0, 3);
    struct pkt *p, *in;

    (void)state;
    assert_non_null(b);
    for (uint32_t lane = 0; lane < 5; lane++) {
        unsigned want = lane < 3 ? lane : 0;

        p = packet(b, 0, 100);
        proa_put_le64(p->data + PACKET_AT_DST_LINK, link_id_make(lane, 77, 12345));
        assert_int_equal(port_tx(a, 0, &p, 1, 0), 1);
        assert_int_equal(receive(b, want, &in, 1), 1);
        pkt_free(pools[want], in);
    }
    p = packet(b, 0, 100); /* KRPC whose bytes would name lane 2 */
    proa_put_le64(p->data + PACKET_AT_DST_LINK, link_id_make(2, 77, 12345));
    p->data[0] = 'd';
    assert_int_equal(port_tx(a, 0, &p, 1, 0), 1);
    assert_int_equal(receive(b, 0, &in, 1), 1);
    pkt_free(pools[0], in);
    port_close(a);
    port_close(b);
}

static void expect_error(const char *spec, const char *part)
{
    err[0] = '\0';
    assert_null(open_spec(spec, 0, 1));
    if (strstr(err, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err, part);
    assert_non_null(strstr(err, spec));
}

static void open__errors_say_cause_and_remedy(void **state)
{
    struct port *a = open_spec("udp:127.0.0.1:0", 0, 1);
    struct port *many = open_spec("udp:127.0.0.1:0", 0, 2);
    char spec[64];

    (void)state;
    snprintf(spec, sizeof(spec), "udp:127.0.0.1:%u", a->address.port);
    expect_error(spec, "choose another");
    assert_null(open_spec(spec, 0, 2));
    snprintf(spec, sizeof(spec), "udp:127.0.0.1:%u", many->address.port);
    expect_error(spec, "choose another");
    assert_null(open_spec(spec, 0, 2)); /* not even with several lanes of its own */
    port_close(many);
    expect_error("udp:198.51.100.77:0", "no interface here has this address");
    expect_error("udp:localhost", "is not an address");
    expect_error("udp:", "is not an address");
    assert_null(open_spec("udp:127.0.0.1:0", 100, 1));
    assert_non_null(strstr(err, "mtu 100"));
    port_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4__both_ways),
        cmocka_unit_test(ipv6__both_ways),
        cmocka_unit_test(tx__runs_arrive_whole_and_in_order),
        cmocka_unit_test(tx__held_packet_is_unchanged),
        cmocka_unit_test(tx__what_cannot_leave_is_counted),
        cmocka_unit_test(rx__bad_leads_and_empty_datagrams_are_counted),
        cmocka_unit_test(rx__link_packets_go_to_the_lane_of_their_link),
        cmocka_unit_test(open__errors_say_cause_and_remedy),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
