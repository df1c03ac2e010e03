/* SPDX-License-Identifier: Apache-2.0 */
/* demo_visitor.h - what node B does in the demo, as one actor.

   Finds A's counter, asks it, looks for somebody who is not there, waits for somebody who comes
   later, and then sets the load going.  It never blocks: each step begins in the callback of the
   one before.

   It says what happens in notes, tells of type DEMO_NOTE with one line of text, to `listener`;
   demo.h has the lines.

   Threads: behaviours.  Units: seconds.  Errors: a note `fail WHY`, and it stops. */
#ifndef DEMO_VISITOR_H
#define DEMO_VISITOR_H

#include <proa/actor.h>

#define DEMO_NOTE 1
#define DEMO_NOTE_MAX 240 /* bytes of a note */

#define DEMO_COUNTER "my_actor"
#define DEMO_NOBODY "nobody"
#define DEMO_LATE "late_actor"
#define DEMO_SINK "demo_sink"

struct visitor_arg {
    struct proa_ref listener;
    uint32_t seconds; /* of load */
};

extern const struct proa_behaviour demo_visitor;

#endif
