/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pair_ring.h"

#define CAPACITY 64u

/* A ring whose counters stand just below their wrap-around. */
static struct pair_ring *ring_at(uint32_t count)
{
    struct pair_ring *r = pair_ring_create(CAPACITY);

    assert_non_null(r);
    r->tail_next = r->tail_told = r->head_seen = r->tail_seen = r->head_next = count;
    atomic_store(&r->tail, count);
    atomic_store(&r->head, count);
    return r;
}

static bool push(struct pair_ring *r, enum pair_kind kind, uint32_t aux, bool privileged)
{
    struct pair_item *item = pair_ring_reserve(r, privileged);

    if (item == NULL)
        return false;
    item->kind = kind;
    item->aux = aux;
    if (kind != PAIR_TELL)
        memset(item->body, (int)aux, PAIR_BODY_MAX);
    if (kind == PAIR_TELL && aux % 2 != 0)
        pair_ring_commit_tell(r);
    else
        pair_ring_commit(r);
    return true;
}

static void expect(struct pair_ring *r, uint32_t aux)
{
    struct pair_item *item = pair_ring_peek(r);

    assert_non_null(item);
    assert_int_equal(item->aux, aux);
    if (item->kind != PAIR_TELL) {
        for (uint32_t i = 0; i < PAIR_BODY_MAX; i++)
            assert_int_equal(item->body[i], (uint8_t)aux);
    }
    pair_ring_step(r);
}

static void init__is_empty_and_sized(void **state)
{
    void *mem = aligned_alloc(128, pair_ring_size(CAPACITY));

    (void)state;
    assert_int_equal(pair_ring_size(CAPACITY) % 128, 0);
    struct pair_ring *r = pair_ring_init(mem, CAPACITY);
    assert_null(pair_ring_peek(r));
    assert_int_equal((uintptr_t)r->slots % 128, 0);
    assert_true((uint8_t *)&r->slots[CAPACITY] <=
                (uint8_t *)mem + pair_ring_size(CAPACITY));
    assert_int_equal(pair_ring_room(r), CAPACITY - CAPACITY / PAIR_RING_HEADROOM);
    free(mem);
}

static void reserve__same_item_until_committed(void **state)
{
    struct pair_ring *r = ring_at(0);

    (void)state;
    struct pair_item *first = pair_ring_reserve(r, true), *second;
    assert_ptr_equal(pair_ring_reserve(r, false), first);
    first->kind = PAIR_TELL;
    pair_ring_commit(r);
    second = pair_ring_reserve(r, false);
    assert_ptr_not_equal(second, first);
    assert_ptr_equal(pair_ring_reserve(r, true), second);
    pair_ring_destroy(r);
}

/* Slots lie in an order of their own, but each item has one, and has it again a round later. */
static void slot__each_item_has_its_own(void **state)
{
    struct pair_ring *r = ring_at(0);
    bool seen[CAPACITY] = {false};

    (void)state;
    for (uint32_t at = UINT32_MAX - 20; at != CAPACITY - 21; at++) {
        const struct pair_slot *slot = (const void *)pair_ring_slot(r, at);
        uint32_t place = (uint32_t)(slot - r->slots);

        assert_true(place < CAPACITY && !seen[place]);
        seen[place] = true;
        assert_ptr_equal(pair_ring_slot(r, at + CAPACITY), slot);
        assert_true(slot + 1 != (const void *)pair_ring_slot(r, at + 1));
    }
    pair_ring_destroy(r);
}

static void reserve__ordinary_stops_before_the_headroom(void **state)
{
    (void)state;
    for (int kind = PAIR_TELL; kind <= PAIR_MSG; kind++) {
        struct pair_ring *r = ring_at(UINT32_MAX - 10);
        uint32_t ordinary = 0, all = 0;

        while (push(r, (enum pair_kind)kind, all, false))
            ordinary = ++all;
        assert_null(pair_ring_reserve(r, false));
        while (push(r, (enum pair_kind)kind, all, true))
            all++;
        assert_int_equal(ordinary, CAPACITY - CAPACITY / PAIR_RING_HEADROOM);
        assert_int_equal(all, CAPACITY);

        /* Full, it has published by itself: the receiver could not help otherwise. */
        for (uint32_t i = 0; i < all; i++)
            expect(r, i);
        assert_null(pair_ring_peek(r));
        assert_null(pair_ring_reserve(r, true)); /* not before the consume */
        pair_ring_consume(r);
        assert_true(push(r, PAIR_TELL, 0, false));
        pair_ring_destroy(r);
    }
}

