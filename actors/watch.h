/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - what one lane says to another, or to another node, about one monitor.

   Threads: a plain value.  Units: none.  Errors: none. */
#ifndef WATCH_H
#define WATCH_H

#include <proa/actor.h>

enum watch_kind {
    WATCH_MONITOR,   /* to the target: tell the watcher of its end */
    WATCH_DEMONITOR, /* to the target: no longer, or (WATCH_DIED) the watcher has ended */
    WATCH_DOWN,      /* to the watcher: the target has ended */
};

#define WATCH_LINK 0x01u   /* it is one half of a link: each watches the other */
#define WATCH_DIED 0x02u   /* DEMONITOR: reason and code say how the watcher ended */
#define WATCH_UNLINK 0x04u /* DOWN: the target has undone the link */

struct watch {
    struct proa_ref target, watcher;
    uint32_t index, serial; /* the watcher's entry (monitor.h) */
    uint8_t kind;           /* enum watch_kind */
    uint8_t flags;          /* WATCH_LINK, ... */
    uint8_t reason;         /* enum proa_reason */
    uint8_t zero;
    int32_t code;
    struct proa_ref now; /* DOWN with RESTARTED: the new life; else none */
    uint64_t
        link; /* MONITOR: id of the link it came by; 0: this node.  Not on the wire */
};

#endif
