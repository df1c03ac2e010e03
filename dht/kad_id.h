/* SPDX-License-Identifier: Apache-2.0 */
/* kad_id.h - the 160-bit identifiers of Kademlia and what is measured with them.

   Node ids and targets share one space.  The distance of two ids is their XOR, read as a
   big-endian number; closer means a smaller one.  A node's id is the hash of its public
   key (identity.h), a name's target is a hash of the name, so neither is chosen freely.

   Threads: pure functions over the caller's memory; any thread.
   Units:   lengths are bytes unless they say bits.
   Errors:  none; what can be wrong with an id is asked with kad_id_valid. */
#ifndef PROA_DHT_KAD_ID_H
#define PROA_DHT_KAD_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROA_KAD_ID_LEN 20   /* bytes.  Source: BEP 5 */
#define PROA_KAD_ID_BITS 160 /* the same in bits */

struct kad_id {
    uint8_t b[PROA_KAD_ID_LEN]; /* most significant byte first */
};

/* kad_id_equal tells whether a and b are the same id. */
bool kad_id_equal(const struct kad_id *a, const struct kad_id *b);

/* kad_id_compare orders ids as big-endian numbers: negative, 0 or positive as memcmp. */
int kad_id_compare(const struct kad_id *a, const struct kad_id *b);

/* kad_id_closer orders a and b by their distance to target: negative when a is closer,
   0 when a and b are the same id, positive when b is closer. */
int kad_id_closer(const struct kad_id *target, const struct kad_id *a,
                  const struct kad_id *b);

/* kad_id_prefix returns how many leading bits a and b have in common, 0 to 160. */
uint32_t kad_id_prefix(const struct kad_id *a, const struct kad_id *b);

/* kad_id_bits returns `count` (1 to 32) bits of the id from bit `first` on (0 = the most
   significant), as a number.  Bits beyond the end read as 0.  A table uses it to spread the
   contacts of a bucket over sub-prefixes. */
uint32_t kad_id_bits(const struct kad_id *id, uint32_t first, uint32_t count);

/* kad_id_at_prefix makes an id that shares exactly `prefix` leading bits (0 to 160) with
   `self`: bit `prefix` is inverted and the bits after it come from `random`, 20 bytes.  At 160
   the result is self.  A table refreshes the bucket of that prefix with it. */
void kad_id_at_prefix(const struct kad_id *self, uint32_t prefix,
                      const uint8_t random[PROA_KAD_ID_LEN], struct kad_id *ret_id);

/* kad_id_node64 returns what a ref calls its node: the first 8 bytes of the id as a big-endian
   number. */
uint64_t kad_id_node64(const struct kad_id *id);

/* kad_id_valid tells whether id may be a node's: its node64 must not be 0, which refs use
   for "no node".  Targets need not be valid node ids. */
bool kad_id_valid(const struct kad_id *id);

/* kad_id_of_name computes the target under which a name is stored: the first 20 bytes of
   BLAKE2b-256("proa name" || name).  len is at most 255, without a NUL. */
void kad_id_of_name(const char *name, size_t len, struct kad_id *ret_target);

/* kad_id_of_group is the same for a group's name, with the prefix "proa group". */
void kad_id_of_group(const char *name, size_t len, struct kad_id *ret_target);

#endif
