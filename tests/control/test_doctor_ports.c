/* SPDX-License-Identifier: Apache-2.0 */
/* Ports: af_xdp on an interface, ethdev on a PCI device, udp. */
#include "doctor_machine.h"

#include <string.h>

#define DEVICE "/sys/bus/pci/devices/0000:03:00.0/"
#define BIND                                                                             \
    "modprobe vfio-pci && echo vfio-pci "                                                \
    ">/sys/bus/pci/devices/0000:03:00.0/driver_override && echo 0000:03:00.0 "           \
    ">/sys/bus/pci/devices/0000:03:00.0/driver/unbind && echo 0000:03:00.0 "             \
    ">/sys/bus/pci/drivers_probe"

/* ---- af_xdp ---- */

static void xdp__interface_is_not_there(void **state)
{
    struct machine *m = *state;

    machine_port(m, "af_xdp:eth7");
    (void)expect(m, "interface", DOCTOR_ERROR, "no such interface", "");
    machine_port(m, "af_xdp:");
    (void)expect(m, "interface", DOCTOR_ERROR, "names no interface", "");
    machine_port(m, "af_xdp:a_name_of_17_bytes");
    (void)expect(m, "interface", DOCTOR_ERROR, "names no interface", "");
    machine_port(m, "af_xdp:$(reboot)");
    (void)expect(m, "interface", DOCTOR_ERROR, "no such interface", "");
    machine_port(m, "af_xdp:../eth0");
    (void)expect(m, "interface", DOCTOR_ERROR, "no such interface", "");
}

static void xdp__interface_is_down_or_another_kind(void **state)
{
    struct machine *m = *state;

    m->nic.up = false;
    (void)expect(m, "interface", DOCTOR_ERROR, "it is down", "ip link set dev eth0 up");
    m->nic.up = true;
    machine_put(m, "/sys/class/net/eth0/carrier", "0\n");
    (void)expect(m, "interface", DOCTOR_WARNING, "no carrier", "");
    m->nic.ethernet = false;
    (void)expect(m, "interface", DOCTOR_ERROR, "no Ethernet", "");
    assert_null(machine_look(m, "queues"));
}

static void xdp__address(void **state)
{
    struct machine *m = *state;

    m->nic.has_address = false;
    (void)expect(m, "interface-address", DOCTOR_ERROR, "it has no address", "");
    strcpy(m->config.ports[0].address, "10.0.0.1/24");
    (void)expect(m, "interface-address", DOCTOR_ERROR,
                 "10.0.0.1/24 is not an address of it",
                 "ip address add 10.0.0.1/24 dev eth0");
    assert_string_equal(m->asked_address, "10.0.0.1/24");
    strcpy(m->config.ports[0].address, "10.0.0.1/24;reboot");
    (void)expect(m, "interface-address", DOCTOR_ERROR, "reboot", "");
}

static void xdp__rights(void **state)
{
    struct machine *m = *state;

    m->system.capabilities = 0;
    assert_non_null(
        strstr(expect(m, "bpf-rights", DOCTOR_ERROR,
                      "lacks CAP_NET_ADMIN CAP_NET_RAW CAP_BPF", "") /* no setcap */
                   ->remedy,
               "AmbientCapabilities=CAP_NET_ADMIN"));
    m->system.capabilities =
        UINT64_C(1) << DOCTOR_CAP_NET_ADMIN | UINT64_C(1) << DOCTOR_CAP_SYS_ADMIN;
    (void)expect(m, "bpf-rights", DOCTOR_ERROR, "lacks CAP_NET_RAW", "");
    m->system.capabilities |= UINT64_C(1) << DOCTOR_CAP_NET_RAW;
    (void)expect(m, "bpf-rights", DOCTOR_OK, "may attach", "");
}

static void xdp__kernel_too_old(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/sys/kernel/osrelease", "5.8.19\n");
    (void)expect(m, "kernel", DOCTOR_ERROR, "5.8; af_xdp needs 5.9", "");
    machine_put(m, "/proc/sys/kernel/osrelease", "5.9.0\n");
    (void)expect(m, "kernel", DOCTOR_OK, "5.9", "");
    machine_put(m, "/proc/sys/kernel/osrelease", "4.19.0\n");
    (void)expect(m, "kernel", DOCTOR_ERROR, "4.19", "");
}

