/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "keyed.h"

#define SIGNED_HEAD PACKET_OPEN_SIGNED_AT
#define SIGNED_TAIL (PACKET_OPEN_LEN - PACKET_OPEN_KX_AT)

static void tag_of(const struct cluster_keys *keys, const uint8_t *buf, size_t len,
                   uint8_t ret_tag[PACKET_TAG_LEN])
{
    crypto_generichash(ret_tag, PACKET_TAG_LEN, buf, len - PACKET_TAG_LEN, keys->packet,
                       sizeof(keys->packet));
}

void keyed_seal(const struct cluster_keys *keys, uint8_t *buf, size_t len)
{
    tag_of(keys, buf, len, buf + len - PACKET_TAG_LEN);
}

bool keyed_holds(const struct cluster_keys *keys, const uint8_t *buf, size_t len)
{
    uint8_t tag[PACKET_TAG_LEN];

    if (len < PACKET_HEADER_LEN + PACKET_TAG_LEN)
        return false;
    tag_of(keys, buf, len, tag);
    return sodium_memcmp(tag, buf + len - PACKET_TAG_LEN, sizeof(tag)) == 0;
}

/* What is signed: everything of the packet but the signature and the padding. */
static void signed_bytes(const uint8_t *buf, uint8_t ret[SIGNED_HEAD + SIGNED_TAIL])
{
    memcpy(ret, buf, SIGNED_HEAD);
    memcpy(ret + SIGNED_HEAD, buf + PACKET_OPEN_KX_AT, SIGNED_TAIL);
}

void keyed_open_put(const struct identity *self, const struct cluster_keys *keys,
                    uint8_t *buf, size_t len, enum packet_kind kind,
                    const struct packet_open *open)
{
    struct packet_open whole = *open;

    memcpy(whole.public_key, self->public_key, sizeof(whole.public_key));
    memset(whole.signature, 0, sizeof(whole.signature));
    packet_open_put(buf, len, kind, &whole);
    if (kind != PACKET_SYN) {
        uint8_t bytes[SIGNED_HEAD + SIGNED_TAIL];

        signed_bytes(buf, bytes);
        identity_sign(self, bytes, sizeof(bytes), buf + PACKET_OPEN_SIGNED_AT);
    }
    keyed_seal(keys, buf, len);
}

bool keyed_open_holds(const uint8_t *buf, const struct packet_open *open,
                      struct kad_id *ret_id)
{
    uint8_t bytes[SIGNED_HEAD + SIGNED_TAIL];
    struct kad_id id;

    identity_id_of_key(open->public_key, &id);
    if (kad_id_node64(&id) != open->src_node)
        return false;
    signed_bytes(buf, bytes);
    if (!identity_verify(open->public_key, bytes, sizeof(bytes), open->signature))
        return false;
    *ret_id = id;
    return true;
}

size_t keyed_ping_put(const struct cluster_keys *keys, uint8_t buf[KEYED_PING_LEN],
                      enum packet_kind kind, const struct packet_ping *ping)
{
    size_t len = packet_ping_put(buf, kind, ping) + PACKET_TAG_LEN;

    keyed_seal(keys, buf, len);
    return len;
}
