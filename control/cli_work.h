/* SPDX-License-Identifier: Apache-2.0 */
/* cli_work.h - what the requests of the local socket do on a node.

   ls reads the directory on the control thread, cli_cluster.h the groups; lookup and ask go through a client that lives as
   long as the request.

   Threads: the local socket's; several at a time, each with a job of its own.
   Units:   as cli_protocol.h.  Errors: a sentence for the other end. */
#ifndef CLI_WORK_H
#define CLI_WORK_H

#include <proa/node.h>
#include <stdatomic.h>

#include "cli_serve.h"

#define CLI_NAMES_MAX 10000              /* names that ls lists */
#define CLI_FOLLOW_EVERY (100 * PROA_MS) /* between two looks for new events */

struct cli_job {
    struct proa_node *node;
    const _Atomic bool *stopping; /* an ask gives up soon after it is set */
    _Atomic unsigned *followers;  /* requests that follow events now; of all jobs */
    _Atomic bool *capturing;      /* one of all jobs does */
    char error[PROA_TEXT_MAX];
};

/* cli_print_type writes the name of a type that this node knows, else its hash, "-" for none. */
void cli_print_type(const struct proa_node *node, uint32_t type, char *buf, size_t len);

/* cli_work_run is the `run` of struct cli_work; ctx is a struct cli_job. */
const char *cli_work_run(void *ctx, const struct cli_request *request,
                         struct cli_answer *answer);

#endif
