/* SPDX-License-Identifier: Apache-2.0 */
/* chameneos: creatures meet in pairs at a mall and change colour, until there were n meetings.  The
   mall is on lane 0, the creatures are spread over the lanes.

   A meeting is four messages: two creatures go to the mall, the first is told of the second, and
   tells the second its new colour (C. Kaiser, J.-F. Pradat-Peyre, "Chameneos, a Concurrency
   Game for Java, Ada and Others", 2003). */
#include <string.h>

#include "savina_run.h"

enum { MEET = SAVINA_OWN, PARTNER, CHANGE, CLOSED, MET };

enum colour { YELLOW, BLUE, RED, COLOURS };

struct partner {
    struct proa_ref other;
    uint64_t colour;
};

/* ---- The creatures ---- */

struct creature {
    struct savina_actor a; /* count: meetings; sum: of these, as the second one */
    struct proa_ref mall;
    uint64_t colour;
};

/* The colour both have after a meeting: unlike ones become the third. */
static uint64_t complement(uint64_t a, uint64_t b)
{
    return a == b ? a : COLOURS - a - b;
}

static int creature_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct creature *c = proa_state(self);

    if (arg_len != sizeof(c->colour))
        return -1;
    memcpy(&c->colour, arg, sizeof(c->colour));
    return savina_start(self, 3, NULL); /* CHANGE, MEET and MET */
}

static void meet(struct proa_actor *self, struct creature *c)
{
    savina_send(self, c->mall, MEET, &c->colour, sizeof(c->colour));
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    struct creature *c = proa_state(self);

    c->mall = msg->from;
    meet(self, c);
}

static void on_partner(struct proa_actor *self, const struct proa_msg *msg)
{
    struct creature *c = proa_state(self);
    struct partner partner;

    memcpy(&partner, msg->data, sizeof(partner));
    if (proa_ref_equal(partner.other, proa_self(self)) || partner.colour >= COLOURS)
        c->a.report.wrong++;
    c->colour = complement(c->colour, partner.colour);
    c->a.report.count++;
    savina_send(self, partner.other, CHANGE, &c->colour, sizeof(c->colour));
    meet(self, c);
}

static void on_change(struct proa_actor *self, const struct proa_msg *msg)
{
    struct creature *c = proa_state(self);

    memcpy(&c->colour, msg->data, sizeof(c->colour));
    if (c->colour >= COLOURS)
        c->a.report.wrong++;
    c->a.report.count++;
    c->a.report.sum++;
    meet(self, c);
}

static void on_closed(struct proa_actor *self, const struct proa_msg *msg)
{
    struct creature *c = proa_state(self);

    savina_send(self, msg->from, MET, &c->a.report.count, sizeof(c->a.report.count));
}

static const struct proa_on creature_on[] = {
    {PARTNER, sizeof(struct partner), on_partner},
    {CHANGE, 8, on_change},
    {CLOSED, 0, on_closed},
    {SAVINA_GO, 0, on_go},
    {SAVINA_REPORT, 0, savina_on_report},
};
static const struct proa_behaviour creature = {
    .type_name = "savina_creature",
    .state_size = sizeof(struct creature),
    .on = creature_on,
    .on_count = sizeof(creature_on) / sizeof(creature_on[0]),
    .start = creature_start,
    .stop = savina_stop,
    .signal = savina_signal,
};

/* ---- The mall ---- */

struct mall_arg {
    const struct proa_ref *creatures; /* complete before RUN, and constant from then on */
    uint32_t k, n;
};

struct mall {
    struct savina_actor a; /* count: meetings; sum: what the creatures say they had */
    struct mall_arg arg;
    struct proa_ref waiting; /* who came first; none: nobody */
    uint32_t gone;
};

static int mall_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct mall *m = proa_state(self);

    if (arg_len != sizeof(m->arg))
        return -1;
    memcpy(&m->arg, arg, sizeof(m->arg));
    return savina_start(self, m->arg.k, NULL); /* one to each creature */
}

static void on_run(struct proa_actor *self, const struct proa_msg *msg)
{
    struct mall *m = proa_state(self);

    savina_begin(self, msg);
    for (uint32_t i = 0; i < m->arg.k; i++)
        savina_send(self, m->arg.creatures[i], SAVINA_GO, NULL, 0);
}

static void on_meet(struct proa_actor *self, const struct proa_msg *msg)
{
    struct mall *m = proa_state(self);
    struct partner partner = {.other = msg->from};

    if (m->a.report.count == m->arg.n) {
        savina_send(self, msg->from, CLOSED, NULL, 0);
    } else if (proa_ref_is_none(m->waiting)) {
        m->waiting = msg->from;
    } else {
        m->a.report.count++;
        memcpy(&partner.colour, msg->data, sizeof(partner.colour));
        savina_send(self, m->waiting, PARTNER, &partner, sizeof(partner));
        m->waiting = proa_ref_none();
    }
}

static void on_met(struct proa_actor *self, const struct proa_msg *msg)
{
    struct mall *m = proa_state(self);
    uint64_t met;

    memcpy(&met, msg->data, sizeof(met));
    m->a.report.sum += met;
    if (++m->gone == m->arg.k)
        savina_end(self);
}

static const struct proa_on mall_on[] = {
    {MEET, 8, on_meet},
    {MET, 8, on_met},
    {SAVINA_RUN, 0, on_run},
    {SAVINA_REPORT, 0, savina_on_report},
};

/* Each creature has one message under way to it. */
static const struct proa_behaviour mall = {
    .type_name = "savina_mall",
    .state_size = sizeof(struct mall),
    .on = mall_on,
    .on_count = sizeof(mall_on) / sizeof(mall_on[0]),
    .mailbox = 4096,
    .start = mall_start,
    .stop = savina_stop,
    .signal = savina_signal,
};
_Static_assert(SAVINA_ACTORS_MAX + 1 <= 4096, "its mailbox");

static bool run_chameneos(struct savina_run *run)
{
    uint32_t k = run->options.actors, n = run->options.count;
    struct mall_arg arg = {run->actors, k, n};
    struct proa_ref ref;

    for (uint32_t i = 0; i < k; i++) {
        uint64_t colour = i % COLOURS;

        if (!savina_run_spawn(run, i % run->options.lanes, &creature, &colour,
                              sizeof(colour), &ref))
            return false;
    }
    if (!savina_run_spawn(run, 0, &mall, &arg, sizeof(arg), &ref) ||
        !savina_run_go(run, ref))
        return false;
    run->messages = 4 * (uint64_t)n;
    savina_run_check(run, "meetings", savina_run_count(run, k, 1), n);
    savina_run_check(run, "met_as_told", savina_run_sum(run, k, 1), 2 * (uint64_t)n);
    savina_run_check(run, "met", savina_run_count(run, 0, k), 2 * (uint64_t)n);
    savina_run_check(run, "met_as_second", savina_run_sum(run, 0, k), n);
    return true;
}

const struct savina_bench savina_chameneos = {
    .name = "chameneos",
    .actors = "creatures",
    .actors_min = 2,
    .actors_default = 100,
    .count = "meetings",
    .count_default = {16000000, 4000000},
    .run = run_chameneos,
};
