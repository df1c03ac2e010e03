/* SPDX-License-Identifier: Apache-2.0 */
#include "eal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "eal_log.h"

#define ARGS_MAX (24 + 2 * EAL_DEVICES_MAX)

#define FILE_PREFIX "proa"

/* A lane's function and its end. */
struct launched {
    void (*fn)(void *arg);
    void *arg;
    bool running;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool started; /* DPDK runs: once true, always */
    bool taken;   /* a node has it */
    bool huge;
    unsigned lanes;
    uint32_t memory_mb;
    int cores[PROA_LANES_MAX];
    bool shared;
    cpu_set_t control;
    struct launched launched[PROA_LANES_MAX];
} eal = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static enum proa_outcome fail(enum proa_outcome outcome, char *err, size_t err_len,
                              const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static enum proa_outcome fail(enum proa_outcome outcome, char *err, size_t err_len,
                              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err, err_len, format, args);
    va_end(args);
    return outcome;
}

/* ---- cores ---- */

/* "0-3,8" for people and "0,1,2,3,8" for DPDK are both fine to read: the latter for both. */
static void print_set(const cpu_set_t *set, char *buf, size_t len)
{
    size_t n = 0;

    buf[0] = '\0';
    for (int i = 0; i < CPU_SETSIZE && n < len; i++) {
        if (CPU_ISSET(i, set))
            n += (size_t)snprintf(buf + n, len - n, "%s%d", n > 0 ? "," : "", i);
    }
}

/* The highest allowed core no lane has yet, or, when all have one, the highest but so many. */
static int choose_core(const cpu_set_t *allowed, const cpu_set_t *used, unsigned lane)
{
    unsigned skip = lane % (unsigned)CPU_COUNT(allowed);
    int last = -1;

    for (int i = CPU_SETSIZE - 1; i >= 0; i--) {
        if (CPU_ISSET(i, allowed) && !CPU_ISSET(i, used))
            return i;
    }
    for (int i = CPU_SETSIZE - 1; i >= 0; i--) {
        if (!CPU_ISSET(i, allowed))
            continue;
        last = i;
        if (skip-- == 0)
            break;
    }
    return last;
}

static enum proa_outcome assign_cores(const struct eal_config *config, char *err,
                                      size_t err_len)
{
    cpu_set_t allowed, used;
    char text[256];

    CPU_ZERO(&used);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return fail(PROA_NO_PORT, err, err_len, "sched_getaffinity: %s", strerror(errno));
    eal.shared = false;
    for (unsigned i = 0; i < config->lanes; i++) {
        int core = config->cores != NULL ? config->cores[i] : -1;

        eal.cores[i] = core;
        if (core < 0)
            continue;
        if (core >= CPU_SETSIZE || !CPU_ISSET(core, &allowed)) {
            print_set(&allowed, text, sizeof(text));
            return fail(PROA_BAD_CONFIG, err, err_len,
                        "lane %u: core %d is not among those this process may use (%s)",
                        i, core, text);
        }
        eal.shared |= CPU_ISSET(core, &used);
        CPU_SET(core, &used);
    }
    for (unsigned i = 0; i < config->lanes; i++) {
        if (eal.cores[i] >= 0)
            continue;
        eal.cores[i] = choose_core(&allowed, &used, i);
        eal.shared |= CPU_ISSET(eal.cores[i], &used);
        CPU_SET(eal.cores[i], &used);
    }
    CPU_XOR(&eal.control, &allowed, &used); /* used is a part of allowed */
    if (CPU_COUNT(&eal.control) == 0) {
        eal.control = allowed;
        eal.shared = true;
    }
    return PROA_OK;
}

/* ---- memory ---- */

/* MiB of free huge pages of all sizes. */
static uint64_t free_huge_mb(void)
{
    static const char *const base = "/sys/kernel/mm/hugepages";
    DIR *dir = opendir(base);
    struct dirent *entry;
    uint64_t mb = 0;

    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL) {
        unsigned long kb, pages;
        char path[512];
        FILE *file;

        if (sscanf(entry->d_name, "hugepages-%lukB", &kb) != 1)
            continue;
        snprintf(path, sizeof(path), "%s/%s/free_hugepages", base, entry->d_name);
        file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fscanf(file, "%lu", &pages) == 1)
            mb += (uint64_t)pages * kb / 1024;
        fclose(file);
    }
    closedir(dir);
    return mb;
}

/* What can be had without pushing others out; 0: not known. */
static uint64_t available_mb(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    unsigned long kb = 0;
    char line[128];

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "MemAvailable: %lu kB", &kb) == 1)
            break;
    }
    fclose(file);
    return kb / 1024;
}

