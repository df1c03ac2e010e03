/* SPDX-License-Identifier: Apache-2.0 */
/* demo_family.h - a demo's child processes: started, listened to, and ended for certain.

   Threads: the parent's one.  Units: proa_ns.
   Errors:  as each function says; a child's own troubles come as its lines.
   Bounds:  FAMILY_LINE_MAX bytes of a line; FAMILY_PATIENCE until a child that was asked to end
            is killed. */
#ifndef DEMO_FAMILY_H
#define DEMO_FAMILY_H

#include <sys/types.h>

#include "options.h"

#define FAMILY_CHILDREN 3
#define FAMILY_LINE_MAX 512
#define FAMILY_PATIENCE (5 * PROA_S)

struct family_child {
    pid_t pid;  /* 0: not started, or reaped */
    int fd;     /* the channel; -1 */
    int status; /* as waitpid gave it */
    char line[FAMILY_LINE_MAX];
    size_t len;
};

struct family {
    struct family_child child[FAMILY_CHILDREN]; /* A and B; 1, 2 and 3 */
    int signals;                                /* a signalfd: INT, TERM, HUP, CHLD */
    char dir[64];                               /* the temporary folder; "": none */
};

enum family_event {
    FAMILY_LINE,    /* *ret_child said *ret_line */
    FAMILY_GONE,    /* *ret_child ended; its last lines have been delivered before */
    FAMILY_SIGNAL,  /* *ret_signal: INT, TERM or HUP */
    FAMILY_SILENCE, /* nothing came until the deadline */
};

/* family_begin blocks the signals and makes the folder.  False: err says why. */
bool family_begin(struct family *family, char *err, size_t err_len);

/* family_start starts a child as `demo-node NAME DIR [SEED]` (seed may be NULL) and gives it the key. */
bool family_start(struct family *family, unsigned which, const char *name,
                  const char *seed, const struct options *options,
                  const uint8_t key[PROA_KEY_LEN], char *err, size_t err_len);

/* family_wait waits for the next event until the moment `until`.  *ret_line is borrowed until
   the next call. */
enum family_event family_wait(struct family *family, proa_ns until, unsigned *ret_child,
                              const char **ret_line, int *ret_signal);

void family_say(struct family *family, unsigned which, const char *line);

/* family_end asks all children that still run to end, waits, kills what does not, and removes the
   folder.  False: one had to be killed. */
bool family_end(struct family *family);

/* family_remove_dir removes the folder and all in it: by family_end, and by a child whose parent
   was killed. */
void family_remove_dir(const char *dir);

#endif
