/* SPDX-License-Identifier: Apache-2.0 */
/* ethdev:DEVARGS: a PCI device that is named by its address, or a virtual one. */
#include <stdio.h>
#include <stdlib.h>

#include "doctor_internal.h"

#define PCI_TEXT 16 /* "0000:03:00.0" */
#define PCI "/sys/bus/pci/devices/"
#define PROBE "/sys/bus/pci/drivers_probe"

struct pci {
    char address[PCI_TEXT];
    char driver[64];       /* "": none */
    char interfaces[64];   /* the kernel's, when its driver has some: "eth0, eth1" */
    unsigned interface_nr; /* how many these are, of which the first are named */
    char used[128]; /* why one of them cannot go: "eth0 has a route"; "": all can */
    int64_t group;  /* of the IOMMU; -1 */
};

/* ---- The address ---- */

/* Takes hexadecimal digits and the character behind them. */
static bool take_hex(const char **at, unsigned digits, char behind)
{
    for (unsigned i = 0; i < digits; i++, *at += 1) {
        if (strchr("0123456789abcdefABCDEF", **at) == NULL || **at == '\0')
            return false;
    }
    return *(*at)++ == behind;
}

/* "0000:03:00.0" or "03:00.0", of which only digits come through. */
static bool read_address(const char *text, size_t len, char ret[PCI_TEXT])
{
    char full[PCI_TEXT];
    const char *at = full;

    if (len != 12 && len != 7)
        return false;
    snprintf(full, sizeof(full), "%s%.*s", len == 7 ? "0000:" : "", (int)len, text);
    if (!take_hex(&at, 4, ':') || !take_hex(&at, 2, ':') || !take_hex(&at, 2, '.') ||
        !take_hex(&at, 1, '\0'))
        return false;
    for (char *c = full; *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
    memcpy(ret, full, PCI_TEXT);
    return true;
}

/* ---- The IOMMU ---- */

static void say_no_iommu(struct doctor *d, const struct pci *pci)
{
    struct doctor_finding *f = doctor_add(d, "iommu", DOCTOR_ERROR, "%s", pci->address);

    doctor_say(f->cause, "the device is behind no IOMMU: there is none, or it is off");
    doctor_say(f->cost,
               "the node does not start: without one a device could write anywhere, "
               "and vfio-pci does not give it to a program");
    if (d->guest)
        doctor_say(f->remedy, "have the hypervisor offer a virtual IOMMU, or use the "
                              "interface by af_xdp");
    else {
        /* Intel's is off unless asked for; AMD's parameter does no harm there. */
        doctor_kernel_param(d, f, "intel_iommu", "intel_iommu=on");
        size_t used = strlen(f->remedy);
        snprintf(f->remedy + used, sizeof(f->remedy) - used,
                 "; and VT-d or AMD-Vi in the firmware");
    }
}

struct group_look {
    struct doctor *d;
    const struct pci *pci;
    unsigned others;
};

/* Bridges stay with the kernel; all others of a group go together. */
static bool look_at_member(void *ctx, const char *name)
{
    struct group_look *look = ctx;
    char driver[64];

    if (strcmp(name, look->pci->address) == 0 ||
        !doctor_target(look->d->system, driver, sizeof(driver), PCI "%s/driver", name) ||
        strcmp(driver, "vfio-pci") == 0 || strcmp(driver, "pcieport") == 0 ||
        strcmp(driver, "pci-stub") == 0)
        return true;
    look->others++;
    if (look->others > 4)
        return false;
    struct doctor_finding *f =
        doctor_add(look->d, "iommu-group", DOCTOR_ERROR, "%s", look->pci->address);
    doctor_say(f->cause, "its IOMMU group %d has also %s, which driver %s holds",
               (int)look->pci->group, name, driver);
    doctor_say(f->cost,
               "the node does not start: vfio gives a group to a program as a whole");
    /* No command: what the machine does with that device, nobody has looked at. */
    doctor_say(f->remedy, "bind that device to vfio-pci too, if nothing on this machine "
                          "needs it; else put the card into another slot");
    return true;
}

static void check_group(struct doctor *d, struct pci *pci)
{
    struct group_look look = {.d = d, .pci = pci};
    char text[32], *end;

    pci->group = -1;
    if (doctor_target(d->system, text, sizeof(text), PCI "%s/iommu_group",
                      pci->address)) {
        pci->group = strtol(text, &end, 10);
        if (end == text || *end != '\0' || pci->group < 0 || pci->group > 1 << 20)
            pci->group = -1;
    }
    if (pci->group < 0) {
        say_no_iommu(d, pci);
        return;
    }
    (void)doctor_entries(d->system, look_at_member, &look,
                         "/sys/kernel/iommu_groups/%d/devices", (int)pci->group);
    if (look.others == 0)
        doctor_ok(d, "iommu", pci->address, "group %d, alone in it", (int)pci->group);
}

/* ---- The driver ---- */

struct driver_look {
    struct doctor *d;
    struct pci *pci;
};

static bool take_interface(void *ctx, const char *name)
{
    struct driver_look *look = ctx;
    struct pci *pci = look->pci;
    size_t used = strlen(pci->interfaces);
    const char *why = doctor_interface_used(look->d, name);

    if (used + strlen(name) + 3 <= sizeof(pci->interfaces))
        snprintf(pci->interfaces + used, sizeof(pci->interfaces) - used, "%s%s",
                 used > 0 ? ", " : "", name);
    pci->interface_nr++;
    if (why != NULL && pci->used[0] == '\0')
        snprintf(pci->used, sizeof(pci->used), "%.15s %s", name, why);
    return true;
}

/* A virtio device, and with it the interface, lies in its PCI device. */
static bool take_virtio(void *ctx, const char *name)
{
    struct driver_look *look = ctx;

    if (strncmp(name, "virtio", 6) == 0)
        (void)doctor_entries(look->d->system, take_interface, look, PCI "%s/%s/net",
                             look->pci->address, name);
    return true;
}

/* Drivers that only give a device away. */
static bool is_uio(const char *driver)
{
    return strcmp(driver, "uio_pci_generic") == 0 || strcmp(driver, "igb_uio") == 0;
}

/* Whether a command may take the device from its driver; else it says what there is to do. */
static bool may_unbind(const struct pci *pci, struct doctor_finding *f)
{
    if (pci->driver[0] == '\0' || is_uio(pci->driver))
        return true;
    if (pci->interface_nr == 0) {
        doctor_say(f->remedy,
                   "bind it to vfio-pci, if it is the device that is meant: it has no "
                   "network interface here, so it may be of another kind, or another "
                   "network namespace uses it");
        return false;
    }
    if (pci->used[0] != '\0') {
        doctor_say(f->remedy,
                   "another device, since this one's interface is in use: %s; or a port "
                   "af_xdp, which leaves it",
                   pci->used);
        return false;
    }
    doctor_say(f->remedy, "bind it to vfio-pci; its interface%s %s %s gone then",
               pci->interface_nr == 1 ? "" : "s", pci->interfaces,
               pci->interface_nr == 1 ? "is" : "are");
    return true;
}

static void say_bind(const struct pci *pci, struct doctor_finding *f)
{
    const char *a = pci->address;

    if (!may_unbind(pci, f))
        return;
    doctor_command(f, "modprobe vfio-pci && echo vfio-pci >" PCI "%s/driver_override && ",
                   a);
    char *rest = f->command + strlen(f->command);
    size_t room =
        sizeof(f->command) - strlen(f->command); /* enough: all parts are short */
    if (pci->driver[0] != '\0')
        snprintf(rest, room, "echo %s >" PCI "%s/driver/unbind && echo %s >" PROBE, a, a,
                 a);
    else
        snprintf(rest, room, "echo %s >" PROBE, a);
}

static void say_kernel_driver(struct doctor *d, const struct pci *pci)
{
    struct doctor_finding *f =
        doctor_add(d, "driver-binding", DOCTOR_ERROR, "%s", pci->address);

    if (pci->driver[0] != '\0')
        doctor_say(f->cause, "the kernel's driver %s has the device%s%s", pci->driver,
                   pci->interfaces[0] != '\0' ? ", as interface " : "", pci->interfaces);
    else
        doctor_say(f->cause, "no driver has the device");
    doctor_say(f->cost, "the node does not start: DPDK takes devices from vfio-pci");
    say_bind(pci, f);
}

/* Mellanox's and Microsoft's stay with the kernel's driver and are shared by verbs. */
static void check_shared_driver(struct doctor *d, const struct pci *pci)
{
    struct doctor_finding *f;

    if (doctor_there(d->system, PCI "%s/infiniband", pci->address)) {
        doctor_ok(d, "driver-binding", pci->address,
                  "%s, which shares it with the kernel", pci->driver);
        return;
    }
    f = doctor_add(d, "driver-binding", DOCTOR_ERROR, "%s", pci->address);
    doctor_say(f->cause,
               "the device has driver %s but no verbs: its RDMA half is not loaded",
               pci->driver);
    doctor_say(f->cost, "the node does not start: DPDK drives this device by verbs");
    doctor_command(f, "modprobe -a ib_uverbs %s",
                   strcmp(pci->driver, "mana") == 0        ? "mana_ib"
                   : strcmp(pci->driver, "mlx4_core") == 0 ? "mlx4_ib"
                                                           : "mlx5_ib");
}

static void check_vfio(struct doctor *d, struct pci *pci)
{
    struct doctor_finding *f;

    doctor_ok(d, "driver-binding", pci->address, "vfio-pci");
    check_group(d, pci);
    if (pci->group < 0)
        return;
    if (doctor_usable(d->system, "/dev/vfio/%d", (int)pci->group)) {
        doctor_ok(d, "vfio", pci->address, "/dev/vfio/%d is ours to open",
                  (int)pci->group);
        return;
    }
    f = doctor_add(d, "vfio", DOCTOR_ERROR, "%s", pci->address);
    doctor_say(f->cause, "/dev/vfio/%d is missing, or not for this user to open",
               (int)pci->group);
    doctor_say(f->cost, "the node does not start");
    doctor_say(f->remedy,
               "give it to the user who runs the node, or pass it into the container");
    doctor_command(f, "modprobe vfio-pci && chown %u /dev/vfio/%d", d->system->uid,
                   (int)pci->group);
}

static void check_driver(struct doctor *d, struct pci *pci)
{
    const char *driver = pci->driver;
    struct driver_look look = {.d = d, .pci = pci};

    (void)doctor_target(d->system, pci->driver, sizeof(pci->driver), PCI "%s/driver",
                        pci->address);
    (void)doctor_entries(d->system, take_interface, &look, PCI "%s/net", pci->address);
    (void)doctor_entries(d->system, take_virtio, &look, PCI "%s", pci->address);
    if (strcmp(driver, "vfio-pci") == 0) {
        check_vfio(d, pci);
    } else if (strcmp(driver, "mlx5_core") == 0 || strcmp(driver, "mlx4_core") == 0 ||
               strcmp(driver, "mana") == 0) {
        check_shared_driver(d, pci);
    } else if (is_uio(driver)) {
        struct doctor_finding *f =
            doctor_add(d, "driver-binding", DOCTOR_WARNING, "%s", pci->address);
        doctor_say(f->cause, "driver %s gives the device to programs without an IOMMU",
                   driver);
        doctor_say(f->cost,
                   "no latency, but no protection: a wrong descriptor overwrites any "
                   "memory, and the node must be root");
        say_bind(pci, f);
    } else {
        say_kernel_driver(d, pci);
        check_group(d, pci);
    }
}

/* ---- Power of the link ---- */

static void check_aspm(struct doctor *d, const struct pci *pci)
{
    char policy[32];

    if (!doctor_choice(d->system, policy, sizeof(policy),
                       "/sys/module/pcie_aspm/parameters/policy") ||
        strncmp(policy, "power", 5) != 0)
        return;
    struct doctor_finding *f =
        doctor_add(d, "pcie-power", DOCTOR_WARNING, "%s", pci->address);
    doctor_say(f->cause, "PCI Express links may sleep (ASPM policy %s)", policy);
    doctor_say(f->cost,
               "the first packet after a pause waits for the link: 1 to 64 us from "
               "L1, by the device's own word (lspci -vv, LnkCap)");
    doctor_command(f, "echo performance >/sys/module/pcie_aspm/parameters/policy");
}

static void check_pci(struct doctor *d, struct pci *pci)
{
    char path[64];

    if (!doctor_there(d->system, PCI "%s", pci->address)) {
        struct doctor_finding *f =
            doctor_add(d, "pci-device", DOCTOR_ERROR, "%s", pci->address);
        doctor_say(f->cause, "there is no PCI device at %s", pci->address);
        doctor_say(f->cost, "the node does not start");
        doctor_say(f->remedy, "one of those in: lspci -D -d ::0200");
        return;
    }
    snprintf(path, sizeof(path), PCI "%s", pci->address);
    check_driver(d, pci);
    doctor_placement(d, pci->address, path);
    doctor_pci_link(d, pci->address, path);
    check_aspm(d, pci);
}

/* ---- Virtual devices ---- */

/* The interface that DEVARGS name: "...,iface=eth0,...". */
static bool named_interface(const char *devargs, char ret[16])
{
    const char *at = strstr(devargs, ",iface=");
    size_t len;

    if (at == NULL)
        return false;
    at += strlen(",iface=");
    len = strcspn(at, ",");
    if (len == 0 || len > 15)
        return false;
    memcpy(ret, at, len);
    ret[len] = '\0';
    return true;
}

static void check_virtual(struct doctor *d, const char *name, const char *devargs)
{
    struct doctor_nic nic;
    char interface[16];
    struct doctor_finding *f;

    /* net_tap makes its interface. */
    if (named_interface(devargs, interface) && strncmp(name, "net_tap", 7) != 0) {
        bool there = d->system->nic(d->system->ctx, interface, "", &nic);
        if (!there || !nic.up) {
            f = doctor_add(d, "interface", DOCTOR_ERROR, "%s", interface);
            doctor_say(f->cause,
                       there ? "it is down" : "there is no such interface here");
            doctor_say(f->cost, "the node does not start");
            if (!there)
                doctor_say(f->remedy, "one of those in: ip -brief link");
            else if (doctor_plain(interface))
                doctor_command(f, "ip link set dev %s up", interface);
            return;
        }
    }
    f = doctor_add(d, "port-kind", DOCTOR_NOTE, "%s", name);
    doctor_say(f->cause, "a virtual device of DPDK: its packets go through the kernel");
    doctor_say(f->cost,
               "system calls and copies, a microsecond or more a packet each way");
    doctor_say(f->remedy, "a PCI address, or af_xdp:INTERFACE");
}

void doctor_check_ethdev(struct doctor *d, const struct proa_port_config *port)
{
    const char *devargs = port->spec + strlen("ethdev:");
    size_t len = strcspn(devargs, ",");
    struct pci pci = {.group = -1};
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)len, devargs);
    if (read_address(devargs, len, pci.address)) {
        check_pci(d, &pci);
    } else if (strncmp(name, "net_", 4) == 0 || strncmp(name, "eth_", 4) == 0) {
        check_virtual(d, name, devargs);
    } else {
        struct doctor_finding *f = doctor_add(d, "port-kind", DOCTOR_NOTE, "%s", name);
        doctor_say(f->cause, "neither a PCI address nor a virtual device: not looked at");
        doctor_say(f->cost, "none, if DPDK knows it; else the node does not start");
        doctor_say(f->remedy, "a PCI address is written as in lspci -D: 0000:03:00.0");
    }
}
