/* SPDX-License-Identifier: Apache-2.0 */
#include "soak_memory.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf_memory.h"
#include "port_vhost.h"

#define FLAT_FROM 9    /* rounds: fewer say nothing about growth */
#define PACKETS_FROM 2 /* rounds until ports hold what they will hold */
/* For each lane: a burst that is being received, and one that is being sent. */
#define PACKETS_SLACK 64
/* And over vhost, what was sent on the virtio side: DPDK's driver takes a buffer back from the ring of
   a queue, of which a lane has one, only when a later packet wants its place.  So up to a ring full of
   them is out, and how many is a matter of what was sent last. */
#define PACKETS_IN_RING PORT_VHOST_DESCRIPTORS

bool soak_memory_init(struct soak_memory *m)
{
    memset(m, 0, sizeof(*m));
    for (int i = 0; i < SOAK_NODES; i++) {
        m->processes[i].samples = calloc(SOAK_SAMPLES, sizeof(struct soak_sample));
        if (m->processes[i].samples == NULL)
            return false;
    }
    return true;
}

void soak_memory_fini(struct soak_memory *m)
{
    for (int i = 0; i < SOAK_NODES; i++)
        free(m->processes[i].samples);
}

/* Whether an inode is a socket that claims a core (control/cores.c): which of the nodes on a machine
   has the claim changes as they come and go, other programs' among them. */
static bool claims_core(unsigned long inode)
{
    FILE *file = fopen("/proc/net/unix", "re");
    char line[512], name[64];
    unsigned long other;
    bool is = false;

    while (file != NULL && !is && fgets(line, sizeof(line), file) != NULL)
        is = sscanf(line, "%*s %*s %*s %*s %*s %*s %lu %63s", &other, name) == 2 &&
             other == inode && strncmp(name, "@proa-core-", 11) == 0;
    if (file != NULL)
        fclose(file);
    return is;
}

/* Where it leads; false: it is none of those that are counted. */
static bool fd_target(pid_t pid, const char *fd, char *buf, size_t len)
{
    unsigned long inode;
    char path[320];
    ssize_t got;

    snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, fd);
    got = readlink(path, buf, len - 1);
    if (got <= 0)
        return false; /* . and .., or closed since */
    buf[got] = '\0';
    return sscanf(buf, "socket:[%lu]", &inode) != 1 || !claims_core(inode);
}

/* How many there are, and in buf, which may be NULL, what they lead to. */
static unsigned count_fds(pid_t pid, char *buf, size_t len)
{
    char path[64], to[128];
    struct dirent *entry;
    unsigned count = 0;
    size_t n = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!fd_target(pid, entry->d_name, to, sizeof(to)))
            continue;
        count++;
        if (buf != NULL && n < len)
            n += (size_t)snprintf(buf + n, len - n, " %s", to);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

unsigned soak_memory_fds(pid_t pid)
{
    return count_fds(pid, NULL, 0);
}

/* ---- Nothing left ---- */

bool soak_memory_clean(const struct soak_hands *h, char *why, size_t why_len)
{
    const struct soak_cluster *c = h->c;

    for (uint32_t i = 0; i < c->nodes; i++) {
        const struct soak_report *r = &c->node[i].report;

        if (atomic_load(&r->round) != atomic_load(&c->round)) {
            snprintf(why, why_len, "node %u has not reported", i);
            return false;
        }
        if (r->actors + r->asks + r->tokens + r->timers + r->monitors + r->slab +
                r->bulk + r->malformed + r->retained + r->out_of_order + r->pending +
                r->tx_queued !=
            0) {
            snprintf(
                why, why_len,
                "node %u still has %llu actors, %llu asks, %llu tokens, %llu timers, "
                "%llu monitors, %llu bytes of messages and %llu of bulk; %llu packets "
                "retained, %llu out of order, %llu queued, %llu messages pending; %llu "
                "malformed",
                i, (unsigned long long)r->actors, (unsigned long long)r->asks,
                (unsigned long long)r->tokens, (unsigned long long)r->timers,
                (unsigned long long)r->monitors, (unsigned long long)r->slab,
                (unsigned long long)r->bulk, (unsigned long long)r->retained,
                (unsigned long long)r->out_of_order, (unsigned long long)r->tx_queued,
                (unsigned long long)r->pending, (unsigned long long)r->malformed);
            return false;
        }
    }
    return true;
}

