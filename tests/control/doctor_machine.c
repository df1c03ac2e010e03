/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_machine.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CPU "/sys/devices/system/cpu/"

/* ---- Files ---- */

static void whole(const struct machine *m, const char *path, char *buf, size_t len)
{
    int n = snprintf(buf, len, "%s%s", m->root, path);

    assert_true(n > 0 && (size_t)n < len);
}

static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

void machine_put(const struct machine *m, const char *path, const char *format, ...)
{
    char name[512];
    va_list args;
    FILE *file;

    whole(m, path, name, sizeof(name));
    make_folders(name);
    file = fopen(name, "w");
    assert_non_null(file);
    va_start(args, format);
    assert_true(vfprintf(file, format, args) >= 0);
    va_end(args);
    assert_int_equal(fclose(file), 0);
}

void machine_link(const struct machine *m, const char *path, const char *target)
{
    char name[512];

    whole(m, path, name, sizeof(name));
    make_folders(name);
    (void)unlink(name);
    assert_int_equal(symlink(target, name), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void machine_remove(const struct machine *m, const char *path)
{
    char name[512];

    whole(m, path, name, sizeof(name));
    assert_int_equal(nftw(name, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- The machine ---- */

static bool answer(void *ctx, const char *name, const char *address,
                   struct doctor_nic *ret)
{
    struct machine *m = ctx;

    snprintf(m->asked_address, sizeof(m->asked_address), "%s", address);
    *ret = m->nic;
    return m->has_nic && strcmp(name, "eth0") == 0;
}

static void put_cores(const struct machine *m)
{
    machine_put(m, CPU "isolated", "2-3\n");
    machine_put(m, CPU "nohz_full", "2-3\n");
    for (int core = 0; core < 4; core++) {
        char path[128];

        snprintf(path, sizeof(path), CPU "cpu%d/topology/thread_siblings_list", core);
        machine_put(m, path, "%d\n", core);
        snprintf(path, sizeof(path), CPU "cpu%d/cpufreq/scaling_governor", core);
        machine_put(m, path, "performance\n");
        snprintf(path, sizeof(path), CPU "cpu%d/cpufreq/scaling_min_freq", core);
        machine_put(m, path, "800000\n");
        snprintf(path, sizeof(path), CPU "cpu%d/cpufreq/scaling_max_freq", core);
        machine_put(m, path, "3600000\n");
        snprintf(path, sizeof(path), CPU "cpu%d/cpufreq/cpuinfo_max_freq", core);
        machine_put(m, path, "3600000\n");
        snprintf(path, sizeof(path), CPU "cpu%d/cpuidle/state1/latency", core);
        machine_put(m, path, "2\n");
        snprintf(path, sizeof(path), CPU "cpu%d/cpuidle/state1/name", core);
        machine_put(m, path, "C1\n");
        snprintf(path, sizeof(path), CPU "cpu%d/cpuidle/state1/disable", core);
        machine_put(m, path, "0\n");
    }
}

static void put_memory(const struct machine *m)
{
    static const char *const bases[] = {"/sys/kernel/mm/hugepages",
                                        "/sys/devices/system/node/node0/hugepages"};

    for (unsigned i = 0; i < 2; i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/hugepages-2048kB/free_hugepages", bases[i]);
        machine_put(m, path, "1000\n");
        snprintf(path, sizeof(path), "%s/hugepages-2048kB/nr_hugepages", bases[i]);
        machine_put(m, path, "1024\n");
    }
    machine_put(m, "/sys/devices/system/node/online", "0\n");
    machine_put(m, "/sys/devices/system/node/node0/cpulist", "0-3\n");
    machine_put(m, "/sys/devices/system/node/node0/distance", "10\n");
    machine_put(m, "/sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never\n");
    machine_put(m, "/sys/kernel/mm/transparent_hugepage/defrag",
                "always defer [madvise] never\n");
    machine_put(m, "/proc/meminfo",
                "MemTotal: 8000000 kB\nMemAvailable:    6000000 kB\n");
    machine_put(m, "/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    machine_put(m, "/proc/sys/vm/swappiness", "60\n");
}

static void put_kernel(const struct machine *m)
{
    static const char *const clock = "/sys/devices/system/clocksource/clocksource0/";
    char path[128];

    snprintf(path, sizeof(path), "%scurrent_clocksource", clock);
    machine_put(m, path, "tsc\n");
    snprintf(path, sizeof(path), "%savailable_clocksource", clock);
    machine_put(m, path, "tsc hpet acpi_pm \n");
    machine_put(m, "/proc/cpuinfo",
                "processor\t: 0\nflags\t\t: fpu constant_tsc nonstop_tsc\n");
    machine_put(m, "/proc/cmdline",
                "quiet isolcpus=domain,managed_irq,2-3 nohz_full=2-3\n");
    machine_put(m, "/proc/self/cgroup", "0::/user.slice\n");
    machine_put(m, "/proc/loadavg", "0.10 0.20 0.30 1/200 1234\n");
    machine_put(m, "/proc/stat",
                "cpu  8 0 8 8 0 0 0 0 0 0\ncpu3 1 0 1 1000 0 0 0 0 0 0\n");
    machine_put(m, "/proc/net/unix", "Num RefCount Protocol Flags Type St Inode Path\n");
    machine_put(m, "/proc/sys/kernel/watchdog", "0\n");
    machine_put(m, "/proc/sys/vm/stat_interval", "120\n");
    machine_put(m, "/proc/sys/net/core/bpf_jit_enable", "1\n");
    machine_put(m, "/proc/sys/net/core/netdev_budget_usecs", "2000\n");
    machine_put(m, "/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
    machine_put(m, "/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
    machine_put(
        m, "/proc/interrupts",
        "           CPU0       CPU1       CPU2       CPU3\n"
        "  9:       5000          0          0          0  IO-APIC 9-fasteoi acpi\n"
        " 40:          0     700000          0          0  PCI-MSIX 1-edge eth0-rx-0\n"
        "NMI:          1          1          1          9999  Non-maskable\n");
    machine_put(m, "/proc/irq/9/effective_affinity_list", "0\n");
    machine_put(m, "/proc/irq/40/effective_affinity_list", "1\n");
}

static void put_device(const struct machine *m)
{
    static const char *const pci = "/sys/bus/pci/devices/0000:03:00.0/";
    static const struct {
        const char *name, *text;
    } files[] = {
        {"numa_node", "0\n"},          {"current_link_speed", "8.0 GT/s PCIe\n"},
        {"current_link_width", "8\n"}, {"max_link_speed", "8.0 GT/s PCIe\n"},
        {"max_link_width", "8\n"},     {"msi_irqs/40", "msix\n"},
        {"net/eth0/mtu", "1500\n"},
    };

    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", pci, files[i].name);
        machine_put(m, path, "%s", files[i].text);
    }
    machine_put(m, "/sys/class/net/eth0/carrier", "1\n");
    machine_link(m, "/sys/class/net/eth0/device",
                 "../../../bus/pci/devices/0000:03:00.0");
    machine_link(m, "/sys/bus/pci/devices/0000:03:00.0/driver", "../../drivers/vfio-pci");
    machine_link(m, "/sys/bus/pci/devices/0000:03:00.0/iommu_group",
                 "../../../../kernel/iommu_groups/7");
    machine_put(m, "/sys/kernel/iommu_groups/7/devices/0000:03:00.0", "\n");
    machine_put(m, "/sys/kernel/iommu_groups/7/type", "identity\n");
    machine_put(m, "/dev/vfio/7", "\n");
}

int machine_good(void **state)
{
    struct machine *m = calloc(1, sizeof(*m));
    const char *tmp = getenv("TMPDIR");

    assert_non_null(m);
    m->report = calloc(1, sizeof(*m->report));
    assert_non_null(m->report);
    snprintf(m->root, sizeof(m->root), "%s/proa-doctor-XXXXXX",
             tmp != NULL && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(m->root));
    put_cores(m);
    put_memory(m);
    put_kernel(m);
    put_device(m);
    m->system = (struct doctor_system){.root = m->root,
                                       .capabilities = UINT64_MAX,
                                       .memlock = 8 << 20,
                                       .memlock_hard = 8 << 20,
                                       .nic = answer,
                                       .ctx = m};
    for (size_t core = 0; core < 4; core++)
        CPU_SET(core, &m->system.allowed);
    m->has_nic = true;
    m->nic = (struct doctor_nic){.index = 2,
                                 .mtu = 1500,
                                 .up = true,
                                 .ethernet = true,
                                 .has_address = true,
                                 .queues = 1,
                                 .queues_max = 8,
                                 .rx_ring = 2048,
                                 .rx_ring_max = 4096,
                                 .tx_ring = 2048,
                                 .tx_ring_max = 4096,
                                 .has_coalesce = true,
                                 .has_xdp_features = true,
                                 .xdp_features = DOCTOR_XDP_BASIC | DOCTOR_XDP_REDIRECT |
                                                 DOCTOR_XDP_ZEROCOPY};
    proa_config_init(&m->config);
    m->config.cores[0] = 3;
    machine_port(m, "af_xdp:eth0");
    *state = m;
    return 0;
}

int machine_free(void **state)
{
    struct machine *m = *state;

    machine_remove(m, "");
    free(m->report);
    free(m);
    return 0;
}

void machine_port(struct machine *m, const char *spec)
{
    m->config.port_count = 1;
    snprintf(m->config.ports[0].spec, sizeof(m->config.ports[0].spec), "%s", spec);
}

/* ---- Findings ---- */

const struct doctor_finding *machine_look(struct machine *m, const char *check)
{
    const struct doctor_finding *worst = NULL;

    memset(m->report, 0, sizeof(*m->report));
    doctor_examine(&m->system, &m->config, true, m->report);
    for (unsigned i = 0; i < m->report->count; i++) {
        const struct doctor_finding *f = &m->report->findings[i];
        if (strcmp(f->check, check) == 0 &&
            (worst == NULL || f->severity > worst->severity))
            worst = f;
    }
    return worst;
}

const struct doctor_finding *expect(struct machine *m, const char *check,
                                    enum doctor_severity severity, const char *cause,
                                    const char *command)
{
    const struct doctor_finding *f = machine_look(m, check);

    assert_non_null(f);
    if (strstr(f->cause, cause) == NULL)
        fail_msg("%s: \"%s\" is not in \"%s\"", check, cause, f->cause);
    assert_int_equal(f->severity, severity);
    assert_string_equal(f->command, command);
    if (severity > DOCTOR_OK) {
        assert_true(f->cost[0] != '\0');
        assert_true(f->remedy[0] != '\0' || f->command[0] != '\0' ||
                    f->setting[0] != '\0');
    }
    return f;
}
