/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <stdio.h>

/* A line of an actor whose test has no function for it. */
static void print_line(void *ctx, const struct proa_log_line *line)
{
    char text[PROA_LOG_TEXT_MAX + 256];

    (void)ctx;
    proa_log_print(line, text, sizeof(text));
    fprintf(stderr, "%s\n", text);
}

void kit_hooks_set(struct proa_test *test, unsigned index)
{
    const struct kit_hooks *hooks = &test->hooks[index];
    struct core *core = test->nodes[index].core;

    core_on_event(core, hooks->event, hooks->event_ctx);
    core_on_dead_letter(core, hooks->dead_letter, hooks->dead_letter_ctx);
    core_on_log(core, hooks->log != NULL ? hooks->log : print_line, hooks->log_ctx);
}

static void changed(struct proa_test *test, unsigned node)
{
    if (test->nodes[node].alive)
        kit_hooks_set(test, node);
}

void proa_test_on_event(struct proa_test *test, unsigned node, proa_on_event fn,
                        void *ctx)
{
    test->hooks[node].event = fn;
    test->hooks[node].event_ctx = ctx;
    changed(test, node);
}

void proa_test_on_dead_letter(struct proa_test *test, unsigned node,
                              proa_on_dead_letter fn, void *ctx)
{
    test->hooks[node].dead_letter = fn;
    test->hooks[node].dead_letter_ctx = ctx;
    changed(test, node);
}

void proa_test_on_log(struct proa_test *test, unsigned node, proa_on_log fn, void *ctx)
{
    test->hooks[node].log = fn;
    test->hooks[node].log_ctx = ctx;
    changed(test, node);
}

void proa_test_log_level(struct proa_test *test, unsigned node, enum proa_log_level level)
{
    for (unsigned i = 0; i < test->config.lanes; i++)
        sched_log_level(lane_sched(test->nodes[node].lanes[i].lane), level);
}
