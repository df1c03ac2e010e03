/* SPDX-License-Identifier: Apache-2.0 */
#include "bulk.h"

#define BULK_MARK 0x70726f6162756c6bu /* "proabulk": not a pointer a caller made up */

struct bulk {
    struct arena *arena;
    uint64_t len;
    uint64_t mark;
    uint64_t zero;
};

_Static_assert(sizeof(struct bulk) % 16 == 0, "buffers stay 16-aligned");

static struct bulk *head_of(const void *buf)
{
    struct bulk *head = (struct bulk *)(uintptr_t)buf - 1;

    PROA_ASSERT(head->mark == BULK_MARK);
    return head;
}

void *bulk_alloc(struct bulk_budget *budget, struct arena *arena, size_t len,
                 bool privileged)
{
    struct bulk *head;

    if (!privileged && (len > budget->limit || budget->used > budget->limit - len)) {
        budget->refused++;
        return NULL;
    }
    head = arena_alloc(arena, sizeof(*head) + len, 16);
    if (head == NULL) {
        budget->refused++;
        return NULL;
    }
    *head = (struct bulk){.arena = arena, .len = len, .mark = BULK_MARK};
    budget->used += len;
    return head + 1;
}

void bulk_free(struct bulk_budget *budget, void *buf)
{
    struct bulk *head = head_of(buf);

    budget->used -= head->len;
    head->mark = 0;
    arena_free(head->arena, head);
}

size_t bulk_len(const void *buf)
{
    return head_of(buf)->len;
}

void bulk_leave(struct bulk_budget *budget, const void *buf)
{
    budget->used -= head_of(buf)->len;
}

void bulk_enter(struct bulk_budget *budget, const void *buf)
{
    budget->used += head_of(buf)->len;
}
