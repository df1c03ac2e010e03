/* SPDX-License-Identifier: Apache-2.0 */
#include "soak_player_internal.h"

#include <proa/life.h>
#include <proa/registry.h>
#include <stdio.h>

struct soak *soak_all;
struct soak_cluster *soak_mine;
_Thread_local uint8_t soak_plain[PLAIN_MAX];

static bool playing(void)
{
    return atomic_load(&soak_mine->phase) == SOAK_PLAY;
}

#define NAME_MAX_LEN 40

_Static_assert(SOAK_GROUPS <= 32, "a life's groups are bits");

static void name_text(char *buf, size_t len, const char *what, uint32_t which)
{
    snprintf(buf, len, "soak.%s.%u", what, which);
}

/* A round's own: who was a member in an earlier one is not. */
static void group_text(char *buf, size_t len, uint32_t which)
{
    snprintf(buf, len, "soak.group.%u.%u", atomic_load(&soak_mine->round), which);
}

/* One of this actor's window. */
static uint32_t some_group(struct player *p)
{
    return p->life / SOAK_GROUP_LIVES * SOAK_GROUPS_AT_ONCE +
           below(p, SOAK_GROUPS_AT_ONCE);
}

/* ---- Whom ---- */

/* Who has the name, or is in the group, has asked for it; whoever is not known is of a round before. */
static bool led_to(struct proa_ref ref, uint32_t bit, bool name, struct target *ret)
{
    uint32_t life = soak_life_of(soak_mine, ref);

    if (life == SOAK_NONE)
        return false;
    const struct soak_life *l = &soak_mine->lives[life];

    PROMISE(atomic_load(name ? &l->names : &l->groups) >> bit & 1,
            "%s %u led to life %u, which never asked for it", name ? "name" : "group",
            bit, life);
    *ret = (struct target){ref, life};
    return true;
}

bool soak_choose(struct proa_actor *self, struct target *ret)
{
    struct player *p = me(self);
    uint32_t bit = some_group(p), how = below(p, 12);
    struct proa_ref ref;
    char name[NAME_MAX_LEN];

    if (how == 0) {
        group_text(name, sizeof(name), bit);
        return proa_route(self, name, (enum proa_policy)below(p, 6), below(p, 1000),
                          &ref) == PROA_OK &&
               led_to(ref, bit, false, ret);
    }
    if (how == 1) {
        bit = below(p, SOAK_NAMES);
        name_text(name, sizeof(name), "name", bit);
        return proa_lookup(self, name, NULL, &ref) == PROA_OK &&
               led_to(ref, bit, true, ret);
    }
    ret->life = soak_life_some(soak_mine, &p->random);
    if (ret->life == SOAK_NONE)
        return false;
    ret->ref = soak_mine->lives[ret->life].ref;
    return true;
}

/* ---- Telling ---- */

static uint32_t some_len(struct player *p)
{
    uint32_t most = below(p, 100);

    if (most == 0)
        return (uint32_t)sizeof(struct soak_word) + below(p, PLAIN_MAX - 100);
    if (most < 10)
        return (uint32_t)sizeof(struct soak_word) + below(p, 1500);
    return (uint32_t)sizeof(struct soak_word) + below(p, 64);
}

static struct soak_word word_to(struct player *p, const struct target *to,
                                enum soak_stream stream)
{
    struct soak_pair *pair = &soak_mine->pairs[p->life][to->life];

    return (struct soak_word){.magic = SOAK_MAGIC,
                              .round = atomic_load(&soak_mine->round),
                              .from = p->life,
                              .to = to->life,
                              .stream = stream,
                              .number = atomic_fetch_add(&pair->tried[stream], 1) + 1,
                              .ref = to->ref};
}

static void told(struct player *p, const struct target *to, enum proa_outcome outcome)
{
    if (outcome == PROA_OK) {
        atomic_fetch_add(&soak_mine->pairs[p->life][to->life].accepted, 1);
        COUNT(tells);
    } else if (outcome == PROA_AGAIN) {
        COUNT(again);
    }
}

static void tell(struct proa_actor *self, const struct target *to, uint32_t len,
                 bool urgent)
{
    struct player *p = me(self);
    struct soak_word word = word_to(p, to, urgent ? SOAK_URGENT : SOAK_NORMAL);

    word.len = len;
    soak_word_put(soak_plain, &word);
    told(p, to,
         urgent ? proa_tell_urgent(self, to->ref, TELL, soak_plain, len)
                : proa_tell(self, to->ref, TELL, soak_plain, len));
}

