/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LEN 1024
#define CPULIST_MAX 4096 /* bytes of a list of cores: 512 that are not neighbours */

/* ---- Names ---- */

void doctor_print_safe(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\t')
            *text = ' ';
        else if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

bool doctor_plain(const char *name)
{
    static const char *const plain = "abcdefghijklmnopqrstuvwxyz"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t len = strlen(name);

    if (len == 0 || strchr(plain, name[0]) == NULL)
        return false;
    while (len > 0 && (strchr(plain, name[len - 1]) != NULL ||
                       strchr("._-:@", name[len - 1]) != NULL))
        len--;
    return len == 0;
}

static bool path_of(const struct doctor_system *system, char path[PATH_LEN],
                    const char *format, va_list args)
{
    int n = snprintf(path, PATH_LEN, "%s", system->root);
    int m = 0;

    if (n >= 0 && n < PATH_LEN)
        m = vsnprintf(path + n, (size_t)(PATH_LEN - n), format, args);
    return n >= 0 && m > 0 && n + m < PATH_LEN;
}

/* ---- Files ---- */

/* A FIFO among the files must not stop anybody. */
static int open_file(const struct doctor_system *system, const char *format, va_list args)
{
    char path[PATH_LEN];

    if (!path_of(system, path, format, args))
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* The first line, printable; longer ones are refused, since half a number is another one. */
static bool read_word(const struct doctor_system *system, char *buf, size_t len,
                      const char *format, va_list args)
{
    int fd = open_file(system, format, args);
    size_t have = 0;
    ssize_t got = 0;

    if (fd < 0)
        return false;
    while (have < len && (got = read(fd, buf + have, len - have)) > 0)
        have += (size_t)got;
    close(fd);
    if (got < 0)
        return false;
    char *end = memchr(buf, '\n', have);
    if (end == NULL && have == len)
        return false;
    *(end != NULL ? end : buf + have) = '\0';
    doctor_print_safe(buf);
    return true;
}

bool doctor_word(const struct doctor_system *system, char *buf, size_t len,
                 const char *path, ...)
{
    va_list args;

    va_start(args, path);
    bool ok = read_word(system, buf, len, path, args);
    va_end(args);
    return ok && buf[0] != '\0';
}

bool doctor_number(const struct doctor_system *system, int64_t *ret, const char *path,
                   ...)
{
    char text[32], *end;
    va_list args;

    va_start(args, path);
    bool ok = read_word(system, text, sizeof(text), path, args);
    va_end(args);
    if (!ok || strspn(text, "-0123456789") == 0)
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0 || end[strspn(end, " ")] != '\0')
        return false;
    *ret = value;
    return true;
}

bool doctor_choice(const struct doctor_system *system, char *buf, size_t len,
                   const char *path, ...)
{
    char text[256], *open_at, *close_at;
    va_list args;

    va_start(args, path);
    bool ok = read_word(system, text, sizeof(text), path, args);
    va_end(args);
    open_at = ok ? strchr(text, '[') : NULL;
    close_at = open_at != NULL ? strchr(open_at, ']') : NULL;
    if (close_at == NULL)
        return false;
    *close_at = '\0';
    return snprintf(buf, len, "%s", open_at + 1) < (int)len;
}

bool doctor_cpus(const struct doctor_system *system, cpu_set_t *ret, const char *path,
                 ...)
{
    char text[CPULIST_MAX];
    va_list args;

    va_start(args, path);
    bool ok = read_word(system, text, sizeof(text), path, args);
    va_end(args);
    return ok && doctor_cpus_read(text, ret);
}

bool doctor_target(const struct doctor_system *system, char *buf, size_t len,
                   const char *path, ...)
{
    char whole[PATH_LEN], target[PATH_LEN];
    va_list args;

    va_start(args, path);
    bool ok = path_of(system, whole, path, args);
    va_end(args);
    ssize_t got = ok ? readlink(whole, target, sizeof(target) - 1) : -1;
    if (got <= 0)
        return false;
    target[got] = '\0';
    doctor_print_safe(target);
    const char *slash = strrchr(target, '/');
    int n = snprintf(buf, len, "%s", slash != NULL ? slash + 1 : target);
    return n > 0 && n < (int)len;
}

bool doctor_there(const struct doctor_system *system, const char *path, ...)
{
    char whole[PATH_LEN];
    va_list args;

    va_start(args, path);
    bool ok = path_of(system, whole, path, args);
    va_end(args);
    return ok && access(whole, F_OK) == 0;
}

bool doctor_usable(const struct doctor_system *system, const char *path, ...)
{
    char whole[PATH_LEN];
    struct stat st;
    va_list args;

    va_start(args, path);
    bool ok = path_of(system, whole, path, args);
    va_end(args);
    if (!ok || stat(whole, &st) != 0)
        return false;
    if (system->uid == 0)
        return true;
    mode_t wanted = st.st_uid == system->uid   ? S_IRUSR | S_IWUSR
                    : st.st_gid == system->gid ? S_IRGRP | S_IWGRP
                                               : S_IROTH | S_IWOTH;
    return (st.st_mode & wanted) == wanted;
}

/* Hands the lines of file to fn. */
static void each_line(FILE *file, char *line, bool (*fn)(void *ctx, char *line),
                      void *ctx)
{
    bool rest = false; /* of a line that was cut */

    for (unsigned i = 0; i < DOCTOR_LINES_MAX; i++) {
        if (fgets(line, DOCTOR_LINE_MAX, file) == NULL)
            return;
        size_t len = strlen(line);
        bool whole = len > 0 && line[len - 1] == '\n', was_rest = rest;
        if (whole)
            line[len - 1] = '\0';
        rest = !whole;
        doctor_print_safe(line);
        if (!was_rest && !fn(ctx, line))
            return;
    }
}

bool doctor_lines(const struct doctor_system *system, bool (*fn)(void *ctx, char *line),
                  void *ctx, const char *path, ...)
{
    char *line = malloc(DOCTOR_LINE_MAX);
    va_list args;

    va_start(args, path);
    int fd = line != NULL ? open_file(system, path, args) : -1;
    va_end(args);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (file != NULL)
        each_line(file, line, fn, ctx);
    if (file != NULL)
        fclose(file);
    else if (fd >= 0)
        close(fd);
    free(line);
    return file != NULL;
}

bool doctor_entries(const struct doctor_system *system,
                    bool (*fn)(void *ctx, const char *name), void *ctx, const char *path,
                    ...)
{
    char whole[PATH_LEN];
    const struct dirent *entry;
    va_list args;

    va_start(args, path);
    DIR *dir = path_of(system, whole, path, args) ? opendir(whole) : NULL;
    va_end(args);
    if (dir == NULL)
        return false;
    for (unsigned i = 0; i < DOCTOR_ENTRIES_MAX; i++) {
        entry = readdir(dir);
        if (entry == NULL || (entry->d_name[0] != '.' && !fn(ctx, entry->d_name)))
            break;
    }
    closedir(dir);
    return true;
}

/* ---- Lists of cores ---- */

static bool read_core(const char **at, int *ret)
{
    char *end;

    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    unsigned long value = strtoul(*at, &end, 10);
    if (errno != 0 || value >= CPU_SETSIZE)
        return false;
    *at = end;
    *ret = (int)value;
    return true;
}

bool doctor_cpus_read(const char *text, cpu_set_t *ret)
{
    cpu_set_t set;
    int from, to;

    CPU_ZERO(&set);
    while (*text != '\0') {
        if (!read_core(&text, &from))
            return false;
        to = from;
        if (*text == '-') {
            text++;
            if (!read_core(&text, &to) || to < from)
                return false;
        }
        for (int core = from; core <= to; core++)
            CPU_SET((size_t)core, &set);
        if (*text == ',')
            text++;
        else if (*text != '\0')
            return false;
    }
    *ret = set;
    return true;
}

void doctor_cpus_text(const cpu_set_t *set, bool words, char *buf, size_t len)
{
    char one[32];
    size_t used = 0;

    buf[0] = '\0';
    for (int core = 0; core < CPU_SETSIZE; core++) {
        int last = core;

        if (!CPU_ISSET((size_t)core, set))
            continue;
        while (!words && last + 1 < CPU_SETSIZE && CPU_ISSET((size_t)last + 1, set))
            last++;
        int n = last > core ? snprintf(one, sizeof(one), "%d-%d", core, last)
                            : snprintf(one, sizeof(one), "%d", core);
        if (used + (size_t)n + 2 > len)
            return;
        used += (size_t)snprintf(buf + used, len - used, "%s%s",
                                 used == 0 ? ""
                                 : words   ? " "
                                           : ",",
                                 one);
        core = last;
    }
}

/* ---- This machine ---- */

static bool take_capabilities(void *ctx, char *line)
{
    struct doctor_system *system = ctx;

    if (strncmp(line, "CapEff:", 7) != 0)
        return true;
    system->capabilities = strtoull(line + 7, NULL, 16);
    return false;
}

static uint64_t limit_of(rlim_t value)
{
    return value == RLIM_INFINITY ? DOCTOR_UNLIMITED : (uint64_t)value;
}

void doctor_system_here(struct doctor_system *ret)
{
    struct rlimit limit;

    memset(ret, 0, sizeof(*ret));
    ret->root = "";
    ret->uid = geteuid();
    ret->gid = getegid();
    ret->nic = doctor_nic_here;
    if (sched_getaffinity(0, sizeof(ret->allowed), &ret->allowed) != 0)
        CPU_ZERO(&ret->allowed);
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        ret->memlock = limit_of(limit.rlim_cur);
        ret->memlock_hard = limit_of(limit.rlim_max);
    }
    (void)doctor_lines(ret, take_capabilities, ret, "/proc/self/status");
}
