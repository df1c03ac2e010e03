/* SPDX-License-Identifier: Apache-2.0 */
/* keyed.h - what makes a keyed link packet believed: its tag and, in an opening, its signature.

   The tag is a 16-byte BLAKE2b keyed with cluster_keys.packet over everything before it: it
   shows that a member made the packet.  The Ed25519 signature of SYNACK and OPEN shows that
   the owner of the node's id made it, for this exchange (packet.h has the bytes).

   Threads: pure functions over the caller's memory; any thread.
   Units:   bytes.  Errors: bool where only "does it hold" is asked. */
#ifndef KEYED_H
#define KEYED_H

#include <proa/types.h>

#include "identity.h"
#include "packet.h"

/* keyed_seal fills in the tag: the last PACKET_TAG_LEN of len bytes. */
void keyed_seal(const struct cluster_keys *keys, uint8_t *buf, size_t len);

/* keyed_holds tells whether it does.  Constant time.  False too when len is too short. */
bool keyed_holds(const struct cluster_keys *keys, const uint8_t *buf, size_t len);

/* keyed_open_put writes a whole SYN, SYNACK or OPEN of len bytes: own key, signature (not of a
   SYN, which proves nothing) and tag included. */
void keyed_open_put(const struct identity *self, const struct cluster_keys *keys,
                    uint8_t *buf, size_t len, enum packet_kind kind,
                    const struct packet_open *open);

/* keyed_open_holds checks a SYNACK or OPEN whose tag holds: the key's hash must begin with
   src_node, the signature must be that key's.  *ret_id is the node's whole id.  Cost: 40 us. */
bool keyed_open_holds(const uint8_t *buf, const struct packet_open *open,
                      struct kad_id *ret_id);

/* keyed_ping_put writes a whole PING, PONG, RST or CLOSE and returns its length, at most
   KEYED_PING_LEN. */
#define KEYED_PING_LEN (PACKET_PING_LEN + PACKET_TAG_LEN)
size_t keyed_ping_put(const struct cluster_keys *keys, uint8_t buf[KEYED_PING_LEN],
                      enum packet_kind kind, const struct packet_ping *ping);

#endif
