/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - a signed statement about a name: who holds it, where, and since when.

   One fixed big-endian string, so that it can be signed, compared and stored as it is:

      0   4 B  "proa"
      4   u8   version        1
      5   u8   kind           1 name, 2 tombstone, 3 reserved (node)
      6   u8   flags          0; carried, bits that are not known are ignored
      7   u8   endpoints      n, 0 to 4
      8   u32  slot           of the actor on its node
     12   u32  generation
     16   u64  term           fencing token of the name
     24   u64  issued         hybrid clock
     32   u64  claim          hybrid clock: when this owner first won the name
     40   u32  lease          seconds from issued
     44   u32  type id        record_type_id of the actor's type, 0 for none
     48   u64  actor uid
     56  32 B  public key     the owner's; its hash is the owner's id
     88  19 B  endpoint, n times: u8 family (4 or 6), 16 B address, u16 port
      .   u8   name length, 1 to 255, and the name: UTF-8 without NUL
      .   u16  extension length, 0 to 64, and the extensions
      .  64 B  Ed25519 signature over "proa record" || target || all before it

   An IPv4 address is written v4-mapped, ::ffff:a.b.c.d.  The target is kad_id_of_name, so
   a record cannot be stored under another name's target.

   Hybrid clock: milliseconds since 1970 times 65,536 plus a counter; see record_clock_next.

   Threads: pure functions over the caller's memory; any thread.
   Units:   lease is seconds, wall clocks are milliseconds, lengths are bytes.
   Errors:  0, or a positive RECORD_E_. */
#ifndef PROA_DHT_RECORD_H
#define PROA_DHT_RECORD_H

#include "identity.h"
#include "kad_id.h"

#include <proa/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROA_RECORD_VERSION 1
#define PROA_RECORD_ENDPOINTS_MAX 4
#define PROA_RECORD_NAME_MAX 255
#define PROA_RECORD_EXT_MAX 64
#define PROA_RECORD_MAX 550           /* 88 + 4 x 19 + 1 + 255 + 2 + 64 + 64 */
#define PROA_RECORD_MIN 156           /* 88 + 1 + 1 + 2 + 64: no endpoint, name of 1 B */
#define PROA_RECORD_LEASE_MAX_S 86400 /* of a name; a storer may keep it shorter */
#define PROA_RECORD_TOMBSTONE_MAX_S 3600 /* of a tombstone.  registry.md */
#define PROA_RECORD_AHEAD_MAX_MS 60000 /* issued further ahead is refused.  registry.md */

#define RECORD_E_MALFORMED 1 /* magic, a length, an endpoint or trailing bytes */
#define RECORD_E_VERSION 2   /* a version this node does not speak */
#define RECORD_E_KIND 3      /* neither name nor tombstone */
#define RECORD_E_NAME 4      /* empty, not UTF-8, or with a NUL */
#define RECORD_E_TIME 5      /* lease 0 or too long, claim 0 or after issued */
#define RECORD_E_KEY 6    /* the key's id may not be a node's, or is not the signer's */
#define RECORD_E_TARGET 7 /* stored or asked for under a target that is not the name's */
#define RECORD_E_SIGNATURE 8 /* does not hold */

enum record_kind {
    RECORD_NAME = 1,
    RECORD_TOMBSTONE = 2,
    RECORD_NODE = 3, /* reserved: refused by this version */
};

/* A record's fields.  name is NUL-terminated for convenience; name_len counts without it. */
struct record {
    uint64_t term;
    uint64_t issued; /* hybrid clock */
    uint64_t claim;  /* hybrid clock */
    uint64_t actor_uid;
    uint32_t slot;
    uint32_t generation;
    uint32_t lease; /* seconds from issued */
    uint32_t type_id;
    uint8_t kind; /* enum record_kind */
    uint8_t flags;
    uint8_t endpoint_count;
    uint8_t name_len;
    uint16_t ext_len;
    struct kad_id owner; /* derived from key; never on the wire */
    uint8_t key[PROA_PUBLIC_KEY_LEN];
    struct proa_addr endpoints[PROA_RECORD_ENDPOINTS_MAX];
    char name[PROA_RECORD_NAME_MAX + 1];
    uint8_t ext[PROA_RECORD_EXT_MAX];
};

