/* SPDX-License-Identifier: Apache-2.0 */
/* top_screen.h - two snapshots of a node as lines of text.

   Threads: pure.  Units: characters; rates are per second between the snapshots.
   Errors:  none: what does not fit is cut, rows from the longest table's end first. */
#ifndef TOP_SCREEN_H
#define TOP_SCREEN_H

#include <stddef.h>

#include "top_lines.h"

#define TOP_SCREEN_COLUMNS_MAX 512u
#define TOP_SCREEN_ROWS_MAX 200u

/* top_screen_print writes at most rows lines of at most columns characters, each with its newline
   (the last too), and a NUL.  before and now: of one node, now the later.  buf has room for
   rows * (columns + 1) + 1 bytes.  Returns the length. */
size_t top_screen_print(const struct top_snapshot *before, const struct top_snapshot *now,
                        unsigned rows, unsigned columns, char *buf);

#endif
