/* SPDX-License-Identifier: Apache-2.0 */
/* top.h - the verb `top`: a node's figures on the terminal, fresh every second.

   On a terminal it takes the other screen and gives the first one back, with the cursor and the
   keyboard's mode, whatever ends it: q, Ctrl-C, a signal, the node's end.  Elsewhere it prints
   the figures once, of one second.

   Threads: the program's only one.  Units: seconds.
   Errors:  enum cli_exit, with a sentence on stderr. */
#ifndef TOP_H
#define TOP_H

#include "cli_client.h"

/* top_run shows the node that listens at path. */
enum cli_exit top_run(const char *path);

#endif
