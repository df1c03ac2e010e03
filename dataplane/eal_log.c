/* SPDX-License-Identifier: Apache-2.0 */
#include "eal_log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_log.h>

#include "eal.h"

#define KEPT 8192 /* bytes */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char kept[KEPT];
static size_t kept_len;
static bool on_stderr;

static ssize_t keep(void *cookie, const char *text, size_t len)
{
    size_t add = len < KEPT ? len : KEPT, stay;

    (void)cookie;
    pthread_mutex_lock(&lock);
    stay = kept_len + add <= KEPT ? kept_len : KEPT - add;
    memmove(kept, kept + kept_len - stay, stay);
    memcpy(kept + stay, text + len - add, add);
    kept_len = stay + add;
    pthread_mutex_unlock(&lock);
    if (on_stderr)
        fwrite(text, 1, len, stderr);
    return (ssize_t)len;
}

bool eal_log_open(void)
{
    const cookie_io_functions_t functions = {.write = keep};
    const char *show = getenv("PROA_DPDK_LOG");
    FILE *stream = fopencookie(NULL, "w", functions);

    if (stream == NULL)
        return false;
    setvbuf(stream, NULL, _IOLBF, 0);
    on_stderr = show != NULL && strcmp(show, "1") == 0;
    return rte_openlog_stream(stream) == 0;
}

size_t eal_log(char *buf, size_t len)
{
    size_t n;

    if (len == 0)
        return 0;
    pthread_mutex_lock(&lock);
    n = kept_len < len - 1 ? kept_len : len - 1;
    memcpy(buf, kept + kept_len - n, n);
    pthread_mutex_unlock(&lock);
    buf[n] = '\0';
    return n;
}

/* Lines that tell of trouble.  That a device could not be attached is said after why not. */
static bool is_trouble(const char *line)
{
    static const char *const words[] = {"annot",      "ailed",   "rror",  "nvalid",
                                        "not enough", "No free", "xceed", "nable"};

    if (strstr(line, "attach device on primary") != NULL)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(line, words[i]) != NULL)
            return true;
    }
    return false;
}

void eal_log_error(char *buf, size_t len)
{
    char text[KEPT + 1], *line, *rest = text;

    if (len == 0)
        return;
    buf[0] = '\0';
    eal_log(text, sizeof(text));
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (is_trouble(line))
            snprintf(buf, len, "%s", line);
    }
}
