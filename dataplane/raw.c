/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include <string.h>

#include "clock.h"
#include "raw_wire.h"

#define PING_LOST (400 * PROA_MS) /* longer than a pong waits for its core */
#define PING_REST (100 * PROA_MS) /* without a frame: nothing is under way */

/* Frames held after they were sent. */
struct held {
    raw_buf *ring[RAW_HELD];
    unsigned at;
};

static void hold(struct held *held, struct raw_wire *wire, raw_buf **bufs, unsigned n)
{
    wire->hold(wire, bufs, n);
    for (unsigned i = 0; i < n; i++) {
        raw_buf **slot = &held->ring[held->at++ % RAW_HELD];

        if (*slot != NULL)
            wire->free(wire, slot, 1);
        *slot = bufs[i];
    }
}

static void held_free(struct held *held, struct raw_wire *wire)
{
    for (unsigned i = 0; i < RAW_HELD; i++) {
        if (held->ring[i] != NULL)
            wire->free(wire, &held->ring[i], 1);
    }
}

/* A message that goes out in frames, or comes in. */
struct bulk {
    uint8_t *bytes;
    uint32_t size, at;
    uint64_t number;
};

static uint32_t next_part(struct bulk *b, uint32_t room)
{
    uint32_t left = b->size - b->at;

    return room < left ? room : left;
}

static void put(struct bulk *b, struct raw_wire *wire, raw_buf *buf)
{
    uint32_t room, n;
    uint8_t *body = wire->body(wire, buf, &room);

    if (b->at == b->size)
        b->at = 0;
    for (uint32_t i = 0; b->at == 0 && i + 8 <= b->size; i += RAW_STRIDE)
        memcpy(b->bytes + i, &b->number, sizeof(b->number));
    n = next_part(b, room);
    memcpy(body, b->bytes + b->at, n);
    b->at += n;
    b->number += b->at == b->size;
}

static uint64_t take(struct bulk *b, struct raw_wire *wire, raw_buf *buf)
{
    uint32_t room, n;
    const uint8_t *body = wire->body(wire, buf, &room);
    uint64_t sum = 0, word;

    n = next_part(b, room);
    memcpy(b->bytes + b->at, body, n);
    b->at += n;
    if (b->at < b->size)
        return 0;
    for (uint32_t i = 0; i + 8 <= b->size; i += RAW_STRIDE) {
        memcpy(&word, b->bytes + i, sizeof(word));
        sum += word;
    }
    b->at = 0;
    return sum;
}

static void flood(struct raw_wire *wire, const struct raw_options *options,
                  struct held *held, struct raw_result *ret)
{
    proa_ns start = clock_ns(), now = start;
    struct bulk bulk = {options->message, options->message_size, 0, 1};
    raw_buf *bufs[PORT_BURST];

    while (now - start < options->duration) {
        unsigned sent = 0, n = options->burst;

        if (!wire->make(wire, bufs, n, options->size, ret->packets))
            n = 0; /* all are with the device: look again */
        for (unsigned i = 0; i < n && bulk.size > 0; i++)
            put(&bulk, wire, bufs[i]);
        if (options->hold)
            hold(held, wire, bufs, n);
        do { /* at least one look, and on until the device has them all */
            unsigned took = wire->tx(wire, bufs + sent, n - sent);

            sent += took;
            ret->waits += took == 0;
            now = clock_ns();
        } while (sent < n && now - start < options->duration);
        wire->free(wire, bufs + sent, n - sent);
        ret->packets += sent;
    }
    ret->elapsed = now - start;
}

static void sink(struct raw_wire *wire, const struct raw_options *options,
                 struct raw_result *ret)
{
    struct bulk bulk = {options->message, options->message_size, 0, 0};
    proa_ns since = clock_ns(), start = 0, last = 0;
    raw_buf *bufs[PORT_BURST];

    for (unsigned idle = 0;;) {
        unsigned n = wire->rx(wire, bufs, options->burst);

        for (unsigned i = 0; i < n && bulk.size > 0; i++)
            ret->sum += take(&bulk, wire, bufs[i]);
        if (n > 0)
            wire->free(wire, bufs, n);
        ret->packets += n;
        if (n == 0 && (++idle & 63) != 0)
            continue; /* the clock costs as much as an empty look */
        proa_ns now = clock_ns();

        if (n > 0) {
            start = start == 0 ? now : start;
            last = since = now;
        }
        if (now - since > options->patience ||
            (start != 0 && now - start > options->duration))
            break;
    }
    ret->elapsed = last - start;
}

/* A frame that nobody writes and reads stays in the cache of the core that copies it.  What a message costs
   besides is its bytes' way from core to core. */
