/* SPDX-License-Identifier: Apache-2.0 */
/* resolver_host.h - hosts for the tests of resolver*.c: a resolver, what it sent and what it told.

   Threads: one.  Units: as resolver.h.  Errors: cmocka's asserts. */
#ifndef RESOLVER_HOST_H
#define RESOLVER_HOST_H

#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "net.h"
#include "resolver.h"

/* One host: a resolver and what it did. */
struct host {
    struct resolver *r;
    struct resolver_config config;
    unsigned sent; /* frames, ever */
    uint8_t frame[2048];
    size_t len;        /* of the last frame; 0: none since this was last cleared */
    struct host *wire; /* gets what is sent, when set */
    unsigned reached;  /* calls of reach */
    bool known, used;
    uint8_t mac[6], hop[16];
    proa_ns now;
};

static inline void on_send(void *ctx, const uint8_t *frame, size_t len)
{
    struct host *h = ctx;

    assert_true(len <= sizeof(h->frame));
    memcpy(h->frame, frame, len);
    h->len = len;
    h->sent++;
    if (h->wire != NULL) {
        h->wire->now = h->now;
        resolver_input(h->wire->r, frame, len, h->now);
    }
}

static inline void on_reach(void *ctx, const uint8_t hop[16], const uint8_t *mac)
{
    struct host *h = ctx;

    h->reached++;
    h->known = mac != NULL;
    memcpy(h->hop, hop, 16);
    if (mac != NULL)
        memcpy(h->mac, mac, 6);
}

static inline bool on_in_use(void *ctx, const uint8_t hop[16])
{
    (void)hop;
    return ((struct host *)ctx)->used;
}

static inline void host_open(struct host *h, const char *address, uint8_t mac,
                             const char *gateway)
{
    const struct resolver_env env = {h, on_send, on_reach, on_in_use};

    memset(h, 0, sizeof(*h));
    h->now = 5 * PROA_S;
    assert_true(addr_parse_prefix(address, &h->config.address, &h->config.prefix));
    if (gateway != NULL)
        assert_true(addr_parse(gateway, 0, &h->config.gateway));
    memcpy(h->config.mac, (uint8_t[6]){2, 0, 0, 0, 0, mac}, 6);
    h->r = resolver_init(malloc(resolver_size()), &h->config, &env);
}

static inline void host_close(struct host *h)
{
    free(h->r);
}

static const char *const address_a[] = {"10.0.0.1/24", "fd00::1/64"};
static const char *const address_b[] = {"10.0.0.2/24", "fd00::2/64"};
static const char *const gateway_of[] = {"10.0.0.254", "fe80::1"};
static const char *const far_away[] = {"10.9.9.9", "fd99::9"};

/* a knows b, and each hears the other. */
static inline void know(struct host *a, struct host *b, unsigned family)
{
    host_open(a, address_a[family], 1, NULL);
    host_open(b, address_b[family], 2, NULL);
    a->wire = b;
    b->wire = a;
    resolver_ask(a->r, b->config.address.ip, a->now);
    assert_true(a->known);
}

#endif
