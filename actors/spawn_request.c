/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn_request.h"

#include <proa/le.h>
#include <string.h>

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

size_t spawn_request_put(void *buf, const struct spawn_request *request)
{
    size_t name_len = strlen(request->type_name), name_room = padded(name_len);
    uint8_t *at = buf;

    PROA_ASSERT(name_len > 0 && name_len <= PROA_TYPE_MAX &&
                request->arg_len <= PROA_SPAWN_ARG_MAX);
    memset(at, 0, SPAWN_REQUEST_HEAD + name_room);
    at[0] = (uint8_t)name_len;
    proa_put_le16(at + 2, (uint16_t)request->arg_len);
    memcpy(at + SPAWN_REQUEST_HEAD, request->type_name, name_len);
    if (request->arg_len > 0)
        memcpy(at + SPAWN_REQUEST_HEAD + name_room, request->arg, request->arg_len);
    return SPAWN_REQUEST_HEAD + name_room + request->arg_len;
}

bool spawn_request_get(const void *data, size_t len, struct spawn_request *ret)
{
    const uint8_t *at = data;
    size_t name_len, name_room;

    if (len < SPAWN_REQUEST_HEAD)
        return false;
    name_len = at[0];
    name_room = padded(name_len);
    ret->arg_len = proa_get_le16(at + 2);
    if (name_len == 0 || name_len > PROA_TYPE_MAX || ret->arg_len > PROA_SPAWN_ARG_MAX ||
        len < SPAWN_REQUEST_HEAD + name_room + ret->arg_len ||
        memchr(at + SPAWN_REQUEST_HEAD, '\0', name_len) != NULL)
        return false;
    memcpy(ret->type_name, at + SPAWN_REQUEST_HEAD, name_len);
    ret->type_name[name_len] = '\0';
    ret->arg = at + SPAWN_REQUEST_HEAD + name_room;
    return true;
}

void spawn_answer_put(uint8_t buf[SPAWN_RESULT_LEN], const struct spawn_answer *answer)
{
    proa_put_le32(buf, answer->result);
    proa_put_le32(buf + 4, 0);
    proa_put_le32(buf + 8, answer->slot);
    proa_put_le32(buf + 12, answer->generation);
}

bool spawn_answer_get(const void *data, size_t len, struct spawn_answer *ret)
{
    const uint8_t *at = data;
    uint32_t result;

    if (len < SPAWN_RESULT_LEN)
        return false;
    result = proa_get_le32(at);
    ret->slot = proa_get_le32(at + 8);
    ret->generation = proa_get_le32(at + 12);
    if (result >= SPAWN_RESULTS || (result == SPAWN_MADE) != (ret->generation != 0))
        return false;
    ret->result = (enum spawn_result)result;
    return true;
}