static enum proa_outcome choose_pages(const struct eal_config *config, char *err,
                                      size_t err_len)
{
    uint64_t free_mb = config->pages == PROA_PAGES_NONE ? 0 : free_huge_mb();

    eal.huge = config->pages != PROA_PAGES_NONE && free_mb >= config->memory_mb;
    eal.memory_mb =
        eal.huge || config->plain_mb == 0 ? config->memory_mb : config->plain_mb;
    if (eal.huge)
        return PROA_OK;
    if (config->pages != PROA_PAGES_HUGE) {
        uint64_t there_mb =
            available_mb(); /* untouched pages would be promised and not kept */

        if (there_mb == 0 || there_mb >= eal.memory_mb)
            return PROA_OK;
        return fail(
            PROA_NO_MEMORY, err, err_len,
            "%u MiB of memory wanted, %llu MiB available; lower `memory_mb`, `mtu` or "
            "`lanes`",
            eal.memory_mb, (unsigned long long)there_mb);
    }
    return fail(PROA_NO_MEMORY, err, err_len,
                "%u MiB of huge pages wanted, %llu MiB free; reserve some (sysctl "
                "vm.nr_hugepages=%u) or let `pages` be automatic",
                config->memory_mb, (unsigned long long)free_mb,
                config->memory_mb / 2 + 1);
}

/* False: it is not there.  What is there already may be somebody else's: it stays as it is then. */
static bool make_runtime_folder(const char *path, bool shared)
{
    int fd;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return false;
    fd = shared ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0)
        return true;
    if (fchown(fd, (uid_t)-1, getegid()) == 0)
        (void)fchmod(fd, 0770);
    close(fd);
    return true;
}

/* DPDK's telemetry socket lies in a folder that it makes itself, and DPDK does not start when
   it cannot.  So it is looked at before. */
bool eal_runtime_folder(bool shared)
{
    const char *base = getenv("RUNTIME_DIRECTORY");
    char path[512];

    if (base == NULL && getuid() == 0)
        base = "/var/run";
    if (base == NULL)
        base = getenv("XDG_RUNTIME_DIR");
    if (base == NULL)
        base = "/tmp";
    if (snprintf(path, sizeof(path), "%s/dpdk", base) >= (int)sizeof(path) - 32)
        return false;
    if (!make_runtime_folder(path, shared))
        return false;
    strcat(path, "/" FILE_PREFIX);
    if (!make_runtime_folder(path, shared))
        return false;
    return access(path, R_OK | W_OK | X_OK) == 0;
}

/* ---- starting ---- */

struct init {
    int argc;
    char *argv[ARGS_MAX];
    int result, error;
};

/* On a thread of its own: rte_eal_init pins its caller, and the threads it starts inherit the
   signal mask.  Signals stay with the user's threads, and a vhost neighbour that goes away in
   the midst of a message must not raise SIGPIPE. */
static void *init_thread(void *arg)
{
    struct init *init = arg;
    sigset_t all;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    init->result = rte_eal_init(init->argc, init->argv);
    init->error = rte_errno;
    return NULL;
}

static void add(struct init *init, const char *arg)
{
    PROA_ASSERT(init->argc < ARGS_MAX - 1);
    init->argv[init->argc++] = (char *)(uintptr_t)arg;
}

static void lcores_text(unsigned lanes, char *buf, size_t len)
{
    char control[4 * CPU_SETSIZE];
    size_t n;

    print_set(&eal.control, control, sizeof(control));
    n = (size_t)snprintf(buf, len, "0@(%s)", control);
    for (unsigned i = 0; i < lanes && n < len; i++)
        n += (size_t)snprintf(buf + n, len - n, ",%u@%d", i + 1, eal.cores[i]);
}

static enum proa_outcome init_dpdk(const struct eal_config *config, char *err,
                                   size_t err_len)
{
    char lcores[8 * CPU_SETSIZE], memory[16], said[300];
    struct init init = {.argc = 0};
    pthread_t thread;

    lcores_text(config->lanes, lcores, sizeof(lcores));
    snprintf(memory, sizeof(memory), "%u", eal.memory_mb);
    add(&init, "proa");
    add(&init, "--lcores");
    add(&init, lcores);
    add(&init, "--main-lcore");
    add(&init, "0");
    if (config->device_count == 0) {
        add(&init, "--no-pci");
        add(&init, "--iova-mode=va");
    }
    for (unsigned i = 0; i < config->device_count; i++) {
        add(&init, "-a");
        add(&init, config->devices[i]);
    }
    add(&init, "--file-prefix=" FILE_PREFIX);
    add(&init, "--single-file-segments");
    add(&init, "-m");
    add(&init, memory);
    if (eal.huge) {
        add(&init, "--in-memory");
    } else {
        add(&init, "--no-huge");
        add(&init,
            "--no-shconf"); /* no files, no locks: as --in-memory, which it excludes */
    }
    if (!eal_runtime_folder(false)) {
        fprintf(stderr,
                "proa: no DPDK telemetry: its folder cannot be made or written to; set "
                "RUNTIME_DIRECTORY to one of the node's user\n");
        add(&init, "--no-telemetry");
    }
    if (!eal_log_open() || pthread_create(&thread, NULL, init_thread, &init) != 0)
        return fail(PROA_NO_MEMORY, err, err_len,
                    "no memory to start DPDK's environment");
    pthread_join(thread, NULL);
    if (init.result >= 0)
        return PROA_OK;
    eal_log_error(said, sizeof(said));
    return fail(init.error == ENOMEM ? PROA_NO_MEMORY : PROA_NO_PORT, err, err_len,
                "DPDK did not start: %s (%s)", rte_strerror(init.error), said);
}

