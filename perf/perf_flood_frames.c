/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_flood_frames.h"

#include <string.h>

#include "addr.h"
#include "net.h"
#include "packet.h"
#include "perf_netns.h"

#define BODY 80u /* with 48 bytes in front a frame of 128 */

_Static_assert(NET_HEADERS_MAX + BODY <= PERF_FLOOD_FRAME_MAX, "room for all of it");

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t draw(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void fill_body(enum perf_flood_kind kind, uint64_t *random, uint8_t *data)
{
    struct packet_header header = {.kind = PACKET_DATA};

    for (uint32_t i = 0; i < BODY; i += 8)
        proa_put_le64(data + i, draw(random));
    if (kind == PERF_FLOOD_KRPC) {
        memcpy(data, "d1:ad2:id20:", 12);
        return;
    }
    if (kind == PERF_FLOOD_SYNS) {
        header.kind = PACKET_SYN; /* and its tag is random */
    } else {
        header.dst_link = draw(random);
        header.seq = (uint32_t)draw(random);
    }
    packet_header_put(data, &header);
}

static enum perf_flood_kind kind_of(enum perf_flood_kind kind, uint32_t number)
{
    static const enum perf_flood_kind each[] = {PERF_FLOOD_LINKS, PERF_FLOOD_SYNS,
                                                PERF_FLOOD_KRPC};

    return kind == PERF_FLOOD_MIXED ? each[number % 3] : kind;
}

void perf_flood_build(enum perf_flood_kind kind, uint16_t port,
                      struct perf_flood_frame *frames)
{
    const uint8_t mac_from[6] = PERF_NETNS_MAC(2), mac_to[6] = PERF_NETNS_MAC(1);
    uint64_t random = 0x2545f4914f6cdd1d;
    struct proa_addr from, to;

    PROA_ASSERT(addr_parse(PERF_NETNS_NET "2", port, &from) &&
                addr_parse(PERF_NETNS_NET "1", port, &to));
    for (uint32_t i = 0; i < PERF_FLOOD_FRAMES; i++) {
        struct perf_flood_frame *frame = &frames[i];
        uint8_t *data = frame->bytes + NET_HEADERS_MAX;
        struct net_template template;

        from.port = (uint16_t)(1024 + draw(&random) % 60000);
        net_template_init(&template, &from, mac_from, mac_to);
        fill_body(kind_of(kind, i), &random, data);
        uint32_t front = net_build(&template, data, BODY, &to, 0, NET_CHECKSUM_FULL);
        frame->at = (uint16_t)(NET_HEADERS_MAX - front);
        frame->len = (uint16_t)(front + BODY);
    }
}