/* Items of one and two lines in every slot, over the end of the counters too. */
static void reserve__mixed_items_keep_apart(void **state)
{
    struct pair_ring *r = ring_at(UINT32_MAX - 5000);
    uint32_t in = 0, out = 0;

    (void)state;
    while (out < 20000) {
        for (uint32_t i = 0; i < 1 + in % 5; i++) {
            if (!push(r, in % 3 == 0 ? PAIR_MSG : PAIR_TELL, in, false))
                break;
            in++;
        }
        pair_ring_publish(r);
        while (out < in - in % 7)
            expect(r, out++);
        pair_ring_consume(r);
    }
    pair_ring_destroy(r);
}

static void commit__is_seen_after_publish_or_a_batch(void **state)
{
    struct pair_ring *r = ring_at(UINT32_MAX - 3);

    (void)state;
    assert_false(pair_ring_publish(r));
    push(r, PAIR_TELL, 1, false);
    assert_null(pair_ring_peek(r));
    assert_true(pair_ring_publish(r));
    assert_false(pair_ring_publish(r));
    expect(r, 1);
    assert_null(pair_ring_peek(r));
    pair_ring_consume(r);

    for (uint32_t i = 0; i < PAIR_RING_BATCH; i++) {
        assert_null(pair_ring_peek(r));
        push(r, PAIR_TELL, i, false);
    }
    for (uint32_t i = 0; i < PAIR_RING_BATCH; i++)
        expect(r, i);
    pair_ring_destroy(r);
}

static void drained_half__from_half_of_the_capacity(void **state)
{
    struct pair_ring *r = ring_at(UINT32_MAX);

    (void)state;
    for (uint32_t i = 0; i < CAPACITY / 2 + 1; i++)
        push(r, PAIR_TELL, i, false);
    assert_false(pair_ring_drained_half(r));
    assert_int_equal(pair_ring_room(r), CAPACITY - CAPACITY / 8 - CAPACITY / 2 - 1);
    pair_ring_publish(r);
    expect(r, 0);
    pair_ring_consume(r);
    assert_true(pair_ring_drained_half(r));
    pair_ring_destroy(r);
}

/* A message of every length, in the three shapes, comes out as it went in. */
static void item_put__open_gives_the_message_back(void **state)
{
    const uint64_t node = 77;
    uint8_t bytes[64];
    struct proa_msg in, space;
    struct pair_item item;

    (void)state;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i + 1);
    for (uint32_t shape = 0; shape < 4; shape++) {
        for (uint32_t len = 0; len <= PAIR_INLINE_MAX; len++) {
            memset(&in, 0, sizeof(in));
            memset(&item, 0xee, sizeof(item));
            in.data = bytes;
            in.len = len;
            in.type = 5;
            in.to = (struct proa_ref){node, 1, 2};
            in.cls = PROA_CLASS_URGENT;
            in.hops = 3;
            if (shape > 0)
                in.from = (struct proa_ref){shape == 1 ? node : 99, 3, 4};
            if (shape == 3) {
                in.flags = PROA_MSG_ASK;
                in.correlation = 6;
                in.deadline = 7;
            }
            assert_true(pair_item_put(&item, &in, node));
            assert_int_equal(item.kind,
                             shape < 2 && len <= PAIR_TELL_MAX ? PAIR_TELL : PAIR_MSG);
            if (item.kind == PAIR_TELL) /* the line behind is somebody else's */
                assert_int_equal(((uint8_t *)&item)[PROA_CACHE_LINE], 0xee);
            const struct proa_msg *out = pair_item_open(&item, node, &space);
            assert_memory_equal(out->data, bytes, len);
            assert_int_equal((uintptr_t)out->data % 8, 0);
            in.data = out->data;
            assert_memory_equal(out, &in, sizeof(in));
        }
    }
    in.data = bytes;
    in.len = PAIR_INLINE_MAX + 1;
    assert_false(pair_item_put(&item, &in, node));
    assert_int_equal(item.kind, PAIR_MSG_NODE);
    item.kind = PAIR_BULK;
    item.ptr = bytes;
    assert_ptr_equal(pair_item_open(&item, node, &space)->data, bytes);
}

