/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdalign.h>
#include <string.h>

#include "mailbox.h"

static struct space {
    alignas(16) uint8_t bytes[NODE_HEAD];
} nodes[16];

static struct node *node(uint32_t i, uint8_t cls, uint8_t flags)
{
    struct node *n = (struct node *)(void *)&nodes[i];

    memset(n, 0, NODE_HEAD);
    n->msg.type = i;
    n->msg.cls = cls;
    n->msg.zero = flags;
    return n;
}

static void put_take__is_first_in_first_out_per_class(void **state)
{
    struct mailbox m = {.capacity = 8};

    (void)state;
    assert_true(mailbox_empty(&m));
    for (uint32_t i = 0; i < 4; i++)
        mailbox_put(&m, node(i, PROA_CLASS_NORMAL, 0));
    assert_false(mailbox_overtaken(&m));
    mailbox_put(&m, node(4, PROA_CLASS_URGENT, 0));
    mailbox_put(&m, node(5, PROA_CLASS_SYSTEM, NODE_UNCOUNTED));
    assert_true(mailbox_overtaken(&m));
    assert_int_equal(m.count[PROA_CLASS_NORMAL], 4);
    assert_int_equal(m.count[PROA_CLASS_URGENT], 1);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(mailbox_take(&m, PROA_CLASS_NORMAL)->msg.type, i);
    assert_null(mailbox_take(&m, PROA_CLASS_NORMAL));
    assert_int_equal(mailbox_take(&m, PROA_CLASS_URGENT)->msg.type, 4);
    assert_int_equal(mailbox_take(&m, PROA_CLASS_SYSTEM)->msg.type, 5);
    assert_true(mailbox_empty(&m));
    assert_int_equal(m.count[0] + m.count[1], 0);
}

static void full__counts_each_class_for_itself_and_not_what_is_reserved(void **state)
{
    struct mailbox m = {.capacity = 2};

    (void)state;
    mailbox_put(&m, node(0, PROA_CLASS_NORMAL, NODE_UNCOUNTED));
    mailbox_put(&m, node(1, PROA_CLASS_NORMAL, 0));
    assert_false(mailbox_full(&m, PROA_CLASS_NORMAL));
    mailbox_put(&m, node(2, PROA_CLASS_NORMAL, 0));
    assert_true(mailbox_full(&m, PROA_CLASS_NORMAL));
    assert_false(mailbox_full(&m, PROA_CLASS_URGENT));
    assert_int_equal(mailbox_take(&m, PROA_CLASS_NORMAL)->msg.type, 0);
    assert_true(mailbox_full(&m, PROA_CLASS_NORMAL));
    assert_int_equal(mailbox_take(&m, PROA_CLASS_NORMAL)->msg.type, 1);
    assert_false(mailbox_full(&m, PROA_CLASS_NORMAL));
}

static void take_all__put_back_goes_in_front_of_what_came_since(void **state)
{
    struct mailbox m = {.capacity = 8};
    struct node *first, *last;

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        mailbox_put(&m, node(i, PROA_CLASS_NORMAL, 0));
    first = mailbox_take_all(&m, PROA_CLASS_NORMAL, &last);
    assert_int_equal(first->msg.type, 0);
    assert_int_equal(last->msg.type, 2);
    assert_null(last->next);
    assert_int_equal(m.count[0], 3);
    mailbox_taken(&m, first);
    mailbox_put(&m, node(7, PROA_CLASS_NORMAL, 0));
    mailbox_put(&m, node(8, PROA_CLASS_NORMAL, 0));
    mailbox_put_back(&m, PROA_CLASS_NORMAL, first->next, last);
    assert_int_equal(m.count[0], 4);
    assert_int_equal(mailbox_take(&m, 0)->msg.type, 1);
    assert_int_equal(mailbox_take(&m, 0)->msg.type, 2);
    assert_int_equal(mailbox_take(&m, 0)->msg.type, 7);
    assert_int_equal(mailbox_take(&m, 0)->msg.type, 8);
    assert_null(mailbox_take(&m, 0));
}

