/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "inbox.h"

struct inbox_slot {
    alignas(PROA_CACHE_LINE) _Atomic uint32_t seq; /* see inbox.h */
    struct pair_item item;
};

struct inbox {
    /* Constant after init. */
    uint32_t mask;

    /* Written by every sender. */
    alignas(PROA_CACHE_LINE) _Atomic uint32_t tail; /* positions ever claimed, mod 2^32 */

    /* The lane's. */
    alignas(PROA_CACHE_LINE) uint32_t head; /* positions ever consumed, mod 2^32 */

    struct inbox_slot slots[];
};

_Static_assert(offsetof(struct inbox, head) - offsetof(struct inbox, tail) >=
                   PROA_CACHE_LINE,
               "senders and lane must not share a cache line");

struct inbox *inbox_create(uint32_t capacity)
{
    size_t size = sizeof(struct inbox) + (size_t)capacity * sizeof(struct inbox_slot);
    struct inbox *inbox;

    PROA_ASSERT(capacity >= INBOX_MIN && capacity <= INBOX_MAX);
    PROA_ASSERT((capacity & (capacity - 1)) == 0);
    inbox = aligned_alloc(PROA_CACHE_LINE, size);
    if (inbox == NULL)
        return NULL;
    memset(inbox, 0, size);
    inbox->mask = capacity - 1;
    atomic_init(&inbox->tail, 0);
    for (uint32_t i = 0; i < capacity; i++)
        atomic_init(&inbox->slots[i].seq, i);
    return inbox;
}

void inbox_destroy(struct inbox *inbox)
{
    struct pair_item *item;

    if (inbox == NULL)
        return;
    while ((item = inbox_peek(inbox)) != NULL) {
        if (item->kind == PAIR_MSG_NODE)
            inbox_node_free(item->node);
        inbox_consume(inbox);
    }
    free(inbox);
}

/* Claims the next position; NULL when the inbox is full. */
static struct inbox_slot *claim(struct inbox *inbox, uint32_t *ret_pos)
{
    /* relaxed: a position is only a number; S2 says whether its slot may be written. */
    uint32_t pos = atomic_load_explicit(&inbox->tail, memory_order_relaxed);

    for (;;) {
        struct inbox_slot *slot = &inbox->slots[pos & inbox->mask];
        /* S2 acquire, pairs with L2: the lane has read what lay here. */
        int32_t turn =
            (int32_t)(atomic_load_explicit(&slot->seq, memory_order_acquire) - pos);

        if (turn < 0)
            return NULL; /* still holds the item of the lap before */
        if (turn > 0) {
            /* Somebody else took pos.  relaxed: as above. */
            pos = atomic_load_explicit(&inbox->tail, memory_order_relaxed);
            continue;
        }
        /* relaxed: as above.  On failure pos is the new tail. */
        if (atomic_compare_exchange_weak_explicit(&inbox->tail, &pos, pos + 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *ret_pos = pos;
            return slot;
        }
    }
}

enum proa_outcome inbox_push(struct inbox *inbox, const struct pair_item *item)
{
    uint32_t pos;
    struct inbox_slot *slot = claim(inbox, &pos);

    if (slot == NULL)
        return PROA_AGAIN;
    slot->item = *item;
    /* S1 release, pairs with L1: the item becomes visible with its number. */
    atomic_store_explicit(&slot->seq, pos + 1, memory_order_release);
    return PROA_OK;
}

enum proa_outcome inbox_push_msg(struct inbox *inbox, const struct proa_msg *msg,
                                 uint32_t aux)
{
    struct pair_item item;
    enum proa_outcome outcome;

    if (msg->len > INBOX_BYTES_MAX)
        return PROA_TOO_LARGE;
    memset(&item, 0, sizeof(item));
    item.aux = aux;
    item.msg = *msg;
    item.msg.data = NULL;
    if (msg->len <= PAIR_INLINE_MAX) {
        item.kind = PAIR_MSG;
        memcpy(item.inline_data, msg->data, msg->len);
        return inbox_push(inbox, &item);
    }

    item.kind = PAIR_MSG_NODE;
    item.node = inbox_node_alloc(msg->len);
    if (item.node == NULL)
        return PROA_NO_MEMORY;
    memcpy(item.node->data, msg->data, msg->len);
    item.node->len = msg->len;
    outcome = inbox_push(inbox, &item);
    if (outcome != PROA_OK)
        inbox_node_free(item.node);
    return outcome;
}

struct pair_node *inbox_node_alloc(uint32_t size)
{
    struct pair_node *node = malloc(sizeof(*node) + size);

    if (node == NULL)
        return NULL;
    node->next = NULL;
    node->size = size;
    node->len = 0;
    return node;
}

void inbox_node_free(struct pair_node *node)
{
    free(node);
}

struct pair_item *inbox_peek(struct inbox *inbox)
{
    struct inbox_slot *slot = &inbox->slots[inbox->head & inbox->mask];

    /* L1 acquire, pairs with S1: the item has been written. */
    if (atomic_load_explicit(&slot->seq, memory_order_acquire) != inbox->head + 1)
        return NULL;
    return &slot->item;
}

void inbox_consume(struct inbox *inbox)
{
    struct inbox_slot *slot = &inbox->slots[inbox->head & inbox->mask];

    /* L2 release, pairs with S2: the item was read before its slot is written again. */
    atomic_store_explicit(&slot->seq, inbox->head + inbox->mask + 1,
                          memory_order_release);
    inbox->head++;
}
