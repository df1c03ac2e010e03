/* SPDX-License-Identifier: Apache-2.0 */
/* cli_lanes.h - the serving side of `proa lanes`: how work and packets lie on a node's lanes.

   Two looks, CLI_LANES_FOR apart, at what the lanes count.

   Threads: the local socket's.  Units: packets a second, per cent.
   Errors:  a sentence for the other end. */
#ifndef CLI_LANES_H
#define CLI_LANES_H

#include "cli_work.h"

#define CLI_LANES_FOR PROA_S

const char *cli_lanes_run(struct cli_job *job, struct cli_answer *answer);

#endif