/* ---- Round by round ---- */

static void sample(struct soak_process_memory *m, struct soak_hands *h,
                   const struct soak_process *p)
{
    const struct soak_cluster *c = h->c;
    struct soak_sample s = {.rss = perf_memory_anonymous(p->pid)};
    unsigned fds = soak_memory_fds(p->pid);
    uint64_t slack =
        c->lanes * (PACKETS_SLACK + (c->kind == SOAK_VHOST ? PACKETS_IN_RING : 0));

    if (m->generation != p->generation) {
        m->generation = p->generation;
        m->count = 0;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        const struct soak_report *r = &c->node[p->first + i].report;

        s.arena += r->arena;
        if (m->count < PACKETS_FROM) {
            m->packets[i] =
                r->packets > m->packets[i] || m->count == 0 ? r->packets : m->packets[i];
        } else if (r->packets > m->packets[i] + slack) {
            soak_broken(h->soak, h->c, "node %u has %llu packets out, %llu at first",
                        p->first + i, (unsigned long long)r->packets,
                        (unsigned long long)m->packets[i]);
        }
    }
    if (m->count < PACKETS_FROM)
        m->fds = fds > m->fds || m->count == 0 ? fds : m->fds;
    else if (fds > m->fds) {
        char targets[2048];

        count_fds(p->pid, targets, sizeof(targets));
        soak_broken(h->soak, h->c,
                    "the process of node %u has %u descriptors, %u at first:%s", p->first,
                    fds, m->fds, targets);
    }
    if (m->count < SOAK_SAMPLES)
        m->samples[m->count++] = s;
}

void soak_memory_sample(struct soak_memory *m, struct soak_hands *h)
{
    for (uint32_t i = 0; i < h->process_count; i++)
        if (h->processes[i].pid != 0)
            sample(&m->processes[i], h, &h->processes[i]);
}

/* ---- Flat ---- */

static struct soak_sample largest(const struct soak_process_memory *m, uint32_t from,
                                  uint32_t to)
{
    struct soak_sample most = {0};

    for (uint32_t i = from; i < to; i++) {
        if (m->samples[i].rss > most.rss)
            most.rss = m->samples[i].rss;
        if (m->samples[i].arena > most.arena)
            most.arena = m->samples[i].arena;
    }
    return most;
}

void soak_memory_flat(const struct soak_memory *m, struct soak_hands *h)
{
    const struct soak_process_memory *longest = &m->processes[0];
    struct soak_sample first, last;
    uint32_t at = 0;

    for (uint32_t i = 1; i < h->process_count; i++)
        if (m->processes[i].count > longest->count) {
            longest = &m->processes[i];
            at = i;
        }
    first = largest(longest, 0, (longest->count + 2) / 3);
    last = largest(longest, longest->count * 2 / 3, longest->count);
    printf(
        "%-5s node %u, %u rounds: RssAnon %.1f MiB in the first third, %.1f in the last; "
        "arenas %.1f, %.1f; %u descriptors\n",
        soak_kind_names[h->c->kind], h->processes[at].first, longest->count,
        (double)first.rss / (1 << 20), (double)last.rss / (1 << 20),
        (double)first.arena / (1 << 20), (double)last.arena / (1 << 20), longest->fds);
    if (longest->count < FLAT_FROM)
        return;
    if (last.rss > first.rss + first.rss / 8 + SOAK_SLACK)
        soak_broken(h->soak, h->c, "RssAnon of node %u's process grew from %llu to %llu",
                    h->processes[at].first, (unsigned long long)first.rss,
                    (unsigned long long)last.rss);
    if (last.arena > first.arena + first.arena / 8 + SOAK_SLACK)
        soak_broken(h->soak, h->c, "arenas of node %u grew from %llu to %llu",
                    h->processes[at].first, (unsigned long long)first.arena,
                    (unsigned long long)last.arena);
}
