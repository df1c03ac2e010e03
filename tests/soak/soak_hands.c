/* SPDX-License-Identifier: Apache-2.0 */
#include "soak_hands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "soak_node.h"

#define DOWN_MAX 2000 /* ms a killed node stays away */
#define STOPPED_MAX 2500
#define CUT_MAX 3000
#define BETWEEN_MAX 1500 /* two blows */

proa_ns soak_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

static proa_ns some_ms(struct soak_hands *h, uint32_t most)
{
    return soak_now() + (1 + soak_below(&h->random, most)) * PROA_MS;
}

void soak_hands_init(struct soak_hands *h, struct soak *soak, struct soak_cluster *c)
{
    bool one = c->kind == SOAK_RING;

    memset(h, 0, sizeof(*h));
    h->soak = soak;
    h->c = c;
    h->random = c->seed ^ 0x68616e6473u;
    h->elder = soak_below(&h->random, c->nodes);
    h->process_count = one ? 1 : c->nodes;
    for (uint32_t i = 0; i < h->process_count; i++)
        h->processes[i] =
            (struct soak_process){.first = i, .count = one ? c->nodes : 1, .start_at = 1};
}

/* ---- Processes ---- */

static void start(struct soak_hands *h, struct soak_process *p)
{
    pid_t parent = getpid();

    fflush(NULL);
    p->start_at = 0;
    p->leaving = false;
    p->generation++;
    for (uint32_t i = 0; i < p->count; i++)
        atomic_store(&h->c->node[p->first + i].state, SOAK_DOWN);
    p->pid = fork();
    if (p->pid > 0)
        return;
    if (p->pid < 0) {
        p->pid = 0;
        soak_broken(h->soak, h->c, "no process: %s", strerror(errno));
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    exit(soak_process(h->soak, h->c, p->first, p->count));
}

static void gone(struct soak_hands *h, struct soak_process *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        atomic_store(&h->c->node[p->first + i].state, SOAK_DOWN);
        soak_node_killed(h->c, p->first + i);
    }
    p->pid = 0;
    p->go_on_at = 0;
    p->start_at = some_ms(h, DOWN_MAX);
}

static void kill_now(struct soak_hands *h, struct soak_process *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    gone(h, p);
}

