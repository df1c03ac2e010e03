/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp_steer.h"

#include "addr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <arpa/inet.h>
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
#define CPUS_MAX 4096u

struct steer {
    struct steer_bpf *bpf;
    int owner; /* the socket whose name owns the interface */
    int link;
    const struct steer_counters *counters; /* of cpus CPUs; NULL: none yet */
    uint32_t cpus;
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
        [STEER_NOT_IP] = "not ip",       [STEER_NOT_UDP] = "not udp",
        [STEER_OPTIONS] = "options",     [STEER_FRAGMENT] = "fragment",
        [STEER_ELSEWHERE] = "elsewhere", [STEER_NO_SOCKET] = "no socket",
        [STEER_DENIED] = "denied",       [STEER_RATE] = "over rate",
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

/* The program that is on the interface now; false: none. */
static bool present(unsigned index, char *name, size_t name_len, uint32_t *ret_id,
                    bool *ret_generic)
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
    *ret_generic = query.attach_mode == XDP_ATTACHED_SKB;
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
        bool generic, there = present(index, name, sizeof(name), &id, &generic);
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

static void explain_load(int error, const char *name, char *err, size_t err_len)
{
    if (error == EPERM || error == EACCES)
        snprintf(err, err_len,
                 "af_xdp:%s: may not load BPF programs; run as root, or with CAP_BPF, "
                 "CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK",
                 name);
    else
        snprintf(err, err_len,
                 "af_xdp:%s: loading the XDP program: %s; it needs a kernel of 5.11 or "
                 "later, with BPF and XDP_SOCKETS",
                 name, strerror(error));
}

static void explain_attach(int error, const struct steer_args *args, char *err,
                           size_t err_len)
{
    const char *name = args->name;
    char other[BPF_OBJ_NAME_LEN];
    uint32_t id = 0;
    bool generic = false;

    switch (error) {
    case EBUSY:
    case EEXIST:
        (void)present(args->index, other, sizeof(other), &id, &generic);
        snprintf(
            err, err_len,
            "af_xdp:%s: XDP program \"%s\" (id %u) is attached to it; end its owner, "
            "or take it away by: ip link set dev %s %s off",
            name, other, id, name, generic ? "xdpgeneric" : "xdpdrv");
        return;
    case ERANGE: /* veth */
    case EOPNOTSUPP:
    case EINVAL:
        if (args->generic)
            break;
        snprintf(err, err_len,
                 "af_xdp:%s: its driver takes no XDP program at its present MTU and "
                 "offloads; lower the MTU, or write af_xdp:%s,generic (slower)",
                 name, name);
        return;
    default:
        break;
    }
    snprintf(err, err_len, "af_xdp:%s: attaching the XDP program: %s", name,
             strerror(error));
}

/* ---- Loading ---- */

bool steer_sources(struct steer_args *args, struct steer_deny deny[PROA_DENY_MAX],
                   const struct proa_port_config *config, char *err, size_t err_len)
{
    if (config->deny_count > PROA_DENY_MAX) {
        snprintf(err, err_len, "%s: deny has more than %d entries", config->spec,
                 PROA_DENY_MAX);
        return false;
    }
    if (config->source_rate != 0 && (config->source_rate < PROA_SOURCE_RATE_MIN ||
                                     config->source_rate > PROA_SOURCE_RATE_MAX)) {
        snprintf(err, err_len, "%s: source_rate %u is outside %d..%d; 0: no limit",
                 config->spec, config->source_rate, PROA_SOURCE_RATE_MIN,
                 PROA_SOURCE_RATE_MAX);
        return false;
    }
    for (unsigned i = 0; i < config->deny_count; i++) {
        if (memchr(config->deny[i], '\0', PROA_NETWORK_MAX) != NULL &&
            addr_parse_prefix(config->deny[i], &deny[i].addr, &deny[i].prefix))
            continue;
        snprintf(err, err_len,
                 "%s: deny: \"%.*s\" is no address or network, like 10.0.0.9 or "
                 "fd00:9::/32",
                 config->spec, PROA_NETWORK_MAX - 1, config->deny[i]);
        return false;
    }
    args->deny = deny;
    args->deny_count = config->deny_count;
    args->source_rate = config->source_rate;
    return true;
}

/* Places for CPUs' counters: a power of two.  Where CPUs are numbered with gaps, some may share. */
static uint32_t cpus(void)
{
    int there = libbpf_num_possible_cpus();
    uint32_t n = 1;

    while (n < CPUS_MAX && there > 0 && n < (uint32_t)there)
        n *= 2;
    return n;
}

/* What is set before the program is loaded is known to the kernel when it compiles it. */
static void configure(struct steer_bpf *bpf, const struct steer_args *args)
{
    uint64_t interval = args->source_rate != 0 ? PROA_S / args->source_rate : 0;
    uint64_t burst = STEER_BURST_LEAST * interval;

    for (unsigned i = 0; i < args->listen_count; i++) {
        const struct proa_addr *addr = &args->listen[i];
        struct steer_listen own = {.port = htons(addr->port), .family = addr->family};

        memcpy(own.ip, addr->ip, sizeof(own.ip));
        memcpy((void *)&bpf->rodata->listening[i], &own, sizeof(own));
    }
    bpf->rodata->listening_count = args->listen_count;
    bpf->rodata->source_interval = interval;
    bpf->rodata->source_burst = burst > STEER_BURST ? burst : STEER_BURST;
    if (interval == 0) /* its memory is there from the beginning */
        (void)bpf_map__set_max_entries(bpf->maps.sources, 1);
}

static struct steer_prefix prefix_of(const struct steer_deny *who)
{
    struct steer_prefix key = {.bits = STEER_FAMILY_BITS + who->prefix,
                               .family = who->addr.family};

