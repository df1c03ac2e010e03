/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "inbox.h"

#define CAPACITY INBOX_MIN

static void push__comes_out_in_order(void **state)
{
    struct inbox *inbox = inbox_create(CAPACITY);
    struct pair_item item;

    (void)state;
    memset(&item, 0, sizeof(item));
    assert_null(inbox_peek(inbox));
    for (uint32_t lap = 0; lap < 5; lap++) {
        for (uint32_t i = 0; i < CAPACITY; i++) {
            item.kind = PAIR_STOP;
            item.aux = lap * 100 + i;
            item.body[PAIR_BODY_MAX - 1] = (uint8_t)i;
            assert_int_equal(inbox_push(inbox, &item), PROA_OK);
        }
        for (uint32_t i = 0; i < CAPACITY; i++) {
            assert_int_equal(inbox_peek(inbox)->aux, lap * 100 + i);
            assert_int_equal(inbox_peek(inbox)->body[PAIR_BODY_MAX - 1], i);
            inbox_consume(inbox);
        }
        assert_null(inbox_peek(inbox));
    }
    inbox_destroy(inbox);
}

static void push__full_says_again(void **state)
{
    struct inbox *inbox = inbox_create(CAPACITY);
    struct pair_item item;

    (void)state;
    memset(&item, 0, sizeof(item));
    for (uint32_t i = 0; i < CAPACITY; i++)
        assert_int_equal(inbox_push(inbox, &item), PROA_OK);
    assert_int_equal(inbox_push(inbox, &item), PROA_AGAIN);
    inbox_peek(inbox);
    inbox_consume(inbox);
    assert_int_equal(inbox_push(inbox, &item), PROA_OK);
    assert_int_equal(inbox_push(inbox, &item), PROA_AGAIN);
    inbox_destroy(inbox);
}

static void push_msg__small_is_inline_large_in_a_node(void **state)
{
    struct inbox *inbox = inbox_create(CAPACITY);
    uint8_t *bytes = malloc(INBOX_BYTES_MAX + 1);
    struct proa_msg msg;
    struct pair_item *item;

    (void)state;
    memset(&msg, 0, sizeof(msg));
    for (uint32_t i = 0; i <= INBOX_BYTES_MAX; i++)
        bytes[i] = (uint8_t)(i * 31);
    msg.data = bytes;
    msg.type = 77;
    msg.to.slot = 5;

    msg.len = PAIR_INLINE_MAX;
    assert_int_equal(inbox_push_msg(inbox, &msg, 3), PROA_OK);
    msg.len = PAIR_INLINE_MAX + 1;
    assert_int_equal(inbox_push_msg(inbox, &msg, 4), PROA_OK);
    msg.len = INBOX_BYTES_MAX;
    assert_int_equal(inbox_push_msg(inbox, &msg, 5), PROA_OK);
    msg.len = INBOX_BYTES_MAX + 1;
    assert_int_equal(inbox_push_msg(inbox, &msg, 6), PROA_TOO_LARGE);

    item = inbox_peek(inbox);
    assert_int_equal(item->kind, PAIR_MSG);
    assert_int_equal(item->aux, 3);
    assert_int_equal(item->msg.type, 77);
    assert_int_equal(item->msg.to.slot, 5);
    assert_memory_equal(pair_item_open(item, 1, NULL)->data, bytes, PAIR_INLINE_MAX);
    inbox_consume(inbox);

    for (uint32_t i = 0; i < 2; i++) {
        item = inbox_peek(inbox);
        assert_int_equal(item->kind, PAIR_MSG_NODE);
        assert_int_equal(item->aux, 4 + i);
        assert_int_equal(item->node->len, item->msg.len);
        assert_memory_equal(pair_item_open(item, 1, NULL)->data, bytes, item->msg.len);
        assert_int_equal((uintptr_t)pair_item_open(item, 1, NULL)->data % 16, 0);
        inbox_node_free(item->node);
        inbox_consume(inbox);
    }
    assert_null(inbox_peek(inbox));
    free(bytes);
    inbox_destroy(inbox);
}

/* Under ASan a leaked or doubly freed node fails here. */
static void destroy__frees_nodes_still_inside(void **state)
{
    struct inbox *inbox = inbox_create(CAPACITY);
    uint8_t bytes[1000] = {1};
    struct proa_msg msg;

    (void)state;
    memset(&msg, 0, sizeof(msg));
    msg.data = bytes;
    msg.len = sizeof(bytes);
    for (uint32_t i = 0; i < CAPACITY; i++)
        assert_int_equal(inbox_push_msg(inbox, &msg, 0), PROA_OK);
    assert_int_equal(inbox_push_msg(inbox, &msg, 0), PROA_AGAIN);
    inbox_destroy(inbox);
    inbox_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push__comes_out_in_order),
        cmocka_unit_test(push__full_says_again),
        cmocka_unit_test(push_msg__small_is_inline_large_in_a_node),
        cmocka_unit_test(destroy__frees_nodes_still_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
