/* SPDX-License-Identifier: Apache-2.0 */
#include "packet.h"

#include <string.h>

_Static_assert(PACKET_AT_TRIGGER == PACKET_AT_ACK + 4 && PACKET_AT_FLAGS == 1 &&
                   PACKET_AT_WINDOW == 2 && PACKET_AT_SEQ == 4,
               "packet_header_of knows where they lie");
_Static_assert(PACKET_MSG_ASK == 0x01 && PACKET_MSG_REPLY == 0x02 &&
                   PACKET_MSG_SYSTEM == 0x04,
               "the wire's flags are proa_msg's");

#define CLASS_BITS 3u /* class:2, hops:6 */
#define HOPS_SHIFT 2
#define TRIGGER_VALID 0x8000u
#define ATTEMPT_SHIFT 5 /* in the flags */

static const char *const kind_names[PACKET_KIND_COUNT] = {
    "data", "ack", "syn", "synack", "open", "ping", "pong", "rst", "close"};

const char *packet_kind_name(unsigned kind)
{
    return kind < PACKET_KIND_COUNT ? kind_names[kind] : "?";
}

/* ---- Header ---- */

void packet_header_of(uint64_t head, uint64_t acks, struct packet_header *ret)
{
    uint32_t flags = head >> 8 & 0xff, trigger = acks >> 32 & 0xffff;

    ret->kind = head >> 4 & 15;
    ret->flags = flags & PACKET_FLAGS_ALL;
    ret->attempt = (uint8_t)(flags >> ATTEMPT_SHIFT);
    ret->trigger = (int16_t)((trigger & 0xfff) - ((trigger & 0x800) << 1));
    ret->trigger_attempt = trigger >> 12 & 7;
    ret->trigger_valid = (trigger & TRIGGER_VALID) != 0;
    ret->window = head >> 16 & 0xffff;
    ret->host_delay = (uint16_t)(acks >> 48);
    ret->seq = (uint32_t)(head >> 32);
    ret->ack = (uint32_t)acks;
    ret->sack = ret->dst_link = 0;
}

int packet_header_get(const uint8_t *data, size_t len, struct packet_header *ret)
{
    if (len < PACKET_HEADER_LEN)
        return PACKET_E_SHORT;
    if (packet_version(data) != PACKET_VERSION)
        return PACKET_E_VERSION;
    if (packet_kind(data) >= PACKET_KIND_COUNT)
        return PACKET_E_KIND;
    packet_header_of(proa_get_le64(data), proa_get_le64(data + PACKET_AT_ACK), ret);
    ret->sack = proa_get_le64(data + PACKET_AT_SACK);
    ret->dst_link = proa_get_le64(data + PACKET_AT_DST_LINK);
    return 0;
}

void packet_header_put(uint8_t *data, const struct packet_header *h)
{
    uint32_t trigger = ((uint32_t)h->trigger & 0xfff) |
                       (uint32_t)(h->trigger_attempt & 7) << 12 |
                       (h->trigger_valid ? TRIGGER_VALID : 0);

    data[0] = (uint8_t)(PACKET_VERSION | h->kind << 4);
    data[PACKET_AT_FLAGS] =
        (uint8_t)((h->flags & PACKET_FLAGS_ALL) | h->attempt << ATTEMPT_SHIFT);
    proa_put_le16(data + PACKET_AT_WINDOW, h->window);
    proa_put_le32(data + PACKET_AT_SEQ, h->seq);
    proa_put_le64(data + PACKET_AT_DST_LINK, h->dst_link);
    proa_put_le64(data + PACKET_AT_SACK, h->sack);
    proa_put_le32(data + PACKET_AT_ACK, h->ack);
    proa_put_le16(data + PACKET_AT_TRIGGER, (uint16_t)trigger);
    proa_put_le16(data + PACKET_AT_HOST_DELAY, h->host_delay);
}

/* ---- Keyed packets ---- */

static void put_keyed_header(uint8_t *buf, enum packet_kind kind, uint64_t dst_link)
{
    struct packet_header h = {.kind = (uint8_t)kind,
                              .dst_link = dst_link,
                              .host_delay = PACKET_HOST_DELAY_NONE};

    packet_header_put(buf, &h);
}

void packet_open_put(uint8_t *buf, size_t len, enum packet_kind kind,
                     const struct packet_open *open)
{
    PROA_ASSERT(len >= PACKET_OPEN_LEN + PACKET_TAG_LEN);
    memset(buf, 0, len);
    put_keyed_header(buf, kind, open->peer_link);
    proa_put_le64(buf + 32, open->src_node);
    proa_put_le64(buf + 40, open->dst_node);
    proa_put_le64(buf + 48, open->nonce);
    proa_put_le64(buf + 56, open->echo);
    proa_put_le64(buf + 64, open->link);
    proa_put_le64(buf + 72, open->peer_link);
    proa_put_le32(buf + 80, open->start);
    proa_put_le32(buf + 84, open->peer_start);
    proa_put_le16(buf + 88, open->mtu);
    buf[90] = open->lane;
    buf[91] = open->lanes;
    memcpy(buf + 96, open->public_key, sizeof(open->public_key));
    memcpy(buf + PACKET_OPEN_SIGNED_AT, open->signature, sizeof(open->signature));
    memcpy(buf + PACKET_OPEN_KX_AT, open->kx, sizeof(open->kx));
}

