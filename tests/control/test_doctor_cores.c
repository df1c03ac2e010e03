/* SPDX-License-Identifier: Apache-2.0 */
/* The lanes' cores: which, whether alone, how fast, and the interrupts. */
#include "doctor_machine.h"

#include <string.h>

#define CPU "/sys/devices/system/cpu/"

/* ---- Which ---- */

static void place__highest_free_core(void **state)
{
    struct machine *m = *state;

    m->config.lanes = 2;
    m->config.cores[0] = m->config.cores[1] = -1;
    (void)machine_look(m, "");
    assert_int_equal(m->report->lanes, 2);
    assert_int_equal(m->report->core[0], 3);
    assert_int_equal(m->report->core[1], 2);
    assert_int_equal(m->report->node[0], 0);
    machine_put(m, "/proc/net/unix", "0: 2 0 0 2 1 77 @proa-core-3\n0: @proa-xdp-3\n");
    (void)machine_look(m, "");
    assert_int_equal(m->report->core[0], 2);
    assert_int_equal(m->report->core[1], 1);
}

static void place__no_core_left(void **state)
{
    struct machine *m = *state;

    CPU_ZERO(&m->system.allowed);
    CPU_SET(1, &m->system.allowed);
    m->config.lanes = 2;
    m->config.cores[0] = m->config.cores[1] = -1;
    const struct doctor_finding *f =
        expect(m, "lane-core", DOCTOR_WARNING, "it shares core 1", "");
    assert_string_equal(f->subject, "lane 1");
    assert_string_equal(
        expect(m, "control-core", DOCTOR_WARNING, "every core", "")->setting, "lanes: 1");
}

static void place__configured_core(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/net/unix", "0: 2 0 0 2 1 77 @proa-core-3\n");
    (void)expect(m, "lane-core", DOCTOR_NOTE, "is on core 3 already", "");
    CPU_CLR(3, &m->system.allowed);
    assert_string_equal(
        expect(m, "lane-core", DOCTOR_ERROR, "core 3 is not among", "")->remedy,
        "start it by taskset -c 0-3 proa node ..., or CPUAffinity=0-3 in a "
        "systemd unit");
    assert_int_equal(m->report->core[0], -1);
}

/* ---- Alone ---- */

static void isolated__lane_elsewhere(void **state)
{
    struct machine *m = *state;

    m->config.cores[0] = 1;
    const struct doctor_finding *f =
        expect(m, "isolated-cores", DOCTOR_WARNING, "work on core 1", "");
    assert_string_equal(f->setting, "cores: [3]"); /* there are isolated ones */
    assert_non_null(strstr(f->remedy, "taskset -c 0-3 proa node"));
    machine_put(m, "/proc/net/unix", "0: 2 0 0 2 1 77 @proa-core-3\n");
    f = expect(m, "isolated-cores", DOCTOR_WARNING, "work on core 1", "");
    assert_string_equal(f->setting, "cores: [2]");
    machine_put(m, CPU "isolated", "%s", "\n");
    machine_put(m, CPU "nohz_full", "%s", "\n");
    f = expect(m, "isolated-cores", DOCTOR_WARNING, "work on core 1", "");
    assert_string_equal(f->setting, "");
    assert_non_null(strstr(f->remedy, "isolcpus=domain,managed_irq,1, and a new start"));
    /* By a file of GRUB's, where there are such and the parameter is not there yet. */
    machine_put(m, "/etc/default/grub.d/x", "\n");
    (void)expect(m, "isolated-cores", DOCTOR_WARNING, "core 1", "");
    machine_put(m, "/proc/cmdline", "quiet noisolcpus=1 nohz_full\n");
    (void)expect(m, "isolated-cores", DOCTOR_WARNING, "core 1",
                 "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX "
                 "isolcpus=domain,managed_irq,1\"' "
                 ">/etc/default/grub.d/proa-isolcpus.cfg && update-grub");
    assert_string_equal(machine_look(m, "tick")->command, ""); /* nohz_full is there */
    machine_put(m, "/sys/fs/cgroup/cpuset.cpus.isolated", "1\n");
    (void)expect(m, "isolated-cores", DOCTOR_OK, "nothing on core 1", "");
}

static void tick__not_nohz(void **state)
{
    struct machine *m = *state;

    machine_put(m, CPU "nohz_full", "(null)\n");
    const struct doctor_finding *f =
        expect(m, "tick", DOCTOR_WARNING, "interrupts core 3", "");
    assert_non_null(strstr(f->remedy, "nohz_full=2-3")); /* as isolcpus has */
}

