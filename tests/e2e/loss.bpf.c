/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Drops one packet in five, for the lab. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp") int lab_loss(struct xdp_md *ctx)
{
    (void)ctx;
    return bpf_get_prandom_u32() % 5 == 0 ? XDP_DROP : XDP_PASS;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
