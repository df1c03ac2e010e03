/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_balancer.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "demo_family.h"
#include "demo_worker.h"
#include "kernel_clock.h"

#define SILENCE_FOR (20 * PROA_S) /* no line for so long: something hangs */
#define MESSAGES 30u
#define ARTICLE_MS 6031 /* of the article this follows, for as many messages */
#define ROWS_MAX 32u

enum step {
    STEP_FIRST, /* node 1 starts */
    STEP_SECOND, /* node 2 starts, with node 1 as neighbour, and sees the workers of both */
    STEP_TWO,    /* its balancer has got messages */
    STEP_THIRD,  /* node 3 starts, with node 2 as neighbour, and all see all */
    STEP_THREE,  /* its balancer has got messages */
    STEP_KILLED, /* node 1 is dead, and the others are to see it */
    STEP_REST,   /* node 3's balancer has got messages again */
};

struct node {
    unsigned long long id, sees, seen_at;
    char address[64];
};

struct row {
    unsigned node, worker, answers; /* node: 1 and on */
};

struct demo {
    const struct options *options;
    struct family family;
    uint8_t key[PROA_KEY_LEN];
    struct node nodes[FAMILY_CHILDREN];
    enum step step;
    proa_ns since; /* the step began */
    struct row rows[ROWS_MAX];
    unsigned row_count;
    bool over;
    int status;
};

static void fail(struct demo *demo, const char *who, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "proa demo: %s: %s\n", who, why);
    demo->status = 1;
    demo->over = true;
}

static void fail_node(struct demo *demo, unsigned which, const char *why)
{
    char who[16];

    snprintf(who, sizeof(who), "node %u", which + 1);
    fail(demo, who, why);
}

/* ---- Steps ---- */

static void begin(struct demo *demo, enum step step)
{
    demo->step = step;
    demo->since = clock_now();
    demo->row_count = 0;
}

static void start(struct demo *demo, unsigned which, const char *seed)
{
    static const char *const names[FAMILY_CHILDREN] = {"1", "2", "3"};
    char err[PROA_TEXT_MAX];

    if (!family_start(&demo->family, which, names[which], seed, demo->options, demo->key,
                      err, sizeof(err)))
        fail_node(demo, which, err);
}

static void send_from(struct demo *demo, unsigned which, enum step step)
{
    char line[32];

    begin(demo, step);
    snprintf(line, sizeof(line), "send %u", MESSAGES);
    printf("\n%u messages to the balancer of node %u\n", MESSAGES, which + 1);
    family_say(&demo->family, which, line);
}

static void print_seen(const struct demo *demo, unsigned which, const char *since)
{
    const struct node *node = &demo->nodes[which];

    printf("  %u  sees %llu workers, %.1f ms after %s\n", which + 1, node->sees,
           ((double)node->seen_at - (double)demo->since) / 1e6, since);
}

static void kill_first(struct demo *demo)
{
    printf("\nkill -9 of node 1\n");
    begin(demo, STEP_KILLED);
    kill(demo->family.child[0].pid, SIGKILL);
}

/* A node has said how many workers it sees: goes on when all see what they should. */
static void on_sees(struct demo *demo)
{
    const struct node *n = demo->nodes;

    if (demo->step == STEP_FIRST && n[0].sees == WORKER_COUNT) {
        begin(demo, STEP_SECOND);
        start(demo, 1, n[0].address);
    } else if (demo->step == STEP_SECOND && n[1].sees == 2 * WORKER_COUNT) {
        print_seen(demo, 1, "its process was started");
        send_from(demo, 1, STEP_TWO);
    } else if (demo->step == STEP_THIRD && n[0].sees == 3 * WORKER_COUNT &&
               n[1].sees == 3 * WORKER_COUNT && n[2].sees == 3 * WORKER_COUNT) {
        print_seen(demo, 2, "its process was started");
        send_from(demo, 2, STEP_THREE);
    } else if (demo->step == STEP_KILLED && n[1].sees == 2 * WORKER_COUNT &&
               n[2].sees == 2 * WORKER_COUNT) {
        print_seen(demo, 1, "the kill");
        print_seen(demo, 2, "the kill");
        send_from(demo, 2, STEP_REST);
    }
}

/* ---- Who answered ---- */

static void on_by(struct demo *demo, const char *rest)
{
    struct row row = {0};
    unsigned long long id;

    if (sscanf(rest, "%llx %u %u", &id, &row.worker, &row.answers) != 3 ||
        demo->row_count == ROWS_MAX)
        return;
    for (unsigned i = 0; i < FAMILY_CHILDREN; i++) {
        if (demo->nodes[i].id == id)
            row.node = i + 1;
    }
    demo->rows[demo->row_count++] = row;
}

static unsigned answers_of(const struct demo *demo, unsigned node)
{
    unsigned answers = 0;

    for (unsigned i = 0; i < demo->row_count; i++) {
        if (demo->rows[i].node == node)
            answers += demo->rows[i].answers;
    }
    return answers;
}

static void print_rows(const struct demo *demo)
{
    for (unsigned node = 1; node <= FAMILY_CHILDREN; node++) {
        if (answers_of(demo, node) == 0)
            continue;
        printf("  %u ", node);
        for (unsigned worker = 1; worker <= WORKER_COUNT; worker++) {
            unsigned answers = 0;

            for (unsigned i = 0; i < demo->row_count; i++) {
                if (demo->rows[i].node == node && demo->rows[i].worker == worker)
                    answers = demo->rows[i].answers;
            }
            printf("  worker %u: %2u answers", worker, answers);
        }
        printf("\n");
    }
}

