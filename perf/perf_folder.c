/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

bool perf_folder_make(const char *program, char ret[PERF_FOLDER_MAX])
{
    const char *tmp = getenv("TMPDIR");

    snprintf(ret, PERF_FOLDER_MAX, "%.32s/%.16s-XXXXXX", tmp != NULL ? tmp : "/tmp",
             program);
    if (mkdtemp(ret) != NULL)
        return true;
    fprintf(stderr, "%s: no directory %s: set TMPDIR to a folder of your own\n", program,
            ret);
    return false;
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void perf_folder_remove(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