static void first_core__has_a_lane(void **state)
{
    struct machine *m = *state;

    assert_null(machine_look(m, "first-core"));
    m->config.cores[0] = 0;
    (void)expect(m, "first-core", DOCTOR_NOTE, "a lane is on core 0", "");
}

static void siblings__of_a_lane(void **state)
{
    struct machine *m = *state;

    machine_put(m, CPU "cpu3/topology/thread_siblings_list", "1,3\n");
    (void)expect(m, "smt-sibling", DOCTOR_WARNING, "cores 3 and 1",
                 "echo 0 >/sys/devices/system/cpu/cpu1/online");
    machine_put(m, CPU "cpu3/topology/thread_siblings_list", "2-3\n"); /* 2 is isolated */
    (void)expect(m, "smt-sibling", DOCTOR_OK, "no lane shares", "");
    m->config.lanes = 2;
    m->config.cores[1] = 2;
    machine_put(m, CPU "cpu2/topology/thread_siblings_list", "2-3\n");
    (void)expect(m, "smt-sibling", DOCTOR_WARNING, "both have a lane", "");
}

/* What is to go offline is no place for interrupts, whichever check comes first. */
static void siblings__offline_is_not_spare(void **state)
{
    struct machine *m = *state;

    machine_put(m, CPU "cpu3/topology/thread_siblings_list", "1,3\n");
    machine_put(m, "/proc/irq/40/effective_affinity_list", "3\n");
    (void)expect(m, "port-interrupts", DOCTOR_WARNING, "interrupt 40",
                 "for i in 40; do echo 0,2 >/proc/irq/$i/smp_affinity_list; done");
    (void)expect(m, "control-core", DOCTOR_OK, "have cores 0,2", "");
    m->config.lanes = 2; /* each lane has a sibling; one of these stays */
    m->config.cores[1] = 2;
    machine_put(m, CPU "isolated", "%s", "\n");
    CPU_CLR(0, &m->system.allowed);
    machine_put(m, CPU "cpu2/topology/thread_siblings_list", "0,2\n");
    (void)expect(m, "control-core", DOCTOR_OK, "have core 1", "");
}

static void siblings__that_must_stay(void **state)
{
    struct machine *m = *state;

    machine_put(m, CPU "cpu3/topology/thread_siblings_list", "1,3\n");
    machine_put(m, "/proc/net/unix", "0: 2 0 0 2 1 77 @proa-core-1\n");
    assert_non_null(strstr(expect(m, "smt-sibling", DOCTOR_WARNING, "cores 3 and 1", "")
                               ->remedy, /* another node's lane */
                           "another core in `cores`"));
    machine_put(m, "/proc/net/unix", "%s", "\n");
    CPU_CLR(0, &m->system.allowed);
    CPU_CLR(2, &m->system.allowed);
    (void)expect(m, "smt-sibling", DOCTOR_WARNING, "cores 3 and 1", ""); /* the last */
    (void)expect(m, "control-core", DOCTOR_OK, "have core 1", "");
    CPU_SET(2, &m->system.allowed);
    (void)expect(m, "smt-sibling", DOCTOR_WARNING, "cores 3 and 1",
                 "echo 0 >/sys/devices/system/cpu/cpu1/online");
    machine_put(m, "/proc/net/unix", "0: 2 0 0 2 1 77 @proa-core-2\n");
    (void)expect(m, "smt-sibling", DOCTOR_WARNING, "cores 3 and 1", ""); /* of the free */
    machine_put(m, "/proc/net/unix", "%s", "\n");
    CPU_CLR(1, &m->system.allowed);
    CPU_SET(0, &m->system.allowed);
    (void)expect(m, "smt-sibling", DOCTOR_WARNING, "cores 3 and 1", ""); /* not ours */
    CPU_SET(1, &m->system.allowed);
    machine_put(m, CPU "cpu3/topology/thread_siblings_list", "0,3\n");
    (void)expect(m, "smt-sibling", DOCTOR_WARNING, "cores 3 and 0", "");
}

/* ---- Speed ---- */

static void governor__not_performance(void **state)
{
    struct machine *m = *state;

    machine_put(m, CPU "cpu3/cpufreq/scaling_governor", "schedutil\n");
    const struct doctor_finding *f =
        expect(m, "governor", DOCTOR_WARNING, "core 3 is schedutil",
               "for c in 3; do echo performance "
               ">/sys/devices/system/cpu/cpu$c/cpufreq/scaling_governor; done");
    assert_non_null(strstr(f->cost, "800 of 3600 MHz, 4.5 times slower"));
    machine_remove(m, CPU "cpu3/cpufreq");
    (void)expect(m, "governor", DOCTOR_OK, "no frequency scaling", "");
    machine_put(m, "/proc/cpuinfo", "flags : constant_tsc nonstop_tsc hypervisor\n");
    (void)expect(m, "governor", DOCTOR_OK, "the hypervisor's matter", "");
}

