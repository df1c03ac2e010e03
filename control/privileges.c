/* SPDX-License-Identifier: Apache-2.0 */
#include "privileges.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keep.h"

#define ENTRY_MAX 16384 /* bytes of an entry of the user or group database */
#define ID_MAX 4294967294u
#define NET_ADMIN (UINT64_C(1) << CAP_NET_ADMIN)

static enum proa_outcome refuse(char *err, size_t err_len, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum proa_outcome refuse(char *err, size_t err_len, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err, err_len, format, args);
    va_end(args);
    return PROA_BAD_CONFIG;
}

/* ---- Who ---- */

/* A number by itself. */
static bool read_id(const char *text, uint32_t *ret)
{
    unsigned long long value;
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > ID_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static enum proa_outcome find_group(struct privileges *p, const char *group, char *err,
                                    size_t err_len)
{
    char buf[ENTRY_MAX];
    struct group entry, *found = NULL;

    if (read_id(group, &p->gid))
        return PROA_OK;
    if (getgrnam_r(group, &entry, buf, sizeof(buf), &found) != 0 || found == NULL)
        return refuse(err, err_len, "user: '%s': there is no group '%s'", p->name, group);
    p->gid = entry.gr_gid;
    return PROA_OK;
}

static enum proa_outcome find_user(struct privileges *p, const char *user,
                                   const char *group, char *err, size_t err_len)
{
    char buf[ENTRY_MAX];
    struct passwd entry, *found = NULL;
    bool number = read_id(user, &p->uid);

    if (number)
        (void)getpwuid_r(p->uid, &entry, buf, sizeof(buf), &found);
    else
        (void)getpwnam_r(user, &entry, buf, sizeof(buf), &found);
    if (found == NULL && !number)
        return refuse(err, err_len,
                      "user: there is no user '%s'; make one (useradd --system %s), or "
                      "name another",
                      user, user);
    if (found == NULL && group == NULL)
        return refuse(err, err_len,
                      "user: uid %s has no entry in the user database; write UID:GID",
                      user);
    if (found != NULL) {
        p->uid = entry.pw_uid;
        p->gid = entry.pw_gid;
    }
    if (group != NULL && find_group(p, group, err, err_len) != PROA_OK)
        return PROA_BAD_CONFIG;
    p->groups[0] = p->gid;
    p->group_count = PRIVILEGES_GROUPS_MAX;
    if (found == NULL)
        p->group_count = 1;
    else if (getgrouplist(entry.pw_name, p->gid, p->groups, &p->group_count) < 0)
        return refuse(err, err_len, "user: '%s' is in more than %d groups", p->name,
                      PRIVILEGES_GROUPS_MAX);
    return PROA_OK;
}

static enum proa_outcome parse(struct privileges *p, char *err, size_t err_len)
{
    char user[PROA_TEXT_MAX], *group;

    snprintf(user, sizeof(user), "%s", p->name);
    group = strchr(user, ':');
    if (group != NULL)
        *group++ = '\0';
    if (user[0] == '\0' || (group != NULL && group[0] == '\0'))
        return refuse(err, err_len, "user: '%s' is neither NAME nor NAME:GROUP", p->name);
    if (find_user(p, user, group, err, err_len) != PROA_OK)
        return PROA_BAD_CONFIG;
    if (p->uid == 0)
        return refuse(err, err_len,
                      "user: '%s' is root, who keeps everything; name another, or leave "
                      "`user` out",
                      p->name);
    return PROA_OK;
}

/* ---- Whether ---- */

/* Capabilities of the calling thread, as bits. */
static uint64_t caps_of(cap_flag_t flag)
{
    cap_t caps = cap_get_proc();
    uint64_t bits = 0;

    for (cap_value_t cap = 0; caps != NULL && cap < cap_max_bits(); cap++) {
        cap_flag_value_t has = CAP_CLEAR;

        if (cap_get_flag(caps, cap, flag, &has) == 0 && has == CAP_SET)
            bits |= UINT64_C(1) << cap;
    }
    cap_free(caps);
    return bits;
}

static enum proa_outcome may(struct privileges *p, char *err, size_t err_len)
{
    const uint64_t needed = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID;
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;

    getresuid(&real, &effective, &saved);
    getresgid(&real_group, &effective_group, &saved_group);
    if (real == p->uid && effective == p->uid && saved == p->uid) {
        if (real_group != p->gid || effective_group != p->gid || saved_group != p->gid)
            return refuse(err, err_len,
                          "user: '%s': this process is that user, but of group %u; "
                          "start it as root, or with group %u",
                          p->name, effective_group, p->gid);
        if (caps_of(CAP_PERMITTED) != 0)
            return refuse(err, err_len,
                          "user: '%s': this process is that user and has capabilities, "
                          "which only a change of user takes from all threads; start it "
                          "as root, or leave `user` out",
                          p->name);
        p->already = true;
        return PROA_OK;
    }
    if (effective != 0)
        return refuse(err, err_len,
                      "user: '%s': this process runs as uid %u and cannot become another "
                      "user; start it as root, or leave `user` out",
                      p->name, effective);
    if ((caps_of(CAP_EFFECTIVE) & needed) != needed)
        return refuse(err, err_len,
                      "user: '%s': this process may not change its user; give it "
                      "CAP_SETUID and CAP_SETGID",
                      p->name);
    return PROA_OK;
}

enum proa_outcome privileges_find(struct privileges *p, const char *user, char *err,
                                  size_t err_len)
{
    memset(p, 0, sizeof(*p));
    if (user[0] == '\0')
        return PROA_OK;
    snprintf(p->name, sizeof(p->name), "%s", user);
    p->wanted = true;
    if (parse(p, err, err_len) != PROA_OK)
        return PROA_BAD_CONFIG;
    return may(p, err, err_len);
}

/* ---- All threads ---- */

/* What /proc says of a thread. */
struct sight {
    char name[32];
    unsigned uid[4], gid[4]; /* real, effective, saved, file system */
    unsigned long long inheritable, permitted, effective, ambient;
    unsigned no_new_privs;
};

enum look { LOOK_SEEN, LOOK_ENDED, LOOK_FAILED };

static enum look look(const char *tid, struct sight *ret)
{
    char path[300], line[1024];
    unsigned lines = 0;
    FILE *file;
    int why;

    memset(ret, 0, sizeof(*ret));
    snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
    file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT || errno == ESRCH ? LOOK_ENDED : LOOK_FAILED;
    errno = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        lines += sscanf(line, "Name: %31[^\n]", ret->name) == 1;
        lines += sscanf(line, "Uid: %u %u %u %u", &ret->uid[0], &ret->uid[1],
                        &ret->uid[2], &ret->uid[3]) == 4;
        lines += sscanf(line, "Gid: %u %u %u %u", &ret->gid[0], &ret->gid[1],
                        &ret->gid[2], &ret->gid[3]) == 4;
        lines += sscanf(line, "CapInh: %llx", &ret->inheritable) == 1;
        lines += sscanf(line, "CapPrm: %llx", &ret->permitted) == 1;
        lines += sscanf(line, "CapEff: %llx", &ret->effective) == 1;
        lines += sscanf(line, "CapAmb: %llx", &ret->ambient) == 1;
        lines += sscanf(line, "NoNewPrivs: %u", &ret->no_new_privs) == 1;
    }
    why = ferror(file) ? errno : 0;
    fclose(file);
    if (why == ESRCH)
        return LOOK_ENDED;
    return why == 0 && lines == 8 ? LOOK_SEEN : LOOK_FAILED;
}

