/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: huge pages, what may be locked, what may be swapped or moved. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "doctor_internal.h"

#define MB (UINT64_C(1) << 20)
#define SIZES_MAX 16u
#define SWAPPINESS_LITTLE                                                                \
    10 /* and less: the kernel swaps only when there is nothing else */

/* ---- Huge pages ---- */

struct pages {
    uint64_t kb, free, total;
};

struct pages_list {
    const struct doctor_system *system;
    int node; /* -1: the whole machine */
    unsigned count;
    struct pages sizes[SIZES_MAX];
};

static bool read_pages(const struct pages_list *list, const char *name, const char *what,
                       uint64_t *ret)
{
    int64_t value = -1;
    bool ok = list->node < 0
                  ? doctor_number(list->system, &value, "/sys/kernel/mm/hugepages/%s/%s",
                                  name, what)
                  : doctor_number(list->system, &value,
                                  "/sys/devices/system/node/node%d/hugepages/%s/%s",
                                  list->node, name, what);

    *ret = (uint64_t)value;
    return ok && value >= 0 && value < INT64_C(1) << 40;
}

static bool take_size(void *ctx, const char *name)
{
    struct pages_list *list = ctx;
    struct pages *size = &list->sizes[list->count];
    char *end;

    if (strncmp(name, "hugepages-", 10) != 0)
        return true;
    size->kb = strtoull(name + 10, &end, 10);
    if (strcmp(end, "kB") != 0 || size->kb == 0 || size->kb > UINT64_C(1) << 30 ||
        !read_pages(list, name, "free_hugepages", &size->free) ||
        !read_pages(list, name, "nr_hugepages", &size->total))
        return true;
    list->count++;
    return list->count < SIZES_MAX;
}

/* node -1: the whole machine. */
static void read_sizes(const struct doctor *d, int node, struct pages_list *ret)
{
    *ret = (struct pages_list){.system = d->system, .node = node};
    if (node < 0)
        (void)doctor_entries(d->system, take_size, ret, "/sys/kernel/mm/hugepages");
    else
        (void)doctor_entries(d->system, take_size, ret,
                             "/sys/devices/system/node/node%d/hugepages", node);
}

static uint64_t free_mb(const struct pages_list *list)
{
    uint64_t kb = 0;

    for (unsigned i = 0; i < list->count; i++)
        kb += list->sizes[i].free * list->sizes[i].kb;
    return kb / 1024;
}

/* The smallest size, which is the easiest to get. */
static const struct pages *smallest(const struct pages_list *list)
{
    const struct pages *best = NULL;

    for (unsigned i = 0; i < list->count; i++) {
        if (best == NULL || list->sizes[i].kb < best->kb)
            best = &list->sizes[i];
    }
    return best;
}

/* Pages of that size the machine should have so that `wanted` MiB are free. */
static uint64_t pages_wanted(const struct pages *size, uint64_t wanted, uint64_t have)
{
    uint64_t missing_kb = (wanted - have) * 1024;

    return size->total + (missing_kb + size->kb - 1) / size->kb;
}

static void say_ordinary_cost(const struct doctor *d, char cost[DOCTOR_TEXT_MAX],
                              uint64_t kb)
{
    doctor_say(cost,
               "the node's %u MiB of packets lie on %u pages of 4 KiB instead of %" PRIu64
               " of %" PRIu64
               " KiB: more misses of the processor's address cache, each a "
               "walk through page tables",
               d->memory_mb, d->memory_mb * 256,
               (d->memory_mb * UINT64_C(1024) + kb - 1) / kb, kb);
}

static bool take_available(void *ctx, char *line)
{
    if (strncmp(line, "MemAvailable:", 13) != 0)
        return true;
    *(uint64_t *)ctx = strtoull(line + 13, NULL, 10) / 1024;
    return false;
}