static void frequency__capped(void **state)
{
    struct machine *m = *state;

    machine_put(m, CPU "cpu3/cpufreq/scaling_max_freq", "1800000\n");
    assert_string_equal(
        expect(m, "frequency-cap", DOCTOR_WARNING, "1800 MHz only, though it can 3600",
               "echo 3600000 >/sys/devices/system/cpu/cpu3/cpufreq/scaling_max_freq")
            ->cost,
        "everything on it takes 2.00 times as long");
}

static void idle__deep_states(void **state)
{
    struct machine *m = *state;
    const char *command =
        "for c in 3; do for s in 2 3; do echo 1 "
        ">/sys/devices/system/cpu/cpu$c/cpuidle/state$s/disable; done; done";

    machine_put(m, CPU "cpu3/cpuidle/state2/latency", "11\n");
    machine_put(m, CPU "cpu3/cpuidle/state3/latency", "133\n");
    machine_put(m, CPU "cpu3/cpuidle/state3/name", "C6\n");
    const struct doctor_finding *f =
        expect(m, "idle-states", DOCTOR_WARNING, "as deep as C6", command);
    assert_non_null(strstr(f->cost, "133 us later"));
    assert_string_equal(f->setting, "idle: spin");
    m->config.idle = PROA_IDLE_SPIN;
    (void)expect(m, "idle-states", DOCTOR_NOTE, "as deep as C6", command);
    machine_put(m, CPU "cpu3/cpuidle/state2/disable", "1\n");
    machine_put(m, CPU "cpu3/cpuidle/state3/disable", "1\n");
    (void)expect(m, "idle-states", DOCTOR_OK, "none that takes long", "");
}

static void idle__of_a_guest(void **state)
{
    struct machine *m = *state;

    machine_remove(m, CPU "cpu3/cpuidle");
    (void)expect(m, "idle-states", DOCTOR_OK, "the kernel has none", "");
    machine_put(m, "/proc/cpuinfo", "flags : constant_tsc nonstop_tsc hypervisor\n");
    (void)expect(m, "idle-states", DOCTOR_NOTE, "virtual machine", "");
    m->config.idle = PROA_IDLE_SPIN;
    (void)expect(m, "idle-states", DOCTOR_OK, "do not sleep", "");
}

/* ---- Interrupts ---- */

static void interrupts__on_a_lanes_core(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/interrupts",
                "        CPU0   CPU2   CPU3\n" /* core 1 is offline */
                "  9:    5000      0    100  IO-APIC 9-fasteoi acpi\n"
                " 41:       0      0     99  PCI-MSIX 1-edge rare\n"
                " 42:       0    700      0  PCI-MSIX 1-edge elsewhere\n"
                " 43:       0      0    700  PCI-MSIX 1-edge was\033here\n"
                "LOC:       1      1  99999  Local timer interrupts\n");
    machine_put(m, "/proc/irq/9/effective_affinity_list", "\n");
    machine_put(m, "/proc/irq/9/smp_affinity_list", "0-3\n");
    machine_put(m, "/proc/irq/41/effective_affinity_list", "3\n");
    machine_put(m, "/proc/irq/43/effective_affinity_list", "3\n");
    const struct doctor_finding *f =
        expect(m, "interrupts", DOCTOR_WARNING,
               "interrupts 9 (acpi), 43 (was?here) come to the lanes' core 3",
               "for i in 9 43; do echo 0-2 >/proc/irq/$i/smp_affinity_list; done");
    assert_non_null(strstr(f->cost, "800 came since"));
    machine_put(m, "/proc/irq/43/effective_affinity_list", "1\n"); /* moved meanwhile */
    (void)expect(m, "interrupts", DOCTOR_WARNING, "interrupt 9 (acpi) comes",
                 "for i in 9; do echo 0-2 >/proc/irq/$i/smp_affinity_list; done");
}

