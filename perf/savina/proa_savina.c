/* SPDX-License-Identifier: Apache-2.0 */
/* proa-savina - actor benchmarks after the Savina suite (S. Imam, V. Sarkar, "Savina - An Actor
   Benchmark Suite", AGERE 2014), written with the public headers only.

   Prints one JSON object on stdout.  Exit status 0: it ran and every result was right; 1: it did
   not run, or something was wrong; 2: bad options. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "savina_run.h"

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static int measure(const struct savina_options *options, const char *dir)
{
    struct savina_run *run = calloc(1, sizeof(*run));
    bool right;

    if (run == NULL) {
        fprintf(stderr, "proa-savina: no memory\n");
        return 1;
    }
    if (savina_run_open(run, options, dir))
        options->bench->run(run);
    savina_run_close(run);
    right = savina_run_right(run);
    savina_run_print(run);
    if (run->error[0] != '\0')
        fprintf(stderr, "proa-savina: %s\n", run->error);
    else if (!right)
        fprintf(stderr, "proa-savina: a result is wrong: see \"checks\"\n");
    free(run);
    return right ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    struct savina_options options;
    char dir[PROA_TEXT_MAX];
    int status = savina_options_read(&options, argc, argv);

    if (status >= 0)
        return status;
    snprintf(dir, sizeof(dir), "%.200s/proa-savina-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr,
                "proa-savina: no directory %s: set TMPDIR to a folder of your own\n",
                dir);
        return 1;
    }
    status = measure(&options, dir);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}
