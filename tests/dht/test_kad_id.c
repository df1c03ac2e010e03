/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kad_id.h"
#include "vectors.h"

static const struct kad_id zero;

static struct kad_id random_id(uint64_t *rng)
{
    struct kad_id id;

    for (size_t i = 0; i < sizeof(id.b); i++) {
        *rng = *rng * 6364136223846793005u + 1442695040888963407u;
        id.b[i] = (uint8_t)(*rng >> 56);
    }
    return id;
}

static void compare__orders_by_the_first_differing_byte(void **state)
{
    struct kad_id low = {.b = {1, 2, [19] = 255}}, high = {.b = {1, 3}};

    (void)state;
    assert_true(kad_id_compare(&low, &high) < 0);
    assert_true(kad_id_compare(&high, &low) > 0);
    assert_int_equal(kad_id_compare(&low, &low), 0);
    assert_true(kad_id_equal(&low, &low));
    high = low;
    high.b[19] ^= 1;
    assert_false(kad_id_equal(&low, &high));
}

static void closer__measures_xor_not_the_difference(void **state)
{
    struct kad_id target = {.b = {0x80}}, near = {.b = {0xff}}, far = {.b = {0x7f}};

    (void)state;
    /* 0x80 ^ 0xff = 0x7f is closer than 0x80 ^ 0x7f = 0xff, though 0x7f is next to 0x80. */
    assert_true(kad_id_closer(&target, &near, &far) < 0);
    assert_true(kad_id_closer(&target, &far, &near) > 0);
    assert_int_equal(kad_id_closer(&target, &near, &near), 0);
}

static void closer__agrees_with_prefix(void **state)
{
    uint64_t rng = 20260701;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)rng);
    for (int i = 0; i < 2000; i++) {
        struct kad_id target = random_id(&rng), a, b, random = random_id(&rng);
        uint32_t pa = (uint32_t)(rng >> 33) % 161, pb = (uint32_t)(rng >> 43) % 161;

        kad_id_at_prefix(&target, pa, random.b, &a);
        kad_id_at_prefix(&target, pb, random.b, &b);
        assert_int_equal(kad_id_prefix(&target, &a), pa);
        assert_int_equal(kad_id_prefix(&b, &target), pb);
        if (pa != pb)
            assert_int_equal(kad_id_closer(&target, &a, &b) < 0, pa > pb);
    }
}

static void prefix__counts_bits_up_to_160(void **state)
{
    struct kad_id other = zero;

    (void)state;
    assert_int_equal(kad_id_prefix(&zero, &zero), 160);
    other.b[19] = 1;
    assert_int_equal(kad_id_prefix(&zero, &other), 159);
    other.b[0] = 0x80;
    assert_int_equal(kad_id_prefix(&zero, &other), 0);
    other.b[0] = 0x01;
    assert_int_equal(kad_id_prefix(&zero, &other), 7);
}

static void bits__reads_across_bytes_and_past_the_end(void **state)
{
    struct kad_id id = {.b = {0x12, 0x34, 0x56, 0x78, 0x9a, [19] = 0xff}};

    (void)state;
    assert_int_equal(kad_id_bits(&id, 0, 4), 0x1);
    assert_int_equal(kad_id_bits(&id, 4, 8), 0x23);
    assert_int_equal(kad_id_bits(&id, 3, 3), 0x4); /* 1 0010 0011: bits 100 */
    assert_int_equal(kad_id_bits(&id, 0, 32), 0x12345678);
    assert_int_equal(kad_id_bits(&id, 4, 32), 0x23456789);
    assert_int_equal(kad_id_bits(&id, 156, 8), 0xf0);
}

static void at_prefix__takes_random_bits_after_the_inverted_one(void **state)
{
    struct kad_id ones, got;
    uint8_t random[20] = {0};

    (void)state;
    memset(ones.b, 0xff, sizeof(ones.b));
    kad_id_at_prefix(&ones, 3, random, &got);
    assert_int_equal(got.b[0], 0xe0);
    for (size_t i = 1; i < 20; i++)
        assert_int_equal(got.b[i], 0);
    kad_id_at_prefix(&ones, 159, random, &got);
    assert_int_equal(got.b[19], 0xfe);
    kad_id_at_prefix(&ones, 160, random, &got);
    assert_true(kad_id_equal(&ones, &got));
}

static void node64__is_big_endian(void **state)
{
    struct kad_id id = {.b = {1, 2, 3, 4, 5, 6, 7, 8, 9}};

    (void)state;
    assert_true(kad_id_node64(&id) == 0x0102030405060708u);
}

static void valid__refuses_eight_leading_zero_bytes(void **state)
{
    struct kad_id id = {.b = {[8] = 1}};

    (void)state;
    assert_false(kad_id_valid(&id));
    id.b[7] = 1;
    assert_true(kad_id_valid(&id));
}

static void of_name__vector(void **state)
{
    const char *block = vector_block("targets");
    struct kad_id expected, target;

    (void)state;
    assert_int_equal(strncmp(vector_line(block, "text"), "text printer\n", 13), 0);
    vector_bytes(block, "name", expected.b, sizeof(expected.b));
    kad_id_of_name("printer", 7, &target);
    assert_memory_equal(target.b, expected.b, sizeof(target.b));
    vector_bytes(block, "group", expected.b, sizeof(expected.b));
    kad_id_of_group("printer", 7, &target);
    assert_memory_equal(target.b, expected.b, sizeof(target.b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare__orders_by_the_first_differing_byte),
        cmocka_unit_test(closer__measures_xor_not_the_difference),
        cmocka_unit_test(closer__agrees_with_prefix),
        cmocka_unit_test(prefix__counts_bits_up_to_160),
        cmocka_unit_test(bits__reads_across_bytes_and_past_the_end),
        cmocka_unit_test(at_prefix__takes_random_bits_after_the_inverted_one),
        cmocka_unit_test(node64__is_big_endian),
        cmocka_unit_test(valid__refuses_eight_leading_zero_bytes),
        cmocka_unit_test(of_name__vector),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
