/* SPDX-License-Identifier: Apache-2.0 */
/* types.h - the few types every part of proa speaks: time, addresses, references.

   A reference (struct proa_ref) is the 16-byte address of one life of one actor.  It is a
   plain value: compare it, copy it, put it into a payload.  It never means another actor:
   the node id is made from a key that exists for one boot only, and the generation changes
   with each life of the slot.

   Threads: plain values, no state.
   Units:   time is proa_ns, nanoseconds of the monotonic clock; lengths are bytes.
   Errors:  none here.
   Order:   the fields of a reference are in host order; on the wire they are little-endian
            (docs/wire.md), so references inside payloads between unlike machines are the
            user's to convert (proa/le.h). */
#ifndef PROA_TYPES_H
#define PROA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PROA_API __attribute__((visibility("default")))
#else
#define PROA_API
#endif

#define PROA_NORETURN __attribute__((noreturn))

#define PROA_CACHE_LINE 64 /* bytes; x86-64 and the arm64 servers DPDK runs on */

/* A moment or a span in nanoseconds.  Moments are CLOCK_MONOTONIC (virtual time in the test
   kit); they mean nothing on another machine and never travel. */
typedef uint64_t proa_ns;

#define PROA_NS_NEVER UINT64_MAX /* a moment that does not come */
#define PROA_US ((proa_ns)1000)
#define PROA_MS ((proa_ns)1000000)
#define PROA_S ((proa_ns)1000000000)

/* The address of one life of one actor. */
struct proa_ref {
    uint64_t node; /* first 8 bytes, big-endian, of the node's Kademlia id; 0: nobody */
    uint32_t slot; /* lane:8 | index:24 */
    uint32_t generation; /* of the slot; never 0 in a valid reference */
};

static inline bool proa_ref_equal(struct proa_ref a, struct proa_ref b)
{
    return a.node == b.node && a.slot == b.slot && a.generation == b.generation;
}

static inline bool proa_ref_is_none(struct proa_ref r)
{
    return r.generation == 0;
}

static inline struct proa_ref proa_ref_none(void)
{
    struct proa_ref r = {0, 0, 0};
    return r;
}

static inline uint32_t proa_ref_lane(struct proa_ref r)
{
    return r.slot >> 24;
}

/* Where a node is reached: one UDP endpoint. */
struct proa_addr {
    uint8_t ip[16];  /* network order; IPv4 as ::ffff:a.b.c.d */
    uint16_t port;   /* host order */
    uint8_t family;  /* 4, 6, or 0 for "no address" */
    uint8_t zero[5]; /* always 0, so that addresses compare by memcmp */
};

#define PROA_PORT 7400      /* the one UDP port of a node, unless configured */
#define PROA_NAME_MAX 255   /* bytes of an actor's name: UTF-8, no NUL */
#define PROA_TYPE_MAX 63    /* bytes of a behaviour's type name */
#define PROA_LANES_MAX 64   /* lanes of one node */
#define PROA_CONTEXT_MAX 48 /* bytes of context copied into an ask or a registry call */

/* proa_assert_fail prints where the program broke its own promise and aborts.  Called by
   PROA_ASSERT only; the check stays in release builds and never looks at foreign bytes. */
PROA_API PROA_NORETURN void proa_assert_fail(const char *what, const char *file,
                                             int line);

#define PROA_ASSERT(cond) ((cond) ? (void)0 : proa_assert_fail(#cond, __FILE__, __LINE__))

#ifdef __cplusplus
}
#endif

#endif
