/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "secrets.h"

static struct identity identity_of(uint8_t first)
{
    uint8_t seed[PROA_SEED_LEN] = {first};
    struct identity id;

    assert_int_equal(identity_init(&id, seed), 0);
    return id;
}

static void next__repeats_for_the_same_seed_and_identity_only(void **state)
{
    struct identity a = identity_of(1), b = identity_of(2);
    struct secrets s[4];

    (void)state;
    secrets_init(&s[0], 7, &a);
    secrets_init(&s[1], 7, &a);
    secrets_init(&s[2], 8, &a);
    secrets_init(&s[3], 7, &b);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t n = secrets_next(&s[0]);
        assert_int_not_equal(n, 0);
        assert_int_equal(secrets_next(&s[1]), n);
        assert_int_not_equal(secrets_next(&s[2]), n);
        assert_int_not_equal(secrets_next(&s[3]), n);
    }
}

static void next__spreads_over_all_bits(void **state)
{
    struct identity a = identity_of(1);
    struct secrets s;
    unsigned ones[64] = {0};

    (void)state;
    secrets_init(&s, 1, &a);
    for (unsigned i = 0; i < 4096; i++) {
        uint64_t n = secrets_next(&s);
        for (unsigned bit = 0; bit < 64; bit++)
            ones[bit] += n >> bit & 1;
    }
    for (unsigned bit = 0; bit < 64; bit++) /* 2,048 expected; six deviations of 32 */
        assert_in_range(ones[bit], 2048 - 192, 2048 + 192);
}

static void fini__overwrites_the_key(void **state)
{
    struct identity a = identity_of(1);
    struct secrets s, zero;

    (void)state;
    memset(&zero, 0, sizeof(zero));
    secrets_init(&s, 1, &a);
    secrets_fini(&s);
    assert_memory_equal(&s, &zero, sizeof(s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next__repeats_for_the_same_seed_and_identity_only),
        cmocka_unit_test(next__spreads_over_all_bits),
        cmocka_unit_test(fini__overwrites_the_key),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
