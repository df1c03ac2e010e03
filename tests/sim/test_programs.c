/* SPDX-License-Identifier: Apache-2.0 */
/* Random programs of actors on random clusters over a bad network, with nodes cut off, killed and
   brought back: whatever they do to each other, what proa promises holds (programs.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <proa/life.h>
#include <string.h>

#include "programs.h"

enum { TELL = 1, ASK, GO };

struct word {
    uint64_t id; /* of the ask; of a tell: its number in its pair */
    struct proa_ref to;
};

struct player {
    uint32_t life;
    struct proa_timer timer;
    struct proa_token tokens[4];
    uint32_t token_count;
};

extern const struct proa_behaviour player, trapper;

static struct world *w; /* of the run under way: callbacks have no other way to it */

static struct player *me(struct proa_actor *self)
{
    return proa_state(self);
}

/* ---- What a player does ---- */

static void do_tell(struct proa_actor *self, bool urgent)
{
    static uint8_t big[20000];
    struct proa_ref to = world_some_ref(w);
    struct pair *pair = world_pair(w, me(self)->life, to);
    struct word word = {pair->sent[urgent] + 1, to};
    size_t len = sizeof(word) + below(w, 64);
    enum proa_outcome outcome;

    if (below(w, 40) == 0)
        len = below(w, sizeof(big) - sizeof(word)) + sizeof(word);
    memcpy(big, &word, sizeof(word));
    outcome = urgent ? proa_tell_urgent(self, to, TELL, big, len)
                     : proa_tell(self, to, TELL, big, len);
    if (outcome == PROA_OK) {
        pair->sent[urgent]++;
        pair->accepted++;
    }
}

static void then(struct proa_actor *self, const struct proa_answer *answer,
                 const void *ctx)
{
    uint32_t id;

    memcpy(&id, ctx, sizeof(id));
    promise(w, me(self)->life == w->asks[id].from, "an answer comes to who asked");
    promise(w, answer->outcome != PROA_OK || answer->len == sizeof(uint64_t),
            "an answer is what was replied");
    w->asks[id].answers++;
}

static void do_ask(struct proa_actor *self)
{
    struct proa_ref to = world_some_ref(w);
    uint32_t id = world_ask(w, me(self)->life);
    struct word word = {id, to};

    if (id == NONE)
        return;
    proa_ns deadline = PROA_MS + below(w, 2000) * PROA_MS;
    if (proa_ask(self, to, ASK, &word, sizeof(word), deadline, then, &id, sizeof(id)) !=
        PROA_OK)
        w->ask_count--; /* nothing happened, so nothing is to be answered */
}

static void do_monitor(struct proa_actor *self)
{
    struct proa_ref to = world_some_ref(w);
    struct proa_monitor monitor;

    if (proa_monitor(self, to, &monitor) == PROA_OK)
        world_monitor(w, me(self)->life, to, monitor);
}

static void do_demonitor(struct proa_actor *self)
{
    struct watching *m = world_some_monitor(w, me(self)->life);

    if (m != NULL && proa_demonitor(self, m->monitor))
        m->over = true;
}

static void do_spawn(struct proa_actor *self)
{
    const struct proa_behaviour *what = below(w, 3) == 0 ? &trapper : &player;

    if (w->alive_count >= LIVES_AT_ONCE)
        return;
    switch (below(w, 3)) {
    case 0:
        proa_spawn(self, what, NULL, 0, NULL);
        break;
    case 1:
        proa_spawn_on(self, below(w, w->config.lanes), what, NULL, 0, NULL, NULL, 0);
        break;
    default:
        proa_spawn_child(self, what, NULL, 0, below(w, 3), NULL);
        break;
    }
}

static void again(struct proa_actor *self, uint64_t cookie);

static void act(struct proa_actor *self)
{
    struct player *p = me(self);

    switch (below(w, 24)) {
    case 0:
        do_spawn(self);
        break;
    case 1:
        do_monitor(self);
        break;
    case 2:
        do_demonitor(self);
        break;
    case 3:
        proa_link(self, world_some_ref(w));
        break;
    case 4:
        proa_unlink(self, world_some_ref(w));
        break;
    case 5:
        if (below(w, 4) == 0)
            proa_fail(self, (int32_t)below(w, 100));
        break;
    case 6:
        if (below(w, 4) == 0)
            proa_stop(self);
        break;
    case 7:
        if (below(w, 4) == 0)
            proa_stop_other(self, world_some_ref(w));
        break;
    case 8:
        proa_timer_cancel(self, p->timer);
        proa_timer_start(self, below(w, 20) * PROA_MS, again, 1, &p->timer);
        break;
    case 9:
        if (p->token_count > 0)
            proa_reply_token(self, p->tokens[--p->token_count], &p->life, 8);
        break;
    case 10:
    case 11:
    case 12:
        do_ask(self);
        break;
    case 13:
        do_tell(self, true);
        break;
    default:
        do_tell(self, false);
        break;
    }
}

static void turn(struct proa_actor *self)
{
    for (uint32_t i = below(w, 6); i > 0 && w->acts_left > 0; i--) {
        w->acts_left--;
        act(self);
    }
}

static void again(struct proa_actor *self, uint64_t cookie)
{
    (void)cookie;
    turn(self);
}

/* ---- What comes to a player ---- */

