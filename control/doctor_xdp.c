/* SPDX-License-Identifier: Apache-2.0 */
/* af_xdp:INTERFACE[,generic]: what its driver, its queues and our rights allow. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "doctor_internal.h"
#include "pool_dpdk.h"
#include "port_af_xdp.h"
#include "xdp/steer.h"

#define OURS "proa_steer"  /* our program.  Source: dataplane/xdp_steer.c */
#define RING_ENOUGH 2048u  /* XSK_FILL of dataplane/xsk.h: more waits nowhere */
#define COALESCE_LITTLE 5u /* us: below the round trip of an ask */
#define PAGE_MTU                                                                         \
    3498u /* a page without the kernel's head and tail, and Ethernet's head */
#define CHUNK_MAX 4096u /* XSK_CHUNK_MAX of dataplane/xsk.h */
#define KERNEL_MAJOR 5  /* BPF links for XDP came with 5.9 */
#define KERNEL_MINOR 9

struct xdp {
    char name[16];
    bool generic;
    bool plain; /* the name may stand in a command */
    char path[64];
    struct doctor_nic nic;
};

static struct doctor_finding *refuse(struct doctor *d, const struct xdp *x,
                                     const char *check)
{
    struct doctor_finding *f = doctor_add(d, check, DOCTOR_ERROR, "%s", x->name);

    doctor_say(f->cost, "the node does not start");
    return f;
}

/* ---- The interface ---- */

static bool read_spec(const char *spec, struct xdp *ret)
{
    const char *at = spec + strlen("af_xdp:");
    size_t len = strcspn(at, ",");

    if (len == 0 || len >= sizeof(ret->name))
        return false;
    memcpy(ret->name, at, len);
    ret->name[len] = '\0';
    ret->generic = strstr(at + len, ",generic") != NULL;
    ret->plain = doctor_plain(ret->name);
    snprintf(ret->path, sizeof(ret->path), "/sys/class/net/%s/device", ret->name);
    return true;
}

static void say_none(struct doctor *d, const struct xdp *x)
{
    struct doctor_finding *f = refuse(d, x, "interface");

    doctor_say(f->cause, "there is no such interface here");
    doctor_say(f->remedy, "one of those in: ip -brief link");
}

/* False: there is no point in going on. */
static bool check_interface(struct doctor *d, const struct proa_port_config *port,
                            const struct xdp *x)
{
    const struct doctor_nic *nic = &x->nic;
    struct doctor_finding *f;
    int64_t carrier = 1;

    if (!nic->ethernet) {
        f = refuse(d, x, "interface");
        doctor_say(f->cause, "it is no Ethernet interface");
        doctor_say(f->remedy, "another interface, or a udp port");
        return false;
    }
    if (!nic->up) {
        f = refuse(d, x, "interface");
        doctor_say(f->cause, "it is down");
        doctor_command(f, "ip link set dev %s up", x->name);
    } else if (doctor_number(d->system, &carrier, "/sys/class/net/%s/carrier", x->name) &&
               carrier == 0) {
        f = doctor_add(d, "interface", DOCTOR_WARNING, "%s", x->name);
        doctor_say(f->cause, "it has no carrier");
        doctor_say(f->cost, "nothing reaches anybody until it has");
        doctor_say(f->remedy, "its cable, or the other end");
    } else {
        doctor_ok(d, "interface", x->name, "up");
    }
    if (!nic->has_address) {
        f = refuse(d, x, "interface-address");
        if (port->address[0] != '\0') {
            doctor_say(f->cause, "%s is not an address of it", port->address);
            doctor_say(f->remedy, "one of those in: ip address show dev %s", x->name);
            if (strspn(port->address, "0123456789abcdefABCDEF.:/") ==
                strlen(port->address))
                doctor_command(f, "ip address add %s dev %s", port->address, x->name);
        } else {
            doctor_say(f->cause, "it has no address");
            doctor_say(f->remedy, "ip address add ADDRESS/BITS dev %s", x->name);
        }
    }
    return true;
}