/* Calls good for every thread.  False: one is not, and why names it; or /proc cannot be read. */
static bool all_threads(const struct privileges *p,
                        bool (*good)(const struct privileges *p, pid_t tid,
                                     const struct sight *sight),
                        char *why, size_t why_len)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    bool ok = dir != NULL;
    unsigned seen = 0;

    while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
        struct sight sight;
        pid_t tid = (pid_t)atoi(entry->d_name);
        enum look how = tid > 0 ? look(entry->d_name, &sight) : LOOK_ENDED;

        if (how == LOOK_ENDED)
            continue;
        ok = how == LOOK_SEEN && good(p, tid, &sight);
        snprintf(why, why_len, "thread %d (%s)", (int)tid,
                 how == LOOK_SEEN ? sight.name : "its /proc/self/task cannot be read");
        seen++;
    }
    ok = ok && errno == 0;
    if (dir != NULL)
        closedir(dir);
    if (seen > 0)
        return ok;
    snprintf(why, why_len, "a thread (/proc/self/task cannot be read; mount /proc)");
    return false;
}

static bool gains_nothing(const struct privileges *p, pid_t tid,
                          const struct sight *sight)
{
    (void)p;
    (void)tid;
    return sight->no_new_privs == 1 && sight->inheritable == 0;
}