static void on_tell(struct proa_actor *self, const struct proa_msg *msg)
{
    struct word word;
    struct pair *pair;
    bool urgent = msg->cls == PROA_CLASS_URGENT;

    memcpy(&word, msg->data, sizeof(word));
    promise(w, proa_ref_equal(word.to, proa_self(self)), "no wrong delivery");
    promise(w, proa_ref_equal(msg->to, proa_self(self)), "no wrong address");
    pair = world_pair(w, world_life(w, msg->from), word.to);
    promise(w, word.id > pair->heard[urgent], "in order, and once");
    pair->heard[urgent] = word.id;
    pair->entered++;
    turn(self);
}

static void on_ask(struct proa_actor *self, const struct proa_msg *msg)
{
    struct player *p = me(self);
    uint64_t answer = p->life;
    uint32_t how = below(w, 12);

    turn(self);
    if (how == 0)
        return; /* NO_REPLY */
    if (how == 1)
        proa_fail(self, 1);
    else if (how == 2 && p->token_count < 4 &&
             proa_reply_later(self, msg, &p->tokens[p->token_count]) == PROA_OK)
        p->token_count++;
    else if (how > 3 || proa_forward(self, msg, world_some_ref(w)) != PROA_OK)
        proa_reply(self, msg, &answer, sizeof(answer));
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    turn(self);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct player *p = me(self);

    if (signal->kind == PROA_SIGNAL_UNDELIVERED) {
        struct pair *pair = world_pair(w, p->life, signal->to);

        if (proa_ref_is_none(signal->to))
            w->lives[p->life].nameless += signal->count;
        else if (signal->reason == PROA_IN_DOUBT)
            pair->doubt += signal->count;
        else
            pair->refused += signal->count;
    } else if (signal->kind == PROA_SIGNAL_DOWN && signal->monitor.serial != 0) {
        struct watching *m = world_find_monitor(w, p->life, signal->monitor);

        promise(w, m != NULL && !m->over, "one DOWN, and none after demonitor");
        promise(w, proa_ref_equal(m->target, signal->to), "DOWN of who was watched");
        m->over = true;
        m->reason = signal->down;
        world_down(w, m);
    }
}

static int start(struct proa_actor *self, const void *arg, size_t len)
{
    (void)arg;
    (void)len;
    promise(w, me(self)->life == 0, "a new life has a new state");
    if (w->acts_left > 0 && below(w, 30) == 0)
        return -3;
    me(self)->life = world_begin(w, proa_self(self));
    return me(self)->life == NONE ? -4 : 0;
}

static void stop(struct proa_actor *self, enum proa_reason reason)
{
    (void)reason;
    world_end(w, me(self)->life);
}

static const struct proa_on on[] = {{TELL, sizeof(struct word), on_tell},
                                    {ASK, sizeof(struct word), on_ask},
                                    {GO, 0, on_go}};
static const struct proa_supervision rules[] = {
    {.strategy = PROA_ONE_FOR_ONE, .intensity = 20, .window = PROA_S},
    {.strategy = PROA_REST_FOR_ONE, .intensity = 4, .window = PROA_S}};

const struct proa_behaviour player = {.type_name = "player",
                                      .state_size = sizeof(struct player),
                                      .on = on,
                                      .on_count = 3,
                                      .mailbox = 64,
                                      .start = start,
                                      .stop = stop,
                                      .signal = on_signal,
                                      .supervision = &rules[0]};
const struct proa_behaviour trapper = {.type_name = "trapper",
                                       .state_size = sizeof(struct player),
                                       .on = on,
                                       .on_count = 3,
                                       .mailbox = 32,
                                       .overflow = PROA_OVERFLOW_DROP_OLDEST,
                                       .start = start,
                                       .stop = stop,
                                       .signal = on_signal,
                                       .supervision = &rules[1],
                                       .traps = true};

/* ---- A run ---- */

static void disturb(void)
{
    unsigned nodes = w->config.nodes, a = below(w, nodes), b = below(w, nodes);
    struct proa_ref ref;

    switch (below(w, 40)) {
    case 0:
        if (a != b)
            world_cut(w, a, b);
        break;
    case 1:
        world_heal(w, a, b);
        break;
    case 2:
        if (nodes > 1 && a != 0)
            world_kill(w, a);
        break;
    case 3:
        world_restart(w, a);
        break;
    default:
        if (!w->dead[a] && w->alive_count < LIVES_AT_ONCE && below(w, 4) == 0)
            proa_test_spawn(w->test, a, below(w, w->config.lanes), &player, NULL, 0,
                            &ref);
        ref = world_some_ref(w);
        if (!w->dead[a])
            proa_test_tell(w->test, a, ref, GO, NULL, 0);
        break;
    }
}

static void run(uint64_t seed)
{
    w = world_create(seed);
    for (unsigned i = 0; i < 4 * w->config.nodes; i++) {
        struct proa_ref ref;

        proa_test_spawn(w->test, i % w->config.nodes, below(w, w->config.lanes), &player,
                        NULL, 0, &ref);
    }
    for (unsigned i = 0; i < 400 && w->acts_left > 0; i++) {
        disturb();
        proa_test_advance(w->test, below(w, 8) == 0 ? below(w, 200) * PROA_MS
                                                    : below(w, 300) * PROA_US);
    }
    world_settle(w);
    world_check(w);
    world_end_all(w);
    world_check_memory(w);
    world_destroy(w);
}

static void programs__keep_every_promise(void **state)
{
    struct sim_seeds seeds = sim_seeds(200);

    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(programs__keep_every_promise)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
