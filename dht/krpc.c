/* SPDX-License-Identifier: Apache-2.0 */
#include "krpc.h"

#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void krpc_message_init(struct krpc_message *self, enum krpc_kind kind, const void *tid,
                       size_t tid_len)
{
    PROA_ASSERT(tid_len >= 1 && tid_len <= PROA_KRPC_TID_MAX);
    memset(self, 0, offsetof(struct krpc_message, nodes));
    self->kind = kind;
    self->query = KRPC_UNKNOWN;
    self->t_len = (uint8_t)tid_len;
    memcpy(self->t, tid, tid_len);
}

const char *krpc_query_name(enum krpc_query query)
{
    static const char *const names[KRPC_UNKNOWN] = {
        [KRPC_PING] = "ping",
        [KRPC_FIND_NODE] = "find_node",
        [KRPC_GET] = "get",
        [KRPC_PUT] = "put",
        [KRPC_GET_PEERS] = "get_peers",
        [KRPC_ANNOUNCE_PEER] = "announce_peer",
        [KRPC_AN_WATCH] = "an_watch",
        [KRPC_AN_NOTIFY] = "an_notify",
        [KRPC_AN_SWEEP] = "an_sweep",
    };

    return query < KRPC_UNKNOWN ? names[query] : NULL;
}

bool krpc_value_string(struct bencode_span v, struct bencode_span *ret_bytes)
{
    struct bencode_reader reader;
    struct bencode_span bytes;

    bencode_read_init(&reader, v.at, v.len);
    if (!bencode_string(&reader, &bytes) || !bencode_done(&reader))
        return false;
    *ret_bytes = bytes;
    return true;
}

struct bencode_span krpc_value_write(const void *bytes, size_t len, uint8_t *buf,
                                     size_t cap)
{
    struct bencode_writer writer;

    bencode_write_init(&writer, buf, cap);
    bencode_put_string(&writer, bytes, len);
    size_t written = bencode_finish(&writer);
    return (struct bencode_span){written > 0 ? buf : NULL, written};
}

size_t krpc_compact_write(const struct proa_addr *addr, uint8_t ret_bytes[18])
{
    size_t ip_len = addr->family == 4 ? 4 : 16;

    if (addr->family != 4 && addr->family != 6)
        return 0;
    memcpy(ret_bytes, addr->ip + sizeof(addr->ip) - ip_len, ip_len);
    ret_bytes[ip_len] = (uint8_t)(addr->port >> 8);
    ret_bytes[ip_len + 1] = (uint8_t)addr->port;
    return ip_len + 2;
}

bool krpc_compact_read(const uint8_t *bytes, size_t len, struct proa_addr *ret_addr)
{
    struct proa_addr addr = {.family = 6};

    if (len != 6 && len != 18)
        return false;
    size_t ip_len = len - 2;
    if (ip_len == 4)
        memcpy(addr.ip, mapped, sizeof(mapped));
    memcpy(addr.ip + sizeof(addr.ip) - ip_len, bytes, ip_len);
    if (memcmp(addr.ip, mapped, sizeof(mapped)) == 0)
        addr.family = 4;
    addr.port = (uint16_t)(bytes[ip_len] << 8 | bytes[ip_len + 1]);
    *ret_addr = addr;
    return true;
}
