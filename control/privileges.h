/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.h - what a node may do, and how it gives that up.

   Only when `user` is configured.  Then, in this order:

     privileges_find    who that is, and whether this process may become them.  Changes nothing.
     privileges_begin   before the first thread of the node: the calling thread, and by birth every
                        later one, can gain no privileges (no_new_privs), has an empty inheritable
                        set and, where CAP_SETPCAP allows it, an empty bounding set.
     privileges_as_user around what is done on disk: by this thread, and those born meanwhile, as
                        the user.  So files and sockets are the user's, and what they could not
                        reach later is refused now.
     privileges_drop    ports are open, all threads there: user, group and supplementary groups of
                        all threads (glibc's setresuid reaches each), with which the kernel clears
                        their permitted, effective and ambient sets.  Then every thread of the
                        process is looked at in /proc/self/task; one that kept more, or cannot be
                        looked at, is an error.

   What remains afterwards: nothing, but on the threads of keep.h (one for each af_xdp port)
   CAP_NET_ADMIN, permitted and effective: they tell the kernel which neighbours are in use, by
   RTM_NEWNEIGH.  AF_XDP sockets, vhost, udp and DPDK's own threads need nothing once open, and
   the XDP program is detached by closing its link.  The process is no longer dumpable, as after
   any change of user (fs.suid_dumpable = 2 gives root its core dumps).

   Threads: one ordinary thread, the one that starts the node.
   Units:   none.
   Errors:  enum proa_outcome with one sentence.  After a failed privileges_find nothing has
            changed; after a failed privileges_begin or a later failure of the start the calling
            thread keeps its user and capabilities, but can gain no new ones; after
            privileges_drop the process is that user for good, also if the start fails then. */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <proa/node.h>
#include <sys/types.h>

#define PRIVILEGES_GROUPS_MAX 64 /* supplementary groups; more are refused */

struct privileges {
    bool wanted;  /* `user` is configured */
    bool already; /* the process is that user and has no capabilities */
    uid_t uid;
    gid_t gid;
    gid_t groups[PRIVILEGES_GROUPS_MAX];
    int group_count;
    char name[PROA_TEXT_MAX]; /* as configured, for messages */

    /* While privileges_as_user(true): what the thread had. */
    gid_t groups_before[PRIVILEGES_GROUPS_MAX];
    int count_before;
};

/* privileges_find reads user: "NAME", "NAME:GROUP", or numbers for either.  A number without an
   entry in the user database needs a group.  "" wants nothing.  OK; BAD_CONFIG: no such user or
   group, uid 0 (it would keep everything), more than PRIVILEGES_GROUPS_MAX groups, or the
   process is neither root with CAP_SETUID and CAP_SETGID nor that user without capabilities. */
enum proa_outcome privileges_find(struct privileges *p, const char *user, char *err,
                                  size_t err_len);

/* privileges_begin.  OK; BAD_CONFIG: a thread was there before that can gain privileges, or this
   user namespace does not have the user. */
enum proa_outcome privileges_begin(struct privileges *p, char *err, size_t err_len);

/* privileges_as_user(p, true) and (p, false) enclose it; neither does anything unless a change
   of user is to come. */
void privileges_as_user(struct privileges *p, bool on);

/* privileges_as_owner is the same, but the group stays the process': what is made is the user's and
   of that group. */
void privileges_as_owner(struct privileges *p, bool on);

/* privileges_drop.  OK; BAD_CONFIG: the kernel refused, or a thread kept more than it should. */
enum proa_outcome privileges_drop(struct privileges *p, char *err, size_t err_len);

#endif