static void check_mtu(struct doctor *d, const struct proa_port_config *port,
                      const struct xdp *x)
{
    uint32_t mtu = x->nic.mtu;
    struct doctor_finding *f;
    /* A packet's buffer, as the pool makes it. */
    uint16_t held = (uint16_t)((port->mtu > 1500 ? port->mtu : 1500) + PORT_AF_XDP_FRONT);
    uint64_t chunk = pool_dpdk_memory(2, 0, held) - pool_dpdk_memory(1, 0, held);

    if (port->mtu > mtu) {
        f = refuse(d, x, "mtu");
        doctor_say(f->cause, "the port's mtu is %u, the interface's %u", port->mtu, mtu);
        doctor_say(f->setting, "mtu: %u", mtu);
        doctor_command(f, "ip link set dev %s mtu %u", x->name, port->mtu);
        return;
    }
    if (chunk > CHUNK_MAX) {
        f = refuse(d, x, "mtu");
        doctor_say(f->cause,
                   "a packet of mtu %u does not fit a page, which is all AF_XDP takes",
                   port->mtu);
        doctor_say(f->setting, "mtu: 3000");
        return;
    }
    if (mtu <= PAGE_MTU || x->generic) {
        doctor_ok(d, "mtu", x->name, "%u", mtu);
        return;
    }
    f = doctor_add(d, "mtu", DOCTOR_WARNING, "%s", x->name);
    doctor_say(f->cause, "the interface's mtu is %u", mtu);
    doctor_say(f->cost,
               "most drivers take no XDP program when a packet does not fit a page "
               "(about %u bytes), and then the node does not start",
               PAGE_MTU);
    doctor_command(f, "ip link set dev %s mtu 1500", x->name);
}

/* ---- Queues ---- */

static void check_queues(struct doctor *d, const struct xdp *x)
{
    uint32_t have = x->nic.queues, lanes = d->report->lanes;
    struct doctor_finding *f;

    if (have >= lanes && have <= STEER_QUEUES_MAX) {
        if (have == lanes) {
            doctor_ok(d, "queues", x->name, "%u, one a lane", have);
            return;
        }
        f = doctor_add(d, "queues", DOCTOR_NOTE, "%s", x->name);
        doctor_say(f->cause, "it has %u queues, the node %u lane%s", have, lanes,
                   lanes == 1 ? "" : "s");
        doctor_say(f->cost, "a lane polls several queues, each with its own interrupt");
        doctor_command(f, "ethtool -L %s combined %u", x->name, lanes);
        return;
    }
    f = refuse(d, x, "queues");
    if (have > STEER_QUEUES_MAX) {
        doctor_say(f->cause, "it has %u queues, more than %d", have, STEER_QUEUES_MAX);
        doctor_command(f, "ethtool -L %s combined %u", x->name, lanes);
        return;
    }
    doctor_say(f->cause, "it has %u queue%s, the node %u lanes", have,
               have == 1 ? "" : "s", lanes);
    if (x->nic.queues_max >= lanes)
        doctor_command(f, "ethtool -L %s combined %u", x->name, lanes);
    doctor_say(f->setting, "lanes: %u", have > 0 ? have : 1);
}

static void check_rings(struct doctor *d, const struct xdp *x)
{
    const struct doctor_nic *nic = &x->nic;
    uint32_t rx = nic->rx_ring_max < RING_ENOUGH ? nic->rx_ring_max : RING_ENOUGH;
    uint32_t tx = nic->tx_ring_max < RING_ENOUGH ? nic->tx_ring_max : RING_ENOUGH;

    if (nic->rx_ring == 0)
        return; /* the driver has none, or does not say */
    if (nic->rx_ring >= rx && nic->tx_ring >= tx) {
        doctor_ok(d, "rings", x->name, "%u to receive, %u to send", nic->rx_ring,
                  nic->tx_ring);
        return;
    }
    struct doctor_finding *f = doctor_add(d, "rings", DOCTOR_WARNING, "%s", x->name);
    doctor_say(f->cause,
               "its rings hold %u packets to receive and %u to send; %u and %u are "
               "possible",
               nic->rx_ring, nic->tx_ring, nic->rx_ring_max, nic->tx_ring_max);
    doctor_say(
        f->cost,
        "the kernel loses packets when it comes %.0f us late at 10 Gbit/s of 64-byte "
        "packets (14.88 M/s)",
        nic->rx_ring / 14.88);
    doctor_command(f, "ethtool -G %s rx %u tx %u", x->name, rx, tx);
}

