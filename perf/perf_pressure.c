/* SPDX-License-Identifier: Apache-2.0 */
/* proa-pressure [--only actor|lane|node|dead|datagrams] [--seconds N] - what a slow one costs the others.

   For each kind of pressure: phases without and with it take turns, and what the others get answered is
   compared; then all is quiet, and every tell must have had its outcome: accepted = entered + refused
   + in doubt, to the last (towards a dead node, one in doubt may have entered too).  Prints one JSON object
   each.  Status 1 when a message is not accounted for, or a node keeps more than its bound; the speed is
   reported, and never fails. */
#include "perf_pressure.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link.h"
#include "perf_clock.h"
#include "perf_json.h"

#define PHASE (250 * PROA_MS)
#define CHANGE (50 * PROA_MS)  /* of each phase, not counted */
#define LOOK 5000              /* us */
#define JUNK_EACH 100          /* datagrams in one look: 20,000 a second */
#define PATIENCE (60 * PROA_S) /* nothing that is waited for takes so long */
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
    pid_t pids[PRESSURE_NODES];
    unsigned nodes;
    proa_ns span;
    double rate[2]; /* answers a second, without and with */
    uint64_t junk;
    int socket;
    struct most most;
};

static uint64_t rss(pid_t pid)
{
    unsigned long long kb = 0;
    char path[64], line[256];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "RssAnon: %llu", &kb) == 1)
            break;
    fclose(file);
    return kb * 1024;
}

static void more(uint64_t *most, uint64_t value)
{
    *most = value > *most ? value : *most;
}

/* The sum over nodes that live, as it was before, or at the most. */
static void look(struct run *r, bool before)
{
    uint64_t arena = 0, own = 0;

    for (unsigned i = 0; i < r->nodes; i++) {
        struct pressure_memory *m = &r->p->memory[i];

        if (r->pids[i] == 0)
            continue;
        more(&r->most.slab, atomic_load(&m->slab));
        more(&r->most.retained, atomic_load(&m->retained));
        more(&r->most.packets, atomic_load(&m->packets));
        arena += atomic_load(&m->arena);
        own += rss(r->pids[i]);
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
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port =
                                 htons((uint16_t)(r->p->udp_port + (at_node ? 1 : 9))),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    uint8_t bytes[128] = {0};

    for (unsigned i = 0; i < JUNK_EACH; i++) {
        for (unsigned j = 0; j < sizeof(bytes); j++)
            bytes[j] = (uint8_t)(r->junk * 31 + j * 7);
        bytes[0] = bytes[6] =
            r->junk % 3 == 0 ? 'd' : 0; /* the registry's, or a link's */
        bytes[6] = bytes[0] == 'd' ? bytes[6] : (uint8_t)(0x10 | r->junk % 8);
        r->junk += sendto(r->socket, bytes, sizeof(bytes), 0, (struct sockaddr *)&to,
                          sizeof(to)) > 0;
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
    } while (perf_clock_ns() < until);
}

static void kill_third(struct run *r)
{
    if (r->pids[2] == 0)
        return;
    kill(r->pids[2], SIGKILL);
    waitpid(r->pids[2], NULL, 0);
    r->pids[2] = 0;
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
    for (unsigned i = 0; i < r->nodes; i++)
        if (r->pids[i] != 0 && (atomic_load(&r->p->memory[i].slab) != 0 ||
                                atomic_load(&r->p->memory[i].retained) != 0))
            return false;
    return true;
}

static bool settle(struct run *r)
{
    proa_ns until = perf_clock_ns() + PATIENCE;

    atomic_store(&r->p->over, 1);
    while (!exact(r) || !quiet(r)) {
        if (perf_clock_ns() > until)
            return false;
        usleep(LOOK);
    }
    return true;
}

/* ---- Processes ---- */

static bool start(struct run *r, const char *dir)
{
    proa_ns until = perf_clock_ns() + PATIENCE;

    snprintf(r->p->dir, sizeof(r->p->dir), "%s/%s", dir, names[r->p->kind]);
    if (mkdir(r->p->dir, 0700) != 0)
        return false;
    setenv("RUNTIME_DIRECTORY", r->p->dir, 1);
    r->nodes = pressure_nodes(r->p->kind);
    fflush(NULL);
    for (unsigned i = 0; i < r->nodes; i++) {
        r->pids[i] = fork();
        if (r->pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            _exit(pressure_node(r->p, i));
        }
    }
    while (atomic_load(&r->p->ready) < r->nodes) {
        if (r->p->failed[0] != '\0' || perf_clock_ns() > until)
            return false;
        usleep(LOOK);
    }
    return true;
}

static bool stop(struct run *r, bool good)
{
    atomic_store(&r->p->over, 2);
    for (unsigned i = 0; i < r->nodes; i++) {
        int status = 0;

        if (r->pids[i] <= 0)
            continue;
        if (!good)
            kill(r->pids[i], SIGKILL);
        waitpid(r->pids[i], &status, 0);
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
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
    bool is_exact, bounded;

    r.p = mmap(NULL, sizeof(*r.p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
               0);
    if (r.p == MAP_FAILED)
        return false;
    r.p->kind = kind;
    r.p->udp_port = 20000 + (unsigned)getpid() % 4000 * 10;
    r.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (!start(&r, dir)) {
        fprintf(stderr, "proa-pressure: %s: %s\n", names[kind],
                r.p->failed[0] != '\0' ? r.p->failed : "its nodes do not come up");
        stop(&r, false);
        return false;
    }
    play(&r);
    is_exact = settle(&r);
    bounded = r.most.retained <= RETAINED_MAX && r.most.slab <= SLAB_MAX;
    print(&r, is_exact, bounded);
    close(r.socket);
    is_exact = stop(&r, true) && is_exact;
    munmap(r.p, sizeof(*r.p));
    return is_exact && bounded;
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/proa-pressure-XXXXXX", command[64];
    proa_ns span = 5 * PROA_S;
    int only = -1;
    bool good = true;

    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
            span = strtoull(argv[i + 1], NULL, 10) * PROA_S;
        for (int k = 0;
             i + 1 < argc && strcmp(argv[i], "--only") == 0 && k < PRESSURE_KINDS; k++)
            only = strcmp(argv[i + 1], names[k]) == 0 ? k : only;
    }
    if (argc % 2 == 0 || span < PROA_S || mkdtemp(dir) == NULL) {
        fprintf(stderr, "usage: proa-pressure [--only actor|lane|node|dead|datagrams] "
                        "[--seconds N]\n");
        return 2;
    }
    for (int k = 0; k < PRESSURE_KINDS; k++)
        if (only < 0 || only == k)
            good = one((enum pressure_kind)k, span, dir) && good;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    if (system(command) != 0)
        fprintf(stderr, "proa-pressure: %s is left behind\n", dir);
    return good ? 0 : 1;
}