/* What was promised of the answers of this step; NULL: it was kept. */
static const char *broken(const struct demo *demo, unsigned answered)
{
    if (answered != MESSAGES)
        return "not all messages were answered";
    switch (demo->step) {
    case STEP_TWO:
        if (demo->row_count <= WORKER_COUNT)
            return "not more workers answered than one node has";
        return answers_of(demo, 1) > 0 && answers_of(demo, 2) > 0
                   ? NULL
                   : "not both local and remote workers answered";
    case STEP_THREE:
        return demo->row_count == 3 * WORKER_COUNT ? NULL : "not all workers were used";
    default:
        if (answers_of(demo, 1) > 0)
            return "a dead node's worker answered";
        return demo->row_count == 2 * WORKER_COUNT ? NULL
                                                   : "not all that are left were used";
    }
}

static void on_answered(struct demo *demo, unsigned which, const char *rest)
{
    unsigned answered = 0;
    unsigned long long ns = 0;
    const char *why;

    sscanf(rest, "%u %llu", &answered, &ns);
    print_rows(demo);
    printf("  %u workers answered %u messages, %u of them local; %.2f ms from the first "
           "message to the last answer",
           demo->row_count, answered, answers_of(demo, which + 1), (double)ns / 1e6);
    if (demo->step == STEP_TWO)
        printf(" (the article: %d,%03d ms)", ARTICLE_MS / 1000, ARTICLE_MS % 1000);
    printf("\n");
    why = broken(demo, answered);
    if (why != NULL) {
        fail(demo, "promise not kept", why);
    } else if (demo->step == STEP_TWO) {
        begin(demo, STEP_THIRD);
        start(demo, 2, demo->nodes[1].address);
    } else if (demo->step == STEP_THREE) {
        kill_first(demo);
    } else {
        printf("\nall promises were kept\n");
        demo->over = true;
    }
}

/* ---- Lines of the children ---- */

static void on_up(struct demo *demo, unsigned which, const char *rest)
{
    struct node *node = &demo->nodes[which];

    if (sscanf(rest, "%llx %63s", &node->id, node->address) != 2)
        return;
    printf("  %u  node %016llx at %s, %u workers", which + 1, node->id, node->address,
           WORKER_COUNT);
    if (which > 0)
        printf("; knows one address: node %u's", which);
    printf("\n");
}

static void on_line(struct demo *demo, unsigned which, const char *line)
{
    struct node *node = &demo->nodes[which];

    if (strncmp(line, "up ", 3) == 0) {
        on_up(demo, which, line + 3);
    } else if (sscanf(line, "sees %llu %llu", &node->sees, &node->seen_at) == 2) {
        on_sees(demo);
    } else if (strncmp(line, "by ", 3) == 0) {
        on_by(demo, line + 3);
    } else if (strncmp(line, "answered ", 9) == 0) {
        on_answered(demo, which, line + 9);
    } else if (strcmp(line, "joined") != 0) {
        fail_node(demo, which, strncmp(line, "fail ", 5) == 0 ? line + 5 : line);
    }
    fflush(stdout);
}

static void on_gone(struct demo *demo, unsigned which)
{
    int status = demo->family.child[which].status;
    char why[64];

    if (which == 0 && demo->step >= STEP_KILLED)
        return;
    if (WIFSIGNALED(status))
        snprintf(why, sizeof(why), "died unexpectedly (signal %d)", WTERMSIG(status));
    else
        snprintf(why, sizeof(why), "ended unexpectedly (status %d)", WEXITSTATUS(status));
    fail_node(demo, which, why);
}

static void run(struct demo *demo)
{
    proa_ns until = clock_now() + SILENCE_FOR;

    while (!demo->over) {
        const char *line = "";
        unsigned which = 0;
        int sig = 0;

        switch (family_wait(&demo->family, until, &which, &line, &sig)) {
        case FAMILY_LINE:
            on_line(demo, which, line);
            until = clock_now() + SILENCE_FOR;
            break;
        case FAMILY_GONE:
            on_gone(demo, which);
            break;
        case FAMILY_SIGNAL:
            demo->status = 128 + sig;
            demo->over = true;
            break;
        case FAMILY_SILENCE:
            fail(demo, "nothing happened for 20 s",
                 "the nodes do not see what they should");
            break;
        }
    }
}

int demo_balancer_run(const struct options *options)
{
    static struct demo demo;
    char err[PROA_TEXT_MAX] = "no randomness";

    demo = (struct demo){.options = options, .family = {.signals = -1}};
    printf("proa demo balancer: workers of one type on three nodes, three processes\n");
    if (sodium_init() < 0 || !family_begin(&demo.family, err, sizeof(err))) {
        fail(&demo, "start", err);
    } else {
        randombytes_buf(demo.key, sizeof(demo.key));
        begin(&demo, STEP_FIRST);
        start(&demo, 0, NULL);
        run(&demo);
        sodium_memzero(demo.key, sizeof(demo.key));
    }
    if (demo.status > 128)
        printf("\nending all nodes\n");
    fflush(stdout);
    if (!family_end(&demo.family)) {
        fprintf(stderr, "proa demo: a node did not end and had to be killed\n");
        demo.status = demo.status == 0 ? 1 : demo.status;
    }
    return demo.status;
}
