/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_TEXT_LEN (2 * PROA_KEY_LEN)
#define PATH_LEN (PROA_TEXT_MAX + 32)

enum proa_outcome state_default_dir(char *dir, size_t len, char *err, size_t err_len)
{
    const char *base = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n;

    if (base != NULL && base[0] == '/')
        n = snprintf(dir, len, "%s/proa", base);
    else if (home != NULL && home[0] == '/')
        n = snprintf(dir, len, "%s/.local/state/proa", home);
    else {
        snprintf(err, err_len,
                 "no state directory: neither HOME nor XDG_STATE_HOME is set; "
                 "set one, or state_dir in the configuration");
        return PROA_BAD_CONFIG;
    }
    if (n > 0 && (size_t)n < len)
        return PROA_OK;
    snprintf(err, err_len, "the state directory's path is longer than %zu bytes",
             len - 1);
    return PROA_BAD_CONFIG;
}

/* Whom new folders are to belong to. */
struct owner {
    bool other; /* than who makes them */
    uid_t uid;
    gid_t gid;
};

static bool make_folder(const char *path, const struct owner *owner)
{
    struct stat st;
    bool ok = mkdir(path, 0700) == 0;
    int why = errno;

    if (!ok && why != EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true; /* nothing is to be made, so it does not matter that nothing may be */
    errno = why;
    if (!ok)
        return why == EEXIST;
    if (!owner->other)
        return true;
    /* What was made, and not what somebody has put there since. */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    ok = fd >= 0 && fchown(fd, owner->uid, owner->gid) == 0;
    why = errno;
    if (fd >= 0)
        close(fd);
    if (!ok)
        (void)rmdir(
            path); /* nobody could use it, and it would stand in the way for ever */
    errno = why;
    return ok;
}

/* mkdir -p with mode 0700 for what is missing. */
static bool make_path(char *path, const struct owner *owner)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        bool ok = make_folder(path, owner);
        *p = '/';
        if (!ok)
            return false;
    }
    return make_folder(path, owner);
}

static enum proa_outcome take_lock(struct state *state, char *err, size_t err_len)
{
    char path[PATH_LEN];

    snprintf(path, sizeof(path), "%s/lock", state->dir);
    state->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (state->lock < 0) {
        snprintf(err, err_len, "%s: %s; choose a state_dir this user can write", path,
                 strerror(errno));
        return PROA_BAD_CONFIG;
    }
    if (flock(state->lock, LOCK_EX | LOCK_NB) == 0)
        return PROA_OK;
    snprintf(err, err_len,
             "state directory %s belongs to a running node; stop it, or give this one "
             "another state_dir",
             state->dir);
    close(state->lock);
    state->lock = -1;
    return PROA_ALREADY_RUNNING;
}

static enum proa_outcome make(struct state *state, const char *dir,
                              const struct owner *owner, char *err, size_t err_len)
{
    enum proa_outcome outcome = PROA_OK;

    state->lock = -1;
    if (dir[0] != '\0')
        snprintf(state->dir, sizeof(state->dir), "%s", dir);
    else
        outcome = state_default_dir(state->dir, sizeof(state->dir), err, err_len);
    if (outcome != PROA_OK)
        return outcome;
    if (make_path(state->dir, owner))
        return PROA_OK;
    snprintf(err, err_len, "%s: %s; choose a state_dir this user can write", state->dir,
             strerror(errno));
    return PROA_BAD_CONFIG;
}

enum proa_outcome state_make(struct state *state, const char *dir, uid_t uid, gid_t gid,
                             char *err, size_t err_len)
{
    const struct owner owner = {.other = true, .uid = uid, .gid = gid};

    return make(state, dir, &owner, err, err_len);
}

enum proa_outcome state_open(struct state *state, const char *dir, char *err,
                             size_t err_len)
{
    const struct owner nobody_else = {.other = false};
    enum proa_outcome outcome = make(state, dir, &nobody_else, err, err_len);

    if (outcome != PROA_OK || dir[0] == '\0')
        return outcome;
    return take_lock(state, err, err_len);
}

void state_close(struct state *state)
{
    if (state->lock >= 0)
        close(state->lock);
    state->lock = -1;
}

static enum proa_outcome key_refused(const char *path, const char *why, char *err,
                                     size_t err_len)
{
    snprintf(err, err_len, "cluster key %s: %s", path, why);
    return PROA_BAD_CONFIG;
}

enum proa_outcome state_key_read(const char *path, uint8_t key[PROA_KEY_LEN], char *err,
                                 size_t err_len)
{
    char text[KEY_TEXT_LEN + 2];
    struct stat st;
    size_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return key_refused(path, strerror(errno), err, err_len);
    ssize_t len = fstat(fd, &st) == 0 ? read(fd, text, sizeof(text)) : -1;
    close(fd);
    if (len < 0)
        return key_refused(path, strerror(errno), err, err_len);
    if ((st.st_mode & 077) != 0)
        return key_refused(path, "readable by others; chmod 600 it", err, err_len);
    if (len == KEY_TEXT_LEN + 1 && text[KEY_TEXT_LEN] == '\n')
        len--;
    if (len != KEY_TEXT_LEN ||
        sodium_hex2bin(key, PROA_KEY_LEN, text, KEY_TEXT_LEN, NULL, &got, NULL) != 0 ||
        got != PROA_KEY_LEN)
        return key_refused(path, "not 64 hexadecimal digits; make one by `proa keygen`",
                           err, err_len);
    return PROA_OK;
}

/* Written whole under another name first: a reader never sees half a key, and of two writers
   one wins. */
enum proa_outcome state_key_write(const char *path, uint8_t key[PROA_KEY_LEN], char *err,
                                  size_t err_len)
{
    char text[KEY_TEXT_LEN + 1];
    char temporary[PATH_LEN + 32];

    randombytes_buf(key, PROA_KEY_LEN);
    sodium_bin2hex(text, sizeof(text), key, PROA_KEY_LEN);
    text[KEY_TEXT_LEN] = '\n';
    snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return key_refused(path, strerror(errno), err, err_len);
    bool ok = write(fd, text, sizeof(text)) == (ssize_t)sizeof(text);
    ok = close(fd) == 0 && ok && link(temporary, path) == 0;
    int why = errno;
    unlink(temporary);
    sodium_memzero(text, sizeof(text));
    return ok ? PROA_OK : key_refused(path, strerror(why), err, err_len);
}

enum proa_outcome state_key(const struct state *state, uint8_t key[PROA_KEY_LEN],
                            char *err, size_t err_len)
{
    char path[PATH_LEN];

    snprintf(path, sizeof(path), "%s/cluster.key", state->dir);
    if (access(path, F_OK) != 0 && state_key_write(path, key, err, err_len) == PROA_OK)
        return PROA_OK;
    /* There, or made by another node at this moment. */
    return state_key_read(path, key, err, err_len);
}
