/* SPDX-License-Identifier: Apache-2.0 */
/* envelope.h - the mark of membership on a closed-mode KRPC datagram.

   Every datagram of a closed cluster carries, under the top-level key `an`, a string of
   28 bytes, big-endian:

      0  u8   version    1
      1  u8   flags      0; a receiver ignores bits it does not know
      2  u16  epoch      of the cluster's secret
      4  u64  time_ms    the sender's wall clock, milliseconds since 1970
     12  16 B mac        BLAKE2b-128 keyed with cluster_keys.krpc over the whole datagram,
                         these 16 bytes taken as zero

   What has no envelope, a wrong one or an old one is counted and dropped: no answer, no
   table entry.  krpc_encode leaves the room (KRPC_HAS_AN), envelope_seal fills it last.

   Threads: pure functions over the caller's memory; any thread.
   Units:   time is milliseconds of the wall clock, lengths are bytes.
   Errors:  0, or a positive ENVELOPE_E_, one per counter. */
#ifndef PROA_DHT_ENVELOPE_H
#define PROA_DHT_ENVELOPE_H

#include "identity.h"

#include <stddef.h>
#include <stdint.h>

#define PROA_ENVELOPE_LEN 28
#define PROA_ENVELOPE_VERSION 1
#define PROA_ENVELOPE_AGE_MAX_MS                                                         \
    30000 /* older, or further ahead, is dropped.  registry.md */

#define ENVELOPE_E_MISSING                                                               \
    1 /* no `an`, or not 28 bytes, or the datagram is not bencode */
#define ENVELOPE_E_VERSION 2 /* a version this node does not speak */
#define ENVELOPE_E_EPOCH 3   /* of another epoch of the secret */
#define ENVELOPE_E_OLD 4     /* time_ms is more than 30 s from now, either way */
#define ENVELOPE_E_WRONG 5   /* the MAC does not hold: not a member, or damaged */

struct envelope {
    uint64_t time_ms;
    uint16_t epoch;
    uint8_t version;
    uint8_t flags;
};

/* envelope_seal fills in the 28 bytes that krpc_encode left free in the datagram buf of len
   bytes: version, the given flags, epoch and time, and the MAC over everything.  Nothing may be
   changed in the datagram afterwards.  Returns 0, or ENVELOPE_E_MISSING when it has no room. */
int envelope_seal(const struct cluster_keys *keys, uint8_t *buf, size_t len,
                  uint64_t time_ms, uint16_t epoch, uint8_t flags);

/* envelope_open checks a received datagram; now_ms is this node's wall clock.  Cheap checks
   come first, the MAC last and in constant time.  Returns 0 and *ret (may be NULL), or an
   ENVELOPE_E_.  Does not write to buf. */
int envelope_open(const struct cluster_keys *keys, const uint8_t *buf, size_t len,
                  uint64_t now_ms, uint16_t epoch, struct envelope *ret);

#endif
