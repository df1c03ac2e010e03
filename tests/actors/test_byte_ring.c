/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byte_ring.h"

#define CAPACITY 256u

static struct byte_ring *ring_at(uint32_t count)
{
    struct byte_ring *r = byte_ring_create(CAPACITY);

    assert_non_null(r);
    r->head_seen = r->tail_seen = count;
    atomic_store(&r->tail, count);
    atomic_store(&r->head, count);
    return r;
}

static void push__head_and_tail_arrive_joined(void **state)
{
    struct byte_ring *r = ring_at(0);
    const struct byte_record *rec;

    (void)state;
    assert_true(byte_ring_is_empty(r));
    assert_true(byte_ring_push(r, 7, "abc", 3, "defgh", 5));
    assert_false(byte_ring_is_empty(r));
    rec = byte_ring_peek(r);
    assert_non_null(rec);
    assert_int_equal(rec->kind, 7);
    assert_int_equal(rec->len, 8);
    assert_memory_equal(rec->body, "abcdefgh", 8);
    assert_int_equal((uintptr_t)rec->body % 8, 0);
    byte_ring_pop(r);
    assert_null(byte_ring_peek(r));
    byte_ring_destroy(r);
}

static void push__empty_record(void **state)
{
    struct byte_ring *r = ring_at(UINT32_MAX - 7);

    (void)state;
    assert_true(byte_ring_push(r, 1, NULL, 0, NULL, 0));
    assert_int_equal(byte_ring_peek(r)->len, 0);
    byte_ring_pop(r);
    assert_null(byte_ring_peek(r));
    byte_ring_destroy(r);
}

static void push__full_refuses_and_changes_nothing(void **state)
{
    struct byte_ring *r = ring_at(0);
    uint8_t body[56];
    uint32_t n = 0;

    (void)state;
    memset(body, 1, sizeof(body));
    while (byte_ring_push(r, 1, body, sizeof(body), NULL, 0))
        n++;
    assert_int_equal(n, CAPACITY / 64);
    assert_int_equal(atomic_load(&r->tail), CAPACITY);
    byte_ring_peek(r);
    byte_ring_pop(r);
    assert_true(byte_ring_push(r, 1, body, sizeof(body), NULL, 0));
    byte_ring_destroy(r);
}

static void push__longest_fits_at_any_position(void **state)
{
    uint8_t body[CAPACITY];

    (void)state;
    memset(body, 9, sizeof(body));
    for (uint32_t at = 0; at < CAPACITY; at += 8) {
        struct byte_ring *r = ring_at(UINT32_MAX - CAPACITY + 1 + at);
        uint32_t max = byte_ring_record_max(r);

        assert_int_equal(max, CAPACITY / 2 - 8);
        assert_false(byte_ring_push(r, 2, body, max, body, 1));
        assert_false(byte_ring_push(r, 2, body, UINT32_MAX, body, UINT32_MAX));
        assert_true(byte_ring_push(r, 2, body, max - 3, body, 3));
        const struct byte_record *rec = byte_ring_peek(r);
        assert_int_equal(rec->len, max);
        assert_memory_equal(rec->body, body, max);
        assert_true(rec->body + max <= r->bytes + CAPACITY); /* never wraps */
        byte_ring_pop(r);
        assert_null(byte_ring_peek(r));
        byte_ring_destroy(r);
    }
}

/* Random pushes and pops against a plain model of what is inside. */
static void push__random_lengths_keep_order_and_bytes(void **state)
{
    struct byte_ring *r = ring_at(UINT32_MAX - 5000 + 1 - 8);
    uint32_t in = 0, out = 0;
    unsigned int seed = 20240607;

    (void)state;
    printf("seed %u\n", seed);
    for (uint32_t step = 0; step < 200000; step++) {
        uint32_t bytes[32];
        uint32_t words = 1 + in * 7 % 24;

        if (rand_r(&seed) % 2 == 0) {
            for (uint32_t i = 0; i < words; i++)
                bytes[i] = in + i;
            if (byte_ring_push(r, (uint16_t)(1 + in % 999), bytes, 4, bytes + 1,
                               4 * (words - 1)))
                in++;
        } else {
            const struct byte_record *rec = byte_ring_peek(r);

            assert_int_equal(rec == NULL, in == out);
            if (rec == NULL)
                continue;
            words = 1 + out * 7 % 24;
            assert_int_equal(rec->kind, 1 + out % 999);
            assert_int_equal(rec->len, 4 * words);
            for (uint32_t i = 0; i < words; i++) {
                memcpy(&bytes[i], rec->body + (size_t)4 * i, 4);
                assert_int_equal(bytes[i], out + i);
            }
            byte_ring_pop(r);
            out++;
        }
    }
    assert_true(in > 10000);
    byte_ring_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push__head_and_tail_arrive_joined),
        cmocka_unit_test(push__empty_record),
        cmocka_unit_test(push__full_refuses_and_changes_nothing),
        cmocka_unit_test(push__longest_fits_at_any_position),
        cmocka_unit_test(push__random_lengths_keep_order_and_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
