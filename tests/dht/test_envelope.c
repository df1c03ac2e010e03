/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "envelope.h"
#include "vectors.h"

#define NOW 1790000000000u /* ms, the time of the vector */
#define EPOCH 0x0102

/* The vector's datagram and keys, and where its 28 bytes begin. */
struct fixture {
    struct cluster_keys keys;
    uint8_t buf[256];
    size_t len;
    size_t at;
};

static struct fixture load(void)
{
    const char *block = vector_block("envelope");
    uint8_t secret[PROA_CLUSTER_SECRET_LEN];
    struct fixture self;

    vector_bytes(block, "secret", secret, sizeof(secret));
    cluster_keys_init(&self.keys, secret);
    self.len = vector_hex(block, "hex", self.buf, sizeof(self.buf));
    self.at = (size_t)vector_number(block, "at", 10);
    return self;
}

static int open_at(const struct fixture *self, uint64_t now)
{
    return envelope_open(&self->keys, self->buf, self->len, now, EPOCH, NULL);
}

static void open__vector(void **state)
{
    struct fixture self = load();
    const char *block = vector_block("envelope");
    struct envelope seen;

    (void)state;
    assert_int_equal(envelope_open(&self.keys, self.buf, self.len, NOW, EPOCH, &seen), 0);
    assert_int_equal(seen.version, vector_number(block, "version", 10));
    assert_int_equal(seen.flags, vector_number(block, "flags", 10));
    assert_int_equal(seen.epoch, vector_number(block, "epoch", 10));
    assert_true(seen.time_ms == vector_number(block, "time_ms", 10));
    assert_true(seen.time_ms == NOW);
}

static void seal__makes_the_vector_again(void **state)
{
    struct fixture self = load(), blank = self;

    (void)state;
    memset(blank.buf + blank.at, 0, PROA_ENVELOPE_LEN);
    assert_int_equal(envelope_seal(&blank.keys, blank.buf, blank.len, NOW, EPOCH, 0x80),
                     0);
    assert_memory_equal(blank.buf, self.buf, self.len);
}

static void seal__needs_its_room(void **state)
{
    struct fixture self = load();
    uint8_t without[] = "d1:t2:aa1:y1:re", shorter[] = "d2:an3:abce";
    uint8_t as_int[] = "d2:ani28ee",
            inside[] = "d1:ad2:an28:0123456789012345678901234567ee";

    (void)state;
    assert_int_equal(envelope_seal(&self.keys, without, sizeof(without) - 1, NOW, 1, 0),
                     ENVELOPE_E_MISSING);
    assert_int_equal(envelope_seal(&self.keys, shorter, sizeof(shorter) - 1, NOW, 1, 0),
                     ENVELOPE_E_MISSING);
    assert_int_equal(envelope_seal(&self.keys, as_int, sizeof(as_int) - 1, NOW, 1, 0),
                     ENVELOPE_E_MISSING);
    assert_int_equal(envelope_seal(&self.keys, inside, sizeof(inside) - 1, NOW, 1, 0),
                     ENVELOPE_E_MISSING);
}

/* No bit of the datagram can change unnoticed, the time and the length included. */
static void open__refuses_every_changed_bit(void **state)
{
    struct fixture self = load();

    (void)state;
    for (size_t bit = 0; bit < 8 * self.len; bit++) {
        self.buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(open_at(&self, NOW), 0);
        self.buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(open_at(&self, NOW), 0);
    self.buf[self.len++] = 0;
    assert_int_equal(open_at(&self, NOW), ENVELOPE_E_WRONG);
}

static void open__names_the_reason(void **state)
{
    struct fixture self = load(), changed = self;
    static const uint8_t plain[] =
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";

    (void)state;
    assert_int_equal(
        envelope_open(&self.keys, plain, sizeof(plain) - 1, NOW, EPOCH, NULL),
        ENVELOPE_E_MISSING);
    assert_int_equal(envelope_open(&self.keys, self.buf, 0, NOW, EPOCH, NULL),
                     ENVELOPE_E_MISSING);
    changed.buf[changed.at] = 2;
    assert_int_equal(open_at(&changed, NOW), ENVELOPE_E_VERSION);
    assert_int_equal(envelope_open(&self.keys, self.buf, self.len, NOW, EPOCH + 1, NULL),
                     ENVELOPE_E_EPOCH);
    changed = self;
    changed.keys.krpc[0] ^= 1;
    assert_int_equal(open_at(&changed, NOW), ENVELOPE_E_WRONG);
}

static void open__takes_30_s_either_way_and_no_more(void **state)
{
    struct fixture self = load();

    (void)state;
    assert_int_equal(open_at(&self, NOW + 30000), 0);
    assert_int_equal(open_at(&self, NOW - 30000), 0);
    assert_int_equal(open_at(&self, NOW + 30001), ENVELOPE_E_OLD);
    assert_int_equal(open_at(&self, NOW - 30001), ENVELOPE_E_OLD);
    assert_int_equal(open_at(&self, 0), ENVELOPE_E_OLD);
    assert_int_equal(open_at(&self, UINT64_MAX), ENVELOPE_E_OLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__vector),
        cmocka_unit_test(seal__makes_the_vector_again),
        cmocka_unit_test(seal__needs_its_room),
        cmocka_unit_test(open__refuses_every_changed_bit),
        cmocka_unit_test(open__names_the_reason),
        cmocka_unit_test(open__takes_30_s_either_way_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
