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

size_t sysmsg_encode_steer(void *body, uint16_t port)
{
    uint8_t *at = body;

    memset(at, 0, SYSMSG_STEER_LEN);
    proa_put_le16(at, port);
    return SYSMSG_STEER_LEN;
}

size_t sysmsg_encode_abort(void *body, uint32_t stream, const struct refusal *refusal)
{
    uint8_t *at = body;

    proa_put_le32(at, stream);
    proa_put_le32(at + 4, 0);
    return 8 + sysmsg_encode_refuse(at + 8, refusal);
}

size_t sysmsg_encode_forwarded(void *body, const struct forwarded *f)
{
    uint8_t *at = body;

    proa_put_le64(at, f->to.node);
    proa_put_le32(at + 8, f->to.slot);
    proa_put_le32(at + 12, f->to.generation);
    proa_put_le32(at + 16, f->slot);
    proa_put_le32(at + 20, f->generation);
    proa_put_le32(at + 24, f->correlation);
    proa_put_le32(at + 28, f->hops);
    return SYSMSG_FORWARDED_LEN;
}

static bool decode_forwarded(const uint8_t *at, struct forwarded *ret)
{
    ret->to.node = proa_get_le64(at);
    ret->to.slot = proa_get_le32(at + 8);
    ret->to.generation = proa_get_le32(at + 12);
    ret->slot = proa_get_le32(at + 16);
    ret->generation = proa_get_le32(at + 20);
    ret->correlation = proa_get_le32(at + 24);
    ret->hops = proa_get_le32(at + 28);
    return ret->to.node != 0 && ret->to.generation != 0 && ret->generation != 0 &&
           ret->correlation != 0 && ret->hops > 0 && ret->hops <= PROA_HOPS_MAX;
}

/* ---- Monitors ---- */

enum sysmsg_type sysmsg_of_watch(const struct watch *watch)
{
    switch (watch->kind) {
    case WATCH_MONITOR:
        return SYSMSG_MONITOR;
    case WATCH_DEMONITOR:
        return SYSMSG_DEMONITOR;
    default:
        return SYSMSG_DOWN;
    }
}

bool sysmsg_is_watch(uint32_t type)
{
    return type == (uint32_t)SYSMSG_MONITOR || type == (uint32_t)SYSMSG_DEMONITOR ||
           type == (uint32_t)SYSMSG_DOWN;
}

/* The wire's own numbers for reasons, from 1. */
static const uint8_t ends[] = {0,
                               /* none */ /* none */
                               PROA_REASON_NORMAL,
                               PROA_REASON_KILLED,
                               PROA_REASON_FAILED,
                               PROA_REASON_NODE_LOST,
                               PROA_REASON_RESTARTED,
                               PROA_REASON_NO_SUCH_ACTOR};

static uint8_t end_number(uint8_t reason)
{
    uint8_t i = 1;

    while (i + 1u < sizeof(ends) && ends[i] != reason)
        i++;
    return i;
}

size_t sysmsg_encode_watch(void *body, const struct watch *w)
{
    uint8_t *at = body;

    encode_actor(at, w->target.slot, w->target.generation);
    encode_actor(at + 8, w->watcher.slot, w->watcher.generation);
    proa_put_le32(at + 16, w->index);
    proa_put_le32(at + 20, w->serial);
    at[24] = end_number(w->reason);
    at[25] = w->flags;
    at[26] = at[27] = 0;
    proa_put_le32(at + 28, (uint32_t)w->code);
    encode_actor(at + 32, w->now.slot, w->now.generation);
    return SYSMSG_WATCH_LEN;
}

static bool decode_watch(const uint8_t *at, enum sysmsg_type type, struct watch *ret)
{
    const uint8_t flags = WATCH_LINK | WATCH_DIED | WATCH_UNLINK;
    uint8_t reason = at[24];

    ret->kind = type == SYSMSG_MONITOR     ? WATCH_MONITOR
                : type == SYSMSG_DEMONITOR ? WATCH_DEMONITOR
                                           : WATCH_DOWN;
    ret->target.slot = proa_get_le32(at);
    ret->target.generation = proa_get_le32(at + 4);
    ret->watcher.slot = proa_get_le32(at + 8);
    ret->watcher.generation = proa_get_le32(at + 12);
    ret->index = proa_get_le32(at + 16);
    ret->serial = proa_get_le32(at + 20);
    ret->flags = at[25] & flags;
    ret->code = (int32_t)proa_get_le32(at + 28);
    ret->now.slot = proa_get_le32(at + 32);
    ret->now.generation = proa_get_le32(at + 36);
    if (reason == 0 || reason >= sizeof(ends) || ret->serial == 0 ||
        ret->target.generation == 0 || ret->watcher.generation == 0)
        return false;
    ret->reason = ends[reason];
    return true;
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
    case SYSMSG_FORWARDED:
        return len >= SYSMSG_FORWARDED_LEN && decode_forwarded(at, &ret->forwarded);
    case SYSMSG_MONITOR:
    case SYSMSG_DEMONITOR:
    case SYSMSG_DOWN:
        return len >= SYSMSG_WATCH_LEN && decode_watch(at, ret->type, &ret->watch);
    case SYSMSG_WRITABLE:
    case SYSMSG_STOP:
        if (len < 8)
            return false;
        ret->slot = proa_get_le32(at);
        ret->generation = proa_get_le32(at + 4);
        return true;
    case SYSMSG_STEER:
        if (len < SYSMSG_STEER_LEN)
            return false;
        ret->port = proa_get_le16(at);
        return ret->port != 0;
    default:
        return false;
    }
}
