/* SPDX-License-Identifier: Apache-2.0 */
/* soak --minutes N | --seconds N [--seed S] [--only udp|vhost|ring] - clusters that are treated badly.

   Three clusters at once: processes over udp, two processes over vhost, nodes of one process over
   ring; each over a port that loses, doubles and reorders.  soak_books.h says what is promised.
   Prints the seed, a line a minute, and at the end counters and a verdict; status 1 when a promise was
   broken.  The same seed draws the same, but threads and processes meet as they like. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "soak_hands.h"
#include "soak_memory.h"

#define LOOK (5 * PROA_MS)
#define PLAY_LEAST (4 * PROA_S)
#define PLAY_MOST (12 * PROA_S)
/* Nothing of what is waited for takes so long: who waits so long waits for ever. */
#define PATIENCE (60 * PROA_S)

struct run {
    struct soak *soak;
    struct soak_hands hands[SOAK_KINDS];
    struct soak_memory memory[SOAK_KINDS];
    unsigned clusters;
    uint64_t seed, random, rounds, exact, pairs;
    proa_ns span, began, next_line;
    int only; /* enum soak_kind, -1: all */
    char dir[64];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* ---- Options ---- */

static bool parse(struct run *run, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t n = strtoull(argv[i + 1], NULL, 0);

        if (strcmp(argv[i], "--minutes") == 0)
            run->span = n * 60 * PROA_S;
        else if (strcmp(argv[i], "--seconds") == 0)
            run->span = n * PROA_S;
        else if (strcmp(argv[i], "--seed") == 0)
            run->seed = n;
        else if (strcmp(argv[i], "--only") == 0) {
            run->only = -2;
            for (int k = 0; k < SOAK_KINDS; k++)
                if (strcmp(argv[i + 1], soak_kind_names[k]) == 0)
                    run->only = k;
        } else
            return false;
    }
    return argc % 2 == 1 && run->span > 0 && run->only != -2;
}

static void cluster_init(struct run *run, struct soak_cluster *c, enum soak_kind kind)
{
    uint64_t *random = &run->random;

    c->kind = kind;
    c->nodes = kind == SOAK_VHOST ? 2 : 3;
    c->lanes = 1 + soak_below(random, 2);
    c->udp_port = 20000 + (unsigned)getpid() % 10000 * 4;
    c->seed = soak_random(random);
    c->message_max = soak_below(random, 2) == 0 ? 1u << 20 : 4u << 20;
    c->faults = (struct proa_faults){.loss = 1 + soak_below(random, 30000),
                                     .duplicate = soak_below(random, 20000),
                                     .reorder = soak_below(random, 20000),
                                     .delay_us = soak_below(random, 3) * 20};
    c->phase = SOAK_REPORT;
    snprintf(c->dir, sizeof(c->dir), "%s", run->dir);
    printf(
        "%-5s %u nodes of %u lanes, %u ppm lost, %u doubled, %u reordered, %u us late\n",
        soak_kind_names[kind], c->nodes, c->lanes, c->faults.loss, c->faults.duplicate,
        c->faults.reorder, c->faults.delay_us);
}

