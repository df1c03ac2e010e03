/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h - `proa doctor`: what of this machine costs a node its speed, or keeps it from starting.

   Each check looks at one thing and adds findings to a report: what was found, what it does to
   latency or throughput, and what to do about it.  It only reads: files below /proc and /sys,
   and what the kernel answers about interfaces (doctor_system.h).  No port is opened, nothing
   is started and nothing is changed.  docs/doctor.md lists the checks.

   What is looked at is the machine as a node with this configuration would find it if the caller
   started it now: the caller's affinity, limits and capabilities; the cores its lanes would get.

   Everything read is untrusted: bounded, checked, and printed without what a terminal would
   take for a command.  Commands hold only numbers and names of plain characters, so nothing a
   file says can become one.

   Threads: one at a time, no state.  Units: as the fields say.
   Errors:  none: what cannot be read is left out, or is a finding. */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <stdio.h>

#include <proa/node.h>

#include "doctor_system.h"

enum doctor_severity {
    DOCTOR_OK,      /* as it should be */
    DOCTOR_NOTE,    /* worth knowing; nothing has to be done */
    DOCTOR_WARNING, /* costs latency or throughput */
    DOCTOR_ERROR,   /* the node will not start */
};
#define DOCTOR_SEVERITIES 4

/* Exit statuses of the verb; for scripts. */
enum doctor_exit {
    DOCTOR_EXIT_OK = 0,
    DOCTOR_EXIT_WARNINGS = 1,
    DOCTOR_EXIT_ERRORS = 2,
    DOCTOR_EXIT_USAGE =
        3, /* the command line is wrong, or no memory: nothing was looked at */
};

#define DOCTOR_TEXT_MAX 512u
#define DOCTOR_FINDINGS_MAX 256u /* 8 ports of a dozen findings, and some 40 others */

/* One finding.  Texts are printable ASCII, "" when there is none. */
struct doctor_finding {
    const char *check; /* its stable name, as in docs/doctor.md; borrowed for good */
    enum doctor_severity severity;
    char subject[64];              /* what it is about: "core 3", "eth0" */
    char cause[DOCTOR_TEXT_MAX];   /* one sentence */
    char cost[DOCTOR_TEXT_MAX];    /* what it does to latency or throughput */
    char remedy[DOCTOR_TEXT_MAX];  /* in words */
    char command[DOCTOR_TEXT_MAX]; /* the same for a shell, as root */
    char setting[DOCTOR_TEXT_MAX]; /* the same as a line of the node's configuration */
};

struct doctor_report {
    unsigned lanes;
    int core[PROA_LANES_MAX]; /* that the lane would get; -1: none */
    int node[PROA_LANES_MAX]; /* NUMA node of that core; -1: not known */
    unsigned count;
    unsigned left_off; /* findings there was no room for */
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    struct doctor_finding spill; /* where those go */
};

/* doctor_examine runs all checks for a node of this configuration on this machine; both are
   borrowed during the call.  named: the user gave the configuration; else it stands for one
   lane and a port of any kind.  ret is about 700 KiB: not for a stack. */
void doctor_examine(const struct doctor_system *system, const struct proa_config *config,
                    bool named, struct doctor_report *ret);

/* doctor_refuse adds the finding "configuration": it could not be read, for the reason err. */
void doctor_refuse(struct doctor_report *report, const char *path, const char *err);

/* doctor_exit_status is by the worst finding. */
enum doctor_exit doctor_exit_status(const struct doctor_report *report);

/* doctor_run is the verb: loads the configuration at path (NULL: none), looks at this machine and
   prints to `to` in one of the three forms of doctor_print.h.  Returns the exit status; without
   memory it says so on stderr. */
enum doctor_form { DOCTOR_AS_TEXT, DOCTOR_AS_JSON, DOCTOR_AS_COMMANDS };
enum doctor_exit doctor_run(const char *path, enum doctor_form form, FILE *to);

#endif
