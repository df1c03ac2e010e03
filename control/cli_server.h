/* SPDX-License-Identifier: Apache-2.0 */
/* cli_server.h - the local socket of a running node, for `proa ls` and the other verbs that ask one.

   A unix socket of mode 0600.  A few ordinary threads accept, read one request line, answer and
   close (cli_protocol.h has the bytes); each has a client of its own, so nothing here touches a
   lane except by a client's bounded inbox.  A peer that is slow, silent or talks nonsense costs
   its thread CLI_PATIENCE at the most.

   Threads: start and stop: one ordinary thread, while the node's control thread runs.
   Units:   bytes, proa_ns.
   Errors:  NULL, and one sentence in err.
   Bounds:  CLI_THREADS requests at a time; others wait in the kernel's queue. */
#ifndef CLI_SERVER_H
#define CLI_SERVER_H

#include <proa/node.h>

#define CLI_THREADS 4   /* requests served at a time */
#define CLI_FOLLOWERS 2 /* of these, `events --follow`; one more may be `capture` */
#define CLI_BACKLOG 16  /* and waiting in the kernel */

struct cli;

/* cli_server_start listens on path.  A socket file that nobody listens on is replaced; a live
   one, or a file of another kind, is left alone and refused.  Returned owned: cli_server_stop.
   NULL: err has path, cause and remedy. */
struct cli *cli_server_start(struct proa_node *node, const char *path, char *err,
                             size_t err_len);

/* cli_server_stop ends the threads, within the longest request (CLI_DEADLINE_MAX,
   cli_protocol.h) at the worst and normally at once, and removes the socket.  NULL is allowed. */
void cli_server_stop(struct cli *cli);

#endif
