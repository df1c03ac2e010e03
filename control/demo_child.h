/* SPDX-License-Identifier: Apache-2.0 */
/* demo_child.h - what every node of a demo does: takes the key, joins, listens to its parent, leaves.

   demo.h has the channel and its lines.

   Threads: the child's main one; child_say any.  Units: proa_ns.
   Errors:  false, and a line `fail WHY` has gone to the parent, or a signal or the parent's end
            wants this process to end.
   Bounds:  CHILD_COMMAND_MAX bytes of a command and its NUL. */
#ifndef DEMO_CHILD_H
#define DEMO_CHILD_H

#include "options.h"

#define CHILD_JOIN_FOR (20 * PROA_S) /* the other node may still be starting */
#define CHILD_SPAWN_FOR (5 * PROA_S)
#define CHILD_COMMAND_MAX 64

struct demo_child {
    const struct options *options;
    const char *dir;
    int signals; /* a signalfd: TERM, INT, HUP */
    struct proa_node *node;
    struct proa_client *client;
    bool orphan; /* the parent is gone without a word */
    char command[CHILD_COMMAND_MAX];
    size_t command_len;
};

/* child_say writes one line to the parent.  When the parent is gone, the channel's end says so soon
   enough. */
__attribute__((format(printf, 1, 2))) void child_say(const char *format, ...);
bool child_fail(const char *what, enum proa_outcome outcome);

/* child_open starts the node (whose key it takes from the channel), joins and opens the client. */
bool child_open(struct demo_child *c, const struct options *options,
                struct proa_config *config);
void child_leave(struct demo_child *c);

/* child_close is the end: what an orphan has to remove it removes. */
void child_close(struct demo_child *c);

/* child_hear takes what the parent has sent; false: it is gone.  child_command then gives one command
   after the other, until false. */
bool child_hear(struct demo_child *c);
bool child_command(struct demo_child *c, char line[CHILD_COMMAND_MAX]);

/* child_pass_notes passes on what the node's actors have told the client (demo_visitor.h). */
void child_pass_notes(struct demo_child *c);

#endif
