/* SPDX-License-Identifier: Apache-2.0 */
#include "builtin.h"

#include <proa/le.h>
#include <string.h>

/* ---- echo ---- */

static void on_any(struct proa_actor *self, const struct proa_msg *msg)
{
    if ((msg->flags & PROA_MSG_ASK) != 0)
        proa_reply(self, msg, msg->data, msg->len);
}

const struct proa_behaviour builtin_echo = {
    .type_name = "echo",
    .any = on_any,
};

/* ---- counter ---- */

struct counter {
    uint64_t count;
};

static void answer_count(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct counter *counter = proa_state(self);
    uint8_t sum[8];

    if ((msg->flags & PROA_MSG_ASK) == 0)
        return;
    proa_put_le64(sum, counter->count);
    proa_reply(self, msg, sum, sizeof(sum));
}

static void on_inc(struct proa_actor *self, const struct proa_msg *msg)
{
    struct counter *counter = proa_state(self);

    counter->count += proa_get_le64(msg->data);
    answer_count(self, msg);
}

static const struct proa_on counter_on[] = {
    {BUILTIN_INC, 8, on_inc},
    {BUILTIN_GET, 0, answer_count},
};

const struct proa_behaviour builtin_counter = {
    .type_name = "counter",
    .state_size = sizeof(struct counter),
    .on = counter_on,
    .on_count = 2,
};

const struct proa_behaviour *const builtin_all[BUILTIN_COUNT] = {&builtin_echo,
                                                                 &builtin_counter};

const struct proa_behaviour *builtin_find(const struct proa_behaviour *const *behaviours,
                                          unsigned count, const char *type_name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(behaviours[i]->type_name, type_name) == 0)
            return behaviours[i];
    }
    for (unsigned i = 0; i < BUILTIN_COUNT; i++) {
        if (strcmp(builtin_all[i]->type_name, type_name) == 0)
            return builtin_all[i];
    }
    return NULL;
}
