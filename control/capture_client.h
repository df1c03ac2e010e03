/* SPDX-License-Identifier: Apache-2.0 */
/* capture_client.h - `proa capture`: asks a node for its packets and writes them to a file.

   Only whole blocks are written, so that the file can be read whatever happens.  Ctrl-C (INT), TERM
   and HUP ask the node for the end of the file; a second one does not wait for it.

   Threads: the program's only one; it takes those signals while it runs, and ignores SIGPIPE.
   Units:   bytes.  Errors: exit statuses, with a sentence on err. */
#ifndef CAPTURE_CLIENT_H
#define CAPTURE_CLIENT_H

#include "cli_client.h"

/* capture_client_run connects to the socket at path and writes to file, which is made with mode
   0600, or gets it and is emptied, once the node has agreed; a symbolic link is refused.  "-" is
   standard output. */
enum cli_exit capture_client_run(const char *path, const struct capture_wish *wish,
                                 const char *file, FILE *err);

/* capture_client_talk does it over a connected socket, which stays the caller's. */
enum cli_exit capture_client_talk(int fd, const struct capture_wish *wish,
                                  const char *file, FILE *err);

#endif
