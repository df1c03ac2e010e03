/* SPDX-License-Identifier: Apache-2.0 */
/* options_taken - which of the command lines on stdin proa-perf would take.

   For test_bench.py: a benchmark whose command has an option that is no more measures nothing.  Prints
   the lines that are refused; exit status 1 when there are any. */
#include <stdio.h>
#include <string.h>

#include "perf_options.h"

#define WORDS_MAX 64

int main(void)
{
    char line[1024], said[1024];
    int bad = 0;

    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct perf_command command;
        char *words[WORDS_MAX + 1];
        int count = 0;

        line[strcspn(line, "\n")] = '\0';
        snprintf(said, sizeof(said), "%s", line);
        for (char *word = strtok(line, " "); word != NULL && count < WORDS_MAX;
             word = strtok(NULL, " "))
            words[count++] = word;
        words[count] = NULL;
        if (perf_options_read(&command, count, words) != -1) {
            puts(said);
            bad = 1;
        }
    }
    return bad;
}
