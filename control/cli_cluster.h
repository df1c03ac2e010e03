/* SPDX-License-Identifier: Apache-2.0 */
/* cli_cluster.h - the serving side of `proa cluster`, `ls --groups`, `ls --group` and `link`.

   cluster: a line about this node, a heading, a line a node whose registry it knows; the groups: a
   heading, a line each.  A group's name is escaped as cli_protocol.h says, so no line holds what
   moves a terminal's cursor.

   Threads: the local socket's; the printing functions are pure but for their answer.
   Units:   round trips in ns, as links have smoothed them.
   Errors:  a sentence for the other end. */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli_work.h"
#include "core.h"

#define CLI_NODES_MAX (MESH_NODES_MAX + 16) /* with neighbours that are looked for */

/* A node and the others of its cluster, as it sees them. */
struct cli_cluster {
    uint64_t node;
    char address[64];
    struct core_mesh_own own;
    unsigned count;
    struct core_mesh_info all[CLI_NODES_MAX];
};

/* The lines of `cluster`, nodes by address. */
void cli_cluster_print(struct cli_cluster *cluster, struct cli_answer *answer);

/* The lines of `ls --groups` and of `ls --group`. */
void cli_group_print(const char *group, size_t len, uint32_t members, uint64_t version,
                     struct cli_answer *answer);
void cli_group_member_print(struct proa_ref ref, const char *type, bool reachable,
                            uint16_t load, struct cli_answer *answer);

/* Of cli_work_run. */
const char *cli_cluster_run(struct cli_job *job, struct cli_answer *answer);
const char *cli_groups_run(struct cli_job *job, struct cli_answer *answer);
const char *cli_group_run(struct cli_job *job, const struct cli_request *request,
                          struct cli_answer *answer);
const char *cli_link_run(struct cli_job *job, const struct cli_request *request);

#endif