/* What all keyed packets have in common: 0 when kind lies in first..last and the body fits. */
static int check_keyed(const uint8_t *buf, size_t len, unsigned first, unsigned last,
                       size_t body)
{
    struct packet_header h;
    int err = packet_header_get(buf, len, &h);

    if (err != 0)
        return err;
    if (h.kind < first || h.kind > last)
        return PACKET_E_KIND;
    return len < body + PACKET_TAG_LEN ? PACKET_E_SHORT : 0;
}

int packet_open_get(const uint8_t *buf, size_t len, struct packet_open *ret)
{
    int err = check_keyed(buf, len, PACKET_SYN, PACKET_OPEN, PACKET_OPEN_LEN);

    if (err != 0)
        return err;

    struct packet_open o = {
        .src_node = proa_get_le64(buf + 32),
        .dst_node = proa_get_le64(buf + 40),
        .nonce = proa_get_le64(buf + 48),
        .echo = proa_get_le64(buf + 56),
        .link = proa_get_le64(buf + 64),
        .peer_link = proa_get_le64(buf + 72),
        .start = proa_get_le32(buf + 80),
        .peer_start = proa_get_le32(buf + 84),
        .mtu = proa_get_le16(buf + 88),
        .lane = buf[90],
        .lanes = buf[91],
    };
    memcpy(o.public_key, buf + 96, sizeof(o.public_key));
    memcpy(o.signature, buf + PACKET_OPEN_SIGNED_AT, sizeof(o.signature));
    memcpy(o.kx, buf + PACKET_OPEN_KX_AT, sizeof(o.kx));

    bool syn = packet_kind(buf) == PACKET_SYN;
    if (o.src_node == 0 || o.link == 0 || o.mtu < PACKET_MTU_MIN ||
        o.mtu > PACKET_LEN_MAX)
        return PACKET_E_FIELD;
    if (syn ? o.peer_link != 0 : o.dst_node == 0 || o.peer_link == 0)
        return PACKET_E_FIELD;
    if (packet_dst_link(buf) != o.peer_link)
        return PACKET_E_FIELD;
    *ret = o;
    return 0;
}

size_t packet_ping_put(uint8_t *buf, enum packet_kind kind,
                       const struct packet_ping *ping)
{
    put_keyed_header(buf, kind, ping->peer_link);
    proa_put_le64(buf + 32, ping->src_node);
    proa_put_le64(buf + 40, ping->dst_node);
    proa_put_le64(buf + 48, ping->nonce);
    proa_put_le64(buf + 56, ping->echo);
    proa_put_le64(buf + 64, ping->link);
    proa_put_le32(buf + 72, ping->flags);
    proa_put_le32(buf + 76, ping->loop_gap_us);
    return PACKET_PING_LEN;
}

int packet_ping_get(const uint8_t *buf, size_t len, struct packet_ping *ret)
{
    int err = check_keyed(buf, len, PACKET_PING, PACKET_CLOSE, PACKET_PING_LEN);

    if (err != 0)
        return err;
    if (proa_get_le64(buf + 32) == 0 || proa_get_le64(buf + 40) == 0)
        return PACKET_E_FIELD;
    ret->src_node = proa_get_le64(buf + 32);
    ret->dst_node = proa_get_le64(buf + 40);
    ret->nonce = proa_get_le64(buf + 48);
    ret->echo = proa_get_le64(buf + 56);
    ret->link = proa_get_le64(buf + 64);
    ret->peer_link = packet_dst_link(buf);
    ret->flags = proa_get_le32(buf + 72);
    ret->loop_gap_us = proa_get_le32(buf + 76);
    return 0;
}

/* ---- Messages ---- */

/* Flags, class, hops and type as far as they can contradict each other. */
static bool head_is_sound(const struct packet_message *m)
{
    const unsigned alone =
        PACKET_MSG_ASK | PACKET_MSG_REPLY | PACKET_MSG_FRAG | PACKET_MSG_FOREIGN;
    bool system = (m->flags & PACKET_MSG_SYSTEM) != 0;

    if ((m->flags & ~PACKET_MSG_FLAGS_ALL) != 0)
        return false;
    if (m->cls > PROA_CLASS_SYSTEM || m->hops > PROA_HOPS_MAX)
        return false;
    if (system != (m->type >= PROA_TYPE_SYSTEM) || (system && (m->flags & alone) != 0))
        return false;
    if ((m->flags & PACKET_MSG_ASK) && (m->flags & PACKET_MSG_REPLY))
        return false;
    return m->seen || !(m->flags & PACKET_MSG_SAME);
}

