/* SPDX-License-Identifier: Apache-2.0 */
/* perf_folder.h - a folder of a run's own, gone when it ends.

   In $TMPDIR, or /tmp; short, since a unix socket's path is at most 107 bytes.

   Threads: one.  Units: bytes.  Errors: false, after one sentence on stderr. */
#ifndef PERF_FOLDER_H
#define PERF_FOLDER_H

#include <stdbool.h>

#define PERF_FOLDER_MAX 64

/* perf_folder_make makes it for the program of that name, whose sentence it is. */
bool perf_folder_make(const char *program, char ret[PERF_FOLDER_MAX]);

/* perf_folder_remove removes it with all that is in it. */
void perf_folder_remove(const char *folder);

#endif
