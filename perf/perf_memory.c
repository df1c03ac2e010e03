/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_memory.h"

#include <stdio.h>

uint64_t perf_memory_anonymous(pid_t pid)
{
    unsigned long long kb = 0;
    char path[64], line[256];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "RssAnon: %llu", &kb) == 1)
            break;
    fclose(file);
    return kb * 1024;
}
