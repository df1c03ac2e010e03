/* SPDX-License-Identifier: Apache-2.0 */
/* ping-pong: one message back and forth between two actors; on two lanes, one on each. */
#include <string.h>

#include "savina_run.h"

enum { PING = SAVINA_OWN, PONG };

struct ping {
    struct savina_actor a;
    struct proa_ref pong;
    uint64_t next, total;
};

struct ping_arg {
    struct proa_ref pong;
    uint64_t total;
};

static int ping_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct ping *p = proa_state(self);
    struct ping_arg a;

    if (arg_len != sizeof(a))
        return -1;
    memcpy(&a, arg, sizeof(a));
    p->pong = a.pong;
    p->total = a.total;
    return savina_start(self, 1, NULL);
}

static int pong_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    (void)arg;
    (void)arg_len;
    return savina_start(self, 1, NULL);
}

static void on_run(struct proa_actor *self, const struct proa_msg *msg)
{
    struct ping *p = proa_state(self);

    savina_begin(self, msg);
    savina_send(self, p->pong, PING, &p->next, sizeof(p->next));
}

static void on_ping(struct proa_actor *self, const struct proa_msg *msg)
{
    struct savina_actor *a = proa_state(self);
    uint64_t number;

    memcpy(&number, msg->data, sizeof(number));
    a->report.count++;
    a->report.sum += number;
    savina_send(self, msg->from, PONG, &number, sizeof(number));
}

static void on_pong(struct proa_actor *self, const struct proa_msg *msg)
{
    struct ping *p = proa_state(self);
    uint64_t number;

    memcpy(&number, msg->data, sizeof(number));
    if (number != p->next)
        p->a.report.wrong++;
    p->a.report.count++;
    p->a.report.sum += number;
    if (++p->next == p->total)
        savina_end(self);
    else
        savina_send(self, p->pong, PING, &p->next, sizeof(p->next));
}

static const struct proa_on ping_on[] = {
    {PONG, 8, on_pong},
    {SAVINA_RUN, 0, on_run},
    {SAVINA_REPORT, 0, savina_on_report},
};
static const struct proa_on pong_on[] = {
    {PING, 8, on_ping},
    {SAVINA_REPORT, 0, savina_on_report},
};

static const struct proa_behaviour ping = {
    .type_name = "savina_ping",
    .state_size = sizeof(struct ping),
    .on = ping_on,
    .on_count = sizeof(ping_on) / sizeof(ping_on[0]),
    .start = ping_start,
    .stop = savina_stop,
    .signal = savina_signal,
};
static const struct proa_behaviour pong = {
    .type_name = "savina_pong",
    .state_size = sizeof(struct savina_actor),
    .on = pong_on,
    .on_count = sizeof(pong_on) / sizeof(pong_on[0]),
    .start = pong_start,
    .stop = savina_stop,
    .signal = savina_signal,
};

static bool run_ping_pong(struct savina_run *run)
{
    uint64_t n = run->options.count;
    struct ping_arg arg = {.total = n};
    struct proa_ref first;

    if (!savina_run_spawn(run, run->options.lanes - 1, &pong, NULL, 0, &arg.pong) ||
        !savina_run_spawn(run, 0, &ping, &arg, sizeof(arg), &first) ||
        !savina_run_go(run, first))
        return false;
    run->messages = 2 * n;
    savina_run_check(run, "pings", savina_run_count(run, 0, 1), n);
    savina_run_check(run, "pongs", savina_run_count(run, 1, 1), n);
    savina_run_check(run, "ping_numbers", savina_run_sum(run, 0, 1), savina_sum_below(n));
    savina_run_check(run, "pong_numbers", savina_run_sum(run, 1, 1), savina_sum_below(n));
    return true;
}

const struct savina_bench savina_ping_pong = {
    .name = "ping-pong",
    .count = "round trips",
    .count_default = {40000000, 4000000},
    .run = run_ping_pong,
};
