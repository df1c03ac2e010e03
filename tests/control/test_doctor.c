/* SPDX-License-Identifier: Apache-2.0 */
/* The report as a whole, memory, and the kernel. */
#include "doctor_machine.h"

#include <string.h>

#define HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* ---- The whole ---- */

static void examine__nothing_to_do_on_a_good_machine(void **state)
{
    struct machine *m = *state;

    (void)machine_look(m, "");
    for (unsigned i = 0; i < m->report->count; i++) {
        const struct doctor_finding *f = &m->report->findings[i];
        if (f->severity != DOCTOR_OK)
            fail_msg("%s, %s: %s", f->check, f->subject, f->cause);
        assert_true(f->cause[0] != '\0');
    }
    assert_true(m->report->count >= 25);
    assert_int_equal(m->report->left_off, 0);
    assert_int_equal(doctor_exit_status(m->report), DOCTOR_EXIT_OK);
}

static void examine__an_empty_machine_is_no_trouble(void **state)
{
    struct machine *m = *state;

    machine_remove(m, "/sys");
    machine_remove(m, "/proc");
    machine_remove(m, "/dev");
    m->has_nic = false;
    (void)expect(m, "interface", DOCTOR_ERROR, "there is no such interface", "");
    assert_int_equal(doctor_exit_status(m->report), DOCTOR_EXIT_ERRORS);
    CPU_ZERO(&m->system.allowed);
    m->config.cores[0] = -1;
    (void)machine_look(m, "");
    assert_int_equal(m->report->core[0], -1);
}

static const char *const hostile_files[] = {
    "/proc/meminfo",
    "/proc/swaps",
    "/proc/sys/vm/swappiness",
    "/proc/cpuinfo",
    "/proc/cmdline",
    "/proc/self/cgroup",
    "/proc/loadavg",
    "/proc/stat",
    "/proc/net/unix",
    "/proc/net/route",
    "/proc/net/ipv6_route",
    "/etc/default/irqbalance",
    "/proc/sys/kernel/watchdog",
    "/proc/sys/kernel/watchdog_cpumask",
    "/proc/sys/vm/stat_interval",
    "/proc/sys/net/core/bpf_jit_enable",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/net/core/netdev_budget_usecs",
    "/proc/interrupts",
    "/proc/1/comm",
    "/proc/irq/40/effective_affinity_list",
    "/proc/irq/40/smp_affinity_list",
    "/sys/devices/system/cpu/isolated",
    "/sys/devices/system/cpu/nohz_full",
    "/sys/devices/system/cpu/cpu3/topology/thread_siblings_list",
    "/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor",
    "/sys/devices/system/cpu/cpu3/cpufreq/scaling_min_freq",
    "/sys/devices/system/cpu/cpu3/cpufreq/scaling_max_freq",
    "/sys/devices/system/cpu/cpu3/cpufreq/cpuinfo_max_freq",
    "/sys/devices/system/cpu/cpu3/cpuidle/state1/latency",
    "/sys/devices/system/cpu/cpu3/cpuidle/state1/name",
    "/sys/devices/system/cpu/cpu3/cpuidle/state1/disable",
    "/sys/devices/system/node/online",
    "/sys/devices/system/node/node0/cpulist",
    "/sys/devices/system/node/node0/distance",
    HUGE "free_hugepages",
    HUGE "nr_hugepages",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/mm/transparent_hugepage/defrag",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/sys/devices/system/clocksource/clocksource0/available_clocksource",
    "/sys/fs/cgroup/user.slice/cpu.max",
    "/sys/fs/cgroup/user.slice/cpu.stat",
    "/sys/fs/cgroup/user.slice/hugetlb.2MB.max",
    "/sys/class/net/eth0/carrier",
    "/sys/bus/pci/devices/0000:03:00.0/numa_node",
    "/sys/bus/pci/devices/0000:03:00.0/current_link_speed",
    "/sys/bus/pci/devices/0000:03:00.0/max_link_width",
    "/sys/kernel/iommu_groups/7/type",
    "/sys/module/pcie_aspm/parameters/policy",
};

