/* SPDX-License-Identifier: Apache-2.0 */
/* proa-pressure [--only actor|lane|node|dead|datagrams] [--seconds N] - what a slow one costs the others.

   For each kind of pressure: phases without and with it take turns, and what the others get answered is
   compared; then all is quiet, and every tell must have had its outcome: accepted = entered + refused
   + in doubt, to the last (towards a dead node, one in doubt may have entered too).  Prints one JSON object
   each.  Status 1 when a message is not accounted for, or a node keeps more than its bound; the speed is
   reported, and never fails.  Status 2 for bad options. */
#include "perf_pressure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link.h"
#include "perf_clock.h"
#include "perf_folder.h"
#include "perf_json.h"
#include "perf_memory.h"
#include "perf_process.h"

#define PHASE (250 * PROA_MS)
#define CHANGE (50 * PROA_MS) /* of each phase, not counted */
#define LOOK 5000             /* us */
#define JUNK_EACH 100         /* datagrams in one look: 20,000 a second */
#define SECONDS_MAX 3600u
/* What a lane may keep for its peers: retained packets of all links, and the messages of mailboxes. */
#define RETAINED_MAX (2u * (LINK_WINDOW_MAX + LINK_OUTBOX_MAX + LINK_OUTBOX_RESERVE))
#define SLAB_MAX (4u << 20)

static const char *const names[PRESSURE_KINDS] = {"actor", "lane", "node", "dead",
                                                  "datagrams"};

struct most {
    uint64_t slab, retained, packets, arena_before, arena, rss_before, rss;
};

struct run {
    struct pressure *p;
    struct perf_process nodes[PRESSURE_NODES]; /* pid 0: not, or no more */
    unsigned node_count;
    proa_ns span;
    double rate[2]; /* answers a second, without and with */
    uint64_t junk;
    int socket, nobody;       /* who throws junk, and a socket nobody reads */
    struct sockaddr_in at[2]; /* where to: nobody, and node 1 */
    struct most most;
};

static void more(uint64_t *most, uint64_t value)
{
    *most = value > *most ? value : *most;
}

/* The sum over nodes that live, as it was before, or at the most. */
static void look(struct run *r, bool before)
{
    uint64_t arena = 0, own = 0;

    for (unsigned i = 0; i < r->node_count; i++) {
        struct pressure_memory *m = &r->p->memory[i];

        if (r->nodes[i].pid == 0)
            continue;
        more(&r->most.slab, atomic_load(&m->slab));
        more(&r->most.retained, atomic_load(&m->retained));
        more(&r->most.packets, atomic_load(&m->packets));
        arena += atomic_load(&m->arena);
        own += perf_memory_anonymous(r->nodes[i].pid);
    }
    if (before) {
        r->most.arena_before = arena;
        r->most.rss_before = own;
    }
    more(&r->most.arena, arena);
    more(&r->most.rss, own);
}

/* ---- Phases ---- */

static void throw_junk(struct run *r, bool at_node)
{
    const struct sockaddr_in *to = &r->at[at_node];
    uint8_t bytes[128] = {0};

    for (unsigned i = 0; i < JUNK_EACH; i++) {
        for (unsigned j = 0; j < sizeof(bytes); j++)
            bytes[j] = (uint8_t)(r->junk * 31 + j * 7);
        bytes[0] = bytes[6] =
            r->junk % 3 == 0 ? 'd' : 0; /* the registry's, or a link's */
        bytes[6] = bytes[0] == 'd' ? bytes[6] : (uint8_t)(0x10 | r->junk % 8);
        r->junk += sendto(r->socket, bytes, sizeof(bytes), 0, (const struct sockaddr *)to,
                          sizeof(*to)) > 0;
    }
}

static void wait_for(struct run *r, proa_ns span, bool with)
{
    proa_ns until = perf_clock_ns() + span;

    do {
        if (r->p->kind == PRESSURE_DATAGRAMS)
            throw_junk(r, with);
        look(r, false);
        usleep(LOOK);
    } while (perf_clock_ns() < until && !perf_process_caught());
}

static void kill_third(struct run *r)
{
    if (r->nodes[2].pid != 0)
        kill(r->nodes[2].pid, SIGKILL);
    perf_process_end(&r->nodes[2], PRESSURE_PATIENCE);
}

