/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_steer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

/* What bpftool writes is not as strict as we are. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "steer.skel.h"
#pragma GCC diagnostic pop

#define OURS "proa_steer"
#define GONE_TRIES 100 /* a killed process' link ends a moment after it */
#define GONE_PAUSE (10 * PROA_MS)
#define CPUS_MAX 4096

struct steer {
    struct steer_bpf *bpf;
    int owner; /* the socket whose name owns the interface */
    int link;
    uint32_t listening;
};

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    (void)format;
    (void)args;
    return 0;
}

const char *steer_count_name(enum steer_count count)
{
    static const char *const names[STEER_COUNTS] = {
        [STEER_OURS] = "ours",           [STEER_NOT_IP] = "not ip",
        [STEER_NOT_UDP] = "not udp",     [STEER_OPTIONS] = "options",
        [STEER_FRAGMENT] = "fragment",   [STEER_ELSEWHERE] = "elsewhere",
        [STEER_NO_SOCKET] = "no socket",
    };

    return (unsigned)count < STEER_COUNTS ? names[count] : "?";
}

/* ---- Owning ---- */

static int own(unsigned index)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int len =
        snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "proa-xdp-%u", index);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&addr,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- Attaching ---- */

/* The program that is on the interface now; false: none.  link: its BPF link, or 0. */
static bool present(unsigned index, char *name, size_t name_len, uint32_t *ret_id)
{
    struct bpf_xdp_query_opts query = {.sz = sizeof(query)};
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof(info);
    int fd;

    snprintf(name, name_len, "?");
    if (bpf_xdp_query((int)index, 0, &query) != 0)
        return false;
    *ret_id = query.prog_id != 0       ? query.prog_id
              : query.drv_prog_id != 0 ? query.drv_prog_id
                                       : query.skb_prog_id;
    if (*ret_id == 0)
        return false;
    fd = bpf_prog_get_fd_by_id(*ret_id);
    if (fd < 0)
        return true;
    if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
        snprintf(name, name_len, "%s", info.name);
    close(fd);
    return true;
}

static void nap(void)
{
    const struct timespec pause = {0, (long)GONE_PAUSE};

    nanosleep(&pause, NULL);
}

/* Attaches; waits for what a process of ours left that was killed a moment ago, and takes away
   what one left that had attached without a link. */
static int attach(const struct steer *steer, unsigned index, uint32_t mode)
{
    int prog = bpf_program__fd(steer->bpf->progs.proa_steer), link = -1;
    struct bpf_link_create_opts opts = {.sz = sizeof(opts), .flags = mode};

    for (unsigned i = 0; i < GONE_TRIES; i++) {
        char name[BPF_OBJ_NAME_LEN];
        uint32_t id;

        link = bpf_link_create(prog, (int)index, BPF_XDP, &opts);
        if (link >= 0 || (errno != EBUSY && errno != EEXIST))
            break;
        /* "?": we may not see whose it is; it may be what a killed process of ours leaves. */
        bool there = present(index, name, sizeof(name), &id);
        bool ours = there && strcmp(name, OURS) == 0;
        if (there && !ours && strcmp(name, "?") != 0) {
            errno = EBUSY;
            break;
        }
        if (i == GONE_TRIES / 2 && ours) /* its owner is gone: the name is ours */
            (void)bpf_xdp_detach((int)index, mode, NULL);
        nap();
        errno = EBUSY;
    }
    return link;
}

static void explain(int error, const char *name, unsigned index, char *err,
                    size_t err_len)
{
    char other[BPF_OBJ_NAME_LEN];
    uint32_t id = 0;

    switch (error) {
    case EPERM:
    case EACCES:
        snprintf(err, err_len,
                 "af_xdp:%s: may not load BPF programs; run as root, or with CAP_BPF, "
                 "CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK",
                 name);
        return;
    case EBUSY:
    case EEXIST:
        (void)present(index, other, sizeof(other), &id);
        snprintf(
            err, err_len,
            "af_xdp:%s: XDP program \"%s\" (id %u) is attached to it; end its owner, "
            "or take it away by: ip link set dev %s xdp off",
            name, other, id, name);
        return;
    case EOPNOTSUPP:
    case EINVAL:
        snprintf(err, err_len,
                 "af_xdp:%s: its driver takes no XDP program at its present MTU and "
                 "offloads; lower the MTU, or write af_xdp:%s,generic (slower)",
                 name, name);
        return;
    default:
        snprintf(err, err_len, "af_xdp:%s: attaching the XDP program: %s", name,
                 strerror(error));
    }
}

struct steer *steer_open(const char *name, unsigned index, bool generic, char *err,
                         size_t err_len)
{
    struct steer *steer = calloc(1, sizeof(*steer));

    if (steer == NULL) {
        snprintf(err, err_len, "af_xdp:%s: no memory", name);
        return NULL;
    }
    libbpf_set_print(quiet);
    steer->link = -1;
    steer->owner = own(index);
    if (steer->owner < 0) {
        snprintf(err, err_len,
                 "af_xdp:%s: another proa node uses this interface; give each node one",
                 name);
        goto failed;
    }
    errno = 0;
    steer->bpf = steer_bpf__open_and_load();
    if (steer->bpf == NULL) {
        explain(errno != 0 ? errno : EPERM, name, index, err, err_len);
        goto failed;
    }
    steer->link = attach(steer, index, generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
    if (steer->link < 0) {
        explain(errno, name, index, err, err_len);
        goto failed;
    }
    return steer;
failed:
    steer_close(steer);
    return NULL;
}

void steer_close(struct steer *steer)
{
    if (steer == NULL)
        return;
    if (steer->link >= 0) {
        (void)bpf_link_detach(
            steer->link); /* now, not when the descriptor is collected */
        close(steer->link);
    }
    steer_bpf__destroy(steer->bpf);
    if (steer->owner >= 0)
        close(steer->owner);
    free(steer);
}

/* ---- What it is told, and tells ---- */

bool steer_listen(struct steer *steer, const struct proa_addr *addr)
{
    struct steer_listen key = {.port = (uint16_t)(addr->port << 8 | addr->port >> 8)};
    const uint8_t one = 1;

    if (steer->listening == STEER_LISTEN_MAX)
        return false;
    memcpy(key.ip, addr->ip, sizeof(key.ip));
    if (bpf_map__update_elem(steer->bpf->maps.listening, &key, sizeof(key), &one,
                             sizeof(one), BPF_ANY) != 0)
        return false;
    steer->listening++;
    return true;
}

int steer_sockets(const struct steer *steer)
{
    return bpf_map__fd(steer->bpf->maps.sockets);
}

void steer_counts(const struct steer *steer, uint64_t ret[STEER_COUNTS])
{
    uint64_t values[CPUS_MAX];
    int cpus = libbpf_num_possible_cpus();

    memset(ret, 0, STEER_COUNTS * sizeof(ret[0]));
    if (cpus < 1 || cpus > CPUS_MAX)
        return;
    for (uint32_t i = 0; i < STEER_COUNTS; i++) {
        if (bpf_map__lookup_elem(steer->bpf->maps.counters, &i, sizeof(i), values,
                                 (size_t)cpus * sizeof(values[0]), 0) != 0)
            continue;
        for (int cpu = 0; cpu < cpus; cpu++)
            ret[i] += values[cpu];
    }
}