static void touch(struct raw_wire *wire, raw_buf *buf, uint64_t word)
{
    uint32_t len;
    uint8_t *body = wire->body(wire, buf, &len);

    for (uint32_t i = 0; i + 8 <= len; i += 8, word++)
        memcpy(body + i, &word, sizeof(word));
}

static uint64_t look(struct raw_wire *wire, raw_buf *buf)
{
    uint32_t len;
    const uint8_t *body = wire->body(wire, buf, &len);
    uint64_t sum = 0, word;

    for (uint32_t i = 0; i + 8 <= len; i += 8) {
        memcpy(&word, body + i, sizeof(word));
        sum += word;
    }
    return sum;
}

/* Sends one frame, whatever it takes; false: no buffer. */
static bool send_one(struct raw_wire *wire, const struct raw_options *options,
                     struct held *held, uint64_t number)
{
    raw_buf *buf;

    if (!wire->make(wire, &buf, 1, options->size, number))
        return false;
    if (options->touch)
        touch(wire, buf, number);
    if (options->hold)
        hold(held, wire, &buf, 1);
    while (wire->tx(wire, &buf, 1) == 0)
        ;
    return true;
}

/* Takes what is still under way; frames. */
static uint64_t drain(struct raw_wire *wire)
{
    proa_ns since = clock_ns();
    uint64_t frames = 0;
    raw_buf *buf;

    while (clock_ns() - since < PING_REST) {
        if (wire->rx(wire, &buf, 1) > 0) {
            wire->free(wire, &buf, 1);
            frames++;
        }
    }
    return frames;
}

static void ping(struct raw_wire *wire, const struct raw_options *options,
                 struct held *held, struct raw_result *ret)
{
    proa_ns start = clock_ns(), now = start;

    while (now - start < options->duration) {
        proa_ns sent = now;
        raw_buf *back = NULL;

        if (!send_one(wire, options, held, ret->packets))
            break;
        while (wire->rx(wire, &back, 1) == 0 && (now = clock_ns()) - sent < PING_LOST)
            ;
        if (back != NULL && options->touch)
            ret->sum += look(wire, back);
        now = clock_ns();
        if (back == NULL) {
            ret->waits++;
            drain(wire);
            now = clock_ns();
            continue;
        }
        wire->free(wire, &back, 1);
        uint64_t bucket = (now - sent) / RAW_BUCKET;

        ret->times[bucket < RAW_BUCKETS ? bucket : RAW_BUCKETS - 1]++;
        ret->packets++;
    }
    ret->elapsed = now - start;
    ret->strays = drain(wire);
}

static void pong(struct raw_wire *wire, const struct raw_options *options,
                 struct held *held, struct raw_result *ret)
{
    proa_ns start = 0, last = clock_ns();
    uint64_t seen = 0;
    raw_buf *in;

    for (unsigned idle = 0;;) {
        if (wire->rx(wire, &in, 1) > 0) {
            if (options->touch)
                ret->sum += look(wire, in);
            wire->free(wire, &in, 1);
            ret->packets += send_one(wire, options, held, ret->packets);
        } else if ((++idle & 1023) == 0) {
            proa_ns now = clock_ns();

            if (ret->packets > seen) {
                seen = ret->packets;
                start = start == 0 ? now : start;
                last = now;
            } else if (now - last > options->patience) {
                break;
            }
        }
    }
    ret->elapsed = start != 0 ? last - start : 0;
}

void raw_run(const struct raw_on *on, enum raw_role role,
             const struct raw_options *options, struct raw_result *ret)
{
    struct held held = {.at = 0};
    struct raw_wire wire;

    PROA_ASSERT(options->burst >= 1 && options->burst <= PORT_BURST);
    raw_wire_init(&wire, on, options->segment);
    PROA_ASSERT(options->size >= RAW_SIZE_MIN && options->size <= wire.size_max);
    memset(ret, 0, sizeof(*ret));
    switch (role) {
    case RAW_FLOOD:
        flood(&wire, options, &held, ret);
        break;
    case RAW_SINK:
        sink(&wire, options, ret);
        break;
    case RAW_PING:
        ping(&wire, options, &held, ret);
        break;
    case RAW_PONG:
        pong(&wire, options, &held, ret);
        break;
    }
    ret->bytes = ret->packets * options->size;
    held_free(&held, &wire);
}

uint64_t raw_percentile(const struct raw_result *result, uint32_t ppm)
{
    uint64_t want = (result->packets * ppm + 999999) / 1000000, seen = 0;

    for (unsigned i = 0; i < RAW_BUCKETS; i++) {
        seen += result->times[i];
        if (seen >= want && seen > 0)
            return (uint64_t)i * RAW_BUCKET;
    }
    return (uint64_t)RAW_BUCKETS * RAW_BUCKET;
}