static void tell_bulk(struct proa_actor *self, const struct target *to)
{
    struct player *p = me(self);
    uint32_t len = PLAIN_MAX + below(p, soak_mine->message_max - PLAIN_MAX);
    uint8_t *buf = proa_buf_alloc(self, len);
    struct soak_word word;
    enum proa_outcome outcome;

    if (buf == NULL)
        return; /* the lane's budget is spent */
    word = word_to(p, to, SOAK_NORMAL);
    word.len = len;
    soak_word_put(buf, &word);
    outcome = proa_tell_buf(self, to->ref, TELL, buf, len);
    told(p, to, outcome);
    if (outcome != PROA_OK)
        proa_buf_free(self, buf);
    else
        COUNT(bulk);
}

static void cast(struct proa_actor *self)
{
    struct player *p = me(self);
    char group[NAME_MAX_LEN];
    struct soak_word word = {.magic = SOAK_MAGIC,
                             .round = atomic_load(&soak_mine->round),
                             .from = p->life,
                             .to = SOAK_NONE,
                             .stream = SOAK_CAST,
                             .number = ++p->asks_made,
                             .len = sizeof(word) + below(p, 200)};

    soak_word_put(soak_plain, &word);
    group_text(group, sizeof(group), some_group(p));
    if (proa_multicast(self, group, CAST, soak_plain, word.len, NULL) == PROA_OK)
        COUNT(casts);
}

static void do_tell(struct proa_actor *self)
{
    struct player *p = me(self);
    struct target to;
    uint32_t how = below(p, 200);

    if (p->casts) {
        cast(self);
        return;
    }
    if (!soak_choose(self, &to))
        return;
    if (how < 2) {
        for (uint32_t i = below(p, FLOOD_MAX); i > 0; i--)
            tell(self, &to, sizeof(struct soak_word) + below(p, 64), false);
    } else if (how < 5) {
        tell_bulk(self, &to);
    } else {
        tell(self, &to, some_len(p), how % 8 == 0);
    }
}

/* ---- Asking ---- */

/* What the asker is told must agree with what has run. */
static void settle_ask(_Atomic uint64_t *slot, uint32_t serial, enum proa_ran ran,
                       enum proa_outcome outcome)
{
    uint64_t was = atomic_load(slot), now;

    do
        now =
            (was & ~(uint64_t)SOAK_ASK_OUT) | (ran == PROA_RAN_NO ? SOAK_ASK_DENIED : 0);
    while (!atomic_compare_exchange_weak(slot, &was, now));
    PROMISE(was >> 3 == serial && (was & SOAK_ASK_OUT), "a second outcome of an ask: %s",
            proa_outcome_name(outcome));
    PROMISE(ran != PROA_RAN_NO || !(was & SOAK_ASK_RAN),
            "it ran, and its asker was told %s", proa_outcome_name(outcome));
    PROMISE(ran != PROA_RAN_YES || (was & SOAK_ASK_RAN),
            "it did not run, and its asker was told %s", proa_outcome_name(outcome));
}

static void then(struct proa_actor *self, const struct proa_answer *answer,
                 const void *ctx)
{
    struct soak_life *life = life_of(me(self));
    struct soak_word asked, word;

    memcpy(&asked.slot, ctx, 4);
    memcpy(&asked.serial, (const uint8_t *)ctx + 4, 4);
    settle_ask(&life->asks[asked.slot], asked.serial, proa_outcome_ran(answer->outcome),
               answer->outcome);
    atomic_fetch_sub(&life->asks_out, 1);
    if (answer->outcome == PROA_OK) {
        COUNT(answered);
        PROMISE(soak_word_get(answer->data, answer->len, &word) &&
                    word.from == me(self)->life && word.slot == asked.slot &&
                    word.serial == asked.serial && proa_ref_equal(word.ref, answer->from),
                "an answer is not what was replied");
    } else if (proa_outcome_ran(answer->outcome) == PROA_RAN_MAYBE) {
        COUNT(maybe);
    } else {
        COUNT(denied);
    }
}

