/* SPDX-License-Identifier: Apache-2.0 */
/* pcapng.h - writes the blocks of a capture file, into the caller's memory.

   Only what a capture of ours needs: one section, its interfaces, packets with their direction,
   and the interfaces' statistics.  Little-endian, as the section header says; times are
   nanoseconds since 1970.  Source: draft-ietf-opsawg-pcapng, sections 4.1 to 4.6.

   Threads: pure.  Units: bytes, ns of the wall clock.
   Errors:  false: no room for the block; nothing was written.
   Bounds:  PCAPNG_TEXT_MAX bytes of an option's text, more is cut off. */
#ifndef PCAPNG_H
#define PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCAPNG_LINKTYPE_RAW 101 /* packets begin with an IPv4 or IPv6 header */
#define PCAPNG_TEXT_MAX 512
#define PCAPNG_PACKET_MORE                                                               \
    47 /* bytes of a packet's block besides its data, at the most */

/* A file, or a piece of one, as it grows. */
struct pcapng {
    uint8_t *buf; /* the caller's */
    size_t len, cap;
};

/* pcapng_section begins a file; program is what wrote it. */
bool pcapng_section(struct pcapng *to, const char *program);

/* pcapng_interface describes the next interface; they count from 0.  snap: bytes that a packet's
   data has at the most. */
bool pcapng_interface(struct pcapng *to, const char *name, const char *description,
                      uint32_t snap);

struct pcapng_packet {
    uint32_t interface;
    uint64_t at;
    bool out;
    const uint8_t *data;
    uint32_t kept, len; /* bytes in data; bytes the packet had, at least as many */
};

bool pcapng_packet(struct pcapng *to, const struct pcapng_packet *packet);

struct pcapng_statistics {
    uint32_t interface;
    uint64_t begin, end;
    uint64_t received, dropped, written;
};

/* pcapng_statistics: how an interface fared; stands behind its packets. */
bool pcapng_statistics(struct pcapng *to, const struct pcapng_statistics *statistics);

#endif