static void check_coalescing(struct doctor *d, const struct xdp *x)
{
    const struct doctor_nic *nic = &x->nic;

    if (!nic->has_coalesce)
        return;
    if (nic->rx_usecs <= COALESCE_LITTLE && !nic->adaptive_rx) {
        doctor_ok(d, "interrupt-delay", x->name, "%u us", nic->rx_usecs);
        return;
    }
    struct doctor_finding *f =
        doctor_add(d, "interrupt-delay", DOCTOR_WARNING, "%s", x->name);
    if (nic->adaptive_rx)
        doctor_say(f->cause, "it adapts by itself how long it holds interrupts back "
                             "(adaptive-rx)");
    else
        doctor_say(f->cause, "it holds interrupts back for %u us (rx-usecs)",
                   nic->rx_usecs);
    if (nic->adaptive_rx)
        doctor_say(f->cost, "after a burst, single packets wait up to some 100 us");
    else
        doctor_say(f->cost, "a single packet waits up to %u us, each way", nic->rx_usecs);
    doctor_command(f, "ethtool -C %s adaptive-rx off rx-usecs 0", x->name);
}

static void check_spread(struct doctor *d, const struct xdp *x)
{
    const struct doctor_nic *nic = &x->nic;
    struct doctor_finding *f;

    if (nic->queues < 2 || nic->table == 0)
        return;
    if (nic->has_udp_hash && !nic->udp_ports_hashed) {
        f = doctor_add(d, "rss-ports", DOCTOR_WARNING, "%s", x->name);
        doctor_say(f->cause, "its RSS spreads UDP by addresses only, not by ports");
        doctor_say(f->cost, "all packets of two machines come on one queue, to one lane, "
                            "which hands those of other lanes over");
        doctor_command(f, "ethtool -N %s rx-flow-hash udp4 sdfn", x->name);
    }
    if (nic->table_queues < nic->queues) {
        f = doctor_add(d, "rss-table", DOCTOR_WARNING, "%s", x->name);
        doctor_say(f->cause, "its RSS table names %u of %u queues", nic->table_queues,
                   nic->queues);
        doctor_say(f->cost, "the lanes of the others receive nothing themselves");
        doctor_command(f, "ethtool -X %s equal %u", x->name, nic->queues);
        return;
    }
    doctor_ok(d, "rss-table", x->name, "%u entries for %u queues", nic->table,
              nic->queues);
}

/* ---- XDP ---- */

struct claim {
    char name[32]; /* " @proa-xdp-INDEX".  Source: dataplane/xdp_steer.h */
    bool found;
};

static bool look_for_claim(void *ctx, char *line)
{
    struct claim *claim = ctx;
    size_t len = strlen(line), wanted = strlen(claim->name);

    claim->found = len >= wanted && strcmp(line + len - wanted, claim->name) == 0;
    return !claim->found;
}

static void check_program(struct doctor *d, const struct xdp *x)
{
    const struct doctor_nic *nic = &x->nic;
    struct doctor_finding *f;
    struct claim claim = {.found = false};

    snprintf(claim.name, sizeof(claim.name), " @proa-xdp-%u", nic->index);
    (void)doctor_lines(d->system, look_for_claim, &claim, "/proc/net/unix");
    if (nic->program == 0) {
        doctor_ok(d, "xdp-program", x->name, "no other is attached");
        return;
    }
    if (claim.found || strcmp(nic->program_name, OURS) == 0) {
        f = doctor_add(d, "xdp-program", DOCTOR_NOTE, "%s", x->name);
        doctor_say(f->cause, "a proa node uses it now");
        doctor_say(f->cost,
                   "nothing when it is this configuration's; a second node on the "
                   "interface does not start");
        doctor_say(f->remedy, "an interface of its own for each node");
        return;
    }
    f = refuse(d, x, "xdp-program");
    doctor_say(f->cause, "XDP program \"%s\" (id %u) is attached to it",
               nic->program_name, nic->program);
    /* No command: it may be what guards the machine, or carries its traffic. */
    doctor_say(f->remedy,
               "end its owner (bpftool net, bpftool link), or another interface");
}

