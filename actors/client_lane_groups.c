/* SPDX-License-Identifier: Apache-2.0 */
/* The lane's half of a client's calls about groups (client_groups.c). */
#include "client_ring.h"
#include "scheduler_internal.h"

void client_watch(struct sched *s, struct slot *slot, const struct proa_msg *msg)
{
    struct client_head head = {.id = msg->correlation};
    struct proa_watching w = {0, 0};
    struct client_watch call;
    enum proa_outcome outcome = PROA_STOPPED;

    memcpy(&call, msg->data, sizeof(call));
    PROA_ASSERT(call.len <= PROA_NAME_MAX && sizeof(call) + call.len <= msg->len);
    if (!s->draining)
        outcome = watching_start(s, slot, (enum proa_watch_what)call.what,
                                 (const char *)msg->data + sizeof(call), call.len, &w);
    if (outcome != PROA_OK)
        send_failed(s, NULL, outcome);
    head.outcome = outcome;
    head.from = (struct proa_ref){0, w.index, w.serial};
    client_record(s, slot, CLIENT_WATCHED, &head, NULL);
}

void client_unwatch(struct sched *s, struct slot *slot, const struct proa_msg *msg)
{
    struct proa_watching w;

    memcpy(&w, msg->data, sizeof(w));
    watching_stop(s, slot, w);
}

void client_multicast(struct sched *s, struct slot *slot, const struct proa_msg *msg)
{
    const uint8_t *at = msg->data;
    struct client_head head = {.id = msg->correlation};
    struct client_multicast call;
    struct proa_msg tell = {.from = msg->from};

    memcpy(&call, at, sizeof(call));
    PROA_ASSERT(call.group_len <= PROA_NAME_MAX && call.len <= PROA_MULTICAST_MAX);
    tell.type = call.type;
    tell.len = call.len;
    tell.data = at + sizeof(call) + ((call.group_len + 7) & ~7u);
    head.outcome = multicast_send(s, NULL, &tell, (const char *)at + sizeof(call),
                                  call.group_len, &head.type);
    client_record(s, slot, CLIENT_MULTICASTED, &head, NULL);
}

bool client_changed(struct sched *s, struct slot *slot, const struct node *node)
{
    struct client_head head = {.len = node->msg.len};

    if (!client_tell_out(s, slot->client, CLIENT_CHANGED, &head, node->payload))
        return false;
    watching_out(s, node);
    return true;
}
