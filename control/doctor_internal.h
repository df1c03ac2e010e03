/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_internal.h - what the checks of `proa doctor` share.

   doctor.c         the order of the checks; findings
   doctor_memory.c  huge pages, locked memory, swapping
   doctor_cores.c   the lanes' cores: which they are, and that they are theirs alone
   doctor_power.c   how fast these run, and how fast they wake
   doctor_irqs.c    interrupts
   doctor_kernel.c  clock, limits, load, and what the kernel does by itself
   doctor_ports.c   ports by their kind; udp
   doctor_xdp.c     af_xdp:INTERFACE
   doctor_pci.c     ethdev:DEVARGS

   Threads, units, errors: doctor.h. */
#ifndef DOCTOR_INTERNAL_H
#define DOCTOR_INTERNAL_H

#include <string.h>

#include "doctor.h"

/* One examination. */
struct doctor {
    const struct doctor_system *system;
    const struct proa_config *config;
    bool named;
    struct doctor_report *report;
    bool dpdk;                             /* some port needs its memory */
    bool af_xdp;                           /* a port locks its memory for the kernel */
    bool vfio;                             /* ... for a device */
    bool guest;                            /* of a hypervisor */
    bool spins;                            /* idle: spin */
    uint32_t memory_mb;                    /* that it takes */
    cpu_set_t lanes;                       /* cores that have one */
    cpu_set_t claimed;                     /* cores that running nodes have a lane on */
    cpu_set_t offline;                     /* siblings it suggests to take offline */
    cpu_set_t spare;                       /* others the caller may use */
    char lanes_text[128], spare_text[128]; /* "2-3" */
    char lanes_name[136], spare_name[136]; /* "cores 2-3", "core 2" */
};

/* doctor_add begins a finding, without texts but the subject; never NULL. */
struct doctor_finding *doctor_add(struct doctor *d, const char *check,
                                  enum doctor_severity severity, const char *subject, ...)
    __attribute__((format(printf, 4, 5)));

/* doctor_say writes a text of a finding: doctor_say(f->cause, ...).  One that does not fit ends
   in "...". */
void doctor_say(char text[DOCTOR_TEXT_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* doctor_cores_name writes "core 2" or "cores 2-3,5" for sentences. */
void doctor_cores_name(const cpu_set_t *set, char *buf, size_t len);

/* doctor_command does so for a command: one that does not fit is left out, since half a command is
   another one. */
void doctor_command(struct doctor_finding *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* doctor_ok adds a finding of that severity. */
void doctor_ok(struct doctor *d, const char *check, const char *subject,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

static inline bool doctor_starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* doctor_node_of: the NUMA node of a core; -1: not known. */
int doctor_node_of(const struct doctor *d, int core);

/* doctor_distance: how far the memory of node `to` is from `from`, where 10 is its own; 0: not
   known. */
unsigned doctor_distance(const struct doctor *d, int from, int to);

/* doctor_kernel_param suggests a kernel parameter for the lanes' cores or the machine: by command
   where the machine's boot loader is one we know how to tell, else in words.  NAME names the
   file: proa-NAME.cfg. */
void doctor_kernel_param(const struct doctor *d, struct doctor_finding *f,
                         const char *name, const char *param);

/* doctor_placement compares where a device is with where the lanes are.  path is its folder in
   sysfs. */
void doctor_placement(struct doctor *d, const char *subject, const char *path);

/* doctor_pci_link compares its PCI Express link with what device and slot can do. */
void doctor_pci_link(struct doctor *d, const char *subject, const char *path);

/* doctor_port_irqs looks for the device's own interrupts on the lanes' cores. */
void doctor_port_irqs(struct doctor *d, const char *subject, const char *path);

/* doctor_interface_used says what would be lost with the kernel's interface: "has a route"; static
   text.  NULL: nothing that can be seen from here.  Link-local addresses and routes, which the
   kernel makes by itself, do not count. */
const char *doctor_interface_used(const struct doctor *d, const char *name);

/* The groups of checks. */
void doctor_check_memory(struct doctor *d);
void doctor_check_cores(struct doctor *d);
void doctor_check_power(struct doctor *d);
void doctor_check_irqs(struct doctor *d);
void doctor_check_kernel(struct doctor *d);
void doctor_check_ports(struct doctor *d);
void doctor_check_xdp(struct doctor *d, const struct proa_port_config *port);
void doctor_check_ethdev(struct doctor *d, const struct proa_port_config *port);

/* doctor_check_rights looks at what an af_xdp port needs of its process.  subject: the interface,
   or "": there is no such port, but there might be. */
void doctor_check_rights(struct doctor *d, const char *subject);

/* doctor_place finds the lanes' cores and says what is wrong with them. */
void doctor_place(struct doctor *d);

#endif
