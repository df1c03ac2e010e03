/* SPDX-License-Identifier: Apache-2.0 */
#include "ethdev_steer.h"

#include <string.h>

#include <rte_ethdev.h>
#include <rte_flow.h>

/* ---- Rules ---- */

static struct rte_flow *make_rule(const struct ethdev_steer *s, uint16_t queue)
{
    const struct rte_flow_attr attr = {.ingress = 1};
    const struct rte_flow_item_udp wanted = {
        .hdr = {.src_port = rte_cpu_to_be_16((uint16_t)(RSS_FIRST + queue)),
                .dst_port = rte_cpu_to_be_16(s->rss.self.port)}};
    const struct rte_flow_item_udp mask = {
        .hdr = {.src_port = 0xffff, .dst_port = 0xffff}};
    const struct rte_flow_item pattern[] = {
        {.type = RTE_FLOW_ITEM_TYPE_ETH},
        {.type =
             s->rss.self.family == 6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4},
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

    for (unsigned q = 0; q < s->rss.queues; q++) {
        if (s->flows[q] != NULL)
            (void)rte_flow_destroy(s->dev, s->flows[q], &error);
        s->flows[q] = NULL;
    }
}

static bool make_rules(struct ethdev_steer *s)
{
    for (uint16_t q = 0; q < s->rss.queues; q++) {
        s->flows[q] = make_rule(s, q);
        if (s->flows[q] == NULL) {
            take_rules_away(s);
            return false;
        }
    }
    return true;
}

/* ---- The device's own way ---- */

static bool read_table(uint16_t dev, uint16_t size, uint16_t *ret)
{
    struct rte_eth_rss_reta_entry64 groups[RSS_TABLE_MAX / RTE_ETH_RETA_GROUP_SIZE];

    if (size == 0 || size > RSS_TABLE_MAX || size % RTE_ETH_RETA_GROUP_SIZE != 0)
        return false;
    memset(groups, 0, sizeof(groups));
    for (unsigned i = 0; i < size / RTE_ETH_RETA_GROUP_SIZE; i++)
        groups[i].mask = UINT64_MAX;
    if (rte_eth_dev_rss_reta_query(dev, groups, size) != 0)
        return false;
    for (unsigned i = 0; i < size; i++)
        ret[i] = groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
    return true;
}

static void read_rss(struct ethdev_steer *s)
{
    const uint64_t by_port = s->rss.self.family == 6 ? RTE_ETH_RSS_NONFRAG_IPV6_UDP
                                                     : RTE_ETH_RSS_NONFRAG_IPV4_UDP;
    uint8_t key[RSS_KEY_MAX] = {0};
    uint16_t table[RSS_TABLE_MAX];
    struct rte_eth_rss_conf conf = {.rss_key = key};
    struct rte_eth_dev_info info;

    if (rte_eth_dev_info_get(s->dev, &info) != 0 || info.hash_key_size > sizeof(key))
        return;
    conf.rss_key_len = info.hash_key_size;
    if (rte_eth_dev_rss_hash_conf_get(s->dev, &conf) != 0 || conf.rss_hf == 0 ||
        !read_table(s->dev, info.reta_size, table))
        return;
    (void)rss_know(&s->rss, key, info.hash_key_size, table, info.reta_size,
                   (conf.rss_hf & by_port) != 0);
}

/* ---- All ways ---- */

uint16_t ethdev_steer_port(const struct ethdev_steer *s, unsigned lane,
                           const struct proa_addr *from, unsigned tried)
{
    if (s->rules && tried == 0 && lane < s->rss.queues)
        return (uint16_t)(RSS_FIRST + lane);
    return rss_port(&s->rss, lane, from, s->rules && tried > 0 ? tried - 1 : tried);
}

const char *ethdev_steer_way(const struct ethdev_steer *s)
{
    if (s->rss.queues < 2)
        return "one queue";
    if (s->rules)
        return "steered by rules";
    if (!s->rss.known)
        return "steered by trying";
    return s->rss.by_port ? "steered by RSS" : "RSS without UDP ports: not steered";
}

void ethdev_steer_init(struct ethdev_steer *s, uint16_t dev, uint16_t queues,
                       unsigned lanes, const struct proa_addr *self)
{
    memset(s, 0, sizeof(*s));
    s->dev = dev;
    rss_init(&s->rss, queues, lanes, self);
    if (queues < 2)
        return;
    s->rules = make_rules(s);
    read_rss(s);
}

void ethdev_steer_fini(struct ethdev_steer *s)
{
    if (s->rules)
        take_rules_away(s);
    s->rules = false;
}
