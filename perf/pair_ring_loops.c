/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pair_ring.h"
#include "pair_ring_loops.h"
#include "pin.h"

#define NODE ((uint64_t)99)
#define BURST 32u
#define NODES 4096u
#define NODE_BYTES 256u

/* The raw limit: a queue of words with an index at each end and nothing else. */
struct words {
    alignas(PROA_CACHE_LINE) _Atomic uint32_t tail;
    uint32_t head_seen;
    alignas(PROA_CACHE_LINE) _Atomic uint32_t head;
    uint32_t tail_seen;
    alignas(PROA_CACHE_LINE) uint32_t mask; /* constant */
    alignas(PROA_CACHE_LINE) uint64_t slots[];
};

struct pair_loops {
    /* Read by both. */
    enum pair_loop loop;
    uint32_t payload_len;
    struct pair_ring *there, *back;
    struct words *words_there, *words_back;
    pthread_t thread;
    _Atomic bool stop;

    /* The caller's. */
    alignas(PROA_CACHE_LINE) uint64_t sent;
    struct pair_node *nodes; /* free ones, by next */

    alignas(PROA_CACHE_LINE) _Atomic uint64_t line;
    alignas(PROA_CACHE_LINE) _Atomic uint64_t goal;    /* messages to expect in all */
    alignas(PROA_CACHE_LINE) _Atomic uint64_t arrived; /* told when the goal is reached */
};

static uint64_t relaxed(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* ---- Words ---- */

static struct words *words_create(uint32_t capacity)
{
    size_t size = sizeof(struct words) + capacity * sizeof(uint64_t);
    struct words *w = aligned_alloc(PROA_CACHE_LINE, size);

    if (w == NULL)
        return NULL;
    memset(w, 0, size);
    w->mask = capacity - 1;
    return w;
}

static bool words_push(struct words *w, uint64_t word)
{
    uint32_t tail = atomic_load_explicit(&w->tail, memory_order_relaxed);

    if (tail - w->head_seen > w->mask) {
        w->head_seen = atomic_load_explicit(&w->head, memory_order_acquire);
        if (tail - w->head_seen > w->mask)
            return false;
    }
    w->slots[tail & w->mask] = word;
    atomic_store_explicit(&w->tail, tail + 1, memory_order_release);
    return true;
}

static bool words_pop(struct words *w, uint64_t *ret)
{
    uint32_t head = atomic_load_explicit(&w->head, memory_order_relaxed);

    if (head == w->tail_seen) {
        w->tail_seen = atomic_load_explicit(&w->tail, memory_order_acquire);
        if (head == w->tail_seen)
            return false;
    }
    *ret = w->slots[head & w->mask];
    atomic_store_explicit(&w->head, head + 1, memory_order_release);
    return true;
}

/* ---- Items ---- */

static void fill_item(struct pair_item *item, uint64_t number, uint32_t len)
{
    uint64_t payload[PAIR_INLINE_MAX / 8] = {number, number, number, number};
    const struct proa_msg msg = {
        .data = payload, .len = len, .type = 1, .from = {NODE, 2, 3}, .to = {NODE, 4, 5}};

    pair_item_put(item, &msg, NODE);
}

static void check(struct pair_item *item, uint64_t number)
{
    struct proa_msg space;
    const struct proa_msg *msg = pair_item_open(item, NODE, &space);
    uint64_t got;

    memcpy(&got, msg->data, sizeof(got));
    PROA_ASSERT(got == number && msg->to.slot == 4);
}

static void send_item(struct pair_loops *l, struct pair_ring *r, uint64_t number)
{
    struct pair_item *item;

    while ((item = pair_ring_reserve(r, false)) == NULL)
        __builtin_ia32_pause();
    fill_item(item, number, l->payload_len);
    pair_ring_commit(r);
}

static uint64_t receive_items(struct pair_loops *l, uint64_t next)
{
    struct pair_item *item;
    uint32_t n = 0;

    while (n < BURST && (item = pair_ring_peek(l->there)) != NULL) {
        check(item, next++);
        pair_ring_step(l->there);
        n++;
    }
    if (n > 0)
        pair_ring_consume(l->there);
    return next;
}

static void send_node(struct pair_loops *l, uint64_t number)
{
    struct pair_item *item;
    struct pair_node *node;

    while ((item = pair_ring_reserve(l->there, false)) == NULL)
        __builtin_ia32_pause();
    while (l->nodes == NULL) {
        pair_ring_publish(l->there);
        l->nodes = pair_ring_returned(l->there);
    }
    node = l->nodes;
    l->nodes = node->next;
    fill_item(item, number, PAIR_INLINE_MAX);
    item->kind = PAIR_MSG_NODE;
    item->node = node;
    memcpy(node->data, &number, sizeof(number));
    pair_ring_commit(l->there);
}

/* ---- The other core ---- */

static void answer_item(struct pair_loops *l, uint64_t *next)
{
    struct pair_item *item = pair_ring_peek(l->there);

    if (item == NULL)
        return;
    check(item, *next);
    send_item(l, l->back, (*next)++);
    pair_ring_publish(l->back);
    pair_ring_step(l->there);
    pair_ring_consume(l->there);
}

static void answer_word(struct pair_loops *l, uint64_t *next)
{
    uint64_t word;

    if (!words_pop(l->words_there, &word))
        return;
    PROA_ASSERT(word == *next);
    (*next)++;
    if (l->loop == PAIR_LOOP_WORDS_TRIP)
        words_push(l->words_back, word);
}

static void answer_line(struct pair_loops *l, uint64_t *next)
{
    if (relaxed(&l->line) != 2 * *next + 1)
        return;
    (*next)++;
    atomic_store_explicit(&l->line, 2 * *next, memory_order_release);
}

static void *other_core(void *arg)
{
    struct pair_loops *l = arg;
    uint64_t next = 0, told = 0;

    while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
        uint64_t before = next;

        if (l->loop == PAIR_LOOP_COUNT || l->loop == PAIR_LOOP_NODES)
            next = receive_items(l, next);
        else if (l->loop == PAIR_LOOP_TRIP)
            answer_item(l, &next);
        else if (l->loop == PAIR_LOOP_LINE_TRIP)
            answer_line(l, &next);
        else
            answer_word(l, &next);
        if (next == before && next != told && next == relaxed(&l->goal)) {
            told = next;
            atomic_store_explicit(&l->arrived, next, memory_order_release);
        }
    }
    return NULL;
}

