/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "pool_plain.h"
#include "port_ring.h"

static struct pkt_pool *pool;
static char err[300];

static int setup(void **state)
{
    (void)state;
    pool = pool_plain_create(256, 0, 1500);
    return pool == NULL;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(pool_plain_in_use(pool), 0);
    pool_plain_destroy(pool);
    return 0;
}

static struct port *open_ring(const char *hub, uint32_t ip, uint32_t slots)
{
    struct port_ring_args args = {
        .hub = hub, .slots = slots, .queues = 1, .pools = &pool, .prefix = 120};

    if (ip != 0)
        args.address = addr_v4(ip, 7400);
    return port_ring_open(&args, err, sizeof(err));
}

static struct pkt *packet(struct pkt_pool *from, const struct port *to, uint8_t first,
                          uint16_t len)
{
    struct pkt *p = pkt_alloc(from, 0);

    assert_non_null(p);
    memset(p->data, first, len);
    p->len = len;
    p->source = 0;
    p->peer = to->address;
    return p;
}

static uint64_t dropped(const struct port *port, enum port_drop why)
{
    return atomic_load(&port->stats[0].drops[why]);
}

static void tx__arrives_with_source_and_time(void **state)
{
    struct port *a = open_ring("h", 0x0a000001, 16), *b = open_ring("h", 0x0a000002, 16);
    struct pkt *out = packet(pool, b, 0x11, 100), *in[PORT_BURST];

    (void)state;
    assert_int_equal(port_tx(a, 0, &out, 1, 5), 1);
    assert_int_equal(port_rx(a, 0, in, PORT_BURST, 7), 0);
    assert_int_equal(port_rx(b, 0, in, PORT_BURST, 7), 1);
    assert_int_equal(in[0]->len, 100);
    assert_int_equal(in[0]->data[99], 0x11);
    assert_true(addr_equal(&in[0]->peer, &a->address));
    assert_int_equal(in[0]->sent_at, 7);
    assert_int_equal(atomic_load(&a->stats[0].tx), 1);
    assert_int_equal(atomic_load(&b->stats[0].rx_bytes), 100);
    pkt_free(pool, in[0]);
    port_close(a);
    port_close(b);
}

static void tx__a_held_packet_stays_with_its_other_owner(void **state)
{
    struct port *a = open_ring("h", 0, 16), *b = open_ring("h", 0, 16);
    struct pkt *out = packet(pool, b, 0x11, 100), *in;

    (void)state;
    pkt_hold(pool, out);
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(out->data[50], 0x11);
    pkt_free(pool, out);
    assert_int_equal(port_rx(b, 0, &in, 1, 0), 1);
    pkt_free(pool, in);
    port_close(a);
    port_close(b);
}

static void tx__full_ring_loses_and_counts(void **state)
{
    struct port *a = open_ring("h", 0, 4), *b = open_ring("h", 0, 4);
    struct pkt *in[PORT_BURST];

    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        for (uint8_t i = 0; i < 6; i++) {
            struct pkt *out = packet(pool, b, i, 40);

            assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
        }
        assert_int_equal(port_rx(b, 0, in, PORT_BURST, 0), 4);
        for (uint8_t i = 0; i < 4; i++) {
            assert_int_equal(in[i]->data[0], i);
            pkt_free(pool, in[i]);
        }
        assert_int_equal(dropped(a, PORT_DROP_TX), 2 * (round + 1));
    }
    port_close(a);
    port_close(b);
}

static void tx__to_nobody_and_too_large_are_counted(void **state)
{
    struct port *a = open_ring("h", 0, 4), *b = open_ring("h", 0, 4);
    struct pkt *out = packet(pool, b, 1, 40);

    (void)state;
    out->peer = addr_v4(0x01020304, 7400);
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(dropped(a, PORT_DROP_DOWN), 1);
    out = packet(pool, b, 1, (uint16_t)(a->payload_max + 1));
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(dropped(a, PORT_DROP_OVERSIZE), 1);
    port_close(b);
    out = packet(pool, a, 1, 40);
    out->peer = addr_v4(0x0a540002, 7400); /* b's, now closed */
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(dropped(a, PORT_DROP_DOWN), 2);
    port_close(a);
}

static void rx__dry_pool_loses_and_counts(void **state)
{
    struct port *a = open_ring("h", 0, 16), *b;
    struct pkt_pool *small = pool_plain_create(1, 0, 1500);
    struct port_ring_args args = {.hub = "h", .slots = 16, .queues = 1, .pools = &small};
    struct pkt *in[PORT_BURST];

    (void)state;
    b = port_ring_open(&args, err, sizeof(err));
    for (uint8_t i = 0; i < 3; i++) {
        struct pkt *out = packet(pool, b, i, 40);

        port_tx(a, 0, &out, 1, 0);
    }
    assert_int_equal(port_rx(b, 0, in, PORT_BURST, 0), 1);
    assert_int_equal(dropped(b, PORT_DROP_POOL), 2);
    pkt_free(small, in[0]);
    port_close(a);
    port_close(b);
    pool_plain_destroy(small);
}