static void do_ask(struct proa_actor *self)
{
    struct player *p = me(self);
    struct soak_life *life = life_of(p);
    struct soak_word word;
    struct target to;
    uint32_t ctx[2];
    _Atomic uint64_t *slot;
    enum proa_outcome outcome;

    if (atomic_load(&life->asks_out) >= SOAK_ASKS_OUT || !soak_choose(self, &to))
        return;
    p->asks_made++;
    slot = &life->asks[p->asks_made % SOAK_ASKS];
    if (atomic_load(slot) & SOAK_ASK_OUT)
        return; /* an old one is still under way */
    word = word_to(p, &to, SOAK_NORMAL);
    ctx[0] = word.slot = p->asks_made % SOAK_ASKS;
    ctx[1] = word.serial = p->asks_made;
    word.len = some_len(p);
    soak_word_put(soak_plain, &word);
    atomic_store(slot, (uint64_t)word.serial << 3 | SOAK_ASK_OUT);
    atomic_fetch_add(&life->asks_out, 1);
    outcome =
        proa_ask(self, to.ref, ASK, soak_plain, word.len,
                 PROA_MS + below(p, DEADLINE_MAX) * PROA_MS, then, ctx, sizeof(ctx));
    if (outcome == PROA_OK) {
        COUNT(asks);
        return;
    }
    settle_ask(slot, word.serial, PROA_RAN_NO, outcome);
    atomic_fetch_sub(&life->asks_out, 1);
}

/* ---- Names, groups, monitors, lives ---- */

static void named(struct proa_actor *self, const struct proa_name_answer *answer,
                  const void *ctx)
{
    (void)self;
    (void)ctx;
    (void)answer;
    COUNT(name_answers);
}

/* A life that joins again takes its own place; so does one that is restarted, since the node that makes
   the change tells of the end first. */
static bool may_join(struct soak_life *l, uint32_t group)
{
    uint32_t bit = 1u << group;

    if ((atomic_fetch_or(&l->counted, bit) & bit) == 0 &&
        atomic_fetch_add(&soak_mine->joined[group], 1) >= PROA_MULTICAST_ORDERED) {
        atomic_fetch_and(&l->counted, ~bit);
        return false;
    }
    atomic_fetch_or(&l->groups, bit);
    return true;
}

static void do_name(struct proa_actor *self)
{
    struct player *p = me(self);
    uint32_t bit = below(p, SOAK_NAMES), group = some_group(p);
    char name[NAME_MAX_LEN], group_name[NAME_MAX_LEN];

    name_text(name, sizeof(name), "name", bit);
    group_text(group_name, sizeof(group_name), group);
    switch (below(p, 8)) {
    case 0:
        atomic_fetch_or(&life_of(p)->names, 1u << bit);
        if (proa_register(self, name, PROA_S, named, NULL, 0) == PROA_OK)
            COUNT(names);
        break;
    case 1:
        proa_unregister(self, name);
        break;
    case 2:
        if (proa_lookup_now(self, name, PROA_S, named, NULL, 0) == PROA_OK)
            COUNT(names);
        break;
    case 3:
        proa_leave(self, group_name);
        break;
    case 4:
        if (p->watching.serial != 0) {
            proa_unwatch(self, p->watching);
            p->watching.serial = 0;
            break;
        }
        p->version = 0;
        if (proa_watch(self, PROA_WATCH_GROUP, group_name, &p->watching) != PROA_OK)
            p->watching.serial = 0;
        break;
    default:
        if (may_join(life_of(p), group))
            proa_join(self, group_name, NULL, NULL, 0);
        break;
    }
}

static void do_monitor(struct proa_actor *self)
{
    struct player *p = me(self);
    uint32_t at = below(p, SOAK_MONITORS);
    struct soak_monitor *m = &life_of(p)->monitors[at];
    struct target to;

    if (atomic_load(&m->state) == SOAK_OPEN) {
        if (below(p, 2) == 0 && proa_demonitor(self, p->monitors[at]))
            atomic_store(&m->state, SOAK_UNWATCHED);
        return;
    }
    if (!soak_choose(self, &to) ||
        proa_monitor(self, to.ref, &p->monitors[at]) != PROA_OK)
        return;
    atomic_store(&m->target, to.life);
    atomic_store(&m->state, SOAK_OPEN);
}

static void do_spawn(struct proa_actor *self)
{
    struct player *p = me(self);
    const struct proa_behaviour *what = below(p, 3) == 0 ? &soak_trapper : &soak_player;

    if (atomic_load(&soak_mine->alive) >= SOAK_AT_ONCE)
        return;
    switch (below(p, 3)) {
    case 0:
        proa_spawn(self, what, NULL, 0, NULL);
        break;
    case 1:
        proa_spawn_on(self, below(p, soak_mine->lanes), what, NULL, 0, NULL, NULL, 0);
        break;
    default:
        proa_spawn_child(self, what, NULL, 0, (enum proa_restart)below(p, 3), NULL);
        break;
    }
}