static void xdp__program_of_another(void **state)
{
    struct machine *m = *state;

    m->nic.program = 17;
    strcpy(m->nic.program_name, "xdp_dispatcher");
    (void)expect(m, "xdp-program", DOCTOR_ERROR, "\"xdp_dispatcher\" (id 17)", "");
    strcpy(m->nic.program_name, "proa_steer");
    (void)expect(m, "xdp-program", DOCTOR_NOTE, "a proa node uses it", "");
    strcpy(m->nic.program_name,
           "?"); /* not for us to see, but its owner says who it is */
    machine_put(m, "/proc/net/unix", "0: 2 0 0 2 1 77 @proa-xdp-22\n");
    (void)expect(m, "xdp-program", DOCTOR_ERROR, "\"?\" (id 17)", "");
    machine_put(m, "/proc/net/unix", "0: 2 0 0 2 1 77 @proa-xdp-2\n");
    (void)expect(m, "xdp-program", DOCTOR_NOTE, "a proa node uses it", "");
}

static void xdp__mode(void **state)
{
    struct machine *m = *state;

    m->nic.xdp_features = DOCTOR_XDP_BASIC | DOCTOR_XDP_REDIRECT;
    (void)expect(m, "xdp-mode", DOCTOR_NOTE, "not without copies", "");
    m->nic.xdp_features = DOCTOR_XDP_BASIC;
    assert_string_equal(expect(m, "xdp-mode", DOCTOR_ERROR, "no XDP", "")->setting,
                        "spec: \"af_xdp:eth0,generic\"");
    m->nic.has_xdp_features = false;
    (void)expect(m, "xdp-mode", DOCTOR_NOTE, "does not say", "");
    machine_port(m, "af_xdp:eth0,generic");
    (void)expect(m, "xdp-mode", DOCTOR_NOTE, "generic XDP is configured", "");
    m->nic.has_xdp_features = true;
    m->nic.xdp_features = DOCTOR_XDP_BASIC | DOCTOR_XDP_REDIRECT;
    assert_string_equal(
        expect(m, "xdp-mode", DOCTOR_WARNING, "though its driver", "")->setting,
        "spec: \"af_xdp:eth0\"");
}

static void xdp__offload_in_the_way(void **state)
{
    struct machine *m = *state;

    m->nic.lro = true;
    (void)expect(m, "large-receive", DOCTOR_WARNING, "LRO", "ethtool -K eth0 lro off");
    machine_port(m, "af_xdp:eth0,generic");
    assert_null(machine_look(m, "large-receive"));
}

static void xdp__mtu(void **state)
{
    struct machine *m = *state;

    m->nic.mtu = 9000;
    (void)expect(m, "mtu", DOCTOR_WARNING, "the interface's mtu is 9000",
                 "ip link set dev eth0 mtu 1500");
    m->config.ports[0].mtu = 9000;
    (void)expect(m, "mtu", DOCTOR_ERROR, "does not fit a page", "");
    m->nic.mtu = 1500;
    m->config.ports[0].mtu = 1600;
    const struct doctor_finding *f =
        expect(m, "mtu", DOCTOR_ERROR, "the port's mtu is 1600, the interface's 1500",
               "ip link set dev eth0 mtu 1600");
    assert_string_equal(f->setting, "mtu: 1500");
    m->config.ports[0].mtu = m->nic.mtu = 3000;
    (void)expect(m, "mtu", DOCTOR_OK, "3000", "");
}

static void xdp__queues(void **state)
{
    struct machine *m = *state;

    m->nic.queues = 4;
    (void)expect(m, "queues", DOCTOR_NOTE, "4 queues, the node 1 lane",
                 "ethtool -L eth0 combined 1");
    m->nic.queues = 1;
    m->config.lanes = 2;
    m->config.cores[1] = 2;
    assert_string_equal(expect(m, "queues", DOCTOR_ERROR, "1 queue, the node 2 lanes",
                               "ethtool -L eth0 combined 2")
                            ->setting,
                        "lanes: 1");
    m->nic.queues_max = 1;
    (void)expect(m, "queues", DOCTOR_ERROR, "1 queue, the node 2 lanes", "");
    m->nic.queues = 65;
    (void)expect(m, "queues", DOCTOR_ERROR, "more than 64", "ethtool -L eth0 combined 2");
}

