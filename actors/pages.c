/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <sys/mman.h>

#include "pages.h"

#define HUGE_PAGE ((size_t)2 << 20)

static void *map(size_t len)
{
    void *ptr =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return ptr == MAP_FAILED ? NULL : ptr;
}

void *pages_map(size_t len)
{
    uint8_t *raw, *start;
    size_t before;

    if (len < HUGE_PAGE)
        return map(len);
    /* Map one huge page more than asked and give back what lies outside the alignment. */
    len = (len + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    raw = map(len + HUGE_PAGE);
    if (raw == NULL)
        return NULL;
    before = (HUGE_PAGE - ((uintptr_t)raw & (HUGE_PAGE - 1))) & (HUGE_PAGE - 1);
    start = raw + before;
    if (before > 0)
        munmap(raw, before);
    munmap(start + len, HUGE_PAGE - before);
    madvise(start, len, MADV_HUGEPAGE); /* a wish; without it the table only is slower */
    return start;
}

void pages_unmap(void *ptr, size_t len)
{
    if (ptr == NULL)
        return;
    if (len >= HUGE_PAGE)
        len = (len + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    munmap(ptr, len);
}
