/* SPDX-License-Identifier: Apache-2.0 */
/* Rings, inbox and doorbell under threads, for TSan: bounded by counts, not by time.

   Payloads are written without atomics, so that an order that is too weak is a data race.
   TSan reports each label when it is made relaxed:

     pair_ring P1, C1, P2, C2  pair_ring__items_in_order (a small ring, always full or empty)
                               and pair_ring__nodes_come_home
     byte_ring P1, C1, P2, C2  byte_ring__records_in_order
     inbox S1, S2, L1, L2      inbox__many_senders

   The doorbell's fences order no data; its test would hang on a lost wake-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "byte_ring.h"
#include "doorbell.h"
#include "inbox.h"
#include "pair_ring.h"

/* Each time a ring is full or empty costs a time slice where cores are few and others want
   them too, so it happens some dozens of times a test, not thousands. */
#define ITEMS 12000u
#define PAIR_SLOTS 512u
#define RING_BYTES 4096u
#define INBOX_SLOTS 256u
#define SENDERS 3u

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    assert_int_equal(pthread_create(thread, NULL, fn, arg), 0);
}

static void join(pthread_t thread)
{
    void *failed = NULL;

    pthread_join(thread, &failed);
    assert_null(failed);
}

/* ---- Pair ring: items ---- */

static void *send_items(void *arg)
{
    struct pair_ring *r = arg;

    for (uint32_t i = 0; i < ITEMS;) {
        struct pair_item *item = pair_ring_reserve(r, i % 9 == 0);

        if (item == NULL) {
            sched_yield();
            continue;
        }
        item->kind = i % 3 == 0 ? PAIR_MSG : PAIR_TELL;
        item->aux = i;
        if (item->kind == PAIR_MSG)
            memset(item->inline_data, (int)i, PAIR_INLINE_MAX);
        else
            memset(item->tell.data, (int)i, PAIR_TELL_MAX);
        pair_ring_commit(r);
        if (i++ % 5 == 0)
            pair_ring_publish(r);
    }
    pair_ring_publish(r);
    return NULL;
}

static void pair_ring__items_in_order(void **state)
{
    struct pair_ring *r = pair_ring_create(PAIR_SLOTS);
    struct pair_item *item;
    pthread_t thread;

    (void)state;
    start(&thread, send_items, r);
    for (uint32_t i = 0; i < ITEMS;) {
        uint32_t before = i;

        while ((item = pair_ring_peek(r)) != NULL && i < before + 7) {
            const uint8_t *data =
                item->kind == PAIR_MSG ? item->inline_data : item->tell.data;

            assert_int_equal(item->aux, i);
            assert_int_equal(data[0], (uint8_t)i);
            assert_int_equal(data[PAIR_TELL_MAX - 1], (uint8_t)i);
            pair_ring_step(r);
            i++;
        }
        if (i == before)
            sched_yield();
        else
            pair_ring_consume(r);
    }
    join(thread);
    pair_ring_destroy(r);
}

/* ---- Pair ring: nodes ---- */

#define NODES 150u

static void *send_nodes(void *arg)
{
    struct pair_ring *r = arg;
    struct pair_node *mine = NULL, *next;
    uint32_t count = 0;

    for (uint32_t i = 0; i < NODES; i++) {
        struct pair_node *node = calloc(1, sizeof(*node) + 16);
        node->next = mine;
        mine = node;
    }
    for (uint32_t i = 0; i < ITEMS;) {
        struct pair_item *item = pair_ring_reserve(r, false);

        if (mine == NULL)
            mine = pair_ring_returned(r);
        if (item == NULL || mine == NULL) {
            pair_ring_publish(r);
            sched_yield();
            continue;
        }
        item->kind = PAIR_MSG_NODE;
        item->node = mine;
        mine = mine->next;
        item->node->len = i;
        memset(item->node->data, (int)i, 16);
        pair_ring_commit(r);
        i++;
    }
    pair_ring_publish(r);
    while (count < NODES) {
        if (mine == NULL) {
            mine = pair_ring_returned(r);
            sched_yield();
            continue;
        }
        next = mine->next;
        free(mine);
        mine = next;
        count++;
    }
    return NULL;
}

static void pair_ring__nodes_come_home(void **state)
{
    struct pair_ring *r = pair_ring_create(PAIR_SLOTS);
    struct pair_item *item;
    pthread_t thread;

    (void)state;
    start(&thread, send_nodes, r);
    for (uint32_t i = 0; i < ITEMS;) {
        item = pair_ring_peek(r);
        if (item == NULL) {
            sched_yield();
            continue;
        }
        assert_int_equal(item->node->len, i);
        assert_int_equal(item->node->data[15], (uint8_t)i);
        pair_ring_step(r);
        i++;
        if (i % 3 == 0 || i == ITEMS || pair_ring_peek(r) == NULL)
            pair_ring_consume(r);
    }
    join(thread); /* it waits for all of its nodes */
    pair_ring_destroy(r);
}

/* ---- Byte ring ---- */

