/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include <proa/outcomes.h>

static void name__every_outcome_has_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < PROA_OUTCOME_COUNT; i++) {
        const char *name = proa_outcome_name((enum proa_outcome)i);

        assert_non_null(name);
        assert_true(strlen(name) > 1);
        for (const char *c = name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == ' ' || *c == ':');
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, proa_outcome_name((enum proa_outcome)j));
    }
    assert_string_equal(proa_outcome_name(PROA_OK), "ok");
    assert_string_equal(proa_outcome_name(PROA_FULL), "mailbox full");
    assert_string_equal(proa_outcome_name(PROA_MAYBE_EXECUTED), "maybe executed");
    assert_string_equal(proa_outcome_name(PROA_OUTCOME_COUNT), "?");
    assert_string_equal(proa_outcome_name((enum proa_outcome) - 1), "?");
}

static void ran__only_known_results_ran(void **state)
{
    (void)state;
    for (int i = 0; i < PROA_OUTCOME_COUNT; i++) {
        enum proa_ran ran = proa_outcome_ran((enum proa_outcome)i);

        if (i == PROA_OK || i == PROA_NO_REPLY)
            assert_int_equal(ran, PROA_RAN_YES);
        else if (i == PROA_MAYBE_EXECUTED || i == PROA_TIMEOUT || i == PROA_IN_DOUBT)
            assert_int_equal(ran, PROA_RAN_MAYBE);
        else
            assert_int_equal(ran, PROA_RAN_NO);
    }
    assert_int_equal(proa_outcome_ran(PROA_OUTCOME_COUNT), PROA_RAN_MAYBE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name__every_outcome_has_its_own),
        cmocka_unit_test(ran__only_known_results_ran),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