static void play(struct run *r)
{
    unsigned rounds = (unsigned)(r->span / (2 * PHASE)), counted[2] = {0, 0};

    atomic_store(&r->p->on, 1);
    wait_for(r, 2 * PHASE, false); /* warm */
    look(r, true);
    for (unsigned i = 0; i < 2 * rounds; i++) {
        bool with = i % 2 == 1;
        uint64_t answered;
        proa_ns began;

        atomic_store(&r->p->slow, with);
        if (with && r->p->kind == PRESSURE_DEAD)
            kill_third(r);
        wait_for(r, CHANGE, with);
        began = perf_clock_ns();
        answered = atomic_load(&r->p->answered);
        wait_for(r, PHASE - CHANGE, with);
        answered = atomic_load(&r->p->answered) - answered;
        r->rate[with] += (double)answered * 1e9 / (double)(perf_clock_ns() - began);
        counted[with]++;
    }
    for (int i = 0; i < 2; i++)
        r->rate[i] /= counted[i];
    atomic_store(&r->p->on, 0);
    atomic_store(&r->p->slow, 0);
}

/* ---- To the last message ---- */

static bool exact(const struct run *r)
{
    const struct pressure *p = r->p;

    for (int i = 0; i < 2; i++) {
        uint64_t accepted = atomic_load(&p->accepted[i]);
        uint64_t had = atomic_load(&p->entered[i]) + atomic_load(&p->refused[i]) +
                       atomic_load(&p->doubt[i]);
        bool dead = p->kind == PRESSURE_DEAD && i == 0;

        if (dead ? had < accepted || atomic_load(&p->entered[i]) > accepted
                 : had != accepted)
            return false;
        if (atomic_load(&p->tried[i]) !=
            accepted + atomic_load(&p->again[i]) + atomic_load(&p->otherwise[i]))
            return false;
    }
    return atomic_load(&p->disorder) == 0 &&
           atomic_load(&p->asked) == atomic_load(&p->settled) &&
           atomic_load(&p->asked) == atomic_load(&p->answered);
}

static bool quiet(const struct run *r)
{
    for (unsigned i = 0; i < r->node_count; i++)
        if (r->nodes[i].pid != 0 && (atomic_load(&r->p->memory[i].slab) != 0 ||
                                     atomic_load(&r->p->memory[i].retained) != 0))
            return false;
    return true;
}

/* False: someone ends us, or a node that was to live has ended. */
static bool goes_on(const struct run *r)
{
    for (unsigned i = 0; i < r->node_count; i++)
        if (r->nodes[i].pid != 0 && perf_process_ended(&r->nodes[i]))
            return false;
    return !perf_process_caught() && r->p->failed[0] == '\0';
}

/* Waits as long as it takes: how quick a machine is decides nothing. */
static bool settle(struct run *r)
{
    atomic_store(&r->p->over, 1);
    while (!exact(r) || !quiet(r)) {
        if (!goes_on(r))
            return false;
        usleep(LOOK);
    }
    return true;
}

/* ---- Processes ---- */

struct place {
    struct pressure *p;
    unsigned index;
};

static int node_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct place *place = ctx;

    (void)pipe;
    return pressure_node(place->p, place->index);
}

static bool open_sockets(struct run *r)
{
    socklen_t len = sizeof(r->at[0]);

    r->at[0] =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    r->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    r->nobody = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return r->socket >= 0 && r->nobody >= 0 &&
           bind(r->nobody, (struct sockaddr *)&r->at[0], len) == 0 &&
           getsockname(r->nobody, (struct sockaddr *)&r->at[0], &len) == 0;
}

static bool failed(struct run *r, const char *why)
{
    if (r->p->failed[0] == '\0')
        snprintf(r->p->failed, sizeof(r->p->failed), "%s", why);
    return false;
}

static bool start(struct run *r, const char *dir)
{
    const char *port;

    snprintf(r->p->dir, sizeof(r->p->dir), "%s/%s", dir, names[r->p->kind]);
    if (mkdir(r->p->dir, 0700) != 0 || !open_sockets(r))
        return failed(r, strerror(errno));
    setenv("RUNTIME_DIRECTORY", r->p->dir, 1);
    r->node_count = pressure_nodes(r->p->kind);
    for (unsigned i = 0; i < r->node_count; i++) {
        struct place place = {r->p, i};

        if (!perf_process_start(&r->nodes[i], node_process, &place))
            return failed(r, "no process could be made");
    }
    while (atomic_load(&r->p->ready) < r->node_count) {
        if (!goes_on(r))
            return failed(r, perf_process_caught() ? "stopped" : "a node ended");
        usleep(LOOK);
    }
    port = strrchr(r->p->address, ':');
    r->at[1] = r->at[0];
    r->at[1].sin_port = htons((uint16_t)strtoul(port != NULL ? port + 1 : "9", NULL, 10));
    return true;
}

static bool stop(struct run *r, bool good)
{
    atomic_store(&r->p->over, 2);
    for (unsigned i = 0; i < r->node_count; i++)
        good = perf_process_end(&r->nodes[i], good ? PRESSURE_PATIENCE : 0) && good;
    if (r->socket > 0)
        close(r->socket);
    if (r->nobody > 0)
        close(r->nobody);
    return good;
}

/* ---- The report ---- */