static void xdp__rings(void **state)
{
    struct machine *m = *state;

    m->nic.rx_ring = 256;
    assert_string_equal(
        expect(m, "rings", DOCTOR_WARNING, "256 packets to receive",
               "ethtool -G eth0 rx 2048 tx 2048")
            ->cost,
        "the kernel loses packets when it comes 17 us late at 10 Gbit/s of "
        "64-byte packets (14.88 M/s)");
    m->nic.rx_ring_max = 256;
    (void)expect(m, "rings", DOCTOR_OK, "256", "");
    m->nic.rx_ring = 0;
    assert_null(machine_look(m, "rings"));
}

static void xdp__interrupt_delay(void **state)
{
    struct machine *m = *state;
    const char *command = "ethtool -C eth0 adaptive-rx off rx-usecs 0";

    m->nic.rx_usecs = 50;
    (void)expect(m, "interrupt-delay", DOCTOR_WARNING, "for 50 us", command);
    m->nic.rx_usecs = 5;
    (void)expect(m, "interrupt-delay", DOCTOR_OK, "5 us", "");
    m->nic.adaptive_rx = true;
    (void)expect(m, "interrupt-delay", DOCTOR_WARNING, "adaptive-rx", command);
}

static void xdp__rss(void **state)
{
    struct machine *m = *state;

    m->nic.table = 128;
    m->nic.table_queues = 1;
    m->nic.has_udp_hash = true;
    assert_null(machine_look(m, "rss-table")); /* one queue */
    m->nic.queues = 2;
    (void)expect(m, "rss-ports", DOCTOR_WARNING, "by addresses only",
                 "ethtool -N eth0 rx-flow-hash udp4 sdfn");
    (void)expect(m, "rss-table", DOCTOR_WARNING, "names 1 of 2 queues",
                 "ethtool -X eth0 equal 2");
    m->nic.table_queues = 2;
    m->nic.udp_ports_hashed = true;
    (void)expect(m, "rss-table", DOCTOR_OK, "128 entries for 2 queues", "");
    assert_null(machine_look(m, "rss-ports"));
}

static void xdp__its_interrupts(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/proc/irq/40/effective_affinity_list", "3\n");
    assert_non_null(
        strstr(expect(m, "port-interrupts", DOCTOR_WARNING, "interrupt 40 comes",
                      "for i in 40; do echo 0-2 >/proc/irq/$i/smp_affinity_list; done")
                   ->cost,
               "2000 us"));
    /* A virtio device lies in its PCI device. */
    machine_put(m, DEVICE "virtio2/x", "\n");
    machine_link(m, "/sys/class/net/eth0/device",
                 "../../../bus/pci/devices/0000:03:00.0/virtio2");
    (void)expect(m, "port-interrupts", DOCTOR_WARNING, "interrupt 40 comes",
                 "for i in 40; do echo 0-2 >/proc/irq/$i/smp_affinity_list; done");
}

static void xdp__far_memory(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/sys/devices/system/node/online", "0,2\n");
    machine_put(m, "/sys/devices/system/node/node0/cpulist", "0-1\n");
    machine_put(m, "/sys/devices/system/node/node2/cpulist", "2-3\n");
    machine_put(m, "/sys/devices/system/node/node2/distance", "21 10\n");
    const struct doctor_finding *f =
        expect(m, "numa-placement", DOCTOR_WARNING,
               "the device is on NUMA node 0, the cores of lane 0 are not", "");
    assert_non_null(strstr(f->cost, "2.1 times as far"));
    assert_string_equal(f->setting, "cores: [1]");
    machine_put(m, DEVICE "numa_node", "2\n");
    (void)expect(m, "numa-placement", DOCTOR_OK, "NUMA node, 2", "");
    machine_put(m, DEVICE "numa_node", "-1\n");
    assert_null(machine_look(m, "numa-placement"));
}

static void xdp__pci_link(void **state)
{
    struct machine *m = *state;

    machine_put(m, DEVICE "current_link_width", "4\n");
    assert_string_equal(
        expect(m, "pcie-link", DOCTOR_WARNING, "4 lanes of 8.0 GT/s", "")->cost,
        "at most about 32 Gbit/s to and from it instead of 64");
    machine_put(m, DEVICE "current_link_speed", "Unknown\n");
    assert_null(machine_look(m, "pcie-link"));
}

