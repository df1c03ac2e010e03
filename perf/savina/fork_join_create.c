/* SPDX-License-Identifier: Apache-2.0 */
/* fork-join-create: makes n actors; each does its work once, answers and stops.  On two lanes one
   actor on each makes half of them.  At most WINDOW live at a time. */
#include <stdio.h>
#include <string.h>

#include "savina_run.h"

#define WINDOW 256u
#define ASK_FOR (60 * PROA_S)

enum { WORK = SAVINA_OWN };

struct forker {
    struct savina_actor a;
    uint64_t next, total;
    uint32_t live;
    bool begun;
    struct proa_ref gate;
    struct proa_ref child; /* made, and not asked yet */
};

/* ---- The children ---- */

static void on_work(struct proa_actor *self, const struct proa_msg *msg)
{
    uint64_t number;

    memcpy(&number, msg->data, sizeof(number));
    number = savina_work(number);
    proa_reply(self, msg, &number, sizeof(number));
    proa_stop(self);
}

static const struct proa_on child_on[] = {{WORK, 8, on_work}};
static const struct proa_behaviour child = {
    .type_name = "savina_child", .on = child_on, .on_count = 1};

/* ---- Who makes them ---- */

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx);

/* False: it goes on when WRITABLE comes. */
static bool fork_one(struct proa_actor *self, struct forker *f)
{
    enum proa_outcome outcome = PROA_OK;

    if (proa_ref_is_none(f->child))
        outcome = proa_spawn(self, &child, NULL, 0, &f->child);
    if (outcome == PROA_OK)
        outcome = proa_ask(self, f->child, WORK, &f->next, sizeof(f->next), ASK_FOR,
                           on_answer, NULL, 0);
    if (outcome == PROA_OK) {
        f->child = proa_ref_none();
        f->next++;
        f->live++;
        return true;
    }
    if (outcome == PROA_AGAIN)
        f->a.report.again++;
    else
        f->a.report.wrong++;
    return false;
}

static void fork_some(struct proa_actor *self)
{
    struct forker *f = proa_state(self);

    while (f->begun && f->next < f->total && f->live < WINDOW) {
        if (!fork_one(self, f))
            return;
    }
}

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    struct forker *f = proa_state(self);
    uint64_t number;

    (void)ctx;
    f->live--;
    if (answer->outcome != PROA_OK || answer->len != sizeof(number)) {
        f->a.report.wrong++;
    } else {
        memcpy(&number, answer->data, sizeof(number));
        f->a.report.count++;
        f->a.report.sum += number;
    }
    if (f->next == f->total && f->live == 0)
        savina_send(self, f->gate, SAVINA_DONE, NULL, 0);
    else
        fork_some(self);
}

static int forker_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct forker *f = proa_state(self);

    if (arg_len != sizeof(f->total))
        return -1;
    memcpy(&f->total, arg, sizeof(f->total));
    return savina_start(self, 1, fork_some);
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    struct forker *f = proa_state(self);

    f->begun = true;
    f->gate = msg->from;
    fork_some(self);
}

static const struct proa_on forker_on[] = {
    {SAVINA_GO, 0, on_go},
    {SAVINA_REPORT, 0, savina_on_report},
};
static const struct proa_behaviour forker = {
    .type_name = "savina_forker",
    .state_size = sizeof(struct forker),
    .on = forker_on,
    .on_count = sizeof(forker_on) / sizeof(forker_on[0]),
    .start = forker_start,
    .stop = savina_stop,
    .signal = savina_signal,
};

/* How many of n the forker on this lane makes. */
static uint64_t share(uint64_t n, uint32_t lanes, uint32_t lane)
{
    return n / lanes + (lane < n % lanes ? 1 : 0);
}

static bool run_create(struct savina_run *run)
{
    uint32_t lanes = run->options.lanes;
    uint64_t n = run->options.count, work = 0;
    struct savina_gate_arg arg = {run->actors, lanes};
    struct proa_ref ref;

    if (n < lanes) {
        snprintf(run->error, sizeof(run->error), "--count: fewer than lanes");
        return false;
    }
    for (uint32_t i = 0; i < lanes; i++) {
        uint64_t mine = share(n, lanes, i);

        for (uint64_t j = 0; j < mine; j++)
            work += savina_work(j);
        if (!savina_run_spawn(run, i, &forker, &mine, sizeof(mine), &ref))
            return false;
    }
    if (!savina_run_spawn(run, 0, &savina_gate, &arg, sizeof(arg), &ref) ||
        !savina_run_go(run, ref))
        return false;
    run->messages = 2 * n;
    run->spawned = n;
    savina_run_check(run, "answered", savina_run_count(run, 0, lanes), n);
    savina_run_check(run, "work", savina_run_sum(run, 0, lanes), work);
    savina_run_check(run, "forkers_done", savina_run_count(run, lanes, 1), lanes);
    return true;
}

const struct savina_bench savina_fork_join_create = {
    .name = "fork-join-create",
    .count = "actors made",
    .count_default = {8000000, 16000000},
    .run = run_create,
};
