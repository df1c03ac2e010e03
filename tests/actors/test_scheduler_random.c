/* SPDX-License-Identifier: Apache-2.0 */
/* Random programs over two nodes of two lanes each, against what the API promises:

     - every accepted tell runs once or is undelivered, and all of them add up;
     - per (sender, receiver, class) tells run in the order sent;
     - every accepted ask is answered once, unless its asker stopped, and what its outcome says
       about having run is true;
     - in the end nothing is kept: no node, no ask, no token.

   Between the nodes are queues that fill up (AGAIN) and links that die with what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../seeds.h"
#include "random_net.h"

#define LIVES 600
#define PAIRS (1u << 16) /* more than all that is said */
#define BUDGET 40        /* things done in one step */
#define ASKS 60000
#define STEPS 800
#define SEEDS 20

/* ---- What is known of the actors ---- */

struct life {
    struct proa_ref ref;
    bool over;
};

struct pair {
    uint32_t from, to, cls; /* lives */
    uint32_t sent, accepted, seen, delivered;
};

struct ask_record {
    uint32_t asker;
    bool accepted, ran, answered, said_no;
};

static struct life lives[LIVES];
static struct pair pairs[PAIRS];
static struct ask_record asks[ASKS];
static uint32_t life_count, ask_count;
static uint64_t told, run_count;
static bool quiet;      /* no new work */
static uint32_t budget; /* left in this step */

/* ---- The actors ---- */

enum { TELL = 1, ASK, ONWARD, SPAWN, QUIT };

struct payload {
    uint32_t from, to, cls, seq; /* lives */
    uint32_t ask;                /* of an ASK or ONWARD */
    uint32_t more[15];
};

struct state {
    uint32_t life;
    uint32_t token_count;
    struct proa_token tokens[4];
    uint32_t token_asks[4];
    uint8_t size[40]; /* so that states differ from messages in class */
};

static struct pair *pair_of(uint32_t from, uint32_t to, uint32_t cls)
{
    uint32_t at = (uint32_t)mix64((uint64_t)from << 32 | to << 2 | cls) % PAIRS;

    while (pairs[at].sent > 0 &&
           (pairs[at].from != from || pairs[at].to != to || pairs[at].cls != cls))
        at = (at + 1) % PAIRS;
    pairs[at].from = from;
    pairs[at].to = to;
    pairs[at].cls = cls;
    return &pairs[at];
}

/* Mostly a living one, and often one of a few, so that mailboxes fill. */
static uint32_t pick(void)
{
    uint32_t among = draw(2) == 0 && life_count > 8 ? 8 : life_count, life = draw(among);

    for (uint32_t tries = 0; tries < 6 && lives[life].over && draw(8) != 0; tries++)
        life = draw(life_count);
    return life;
}

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    struct state *st = proa_state(self);
    uint32_t n = *(const uint32_t *)ctx;
    struct ask_record *a = &asks[n];
    enum proa_ran ran = proa_outcome_ran(answer->outcome);

    assert_true(a->accepted);
    assert_false(a->answered);
    assert_int_equal(a->asker, st->life);
    assert_false(lives[st->life].over);
    a->answered = true;
    a->said_no = ran == PROA_RAN_NO;
    if (a->said_no)
        assert_false(a->ran);
    if (ran == PROA_RAN_YES)
        assert_true(a->ran);
    if (answer->outcome == PROA_OK) {
        assert_int_equal(answer->len, sizeof(struct payload));
        assert_int_equal(((const struct payload *)answer->data)->ask, n);
    }
}

static void say(struct proa_actor *self, uint32_t to)
{
    struct state *st = proa_state(self);
    struct payload p = {.from = st->life, .to = to, .cls = draw(8) == 0};
    struct pair *pair = pair_of(st->life, to, p.cls);
    bool near = lives[to].ref.node == proa_self(self).node;
    size_t len = draw(3) == 0 ? sizeof(p) : 24;
    static uint8_t large[5000];
    const void *data = &p;
    enum proa_outcome outcome;

    p.seq = ++pair->sent;
    if (near && draw(16) == 0) { /* a node or a bulk buffer on its way */
        memcpy(large, &p, sizeof(p));
        data = large;
        len = 100 + draw(4900);
    }
    outcome = p.cls ? proa_tell_urgent(self, lives[to].ref, TELL, data, len)
                    : proa_tell(self, lives[to].ref, TELL, data, len);
    if (outcome == PROA_OK) {
        pair->accepted++;
        told++;
    }
}

static void question(struct proa_actor *self, uint32_t to)
{
    struct state *st = proa_state(self);
    struct payload p = {.from = st->life, .to = to, .ask = ask_count};
    enum proa_outcome outcome;

    if (ask_count == ASKS)
        return;
    asks[ask_count].asker = st->life;
    outcome =
        proa_ask(self, lives[to].ref, draw(4) == 0 ? ONWARD : ASK, &p, sizeof(p),
                 (draw(300) + 1) * PROA_MS, on_answer, &ask_count, sizeof(ask_count));
    asks[ask_count++].accepted = outcome == PROA_OK;
}