static void open__names_addresses_and_errors(void **state)
{
    struct port *a = open_ring("h", 0x0a000001, 16), *other, *derived;

    (void)state;
    assert_null(open_ring("h", 0x0a000001, 16));
    assert_non_null(strstr(err, "10.0.0.1:7400 is taken"));
    other = open_ring("elsewhere", 0x0a000001, 16); /* another hub, another network */
    assert_non_null(other);
    derived = open_ring("h", 0, 16);
    assert_true(addr_in_prefix(&derived->address, &derived->address, derived->prefix));
    assert_false(addr_same_ip(&derived->address, &a->address));
    port_close(a);
    a = open_ring("h", 0x0a000001, 16); /* a restart */
    assert_non_null(a);
    port_close(a);
    assert_null(open_ring("h", 0x0a000001, 32));
    port_close(derived);
    port_close(other);
}

static void spec__reads_address_and_mtu(void **state)
{
    struct proa_port_config config = {
        .spec = "ring:s", .address = "10.1.0.9/16", .mtu = 9000};
    struct port_open_args args = {
        .config = &config, .queues = 1, .pools = &pool, .index = 3, .udp_port = 99};
    struct port *port = port_ring_spec(&args, err, sizeof(err));

    (void)state;
    assert_non_null(port);
    assert_int_equal(port->prefix, 112);
    assert_int_equal(port->address.port, 99);
    assert_int_equal(port->payload_max, 9000 - 34);
    assert_int_equal(port->index, 3);
    port_close(port);
    snprintf(config.spec, sizeof(config.spec), "ring:");
    assert_null(port_ring_spec(&args, err, sizeof(err)));
    assert_non_null(strstr(err, "ring:NAME"));
}

static void fd__becomes_readable_when_armed(void **state)
{
    struct port *a = open_ring("h", 0, 16), *b = open_ring("h", 0, 16);
    struct pkt *out = packet(pool, b, 1, 40), *in;
    struct pollfd poll_b = {.fd = port_fd(b, 0), .events = POLLIN};

    (void)state;
    assert_true(poll_b.fd >= 0);
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(poll(&poll_b, 1, 0), 0); /* not armed: no system call was made */
    port_arm(b, 0);
    assert_int_equal(port_rx(b, 0, &in, 1, 0), 1); /* the look after arming */
    pkt_free(pool, in);
    out = packet(pool, b, 1, 40);
    assert_int_equal(port_tx(a, 0, &out, 1, 0), 1);
    assert_int_equal(poll(&poll_b, 1, 0), 1);
    port_disarm(b, 0);
    assert_int_equal(poll(&poll_b, 1, 0), 0);
    assert_int_equal(port_fd(b, 0), poll_b.fd);
    assert_int_equal(port_rx(b, 0, &in, 1, 0), 1);
    pkt_free(pool, in);
    port_close(a);
    port_close(b);
}

/* Two senders with pools of their own, one reader: nothing lost, each one's order kept. */

#define EACH 20000

struct sender {
    struct port *port;
    struct proa_addr to;
    struct pkt_pool *pool;
    uint8_t who;
};

static void *send_many(void *arg)
{
    struct sender *s = arg;

    for (uint32_t i = 0; i < EACH;) {
        struct pkt *p = pkt_alloc(s->pool, 0);
        uint64_t lost = dropped(s->port, PORT_DROP_TX);

        p->data[0] = s->who;
        memcpy(p->data + 4, &i, 4);
        p->len = 64;
        p->source = 0;
        p->peer = s->to;
        port_tx(s->port, 0, &p, 1, 0);
        if (dropped(s->port, PORT_DROP_TX) == lost)
            i++;
    }
    return NULL;
}

static void threads__two_senders_keep_their_order(void **state)
{
    struct port *to = open_ring("t", 0, 64);
    struct sender senders[2];
    uint32_t next[2] = {0, 0}, got = 0;
    pthread_t threads[2];
    struct pkt *in[PORT_BURST];

    (void)state;
    for (uint8_t i = 0; i < 2; i++) {
        struct pkt_pool *own = pool_plain_create(8, 0, 1500);
        struct port_ring_args args = {.hub = "t", .slots = 4, .queues = 1, .pools = &own};

        senders[i] = (struct sender){.to = to->address, .pool = own, .who = i};
        senders[i].port = port_ring_open(&args, err, sizeof(err));
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    while (got < 2 * EACH) {
        unsigned n = port_rx(to, 0, in, PORT_BURST, 0);

        for (unsigned i = 0; i < n; i++) {
            uint32_t number;

            memcpy(&number, in[i]->data + 4, 4);
            assert_int_equal(number, next[in[i]->data[0]]++);
            pkt_free(pool, in[i]);
        }
        got += n;
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        port_close(senders[i].port);
        assert_int_equal(senders[i].pool->in_use, 0);
        pool_plain_destroy(senders[i].pool);
    }
    port_close(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tx__arrives_with_source_and_time),
        cmocka_unit_test(tx__a_held_packet_stays_with_its_other_owner),
        cmocka_unit_test(tx__full_ring_loses_and_counts),
        cmocka_unit_test(tx__to_nobody_and_too_large_are_counted),
        cmocka_unit_test(rx__dry_pool_loses_and_counts),
        cmocka_unit_test(open__names_addresses_and_errors),
        cmocka_unit_test(spec__reads_address_and_mtu),
        cmocka_unit_test(fd__becomes_readable_when_armed),
        cmocka_unit_test(threads__two_senders_keep_their_order),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
