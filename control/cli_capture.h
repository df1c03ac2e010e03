/* SPDX-License-Identifier: Apache-2.0 */
/* cli_capture.h - the serving side of `proa capture`: a node's packets, as they come, to one reader.

   Lines of result as ever; those that say "bytes N" are followed by N bytes of the file, whole
   blocks of it.  The last but one line says how many packets there were.

   A reader may take its time: the lanes drop meanwhile, and count.  It ends the capture by
   closing its sending side, and then gets the rest.

   Threads: the local socket's.  Units: as capture.h.  Errors: a sentence for the other end.
   Bounds:  one capture of a node at a time. */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include "cli_work.h"

#define CLI_CAPTURE_EVERY (5 * PROA_MS)   /* between two looks at empty rings */
#define CLI_CAPTURE_BEGIN (200 * PROA_MS) /* lanes get to take their taps */

const char *cli_capture_run(struct cli_job *job, const struct capture_wish *wish,
                            struct cli_answer *answer);

#endif
