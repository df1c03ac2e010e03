/* SPDX-License-Identifier: Apache-2.0 */
/* perf_flood_frames.h - frames that are well-formed down to their checksums and belong to nobody.

   Threads: pure.  Units: bytes.  Errors: none. */
#ifndef PERF_FLOOD_FRAMES_H
#define PERF_FLOOD_FRAMES_H

#include "perf_options.h"

#define PERF_FLOOD_FRAMES                                                                \
    1024u /* different ones: their source ports and bodies are random */
#define PERF_FLOOD_FRAME_MAX 160u

struct perf_flood_frame {
    uint8_t bytes[PERF_FLOOD_FRAME_MAX];
    uint16_t at, len; /* the frame's, in bytes */
};

/* perf_flood_build makes PERF_FLOOD_FRAMES of a kind, from the second address of perf_netns.h to
   the first and this UDP port; the same ones each time. */
void perf_flood_build(enum perf_flood_kind kind, uint16_t port,
                      struct perf_flood_frame *frames);

#endif
