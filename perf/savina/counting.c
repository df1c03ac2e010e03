/* SPDX-License-Identifier: Apache-2.0 */
/* counting: one actor tells another to count, then asks how far it got; on two lanes, one on each.

   The counter grants credit for each CREDIT messages it has counted, and at most WINDOW are under
   way, so that its mailbox never fills. */
#include <string.h>

#include "savina_run.h"

#define CREDIT 256u
#define WINDOW 768u /* and the question behind them: below PROA_MAILBOX_DEFAULT */

enum { INCREMENT = SAVINA_OWN, CREDITED, HOW_MANY, SO_MANY };

struct producer {
    struct savina_actor a;
    struct proa_ref counter;
    uint64_t next, total, counted;
    bool asked;
};

struct producer_arg {
    struct proa_ref counter;
    uint64_t total;
};

static void produce(struct proa_actor *self)
{
    struct producer *p = proa_state(self);

    while (p->next < p->total && p->next - p->counted < WINDOW) {
        uint64_t number = p->next++;

        if (!savina_send(self, p->counter, INCREMENT, &number, sizeof(number)))
            return;
    }
    if (p->next == p->total && !p->asked) {
        p->asked = true;
        savina_send(self, p->counter, HOW_MANY, NULL, 0);
    }
}

/* Also before the run: then WRITABLE is a spurious one. */
static void resume(struct proa_actor *self)
{
    struct producer *p = proa_state(self);

    if (p->next > 0)
        produce(self);
}

static int producer_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct producer *p = proa_state(self);
    struct producer_arg a;

    if (arg_len != sizeof(a))
        return -1;
    memcpy(&a, arg, sizeof(a));
    p->counter = a.counter;
    p->total = a.total;
    return savina_start(self, 1, resume);
}

static void on_run(struct proa_actor *self, const struct proa_msg *msg)
{
    savina_begin(self, msg);
    produce(self);
}

static void on_credited(struct proa_actor *self, const struct proa_msg *msg)
{
    struct producer *p = proa_state(self);
    struct savina_actor *a = &p->a;

    memcpy(&p->counted, msg->data, sizeof(p->counted));
    if (a->post_count == 0)
        produce(self);
}

static void on_so_many(struct proa_actor *self, const struct proa_msg *msg)
{
    struct producer *p = proa_state(self);

    memcpy(&p->a.report.count, msg->data, sizeof(p->a.report.count));
    savina_end(self);
}

/* ---- The counter ---- */

static int counter_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    (void)arg;
    (void)arg_len;
    return savina_start(self, WINDOW / CREDIT + 2, NULL);
}

static void on_increment(struct proa_actor *self, const struct proa_msg *msg)
{
    struct savina_actor *a = proa_state(self);
    uint64_t number;

    memcpy(&number, msg->data, sizeof(number));
    if (number != a->report.count)
        a->report.wrong++;
    a->report.count++;
    a->report.sum += number;
    if (a->report.count % CREDIT == 0)
        savina_send(self, msg->from, CREDITED, &a->report.count, sizeof(uint64_t));
}

static void on_how_many(struct proa_actor *self, const struct proa_msg *msg)
{
    struct savina_actor *a = proa_state(self);

    savina_send(self, msg->from, SO_MANY, &a->report.count, sizeof(a->report.count));
}

static const struct proa_on producer_on[] = {
    {CREDITED, 8, on_credited},
    {SO_MANY, 8, on_so_many},
    {SAVINA_RUN, 0, on_run},
    {SAVINA_REPORT, 0, savina_on_report},
};
static const struct proa_on counter_on[] = {
    {INCREMENT, 8, on_increment},
    {HOW_MANY, 0, on_how_many},
    {SAVINA_REPORT, 0, savina_on_report},
};

static const struct proa_behaviour producer = {
    .type_name = "savina_producer",
    .state_size = sizeof(struct producer),
    .on = producer_on,
    .on_count = sizeof(producer_on) / sizeof(producer_on[0]),
    .start = producer_start,
    .stop = savina_stop,
    .signal = savina_signal,
};
static const struct proa_behaviour counter = {
    .type_name = "savina_counter",
    .state_size = sizeof(struct savina_actor),
    .on = counter_on,
    .on_count = sizeof(counter_on) / sizeof(counter_on[0]),
    .start = counter_start,
    .stop = savina_stop,
    .signal = savina_signal,
};

static bool run_counting(struct savina_run *run)
{
    uint64_t n = run->options.count;
    struct producer_arg arg = {.total = n};
    struct proa_ref first;

    if (!savina_run_spawn(run, run->options.lanes - 1, &counter, NULL, 0, &arg.counter) ||
        !savina_run_spawn(run, 0, &producer, &arg, sizeof(arg), &first) ||
        !savina_run_go(run, first))
        return false;
    run->messages = n;
    savina_run_check(run, "counted", savina_run_count(run, 0, 1), n);
    savina_run_check(run, "told", savina_run_count(run, 1, 1), n);
    savina_run_check(run, "numbers", savina_run_sum(run, 0, 1), savina_sum_below(n));
    return true;
}

const struct savina_bench savina_counting = {
    .name = "counting",
    .count = "messages",
    .count_default = {100000000, 40000000},
    .run = run_counting,
};