/* record_sign writes `fields` as a signed record of `signer` into out.  fields' key and owner
   are not read: the signer's are used.  Returns 0 and *ret_len, or RECORD_E_MALFORMED,
   _KIND, _NAME or _TIME when a field breaks the rules above.  Cost: one signature, 16 us. */
int record_sign(const struct record *fields, const struct identity *signer,
                uint8_t out[PROA_RECORD_MAX], size_t *ret_len);

/* record_name_is_valid: is it what a name may be: 1 byte or more of UTF-8 without NUL?  Its largest
   length is the caller's to check. */
bool record_name_is_valid(const char *name, size_t len);

/* record_endpoint_is_valid: a family, a port, and an address of that family? */
bool record_endpoint_is_valid(const struct proa_addr *endpoint);

/* record_decode checks structure and bounds of len bytes and takes the fields out, owner
   included.  It believes nothing: call record_verify before acting on them.  Returns 0 or any
   RECORD_E_ but _TARGET and _SIGNATURE.  *ret is undefined on error. */
int record_decode(struct record *ret, const uint8_t *buf, size_t len);

/* record_verify checks that the record in buf, whose decoded fields are `fields`, belongs
   under target (NULL: do not care) and was signed by the key it carries.  Returns 0,
   RECORD_E_TARGET or RECORD_E_SIGNATURE.  Cost: one verification, 40 us. */
int record_verify(const struct record *fields, const uint8_t *buf, size_t len,
                  const struct kad_id *target);

/* record_open is record_decode, then record_verify. */
int record_open(struct record *ret, const uint8_t *buf, size_t len,
                const struct kad_id *target);

/* record_target computes the target of the record's name. */
void record_target(const struct record *self, struct kad_id *ret_target);

/* record_compare_readers is the readers' rule between two verified records of one name: higher
   term; then, of one owner, newer issued; of two owners, a name before a tombstone, then
   smaller claim, then smaller id.  Negative when a wins, positive when b does, 0 when they
   are the same statement.  Liveness is no part of the rule.

   A tombstone ends only what its own owner said: at equal terms it loses to another owner's
   name, else a claimant that withdrew would take the name from the one it withdrew for.  So
   the rule is not transitive over a set with an outdated record in it; for more than two
   records use record_pick. */
int record_compare_readers(const struct record *a, const struct record *b);

/* record_pick applies the rule to count (>= 1) verified records of one name: first each
   owner's newest statement, then the winner among the owners.  The result does not depend on
   the order of the set.  Returns the index of the winner; of equal ones the first. */
size_t record_pick(const struct record *const records[], size_t count);

/* record_same_owner tells whether the two were signed by one key. */
bool record_same_owner(const struct record *a, const struct record *b);

/* record_type_id is the hash of a type's name: the first 4 bytes of BLAKE2b-256 over it, as a
   big-endian number. */
uint32_t record_type_id(const char *name, size_t len);

/* record_clock_next returns the next hybrid clock value after `last` (0: none yet) at the
   wall clock wall_ms: the wall clock's own value, or last + 1 where that would not be later.
   So it never goes back when the wall clock does. */
uint64_t record_clock_next(uint64_t last, uint64_t wall_ms);

/* record_clock_ms returns the milliseconds since 1970 of a hybrid clock value. */
uint64_t record_clock_ms(uint64_t clock);

/* record_is_ahead tells whether `issued` is more than 60 s ahead of this node's wall clock: a
   storer and a reader then refuse the record. */
bool record_is_ahead(uint64_t issued, uint64_t wall_ms);

/* record_left_ms returns how many milliseconds of the lease are left at wall_ms, at most the
   lease itself (a record from ahead does not live longer); 0 when it is over.  Expire on the
   local monotonic clock: receipt + this. */
uint64_t record_left_ms(const struct record *self, uint64_t wall_ms);

#endif
