/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ask.h"

static struct ask_table t;
static struct slot slot;

static int setup(void **state)
{
    (void)state;
    slot = (struct slot){.asks = ASK_NONE};
    return !ask_table_init(&t, 8, 42);
}

static int teardown(void **state)
{
    (void)state;
    ask_table_fini(&t);
    return 0;
}

static struct ask *ask(void)
{
    return ask_alloc(&t, &slot, 3, ASK_ACTOR);
}

/* Ends it as its answer would. */
static void answer(struct ask *a)
{
    a->state = ASK_ANSWERED;
    ask_release(&t, &slot, a);
}

static void alloc__correlations_differ_and_are_found(void **state)
{
    struct ask *asks[8];

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        asks[i] = ask();
        assert_non_null(asks[i]);
        assert_int_not_equal(asks[i]->correlation, 0);
        for (uint32_t j = 0; j < i; j++)
            assert_int_not_equal(asks[i]->correlation, asks[j]->correlation);
    }
    assert_null(ask());
    for (uint32_t i = 0; i < 8; i++)
        assert_ptr_equal(ask_find(&t, asks[i]->correlation), asks[i]);
    assert_null(ask_find(&t, asks[0]->correlation + 8));
    assert_int_equal(t.in_use, 8);
}

static void release__answered_entry_is_used_again_with_another_serial(void **state)
{
    struct ask *a = ask();
    uint32_t old = a->correlation;

    (void)state;
    answer(a);
    assert_null(ask_find(&t, old));
    assert_ptr_equal(ask(), a);
    assert_int_equal(a->correlation, old + 8);
    assert_null(ask_find(&t, old));
}

static void release__unanswered_entry_waits_behind_all_others(void **state)
{
    struct ask *a = ask(), *seen[7];

    (void)state;
    ask_release(&t, &slot, a); /* in flight: may yet be answered */
    for (uint32_t i = 0; i < 7; i++) {
        seen[i] = ask();
        assert_ptr_not_equal(seen[i], a);
    }
    answer(seen[2]);
    assert_ptr_equal(ask(), seen[2]);
    assert_ptr_equal(ask(), a);
    assert_null(ask());
}

static void correlation__serial_skips_zero(void **state)
{
    struct ask *a = ask();

    (void)state;
    a->correlation = 0xfffffff8u | ask_index(&t, a); /* the last serial of this entry */
    answer(a);
    assert_ptr_equal(ask(), a);
    assert_int_equal(a->correlation, 8 | ask_index(&t, a));
}

static void release__leaves_the_askers_other_waits_in_its_list(void **state)
{
    struct ask *a = ask(), *b = ask(), *c = ask();

    (void)state;
    answer(b);
    assert_ptr_equal(&t.asks[slot.asks], c);
    assert_int_equal(c->actor_next, ask_index(&t, a));
    answer(c);
    assert_ptr_equal(&t.asks[slot.asks], a);
    answer(a);
    assert_int_equal(slot.asks, ASK_NONE);
}

static void link__bucket_gives_all_of_a_node(void **state)
{
    struct ask *a = ask(), *b = ask(), *c = ask(), *at;
    uint32_t found = 0;

    (void)state;
    a->to.node = b->to.node = c->to.node = 77;
    ask_link(&t, a);
    ask_link(&t, b);
    ask_link(&t, c);
    ask_unlink(&t, b);
    ask_unlink(&t, b); /* harmless */
    for (at = ask_bucket_first(&t, 77); at != NULL; at = ask_bucket_next(&t, at)) {
        assert_ptr_not_equal(at, b);
        found++;
    }
    assert_int_equal(found, 2);
    answer(c);
    answer(a);
    assert_null(ask_bucket_first(&t, 77));
}

static void settle__is_first_in_first_out_and_release_takes_out(void **state)
{
    struct ask *a = ask(), *b = ask(), *c = ask();

    (void)state;
    a->to.node = 77;
    ask_link(&t, a);
    ask_settle(&t, a, PROA_NO_REPLY, false);
    ask_settle(&t, b, PROA_MAYBE_EXECUTED, true);
    ask_settle(&t, c, PROA_REFUSED_FULL, false);
    assert_null(ask_bucket_first(&t, 77));
    ask_release(&t, &slot, b); /* its asker stopped */
    assert_ptr_equal(ask_settled_take(&t), a);
    assert_int_equal(a->outcome, PROA_NO_REPLY);
    ask_release(&t, &slot, a);
    assert_ptr_equal(ask_settled_take(&t), c);
    ask_release(&t, &slot, c);
    assert_null(ask_settled_take(&t));
    assert_ptr_equal(ask(), c);
    assert_ptr_equal(ask(), a);
    assert_ptr_not_equal(ask(), b); /* may yet be answered */
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(alloc__correlations_differ_and_are_found),
        test(release__answered_entry_is_used_again_with_another_serial),
        test(release__unanswered_entry_waits_behind_all_others),
        test(correlation__serial_skips_zero),
        test(release__leaves_the_askers_other_waits_in_its_list),
        test(link__bucket_gives_all_of_a_node),
        test(settle__is_first_in_first_out_and_release_takes_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