/* MiB; 0: not known. */
static uint64_t available_mb(const struct doctor *d)
{
    uint64_t mb = 0;

    (void)doctor_lines(d->system, take_available, &mb, "/proc/meminfo");
    return mb;
}

/* Reserved pages are lost to everybody else: a command takes at most half of what is left. */
static bool may_reserve(const struct doctor *d, struct doctor_finding *f,
                        const struct pages *size, uint64_t wanted)
{
    uint64_t more_mb = (wanted - size->total) * size->kb / 1024;
    uint64_t there_mb = available_mb(d);

    if (more_mb <= there_mb / 2) {
        doctor_say(
            f->remedy,
            "reserve more pages; for good by a file in /etc/sysctl.d.  When fewer come, "
            "memory is too fragmented: start the machine anew");
        return true;
    }
    if (there_mb == 0)
        doctor_say(f->remedy,
                   "reserve %" PRIu64 " MiB more, if there is so much memory to spare",
                   more_mb);
    else
        doctor_say(f->remedy,
                   "fewer lanes, a smaller mtu or memory_mb, or more memory: %" PRIu64
                   " MiB more of huge pages are over half of the %" PRIu64
                   " MiB that are available",
                   more_mb, there_mb);
    return false;
}

static void too_few(struct doctor *d, const struct pages_list *list)
{
    bool must = d->config->pages == PROA_PAGES_HUGE;
    const struct pages *size = smallest(list);
    uint64_t wanted;
    struct doctor_finding *f =
        doctor_add(d, "huge-pages", must ? DOCTOR_ERROR : DOCTOR_WARNING, "%s", "");

    doctor_say(f->cause, "%" PRIu64 " MiB of huge pages are free, the node takes %u MiB",
               free_mb(list), d->memory_mb);
    if (must)
        doctor_say(f->cost, "the node does not start, since `pages: huge` is configured");
    else
        say_ordinary_cost(d, f->cost, size != NULL ? size->kb : 2048);
    if (size == NULL) {
        doctor_say(f->remedy,
                   "this kernel has no huge pages: another one, or `pages: none`");
        return;
    }
    wanted = pages_wanted(size, d->memory_mb, free_mb(list));
    /* vm.nr_hugepages would be of the default size, which may be another. */
    if (may_reserve(d, f, size, wanted))
        doctor_command(f,
                       "echo %" PRIu64 " >/sys/kernel/mm/hugepages/hugepages-%" PRIu64
                       "kB/nr_hugepages",
                       wanted, size->kb);
}

static bool check_huge(struct doctor *d)
{
    struct pages_list list;
    struct doctor_finding *f;

    if (!d->dpdk) {
        doctor_ok(d, "huge-pages", "", "ports `ring` need none");
        return false;
    }
    if (d->config->pages == PROA_PAGES_NONE) {
        f = doctor_add(d, "huge-pages", DOCTOR_NOTE, "%s", "");
        doctor_say(f->cause, "`pages: none` is configured");
        say_ordinary_cost(d, f->cost, 2048);
        doctor_say(f->setting, "pages: auto");
        return false;
    }
    read_sizes(d, -1, &list);
    if (free_mb(&list) < d->memory_mb) {
        too_few(d, &list);
        return false;
    }
    doctor_ok(d, "huge-pages", "", "%" PRIu64 " MiB are free, the node takes %u MiB",
              free_mb(&list), d->memory_mb);
    return true;
}

