/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The actor in whose name a node acts ---- */

const struct proa_behaviour kit_prober = {.type_name = "proa-test-prober"};

static struct sched *sched_of(struct proa_test *test, struct proa_ref ref)
{
    struct kit_node *node = kit_node_of(test, ref.node);

    proa_test_check(test, node != NULL && node->alive, "an actor of a living node");
    return lane_sched(node->lanes[proa_ref_lane(ref)].lane);
}

void proa_test_call_actor(struct proa_test *test, struct proa_ref ref,
                          void (*fn)(struct proa_actor *self, void *ctx), void *ctx)
{
    proa_test_check(test, sched_call(sched_of(test, ref), ref, fn, ctx),
                    "a living actor");
}

void proa_test_call(struct proa_test *test, unsigned node,
                    void (*fn)(struct proa_actor *self, void *ctx), void *ctx)
{
    proa_test_call_actor(test, test->nodes[node].prober, fn, ctx);
}

enum proa_outcome proa_test_spawn(struct proa_test *test, unsigned node, unsigned lane,
                                  const struct proa_behaviour *behaviour, const void *arg,
                                  size_t arg_len, struct proa_ref *ret_ref)
{
    return sched_spawn(lane_sched(test->nodes[node].lanes[lane].lane), behaviour, arg,
                       arg_len, ret_ref);
}

/* ---- Calls that step until they are answered ---- */

struct call {
    struct proa_ref to;
    uint32_t type;
    const void *data;
    size_t len;
    proa_ns deadline;
    enum proa_outcome at_once;
};

static void do_tell(struct proa_actor *self, void *ctx)
{
    struct call *c = ctx;

    c->at_once = proa_tell(self, c->to, c->type, c->data, c->len);
}

enum proa_outcome proa_test_tell(struct proa_test *test, unsigned node,
                                 struct proa_ref to, uint32_t type, const void *data,
                                 size_t len)
{
    struct call c = {.to = to, .type = type, .data = data, .len = len};

    proa_test_call(test, node, do_tell, &c);
    return c.at_once;
}

/* What an answer is written into.  A call that waits in vain ends the process (proa_test_check). */
struct waiting {
    bool done;
    struct proa_test_answer answer;
    struct proa_name_answer named;
};

static bool is_done(void *ctx)
{
    return ((struct waiting *)ctx)->done;
}

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    struct waiting *w;

    (void)self;
    memcpy(&w, ctx, sizeof(w));
    w->answer.outcome = answer->outcome;
    w->answer.from = answer->from;
    w->answer.len = answer->len;
    memcpy(w->answer.data, answer->data,
           answer->len < sizeof(w->answer.data) ? answer->len : sizeof(w->answer.data));
    w->done = true;
}

static void on_named(struct proa_actor *self, const struct proa_name_answer *answer,
                     const void *ctx)
{
    struct waiting *w;

    (void)self;
    memcpy(&w, ctx, sizeof(w));
    w->named = *answer;
    w->named.name = NULL; /* good during this call only */
    w->done = true;
}

struct ask_call {
    struct call call;
    struct waiting *waiting;
};

static void do_ask(struct proa_actor *self, void *ctx)
{
    struct ask_call *a = ctx;
    struct call *c = &a->call;

    c->at_once = proa_ask(self, c->to, c->type, c->data, c->len, c->deadline, on_answer,
                          &a->waiting, sizeof(a->waiting));
}

struct proa_test_answer proa_test_ask(struct proa_test *test, unsigned node,
                                      struct proa_ref to, uint32_t type, const void *data,
                                      size_t len, proa_ns deadline)
{
    struct ask_call a = {
        .call = {.to = to, .type = type, .data = data, .len = len, .deadline = deadline},
        .waiting = calloc(1, sizeof(*a.waiting))};
    struct proa_test_answer answer = {.from = to};

    PROA_ASSERT(a.waiting != NULL);
    proa_test_call(test, node, do_ask, &a);
    answer.outcome = a.call.at_once;
    if (a.call.at_once == PROA_OK) {
        proa_test_check(test,
                        proa_test_until(test, is_done, a.waiting, deadline + PROA_S),
                        "every ask has an outcome by its deadline");
        answer = a.waiting->answer;
    }
    free(a.waiting);
    return answer;
}

enum name_call { NAME_REGISTER, NAME_LOOKUP, NAME_WAIT };

struct named_call {
    enum name_call what;
    const char *name;
    proa_ns deadline;
    enum proa_outcome at_once;
    struct waiting *waiting;
};

static void do_named(struct proa_actor *self, void *ctx)
{
    struct named_call *c = ctx;
    enum proa_outcome (*const calls[])(struct proa_actor *, const char *, proa_ns,
                                       proa_named, const void *, size_t) = {
        proa_register, proa_lookup_now, proa_lookup_wait};

    c->at_once = calls[c->what](self, c->name, c->deadline, on_named, &c->waiting,
                                sizeof(c->waiting));
}

static enum proa_outcome named(struct proa_test *test, enum name_call what,
                               struct proa_ref who, const char *name, proa_ns deadline,
                               struct proa_name_answer *ret)
{
    struct named_call c = {.what = what,
                           .name = name,
                           .deadline = deadline,
                           .waiting = calloc(1, sizeof(*c.waiting))};
    enum proa_outcome outcome;

    PROA_ASSERT(c.waiting != NULL);
    proa_test_call_actor(test, who, do_named, &c);
    outcome = c.at_once;
    if (outcome == PROA_OK) {
        proa_test_check(test,
                        proa_test_until(test, is_done, c.waiting, deadline + 5 * PROA_S),
                        "every registry call has an outcome by its deadline");
        *ret = c.waiting->named;
        outcome = ret->outcome;
    }
    free(c.waiting);
    return outcome;
}

enum proa_outcome proa_test_register(struct proa_test *test, unsigned node,
                                     struct proa_ref ref, const char *name,
                                     proa_ns deadline, uint64_t *ret_term)
{
    struct proa_name_answer answer = {0};
    enum proa_outcome outcome;

    proa_test_check(test, test->nodes[node].id == ref.node, "an actor of that node");
    outcome = named(test, NAME_REGISTER, ref, name, deadline, &answer);
    if (ret_term != NULL)
        *ret_term = answer.term;
    return outcome;
}

enum proa_outcome proa_test_lookup(struct proa_test *test, unsigned node,
                                   const char *name, proa_ns deadline,
                                   struct proa_ref *ret_ref)
{
    struct proa_name_answer answer = {0};
    enum proa_outcome outcome =
        named(test, NAME_LOOKUP, test->nodes[node].prober, name, deadline, &answer);

    *ret_ref = answer.ref;
    return outcome;
}

enum proa_outcome proa_test_lookup_wait(struct proa_test *test, unsigned node,
                                        const char *name, proa_ns deadline,
                                        struct proa_ref *ret_ref)
{
    struct proa_name_answer answer = {0};
    enum proa_outcome outcome =
        named(test, NAME_WAIT, test->nodes[node].prober, name, deadline, &answer);

    *ret_ref = answer.ref;
    return outcome;
}