static void *send_records(void *arg)
{
    struct byte_ring *r = arg;
    uint8_t body[64];

    for (uint32_t i = 0; i < ITEMS;) {
        memset(body, (int)i, sizeof(body));
        if (byte_ring_push(r, (uint16_t)(i % 7 + 1), body, i % 40, body, i % 11))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void byte_ring__records_in_order(void **state)
{
    struct byte_ring *r = byte_ring_create(RING_BYTES);
    pthread_t thread;

    (void)state;
    start(&thread, send_records, r);
    for (uint32_t i = 0; i < ITEMS;) {
        const struct byte_record *rec = byte_ring_peek(r);

        if (rec == NULL) {
            sched_yield();
            continue;
        }
        assert_int_equal(rec->kind, i % 7 + 1);
        assert_int_equal(rec->len, i % 40 + i % 11);
        for (uint32_t k = 0; k < rec->len; k++) {
            if (rec->body[k] != (uint8_t)i)
                fail_msg("record %u: byte %u", i, k);
        }
        byte_ring_pop(r);
        i++;
    }
    join(thread);
    byte_ring_destroy(r);
}

/* ---- Inbox ---- */

struct sender {
    struct inbox *inbox;
    uint32_t number;
};

static void *send_to_inbox(void *arg)
{
    const struct sender *sender = arg;
    uint8_t bytes[100];
    struct proa_msg msg;

    memset(&msg, 0, sizeof(msg));
    msg.data = bytes;
    msg.from.slot = sender->number;
    for (uint32_t i = 0; i < ITEMS / SENDERS;) {
        msg.len = i % 2 == 0 ? 32 : sizeof(bytes);
        msg.correlation = i;
        memset(bytes, (int)i, sizeof(bytes));
        if (inbox_push_msg(sender->inbox, &msg, 0) == PROA_OK)
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void inbox__many_senders(void **state)
{
    struct inbox *inbox = inbox_create(INBOX_SLOTS);
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    uint32_t next[SENDERS] = {0};

    (void)state;
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){inbox, i};
        start(&threads[i], send_to_inbox, &senders[i]);
    }
    for (uint32_t n = 0; n < ITEMS / SENDERS * SENDERS;) {
        struct pair_item *item = inbox_peek(inbox);

        if (item == NULL) {
            sched_yield();
            continue;
        }
        const struct proa_msg *msg = pair_item_open(item, 0, NULL);
        uint32_t i = next[msg->from.slot]++;

        assert_int_equal(msg->correlation, i); /* in order per sender */
        assert_int_equal(((const uint8_t *)msg->data)[msg->len - 1], (uint8_t)i);
        if (item->kind == PAIR_MSG_NODE)
            inbox_node_free(item->node);
        inbox_consume(inbox);
        n++;
    }
    for (uint32_t i = 0; i < SENDERS; i++)
        join(threads[i]);
    assert_null(inbox_peek(inbox));
    inbox_destroy(inbox);
}

/* ---- Doorbell ---- */

struct bell {
    struct doorbell doorbell;
    alignas(PROA_CACHE_LINE) _Atomic uint32_t work;
    _Atomic uint32_t slept;
};

#define RINGS 1000u

static void *ring(void *arg)
{
    struct bell *bell = arg;

    /* The first ring is for a sleeper.  relaxed: nothing is read by it. */
    while (atomic_load_explicit(&bell->slept, memory_order_relaxed) == 0)
        sched_yield();
    for (uint32_t i = 1; i <= RINGS; i++) {
        atomic_store_explicit(&bell->work, i, memory_order_release);
        doorbell_ring(&bell->doorbell);
        if (i % 32 == 0)
            sched_yield();
    }
    return NULL;
}

/* The sleeper waits without a timeout but a long one, which only a lost wake-up reaches. */
static void doorbell__no_wake_up_is_lost(void **state)
{
    struct bell *bell = aligned_alloc(PROA_CACHE_LINE, sizeof(*bell));
    uint32_t seen = 0;
    pthread_t thread;

    (void)state;
    assert_true(doorbell_init(&bell->doorbell));
    atomic_init(&bell->work, 0);
    atomic_init(&bell->slept, 0);
    start(&thread, ring, bell);
    while (seen < RINGS) {
        struct pollfd p = {.fd = bell->doorbell.fd, .events = POLLIN};
        uint32_t work = atomic_load_explicit(&bell->work, memory_order_acquire);

        if (work != seen) {
            seen = work;
            continue;
        }
        doorbell_arm(&bell->doorbell);
        if (atomic_load_explicit(&bell->work, memory_order_acquire) == seen) {
            atomic_fetch_add_explicit(&bell->slept, 1, memory_order_relaxed);
            assert_int_equal(poll(&p, 1, 20000), 1);
        }
        doorbell_disarm(&bell->doorbell);
    }
    join(thread);
    doorbell_fini(&bell->doorbell);
    free(bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair_ring__items_in_order),
        cmocka_unit_test(pair_ring__nodes_come_home),
        cmocka_unit_test(byte_ring__records_in_order),
        cmocka_unit_test(inbox__many_senders),
        cmocka_unit_test(doorbell__no_wake_up_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
