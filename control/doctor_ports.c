/* SPDX-License-Identifier: Apache-2.0 */
/* Ports by their kind, and what all devices have in common. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "doctor_internal.h"

#define UDP_BUFFER (4 << 20) /* bytes.  Source: BUFFER_BYTES of dataplane/udp_socket.c */
#define LINE_RATE 1250       /* bytes a microsecond: 10 Gbit/s */

/* ---- Where a device is ---- */

/* Lanes' cores on that node, highest first, core 0 last. */
static bool cores_on(const struct doctor *d, int node, char *buf, size_t len)
{
    unsigned wanted = d->report->lanes, found = 0;
    size_t used = 0;

    for (int core = CPU_SETSIZE - 1; core >= 0 && found < wanted; core--) {
        if (!CPU_ISSET((size_t)core, &d->system->allowed) ||
            doctor_node_of(d, core) != node)
            continue;
        int n = snprintf(buf + used, len - used, "%s%d", found > 0 ? ", " : "", core);
        if (n < 0 || (size_t)n >= len - used)
            return false;
        used += (size_t)n;
        found++;
    }
    return found == wanted;
}

static void say_far(struct doctor *d, const char *subject, int node, int other,
                    const char *lanes)
{
    struct doctor_finding *f =
        doctor_add(d, "numa-placement", DOCTOR_WARNING, "%s", subject);
    unsigned distance = doctor_distance(d, other, node);
    char cores[400];

    doctor_say(f->cause, "the device is on NUMA node %d, the cores of %s are not", node,
               lanes);
    if (distance > 10)
        doctor_say(
            f->cost,
            "descriptors and packets cross to the other node: memory there is %.1f "
            "times as far by the firmware's table",
            distance / 10.0);
    else
        doctor_say(f->cost,
                   "descriptors and packets cross to the other node, whose memory "
                   "is farther");
    if (cores_on(d, node, cores, sizeof(cores)))
        doctor_say(f->setting, "cores: [%s]", cores);
    else
        doctor_say(f->remedy,
                   "fewer lanes: node %d has not as many cores for this process", node);
}

void doctor_placement(struct doctor *d, const char *subject, const char *path)
{
    const struct doctor_report *report = d->report;
    char lanes[256] = "";
    int64_t node;
    cpu_set_t nodes;
    int other = -1;
    size_t used = 0;

    if (!doctor_cpus(d->system, &nodes, "/sys/devices/system/node/online") ||
        CPU_COUNT(&nodes) < 2 || !doctor_number(d->system, &node, "%s/numa_node", path) ||
        node < 0 || node >= CPU_SETSIZE)
        return; /* one node, or a device that is nowhere */
    for (unsigned i = 0; i < report->lanes; i++) {
        if (report->node[i] < 0 || report->node[i] == node)
            continue;
        other = report->node[i];
        if (used + 16 < sizeof(lanes))
            used += (size_t)snprintf(lanes + used, sizeof(lanes) - used, "%slane %u",
                                     used > 0 ? ", " : "", i);
    }
    if (other < 0)
        doctor_ok(d, "numa-placement", subject,
                  "the lanes are on its NUMA node, %" PRId64, node);
    else
        say_far(d, subject, (int)node, other, lanes);
}

/* ---- PCI Express ---- */

static bool link_value(const struct doctor *d, const char *path, const char *what,
                       double *ret)
{
    char text[64];

    if (!doctor_word(d->system, text, sizeof(text), "%s/%s", path, what))
        return false;
    *ret = strtod(text, NULL); /* "8.0 GT/s PCIe", "16", "Unknown" */
    return *ret > 0 && *ret <= 1024;
}

void doctor_pci_link(struct doctor *d, const char *subject, const char *path)
{
    double speed, speed_max, width, width_max;

    if (!link_value(d, path, "current_link_speed", &speed) ||
        !link_value(d, path, "max_link_speed", &speed_max) ||
        !link_value(d, path, "current_link_width", &width) ||
        !link_value(d, path, "max_link_width", &width_max))
        return; /* not PCI Express */
    if (speed >= speed_max && width >= width_max) {
        doctor_ok(d, "pcie-link", subject, "%.0f lanes of %.1f GT/s", width, speed);
        return;
    }
    struct doctor_finding *f = doctor_add(d, "pcie-link", DOCTOR_WARNING, "%s", subject);
    doctor_say(f->cause,
               "its PCI Express link has %.0f lanes of %.1f GT/s; the device can do %.0f "
               "of %.1f",
               width, speed, width_max, speed_max);
    doctor_say(f->cost, "at most about %.0f Gbit/s to and from it instead of %.0f",
               width * speed, width_max * speed_max);
    doctor_say(f->remedy, "another slot, or the firmware's settings for this one; see "
                          "lspci -vv (LnkSta)");
}

/* ---- Whether somebody needs an interface ---- */

struct route_search {
    const char *name;
    bool found;
};

/* "eth0 00000000 FE00000A 0003 0 0 0 00000000 ...": tabs, which are spaces by now. */
static bool look_for_route4(void *ctx, char *line)
{
    struct route_search *search = ctx;
    size_t len = strlen(search->name);

    if (strncmp(line, search->name, len) == 0 && line[len] == ' ')
        search->found = true;
    return !search->found;
}