/* Each lane's packets are of its core's node. */
static void check_huge_node(struct doctor *d, int node, unsigned lanes)
{
    unsigned share = d->memory_mb / d->report->lanes * lanes;
    struct pages_list list;
    const struct pages *size;
    uint64_t wanted;

    read_sizes(d, node, &list);
    size = smallest(&list);
    if (size == NULL || free_mb(&list) >= share)
        return;
    struct doctor_finding *f =
        doctor_add(d, "huge-pages-node", DOCTOR_WARNING, "node %d", node);
    doctor_say(f->cause,
               "%" PRIu64
               " MiB of huge pages are free on NUMA node %d, whose %u lane%s take "
               "%u MiB",
               free_mb(&list), node, lanes, lanes == 1 ? "" : "s", share);
    doctor_say(f->cost,
               "packets of these lanes lie in another node's memory, whose accesses "
               "take longer (numactl --hardware: distances)");
    wanted = pages_wanted(size, share, free_mb(&list));
    if (may_reserve(d, f, size, wanted))
        doctor_command(f,
                       "echo %" PRIu64 " >/sys/devices/system/node/node%d/hugepages/"
                       "hugepages-%" PRIu64 "kB/nr_hugepages",
                       wanted, node, size->kb);
}

static void check_huge_nodes(struct doctor *d)
{
    const struct doctor_report *report = d->report;
    cpu_set_t nodes;

    if (!doctor_cpus(d->system, &nodes, "/sys/devices/system/node/online") ||
        CPU_COUNT(&nodes) < 2)
        return;
    for (int node = 0; node < CPU_SETSIZE; node++) {
        unsigned lanes = 0;

        for (unsigned i = 0; i < report->lanes; i++)
            lanes += report->node[i] == node;
        if (lanes > 0)
            check_huge_node(d, node, lanes);
    }
}

/* ---- Ordinary pages ---- */

static void check_available(struct doctor *d)
{
    uint64_t mb = available_mb(d);

    if (mb == 0)
        return; /* the node does not know either, and starts */
    if (mb >= d->memory_mb) {
        doctor_ok(d, "memory", "", "%" PRIu64 " MiB are available, the node takes %u MiB",
                  mb, d->memory_mb);
        return;
    }
    struct doctor_finding *f = doctor_add(d, "memory", DOCTOR_ERROR, "%s", "");
    doctor_say(f->cause, "%" PRIu64 " MiB of memory are available, the node takes %u MiB",
               mb, d->memory_mb);
    doctor_say(f->cost, "the node does not start");
    doctor_say(f->remedy,
               "fewer lanes, a smaller mtu or memory_mb, or end something else");
}

/* ---- Locked memory ---- */

static void check_locked(struct doctor *d)
{
    const struct doctor_system *system = d->system;
    uint64_t wanted = d->memory_mb * MB, limit = system->memlock;

    if (d->named && !d->af_xdp && !d->vfio)
        return;
    /* An af_xdp port raises its own limit as far as it may. */
    if (!d->vfio)
        limit = system->memlock_hard;
    if (doctor_can(system, DOCTOR_CAP_IPC_LOCK) || limit >= wanted ||
        (!d->vfio && doctor_can(system, DOCTOR_CAP_SYS_RESOURCE))) {
        doctor_ok(d, "locked-memory", "", "the node may lock its packets' memory");
        return;
    }
    struct doctor_finding *f =
        doctor_add(d, "locked-memory", d->named ? DOCTOR_ERROR : DOCTOR_NOTE, "%s", "");
    doctor_say(f->cause,
               "at most %" PRIu64
               " KiB may be locked (RLIMIT_MEMLOCK), the node's packets "
               "take %u MiB, and there is no CAP_IPC_LOCK",
               limit / 1024, d->memory_mb);
    doctor_say(f->cost,
               "%s does not start: what a device writes to must stay in its place",
               d->named ? "the node" : "a node with an af_xdp or ethdev port");
    doctor_say(f->remedy,
               "a new login after the command, LimitMEMLOCK=infinity in a systemd "
               "unit, or CAP_IPC_LOCK");
    /* A user by number is a range of one (limits.conf); root has to be named. */
    if (system->uid == 0)
        doctor_command(f, "echo 'root - memlock unlimited' "
                          ">/etc/security/limits.d/proa.conf");
    else
        doctor_command(f,
                       "echo ':%u - memlock unlimited' "
                       ">/etc/security/limits.d/proa-%u.conf",
                       system->uid, system->uid);
}

