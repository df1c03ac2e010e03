/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, the limits of our control groups, the load, and what the kernel does by itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "doctor_internal.h"

#define STEAL_PPM 10000 /* 1 %: more is worth a word */

/* ---- Clock ---- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static void check_clock(struct doctor *d)
{
    /* Those that are read without a system call. */
    static const char *const fast[] = {"tsc",
                                       "arch_sys_counter",
                                       "kvm-clock",
                                       "riscv_clocksource",
                                       "hyperv_clocksource_tsc_page",
                                       NULL};
    static const char *const base = "/sys/devices/system/clocksource/clocksource0";
    char now[64], all[256];

    if (!doctor_word(d->system, now, sizeof(now), "%s/current_clocksource", base))
        return;
    if (is_one_of(now, fast)) {
        doctor_ok(d, "clock-source", "", "%s", now);
        return;
    }
    struct doctor_finding *f = doctor_add(d, "clock-source", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause, "the kernel's clock is %s, which is read by a system call", now);
    doctor_say(f->cost,
               "a look at the clock takes about 1 us instead of 25 ns: a lane looks "
               "once a millisecond, or in every loop where the processor's counter "
               "cannot be used");
    if (doctor_word(d->system, all, sizeof(all), "%s/available_clocksource", base) &&
        strstr(all, "tsc") != NULL)
        doctor_command(f, "echo tsc >%s/current_clocksource", base);
    else
        doctor_say(f->remedy,
                   "the kernel took tsc for unstable: see dmesg | grep -i tsc, and "
                   "the machine's firmware");
}

struct tsc {
    bool x86, invariant;
};

static bool look_for_tsc(void *ctx, char *line)
{
    struct tsc *tsc = ctx;

    if (strncmp(line, "flags", 5) != 0)
        return true;
    tsc->x86 = true;
    tsc->invariant =
        strstr(line, " constant_tsc") != NULL && strstr(line, " nonstop_tsc") != NULL;
    return false;
}

static void check_tsc(struct doctor *d)
{
    struct tsc tsc = {false, false};

    (void)doctor_lines(d->system, look_for_tsc, &tsc, "/proc/cpuinfo");
    if (!tsc.x86)
        return;
    if (tsc.invariant) {
        doctor_ok(d, "invariant-tsc", "", "the lanes read the time from the processor");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "invariant-tsc", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause, "the processor's time stamp counter does not run evenly "
                         "(no constant_tsc and nonstop_tsc in /proc/cpuinfo)");
    doctor_say(f->cost,
               "the lanes read the kernel's clock in every loop: 25 ns with a good "
               "clock source, 1 us with hpet or acpi_pm");
    doctor_say(f->remedy, d->guest
                              ? "have the hypervisor pass invariant TSC on (QEMU: -cpu "
                                "host,+invtsc)"
                              : "another processor");
}

/* ---- Limits of control groups ---- */

struct group {
    char unified[256], cpu[256]; /* paths of ours: version 2; version 1 of the CPU */
};

static bool take_group(void *ctx, char *line)
{
    struct group *group = ctx;
    char *names = strchr(line, ':');
    char *path = names != NULL ? strchr(names + 1, ':') : NULL;

    if (path == NULL)
        return true;
    *path++ = '\0';
    names++;
    if (names[0] == '\0')
        snprintf(group->unified, sizeof(group->unified), "%s", path);
    for (char *save = NULL, *name = strtok_r(names, ",", &save); name != NULL;
         name = strtok_r(NULL, ",", &save)) {
        if (strcmp(name, "cpu") == 0)
            snprintf(group->cpu, sizeof(group->cpu), "%s", path);
    }
    return true;
}

struct quota {
    int64_t us, period; /* 0: none */
    int64_t throttled;  /* times */
};

static bool take_throttled(void *ctx, char *line)
{
    if (strncmp(line, "nr_throttled ", 13) != 0)
        return true;
    *(int64_t *)ctx = strtoll(line + 13, NULL, 10);
    return false;
}

