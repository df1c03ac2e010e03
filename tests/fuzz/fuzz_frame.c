/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame.c - any bytes as frames from a network: what is not a datagram of ours goes to the
   resolver, as on a port.  The first byte of the input chooses the family and whether checksums
   are made right first, which a fuzzer does not guess; then each frame has its length in two
   bytes. */
#include "addr.h"
#include "net.h"
#include "resolver.h"

#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                       \
    do {                                                                                 \
        if (!(cond))                                                                     \
            __builtin_trap();                                                            \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
    struct resolver *r;
    uint8_t neighbour[16];
    bool used;
};

static void on_send(void *ctx, const uint8_t *frame, size_t len)
{
    struct net_datagram d;

    (void)ctx;
    MUST(len >= NET_ETH + 20 && (frame[6] & 1) == 0);
    (void)net_parse(frame, len, &(struct proa_addr){.family = 4}, 0, &d);
}

static void on_reach(void *ctx, const uint8_t hop[16], const uint8_t *mac)
{
    const struct host *h = ctx;

    MUST(memcmp(hop, h->neighbour, 16) == 0);
    MUST(mac == NULL || (mac[0] & 1) == 0);
}

static bool on_in_use(void *ctx, const uint8_t hop[16])
{
    (void)hop;
    return ((const struct host *)ctx)->used;
}

static void put_sum(uint8_t *at, uint64_t sum)
{
    uint16_t check = (uint16_t)~net_sum_fold(sum);

    memcpy(at, &check, sizeof(check));
}

/* Makes the checksums of IP and of what it carries right, as far as lengths make sense. */
static void mend(uint8_t *frame, size_t len)
{
    uint8_t *ip = frame + NET_ETH;
    size_t ip_len = len > NET_ETH && ip[0] >> 4 == 6 ? NET_IPV6 : NET_IPV4, rest;
    uint8_t tail[8] = {0};

    if (len < NET_ETH + ip_len + 8)
        return;
    rest = len - NET_ETH - ip_len;
    if (ip_len == NET_IPV4) {
        memset(ip + 10, 0, 2);
        put_sum(ip + 10, net_sum(ip, NET_IPV4, 0));
        if (ip[9] == 1) {
            memset(ip + NET_IPV4 + 2, 0, 2);
            put_sum(ip + NET_IPV4 + 2, net_sum(ip + NET_IPV4, rest, 0));
        }
    } else if (ip[6] == 58 || (ip[6] == 0 && rest > 16)) {
        uint8_t *icmp = ip + NET_IPV6 + (ip[6] == 0 ? 8 : 0);

        rest -= ip[6] == 0 ? 8 : 0;
        tail[2] = (uint8_t)(rest >> 8);
        tail[3] = (uint8_t)rest;
        tail[7] = 58;
        memset(icmp + 2, 0, 2);
        put_sum(icmp + 2, net_sum(icmp, rest, net_sum(tail, 8, net_sum(ip + 8, 32, 0))));
    }
}

static void one(struct host *h, const struct proa_addr *self, const uint8_t *bytes,
                size_t len, bool mending, proa_ns now)
{
    uint8_t *frame = malloc(len + 1); /* its own block: every overrun is seen */
    struct net_datagram d;

    MUST(frame != NULL);
    memcpy(frame, bytes, len);
    if (mending)
        mend(frame, len);
    for (unsigned accept = 0; accept < 4; accept++) {
        if (net_parse(frame, len, self, accept, &d) == PORT_OK)
            MUST(d.len > 0 && d.offset + d.len <= len && d.from.family == self->family);
    }
    resolver_input(h->r, frame, len, now);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct resolver_env env = {NULL, on_send, on_reach, on_in_use};
    struct resolver_config config = {.prefix = 120, .mac = {2, 0, 0, 0, 0, 1}};
    struct resolver_env own = env;
    struct proa_addr to;
    struct host h;
    proa_ns now = PROA_S;

    if (size < 1)
        return 0;
    MUST(addr_parse((data[0] & 1) != 0 ? "[fd00::1]:7400" : "10.0.0.1:7400", 0,
                    &config.address));
    MUST(addr_parse((data[0] & 1) != 0 ? "fd00::2" : "10.0.0.2", 0, &to));
    own.ctx = &h;
    h.used = (data[0] & 4) != 0;
    memcpy(h.neighbour, to.ip, 16);
    h.r = resolver_init(malloc(resolver_size()), &config, &own);
    (void)resolver_ask(h.r, to.ip, now);
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = (size_t)(data[at] | data[at + 1] << 8) % 2048;

        uint8_t hop[16];

        at += 2;
        MUST(resolver_hop(h.r, to.ip, hop) && memcmp(hop, to.ip, 16) == 0);
        (void)resolver_ask(h.r, hop, now);
        if (len > size - at)
            len = size - at;
        one(&h, &config.address, data + at, len, (data[0] & 2) != 0, now);
        at += len;
        now += (data[0] & 8) != 0 ? 31 * PROA_S : PROA_S;
        resolver_tick(h.r, now);
        MUST(resolver_deadline(h.r) > now);
    }
    free(h.r);
    return 0;
}
