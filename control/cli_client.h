/* SPDX-License-Identifier: Apache-2.0 */
/* cli_client.h - the other end of the local socket: the verbs that ask a node.

   Threads: any.  Units: proa_ns, bytes.  Errors: exit statuses, with a sentence on err. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdio.h>

#include "cli_protocol.h"

enum cli_exit {
    CLI_EXIT_OK = 0,      /* done, or found */
    CLI_EXIT_NO = 1,      /* the node answered, and it was no success */
    CLI_EXIT_USAGE = 2,   /* the command line is wrong */
    CLI_EXIT_NO_NODE = 3, /* no node answered */
};

/* cli_client_run connects to path and does the request: result to out, troubles to err. */
enum cli_exit cli_client_run(const char *path, const struct cli_request *request,
                             FILE *out, FILE *err);

/* cli_client_connect connects to path.  Returned owned; -1: *status says how to exit. */
int cli_client_connect(const char *path, FILE *err, enum cli_exit *status);

/* cli_client_talk does it on a connected socket, which it takes (closes). */
enum cli_exit cli_client_talk(int fd, const struct cli_request *request, FILE *out,
                              FILE *err);

#endif
