/* SPDX-License-Identifier: Apache-2.0 */
/* life.h - failing, watching others end, and being restarted.

   An actor that fails ends alone: what it had queued is answered, its names are given up, its
   monitors and links are told, its supervisor restarts it.  A memory fault is not a failure
   but the end of the node.

   Threads: as actor.h: on the lane of `self`, inside one of its callbacks.
   Units:   time is proa_ns.
   Errors:  enum proa_outcome, listed at each function. */
#ifndef PROA_LIFE_H
#define PROA_LIFE_H

#include <proa/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROA_CODE_LINKED (-0x7f000001) /* failed because a linked actor ended */
#define PROA_CODE_LIMIT (-0x7f000002)  /* a supervisor whose children failed too often */

/* proa_fail ends this actor, when the callback returns, with PROA_REASON_FAILED and code, which
   is the user's (the PROA_CODE_ values excepted).  The ask that is running is answered
   MAYBE_EXECUTED, what is queued as by proa_stop. */
PROA_API void proa_fail(struct proa_actor *self, int32_t code);

/* ---- Monitors ---- */

/* proa_monitor asks to be told once, by PROA_SIGNAL_DOWN, when the actor `to`, anywhere, has
   ended.  The signal comes after all that `to` had sent before its end.  DOWN with NO_SUCH_ACTOR
   follows when it has ended already, with NODE_LOST when its node is dead or cannot be reached:
   then it may be alive, and the monitor is spent all the same.  A supervised actor's restart
   is DOWN with RESTARTED and its new reference; monitor that one to go on.
   OK, AGAIN, NO_ROUTE, LIMIT (PROA_MONITORS_MAX of this lane), INVALID (a none reference,
   oneself), STOPPED (in stop). */
#define PROA_MONITORS_MAX (1u << 21) /* of one lane, both ends counted; 64 bytes each */
PROA_API enum proa_outcome proa_monitor(struct proa_actor *self, struct proa_ref to,
                                        struct proa_monitor *ret_monitor);

/* proa_demonitor ends a monitor: no DOWN of it comes after this has returned, though one may
   have been on its way.  False when it was spent. */
PROA_API bool proa_demonitor(struct proa_actor *self, struct proa_monitor monitor);

/* proa_link ties two lives together: when one ends, other than with NORMAL, the other fails
   with PROA_CODE_LINKED, or, when its behaviour has `traps`, gets DOWN instead.  A NORMAL end
   only undoes the link (and is told to one that traps).  Linking twice is one link.  When `to`
   is gone already, this actor is treated as if it had ended just now with NO_SUCH_ACTOR.
   Outcomes as proa_monitor. */
PROA_API enum proa_outcome proa_link(struct proa_actor *self, struct proa_ref to);

/* proa_unlink undoes it, on both sides; false when there was no link. */
PROA_API bool proa_unlink(struct proa_actor *self, struct proa_ref to);

/* ---- Supervision ---- */

enum proa_strategy {
    PROA_ONE_FOR_ONE, /* only the one that failed is restarted */
    PROA_ONE_FOR_ALL, /* all children are ended and restarted, in the order they were made */
    PROA_REST_FOR_ONE, /* it and those made after it are */
};

enum proa_restart {
    PROA_RESTART_PERMANENT, /* after every end */
    PROA_RESTART_TRANSIENT, /* after FAILED and KILLED, not after NORMAL */
    PROA_RESTART_TEMPORARY, /* never: its end is only told (DOWN) */
};

/* How a behaviour's actors treat their children; behaviour.supervision. */
struct proa_supervision {
    enum proa_strategy strategy;
    uint32_t intensity; /* restarts allowed within window; 0 means 5 */
    proa_ns window;     /* 0 means 10 s */
};

/* proa_spawn_child makes a supervised actor on this lane, whose supervisor is self.  arg is
   copied and kept: each restart runs `start` with it again, in the same slot, with zeroed state,
   a new generation, and the names that the last life had.  Restarts are immediate; the
   supervisor's handlers do not run for them.  When more than `intensity` are needed within
   `window`, or a restart's start fails as often, the supervisor ends all its children and fails with
   PROA_CODE_LIMIT, which its own supervisor sees.  Children end when their supervisor ends, in
   the reverse order of their making.  A supervisor gets DOWN (monitor.serial 0) for a child that
   is not restarted.  Outcomes as proa_spawn; INVALID without behaviour.supervision;
   TOO_LARGE (arg over PROA_CHILD_ARG_MAX). */
#define PROA_CHILD_ARG_MAX 65536
PROA_API enum proa_outcome proa_spawn_child(struct proa_actor *self,
                                            const struct proa_behaviour *behaviour,
                                            const void *arg, size_t arg_len,
                                            enum proa_restart restart,
                                            struct proa_ref *ret_ref);

/* proa_stop_child ends one of self's own children with KILLED, and does not restart it.  False
   when ref is none of them, or has ended. */
PROA_API bool proa_stop_child(struct proa_actor *self, struct proa_ref ref);

#ifdef __cplusplus
}
#endif

#endif