static void spawn_one(struct proa_actor *self);

static void token_answer(struct proa_actor *self)
{
    struct state *st = proa_state(self);
    struct payload p = {.from = st->life};

    if (st->token_count == 0)
        return;
    st->token_count--;
    p.ask = st->token_asks[st->token_count];
    proa_reply_token(self, st->tokens[st->token_count], &p, sizeof(p));
}

static void on_time(struct proa_actor *self, uint64_t cookie);

/* A few things an actor does when something reaches it. */
static void act(struct proa_actor *self)
{
    uint32_t n = quiet ? 0 : draw(5);
    struct proa_timer timer;

    token_answer(self);
    for (; n > 0 && budget > 0; n--, budget--) {
        uint32_t to = pick(), what = draw(200);

        if (what < 130)
            say(self, to);
        else if (what < 175)
            question(self, to);
        else if (what < 178)
            spawn_one(self);
        else if (what < 190)
            proa_timer_start(self, draw(50) * PROA_MS, on_time, 0, &timer);
        else if (what < 191)
            proa_stop_other(self, lives[to].ref);
        else if (what < 192)
            proa_stop(self);
    }
}

static void on_time(struct proa_actor *self, uint64_t cookie)
{
    (void)cookie;
    act(self);
}

static void on_tell(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct payload *p = msg->data;
    struct state *st = proa_state(self);
    struct pair *pair = pair_of(p->from, p->to, p->cls);

    assert_int_equal(p->to, st->life);
    assert_true(proa_ref_equal(msg->from, lives[p->from].ref));
    assert_true(p->seq > pair->seen); /* in order, and never twice */
    pair->seen = p->seq;
    pair->delivered++;
    run_count++;
    act(self);
}

static void on_ask(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct payload *p = msg->data;
    struct state *st = proa_state(self);
    struct ask_record *a = &asks[p->ask];
    uint32_t how = draw(10);

    assert_false(a->ran);
    assert_false(a->said_no);
    a->ran = true;
    if (how < 6)
        assert_int_equal(proa_reply(self, msg, p, sizeof(*p)), PROA_OK);
    else if (how < 9 && st->token_count < 4 &&
             proa_reply_later(self, msg, &st->tokens[st->token_count]) == PROA_OK)
        st->token_asks[st->token_count++] = p->ask;
    act(self);
}

static void on_onward(struct proa_actor *self, const struct proa_msg *msg)
{
    uint32_t to = pick();

    if (proa_forward(self, msg, lives[to].ref) == PROA_OK)
        return;
    on_ask(self, msg); /* its hops are spent, or there is no way: answered here */
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    (void)signal;
    act(self);
}

static int on_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct state *st = proa_state(self);

    assert_int_equal(len, sizeof(uint32_t));
    memcpy(&st->life, arg, len);
    lives[st->life].ref = proa_self(self);
    return 0;
}

static void on_stop(struct proa_actor *self, enum proa_reason reason)
{
    (void)reason;
    lives[((struct state *)proa_state(self))->life].over = true;
}

static void on_hops_or_ask(struct proa_actor *self, const struct proa_msg *msg)
{
    if (msg->hops >= PROA_HOPS_MAX)
        on_ask(self, msg);
    else
        on_onward(self, msg);
}

static const struct proa_on on[] = {{TELL, 24, on_tell},
                                    {ASK, sizeof(struct payload), on_ask},
                                    {ONWARD, 0, on_hops_or_ask}};
static const struct proa_behaviour kinds[] = {
    {.type_name = "walker",
     .state_size = sizeof(struct state),
     .on = on,
     .on_count = 3,
     .mailbox = 6,
     .start = on_start,
     .stop = on_stop,
     .signal = on_signal},
    {.type_name = "dropper",
     .state_size = sizeof(struct state),
     .on = on,
     .on_count = 3,
     .mailbox = 3,
     .overflow = PROA_OVERFLOW_DROP_OLDEST,
     .start = on_start,
     .stop = on_stop},
};

static void spawn_one(struct proa_actor *self)
{
    struct proa_ref ref;
    uint32_t life = life_count;

    if (life_count == LIVES)
        return;
    life_count++;
    if (proa_spawn(self, &kinds[draw(2)], &life, sizeof(life), &ref) != PROA_OK) {
        lives[life].over = true;
        lives[life].ref = proa_self(self); /* nobody: tells to it reach the spawner... */
        lives[life].ref.generation++;      /* ...of another life */
    }
}

/* ---- Running ---- */

