/* SPDX-License-Identifier: Apache-2.0 */
/* demo_raw.h - the raw limit beside the demo's figures: the bare loop over the same kind of port,
   in the same two processes on the same cores, once their nodes have left (dataplane/raw.h).

   Threads: one ordinary thread; the loops run on the lane's core.
   Units:   as struct demo_raw_result.  Errors: false, and one sentence in err.
   Bounds:  DEMO_RAW_FOR and a second more for each step. */
#ifndef DEMO_RAW_H
#define DEMO_RAW_H

#include <proa/node.h>

#define DEMO_RAW_FOR PROA_S          /* a step */
#define DEMO_RAW_UP_IN (10 * PROA_S) /* until the two sides see each other */
#define DEMO_RAW_FLOOD 64u           /* bytes of a frame: what a flood is compared with */
#define DEMO_RAW_TRIP                                                                    \
    138u /* and a round trip: an ask of 32 bytes has as many on the wire */

struct demo_raw;

struct demo_raw_result {
    uint64_t packets; /* received (A), or round trips (B) */
    proa_ns elapsed;
    proa_ns p50, p99, p999; /* of round trips, B only */
};

/* demo_raw_open opens the port.  Owned: demo_raw_close. */
struct demo_raw *demo_raw_open(const char *dir, bool is_a, enum proa_pages pages,
                               char *err, size_t err_len);
void demo_raw_close(struct demo_raw *raw);

bool demo_raw_is_up(const struct demo_raw *raw);

/* demo_raw_trip and _flood run one step: B begins, A answers or counts until B is done. */
bool demo_raw_trip(struct demo_raw *raw, struct demo_raw_result *ret);
bool demo_raw_flood(struct demo_raw *raw, struct demo_raw_result *ret);

#endif
