/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_timers.h"

#include <string.h>

size_t kad_timers_size(uint32_t cap)
{
    return cap * (sizeof(proa_ns) + 2 * sizeof(uint32_t));
}

void kad_timers_init(struct kad_timers *self, void *memory, uint32_t cap)
{
    uint8_t *at = memory;

    self->due = memory;
    self->place = (uint32_t *)(void *)(at + cap * sizeof(proa_ns));
    self->heap = self->place + cap;
    self->count = 0;
    self->cap = cap;
    memset(self->place, 0, cap * sizeof(uint32_t));
}

static bool earlier(const struct kad_timers *self, uint32_t a, uint32_t b)
{
    return self->due[self->heap[a]] < self->due[self->heap[b]];
}

static void swap(struct kad_timers *self, uint32_t a, uint32_t b)
{
    uint32_t number = self->heap[a];

    self->heap[a] = self->heap[b];
    self->heap[b] = number;
    self->place[self->heap[a]] = a + 1;
    self->place[number] = b + 1;
}

static void sift_up(struct kad_timers *self, uint32_t at)
{
    while (at > 0 && earlier(self, at, (at - 1) / 2)) {
        swap(self, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct kad_timers *self, uint32_t at)
{
    for (;;) {
        uint32_t least = at, child = 2 * at + 1;

        if (child < self->count && earlier(self, child, least))
            least = child;
        if (child + 1 < self->count && earlier(self, child + 1, least))
            least = child + 1;
        if (least == at)
            return;
        swap(self, at, least);
        at = least;
    }
}

void kad_timers_set(struct kad_timers *self, uint32_t number, proa_ns due)
{
    PROA_ASSERT(number < self->cap);
    if (self->place[number] == 0) {
        self->heap[self->count] = number;
        self->place[number] = ++self->count;
    }
    self->due[number] = due;
    sift_up(self, self->place[number] - 1);
    sift_down(self, self->place[number] - 1);
}

void kad_timers_sooner(struct kad_timers *self, uint32_t number, proa_ns due)
{
    if (!kad_timers_is_set(self, number) || due < self->due[number])
        kad_timers_set(self, number, due);
}

void kad_timers_clear(struct kad_timers *self, uint32_t number)
{
    PROA_ASSERT(number < self->cap);
    if (self->place[number] == 0)
        return;
    uint32_t at = self->place[number] - 1, last = self->count - 1;
    swap(self, at, last);
    self->count = last;
    self->place[number] = 0;
    if (at < last) {
        sift_up(self, at);
        sift_down(self, at);
    }
}

bool kad_timers_is_set(const struct kad_timers *self, uint32_t number)
{
    PROA_ASSERT(number < self->cap);
    return self->place[number] != 0;
}

proa_ns kad_timers_next(const struct kad_timers *self)
{
    return self->count > 0 ? self->due[self->heap[0]] : PROA_NS_NEVER;
}

bool kad_timers_pop(struct kad_timers *self, proa_ns now, uint32_t *ret_number)
{
    if (kad_timers_next(self) > now || self->count == 0)
        return false;
    *ret_number = self->heap[0];
    kad_timers_clear(self, *ret_number);
    return true;
}
