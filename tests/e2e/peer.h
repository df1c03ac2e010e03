/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - starting, watching and killing processes whose stdout is lines.

   Threads: one.  Units: milliseconds.  Errors: the running test fails. */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peer {
    pid_t pid; /* 0: not running */
    int in, out;
    size_t len;
    char buf[8192]; /* bytes of lines not read yet */
};

/* peer_start runs argv[0]; user >= 0: as that user id, with an environment of its own. */
void peer_start(struct peer *peer, const char *const argv[], int user);

/* peer_line waits for the next line, without its newline, in *ret_line (valid until the next
   call).  False: the output ended, or nothing came in time. */
bool peer_line(struct peer *peer, int timeout, const char **ret_line);

/* peer_kill sends the signal and waits for the end.  Returns the wait status. */
int peer_kill(struct peer *peer, int signal);

/* peer_end closes its stdin and waits; after 20 s it is killed and the test fails. */
int peer_end(struct peer *peer);

/* peer_kill_all kills what a failed test left running; a teardown for every test. */
int peer_kill_all(void **state);

bool peer_alive(const struct peer *peer);

long long peer_now(void); /* milliseconds of the monotonic clock */

#endif