static void print_flood(struct perf_json *json, const struct pressure *p, const char *key,
                        int which)
{
    perf_json_open(json, key);
    perf_json_u64(json, "tried", atomic_load(&p->tried[which]));
    perf_json_u64(json, "accepted", atomic_load(&p->accepted[which]));
    perf_json_u64(json, "again", atomic_load(&p->again[which]));
    perf_json_u64(json, "not_at_all", atomic_load(&p->otherwise[which]));
    perf_json_u64(json, "entered", atomic_load(&p->entered[which]));
    perf_json_u64(json, "refused", atomic_load(&p->refused[which]));
    perf_json_u64(json, "in_doubt", atomic_load(&p->doubt[which]));
    perf_json_close(json);
}

static void print(const struct run *r, bool is_exact, bool bounded)
{
    struct perf_json json;

    perf_json_init(&json, stdout);
    perf_json_open(&json, NULL);
    perf_json_str(&json, "pressure", names[r->p->kind]);
    perf_json_str(&json, "port", r->p->kind <= PRESSURE_LANE ? "vhost" : "udp");
    perf_json_num(&json, "others_answers_per_s_without", r->rate[0]);
    perf_json_num(&json, "others_answers_per_s_with", r->rate[1]);
    perf_json_num(&json, "others_keep", r->rate[1] / r->rate[0]);
    print_flood(&json, r->p, "to_the_slow_one", 0);
    print_flood(&json, r->p, "to_a_healthy_one", 1);
    if (r->p->kind == PRESSURE_DATAGRAMS)
        perf_json_u64(&json, "datagrams", r->junk);
    perf_json_open(&json, "memory");
    perf_json_u64(&json, "waiting_messages_most_bytes", r->most.slab);
    perf_json_u64(&json, "retained_most_packets", r->most.retained);
    perf_json_u64(&json, "packets_out_most", r->most.packets);
    perf_json_u64(&json, "arenas_before", r->most.arena_before);
    perf_json_u64(&json, "arenas_most", r->most.arena);
    perf_json_u64(&json, "rss_anon_before", r->most.rss_before);
    perf_json_u64(&json, "rss_anon_most", r->most.rss);
    perf_json_close(&json);
    perf_json_bool(&json, "exact", is_exact);
    perf_json_bool(&json, "bounded", bounded);
    perf_json_close(&json);
    fflush(stdout);
}

static bool one(enum pressure_kind kind, proa_ns span, const char *dir)
{
    struct run r = {.span = span};
    bool good, bounded = false;

    r.p = mmap(NULL, sizeof(*r.p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
               0);
    if (r.p == MAP_FAILED) {
        fprintf(stderr, "proa-pressure: %s: no memory to share\n", names[kind]);
        return false;
    }
    r.p->kind = kind;
    good = start(&r, dir);
    if (good) {
        play(&r);
        good = settle(&r);
        bounded = r.most.retained <= RETAINED_MAX && r.most.slab <= SLAB_MAX;
        print(&r, good, bounded);
    }
    if (!good)
        fprintf(stderr, "proa-pressure: %s: %s\n", names[kind],
                r.p->failed[0] != '\0'  ? r.p->failed
                : perf_process_caught() ? "stopped before every message had its outcome"
                                        : "a node ended");
    good = stop(&r, good) && good && bounded;
    munmap(r.p, sizeof(*r.p));
    return good;
}

/* ---- Options ---- */

static const char usage[] =
    "usage: proa-pressure [--only actor|lane|node|dead|datagrams] [--seconds 1..3600]\n";

static bool set_kind(const char *text, int *only)
{
    for (*only = 0; *only < PRESSURE_KINDS; ++*only)
        if (strcmp(text, names[*only]) == 0)
            return true;
    return false;
}

static bool set_seconds(const char *text, proa_ns *span)
{
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);

    *span = seconds * PROA_S;
    return text[0] >= '1' && text[0] <= '9' && *end == '\0' && seconds <= SECONDS_MAX;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, int *only, proa_ns *span)
{
    static const struct option options[] = {{"only", required_argument, NULL, 'o'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (opt == '?' ||
            !(opt == 'o' ? set_kind(optarg, only) : set_seconds(optarg, span))) {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fputs(usage, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    char dir[PERF_FOLDER_MAX];
    proa_ns span = 5 * PROA_S;
    int only = -1, status = read_options(argc, argv, &only, &span);
    bool good = true;

    if (status >= 0)
        return status;
    perf_process_catch();
    if (!perf_folder_make("proa-pressure", dir))
        return 1;
    for (int k = 0; k < PRESSURE_KINDS && !perf_process_caught(); k++)
        if (only < 0 || only == k)
            good = one((enum pressure_kind)k, span, dir) && good;
    perf_folder_remove(dir);
    return good && !perf_process_caught() ? 0 : 1;
}
