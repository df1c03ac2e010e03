/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope.h"

#include "bencode.h"

#include <sodium.h>
#include <string.h>

#define MAC_AT 12
#define MAC_LEN 16
_Static_assert(MAC_AT + MAC_LEN == PROA_ENVELOPE_LEN, "the MAC ends the envelope");
_Static_assert(MAC_LEN == crypto_verify_16_BYTES, "compared in constant time");

static uint64_t load_be(const uint8_t *at, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return value;
}

static void store_be(uint8_t *at, size_t len, uint64_t value)
{
    for (size_t i = len; i > 0; i--) {
        at[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

/* Finds the 28 bytes in a datagram.  What stands behind them is not looked at here: the MAC
   covers it, and krpc_decode judges it. */
static bool find(const uint8_t *buf, size_t len, size_t *ret_at)
{
    struct bencode_reader reader;
    struct bencode_span key, value;

    bencode_read_init(&reader, buf, len);
    if (!bencode_enter_dict(&reader))
        return false;
    while (bencode_key(&reader, &key)) {
        if (!bencode_is(key, "an")) {
            if (!bencode_skip(&reader, NULL))
                return false;
            continue;
        }
        if (!bencode_string(&reader, &value) || value.len != PROA_ENVELOPE_LEN)
            return false;
        *ret_at = (size_t)(value.at - buf);
        return true;
    }
    return false;
}

/* The MAC of the datagram whose envelope begins at `at`, its MAC bytes taken as zero. */
static void compute(const struct cluster_keys *keys, const uint8_t *buf, size_t len,
                    size_t at, uint8_t ret_mac[MAC_LEN])
{
    static const uint8_t zero[MAC_LEN];
    crypto_generichash_state hash;
    size_t behind = at + PROA_ENVELOPE_LEN;

    crypto_generichash_init(&hash, keys->krpc, sizeof(keys->krpc), MAC_LEN);
    crypto_generichash_update(&hash, buf, at + MAC_AT);
    crypto_generichash_update(&hash, zero, MAC_LEN);
    crypto_generichash_update(&hash, buf + behind, len - behind);
    crypto_generichash_final(&hash, ret_mac, MAC_LEN);
}

int envelope_seal(const struct cluster_keys *keys, uint8_t *buf, size_t len,
                  uint64_t time_ms, uint16_t epoch, uint8_t flags)
{
    size_t at;

    if (!find(buf, len, &at))
        return ENVELOPE_E_MISSING;
    buf[at] = PROA_ENVELOPE_VERSION;
    buf[at + 1] = flags;
    store_be(buf + at + 2, 2, epoch);
    store_be(buf + at + 4, 8, time_ms);
    compute(keys, buf, len, at, buf + at + MAC_AT);
    return 0;
}

int envelope_open(const struct cluster_keys *keys, const uint8_t *buf, size_t len,
                  uint64_t now_ms, uint16_t epoch, struct envelope *ret)
{
    uint8_t mac[MAC_LEN];
    struct envelope seen;
    size_t at;

    if (!find(buf, len, &at))
        return ENVELOPE_E_MISSING;
    seen.version = buf[at];
    seen.flags = buf[at + 1];
    seen.epoch = (uint16_t)load_be(buf + at + 2, 2);
    seen.time_ms = load_be(buf + at + 4, 8);
    if (seen.version != PROA_ENVELOPE_VERSION)
        return ENVELOPE_E_VERSION;
    if (seen.epoch != epoch)
        return ENVELOPE_E_EPOCH;
    uint64_t apart =
        now_ms > seen.time_ms ? now_ms - seen.time_ms : seen.time_ms - now_ms;
    if (apart > PROA_ENVELOPE_AGE_MAX_MS)
        return ENVELOPE_E_OLD;
    compute(keys, buf, len, at, mac);
    if (crypto_verify_16(mac, buf + at + MAC_AT) != 0)
        return ENVELOPE_E_WRONG;
    if (ret != NULL)
        *ret = seen;
    return 0;
}