static void check_generic(struct doctor *d, const struct xdp *x, bool native)
{
    struct doctor_finding *f =
        doctor_add(d, "xdp-mode", native ? DOCTOR_WARNING : DOCTOR_NOTE, "%s", x->name);

    doctor_say(f->cause, "generic XDP is configured%s",
               native ? ", though its driver has XDP of its own" : "");
    doctor_say(f->cost,
               "the kernel makes a packet of its own of every frame before the program "
               "sees it, and copies it: a microsecond or so each");
    if (native)
        doctor_say(f->setting, "spec: \"af_xdp:%s\"", x->name);
    else
        doctor_say(f->remedy, "an interface whose driver has XDP");
}

static void check_mode(struct doctor *d, const struct xdp *x)
{
    const struct doctor_nic *nic = &x->nic;
    const uint64_t needed = DOCTOR_XDP_BASIC | DOCTOR_XDP_REDIRECT;
    bool native = nic->has_xdp_features && (nic->xdp_features & needed) == needed;
    struct doctor_finding *f;

    if (x->generic) {
        check_generic(d, x, native);
    } else if (!nic->has_xdp_features) {
        f = doctor_add(d, "xdp-mode", DOCTOR_NOTE, "%s", x->name);
        doctor_say(f->cause,
                   "this kernel does not say whether its driver has XDP (6.3 and "
                   "later do)");
        doctor_say(f->cost, "if it has not, the node does not start and says so");
        doctor_say(f->setting, "spec: \"af_xdp:%s,generic\"", x->name);
    } else if (!native) {
        f = refuse(d, x, "xdp-mode");
        doctor_say(f->cause, "its driver has no XDP as it is set up now");
        doctor_say(f->remedy,
                   "generic XDP, which is slower; some drivers have it with other "
                   "offloads or fewer queues");
        doctor_say(f->setting, "spec: \"af_xdp:%s,generic\"", x->name);
    } else if ((nic->xdp_features & DOCTOR_XDP_ZEROCOPY) == 0) {
        f = doctor_add(d, "xdp-mode", DOCTOR_NOTE, "%s", x->name);
        doctor_say(f->cause, "its driver has XDP, but not without copies");
        doctor_say(f->cost,
                   "the kernel copies each packet once each way, and sends when it is "
                   "called");
        doctor_say(f->remedy,
                   "an interface whose driver has zero copy (i40e, ice, ixgbe, igc, "
                   "mlx5 and others)");
    } else {
        doctor_ok(d, "xdp-mode", x->name, "in the driver, without copies");
    }
    if (nic->lro && !x->generic) {
        f = doctor_add(d, "large-receive", DOCTOR_WARNING, "%s", x->name);
        doctor_say(f->cause, "it joins received packets (LRO)");
        doctor_say(f->cost,
                   "drivers take no XDP program meanwhile, and then the node does not "
                   "start");
        doctor_command(f, "ethtool -K %s lro off", x->name);
    }
}

/* ---- Rights ---- */

