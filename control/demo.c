/* SPDX-License-Identifier: Apache-2.0 */
#include "demo.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "demo_balancer.h"
#include "demo_family.h"
#include "demo_visitor.h"
#include "kernel_clock.h"

#define SILENCE_FOR (60 * PROA_S) /* no line for so long: something hangs */

/* What a load, or the bare loop, reached. */
struct figures {
    unsigned long long second, messages, span, rtts, p50, p99, p999, undelivered;
};

struct demo {
    const struct options *options;
    struct family family;
    unsigned long long late_began, late_found; /* CLOCK_MONOTONIC ns; 0: not yet */
    struct figures sum, raw;                   /* raw: the flood */
    struct figures raw_trip;
    unsigned raw_answers; /* of the two sides, to the present step */
    int core[2];          /* of the lanes */
    bool over;
    int status;
};

static char name_of(unsigned which)
{
    return (char)('A' + which);
}

static double per_second(const struct figures *f)
{
    return f->span == 0 ? 0 : (double)f->messages * 1e9 / (double)f->span;
}

/* ---- Lines of the children ---- */

static void on_up(struct demo *demo, unsigned which, const char *rest)
{
    char id[20], address[64], pages[16];
    int core;

    if (sscanf(rest, "%19s %63s %d %15s", id, address, &core, pages) != 4)
        return;
    demo->core[which] = core;
    printf("  %c  node %s at %s, lane on core %d, %s pages%s\n", name_of(which), id,
           address, core, pages,
           which == 1 ? "; knows one address: " DEMO_ADDRESS_A ":7400" : "");
}

static void print_late(struct demo *demo)
{
    if (demo->late_began == 0 || demo->late_found == 0)
        return;
    printf("  B  has " DEMO_LATE " by push, %.0f us after A began to register it\n",
           ((double)demo->late_found - (double)demo->late_began) / 1000);
}

static bool read_figures(const char *rest, struct figures *f)
{
    return sscanf(rest, "%llu %llu %llu %llu %llu %llu %llu %llu", &f->second,
                  &f->messages, &f->span, &f->rtts, &f->p50, &f->p99, &f->p999,
                  &f->undelivered) == 8;
}

static void on_live(const char *rest)
{
    struct figures f;

    if (!read_figures(rest, &f))
        return;
    printf("  %3llu s  %7.2f M messages/s   RTT p50 %6.2f  p99 %6.2f  p99.9 %6.2f us"
           "   %llu checked\n",
           f.second, per_second(&f) / 1e6, (double)f.p50 / 1000, (double)f.p99 / 1000,
           (double)f.p999 / 1000, f.messages);
}

static void print_row(const char *what, double proa, double raw, const char *unit)
{
    printf("  %-30s %9.2f %-5s %9.2f %-5s %6.2f x\n", what, proa, unit, raw, unit,
           raw == 0 ? 0 : proa / raw);
}

static void print_table(const struct demo *demo)
{
    const struct figures *p = &demo->sum, *r = &demo->raw_trip, *flood = &demo->raw;

    printf("\n  %-30s %15s %15s %8s\n", "", "proa", "raw limit", "ratio");
    print_row("messages of 32 B | packets", per_second(p) / 1e6, per_second(flood) / 1e6,
              "M/s");
    print_row("round trip, p50", (double)p->p50 / 1000, (double)r->p50 / 1000, "us");
    print_row("round trip, p99", (double)p->p99 / 1000, (double)r->p99 / 1000, "us");
    print_row("round trip, p99.9", (double)p->p999 / 1000, (double)r->p999 / 1000, "us");
    printf("\n  %llu messages, each checked: once, in order, undamaged", p->messages);
    if (p->undelivered > 0)
        printf("; %llu more refused (mailbox full), and the sender told", p->undelivered);
    printf("; %llu round trips\n", p->rtts);
    printf("  raw limit: the bare DPDK loop over the same vhost port in this run, 64 B "
           "packets, 138 B round trips\n");
    if (demo->core[0] == demo->core[1])
        printf("  both lanes had to share core %d, so these figures say little\n",
               demo->core[0]);
}

static void fail(struct demo *demo, unsigned which, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "proa demo: node %c: %s\n", name_of(which), why);
    demo->status = 1;
    demo->over = true;
}

/* A line that is one word and the rest. */
static bool is(const char *line, const char *word, const char **rest)
{
    size_t len = strlen(word);

    if (strncmp(line, word, len) != 0 || (line[len] != ' ' && line[len] != '\0'))
        return false;
    *rest = line + len + (line[len] == ' ');
    return true;
}

/* The conversation.  False: the line is none of it. */
static bool on_talk(struct demo *demo, const char *line)
{
    const char *rest;

    if (is(line, "joined", &rest)) {
        return true;
    } else if (is(line, "spawned", &rest)) {
        printf("  A  spawned a counter, registered as " DEMO_COUNTER "\n");
    } else if (is(line, "found", &rest)) {
        printf("  B  found " DEMO_COUNTER " through Kademlia in %.0f us; asks Inc{10}\n",
               atof(rest) / 1000);
    } else if (is(line, "count", &rest)) {
        printf("Incremented count: %s\n", rest);
    } else if (is(line, "not-found", &rest)) {
        printf("  B  looks up " DEMO_NOBODY "\nActor not found\n");
    } else if (is(line, "wait", &rest)) {
        printf("  B  waits for " DEMO_LATE ", which A registers in two seconds\n");
        family_say(&demo->family, 0, "late");
    } else if (is(line, "late", &rest)) {
        demo->late_began = strtoull(rest, NULL, 10);
        print_late(demo);
    } else if (is(line, "late-found", &rest)) {
        demo->late_found = strtoull(rest, NULL, 10);
        print_late(demo);
    } else {
        return false;
    }
    return true;
}

