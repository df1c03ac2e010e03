/* SPDX-License-Identifier: Apache-2.0 */
/* spawn_request.h - the bytes of a remote spawn's question and answer.

   The question is an ask of type SERVICE_SPAWN to a service of the other node: an address whose
   generation is 0, which no actor has, and whose slot says the lane (SERVICE_LANE_ANY: any) and
   the service.  Little-endian:

     u8 length of the type's name, u8 0, u16 length of arg, u32 0,
     the name, zeros up to a multiple of 8, then arg

   The answer is a reply of 16 bytes: u32 result, u32 0, u32 slot, u32 generation.

   Threads: pure.  Units: bytes.
   Errors:  false for bytes that say no such thing; nothing is read past len. */
#ifndef SPAWN_REQUEST_H
#define SPAWN_REQUEST_H

#include <proa/remote.h>

#define SERVICE_SPAWN 1u               /* index of its slot, and type of its asks */
#define SERVICE_LANE_ANY PROA_LANE_ANY /* no node has so many lanes */

_Static_assert(SERVICE_LANE_ANY >= PROA_LANES_MAX, "no lane's number");

#define SPAWN_REQUEST_HEAD 8u
#define SPAWN_REQUEST_MAX (SPAWN_REQUEST_HEAD + 64u + PROA_SPAWN_ARG_MAX)
#define SPAWN_RESULT_LEN 16u

/* On the wire. */
enum spawn_result {
    SPAWN_MADE,
    SPAWN_NOT_ALLOWED,
    SPAWN_NO_LANE,
    SPAWN_LIMIT,
    SPAWN_STOPPED,
    SPAWN_RESULTS
};

struct spawn_request {
    char type_name[PROA_TYPE_MAX + 1]; /* with its NUL */
    const void *arg;                   /* in the request; 8-aligned when that is */
    uint32_t arg_len;
};

/* spawn_request_put writes a question into buf (SPAWN_REQUEST_MAX bytes) and returns its length.
   type_name has 1..PROA_TYPE_MAX bytes, arg at most PROA_SPAWN_ARG_MAX. */
size_t spawn_request_put(void *buf, const struct spawn_request *request);

bool spawn_request_get(const void *data, size_t len, struct spawn_request *ret);

struct spawn_answer {
    enum spawn_result result;
    uint32_t slot, generation; /* SPAWN_MADE; else 0 */
};

void spawn_answer_put(uint8_t buf[SPAWN_RESULT_LEN], const struct spawn_answer *answer);
bool spawn_answer_get(const void *data, size_t len, struct spawn_answer *ret);

#endif
