/* SPDX-License-Identifier: Apache-2.0 */
/* big: each of k actors sends n pings, one after the other, to others chosen at random, and answers
   all that come.  Actors are spread over the lanes. */
#include <stdlib.h>
#include <string.h>

#include "savina_run.h"

enum { PING = SAVINA_OWN, PONG };

struct member_arg {
    const struct proa_ref *members; /* complete before RUN, and constant from then on */
    uint32_t k, me, n;
};

struct member {
    struct savina_actor a; /* count and sum: of pings that came */
    struct member_arg arg;
    struct proa_ref gate;
    uint64_t random;
    uint64_t next; /* number of the ping that is out, or of the next one */
};

static uint64_t random_start(uint32_t me)
{
    return savina_work(me + 1);
}

/* Who gets the next ping: anybody but oneself. */
static uint32_t pick(uint64_t *random, uint32_t k, uint32_t me)
{
    /* xorshift64: Marsaglia, "Xorshift RNGs", 2003. */
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;

    uint32_t other = (uint32_t)((*random >> 32) * (k - 1) >> 32);
    return other < me ? other : other + 1;
}

static void ping_one(struct proa_actor *self, struct member *m)
{
    uint32_t to = pick(&m->random, m->arg.k, m->arg.me);

    savina_send(self, m->arg.members[to], PING, &m->next, sizeof(m->next));
}

static int start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct member *m = proa_state(self);

    if (arg_len != sizeof(m->arg))
        return -1;
    memcpy(&m->arg, arg, sizeof(m->arg));
    m->random = random_start(m->arg.me);
    /* A pong to each other one, a ping, and DONE. */
    return savina_start(self, m->arg.k + 1, NULL);
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    struct member *m = proa_state(self);

    m->gate = msg->from;
    ping_one(self, m);
}

static void on_ping(struct proa_actor *self, const struct proa_msg *msg)
{
    struct member *m = proa_state(self);
    uint64_t number;

    memcpy(&number, msg->data, sizeof(number));
    m->a.report.count++;
    m->a.report.sum += number;
    savina_send(self, msg->from, PONG, &number, sizeof(number));
}

static void on_pong(struct proa_actor *self, const struct proa_msg *msg)
{
    struct member *m = proa_state(self);
    uint64_t number;

    memcpy(&number, msg->data, sizeof(number));
    if (number != m->next)
        m->a.report.wrong++;
    if (++m->next == m->arg.n)
        savina_send(self, m->gate, SAVINA_DONE, NULL, 0);
    else
        ping_one(self, m);
}

static const struct proa_on on[] = {
    {PING, 8, on_ping},
    {PONG, 8, on_pong},
    {SAVINA_GO, 0, on_go},
    {SAVINA_REPORT, 0, savina_on_report},
};

/* At most a ping of each other one, a pong and GO wait for it. */
static const struct proa_behaviour member = {
    .type_name = "savina_member",
    .state_size = sizeof(struct member),
    .on = on,
    .on_count = sizeof(on) / sizeof(on[0]),
    .mailbox = 4096,
    .start = start,
    .stop = savina_stop,
    .signal = savina_signal,
};
_Static_assert(SAVINA_ACTORS_MAX + 2 <= 4096, "its mailbox");

/* How many members did not get the pings that the generators say they got. */
static uint64_t members_off(const struct savina_run *run, uint32_t k, uint32_t n)
{
    uint64_t *expected = calloc(k, sizeof(*expected)), off = 0;

    if (expected == NULL)
        return k;
    for (uint32_t me = 0; me < k; me++) {
        uint64_t random = random_start(me);

        for (uint32_t i = 0; i < n; i++)
            expected[pick(&random, k, me)]++;
    }
    for (uint32_t me = 0; me < k; me++)
        off += run->reports[me].count != expected[me];
    free(expected);
    return off;
}

static bool run_big(struct savina_run *run)
{
    uint32_t k = run->options.actors, n = run->options.count;
    struct savina_gate_arg gate = {run->actors, k};
    struct proa_ref ref;

    for (uint32_t i = 0; i < k; i++) {
        struct member_arg arg = {run->actors, k, i, n};

        if (!savina_run_spawn(run, i % run->options.lanes, &member, &arg, sizeof(arg),
                              &ref))
            return false;
    }
    if (!savina_run_spawn(run, 0, &savina_gate, &gate, sizeof(gate), &ref) ||
        !savina_run_go(run, ref))
        return false;
    run->messages = 2 * (uint64_t)k * n;
    savina_run_check(run, "pings", savina_run_count(run, 0, k), (uint64_t)k * n);
    savina_run_check(run, "numbers", savina_run_sum(run, 0, k), k * savina_sum_below(n));
    savina_run_check(run, "members_off_count", members_off(run, k, n), 0);
    savina_run_check(run, "members_done", savina_run_count(run, k, 1), k);
    return true;
}

const struct savina_bench savina_big = {
    .name = "big",
    .actors = "members",
    .actors_min = 2,
    .actors_default = 120,
    .count = "pings of each member",
    .count_default = {200000, 150000},
    .run = run_big,
};
