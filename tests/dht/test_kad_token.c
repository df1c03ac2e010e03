/* SPDX-License-Identifier: Apache-2.0 */
/* Of kad_token.c, and of kad_random.c, which its secrets come from. */
#include "kad_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct proa_addr here = {.family = 4, .port = 7400, .ip = {[15] = 1}};

static void random__same_seed_and_secret_same_stream(void **state)
{
    struct kad_random a, b, c, d;
    uint8_t left[200], right[200];

    (void)state;
    kad_random_init(&a, 1, "secret", 6);
    kad_random_init(&b, 1, "secret", 6);
    kad_random_init(&c, 2, "secret", 6);
    kad_random_init(&d, 1, "secreT", 6);
    kad_random_bytes(&a, left, sizeof(left));
    for (size_t i = 0; i < sizeof(right); i += 8) {
        uint64_t word = kad_random_u64(&b);

        memcpy(right + i, &word, sizeof(word));
    }
    assert_memory_equal(left, right, sizeof(left));
    kad_random_bytes(&c, right, sizeof(right));
    assert_memory_not_equal(left, right, sizeof(left));
    kad_random_bytes(&d, right, sizeof(right));
    assert_memory_not_equal(left, right, sizeof(left));
}

static void random__jitter_is_a_fifth_either_way(void **state)
{
    struct kad_random random;
    proa_ns least = PROA_NS_NEVER, most = 0;

    (void)state;
    kad_random_init(&random, 7, "x", 1);
    for (int i = 0; i < 1000; i++) {
        proa_ns span = kad_random_jitter(&random, 1000);

        least = span < least ? span : least;
        most = span > most ? span : most;
    }
    assert_in_range(least, 800, 830);
    assert_in_range(most, 1170, 1200);
    assert_int_equal(kad_random_jitter(&random, 0), 0);
}

static void holds__only_at_its_endpoint(void **state)
{
    struct kad_random random;
    struct kad_token token;
    uint8_t given[KAD_TOKEN_LEN];
    struct proa_addr port = here, ip = here;

    (void)state;
    kad_random_init(&random, 1, "secret", 6);
    kad_token_init(&token, &random);
    port.port++;
    ip.ip[15]++;
    kad_token_make(&token, &here, given);
    assert_true(kad_token_holds(&token, &here, given, sizeof(given)));
    assert_false(kad_token_holds(&token, &port, given, sizeof(given)));
    assert_false(kad_token_holds(&token, &ip, given, sizeof(given)));
    assert_false(kad_token_holds(&token, &here, given, sizeof(given) - 1));
    assert_false(kad_token_holds(&token, &here, NULL, 0));
    given[3] ^= 1;
    assert_false(kad_token_holds(&token, &here, given, sizeof(given)));
}

static void rotate__one_period_back_holds_two_do_not(void **state)
{
    struct kad_random random;
    struct kad_token token;
    uint8_t given[KAD_TOKEN_LEN], next[KAD_TOKEN_LEN];

    (void)state;
    kad_random_init(&random, 1, "secret", 6);
    kad_token_init(&token, &random);
    kad_token_make(&token, &here, given);
    kad_token_rotate(&token, &random);
    assert_true(kad_token_holds(&token, &here, given, sizeof(given)));
    kad_token_make(&token, &here, next);
    assert_memory_not_equal(given, next, sizeof(given));
    kad_token_rotate(&token, &random);
    assert_false(kad_token_holds(&token, &here, given, sizeof(given)));
    assert_true(kad_token_holds(&token, &here, next, sizeof(next)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random__same_seed_and_secret_same_stream),
        cmocka_unit_test(random__jitter_is_a_fifth_either_way),
        cmocka_unit_test(holds__only_at_its_endpoint),
        cmocka_unit_test(rotate__one_period_back_holds_two_do_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
