/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - the state directory: who owns it, and the cluster key it keeps.

   The default directory ($XDG_STATE_HOME/proa, else ~/.local/state/proa) is shared by all nodes
   of a user: it only keeps cluster.key.  A directory named in the configuration belongs to one
   node at a time, by flock on DIR/lock.

   Threads: node start and end.  Units: bytes.
   Errors:  enum proa_outcome, and one sentence with cause and remedy in err. */
#ifndef STATE_H
#define STATE_H

#include <proa/node.h>
#include <sys/types.h>

struct state {
    char dir[PROA_TEXT_MAX];
    int lock; /* descriptor that holds the lock; -1: none */
};

/* state_default_dir says where the default directory is; it makes nothing.  OK; BAD_CONFIG: neither
   variable is set, or the path is longer than len - 1 bytes. */
enum proa_outcome state_default_dir(char *dir, size_t len, char *err, size_t err_len);

/* state_open makes the directory (0700) when it is missing and locks it if configured == true.
   OK; ALREADY_RUNNING; BAD_CONFIG. */
enum proa_outcome state_open(struct state *state, const char *dir, char *err,
                             size_t err_len);
void state_close(struct state *state);

/* state_make, for who may change owners, only makes what is missing of the directory's path, and
   gives that to uid and gid; what was there stays whose it is.  Where a new folder cannot be given away
   it is removed again.  OK; BAD_CONFIG. */
enum proa_outcome state_make(struct state *state, const char *dir, uid_t uid, gid_t gid,
                             char *err, size_t err_len);

/* state_key reads DIR/cluster.key (64 hexadecimal digits), or makes one with mode 0600.  OK;
   BAD_CONFIG: unreadable, malformed, or readable by others. */
enum proa_outcome state_key(const struct state *state, uint8_t key[PROA_KEY_LEN],
                            char *err, size_t err_len);

/* state_key_write makes a new random key file at path (0600); fails when it exists. */
enum proa_outcome state_key_write(const char *path, uint8_t key[PROA_KEY_LEN], char *err,
                                  size_t err_len);
/* state_key_read reads one. */
enum proa_outcome state_key_read(const char *path, uint8_t key[PROA_KEY_LEN], char *err,
                                 size_t err_len);

#endif
