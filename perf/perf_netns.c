/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_netns.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define IP PERF_NETNS_INTERFACE
#define PATIENCE (10 * PROA_S)
#define NO_PROGRAM 127 /* a shell's status */

/* Tells the parent that the namespace is there, or why not. */
struct entered {
    bool ok;
    char why[80];
};

bool perf_netns_join(const struct perf_process *a, const struct perf_process *b,
                     bool *ret_not_here, char *err, size_t err_len)
{
    struct entered entered[2];
    char command[160];
    const char go = 1;
    int status;

    if (!perf_pipe_read(&a->pipe, &entered[0], sizeof(entered[0]), PATIENCE) ||
        !perf_pipe_read(&b->pipe, &entered[1], sizeof(entered[1]), PATIENCE)) {
        snprintf(err, err_len, "no namespaces");
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (!entered[i].ok) {
            snprintf(err, err_len, "a network namespace: %s; run as root",
                     entered[i].why);
            *ret_not_here = true;
            return false;
        }
    }
    snprintf(command, sizeof(command),
             "ip link add " IP " netns %d type veth peer name " IP " netns %d",
             (int)a->pid, (int)b->pid);
    status = system(command);
    if (status != 0) {
        *ret_not_here = WIFEXITED(status) && WEXITSTATUS(status) == NO_PROGRAM;
        snprintf(err, err_len,
                 *ret_not_here ? "there is no ip: install iproute2 for \"%s\""
                               : "failed: %s",
                 command);
        return false;
    }
    return perf_pipe_write(&a->pipe, &go, 1) && perf_pipe_write(&b->pipe, &go, 1);
}

bool perf_netns_enter(const struct perf_pipe *pipe, bool second, bool address, char *err,
                      size_t err_len)
{
    struct entered entered = {.ok = unshare(CLONE_NEWNET) == 0};
    char command[320], go;

    snprintf(entered.why, sizeof(entered.why), "%s", strerror(errno));
    if (!perf_pipe_write(pipe, &entered, sizeof(entered)) || !entered.ok ||
        !perf_pipe_read(pipe, &go, 1, PATIENCE)) {
        snprintf(err, err_len, "no namespace of its own");
        return false;
    }
    const uint8_t mac[6] = PERF_NETNS_MAC((uint8_t)(1 + second));

    int n = snprintf(command, sizeof(command),
                     "echo 1 >/proc/sys/net/ipv6/conf/" IP "/disable_ipv6 && "
                     "ip link set lo up && "
                     "ip link set " IP " address %02x:%02x:%02x:%02x:%02x:%02x up",
                     mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    if (address)
        snprintf(command + n, sizeof(command) - (size_t)n,
                 " && ip address add " PERF_NETNS_NET "%d/24 dev " IP, 1 + second);
    if (system(command) == 0)
        return true;
    snprintf(err, err_len, "failed: %s", command);
    return false;
}
