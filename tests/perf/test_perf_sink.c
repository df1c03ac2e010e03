/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark's receivers find every wrong message: what they call checked, is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <proa/test.h>
#include <string.h>

#include "perf_payload.h"
#include "perf_sink.h"

#define SIZE 32u
#define WORDS (SIZE / 8)

struct fixture {
    struct proa_test *test;
    struct proa_ref receiver;
    struct perf_sink sink;
    uint64_t sum; /* of the words told */
};

static int setup(void **state)
{
    static struct fixture f;
    const struct proa_test_config config = {.nodes = 1, .seed = 1};
    struct perf_sink_arg arg = {.sink = &f.sink, .index = 0};

    memset(&f, 0, sizeof(f));
    perf_sink_init(&f.sink, SIZE, 1);
    f.test = proa_test_create(&config);
    assert_non_null(f.test);
    assert_int_equal(
        proa_test_spawn(f.test, 0, 0, &perf_receiver, &arg, sizeof(arg), &f.receiver),
        PROA_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    proa_test_destroy(f->test);
    return 0;
}

static void tell_words(struct fixture *f, const uint64_t *words, uint32_t len)
{
    assert_int_equal(proa_test_tell(f->test, 0, f->receiver, PERF_TYPE_TELL, words, len),
                     PROA_OK);
}

static void tell(struct fixture *f, uint64_t number)
{
    uint64_t words[WORDS];

    f->sum += perf_payload_fill(words, WORDS, number);
    tell_words(f, words, sizeof(words));
}

static void last(struct fixture *f, uint64_t sent)
{
    const struct perf_last account = {.sent = sent, .sum = f->sum};

    assert_int_equal(proa_test_tell(f->test, 0, f->receiver, PERF_TYPE_LAST, &account,
                                    sizeof(account)),
                     PROA_OK);
    proa_test_advance(f->test, PROA_MS);
    assert_true(perf_sink_done(&f->sink));
}

static void sink__good_messages_are_good(void **state)
{
    struct fixture *f = *state;

    for (uint64_t i = 0; i < 100; i++)
        tell(f, i);
    last(f, 100);
    assert_true(perf_sink_good(&f->sink));
    assert_int_equal(f->sink.received, 100);
    assert_true(f->sink.sum == f->sum);
}

static void sink__is_not_done_before_last(void **state)
{
    struct fixture *f = *state;

    tell(f, 0);
    proa_test_advance(f->test, PROA_MS);
    assert_false(perf_sink_done(&f->sink));
}

static void sink__a_missing_message_is_a_gap(void **state)
{
    struct fixture *f = *state;

    tell(f, 0);
    tell(f, 3);
    tell(f, 4);
    last(f, 5);
    assert_int_equal(f->sink.gaps, 2);
    assert_false(perf_sink_good(&f->sink));
}

static void sink__a_message_twice_is_a_repeat(void **state)
{
    struct fixture *f = *state;

    tell(f, 0);
    tell(f, 1);
    tell(f, 1);
    last(f, 2);
    assert_int_equal(f->sink.repeats, 1);
    assert_false(perf_sink_good(&f->sink));
}

static void sink__two_in_the_wrong_order_show(void **state)
{
    struct fixture *f = *state;

    tell(f, 1);
    tell(f, 0);
    last(f, 2);
    assert_int_equal(f->sink.gaps, 1);
    assert_int_equal(f->sink.repeats, 1);
}

/* The number is the one to come, of the receiver next door. */
static void sink__another_receivers_message_is_misdelivered(void **state)
{
    struct fixture *f = *state;

    tell(f, perf_first_number(1));
    tell(f, 0);
    last(f, 1);
    assert_int_equal(f->sink.misdelivered, 1);
    assert_int_equal(f->sink.gaps, 0);
    assert_false(perf_sink_good(&f->sink));
}

static void sink__each_damaged_word_is_wrong(void **state)
{
    struct fixture *f = *state;
    uint64_t words[WORDS];

    for (uint32_t i = 1; i < WORDS; i++) {
        f->sum += perf_payload_fill(words, WORDS, 0);
        words[i] ^= (uint64_t)1 << 17;
        tell_words(f, words, sizeof(words));
    }
    last(f, 0);
    assert_int_equal(f->sink.wrong, WORDS - 1);
    assert_false(perf_sink_good(&f->sink));
}

static void sink__a_short_message_is_wrong(void **state)
{
    struct fixture *f = *state;
    uint64_t words[WORDS];

    f->sum += perf_payload_fill(words, WORDS, 0);
    tell_words(f, words, SIZE - 8);
    last(f, 0);
    assert_int_equal(f->sink.wrong, 1);
}

static void sink__a_lost_tail_is_unequal(void **state)
{
    struct fixture *f = *state;

    tell(f, 0);
    last(f, 2);
    assert_int_equal(f->sink.gaps, 0);
    assert_int_equal(f->sink.unequal, 1);
    assert_false(perf_sink_good(&f->sink));
}

static void payload__fill_and_check_agree_for_all_sizes(void **state)
{
    uint64_t words[64], told, read = 0;

    (void)state;
    for (uint32_t n = 1; n <= 64; n++) {
        read = 0;
        told = perf_payload_fill(words, n, UINT64_MAX - 3);
        assert_true(perf_payload_check(words, n, UINT64_MAX - 3, &read));
        assert_true(told == read);
        words[n - 1]++;
        assert_false(perf_payload_check(words, n, UINT64_MAX - 3, &read));
    }
}

/* Of a bulk message the first word of each line counts, of each 64th all do. */
static void payload__damage_to_a_bulk_message_shows(void **state)
{
    static uint64_t words[4096];
    uint64_t told, read;

    (void)state;
    for (uint64_t number = PERF_PAYLOAD_EACH - 1; number <= PERF_PAYLOAD_EACH; number++) {
        uint32_t step = number % PERF_PAYLOAD_EACH == 0 ? 1 : PERF_PAYLOAD_STRIDE;

        memset(words, 0x5a, sizeof(words));
        told = perf_payload_fill_any(words, 4096, number);
        read = 0;
        assert_true(perf_payload_check_any(words, 4096, number, &read));
        assert_true(told == read);
        for (uint32_t i = 0; i < 4096; i += step) {
            words[i] ^= 1;
            assert_false(perf_payload_check_any(words, 4096, number, &read));
            words[i] ^= 1;
        }
    }
}

static void payload__numbers_of_receivers_are_their_own(void **state)
{
    (void)state;
    assert_int_equal(perf_first_number(0), 0);
    assert_true(perf_first_number(3) >> PERF_PAYLOAD_NUMBERS == 3);
    assert_true(perf_first_number(UINT32_MAX >> 8) > perf_first_number(1000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sink__good_messages_are_good, setup, teardown),
        cmocka_unit_test_setup_teardown(sink__is_not_done_before_last, setup, teardown),
        cmocka_unit_test_setup_teardown(sink__a_missing_message_is_a_gap, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sink__a_message_twice_is_a_repeat, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sink__two_in_the_wrong_order_show, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sink__another_receivers_message_is_misdelivered,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(sink__each_damaged_word_is_wrong, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sink__a_short_message_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(sink__a_lost_tail_is_unequal, setup, teardown),
        cmocka_unit_test(payload__fill_and_check_agree_for_all_sizes),
        cmocka_unit_test(payload__damage_to_a_bulk_message_shows),
        cmocka_unit_test(payload__numbers_of_receivers_are_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
