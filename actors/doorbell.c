/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "doorbell.h"

bool doorbell_init(struct doorbell *bell)
{
    atomic_init(&bell->sleeping, 0);
    bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return bell->fd >= 0;
}

void doorbell_init_silent(struct doorbell *bell)
{
    atomic_init(&bell->sleeping, 0);
    bell->fd = -1;
}

void doorbell_fini(struct doorbell *bell)
{
    if (bell->fd >= 0)
        close(bell->fd);
    bell->fd = -1;
}

void doorbell_arm(struct doorbell *bell)
{
    /* S1, pairs with R1.  relaxed: the fence orders it before the look for work. */
    atomic_store_explicit(&bell->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void doorbell_disarm(struct doorbell *bell)
{
    uint64_t rings;

    /* relaxed: a ring that still sees 1 only makes the next wait return at once. */
    atomic_store_explicit(&bell->sleeping, 0, memory_order_relaxed);
    if (bell->fd >= 0 && read(bell->fd, &rings, sizeof(rings)) < 0) {
        /* EAGAIN: nobody rang. */
    }
}

void doorbell_ring(struct doorbell *bell)
{
    const uint64_t one = 1;

    /* R1, pairs with S1: the fence orders the work published before this look. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&bell->sleeping, memory_order_relaxed) == 0)
        return;
    /* relaxed: one ring wakes; whoever else sees 1 before this only rings twice. */
    atomic_store_explicit(&bell->sleeping, 0, memory_order_relaxed);
    if (bell->fd >= 0 && write(bell->fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: 2^64 - 2 rings unread; it is readable all the same. */
    }
}
