/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_print.h - a report of `proa doctor` as text, as JSON and as commands.

   docs/doctor.md shows all three.  Text and commands: errors first, then warnings, notes and
   what is well, in the order of the checks.  JSON: in the order of the checks.

   Threads: any.  Units: none.  Errors: none but the stream's. */
#ifndef DOCTOR_PRINT_H
#define DOCTOR_PRINT_H

#include "doctor.h"

/* For people.  path: the configuration's, or NULL. */
void doctor_print_text(const struct doctor_report *report, const char *path, FILE *to);

/* One JSON document (RFC 8259), a finding a line. */
void doctor_print_json(const struct doctor_report *report, const char *path, FILE *to);

/* A shell script for root: the commands of errors and warnings, each once, each after a comment
   that says what for. */
void doctor_print_commands(const struct doctor_report *report, FILE *to);

#endif
