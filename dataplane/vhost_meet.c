/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_meet.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAGIC 0x70726f61u /* "proa" */

struct message {
    uint32_t magic;
    uint16_t kind;
    uint16_t value;
};

_Static_assert(MEET_PATH_MAX + sizeof(".up") <=
                   sizeof(((struct sockaddr_un *)0)->sun_path),
               "PATH.up fits a socket's name");

static struct sockaddr_un name_of(const char *path, const char *suffix)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    snprintf(name.sun_path, sizeof(name.sun_path), "%.*s%s", MEET_PATH_MAX, path, suffix);
    return name;
}

static void folder_of(const char *path, char folder[MEET_PATH_MAX + 1])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        snprintf(folder, MEET_PATH_MAX + 1, ".");
    else if (slash == path)
        snprintf(folder, MEET_PATH_MAX + 1, "/");
    else
        snprintf(folder, MEET_PATH_MAX + 1, "%.*s", (int)(slash - path), path);
}

bool meet_path_check(const char *path, char *err, size_t err_len)
{
    char folder[MEET_PATH_MAX + 1];
    size_t len = strlen(path);

    if (len == 0 || path[len - 1] == '/') {
        snprintf(err, err_len, "\"%s\" names no socket; write vhost:listen=/run/proa/a",
                 path);
        return false;
    }
    if (len > MEET_PATH_MAX) {
        snprintf(err, err_len,
                 "the path has %zu bytes, a socket's has at most %d; shorten it", len,
                 MEET_PATH_MAX);
        return false;
    }
    for (const char *c = path; *c != '\0'; c++) {
        if (!isgraph((unsigned char)*c) || strchr(",[]=\"", *c) != NULL) {
            snprintf(err, err_len,
                     "the path has a character that DPDK's device arguments cannot carry "
                     "(, [ ] = \" or a blank): rename it");
            return false;
        }
    }
    folder_of(path, folder);
    if (access(folder, W_OK | X_OK) != 0) {
        snprintf(err, err_len, "folder %s: %s; %s", folder, strerror(errno),
                 errno == ENOENT ? "make it first" : "choose one this user may write to");
        return false;
    }
    return true;
}

/* A connected socket, or -1 with errno. */
static int reach(const char *path, const char *suffix, int type)
{
    struct sockaddr_un name = name_of(path, suffix);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) != 0) {
        error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Removes what is left of a socket nobody serves.  False: it is served, or is no socket. */
static bool remove_stale(const char *path, const char *suffix, int type, char *err,
                         size_t err_len)
{
    struct sockaddr_un name = name_of(path, suffix);
    struct stat status;
    int fd;

    if (lstat(name.sun_path, &status) != 0)
        return true;
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(err, err_len,
                 "%s exists and is not a socket; remove it or choose another path",
                 name.sun_path);
        return false;
    }
    fd = reach(path, suffix, type);
    if (fd >= 0 || errno == EAGAIN) {
        if (fd >= 0)
            close(fd);
        snprintf(err, err_len,
                 "%s is served by a running process; stop it or choose another path",
                 name.sun_path);
        return false;
    }
    if (unlink(name.sun_path) != 0 && errno != ENOENT) {
        snprintf(err, err_len, "cannot remove the stale %s: %s", name.sun_path,
                 strerror(errno));
        return false;
    }
    return true;
}

static int bind_up(const char *path, char *err, size_t err_len)
{
    struct sockaddr_un name = name_of(path, ".up");
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 &&
        listen(fd, 4) == 0)
        return fd;
    snprintf(err, err_len, "%s: %s", name.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int meet_listen(const char *path, char *err, size_t err_len)
{
    char folder[MEET_PATH_MAX + 1];
    int lock, fd = -1;

    /* Two that start at once must not both find the other's socket stale. */
    folder_of(path, folder);
    lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        snprintf(err, err_len, "folder %s: %s", folder, strerror(errno));
    } else if (remove_stale(path, ".up", SOCK_SEQPACKET, err, err_len) &&
               remove_stale(path, "", SOCK_STREAM, err, err_len)) {
        fd = bind_up(path, err, err_len);
    }
    if (lock >= 0)
        close(lock);
    return fd;
}

/* Waits for fd, or stop.  MEET_HELLO stands for "fd is readable". */
static enum meet_kind wait_for(int fd, int stop, int timeout)
{
    struct pollfd fds[2] = {{.fd = stop, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int n;

    do
        n = poll(fds, 2, timeout);
    while (n < 0 && errno == EINTR);
    if (fds[0].revents != 0)
        return MEET_STOP;
    return n > 0 && fds[1].revents != 0 ? MEET_HELLO : MEET_NONE;
}

int meet_accept(int listener, int stop, int timeout)
{
    if (wait_for(listener, stop, timeout) != MEET_HELLO)
        return -1;
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int meet_connect(const char *path)
{
    return reach(path, ".up", SOCK_SEQPACKET);
}

bool meet_send(int fd, enum meet_kind kind, unsigned value)
{
    const struct message message = {MAGIC, (uint16_t)kind, (uint16_t)value};

    return send(fd, &message, sizeof(message), MSG_NOSIGNAL) == sizeof(message);
}

enum meet_kind meet_receive(int fd, int stop, int timeout, unsigned *ret_value)
{
    struct message message;
    enum meet_kind kind = wait_for(fd, stop, timeout);

    if (kind != MEET_HELLO)
        return kind;
    if (recv(fd, &message, sizeof(message), 0) != sizeof(message) ||
        message.magic != MAGIC || message.kind < MEET_HELLO || message.kind > MEET_SHAKE)
        return MEET_GONE;
    *ret_value = message.value;
    return (enum meet_kind)message.kind;
}

bool meet_sleep(int stop, int timeout)
{
    return wait_for(-1, stop, timeout) == MEET_STOP;
}

enum meet_kind meet_served(const char *path, int fd, int stop, int timeout)
{
    for (int waited = 0; waited < timeout; waited++) {
        struct stat status;
        enum meet_kind kind;
        unsigned value;

        if (stat(path, &status) == 0 && S_ISSOCK(status.st_mode)) {
            /* Bound; listen() follows at once, and a too early connect() costs a second. */
            return meet_sleep(stop, 2) ? MEET_STOP : MEET_READY;
        }
        kind = meet_receive(fd, stop, 1, &value);
        if (kind != MEET_NONE)
            return kind == MEET_STOP ? MEET_STOP : MEET_GONE;
    }
    return MEET_NONE;
}

void meet_knock(const char *path)
{
    int fd = reach(path, "", SOCK_STREAM);

    if (fd >= 0)
        close(fd);
}

/* A socket that was accepted on PATH. */
static bool is_served_on(int fd, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof(name), int_len = sizeof(int);
    int listens = 1;

    return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
           name.sun_family == AF_UNIX &&
           strncmp(name.sun_path, path, sizeof(name.sun_path)) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_len) == 0 &&
           listens == 0;
}

/* DPDK does not say which descriptor it is; the kernel does.  Only its end is brought about, so
   that DPDK closes it where it always does. */
void meet_shake(const char *path)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);

        if (fd > 2 && is_served_on(fd, path))
            shutdown(fd, SHUT_RDWR);
    }
    closedir(dir);
}
