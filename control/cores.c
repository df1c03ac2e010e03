/* SPDX-License-Identifier: Apache-2.0 */
#include "cores.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The descriptor that holds core's name, or -1 when somebody has it. */
static int claim(int core)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int len =
        snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "proa-core-%d", core);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&name,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool taken_here(const struct cores *cores, int core)
{
    for (unsigned i = 0; i < cores->count; i++) {
        if (cores->core[i] == core)
            return true;
    }
    return false;
}

static void choose_free(struct cores *cores, const cpu_set_t *allowed)
{
    unsigned at = cores->count;
    int best = -1;

    cores->claim[at] = -1;
    for (int core = CPU_SETSIZE - 1; core >= 0; core--) {
        if (!CPU_ISSET(core, allowed) || taken_here(cores, core))
            continue;
        if (best < 0)
            best = core;
        cores->claim[at] = claim(core);
        if (cores->claim[at] >= 0) {
            cores->core[at] = core;
            return;
        }
    }
    /* All have a lane already: share one, another for each lane of this node if possible. */
    cores->shared = true;
    for (int core = CPU_SETSIZE - 1; best < 0 && core >= 0; core--) {
        if (CPU_ISSET(core, allowed))
            best = core;
    }
    cores->core[at] = best;
}

bool cores_choose(struct cores *cores, const int *configured, unsigned lanes, char *err,
                  size_t err_len)
{
    cpu_set_t allowed;

    *cores = (struct cores){0};
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 ||
        CPU_COUNT(&allowed) == 0) {
        snprintf(err, err_len, "the cores this process may use cannot be read");
        return false;
    }
    for (unsigned i = 0; i < lanes; i++) {
        int core = configured[i];

        if (core < 0) {
            choose_free(cores, &allowed);
        } else if (core >= CPU_SETSIZE || !CPU_ISSET(core, &allowed)) {
            snprintf(err, err_len,
                     "lane %u: core %d is not one this process may run on; see "
                     "`taskset -p %d`",
                     i, core, (int)getpid());
            cores_release(cores);
            return false;
        } else {
            cores->core[i] = core;
            cores->claim[i] = claim(core); /* -1: shared by the user's own wish */
        }
        cores->count = i + 1;
    }
    return true;
}

void cores_release(struct cores *cores)
{
    for (unsigned i = 0; i < cores->count; i++) {
        if (cores->claim[i] >= 0)
            close(cores->claim[i]);
    }
    cores->count = 0;
}

bool cores_spare(const struct cores *cores, cpu_set_t *ret)
{
    if (sched_getaffinity(0, sizeof(*ret), ret) != 0)
        return false;
    for (unsigned i = 0; i < cores->count; i++)
        CPU_CLR((size_t)cores->core[i], ret);
    return CPU_COUNT(ret) > 0;
}