static void make(uint64_t seed)
{
    rnd = seed;
    now = 5000 * PROA_S;
    quiet = false;
    life_count = ask_count = 0;
    told = run_count = 0;
    memset(lives, 0, sizeof(lives));
    memset(pairs, 0, sizeof(pairs));
    memset(asks, 0, sizeof(asks));
    for (uint32_t n = 0; n < NODES; n++)
        for (uint32_t i = 0; i < LANES; i++)
            for (uint32_t j = 0; j < LANES; j++)
                rings[n][i][j] = i != j ? pair_ring_create(64) : NULL;
    for (uint32_t n = 0; n < NODES; n++) {
        for (uint32_t i = 0; i < LANES; i++) {
            struct lane *l = &lanes[n][i];
            struct sched_config c = {.node = node_id(n),
                                     .lane = i,
                                     .lanes = LANES,
                                     .actors_max = 2048,
                                     .asks_max = 512,
                                     .timers_max = 64,
                                     .seed = seed + n * 10 + i,
                                     .slab_limit = 30000,
                                     .bulk_limit = 20000,
                                     .now = now,
                                     .below = {.ctx = l,
                                               .send = below_send,
                                               .refuse = below_refuse,
                                               .writable = below_writable,
                                               .stop = below_stop}};

            *l = (struct lane){.node = n, .number = i, .arena = arena_create()};
            c.arena = l->arena;
            for (uint32_t j = 0; j < LANES; j++) {
                c.out[j] = rings[n][i][j];
                c.in[j] = rings[n][j][i];
            }
            l->s = sched_create(&c);
            for (uint32_t k = 0; k < 6; k++) {
                uint32_t life = life_count++;
                struct proa_ref ref;

                assert_int_equal(
                    sched_spawn(l->s, &kinds[k % 2], &life, sizeof(life), &ref), PROA_OK);
            }
        }
    }
}

static void loop(struct lane *l)
{
    sched_begin(l->s, now);
    link_move(&lanes[1 - l->node][l->number], draw(40));
    sched_poll(l->s);
    sched_run(l->s);
    sched_timers(l->s);
    sched_flush(l->s);
}

static void poke(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    act(self);
}

static void step(void)
{
    struct lane *l = &lanes[draw(NODES)][draw(LANES)];
    uint32_t life = draw(life_count);

    now += draw(1000) * PROA_US;
    budget = BUDGET;
    loop(l);
    if (!quiet && lives[life].ref.node == node_id(l->node))
        sched_call(l->s, lives[life].ref, poke, NULL);
    if (!quiet && draw(200) == 0)
        link_kill(l);
}

static uint64_t stat(const struct lane *l, const _Atomic uint64_t *field)
{
    (void)l;
    return atomic_load_explicit(field, memory_order_relaxed);
}

static void check(void)
{
    uint64_t undelivered = 0;

    for (uint32_t n = 0; n < NODES; n++) {
        for (uint32_t i = 0; i < LANES; i++) {
            const struct lane *l = &lanes[n][i];
            const struct sched_stats *st = sched_stats(l->s);

            undelivered += stat(l, &st->undelivered);
            assert_int_equal(stat(l, &st->slab_used), 0);
            assert_int_equal(stat(l, &st->bulk_used), 0);
            assert_int_equal(stat(l, &st->asks_waiting), 0);
            assert_int_equal(stat(l, &st->tokens_held), 0);
            assert_int_equal(stat(l, &st->refs_blocked), 0);
            assert_int_equal(stat(l, &st->malformed), 0);
            assert_null(l->link.first);
        }
    }
    assert_int_equal(told, run_count + undelivered);
    for (uint32_t i = 0; i < ask_count; i++)
        if (asks[i].accepted && !lives[asks[i].asker].over)
            assert_true(asks[i].answered);
    for (uint32_t i = 0; i < PAIRS; i++)
        assert_true(pairs[i].delivered <= pairs[i].accepted);
}

static void finish(void)
{
    for (uint32_t n = 0; n < NODES; n++) {
        for (uint32_t i = 0; i < LANES; i++) {
            sched_destroy(lanes[n][i].s);
            while (lanes[n][i].link.first != NULL)
                free(wire_take(&lanes[n][i].link));
        }
    }
    for (uint32_t n = 0; n < NODES; n++) {
        for (uint32_t i = 0; i < LANES; i++) {
            assert_int_equal(arena_used(lanes[n][i].arena), 0);
            arena_destroy(lanes[n][i].arena);
            for (uint32_t j = 0; j < LANES; j++)
                pair_ring_destroy(rings[n][i][j]);
        }
    }
}

static void run_seed(uint64_t seed)
{
    make(seed);
    for (uint32_t i = 0; i < STEPS; i++)
        step();
    quiet = true;
    for (uint32_t i = 0; i < 3000; i++) {
        now += PROA_MS;
        loop(&lanes[i / 2 % 2][i % 2]);
    }
    check();
    finish();
}

static void random__programs_keep_the_promises(void **state)
{
    struct sim_seeds seeds = sim_seeds(SEEDS);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_seed(seed);
        assert_true(run_count > 300 && ask_count > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random__programs_keep_the_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
