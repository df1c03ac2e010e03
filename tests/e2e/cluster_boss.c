/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster_boss.h"

#include <proa/group.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS_MAX 2048u
#define ANSWERS_MAX 1000u
#define JOB_FOR (10 * PROA_S) /* far longer than a death may take to be noticed */
#define NAME_FOR (3 * PROA_S) /* a claim, a lookup */
#define WINDOW 16u            /* asks of the load under way */
#define TICK PROA_MS
#define TYPE "cluster.worker"
#define TYPE_GROUP PROA_GROUP_TYPE TYPE
#define GROUP_LEN (PROA_NAME_MAX + 2)
#define WORD_LEN 272 /* of a command */

enum { JOB = 1 };

struct load {
    char group[WORD_LEN]; /* "": none runs */
    bool resting;
    struct proa_token rest;
    uint64_t sent, ok, other, marked, mark;
    uint32_t under_way;
};

struct balance {
    struct proa_token token;
    uint32_t wanted, outcomes, answered;
    struct proa_ref from[ANSWERS_MAX];
    proa_ns since;
};

struct boss {
    struct proa_ref workers[WORKERS_MAX]; /* a ring: from first on, count of them */
    uint32_t first, count;
    struct proa_ref balancer;
    struct balance balance;
    struct load load;
};

static proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

/* ---- Workers and the balancer ---- */

static void on_job(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, NULL, 0);
}

static int worker_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    return arg_len > 0 && proa_join(self, arg, NULL, NULL, 0) != PROA_OK;
}

/* To part: the group's name. */
enum { PART = 2 };

static void on_part(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_leave(self, msg->data);
}

static const struct proa_on worker_on[] = {{JOB, 0, on_job}, {PART, 1, on_part}};
static const struct proa_behaviour published_worker = {
    .type_name = TYPE, .on = worker_on, .on_count = 2, .published = true};
static const struct proa_behaviour plain_worker = {
    .type_name = "cluster.plain", .on = worker_on, .on_count = 2, .start = worker_start};

static void on_balance_job(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_ref ref;

    /* Not forwarded: the asker gets NO_REPLY. */
    if (proa_route(self, TYPE_GROUP, PROA_ROUTE_IDLE_FIRST, 0, &ref) == PROA_OK)
        proa_forward(self, msg, ref);
}

static const struct proa_on balancer_on[] = {{JOB, 0, on_balance_job}};
static const struct proa_behaviour balancer = {
    .type_name = "cluster.balancer", .on = balancer_on, .on_count = 1};

/* ---- Answers to commands ---- */

