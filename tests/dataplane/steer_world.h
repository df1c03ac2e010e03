/* SPDX-License-Identifier: Apache-2.0 */
/* steer_world.h - the XDP program on a loopback of its own, run on frames by BPF_PROG_TEST_RUN:
   nothing is sent.  For tests of xdp_steer.c.  Needs root and BPF, else they are skipped. */
#ifndef STEER_WORLD_H
#define STEER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "addr.h"
#include "net.h"
#include "xdp_steer.h"

#define SKIPPED 77
#define LOOPBACK 1 /* index of lo in every new namespace */
#define PORT 7400

struct frame {
    uint8_t bytes[256];
    uint32_t len;
};

static const uint8_t self4[] = {10, 0, 0, 1}, other4[] = {10, 0, 0, 2};
static const uint8_t self6[16] = {0xfd, [15] = 1}, other6[16] = {0xfd, [15] = 2};
static struct steer *steer;
static int receiver; /* an AF_XDP socket for queue 0 */

/* ---- Frames ---- */

static struct proa_addr self_of(unsigned family)
{
    struct proa_addr addr;

    if (family == 4)
        addr_set_v4(&addr, self4, PORT);
    else
        addr_set_v6(&addr, self6, PORT);
    return addr;
}

/* A datagram for us as a node sends it. */
static struct frame datagram(unsigned family)
{
    static const uint8_t mac[6] = {2};
    struct proa_addr to = self_of(family), from;
    struct net_template template;
    struct frame f = {.len = 0};
    uint8_t *data = f.bytes + NET_HEADERS_MAX;
    uint32_t front;

    if (family == 4)
        addr_set_v4(&from, other4, PORT);
    else
        addr_set_v6(&from, other6, PORT);
    net_template_init(&template, &from, mac, mac);
    front = net_build(&template, data, 32, &to, 0, NET_CHECKSUM_FULL);
    f.len = front + 32;
    memmove(f.bytes, data - front, f.len);
    return f;
}

static uint8_t *ip_of(struct frame *f)
{
    return f->bytes + NET_ETH;
}

static uint8_t *udp_of(struct frame *f)
{
    return ip_of(f) + ((ip_of(f)[0] >> 4) == 4 ? NET_IPV4 : NET_IPV6);
}

static uint32_t run(struct frame *f)
{
    uint8_t out[sizeof(f->bytes)];
    struct bpf_test_run_opts opts = {.sz = sizeof(opts),
                                     .data_in = f->bytes,
                                     .data_size_in = f->len,
                                     .data_out = out,
                                     .data_size_out = sizeof(out),
                                     .repeat = 1};

    assert_int_equal(bpf_prog_test_run_opts(steer_program(steer), &opts), 0);
    assert_int_equal(opts.data_size_out, f->len); /* it changes nothing */
    assert_memory_equal(out, f->bytes, f->len);
    return opts.retval;
}

#define HANDED STEER_COUNTS /* no counter: its lane counts it */

/* The frame has that fate, and exactly that counter moves, by one. */
static void meets(struct frame *f, uint32_t action, enum steer_count count)
{
    uint64_t before[STEER_COUNTS], after[STEER_COUNTS];

    steer_counts(steer, before);
    assert_int_equal(run(f), action);
    steer_counts(steer, after);
    if (count != HANDED)
        before[count]++;
    assert_memory_equal(before, after, sizeof(before));
}

/* ---- The program ---- */

static void open_with(const struct steer_deny *deny, unsigned count, uint32_t rate)
{
    const struct proa_addr self[] = {self_of(4), self_of(6)};
    const struct steer_args args = {.name = "lo",
                                    .index = LOOPBACK,
                                    .generic = true,
                                    .listen = self,
                                    .listen_count = 2,
                                    .deny = deny,
                                    .deny_count = count,
                                    .source_rate = rate};
    const uint32_t queue = 0;
    char err[300];

    steer = steer_open(&args, err, sizeof(err));
    if (steer == NULL)
        fail_msg("%s", err);
    assert_int_equal(
        bpf_map_update_elem(steer_sockets(steer), &queue, &receiver, BPF_ANY), 0);
}

static int teardown(void **state)
{
    (void)state;
    steer_close(steer);
    steer = NULL;
    return 0;
}

/* Why there can be no XDP program here, or NULL. */
static const char *impossible(void)
{
    int map;

    if (geteuid() != 0)
        return "needs root";
    if (unshare(CLONE_NEWNET) != 0)
        return strerror(errno);
    receiver = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (receiver < 0)
        return strerror(errno);
    map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "try", 4, 4, 1, NULL);
    if (map < 0)
        return strerror(-map);
    close(map);
    return NULL;
}

#endif