void doctor_check_rights(struct doctor *d, const char *subject)
{
    const struct doctor_system *system = d->system;
    char missing[96];

    snprintf(missing, sizeof(missing), "%s%s%s",
             doctor_can(system, DOCTOR_CAP_NET_ADMIN) ? "" : " CAP_NET_ADMIN",
             doctor_can(system, DOCTOR_CAP_NET_RAW) ? "" : " CAP_NET_RAW",
             doctor_can(system, DOCTOR_CAP_BPF) ||
                     doctor_can(system, DOCTOR_CAP_SYS_ADMIN)
                 ? ""
                 : " CAP_BPF");
    if (missing[0] == '\0') {
        doctor_ok(d, "bpf-rights", subject, "this process may attach XDP programs");
        return;
    }
    struct doctor_finding *f =
        doctor_add(d, "bpf-rights", d->named ? DOCTOR_ERROR : DOCTOR_NOTE, "%s", subject);
    doctor_say(f->cause, "this process lacks%s", missing);
    doctor_say(f->cost, "%s does not start",
               d->named ? "the node" : "a node with an af_xdp port");
    /* No setcap: the program's file would give them to everybody who may run it. */
    doctor_say(f->remedy,
               "start the node as root with `user` configured, or by systemd with "
               "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_BPF CAP_IPC_LOCK");
}

static void check_kernel(struct doctor *d, const struct xdp *x)
{
    char release[128], *at;
    unsigned long major, minor;

    if (!doctor_word(d->system, release, sizeof(release), "/proc/sys/kernel/osrelease"))
        return;
    major = strtoul(release, &at, 10);
    minor = *at == '.' ? strtoul(at + 1, NULL, 10) : 0;
    if (at == release)
        return;
    if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)) {
        doctor_ok(d, "kernel", x->name, "%lu.%lu has what af_xdp needs", major, minor);
        return;
    }
    struct doctor_finding *f = refuse(d, x, "kernel");
    doctor_say(f->cause, "the kernel is %lu.%lu; af_xdp needs %d.%d", major, minor,
               KERNEL_MAJOR, KERNEL_MINOR);
    doctor_say(f->remedy, "a newer kernel, or a udp port");
}

/* The IOMMU's, which translates for every packet; "identity" does not. */
static void check_translation(struct doctor *d, const struct xdp *x)
{
    char group[32], type[32];

    if (!doctor_target(d->system, group, sizeof(group), "%s/iommu_group", x->path) ||
        strspn(group, "0123456789") != strlen(group) ||
        !doctor_word(d->system, type, sizeof(type), "/sys/kernel/iommu_groups/%s/type",
                     group))
        return;
    if (strncmp(type, "DMA", 3) != 0) {
        doctor_ok(d, "iommu-mode", x->name, "%s", type);
        return;
    }
    struct doctor_finding *f = doctor_add(d, "iommu-mode", DOCTOR_NOTE, "%s", x->name);
    doctor_say(f->cause, "the IOMMU translates the device's addresses (%s)", type);
    doctor_say(f->cost, "%s",
               strcmp(type, "DMA") == 0
                   ? "the driver maps and unmaps buffers with a flush each, which "
                     "can halve its packet rate"
                   : "misses of the IOMMU's own address cache");
    doctor_kernel_param(d, f, "iommu", "iommu=pt");
}

void doctor_check_xdp(struct doctor *d, const struct proa_port_config *port)
{
    struct xdp x = {.generic = false};

    if (!read_spec(port->spec, &x)) {
        struct doctor_finding *f =
            doctor_add(d, "interface", DOCTOR_ERROR, "%s", port->spec);
        doctor_say(f->cause, "it names no interface");
        doctor_say(f->cost, "the node does not start");
        doctor_say(f->remedy, "af_xdp:INTERFACE or af_xdp:INTERFACE,generic");
        return;
    }
    /* A name of other characters would be a path, or a command. */
    if (!x.plain || !d->system->nic(d->system->ctx, x.name, port->address, &x.nic)) {
        say_none(d, &x);
        return;
    }
    if (!check_interface(d, port, &x))
        return;
    doctor_check_rights(d, x.name);
    check_kernel(d, &x);
    check_program(d, &x);
    check_mode(d, &x);
    check_mtu(d, port, &x);
    check_queues(d, &x);
    check_rings(d, &x);
    check_coalescing(d, &x);
    check_spread(d, &x);
    doctor_port_irqs(d, x.name, x.path);
    doctor_placement(d, x.name, x.path);
    doctor_pci_link(d, x.name, x.path);
    check_translation(d, &x);
}
