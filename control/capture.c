/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "lane.h"
#include "net.h"
#include "pcapng.h"

_Static_assert(CAPTURE_HEADERS == NET_IPV6 + NET_UDP + NET_LEAD_IPV6,
               "the longer of both families'");

#define FRAME_DATA 72 /* of frame: where a packet begins, 8-aligned as in its buffer */

_Static_assert(FRAME_DATA % 8 == 0 && FRAME_DATA >= NET_HEADERS_MAX, "net_build's room");

struct capture {
    struct capture_config config;
    char names[PROA_PORTS_MAX][PROA_TEXT_MAX];
    uint64_t written[PROA_PORTS_MAX];
    uint64_t written_all;
    struct tap taps[PROA_LANES_MAX];
    /* A packet with its headers, which net_build writes in front of it. */
    alignas(8) uint8_t frame[FRAME_DATA + CAPTURE_SNAP_MAX];
};

/* ---- Begin and end ---- */

static bool make_taps(struct capture *capture)
{
    for (unsigned i = 0; i < capture->config.lane_count; i++) {
        struct tap *tap = &capture->taps[i];

        tap->filter = capture->config.wish.filter;
        tap->ring = byte_ring_create(CAPTURE_RING_BYTES);
        if (tap->ring == NULL)
            return false;
    }
    return true;
}

struct capture *capture_start(const struct capture_config *config)
{
    struct capture *capture = aligned_alloc(alignof(struct capture), sizeof(*capture));

    if (capture == NULL)
        return NULL;
    memset(capture, 0, sizeof(*capture));
    capture->config = *config;
    for (unsigned i = 0; i < config->port_count; i++)
        snprintf(capture->names[i], sizeof(capture->names[i]), "%s",
                 config->ports[i].name);
    if (!make_taps(capture)) {
        capture_free(capture);
        return NULL;
    }
    for (unsigned i = 0; i < config->lane_count; i++)
        lane_tap(config->lanes[i], &capture->taps[i]);
    return capture;
}

void capture_end(struct capture *capture)
{
    for (unsigned i = 0; i < capture->config.lane_count; i++)
        lane_tap(capture->config.lanes[i], NULL);
}

bool capture_begun(const struct capture *capture)
{
    for (unsigned i = 0; i < capture->config.lane_count; i++) {
        if (lane_tapped(capture->config.lanes[i]) != &capture->taps[i])
            return false;
    }
    return true;
}

bool capture_ended(const struct capture *capture)
{
    for (unsigned i = 0; i < capture->config.lane_count; i++) {
        if (lane_tapped(capture->config.lanes[i]) != NULL)
            return false;
    }
    return true;
}

void capture_free(struct capture *capture)
{
    if (capture == NULL)
        return;
    for (unsigned i = 0; i < capture->config.lane_count; i++)
        byte_ring_destroy(capture->taps[i].ring);
    free(capture);
}

/* ---- The file ---- */

size_t capture_head(struct capture *capture, uint8_t *buf, size_t cap)
{
    struct pcapng to = {.buf = buf, .cap = cap};
    const struct capture_config *config = &capture->config;
    bool ok = pcapng_section(&to, config->program);

    for (unsigned i = 0; i < config->port_count && ok; i++) {
        char text[PCAPNG_TEXT_MAX], address[ADDR_TEXT_MAX];

        addr_print(&config->ports[i].address, address, sizeof(address));
        snprintf(text, sizeof(text), "port %u of proa node %016llx at %s", i,
                 (unsigned long long)config->node, address);
        ok = pcapng_interface(&to, capture->names[i], text,
                              CAPTURE_HEADERS + config->wish.filter.snap);
    }
    PROA_ASSERT(ok); /* 9 blocks of less than 2 kB each */
    return to.len;
}

/* The node's own end of a packet: the port's address, but in the peer's family. */
static struct proa_addr own_end(const struct capture *capture,
                                const struct tap_record *record)
{
    struct proa_addr own = capture->config.ports[record->port].address;

    if (own.family != record->peer.family) {
        uint16_t port = own.port;
        static const uint8_t none[16];
        if (record->peer.family == 6)
            addr_set_v6(&own, none, port);
        else
            addr_set_v4(&own, none, port);
    }
    return own;
}

