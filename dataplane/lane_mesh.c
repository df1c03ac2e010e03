/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the linked registries: up to the control thread, and down into links.

   They are cheap to lose, since the registries mend themselves, and come in masses when sets are
   exchanged.  So whoever is full drops them, counted, long before it is full for others: the
   control thread's ring at its half, a link's outbox at LINK_OUTBOX_REGISTRY of their own packets,
   the list of what waits for a link at LANE_REGISTRY_MAX.  Answers, refusals, pings and names always
   find the rest.  Actors' packets and theirs are counted apart: neither keeps the other out. */
#include "lane_internal.h"

#include <string.h>

#include "sysmsg.h"

void lane_mesh_input(struct lane *lane, uint64_t node, const struct proa_msg *msg)
{
    const struct byte_ring *up = lane->config.up;
    struct punt_mesh head = {.node = node};

    if (msg->len == 0 || msg->len > SYSMSG_REGISTRY_MAX) {
        lane_count(&lane->stats.sysmsg_bad, 1);
        return;
    }
    if (byte_ring_used(up) < byte_ring_record_max(up) &&
        lane_push_up(lane, PUNT_MESH, &head, sizeof(head), msg->data, msg->len))
        lane_count(&lane->stats.registry_rx, 1);
    else
        lane_count(&lane->stats.registry_dropped, 1);
}

static bool send_to(struct lane *lane, uint64_t node, const void *bytes, size_t len)
{
    const struct lane_peer *peer = lane_peer_get(lane, node);

    if (peer == NULL ||
        (peer->first != NULL && peer->privileged_count >= LANE_REGISTRY_MAX))
        return false;
    return lane_send_system(lane, (struct proa_ref){node, 0, 0}, SYSMSG_REGISTRY, bytes,
                            len) == PROA_OK;
}

void lane_mesh_send(struct lane *lane, const uint8_t *body, size_t len)
{
    struct punt_mesh_send head;
    const uint8_t *nodes = body + sizeof(head);
    uint64_t node;

    PROA_ASSERT(len >= sizeof(head));
    memcpy(&head, body, sizeof(head));
    PROA_ASSERT((len - sizeof(head)) / sizeof(node) >= head.nodes);
    const uint8_t *bytes = nodes + head.nodes * sizeof(node);
    size_t bytes_len = (size_t)(body + len - bytes);

    PROA_ASSERT(bytes_len >= 1 && bytes_len <= SYSMSG_REGISTRY_MAX);
    for (uint32_t i = 0; i < head.nodes; i++) {
        memcpy(&node, nodes + i * sizeof(node), sizeof(node));
        if (send_to(lane, node, bytes, bytes_len))
            lane_count(&lane->stats.registry_tx, 1);
        else
            lane_count(&lane->stats.registry_dropped, 1);
    }
}