static void xdp__iommu_translates(void **state)
{
    struct machine *m = *state;

    machine_put(m, "/sys/kernel/iommu_groups/7/type", "DMA\n");
    assert_non_null(
        strstr(expect(m, "iommu-mode", DOCTOR_NOTE, "(DMA)", "")->cost, "halve"));
    machine_put(m, "/sys/kernel/iommu_groups/7/type", "DMA-FQ\n");
    (void)expect(m, "iommu-mode", DOCTOR_NOTE, "(DMA-FQ)", "");
}

/* ---- ethdev ---- */

static void pci__good(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:03:00.0,some=thing");
    (void)expect(m, "driver-binding", DOCTOR_OK, "vfio-pci", "");
    assert_string_equal(expect(m, "iommu", DOCTOR_OK, "group 7, alone", "")->subject,
                        "0000:03:00.0");
    (void)expect(m, "vfio", DOCTOR_OK, "/dev/vfio/7", "");
    (void)expect(m, "pcie-link", DOCTOR_OK, "8 lanes", "");
}

static void pci__no_such_device(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:04:00.0");
    (void)expect(m, "pci-device", DOCTOR_ERROR, "no PCI device at 0000:04:00.0", "");
}

static void pci__kernels_driver(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_link(m, DEVICE "driver", "../../drivers/ixgbe");
    m->nic.has_address = false;
    assert_non_null(strstr(expect(m, "driver-binding", DOCTOR_ERROR,
                                  "driver ixgbe has the device, as interface eth0", BIND)
                               ->remedy,
                           "interface eth0 is gone then"));
    machine_remove(m, DEVICE "driver");
    machine_remove(m, DEVICE "net");
    (void)expect(
        m, "driver-binding", DOCTOR_ERROR, "no driver",
        "modprobe vfio-pci && echo vfio-pci "
        ">/sys/bus/pci/devices/0000:03:00.0/driver_override && echo 0000:03:00.0 "
        ">/sys/bus/pci/drivers_probe");
}

