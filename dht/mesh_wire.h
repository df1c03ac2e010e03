/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_wire.h - the messages of the linked registries as bytes.

   Formats and vectors: docs/wire_mesh.md.  mesh_decode checks everything, so that what it lets through
   has sound ids, addresses and names, ranges that are ranges, and entries that end where the message
   does.  Entries and links are taken out one by one, by mesh_take_entry and mesh_take_link, from a
   span that was checked.

   Threads: pure.
   Units:   bytes; numbers on the wire are little-endian.
   Errors:  false: malformed, or it does not fit. */
#ifndef PROA_DHT_MESH_WIRE_H
#define PROA_DHT_MESH_WIRE_H

#include "mesh.h"

#define MESH_VERSION 1     /* of the messages: the second byte */
#define MESH_LEAF 64       /* indices in a leaf of the digest tree */
#define MESH_FAN 32        /* leaves in a mid, and mids in a set */
#define MESH_LEAVES 1024   /* leaves in a set: MESH_FAN^2 */
#define MESH_LOADS_MAX 256 /* in a message */
#define MESH_ENTRY_MAX 303 /* bytes of an entry, at most */

enum mesh_message_kind {
    MESH_M_HELLO = 1,
    MESH_M_LINKS,
    MESH_M_WANT_LINKS,
    MESH_M_DELTA,
    MESH_M_DIGEST,
    MESH_M_ASK_HASHES,
    MESH_M_HASHES,
    MESH_M_PULL,
    MESH_M_RANGE,
    MESH_M_WANT_LOADS,
    MESH_M_LOADS,
    MESH_M_ASK_GROUP,
    MESH_M_GROUP_PART,
    MESH_M_LEAVING,
    MESH_M_CUT,
    MESH_M_REFUSED,
    MESH_M_UNLINKED,
    MESH_M_COUNT
};

#define MESH_HELLO_WANT 0x01u  /* answer with yours */
#define MESH_HELLO_LINKS 0x02u /* and with LINKS */

#define MESH_HASHES_TOP                                                                  \
    MESH_FAN /* `where` of the hashes of all mids; below: of a mid's leaves */

/* All a node has published, in 30 bytes. */
struct mesh_digest {
    uint64_t version; /* of the last change */
    uint64_t root;
    uint64_t links;  /* mesh_hash_id of all linked nodes, its own too, XORed */
    uint32_t count;  /* entries */
    uint16_t leaves; /* all entries are in the first so many */
};

struct mesh_span {
    const uint8_t *at;
    size_t len;
};

struct mesh_message {
    enum mesh_message_kind kind;
    uint8_t flags;             /* HELLO */
    struct kad_id id;          /* HELLO */
    struct proa_addr addr;     /* HELLO */
    struct mesh_digest digest; /* HELLO, DIGEST */
    uint64_t mask;             /* ASK_HASHES: bit `where`; PULL: leaves of mid */
    uint64_t version;          /* HASHES, RANGE */
    uint64_t hashes[MESH_FAN]; /* HASHES */
    uint32_t where;            /* HASHES; PULL: the mid */
    uint32_t first, end;       /* RANGE */
    uint32_t serial;           /* ASK_GROUP, GROUP_PART */
    bool more;                 /* GROUP_PART */
    uint8_t len;               /* of group */
    const char *group;         /* WANT_LOADS, ASK_GROUP: in the message's bytes */
    struct mesh_span span;     /* LINKS, DELTA, RANGE, LOADS, GROUP_PART: its elements */
    unsigned count;            /* LOADS, GROUP_PART */
};

bool mesh_decode(struct mesh_message *ret, const uint8_t *bytes, size_t len);

/* The next of a checked span; false at its end.  An entry of kind 0 says: removed. */
bool mesh_take_entry(struct mesh_span *span, struct mesh_entry *ret);
bool mesh_take_link(struct mesh_span *span, struct kad_id *ret_id,
                    struct proa_addr *ret_addr);
void mesh_get_loads(const struct mesh_message *message, struct mesh_load *ret);
void mesh_get_refs(const struct mesh_message *message, struct mesh_ref *ret);

/* A message that is being written, into MESH_MESSAGE_MAX bytes. */
struct mesh_writer {
    uint8_t *bytes;
    size_t len;
};

/* mesh_begin writes the first two bytes. */
void mesh_begin(struct mesh_writer *w, uint8_t *bytes, enum mesh_message_kind kind);
void mesh_put_hello(struct mesh_writer *w, uint8_t flags, const struct kad_id *id,
                    const struct proa_addr *addr, const struct mesh_digest *digest);
void mesh_put_digest(struct mesh_writer *w, const struct mesh_digest *digest);
void mesh_put_u64(struct mesh_writer *w, uint64_t value);
void mesh_put_u32(struct mesh_writer *w, uint32_t value);
void mesh_put_u8(struct mesh_writer *w, uint8_t value);
void mesh_put_group(struct mesh_writer *w, const char *group, size_t len);
bool mesh_put_link(struct mesh_writer *w, const struct kad_id *id,
                   const struct proa_addr *addr);
bool mesh_put_entry(struct mesh_writer *w, const struct mesh_entry *entry);

/* mesh_set_range writes first, end and version of a RANGE that was begun: its head may be written
   once it is known how much fitted.  mesh_begin_range leaves room for them. */
void mesh_begin_range(struct mesh_writer *w, uint8_t *bytes);
void mesh_set_range(struct mesh_writer *w, uint32_t first, uint32_t end,
                    uint64_t version);

/* What digests are made of. */
uint64_t mesh_hash_entry(const struct mesh_entry *entry);
uint64_t mesh_hash_id(const struct kad_id *id);

#endif