/* Every file says the same; no finding may repeat it to a terminal or a shell. */
static void hostile(struct machine *m, const char *text)
{
    static const char *const specs[] = {"af_xdp:eth0", "ethdev:0000:03:00.0",
                                        "udp:[::1]:1"};

    for (unsigned i = 0; i < sizeof(hostile_files) / sizeof(hostile_files[0]); i++)
        machine_put(m, hostile_files[i], "%s", text);
    machine_put(m, "/proc/4242/comm", "irqbalance\n"); /* whose file is read then */
    machine_link(m, "/sys/bus/pci/devices/0000:03:00.0/driver", "../\033[2J$(reboot)");
    machine_put(m, "/sys/bus/pci/devices/0000:03:00.0/net/$(reboot)/x", "%s", text);
    for (unsigned i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        machine_port(m, specs[i]);
        (void)machine_look(m, "");
        for (unsigned j = 0; j < m->report->count; j++) {
            const struct doctor_finding *f = &m->report->findings[j];
            assert_null(strchr(f->cause, '\033'));
            assert_null(strchr(f->subject, '\n'));
            assert_null(strstr(f->command, "reboot"));
        }
    }
}

static void examine__hostile_files(void **state)
{
    static char huge[100000];
    struct machine *m = *state;

    hostile(m, "");
    hostile(m, "\n");
    hostile(m, "\033[2J\033]0;x\a`reboot`$(reboot);reboot\n");
    hostile(m, "18446744073709551615 18446744073709551616 [-9223372036854775809]\n");
    hostile(m, "-1\n");
    hostile(m, "0-4294967295\n");
    hostile(
        m,
        "cpu3 99999999999999999999 1 1 1 1 1 1 1\nflags\nflags :\nCapEff:\n0::\n::::\n");
    hostile(
        m, "  40: 1 2 3 4\n CPU0 CPU99999 CPU3\n  40:  999999999999999999999 5 \n 40:\n");
    hostile(m, "@proa-core-99999 x\nx @proa-core-\nx @proa-core-3x\n");
    memset(huge, '9', sizeof(huge) - 1);
    hostile(m, huge);
    for (size_t i = 1; i < sizeof(huge) - 1; i += 2)
        huge[i] = '\n';
    hostile(m, huge);
}

static void examine__full_report_counts_the_rest(void **state)
{
    struct machine *m = *state;
    struct doctor_finding before;

    (void)machine_look(m, "");
    while (m->report->count < DOCTOR_FINDINGS_MAX)
        doctor_refuse(m->report, "node.yaml", "why");
    before = m->report->findings[DOCTOR_FINDINGS_MAX - 1];
    doctor_refuse(m->report, "other.yaml", "why");
    assert_int_equal(m->report->count, DOCTOR_FINDINGS_MAX);
    assert_int_equal(m->report->left_off, 1);
    assert_memory_equal(&before, &m->report->findings[DOCTOR_FINDINGS_MAX - 1],
                        sizeof(before));
}

static void exit_status__by_the_worst(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/sys/vm/stat_interval", "1\n");
    (void)expect(m, "vm-statistics", DOCTOR_NOTE, "every 1 s",
                 "sysctl -w vm.stat_interval=120");
    assert_int_equal(doctor_exit_status(m->report), DOCTOR_EXIT_OK);
    machine_put(m, "/proc/sys/net/core/bpf_jit_enable", "0\n");
    (void)machine_look(m, "");
    assert_int_equal(doctor_exit_status(m->report), DOCTOR_EXIT_WARNINGS);
    doctor_refuse(m->report, "node.yaml", "why");
    assert_int_equal(doctor_exit_status(m->report), DOCTOR_EXIT_ERRORS);
}

/* ---- Memory ---- */

