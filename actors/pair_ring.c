/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "pair_ring.h"
#include "payload.h"

#define NODES_AHEAD 16 /* nodes come home prefetched ahead */
#define RING_ALIGN 128 /* the processor fetches lines in such pairs */

/* The sender's notes lie behind the slots. */
static size_t lent_offset(uint32_t capacity)
{
    return sizeof(struct pair_ring) + (size_t)capacity * sizeof(struct pair_slot);
}

size_t pair_ring_size(uint32_t capacity)
{
    size_t lent = capacity * sizeof(struct pair_lent);

    return (lent_offset(capacity) + lent + RING_ALIGN - 1) & ~((size_t)RING_ALIGN - 1);
}

struct pair_ring *pair_ring_init(void *mem, uint32_t capacity)
{
    struct pair_ring *r = mem;

    PROA_ASSERT(capacity >= PAIR_RING_MIN && capacity <= PAIR_RING_MAX);
    PROA_ASSERT((capacity & (capacity - 1)) == 0);
    PROA_ASSERT(((uintptr_t)mem & (RING_ALIGN - 1)) == 0);

    /* Slots too: so that no lane takes the page faults later. */
    memset(mem, 0, pair_ring_size(capacity));
    r->lent = (struct pair_lent *)(void *)((uint8_t *)mem + lent_offset(capacity));
    r->mask = capacity - 1;
    r->ordinary_max = capacity - capacity / PAIR_RING_HEADROOM;
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
    return r;
}

struct pair_ring *pair_ring_create(uint32_t capacity)
{
    void *mem = aligned_alloc(RING_ALIGN, pair_ring_size(capacity));

    return mem == NULL ? NULL : pair_ring_init(mem, capacity);
}

void pair_ring_destroy(struct pair_ring *r)
{
    free(r);
}

/* ---- Items ---- */

static uint64_t ref_word(struct proa_ref ref)
{
    return ref.slot | (uint64_t)ref.generation << 32;
}

/* A word at a time: see payload.h. */
static void put_tell(struct pair_item *item, const struct proa_msg *msg)
{
    struct pair_tell *tell = &item->tell;

    item->kind_aux = PAIR_TELL;
    tell->type = msg->type;
    tell->head = pair_tell_head(msg->len, msg->cls, msg->hops);
    tell->from = ref_word(msg->from);
    tell->to = ref_word(msg->to);
    payload_copy(tell->data, msg->data, msg->len);
}

static void put_head(struct pair_item *item, const struct proa_msg *msg)
{
    struct proa_msg *to = &item->msg;

    item->aux = 0;
    to->len = msg->len;
    to->type = msg->type;
    to->from.node = msg->from.node;
    to->from.slot = msg->from.slot;
    to->from.generation = msg->from.generation;
    to->to.node = msg->to.node;
    to->to.slot = msg->to.slot;
    to->to.generation = msg->to.generation;
    to->deadline = msg->deadline;
    to->correlation = msg->correlation;
    to->flags = msg->flags;
    to->cls = msg->cls;
    to->hops = msg->hops;
    to->zero = 0;
}

static bool fits_tell(const struct proa_msg *msg, uint64_t node)
{
    return msg->len <= PAIR_TELL_MAX && msg->flags == 0 && msg->correlation == 0 &&
           msg->deadline == 0 && msg->to.node == node &&
           (msg->from.node == node || proa_ref_is_none(msg->from));
}

bool pair_item_put(struct pair_item *item, const struct proa_msg *msg, uint64_t node)
{
    if (fits_tell(msg, node)) {
        put_tell(item, msg);
        return true;
    }
    put_head(item, msg);
    item->kind = msg->len <= PAIR_INLINE_MAX ? PAIR_MSG : PAIR_MSG_NODE;
    if (item->kind != PAIR_MSG)
        return false;
    payload_copy(item->inline_data, msg->data, msg->len);
    return true;
}

static const struct proa_msg *open_tell(const struct pair_tell *tell, uint64_t node,
                                        struct proa_msg *space)
{
    pair_tell_open(tell, node, space);
    space->to.node = node;
    memcpy(&space->to.slot, &tell->to, sizeof(tell->to));
    space->deadline = 0;
    space->correlation = 0;
    return space;
}

const struct proa_msg *pair_item_open(struct pair_item *item, uint64_t node,
                                      struct proa_msg *space)
{
    if (item->kind == PAIR_TELL)
        return open_tell(&item->tell, node, space);
    if (item->kind == PAIR_MSG)
        item->msg.data = item->inline_data;
    else
        item->msg.data = item->kind == PAIR_MSG_NODE ? item->node->data : item->ptr;
    return &item->msg;
}

/* ---- Sender ---- */

static uint32_t in_use(struct pair_ring *r)
{
    /* P2 acquire, pairs with C2: every item before this head has been read. */
    r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    return r->tail_next - r->head_seen;
}

bool pair_ring_refresh(struct pair_ring *r, bool privileged)
{
    /* The receiver cannot make room by what it does not see. */
    pair_ring_publish(r);
    return in_use(r) < (privileged ? r->mask + 1 : r->ordinary_max);
}

uint32_t pair_ring_room(struct pair_ring *r)
{
    uint32_t used = in_use(r);

    return used < r->ordinary_max ? r->ordinary_max - used : 0;
}

bool pair_ring_drained_half(struct pair_ring *r)
{
    return in_use(r) <= (r->mask + 1) / 2;
}

static bool is_home(const struct pair_ring *r, uint32_t lent)
{
    return lent != r->lent_next &&
           (int32_t)(r->head_seen - r->lent[lent & r->mask].end) >= 0;
}

/* Takes note of the nodes whose items have been consumed.  The receiver still has their lines,
   so they are fetched some ahead. */
static void collect(struct pair_ring *r)
{
    uint32_t ahead = r->lent_home;

    if (r->lent_home != r->lent_next && !is_home(r, r->lent_home))
        in_use(r);
    while (is_home(r, r->lent_home)) {
        struct pair_node *node = r->lent[r->lent_home & r->mask].node;

        while (ahead - r->lent_home < NODES_AHEAD && is_home(r, ahead))
            prefetch_write(r->lent[ahead++ & r->mask].node);
        node->next = r->home;
        r->home = node;
        r->lent_home++;
    }
}

void pair_ring_lend(struct pair_ring *r, const struct pair_item *item)
{
    /* There are as many notes as items that can be in the ring: some nodes are home. */
    if (r->lent_next - r->lent_home > r->mask)
        collect(r);
    r->lent[r->lent_next & r->mask] = (struct pair_lent){item->node, r->tail_next + 1};
    r->lent_next++;
}

struct pair_node *pair_ring_returned(struct pair_ring *r)
{
    struct pair_node *home;

    collect(r);
    home = r->home;
    r->home = NULL;
    return home;
}
