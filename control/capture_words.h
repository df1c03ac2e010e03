/* SPDX-License-Identifier: Apache-2.0 */
/* capture_words.h - which packets somebody wants to see, in words: of the command line, and of the
   local socket's request.

   Threads: pure.  Units: as capture.h.
   Errors:  false: the text is no such thing; nothing was written.
   Bounds:  CAPTURE_WORDS_MAX bytes of a text. */
#ifndef CAPTURE_WORDS_H
#define CAPTURE_WORDS_H

#include "capture.h"

#define CAPTURE_WORDS_MAX 128

/* capture_wish_init: every packet, whole, until somebody ends it. */
void capture_wish_init(struct capture_wish *ret);

/* capture_peer_read reads ADDRESS or ADDRESS:PORT into filter->peer. */
bool capture_peer_read(const char *text, size_t len, struct tap_filter *filter);

/* capture_kinds_read reads "data,ack": names of packet kinds, krpc and other among them. */
bool capture_kinds_read(const char *text, size_t len, struct tap_filter *filter);

/* capture_peer_print and capture_kinds_print write what the two above read, "-" for all; buf has
   CAPTURE_WORDS_MAX bytes. */
void capture_peer_print(const struct tap_filter *filter, char *buf);
void capture_kinds_print(const struct tap_filter *filter, char *buf);

#endif