/* A process that has ended had to. */
static void watch(struct soak_hands *h, struct soak_process *p)
{
    int status;

    if (p->pid == 0 || waitpid(p->pid, &status, WNOHANG) != p->pid)
        return;
    if (WIFSIGNALED(status))
        soak_broken(h->soak, h->c, "the process of node %u died of signal %d (%s)",
                    p->first, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (!p->leaving || WEXITSTATUS(status) != 0)
        soak_broken(h->soak, h->c, "the process of node %u ended with status %d",
                    p->first, WEXITSTATUS(status));
    gone(h, p);
}

/* ---- Blows ---- */

static struct soak_process *some_process(struct soak_hands *h, bool may_be_elder)
{
    struct soak_process *p = &h->processes[soak_below(&h->random, h->process_count)];

    if (p->pid == 0 || p->leaving || p->go_on_at != 0 ||
        (!may_be_elder && p->first == h->elder))
        return NULL;
    return p;
}

static void blow_end(struct soak_hands *h, bool in_order)
{
    struct soak_process *p;
    uint32_t node = soak_below(&h->random, h->c->nodes);

    if (h->c->kind == SOAK_RING) { /* one process: it is not killed */
        if (node == h->elder)
            return;
        atomic_store(&h->c->node[node].want_restart, 1);
        h->counts.restarts++;
        return;
    }
    p = some_process(h, false);
    if (p == NULL)
        return;
    if (in_order) {
        p->leaving = true;
        kill(p->pid, SIGTERM);
        h->counts.terms++;
    } else {
        kill_now(h, p);
        h->counts.kills++;
    }
}

static void blow_stop(struct soak_hands *h)
{
    struct soak_process *p = some_process(h, true);

    if (p == NULL)
        return;
    kill(p->pid, SIGSTOP);
    p->go_on_at = some_ms(h, soak_below(&h->random, 2) == 0 ? 100 : STOPPED_MAX);
    h->counts.stops++;
}

static void cut(struct soak_hands *h, uint32_t from, uint32_t to, proa_ns until)
{
    for (int i = 0; i < SOAK_CUTS; i++) {
        if (h->cuts[i].heal_at != 0)
            continue;
        h->cuts[i] = (struct soak_cut){from, to, until};
        atomic_store(&h->c->cut[from][to], 1);
        h->counts.cuts++;
        return;
    }
}

static void blow_cut(struct soak_hands *h)
{
    uint32_t a = soak_below(&h->random, h->c->nodes);
    uint32_t b = soak_below(&h->random, h->c->nodes);
    proa_ns until = some_ms(h, soak_below(&h->random, 2) == 0 ? 200 : CUT_MAX);

    if (a == b)
        return;
    cut(h, a, b, until);
    if (soak_below(&h->random, 3) > 0) /* else only one of them is not heard */
        cut(h, b, a, until);
}

static void blow(struct soak_hands *h)
{
    uint32_t what = soak_below(&h->random, 10);

    h->next_at = some_ms(h, BETWEEN_MAX);
    if (what < 2)
        blow_end(h, false);
    else if (what < 4)
        blow_end(h, true);
    else if (what < 6)
        blow_stop(h);
    else
        blow_cut(h);
}

static void heal(struct soak_hands *h, struct soak_cut *c)
{
    c->heal_at = 0;
    atomic_store(&h->c->cut[c->from][c->to], 0);
    for (int i = 0; i < SOAK_CUTS; i++) /* there may be two of the same */
        if (h->cuts[i].heal_at != 0 && h->cuts[i].from == c->from &&
            h->cuts[i].to == c->to)
            atomic_store(&h->c->cut[c->from][c->to], 1);
}

void soak_hands_step(struct soak_hands *h, bool blows)
{
    proa_ns now = soak_now();

    for (uint32_t i = 0; i < h->process_count; i++) {
        struct soak_process *p = &h->processes[i];

        watch(h, p);
        if (p->start_at != 0 && now >= p->start_at)
            start(h, p);
        if (p->go_on_at != 0 && now >= p->go_on_at) {
            p->go_on_at = 0;
            kill(p->pid, SIGCONT);
        }
    }
    for (int i = 0; i < SOAK_CUTS; i++)
        if (h->cuts[i].heal_at != 0 && now >= h->cuts[i].heal_at)
            heal(h, &h->cuts[i]);
    if (blows && now >= h->next_at)
        blow(h);
}

void soak_hands_heal(struct soak_hands *h)
{
    for (int i = 0; i < SOAK_CUTS; i++)
        if (h->cuts[i].heal_at != 0)
            h->cuts[i].heal_at = 1;
    for (uint32_t i = 0; i < h->process_count; i++) {
        struct soak_process *p = &h->processes[i];

        if (p->start_at != 0)
            p->start_at = 1;
        if (p->go_on_at != 0)
            p->go_on_at = 1;
    }
}

bool soak_hands_up(const struct soak_hands *h)
{
    for (uint32_t i = 0; i < h->c->nodes; i++)
        if (atomic_load(&h->c->node[i].state) != SOAK_UP ||
            atomic_load(&h->c->node[i].want_restart))
            return false;
    for (uint32_t i = 0; i < h->process_count; i++)
        if (h->processes[i].pid == 0 || h->processes[i].leaving)
            return false;
    return true;
}

void soak_hands_end(struct soak_hands *h, bool at_once)
{
    atomic_store(&h->c->phase, SOAK_QUIT);
    for (uint32_t i = 0; i < h->process_count; i++) {
        struct soak_process *p = &h->processes[i];
        int status;

        if (p->pid == 0)
            continue;
        kill(p->pid, SIGCONT);
        kill(p->pid, at_once ? SIGKILL : SIGTERM);
        waitpid(p->pid, &status, 0);
        if (!at_once && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
            soak_broken(h->soak, h->c, "the process of node %u did not end in order: %#x",
                        p->first, (unsigned)status);
        p->pid = 0;
    }
}