/* The tightest of the group's and its parents'. */
static void read_quota(const struct doctor *d, const char *top, char *path, bool v2,
                       struct quota *ret)
{
    for (;;) {
        char text[64];
        int64_t us = 0, period = 0;

        if (v2 && doctor_word(d->system, text, sizeof(text), "%s%s/cpu.max", top, path)) {
            char *end;
            us = strtoll(text, &end, 10); /* "max": 0 */
            period = strtoll(end, NULL, 10);
        } else if (!v2) {
            (void)doctor_number(d->system, &us, "%s%s/cpu.cfs_quota_us", top, path);
            (void)doctor_number(d->system, &period, "%s%s/cpu.cfs_period_us", top, path);
        }
        if (us > 0 && period > 0 &&
            (ret->us == 0 ||
             (double)us / (double)period < (double)ret->us / (double)ret->period)) {
            *ret = (struct quota){.us = us, .period = period};
            (void)doctor_lines(d->system, take_throttled, &ret->throttled,
                               "%s%s/cpu.stat", top, path);
        }
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

static void check_quota(struct doctor *d, struct group *group)
{
    struct quota quota = {0};
    char path[256];

    snprintf(path, sizeof(path), "%s", group->unified);
    read_quota(d, "/sys/fs/cgroup", path, true, &quota);
    read_quota(d, "/sys/fs/cgroup/cpu", group->cpu, false, &quota);
    if (quota.us == 0) {
        doctor_ok(d, "cpu-quota", "", "none");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "cpu-quota", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause,
               "the control group may use %.2f cores: %" PRId64 " us of every %" PRId64
               " us, and was stopped for that %" PRId64 " times so far",
               (double)quota.us / (double)quota.period, quota.us, quota.period,
               quota.throttled);
    doctor_say(f->cost,
               "all lanes stand still once the quota is used up, up to %" PRId64
               " ms; a lane that polls uses a whole core",
               (quota.us < quota.period ? quota.period - quota.us : quota.period) / 1000);
    doctor_say(f->remedy,
               "no quota for this group: CPUQuota= in a systemd unit; in Kubernetes "
               "whole cores in limits and requests alike, and the static CPU "
               "manager; in Docker --cpuset-cpus instead of --cpus");
}

static void check_huge_limit(struct doctor *d, const struct group *group)
{
    char text[64], *end;

    if (!d->dpdk || d->config->pages == PROA_PAGES_NONE ||
        !doctor_word(d->system, text, sizeof(text), "/sys/fs/cgroup%s/hugetlb.2MB.max",
                     group->unified))
        return;
    uint64_t bytes = strtoull(text, &end, 10);
    if (end == text || bytes >= (uint64_t)d->memory_mb << 20)
        return; /* "max" is no number */
    struct doctor_finding *f = doctor_add(d, "huge-page-limit", DOCTOR_ERROR, "%s", "");
    doctor_say(f->cause,
               "the control group may have %" PRIu64
               " MiB of huge pages, the node takes %u "
               "MiB when that much is free",
               bytes >> 20, d->memory_mb);
    doctor_say(f->cost, "the node does not start");
    doctor_say(f->remedy, "a larger limit (Kubernetes: hugepages-2Mi in the container's "
                          "limits), or ordinary pages");
    doctor_say(f->setting, "pages: none");
}

/* ---- Others ---- */

struct steal {
    const struct doctor *d;
    uint64_t stolen, all;
};

/* "cpu1 user nice system idle iowait irq softirq steal ..." */
static bool take_stat(void *ctx, char *line)
{
    struct steal *steal = ctx;
    uint64_t values[8], all = 0;
    char *at, *end;

    if (strncmp(line, "cpu", 3) != 0)
        return false;
    unsigned long core = strtoul(line + 3, &at, 10);
    if (at == line + 3 || core >= CPU_SETSIZE || !CPU_ISSET(core, &steal->d->lanes))
        return true;
    for (unsigned i = 0; i < 8; i++, at = end) {
        values[i] = strtoull(at, &end, 10);
        if (end == at)
            return true;
        all += values[i];
    }
    if (all > UINT64_MAX / 2000000 / PROA_LANES_MAX)
        return true; /* no uptime */
    steal->all += all;
    steal->stolen += values[7];
    return true;
}

static void check_steal(struct doctor *d)
{
    struct steal steal = {.d = d};

    (void)doctor_lines(d->system, take_stat, &steal, "/proc/stat");
    if (steal.all == 0 || (!d->guest && steal.stolen == 0))
        return;
    uint64_t ppm = steal.stolen * 1000000 / steal.all;
    if (ppm < STEAL_PPM) {
        doctor_ok(d, "steal", "",
                  "the hypervisor took less than 1 %% of the lanes' cores");
        return;
    }
    struct doctor_finding *f =
        doctor_add(d, "steal", DOCTOR_WARNING, "%s", d->lanes_name);
    doctor_say(
        f->cause,
        "the hypervisor took %.1f %% of the lanes' cores since the machine was started "
        "(steal in /proc/stat)",
        (double)ppm / 10000);
    doctor_say(f->cost,
               "a lane stands still meanwhile, a time slice of the host each time, "
               "milliseconds");
    doctor_say(f->remedy,
               "virtual CPUs that are pinned to cores of their own on the host, or "
               "a kind of machine with dedicated cores");
}

static void check_load(struct doctor *d)
{
    int cores = CPU_COUNT(&d->system->allowed);
    char text[128];

    if (!doctor_word(d->system, text, sizeof(text), "/proc/loadavg") || cores == 0)
        return;
    double load = strtod(text, NULL);
    if (!(load > cores) || load > 1e6) {
        doctor_ok(d, "load", "", "no more threads than cores want to run");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "load", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause,
               "on average %.1f threads wanted to run in the last minute, on %d "
               "core%s",
               load, cores, cores == 1 ? "" : "s");
    doctor_say(f->cost,
               "lanes whose cores are not isolated share them, a time slice of some "
               "milliseconds at a time");
    doctor_say(f->remedy, "see top -H for who it is; isolate the lanes' cores");
}

/* ---- The kernel's own work ---- */

static void check_watchdog(struct doctor *d)
{
    cpu_set_t watched;
    int64_t on = 0;

    if (!doctor_number(d->system, &on, "/proc/sys/kernel/watchdog") || on == 0 ||
        !doctor_cpus(d->system, &watched, "/proc/sys/kernel/watchdog_cpumask"))
        return;
    CPU_AND(&watched, &watched, &d->lanes);
    if (CPU_COUNT(&watched) == 0 || CPU_COUNT(&d->spare) == 0)
        return;
    struct doctor_finding *f =
        doctor_add(d, "kernel-watchdog", DOCTOR_NOTE, "%s", d->lanes_name);
    doctor_say(f->cause, "the kernel's lockup watchdog looks after the lanes' cores");
    doctor_say(f->cost, "a timer and a thread there every 4 s, some microseconds");
    doctor_command(f, "sysctl -w kernel.watchdog_cpumask=%s", d->spare_text);
}

static void check_vmstat(struct doctor *d)
{
    int64_t seconds = 0;

    if (!doctor_number(d->system, &seconds, "/proc/sys/vm/stat_interval") ||
        seconds < 1 || seconds >= 10)
        return;
    struct doctor_finding *f = doctor_add(d, "vm-statistics", DOCTOR_NOTE, "%s", "");
    doctor_say(f->cause,
               "a kernel worker gathers memory statistics on each core every %" PRId64
               " s (vm.stat_interval)",
               seconds);
    doctor_say(f->cost, "the lane on that core waits some 10 us");
    doctor_command(f, "sysctl -w vm.stat_interval=120");
}

/* ---- BPF ---- */

static void check_jit(struct doctor *d)
{
    int64_t on;

    if (!doctor_number(d->system, &on, "/proc/sys/net/core/bpf_jit_enable"))
        return; /* not for us to read, or the kernel always compiles */
    if (on != 0) {
        doctor_ok(d, "bpf-jit", "", "XDP programs are compiled");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "bpf-jit", DOCTOR_WARNING, "%s", "");
    doctor_say(f->cause,
               "the kernel interprets BPF programs (net.core.bpf_jit_enable=0)");
    doctor_say(f->cost,
               "the XDP program of an af_xdp port takes several times as long for "
               "each packet on the interface");
    doctor_command(f, "sysctl -w net.core.bpf_jit_enable=1");
}

static void check_unprivileged(struct doctor *d)
{
    int64_t disabled;

    if (!doctor_number(d->system, &disabled,
                       "/proc/sys/kernel/unprivileged_bpf_disabled"))
        return;
    if (disabled != 0) {
        doctor_ok(d, "unprivileged-bpf", "", "BPF programs need CAP_BPF, as ours has");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "unprivileged-bpf", DOCTOR_NOTE, "%s", "");
    doctor_say(f->cause, "any user may load BPF programs");
    doctor_say(f->cost,
               "no latency: it helps attacks on the kernel, and proa does not need it");
    /* 2 and not 1, which only a new start of the machine takes back. */
    doctor_command(f, "sysctl -w kernel.unprivileged_bpf_disabled=2");
}

void doctor_check_kernel(struct doctor *d)
{
    struct group group = {"", ""};

    check_clock(d);
    check_tsc(d);
    (void)doctor_lines(d->system, take_group, &group, "/proc/self/cgroup");
    check_huge_limit(d, &group);
    check_quota(d, &group);
    check_load(d);
    if (CPU_COUNT(&d->lanes) > 0) {
        check_steal(d);
        check_watchdog(d);
        check_vmstat(d);
    }
    if (d->af_xdp || !d->named) {
        check_jit(d);
        check_unprivileged(d);
    }
}