/* Makes headers up in front of the bytes in capture->frame. */
static const uint8_t *build_headers(struct capture *capture,
                                    const struct tap_record *record, bool whole,
                                    uint32_t *ret_headers)
{
    static const uint8_t no_mac[6];
    struct proa_addr own = own_end(capture, record);
    struct net_template template;
    uint8_t *data = capture->frame + FRAME_DATA;
    uint32_t front;

    net_template_init(&template, record->out ? &own : &record->peer, no_mac, no_mac);
    front = net_build(&template, data, (uint16_t)record->len,
                      record->out ? &record->peer : &own, record->source,
                      whole ? NET_CHECKSUM_FULL : NET_CHECKSUM_NONE);
    *ret_headers = front - NET_ETH;
    return data - *ret_headers;
}

/* Writes one record; false: no room. */
static bool write_record(struct capture *capture, const struct byte_record *from,
                         struct pcapng *to)
{
    struct tap_record record;
    struct pcapng_packet packet;
    uint32_t kept = from->len - (uint32_t)sizeof(record), headers;

    memcpy(&record, from->body, sizeof(record));
    memcpy(capture->frame + FRAME_DATA, from->body + sizeof(record), kept);
    packet.data = build_headers(capture, &record, kept == record.len, &headers);
    packet.interface = record.port;
    packet.at = record.at + capture->config.wall_ahead;
    packet.out = record.out;
    packet.kept = headers + kept;
    packet.len = headers + record.len;
    if (!pcapng_packet(to, &packet))
        return false;
    capture->written_all++;
    capture->written[record.port]++;
    return true;
}

static proa_ns time_of(const struct byte_record *record)
{
    struct tap_record head;

    memcpy(&head, record->body, sizeof(head));
    return head.at;
}

/* The lane whose next record is the oldest; NULL: no lane has one. */
static struct tap *oldest(struct capture *capture, const struct byte_record **ret)
{
    struct tap *found = NULL;
    proa_ns at = 0;

    for (unsigned i = 0; i < capture->config.lane_count; i++) {
        const struct byte_record *record = byte_ring_peek(capture->taps[i].ring);

        if (record != NULL && (found == NULL || time_of(record) < at)) {
            found = &capture->taps[i];
            at = time_of(record);
            *ret = record;
        }
    }
    return found;
}

size_t capture_read(struct capture *capture, uint8_t *buf, size_t cap)
{
    struct pcapng to = {.buf = buf, .cap = cap};
    const struct byte_record *record = NULL;

    while (!capture_full(capture)) {
        struct tap *tap = oldest(capture, &record);

        if (tap == NULL || !write_record(capture, record, &to))
            break;
        byte_ring_pop(tap->ring);
    }
    return to.len;
}

bool capture_full(const struct capture *capture)
{
    uint64_t wished = capture->config.wish.packets;

    return wished != 0 && capture->written_all >= wished;
}

static uint64_t sum_of(const struct capture *capture, unsigned port, bool dropped)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < capture->config.lane_count; i++) {
        const struct tap *tap = &capture->taps[i];
        /* relaxed: a count, a moment old while the lane goes on. */
        sum += atomic_load_explicit(dropped ? &tap->dropped[port] : &tap->taken[port],
                                    memory_order_relaxed);
    }
    return sum;
}

size_t capture_tail(const struct capture *capture, proa_ns now, uint8_t *buf, size_t cap)
{
    struct pcapng to = {.buf = buf, .cap = cap};
    bool ok = true;

    for (unsigned i = 0; i < capture->config.port_count && ok; i++) {
        uint64_t dropped = sum_of(capture, i, true);
        struct pcapng_statistics statistics = {
            .interface = i,
            .begin = capture->config.begin + capture->config.wall_ahead,
            .end = now + capture->config.wall_ahead,
            .received = sum_of(capture, i, false) + dropped,
            .dropped = dropped,
            .written = capture->written[i]};

        ok = pcapng_statistics(&to, &statistics);
    }
    PROA_ASSERT(ok); /* 8 blocks of less than 128 bytes */
    return to.len;
}

void capture_totals(const struct capture *capture, struct capture_totals *ret)
{
    ret->written = capture->written_all;
    ret->dropped = 0;
    for (unsigned i = 0; i < capture->config.port_count; i++)
        ret->dropped += sum_of(capture, i, true);
}