static bool frag_is_sound(const struct packet_message *m)
{
    return m->total > 0 && m->total <= PACKET_MESSAGE_CAP && m->len > 0 &&
           m->offset < m->total && m->len <= m->total - m->offset;
}

const uint8_t *packet_message_get(const uint8_t *at, const uint8_t *end,
                                  struct packet_message *m)
{
    size_t left = (size_t)(end - at);

    if (left < PACKET_MSG_HEAD_SAME)
        return NULL;
    m->len = proa_get_le16(at);
    m->flags = at[2];
    m->cls = at[3] & CLASS_BITS;
    m->hops = at[3] >> HOPS_SHIFT;
    m->type = proa_get_le32(at + 4);
    if (!head_is_sound(m))
        return NULL;

    size_t overhead = packet_overhead(m->flags);
    if (left < overhead + packet_padded(m->len))
        return NULL;
    at += PACKET_MSG_HEAD_SAME;
    if (!(m->flags & PACKET_MSG_SAME)) {
        m->dst = proa_get_le64(at);
        m->src = proa_get_le64(at + 8);
        at += PACKET_MSG_HEAD - PACKET_MSG_HEAD_SAME;
    }
    m->seen = true;
    m->src_node = 0;
    m->correlation = m->us_left = 0;
    if (m->flags & PACKET_MSG_FRAG) {
        m->stream = proa_get_le32(at);
        m->offset = proa_get_le32(at + 4);
        m->total = proa_get_le32(at + 8);
        if (!frag_is_sound(m))
            return NULL;
        at += PACKET_EXT_FRAG;
    }
    if (m->flags & PACKET_MSG_FOREIGN) {
        m->src_node = proa_get_le64(at);
        if (m->src_node == 0)
            return NULL;
        at += PACKET_EXT_FOREIGN;
    }
    if (m->flags & (PACKET_MSG_ASK | PACKET_MSG_REPLY)) {
        m->correlation = proa_get_le32(at);
        m->us_left = proa_get_le32(at + 4);
        if (m->us_left > PACKET_US_LEFT_MAX)
            return NULL;
        at += PACKET_EXT_ASK;
    }
    m->payload = at;
    return at + packet_padded(m->len);
}

size_t packet_message_put(uint8_t *buf, const struct packet_message *m)
{
    uint8_t *at = buf;

    proa_put_le16(at, m->len);
    at[2] = m->flags;
    at[3] = (uint8_t)(m->cls | m->hops << HOPS_SHIFT);
    proa_put_le32(at + 4, m->type);
    at += PACKET_MSG_HEAD_SAME;
    if (!(m->flags & PACKET_MSG_SAME)) {
        proa_put_le64(at, m->dst);
        proa_put_le64(at + 8, m->src);
        at += PACKET_MSG_HEAD - PACKET_MSG_HEAD_SAME;
    }
    if (m->flags & PACKET_MSG_FRAG) {
        proa_put_le32(at, m->stream);
        proa_put_le32(at + 4, m->offset);
        proa_put_le32(at + 8, m->total);
        proa_put_le32(at + 12, 0);
        at += PACKET_EXT_FRAG;
    }
    if (m->flags & PACKET_MSG_FOREIGN) {
        proa_put_le64(at, m->src_node);
        at += PACKET_EXT_FOREIGN;
    }
    if (m->flags & (PACKET_MSG_ASK | PACKET_MSG_REPLY)) {
        proa_put_le32(at, m->correlation);
        proa_put_le32(at + 4, m->us_left);
        at += PACKET_EXT_ASK;
    }
    return (size_t)(at - buf);
}

int packet_messages_check(const uint8_t *at, const uint8_t *end)
{
    struct packet_message m; /* each field but seen is set before it is read */
    size_t last = 0;
    int count = 0;

    m.seen = false;

    if (((size_t)(end - at) & 7) != 0)
        return -1;
    while (at < end) {
        uint64_t head = proa_get_le64(at); /* 8 bytes are left at least */
        size_t same = head >> 21 & 1;      /* PACKET_MSG_SAME */
        size_t need = PACKET_MSG_HEAD - 16 * same + packet_padded(head & 0xffff);

        if (__builtin_expect(packet_head_is_plain(head) && (m.seen || !same) &&
                                 need <= (size_t)(end - at),
                             1)) {
            m.seen = true;
            at = packet_step(at, need, &last);
        } else if (packet_head_is_call(head) && (m.seen || !same) &&
                   need + PACKET_EXT_ASK <= (size_t)(end - at) &&
                   proa_get_le32(at + PACKET_MSG_HEAD - 16 * same + 4) <=
                       PACKET_US_LEFT_MAX) {
            m.seen = true;
            at = packet_step(at, need + PACKET_EXT_ASK, &last);
        } else {
            at = packet_message_get(at, end, &m);
            if (at == NULL)
                return -1;
        }
        count++;
    }
    return count > 0 ? count : -1;
}
