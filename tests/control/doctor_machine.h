/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_machine.h - a made-up machine for the tests of `proa doctor`: a folder with proc/ and
   sys/, and the kernel's answers.

   machine_good makes one with nothing to complain about: four cores on one NUMA node, core 3 the
   lane's, 2 and 3 isolated, huge pages, one Ethernet interface eth0 with a PCI device.  A test
   spoils one thing and looks for its finding.

   Threads: one.  Units: none.  Errors: assertions of cmocka. */
#ifndef DOCTOR_MACHINE_H
#define DOCTOR_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "doctor.h"

struct machine {
    char root[64];
    struct doctor_system system;
    struct proa_config config;
    bool has_nic;
    struct doctor_nic nic;
    char asked_address[PROA_TEXT_MAX]; /* of the last question for the interface */
    struct doctor_report *report;
};

/* For cmocka_unit_test_setup_teardown. */
int machine_good(void **state);
int machine_free(void **state);

/* machine_put writes a file, after making its folders. */
void machine_put(const struct machine *m, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void machine_link(const struct machine *m, const char *path, const char *target);
void machine_remove(const struct machine *m, const char *path); /* with all below it */

/* machine_port makes spec the only port. */
void machine_port(struct machine *m, const char *spec);

/* machine_look examines it, and returns the worst of the findings of check; NULL: none. */
const struct doctor_finding *machine_look(struct machine *m, const char *check);

/* expect looks, and wants such a finding with this in its cause; command: exactly, "" for none.
   It returns it. */
const struct doctor_finding *expect(struct machine *m, const char *check,
                                    enum doctor_severity severity, const char *cause,
                                    const char *command);

#endif
