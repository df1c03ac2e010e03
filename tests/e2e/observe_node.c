/* SPDX-License-Identifier: Apache-2.0 */
/* The proa program with two more behaviours, for test_observe.py: one that holds up its lane
   when it is asked to, one that writes log lines and tells nobody. */
#include <proa/log.h>
#include <proa/node.h>
#include <string.h>
#include <time.h>

enum { HOLD = 1, LOG = 2, TELL = 3 };

/* Blocks for so many milliseconds: what a handler must not do. */
static void on_hold(struct proa_actor *self, const struct proa_msg *msg)
{
    uint64_t ms;
    struct timespec span;

    memcpy(&ms, msg->data, sizeof(ms));
    span = (struct timespec){(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&span, NULL);
    proa_reply(self, msg, NULL, 0);
}

static void on_log(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_log(self, PROA_LOG_WARNING, "%u bytes came", msg->len);
    proa_log(self, PROA_LOG_DEBUG, "not to be seen");
    proa_reply(self, msg, NULL, 0);
}

/* A message that its receiver, this very actor, does not handle. */
static void on_tell(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_tell(self, proa_self(self), 99, NULL, 0);
    proa_reply(self, msg, NULL, 0);
}

static const struct proa_on on[] = {
    {HOLD, 8, on_hold}, {LOG, 0, on_log}, {TELL, 0, on_tell}};
static const struct proa_behaviour holder = {
    .type_name = "holder", .on = on, .on_count = 3};

int main(int argc, char **argv)
{
    const struct proa_behaviour *const behaviours[] = {&holder};

    return proa_main(argc, argv, behaviours, 1);
}