static void stays(struct machine *m, const char *why)
{
    const struct doctor_finding *f =
        expect(m, "driver-binding", DOCTOR_ERROR, "the kernel's driver", "");

    if (strstr(f->remedy, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, f->remedy);
}

/* Nobody is cut off from his machine. */
static void pci__interface_in_use(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_link(m, DEVICE "driver", "../../drivers/ixgbe");
    stays(m, "eth0 has an address");
    m->nic.has_address = false;
    machine_put(m, "/proc/net/route",
                "Iface\tDestination\tGateway\n"
                "eth01\t00000000\t0100000A\n");
    machine_put(
        m, "/proc/net/ipv6_route",
        "fe800000000000000000000000000000 40 00 00 00 00 01 01 00 00 1     eth0\n"
        "ff000000000000000000000000000000 08 00 00 00 00 01 01 00 00 1     eth0\n"
        "00000000000000000000000000000000 00 00 00 00 00 01 01 00 00 1       lo\n");
    (void)expect(m, "driver-binding", DOCTOR_ERROR, "driver ixgbe", BIND);
    machine_put(m, "/proc/net/route",
                "Iface\tDestination\tGateway\n"
                "eth1\t0000000A\t00000000\n"
                "eth0\t0000000A\t00000000\n");
    stays(m, "eth0 has a route");
    machine_remove(m, "/proc/net/route");
    machine_put(
        m, "/proc/net/ipv6_route",
        "00000000000000000000000000000000 00 00 00 00 00 01 01 00 00 1     eth0\n");
    stays(m, "eth0 has a route");
    machine_remove(m, "/proc/net/ipv6_route");
    machine_put(m, "/sys/class/net/eth0/upper_vlan7/x", "\n");
    stays(m, "eth0 is part of a bridge");
    machine_remove(m, "/sys/class/net/eth0/upper_vlan7");
    machine_put(m, "/sys/class/net/eth0/master/x", "\n");
    stays(m, "eth0 is part of a bridge");
    machine_remove(m, "/sys/class/net/eth0/master");
    (void)expect(m, "driver-binding", DOCTOR_ERROR, "driver ixgbe", BIND);
    machine_put(m, DEVICE "net/eth9/mtu", "1500\n"); /* its other interface */
    stays(m, "eth9 cannot be looked at");
}

/* A disk, or an interface in another namespace; and where virtio has its interface. */
static void pci__no_interface_to_be_seen(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_link(m, DEVICE "driver", "../../drivers/virtio-pci");
    machine_remove(m, DEVICE "net");
    stays(m, "no network interface here");
    machine_put(m, DEVICE "virtio2/net/eth0/mtu", "1500\n");
    stays(m, "eth0 has an address");
    m->nic.has_address = false;
    (void)expect(m, "driver-binding", DOCTOR_ERROR, "as interface eth0", BIND);
}

static void pci__shared_driver(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_link(m, DEVICE "driver", "../../drivers/mlx5_core");
    (void)expect(m, "driver-binding", DOCTOR_ERROR, "no verbs",
                 "modprobe -a ib_uverbs mlx5_ib");
    machine_put(m, DEVICE "infiniband/mlx5_0/x", "\n");
    (void)expect(m, "driver-binding", DOCTOR_OK, "mlx5_core", "");
}

static void pci__uio(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_link(m, DEVICE "driver", "../../drivers/igb_uio");
    (void)machine_look(m, "");
    assert_int_equal(machine_look(m, "driver-binding")->severity, DOCTOR_WARNING);
}

static void pci__no_iommu(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_remove(m, DEVICE "iommu_group");
    machine_put(m, "/etc/default/grub.d/x", "\n");
    (void)expect(m, "iommu", DOCTOR_ERROR, "behind no IOMMU",
                 "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX intel_iommu=on\"' "
                 ">/etc/default/grub.d/proa-intel_iommu.cfg && update-grub");
    machine_put(m, "/proc/cpuinfo", "flags : constant_tsc nonstop_tsc hypervisor\n");
    (void)expect(m, "iommu", DOCTOR_ERROR, "behind no IOMMU", "");
}

static void pci__others_in_its_group(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_put(m, "/sys/kernel/iommu_groups/7/devices/0000:00:01.0", "\n");
    machine_link(m, "/sys/bus/pci/devices/0000:00:01.0/driver", "../../drivers/pcieport");
    (void)expect(m, "iommu", DOCTOR_OK, "alone", "");
    machine_put(m, "/sys/kernel/iommu_groups/7/devices/0000:03:00.1", "\n");
    machine_link(m, "/sys/bus/pci/devices/0000:03:00.1/driver", "../../drivers/igb");
    (void)expect(m, "iommu-group", DOCTOR_ERROR, "0000:03:00.1, which driver igb holds",
                 ""); /* it may be the machine's disk, or its way to the world */
}

static void pci__group_file(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_remove(m, "/dev/vfio/7");
    (void)expect(m, "vfio", DOCTOR_ERROR, "/dev/vfio/7 is missing",
                 "modprobe vfio-pci && chown 0 /dev/vfio/7");
}

static void pci__link_sleeps(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:0000:03:00.0");
    machine_put(m, "/sys/module/pcie_aspm/parameters/policy",
                "default performance [powersupersave]\n");
    (void)expect(m, "pcie-power", DOCTOR_WARNING, "powersupersave",
                 "echo performance >/sys/module/pcie_aspm/parameters/policy");
    machine_put(m, "/sys/module/pcie_aspm/parameters/policy", "[default] performance\n");
    assert_null(machine_look(m, "pcie-power"));
}

static void vdev__its_interface(void **state)
{
    struct machine *m = *state;

    machine_port(m, "ethdev:net_af_packet0,iface=eth0");
    (void)expect(m, "port-kind", DOCTOR_NOTE, "virtual device", "");
    m->nic.up = false;
    (void)expect(m, "interface", DOCTOR_ERROR, "it is down", "ip link set dev eth0 up");
    machine_port(m, "ethdev:net_af_packet0,iface=eth7");
    (void)expect(m, "interface", DOCTOR_ERROR, "no such interface", "");
    machine_port(m, "ethdev:net_tap0,iface=tap0"); /* it makes its own */
    assert_null(machine_look(m, "interface"));
    assert_null(machine_look(m, "locked-memory"));
}

static void ethdev__what_is_no_address(void **state)
{
    static const char *const words[] = {
        "",           "0000:03:00",   "0000:03:00.00", "zz:00.0", "00000:3:00.0",
        "../../eth0", "0000/03/00.0", "ixgbe"};
    struct machine *m = *state;
    char spec[64];

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        snprintf(spec, sizeof(spec), "ethdev:%s", words[i]);
        machine_port(m, spec);
        (void)expect(m, "port-kind", DOCTOR_NOTE, "not looked at", "");
        assert_null(machine_look(m, "pci-device"));
    }
}