static void do_end(struct proa_actor *self)
{
    struct player *p = me(self);
    struct target to;

    switch (below(p, 160)) {
    case 0:
        proa_fail(self, (int32_t)below(p, 100));
        break;
    case 1:
        proa_stop(self);
        break;
    case 2:
        if (soak_choose(self, &to))
            proa_stop_other(self, to.ref);
        break;
    case 3:
        if (soak_choose(self, &to))
            proa_link(self, to.ref);
        break;
    case 4:
        if (soak_choose(self, &to))
            proa_unlink(self, to.ref);
        break;
    default:
        break;
    }
}

/* What came with the ask, and who answers. */
uint32_t soak_answer_put(struct proa_actor *self, const struct soak_word *asked)
{
    struct soak_word word = *asked;

    word.ref = proa_self(self);
    word.len = some_len(me(self));
    soak_word_put(soak_plain, &word);
    return word.len;
}

static void act(struct proa_actor *self)
{
    struct player *p = me(self);
    uint32_t what = below(p, 24);

    if (what < 1) {
        do_spawn(self);
    } else if (what < 3) {
        do_monitor(self);
    } else if (what < 4) {
        do_name(self);
    } else if (what < 5) {
        do_end(self);
    } else if (what < 6 && p->token_count > 0) {
        uint32_t len = soak_answer_put(self, &p->token_words[--p->token_count]);

        proa_reply_token(self, p->tokens[p->token_count], soak_plain, len);
    } else if (what < 7 && p->kept != NULL) {
        proa_buf_free(self, p->kept);
        p->kept = NULL;
    } else if (what < 12) {
        do_ask(self);
    } else {
        do_tell(self);
    }
}

void soak_turn(struct proa_actor *self)
{
    if (!playing())
        return;
    for (uint32_t i = below(me(self), 6); i > 0; i--)
        act(self);
}

static void on_timer(struct proa_actor *self, uint64_t cookie)
{
    struct player *p = me(self);
    uint32_t pace = atomic_load(&soak_mine->pace_us);

    soak_turn(self);
    if (playing())
        proa_timer_start(self, below(p, pace) * PROA_US, on_timer, cookie, &p->timer);
}

/* ---- A life ---- */

static int start(struct proa_actor *self, const void *arg, size_t len)
{
    struct player *p = me(self);
    struct proa_ref ref = proa_self(self);

    (void)arg;
    (void)len;
    p->node = soak_node_of(soak_mine, ref.node);
    if (p->node == SOAK_NONE || !playing())
        return -1;
    p->life = soak_life_begin(soak_mine, ref, p->node);
    if (p->life == SOAK_NONE)
        return -2;
    p->random =
        soak_mine->seed ^ (uint64_t)atomic_load(&soak_mine->round) << 32 ^ p->life;
    p->casts = p->life % 8 == 7;
    COUNT(spawned);
    proa_timer_start(self, PROA_MS, on_timer, 0, &p->timer);
    return 0;
}

static void stop(struct proa_actor *self, enum proa_reason reason)
{
    struct player *p = me(self);

    (void)reason;
    proa_buf_free(self, p->kept);
    soak_life_end(soak_mine, p->life);
}

static const struct proa_on on[] = {{TELL, sizeof(struct soak_word), soak_on_tell},
                                    {ASK, sizeof(struct soak_word), soak_on_ask},
                                    {CAST, sizeof(struct soak_word), soak_on_tell}};
static const struct proa_supervision rules[] = {
    {.strategy = PROA_ONE_FOR_ONE, .intensity = 20, .window = PROA_S},
    {.strategy = PROA_REST_FOR_ONE, .intensity = 4, .window = PROA_S}};

const struct proa_behaviour soak_player = {.type_name = "soak.player",
                                           .state_size = sizeof(struct player),
                                           .on = on,
                                           .on_count = 3,
                                           .mailbox = 64,
                                           .start = start,
                                           .stop = stop,
                                           .signal = soak_on_signal,
                                           .supervision = &rules[0]};
const struct proa_behaviour soak_trapper = {.type_name = "soak.trapper",
                                            .state_size = sizeof(struct player),
                                            .on = on,
                                            .on_count = 3,
                                            .mailbox = 32,
                                            .overflow = PROA_OVERFLOW_DROP_OLDEST,
                                            .start = start,
                                            .stop = stop,
                                            .signal = soak_on_signal,
                                            .supervision = &rules[1],
                                            .traps = true};
