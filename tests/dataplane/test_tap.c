/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "tap.h"

static uint8_t bytes[2048];

static struct pkt packet_of(unsigned kind, uint16_t len)
{
    struct pkt p = {.data = bytes, .len = len, .peer = addr_v4(0x0a000001, 7400)};

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    bytes[0] = (uint8_t)(kind << 4 | PACKET_VERSION);
    return p;
}

static void kind__of_every_packet(void **state)
{
    struct pkt p;

    (void)state;
    for (unsigned kind = 0; kind < 16; kind++) {
        p = packet_of(kind, 64);
        /* 'd' is 0x64: a KRPC datagram, whatever kind that would be. */
        assert_int_equal(tap_kind(&p), kind < PACKET_KIND_COUNT ? kind : TAP_OTHER);
    }
    bytes[0] = 'd';
    assert_int_equal(tap_kind(&p), TAP_KRPC);
    p.len = 1;
    assert_int_equal(tap_kind(&p), TAP_KRPC);
    p.len = 0;
    assert_int_equal(tap_kind(&p), TAP_OTHER);
    p = packet_of(PACKET_ACK, PACKET_HEADER_LEN - 1);
    assert_int_equal(tap_kind(&p), TAP_OTHER);
}

static void wants__kinds_and_peer(void **state)
{
    struct tap_filter filter = {.kinds = 1u << PACKET_PING | 1u << TAP_KRPC, .snap = 64};
    struct pkt p = packet_of(PACKET_PING, 64);

    (void)state;
    assert_true(tap_wants(&filter, &p));
    filter.peer = addr_v4(0x0a000001, 0);
    assert_true(tap_wants(&filter, &p));
    filter.peer.port = 7400;
    assert_true(tap_wants(&filter, &p));
    filter.peer.port = 7401;
    assert_false(tap_wants(&filter, &p));
    filter.peer = addr_v4(0x0a000002, 0);
    assert_false(tap_wants(&filter, &p));
    filter.peer = addr_v4(0x0a000001, 0);
    filter.peer.family = 6; /* the mapped bytes alone do not make it the same */
    assert_false(tap_wants(&filter, &p));
    filter.peer.family = 0;
    p = packet_of(PACKET_PONG, 64);
    assert_false(tap_wants(&filter, &p));
}

static void packet__is_copied_up_to_snap(void **state)
{
    struct tap tap = {.filter = {.kinds = TAP_KINDS_ALL, .snap = 40},
                      .ring = byte_ring_create(4096)};
    struct pkt p = packet_of(PACKET_DATA, 100);
    const struct byte_record *record;
    struct tap_record head;

    (void)state;
    assert_non_null(tap.ring);
    p.port = 3;
    tap_packet(&tap, &p, 77, true);
    p.len = 33;
    tap_packet(&tap, &p, 78, false);
    record = byte_ring_peek(tap.ring);
    assert_non_null(record);
    assert_int_equal(record->kind, TAP_PACKET);
    assert_int_equal(record->len, sizeof(head) + 40);
    memcpy(&head, record->body, sizeof(head));
    assert_int_equal(head.at, 77);
    assert_int_equal(head.len, 100);
    assert_int_equal(head.port, 3);
    assert_int_equal(head.out, 1);
    assert_true(addr_equal(&head.peer, &p.peer));
    assert_memory_equal(record->body + sizeof(head), bytes, 40);
    byte_ring_pop(tap.ring);
    record = byte_ring_peek(tap.ring);
    assert_int_equal(record->len, sizeof(head) + 33);
    memcpy(&head, record->body, sizeof(head));
    assert_int_equal(head.out, 0);
    byte_ring_pop(tap.ring);
    assert_null(byte_ring_peek(tap.ring));
    assert_int_equal(atomic_load(&tap.taken[3]), 2);
    assert_int_equal(atomic_load(&tap.dropped[3]), 0);
    byte_ring_destroy(tap.ring);
}

static void packet__full_ring_drops_and_counts(void **state)
{
    struct tap tap = {.filter = {.kinds = 1u << PACKET_DATA, .snap = 65535},
                      .ring = byte_ring_create(4096)};
    struct pkt p = packet_of(PACKET_DATA, 1000), other;
    unsigned read = 0;

    (void)state;
    p.port = 1;
    for (unsigned i = 0; i < 100; i++)
        tap_packet(&tap, &p, i, false);
    other = packet_of(PACKET_ACK, 64);
    other.port = 1;
    tap_packet(&tap, &other, 100, false); /* not wanted: not lost either */
    for (; byte_ring_peek(tap.ring) != NULL; read++)
        byte_ring_pop(tap.ring);
    assert_in_range(read, 1, 4);
    assert_int_equal(atomic_load(&tap.taken[1]), read);
    assert_int_equal(atomic_load(&tap.dropped[1]), 100 - read);
    p = packet_of(PACKET_DATA, 1000);
    tap_packet(&tap, &p, 0, false);
    assert_int_equal(atomic_load(&tap.taken[0]), 1); /* there is room again */
    byte_ring_destroy(tap.ring);
}

static void look__takes_over_and_lets_go(void **state)
{
    struct tap_point point = {.now = NULL};
    struct tap tap = {.ring = NULL};

    (void)state;
    tap_look(&point);
    assert_null(point.now);
    tap_want(&point, &tap);
    assert_null(tap_in_use(&point)); /* not before the lane has looked */
    tap_look(&point);
    assert_ptr_equal(point.now, &tap);
    assert_ptr_equal(tap_in_use(&point), &tap);
    tap_want(&point, NULL);
    assert_ptr_equal(tap_in_use(&point), &tap);
    tap_look(&point);
    assert_null(point.now);
    assert_null(tap_in_use(&point));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kind__of_every_packet),
        cmocka_unit_test(wants__kinds_and_peer),
        cmocka_unit_test(packet__is_copied_up_to_snap),
        cmocka_unit_test(packet__full_ring_drops_and_counts),
        cmocka_unit_test(look__takes_over_and_lets_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