static struct pair_node *node_create(uint32_t number)
{
    struct pair_node *node = calloc(1, sizeof(*node));

    assert_non_null(node);
    node->size = number;
    return node;
}

static void lend(struct pair_ring *r, uint32_t number)
{
    struct pair_item *item = pair_ring_reserve(r, true);

    assert_non_null(item);
    item->kind = PAIR_MSG_NODE;
    item->node = node_create(number);
    pair_ring_commit(r);
}

static uint32_t take_home(struct pair_ring *r)
{
    uint32_t count = 0;

    for (struct pair_node *next, *n = pair_ring_returned(r); n != NULL; n = next) {
        next = n->next;
        free(n);
        count++;
    }
    return count;
}

static void step_all(struct pair_ring *r)
{
    while (pair_ring_peek(r) != NULL)
        pair_ring_step(r);
}

static void returned__nodes_of_consumed_items(void **state)
{
    struct pair_ring *r = ring_at(UINT32_MAX - 4);

    (void)state;
    assert_null(pair_ring_returned(r));
    for (uint32_t i = 0; i < 3; i++)
        lend(r, i);
    push(r, PAIR_TELL, 1, true);
    pair_ring_publish(r);
    step_all(r);
    assert_null(pair_ring_returned(r)); /* not before the consume */
    lend(r, 3);
    pair_ring_consume(r);
    assert_int_equal(take_home(r), 3);
    assert_null(pair_ring_returned(r));
    pair_ring_publish(r);
    step_all(r);
    pair_ring_consume(r);
    assert_int_equal(take_home(r), 1);
    pair_ring_destroy(r);
}

/* A sender that takes back late still loses nothing, however often the ring went round. */
static void returned__late(void **state)
{
    struct pair_ring *r = ring_at(0);

    (void)state;
    for (uint32_t i = 0; i < 10 * CAPACITY; i++) {
        if (i % 5 == 0)
            assert_true(push(r, PAIR_TELL, i, true));
        lend(r, i);
        pair_ring_publish(r);
        if (i % 20 == 19) {
            step_all(r);
            pair_ring_consume(r);
        }
    }
    assert_int_equal(take_home(r), 10 * CAPACITY);
    pair_ring_destroy(r);
}

/* Two lanes, both rings full, every payload in a node: neither may lose one or get stuck. */
static void returned__two_full_rings_still_drain(void **state)
{
    struct pair_ring *ring[2] = {ring_at(0), ring_at(0)};

    (void)state;
    for (int i = 0; i < 2; i++) {
        for (uint32_t n = 0; n < CAPACITY; n++)
            lend(ring[i], n);
        assert_null(pair_ring_reserve(ring[i], true));
    }
    for (int i = 0; i < 2; i++) {
        step_all(ring[i]);
        pair_ring_consume(ring[i]);
        assert_int_equal(take_home(ring[i]), CAPACITY);
        assert_non_null(pair_ring_reserve(ring[i], false));
        pair_ring_destroy(ring[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init__is_empty_and_sized),
        cmocka_unit_test(reserve__same_item_until_committed),
        cmocka_unit_test(slot__each_item_has_its_own),
        cmocka_unit_test(reserve__ordinary_stops_before_the_headroom),
        cmocka_unit_test(reserve__mixed_items_keep_apart),
        cmocka_unit_test(commit__is_seen_after_publish_or_a_batch),
        cmocka_unit_test(drained_half__from_half_of_the_capacity),
        cmocka_unit_test(item_put__open_gives_the_message_back),
        cmocka_unit_test(returned__nodes_of_consumed_items),
        cmocka_unit_test(returned__late),
        cmocka_unit_test(returned__two_full_rings_still_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
