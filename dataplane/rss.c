/* SPDX-License-Identifier: Apache-2.0 */
#include "rss.h"

#include <string.h>

#include <rte_thash.h>

#include "addr.h"
#include "mix.h"

void rss_init(struct rss *r, unsigned queues, unsigned lanes,
              const struct proa_addr *self)
{
    memset(r, 0, sizeof(*r));
    r->queues = queues;
    r->lanes = lanes;
    r->self = *self;
}

bool rss_know(struct rss *r, const uint8_t *key, size_t key_len, const uint16_t *table,
              size_t table_size, bool by_port)
{
    uint32_t words[RSS_KEY_MAX / 4] = {0};

    if (key_len < RSS_KEY_MIN || key_len > RSS_KEY_MAX || key_len % 4 != 0 ||
        table_size == 0 || table_size > RSS_TABLE_MAX)
        return false;
    memcpy(words, key, key_len);
    rte_convert_rss_key(words, r->key, (int)key_len);
    memcpy(r->table, table, table_size * sizeof(*table));
    r->table_size = (unsigned)table_size;
    r->by_port = by_port;
    r->known = true;
    return true;
}

/* Words of the address in host order, as rte_softrss_be wants them. */
static unsigned put_address(uint32_t *words, const struct proa_addr *addr)
{
    unsigned n = addr->family == 6 ? 4 : 1;
    const uint8_t *at = addr->ip + (16 - 4 * n);

    for (unsigned i = 0; i < n; i++, at += 4)
        words[i] =
            (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return n;
}

uint32_t rss_hash(const struct rss *r, const struct proa_addr *from, uint16_t port)
{
    uint32_t words[9];
    unsigned n = put_address(words, from);

    n += put_address(words + n, &r->self);
    words[n++] = (uint32_t)port << 16 | r->self.port;
    return rte_softrss_be(words, n, (const uint8_t *)r->key);
}

static bool reaches(const struct rss *r, unsigned lane, const struct proa_addr *from,
                    uint16_t port)
{
    return r->table[rss_hash(r, from, port) % r->table_size] % r->lanes == lane;
}

static uint16_t search(const struct rss *r, unsigned lane, const struct proa_addr *from,
                       unsigned tried)
{
    for (unsigned i = 0; i < RSS_LOOKS; i++) {
        uint16_t port = (uint16_t)(RSS_FIRST + i);

        if (reaches(r, lane, from, port) && tried-- == 0)
            return port;
    }
    return 0;
}

uint16_t rss_port(const struct rss *r, unsigned lane, const struct proa_addr *from,
                  unsigned tried)
{
    uint64_t draw;

    if (lane >= r->queues)
        return 0; /* nothing arrives there */
    if (r->known)
        return r->by_port && tried < RSS_KNOWN_TRIES ? search(r, lane, from, tried) : 0;
    draw = mix64(addr_hash(from) ^ mix64((uint64_t)lane << 32 | tried));
    return (uint16_t)(RSS_FIRST + draw % RSS_COUNT);
}
