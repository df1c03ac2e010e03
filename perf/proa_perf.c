/* SPDX-License-Identifier: Apache-2.0 */
/* proa-perf - what two proa nodes reach over a port, beside what the port alone reaches; with
   `server` and `client` between two machines.

   Prints one JSON object on stdout.  Exit status 0: it ran and every message was checked; 1: it
   did not run, or a message was lost, repeated or damaged; 2: bad options; 77: it cannot run here, and
   that is the machine's or the user's lack: no root for network namespaces, no iproute2. */
#include <stdio.h>

#include "perf_folder.h"
#include "perf_options.h"
#include "perf_process.h"
#include "perf_remote.h"
#include "perf_report.h"

#define NOT_HERE 77 /* as a test that is skipped */

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

static int say(const char *why, bool not_here)
{
    fprintf(stderr, "proa-perf: %s\n", perf_process_caught() ? "stopped" : why);
    return not_here ? NOT_HERE : 1;
}

static int explain(const struct perf_result *result, bool checked)
{
    if (!result->ok)
        return say(result->error, result->not_here);
    if (!checked)
        return say("not every message arrived once, in order and whole: see \"checked\"",
                   false);
    return 0;
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
    if (!measure_limits(o, dir, &limits, err, sizeof(err)))
        return say(err, limits.raw.not_here);
    if (o->mode == PERF_MODE_RAW) {
        perf_report(o, NULL, &limits, NULL);
        return 0;
    }
    if (!command->versus) {
        run(o, dir, &result);
        if (!result.not_here)
            perf_report(o, &result, &limits, NULL);
        return explain(&result, perf_result_checked(&result));
    }
    if (perf_versus_run(command, dir, run, &versus, &result))
        perf_report(o, &result, &limits, &versus);
    status = explain(&result, versus.checked);
    perf_versus_fini(&versus);
    return status;
}

int main(int argc, char **argv)
{
    struct perf_command command;
    char dir[PERF_FOLDER_MAX];
    int status = perf_options_read(&command, argc, argv);

    if (status >= 0)
        return status;
    perf_process_catch();
    if (!perf_folder_make("proa-perf", dir))
        return 1;
    status = measure(&command, dir);
    perf_folder_remove(dir);
    return status;
}
