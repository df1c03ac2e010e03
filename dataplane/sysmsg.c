/* SPDX-License-Identifier: Apache-2.0 */
#include "sysmsg.h"

#include <proa/le.h>
#include <string.h>

/* The wire's own numbers for reasons: enum proa_outcome may grow in the middle, these not. */
static const enum proa_outcome reasons[] = {
    PROA_OK, /* 0: none */
    PROA_REFUSED_FULL,
    PROA_REFUSED_NO_ACTOR,
    PROA_REFUSED_UNKNOWN_TYPE,
    PROA_REFUSED_BAD_LENGTH,
    PROA_REFUSED_EXPIRED,
    PROA_REFUSED_STOPPED,
    PROA_REFUSED_DROPPED,
    PROA_REFUSED_BUSY,
    PROA_REFUSED_HOPS,
    PROA_NO_REPLY,
    PROA_MAYBE_EXECUTED,
    PROA_IN_DOUBT,
    PROA_NOT_SENT,
};
#define REASON_COUNT (sizeof(reasons) / sizeof(reasons[0]))
#define REASON_MAYBE                                                                     \
    11 /* what a reason without a number is told as: nothing is promised */

static uint8_t reason_number(enum proa_outcome reason)
{
    for (uint8_t i = 1; i < REASON_COUNT; i++) {
        if (reasons[i] == reason)
            return i;
    }
    return REASON_MAYBE;
}

size_t sysmsg_encode_refuse(void *body, const struct refusal *r)
{
    uint8_t *at = body;

    proa_put_le64(at, r->to.node);
    proa_put_le32(at + 8, r->to.slot);
    proa_put_le32(at + 12, r->to.generation);
    proa_put_le32(at + 16, r->slot);
    proa_put_le32(at + 20, r->generation);
    proa_put_le32(at + 24, r->type);
    proa_put_le32(at + 28, r->correlation);
    proa_put_le32(at + 32, r->count);
    proa_put_le32(at + 36, reason_number(r->reason));
    return SYSMSG_REFUSE_LEN;
}

static size_t encode_actor(uint8_t *at, uint32_t slot, uint32_t generation)
{
    proa_put_le32(at, slot);
    proa_put_le32(at + 4, generation);
    return 8;
}

size_t sysmsg_encode_writable(void *body, uint32_t slot, uint32_t generation)
{
    return encode_actor(body, slot, generation);
}

size_t sysmsg_encode_stop(void *body, uint32_t slot, uint32_t generation)
{
    return encode_actor(body, slot, generation);
}

size_t sysmsg_encode_abort(void *body, uint32_t stream, const struct refusal *refusal)
{
    uint8_t *at = body;

    proa_put_le32(at, stream);
    proa_put_le32(at + 4, 0);
    return 8 + sysmsg_encode_refuse(at + 8, refusal);
}

static bool decode_refusal(const uint8_t *at, struct refusal *ret)
{
    uint8_t reason = at[36];

    if (reason == 0 || reason >= REASON_COUNT)
        return false;
    ret->to.node = proa_get_le64(at);
    ret->to.slot = proa_get_le32(at + 8);
    ret->to.generation = proa_get_le32(at + 12);
    ret->slot = proa_get_le32(at + 16);
    ret->generation = proa_get_le32(at + 20);
    ret->type = proa_get_le32(at + 24);
    ret->correlation = proa_get_le32(at + 28);
    ret->count = proa_get_le32(at + 32);
    ret->reason = reasons[reason];
    return true;
}

bool sysmsg_decode(uint32_t type, const void *body, size_t len, struct sysmsg *ret)
{
    const uint8_t *at = body;

    memset(ret, 0, sizeof(*ret));
    ret->type = (enum sysmsg_type)type;
    switch (ret->type) {
    case SYSMSG_REFUSE:
        return len >= SYSMSG_REFUSE_LEN && decode_refusal(at, &ret->refusal) &&
               ret->refusal.count > 0;
    case SYSMSG_ABORT:
        if (len < SYSMSG_ABORT_LEN)
            return false;
        ret->stream = proa_get_le32(at);
        return decode_refusal(at + 8, &ret->refusal);
    case SYSMSG_WRITABLE:
    case SYSMSG_STOP:
        if (len < 8)
            return false;
        ret->slot = proa_get_le32(at);
        ret->generation = proa_get_le32(at + 4);
        return true;
    default:
        return false;
    }
}