/* ---- What the kernel does to pages ---- */

static void check_thp(struct doctor *d)
{
    char enabled[32], defrag[32];
    bool stalls;

    if (!doctor_choice(d->system, enabled, sizeof(enabled),
                       "/sys/kernel/mm/transparent_hugepage/enabled"))
        return;
    stalls = doctor_choice(d->system, defrag, sizeof(defrag),
                           "/sys/kernel/mm/transparent_hugepage/defrag") &&
             strcmp(defrag, "always") == 0 && strcmp(enabled, "never") != 0;
    if (strcmp(enabled, "always") != 0 && !stalls) {
        doctor_ok(d, "transparent-huge-pages", "", "%s", enabled);
        return;
    }
    struct doctor_finding *f = doctor_add(
        d, "transparent-huge-pages", stalls ? DOCTOR_WARNING : DOCTOR_NOTE, "%s", "");
    doctor_say(f->cause,
               "the kernel makes huge pages of ordinary memory by itself "
               "(enabled: %s%s)",
               enabled, stalls ? ", defrag: always" : "");
    doctor_say(
        f->cost,
        "a lane's first touch of memory may clear 2 MiB instead of 4 KiB, 0.2 ms at "
        "10 GB/s%s",
        stalls ? ", and wait while the kernel moves pages to make room, milliseconds"
               : "; khugepaged stops it while it copies");
    if (strcmp(enabled, "always") == 0 && stalls)
        doctor_command(f, "for f in enabled defrag; do echo madvise "
                          ">/sys/kernel/mm/transparent_hugepage/$f; done");
    else
        doctor_command(f, "echo madvise >/sys/kernel/mm/transparent_hugepage/%s",
                       stalls ? "defrag" : "enabled");
}

static bool take_swap(void *ctx, char *line)
{
    unsigned *count = ctx;

    if (line[0] == '/')
        *count += 1;
    return *count < 64;
}

static void check_swap(struct doctor *d)
{
    int64_t swappiness = 60;
    unsigned areas = 0;

    (void)doctor_lines(d->system, take_swap, &areas, "/proc/swaps");
    (void)doctor_number(d->system, &swappiness, "/proc/sys/vm/swappiness");
    if (areas == 0 || (swappiness >= 0 && swappiness <= SWAPPINESS_LITTLE)) {
        doctor_ok(d, "swap", "", "%s", areas == 0 ? "there is none" : "seldom used");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "swap", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause,
               "memory that is not used for a while may be swapped out: %u swap area%s, "
               "vm.swappiness %" PRId64,
               areas, areas == 1 ? "" : "s", swappiness);
    doctor_say(f->cost,
               "an actor whose state was swapped out stops its lane while it is read: "
               "0.1 ms from an SSD, 10 ms from a disk");
    doctor_command(f, "sysctl -w vm.swappiness=1");
}

static void check_balancing(struct doctor *d)
{
    int64_t on = 0;
    cpu_set_t nodes;

    if (!doctor_cpus(d->system, &nodes, "/sys/devices/system/node/online") ||
        CPU_COUNT(&nodes) < 2)
        return;
    if (!doctor_number(d->system, &on, "/proc/sys/kernel/numa_balancing") || on == 0) {
        doctor_ok(d, "numa-balancing", "", "off");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "numa-balancing", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause,
               "the kernel looks for memory to move between NUMA nodes by taking "
               "pages away for a moment (kernel.numa_balancing)");
    doctor_say(f->cost,
               "a page fault of a microsecond or more at each page it tries, and a "
               "copy when it moves one; lanes' memory is on the right node anyway");
    doctor_command(f, "sysctl -w kernel.numa_balancing=0");
}

void doctor_check_memory(struct doctor *d)
{
    if (check_huge(d))
        check_huge_nodes(d);
    else if (d->dpdk)
        check_available(d);
    check_locked(d);
    check_thp(d);
    check_swap(d);
    check_balancing(d);
}