/* Destination, its bits, ..., and the interface as the last word. */
static bool look_for_route6(void *ctx, char *line)
{
    struct route_search *search = ctx;
    const char *name = strrchr(line, ' ');

    if (name != NULL && strcmp(name + 1, search->name) == 0 &&
        strncmp(line, "fe8", 3) != 0 && strncmp(line, "ff", 2) != 0)
        search->found = true;
    return !search->found;
}

static bool has_route(const struct doctor *d, const char *name)
{
    struct route_search search = {.name = name};

    (void)doctor_lines(d->system, look_for_route4, &search, "/proc/net/route");
    if (!search.found)
        (void)doctor_lines(d->system, look_for_route6, &search, "/proc/net/ipv6_route");
    return search.found;
}

static bool look_for_upper(void *ctx, const char *name)
{
    bool *found = ctx;

    *found = strncmp(name, "upper_", 6) == 0;
    return !*found;
}

const char *doctor_interface_used(const struct doctor *d, const char *name)
{
    struct doctor_nic nic;
    bool upper = false;

    if (!doctor_plain(name))
        return "has a name of other characters";
    (void)doctor_entries(d->system, look_for_upper, &upper, "/sys/class/net/%s", name);
    if (upper || doctor_there(d->system, "/sys/class/net/%s/master", name))
        return "is part of a bridge, bond, VLAN or the like";
    if (!d->system->nic(d->system->ctx, name, "", &nic))
        return "cannot be looked at";
    if (nic.has_address)
        return "has an address";
    return has_route(d, name) ? "has a route" : NULL;
}

/* ---- udp ---- */

static bool is_loopback(const char *spec)
{
    return strncmp(spec, "udp:127.", 8) == 0 || strncmp(spec, "udp:[::1]:", 10) == 0;
}

static void check_udp(struct doctor *d, const char *spec)
{
    int64_t rmem = UDP_BUFFER, wmem = UDP_BUFFER;

    (void)doctor_number(d->system, &rmem, "/proc/sys/net/core/rmem_max");
    (void)doctor_number(d->system, &wmem, "/proc/sys/net/core/wmem_max");
    if (doctor_can(d->system, DOCTOR_CAP_NET_ADMIN) ||
        (rmem >= UDP_BUFFER && wmem >= UDP_BUFFER)) {
        doctor_ok(d, "udp-buffers", spec, "its socket gets the buffers it wants");
    } else {
        struct doctor_finding *f =
            doctor_add(d, "udp-buffers", DOCTOR_WARNING, "%s", spec);
        int64_t least = rmem < wmem ? rmem : wmem;

        doctor_say(f->cause,
                   "its socket wants buffers of %d KiB and may have %" PRId64
                   " and %" PRId64 " KiB (net.core.rmem_max, wmem_max)",
                   UDP_BUFFER / 1024, rmem / 1024, wmem / 1024);
        doctor_say(f->cost,
                   "when the lane is away for more than %" PRId64
                   " us at 10 Gbit/s, packets are lost and sent again",
                   (least > 0 ? least : 0) / LINE_RATE);
        doctor_command(f, "sysctl -w net.core.rmem_max=%d net.core.wmem_max=%d",
                       UDP_BUFFER, UDP_BUFFER);
    }
    struct doctor_finding *f = doctor_add(d, "port-kind", DOCTOR_NOTE, "%s", spec);
    doctor_say(f->cause, "a `udp` port goes through the kernel's network stack");
    doctor_say(f->cost,
               "system calls and copies: a microsecond or more a packet each way, "
               "and its latency under load is the kernel's");
    doctor_say(f->remedy, "%s",
               is_loopback(spec)
                   ? "vhost, when the other node is on this machine too"
                   : "af_xdp:INTERFACE on the interface that has the address");
}

/* ---- All ---- */

/* Without a configuration: whether an ethdev port could be had. */
static void check_iommu(struct doctor *d)
{
    bool there = doctor_there(d->system, "/sys/kernel/iommu_groups/0");

    if (there) {
        doctor_ok(d, "iommu", "", "there is one");
        return;
    }
    struct doctor_finding *f = doctor_add(d, "iommu", DOCTOR_NOTE, "%s", "");
    doctor_say(f->cause, "there is no IOMMU, or it is off");
    doctor_say(f->cost,
               "an ethdev port cannot take a PCI device by vfio-pci; all other ports "
               "work");
    doctor_say(f->remedy, d->guest ? "the hypervisor would have to offer one"
                                   : "turn it on in the firmware (VT-d, AMD-Vi), and by "
                                     "kernel parameter intel_iommu=on on Intel");
}

void doctor_check_ports(struct doctor *d)
{
    for (unsigned i = 0; i < d->config->port_count; i++) {
        const struct proa_port_config *port = &d->config->ports[i];

        if (doctor_starts(port->spec, "af_xdp:"))
            doctor_check_xdp(d, port);
        else if (doctor_starts(port->spec, "ethdev:"))
            doctor_check_ethdev(d, port);
        else if (doctor_starts(port->spec, "udp:"))
            check_udp(d, port->spec);
        else
            doctor_ok(d, "port-kind", port->spec,
                      "memory only: nothing of a device to check");
    }
    if (!d->named) {
        check_iommu(d);
        doctor_check_rights(d, "");
    }
}