/* Both sides do each step; A is told first, since it listens. */
static void both(struct demo *demo, const char *command)
{
    demo->raw_answers = 0;
    family_say(&demo->family, 0, command);
    family_say(&demo->family, 1, command);
}

static bool read_raw(const char *rest, struct figures *f)
{
    return sscanf(rest, "%llu %llu %llu %llu %llu", &f->messages, &f->span, &f->p50,
                  &f->p99, &f->p999) == 5 &&
           f->messages > 0;
}

/* The raw limit.  False: the line is none of it, or says that nothing went through. */
static bool on_raw(struct demo *demo, unsigned which, const char *line)
{
    const char *rest;
    struct figures f = {0};

    if (is(line, "raw-up", &rest)) {
        if (++demo->raw_answers == 2)
            both(demo, "raw-trip");
        return true;
    }
    if (!(is(line, "raw-trip", &rest) || is(line, "raw-flood", &rest)) ||
        !read_raw(rest, &f))
        return false;
    if (is(line, "raw-trip", &rest)) {
        if (which == 1)
            demo->raw_trip = f;
        if (++demo->raw_answers == 2)
            both(demo, "raw-flood");
        return true;
    }
    if (which == 0)
        demo->raw = f;
    if (++demo->raw_answers == 2) {
        print_table(demo);
        demo->over = true;
    }
    return true;
}

static void on_line(struct demo *demo, unsigned which, const char *line)
{
    const char *rest;

    if (on_talk(demo, line) || on_raw(demo, which, line)) {
        /* done */
    } else if (is(line, "up", &rest)) {
        on_up(demo, which, rest);
    } else if (is(line, "load", &rest)) {
        printf("load: %s s; B tells A messages of 32 B, then asks one at a time\n", rest);
    } else if (is(line, "live", &rest)) {
        on_live(rest);
    } else if (is(line, "sum", &rest) && read_figures(rest, &demo->sum)) {
        printf("measuring the raw limit of the same port\n");
        both(demo, "raw");
    } else if (is(line, "fail", &rest)) {
        fail(demo, which, rest);
    } else {
        fail(demo, which, line);
    }
    fflush(stdout);
}

static void on_gone(struct demo *demo, unsigned which)
{
    int status = demo->family.child[which].status;
    char why[64];

    if (WIFSIGNALED(status))
        snprintf(why, sizeof(why), "died unexpectedly (signal %d)", WTERMSIG(status));
    else
        snprintf(why, sizeof(why), "ended unexpectedly (status %d)", WEXITSTATUS(status));
    fail(demo, which, why);
}

/* ---- The whole ---- */

static void run(struct demo *demo)
{
    while (!demo->over) {
        const char *line = "";
        unsigned which = 0;
        int sig = 0;

        switch (
            family_wait(&demo->family, clock_now() + SILENCE_FOR, &which, &line, &sig)) {
        case FAMILY_LINE:
            on_line(demo, which, line);
            break;
        case FAMILY_GONE:
            on_gone(demo, which);
            break;
        case FAMILY_SIGNAL:
            demo->status = 128 + sig;
            demo->over = true;
            break;
        case FAMILY_SILENCE:
            fail(demo, 1, "nothing happened for a minute");
            break;
        }
    }
}

static bool start(struct demo *demo, char *err, size_t err_len)
{
    uint8_t key[PROA_KEY_LEN];
    bool ok;

    if (sodium_init() < 0 || !family_begin(&demo->family, err, err_len))
        return false;
    randombytes_buf(key, sizeof(key));
    ok = family_start(&demo->family, 0, "a", NULL, demo->options, key, err, err_len) &&
         family_start(&demo->family, 1, "b", NULL, demo->options, key, err, err_len);
    sodium_memzero(key, sizeof(key));
    return ok;
}

int demo_run(const struct options *options)
{
    static struct demo demo;
    char err[PROA_TEXT_MAX] = "no randomness";

    if (options->word_count > 0)
        return demo_balancer_run(options);
    demo = (struct demo){.options = options, .family = {.signals = -1}};
    printf("proa demo: two nodes, two processes, one conversation over DPDK vhost\n");
    if (!start(&demo, err, sizeof(err))) {
        fprintf(stderr, "proa demo: %s\n", err);
        demo.status = 1;
    } else {
        run(&demo);
    }
    if (demo.status > 128)
        printf("\nending both nodes\n");
    fflush(stdout);
    if (!family_end(&demo.family)) {
        fprintf(stderr, "proa demo: a node did not end and had to be killed\n");
        demo.status = demo.status == 0 ? 1 : demo.status;
    }
    return demo.status;
}