static void put_back__into_an_empty_class(void **state)
{
    struct mailbox m = {.capacity = 8};
    struct node *first, *last = NULL;

    (void)state;
    mailbox_put(&m, node(0, 0, 0));
    mailbox_put(&m, node(1, 0, 0));
    first = mailbox_take_all(&m, 0, &last);
    mailbox_put_back(&m, 0, first, last);
    mailbox_put(&m, node(2, 0, 0));
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(mailbox_take(&m, 0)->msg.type, i);
    assert_null(mailbox_take_all(&m, 0, &last));
}

static void take_counted__skips_reserved_ones_and_keeps_the_ring(void **state)
{
    struct mailbox m = {.capacity = 8};

    (void)state;
    assert_null(mailbox_take_counted(&m, 0));
    mailbox_put(&m, node(0, 0, NODE_UNCOUNTED));
    assert_null(mailbox_take_counted(&m, 0));
    mailbox_put(&m, node(1, 0, 0)); /* the last: its place is taken by the one before */
    assert_int_equal(mailbox_take_counted(&m, 0)->msg.type, 1);
    mailbox_put(&m, node(2, 0, 0));
    mailbox_put(&m, node(3, 0, 0));
    assert_int_equal(mailbox_take_counted(&m, 0)->msg.type, 2);
    assert_int_equal(m.count[0], 1);
    assert_int_equal(mailbox_take(&m, 0)->msg.type, 0);
    assert_int_equal(mailbox_take_counted(&m, 0)->msg.type, 3); /* the only one */
    assert_true(mailbox_empty(&m));
    mailbox_put(&m, node(4, 0, 0));
    mailbox_put(&m, node(5, 0, 0));
    assert_int_equal(mailbox_take_counted(&m, 0)->msg.type, 4); /* the first of two */
    assert_int_equal(mailbox_take(&m, 0)->msg.type, 5);
    assert_int_equal(m.count[0], 0);
}

static struct node *brief(uint32_t i, uint32_t cls)
{
    struct node *n =
        node(i, 0, NODE_UNCOUNTED); /* these two say nothing in a brief one */

    n->brief.head = brief_head(i, cls, 7);
    memset(n->brief.payload, 0xff, sizeof(n->brief.payload));
    return n;
}

static void brief__is_told_by_its_head_and_counted_in_its_class(void **state)
{
    struct mailbox m = {.capacity = 8};
    struct node *last, *first;

    (void)state;
    assert_false(node_is_brief(node(0, 2, 0)));
    assert_int_equal(node_class(node(0, 2, 0)), 2);
    assert_true(node_is_brief(brief(0, 1)));
    assert_int_equal(node_class(brief(0, 1)), 1);
    assert_int_equal(brief_len(brief_head(32, 1, 7)), 32);
    assert_int_equal(brief_tail(brief_head(32, 1, 7)), 0x00070100);
    mailbox_put(&m, brief(1, PROA_CLASS_URGENT));
    mailbox_put(&m, brief(2, PROA_CLASS_NORMAL));
    mailbox_put(&m, node(3, PROA_CLASS_NORMAL, NODE_UNCOUNTED));
    mailbox_put(&m, brief(4, PROA_CLASS_NORMAL));
    assert_int_equal(m.count[PROA_CLASS_URGENT], 1);
    assert_int_equal(m.count[PROA_CLASS_NORMAL], 2);
    assert_int_equal(mailbox_take_counted(&m, 0)->brief.type, 2);
    assert_int_equal(mailbox_take_counted(&m, 0)->brief.type, 4);
    assert_null(mailbox_take_counted(&m, 0));
    first = mailbox_take_all(&m, PROA_CLASS_URGENT, &last);
    mailbox_taken(&m, first);
    assert_int_equal(m.count[0] + m.count[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_take__is_first_in_first_out_per_class),
        cmocka_unit_test(full__counts_each_class_for_itself_and_not_what_is_reserved),
        cmocka_unit_test(take_all__put_back_goes_in_front_of_what_came_since),
        cmocka_unit_test(put_back__into_an_empty_class),
        cmocka_unit_test(take_counted__skips_reserved_ones_and_keeps_the_ring),
        cmocka_unit_test(brief__is_told_by_its_head_and_counted_in_its_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
