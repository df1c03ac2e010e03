/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Hands UDP datagrams for this node's addresses and ports to its AF_XDP sockets, by receive
   queue, and leaves everything else to the kernel: its ARP, TCP, SSH on the same interface go on.
   What needs more than a look at fixed places (fragments, options, extension headers, VLAN tags)
   is the kernel's as well.

   Of what is ours, datagrams from denied addresses are dropped here, and those of a source that
   sends more than it may. */
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

/* By CPU, and not a per-CPU map: the node reads it as memory, without a system call, which it may
   no longer be allowed once it has given up its privileges. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before it is loaded: as many as there are CPUs */
    __type(key, __u32);
    __type(value, struct steer_counters);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, STEER_DENY_MAX);
    __type(key, struct steer_prefix);
    __type(value, __u8);
} denied SEC(".maps");

/* Until when each source has used up what it may send: a token bucket in one word (GCRA, ITU-T
   I.371).  Two CPUs that meet on one source charge it one datagram instead of two: no lock. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, STEER_SOURCES_MAX);
    __type(key, struct steer_source);
    __type(value, __u64);
} sources SEC(".maps");

/* Set before the program is loaded: compared with as constants, and what is off is no code.
   perf/bench_steer: a hash map of addresses costs 22 ns a packet more. */
const volatile struct steer_listen listening[STEER_LISTEN_MAX] = {{.family = 0}};
const volatile __u32 listening_count = 0;
const volatile __u32 cpu_mask = 0; /* a CPU's number has so many bits */
const volatile __u64 source_interval =
    0; /* ns a datagram of one source costs; 0: no limit */
const volatile __u64 source_burst = 0; /* ns a source may be ahead */

/* Some source is or was denied: it may be the first while the program runs. */
volatile __u32 denying = 0;

static __always_inline void count(__u32 which)
{
    __u32 cpu = bpf_get_smp_processor_id() & cpu_mask;
    struct steer_counters *own = bpf_map_lookup_elem(&counters, &cpu);

    if (own)
        own->n[which]++;
}

static __always_inline int pass(__u32 why)
{
    count(why);
    return XDP_PASS;
}

static __always_inline int drop(__u32 why)
{
    count(why);
    return XDP_DROP;
}

static __always_inline int is_ours(const struct steer_listen *to)
{
#pragma unroll
    for (__u32 i = 0; i < STEER_LISTEN_MAX; i++) {
        const volatile struct steer_listen *own = &listening[i];

        if (i < listening_count && to->port == own->port && to->family == own->family &&
            to->ip[3] == own->ip[3] && to->ip[2] == own->ip[2] &&
            to->ip[1] == own->ip[1] && to->ip[0] == own->ip[0])
            return 1;
    }
    return 0;
}

static __always_inline int is_denied(const struct steer_source *from, __u32 family)
{
    struct steer_prefix key = {
        .bits = STEER_FAMILY_BITS + 128, .family = family, .source = *from};

    return bpf_map_lookup_elem(&denied, &key) != NULL;
}

/* The coarse clock is a tick behind, and far cheaper; a tick is little beside a burst.  Of IPv6 the
   network of 64 bits counts as one source: whoever has one address of it has them all. */
static __always_inline int over_rate(struct steer_source *from, __u32 family)
{
    if (family == 6)
        from->ip[2] = from->ip[3] = 0;

    __u64 now = bpf_ktime_get_coarse_ns(), next = now + source_interval;
    volatile __u64 *until = bpf_map_lookup_elem(&sources, from);

    if (!until) {
        bpf_map_update_elem(&sources, from, &next, BPF_ANY);
        return 0;
    }
    if (*until > now)
        next = *until + source_interval;
    if (next - now > source_burst)
        return 1;
    *until = next;
    return 0;
}

static __always_inline int steer(struct xdp_md *ctx, struct steer_source *from,
                                 __u32 family)
{
    long action;

    if (denying && is_denied(from, family))
        return drop(STEER_DENIED);
    if (source_interval && over_rate(from, family))
        return drop(STEER_RATE);
    action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
    if (action != XDP_REDIRECT)
        count(STEER_NO_SOCKET);
    return action;
}

static __always_inline int ipv4(struct xdp_md *ctx, void *at, void *end)
{
    const struct iphdr *ip = at;
    const struct udphdr *udp = (const void *)(ip + 1);
    struct steer_listen to = {.family = 4};
    struct steer_source from = {{0}};

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
    if (!is_ours(&to))
        return pass(STEER_ELSEWHERE);
    from.ip[2] = bpf_htonl(0xffff);
    from.ip[3] = ip->saddr;
    return steer(ctx, &from, 4);
}

static __always_inline int ipv6(struct xdp_md *ctx, void *at, void *end)
{
    const struct ipv6hdr *ip = at;
    const struct udphdr *udp = (const void *)(ip + 1);
    struct steer_listen to = {.family = 6};
    struct steer_source from;

    if ((void *)(ip + 1) > end)
        return pass(STEER_NOT_IP);
    if (ip->nexthdr == IPPROTO_FRAGMENT)
        return pass(STEER_FRAGMENT);
    if (ip->nexthdr != IPPROTO_UDP || (void *)(udp + 1) > end)
        return pass(STEER_NOT_UDP);
    __builtin_memcpy(to.ip, &ip->daddr, sizeof(to.ip));
    to.port = udp->dest;
    if (!is_ours(&to))
        return pass(STEER_ELSEWHERE);
    __builtin_memcpy(from.ip, &ip->saddr, sizeof(from.ip));
    return steer(ctx, &from, 6);
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