static void interrupts__very_many(void **state)
{
    struct machine *m = *state;
    char text[4096] = "      CPU3\n", path[64];

    for (unsigned i = 0; i < 50; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, " %u: 1000 MSI nvme%u\n", 100 + i, i);
        snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", 100 + i);
        machine_put(m, path, "3\n");
    }
    machine_put(m, "/proc/interrupts", "%s", text);
    (void)expect(m, "interrupts", DOCTOR_WARNING, "105 (nvme5) and 44 more come",
                 "for i in /proc/irq/[0-9]*; do echo 0-2 >$i/smp_affinity_list; done");
}

static void interrupts__no_core_to_move_them_to(void **state)
{
    struct machine *m = *state;

    CPU_ZERO(&m->system.allowed);
    CPU_SET(3, &m->system.allowed);
    machine_put(m, "/proc/interrupts", "   CPU3\n 9: 500 x y\n");
    machine_put(m, "/proc/irq/9/effective_affinity_list", "3\n");
    (void)expect(m, "interrupts", DOCTOR_WARNING, "9 (y)", "");
}

static void irqbalance__unless_isolated(void **state)
{
    struct machine *m = *state;
    const struct doctor_finding *f;

    assert_null(machine_look(m, "irqbalance"));
    machine_put(m, "/proc/4242/comm", "irqbalance\n");
    (void)expect(m, "irqbalance", DOCTOR_OK, "keeps off core 3 by itself", "");
    m->config.cores[0] = 1;
    f = expect(m, "irqbalance", DOCTOR_WARNING, "irqbalance runs", "");
    assert_non_null(strstr(f->remedy, "add 1 to the cores")); /* no such file */
    /* A list ends what it does by itself, so isolated cores are in it. */
    machine_put(m, "/etc/default/irqbalance", "#IRQBALANCE_BANNED_CPULIST=1\n");
    (void)expect(m, "irqbalance", DOCTOR_WARNING, "irqbalance runs",
                 "echo 'IRQBALANCE_BANNED_CPULIST=1-3' >>/etc/default/irqbalance && "
                 "systemctl restart irqbalance");
}

static void irqbalance__as_it_is_told(void **state)
{
    static const char *const file = "/etc/default/irqbalance";
    struct machine *m = *state;

    machine_put(m, "/proc/4242/comm", "irqbalance\n");
    machine_put(m, file, "IRQBALANCE_BANNED_CPULIST=3\n IRQBALANCE_BANNED_CPULIST='0'\n");
    (void)expect(m, "irqbalance", DOCTOR_WARNING, "irqbalance runs",
                 "echo 'IRQBALANCE_BANNED_CPULIST=0,3' >>/etc/default/irqbalance && "
                 "systemctl restart irqbalance");
    machine_put(m, file, "IRQBALANCE_BANNED_CPULIST=\"0,3\"\n"); /* not a second time */
    (void)expect(m, "irqbalance", DOCTOR_OK, "keeps off core 3 as it is told", "");
    machine_put(m, file, "IRQBALANCE_BANNED_CPULIST=\n");
    (void)expect(m, "irqbalance", DOCTOR_WARNING, "irqbalance runs",
                 "echo 'IRQBALANCE_BANNED_CPULIST=3' >>/etc/default/irqbalance && "
                 "systemctl restart irqbalance");
    machine_put(m, file, "IRQBALANCE_BANNED_CPUS=8\n"); /* a mask: by hand */
    (void)expect(m, "irqbalance", DOCTOR_WARNING, "irqbalance runs", "");
    machine_put(m, file, "IRQBALANCE_BANNED_CPULIST=0-9:2\n");
    (void)expect(m, "irqbalance", DOCTOR_WARNING, "irqbalance runs", "");
}

#define MACHINE_TEST(name)                                                               \
    cmocka_unit_test_setup_teardown(name, machine_good, machine_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(place__highest_free_core),
        MACHINE_TEST(place__no_core_left),
        MACHINE_TEST(place__configured_core),
        MACHINE_TEST(isolated__lane_elsewhere),
        MACHINE_TEST(tick__not_nohz),
        MACHINE_TEST(first_core__has_a_lane),
        MACHINE_TEST(siblings__of_a_lane),
        MACHINE_TEST(siblings__offline_is_not_spare),
        MACHINE_TEST(siblings__that_must_stay),
        MACHINE_TEST(governor__not_performance),
        MACHINE_TEST(frequency__capped),
        MACHINE_TEST(idle__deep_states),
        MACHINE_TEST(idle__of_a_guest),
        MACHINE_TEST(interrupts__on_a_lanes_core),
        MACHINE_TEST(interrupts__very_many),
        MACHINE_TEST(interrupts__no_core_to_move_them_to),
        MACHINE_TEST(irqbalance__unless_isolated),
        MACHINE_TEST(irqbalance__as_it_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