/* ---- This core ---- */

static void trip_item(struct pair_loops *l, uint64_t number)
{
    struct pair_item *item;

    send_item(l, l->there, number);
    pair_ring_publish(l->there);
    while ((item = pair_ring_peek(l->back)) == NULL) {
    }
    check(item, number);
    pair_ring_step(l->back);
    pair_ring_consume(l->back);
}

static void trip_word(struct pair_loops *l, uint64_t number)
{
    uint64_t word;

    words_push(l->words_there, number);
    while (!words_pop(l->words_back, &word)) {
    }
    PROA_ASSERT(word == number);
}

static void trip_line(struct pair_loops *l, uint64_t number)
{
    atomic_store_explicit(&l->line, 2 * number + 1, memory_order_release);
    while (relaxed(&l->line) != 2 * number + 2) {
    }
}

static void one(struct pair_loops *l, uint64_t number)
{
    switch (l->loop) {
    case PAIR_LOOP_COUNT:
        send_item(l, l->there, number);
        break;
    case PAIR_LOOP_NODES:
        send_node(l, number);
        break;
    case PAIR_LOOP_TRIP:
        trip_item(l, number);
        break;
    case PAIR_LOOP_WORDS_COUNT:
        while (!words_push(l->words_there, number))
            __builtin_ia32_pause();
        break;
    case PAIR_LOOP_WORDS_TRIP:
        trip_word(l, number);
        break;
    case PAIR_LOOP_LINE_TRIP:
        trip_line(l, number);
        break;
    }
}

void pair_loops_run(struct pair_loops *l, uint64_t n)
{
    uint64_t goal = l->sent + n;

    atomic_store_explicit(&l->goal, goal, memory_order_relaxed);
    while (l->sent < goal)
        one(l, l->sent++);
    if (l->there != NULL)
        pair_ring_publish(l->there);
    while (relaxed(&l->arrived) != goal)
        __builtin_ia32_pause();
}

struct pair_loops *pair_loops_create(enum pair_loop loop, uint32_t capacity,
                                     uint32_t payload_len)
{
    struct pair_loops *l = aligned_alloc(PROA_CACHE_LINE, sizeof(*l));

    if (l == NULL)
        return NULL;
    memset(l, 0, sizeof(*l));
    l->loop = loop;
    l->payload_len = payload_len;
    l->there = pair_ring_create(capacity);
    l->back = pair_ring_create(capacity);
    l->words_there = words_create(capacity);
    l->words_back = words_create(capacity);
    for (uint32_t i = 0; i < NODES; i++) {
        struct pair_node *node = aligned_alloc(PROA_CACHE_LINE, NODE_BYTES);
        memset(node, 0, NODE_BYTES);
        node->next = l->nodes;
        l->nodes = node;
    }
    /* The thread is born where it belongs: it inherits the core of its maker. */
    pin_to_core(1);
    if (pthread_create(&l->thread, NULL, other_core, l) != 0)
        return NULL;
    pin_to_core(0);
    return l;
}

void pair_loops_destroy(struct pair_loops *l)
{
    struct pair_node *next, *node;

    atomic_store_explicit(&l->stop, true, memory_order_relaxed);
    pthread_join(l->thread, NULL);
    for (node = pair_ring_returned(l->there); node != NULL; node = next) {
        next = node->next;
        free(node);
    }
    for (node = l->nodes; node != NULL; node = next) {
        next = node->next;
        free(node);
    }
    pair_ring_destroy(l->there);
    pair_ring_destroy(l->back);
    free(l->words_there);
    free(l->words_back);
    free(l);
}