/* ---- Others ---- */

static void udp__buffers(void **state)
{
    struct machine *m = *state;

    machine_port(m, "udp:127.0.0.1:7400");
    (void)expect(m, "port-kind", DOCTOR_NOTE, "network stack", "");
    (void)expect(m, "udp-buffers", DOCTOR_OK, "gets the buffers", "");
    m->system.capabilities = 0;
    machine_put(m, "/proc/sys/net/core/rmem_max", "212992\n");
    machine_put(m, "/proc/sys/net/core/wmem_max", "4194304\n");
    assert_non_null(
        strstr(expect(m, "udp-buffers", DOCTOR_WARNING, "may have 208 and 4096 KiB",
                      "sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304")
                   ->cost,
               "170 us"));
}

static void other_kinds(void **state)
{
    struct machine *m = *state;

    machine_port(m, "vhost:listen=/tmp/x");
    (void)expect(m, "port-kind", DOCTOR_OK, "memory only", "");
}

static void no_configuration__says_what_ports_would_need(void **state)
{
    static const char *const wanted[] = {"iommu", "bpf-rights", "locked-memory",
                                         "bpf-jit"};
    struct machine *m = *state;

    m->config.port_count = 0;
    m->system.capabilities = 0;
    machine_put(m, "/proc/sys/net/core/bpf_jit_enable", "1\n");
    for (unsigned i = 0; i < 4; i++)
        assert_null(machine_look(m, wanted[i]));
    memset(m->report, 0, sizeof(*m->report));
    doctor_examine(&m->system, &m->config, false, m->report);
    for (unsigned i = 0; i < 4; i++) {
        bool there = false;
        for (unsigned j = 0; j < m->report->count; j++)
            there |= strcmp(m->report->findings[j].check, wanted[i]) == 0;
        assert_true(there);
    }
    assert_int_equal(doctor_exit_status(m->report), DOCTOR_EXIT_OK);
}

#define MACHINE_TEST(name)                                                               \
    cmocka_unit_test_setup_teardown(name, machine_good, machine_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(xdp__interface_is_not_there),
        MACHINE_TEST(xdp__interface_is_down_or_another_kind),
        MACHINE_TEST(xdp__address),
        MACHINE_TEST(xdp__rights),
        MACHINE_TEST(xdp__kernel_too_old),
        MACHINE_TEST(xdp__program_of_another),
        MACHINE_TEST(xdp__mode),
        MACHINE_TEST(xdp__offload_in_the_way),
        MACHINE_TEST(xdp__mtu),
        MACHINE_TEST(xdp__queues),
        MACHINE_TEST(xdp__rings),
        MACHINE_TEST(xdp__interrupt_delay),
        MACHINE_TEST(xdp__rss),
        MACHINE_TEST(xdp__its_interrupts),
        MACHINE_TEST(xdp__far_memory),
        MACHINE_TEST(xdp__pci_link),
        MACHINE_TEST(xdp__iommu_translates),
        MACHINE_TEST(pci__good),
        MACHINE_TEST(pci__no_such_device),
        MACHINE_TEST(pci__kernels_driver),
        MACHINE_TEST(pci__interface_in_use),
        MACHINE_TEST(pci__no_interface_to_be_seen),
        MACHINE_TEST(pci__shared_driver),
        MACHINE_TEST(pci__uio),
        MACHINE_TEST(pci__no_iommu),
        MACHINE_TEST(pci__others_in_its_group),
        MACHINE_TEST(pci__group_file),
        MACHINE_TEST(pci__link_sleeps),
        MACHINE_TEST(vdev__its_interface),
        MACHINE_TEST(ethdev__what_is_no_address),
        MACHINE_TEST(udp__buffers),
        MACHINE_TEST(other_kinds),
        MACHINE_TEST(no_configuration__says_what_ports_would_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
