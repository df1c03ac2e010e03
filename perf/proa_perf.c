/* SPDX-License-Identifier: Apache-2.0 */
/* proa-perf - what two proa nodes reach over a port, beside what the port alone reaches; with
   `server` and `client` between two machines.

   Prints one JSON object on stdout.  Exit status 0: it ran and every message was checked; 1: it
   did not run, or a message was lost, repeated or damaged; 2: bad options. */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf_options.h"
#include "perf_process.h"
#include "perf_remote.h"
#include "perf_report.h"

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int bare_process(const struct perf_pipe *pipe, void *ctx)
{
    struct perf_bare bare;

    (void)ctx;
    return perf_bare_rings(&bare) && perf_pipe_write(pipe, &bare, sizeof(bare)) ? 0 : 1;
}

/* In a process of its own, since it pins its threads. */
static bool measure_bare(struct perf_bare *ret)
{
    struct perf_process process = {0};
    bool ok = perf_process_start(&process, bare_process, NULL) &&
              perf_pipe_read(&process.pipe, ret, sizeof(*ret), 120 * PROA_S);

    perf_process_end(&process, PROA_S);
    return ok;
}

static bool measure_limits(const struct perf_options *o, const char *dir,
                           struct perf_limits *limits, char *err, size_t err_len)
{
    bool cross = perf_mode_is_cross(o->mode);

    if (o->mode == PERF_MODE_RAW ||
        (o->with_raw && !perf_mode_is_local(o->mode) && o->port != PERF_PORT_RING)) {
        limits->has_raw = perf_raw_measure(o, dir, &limits->raw, err, err_len);
        return limits->has_raw;
    }
    if (o->with_raw && (cross || !perf_mode_is_local(o->mode))) {
        limits->has_bare = measure_bare(&limits->bare);
        if (!limits->has_bare)
            snprintf(err, err_len, "the bare rings: no memory or thread");
        return limits->has_bare;
    }
    return true;
}

static int explain(const struct perf_result *result, bool checked)
{
    if (!result->ok)
        fprintf(stderr, "proa-perf: %s\n", result->error);
    else if (!checked)
        fprintf(stderr, "proa-perf: not every message arrived once, in order and whole: "
                        "see \"checked\"\n");
    return result->ok && checked ? 0 : 1;
}

static bool run(const struct perf_options *o, const char *dir, struct perf_result *result)
{
    return o->role == PERF_ROLE_CLIENT ? perf_client(o, dir, result)
                                       : perf_run(o, dir, result);
}

static int measure(const struct perf_command *command, const char *dir)
{
    const struct perf_options *o = &command->options;
    struct perf_limits limits = {0};
    struct perf_versus versus = {0};
    static struct perf_result result;
    char err[320] = "";
    int status;

    if (o->role == PERF_ROLE_SERVER)
        return perf_server(o, dir);
    if (!measure_limits(o, dir, &limits, err, sizeof(err))) {
        fprintf(stderr, "proa-perf: %s\n", err);
        return 1;
    }
    if (o->mode == PERF_MODE_RAW) {
        perf_report(o, NULL, &limits, NULL);
        return 0;
    }
    if (!command->versus) {
        run(o, dir, &result);
        perf_report(o, &result, &limits, NULL);
        return explain(&result, perf_result_checked(&result));
    }
    if (perf_versus_run(command, dir, run, &versus, &result))
        perf_report(o, &result, &limits, &versus);
    status = explain(&result, versus.checked);
    perf_versus_fini(&versus);
    return status;
}

/* Interrupts the wait for the children; what follows cleans up. */
static void on_stop(int sig)
{
    (void)sig;
}

int main(int argc, char **argv)
{
    const struct sigaction stop = {.sa_handler = on_stop};
    const char *tmp = getenv("TMPDIR");
    struct perf_command command;
    char dir[64];
    int status = perf_options_read(&command, argc, argv);

    if (status >= 0)
        return status;
    /* Short: a unix socket's path is at most 107 bytes. */
    snprintf(dir, sizeof(dir), "%.32s/proa-perf-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr,
                "proa-perf: no directory %s: set TMPDIR to a folder of your own\n", dir);
        return 1;
    }
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    status = measure(&command, dir);
    remove_tree(dir);
    return status;
}
