/* SPDX-License-Identifier: Apache-2.0 */
/* fork-join-throughput: one actor sends each of k workers n messages in turn; each does a little
   work for every message.  Workers are spread over the lanes.

   A worker grants credit for each CREDIT messages, and no worker is sent more than WINDOW
   beyond its credit, so that no mailbox fills. */
#include <string.h>

#include "savina_run.h"

#define CREDIT 128u
#define WINDOW 512u /* below PROA_MAILBOX_DEFAULT */
#define BURST 1024u /* messages before others have their turn */

enum { WORK = SAVINA_OWN, CREDITED };

struct credited {
    uint32_t worker, done;
};

struct master_arg {
    const struct proa_ref *workers; /* complete before RUN, and constant from then on */
    uint32_t k, n;
};

struct master {
    struct savina_actor a;
    struct master_arg arg;
    uint32_t done[SAVINA_ACTORS_MAX]; /* by each worker */
    uint32_t round, at;               /* next: message `round` to worker `at` */
    uint32_t least;                   /* of done */
    bool going;                       /* a GO to oneself is under way */
};

struct worker_arg {
    uint32_t index, n;
};

struct worker {
    struct savina_actor a;
    struct worker_arg arg;
};

/* ---- The master ---- */

static void fork_some(struct proa_actor *self)
{
    struct master *m = proa_state(self);
    uint32_t sent = 0;

    while (m->round < m->arg.n && m->round - m->least < WINDOW) {
        uint64_t number = m->round;
        struct proa_ref to = m->arg.workers[m->at];

        if (sent++ == BURST) {
            m->going = true;
            savina_send(self, proa_self(self), SAVINA_GO, NULL, 0);
            return;
        }
        if (++m->at == m->arg.k) {
            m->at = 0;
            m->round++;
        }
        if (!savina_send(self, to, WORK, &number, sizeof(number)))
            return;
    }
}

static void resume(struct proa_actor *self)
{
    struct master *m = proa_state(self);

    if (!m->going && m->round + m->at > 0)
        fork_some(self);
}

static int master_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct master *m = proa_state(self);

    if (arg_len != sizeof(m->arg))
        return -1;
    memcpy(&m->arg, arg, sizeof(m->arg));
    return savina_start(self, 2, resume);
}

static void on_run(struct proa_actor *self, const struct proa_msg *msg)
{
    savina_begin(self, msg);
    fork_some(self);
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    struct master *m = proa_state(self);

    (void)msg;
    m->going = false;
    if (m->a.post_count == 0)
        fork_some(self);
}

static void on_credited(struct proa_actor *self, const struct proa_msg *msg)
{
    struct master *m = proa_state(self);
    struct credited credited;
    uint32_t least = UINT32_MAX;

    memcpy(&credited, msg->data, sizeof(credited));
    m->done[credited.worker % SAVINA_ACTORS_MAX] = credited.done;
    for (uint32_t i = 0; i < m->arg.k; i++) {
        if (m->done[i] < least)
            least = m->done[i];
    }
    m->least = least;
    if (least == m->arg.n)
        savina_end(self);
    else if (!m->going && m->a.post_count == 0)
        fork_some(self);
}

/* ---- The workers ---- */

static int worker_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct worker *w = proa_state(self);

    if (arg_len != sizeof(w->arg))
        return -1;
    memcpy(&w->arg, arg, sizeof(w->arg));
    return savina_start(self, WINDOW / CREDIT + 2, NULL);
}

static void on_work(struct proa_actor *self, const struct proa_msg *msg)
{
    struct worker *w = proa_state(self);
    struct savina_report *r = &w->a.report;
    uint64_t number;

    memcpy(&number, msg->data, sizeof(number));
    if (number != r->count)
        r->wrong++;
    r->count++;
    r->sum += savina_work(number);
    if (r->count % CREDIT == 0 || r->count == w->arg.n) {
        struct credited credited = {w->arg.index, (uint32_t)r->count};

        savina_send(self, msg->from, CREDITED, &credited, sizeof(credited));
    }
}

static const struct proa_on master_on[] = {
    {CREDITED, sizeof(struct credited), on_credited},
    {SAVINA_GO, 0, on_go},
    {SAVINA_RUN, 0, on_run},
    {SAVINA_REPORT, 0, savina_on_report},
};
static const struct proa_on worker_on[] = {
    {WORK, 8, on_work},
    {SAVINA_REPORT, 0, savina_on_report},
};

/* Each worker has at most WINDOW / CREDIT grants under way, and a last one. */
static const struct proa_behaviour master = {
    .type_name = "savina_master",
    .state_size = sizeof(struct master),
    .on = master_on,
    .on_count = sizeof(master_on) / sizeof(master_on[0]),
    .mailbox = 16384,
    .start = master_start,
    .stop = savina_stop,
    .signal = savina_signal,
};
_Static_assert((WINDOW / CREDIT + 2) * SAVINA_ACTORS_MAX <= 16384, "its mailbox");

static const struct proa_behaviour worker = {
    .type_name = "savina_worker",
    .state_size = sizeof(struct worker),
    .on = worker_on,
    .on_count = sizeof(worker_on) / sizeof(worker_on[0]),
    .start = worker_start,
    .stop = savina_stop,
    .signal = savina_signal,
};

static bool run_throughput(struct savina_run *run)
{
    uint32_t k = run->options.actors, n = run->options.count;
    struct master_arg arg = {run->actors, k, n};
    struct proa_ref ref;
    uint64_t work = 0;

    for (uint32_t i = 0; i < k; i++) {
        struct worker_arg worker_arg = {i, n};

        if (!savina_run_spawn(run, i % run->options.lanes, &worker, &worker_arg,
                              sizeof(worker_arg), &ref))
            return false;
    }
    if (!savina_run_spawn(run, 0, &master, &arg, sizeof(arg), &ref) ||
        !savina_run_go(run, ref))
        return false;
    for (uint64_t i = 0; i < n; i++)
        work += savina_work(i);
    run->messages = (uint64_t)k * n;
    savina_run_check(run, "worked", savina_run_count(run, 0, k), (uint64_t)k * n);
    savina_run_check(run, "work", savina_run_sum(run, 0, k), k * work);
    return true;
}

const struct savina_bench savina_fork_join_throughput = {
    .name = "fork-join-throughput",
    .actors = "workers",
    .actors_min = 1,
    .actors_default = 60,
    .count = "messages to each worker",
    .count_default = {500000, 500000},
    .run = run_throughput,
};