static bool begin(struct run *run)
{
    run->soak = mmap(NULL, sizeof(*run->soak), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(run->dir, sizeof(run->dir), "/tmp/proa-soak-XXXXXX");
    if (run->soak == MAP_FAILED || mkdtemp(run->dir) == NULL) {
        perror("soak");
        return false;
    }
    setenv("RUNTIME_DIRECTORY", run->dir, 1);
    run->random = run->seed;
    for (int kind = 0; kind < SOAK_KINDS; kind++) {
        struct soak_cluster *c = &run->soak->clusters[run->clusters];

        if (run->only >= 0 && run->only != kind)
            continue;
        cluster_init(run, c, (enum soak_kind)kind);
        soak_hands_init(&run->hands[run->clusters], run->soak, c);
        if (!soak_memory_init(&run->memory[run->clusters]))
            return false;
        run->clusters++;
    }
    fflush(stdout);
    run->began = soak_now();
    run->next_line = run->began + 60 * PROA_S;
    return true;
}

/* ---- Waiting ---- */

static void phase(struct run *run, enum soak_phase what)
{
    for (unsigned i = 0; i < run->clusters; i++)
        atomic_store(&run->hands[i].c->phase, what);
}

static bool over(struct run *run)
{
    return interrupted || soak_is_broken(run->soak);
}

static void line(struct run *run)
{
    struct soak_counts sum = {0};
    unsigned long long tells = 0, asks = 0;

    if (soak_now() < run->next_line)
        return;
    for (unsigned i = 0; i < run->clusters; i++) {
        const struct soak_counts *n = &run->hands[i].counts;

        sum.kills += n->kills;
        sum.terms += n->terms + n->restarts;
        sum.stops += n->stops;
        sum.cuts += n->cuts;
        tells += atomic_load(&run->hands[i].c->totals.tells);
        asks += atomic_load(&run->hands[i].c->totals.asks);
    }
    printf("minute %llu: %llu rounds, %llu tells, %llu asks; %llu kills, %llu ended in "
           "order, "
           "%llu stopped, %llu cuts\n",
           (unsigned long long)((run->next_line - run->began) / (60 * PROA_S)),
           (unsigned long long)run->rounds, tells, asks, (unsigned long long)sum.kills,
           (unsigned long long)sum.terms, (unsigned long long)sum.stops,
           (unsigned long long)sum.cuts);
    fflush(stdout);
    run->next_line += 60 * PROA_S;
}

static void look(struct run *run, bool blows)
{
    const struct timespec pause = {0, (long)LOOK};

    for (unsigned i = 0; i < run->clusters; i++)
        soak_hands_step(&run->hands[i], blows);
    line(run);
    nanosleep(&pause, NULL);
}

/* Until done says so of every cluster; what is missing after PATIENCE never comes. */
static bool wait_for(struct run *run, bool (*done)(struct run *run, unsigned cluster,
                                                   char *why, size_t why_len))
{
    proa_ns until = soak_now() + PATIENCE;
    char why[256];

    for (unsigned i = 0; i < run->clusters && !over(run);) {
        why[0] = '\0';
        if (done(run, i, why, sizeof(why))) {
            i++;
            continue;
        }
        if (soak_now() > until)
            soak_broken(run->soak, run->hands[i].c, "%s", why);
        look(run, false);
    }
    return !over(run);
}

static bool is_up(struct run *run, unsigned i, char *why, size_t why_len)
{
    snprintf(why, why_len, "a node has not come back, or has not joined");
    return soak_hands_up(&run->hands[i]);
}

static bool is_settled(struct run *run, unsigned i, char *why, size_t why_len)
{
    struct soak_checked checked;

    if (!soak_settled(run->hands[i].c, &checked, why, why_len))
        return false;
    run->pairs += checked.pairs;
    run->exact += checked.exact;
    return true;
}

static bool has_ended(struct run *run, unsigned i, char *why, size_t why_len)
{
    uint32_t alive = atomic_load(&run->hands[i].c->alive);

    snprintf(why, why_len, "%u actors do not end", alive);
    return alive == 0;
}

static bool is_clean(struct run *run, unsigned i, char *why, size_t why_len)
{
    return soak_memory_clean(&run->hands[i], why, why_len);
}

/* ---- A round ---- */

static void play(struct run *run)
{
    proa_ns span = PLAY_LEAST + soak_random(&run->random) % (PLAY_MOST - PLAY_LEAST);
    proa_ns left = run->began + run->span - soak_now(), until;

    if (left < span)
        span = left < PLAY_LEAST ? PLAY_LEAST : left;
    until = soak_now() + span;
    for (unsigned i = 0; i < run->clusters; i++) {
        struct soak_cluster *c = run->hands[i].c;

        soak_round_begin(c, (uint32_t)run->rounds + 1);
        atomic_store(&c->pace_us, 200 + soak_below(&run->random, 20000));
    }
    phase(run, SOAK_PLAY);
    while (soak_now() < until && !over(run))
        look(run, true);
}

static bool one_round(struct run *run)
{
    play(run);
    for (unsigned i = 0; i < run->clusters; i++)
        soak_hands_heal(&run->hands[i]);
    phase(run, SOAK_SETTLE);
    if (!wait_for(run, is_up) || !wait_for(run, is_settled))
        return false;
    phase(run, SOAK_END);
    if (!wait_for(run, has_ended))
        return false;
    phase(run, SOAK_REPORT);
    if (!wait_for(run, is_clean))
        return false;
    for (unsigned i = 0; i < run->clusters; i++)
        soak_memory_sample(&run->memory[i], &run->hands[i]);
    run->rounds++;
    return !over(run);
}

/* ---- The end ---- */

static void print_cluster(const struct soak_hands *h)
{
    const struct soak_totals *t = &h->c->totals;

#define N(what) (unsigned long long)atomic_load(&t->what)
    printf(
        "%-5s %llu actors; tells %llu (%llu bulk), entered %llu, refused %llu, in doubt "
        "%llu, again %llu, multicasts %llu\n",
        soak_kind_names[h->c->kind], N(spawned), N(tells), N(bulk), N(entered),
        N(refused), N(in_doubt), N(again), N(casts));
    printf(
        "      asks %llu: answered %llu, not run %llu, maybe %llu; forwarded %llu; downs "
        "%llu, changes %llu, name calls %llu of %llu answered\n",
        N(asks), N(answered), N(denied), N(maybe), N(forwarded), N(downs), N(changes),
        N(name_answers), N(names));
#undef N
    printf("      %llu killed, %llu ended in order, %llu restarted, %llu stopped, %llu "
           "cuts\n",
           (unsigned long long)h->counts.kills, (unsigned long long)h->counts.terms,
           (unsigned long long)h->counts.restarts, (unsigned long long)h->counts.stops,
           (unsigned long long)h->counts.cuts);
}

static int verdict(struct run *run)
{
    bool broken;
    char command[128];

    for (unsigned i = 0; i < run->clusters; i++) {
        print_cluster(&run->hands[i]);
        soak_memory_flat(&run->memory[i], &run->hands[i]);
    }
    broken = soak_is_broken(run->soak);
    for (unsigned i = 0; i < run->clusters; i++)
        soak_hands_end(&run->hands[i], broken);
    broken = broken || soak_is_broken(run->soak);
    snprintf(command, sizeof(command), "rm -rf %s", run->dir);
    if (system(command) != 0)
        fprintf(stderr, "soak: %s is left behind\n", run->dir);
    printf("%llu rounds, %llu pairs of actors compared, %llu to the last message\n",
           (unsigned long long)run->rounds, (unsigned long long)run->pairs,
           (unsigned long long)run->exact);
    if (broken) {
        printf("VIOLATED: %s\n", run->soak->what);
        printf("again: ./dev soak --minutes %llu --seed %llu (what is drawn is the same; "
               "how "
               "threads meet is not)\n",
               (unsigned long long)((run->span + 60 * PROA_S - 1) / (60 * PROA_S)),
               (unsigned long long)run->seed);
        return 1;
    }
    if (interrupted || run->exact == 0) {
        printf("%s\n", interrupted ? "interrupted" : "nothing was compared");
        return 1;
    }
    printf("every promise was kept\n");
    return 0;
}

int main(int argc, char **argv)
{
    static struct run run;

    run.only = -1;
    run.seed = (uint64_t)time(NULL);
    if (!parse(&run, argc, argv)) {
        fprintf(stderr, "usage: soak --minutes N | --seconds N [--seed S] [--only "
                        "udp|vhost|ring]\n");
        return 2;
    }
    printf("seed %llu\n", (unsigned long long)run.seed);
    if (!begin(&run))
        return 1;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (wait_for(&run, is_up)) {
        run.began = soak_now();
        while (soak_now() - run.began < run.span && one_round(&run))
            ;
    }
    return verdict(&run);
}
