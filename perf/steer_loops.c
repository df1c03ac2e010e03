/* SPDX-License-Identifier: Apache-2.0 */
#include "steer_loops.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include "addr.h"
#include "net.h"
#include "xdp_steer.h"

#define LOOPBACK 1 /* index of lo in every new namespace */
#define DENIED 64u /* networks: as many as a port's configuration takes */
#define PAYLOAD 32u

struct steer_loops {
    struct steer *steer; /* NULL: nothing */
    int program, receiver;
    int link;        /* of nothing */
    uint32_t action; /* what every run ends with */
    uint8_t frame[NET_HEADERS_MAX + PAYLOAD];
    uint32_t len;
};

/* A namespace of our own, once. */
static bool apart(void)
{
    static bool done;

    if (!done)
        done = unshare(CLONE_NEWNET) == 0;
    return done;
}

static void make_frame(struct steer_loops *loops, enum steer_loop loop,
                       const struct proa_addr *from, const struct proa_addr *to)
{
    static const uint8_t mac[6] = {2};
    struct net_template template;
    uint8_t buf[NET_HEADERS_MAX + PAYLOAD] = {0}, *data = buf + NET_HEADERS_MAX;
    uint8_t *f = loops->frame;
    uint32_t front;

    net_template_init(&template, from, mac, mac);
    front = net_build(&template, data, PAYLOAD, to, 0, NET_CHECKSUM_FULL);
    loops->len = front + PAYLOAD;
    memcpy(f, data - front, loops->len);
    if (loop == STEER_LOOP_ARP)
        f[13] = 6;
    if (loop == STEER_LOOP_TCP)
        f[NET_ETH + 9] = 6;
    if (loop == STEER_LOOP_FOREIGN)
        f[NET_ETH + NET_IPV4 + 3] ^= 1;
}

/* A program that passes everything: r0 = XDP_PASS, exit.  Attached as ours is, or each call would
   wait for RCU. */
static int load_nothing(int *ret_link)
{
    struct bpf_link_create_opts opts = {.sz = sizeof(opts), .flags = XDP_FLAGS_SKB_MODE};
    static const struct bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };

    int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "nothing", "GPL", insns, 2, NULL);

    if (program >= 0)
        *ret_link = bpf_link_create(program, LOOPBACK, BPF_XDP, &opts);
    return program;
}

static bool open_steer(struct steer_loops *loops, enum steer_loop loop,
                       const struct proa_addr *from, const struct proa_addr *to)
{
    struct steer_deny deny[DENIED];
    struct steer_args args = {.name = "lo",
                              .index = LOOPBACK,
                              .generic = true,
                              .listen = to,
                              .listen_count = 1,
                              .deny = deny};
    const uint32_t queue = 0;
    char err[300];

    if (loop == STEER_LOOP_OURS_DENYING || loop == STEER_LOOP_DENIED)
        args.deny_count = DENIED;
    for (uint32_t i = 0; i < args.deny_count; i++) {
        deny[i] = (struct steer_deny){addr_v4(0x0a090000 + (i << 8), 0), 96 + 24};
        if (loop == STEER_LOOP_DENIED && i == DENIED / 2)
            deny[i] = (struct steer_deny){*from, 128};
    }
    if (loop == STEER_LOOP_OURS_RATE)
        args.source_rate = 1000000000; /* 1 ns each: a run takes longer */
    if (loop == STEER_LOOP_OVER_RATE)
        args.source_rate = 1;
    loops->steer = steer_open(&args, err, sizeof(err));
    if (loops->steer == NULL) {
        fprintf(stderr, "%s\n", err);
        return false;
    }
    loops->program = steer_program(loops->steer);
    return bpf_map_update_elem(steer_sockets(loops->steer), &queue, &loops->receiver,
                               BPF_ANY) == 0;
}

struct steer_loops *steer_loops_create(enum steer_loop loop)
{
    struct steer_loops *loops = calloc(1, sizeof(*loops));
    struct proa_addr from = addr_v4(0x0a000002, 7400), to = addr_v4(0x0a000001, 7400);
    static const uint8_t from6[16] = {0xfd, [15] = 2}, to6[16] = {0xfd, [15] = 1};
    bool ours = loop >= STEER_LOOP_OURS_V4 && loop <= STEER_LOOP_OURS_RATE;

    if (loops == NULL || !apart()) {
        free(loops);
        return NULL;
    }
    if (loop == STEER_LOOP_OURS_V6) {
        addr_set_v6(&from, from6, 7400);
        addr_set_v6(&to, to6, 7400);
    }
    loops->action = ours ? XDP_REDIRECT : loop >= STEER_LOOP_DENIED ? XDP_DROP : XDP_PASS;
    make_frame(loops, loop, &from, &to);
    loops->receiver = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    loops->link = -1;
    if (loop == STEER_LOOP_NOTHING)
        loops->program = load_nothing(&loops->link);
    else if (!open_steer(loops, loop, &from, &to))
        loops->program = -1;
    if (loops->program >= 0 && loops->receiver >= 0)
        return loops;
    steer_loops_destroy(loops);
    return NULL;
}

void steer_loops_destroy(struct steer_loops *loops)
{
    if (loops == NULL)
        return;
    if (loops->steer == NULL && loops->program >= 0)
        close(loops->program);
    if (loops->link >= 0)
        close(loops->link);
    steer_close(loops->steer);
    if (loops->receiver >= 0)
        close(loops->receiver);
    free(loops);
}

int steer_loops_run(struct steer_loops *loops, uint32_t n)
{
    struct bpf_test_run_opts opts = {.sz = sizeof(opts),
                                     .data_in = loops->frame,
                                     .data_size_in = loops->len,
                                     .repeat = (int)n};

    return bpf_prog_test_run_opts(loops->program, &opts) == 0 &&
           opts.retval == loops->action;
}
