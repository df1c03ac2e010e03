/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli_serve.h"
#include "cli_work.h"
#include "node_internal.h"

struct server_thread {
    struct cli *cli;
    pthread_t thread;
    struct cli_room room;
};

struct cli {
    struct proa_node *node;
    struct sockaddr_un addr;
    int listener, stop_fd;
    ino_t inode; /* of the socket file: it is removed only if it is still this one */
    _Atomic bool stopping;
    _Atomic unsigned followers;
    _Atomic bool capturing;
    unsigned running;
    struct server_thread threads[CLI_THREADS];
};

/* ---- The socket file ---- */

static bool fail(const char *path, const char *why, char *err, size_t err_len)
{
    snprintf(err, err_len, "socket %s: %s", path, why);
    return false;
}

/* Locks the folder of path, so that two nodes do not replace each other's stale socket at the
   same moment.  -1: there is no such folder. */
static int lock_folder(const char *path)
{
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    char *slash;
    int fd;

    strcpy(folder, path);
    slash = strrchr(folder, '/');
    if (slash == NULL)
        strcpy(folder, ".");
    else
        slash[slash == folder ? 1 : 0] = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        flock(fd, LOCK_EX);
    return fd;
}

static bool somebody_listens(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool nobody = fd >= 0 &&
                  connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0 &&
                  errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return !nobody;
}

/* True: nothing is in the way any more. */
static bool make_way(const struct sockaddr_un *addr, char *err, size_t err_len)
{
    struct stat st;

    if (lstat(addr->sun_path, &st) != 0)
        return errno == ENOENT || fail(addr->sun_path, strerror(errno), err, err_len);
    if (!S_ISSOCK(st.st_mode))
        return fail(addr->sun_path, "is another kind of file; name another path", err,
                    err_len);
    if (somebody_listens(addr))
        return fail(addr->sun_path, "another node listens there; name another path", err,
                    err_len);
    if (unlink(addr->sun_path) != 0)
        return fail(addr->sun_path, strerror(errno), err, err_len);
    return true;
}

static bool listen_there(struct cli *cli, char *err, size_t err_len)
{
    const char *path = cli->addr.sun_path;
    struct stat st;

    cli->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (cli->listener < 0)
        return fail(path, strerror(errno), err, err_len);
    /* The mode of the socket's inode is what bind gives the file: 0600 from the first moment. */
    if (fchmod(cli->listener, 0600) != 0 ||
        bind(cli->listener, (const struct sockaddr *)&cli->addr, sizeof(cli->addr)) !=
            0 ||
        stat(path, &st) != 0)
        return fail(path, strerror(errno), err, err_len);
    cli->inode = st.st_ino;
    if (listen(cli->listener, CLI_BACKLOG) != 0)
        return fail(path, strerror(errno), err, err_len);
    return true;
}

static bool open_socket(struct cli *cli, char *err, size_t err_len)
{
    int folder = lock_folder(cli->addr.sun_path);
    bool ok;

    if (folder < 0)
        return fail(cli->addr.sun_path,
                    errno == EACCES
                        ? "this user may not read its folder; name another"
                        : "its folder does not exist; make it, or name another",
                    err, err_len);
    ok = make_way(&cli->addr, err, err_len) && listen_there(cli, err, err_len);
    close(folder);
    return ok;
}

static void remove_socket(const struct cli *cli)
{
    int folder = lock_folder(cli->addr.sun_path);
    struct stat st;

    if (stat(cli->addr.sun_path, &st) == 0 && st.st_ino == cli->inode)
        unlink(cli->addr.sun_path);
    if (folder >= 0)
        close(folder);
}

/* ---- Threads ---- */

static void *body(void *arg)
{
    struct server_thread *t = arg;
    struct cli *cli = t->cli;
    struct cli_job job = {.node = cli->node,
                          .stopping = &cli->stopping,
                          .followers = &cli->followers,
                          .capturing = &cli->capturing};
    struct cli_work work = {.ctx = &job, .run = cli_work_run, .stop_fd = cli->stop_fd};

    for (;;) {
        struct pollfd fds[2] = {{.fd = cli->listener, .events = POLLIN},
                                {.fd = cli->stop_fd, .events = POLLIN}};
        int fd;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents != 0)
            return NULL;
        fd = accept4(cli->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue; /* another thread was faster, or the caller went away */
        cli_serve(fd, &work, &t->room);
        close(fd);
    }
}

static bool start_threads(struct cli *cli)
{
    sigset_t all, before;
    bool ok = true;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < CLI_THREADS && ok; i++) {
        cli->threads[i].cli = cli;
        ok = pthread_create(&cli->threads[i].thread, NULL, body, &cli->threads[i]) == 0;
        if (ok) {
            pthread_setname_np(cli->threads[i].thread, "proa-cli");
            cli->running = i + 1;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

struct cli *cli_server_start(struct proa_node *node, const char *path, char *err,
                             size_t err_len)
{
    struct cli *cli = calloc(1, sizeof(*cli));

    if (cli == NULL || strlen(path) >= sizeof(cli->addr.sun_path)) {
        fail(path, cli == NULL ? "out of memory" : "the path is longer than 107 bytes",
             err, err_len);
        free(cli);
        return NULL;
    }
    cli->node = node;
    cli->addr.sun_family = AF_UNIX;
    strcpy(cli->addr.sun_path, path);
    cli->listener = -1;
    cli->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cli->stop_fd < 0)
        fail(path, strerror(errno), err, err_len);
    if (cli->stop_fd < 0 || !open_socket(cli, err, err_len)) {
        cli_server_stop(cli);
        return NULL;
    }
    if (!start_threads(cli)) {
        fail(path, "no thread to serve it", err, err_len);
        cli_server_stop(cli);
        return NULL;
    }
    return cli;
}

void cli_server_stop(struct cli *cli)
{
    uint64_t one = 1;

    if (cli == NULL)
        return;
    atomic_store(&cli->stopping, true);
    if (cli->stop_fd >= 0 && write(cli->stop_fd, &one, sizeof(one)) != sizeof(one))
        PROA_ASSERT(errno == EAGAIN);
    for (unsigned i = 0; i < cli->running; i++)
        pthread_join(cli->threads[i].thread, NULL);
    if (cli->inode != 0)
        remove_socket(cli);
    if (cli->listener >= 0)
        close(cli->listener);
    if (cli->stop_fd >= 0)
        close(cli->stop_fd);
    free(cli);
}
