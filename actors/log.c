/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/log.h>

#include <stdarg.h>
#include <stdio.h>

#include "event_note.h"
#include "scheduler_internal.h"

void sched_log_level(struct sched *s, enum proa_log_level level)
{
    /* relaxed: a line more or less does not matter. */
    atomic_store_explicit(&s->notes.level, (uint32_t)level, memory_order_relaxed);
}

void proa_log(struct proa_actor *self, enum proa_log_level level, const char *format, ...)
{
    struct sched *s = self->sched;
    char text[PROA_LOG_TEXT_MAX];
    struct punt_log head;
    va_list args;
    int n;

    /* relaxed: as above. */
    if ((uint32_t)level > atomic_load_explicit(&s->notes.level, memory_order_relaxed))
        return;
    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0)
        n = 0;
    head = (struct punt_log){.at = s->now,
                             .type_name = self->slot->behaviour->def->type_name,
                             .slot = self->ref.slot,
                             .generation = self->ref.generation,
                             .level = level,
                             .len = (uint32_t)n < sizeof(text) ? (uint32_t)n
                                                               : sizeof(text) - 1};
    STAT_ADD(s, log_lines, 1);
    if (!note_push(s, PUNT_LOG, &head, sizeof(head), text, head.len + 1))
        STAT_ADD(s, log_dropped, 1);
}
