/* SPDX-License-Identifier: Apache-2.0 */
/* thread-ring: a token goes round a ring of actors for so many hops.  On two lanes each neighbour
   is on the other lane: the worst case. */
#include <string.h>

#include "savina_run.h"

enum { TOKEN = SAVINA_OWN };

struct ring_wire {
    struct proa_ref next, first;
};

struct ring_actor {
    struct savina_actor a;
    struct ring_wire wire;
    uint64_t hops;
};

static int start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct ring_actor *r = proa_state(self);

    if (arg_len != sizeof(r->hops))
        return -1;
    memcpy(&r->hops, arg, sizeof(r->hops));
    return savina_start(self, 1, NULL);
}

static void on_wire(struct proa_actor *self, const struct proa_msg *msg)
{
    struct ring_actor *r = proa_state(self);

    memcpy(&r->wire, msg->data, sizeof(r->wire));
    proa_reply(self, msg, NULL, 0);
}

static void on_run(struct proa_actor *self, const struct proa_msg *msg)
{
    struct ring_actor *r = proa_state(self);
    uint64_t left = r->hops - 1;

    savina_begin(self, msg);
    savina_send(self, r->wire.next, TOKEN, &left, sizeof(left));
}

static void on_token(struct proa_actor *self, const struct proa_msg *msg)
{
    struct ring_actor *r = proa_state(self);
    uint64_t left;

    memcpy(&left, msg->data, sizeof(left));
    r->a.report.count++;
    r->a.report.sum += left;
    if (left == 0) {
        savina_send(self, r->wire.first, SAVINA_DONE, NULL, 0);
        return;
    }
    left--;
    savina_send(self, r->wire.next, TOKEN, &left, sizeof(left));
}

static void on_done(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    savina_end(self);
}

static const struct proa_on on[] = {
    {TOKEN, 8, on_token},
    {SAVINA_WIRE, sizeof(struct ring_wire), on_wire},
    {SAVINA_RUN, 0, on_run},
    {SAVINA_DONE, 0, on_done},
    {SAVINA_REPORT, 0, savina_on_report},
};

static const struct proa_behaviour ring_actor = {
    .type_name = "savina_ring_actor",
    .state_size = sizeof(struct ring_actor),
    .on = on,
    .on_count = sizeof(on) / sizeof(on[0]),
    .start = start,
    .stop = savina_stop,
    .signal = savina_signal,
};

/* Hop j, from 0, arrives at actor (j + 1) mod k. */
static uint64_t hops_of(uint64_t actor, uint64_t k, uint64_t n)
{
    uint64_t first = (actor + k - 1) % k;

    return n > first ? (n - first - 1) / k + 1 : 0;
}

static bool run_thread_ring(struct savina_run *run)
{
    uint32_t k = run->options.actors;
    uint64_t n = run->options.count, astray = 0;
    struct proa_ref ref;

    for (uint32_t i = 0; i < k; i++) {
        if (!savina_run_spawn(run, i % run->options.lanes, &ring_actor, &n, sizeof(n),
                              &ref))
            return false;
    }
    for (uint32_t i = 0; i < k; i++) {
        struct ring_wire wire = {run->actors[(i + 1) % k], run->actors[0]};

        if (!savina_run_wire(run, run->actors[i], &wire, sizeof(wire)))
            return false;
    }
    if (!savina_run_go(run, run->actors[0]))
        return false;
    for (uint32_t i = 0; i < k; i++)
        astray += run->reports[i].count != hops_of(i, k, n);
    run->messages = n;
    savina_run_check(run, "hops", savina_run_count(run, 0, k), n);
    savina_run_check(run, "numbers", savina_run_sum(run, 0, k), savina_sum_below(n));
    savina_run_check(run, "actors_off_count", astray, 0);
    return true;
}

const struct savina_bench savina_thread_ring = {
    .name = "thread-ring",
    .actors = "in the ring",
    .actors_min = 2,
    .actors_default = 100,
    .count = "hops",
    .count_default = {80000000, 8000000},
    .run = run_thread_ring,
};