/* The calling thread was seen to before: by an earlier node, under whose filter it may not be done
   again. */
static bool gains_nothing_already(const struct privileges *p)
{
    struct sight sight;
    char tid[16];

    snprintf(tid, sizeof(tid), "%d", (int)gettid());
    return look(tid, &sight) == LOOK_SEEN && gains_nothing(p, gettid(), &sight);
}

static bool is_dropped(const struct privileges *p, pid_t tid, const struct sight *sight)
{
    uint64_t keeps = keep_is(tid) ? NET_ADMIN : 0;

    for (unsigned i = 0; i < 4; i++) {
        if (sight->uid[i] != p->uid || sight->gid[i] != p->gid)
            return false;
    }
    return sight->no_new_privs == 1 && sight->inheritable == 0 && sight->ambient == 0 &&
           (sight->permitted & ~keeps) == 0 && (sight->effective & ~keeps) == 0;
}

/* ---- Before the threads ---- */

static void empty_bounding_set(void)
{
    for (cap_value_t cap = 0; cap < cap_max_bits(); cap++) {
        if (cap_get_bound(cap) == 1)
            (void)cap_drop_bound(cap); /* needs CAP_SETPCAP; see the header */
    }
}

static bool empty_inheritable_set(void)
{
    cap_t caps = cap_get_proc();
    bool ok = caps != NULL && cap_clear_flag(caps, CAP_INHERITABLE) == 0 &&
              cap_set_proc(caps) == 0; /* the ambient set follows */

    cap_free(caps);
    return ok;
}

enum proa_outcome privileges_begin(struct privileges *p, char *err, size_t err_len)
{
    char why[PROA_TEXT_MAX];

    keep_expect(p->wanted && !p->already);
    if (!p->wanted)
        return PROA_OK;
    if (!p->already) {
        privileges_as_user(p, true);
        bool there =
            (uid_t)setfsuid((uid_t)-1) == p->uid && (gid_t)setfsgid((gid_t)-1) == p->gid;
        privileges_as_user(p, false);
        if (!there)
            return refuse(err, err_len,
                          "user: '%s': uid %u or gid %u does not exist in this user "
                          "namespace",
                          p->name, p->uid, p->gid);
    }
    if (!gains_nothing_already(p) &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !empty_inheritable_set()))
        return refuse(err, err_len, "user: '%s': no_new_privs: %s", p->name,
                      strerror(errno));
    empty_bounding_set();
    if (!all_threads(p, gains_nothing, why, sizeof(why)))
        return refuse(err, err_len,
                      "user: '%s': %s was there before the node and would keep what it "
                      "may; start the node before other threads",
                      p->name, why);
    return PROA_OK;
}

/* ---- As the user ---- */

/* By system calls, which are for the calling thread alone; glibc's setgroups is for all. */
void privileges_as_user(struct privileges *p, bool on)
{
    if (!p->wanted || p->already)
        return;
    if (on) {
        p->count_before = getgroups(PRIVILEGES_GROUPS_MAX, p->groups_before);
        if (p->count_before < 0)
            p->count_before = 0; /* it had more: fewer are enough for root */
        (void)syscall(SYS_setgroups, p->group_count, p->groups);
        (void)setfsgid(p->gid);
        (void)setfsuid(p->uid);
    } else {
        (void)setfsuid(0);
        (void)setfsgid(getegid());
        (void)syscall(SYS_setgroups, p->count_before, p->groups_before);
    }
}

void privileges_as_owner(struct privileges *p, bool on)
{
    privileges_as_user(p, on);
    if (on && p->wanted && !p->already)
        (void)setfsgid(getegid());
}

/* ---- The end of it ---- */

enum proa_outcome privileges_drop(struct privileges *p, char *err, size_t err_len)
{
    char why[PROA_TEXT_MAX];

    if (!p->wanted)
        return PROA_OK;
    if (!p->already && (setgroups((size_t)p->group_count, p->groups) != 0 ||
                        setresgid(p->gid, p->gid, p->gid) != 0 ||
                        setresuid(p->uid, p->uid, p->uid) != 0))
        return refuse(err, err_len, "user: '%s': %s", p->name, strerror(errno));
    if (!keep_trim())
        return refuse(err, err_len,
                      "user: '%s': a thread could not give up its capabilities", p->name);
    if (!all_threads(p, is_dropped, why, sizeof(why)))
        return refuse(err, err_len, "user: '%s': %s kept more than it should", p->name,
                      why);
    return PROA_OK;
}
