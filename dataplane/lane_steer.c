/* SPDX-License-Identifier: Apache-2.0 */
/* Steering: that a link's packets arrive on its lane.

   A NIC spreads packets over its queues by their addresses and UDP ports.  Those of the sender
   are the only thing in that which is free to choose, so the receiver chooses: it tells the
   sender, in the link's stream, from which UDP port to send (STEER), and takes the link's
   packets from that port too from then on.  Where the port knows how the device chooses, the
   first proposal is right; else each is a try, judged by where the packets that follow it
   arrive.  Until then, and when nothing helps, packets go from lane to lane. */
#include "lane_internal.h"

#include "addr.h"
#include "sysmsg.h"

#define STEER_AFTER 32u /* packets astray: a link that carries little is left alone */
#define STEER_TRIES 64u /* at two lanes a try fails with 1/2: 2^-64 */
#define STEER_FOR                                                                        \
    (100 * PROA_MS)   /* a proposal has so long to show, then twice as long, ... */
#define STEER_TOLD 8u /* times it is told: 25 s */

static void tell(struct lane *lane, struct lane_link *ll)
{
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg msg = {.data = body,
                           .len = (uint32_t)sysmsg_encode_steer(body, ll->steering.port),
                           .type = SYSMSG_STEER,
                           .from = {lane->config.node, lane->config.lane << 24, 0},
                           .to = {link_node(ll->link), 0, 0},
                           .flags = PROA_MSG_SYSTEM,
                           .cls = PROA_CLASS_SYSTEM};

    ll->steering.at = lane->now;
    ll->steering.told++;
    (void)link_send(ll->link, &msg, lane->now);
    lane_dirty(lane, ll);
}

static void propose(struct lane *lane, struct lane_link *ll, uint8_t port_index)
{
    struct port *port = lane->config.ports[port_index];
    struct lane_steering *s = &ll->steering;
    uint16_t next = 0;

    if (s->tried < STEER_TRIES)
        next = port->ops->source_port(port, lane->config.lane, link_peer(ll->link),
                                      s->tried);
    s->tried++;
    if (next == 0) { /* or too many */
        s->tried = STEER_TRIES + 1;
        return;
    }
    s->before = s->port;
    s->port = next;
    s->told = 0;
    tell(lane, ll);
}

/* A packet that is new to the link has come.  One from the proposed port is its proof, or its
   refutation; one from elsewhere was sent before the proposal arrived, or by an end that found
   that the port does not get through, and is told again, less and less often. */
void lane_steer(struct lane *lane, struct lane_link *ll,
                const struct lane_arrival *arrival)
{
    struct lane_steering *s = &ll->steering;

    if (!lane->config.ports[arrival->port]->steers || s->tried > STEER_TRIES)
        return;
    if (!arrival->astray) {
        if (arrival->from == s->port)
            s->told = 0;
        return;
    }
    if (s->port == 0) {
        if (++s->astray >= STEER_AFTER)
            propose(lane, ll, arrival->port);
    } else if (arrival->from == s->port) {
        propose(lane, ll, arrival->port);
    } else if (s->told < STEER_TOLD && lane->now - s->at >= STEER_FOR << s->told) {
        tell(lane, ll);
    }
}

bool lane_steered(const struct lane_link *ll, const struct proa_addr *from)
{
    const struct lane_steering *s = &ll->steering;

    return addr_same_ip(from, link_peer(ll->link)) && from->port != 0 &&
           (from->port == s->port || from->port == s->before);
}