__attribute__((format(printf, 3, 4))) static void
answer(struct proa_actor *self, const struct proa_msg *msg, const char *format, ...)
{
    char text[BOSS_LINE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    proa_reply(self, msg, text, strlen(text));
}

static void answer_token(struct proa_actor *self, struct proa_token token,
                         const char *text)
{
    proa_reply_token(self, token, text, strlen(text));
}

/* The context of a registry call: who waits for it, and how its line begins. */
struct waiting {
    struct proa_token token;
    char word[16];
};

static void on_named(struct proa_actor *self, const struct proa_name_answer *named,
                     const void *ctx)
{
    struct waiting w;
    char text[BOSS_LINE_MAX];

    memcpy(&w, ctx, sizeof(w));
    snprintf(text, sizeof(text), "%s %s, %016llx", w.word,
             proa_outcome_name(named->outcome), (unsigned long long)named->ref.node);
    answer_token(self, w.token, text);
}

/* A registry call was made; when it was refused at once there is no later answer. */
static void conclude(struct proa_actor *self, const struct waiting *w,
                     enum proa_outcome outcome)
{
    char text[BOSS_LINE_MAX];

    if (outcome == PROA_OK)
        return;
    snprintf(text, sizeof(text), "%s %s, -", w->word, proa_outcome_name(outcome));
    answer_token(self, w->token, text);
}

/* ---- balance ---- */

static void balanced(struct proa_actor *self)
{
    struct boss *boss = proa_state(self);
    struct balance *b = &boss->balance;
    uint32_t workers = 0, local = 0;
    char text[BOSS_LINE_MAX];

    for (uint32_t i = 0; i < b->answered; i++) {
        uint32_t first = 0;

        while (!proa_ref_equal(b->from[first], b->from[i]))
            first++;
        workers += first == i;
        local += b->from[i].node == proa_self(self).node;
    }
    snprintf(text, sizeof(text), "balance %u %u %u %llu", b->answered, workers, local,
             (unsigned long long)(clock_now() - b->since));
    answer_token(self, b->token, text);
}

static void on_balanced(struct proa_actor *self, const struct proa_answer *a,
                        const void *ctx)
{
    struct boss *boss = proa_state(self);
    struct balance *b = &boss->balance;

    (void)ctx;
    if (a->outcome == PROA_OK)
        b->from[b->answered++] = a->from;
    if (++b->outcomes == b->wanted)
        balanced(self);
}

static void do_balance(struct proa_actor *self, const struct proa_msg *msg,
                       uint32_t count)
{
    struct boss *boss = proa_state(self);
    struct balance *b = &boss->balance;

    *b = (struct balance){.wanted = count, .since = clock_now()};
    proa_reply_later(self, msg, &b->token);
    for (uint32_t i = 0; i < count; i++) {
        if (proa_ask(self, boss->balancer, JOB, NULL, 0, JOB_FOR, on_balanced, NULL, 0) !=
            PROA_OK)
            b->outcomes++;
    }
}

/* ---- load ---- */

static void rested(struct proa_actor *self)
{
    struct boss *boss = proa_state(self);
    struct load *l = &boss->load;
    char text[BOSS_LINE_MAX];

    if (!l->resting || l->under_way > 0)
        return;
    snprintf(text, sizeof(text), "rest %llu %llu %llu %llu", (unsigned long long)l->sent,
             (unsigned long long)l->ok, (unsigned long long)l->other,
             (unsigned long long)l->marked);
    answer_token(self, l->rest, text);
    memset(l, 0, sizeof(*l));
}

static void on_loaded(struct proa_actor *self, const struct proa_answer *a,
                      const void *ctx)
{
    struct boss *boss = proa_state(self);

    (void)ctx;
    boss->load.under_way--;
    if (a->outcome == PROA_OK)
        boss->load.ok++;
    else
        boss->load.other++;
    rested(self);
}

static void on_tick(struct proa_actor *self, uint64_t cookie)
{
    struct boss *boss = proa_state(self);
    struct load *l = &boss->load;
    struct proa_timer timer;
    struct proa_ref ref;

    if (l->group[0] == '\0' || l->resting)
        return;
    while (l->under_way < WINDOW &&
           proa_route(self, l->group, PROA_ROUTE_ROUND_ROBIN, 0, &ref) == PROA_OK) {
        l->marked += ref.node == l->mark && l->mark != 0;
        if (proa_ask(self, ref, JOB, NULL, 0, JOB_FOR, on_loaded, NULL, 0) != PROA_OK)
            break;
        l->under_way++;
        l->sent++;
    }
    proa_timer_start(self, TICK, on_tick, cookie, &timer);
}

static void do_load(struct proa_actor *self, const struct proa_msg *msg,
                    const char *group)
{
    struct boss *boss = proa_state(self);

    snprintf(boss->load.group, sizeof(boss->load.group), "%s", group);
    on_tick(self, 0);
    answer(self, msg, "load");
}

static void do_rest(struct proa_actor *self, const struct proa_msg *msg)
{
    struct boss *boss = proa_state(self);

    proa_reply_later(self, msg, &boss->load.rest);
    boss->load.resting = true;
    rested(self);
}

/* ---- Workers, groups and names ---- */

static void do_spawn(struct proa_actor *self, const struct proa_msg *msg, uint32_t count,
                     const char *group)
{
    struct boss *boss = proa_state(self);
    uint32_t made = 0;

    while (made < count && boss->count < WORKERS_MAX) {
        struct proa_ref *ref = &boss->workers[(boss->first + boss->count) % WORKERS_MAX];
        const struct proa_behaviour *behaviour =
            group[0] != '\0' ? &plain_worker : &published_worker;

        if (proa_spawn(self, behaviour, group, group[0] != '\0' ? strlen(group) + 1 : 0,
                       ref) != PROA_OK)
            break;
        boss->count++;
        made++;
    }
    answer(self, msg, "spawn %u", made);
}

static void do_stop(struct proa_actor *self, const struct proa_msg *msg, uint32_t count)
{
    struct boss *boss = proa_state(self);
    uint32_t stopped = 0;

    while (stopped < count && boss->count > 0 &&
           proa_stop_other(self, boss->workers[boss->first]) == PROA_OK) {
        boss->first = (boss->first + 1) % WORKERS_MAX;
        boss->count--;
        stopped++;
    }
    answer(self, msg, "stop %u", stopped);
}

static void do_part(struct proa_actor *self, const struct proa_msg *msg, uint32_t count,
                    const char *group)
{
    struct boss *boss = proa_state(self);
    enum proa_outcome outcome = PROA_OK;

    for (uint32_t i = 0; i < count && i < boss->count && outcome == PROA_OK; i++)
        outcome = proa_tell(self, boss->workers[(boss->first + i) % WORKERS_MAX], PART,
                            group, strlen(group) + 1);
    answer(self, msg, "part %s", proa_outcome_name(outcome));
}

static void do_count(struct proa_actor *self, const struct proa_msg *msg,
                     const char *group)
{
    static struct proa_ref refs[4 * WORKERS_MAX]; /* this actor's alone */
    struct proa_members members = {0};
    enum proa_outcome outcome =
        proa_lookup_all(self, group, NULL, 0, refs, 4 * WORKERS_MAX, &members);
    uint32_t own = 0;

    for (uint32_t i = 0; i < members.count && i < 4 * WORKERS_MAX; i++)
        own += refs[i].node == proa_self(self).node;
    answer(self, msg, "count %u %u %s", members.count, own, proa_outcome_name(outcome));
}

/* Commands whose answer comes later. */
static bool do_registry(struct proa_actor *self, const struct proa_msg *msg,
                        const char *word, const char *name)
{
    struct waiting w = {.word = ""};
    char long_name[GROUP_LEN];
    enum proa_outcome outcome;

    if (strcmp(word, "join") != 0 && strcmp(word, "name") != 0 &&
        strcmp(word, "who") != 0)
        return false;
    if (strcmp(name, "long") == 0) {
        memset(long_name, 'n', PROA_NAME_MAX + 1);
        long_name[PROA_NAME_MAX + 1] = '\0';
        name = long_name;
    }
    snprintf(w.word, sizeof(w.word), "%s", word);
    proa_reply_later(self, msg, &w.token);
    if (word[0] == 'j')
        outcome = proa_join(self, name, on_named, &w, sizeof(w));
    else if (word[0] == 'n')
        outcome = proa_register(self, name, NAME_FOR, on_named, &w, sizeof(w));
    else
        outcome = proa_lookup_now(self, name, NAME_FOR, on_named, &w, sizeof(w));
    conclude(self, &w, outcome);
    return true;
}

static void on_command(struct proa_actor *self, const struct proa_msg *msg)
{
    struct boss *boss = proa_state(self);
    char word[16] = "", first[WORD_LEN] = "", second[WORD_LEN] = "";
    uint32_t number;

    sscanf(msg->data, "%15s %271s %271s", word, first, second);
    number = (uint32_t)strtoul(first, NULL, 10);
    if (strcmp(word, "spawn") == 0)
        do_spawn(self, msg, number, second);
    else if (strcmp(word, "stop") == 0)
        do_stop(self, msg, number);
    else if (strcmp(word, "part") == 0)
        do_part(self, msg, number, second);
    else if (strcmp(word, "count") == 0)
        do_count(self, msg, first);
    else if (strcmp(word, "balance") == 0 && number > 0 && number <= ANSWERS_MAX)
        do_balance(self, msg, number);
    else if (strcmp(word, "load") == 0)
        do_load(self, msg, first);
    else if (strcmp(word, "rest") == 0)
        do_rest(self, msg);
    else if (strcmp(word, "mark") == 0) {
        boss->load.mark = strtoull(first, NULL, 16);
        answer(self, msg, "mark");
    } else if (!do_registry(self, msg, word, first))
        answer(self, msg, "unknown %s", word);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    (void)self;
    if (signal->kind == PROA_SIGNAL_NAME_LOST) {
        printf("lost %s\n", signal->name);
        fflush(stdout);
    }
}

static int boss_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct boss *boss = proa_state(self);

    (void)arg;
    (void)arg_len;
    return proa_spawn(self, &balancer, NULL, 0, &boss->balancer) != PROA_OK;
}

static const struct proa_on boss_on[] = {{BOSS_COMMAND, 1, on_command}};
const struct proa_behaviour boss_behaviour = {.type_name = "cluster.boss",
                                              .state_size = sizeof(struct boss),
                                              .on = boss_on,
                                              .on_count = 1,
                                              .start = boss_start,
                                              .signal = on_signal};