    memcpy(key.source.ip, who->addr.ip, sizeof(key.source.ip));
    return key;
}

int steer_deny(struct steer *steer, const struct steer_deny *who)
{
    struct steer_prefix key = prefix_of(who);
    const uint8_t one = 1;
    int status = bpf_map__update_elem(steer->bpf->maps.denied, &key, sizeof(key), &one,
                                      sizeof(one), BPF_ANY);

    if (status == 0)
        steer->bpf->bss->denying = 1;
    return status;
}

int steer_allow(struct steer *steer, const struct steer_deny *who)
{
    struct steer_prefix key = prefix_of(who);

    return bpf_map__delete_elem(steer->bpf->maps.denied, &key, sizeof(key), 0);
}

/* 0, or errno. */
static int load(struct steer *steer, const struct steer_args *args)
{
    errno = 0;
    if (args->listen_count > STEER_LISTEN_MAX || args->deny_count > STEER_DENY_MAX)
        return E2BIG;
    steer->bpf = steer_bpf__open();
    if (steer->bpf == NULL)
        return errno != 0 ? errno : EINVAL;
    steer->cpus = cpus();
    configure(steer->bpf, args);
    steer->bpf->rodata->cpu_mask = steer->cpus - 1;
    (void)bpf_map__set_max_entries(steer->bpf->maps.counters, steer->cpus);
    int status = steer_bpf__load(steer->bpf);
    if (status != 0)
        return -status;
    steer->counters = mmap(NULL, steer->cpus * sizeof(*steer->counters), PROT_READ,
                           MAP_SHARED, bpf_map__fd(steer->bpf->maps.counters), 0);
    if (steer->counters == MAP_FAILED) {
        steer->counters = NULL;
        return errno;
    }
    for (unsigned i = 0; i < args->deny_count; i++) {
        status = steer_deny(steer, &args->deny[i]);
        if (status != 0)
            return -status;
    }
    return 0;
}

struct steer *steer_open(const struct steer_args *args, char *err, size_t err_len)
{
    struct steer *steer = calloc(1, sizeof(*steer));
    uint32_t mode = args->generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
    int error;

    if (steer == NULL) {
        snprintf(err, err_len, "af_xdp:%s: no memory", args->name);
        return NULL;
    }
    libbpf_set_print(quiet);
    steer->link = -1;
    steer->owner = own(args->index);
    if (steer->owner < 0) {
        snprintf(err, err_len,
                 "af_xdp:%s: another proa node uses this interface; give each node one",
                 args->name);
        goto failed;
    }
    error = load(steer, args);
    if (error != 0) {
        explain_load(error, args->name, err, err_len);
        goto failed;
    }
    steer->link = attach(steer, args->index, mode);
    if (steer->link < 0) {
        explain_attach(errno, args, err, err_len);
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
    if (steer->counters != NULL)
        munmap((void *)steer->counters, steer->cpus * sizeof(*steer->counters));
    steer_bpf__destroy(steer->bpf);
    if (steer->owner >= 0)
        close(steer->owner);
    free(steer);
}

/* ---- What it tells ---- */

int steer_sockets(const struct steer *steer)
{
    return bpf_map__fd(steer->bpf->maps.sockets);
}

int steer_program(const struct steer *steer)
{
    return bpf_program__fd(steer->bpf->progs.proa_steer);
}

void steer_counts(const struct steer *steer, uint64_t ret[STEER_COUNTS])
{
    memset(ret, 0, STEER_COUNTS * sizeof(ret[0]));
    for (uint32_t cpu = 0; cpu < steer->cpus; cpu++) {
        /* relaxed: each is a count by itself; the program adds to it meanwhile. */
        for (unsigned i = 0; i < STEER_COUNTS; i++)
            ret[i] += __atomic_load_n(&steer->counters[cpu].n[i], __ATOMIC_RELAXED);
    }
}
