/* SPDX-License-Identifier: Apache-2.0 */
#include "keep.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/capability.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t served;
    bool expected;
    struct keeper *first;
} keep = {.lock = PTHREAD_MUTEX_INITIALIZER, .served = PTHREAD_COND_INITIALIZER};

void keep_expect(bool expected)
{
    pthread_mutex_lock(&keep.lock);
    keep.expected = expected;
    pthread_mutex_unlock(&keep.lock);
}

bool keep_open(struct keeper *k)
{
    bool ok = true;

    *k = (struct keeper){.fd = -1};
    pthread_mutex_lock(&keep.lock);
    if (keep.expected) {
        k->fd = eventfd(0, EFD_CLOEXEC);
        /* Threads inherit it from who creates them: there is no moment without. */
        ok = k->fd >= 0 && prctl(PR_SET_KEEPCAPS, 1) == 0;
        k->next = keep.first;
        keep.first = k;
    }
    pthread_mutex_unlock(&keep.lock);
    return ok;
}

void keep_born(struct keeper *k)
{
    if (k->fd >= 0)
        (void)prctl(PR_SET_KEEPCAPS, 0); /* undoing what just worked */
}

void keep_close(struct keeper *k)
{
    pthread_mutex_lock(&keep.lock);
    for (struct keeper **at = &keep.first; *at != NULL; at = &(*at)->next) {
        if (*at == k) {
            *at = k->next;
            if (k->fd >= 0)
                close(k->fd);
            break;
        }
    }
    pthread_mutex_unlock(&keep.lock);
}

/* CAP_NET_ADMIN if the thread may have it, and nothing else.  libcap's calls are for the calling
   thread alone. */
static bool cut(void)
{
    const cap_value_t net_admin = CAP_NET_ADMIN;
    cap_t had = cap_get_proc(), wanted = cap_init();
    cap_flag_value_t has = CAP_CLEAR;
    bool ok = had != NULL && wanted != NULL &&
              cap_get_flag(had, net_admin, CAP_PERMITTED, &has) == 0;

    if (ok && has == CAP_SET)
        ok = cap_set_flag(wanted, CAP_PERMITTED, 1, &net_admin, CAP_SET) == 0 &&
             cap_set_flag(wanted, CAP_EFFECTIVE, 1, &net_admin, CAP_SET) == 0;
    ok = ok && cap_set_proc(wanted) == 0 && prctl(PR_SET_KEEPCAPS, 0) == 0;
    cap_free(had);
    cap_free(wanted);
    return ok;
}

void keep_serve(struct keeper *k)
{
    uint64_t count;
    bool ok = read(k->fd, &count, sizeof(count)) == sizeof(count) && cut();

    pthread_mutex_lock(&keep.lock);
    k->tid = gettid();
    k->failed = !ok;
    pthread_cond_broadcast(&keep.served);
    pthread_mutex_unlock(&keep.lock);
}

bool keep_trim(void)
{
    const uint64_t one = 1;
    bool ok = true;

    pthread_mutex_lock(&keep.lock);
    for (struct keeper *k = keep.first; k != NULL && ok; k = k->next) {
        k->tid = 0;
        ok = write(k->fd, &one, sizeof(one)) == sizeof(one);
        while (ok && k->tid == 0)
            pthread_cond_wait(&keep.served, &keep.lock);
        ok = ok && !k->failed;
    }
    pthread_mutex_unlock(&keep.lock);
    return ok;
}

bool keep_is(pid_t tid)
{
    bool found = false;

    pthread_mutex_lock(&keep.lock);
    for (const struct keeper *k = keep.first; k != NULL && !found; k = k->next)
        found = k->tid == tid;
    pthread_mutex_unlock(&keep.lock);
    return found;
}
