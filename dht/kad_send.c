/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams on their way out: encoded and sealed when they are made, fetched one by one. */
#include "kad_internal.h"

#include "envelope.h"

#include <string.h>

uint32_t kad_send_room(const struct kad *kad)
{
    const struct kad_outbox *out = &kad->out;

    return (out->cap - out->end) / (KAD_PACKET_MAX + sizeof(struct kad_out_head));
}

bool kad_send(struct kad *kad, const struct proa_addr *to, struct krpc_message *message)
{
    struct kad_outbox *out = &kad->out;
    struct kad_out_head head = {.to = *to};

    if (kad_send_room(kad) == 0) {
        kad->stats.tx_dropped++;
        return false;
    }
    message->id = kad->self.id;
    message->has |= KRPC_HAS_AN | KRPC_HAS_ID;
    message->ro = message->kind == KRPC_QUERY && kad->names.left_by != 0;
    uint8_t *at = out->bytes + out->end + sizeof(head);
    head.len = (uint32_t)krpc_encode(message, at, KAD_PACKET_MAX);
    if (head.len == 0 ||
        envelope_seal(&kad->keys, at, head.len, kad->wall_ms, kad->epoch, 0) != 0)
        return false;
    memcpy(at - sizeof(head), &head, sizeof(head));
    out->end += (uint32_t)sizeof(head) + head.len;
    return true;
}

size_t kad_output(struct kad *kad, uint8_t *buf, struct proa_addr *ret_to)
{
    struct kad_outbox *out = &kad->out;
    struct kad_out_head head;

    if (out->begin == out->end)
        return 0;
    memcpy(&head, out->bytes + out->begin, sizeof(head));
    memcpy(buf, out->bytes + out->begin + sizeof(head), head.len);
    *ret_to = head.to;
    out->begin += (uint32_t)sizeof(head) + head.len;
    if (out->begin == out->end)
        out->begin = out->end = 0;
    kad->stats.tx++;
    return head.len;
}
