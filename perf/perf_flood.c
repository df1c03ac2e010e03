/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_flood.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "perf_clock.h"
#include "perf_flood_frames.h"
#include "perf_netns.h"

#define BURST 32u
#define NAP (50 * PROA_US)
#define NAP_QUIET PROA_MS
#define END_IN (2 * PROA_S)

struct generator {
    int fd;
    struct perf_flood_frame frames[PERF_FLOOD_PHASES]
                                  [PERF_FLOOD_FRAMES]; /* quiet: none */
};

const char *perf_flood_phase_name(enum perf_flood_phase phase)
{
    static const char *const names[PERF_FLOOD_PHASES] = {"quiet", "elsewhere", "ours"};

    return (unsigned)phase < PERF_FLOOD_PHASES ? names[phase] : "?";
}

/* ---- Sending ---- */

static int open_socket(void)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET};
    const int one = 1;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* 0: receives nothing */

    to.sll_ifindex = (int)if_nametoindex(PERF_NETNS_INTERFACE);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
        (void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
        return fd;
    }
    perror("proa-perf: the flood's socket");
    if (fd >= 0)
        close(fd);
    return -1;
}

static unsigned send_burst(struct generator *g, enum perf_flood_phase phase,
                           uint64_t number)
{
    struct mmsghdr msgs[BURST] = {0};
    struct iovec iov[BURST];
    int sent;

    for (uint32_t i = 0; i < BURST; i++) {
        struct perf_flood_frame *frame =
            &g->frames[phase][(number + i) % PERF_FLOOD_FRAMES];

        iov[i] = (struct iovec){frame->bytes + frame->at, frame->len};
        msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    sent = sendmmsg(g->fd, msgs, BURST, MSG_DONTWAIT);
    return sent > 0 ? (unsigned)sent : 0;
}

static void nap(proa_ns span)
{
    const struct timespec pause = {0, (long)span};

    nanosleep(&pause, NULL);
}

/* At the rate wanted since the phase began, or as fast as it goes; what could not be sent in time
   is not made up for later than BEHIND. */
#define BEHIND PROA_MS

static void flood_phase(struct generator *g, const struct perf_flood *flood,
                        enum perf_flood_phase phase)
{
    proa_ns each = PROA_S / flood->options.flood_rate, due = perf_clock_ns();
    uint64_t number = 0;

    each = each > 0 ? each : 1;
    while (atomic_load_explicit(&flood->shared->phase, memory_order_relaxed) ==
           (int)phase) {
        proa_ns now = perf_clock_ns();

        if (now < due) {
            nap(NAP);
            continue;
        }
        if (now - due > BEHIND)
            due = now - BEHIND;
        unsigned sent = send_burst(g, phase, number);
        due += BURST * each;
        number += sent;
        atomic_fetch_add_explicit(&flood->shared->sent, sent, memory_order_relaxed);
    }
}

static void use_core(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

static bool enter(const struct perf_flood *flood, const struct perf_pipe *pipe)
{
    char path[64], err[160];
    int fd;
    bool ok;

    if (flood->beside == 0) {
        ok = perf_netns_enter(pipe, true, true, err, sizeof(err));
        if (!ok)
            fprintf(stderr, "proa-perf: the flood: %s\n", err);
        return ok;
    }
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)flood->beside);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ok = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
    if (!ok)
        fprintf(stderr, "proa-perf: the flood: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static int flood_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct perf_flood *flood = ctx;
    struct generator *g = calloc(1, sizeof(*g));
    int phase;

    if (g == NULL || !enter(flood, pipe))
        return 1;
    g->fd = open_socket();
    if (g->fd < 0)
        return 1;
    perf_flood_build(flood->options.flood, PERF_FLOOD_ELSEWHERE,
                     g->frames[PERF_FLOOD_OTHERS]);
    perf_flood_build(flood->options.flood, PROA_PORT, g->frames[PERF_FLOOD_OURS]);
    use_core(0); /* the receiving lane is on core 1 */
    while ((phase = atomic_load(&flood->shared->phase)) != PERF_FLOOD_END) {
        if (phase == PERF_FLOOD_QUIET)
            nap(NAP_QUIET);
        else
            flood_phase(g, flood, (enum perf_flood_phase)phase);
    }
    close(g->fd);
    free(g);
    return 0;
}

/* ---- Whoever starts it ---- */

bool perf_flood_share(struct perf_flood *flood, const struct perf_options *options)
{
    void *page = mmap(NULL, sizeof(*flood->shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    *flood = (struct perf_flood){.options = *options};
    if (page == MAP_FAILED)
        return false;
    flood->shared = page;
    return true;
}

bool perf_flood_start(struct perf_flood *flood, pid_t beside)
{
    flood->beside = beside;
    return perf_process_start(&flood->process, flood_process, flood);
}

void perf_flood_end(struct perf_flood *flood)
{
    if (flood->shared == NULL)
        return;
    atomic_store(&flood->shared->phase, PERF_FLOOD_END);
    perf_process_end(&flood->process, END_IN);
    munmap(flood->shared, sizeof(*flood->shared));
    flood->shared = NULL;
}