static void huge_pages__too_few(void **state)
{
    struct machine *m = *state;
    const struct doctor_finding *f;

    m->config.memory_mb = 100;
    machine_put(m, HUGE "free_hugepages", "50\n");
    (void)expect(m, "huge-pages", DOCTOR_OK, "100 MiB are free, the node takes 100 MiB",
                 "");
    machine_put(m, HUGE "free_hugepages", "49\n");
    f = expect(m, "huge-pages", DOCTOR_WARNING, "98 MiB of huge pages are free",
               "echo 1025 >" HUGE "nr_hugepages");
    assert_non_null(strstr(f->cost, "25600 pages of 4 KiB instead of 50 of 2048 KiB"));
    m->config.pages = PROA_PAGES_HUGE;
    f = expect(m, "huge-pages", DOCTOR_ERROR, "98 MiB of huge pages are free",
               "echo 1025 >" HUGE "nr_hugepages");
    assert_non_null(strstr(f->cost, "does not start"));
    /* All sizes count, as they do for the node. */
    machine_put(m, "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
    machine_put(m, "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "1\n");
    (void)expect(m, "huge-pages", DOCTOR_OK, "1122 MiB are free", "");
}

static void huge_pages__other_sizes_and_none(void **state)
{
    struct machine *m = *state;

    m->config.memory_mb = 3000;
    machine_remove(m, "/sys/kernel/mm/hugepages");
    (void)expect(m, "huge-pages", DOCTOR_WARNING, "0 MiB", "");
    machine_put(m, "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
    machine_put(m, "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
    (void)expect(m, "huge-pages", DOCTOR_WARNING, "1024 MiB",
                 "echo 4 >/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages");
}

/* A command reserves at most half of what is available. */
static void huge_pages__memory_for_them(void **state)
{
    struct machine *m = *state;
    const struct doctor_finding *f;

    m->config.memory_mb = 100;
    machine_put(m, HUGE "free_hugepages", "0\n");
    machine_put(m, "/proc/meminfo", "MemAvailable: 204800 kB\n");
    (void)expect(m, "huge-pages", DOCTOR_WARNING, "0 MiB",
                 "echo 1074 >" HUGE "nr_hugepages");
    machine_put(m, "/proc/meminfo", "MemAvailable: 204799 kB\n");
    f = expect(m, "huge-pages", DOCTOR_WARNING, "0 MiB", "");
    assert_non_null(strstr(f->remedy, "100 MiB more of huge pages are over half of the "
                                      "199 MiB"));
    machine_put(m, "/proc/meminfo", "MemFree: 1 kB\n");
    f = expect(m, "huge-pages", DOCTOR_WARNING, "0 MiB", "");
    assert_non_null(strstr(f->remedy, "100 MiB more"));
}

static void huge_pages__not_wanted(void **state)
{
    struct machine *m = *state;

    m->config.pages = PROA_PAGES_NONE;
    assert_string_equal(
        expect(m, "huge-pages", DOCTOR_NOTE, "`pages: none`", "")->setting,
        "pages: auto");
    machine_port(m, "ring:a");
    (void)expect(m, "huge-pages", DOCTOR_OK, "need none", "");
}

static void huge_pages__by_node(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/sys/devices/system/node/online", "0-1\n");
    machine_put(m, "/sys/devices/system/node/node0/cpulist", "0-1\n");
    machine_put(m, "/sys/devices/system/node/node1/cpulist", "2-3\n");
    machine_put(
        m, "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages",
        "3\n");
    machine_put(m,
                "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages",
                "10\n");
    m->config.memory_mb = 100;
    const struct doctor_finding *f =
        expect(m, "huge-pages-node", DOCTOR_WARNING,
               "6 MiB of huge pages are free on NUMA node 1",
               "echo 57 "
               ">/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
    assert_string_equal(f->subject, "node 1");
    machine_put(m, "/proc/meminfo", "MemAvailable: 190000 kB\n");
    (void)expect(m, "huge-pages-node", DOCTOR_WARNING, "6 MiB", "");
}

static void memory__too_little(void **state)
{
    struct machine *m = *state;

    m->config.pages = PROA_PAGES_NONE;
    (void)expect(m, "memory", DOCTOR_OK, "5859 MiB are available", "");
    m->config.memory_mb = 5860;
    (void)expect(m, "memory", DOCTOR_ERROR, "5859 MiB of memory are available", "");
    machine_put(m, "/proc/meminfo", "MemFree: 1 kB\n"); /* not known: the node starts */
    assert_null(machine_look(m, "memory"));
}

static void locked_memory__by_limit_or_capability(void **state)
{
    struct machine *m = *state;

    m->system.capabilities = 0;
    m->config.memory_mb = 8;
    (void)expect(m, "locked-memory", DOCTOR_OK, "may lock", "");
    m->config.memory_mb = 9;
    (void)expect(m, "locked-memory", DOCTOR_ERROR, "at most 8192 KiB",
                 "echo 'root - memlock unlimited' >/etc/security/limits.d/proa.conf");
    m->system.uid = 1000; /* nobody else gets it */
    (void)expect(m, "locked-memory", DOCTOR_ERROR, "at most 8192 KiB",
                 "echo ':1000 - memlock unlimited' "
                 ">/etc/security/limits.d/proa-1000.conf");
    m->system.capabilities = UINT64_C(1) << DOCTOR_CAP_IPC_LOCK;
    (void)expect(m, "locked-memory", DOCTOR_OK, "may lock", "");
    /* af_xdp raises its soft limit itself; vfio does not. */
    m->system.capabilities = 0;
    m->system.memlock_hard = DOCTOR_UNLIMITED;
    (void)expect(m, "locked-memory", DOCTOR_OK, "may lock", "");
    machine_port(m, "ethdev:0000:03:00.0");
    (void)machine_look(m, "locked-memory");
    assert_int_equal(machine_look(m, "locked-memory")->severity, DOCTOR_ERROR);
    machine_port(m, "udp:127.0.0.1:0");
    assert_null(machine_look(m, "locked-memory"));
}

static void transparent_huge_pages__always(void **state)
{
    static const char *const base = "/sys/kernel/mm/transparent_hugepage/";
    struct machine *m = *state;
    char enabled[64], defrag[64];

    snprintf(enabled, sizeof(enabled), "%senabled", base);
    snprintf(defrag, sizeof(defrag), "%sdefrag", base);
    machine_put(m, enabled, "[always] madvise never\n");
    (void)expect(m, "transparent-huge-pages", DOCTOR_NOTE, "enabled: always",
                 "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled");
    machine_put(m, defrag, "[always] madvise never\n");
    (void)expect(m, "transparent-huge-pages", DOCTOR_WARNING, "defrag: always",
                 "for f in enabled defrag; do echo madvise "
                 ">/sys/kernel/mm/transparent_hugepage/$f; done");
    machine_put(m, enabled, "always [madvise] never\n");
    (void)expect(m, "transparent-huge-pages", DOCTOR_WARNING, "defrag: always",
                 "echo madvise >/sys/kernel/mm/transparent_hugepage/defrag");
    machine_put(m, enabled, "always madvise [never]\n");
    (void)expect(m, "transparent-huge-pages", DOCTOR_OK, "never", "");
}

static void swap__only_where_there_is_some(void **state)
{
    struct machine *m = *state;

    (void)expect(m, "swap", DOCTOR_OK, "there is none", "");
    machine_put(m, "/proc/swaps", "Filename Type\n/dev/sda2 partition 1 0 -2\n");
    (void)expect(m, "swap", DOCTOR_WARNING, "1 swap area, vm.swappiness 60",
                 "sysctl -w vm.swappiness=1");
    machine_put(m, "/proc/sys/vm/swappiness", "10\n");
    (void)expect(m, "swap", DOCTOR_OK, "seldom", "");
}

static void numa_balancing__only_with_nodes(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/sys/kernel/numa_balancing", "1\n");
    assert_null(machine_look(m, "numa-balancing"));
    machine_put(m, "/sys/devices/system/node/online", "0-1\n");
    (void)expect(m, "numa-balancing", DOCTOR_WARNING, "kernel.numa_balancing",
                 "sysctl -w kernel.numa_balancing=0");
    machine_put(m, "/proc/sys/kernel/numa_balancing", "0\n");
    (void)expect(m, "numa-balancing", DOCTOR_OK, "off", "");
}

/* ---- Kernel ---- */

static void clock__slow_source(void **state)
{
    static const char *const base = "/sys/devices/system/clocksource/clocksource0/";
    struct machine *m = *state;
    char path[128];

    snprintf(path, sizeof(path), "%scurrent_clocksource", base);
    machine_put(m, path, "hpet\n");
    (void)expect(
        m, "clock-source", DOCTOR_WARNING, "the kernel's clock is hpet",
        "echo tsc >/sys/devices/system/clocksource/clocksource0/current_clocksource");
    snprintf(path, sizeof(path), "%savailable_clocksource", base);
    machine_put(m, path, "hpet acpi_pm\n");
    (void)expect(m, "clock-source", DOCTOR_WARNING, "hpet", "");
    machine_put(m, "/proc/cpuinfo", "flags : fpu constant_tsc\n");
    (void)expect(m, "invariant-tsc", DOCTOR_WARNING, "does not run evenly", "");
    machine_put(m, "/proc/cpuinfo", "Features : fp asimd\n"); /* no x86 */
    assert_null(machine_look(m, "invariant-tsc"));
}

static void quota__of_the_tightest_group(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/self/cgroup", "0::/a/b\n");
    machine_put(m, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    (void)expect(m, "cpu-quota", DOCTOR_OK, "none", "");
    machine_put(m, "/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n");
    machine_put(m, "/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    machine_put(m, "/sys/fs/cgroup/a/cpu.stat", "usage_usec 1\nnr_throttled 42\n");
    const struct doctor_finding *f = expect(
        m, "cpu-quota", DOCTOR_WARNING,
        "0.50 cores: 50000 us of every 100000 us, and was stopped for that 42 times", "");
    assert_non_null(strstr(f->cost, "up to 50 ms"));
}

static void quota__of_version_1(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/self/cgroup", "9:memory:/x\n4:cpu,cpuacct:/c\n0::/\n");
    machine_put(m, "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n");
    machine_put(m, "/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
    (void)expect(m, "cpu-quota", DOCTOR_OK, "none", "");
    machine_put(m, "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "200000\n");
    (void)expect(m, "cpu-quota", DOCTOR_WARNING, "2.00 cores", "");
}

static void huge_limit__of_the_group(void **state)
{
    struct machine *m = *state;
    static const char *const file = "/sys/fs/cgroup/user.slice/hugetlb.2MB.max";

    m->config.memory_mb = 100;
    machine_put(m, file, "max\n");
    assert_null(machine_look(m, "huge-page-limit"));
    machine_put(m, file, "104857600\n");
    assert_null(machine_look(m, "huge-page-limit"));
    machine_put(m, file, "0\n");
    assert_string_equal(
        expect(m, "huge-page-limit", DOCTOR_ERROR, "may have 0 MiB", "")->setting,
        "pages: none");
    m->config.pages = PROA_PAGES_NONE;
    assert_null(machine_look(m, "huge-page-limit"));
}

static void steal__of_the_lanes_cores(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/stat",
                "cpu 1 1 1 1 1 1 1 900 0 0\n"
                "cpu2 1 1 1 1 1 1 1 900 0 0\n"
                "cpu3 900 0 0 50 0 0 0 50 0 0\nintr 1\n");
    (void)expect(m, "steal", DOCTOR_WARNING, "took 5.0 % of the lanes' cores", "");
    machine_put(m, "/proc/stat", "cpu3 900 0 0 95 0 0 0 5 0 0\n");
    (void)expect(m, "steal", DOCTOR_OK, "less than 1 %", "");
    machine_put(m, "/proc/stat", "cpu3 900 0 0 100\n");
    assert_null(machine_look(m, "steal"));
}

static void load__more_than_cores(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/loadavg", "4.00 1 1 1/2 3\n");
    (void)expect(m, "load", DOCTOR_OK, "no more threads", "");
    machine_put(m, "/proc/loadavg", "4.10 1 1 1/2 3\n");
    (void)expect(m, "load", DOCTOR_WARNING, "4.1 threads", "");
}

static void watchdog__on_the_lanes_cores(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/sys/kernel/watchdog", "1\n");
    machine_put(m, "/proc/sys/kernel/watchdog_cpumask", "0-1\n");
    assert_null(machine_look(m, "kernel-watchdog"));
    machine_put(m, "/proc/sys/kernel/watchdog_cpumask", "0-3\n");
    (void)expect(m, "kernel-watchdog", DOCTOR_NOTE, "watchdog",
                 "sysctl -w kernel.watchdog_cpumask=0-2");
}

static void bpf__compiled_and_not_for_everybody(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/sys/net/core/bpf_jit_enable", "0\n");
    (void)expect(m, "bpf-jit", DOCTOR_WARNING, "interprets",
                 "sysctl -w net.core.bpf_jit_enable=1");
    machine_put(m, "/proc/sys/kernel/unprivileged_bpf_disabled", "0\n");
    (void)expect(m, "unprivileged-bpf", DOCTOR_NOTE, "any user",
                 "sysctl -w kernel.unprivileged_bpf_disabled=2");
    machine_port(m, "udp:127.0.0.1:0");
    assert_null(machine_look(m, "bpf-jit"));
}

#define MACHINE_TEST(name)                                                               \
    cmocka_unit_test_setup_teardown(name, machine_good, machine_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(examine__nothing_to_do_on_a_good_machine),
        MACHINE_TEST(examine__an_empty_machine_is_no_trouble),
        MACHINE_TEST(examine__hostile_files),
        MACHINE_TEST(examine__full_report_counts_the_rest),
        MACHINE_TEST(exit_status__by_the_worst),
        MACHINE_TEST(huge_pages__too_few),
        MACHINE_TEST(huge_pages__other_sizes_and_none),
        MACHINE_TEST(huge_pages__memory_for_them),
        MACHINE_TEST(huge_pages__not_wanted),
        MACHINE_TEST(huge_pages__by_node),
        MACHINE_TEST(memory__too_little),
        MACHINE_TEST(locked_memory__by_limit_or_capability),
        MACHINE_TEST(transparent_huge_pages__always),
        MACHINE_TEST(swap__only_where_there_is_some),
        MACHINE_TEST(numa_balancing__only_with_nodes),
        MACHINE_TEST(clock__slow_source),
        MACHINE_TEST(quota__of_the_tightest_group),
        MACHINE_TEST(quota__of_version_1),
        MACHINE_TEST(huge_limit__of_the_group),
        MACHINE_TEST(steal__of_the_lanes_cores),
        MACHINE_TEST(load__more_than_cores),
        MACHINE_TEST(watchdog__on_the_lanes_cores),
        MACHINE_TEST(bpf__compiled_and_not_for_everybody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
