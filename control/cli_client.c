/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define GRACE 5 /* s the node may take beyond the request's own deadline */

static enum cli_exit no_node(FILE *err, const char *why)
{
    fprintf(err, "proa: %s\n", why);
    return CLI_EXIT_NO_NODE;
}

static void be_patient(int fd, const struct cli_request *request)
{
    proa_ns span = request->verb == CLI_ASK ? request->deadline : CLI_LOOKUP_FOR;
    struct timeval tv = {.tv_sec = (time_t)(span / PROA_S) + GRACE};

    if (request->verb == CLI_EVENTS && request->follow)
        tv.tv_sec = 0; /* for ever */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static bool send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put = send(fd, text, len, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        text += put;
        len -= (size_t)put;
    }
    return true;
}

/* Lines of result have a space in front; the first other one is the last. */
static enum cli_exit print_answer(FILE *from, bool at_once, FILE *out, FILE *err)
{
    size_t cap = CLI_REQUEST_MAX;
    char *line = malloc(cap);
    enum cli_exit status = CLI_EXIT_NO_NODE;

    if (line == NULL)
        return no_node(err, "out of memory");
    while (fgets(line, (int)cap, from) != NULL && line[0] == ' ') {
        fputs(line + 1, out);
        if (at_once)
            fflush(out);
    }
    line[feof(from) || ferror(from) ? 0 : strcspn(line, "\n")] = '\0';
    if (strcmp(line, "ok") == 0) {
        status = CLI_EXIT_OK;
    } else if (strncmp(line, "error ", 6) == 0) {
        fprintf(err, "proa: %s\n", line + 6);
        status = CLI_EXIT_NO;
    } else {
        no_node(err, "the node ended, or gave no answer in time");
    }
    free(line);
    return status;
}

enum cli_exit cli_client_talk(int fd, const struct cli_request *request, FILE *out,
                              FILE *err)
{
    char *text = malloc(CLI_REQUEST_MAX);
    enum cli_exit status;
    FILE *from;
    size_t len = 0;

    be_patient(fd, request);
    if (text != NULL)
        len = cli_request_print(request, text, CLI_REQUEST_MAX);
    if (len == 0 || !send_all(fd, text, len)) {
        free(text);
        close(fd);
        return no_node(err, "the request could not be sent");
    }
    free(text);
    from = fdopen(fd, "r");
    if (from == NULL) {
        close(fd);
        return no_node(err, "out of memory");
    }
    status = print_answer(from, request->follow, out, err);
    fclose(from);
    return status;
}

int cli_client_connect(const char *path, FILE *err, enum cli_exit *status)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        fprintf(err, "proa: %s: a socket's path has at most %zu bytes\n", path,
                sizeof(addr.sun_path) - 1);
        *status = CLI_EXIT_USAGE;
        return -1;
    }
    strcpy(addr.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        const char *why = errno == ENOENT || errno == ECONNREFUSED
                              ? "no node listens there; start one, or name its --socket"
                              : strerror(errno);
        fprintf(err, "proa: %s: %s\n", path, why);
        if (fd >= 0)
            close(fd);
        *status = CLI_EXIT_NO_NODE;
        return -1;
    }
    return fd;
}

enum cli_exit cli_client_run(const char *path, const struct cli_request *request,
                             FILE *out, FILE *err)
{
    enum cli_exit status = CLI_EXIT_NO_NODE;
    int fd = cli_client_connect(path, err, &status);

    return fd < 0 ? status : cli_client_talk(fd, request, out, err);
}
