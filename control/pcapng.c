/* SPDX-License-Identifier: Apache-2.0 */
#include "pcapng.h"

#include <proa/le.h>
#include <string.h>

enum block {
    BLOCK_INTERFACE = 1,
    BLOCK_STATISTICS = 5,
    BLOCK_PACKET = 6,
    BLOCK_SECTION = 0x0a0d0d0a,
};

enum option {
    OPTION_END = 0,
    SECTION_PROGRAM = 4,
    INTERFACE_NAME = 2,
    INTERFACE_DESCRIPTION = 3,
    INTERFACE_RESOLUTION = 9,
    PACKET_FLAGS = 2,
    STATISTICS_BEGIN = 2,
    STATISTICS_END = 3,
    STATISTICS_RECEIVED = 4,
    STATISTICS_DROPPED = 5,
    STATISTICS_DELIVERED = 8,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define RESOLUTION_NS 9 /* 10^-9 s */
#define FLAGS_INBOUND 1u
#define FLAGS_OUTBOUND 2u

/* Blocks are put together behind to->len and count only when they are whole. */
struct block_writer {
    struct pcapng *to;
    size_t at;
    bool full;
};

static void put_bytes(struct block_writer *w, const void *bytes, size_t len)
{
    size_t padded = (len + 3) & ~(size_t)3;

    if (w->full || w->to->cap - w->at < padded) {
        w->full = true;
        return;
    }
    if (len > 0)
        memcpy(w->to->buf + w->at, bytes, len);
    memset(w->to->buf + w->at + len, 0, padded - len);
    w->at += padded;
}

static void put32(struct block_writer *w, uint32_t value)
{
    uint8_t bytes[4];

    proa_put_le32(bytes, value);
    put_bytes(w, bytes, sizeof(bytes));
}

/* Moments are two words, the high one first, whatever the byte order. */
static void put_moment(struct block_writer *w, uint64_t at)
{
    put32(w, (uint32_t)(at >> 32));
    put32(w, (uint32_t)at);
}

static struct block_writer begin(struct pcapng *to, enum block type)
{
    struct block_writer w = {.to = to, .at = to->len};

    put32(&w, type);
    put32(&w, 0); /* the length, once it is known */
    return w;
}

static bool end(struct block_writer *w)
{
    uint32_t len = (uint32_t)(w->at + 4 - w->to->len);

    put32(w, len);
    if (w->full)
        return false;
    proa_put_le32(w->to->buf + w->to->len + 4, len);
    w->to->len = w->at;
    return true;
}

static void put_option(struct block_writer *w, enum option code, const void *bytes,
                       size_t len)
{
    put32(w, (uint32_t)code | (uint32_t)len << 16);
    put_bytes(w, bytes, len);
}

static void put_text(struct block_writer *w, enum option code, const char *text)
{
    put_option(w, code, text, strnlen(text, PCAPNG_TEXT_MAX));
}

static void put_count(struct block_writer *w, enum option code, uint64_t value)
{
    uint8_t bytes[8];

    proa_put_le64(bytes, value);
    put_option(w, code, bytes, sizeof(bytes));
}

bool pcapng_section(struct pcapng *to, const char *program)
{
    struct block_writer w = begin(to, BLOCK_SECTION);

    put32(&w, BYTE_ORDER_MAGIC);
    put32(&w, 1);          /* version 1.0 */
    put32(&w, UINT32_MAX); /* the section's length: not known */
    put32(&w, UINT32_MAX);
    put_text(&w, SECTION_PROGRAM, program);
    put32(&w, OPTION_END);
    return end(&w);
}

bool pcapng_interface(struct pcapng *to, const char *name, const char *description,
                      uint32_t snap)
{
    const uint8_t resolution = RESOLUTION_NS;
    struct block_writer w = begin(to, BLOCK_INTERFACE);

    put32(&w, PCAPNG_LINKTYPE_RAW);
    put32(&w, snap);
    put_text(&w, INTERFACE_NAME, name);
    put_text(&w, INTERFACE_DESCRIPTION, description);
    put_option(&w, INTERFACE_RESOLUTION, &resolution, sizeof(resolution));
    put32(&w, OPTION_END);
    return end(&w);
}

bool pcapng_packet(struct pcapng *to, const struct pcapng_packet *packet)
{
    struct block_writer w = begin(to, BLOCK_PACKET);
    uint8_t flags[4];

    put32(&w, packet->interface);
    put_moment(&w, packet->at);
    put32(&w, packet->kept);
    put32(&w, packet->len);
    put_bytes(&w, packet->data, packet->kept);
    proa_put_le32(flags, packet->out ? FLAGS_OUTBOUND : FLAGS_INBOUND);
    put_option(&w, PACKET_FLAGS, flags, sizeof(flags));
    put32(&w, OPTION_END);
    return end(&w);
}

static void put_moment_option(struct block_writer *w, enum option code, uint64_t at)
{
    put32(w, (uint32_t)code | 8u << 16);
    put_moment(w, at);
}

bool pcapng_statistics(struct pcapng *to, const struct pcapng_statistics *statistics)
{
    struct block_writer w = begin(to, BLOCK_STATISTICS);

    put32(&w, statistics->interface);
    put_moment(&w, statistics->end);
    put_moment_option(&w, STATISTICS_BEGIN, statistics->begin);
    put_moment_option(&w, STATISTICS_END, statistics->end);
    put_count(&w, STATISTICS_RECEIVED, statistics->received);
    put_count(&w, STATISTICS_DROPPED, statistics->dropped);
    put_count(&w, STATISTICS_DELIVERED, statistics->written);
    put32(&w, OPTION_END);
    return end(&w);
}