/* A second node, one after another in the same process. */
static enum proa_outcome take_over(const struct eal_config *config, char *err,
                                   size_t err_len)
{
    if (eal.taken)
        return fail(
            PROA_ALREADY_RUNNING, err, err_len,
            "this process runs a node already: DPDK's environment is once per process");
    if (config->device_count > 0)
        return fail(PROA_ALREADY_RUNNING, err, err_len,
                    "DPDK took this process' PCI devices when its first node started; "
                    "start a new process for %s",
                    config->devices[0]);
    if (config->lanes > eal.lanes || config->memory_mb > eal.memory_mb ||
        (config->pages == PROA_PAGES_HUGE && !eal.huge) ||
        (config->pages == PROA_PAGES_NONE && eal.huge))
        return fail(
            PROA_ALREADY_RUNNING, err, err_len,
            "DPDK runs in this process with %u lanes, %u MiB and %s pages and cannot "
            "be started anew; start a new process",
            eal.lanes, eal.memory_mb, eal.huge ? "huge" : "ordinary");
    for (unsigned i = 0; i < config->lanes; i++) {
        int core = config->cores != NULL ? config->cores[i] : -1;

        if (core >= 0 && core != eal.cores[i])
            return fail(
                PROA_ALREADY_RUNNING, err, err_len,
                "lane %u is on core %d in this process, not %d; start a new process", i,
                eal.cores[i], core);
    }
    return PROA_OK;
}

enum proa_outcome eal_start(const struct eal_config *config, char *err, size_t err_len)
{
    enum proa_outcome outcome;

    PROA_ASSERT(config->lanes >= 1 && config->lanes <= PROA_LANES_MAX);
    pthread_mutex_lock(&eal.lock);
    if (eal.started) {
        outcome = take_over(config, err, err_len);
    } else {
        outcome = assign_cores(config, err, err_len);
        if (outcome == PROA_OK)
            outcome = choose_pages(config, err, err_len);
        if (outcome == PROA_OK)
            outcome = init_dpdk(config, err, err_len);
        if (outcome == PROA_OK) {
            eal.started = true;
            eal.lanes = config->lanes;
        }
    }
    if (outcome == PROA_OK)
        eal.taken = true;
    pthread_mutex_unlock(&eal.lock);
    return outcome;
}

void eal_stop(void)
{
    pthread_mutex_lock(&eal.lock);
    eal.taken = false;
    pthread_mutex_unlock(&eal.lock);
}

/* ---- lanes ---- */

static int run_launched(void *arg)
{
    struct launched *launched = arg;

    launched->fn(launched->arg);
    pthread_mutex_lock(&eal.lock);
    launched->running = false;
    pthread_cond_broadcast(&eal.ended);
    pthread_mutex_unlock(&eal.lock);
    return 0;
}

bool eal_launch(unsigned lane, void (*fn)(void *arg), void *arg)
{
    struct launched *launched = &eal.launched[lane];
    bool ok;

    PROA_ASSERT(eal.started && lane < eal.lanes);
    pthread_mutex_lock(&eal.lock);
    ok = !launched->running;
    if (ok)
        *launched = (struct launched){.fn = fn, .arg = arg, .running = true};
    pthread_mutex_unlock(&eal.lock);
    if (!ok)
        return false;
    rte_eal_wait_lcore(lane + 1); /* the last steps of a function that eal_join saw end */
    ok = rte_eal_remote_launch(run_launched, launched, lane + 1) == 0;
    if (!ok) {
        pthread_mutex_lock(&eal.lock);
        launched->running = false;
        pthread_mutex_unlock(&eal.lock);
    }
    return ok;
}

void eal_join(unsigned lane)
{
    PROA_ASSERT(lane < PROA_LANES_MAX);
    pthread_mutex_lock(&eal.lock);
    while (eal.launched[lane].running)
        pthread_cond_wait(&eal.ended, &eal.lock);
    pthread_mutex_unlock(&eal.lock);
}

void eal_pin_control(void)
{
    pthread_setaffinity_np(pthread_self(), sizeof(eal.control), &eal.control);
}

int eal_core(unsigned lane)
{
    return eal.cores[lane];
}

bool eal_cores_shared(void)
{
    return eal.shared;
}

bool eal_huge(void)
{
    return eal.huge;
}
