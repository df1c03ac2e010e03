/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Hands UDP datagrams for this node's addresses and ports to its AF_XDP sockets, by receive
   queue, and leaves everything else to the kernel: its ARP, TCP, SSH on the same interface go on.
   What needs more than a look at fixed places (fragments, options, extension headers, VLAN tags)
   is the kernel's as well. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer.h"

#define FRAGMENT_BITS 0x3fff /* more fragments, and the offset */

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, STEER_QUEUES_MAX);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, STEER_LISTEN_MAX);
    __type(key, struct steer_listen);
    __type(value, __u8);
} listening SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STEER_COUNTS);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(__u32 which)
{
    __u64 *n = bpf_map_lookup_elem(&counters, &which);

    if (n)
        (*n)++;
}

static __always_inline int pass(__u32 why)
{
    count(why);
    return XDP_PASS;
}

static __always_inline int steer(struct xdp_md *ctx, const struct steer_listen *to)
{
    long action;

    if (!bpf_map_lookup_elem(&listening, to))
        return pass(STEER_ELSEWHERE);
    action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
    count(action == XDP_REDIRECT ? STEER_OURS : STEER_NO_SOCKET);
    return action;
}

static __always_inline int ipv4(struct xdp_md *ctx, void *at, void *end)
{
    const struct iphdr *ip = at;
    const struct udphdr *udp = (const void *)(ip + 1);
    struct steer_listen to = {.zero = 0};

    if ((void *)(ip + 1) > end)
        return pass(STEER_NOT_IP);
    if (ip->protocol != IPPROTO_UDP)
        return pass(STEER_NOT_UDP);
    if (ip->version != 4 || ip->ihl != 5)
        return pass(STEER_OPTIONS);
    if (ip->frag_off & bpf_htons(FRAGMENT_BITS))
        return pass(STEER_FRAGMENT);
    if ((void *)(udp + 1) > end)
        return pass(STEER_NOT_UDP);
    to.ip[2] = bpf_htonl(0xffff);
    to.ip[3] = ip->daddr;
    to.port = udp->dest;
    return steer(ctx, &to);
}

static __always_inline int ipv6(struct xdp_md *ctx, void *at, void *end)
{
    const struct ipv6hdr *ip = at;
    const struct udphdr *udp = (const void *)(ip + 1);
    struct steer_listen to = {.zero = 0};

    if ((void *)(ip + 1) > end)
        return pass(STEER_NOT_IP);
    if (ip->nexthdr == IPPROTO_FRAGMENT)
        return pass(STEER_FRAGMENT);
    if (ip->nexthdr != IPPROTO_UDP || (void *)(udp + 1) > end)
        return pass(STEER_NOT_UDP);
    __builtin_memcpy(to.ip, &ip->daddr, sizeof(to.ip));
    to.port = udp->dest;
    return steer(ctx, &to);
}

SEC("xdp") int proa_steer(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    const struct ethhdr *eth = data;

    if ((void *)(eth + 1) > end)
        return pass(STEER_NOT_IP);
    if (eth->h_proto == bpf_htons(ETH_P_IP))
        return ipv4(ctx, data + sizeof(*eth), end);
    if (eth->h_proto == bpf_htons(ETH_P_IPV6))
        return ipv6(ctx, data + sizeof(*eth), end);
    return pass(STEER_NOT_IP);
}

char license_text[] SEC("license") = "Dual BSD/GPL";
