/* SPDX-License-Identifier: Apache-2.0 */
#include "ethdev_steer.h"

#include <string.h>

#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_thash.h>

#include "addr.h"
#include "mix.h"

/* ---- Rules ---- */

static struct rte_flow *make_rule(const struct ethdev_steer *s, uint16_t queue)
{
    const struct rte_flow_attr attr = {.ingress = 1};
    const struct rte_flow_item_udp wanted = {
        .hdr = {.src_port = rte_cpu_to_be_16((uint16_t)(ETHDEV_STEER_FIRST + queue)),
                .dst_port = rte_cpu_to_be_16(s->self.port)}};
    const struct rte_flow_item_udp mask = {
        .hdr = {.src_port = 0xffff, .dst_port = 0xffff}};
    const struct rte_flow_item pattern[] = {
        {.type = RTE_FLOW_ITEM_TYPE_ETH},
        {.type = s->self.family == 6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4},
        {.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &wanted, .mask = &mask},
        {.type = RTE_FLOW_ITEM_TYPE_END}};
    const struct rte_flow_action_queue to = {.index = queue};
    const struct rte_flow_action actions[] = {
        {.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to},
        {.type = RTE_FLOW_ACTION_TYPE_END}};
    struct rte_flow_error error;

    if (rte_flow_validate(s->dev, &attr, pattern, actions, &error) != 0)
        return NULL;
    return rte_flow_create(s->dev, &attr, pattern, actions, &error);
}

static void take_rules_away(struct ethdev_steer *s)
{
    struct rte_flow_error error;

    for (unsigned q = 0; q < s->queues; q++) {
        if (s->flows[q] != NULL)
            (void)rte_flow_destroy(s->dev, s->flows[q], &error);
        s->flows[q] = NULL;
    }
}

static bool make_rules(struct ethdev_steer *s)
{
    for (uint16_t q = 0; q < s->queues; q++) {
        s->flows[q] = make_rule(s, q);
        if (s->flows[q] == NULL) {
            take_rules_away(s);
            return false;
        }
    }
    return true;
}

/* ---- The device's own way ---- */

static bool read_table(struct ethdev_steer *s, uint16_t size)
{
    struct rte_eth_rss_reta_entry64
        groups[ETHDEV_STEER_TABLE_MAX / RTE_ETH_RETA_GROUP_SIZE];

    if (size == 0 || size > ETHDEV_STEER_TABLE_MAX || size % RTE_ETH_RETA_GROUP_SIZE != 0)
        return false;
    memset(groups, 0, sizeof(groups));
    for (unsigned i = 0; i < size / RTE_ETH_RETA_GROUP_SIZE; i++)
        groups[i].mask = UINT64_MAX;
    if (rte_eth_dev_rss_reta_query(s->dev, groups, size) != 0)
        return false;
    for (unsigned i = 0; i < size; i++)
        s->table[i] =
            groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
    s->table_size = size;
    return true;
}

static bool read_rss(struct ethdev_steer *s)
{
    uint8_t key[ETHDEV_STEER_KEY_MAX] = {0};
    struct rte_eth_rss_conf conf = {.rss_key = key};
    struct rte_eth_dev_info info;

    if (rte_eth_dev_info_get(s->dev, &info) != 0 || info.hash_key_size < 40 ||
        info.hash_key_size > sizeof(key))
        return false;
    conf.rss_key_len = info.hash_key_size;
    if (rte_eth_dev_rss_hash_conf_get(s->dev, &conf) != 0 || conf.rss_hf == 0 ||
        !read_table(s, info.reta_size))
        return false;
    rte_convert_rss_key((const uint32_t *)(const void *)key, s->key, sizeof(key));
    s->by_port =
        (conf.rss_hf & (s->self.family == 6 ? RTE_ETH_RSS_NONFRAG_IPV6_UDP
                                            : RTE_ETH_RSS_NONFRAG_IPV4_UDP)) != 0;
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

uint32_t ethdev_steer_hash(const struct ethdev_steer *s, const struct proa_addr *from,
                           uint16_t port)
{
    uint32_t words[9];
    unsigned n = put_address(words, from);

    n += put_address(words + n, &s->self);
    words[n++] = (uint32_t)port << 16 | s->self.port;
    return rte_softrss_be(words, n, (const uint8_t *)s->key);
}

static bool reaches(const struct ethdev_steer *s, unsigned lane,
                    const struct proa_addr *from, uint16_t port)
{
    return s->table[ethdev_steer_hash(s, from, port) % s->table_size] % s->lanes == lane;
}

static uint16_t search(const struct ethdev_steer *s, unsigned lane,
                       const struct proa_addr *from, unsigned tried)
{
    for (unsigned i = 0; i < ETHDEV_STEER_LOOKS; i++) {
        uint16_t port = (uint16_t)(ETHDEV_STEER_FIRST + i);

        if (reaches(s, lane, from, port) && tried-- == 0)
            return port;
    }
    return 0;
}

/* ---- All ways ---- */

uint16_t ethdev_steer_port(const struct ethdev_steer *s, unsigned lane,
                           const struct proa_addr *from, unsigned tried)
{
    uint64_t draw;

    if (lane >= s->queues)
        return 0; /* nothing arrives there */
    if (s->rules && tried == 0)
        return (uint16_t)(ETHDEV_STEER_FIRST + lane);
    if (s->rules)
        tried--;
    if (s->known)
        return s->by_port ? search(s, lane, from, tried) : 0;
    draw = mix64(addr_hash(from) ^ mix64((uint64_t)lane << 32 | tried));
    return (uint16_t)(ETHDEV_STEER_FIRST + draw % ETHDEV_STEER_COUNT);
}

const char *ethdev_steer_way(const struct ethdev_steer *s)
{
    if (s->queues < 2)
        return "one queue";
    return s->rules ? "steered by rules"
           : s->known
               ? (s->by_port ? "steered by RSS" : "RSS without UDP ports: not steered")
               : "steered by trying";
}

void ethdev_steer_init(struct ethdev_steer *s, uint16_t dev, uint16_t queues,
                       unsigned lanes, const struct proa_addr *self)
{
    memset(s, 0, sizeof(*s));
    s->dev = dev;
    s->queues = queues;
    s->lanes = lanes;
    s->self = *self;
    if (queues < 2)
        return;
    s->rules = make_rules(s);
    s->known = read_rss(s);
}

void ethdev_steer_fini(struct ethdev_steer *s)
{
    if (s->rules)
        take_rules_away(s);
    s->rules = false;
}
