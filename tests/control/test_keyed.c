/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "keyed.h"

#define LEN (PACKET_OPEN_LEN + PACKET_TAG_LEN)

static struct identity self;
static struct cluster_keys keys, other_keys;

static struct packet_open an_open(void)
{
    return (struct packet_open){.src_node = kad_id_node64(&self.id),
                                .dst_node = 2,
                                .nonce = 3,
                                .echo = 4,
                                .link = 5,
                                .peer_link = 6,
                                .start = 7,
                                .peer_start = 8,
                                .mtu = PACKET_MTU_MIN};
}

static void holds__no_bit_may_change(void **state)
{
    uint8_t buf[LEN];
    struct packet_open open = an_open();

    (void)state;
    keyed_open_put(&self, &keys, buf, LEN, PACKET_SYNACK, &open);
    assert_true(keyed_holds(&keys, buf, LEN));
    assert_false(keyed_holds(&other_keys, buf, LEN));
    assert_false(keyed_holds(&keys, buf, LEN - 1));
    assert_false(keyed_holds(&keys, buf, PACKET_HEADER_LEN + PACKET_TAG_LEN - 1));
    for (unsigned bit = 0; bit < 8 * LEN; bit++) {
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(keyed_holds(&keys, buf, LEN));
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void open_holds__covers_every_field(void **state)
{
    uint8_t buf[LEN];
    struct packet_open open = an_open(), got;
    struct kad_id id;

    (void)state;
    keyed_open_put(&self, &keys, buf, LEN, PACKET_OPEN, &open);
    assert_int_equal(packet_open_get(buf, LEN, &got), 0);
    assert_true(keyed_open_holds(buf, &got, &id));
    assert_true(kad_id_equal(&id, &self.id));
    /* All but the signature itself, whose every byte counts anyway. */
    for (unsigned i = 0; i < PACKET_OPEN_LEN; i++) {
        buf[i] ^= 1;
        if (packet_open_get(buf, LEN, &got) == 0)
            assert_false(keyed_open_holds(buf, &got, &id));
        buf[i] ^= 1;
    }
}

static void open_holds__the_key_must_be_the_nodes(void **state)
{
    uint8_t buf[LEN];
    struct packet_open open = an_open(), got;
    struct kad_id id;

    (void)state;
    open.src_node ^= 1; /* rightly signed, by somebody else */
    keyed_open_put(&self, &keys, buf, LEN, PACKET_OPEN, &open);
    assert_int_equal(packet_open_get(buf, LEN, &got), 0);
    assert_false(keyed_open_holds(buf, &got, &id));
}

static void open_holds__a_synack_is_no_open(void **state)
{
    uint8_t buf[LEN];
    struct packet_open open = an_open(), got;
    struct kad_id id;

    (void)state;
    keyed_open_put(&self, &keys, buf, LEN, PACKET_SYNACK, &open);
    buf[0] = (uint8_t)(buf[0] & 15) | PACKET_OPEN << 4;
    keyed_seal(&keys, buf, LEN);
    assert_true(keyed_holds(&keys, buf, LEN));
    assert_int_equal(packet_open_get(buf, LEN, &got), 0);
    assert_false(keyed_open_holds(buf, &got, &id));
}

static void open_put__does_not_sign_a_syn(void **state)
{
    static const uint8_t zero[64];
    uint8_t buf[PACKET_MTU_MIN];
    struct packet_open open = an_open();

    (void)state;
    open.peer_link = 0;
    keyed_open_put(&self, &keys, buf, sizeof(buf), PACKET_SYN, &open);
    assert_memory_equal(buf + PACKET_OPEN_SIGNED_AT, zero, sizeof(zero));
    assert_true(keyed_holds(&keys, buf, sizeof(buf)));
}

static void ping_put__has_a_tag(void **state)
{
    uint8_t buf[KEYED_PING_LEN];
    struct packet_ping ping = {.src_node = 1, .dst_node = 2, .nonce = 3}, got;
    size_t len = keyed_ping_put(&keys, buf, PACKET_PING, &ping);

    (void)state;
    assert_int_equal(len, KEYED_PING_LEN);
    assert_true(keyed_holds(&keys, buf, len));
    assert_int_equal(packet_ping_get(buf, len, &got), 0);
    assert_int_equal(got.nonce, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds__no_bit_may_change),
        cmocka_unit_test(open_holds__covers_every_field),
        cmocka_unit_test(open_holds__the_key_must_be_the_nodes),
        cmocka_unit_test(open_holds__a_synack_is_no_open),
        cmocka_unit_test(open_put__does_not_sign_a_syn),
        cmocka_unit_test(ping_put__has_a_tag),
    };
    uint8_t seed[PROA_SEED_LEN] = {1}, secret[PROA_CLUSTER_SECRET_LEN] = {2};

    if (sodium_init() < 0 || identity_init(&self, seed) != 0)
        return 1;
    cluster_keys_init(&keys, secret);
    secret[0]++;
    cluster_keys_init(&other_keys, secret);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
