/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "clock.h"
#include "directory_group.h"
#include "node_internal.h"
#include "top_read.h"

#define LINKS_MAX                                                                        \
    (2 * CLI_MEMBERS_MAX) /* of one lane: its own to each node, and a surplus */

/* ---- Lines ---- */

static const char *state_name(enum mesh_state state)
{
    switch (state) {
    case MESH_CALLING:
        return "calling";
    case MESH_SYNCING:
        return "syncing";
    case MESH_LINKED_UP:
        return "linked";
    case MESH_LOST:
        return "lost";
    case MESH_CUT:
        return "cut";
    case MESH_TOO_MANY:
        return "refused";
    }
    return "?";
}

static void print_rtt(proa_ns rtt, char *buf, size_t len)
{
    if (rtt == 0)
        snprintf(buf, len, "-");
    else if (rtt < 10 * PROA_MS)
        snprintf(buf, len, "%.1fus", (double)rtt / (double)PROA_US);
    else
        snprintf(buf, len, "%.1fms", (double)rtt / (double)PROA_MS);
}

static void print_node(const struct core_mesh_info *info, struct cli_answer *answer)
{
    char node[20] = "-", address[ADDR_TEXT_MAX], rtt[32];

    if (info->node != 0)
        snprintf(node, sizeof(node), "%016llx", (unsigned long long)info->node);
    addr_print(&info->addr, address, sizeof(address));
    print_rtt(info->rtt_ns, rtt, sizeof(rtt));
    cli_answer_line(answer, "%-16s %-8s %8u %8u %5u %9s  %s", node,
                    state_name(info->state), info->names, info->members, info->links, rtt,
                    address);
}

static int by_address(const void *a, const void *b)
{
    const struct proa_addr *x = &((const struct core_mesh_info *)a)->addr;
    const struct proa_addr *y = &((const struct core_mesh_info *)b)->addr;
    int order = memcmp(x->ip, y->ip, sizeof(x->ip));

    return order != 0 ? order : (int)x->port - (int)y->port;
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

void cli_cluster_print(struct cli_cluster *cluster, struct cli_answer *answer)
{
    const struct core_mesh_own *own = &cluster->own;

    qsort(cluster->all, cluster->count, sizeof(cluster->all[0]), by_address);
    cli_answer_line(answer,
                    "node %016llx at %s: %s, %u of %u other nodes linked; publishes %u "
                    "name%s, %u membership%s",
                    (unsigned long long)cluster->node, cluster->address,
                    own->complete ? "complete" : "not complete", own->linked, own->known,
                    own->names, plural(own->names), own->members, plural(own->members));
    cli_answer_line(answer, "%-16s %-8s %8s %8s %5s %9s  %s", "NODE", "STATE", "NAMES",
                    "MEMBERS", "LINKS", "RTT", "ADDRESS");
    for (unsigned i = 0; i < cluster->count; i++)
        print_node(&cluster->all[i], answer);
}

void cli_group_print(const char *group, size_t len, uint32_t members, uint64_t version,
                     struct cli_answer *answer)
{
    char name[CLI_ESCAPED_MAX];

    cli_escape(group, len < PROA_NAME_MAX ? len : PROA_NAME_MAX, name);
    cli_answer_line(answer, "%8u %10llu  %s", members, (unsigned long long)version, name);
}

void cli_group_member_print(struct proa_ref ref, const char *type, bool reachable,
                            uint16_t load, struct cli_answer *answer)
{
    char text[CLI_REF_MAX], type_name[3 * PROA_TYPE_MAX + 1];

    cli_ref_print(ref, text);
    cli_escape(type, strnlen(type, PROA_TYPE_MAX), type_name);
    cli_answer_line(answer, "%-32s %-6s %5u  %s", text, reachable ? "found" : "silent",
                    load, type_name);
}

/* ---- cluster ---- */

static void read_mesh(struct proa_node *node, void *ctx)
{
    struct cli_cluster *cluster = ctx;

    core_mesh_own(node->core, &cluster->own);
    cluster->count = core_mesh_nodes(node->core, cluster->all, CLI_NODES_MAX);
}

const char *cli_cluster_run(struct cli_job *job, struct cli_answer *answer)
{
    struct cli_cluster *cluster = calloc(1, sizeof(*cluster));

    if (cluster == NULL)
        return "cluster: out of memory";
    cluster->node = proa_node_id(job->node);
    proa_node_address(job->node, cluster->address, sizeof(cluster->address));
    node_call(job->node, read_mesh, cluster);
    cli_cluster_print(cluster, answer);
    free(cluster);
    return NULL;
}

/* ---- ls --groups, ls --group: on the control thread ---- */

struct listing {
    struct cli_answer *answer;
    const struct cli_request *request; /* of one group */
    const struct proa_node *node;
    unsigned listed, left_out;
};

static bool has_room(struct listing *listing)
{
    if (listing->listed == CLI_NAMES_MAX) {
        listing->left_out++;
        return false;
    }
    listing->listed++;
    return true;
}

static bool list_group(void *ctx, const char *group, size_t len, uint32_t members,
                       uint64_t version)
{
    struct listing *listing = ctx;

    if (members > 0 && has_room(listing))
        cli_group_print(group, len, members, version, listing->answer);
    return true;
}

static void list_groups(struct proa_node *node, void *ctx)
{
    directory_each_group(node->directory, list_group, ctx);
}

static bool list_member(void *ctx, struct proa_ref ref, uint32_t type, bool reachable,
                        uint16_t load)
{
    struct listing *listing = ctx;
    char name[PROA_TYPE_MAX + 1];

    if (has_room(listing)) {
        cli_print_type(listing->node, type, name, sizeof(name));
        cli_group_member_print(ref, name, reachable, load, listing->answer);
    }
    return true;
}

static void list_members(struct proa_node *node, void *ctx)
{
    const struct listing *listing = ctx;
    const char *group = listing->request->name;

    directory_each_in_group(node->directory, group, strlen(group), clock_ns(),
                            list_member, ctx);
}

const char *cli_groups_run(struct cli_job *job, struct cli_answer *answer)
{
    struct listing listing = {.answer = answer, .node = job->node};

    cli_answer_line(answer, "%8s %10s  %s", "MEMBERS", "VERSION", "GROUP");
    node_call(job->node, list_groups, &listing);
    if (listing.left_out > 0)
        cli_answer_line(answer, "and %u more groups", listing.left_out);
    return NULL;
}

const char *cli_group_run(struct cli_job *job, const struct cli_request *request,
                          struct cli_answer *answer)
{
    struct listing listing = {.answer = answer, .request = request, .node = job->node};

    cli_answer_line(answer, "%-32s %-6s %5s  %s", "MEMBER", "STATE", "LOAD", "TYPE");
    node_call(job->node, list_members, &listing);
    if (listing.left_out > 0)
        cli_answer_line(answer, "and %u more members", listing.left_out);
    return listing.listed > 0 ? NULL : "ls: no members";
}

/* ---- link ---- */

const char *cli_link_run(struct cli_job *job, const struct cli_request *request)
{
    bool add = request->verb == CLI_LINK_ADD;
    char why[sizeof(job->error) - 16] = "";
    enum proa_outcome outcome =
        add ? proa_node_link_add(job->node, request->name, why, sizeof(why))
            : proa_node_link_remove(job->node, request->name, why, sizeof(why));

    if (outcome == PROA_OK)
        return NULL;
    snprintf(job->error, sizeof(job->error), "link %s: %s", add ? "add" : "remove",
             why[0] != '\0' ? why : proa_outcome_name(outcome));
    return job->error;
}
