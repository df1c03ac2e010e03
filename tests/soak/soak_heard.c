/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/life.h>

#include "soak_player_internal.h"

/* Whole, for this actor, of this round, from who it says, and, unless forwarded, in order. */
static bool check(struct proa_actor *self, const struct proa_msg *msg,
                  struct soak_word *ret)
{
    struct player *p = me(self);
    struct soak_pair *pair;
    uint32_t last;

    if (!soak_word_get(msg->data, msg->len, ret) || ret->from >= SOAK_LIVES) {
        PROMISE(false, "a damaged message of type %u, %u bytes", msg->type, msg->len);
        return false;
    }
    PROMISE(ret->round == atomic_load(&soak_mine->round), "a message of round %u",
            ret->round);
    PROMISE(proa_ref_equal(msg->from, soak_mine->lives[ret->from].ref),
            "a message of life %u says it is from somebody else", ret->from);
    PROMISE(proa_ref_equal(msg->to, proa_self(self)), "a message for somebody else");
    if (msg->hops > 0)
        return true;
    PROMISE(ret->stream == SOAK_CAST ||
                (ret->to == p->life && proa_ref_equal(ret->ref, proa_self(self))),
            "a message for life %u came to life %u", ret->to, p->life);
    PROMISE((msg->cls == PROA_CLASS_URGENT) == (ret->stream == SOAK_URGENT),
            "a message changed its class to %u", msg->cls);
    pair = &soak_mine->pairs[ret->from][p->life];
    last = atomic_exchange(&pair->heard[ret->stream], ret->number);
    PROMISE(ret->number > last, "life %u had number %u of life %u after %u, stream %u",
            p->life, ret->number, ret->from, last, ret->stream);
    return true;
}

void soak_on_tell(struct proa_actor *self, const struct proa_msg *msg)
{
    struct player *p = me(self);
    struct soak_word word;

    if (!check(self, msg, &word))
        return;
    if (word.stream != SOAK_CAST) {
        atomic_fetch_add(&soak_mine->pairs[word.from][p->life].entered, 1);
        COUNT(entered);
    }
    if (msg->len > PLAIN_MAX && p->kept == NULL && below(p, 2) == 0)
        p->kept = proa_msg_keep(self, msg);
    if (below(p, 12) == 0)
        soak_turn(self);
}

/* From here on it has run. */
static void run_ask(const struct soak_word *word)
{
    _Atomic uint64_t *slot = &soak_mine->lives[word->from].asks[word->slot % SOAK_ASKS];
    uint64_t was = atomic_load(slot);

    do {
        if (was >> 3 != word->serial)
            return; /* given up long ago */
    } while (!atomic_compare_exchange_weak(slot, &was, was | SOAK_ASK_RAN));
    PROMISE(!(was & SOAK_ASK_RAN), "an ask of life %u ran twice", word->from);
    PROMISE(!(was & SOAK_ASK_DENIED),
            "an ask of life %u ran after its asker was told that it did not", word->from);
}

void soak_on_ask(struct proa_actor *self, const struct proa_msg *msg)
{
    struct player *p = me(self);
    uint32_t how = below(p, 24);
    struct soak_word word;
    struct target to;

    if (!check(self, msg, &word))
        return;
    if (how < 3 && soak_choose(self, &to)) {
        enum proa_outcome outcome = proa_forward(self, msg, to.ref);

        if (outcome == PROA_OK || outcome == PROA_REFUSED_HOPS) {
            COUNT(forwarded);
            return;
        }
    }
    run_ask(&word);
    if (how == 4)
        return; /* NO_REPLY */
    if (how == 5 && below(p, 40) == 0) {
        proa_fail(self, 1);
        return;
    }
    if (how < 9 && p->token_count < TOKENS &&
        proa_reply_later(self, msg, &p->tokens[p->token_count]) == PROA_OK) {
        p->token_words[p->token_count++] = word;
        return;
    }
    proa_reply(self, msg, soak_plain, soak_answer_put(self, &word));
}

static void on_undelivered(struct player *p, const struct proa_signal *signal)
{
    uint32_t to;

    if (signal->type == CAST)
        return;
    if (signal->reason == PROA_IN_DOUBT)
        atomic_fetch_add(&soak_mine->totals.in_doubt, signal->count);
    else
        atomic_fetch_add(&soak_mine->totals.refused, signal->count);
    if (proa_ref_is_none(signal->to)) {
        atomic_fetch_add(&life_of(p)->nameless, signal->count);
        return;
    }
    to = soak_life_of(soak_mine, signal->to);
    PROMISE(to != SOAK_NONE, "tells to somebody unknown were undelivered");
    if (to == SOAK_NONE)
        return;
    if (signal->reason == PROA_IN_DOUBT)
        atomic_fetch_add(&soak_mine->pairs[p->life][to].doubt, signal->count);
    else
        atomic_fetch_add(&soak_mine->pairs[p->life][to].refused, signal->count);
}

static void on_down(struct player *p, const struct proa_signal *signal)
{
    if (signal->monitor.serial == 0)
        return; /* a link, or a child */
    for (int i = 0; i < SOAK_MONITORS; i++) {
        struct soak_monitor *m = &life_of(p)->monitors[i];
        const struct soak_life *target = &soak_mine->lives[atomic_load(&m->target)];

        if (p->monitors[i].index != signal->monitor.index ||
            p->monitors[i].serial != signal->monitor.serial)
            continue;
        PROMISE(atomic_load(&m->state) == SOAK_OPEN,
                "a second DOWN, or one after demonitor");
        PROMISE(proa_ref_equal(target->ref, signal->to), "a DOWN of somebody else");
        PROMISE(signal->down == PROA_REASON_NODE_LOST
                    ? target->ref.node != life_of(p)->ref.node
                    : atomic_load(&target->state) == SOAK_ENDED,
                "a DOWN with reason %d of an actor that lives", signal->down);
        atomic_store(&m->reason, signal->down);
        atomic_store(&m->state, SOAK_OVER);
        COUNT(downs);
        return;
    }
    PROMISE(false, "a DOWN of a monitor that was never made");
}

void soak_on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct player *p = me(self);

    if (signal->kind == PROA_SIGNAL_UNDELIVERED) {
        on_undelivered(p, signal);
    } else if (signal->kind == PROA_SIGNAL_DOWN) {
        on_down(p, signal);
    } else if (signal->kind == PROA_SIGNAL_CHANGED) {
        COUNT(changes);
        PROMISE(p->version == 0 || signal->change->version > p->version,
                "a change with version %llu after %llu",
                (unsigned long long)signal->change->version,
                (unsigned long long)p->version);
        p->version = signal->change->version;
    }
}
